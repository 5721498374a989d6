//! Requests for results, besides those that the upload starts by itself.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    JobId, Stages, StoreError,
    sql::{Transaction, params},
};
use crate::config::Analysis;

/// A request for a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRequest {
    /// The time at which it was about to be made.
    pub at: Timestamp,
    /// True if the service took it for sure.
    pub answered: bool,
    /// The fingerprints of the reports that were there before this or an earlier request, and do
    /// not count.
    pub before: Vec<String>,
}

/// The results that are asked for, each with the fingerprints of the reports that do not count
/// then.
pub(crate) type WantedResults = Vec<(Analysis, Vec<String>)>;

impl Stages<'_> {
    /// Returns what has been asked for a job.
    pub async fn list_requests(
        self,
        id: JobId,
    ) -> Result<BTreeMap<Analysis, ResultRequest>, StoreError> {
        self.0
            .read(move |tx| {
                let sql =
                    "SELECT analysis, asked_ms, answered, baseline FROM request WHERE job_id = ?1";
                let asked = tx.query_rows(sql, params![id], |row| {
                    let words: Option<String> = row.get("baseline")?;
                    let before = words
                        .iter()
                        .flat_map(|words| words.split_whitespace())
                        .map(str::to_owned)
                        .collect();
                    let asked = ResultRequest {
                        at: row.get("asked_ms")?,
                        answered: row.get("answered")?,
                        before,
                    };
                    Ok((row.get("analysis")?, asked))
                })?;
                Ok(asked.into_iter().collect())
            })
            .await
    }
}

/// Records that something is about to be asked for. The fingerprints are words.
pub(super) fn put_request(
    tx: &Transaction<'_>,
    id: JobId,
    analysis: Analysis,
    before: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    let baseline = Some(before.join(" ")).filter(|words| !words.is_empty());
    tx.execute(
        "INSERT INTO request (job_id, analysis, asked_ms, answered, baseline) VALUES (?1, ?2, ?3, 0, ?4) \
         ON CONFLICT (job_id, analysis) DO UPDATE SET asked_ms = ?3, answered = 0, baseline = ?4",
        params![id, analysis, now, baseline],
    )
    .map(drop)
}

/// Records that the service has surely not taken a request.
pub(super) fn take_request_back(
    tx: &Transaction<'_>,
    id: JobId,
    analysis: Analysis,
) -> Result<(), StoreError> {
    let sql = "UPDATE request SET asked_ms = 0 WHERE job_id = ?1 AND analysis = ?2";
    tx.execute(sql, params![id, analysis]).map(drop)
}

/// Records that the service took a request.
pub(super) fn mark_answered(
    tx: &Transaction<'_>,
    id: JobId,
    analysis: Analysis,
) -> Result<(), StoreError> {
    let sql = "UPDATE request SET answered = 1 WHERE job_id = ?1 AND analysis = ?2";
    tx.execute(sql, params![id, analysis]).map(drop)
}

/// Forgets what was asked for a job.
pub(super) fn delete_requests(tx: &Transaction<'_>, id: JobId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM request WHERE job_id = ?1", params![id]).map(drop)
}
