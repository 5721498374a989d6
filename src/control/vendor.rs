//! The account at a source, as people and programs use it: bots and calendars, asked straight at the vendor.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use jiff::{Timestamp, ToSpan as _, civil, tz::TimeZone};
use serde_json::{Value, json};
use url::Url;

use super::{Answer, ControlService, Refusal, source::find_source};
use crate::{
    clock,
    config::{self, Settings},
    services::{CallError, pacer::Pacer},
    sources::{
        Source as _,
        meetingbaas::{
            BOT_NAME, Bot, BotCallError, BotJoin, BotSchedule, Calendar, CalendarEvent,
            MeetingBaas, suggest_cure,
        },
    },
    text::{error_chain, one_line},
};

/// The limit of one call.
const REQUEST: Duration = Duration::from_secs(30);

/// The command that lists the bots.
const LIST_BOTS: &str = "minuted bot list shows the bots that there are";

/// The command that lists events, and which of them have a bot.
const LIST_EVENTS: &str =
    "minuted calendar events shows what is to come, and which of it has a bot";

/// The command that lists the calendars.
const LIST_CALENDARS: &str = "minuted calendar list shows the calendars that there are";

/// A bot to send, as a person or a program asks for it.
#[derive(Debug)]
pub(crate) struct BotOrder<'a> {
    /// The link of the invitation.
    pub url: &'a str,
    /// The time to join: of the day, of a date, or with its zone; `None` is now.
    pub at: Option<&'a str>,
    /// The bot's name in the meeting; `None` is `minuted`.
    pub name: Option<&'a str>,
    /// True if the vendor is to transcribe the recording.
    pub transcribe: bool,
}

/// A bot to send to an event.
#[derive(Debug)]
pub(crate) struct EventBotOrder<'a> {
    /// The event, by the vendor's id.
    pub event: &'a str,
    /// The bot's name in the meeting; `None` is `minuted`.
    pub name: Option<&'a str>,
    /// True if the vendor is to transcribe the recording.
    pub transcribe: bool,
    /// True for all meetings of the series.
    pub whole_series: bool,
}

/// The account at a source.
#[derive(Debug)]
pub(crate) struct VendorAccount {
    source: config::Source,
    baas: MeetingBaas,
}

impl ControlService {
    /// Opens the account at a source by the settings in force.
    ///
    /// # Errors
    /// As [`VendorAccount::find`].
    pub(crate) fn vendor_account(&self, source: &str) -> Result<VendorAccount, Refusal> {
        VendorAccount::find(&self.live_settings().settings, Some(source))
    }
}

impl VendorAccount {
    /// Opens the account at the source of that name; at the only one where none is named.
    ///
    /// # Errors
    /// When there is no such source, or it cannot be set up.
    pub(crate) fn find(settings: &Settings, name: Option<&str>) -> Result<Self, Refusal> {
        Self::open(settings, find_source(settings, name)?)
    }

    /// Opens the account at a source.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub(crate) fn open(settings: &Settings, source: &config::Source) -> Result<Self, Refusal> {
        let pace = NonZeroU32::new(settings.workers.requests_per_second).unwrap_or(NonZeroU32::MIN);
        let baas = MeetingBaas::new(source, REQUEST, Arc::new(Pacer::new(pace)));
        let baas = baas.map_err(|error| {
            let cause = one_line(&error_chain(&error), 500);
            Refusal::new(format!("failed to set up the source `{}`: {cause}", source.name))
        })?;
        Ok(Self { source: source.clone(), baas })
    }

    /// Reads a list of one, which shows that the key is good.
    ///
    /// # Errors
    /// That of the call.
    pub(crate) async fn check_access(&self) -> Result<(), CallError> {
        self.baas.check_access().await.map(drop)
    }

    /// Sends a bot to a meeting.
    pub(crate) async fn send_bot(&self, order: &BotOrder<'_>) -> Answer {
        let meeting_url = parse_meeting_address(order.url)?;
        let here = TimeZone::system();
        let at = order.at.map(|at| parse_future_time(at, clock::now(), &here)).transpose()?;
        let join = BotJoin {
            meeting_url: &meeting_url,
            at,
            name: order.name.unwrap_or(BOT_NAME),
            transcribe: order.transcribe,
        };
        let sent = self.baas.send_bot(&join).await;
        let bot = sent
            .map_err(|error| self.undone_request(&error, "a bot may have been sent", LIST_BOTS))?;
        let when = at.map(|at| format!(" at {}", format_minute(at))).unwrap_or_default();
        let message = format!("bot {bot} joins {}{when}", one_line(meeting_url.as_str(), 200));
        let source = &self.source.name;
        Ok(json!({
            "bot": bot, "source": source, "meeting_url": meeting_url.as_str(), "at": at, "message": message,
        }))
    }

    /// Lists the newest bots, those that are still to join first.
    pub(crate) async fn list_bots(&self) -> Result<Vec<Bot>, Refusal> {
        self.baas.list_bots().await.map_err(|error| self.unanswered_question(&error, LIST_BOTS))
    }

    /// Has a bot leave its meeting, or never join it.
    pub(crate) async fn recall_bot(&self, bot: &str) -> Answer {
        let recalled = self.baas.recall_bot(bot).await;
        recalled.map_err(|error| {
            self.undone_request(&error, "the bot may have been called back", LIST_BOTS)
        })?;
        Ok(bot_outcome(bot, "leaves"))
    }

    /// Has the vendor transcribe what a bot recorded, again or for the first time.
    pub(crate) async fn retranscribe(&self, bot: &str) -> Answer {
        match self.baas.request_transcription(bot).await {
            Ok(()) => Ok(bot_outcome(
                bot,
                "is transcribed again; what was said is read when it is fetched",
            )),
            Err(BotCallError::Lacks(what)) => Err(Refusal::new(what)),
            Err(BotCallError::Call(error)) => {
                Err(self.undone_request(&error, "it may be transcribed again", LIST_BOTS))
            }
        }
    }

    /// Lists the calendars that are connected to the account.
    pub(crate) async fn list_calendars(&self) -> Result<Vec<Calendar>, Refusal> {
        let calendars = self.baas.list_calendars().await;
        calendars.map_err(|error| self.unanswered_question(&error, LIST_CALENDARS))
    }

    /// Lists the events to come in a calendar; without its id, in all of them.
    pub(crate) async fn list_events(
        &self,
        calendar: Option<&str>,
    ) -> Result<Vec<CalendarEvent>, Refusal> {
        let events = self.baas.list_events(calendar).await;
        events.map_err(|error| self.unanswered_question(&error, LIST_CALENDARS))
    }

    /// Has a bot join the meeting of an event, or of its whole series.
    pub(crate) async fn schedule_bot(&self, order: &EventBotOrder<'_>) -> Answer {
        let EventBotOrder { event, name, transcribe, whole_series } = *order;
        let name = name.unwrap_or(BOT_NAME);
        let plan = BotSchedule { name, transcribe, whole_series };
        let scheduled = self.baas.schedule_bot(event, &plan).await;
        scheduled.map_err(|error| {
            self.undone_request(&error, "a bot may have been planned", LIST_EVENTS)
        })?;
        Ok(event_outcome(event, whole_series, "has a bot"))
    }

    /// Has no bot join the meeting of an event, or of its whole series.
    pub(crate) async fn unschedule_bot(&self, event: &str, whole_series: bool) -> Answer {
        let unscheduled = self.baas.unschedule_bot(event, whole_series).await;
        unscheduled.map_err(|error| {
            self.undone_request(&error, "the bot may have been taken away", LIST_EVENTS)
        })?;
        Ok(event_outcome(event, whole_series, "has no bot"))
    }

    /// Returns the refusal of a question that was not answered. `missing` is the cure where what was asked about is
    /// not there.
    fn unanswered_question(&self, error: &CallError, missing: &str) -> Refusal {
        let message =
            format!("source `{}`: {}", self.source.name, one_line(&error_chain(error), 500));
        match error {
            CallError::Refused { status: 404, .. } => Refusal::unknown(message).hint(missing),
            CallError::SignedOut { .. }
            | CallError::Forbidden { .. }
            | CallError::Refused { .. }
            | CallError::Unavailable { .. }
            | CallError::File(_) => {
                Refusal { hint: suggest_cure(&self.source, error), ..Refusal::new(message) }
            }
        }
    }

    /// Returns the refusal of a request that was not done, or may have been: `done` says what, `look` how to see it.
    fn undone_request(&self, error: &CallError, done: &str, look: &str) -> Refusal {
        if let CallError::Unavailable { message, uncertain: true, .. } = error {
            let source = &self.source.name;
            let message =
                format!("source `{source}`: {}; {done} all the same", one_line(message, 500));
            return Refusal::new(message).hint(format!("{look}, before you try again"));
        }
        self.unanswered_question(error, look)
    }
}

/// Tells what becomes of a bot.
fn bot_outcome(bot: &str, outcome: &str) -> Value {
    json!({ "bot": bot, "message": format!("bot {} {outcome}", one_line(bot, 80)) })
}

/// Tells how an event stands.
fn event_outcome(event: &str, whole_series: bool, outcome: &str) -> Value {
    let of = if whole_series { "the series of event" } else { "event" };
    json!({ "event": event, "message": format!("{of} {} {outcome}", one_line(event, 80)) })
}

/// Returns a time to the minute.
pub(crate) fn format_minute(at: Timestamp) -> String {
    at.strftime("%F %H:%MZ").to_string()
}

/// Reads the address of a meeting.
fn parse_meeting_address(text: &str) -> Result<Url, Refusal> {
    let url = Url::parse(text.trim()).ok().filter(|url| url.scheme() == "https" && url.has_host());
    url.ok_or_else(|| {
        let message = format!("`{}` is not the address of a meeting", one_line(text, 80));
        Refusal::new(message).hint("copy the whole link of the invitation, beginning with https://")
    })
}

/// Reads a time to come: of the day, of a date, or with its zone.
fn parse_future_time(text: &str, now: Timestamp, here: &TimeZone) -> Result<Timestamp, Refusal> {
    let text = text.trim();
    let local = |at: civil::DateTime| at.to_zoned(here.clone()).ok().map(|at| at.timestamp());
    let of_day = |time: civil::Time| {
        let today = now.to_zoned(here.clone()).date();
        let at = local(today.to_datetime(time)).filter(|at| *at > now);
        at.or_else(|| local(today.checked_add(1.day()).ok()?.to_datetime(time)))
    };
    let read = text.parse::<Timestamp>().ok();
    let read = read.or_else(|| local(text.parse().ok()?));
    let read = read.or_else(|| of_day(text.parse().ok()?));
    let shown = one_line(text, 80);
    match read {
        Some(at) if at > now => Ok(at),
        Some(_) => Err(Refusal::new(format!("`{shown}` is over"))
            .hint("write a time to come, or no --at for now")),
        None => {
            let hint = "write \"14:30\", \"2026-11-22 14:30\" or \"2026-11-22T14:30:00Z\"";
            Err(Refusal::new(format!("`{shown}` is not a time")).hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_the_clock_here_shows_it_and_never_lies_in_the_past() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let here = TimeZone::fixed(jiff::tz::offset(2));
        let at = |text: &str| {
            parse_future_time(text, now, &here)
                .map(|at| at.to_string())
                .map_err(|refusal| refusal.message)
        };
        assert_eq!(at("15:30").as_deref(), Ok("2026-11-22T13:30:00Z"));
        assert_eq!(at("13:30").as_deref(), Ok("2026-11-23T11:30:00Z"), "tomorrow");
        assert_eq!(at("2026-11-24 09:00").as_deref(), Ok("2026-11-24T07:00:00Z"));
        assert_eq!(at("2026-11-24T09:00:00Z").as_deref(), Ok("2026-11-24T09:00:00Z"));
        assert_eq!(at("2026-11-22T11:59:00Z"), Err("`2026-11-22T11:59:00Z` is over".into()));
        for text in ["", "soon", "25:00", "2026-13-01 09:00", "tomorrow"] {
            assert_eq!(at(text), Err(format!("`{text}` is not a time")));
        }
    }

    #[test]
    fn a_meeting_has_the_address_of_an_invitation() {
        assert!(parse_meeting_address(" https://meet.example/abc?x=1 ").is_ok());
        for text in
            ["", "meet.example/abc", "http://meet.example/abc", "file:///etc/passwd", "https://"]
        {
            assert!(parse_meeting_address(text).is_err(), "{text}");
        }
    }
}
