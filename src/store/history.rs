//! The history of jobs: one row for each event.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    JobId, StoreError,
    sql::{Transaction, params},
};
use crate::job::{EventKind, HistoryEvent, Stage};

/// An event in the history of a job, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// The time.
    pub at: Timestamp,
    /// The stage.
    pub stage: Option<Stage>,
    /// Its kind.
    pub kind: EventKind,
    /// The event in words.
    pub event: String,
    /// The failure.
    pub error: Option<String>,
}

/// Writes an event of a job.
pub(super) fn log<'e>(
    tx: &Transaction<'_>,
    id: JobId,
    stage: Option<Stage>,
    event: impl Into<HistoryEvent<'e>>,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let HistoryEvent { kind, detail } = event.into();
    let detail = Some(detail).filter(|detail| !detail.is_empty());
    tx.execute(
        "INSERT INTO event (job_id, at_ms, stage, kind, detail, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id, now, stage, kind, detail, error],
    )
    .map(drop)
}

/// Reads the events of a job, the oldest first.
pub(super) fn events_of(tx: &Transaction<'_>, id: JobId) -> Result<Vec<EventView>, StoreError> {
    let sql = "SELECT at_ms, stage, kind, detail, error FROM event WHERE job_id = ?1 ORDER BY id";
    tx.query_rows(sql, params![id], |row| {
        let kind: EventKind = row.get("kind")?;
        let stage: Option<String> = row.get("stage")?;
        let detail: Option<String> = row.get("detail")?;
        Ok(EventView {
            at: row.get("at_ms")?,
            stage: stage.and_then(|word| Stage::parse(&word)),
            kind,
            event: kind.in_words(&detail.unwrap_or_default()),
            error: row.get("error")?,
        })
    })
}
