//! The contents that are done; these rows are never deleted, however short the history.

use jiff::Timestamp;

use super::{
    JobId, StoreError,
    sql::{Transaction, params},
};
use crate::job::{Content, Sound};

/// Remembers for ever that the content of a job is done.
pub(super) fn finish(tx: &Transaction<'_>, id: JobId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE job SET error = NULL, invalid_metadata = 0 WHERE id = ?1", params![id])?;
    tx.execute(
        "INSERT INTO finished (content, folder, generation, at_ms, sound) \
         SELECT content, folder, generation, ?2, sound FROM job WHERE id = ?1 \
         ON CONFLICT (content, folder) DO UPDATE SET generation = CASE WHEN finished.generation > excluded.generation \
         THEN finished.generation ELSE excluded.generation END, at_ms = excluded.at_ms, \
         sound = coalesce(excluded.sound, finished.sound)",
        params![id, now],
    )
    .map(drop)
}

/// Returns when a content was done.
pub(super) fn content_finished_at(
    tx: &Transaction<'_>,
    content: &Content,
    folder: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT at_ms FROM finished WHERE content = ?1 AND folder = ?2";
    tx.find_value(sql, params![content, folder])
}

/// Returns when a sound was done last.
pub(super) fn sound_finished_at(
    tx: &Transaction<'_>,
    sound: &Sound,
    folder: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let sql =
        "SELECT at_ms FROM finished WHERE sound = ?1 AND folder = ?2 ORDER BY at_ms DESC LIMIT 1";
    tx.find_value(sql, params![sound, folder])
}
