//! Metadata of one recording that overrides its folder's.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Attendee, Speakers};

/// Metadata of a meeting from a source closer to it than the folder: a sidecar beside the
/// recording, the directory it lies in, or the source it came from. What is absent is left to
/// whoever knows less.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The title of the meeting.
    pub title: Option<String>,
    /// The start of the meeting.
    pub date: Option<Timestamp>,
    /// The attendees; an empty list means that nobody is named.
    pub attendees: Option<Vec<Attendee>>,
    /// The instruction for the note; an empty one asks for the automatic note.
    pub instruction: Option<String>,
    /// The language that is spoken, ISO 639-1.
    pub language: Option<String>,
    /// The number of speakers.
    pub speakers: Option<Speakers>,
}
