//! Why a stage did not finish, by what the worker does about it. The error text is only its story.

use std::time::Duration;

use jiff::Timestamp;

use super::{Bound, Stage};

/// Whose failure it can be that a service did not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspect {
    /// The service's alone: a rate limit, an overload, a way that is not there, a set-up that is refused.
    Service,
    /// The service's or the recording's: what else succeeds meanwhile tells which.
    Either,
}

/// A stage that did not finish.
#[derive(Debug)]
pub enum Setback {
    /// Not ready yet; nothing went wrong.
    Snooze {
        /// When to look again.
        until: Timestamp,
    },
    /// This recording's own failure: counts.
    Own {
        /// Where the next attempt begins.
        from: Stage,
        /// What went wrong.
        error: anyhow::Error,
    },
    /// Something is missing that this recording alone needs: it waits, and is tried again now and then.
    Lacking {
        /// What is missing, and the cure.
        error: anyhow::Error,
    },
    /// What is known of this recording cannot be taken as it is, so that nobody was asked: it alone waits for a person.
    InvalidMetadata {
        /// What is wrong, and the cure.
        error: anyhow::Error,
    },
    /// The service's failure: does not count; its breaker holds the call.
    Unavailable {
        /// What went wrong.
        error: anyhow::Error,
        /// Whose failure it can be.
        suspect: Suspect,
        /// How long the service asked to be left alone.
        after: Option<Duration>,
    },
    /// The service wants a person: to sign in again, or to give it a scope. Its jobs wait.
    ServiceRefused {
        /// Whether a sign-in cures it; else it is a matter of scope or permission.
        signed_out: bool,
        /// What it said.
        error: anyhow::Error,
    },
    /// The folder's settings are refused: its jobs wait for a reload.
    FolderRefused {
        /// What the service said.
        error: anyhow::Error,
    },
    /// The file is gone, unreadable or another one: the job waits for it.
    FileLost {
        /// What was found.
        error: anyhow::Error,
    },
    /// The file's bytes are others than those that were taken in, although its stamp may be the same: it is examined again,
    /// and the job waits for what it was.
    FileChanged {
        /// What was found.
        error: anyhow::Error,
    },
    /// There is no sound in the recording: it is skipped. Not a failure, and nobody is told.
    NoSound,
    /// The recording exceeds a bound of its folder, as hearing it has shown: it is skipped.
    Beyond(Bound),
    /// No retry can help.
    GiveUp {
        /// Why.
        error: anyhow::Error,
    },
    /// The queue could not record; the daemon decides.
    Queue(anyhow::Error),
}
