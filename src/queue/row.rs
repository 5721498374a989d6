//! A job as it stands in the queue, and how a row becomes one.

use std::{
    ffi::OsString,
    fmt,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Row, types::Type};

use super::QueueError;
use crate::{
    beneath::Stamp,
    job::{Content, JobState, Key, Plan, Remote, Sound, Stage, State, Wait},
};

/// The number of a job: what a person types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A job that has been or will be worked on.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own; no two exclude each other")]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Its name at the service and in the notes.
    pub key: Key,
    /// The content of its file: that of the key, unless another file of the same sound was taken for it.
    pub file_content: Content,
    /// The name of its recording's sound; `None` where that has none, or the job is from before.
    pub sound: Option<Sound>,
    /// Where its recording was last seen, relative to the folder.
    pub path: PathBuf,
    /// The recording's stamp when its content was hashed.
    pub stamp: Stamp,
    /// When the meeting was, as far as the recording tells.
    pub recorded: Timestamp,
    /// Whether the recording was there before minuted.
    pub backlog: bool,
    /// Where it stands.
    pub state: State,
    /// Failures of its own so far.
    pub attempts: u32,
    /// The last failure.
    pub error: Option<String>,
    /// Whether `error` is about its title, date or attendees, which are not given as they have to be.
    pub has_invalid_metadata: bool,
    /// The settings it began with; `None` before its meeting is created.
    pub plan: Option<Plan>,
    /// What the service has of it.
    pub remote: Remote,
    /// The version of its notes; 0 before the first.
    pub version: u32,
    /// Whether its notes lack what failed.
    pub partial: bool,
    /// Whether its mails wait for `minuted retry`: it was adopted after the queue was lost.
    pub mail_held: bool,
    /// How long its recording may be, as its folder had it when it was taken in; `None` for one from before, and for one
    /// that a person asked for again.
    pub length_max: Option<Duration>,
}

impl Job {
    /// Returns when the meeting was: as somebody says who knows it, else as the recording tells.
    #[must_use]
    pub fn date(&self) -> Timestamp {
        self.plan.as_ref().and_then(|plan| plan.told.date).unwrap_or(self.recorded)
    }
}

/// The columns of [`Job`], in the order in which [`job`] reads them by name.
pub(super) const COLUMNS: &str = "id, key, file_content, sound, path, size, mtime_ns, inode, recorded_ms, backlog, state, stage, waits_for, \
     due_ms, attempts, error, partial, plan, remote, meeting_id, recording_id, remote_ms, version, mail_held, \
     length_max_ms, updated_ms, invalid_metadata";

/// Reads a row of [`COLUMNS`].
pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let key: Key = parsed(row, "key")?;
    let file_content: Option<String> = row.get("file_content")?;
    let file_content = file_content.map(|text| text.parse().map_err(|_| invalid("file_content", text))).transpose()?;
    Ok(Job {
        id: JobId(row.get("id")?),
        file_content: file_content.unwrap_or_else(|| key.content.clone()),
        key,
        sound: sound(row)?,
        path: path(row, "path")?,
        stamp: stamp(row)?,
        recorded: time(row, "recorded_ms")?,
        backlog: row.get("backlog")?,
        state: state(row)?,
        attempts: row.get("attempts")?,
        error: row.get("error")?,
        has_invalid_metadata: row.get("invalid_metadata")?,
        plan: plan(row)?,
        remote: remote(row)?,
        version: row.get("version")?,
        partial: row.get("partial")?,
        mail_held: row.get("mail_held")?,
        length_max: row.get::<_, Option<i64>>("length_max_ms")?.map(|ms| Duration::from_millis(ms.unsigned_abs())),
    })
}

/// Reads the state from its four columns.
pub(super) fn state(row: &Row<'_>) -> rusqlite::Result<State> {
    let stage = || word(row, "stage", Stage::parse);
    Ok(match word(row, "state", JobState::parse)? {
        JobState::Ready => State::Ready { stage: stage()?, due: time(row, "due_ms")? },
        JobState::Running => State::Running { stage: stage()? },
        JobState::Waiting => State::Waiting { stage: stage()?, on: wait(row)? },
        JobState::Done => State::Done,
        JobState::Failed => State::Failed,
        JobState::Skipped => State::Skipped,
        JobState::Cancelled => State::Cancelled,
    })
}

fn wait(row: &Row<'_>) -> rusqlite::Result<Wait> {
    let word: String = row.get("waits_for")?;
    Ok(match word.as_str() {
        "analysis" => Wait::Analysis,
        "retry" => Wait::Retry { due: time(row, "due_ms")? },
        "file" => Wait::File { since: time(row, "updated_ms")? },
        _ => return Err(invalid("waits_for", word)),
    })
}

/// The columns `state, stage, waits_for, due_ms` of a state.
pub(super) type StateColumns = (&'static str, Option<&'static str>, Option<&'static str>, Option<i64>);

/// Returns the columns of a state; the inverse of [`state`].
pub(super) fn state_columns(state: &State) -> StateColumns {
    let (waits_for, due) = match state {
        State::Ready { due, .. } => (None, Some(due.as_millisecond())),
        State::Waiting { on: Wait::Analysis, .. } => (Some("analysis"), None),
        State::Waiting { on: Wait::Retry { due }, .. } => (Some("retry"), Some(due.as_millisecond())),
        State::Waiting { on: Wait::File { .. }, .. } => (Some("file"), None),
        State::Running { .. } | State::Done | State::Failed | State::Skipped | State::Cancelled => (None, None),
    };
    (state.shown().as_str(), state.stage().map(Stage::as_str), waits_for, due)
}

fn remote(row: &Row<'_>) -> rusqlite::Result<Remote> {
    let word: String = row.get("remote")?;
    Ok(match word.as_str() {
        "nothing" => Remote::Nothing,
        "creating" => Remote::Creating { since: time(row, "remote_ms")? },
        "meeting" => Remote::Meeting { meeting: row.get("meeting_id")? },
        "uploaded" => Remote::Uploaded {
            meeting: row.get("meeting_id")?,
            recording: row.get("recording_id")?,
            since: time(row, "remote_ms")?,
        },
        _ => return Err(invalid("remote", word)),
    })
}

fn plan(row: &Row<'_>) -> rusqlite::Result<Option<Plan>> {
    let text: Option<String> = row.get("plan")?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| invalid("plan", text))).transpose()
}

/// Reads the three columns of a stamp. `SQLite` has no unsigned numbers: sizes and inodes keep their bits.
pub(super) fn stamp(row: &Row<'_>) -> rusqlite::Result<Stamp> {
    Ok(Stamp {
        size: row.get::<_, i64>("size")?.cast_unsigned(),
        mtime_ns: row.get("mtime_ns")?,
        inode: row.get::<_, i64>("inode")?.cast_unsigned(),
    })
}

/// Reads a path from its bytes.
pub(super) fn path(row: &Row<'_>, column: &str) -> rusqlite::Result<PathBuf> {
    Ok(OsString::from_vec(row.get(column)?).into())
}

/// Returns the bytes of a path.
pub(super) fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// Reads a time.
pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    let millisecond: i64 = row.get(column)?;
    Timestamp::from_millisecond(millisecond).map_err(|_| invalid("time", millisecond.to_string()))
}

/// Reads the name of a sound, where there is one.
pub(super) fn sound(row: &Row<'_>) -> rusqlite::Result<Option<Sound>> {
    let text: Option<String> = row.get("sound")?;
    text.map(|text| text.parse().map_err(|_| invalid("sound", text))).transpose()
}

/// Reads a text that has a type.
pub(super) fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: &'static str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| invalid(column, text))
}

/// Reads a word of an enumeration.
pub(super) fn word<T>(row: &Row<'_>, column: &'static str, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| invalid(column, text))
}

/// The error of a value that this program never wrote.
pub(super) fn invalid(what: &'static str, value: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(QueueError::Corrupt { what, value }))
}
