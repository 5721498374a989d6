//! The table of recordings that are deleted a while after their notes were delivered.
//!
//! A row is begun in the commit that ends its job. It belongs to the job, not to its deliveries: a job is done while its
//! recording still waits for its end.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    JobId, Retention, StoreError, Written,
    deliveries::is_delivered,
    history::log,
    row::words_in_columns,
    sql::{Transaction, params},
};
use crate::{
    effect::Effect,
    job::{EventKind, JobState},
    words::words,
};

/// The shortest time between a change of the settings that brings a deletion nearer, and that deletion: meanwhile
/// `why` tells of it.
const NOTICE: SignedDuration = SignedDuration::from_hours(24);

/// Jobs that were done before their folder had the key, and are scheduled in one commit.
const SCHEDULE_BATCH: usize = 500;

/// The condition of the rows of a folder that are not over.
const ROWS_OF_FOLDER: &str =
    "due_ms IS NOT NULL AND job_id IN (SELECT id FROM job WHERE folder = ?1)";

words! {
    /// The end of a recording whose time was over.
    pub enum RetentionOutcome {
        /// It was deleted.
        Deleted = "deleted",
        /// It was another file by then, and stays.
        Changed = "changed",
        /// It was not there any more.
        Gone = "gone",
    }
}

words_in_columns!(RetentionOutcome);

/// What becomes of a recording that is deleted after a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionView {
    /// The time from which it is deleted, or looked at again; `None` once that is over.
    pub delete_at: Option<Timestamp>,
    /// The reason why it was not deleted when its time had come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RetentionOutcome>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
}

/// A recording whose time may be over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringRecording {
    /// Its job.
    pub job: JobId,
    /// The folder's id.
    pub folder: String,
    /// The time of its success.
    pub since: Timestamp,
}

/// The facts that decide whether a recording may be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionFacts {
    /// True if the job is done, a file or a mail with its notes was delivered, and no newer job is of the same file.
    pub is_owner: bool,
    /// True if a delivery is still to be made, or has failed.
    pub has_open_deliveries: bool,
    /// True if the notes were mailed to anyone.
    pub was_mailed: bool,
    /// The latest file of notes in each format.
    pub notes: Vec<Written>,
}

impl Retention<'_> {
    /// Brings the rows of a folder in line with its settings: `None` deletes nothing. Jobs that are done already are
    /// counted from their end, and none is deleted within a day that would not have been before. Returns how many
    /// recordings are new in the table; more may follow while that is not zero.
    pub async fn schedule(
        self,
        folder: &str,
        after: Option<Duration>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        if after.is_none() && !self.has_rows(folder).await? {
            return Ok(0);
        }
        let folder = folder.to_owned();
        self.0
            .write(Effect::ScheduleDeletions, move |tx| {
                if let Some(after) = after {
                    return schedule(tx, &folder, after, now);
                }
                let sql = format!("DELETE FROM retention WHERE {ROWS_OF_FOLDER}");
                tx.execute(&sql, params![folder]).map(|_| 0)
            })
            .await
    }

    async fn has_rows(self, folder: &str) -> Result<bool, StoreError> {
        let folder = folder.to_owned();
        let sql = format!("SELECT 1 FROM retention WHERE {ROWS_OF_FOLDER} LIMIT 1");
        self.0.read(move |tx| tx.exists(&sql, params![folder])).await
    }

    /// Returns up to `limit` recordings whose time may be over, the oldest first.
    pub async fn list_due(
        self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<ExpiringRecording>, StoreError> {
        self.0
            .read(move |tx| {
                tx.query_rows(
                    "SELECT job_id, folder, since_ms FROM retention JOIN job ON job.id = job_id \
                     WHERE retention.due_ms <= ?1 ORDER BY retention.due_ms, job_id LIMIT ?2",
                    params![now, limit],
                    |row| {
                        Ok(ExpiringRecording {
                            job: row.get("job_id")?,
                            folder: row.get("folder")?,
                            since: row.get("since_ms")?,
                        })
                    },
                )
            })
            .await
    }

    /// Returns the facts that decide whether the recording of a job may be deleted.
    pub async fn read_facts(self, job: JobId) -> Result<RetentionFacts, StoreError> {
        self.0.read(move |tx| read_facts(tx, job)).await
    }

    /// Records that a recording stays until it is looked at again, and the reason; without a time this job deletes it no
    /// more.
    pub async fn put_off(
        self,
        job: JobId,
        until: Option<Timestamp>,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        let reason = reason.map(str::to_owned);
        self.0
            .write(Effect::PutOffDeletion, move |tx| {
                let done = match until {
                    Some(due) => tx.execute(
                        "UPDATE retention SET due_ms = ?2, reason = ?3 WHERE job_id = ?1 AND due_ms IS NOT NULL",
                        params![job, due, reason],
                    ),
                    None => tx.execute(
                        "DELETE FROM retention WHERE job_id = ?1 AND due_ms IS NOT NULL",
                        params![job],
                    ),
                };
                done.map(drop)
            })
            .await
    }

    /// Records the end of a recording.
    pub async fn record_end(
        self,
        job: JobId,
        outcome: RetentionOutcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.0
            .write(Effect::RecordExpired, move |tx| {
                let sql = "UPDATE retention SET due_ms = NULL, reason = NULL, outcome = ?2, ended_ms = ?3 \
                     WHERE job_id = ?1 AND due_ms IS NOT NULL";
                let is_first = tx.execute(sql, params![job, outcome, now])? > 0;
                if is_first && outcome == RetentionOutcome::Deleted {
                    log(tx, job, None, EventKind::RecordingDeleted, None, now)?;
                }
                Ok(())
            })
            .await
    }
}

/// Begins the time of a recording whose notes are delivered; `None` lets it stay.
pub(super) fn begin_retention(
    tx: &Transaction<'_>,
    job: JobId,
    after: Option<Duration>,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM retention WHERE job_id = ?1", params![job])?;
    let Some(after) = after else { return Ok(()) };
    let sql = "INSERT INTO retention (job_id, since_ms, due_ms) VALUES (?1, ?2, ?2 + ?3)";
    tx.execute(sql, params![job, now, milliseconds(after)]).map(drop)
}

fn schedule(
    tx: &Transaction<'_>,
    folder: &str,
    after: Duration,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let soonest = now.checked_add(NOTICE).unwrap_or(Timestamp::MAX);
    let after = milliseconds(after);
    // What was put off has a reason to be looked at when it says.
    let of_folder = format!("reason IS NULL AND {ROWS_OF_FOLDER}");
    let longer = format!(
        "UPDATE retention SET due_ms = since_ms + ?2 WHERE due_ms < since_ms + ?2 AND {of_folder}"
    );
    tx.execute(&longer, params![folder, after])?;
    let shorter = format!(
        "UPDATE retention SET due_ms = CASE WHEN since_ms + ?2 > ?3 THEN since_ms + ?2 ELSE ?3 END \
         WHERE due_ms > since_ms + ?2 AND due_ms > ?3 AND {of_folder}"
    );
    tx.execute(&shorter, params![folder, after, soonest])?;
    tx.execute(
        "INSERT INTO retention (job_id, since_ms, due_ms) \
         SELECT id, updated_ms, CASE WHEN updated_ms + ?2 > ?3 THEN updated_ms + ?2 ELSE ?3 END FROM job \
         WHERE folder = ?1 AND state = ?4 AND NOT EXISTS (SELECT 1 FROM retention WHERE job_id = job.id) \
         AND EXISTS (SELECT 1 FROM delivery WHERE job_id = job.id AND kind IN ('notes', 'mail') AND state = 'done') \
         AND NOT EXISTS (SELECT 1 FROM delivery WHERE job_id = job.id AND kind = 'dispose' AND target = 'delete' \
         AND state = 'done') ORDER BY id LIMIT ?5",
        params![folder, after, soonest, JobState::Done, SCHEDULE_BATCH],
    )
}

fn read_facts(tx: &Transaction<'_>, job: JobId) -> Result<RetentionFacts, StoreError> {
    let is_done =
        tx.exists("SELECT 1 FROM job WHERE id = ?1 AND state = ?2", params![job, JobState::Done])?;
    let open = "SELECT 1 FROM delivery JOIN job ON job.id = job_id WHERE job_id = ?1 AND (delivery.state = 'due' \
         OR delivery.state IN ('failed', 'held') AND delivery.version = job.version)";
    // A file that was skipped as a copy is not of this path.
    let newer = "SELECT 1 FROM job AS newer JOIN job ON job.folder = newer.folder AND job.path = newer.path \
         WHERE job.id = ?1 AND newer.id > job.id AND newer.state <> 'skipped'";
    let mailed = "SELECT 1 FROM delivery WHERE job_id = ?1 AND kind = 'mail' AND state = 'done'";
    let notes = "SELECT base, path, digest FROM delivery AS d WHERE job_id = ?1 AND kind = 'notes' \
         AND digest IS NOT NULL AND version = (SELECT max(version) FROM delivery WHERE job_id = ?1 AND kind = 'notes' \
         AND target = d.target AND digest IS NOT NULL)";
    Ok(RetentionFacts {
        is_owner: is_done && is_delivered(tx, job)? && !tx.exists(newer, params![job])?,
        has_open_deliveries: tx.exists(open, params![job])?,
        was_mailed: tx.exists(mailed, params![job])?,
        notes: tx.query_rows(notes, params![job], |row| {
            Ok(Written {
                base: row.get("base")?,
                path: row.get("path")?,
                digest: row.get("digest")?,
            })
        })?,
    })
}

/// Returns what becomes of the recording of a job.
pub(super) fn view_retention(
    tx: &Transaction<'_>,
    job: JobId,
) -> Result<Option<RetentionView>, StoreError> {
    let sql = "SELECT due_ms, reason, outcome, ended_ms FROM retention WHERE job_id = ?1";
    tx.query_row(sql, params![job], |row| {
        Ok(RetentionView {
            delete_at: row.get("due_ms")?,
            reason: row.get("reason")?,
            outcome: row.get("outcome")?,
            ended: row.get("ended_ms")?,
        })
    })
}

fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
