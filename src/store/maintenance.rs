//! The upkeep of the queue: history, and what is known of a queue that is new or restored.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{
    Endings, JobId, Maintenance, StoreError,
    deferred::AWAITS_METADATA,
    delivery_end::settle,
    forgotten::leave_traces,
    notifications::forget_ended,
    sql::{Transaction, params},
};
use crate::{
    effect::Effect,
    job::{JobState, Plan},
};

/// The work that is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Jobs that are not final, by folder, but for those of `invalid_metadata`.
    pub by_folder: Vec<(String, u64)>,
    /// Jobs that wait until their title, date or attendees are given as they have to be.
    pub invalid_metadata: u64,
    /// Files that are due, also of jobs that are final.
    pub deliveries: u64,
    /// Jobs not counted above that wait for nothing but a service to delete what it keeps, and it
    /// was asked in vain so many times that it is down for now.
    pub undeleted: u64,
    /// Jobs that failed since a time.
    pub failed: u64,
}

/// The condition of jobs whose only due delivery is a deletion that has failed at least twice and
/// waits.
const WAITS_TO_DELETE: &str = "(stage = 'deliver' \
     AND EXISTS (SELECT 1 FROM delivery WHERE job_id = job.id AND state = 'due' AND kind = 'remote' AND attempts >= 2 \
     AND due_ms > ?2) \
     AND NOT EXISTS (SELECT 1 FROM delivery WHERE job_id = job.id AND state = 'due' AND kind <> 'remote'))";

/// Jobs forgotten in one commit, so that the writer is never held for long.
const PRUNE_BATCH: usize = 500;

impl Maintenance<'_> {
    /// Forgets up to one batch of jobs that have been final since before `before`, but for those
    /// whose recording is still to be deleted. Returns how many.
    ///
    /// What stays is the record that their content is done, with the place of the notes, the
    /// sightings of their files, and the meetings of unfinished ones: the same content finds its
    /// meeting again.
    pub async fn prune(self, before: Timestamp) -> Result<usize, StoreError> {
        self.0
            .write(Effect::Prune, move |tx| {
                tx.execute("DELETE FROM notice WHERE sent_ms < ?1", params![before])?;
                forget_ended(tx, before)?;
                let old: Vec<JobId> = tx.query_values(
                    "SELECT id FROM job WHERE stage IS NULL AND updated_ms < ?1 AND (state = 'cancelled' \
                 OR NOT EXISTS (SELECT 1 FROM delivery WHERE job_id = job.id AND state IN ('due', 'held'))) \
                 AND NOT EXISTS (SELECT 1 FROM retention WHERE job_id = job.id AND due_ms IS NOT NULL) \
                 ORDER BY updated_ms, id LIMIT ?2",
                    params![before, PRUNE_BATCH],
                )?;
                for id in &old {
                    remember_meeting(tx, *id)?;
                    leave_traces(tx, *id)?;
                    tx.execute("DELETE FROM job WHERE id = ?1", params![id])?;
                }
                Ok(old.len())
            })
            .await
    }

    /// Records that the queue is new or restored: the services' lists are read again, and no mail
    /// goes out for jobs that were under way in this copy, because it may have gone out since the
    /// copy was made.
    pub async fn mark_restored(self, now: Timestamp) -> Result<(), StoreError> {
        self.0
            .write(Effect::MarkRestored, move |tx| {
                tx.execute("DELETE FROM meta WHERE name = 'reconciled'", params![])?;
                tx.execute("UPDATE job SET mail_held = 1, updated_ms = ?1 WHERE stage IS NOT NULL", params![now])?;
                let sql = "UPDATE delivery SET state = 'held', due_ms = NULL WHERE state = 'due' AND kind = 'mail'";
                tx.execute(sql, params![])?;
                let delivering: Vec<JobId> =
                    tx.query_values("SELECT id FROM job WHERE stage = 'deliver'", params![])?;
                // Where only mails were left, nothing is left that would bring the job to its end.
                delivering.into_iter().try_for_each(|id| settle(tx, id, Endings::default(), now).map(drop))
            })
            .await
    }

    /// Returns the keys of the jobs that are not finished.
    pub async fn unfinished_keys(self) -> Result<BTreeSet<String>, StoreError> {
        let keys = self
            .0
            .read(|tx| tx.query_values("SELECT key FROM job WHERE stage IS NOT NULL", params![]));
        Ok(keys.await?.into_iter().collect())
    }

    /// Counts the work that `run --once` still waits for.
    pub async fn count_unfinished(self, begun: Timestamp) -> Result<Unfinished, StoreError> {
        self.0
            .read(move |tx| {
                let now = crate::clock::now();
                let sql = format!(
                    "SELECT folder, count(*) AS jobs FROM job WHERE stage IS NOT NULL AND NOT ({AWAITS_METADATA}) \
                 AND NOT {WAITS_TO_DELETE} GROUP BY folder"
                );
                let by_folder =
                    tx.query_rows(&sql, params![now, begun], |row| Ok((row.get("folder")?, row.get("jobs")?)))?;
                let count_jobs = |condition: &str, values| {
                    tx.query_value(&format!("SELECT count(*) FROM job WHERE {condition}"), values)
                };
                let deliveries = "SELECT count(*) FROM delivery WHERE due_ms > 0 AND kind NOT IN ('mail', 'remote')";
                Ok(Unfinished {
                    by_folder,
                    invalid_metadata: count_jobs(AWAITS_METADATA, params![now])?,
                    deliveries: tx.query_value(deliveries, params![])?,
                    undeleted: count_jobs(WAITS_TO_DELETE, params![now, begun])?,
                    failed: count_jobs("state = 'failed' AND updated_ms >= ?1", params![begun])?,
                })
            })
            .await
    }

    /// Proves that the queue works by an empty commit, and returns whether it holds anything that
    /// is seen to now and then: holds, mails to the operator, jobs that run, deliver or wait for
    /// their file. An idle daemon asks nothing more.
    pub async fn has_chores(self) -> Result<bool, StoreError> {
        self.0.write(Effect::Alive, |_| Ok(())).await?;
        self.0
            .read(|tx| {
                let sql = "SELECT EXISTS (SELECT 1 FROM hold) OR EXISTS (SELECT 1 FROM notice WHERE sent_ms IS NULL) \
                 OR EXISTS (SELECT 1 FROM job WHERE state = 'running') \
                 OR EXISTS (SELECT 1 FROM job WHERE stage = 'deliver') \
                 OR EXISTS (SELECT 1 FROM job WHERE waits_for = 'file')";
                tx.query_value(sql, params![])
            })
            .await
    }

    /// Proves that both threads of the queue answer.
    pub async fn prove_alive(self) -> Result<(), StoreError> {
        self.has_chores().await.map(drop)
    }
}

/// Keeps the meeting of a job that was not finished and is about to be forgotten.
fn remember_meeting(tx: &Transaction<'_>, id: JobId) -> Result<(), StoreError> {
    let plan: Option<Option<String>> = tx.find_value(
        "SELECT plan FROM job WHERE id = ?1 AND state IN (?2, ?3) AND meeting_id IS NOT NULL",
        params![id, JobState::Failed, JobState::Cancelled],
    )?;
    let Some(plan) = plan else { return Ok(()) };
    let plan: Option<Plan> = plan.and_then(|plan| serde_json::from_str(&plan).ok());
    tx.execute(
        "INSERT INTO evidence (key, service, meeting_id) SELECT key, ?2, meeting_id FROM job WHERE id = ?1 \
         ON CONFLICT (key) DO NOTHING",
        params![id, plan.map(|plan| plan.service)],
    )
    .map(drop)
}
