//! What a job remembers of the settings it began with.

use serde::{Deserialize, Serialize};

use crate::config::{Analysis, Attendee, MeetingType};

/// The settings of one job, copied before its meeting is created; a later change of the config does not reach them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The name of the service.
    pub service: String,
    /// The title of the meeting.
    pub title: String,
    /// Who was there.
    pub attendees: Vec<Attendee>,
    /// The analyses that the notes are made of.
    pub analyses: Vec<Analysis>,
    /// The instruction for the meeting note.
    #[serde(default)]
    pub instruction: Option<String>,
    /// The language spoken.
    #[serde(default)]
    pub language: Option<String>,
    /// The kind of meeting.
    pub meeting_type: MeetingType,
    /// Whether these notes are not mailed: they only add to notes that were.
    #[serde(default)]
    pub silent: bool,
}
