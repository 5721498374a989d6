//! The reason why a stage did not finish, by what the worker does next. The error text is only shown.

use std::time::Duration;

use jiff::Timestamp;

use super::{Bound, Stage};

/// The party that may have caused a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspect {
    /// The service's alone: a rate limit, an overload, a way that is not there, a set-up that is refused.
    Service,
    /// The service's or the recording's: what else succeeds meanwhile tells which.
    Either,
}

/// A stage that did not finish.
#[derive(Debug)]
pub(crate) enum Setback {
    /// Not ready yet; nothing went wrong.
    Snooze {
        /// The time of the next look.
        until: Timestamp,
    },
    /// This recording's own failure: counts.
    Own {
        /// The stage at which the next attempt begins.
        from: Stage,
        /// The error.
        error: anyhow::Error,
    },
    /// A dependency is missing that only this recording needs: it waits, and is tried again now and then.
    Lacking {
        /// The missing dependency, and the cure.
        error: anyhow::Error,
    },
    /// The calendar of its folder cannot be read: the job waits for it for a while.
    CalendarUnreadable {
        /// The error, and the cure.
        error: anyhow::Error,
    },
    /// The recording's metadata is invalid, so no service was asked: this job waits for a person.
    InvalidMetadata {
        /// The mistake, and the cure.
        error: anyhow::Error,
    },
    /// The service's failure: does not count; its breaker holds the call.
    Unavailable {
        /// The error.
        error: anyhow::Error,
        /// The party that may have caused it.
        suspect: Suspect,
        /// The pause that the service asked for.
        after: Option<Duration>,
    },
    /// The service wants a person: to sign in again, or to give it a scope. Its jobs wait.
    ServiceRefused {
        /// True if a new sign-in is the cure; else it is a matter of scope or permission.
        signed_out: bool,
        /// The service's message.
        error: anyhow::Error,
    },
    /// The folder's settings are refused: its jobs wait for a reload.
    FolderRefused {
        /// The service's message.
        error: anyhow::Error,
    },
    /// The file is gone, unreadable or another one: the job waits for it.
    FileLost {
        /// The finding.
        error: anyhow::Error,
    },
    /// The file's bytes are others than those that were taken in, although its stamp may be the same: it is examined again,
    /// and the job waits for what it was.
    FileChanged {
        /// The finding.
        error: anyhow::Error,
    },
    /// There is no sound in the recording: it is skipped. Not a failure, and nobody is told.
    NoSound,
    /// The recording exceeds a bound of its folder, as hearing it has shown: it is skipped.
    Beyond(Bound),
    /// No retry can help.
    GiveUp {
        /// The reason.
        error: anyhow::Error,
    },
    /// The queue could not record; the daemon decides.
    Queue(anyhow::Error),
}

impl Setback {
    /// Returns the error, where something went wrong.
    pub(crate) fn error(&self) -> Option<&anyhow::Error> {
        match self {
            Self::Snooze { .. } | Self::NoSound | Self::Beyond(_) => None,
            Self::Own { error, .. }
            | Self::Lacking { error }
            | Self::CalendarUnreadable { error }
            | Self::InvalidMetadata { error }
            | Self::Unavailable { error, .. }
            | Self::ServiceRefused { error, .. }
            | Self::FolderRefused { error }
            | Self::FileLost { error }
            | Self::FileChanged { error }
            | Self::GiveUp { error }
            | Self::Queue(error) => Some(error),
        }
    }
}
