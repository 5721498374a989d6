//! Skipped recordings: recorded, and not worked on.

use std::{fmt, path::PathBuf};

use jiff::Timestamp;

use super::{
    Job, JobId, Jobs, Settled, Stages, StoreError,
    announce::announce_job,
    deliveries::insert_deliveries,
    history::log,
    jobs::{insert, set_stamp},
    row::words_in_columns,
    sql::{Transaction, params},
    transition::{set_state, transition},
};
use crate::{
    config::NotifyEvent,
    effect::Effect,
    job::{Bound, Content, Event, EventKind, State},
    text::printable_path,
    words::words,
};

/// The reason for which a recording is skipped. Its text is what `why` and the job's `error` show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// No service takes such a file; the text says which files it takes.
    Unsupported(String),
    /// The job of this number has made notes of the same content.
    ContentDone(JobId),
    /// The job of this number has the same content and is not done.
    ContentUnderWay(JobId),
    /// Notes of the same content were made then, by a job that is forgotten.
    ContentForgotten(Timestamp),
    /// The job of this number has made notes of the same sound, in the file of this name.
    SoundDone(JobId, PathBuf),
    /// The job of this number has the same sound, in the file of this name, and is not done.
    SoundUnderWay(JobId, PathBuf),
    /// Notes of the same sound were made then, by a job that is forgotten.
    SoundForgotten(Timestamp),
    /// Notes of the same sound lie there, made before the queue was lost.
    SoundHasNotes(String),
    /// A recording without sound.
    NoSound,
    /// Beyond a bound of its folder.
    Beyond(Bound),
}

words! {
    /// The kind of a [`SkipReason`], as the queue keeps it.
    pub enum SkipKind {
        /// No service takes such a file.
        Unsupported = "unsupported",
        /// Another recording has its content.
        Content = "content",
        /// Another recording has its sound.
        Sound = "sound",
        /// It has no sound.
        NoSound = "no sound",
        /// It exceeds a bound of its folder.
        Limit = "limit",
    }
}

words_in_columns!(SkipKind);

impl SkipReason {
    /// Returns its kind.
    #[must_use]
    pub fn kind(&self) -> SkipKind {
        match self {
            Self::Unsupported(_) => SkipKind::Unsupported,
            Self::ContentDone(_) | Self::ContentUnderWay(_) | Self::ContentForgotten(_) => {
                SkipKind::Content
            }
            Self::SoundDone(..)
            | Self::SoundUnderWay(..)
            | Self::SoundForgotten(_)
            | Self::SoundHasNotes(_) => SkipKind::Sound,
            Self::NoSound => SkipKind::NoSound,
            Self::Beyond(_) => SkipKind::Limit,
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(text) => f.write_str(text),
            Self::ContentDone(job) => write!(f, "its content is done already, as job {job}"),
            Self::ContentUnderWay(job) => {
                write!(f, "its content is that of job {job}, which is being worked on")
            }
            Self::ContentForgotten(at) => {
                write!(f, "its content was done on {}; the job is forgotten", at.strftime("%F"))
            }
            Self::SoundDone(job, path) => {
                write!(f, "the same sound as job {job}, `{}`, which is done", printable_path(path))
            }
            Self::SoundUnderWay(job, path) => {
                write!(
                    f,
                    "the same sound as job {job}, `{}`, which is being worked on",
                    printable_path(path)
                )
            }
            Self::SoundForgotten(at) => {
                write!(
                    f,
                    "the same sound was done on {}, from another file; the job is forgotten",
                    at.strftime("%F")
                )
            }
            Self::SoundHasNotes(notes) => {
                write!(f, "the same sound has its notes already: {notes}")
            }
            Self::NoSound => f.write_str("there is no sound in it"),
            Self::Beyond(bound) => bound.fmt(f),
        }
    }
}

impl Jobs<'_> {
    /// Returns the folder and the path of a recording that is skipped because it exceeds a bound;
    /// `None` for any other.
    pub async fn find_beyond_limits(
        self,
        id: JobId,
    ) -> Result<Option<(String, PathBuf)>, StoreError> {
        self.0
            .read(move |tx| {
                let sql = "SELECT folder, path FROM job WHERE id = ?1 AND state = 'skipped' AND skip = ?2";
                tx.query_row(sql, params![id, SkipKind::Limit], |row| Ok((row.get("folder")?, row.get("path")?)))
            })
            .await
    }
}

impl Stages<'_> {
    /// Ends a job as skipped because of what was found in its recording: no sound, or too much of
    /// it. It counts as no attempt, and what told of an earlier failure beside the recording is
    /// removed.
    pub async fn skip(
        self,
        job: &Job,
        reason: SkipReason,
        now: Timestamp,
    ) -> Result<State, StoreError> {
        let id = job.id;
        let state = job.state.clone();
        self.write_end(move |tx| {
            let next = transition(tx, id, &state, &Event::Skip, now)?;
            let kind = reason.kind();
            let reason = reason.to_string();
            let sql = "UPDATE job SET version = version + 1, error = ?2, skip = ?3 WHERE id = ?1";
            tx.execute(sql, params![id, reason, kind])?;
            insert_deliveries(tx, id, &[], now)?;
            log(tx, id, state.stage(), EventKind::Skipped, Some(&reason), now)?;
            announce_job(tx, NotifyEvent::RecordingSkipped, id, Some(&reason), now)?;
            Ok(next)
        })
        .await
    }

    /// Runs what ends a job without notes, in one transaction.
    pub(super) async fn write_end<T: Send + 'static>(
        self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.write(Effect::Fail, work).await
    }
}

/// Records a file that is not worked on, or finds the row that says so already.
pub(super) fn record_skip(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: Option<&Content>,
    reason: &SkipReason,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    let Settled { folder, path, stamp, sound, .. } = recording;
    let there: Option<JobId> = tx.find_value(
        "SELECT id FROM job WHERE folder = ?1 AND path = ?2 AND state = 'skipped' \
         AND content IS NOT DISTINCT FROM ?3 LIMIT 1",
        params![folder, path, content],
    )?;
    let id = match there {
        Some(id) => id,
        None => insert(tx, recording, content.map(|content| (content, 1)), &State::Skipped, now)?,
    };
    set_stamp(tx, id, *stamp)?;
    set_state(tx, id, &State::Skipped, now)?;
    let kind = reason.kind();
    let reason = reason.to_string();
    let sql = "UPDATE job SET error = ?2, sound = ?3, skip = ?4 WHERE id = ?1";
    tx.execute(sql, params![id, reason, sound, kind])?;
    if there.is_none() {
        log(tx, id, None, EventKind::Skipped, Some(&reason), now)?;
        announce_job(tx, NotifyEvent::RecordingSkipped, id, Some(&reason), now)?;
    }
    Ok(id)
}

/// Forgets that the file exceeded a bound before: now it has another row.
pub(super) fn forget_bound(
    tx: &Transaction<'_>,
    recording: &Settled,
    job: JobId,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM job WHERE folder = ?1 AND path = ?2 AND state = 'skipped' AND skip = ?3 AND id <> ?4";
    tx.execute(sql, params![recording.folder, recording.path, SkipKind::Limit, job]).map(drop)
}
