//! What is known of a job after its row was pruned.

use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, Transaction};

use super::{
    CommandError, JobId, Queue, QueueError, Settled,
    command::{next_generation, redo_as},
    row::{self, path_bytes},
};

/// What is known of the job of a file that is forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// When its content was done; `None` for a job that failed or was cancelled.
    pub done: Option<Timestamp>,
    /// Where its notes were written.
    pub notes: Option<PathBuf>,
}

impl Queue {
    /// Returns what is known of a file whose job is forgotten; `None` for any other.
    pub async fn forgotten(&self, folder: &str, path: PathBuf) -> Result<Option<Forgotten>, QueueError> {
        let folder = folder.to_owned();
        self.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT finished.at_ms, finished.notes FROM sighting LEFT JOIN finished \
                     ON finished.content = sighting.content AND finished.folder = sighting.folder \
                     WHERE sighting.folder = ?1 AND path = ?2 AND verdict = 'taken' AND job_id IS NULL",
                )?
                .query_row(rusqlite::params![folder, path_bytes(&path)], forgotten)
                .optional()?;
            Ok(found)
        })
        .await
    }

    /// Makes the next generation of a job that is forgotten, of the file at a path; `None` where there was none. `beside`
    /// is the last generation that the notes beside it tell of.
    pub async fn redo_forgotten(
        &self,
        folder: &str,
        path: PathBuf,
        beside: u32,
        now: Timestamp,
    ) -> Result<Option<JobId>, CommandError> {
        let folder = folder.to_owned();
        self.write_redo(move |tx| {
            let found = tx
                .prepare_cached(
                    "SELECT folder, path, size, mtime_ns, inode, content, recorded_ms, (SELECT sound FROM finished \
                     WHERE finished.content = sighting.content AND finished.folder = sighting.folder) AS sound \
                     FROM sighting WHERE folder = ?1 \
                     AND path = ?2 AND verdict = 'taken' AND job_id IS NULL AND content IS NOT NULL \
                     AND recorded_ms IS NOT NULL AND NOT EXISTS (SELECT 1 FROM job WHERE job.folder = sighting.folder \
                     AND job.content = sighting.content AND state <> 'skipped')",
                )?
                .query_row(rusqlite::params![folder, path_bytes(&path)], settled)
                .optional()?;
            let Some((settled, content)) = found else { return Ok(None) };
            let generation = next_generation(tx, &content, &folder, beside)?;
            let new = redo_as(tx, &settled, &content, generation, "", now)?;
            tx.execute(
                "UPDATE sighting SET job_id = ?3 WHERE folder = ?1 AND path = ?2",
                rusqlite::params![folder, path_bytes(&path), new.0],
            )?;
            Ok(Some(new))
        })
        .await
        .map_err(CommandError::from)
    }
}

/// Keeps what will be asked of jobs that are about to be forgotten: those that `old` selects, with its parameters.
pub(super) fn leave_traces(tx: &Transaction<'_>, old: &str, batch: [i64; 2]) -> Result<(), QueueError> {
    tx.execute(
        &format!(
            "UPDATE sighting SET (content, recorded_ms) = (SELECT content, recorded_ms FROM job WHERE id = job_id) \
             WHERE job_id IN ({old})"
        ),
        batch,
    )?;
    tx.execute(
        &format!(
            "UPDATE finished SET notes = CAST(traced.base || '/' || traced.path AS BLOB) FROM (SELECT content, folder, \
             generation, delivery.base, delivery.path FROM job JOIN delivery ON job_id = job.id AND kind = 'notes' \
             AND target = 'md' AND delivery.path IS NOT NULL AND delivery.version = job.version \
             WHERE job.id IN ({old})) AS traced WHERE finished.content = traced.content \
             AND finished.folder = traced.folder AND finished.generation = traced.generation"
        ),
        batch,
    )?;
    Ok(())
}

fn forgotten(row: &Row<'_>) -> rusqlite::Result<Forgotten> {
    let done: Option<i64> = row.get("at_ms")?;
    let notes: Option<Vec<u8>> = row.get("notes")?;
    Ok(Forgotten {
        done: done.and_then(|at| Timestamp::from_millisecond(at).ok()),
        notes: notes.map(|_| row::path(row, "notes")).transpose()?,
    })
}

fn settled(row: &Row<'_>) -> rusqlite::Result<(Settled, crate::job::Content)> {
    let content: crate::job::Content = row::parsed(row, "content")?;
    let settled = Settled {
        folder: row.get("folder")?,
        path: row::path(row, "path")?,
        stamp: row::stamp(row)?,
        content: Some(content.clone()),
        recorded: row::time(row, "recorded_ms")?,
        backlog: false,
        unplayable: None,
        length_max: None,
        sound: row::sound(row)?,
    };
    Ok((settled, content))
}
