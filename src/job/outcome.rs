//! What a stage reports. The error text is only its story.

use std::time::Duration;

use jiff::Timestamp;

use super::Stage;

/// The result of running one stage once.
#[derive(Debug)]
pub enum Outcome {
    /// The stage is done; go on.
    Advance,
    /// Not ready yet; nothing went wrong.
    Snooze {
        /// When to look again.
        until: Timestamp,
    },
    /// This recording's own failure: counts.
    Retry {
        /// Where the next attempt begins.
        from: Stage,
        /// What went wrong.
        error: anyhow::Error,
    },
    /// The service's failure: does not count; its breaker holds the call.
    Unavailable {
        /// What went wrong.
        error: anyhow::Error,
        /// How long the service asked to be left alone.
        after: Option<Duration>,
    },
    /// The service wants a person to sign in again: its jobs wait.
    SignedOut {
        /// What it said.
        error: anyhow::Error,
    },
    /// The folder's settings are refused: its jobs wait for a reload.
    FolderRefused {
        /// What the service said.
        error: anyhow::Error,
    },
    /// The file is gone, unreadable or changed: the job waits for it.
    FileLost {
        /// What was found.
        error: anyhow::Error,
    },
    /// No retry can help.
    GiveUp {
        /// Why.
        error: anyhow::Error,
    },
}
