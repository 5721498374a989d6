//! What is known of one recording, and better than its folder knows it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Attendee;

/// What somebody who knows the meeting says of it: a sidecar beside the recording, the directory it lies in, or the
/// source it came from. What is absent is left to whoever knows less.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The title of the meeting.
    pub title: Option<String>,
    /// When it began.
    pub date: Option<Timestamp>,
    /// Who was there; an empty list says that nobody is named.
    pub attendees: Option<Vec<Attendee>>,
    /// What the note should hold; an empty one asks for the automatic note.
    pub instruction: Option<String>,
    /// The language that is spoken, ISO 639-1.
    pub language: Option<String>,
}
