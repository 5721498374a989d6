//! Deferred jobs, and how they go on before their time.

use jiff::Timestamp;

use super::{
    Job, JobId, Jobs, StoreError,
    jobs::{COLUMNS, read_job},
    sql::{Transaction, params},
};
use crate::{effect::Effect, job::Stage};

/// The jobs that wait until their metadata is mended, in SQL; `?1` is now.
pub(super) const AWAITS_METADATA: &str =
    "invalid_metadata = 1 AND state = 'ready' AND stage = 'create' AND due_ms > ?1";

/// Jobs of a folder that wait for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeferredJobs {
    /// The folder's id.
    pub folder: String,
    /// The stage that was put off; `None` where results are looked for.
    pub stage: Option<Stage>,
    /// Until when, the latest of them.
    pub until: Timestamp,
}

impl Jobs<'_> {
    /// Returns the jobs that wait beyond `now` or for their analysis, by folder and stage.
    pub async fn list_deferred(self, now: Timestamp) -> Result<Vec<DeferredJobs>, StoreError> {
        self.0
            .read(move |tx| {
                let sql = "SELECT folder, CASE WHEN waits_for = 'analysis' THEN NULL ELSE stage END AS put_off, \
                 max(coalesce(due_ms, ?1)) AS until_ms FROM job WHERE stage <> 'deliver' \
                 AND (state = 'ready' AND due_ms > ?1 OR waits_for = 'analysis') GROUP BY 1, 2";
                tx.query_rows(sql, params![now], |row| {
                    Ok(DeferredJobs {
                        folder: row.get("folder")?,
                        stage: row.get("put_off")?,
                        until: row.get("until_ms")?,
                    })
                })
            })
            .await
    }

    /// Makes the jobs of these folders that were put off due now; returns how many.
    pub async fn wake_folders(
        self,
        folders: Vec<String>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.write_woken(move |tx| {
            let mut woken = 0;
            for folder in &folders {
                let sql = "UPDATE job SET due_ms = ?2 WHERE folder = ?1 AND state = 'ready' AND stage <> 'deliver' \
                     AND due_ms > ?2";
                woken += tx.execute(sql, params![folder, now])?;
            }
            Ok(woken)
        })
        .await
    }

    /// Makes the jobs due now that wait for something that this machine lacks; returns how many.
    pub(crate) async fn wake_deferred(self, now: Timestamp) -> Result<usize, StoreError> {
        self.write_woken(move |tx| {
            let sql = "UPDATE job SET due_ms = ?1 WHERE state = 'ready' AND stage <> 'deliver' AND due_ms > ?1 \
                       AND EXISTS (SELECT 1 FROM event WHERE kind = 'deferred' \
                       AND id = (SELECT max(id) FROM event AS latest WHERE latest.job_id = job.id))";
            tx.execute(sql, params![now])
        })
        .await
    }

    /// Returns jobs after the number `after` that wait until their metadata is mended: up to
    /// `most`, by number.
    pub async fn list_with_invalid_metadata(
        self,
        after: JobId,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Job>, StoreError> {
        self.0
            .read(move |tx| {
                let sql = format!("SELECT {COLUMNS} FROM job WHERE {AWAITS_METADATA} AND id > ?2 ORDER BY id LIMIT ?3");
                tx.query_rows(&sql, params![now, after, most], read_job)
            })
            .await
    }

    /// Makes jobs due now that wait until their metadata is mended: these, or all; returns how
    /// many.
    pub async fn wake_with_invalid_metadata(
        self,
        jobs: Option<Vec<JobId>>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.write_woken(move |tx| {
            let sql = format!(
                "UPDATE job SET due_ms = ?1 WHERE {AWAITS_METADATA} AND (?2 IS NULL OR id = ?2)"
            );
            let which =
                jobs.map_or_else(|| vec![None], |jobs| jobs.into_iter().map(Some).collect());
            let mut woken = 0;
            for id in which {
                woken += tx.execute(&sql, params![now, id])?;
            }
            Ok(woken)
        })
        .await
    }

    /// Runs what makes jobs due, in one transaction.
    async fn write_woken(
        self,
        work: impl FnOnce(&Transaction<'_>) -> Result<usize, StoreError> + Send + 'static,
    ) -> Result<usize, StoreError> {
        self.0.write(Effect::WakeJobs, work).await
    }
}
