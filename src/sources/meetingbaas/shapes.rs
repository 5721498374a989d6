//! What is sent and shown, whatever the version.

use jiff::Timestamp;
use serde::Serialize;
use url::Url;

use crate::services::CallError;

/// Why a call was not made, or went wrong.
#[derive(Debug, thiserror::Error)]
pub enum BotCallError {
    /// The version has no such call.
    #[error("{0}")]
    Lacks(&'static str),
    /// It went wrong.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A bot to send.
#[derive(Debug, Clone, Copy)]
pub struct BotJoin<'a> {
    /// The address of the meeting.
    pub meeting_url: &'a Url,
    /// When to join; `None` is now.
    pub at: Option<Timestamp>,
    /// What the bot is called in the meeting.
    pub name: &'a str,
    /// Whether the vendor transcribes what it records.
    pub transcribe: bool,
}

/// A bot to send to an event.
#[derive(Debug, Clone, Copy)]
pub struct BotSchedule<'a> {
    /// What the bot is called in the meeting.
    pub name: &'a str,
    /// Whether the vendor transcribes what it records.
    pub transcribe: bool,
    /// Whether a bot joins all meetings of the series.
    pub whole_series: bool,
}

/// Where an event of version 2 is.
#[derive(Debug)]
pub(super) struct EventLocation {
    /// The calendar.
    pub(super) calendar: String,
    /// The series, which every event has.
    pub(super) series: String,
}

/// A bot, as the vendor shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bot {
    /// Its id.
    pub id: String,
    /// What it is called in the meeting.
    pub name: Option<String>,
    /// The address of the meeting.
    pub meeting_url: Option<String>,
    /// How far it is, in the vendor's word; version 1 has none, and `ended` or `not ended` stands for it.
    pub status: String,
    /// When it is to join, or was sent.
    pub at: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A calendar that is connected to the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Calendar {
    /// Its id.
    pub id: String,
    /// What it is called, where that is told.
    pub name: Option<String>,
    /// Whose it is.
    pub email: Option<String>,
    /// Whether it works, in the vendor's word, where that is told.
    pub status: Option<String>,
}

/// An event of a calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CalendarEvent {
    /// Its id.
    pub id: String,
    /// The calendar that it is in.
    pub calendar: String,
    /// Its title.
    pub title: Option<String>,
    /// When it starts.
    pub starts: Option<Timestamp>,
    /// When it ends.
    pub ends: Option<Timestamp>,
    /// The address of its meeting, where it has one.
    pub meeting_url: Option<String>,
    /// Whether it is one of a series.
    pub recurs: bool,
    /// Whether a bot is to join it.
    pub bot: bool,
}
