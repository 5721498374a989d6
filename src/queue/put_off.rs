//! What was put off, and how it goes on before its time.

use jiff::Timestamp;

use super::{Job, JobId, Lane, Queue, QueueError, Scope, hold::insert_notice, row};
use crate::{
    effect::Effect,
    job::{HoldReason, Stage},
};

/// The jobs that wait until their metadata is mended, in SQL; `?1` is now.
pub(super) const AWAITS_METADATA: &str =
    "invalid_metadata = 1 AND state = 'ready' AND stage = 'create' AND due_ms > ?1";

/// Jobs of a folder that wait for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOff {
    /// The folder's id.
    pub folder: String,
    /// The stage that was put off; `None` where results are looked for.
    pub stage: Option<Stage>,
    /// Until when, the latest of them.
    pub until: Timestamp,
}

impl Queue {
    /// Returns what was put off beyond `now`, and what waits for its analysis.
    pub async fn put_off(&self, now: Timestamp) -> Result<Vec<PutOff>, QueueError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT folder, CASE WHEN waits_for = 'analysis' THEN NULL ELSE stage END AS put_off, \
                 max(coalesce(due_ms, ?1)) AS until_ms FROM job WHERE stage <> 'deliver' \
                 AND (state = 'ready' AND due_ms > ?1 OR waits_for = 'analysis') GROUP BY 1, 2",
            )?;
            let rows = statement.query_map([now.as_millisecond()], |row| {
                let stage: Option<String> = row.get("put_off")?;
                let stage = stage.map(|word| Stage::parse(&word).ok_or_else(|| row::invalid("stage", word)));
                Ok(PutOff { folder: row.get("folder")?, stage: stage.transpose()?, until: row::time(row, "until_ms")? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Makes the jobs of these folders that were put off due now; returns how many.
    pub async fn wake(&self, folders: Vec<String>, now: Timestamp) -> Result<usize, QueueError> {
        self.write_woken(move |tx| {
            let mut woken = 0;
            for folder in &folders {
                woken += tx
                    .prepare_cached(
                        "UPDATE job SET due_ms = ?2 WHERE folder = ?1 AND state = 'ready' AND stage <> 'deliver' \
                         AND due_ms > ?2",
                    )?
                    .execute(rusqlite::params![folder, now.as_millisecond()])?;
            }
            Ok(woken)
        })
        .await
    }

    /// Returns jobs after the number `after` that wait until their metadata is mended: up to `most`, by
    /// number.
    pub async fn jobs_with_invalid_metadata(
        &self,
        after: JobId,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Job>, QueueError> {
        self.read(move |connection| {
            let sql =
                format!("SELECT {} FROM job WHERE {AWAITS_METADATA} AND id > ?2 ORDER BY id LIMIT ?3", row::COLUMNS);
            let mut statement = connection.prepare_cached(&sql)?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = statement.query_map(rusqlite::params![now.as_millisecond(), after.0, most], row::job)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Makes jobs due now that wait until their metadata is mended: these, or all; returns how many.
    pub async fn wake_jobs_with_invalid_metadata(
        &self,
        jobs: Option<Vec<JobId>>,
        now: Timestamp,
    ) -> Result<usize, QueueError> {
        self.write_woken(move |tx| {
            let sql = format!("UPDATE job SET due_ms = ?1 WHERE {AWAITS_METADATA} AND (?2 IS NULL OR id = ?2)");
            let mut statement = tx.prepare_cached(&sql)?;
            let which = jobs.map_or_else(|| vec![None], |jobs| jobs.into_iter().map(|id| Some(id.0)).collect());
            let mut woken = 0;
            for id in which {
                woken += statement.execute(rusqlite::params![now.as_millisecond(), id])?;
            }
            Ok(woken)
        })
        .await
    }

    /// Runs what makes jobs due, in one transaction.
    async fn write_woken(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<usize, QueueError> + Send + 'static,
    ) -> Result<usize, QueueError> {
        self.write(Effect::WakeJobs, work).await
    }

    /// Makes the deliveries of a lane that were put off due now: those of a folder, or all.
    pub async fn wake_deliveries(
        &self,
        lane: Lane,
        folder: Option<String>,
        now: Timestamp,
    ) -> Result<usize, QueueError> {
        self.write(Effect::WakeDeliveries, move |tx| {
            let sql = format!(
                "UPDATE delivery SET due_ms = ?2 WHERE due_ms > ?2 AND {} \
                 AND (?1 IS NULL OR job_id IN (SELECT id FROM job WHERE folder = ?1))",
                lane.is_of()
            );
            Ok(tx.prepare_cached(&sql)?.execute(rusqlite::params![folder, now.as_millisecond()])?)
        })
        .await
    }

    /// Returns whether anything of a lane is still to be delivered: for a folder, or for all.
    pub async fn delivers(&self, lane: Lane, folder: Option<String>) -> Result<bool, QueueError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT 1 FROM delivery WHERE due_ms IS NOT NULL AND {} \
                 AND (?1 IS NULL OR job_id IN (SELECT id FROM job WHERE folder = ?1)) LIMIT 1",
                lane.is_of()
            );
            Ok(connection.prepare_cached(&sql)?.exists([folder])?)
        })
        .await
    }

    /// Tells the operator of a hold that has lasted since before `since`, once for each time that it begins.
    pub async fn tell_of_hold(
        &self,
        scope: Scope,
        name: &str,
        reason: HoldReason,
        since: Timestamp,
        notice: String,
        now: Timestamp,
    ) -> Result<bool, QueueError> {
        let name = name.to_owned();
        self.write(Effect::TellHold, move |tx| {
            let subject = notice.split(':').next().unwrap_or_default();
            let lasts: bool = tx
                .prepare_cached(
                    "SELECT 1 FROM hold WHERE scope = ?1 AND name = ?2 AND reason = ?3 AND since_ms <= ?4 AND NOT EXISTS \
                     (SELECT 1 FROM notice WHERE at_ms >= hold.since_ms AND substr(text, 1, length(?5)) = ?5)",
                )?
                .exists(rusqlite::params![scope.as_str(), name, reason.as_str(), since.as_millisecond(), subject])?;
            if lasts {
                insert_notice(tx, &notice, now)?;
            }
            Ok(lasts)
        })
        .await
    }
}
