//! Types that both versions share.

use jiff::Timestamp;
use serde::Serialize;
use url::Url;

use crate::services::CallError;

/// The reason why a call about bots was not made, or failed.
#[derive(Debug, thiserror::Error)]
pub enum BotCallError {
    /// The version has no such call.
    #[error("{0}")]
    Lacks(&'static str),
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A bot to send.
#[derive(Debug, Clone, Copy)]
pub struct BotJoin<'a> {
    /// The address of the meeting.
    pub meeting_url: &'a Url,
    /// The time to join; `None` is now.
    pub at: Option<Timestamp>,
    /// The bot's name in the meeting.
    pub name: &'a str,
    /// True if the vendor is to transcribe the recording.
    pub transcribe: bool,
}

/// A bot to send to an event.
#[derive(Debug, Clone, Copy)]
pub struct BotSchedule<'a> {
    /// The bot's name in the meeting.
    pub name: &'a str,
    /// True if the vendor is to transcribe the recording.
    pub transcribe: bool,
    /// True for all meetings of the series.
    pub whole_series: bool,
}

/// The calendar and the series of an event of version 2.
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
    /// Its name in the meeting.
    pub name: Option<String>,
    /// The address of the meeting.
    pub meeting_url: Option<String>,
    /// Its state, in the vendor's word; version 1 has none, so it is `ended` or `not ended`.
    pub status: String,
    /// The time at which it joins, or was sent.
    pub at: Option<Timestamp>,
    /// The time at which it ended.
    pub ended: Option<Timestamp>,
    /// The error with which it failed.
    pub error: Option<String>,
}

/// A calendar that is connected to the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Calendar {
    /// Its id.
    pub id: String,
    /// Its name, where the vendor gives one.
    pub name: Option<String>,
    /// The address of its owner.
    pub email: Option<String>,
    /// Its state in the vendor's word, where there is one.
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
    /// Its start.
    pub starts: Option<Timestamp>,
    /// Its end.
    pub ends: Option<Timestamp>,
    /// The address of its meeting, where it has one.
    pub meeting_url: Option<String>,
    /// True for an event of a series.
    pub recurs: bool,
    /// True if a bot will join it.
    pub bot: bool,
}
