//! Numbers for a monitoring system: what has ended since it was last asked, and what is in work.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    DeliveryKind, DeliveryState, Jobs, StoreError,
    sql::{Row, Transaction, params},
};
use crate::{
    clock::elapsed,
    job::{EventKind, JobState, Stage},
};

/// Events that are read at once.
const EVENTS_MAX: u32 = 10_000;

/// The events by which a job ends, with its end.
const ENDS: [(EventKind, JobState); 8] = [
    (EventKind::Done, JobState::Done),
    (EventKind::NotesExist, JobState::Done),
    (EventKind::LastAttemptFailed, JobState::Failed),
    (EventKind::DeliveriesIncomplete, JobState::Failed),
    (EventKind::Skipped, JobState::Skipped),
    (EventKind::CancelRequested, JobState::Cancelled),
    (EventKind::CancelledFileGone, JobState::Cancelled),
    (EventKind::CancelledFileChanged, JobState::Cancelled),
];

/// The events by which a stage ends, with the stage.
const STAGE_ENDS: [(EventKind, Stage); 7] = [
    (EventKind::MeetingCreated, Stage::Create),
    (EventKind::MeetingFound, Stage::Create),
    (EventKind::MeetingRecovered, Stage::Create),
    (EventKind::RecordingUploaded, Stage::Upload),
    (EventKind::RecordingRecovered, Stage::Upload),
    (EventKind::Analysed, Stage::Analyse),
    (EventKind::DeliveryMade, Stage::Deliver),
];

/// What has happened to jobs since an event.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The number of the last event that was read.
    pub last: i64,
    /// The jobs that came to an end.
    pub ended: Vec<EndedJob>,
    /// The stages that came to an end.
    pub stages: Vec<EndedStage>,
}

/// A job that came to an end.
#[derive(Debug, PartialEq)]
pub(crate) struct EndedJob {
    /// Its folder's id.
    pub folder: String,
    /// Its service, where that was settled.
    pub service: Option<String>,
    /// Its end: `done`, `failed`, `skipped` or `cancelled`.
    pub outcome: JobState,
    /// The length of its recording, known or estimated.
    pub length: Option<Duration>,
}

/// A stage that came to an end.
#[derive(Debug, PartialEq)]
pub(crate) struct EndedStage {
    /// The stage.
    pub stage: Stage,
    /// The service of its job, where that was settled.
    pub service: Option<String>,
    /// The time since the event before it.
    pub took: Duration,
}

/// A job that got its notes or failed, for the numbers of the last days.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecentEnd {
    /// Its intake.
    pub taken: Timestamp,
    /// Its end.
    pub at: Timestamp,
    /// Its end: `done` or `failed`.
    pub outcome: JobState,
    /// The length of its recording, known or estimated.
    pub length: Option<Duration>,
}

/// The plan of a job, as far as it is counted by.
#[derive(serde::Deserialize)]
struct CountedPlan {
    service: String,
}

impl Jobs<'_> {
    /// Returns the number of the last event.
    pub(crate) async fn last_event(self) -> Result<i64, StoreError> {
        self.0.read(read_last_event).await
    }

    /// Returns what has ended since the event of this number.
    pub(crate) async fn tally(self, since: i64) -> Result<Tally, StoreError> {
        self.0.read(move |tx| read_tally(tx, since)).await
    }

    /// Returns when the oldest job was taken in that is not over, by folder.
    pub(crate) async fn oldest_unfinished(self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.0
            .read(|tx| {
                let sql = "SELECT folder, min(created_ms) AS oldest_ms FROM job \
                           WHERE state IN ('ready', 'running', 'waiting') GROUP BY folder";
                tx.query_rows(sql, params![], |row| Ok((row.get("folder")?, row.get("oldest_ms")?)))
            })
            .await
    }

    /// Returns when the last recording of each folder was taken in.
    pub(crate) async fn last_taken(self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.0
            .read(|tx| {
                let sql = "SELECT folder, max(created_ms) AS last_ms FROM job GROUP BY folder";
                tx.query_rows(sql, params![], |row| Ok((row.get("folder")?, row.get("last_ms")?)))
            })
            .await
    }

    /// Returns the jobs that got their notes or failed since a time, as they are now.
    pub(crate) async fn ended_since(self, since: Timestamp) -> Result<Vec<RecentEnd>, StoreError> {
        self.0
            .read(move |tx| {
                let sql = "SELECT created_ms, updated_ms, state, length_ms FROM job \
                           WHERE state IN ('done', 'failed') AND updated_ms >= ?1";
                tx.query_rows(sql, params![since], |row| {
                    let length: Option<u64> = row.get("length_ms")?;
                    Ok(RecentEnd {
                        taken: row.get("created_ms")?,
                        at: row.get("updated_ms")?,
                        outcome: row.get("state")?,
                        length: length.map(Duration::from_millis),
                    })
                })
            })
            .await
    }

    /// Returns how many deliveries of each kind are in each state.
    pub(crate) async fn count_deliveries(
        self,
    ) -> Result<Vec<(DeliveryKind, DeliveryState, u64)>, StoreError> {
        self.0
            .read(|tx| {
                let sql =
                    "SELECT kind, state, count(*) AS deliveries FROM delivery GROUP BY kind, state";
                tx.query_rows(sql, params![], |row| {
                    Ok((row.get("kind")?, row.get("state")?, row.get("deliveries")?))
                })
            })
            .await
    }
}

fn read_last_event(tx: &Transaction<'_>) -> Result<i64, StoreError> {
    let last: Option<i64> = tx.query_value("SELECT max(id) FROM event", params![])?;
    Ok(last.unwrap_or(0))
}

fn read_tally(tx: &Transaction<'_>, since: i64) -> Result<Tally, StoreError> {
    // Where the history was shortened, numbers are given again.
    let since = since.min(read_last_event(tx)?);
    let mut tally = Tally { last: since, ..Tally::default() };
    let sql = "SELECT event.id AS event_id, event.kind, event.at_ms, folder, plan, length_ms, \
               (SELECT max(before.at_ms) FROM event AS before WHERE before.job_id = event.job_id \
               AND before.id < event.id) AS before_ms \
               FROM event JOIN job ON job.id = event.job_id WHERE event.id > ?1 ORDER BY event.id LIMIT ?2";
    let events = tx.query_rows(sql, params![since, EVENTS_MAX], |row| {
        Ok((row.get::<i64>("event_id")?, read_event(row)?))
    })?;
    for (id, (ended, stage)) in events {
        tally.last = id;
        tally.ended.extend(ended);
        tally.stages.extend(stage);
    }
    Ok(tally)
}

fn read_event(row: &Row<'_>) -> Result<(Option<EndedJob>, Option<EndedStage>), StoreError> {
    let kind: EventKind = row.get("kind")?;
    let plan: Option<String> = row.get("plan")?;
    let plan = plan.and_then(|plan| serde_json::from_str::<CountedPlan>(&plan).ok());
    let service = plan.map(|plan| plan.service);
    let ended = match outcome_of(kind) {
        Some(outcome) => {
            let length: Option<u64> = row.get("length_ms")?;
            let length = length.map(Duration::from_millis);
            Some(EndedJob { folder: row.get("folder")?, service: service.clone(), outcome, length })
        }
        None => None,
    };
    let before: Option<Timestamp> = row.get("before_ms")?;
    let stage = match (stage_of(kind), before) {
        (Some(stage), Some(before)) => {
            let took = elapsed(before, row.get("at_ms")?);
            Some(EndedStage { stage, service, took })
        }
        (None, _) | (_, None) => None,
    };
    Ok((ended, stage))
}

fn outcome_of(kind: EventKind) -> Option<JobState> {
    ENDS.iter().find(|(known, _)| *known == kind).map(|(_, outcome)| *outcome)
}

fn stage_of(kind: EventKind) -> Option<Stage> {
    STAGE_ENDS.iter().find(|(known, _)| *known == kind).map(|(_, stage)| *stage)
}
