//! The errors of the queue, by what a caller can do about them.

use super::JobId;
use crate::{hint::Hinted, job::IllegalTransition};

/// The error of a database, as its own library words it.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error of the queue.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or is not a queue of this version.
    #[error("failed to open the queue `{path}`: {reason}")]
    Open {
        /// The file.
        path: String,
        /// The message, without the path.
        reason: String,
        /// The remedy, where one is known.
        hint: Option<&'static str>,
        /// True if a restart does not help: the file is damaged, newer or not ours.
        lasts: bool,
    },
    /// A copy of the queue cannot be written.
    #[error("failed to copy the queue to `{path}`: {reason}")]
    Copy {
        /// The place of the copy.
        path: String,
        /// The message, without the path.
        reason: String,
        /// The remedy, where one is known.
        hint: Option<String>,
    },
    /// A recording has a job of the last generation that can be counted; nothing was written.
    #[error(
        "the recording cannot be redone: `{key}` is of the last generation that can be counted"
    )]
    Generations {
        /// The key of that job.
        key: String,
    },
    /// There is no room on the disk of the state directory.
    #[error("the disk of the queue is full")]
    Full,
    /// Another program holds the file locked; nothing was written.
    #[error("another program holds the queue's file locked")]
    Locked,
    /// The file was removed or replaced while it was in use: what is written there now is lost with
    /// the process.
    #[error("the queue `{path}` was removed or replaced while it was in use")]
    Lost {
        /// The file.
        path: String,
    },
    /// The disk failed a read or a write: what is durable is not known any more, and only a restart
    /// can tell.
    #[error("the disk of the queue failed")]
    Disk(#[source] Cause),
    /// Another state was expected: somebody else (a person's command) changed the job meanwhile.
    #[error("job {job} was changed by someone else meanwhile")]
    Moved {
        /// The job.
        job: JobId,
    },
    /// There is no such job.
    #[error("there is no job {job}")]
    NoSuchJob {
        /// The job.
        job: JobId,
    },
    /// The job's state does not allow it.
    #[error("{0}")]
    Illegal(IllegalTransition),
    /// A row holds what this program never wrote.
    #[error("the queue holds an invalid {what}: `{value}`")]
    Corrupt {
        /// The column.
        what: &'static str,
        /// Its value.
        value: String,
    },
    /// The queue's thread has ended.
    #[error("the queue is closed")]
    Closed,
    /// Anything else that the database says: a bug.
    #[error("the queue refused a statement")]
    Sql(#[source] Cause),
}

impl StoreError {
    /// Returns what a person can do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Open { hint, .. } => *hint,
            Self::Copy { hint, .. } => hint.as_deref(),
            Self::Generations { .. } => {
                Some("copy it with another tag or title, which makes it a recording of its own")
            }
            Self::Lost { .. } => Some(
                "start minuted again: it looks first at what the service and the notes on disk tell, and does \
                 nothing twice",
            ),
            Self::Full
            | Self::Locked
            | Self::Disk(_)
            | Self::Moved { .. }
            | Self::NoSuchJob { .. }
            | Self::Illegal(_)
            | Self::Corrupt { .. }
            | Self::Closed
            | Self::Sql(_) => None,
        }
    }

    /// Returns whether a start fails on it again and again until a person acts.
    #[must_use]
    pub fn lasts(&self) -> bool {
        matches!(self, Self::Open { lasts: true, .. })
    }

    /// Returns whether the process must end and recover: going on could build on what is not
    /// durable.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Disk(_)
            | Self::Lost { .. }
            | Self::Closed
            | Self::Sql(_)
            | Self::Corrupt { .. } => true,
            Self::Open { .. }
            | Self::Copy { .. }
            | Self::Generations { .. }
            | Self::Full
            | Self::Locked
            | Self::Moved { .. }
            | Self::NoSuchJob { .. }
            | Self::Illegal(_) => false,
        }
    }

    /// Returns whether nothing was written, and the same may be tried again in a while.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full | Self::Locked)
    }

    /// Returns whether the queue itself cannot be trusted from now on: after a failed fsync the
    /// next one may succeed although the pages are gone.
    pub(super) fn breaks(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Lost { .. })
    }

    /// Returns what broke the queue, with its cause and what a person can do.
    pub(super) fn breakage(&self) -> Hinted {
        let of_disk = "see what the kernel's log says of the disk; a new start finds out what is durable, and does \
                       nothing twice";
        let message = match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        };
        Hinted::new(message, self.hint().unwrap_or(of_disk))
    }
}

impl From<IllegalTransition> for StoreError {
    fn from(error: IllegalTransition) -> Self {
        Self::Illegal(error)
    }
}

/// An error of a command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// An error of the queue.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The command makes no sense in the state of the job.
    #[error("job {job} {why}")]
    Refused {
        /// The job.
        job: JobId,
        /// The state that forbids it, in words.
        why: String,
        /// The command that helps, where there is one.
        hint: Option<String>,
    },
}
