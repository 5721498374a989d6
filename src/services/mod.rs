//! What makes notes of recordings: one trait, one folder a service.
//!
//! A service makes one attempt at a call, under a timeout; only the queue retries. What a call returns says what the
//! caller does next, and nothing else.

pub(crate) mod answers;
mod bounded;
pub mod breaker;
pub mod koldan;
pub mod ondevice;
pub mod openai;
pub mod pacer;
pub mod paxs;
mod response_parsing;
mod result_cache;
pub mod saled;
mod sound;
pub mod source_transcripts;
mod trial;

use std::{fs::File, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    beneath::Stamp,
    config::{Analysis, Attendee, MeetingType, OnSuccessRemote},
    job::{Content, Key, Report, Suspect},
    progress::Progress,
    text::rough,
};

/// A notes service.
#[async_trait]
pub trait Service: Send + Sync + std::fmt::Debug {
    /// Returns the name of its table in the config.
    fn name(&self) -> &str;

    /// Returns the extensions it takes, lower case, with the MIME type that it wants for each.
    fn accepts(&self) -> &'static [(&'static str, &'static str)];

    /// Returns whether it hears all sound tracks of what it is sent. Nobody knows that of a server.
    fn hears_all_tracks(&self) -> bool {
        false
    }

    /// Reads something cheap that proves the service and the sign-in: the profile, as the service gave it.
    async fn profile(&self) -> Result<serde_json::Value, CallError>;

    /// Makes a meeting and returns its id. Where there is none to make, the job's key stands for it, which is found
    /// again by itself.
    async fn create(&self, meeting: &NewMeeting) -> Result<String, CallError> {
        Ok(meeting.key.to_string())
    }

    /// Looks for the meeting that carries the marker of `key`, newest first.
    ///
    /// The walk ends where times prove that nothing older than a day before `_since` follows, else at the end of the
    /// list. An incomplete walk is an error: it proves nothing.
    async fn find(&self, key: &Key, _title: &str, _since: Timestamp) -> Result<Option<String>, CallError> {
        Ok(Some(key.to_string()))
    }

    /// Returns whether it has a list of meetings that may hold markers. Where it has none, nothing is read from it
    /// before work begins.
    fn has_markers(&self) -> bool {
        false
    }

    /// Walks the whole list and returns every marker with the id of its meeting.
    async fn markers(&self) -> Result<Vec<(Key, String)>, CallError> {
        Ok(Vec::new())
    }

    /// Returns the recordings attached to a meeting.
    async fn attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError>;

    /// Sends a recording, replacing the one before, and returns its id.
    async fn upload(&self, meeting: &str, upload: Upload) -> Result<String, CallError>;

    /// Returns the results that there are; an empty list is "not yet".
    async fn look(&self, meeting: &str, recording: &str) -> Result<Vec<Report>, CallError>;

    /// Asks for results, again or for the first time.
    async fn request(&self, request: &AnalysisRequest<'_>) -> Result<(), CallError>;

    /// Returns a page of the service's own list, as JSON objects. `page` starts at 1; an empty page is past the end.
    async fn meetings(&self, page: u32) -> Result<Vec<serde_json::Value>, CallError>;

    /// Returns the service's own details of a meeting.
    async fn meeting(&self, id: &str) -> Result<serde_json::Value, CallError>;

    /// Returns whether a service that waits for a person may be asked again, as far as that shows on this machine: its
    /// key is another one. Where a person signs in by a command, that command says so.
    async fn may_be_mended(&self) -> bool {
        false
    }

    /// The results of a meeting are in the queue: what the service keeps on this machine for it may go. One that keeps
    /// nothing here has nothing to do.
    async fn forget(&self, _meeting: &str) {}

    /// The notes of a job are where they belong: what the service itself keeps of it is deleted or purged. What is gone
    /// already is no error. Asked only of a service that can.
    async fn dispose(&self, _meeting: &str, _recording: &str, _how: OnSuccessRemote) -> Result<(), CallError> {
        Ok(())
    }

    /// A person has given a job up: what the service still works on for it may end. Nothing depends on whether it does.
    /// Asked only of a service that can.
    async fn cancel(&self, _meeting: &str, _recording: &str) -> Result<(), CallError> {
        Ok(())
    }
}

/// What a meeting is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMeeting {
    /// Its title.
    pub title: String,
    /// What the description says before its last line, the marker.
    pub description: String,
    /// The job; its marker ends the description.
    pub key: Key,
    /// Who was there.
    pub attendees: Vec<Attendee>,
}

/// A recording at the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: String,
    /// Its file name, when the service tells.
    pub name: Option<String>,
    /// Its size in bytes, when the service tells.
    pub size: Option<u64>,
}

/// A recording to send.
#[derive(Debug)]
pub struct Upload {
    /// The open file, positioned at its start.
    pub file: File,
    /// What it was when its content was hashed; compared before the first and after the last byte.
    pub stamp: Stamp,
    /// The content that was hashed, where the file is the recording itself: what is sent is hashed again on its way.
    pub content: Option<Content>,
    /// The name to send: printable, without quotes, separators or line ends.
    pub name: String,
    /// Its MIME type.
    pub mime: &'static str,
    /// The language that is spoken, where the folder tells.
    pub language: Option<String>,
    /// The recordings of this job at the service that were given up: none of them is found again.
    pub given_up: Vec<String>,
    /// How long it may be. A service that hears it to its end itself, on this machine, stops there.
    pub length_max: Option<Duration>,
    /// Counts the bytes sent.
    pub progress: Arc<Progress>,
}

/// A request for results.
#[derive(Debug, Clone, Copy)]
pub struct AnalysisRequest<'a> {
    /// The meeting.
    pub meeting: &'a str,
    /// The recording.
    pub recording: &'a str,
    /// Which results.
    pub analyses: &'a [Analysis],
    /// What a person wants the note to hold. A service that needs some words without a person's has its own.
    pub instruction: Option<&'a str>,
    /// The kind of meeting.
    pub meeting_type: MeetingType,
    /// The title of the meeting.
    pub title: &'a str,
    /// When it was.
    pub recorded: Timestamp,
    /// Who was there.
    pub attendees: &'a [Attendee],
}

/// What a note is asked for with where no person said what it should hold.
pub(crate) const USUAL_INSTRUCTION: &str = "Write the minutes of this meeting: a short summary, the decisions, the action \
     items with their owners and dates, and the open questions.";

/// Why a call did not give what it should, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No valid sign-in: a person must run `minuted login`.
    #[error("not signed in: {reason}")]
    SignedOut {
        /// What is missing or what the service said.
        reason: String,
    },
    /// 403: scope or permission.
    #[error("the service forbids it (403): {message}")]
    Forbidden {
        /// What the service said.
        message: String,
    },
    /// Another 4xx: the service does not want what it was given.
    #[error("the service refused it ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the service said.
        message: String,
    },
    /// The service or the way to it is broken, busy or slow: DNS, refused, reset, timeout, 408, 425, 429, 5xx, an
    /// answer that is not what was promised.
    #[error("{message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// How long the service asked to be left alone.
        after: Option<Duration>,
        /// Whether the request may have been carried out all the same.
        uncertain: bool,
        /// Whose failure it can be.
        suspect: Suspect,
    },
    /// It is a matter of the recording.
    #[error("the recording {0}")]
    File(FileFault),
}

impl CallError {
    /// Returns the failure of a service alone, with a call that was surely not carried out.
    pub(crate) fn service_alone(message: String) -> Self {
        Self::Unavailable { message, after: None, uncertain: false, suspect: Suspect::Service }
    }

    /// Returns whether the call was surely not carried out.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Unavailable { uncertain, .. } => !uncertain,
            // A conflict may mean that what was asked for is there.
            Self::Refused { status, .. } => *status != 409,
            Self::SignedOut { .. } | Self::Forbidden { .. } | Self::File(_) => true,
        }
    }
}

/// What is the matter with a recording, by what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// Its stamp is another one: it begins again as it is now.
    #[error("changed while it was being sent")]
    Changed,
    /// It could not be read: it waits for its file.
    #[error("could not be read ({0}) while it was being sent")]
    Unreadable(String),
    /// It is not fit for the service, and never will be.
    #[error("{0}")]
    Unfit(String),
    /// There is no sound in it.
    #[error("there is no sound in it")]
    NoSound,
    /// It is longer than it may be: so long.
    #[error("is longer than {}", rough(*.0))]
    TooLong(Duration),
    /// The service worked on it and failed because of it; another try may go better.
    #[error("{0}")]
    Failed(String),
    /// It alone needs something that is not there: it waits, the others need not.
    #[error("{0}")]
    Lacking(String),
}
