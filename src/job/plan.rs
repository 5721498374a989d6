//! The settings that a job keeps from its start.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::CalendarMatch;
use crate::config::{Analysis, Attendee, MeetingType, Speakers};

/// The settings of one job, copied before its meeting is created; a later change of the config does not reach them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The name of the service.
    pub service: String,
    /// The title of the meeting.
    pub title: String,
    /// The attendees.
    pub attendees: Vec<Attendee>,
    /// The analyses that the notes are made of.
    pub analyses: Vec<Analysis>,
    /// The instruction for the meeting note.
    #[serde(default)]
    pub instruction: Option<String>,
    /// The language spoken.
    #[serde(default)]
    pub language: Option<String>,
    /// The number of speakers.
    #[serde(default)]
    pub speakers: Speakers,
    /// The kind of meeting.
    pub meeting_type: MeetingType,
    /// True if these notes are not mailed, because they only complete notes that were.
    #[serde(default)]
    pub silent: bool,
    /// Metadata that overrides the folder's; its word in the queue is `told`.
    #[serde(default, rename = "told")]
    pub details_source: DetailsSource,
    /// The answer of the folder's calendar, where it has one that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<CalendarMatch>,
}

/// The details of a plan that a sidecar or a source gave instead of the folder, and where they came
/// from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DetailsSource {
    /// The date of the meeting, in place of that of the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<Timestamp>,
    /// The origin of the attendees: `sidecar`, `sub-folder`, `calendar`, or the name of a source; `None` for the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attendees_from: Option<String>,
    /// The BLAKE3 of the sidecar that was read: it goes where its recording goes, if it still is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<String>,
    /// Remarks for the reader about how the recording was sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}
