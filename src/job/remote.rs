//! The part of a job that exists at the service.

use jiff::Timestamp;

/// The part of a job that exists at the service. Each variant is committed before the call that leads to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// No meeting was asked for.
    Nothing,
    /// A meeting was about to be created; whether it exists is not known.
    Creating {
        /// The time of the request.
        since: Timestamp,
    },
    /// The meeting exists; an upload may have happened.
    Meeting {
        /// Its id.
        meeting: String,
    },
    /// The recording is there.
    Uploaded {
        /// The meeting.
        meeting: String,
        /// The recording.
        recording: String,
        /// Since when results are waited for: the end of the upload, or of the last request.
        since: Timestamp,
    },
}

impl Remote {
    /// Returns the meeting's id, once it is known.
    #[must_use]
    pub fn meeting_id(&self) -> Option<&str> {
        match self {
            Self::Nothing | Self::Creating { .. } => None,
            Self::Meeting { meeting, .. } | Self::Uploaded { meeting, .. } => Some(meeting),
        }
    }

    /// Returns the id of the active recording, once it is known.
    #[must_use]
    pub fn recording_id(&self) -> Option<&str> {
        match self {
            Self::Nothing | Self::Creating { .. } | Self::Meeting { .. } => None,
            Self::Uploaded { recording, .. } => Some(recording),
        }
    }
}
