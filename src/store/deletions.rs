//! The vendor's copies that are deleted once their notes are durable, and what sources have
//! brought, for people.

use std::{path::PathBuf, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{
    FetchedState, JobId, Sources, StoreError,
    holds::insert_notice,
    row::words_in_columns,
    sql::{Row, params},
};
use crate::{
    effect::Effect,
    job::{Details, JobState},
    text::printable_path,
    words::words,
};

/// A vendor's copy that is not needed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletable {
    /// The vendor's id.
    pub id: String,
    /// The number of times that the vendor refused to delete it.
    pub tries: u32,
}

/// The answer of a vendor to a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// Deleted.
    Done,
    /// Not now; it is asked again at this time.
    Later(Timestamp, String),
    /// Refused for good; the text is for the operator.
    Refused(String),
}

words! {
    /// The state of the deletion of a vendor's copy.
    pub enum DeletionState {
        /// The vendor was asked, or is asked again.
        Asked = "asked",
        /// The copy is deleted.
        Done = "done",
        /// The vendor refuses it for good.
        Refused = "refused",
    }
}

words_in_columns!(DeletionState);

/// A recording of a source, for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FetchedView {
    /// The source.
    pub source: String,
    /// The vendor's id.
    pub id: String,
    /// The title of its meeting, where it is known.
    pub title: Option<String>,
    /// The end of its meeting.
    pub ended: Timestamp,
    /// Its state.
    pub state: FetchedState,
    /// The last failure.
    pub error: Option<String>,
    /// Failures of its own so far.
    pub attempts: u32,
    /// The time of the next attempt.
    pub due: Option<Timestamp>,
    /// The folder that it was placed in, by its id until that is shown by its name.
    pub folder: Option<String>,
    /// The file; relative to the folder until it is shown by its place.
    pub path: Option<String>,
    /// True if the vendor's transcript makes its notes.
    pub reuse: bool,
    /// The job of its content.
    pub job: Option<JobId>,
    /// The state of that job.
    pub job_state: Option<JobState>,
    /// The state of the deletion of the vendor's copy, once that was asked for.
    pub deletion: Option<DeletionState>,
    /// The time at which minuted learned of it.
    pub found: Timestamp,
    /// The time of the last change.
    pub updated: Timestamp,
    /// The path's own bytes.
    #[serde(skip)]
    pub relative: Option<PathBuf>,
}

impl Sources<'_> {
    /// Returns copies that may be deleted now: their recording's notes are done and delivered,
    /// nothing of it failed, waits, or is being done anew.
    pub async fn list_deletable(
        self,
        source: &str,
        now: Timestamp,
    ) -> Result<Vec<Deletable>, StoreError> {
        let source = source.to_owned();
        self.0
            .read(move |tx| {
                tx.query_rows(
                    "SELECT remote_id, deletion_tries FROM fetched AS f WHERE source = ?1 AND state = 'placed' \
                 AND (deletion IS NULL OR deletion = 'asked' AND coalesce(deletion_due_ms, 0) <= ?2) \
                 AND EXISTS (SELECT 1 FROM finished WHERE content = f.content AND folder = f.folder) \
                 AND NOT EXISTS (SELECT 1 FROM job WHERE content = f.content AND folder = f.folder \
                   AND state <> 'skipped' AND (state <> 'done' OR partial = 1 OR EXISTS (SELECT 1 FROM delivery \
                   WHERE job_id = job.id AND state IN ('due', 'held', 'failed')) OR EXISTS (SELECT 1 FROM delivery \
                   WHERE job_id = job.id AND state = 'withheld') AND NOT EXISTS (SELECT 1 FROM delivery \
                   WHERE job_id = job.id AND kind IN ('notes', 'mail') AND state = 'done'))) \
                 ORDER BY found_ms, remote_id",
                    params![source, now],
                    |row| Ok(Deletable { id: row.get("remote_id")?, tries: row.get("deletion_tries")? }),
                )
            })
            .await
    }

    /// Returns when deletions were asked for in the `span` before `now`, the oldest first. A time
    /// that lies further ahead than that is of a clock that was set back since.
    pub async fn list_deletions(
        self,
        source: &str,
        span: Duration,
        now: Timestamp,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let source = source.to_owned();
        let span = SignedDuration::try_from(span).unwrap_or_default();
        let after = now.saturating_sub(span).unwrap_or(Timestamp::MIN);
        let until = now.saturating_add(span).unwrap_or(Timestamp::MAX);
        self.0
            .read(move |tx| {
                let sql = "SELECT deletion_ms FROM fetched WHERE source = ?1 AND deletion_ms > ?2 AND deletion_ms < ?3 \
                 ORDER BY deletion_ms";
                tx.query_values(sql, params![source, after, until])
            })
            .await
    }

    /// Records that the vendor is about to be asked to delete its copy.
    pub async fn intend_deletion(
        self,
        source: &str,
        id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.0
            .write(Effect::IntendDeletion, move |tx| {
                tx.execute(
                    "UPDATE fetched SET deletion = 'asked', deletion_ms = ?3, deletion_due_ms = NULL, updated_ms = ?3 \
                 WHERE source = ?1 AND remote_id = ?2 AND state = 'placed'",
                    params![source, id, now],
                )
                .map(drop)
            })
            .await
    }

    /// Records what the vendor answer to a deletion.
    pub async fn record_deletion(
        self,
        source: &str,
        id: &str,
        answer: Deleted,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.0
            .write(Effect::RecordDeletion, move |tx| {
                let (state, tries, due, error): (_, u32, _, _) = match &answer {
                    Deleted::Done => (DeletionState::Done, 0, None, None),
                    Deleted::Later(due, error) => (DeletionState::Asked, 1, Some(*due), Some(error.clone())),
                    Deleted::Refused(_) => (DeletionState::Refused, 1, None, None),
                };
                tx.execute(
                    "UPDATE fetched SET deletion = ?3, deletion_tries = deletion_tries + ?4, deletion_due_ms = ?5, \
                 error = ?6, updated_ms = ?7 WHERE source = ?1 AND remote_id = ?2 AND state = 'placed'",
                    params![source, id, state, tries, due, error, now],
                )?;
                match answer {
                    Deleted::Refused(notice) => insert_notice(tx, &notice, now),
                    Deleted::Done | Deleted::Later(..) => Ok(()),
                }
            })
            .await
    }

    /// Returns all recordings of a source, or of all, the latest meeting first.
    pub async fn list(self, source: Option<String>) -> Result<Vec<FetchedView>, StoreError> {
        self.0
            .read(move |tx| {
                let sql =
                    format!("SELECT {COLUMNS} WHERE ?1 IS NULL OR f.source = ?1 ORDER BY f.ended_ms DESC, f.remote_id");
                tx.query_rows(&sql, params![source], read_view)
            })
            .await
    }

    /// Returns the recording of a source that was placed at this path of a folder, or has the
    /// content of this job.
    pub async fn find_at_path(
        self,
        folder: &str,
        path: PathBuf,
        job: Option<JobId>,
    ) -> Result<Option<FetchedView>, StoreError> {
        let folder = folder.to_owned();
        self.0
            .read(move |tx| {
                let sql = format!(
                    "SELECT {COLUMNS} WHERE f.folder = ?1 AND (f.path = ?2 OR f.content = (SELECT content FROM job \
                 WHERE id = ?3)) ORDER BY f.path = ?2 DESC, f.updated_ms DESC LIMIT 1"
                );
                tx.query_row(&sql, params![folder, path, job], read_view)
            })
            .await
    }

    /// Returns how many recordings of each source are in each state.
    pub async fn count_by_state(self) -> Result<Vec<(String, FetchedState, u64)>, StoreError> {
        self.0
            .read(|tx| {
                let sql = "SELECT source, state, count(*) AS recordings FROM fetched GROUP BY source, state";
                tx.query_rows(sql, params![], |row| Ok((row.get("source")?, row.get("state")?, row.get("recordings")?)))
            })
            .await
    }
}

/// The columns of [`FetchedView`], with where they are from.
const COLUMNS: &str = "f.source, f.remote_id, f.ended_ms, f.state, f.error, f.attempts, f.due_ms, f.details, f.folder, \
     f.path, f.reuse, f.deletion, f.found_ms, f.updated_ms, j.id AS job_id, j.state AS job_state \
     FROM fetched AS f LEFT JOIN job AS j ON j.id = (SELECT id FROM job WHERE content = f.content \
     AND folder = f.folder AND state <> 'skipped' ORDER BY generation DESC LIMIT 1)";

fn read_view(row: &Row<'_>) -> Result<FetchedView, StoreError> {
    let details: String = row.get("details")?;
    let details: Details = serde_json::from_str(&details).unwrap_or_default();
    let relative: Option<PathBuf> = row.get("path")?;
    Ok(FetchedView {
        source: row.get("source")?,
        id: row.get("remote_id")?,
        title: details.title,
        ended: row.get("ended_ms")?,
        state: row.get("state")?,
        error: row.get("error")?,
        attempts: row.get("attempts")?,
        due: row.get("due_ms")?,
        folder: row.get("folder")?,
        path: relative.as_deref().map(printable_path),
        reuse: row.get("reuse")?,
        job: row.get("job_id")?,
        job_state: row.get("job_state")?,
        deletion: row.get("deletion")?,
        found: row.get("found_ms")?,
        updated: row.get("updated_ms")?,
        relative,
    })
}
