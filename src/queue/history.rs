//! The history of jobs: one row for each event.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, named_params};
use serde::{Deserialize, Serialize};

use super::{JobId, QueueError, row};
use crate::job::{EventKind, HistoryEvent, Stage};

/// An event in the history of a job, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// When.
    pub at: Timestamp,
    /// In which stage.
    pub stage: Option<Stage>,
    /// Its kind.
    pub kind: EventKind,
    /// The event in words.
    pub event: String,
    /// What went wrong.
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
) -> Result<(), QueueError> {
    let HistoryEvent { kind, detail } = event.into();
    tx.prepare_cached(
        "INSERT INTO event (job_id, at_ms, stage, kind, detail, error) VALUES (:job, :at, :stage, :kind, :detail, :error)",
    )?
    .execute(named_params! {
        ":job": id.0, ":at": now.as_millisecond(), ":stage": stage.map(Stage::as_str), ":kind": kind.as_str(),
        ":detail": Some(detail).filter(|detail| !detail.is_empty()), ":error": error,
    })?;
    Ok(())
}

/// Reads the events of a job, the oldest first.
pub(super) fn events_of(connection: &Connection, id: JobId) -> Result<Vec<EventView>, QueueError> {
    let mut statement = connection
        .prepare_cached("SELECT at_ms, stage, kind, detail, error FROM event WHERE job_id = ? ORDER BY id")?;
    let rows = statement.query_map([id.0], |row| {
        let kind = row::word(row, "kind", EventKind::parse)?;
        Ok(EventView {
            at: row::time(row, "at_ms")?,
            stage: row.get::<_, Option<String>>("stage")?.and_then(|word| Stage::parse(&word)),
            kind,
            event: kind.text(&row.get::<_, Option<String>>("detail")?.unwrap_or_default()),
            error: row.get("error")?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
