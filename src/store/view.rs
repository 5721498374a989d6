//! Jobs as people and scripts see them.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    JobId, Jobs, StoreError,
    deliveries::{DeliveryKind, DeliveryState, notes_paths},
    history::{self, EventView},
    jobs::read_state,
    notifications::{NotificationView, notifications_of},
    original::{OriginalJob, find_original},
    retention::{RetentionView, view_retention},
    skip::SkipKind,
    sql::{IntoValue, Row, Transaction, params},
};
use crate::{
    job::{
        CalendarAnswer, CalendarMatch, HoldReason, JobState, Plan, SpeakerNames, Stage, State,
        Wait, WaitReason,
    },
    text::printable_path,
};

/// A job as `jobs --json` and `job --json` show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Its number.
    pub id: JobId,
    /// Its key; `None` for a file that no service takes.
    pub key: Option<String>,
    /// The folder's id.
    pub folder: String,
    /// The recording, relative to the folder until [`JobView::locate`] makes it absolute;
    /// unprintable bytes escaped.
    pub path: String,
    /// The title of its meeting, once that is settled.
    pub title: Option<String>,
    /// The service.
    pub service: Option<String>,
    /// The origin of the attendees, where it is not the folder: `sidecar`, `sub-folder`, or the
    /// name of a source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attendees_from: Option<String>,
    /// Its state.
    pub state: JobState,
    /// The reason for which it waits.
    pub waits_for: Option<WaitReason>,
    /// Its stage, until it is over.
    pub stage: Option<Stage>,
    /// Failures of its own.
    pub attempts: u32,
    /// The time at which it goes on.
    pub due: Option<Timestamp>,
    /// The last failure, or the reason why it was skipped.
    pub error: Option<String>,
    /// True if its notes lack what failed.
    pub partial: bool,
    /// The meeting at the service.
    pub meeting_id: Option<String>,
    /// The recording at the service.
    pub recording_id: Option<String>,
    /// `b3-<32 hex>` of its content.
    pub hash: Option<String>,
    /// Bytes.
    pub size: u64,
    /// The paths of its notes.
    pub notes: Vec<String>,
    /// Its ledger.
    pub deliveries: Vec<DeliveryView>,
    /// What notifiers are told of it. No job waits for a notification.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<NotificationView>,
    /// The time of its intake.
    pub created: Timestamp,
    /// The time of the last change.
    pub updated: Timestamp,
    /// Its history; only where one job is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<EventView>>,
    /// The answer of its folder's calendar, without the people of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<CalendarMatch>,
    /// The names that a person gave to its speakers, by label.
    #[serde(default, skip_serializing_if = "SpeakerNames::is_empty")]
    pub speaker_names: SpeakerNames,
    /// What becomes of its recording, where the folder deletes it after a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionView>,
    /// The path's own bytes, to find the file.
    #[serde(skip)]
    pub relative: PathBuf,
    /// Since when results are waited for.
    #[serde(skip)]
    pub awaiting_since: Option<Timestamp>,
    /// The hold that keeps it back now, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HeldBy>,
    /// The progress of its analysis; only while it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting: Option<AwaitedAnalysis>,
    /// The notes of it that are not there any more; only where one job is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes_missing: Vec<String>,
    /// The remarks that its notes begin with, such as an end that is missing; only where one job is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// The job that has the content of a copy that was skipped, as that job is now.
    #[serde(skip)]
    pub original: Option<OriginalJob>,
    /// True if it was skipped because it exceeds a bound of its folder.
    #[serde(skip)]
    pub is_beyond: bool,
    /// True if it waits for its title, date or attendees to be corrected.
    #[serde(skip)]
    pub has_invalid_metadata: bool,
    /// The length of its recording, known or estimated, until its attempt has begun: then no daily
    /// limit holds it.
    #[serde(skip)]
    pub unbegun: Option<Duration>,
}

/// The jobs that a list shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct JobQuery {
    /// Only these states; any where it is empty.
    pub states: Vec<JobState>,
    /// Only this folder, by id.
    pub folder: Option<String>,
    /// Only those whose path or title holds this text; letters of ASCII in either case.
    pub search: Option<String>,
    /// Only those before this number.
    pub before: Option<JobId>,
    /// How many at most.
    pub limit: u32,
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// Its kind.
    pub kind: DeliveryKind,
    /// A format, an address, or what is done with the recording.
    pub target: String,
    /// Its state.
    pub state: DeliveryState,
    /// Tries that failed.
    pub attempts: u32,
    /// The last failure, or the reason why it is withheld.
    pub error: Option<String>,
}

/// The hold that keeps a job back, for a person and a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBy {
    /// The reason.
    pub reason: HoldReason,
    /// The reason in words.
    pub detail: String,
    /// The time at which it began.
    pub since: Timestamp,
    /// True if it ends without help.
    pub heals: bool,
    /// The time of the next attempt, where that is known.
    pub next_try: Option<Timestamp>,
    /// The remedy, where a person can do something.
    pub cure: Option<String>,
}

/// The progress of an analysis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedAnalysis {
    /// Since when it is waited for.
    pub since: Timestamp,
    /// True if it takes longer than the service's documents say.
    pub slow: bool,
    /// Until when it is waited for before that counts as a failed attempt.
    pub until: Timestamp,
}

impl JobView {
    /// Shows the recording by its place on this machine.
    pub fn locate(&mut self, folder: &std::path::Path) {
        self.path = printable_path(&folder.join(&self.relative));
    }
}

/// The columns of [`JobView`].
const COLUMNS: &str = "id, key, content, (SELECT source FROM fetched WHERE content = job.content \
     AND fetched.folder = job.folder AND reuse = 1 LIMIT 1) AS transcript_source, folder, path, size, plan, state, stage, \
     waits_for, due_ms, attempts, error, partial, meeting_id, recording_id, remote_ms, created_ms, updated_ms, skip, \
     invalid_metadata, speaker_names, CASE WHEN is_begun = 0 THEN coalesce(length_ms, size / 16) END AS unbegun_ms";

impl Jobs<'_> {
    /// Returns the jobs of a state and a folder, each or any, by number, without their histories.
    ///
    /// `waiting` and `ready` are told apart by what is held, so both words return both.
    pub async fn list(
        self,
        states: Vec<JobState>,
        folder: Option<String>,
    ) -> Result<Vec<JobView>, StoreError> {
        self.0
            .read(move |tx| {
                let mut values = params![folder].to_vec();
                let mut condition = String::new();
                if !states.is_empty() {
                    let numbers: Vec<String> = (2..2 + states.len()).map(|number| format!("?{number}")).collect();
                    condition = format!("AND state IN ({})", numbers.join(", "));
                    values.extend(states.iter().map(IntoValue::value));
                }
                let sql =
                    format!("SELECT {COLUMNS} FROM job WHERE (?1 IS NULL OR folder = ?1) {condition} ORDER BY id");
                let jobs = tx.query_rows(&sql, &values, read_view)?;
                jobs.into_iter().map(|job| complete(tx, job)).collect()
            })
            .await
    }

    /// Returns the latest jobs that match, the newest first, without their histories.
    pub(crate) async fn list_latest(self, query: JobQuery) -> Result<Vec<JobView>, StoreError> {
        self.0
            .read(move |tx| {
                let states = query.states.iter().map(|state| format!("'{}'", state.as_str()));
                let states = states.collect::<Vec<_>>().join(", ");
                let of_states = if states.is_empty() { String::new() } else { format!("AND state IN ({states})") };
                let sql = format!(
                    "SELECT {COLUMNS} FROM job WHERE (?1 IS NULL OR folder = ?1) AND (?2 IS NULL OR id < ?2) AND \
                     (?3 IS NULL OR instr(lower(CAST(path AS TEXT)), ?3) > 0 \
                     OR instr(lower(json_extract(plan, '$.title')), ?3) > 0) {of_states} ORDER BY id DESC LIMIT ?4"
                );
                let search = query.search.map(|search| search.to_ascii_lowercase());
                let jobs = tx.query_rows(
                    &sql,
                    params![query.folder, query.before, search, query.limit],
                    read_view,
                )?;
                jobs.into_iter().map(|job| complete(tx, job)).collect()
            })
            .await
    }

    /// Returns one job with its history.
    pub async fn view(self, id: JobId) -> Result<Option<JobView>, StoreError> {
        self.0
            .read(move |tx| {
                let sql = format!("SELECT {COLUMNS} FROM job WHERE id = ?1");
                let Some(job) = tx.query_row(&sql, params![id], read_view)? else {
                    return Ok(None);
                };
                let mut job = complete(tx, job)?;
                job.history = Some(history::events_of(tx, id)?);
                Ok(Some(job))
            })
            .await
    }

    /// Returns the latest job whose recording lies (or lay) at a path.
    pub async fn find_at_path(
        self,
        folder: &str,
        path: PathBuf,
    ) -> Result<Option<JobId>, StoreError> {
        let folder = folder.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT job_id FROM sighting WHERE folder = ?1 AND path = ?2 AND verdict = 'taken'";
                if let Some(Some(id)) = tx.find_value(sql, params![folder, path])? {
                    return Ok(Some(id));
                }
                let sql = "SELECT id FROM job WHERE folder = ?1 AND path = ?2 ORDER BY id DESC LIMIT 1";
                tx.find_value(sql, params![folder, path])
            })
            .await
    }

    /// Returns the latest job of a content in a folder, or anywhere.
    pub async fn find_by_key(self, key: String) -> Result<Option<JobId>, StoreError> {
        self.0
            .read(move |tx| {
                tx.find_value(
                    "SELECT id FROM job WHERE key = ?1 AND state <> 'skipped'",
                    params![key],
                )
            })
            .await
    }

    /// Returns how many jobs of each folder are in each state; skipped files that are no jobs
    /// included.
    pub async fn count_by_state(self) -> Result<Vec<(String, JobState, u64)>, StoreError> {
        self.0
            .read(|tx| {
                let sql = "SELECT folder, state, count(*) AS jobs FROM job GROUP BY folder, state";
                tx.query_rows(sql, params![], |row| {
                    Ok((row.get("folder")?, row.get("state")?, row.get("jobs")?))
                })
            })
            .await
    }

    /// Returns the latest job of a file of this name (the end of an absolute path) in a folder
    /// other than these: such a folder has left the configuration, and only its id is known.
    pub async fn find_outside(
        self,
        path: PathBuf,
        folders: Vec<String>,
    ) -> Result<Option<JobId>, StoreError> {
        self.0
            .read(move |tx| {
                let mut below = path.components();
                while below.next().is_some() {
                    let sql = "SELECT id, folder FROM job WHERE path = ?1 ORDER BY id DESC";
                    let found: Vec<(JobId, String)> =
                        tx.query_rows(sql, params![below.as_path()], |row| {
                            Ok((row.get("id")?, row.get("folder")?))
                        })?;
                    if let Some((id, _)) =
                        found.into_iter().find(|(_, folder)| !folders.contains(folder))
                    {
                        return Ok(Some(id));
                    }
                }
                Ok(None)
            })
            .await
    }
}

fn read_view(row: &Row<'_>) -> Result<JobView, StoreError> {
    let state = read_state(row)?;
    let relative: PathBuf = row.get("path")?;
    let plan: Option<String> = row.get("plan")?;
    let plan: Option<Plan> = plan.and_then(|plan| serde_json::from_str(&plan).ok());
    let waits_for = match &state {
        State::Waiting { on: Wait::Analysis, .. } => Some(WaitReason::Analysis),
        State::Waiting { on: Wait::Retry { .. }, .. } => Some(WaitReason::Retry),
        State::Waiting { on: Wait::File { .. }, .. } => Some(WaitReason::File),
        State::Ready { .. }
        | State::Running { .. }
        | State::Done
        | State::Failed
        | State::Skipped
        | State::Cancelled => None,
    };
    let due = match &state {
        State::Ready { due, .. } | State::Waiting { on: Wait::Retry { due }, .. } => Some(*due),
        State::Running { .. }
        | State::Waiting { .. }
        | State::Done
        | State::Failed
        | State::Skipped
        | State::Cancelled => None,
    };
    Ok(JobView {
        id: row.get("id")?,
        key: row.get("key")?,
        folder: row.get("folder")?,
        path: printable_path(&relative),
        title: plan.as_ref().map(|plan| plan.title.clone()),
        attendees_from: plan.as_ref().and_then(|plan| plan.details_source.attendees_from.clone()),
        calendar: plan.as_ref().and_then(shown_calendar),
        service: plan.map(|plan| plan.service).or(row.get("transcript_source")?),
        waits_for,
        stage: state.stage(),
        state: state.shown_state(),
        attempts: row.get("attempts")?,
        due: due.filter(|due| *due > Timestamp::UNIX_EPOCH),
        error: row.get("error")?,
        partial: row.get("partial")?,
        meeting_id: row.get("meeting_id")?,
        recording_id: row.get("recording_id")?,
        hash: row.get("content")?,
        size: row.get("size")?,
        notes: Vec::new(),
        deliveries: Vec::new(),
        notifications: Vec::new(),
        created: row.get("created_ms")?,
        updated: row.get("updated_ms")?,
        history: None,
        hold: None,
        awaiting: None,
        notes_missing: Vec::new(),
        remarks: Vec::new(),
        retention: None,
        speaker_names: row.get::<Option<SpeakerNames>>("speaker_names")?.unwrap_or_default(),
        original: None,
        has_invalid_metadata: row.get("invalid_metadata")?,
        unbegun: row.get::<Option<u64>>("unbegun_ms")?.map(Duration::from_millis),
        is_beyond: row.get::<Option<SkipKind>>("skip")? == Some(SkipKind::Limit),
        relative,
        awaiting_since: row.get("remote_ms")?,
    })
}

/// Returns the answer of the calendar as it is shown: addresses are in the notes alone.
fn shown_calendar(plan: &Plan) -> Option<CalendarMatch> {
    let mut found = plan.calendar.clone()?;
    if let CalendarAnswer::Taken { event } = &mut found.answer {
        event.attendees.clear();
    }
    Some(found)
}

/// Adds the ledger to a job.
fn complete(tx: &Transaction<'_>, mut job: JobView) -> Result<JobView, StoreError> {
    let sql = "SELECT kind, target, state, attempts, error, due_ms FROM delivery WHERE job_id = ?1 ORDER BY version, id";
    let deliveries: Vec<(DeliveryView, Option<Timestamp>)> =
        tx.query_rows(sql, params![job.id], |row| {
            let view = DeliveryView {
                kind: row.get("kind")?,
                target: row.get("target")?,
                state: row.get("state")?,
                attempts: row.get("attempts")?,
                error: row.get("error")?,
            };
            Ok((view, row.get("due_ms")?))
        })?;
    let next_due = deliveries.iter().filter_map(|(_, due)| *due).min();
    job.deliveries = deliveries.into_iter().map(|(view, _)| view).collect();
    if job.stage == Some(Stage::Deliver) {
        job.due = next_due;
        let mut waiting =
            job.deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Due);
        job.error = job.error.or_else(|| waiting.find_map(|delivery| delivery.error.clone()));
    }
    job.notifications = notifications_of(tx, job.id)?;
    job.notes = find_notes(tx, job.id, job.key.as_deref())?;
    job.retention = view_retention(tx, job.id)?;
    if job.state == JobState::Skipped
        && let Some((original, key)) = find_original(tx, job.id)?
    {
        job.notes = find_notes(tx, original.id, key.as_deref())?;
        job.original = Some(original);
    }
    Ok(job)
}

/// Returns where the notes of a job lie: those that it wrote, else those that were there when its
/// content came.
fn find_notes(
    tx: &Transaction<'_>,
    id: JobId,
    key: Option<&str>,
) -> Result<Vec<String>, StoreError> {
    let written: Vec<String> =
        notes_paths(tx, id)?.iter().map(|path| printable_path(path)).collect();
    if !written.is_empty() {
        return Ok(written);
    }
    let found: Option<Option<String>> = tx.find_value(
        "SELECT evidence.notes FROM evidence JOIN job ON job.key = evidence.key \
         WHERE evidence.key = ?1 AND job.state = 'done'",
        params![key],
    )?;
    Ok(found.flatten().into_iter().collect())
}
