//! The answer of a folder's calendar for one recording, as its job keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Attendee;

/// The answer of a calendar for one recording. It is made once, with the job's plan, and kept with it: the calendar itself
/// is never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarMatch {
    /// The name of the calendar.
    pub calendar: String,
    /// The answer.
    #[serde(flatten)]
    pub answer: CalendarAnswer,
    /// The events that were near, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<EventCandidate>,
}

/// The answer: an event, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum CalendarAnswer {
    /// One event fits clearly. It gives title and attendees.
    Taken {
        /// The event.
        event: EventSnapshot,
    },
    /// No event fits clearly.
    None {
        /// The reason.
        reason: NoEventReason,
    },
    /// The calendar could not be read for too long.
    Unreadable {
        /// The error of the last try.
        error: String,
    },
}

/// The part of an event that is kept: neither its text nor its links nor its telephone numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSnapshot {
    /// The title, on one line; empty for an event without one.
    pub title: String,
    /// The planned start.
    pub start: Timestamp,
    /// The planned end.
    pub end: Timestamp,
    /// The people who were invited and have not declined.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attendees: Vec<Attendee>,
}

/// An event that was near a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCandidate {
    /// The title, on one line.
    pub title: String,
    /// The planned start.
    pub start: Timestamp,
    /// The planned end.
    pub end: Timestamp,
    /// The time that event and recording share, in percent of the time that either of them takes.
    pub overlap_percent: u8,
}

/// The reason why no event is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoEventReason {
    /// No event is near.
    NothingNear,
    /// The best one shares too little time with the recording.
    TooLittleOverlap,
    /// Two or more fit about as well.
    SeveralFit,
    /// The best one would do if the start of the recording were certain.
    UncertainStart,
    /// The length of the recording is not known.
    UnknownLength,
}

impl NoEventReason {
    /// Returns the reason in words, after "no event is taken:".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NothingNear => "none is near",
            Self::TooLittleOverlap => "the nearest shares too little time with the recording",
            Self::SeveralFit => "several fit about as well",
            Self::UncertainStart => {
                "the nearest does not fit closely enough for a recording whose start is not certain"
            }
            Self::UnknownLength => "the length of the recording is not known",
        }
    }
}
