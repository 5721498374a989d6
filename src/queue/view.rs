//! Jobs as people and scripts see them.

use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::{Deserialize, Serialize};

use super::{
    JobId, Queue, QueueError, Sighting, Verdict,
    delivery::{DeliveryKind, DeliveryState, notes_paths},
    history::{self, EventView},
    row::{self, path_bytes},
    skip::{LIMIT, NO_SOUND, SAME_SOUND},
    waits::{Awaiting, HeldBy, Original},
};
use crate::{
    job::{JobState, Plan, Stage, State, Wait, WaitReason},
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
    /// The recording, relative to the folder until [`JobView::locate`] makes it absolute; unprintable bytes escaped.
    pub path: String,
    /// The title of its meeting, once that is settled.
    pub title: Option<String>,
    /// The service.
    pub service: Option<String>,
    /// Who named the attendees, where it was not the folder: `sidecar`, `sub-folder`, or the name of a source.
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
    /// When it goes on.
    pub due: Option<Timestamp>,
    /// What went wrong last, or why it was skipped.
    pub error: Option<String>,
    /// Whether its notes lack what failed.
    pub partial: bool,
    /// The meeting at the service.
    pub meeting_id: Option<String>,
    /// The recording at the service.
    pub recording_id: Option<String>,
    /// `b3-<32 hex>` of its content.
    pub hash: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Where its notes lie.
    pub notes: Vec<String>,
    /// Its ledger.
    pub deliveries: Vec<DeliveryView>,
    /// When it was taken in.
    pub created: Timestamp,
    /// When something last happened.
    pub updated: Timestamp,
    /// What happened; only where one job is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<EventView>>,
    /// The path's own bytes, to find the file.
    #[serde(skip)]
    pub relative: PathBuf,
    /// Since when results are waited for.
    #[serde(skip)]
    pub awaiting_since: Option<Timestamp>,
    /// What holds it back now; only where something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HeldBy>,
    /// How its analysis stands; only while it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting: Option<Awaiting>,
    /// Those of its notes that are not there any more; only where one job is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes_missing: Vec<String>,
    /// The job that has the content of a copy that was skipped, as that job is now.
    #[serde(skip)]
    pub original: Option<Original>,
    /// Whether it was skipped because it exceeds a bound of its folder.
    #[serde(skip)]
    pub is_beyond: bool,
    /// Whether it waits because its title, date or attendees are not given as they have to be.
    #[serde(skip)]
    pub has_invalid_metadata: bool,
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
    /// What went wrong last, or why it is withheld.
    pub error: Option<String>,
}

impl JobView {
    /// Shows the recording by its place on this machine.
    pub fn locate(&mut self, folder: &std::path::Path) {
        self.path = printable_path(&folder.join(&self.relative));
    }
}

/// The columns of [`JobView`].
const COLUMNS: &str = "id, key, content, (SELECT source FROM fetched WHERE content = job.content AND fetched.folder = job.folder \
     AND reuse LIMIT 1) AS given, folder, path, size, mtime_ns, inode, plan, state, stage, waits_for, due_ms, \
     attempts, error, partial, meeting_id, recording_id, remote, remote_ms, created_ms, updated_ms, skip, invalid_metadata";

impl Queue {
    /// Returns the jobs of a state and a folder, each or any, by number, without their histories.
    ///
    /// `waiting` and `ready` are told apart by what is held, so both words return both.
    pub async fn jobs(&self, states: Vec<JobState>, folder: Option<String>) -> Result<Vec<JobView>, QueueError> {
        self.read(move |connection| {
            let marks = vec!["?"; states.len()].join(", ");
            let sql = format!(
                "SELECT {COLUMNS} FROM job WHERE (?1 IS NULL OR folder = ?1) {} ORDER BY id",
                if states.is_empty() { String::new() } else { format!("AND state IN ({marks})") }
            );
            let mut statement = connection.prepare(&sql)?;
            let mut values: Vec<rusqlite::types::Value> = vec![folder.into()];
            values.extend(states.iter().map(|state| state.as_str().to_owned().into()));
            let rows = statement.query_map(rusqlite::params_from_iter(values), view)?;
            rows.map(|row| complete(connection, row?)).collect()
        })
        .await
    }

    /// Returns one job with its history.
    pub async fn job_view(&self, id: JobId) -> Result<Option<JobView>, QueueError> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM job WHERE id = ?");
            let Some(job) = connection.prepare_cached(&sql)?.query_row([id.0], view).optional()? else {
                return Ok(None);
            };
            let mut job = complete(connection, job)?;
            job.history = Some(history::events_of(connection, id)?);
            Ok(Some(job))
        })
        .await
    }

    /// Returns the latest job whose recording lies (or lay) at a path.
    pub async fn job_at(&self, folder: &str, path: PathBuf) -> Result<Option<JobId>, QueueError> {
        let folder = folder.to_owned();
        self.read(move |connection| {
            let seen: Option<Option<i64>> = connection
                .prepare_cached("SELECT job_id FROM sighting WHERE folder = ?1 AND path = ?2 AND verdict = 'taken'")?
                .query_row(rusqlite::params![folder, path_bytes(&path)], |row| row.get(0))
                .optional()?;
            if let Some(Some(id)) = seen {
                return Ok(Some(JobId(id)));
            }
            Ok(connection
                .prepare_cached("SELECT id FROM job WHERE folder = ?1 AND path = ?2 ORDER BY id DESC LIMIT 1")?
                .query_row(rusqlite::params![folder, path_bytes(&path)], |row| Ok(JobId(row.get(0)?)))
                .optional()?)
        })
        .await
    }

    /// Returns the latest job of a content in a folder, or anywhere.
    pub async fn job_of_key(&self, key: String) -> Result<Option<JobId>, QueueError> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached("SELECT id FROM job WHERE key = ? AND state <> 'skipped'")?
                .query_row([key], |row| Ok(JobId(row.get(0)?)))
                .optional()?)
        })
        .await
    }

    /// Returns what the scans know of a path.
    pub async fn sighting(&self, folder: &str, path: PathBuf) -> Result<Option<Sighting>, QueueError> {
        let all = self.sightings_where(folder, path).await?;
        Ok(all.into_iter().next())
    }

    async fn sightings_where(&self, folder: &str, path: PathBuf) -> Result<Vec<Sighting>, QueueError> {
        let folder = folder.to_owned();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT path, size, mtime_ns, inode, first_ms, since_ms, verdict, job_id, written_boot FROM sighting \
                 WHERE folder = ?1 AND path = ?2",
            )?;
            let rows = statement.query_map(rusqlite::params![folder, path_bytes(&path)], super::folder::sighting)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Returns how many jobs of each folder are in each state; skipped files that are no jobs included.
    pub async fn counts(&self) -> Result<Vec<(String, String, u64)>, QueueError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT folder, state, count(*) FROM job GROUP BY 1, 2")?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned())))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Returns when a delivery that failed is tried again: the next mail, or the next file of a folder.
    pub async fn next_delivery_try(&self, folder: Option<String>) -> Result<Option<Timestamp>, QueueError> {
        self.read(move |connection| {
            let due: Option<i64> = connection
                .prepare_cached(
                    "SELECT min(delivery.due_ms) FROM delivery JOIN job ON job.id = delivery.job_id \
                     WHERE delivery.due_ms IS NOT NULL AND delivery.error IS NOT NULL \
                     AND CASE WHEN ?1 IS NULL THEN kind = 'mail' ELSE kind <> 'mail' AND job.folder = ?1 END",
                )?
                .query_row([folder], |row| row.get(0))?;
            Ok(due.and_then(|due| Timestamp::from_millisecond(due).ok()))
        })
        .await
    }

    /// Returns the latest job of a file of this name (the end of an absolute path) in a folder other than these: such
    /// a folder has left the configuration, and only its id is known.
    pub async fn job_elsewhere(&self, path: PathBuf, folders: Vec<String>) -> Result<Option<JobId>, QueueError> {
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, folder, path FROM job WHERE path = ? ORDER BY id DESC")?;
            let mut below = path.components();
            while below.next().is_some() {
                let mut rows = statement.query([path_bytes(below.as_path())])?;
                while let Some(row) = rows.next()? {
                    if !folders.contains(&row.get(1)?) {
                        return Ok(Some(JobId(row.get(0)?)));
                    }
                }
            }
            Ok(None)
        })
        .await
    }

    /// Returns how many files of a folder wait for `minuted backlog`.
    pub async fn backlog(&self, folder: &str) -> Result<u64, QueueError> {
        let folder = folder.to_owned();
        self.read(move |connection| {
            let count: i64 = connection
                .prepare_cached("SELECT count(*) FROM sighting WHERE folder = ? AND verdict = 'backlog'")?
                .query_row([folder], |row| row.get(0))?;
            Ok(count.cast_unsigned())
        })
        .await
    }
}

impl Verdict {
    /// Returns what `minuted why` says of it.
    #[must_use]
    pub fn explain(self) -> &'static str {
        match self {
            Self::Settling => "it is being watched until it is quiet and complete",
            Self::Taken { .. } => "a job is recorded for it",
            Self::Backlog => "it was there before minuted and waits for `minuted backlog FOLDER process|skip`",
            Self::Ignored => "it was there before minuted and is left alone, as the folder's backlog setting says",
        }
    }
}

fn view(row: &Row<'_>) -> rusqlite::Result<JobView> {
    let state = row::state(row)?;
    let relative = row::path(row, "path")?;
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
        id: JobId(row.get("id")?),
        key: row.get("key")?,
        folder: row.get("folder")?,
        path: printable_path(&relative),
        title: plan.as_ref().map(|plan| plan.title.clone()),
        attendees_from: plan.as_ref().and_then(|plan| plan.told.attendees_from.clone()),
        service: plan.map(|plan| plan.service).or(row.get("given")?),
        waits_for,
        stage: state.stage(),
        state: state.shown(),
        attempts: row.get("attempts")?,
        due: due.filter(|due| *due > Timestamp::UNIX_EPOCH),
        error: row.get("error")?,
        partial: row.get("partial")?,
        meeting_id: row.get("meeting_id")?,
        recording_id: row.get("recording_id")?,
        hash: row.get("content")?,
        size: row::stamp(row)?.size,
        notes: Vec::new(),
        deliveries: Vec::new(),
        created: row::time(row, "created_ms")?,
        updated: row::time(row, "updated_ms")?,
        history: None,
        hold: None,
        awaiting: None,
        notes_missing: Vec::new(),
        original: None,
        has_invalid_metadata: row.get("invalid_metadata")?,
        is_beyond: row.get::<_, Option<String>>("skip")?.as_deref() == Some(LIMIT),
        relative,
        awaiting_since: row.get::<_, Option<i64>>("remote_ms")?.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
    })
}

/// Adds the ledger to a job.
fn complete(connection: &Connection, mut job: JobView) -> Result<JobView, QueueError> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, target, state, attempts, error, due_ms FROM delivery WHERE job_id = ? ORDER BY version, id",
    )?;
    let mut next_due: Option<i64> = None;
    let rows = statement.query_map([job.id.0], |row| {
        let due: Option<i64> = row.get("due_ms")?;
        let view = DeliveryView {
            kind: row::word(row, "kind", DeliveryKind::parse)?,
            target: row.get("target")?,
            state: row::word(row, "state", DeliveryState::parse)?,
            attempts: row.get("attempts")?,
            error: row.get("error")?,
        };
        Ok((view, due))
    })?;
    for row in rows {
        let (view, due) = row?;
        next_due = next_due.into_iter().chain(due).min();
        job.deliveries.push(view);
    }
    if job.stage == Some(Stage::Deliver) {
        job.due = next_due.and_then(|due| Timestamp::from_millisecond(due).ok());
        let mut waiting = job.deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Due);
        job.error = job.error.or_else(|| waiting.find_map(|delivery| delivery.error.clone()));
    }
    job.notes = notes(connection, job.id, job.key.as_deref())?;
    if job.state == JobState::Skipped
        && let Some((original, key)) = original(connection, job.id)?
    {
        job.notes = notes(connection, original.id, key.as_deref())?;
        job.original = Some(original);
    }
    Ok(job)
}

/// Where the notes of a job lie: those that it wrote, else those that were there when its content came.
fn notes(connection: &Connection, id: JobId, key: Option<&str>) -> Result<Vec<String>, QueueError> {
    let written: Vec<String> = notes_paths(connection, id)?.iter().map(|path| printable_path(path)).collect();
    if !written.is_empty() {
        return Ok(written);
    }
    let found: Option<Option<String>> = connection
        .prepare_cached(
            "SELECT evidence.notes FROM evidence JOIN job ON job.key = evidence.key \
             WHERE evidence.key = ? AND job.state = 'done'",
        )?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(found.flatten().into_iter().collect())
}

/// The job because of which another one is skipped, the latest, and its key.
fn original(connection: &Connection, skipped: JobId) -> Result<Option<(Original, Option<String>)>, QueueError> {
    let mut statement = connection.prepare_cached("SELECT skip, content, sound, folder FROM job WHERE id = ?")?;
    let names = statement.query_row([skipped.0], |row| {
        let skip: Option<String> = row.get("skip")?;
        let folder: String = row.get("folder")?;
        let by_sound = skip.as_deref() == Some(SAME_SOUND);
        let name: Option<String> = row.get(if by_sound { "sound" } else { "content" })?;
        Ok((by_sound, name.filter(|_| ![Some(NO_SOUND), Some(LIMIT)].contains(&skip.as_deref())), folder))
    });
    let Some((by_sound, Some(name), folder)) = names.optional()? else { return Ok(None) };
    let sql = format!(
        "SELECT id, key, state, path FROM job WHERE {} = ?1 AND folder = ?2 AND state <> 'skipped' ORDER BY {} LIMIT 1",
        if by_sound { "sound" } else { "content" },
        if by_sound { "state IN ('failed', 'cancelled'), id DESC" } else { "generation DESC" },
    );
    let found = connection.prepare_cached(&sql)?.query_row([name, folder], |row| {
        let id = JobId(row.get("id")?);
        let relative = row::path(row, "path")?;
        Ok((Original { id, state: row::word(row, "state", JobState::parse)?, relative, by_sound }, row.get("key")?))
    });
    Ok(found.optional()?)
}
