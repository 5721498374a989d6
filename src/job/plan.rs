//! What a job remembers of the settings it began with.

use jiff::Timestamp;
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
    /// What somebody told who knows better than the folder.
    #[serde(default)]
    pub told: Told,
}

/// What a plan has from those who know better than the folder, besides what stands in it like the folder's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// When the meeting was, in place of what the recording itself tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Timestamp>,
    /// Who named the attendees: `sidecar`, `sub-folder`, or the name of a source; `None` for the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attendees_from: Option<String>,
    /// The BLAKE3 of the sidecar that was read: it goes where its recording goes, if it still is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<String>,
    /// What a reader of the notes should know of how the recording was sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}
