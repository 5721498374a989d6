//! The results of jobs.

use super::{
    JobId, Stages, StoreError,
    row::to_json,
    sql::{Transaction, params},
};
use crate::{
    config::Analysis,
    job::{Report, Status},
};

impl Stages<'_> {
    /// Returns the completed results of a job, as far as notes are made of them: in the order in
    /// which they stand in notes, and without what the service answered, which is as large again.
    pub async fn read_results(self, id: JobId) -> Result<Vec<Report>, StoreError> {
        self.0
            .read(move |tx| {
                let sql = "SELECT analysis, remote_id, findings FROM report WHERE job_id = ?1";
                let mut reports = tx.query_rows(sql, params![id], |row| {
                    Ok(Report {
                        analysis: row.get("analysis")?,
                        status: Status::Completed,
                        id: row.get("remote_id")?,
                        findings: row.get("findings")?,
                        error: None,
                        raw: String::new(),
                    })
                })?;
                reports.sort_by_key(|report| {
                    Analysis::ALL.iter().position(|known| *known == report.analysis)
                });
                Ok(reports)
            })
            .await
    }
}

/// Records the completed ones of these results.
pub(super) fn put_reports(
    tx: &Transaction<'_>,
    id: JobId,
    reports: &[Report],
) -> Result<(), StoreError> {
    for report in reports.iter().filter(|report| report.status == Status::Completed) {
        tx.execute(
            "INSERT INTO report (job_id, analysis, remote_id, findings, raw) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (job_id, analysis) DO UPDATE SET remote_id = ?3, findings = ?4, raw = ?5",
            params![id, report.analysis, report.id, to_json(&report.findings), report.raw],
        )?;
    }
    Ok(())
}

/// Returns whether results of all these analyses are there.
pub(super) fn has_reports(
    tx: &Transaction<'_>,
    id: JobId,
    analyses: &[Analysis],
) -> Result<bool, StoreError> {
    let found: Vec<Analysis> =
        tx.query_values("SELECT analysis FROM report WHERE job_id = ?1", params![id])?;
    Ok(analyses.iter().all(|analysis| found.contains(analysis)))
}
