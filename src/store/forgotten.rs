//! The traces of jobs whose rows were pruned.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{
    CommandError, JobId, Jobs, Settled, StoreError,
    command::{next_generation, redo_as},
    row::read_stamp,
    sql::{Row, Transaction, params},
};
use crate::job::Content;

/// The traces of the job of a file that is forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The time at which its content was done; `None` for a job that failed or was cancelled.
    pub done: Option<Timestamp>,
    /// The path of its notes.
    pub notes: Option<PathBuf>,
}

impl Jobs<'_> {
    /// Returns the traces of a file whose job is forgotten; `None` for any other.
    pub async fn find_forgotten(
        self,
        folder: &str,
        path: PathBuf,
    ) -> Result<Option<Forgotten>, StoreError> {
        let folder = folder.to_owned();
        self.0
            .read(move |tx| {
                tx.query_row(
                    "SELECT finished.at_ms, finished.notes FROM sighting LEFT JOIN finished \
                 ON finished.content = sighting.content AND finished.folder = sighting.folder \
                 WHERE sighting.folder = ?1 AND path = ?2 AND verdict = 'taken' AND job_id IS NULL",
                    params![folder, path],
                    |row| Ok(Forgotten { done: row.get("at_ms")?, notes: row.get("notes")? }),
                )
            })
            .await
    }

    /// Makes the next generation of a job that is forgotten, of the file at a path; `None` where
    /// there was none. `beside` is the last generation that the notes beside it tell of.
    pub async fn redo_forgotten(
        self,
        folder: &str,
        path: PathBuf,
        beside: u32,
        now: Timestamp,
    ) -> Result<Option<JobId>, CommandError> {
        let folder = folder.to_owned();
        self.write_redo(move |tx| {
            let found = tx.query_row(
                "SELECT folder, path, size, mtime_ns, inode, content, recorded_ms, (SELECT sound FROM finished \
                 WHERE finished.content = sighting.content AND finished.folder = sighting.folder) AS sound \
                 FROM sighting WHERE folder = ?1 \
                 AND path = ?2 AND verdict = 'taken' AND job_id IS NULL AND content IS NOT NULL \
                 AND recorded_ms IS NOT NULL AND NOT EXISTS (SELECT 1 FROM job WHERE job.folder = sighting.folder \
                 AND job.content = sighting.content AND state <> 'skipped')",
                params![folder, path],
                read_settled,
            )?;
            let Some((settled, content)) = found else { return Ok(None) };
            let generation = next_generation(tx, &content, &folder, beside)?;
            let new = redo_as(tx, &settled, &content, generation, "", now)?;
            let sql = "UPDATE sighting SET job_id = ?3 WHERE folder = ?1 AND path = ?2";
            tx.execute(sql, params![folder, path, new])?;
            Ok(Some(new))
        })
        .await
        .map_err(CommandError::from)
    }
}

/// Keeps what will be asked of a job that is about to be forgotten: of whose content its files are,
/// and where its notes lie.
pub(super) fn leave_traces(tx: &Transaction<'_>, id: JobId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE sighting SET (content, recorded_ms) = (SELECT content, recorded_ms FROM job WHERE id = ?1) \
         WHERE job_id = ?1",
        params![id],
    )?;
    let notes: Option<PathBuf> = tx.query_row(
        "SELECT delivery.base, delivery.path FROM job JOIN delivery ON job_id = job.id AND kind = 'notes' \
         AND target = 'md' AND delivery.path IS NOT NULL AND delivery.version = job.version WHERE job.id = ?1",
        params![id],
        |row| Ok(row.get::<PathBuf>("base")?.join(row.get::<PathBuf>("path")?)),
    )?;
    if let Some(notes) = notes {
        tx.execute(
            "UPDATE finished SET notes = ?2 WHERE (content, folder, generation) = \
             (SELECT content, folder, generation FROM job WHERE id = ?1)",
            params![id, notes],
        )?;
    }
    Ok(())
}

fn read_settled(row: &Row<'_>) -> Result<(Settled, Content), StoreError> {
    let content: Content = row.get("content")?;
    let settled = Settled {
        folder: row.get("folder")?,
        path: row.get("path")?,
        stamp: read_stamp(row)?,
        content: Some(content.clone()),
        recorded: row.get("recorded_ms")?,
        backlog: false,
        unplayable: None,
        length_max: None,
        length: None,
        sound: row.get("sound")?,
    };
    Ok((settled, content))
}
