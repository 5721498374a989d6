//! The table of jobs, and how a row becomes one.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    JobId, Jobs, Settled, StoreError,
    row::read_stamp,
    sql::{Row, Transaction, params},
};
use crate::{
    beneath::Stamp,
    job::{
        Content, JobState, Key, Plan, Remote, Sound, SpeakerNames, Stage, State, Wait, WaitReason,
    },
};

/// A job that has been or will be worked on.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a column of its own; no two exclude each other"
)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Its name at the service and in the notes.
    pub key: Key,
    /// The content of its file: that of the key, unless another file of the same sound was taken
    /// for it.
    pub file_content: Content,
    /// The name of its recording's sound; `None` where that has none, or the job is from before.
    pub sound: Option<Sound>,
    /// The path at which its recording was last seen, relative to the folder.
    pub path: PathBuf,
    /// The recording's stamp when its content was hashed.
    pub stamp: Stamp,
    /// The time of the meeting, as far as the recording has it.
    pub recorded: Timestamp,
    /// True if the recording was there before minuted.
    pub backlog: bool,
    /// Its state.
    pub state: State,
    /// Failures of its own so far.
    pub attempts: u32,
    /// The last failure.
    pub error: Option<String>,
    /// True if the job waits for its title, date or attendees to be corrected; `error` says what is
    /// wrong.
    pub has_invalid_metadata: bool,
    /// The settings it began with; `None` before its meeting is created.
    pub plan: Option<Plan>,
    /// The meeting and the recording at the service.
    pub remote: Remote,
    /// The version of its notes; 0 before the first.
    pub version: u32,
    /// True if its notes lack what failed.
    pub partial: bool,
    /// True if its mails wait for `minuted retry`: it was adopted after the queue was lost.
    pub mail_held: bool,
    /// The longest recording that its folder took at the intake; `None` for a job from before that
    /// bound, and for one that a person asked for again.
    pub length_max: Option<Duration>,
    /// The length of its recording, known or estimated; `None` for a job from before it was
    /// recorded.
    pub length: Option<Duration>,
    /// The names that a person gave to the speakers of its transcript.
    pub speaker_names: SpeakerNames,
}

impl Job {
    /// Returns the time of the meeting: from its metadata, else from the recording.
    #[must_use]
    pub fn date(&self) -> Timestamp {
        self.plan.as_ref().and_then(|plan| plan.details_source.date).unwrap_or(self.recorded)
    }
}

impl Jobs<'_> {
    /// Returns a job, `None` when there is none of that number that was ever worked on.
    pub async fn find(self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.0.read(move |tx| load(tx, id)).await
    }

    /// Returns the jobs of a state, by number.
    pub async fn ids_of_state(self, state: &'static str) -> Result<Vec<JobId>, StoreError> {
        self.0
            .read(move |tx| {
                let sql = "SELECT id FROM job WHERE state = ?1 AND key IS NOT NULL ORDER BY id";
                tx.query_values(sql, params![state])
            })
            .await
    }

    /// Returns whether a job of `folder` is of a file of this size.
    pub async fn has_size(self, folder: &str, size: u64) -> Result<bool, StoreError> {
        let folder = folder.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT 1 FROM job WHERE folder = ?1 AND size = ?2 AND state <> 'skipped' LIMIT 1";
                tx.exists(sql, params![folder, size])
            })
            .await
    }

    /// Returns whether any job of `folder` waits for its file.
    pub async fn any_waits_for_file(self, folder: &str) -> Result<bool, StoreError> {
        let folder = folder.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT 1 FROM job WHERE waits_for = 'file' AND folder = ?1 LIMIT 1";
                tx.exists(sql, params![folder])
            })
            .await
    }

    /// Returns those of these keys whose recording is still to be sent.
    pub async fn keys_to_send(self, keys: Vec<String>) -> Result<BTreeSet<String>, StoreError> {
        self.0
            .read(move |tx| {
                let sql =
                    "SELECT 1 FROM job WHERE key = ?1 AND stage IN ('create', 'upload') LIMIT 1";
                let mut unsent = BTreeSet::new();
                for key in keys {
                    if tx.exists(sql, params![key])? {
                        unsent.insert(key);
                    }
                }
                Ok(unsent)
            })
            .await
    }
}

/// The columns of [`Job`].
pub(super) const COLUMNS: &str = "id, key, file_content, sound, path, size, mtime_ns, inode, recorded_ms, backlog, \
     state, stage, waits_for, due_ms, attempts, error, partial, plan, remote, meeting_id, recording_id, remote_ms, \
     version, mail_held, length_max_ms, updated_ms, invalid_metadata, speaker_names, length_ms";

/// The columns from which [`read_state`] reads.
pub(super) const STATE_COLUMNS: &str = "state, stage, waits_for, due_ms, updated_ms";

/// Reads a row of [`COLUMNS`].
pub(super) fn read_job(row: &Row<'_>) -> Result<Job, StoreError> {
    let key: Key = row.get("key")?;
    let file_content: Option<Content> = row.get("file_content")?;
    let length_max: Option<i64> = row.get("length_max_ms")?;
    let length: Option<u64> = row.get("length_ms")?;
    Ok(Job {
        id: row.get("id")?,
        file_content: file_content.unwrap_or_else(|| key.content.clone()),
        key,
        sound: row.get("sound")?,
        path: row.get("path")?,
        stamp: read_stamp(row)?,
        recorded: row.get("recorded_ms")?,
        backlog: row.get("backlog")?,
        state: read_state(row)?,
        attempts: row.get("attempts")?,
        error: row.get("error")?,
        has_invalid_metadata: row.get("invalid_metadata")?,
        plan: row.get("plan")?,
        remote: read_remote(row)?,
        version: row.get("version")?,
        partial: row.get("partial")?,
        mail_held: row.get("mail_held")?,
        length_max: length_max.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        length: length.map(Duration::from_millis),
        speaker_names: row.get::<Option<SpeakerNames>>("speaker_names")?.unwrap_or_default(),
    })
}

/// Reads a state from [`STATE_COLUMNS`].
pub(super) fn read_state(row: &Row<'_>) -> Result<State, StoreError> {
    Ok(match row.get("state")? {
        JobState::Ready => State::Ready { stage: row.get("stage")?, due: row.get("due_ms")? },
        JobState::Running => State::Running { stage: row.get("stage")? },
        JobState::Waiting => State::Waiting { stage: row.get("stage")?, on: read_wait(row)? },
        JobState::Done => State::Done,
        JobState::Failed => State::Failed,
        JobState::Skipped => State::Skipped,
        JobState::Cancelled => State::Cancelled,
    })
}

/// Reads a job's number and state.
pub(super) fn read_id_and_state(row: &Row<'_>) -> Result<(JobId, State), StoreError> {
    Ok((row.get("id")?, read_state(row)?))
}

fn read_wait(row: &Row<'_>) -> Result<Wait, StoreError> {
    Ok(match row.get("waits_for")? {
        WaitReason::Analysis => Wait::Analysis,
        WaitReason::Retry => Wait::Retry { due: row.get("due_ms")? },
        WaitReason::File => Wait::File { since: row.get("updated_ms")? },
        // These are of holds, and only shown.
        reason @ (WaitReason::Service
        | WaitReason::SignIn
        | WaitReason::Folder
        | WaitReason::Disk
        | WaitReason::Budget) => {
            return Err(StoreError::Corrupt { what: "waits_for", value: reason.to_string() });
        }
    })
}

fn read_remote(row: &Row<'_>) -> Result<Remote, StoreError> {
    let word: String = row.get("remote")?;
    Ok(match word.as_str() {
        "nothing" => Remote::Nothing,
        "creating" => Remote::Creating { since: row.get("remote_ms")? },
        "meeting" => Remote::Meeting { meeting: row.get("meeting_id")? },
        "uploaded" => Remote::Uploaded {
            meeting: row.get("meeting_id")?,
            recording: row.get("recording_id")?,
            since: row.get("remote_ms")?,
        },
        _ => return Err(StoreError::Corrupt { what: "remote", value: word }),
    })
}

/// The columns in which a state is written; the inverse of [`read_state`].
pub(super) struct StateColumns {
    pub(super) state: JobState,
    pub(super) stage: Option<Stage>,
    pub(super) waits_for: Option<WaitReason>,
    pub(super) due: Option<Timestamp>,
}

impl StateColumns {
    pub(super) fn new(state: &State) -> Self {
        let (waits_for, due) = match state {
            State::Ready { due, .. } => (None, Some(*due)),
            State::Waiting { on: Wait::Analysis, .. } => (Some(WaitReason::Analysis), None),
            State::Waiting { on: Wait::Retry { due }, .. } => (Some(WaitReason::Retry), Some(*due)),
            State::Waiting { on: Wait::File { .. }, .. } => (Some(WaitReason::File), None),
            State::Running { .. }
            | State::Done
            | State::Failed
            | State::Skipped
            | State::Cancelled => (None, None),
        };
        Self { state: state.shown_state(), stage: state.stage(), waits_for, due }
    }
}

/// Reads one job that was ever worked on.
pub(super) fn load(tx: &Transaction<'_>, id: JobId) -> Result<Option<Job>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE id = ?1 AND key IS NOT NULL");
    tx.query_row(&sql, params![id], read_job)
}

/// Makes the row of a recording; `content` comes with the generation.
pub(super) fn insert(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: Option<(&Content, u32)>,
    state: &State,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    let columns = StateColumns::new(state);
    let generation = content.map_or(1, |(_, generation)| generation);
    let key = content.map(|(content, generation)| {
        Key { content: content.clone(), folder: recording.folder.clone(), generation }.to_string()
    });
    let length_max = recording.length_max.and_then(|length| i64::try_from(length.as_millis()).ok());
    let length = recording.length.and_then(|length| i64::try_from(length.as_millis()).ok());
    let id = tx.query_value(
        "INSERT INTO job (key, content, folder, generation, path, size, mtime_ns, inode, recorded_ms, backlog, \
         state, stage, waits_for, due_ms, created_ms, updated_ms, sound, length_max_ms, length_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15, ?16, ?17, ?18) RETURNING id",
        params![
            key,
            content.map(|(content, _)| content),
            recording.folder,
            generation,
            recording.path,
            recording.stamp.size,
            recording.stamp.mtime_ns,
            recording.stamp.inode,
            recording.recorded,
            recording.backlog,
            columns.state,
            columns.stage,
            columns.waits_for,
            columns.due,
            now,
            recording.sound,
            length_max,
            length,
        ],
    )?;
    set_file_content(tx, id, recording.content.as_ref())?;
    Ok(id)
}

/// Records where the file of a job is now, and what it is.
pub(super) fn move_to(
    tx: &Transaction<'_>,
    id: JobId,
    recording: &Settled,
) -> Result<(), StoreError> {
    set_path(tx, id, &recording.path)?;
    set_stamp(tx, id, recording.stamp)?;
    set_file_content(tx, id, recording.content.as_ref())
}

/// Records where the file of a job is now.
pub(super) fn set_path(tx: &Transaction<'_>, id: JobId, path: &Path) -> Result<(), StoreError> {
    tx.execute("UPDATE job SET path = ?2 WHERE id = ?1", params![id, path]).map(drop)
}

/// Records the stamp of the file that a job has now.
pub(super) fn set_stamp(tx: &Transaction<'_>, id: JobId, stamp: Stamp) -> Result<(), StoreError> {
    let sql = "UPDATE job SET size = ?2, mtime_ns = ?3, inode = ?4 WHERE id = ?1";
    tx.execute(sql, params![id, stamp.size, stamp.mtime_ns, stamp.inode]).map(drop)
}

/// Records the content of the file that a job has now: what is sent is compared with it.
pub(super) fn set_file_content(
    tx: &Transaction<'_>,
    id: JobId,
    content: Option<&Content>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE job SET file_content = nullif(?2, content) WHERE id = ?1",
        params![id, content],
    )
    .map(drop)
}
