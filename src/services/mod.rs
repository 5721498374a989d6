//! The programs that make notes of recordings: two kinds of them, one folder each.
//!
//! A [`NotesService`] keeps meetings, and makes their notes in its own time; the worker and the
//! pipeline know this one alone. A `Transcriber` returns a transcript when it is called, and keeps
//! nothing: `local_service` makes a notes service of it. Each makes one attempt at a call, under a
//! timeout; only the queue retries. The error of a call determines the caller's next step.
//!
//! | file | task |
//! |---|---|
//! | `notes_service` | the trait of services that keep meetings |
//! | `transcriber` | the trait of programs that transcribe at once |
//! | `local_service` | a notes service made of a transcriber, with the cache of its results |
//! | `chat_service` | the writer of notes that is a service of its own |
//! | `connect` | the composition: which kind of the config is which service |
//! | `forecast` | what a service takes for a recording, before it is sent |
//! | `health` | which calls of a service are held, and what a failed call says about it |
//! | `http_service` | pace, key and refused key of calls over HTTP |
//! | `answers` | a status and a body as a [`CallError`] |
//! | `response_parsing` | transcripts and model output, read leniently |
//! | `result_cache` | results on this machine until they are in the queue |

mod accepted;
pub(crate) mod answers;
pub(crate) mod bounded;
pub(crate) mod breaker;
mod chat_service;
mod connect;
mod forecast;
pub(crate) mod health;
pub(crate) mod http_service;
pub(crate) mod koldan;
mod local_service;
mod notes_service;
mod ondevice;
mod openai;
pub(crate) mod pacer;
pub(crate) mod paxs;
mod response_parsing;
mod result_cache;
mod saled;
mod sound;
pub(crate) mod source_transcripts;
mod transcriber;
mod trial;

use std::{fs::File, sync::Arc, time::Duration};

use jiff::Timestamp;

pub(crate) use self::accepted::{accepted_extensions, conversion_form, convertible_extensions};
pub(crate) use self::connect::{Connection, connect};
pub(crate) use self::forecast::forecast;
pub(crate) use self::notes_service::NotesService;
use crate::{
    beneath::Stamp,
    config::{Analysis, Attendee, MeetingType, Speakers},
    http::{FileBody, UploadError},
    job::{Content, Key, Suspect},
    progress::Progress,
    text::format_duration,
};

/// The contents of a meeting that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewMeeting {
    /// Its title.
    pub title: String,
    /// The description without its last line, the marker.
    pub description: String,
    /// The job; its marker ends the description.
    pub key: Key,
    /// The people who took part.
    pub attendees: Vec<Attendee>,
}

/// A recording at the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// Its id.
    pub id: String,
    /// Its file name, where the service gives it.
    pub name: Option<String>,
    /// Its size in bytes, where the service gives it.
    pub size: Option<u64>,
}

/// A recording to send.
#[derive(Debug)]
pub(crate) struct Upload {
    /// The open file, positioned at its start.
    pub file: File,
    /// The stamp of the file when its content was hashed; compared before the first and after the
    /// last byte.
    pub stamp: Stamp,
    /// The content that was hashed, where the file is the recording itself: the bytes are hashed
    /// again while they are sent.
    pub content: Option<Content>,
    /// The name to send: printable, without quotes, separators or line ends.
    pub name: String,
    /// Its MIME type.
    pub mime: &'static str,
    /// The language that is spoken, where the folder names it.
    pub language: Option<String>,
    /// Names and words that are likely to be spoken, for a recogniser that can be told.
    pub expected_words: Vec<String>,
    /// The number of speakers, where the service tells them apart.
    pub speakers: Speakers,
    /// Recordings of this job at the service that were discarded: none of them is found again.
    pub given_up: Vec<String>,
    /// The longest duration that is allowed. It is enforced by a service that decodes the recording
    /// on this machine.
    pub length_max: Option<Duration>,
    /// Counts the bytes sent.
    pub progress: Arc<Progress>,
}

impl Upload {
    /// Returns the body of a call that sends the recording under `name`, with additional form
    /// fields.
    pub(crate) fn form_body<'a>(
        &'a self,
        name: &'a str,
        fields: &'a [(&'a str, &'a str)],
    ) -> Result<FileBody<'a>, UploadError> {
        let file =
            self.file.try_clone().map_err(|error| UploadError::Unreadable(error.to_string()))?;
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
pub(crate) struct AnalysisRequest<'a> {
    /// The meeting.
    pub meeting: &'a str,
    /// The recording.
    pub recording: &'a str,
    /// The results to make.
    pub analyses: &'a [Analysis],
    /// A person's wishes for the note. A service that needs some instruction has one of its own.
    pub instruction: Option<&'a str>,
    /// The kind of meeting.
    pub meeting_type: MeetingType,
    /// The title of the meeting.
    pub title: &'a str,
    /// The start of the recording.
    pub recorded: Timestamp,
    /// The people who took part.
    pub attendees: &'a [Attendee],
}

/// The instruction of a note for which no person gave one.
pub(crate) const USUAL_INSTRUCTION: &str = "Write the minutes of this meeting: a short summary, the decisions, the action \
     items with their owners and dates, and the open questions.";

/// The error of a call, by the caller's next step.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No valid sign-in: a person must run `minuted login`.
    #[error("not signed in: {reason}")]
    SignedOut {
        /// The missing part of the sign-in, or the service's message.
        reason: String,
    },
    /// 403: scope or permission.
    #[error("the service forbids it (403): {message}")]
    Forbidden {
        /// The service's message.
        message: String,
    },
    /// Another 4xx: the service rejects the request.
    #[error("the service refused it ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The service's message.
        message: String,
    },
    /// The service or the connection to it is broken, busy or slow: DNS, refused, reset, timeout,
    /// 408, 425, 429, 5xx, an answer in an unexpected form.
    #[error("{message}")]
    Unavailable {
        /// The cause.
        message: String,
        /// The pause that the service asked for.
        after: Option<Duration>,
        /// True where the request may have been carried out all the same.
        uncertain: bool,
        /// The possible culprit.
        suspect: Suspect,
    },
    /// The recording is at fault.
    #[error("the recording {0}")]
    File(FileFault),
}

impl CallError {
    /// Returns a failure of the service alone, by a call that was certainly not carried out.
    pub(crate) fn service_alone(message: String) -> Self {
        Self::Unavailable { message, after: None, uncertain: false, suspect: Suspect::Service }
    }

    /// Returns whether the call was certainly not carried out.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Unavailable { uncertain, .. } => !uncertain,
            // A conflict may mean that the result of the call is already there.
            Self::Refused { status, .. } => *status != 409,
            Self::SignedOut { .. } | Self::Forbidden { .. } | Self::File(_) => true,
        }
    }
}

/// The fault of a recording, by its consequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// Its stamp has changed: the recording starts again in its present form.
    #[error("changed while it was being sent")]
    Changed,
    /// The file could not be read: the job waits for it.
    #[error("could not be read ({0}) while it was being sent")]
    Unreadable(String),
    /// The recording does not suit the service, and a retry cannot help.
    #[error("{0}")]
    Unfit(String),
    /// There is no sound in it.
    #[error("there is no sound in it")]
    NoSound,
    /// The recording is longer than this limit.
    #[error("is longer than {}", format_duration(*.0))]
    TooLong(Duration),
    /// The service failed at this recording; a retry may succeed.
    #[error("{0}")]
    Failed(String),
    /// This recording alone needs something that is missing: it waits, and the others do not.
    #[error("{0}")]
    Lacking(String),
}
