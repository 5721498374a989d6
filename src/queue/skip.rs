//! Why a recording is recorded and not worked on.

use std::{fmt, path::PathBuf};

use jiff::Timestamp;

use rusqlite::{Transaction, params};

use super::{
    Job, JobId, Queue, QueueError,
    delivery::insert_deliveries,
    record::{log, transition},
};
use crate::{
    effect::Effect,
    job::{Event, State},
    text::printable_path,
};

/// The word of the history for a recording that is skipped.
pub(super) const SKIPPED: &str = "skipped";

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
    /// There is no sound in it.
    NoSound,
}

/// The word of the queue for a recording that is skipped because of its sound.
pub(super) const SAME_SOUND: &str = "sound";

/// The word of the queue for a recording without sound.
pub(super) const NO_SOUND: &str = "no sound";

impl SkipReason {
    /// Returns the word used in the queue.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unsupported(_) => "unsupported",
            Self::ContentDone(_) | Self::ContentUnderWay(_) | Self::ContentForgotten(_) => "content",
            Self::SoundDone(..) | Self::SoundUnderWay(..) | Self::SoundForgotten(_) | Self::SoundHasNotes(_) => {
                SAME_SOUND
            }
            Self::NoSound => NO_SOUND,
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(text) => f.write_str(text),
            Self::ContentDone(job) => write!(f, "its content is done already, as job {job}"),
            Self::ContentUnderWay(job) => write!(f, "its content is that of job {job}, which is being worked on"),
            Self::ContentForgotten(at) => {
                write!(f, "its content was done on {}; the job is forgotten", at.strftime("%F"))
            }
            Self::SoundDone(job, path) => {
                write!(f, "the same sound as job {job}, `{}`, which is done", printable_path(path))
            }
            Self::SoundUnderWay(job, path) => {
                write!(f, "the same sound as job {job}, `{}`, which is being worked on", printable_path(path))
            }
            Self::SoundForgotten(at) => {
                write!(f, "the same sound was done on {}, from another file; the job is forgotten", at.strftime("%F"))
            }
            Self::SoundHasNotes(notes) => write!(f, "the same sound has its notes already: {notes}"),
            Self::NoSound => f.write_str("there is no sound in it"),
        }
    }
}

impl Queue {
    /// Ends a job as skipped because there is no sound in its recording. It counts as no attempt, and what told of an
    /// earlier failure beside the recording is removed.
    pub async fn skip_soundless(&self, job: &Job, now: Timestamp) -> Result<State, QueueError> {
        let id = job.id;
        let state = job.state.clone();
        self.write_end(move |tx| {
            let next = transition(tx, id, &state, &Event::FindNoSound, now)?;
            let reason = SkipReason::NoSound.to_string();
            tx.execute(
                "UPDATE job SET version = version + 1, error = ?2, skip = ?3 WHERE id = ?1",
                params![id.0, reason, SkipReason::NoSound.as_str()],
            )?;
            insert_deliveries(tx, id, &[], now)?;
            log(tx, id, state.stage(), SKIPPED, Some(&reason), now)?;
            Ok(next)
        })
        .await
    }

    /// Runs what ends a job without notes, in one transaction.
    pub(super) async fn write_end<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.write(Effect::Fail, work).await
    }
}
