//! Placing: a file that was fetched gets its name once.

use jiff::Timestamp;

use super::{
    FetchedFile, Sources, StoreError,
    fetched::{COLUMNS, FetchedState, Fetching, Intent, read_fetching},
    row::to_json,
    sql::{Transaction, params},
};
use crate::effect::Effect;

/// The decision about a file that is about to get its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// The file gets the name.
    Go,
    /// The folder has (or had) this content already: the row is placed, and the file is not needed.
    Known,
}

impl Sources<'_> {
    /// Returns what was being placed when the process ended.
    pub async fn list_placing(self, source: &str) -> Result<Vec<Fetching>, StoreError> {
        let source = source.to_owned();
        self.0
            .read(move |tx| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM fetched WHERE source = ?1 AND state = 'placing'"
                );
                tx.query_rows(&sql, params![source], read_fetching)
            })
            .await
    }

    /// Records where a file that was fetched is about to lie, with all that travels with it.
    pub async fn intend_place(
        self,
        source: &str,
        id: &str,
        intent: Intent,
        now: Timestamp,
    ) -> Result<Placing, StoreError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.0
            .write(Effect::IntendPlace, move |tx| {
                let is_known = is_known(tx, &intent.file)?;
                let state = if is_known { FetchedState::Placed } else { FetchedState::Placing };
                let Intent { file, details, ended, reuse } = intent;
                tx.execute(
                    "UPDATE fetched SET state = ?3, due_ms = NULL, error = NULL, details = ?4, folder = ?5, path = ?6, \
                 content = ?7, size = ?8, reuse = ?9, ended_ms = coalesce(?10, ended_ms), updated_ms = ?11 \
                 WHERE source = ?1 AND remote_id = ?2 AND state IN ('found', 'placing')",
                    params![
                        source,
                        id,
                        state,
                        to_json(&details),
                        file.folder,
                        file.path,
                        file.content,
                        file.size,
                        reuse,
                        ended,
                        now,
                    ],
                )?;
                Ok(if is_known { Placing::Known } else { Placing::Go })
            })
            .await
    }

    /// Records that a file has its name.
    pub async fn record_placed(
        self,
        source: &str,
        id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.0
            .write(Effect::PlaceFetched, move |tx| {
                let sql = "UPDATE fetched SET state = 'placed', updated_ms = ?3 \
                 WHERE source = ?1 AND remote_id = ?2 AND state = 'placing'";
                tx.execute(sql, params![source, id, now]).map(drop)
            })
            .await
    }

    /// Returns whether the folder has (or had) a content: a job of it, or the word that it was
    /// done.
    pub async fn has_content(self, file: FetchedFile) -> Result<bool, StoreError> {
        self.0.read(move |tx| is_known(tx, &file)).await
    }
}

/// Returns whether the folder has a job of this content, or had one that was done.
pub(super) fn is_known(tx: &Transaction<'_>, file: &FetchedFile) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM job WHERE content = ?1 AND folder = ?2 AND state <> 'skipped') \
         OR EXISTS (SELECT 1 FROM finished WHERE content = ?1 AND folder = ?2)";
    tx.query_value(sql, params![file.content, file.folder])
}
