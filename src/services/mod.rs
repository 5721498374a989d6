//! The programs that make notes of recordings: two kinds of them, one folder each.
//!
//! A [`NotesService`] keeps meetings, and makes their notes in its own time; the worker and the
//! pipeline know this one alone. A `Transcriber` gives a transcript back when it is called, and
//! keeps nothing: `local_service` makes a notes service of it. Each makes one attempt at a call,
//! under a timeout; only the queue retries. The outcome of a call tells the caller its next step.
//!
//! | file | task |
//! |---|---|
//! | `notes_service` | the trait of services that keep meetings |
//! | `transcriber` | the trait of programs that transcribe at once |
//! | `local_service` | a notes service made of a transcriber, with the cache of its results |
//! | `connect` | the composition: which kind of the config is which service |
//! | `health` | which calls of a service are held, and what a failed call says about it |
//! | `http_service` | pace, key and refused key of calls over HTTP |
//! | `answers` | a status and a body as a [`CallError`] |
//! | `response_parsing` | transcripts and model output, read leniently |
//! | `result_cache` | results on this machine until they are in the queue |

mod accepted;
pub(crate) mod answers;
pub(crate) mod bounded;
pub mod breaker;
mod connect;
pub mod health;
pub(crate) mod http_service;
pub mod koldan;
mod local_service;
mod notes_service;
mod ondevice;
mod openai;
pub mod pacer;
pub mod paxs;
mod response_parsing;
mod result_cache;
mod saled;
mod sound;
pub(crate) mod source_transcripts;
mod transcriber;
mod trial;

use std::{fs::File, sync::Arc, time::Duration};

use jiff::Timestamp;

pub use self::accepted::{accepted_extensions, conversion_form, convertible_extensions};
pub(crate) use self::connect::{Connection, connect};
pub use self::notes_service::NotesService;
use crate::{
    beneath::Stamp,
    config::{Analysis, Attendee, MeetingType},
    http::{FileBody, UploadError},
    job::{Content, Key, Suspect},
    progress::Progress,
    text::rough,
};

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

impl Upload {
    /// Returns the body of a call that sends the recording under `name`, with more fields of the form.
    pub(crate) fn form_body<'a>(
        &'a self,
        name: &'a str,
        fields: &'a [(&'a str, &'a str)],
    ) -> Result<FileBody<'a>, UploadError> {
        let file = self.file.try_clone().map_err(|error| UploadError::Unreadable(error.to_string()))?;
        Ok(FileBody {
            file,
            stamp: self.stamp,
            content: self.content.as_ref().map(Content::as_str),
            name,
            mime: self.mime,
            fields,
            progress: Arc::clone(&self.progress),
        })
    }
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
