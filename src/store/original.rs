//! The job that has the content, or the sound, of a copy that was skipped.

use std::path::PathBuf;

use super::{
    JobId, StoreError,
    skip::SkipKind,
    sql::{Transaction, params},
};
use crate::job::JobState;

/// The job whose content a skipped copy has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalJob {
    /// Its number.
    pub id: JobId,
    /// Its state.
    pub state: JobState,
    /// Its recording, relative to the folder.
    pub relative: PathBuf,
    /// True if it has the sound of the copy, not its content.
    pub by_sound: bool,
}

/// Returns the job because of which another one is skipped, the latest, and its key.
pub(super) fn find_original(
    tx: &Transaction<'_>,
    skipped: JobId,
) -> Result<Option<(OriginalJob, Option<String>)>, StoreError> {
    let names = tx.query_row(
        "SELECT skip, content, sound, folder FROM job WHERE id = ?1",
        params![skipped],
        |row| {
            let skip: Option<SkipKind> = row.get("skip")?;
            let folder: String = row.get("folder")?;
            let by_sound = skip == Some(SkipKind::Sound);
            let by_itself = matches!(skip, Some(SkipKind::NoSound | SkipKind::Limit));
            let name: Option<String> = row.get(if by_sound { "sound" } else { "content" })?;
            Ok((by_sound, name.filter(|_| !by_itself), folder))
        },
    )?;
    let Some((by_sound, Some(name), folder)) = names else { return Ok(None) };
    let sql = format!(
        "SELECT id, key, state, path FROM job WHERE {} = ?1 AND folder = ?2 AND state <> 'skipped' ORDER BY {} LIMIT 1",
        if by_sound { "sound" } else { "content" },
        if by_sound { "state IN ('failed', 'cancelled'), id DESC" } else { "generation DESC" },
    );
    tx.query_row(&sql, params![name, folder], |row| {
        let original = OriginalJob {
            id: row.get("id")?,
            state: row.get("state")?,
            relative: row.get("path")?,
            by_sound,
        };
        Ok((original, row.get("key")?))
    })
}
