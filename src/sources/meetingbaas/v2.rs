//! Version 2: what has ended, one recording, its deletion.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::{MeetingBaas, availability, session::protocol_error, wire};
use crate::{
    clock,
    http::Request,
    services::CallError,
    sources::{Availability, ListedRecording, Recording, RecordingPage},
    text::one_line,
};

/// Bots of a page, below the 250 that the document allows: an answer stays small.
const PAGE_SIZE: &str = "100";

/// Items of a page where all of them are wanted; the most that the document allows.
pub(super) const PAGE_SIZE_MAX: &str = "250";

/// Bots that are older are not listed, and asking for them may be refused.
const LISTED_FOR: Duration = Duration::from_secs(90 * 86_400);

/// The states in which nothing more will come.
const FINAL_STATES: &str = "completed,failed";

/// Calendars in which the event of a bot is looked for.
const CALENDARS_MAX: usize = 20;

/// A bot joins its event not earlier than this before it starts.
const JOIN_EARLY_MAX: Duration = Duration::from_secs(15 * 60);

/// An event that a bot joins began not earlier than this before.
const JOIN_LATE_MAX: Duration = Duration::from_secs(12 * 3_600);

/// The key in `extra` under which minuted notes the event that it sends a bot to.
pub(super) const EXTRA_KEY: &str = "minuted";

impl MeetingBaas {
    pub(super) async fn check_access_v2(&self) -> Result<(), CallError> {
        page_items(&self.get_list(Request::get(&["v2", "bots"]).query("limit", "1")).await?)
            .map(|_| ())
    }

    pub(super) async fn list_ended_v2(
        &self,
        since: Timestamp,
        cursor: Option<&str>,
    ) -> Result<RecordingPage, CallError> {
        let since = since.max(clock::now() - LISTED_FOR).to_string();
        let request =
            Request::get(&["v2", "bots"]).query("limit", PAGE_SIZE).query("status", FINAL_STATES);
        let request = request.query("ended_after", &since);
        let request = match cursor {
            Some(cursor) => request.query("cursor", cursor),
            None => request,
        };
        let answer = self.get_list(request).await?;
        let found = page_items(&answer)?.iter().filter_map(|bot| {
            // Assumed: one that failed before it joined has one of these, too; if not, it is never told of.
            let ended = wire::time(bot, &["ended_at"])
                .or_else(|| wire::time(bot, &["exited_at", "created_at"]))?;
            Some(ListedRecording { id: wire::id(bot, &["bot_id", "id", "uuid"])?, ended })
        });
        Ok(RecordingPage { found: found.collect(), next: wire::next_cursor(&answer) })
    }

    pub(super) async fn get_recording_v2(&self, id: &str) -> Result<Recording, CallError> {
        let answer = self.get_json(Request::get(&["v2", "bots", id])).await?;
        let bot = answer.get("data").filter(|data| data.is_object());
        let bot = bot.ok_or_else(|| protocol_error("a bot without `data`"))?;
        let joined = wire::time(bot, &["joined_at"]);
        let ended = wire::time(bot, &["ended_at"]).or_else(|| wire::time(bot, &["exited_at"]));
        let files = self.remote_files(bot, &[("audio", "flac"), ("video", "mp4")])?;
        let is_deleted = bot.get("artifacts_deleted").and_then(Value::as_bool) == Some(true);
        let availability = match wire::text(bot, &["status"]) {
            Some("completed") => {
                let reason = is_deleted.then(|| "Meeting BaaS has deleted its files".to_owned());
                // It is over, so that a bot without a time of its end ended long ago.
                availability::availability_of(
                    files,
                    reason,
                    ended.or(Some(Timestamp::UNIX_EPOCH)),
                    clock::now(),
                )
            }
            // What it recorded before it failed is there all the same.
            Some("failed") => availability::availability_of(
                files,
                Some(failure_reason(bot, is_deleted)),
                ended,
                clock::now(),
            ),
            _ if is_deleted => Availability::Lost("Meeting BaaS has deleted its files".to_owned()),
            // A word of today's document, or one that it has not yet: it goes on.
            _ => Availability::NotYet,
        };
        let is_ready = matches!(availability, Availability::Ready(_));
        let event = if is_ready { self.find_event_v2(bot, joined).await? } else { None };
        let address = wire::text(bot, &["transcription", "raw_transcription"]).filter(|_| is_ready);
        let transcript = match address {
            Some(address) => {
                self.fetch_transcript(address).await?.as_ref().and_then(read_utterances)
            }
            None => None,
        };
        let details = availability::meeting_details(bot, joined, event.as_ref());
        Ok(Recording { id: id.to_owned(), availability, ended, details, transcript })
    }

    pub(super) async fn delete_recording_v2(&self, id: &str) -> Result<(), CallError> {
        let request = Request::delete(&["v2", "bots", id, "delete-data"])
            .query("delete_from_provider", "true");
        match self.post_once(request).await {
            Ok(_) => Ok(()),
            // "The bot's status does not allow it": it goes on, or, Assumed, nothing is left to delete.
            Err(CallError::Refused { status: 409, message }) => {
                let answer = self.get_json(Request::get(&["v2", "bots", id])).await?;
                let deleted = answer.pointer("/data/artifacts_deleted").and_then(Value::as_bool);
                if deleted == Some(true) {
                    return Ok(());
                }
                Err(CallError::service_alone(message))
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the event that a bot was sent to. The document gives a bot none (its webhooks do): minuted notes the
    /// event in the `extra` of the bots that it sends, and the event of another is the one whose meeting has the bot's
    /// address at that time. Assumed: calendars have the address as the bot got it. When they do not, the folder's own
    /// attendees stand.
    async fn find_event_v2(
        &self,
        bot: &Value,
        joined: Option<Timestamp>,
    ) -> Result<Option<Value>, CallError> {
        let noted = bot
            .get("extra")
            .and_then(|extra| extra.get(EXTRA_KEY))
            .filter(|noted| noted.is_object());
        for noted in [Some(bot), noted].into_iter().flatten() {
            let calendar = wire::id(noted, &["calendar_id"]);
            let event = wire::id(noted, &["event_id", "event_uuid"]);
            if let (Some(calendar), Some(event)) = (calendar, event) {
                return self.get_event(&calendar, &event).await;
            }
        }
        let (Some(address), Some(joined)) =
            (wire::text(bot, &["meeting_url"]).and_then(normalize_meeting_url), joined)
        else {
            return Ok(None);
        };
        let calendars = match self.list_calendars().await {
            Ok(calendars) => calendars,
            // The key may see bots and no calendars.
            Err(CallError::Refused { .. } | CallError::Forbidden { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut met: Vec<(String, Value)> = Vec::new();
        for calendar in calendars.into_iter().take(CALENDARS_MAX) {
            let events = self.list_events_around(&calendar.id, joined).await?;
            let is_met = |event: &Value| is_event_of_bot(event, &address, joined);
            met.extend(events.into_iter().filter(is_met).map(|event| (calendar.id.clone(), event)));
        }
        let Some((calendar, event)) = choose_event(&met) else { return Ok(None) };
        self.get_event(calendar, event).await
    }

    /// Returns what a calendar has of an event; `None` for one that is not there any more.
    pub(super) async fn get_event(
        &self,
        calendar: &str,
        event: &str,
    ) -> Result<Option<Value>, CallError> {
        match self.get_json(Request::get(&["v2", "calendars", calendar, "events", event])).await {
            Ok(mut answer) => Ok(Some(answer["data"].take()).filter(Value::is_object)),
            // A calendar that was disconnected answers 400 or 404.
            Err(CallError::Refused { .. } | CallError::Forbidden { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list_events_around(
        &self,
        calendar: &str,
        joined: Timestamp,
    ) -> Result<Vec<Value>, CallError> {
        let from = (joined - JOIN_LATE_MAX).to_string();
        let to = (joined + JOIN_EARLY_MAX).to_string();
        let request =
            Request::get(&["v2", "calendars", calendar, "events"]).query("limit", PAGE_SIZE_MAX);
        let request = request
            .query("start_date", &from)
            .query("end_date", &to)
            .query("show_cancelled", "false");
        match self.get_json(request).await {
            Ok(answer) => page_items(&answer).map(<[Value]>::to_vec),
            Err(CallError::Refused { .. } | CallError::Forbidden { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Returns whether a bot that joined the meeting of this address then was at this event.
fn is_event_of_bot(event: &Value, address: &str, joined: Timestamp) -> bool {
    let same = wire::text(event, &["meeting_url"])
        .and_then(normalize_meeting_url)
        .is_some_and(|of_event| of_event == address);
    let starts = wire::time(event, &["start_time"]);
    let ends = wire::time(event, &["end_time"]).or(starts);
    same && starts.is_some_and(|starts| starts - JOIN_EARLY_MAX <= joined)
        && ends.is_some_and(|ends| joined <= ends)
}

/// Returns the calendar and the event that a bot was at. The same event stands in the calendars of all who are invited;
/// of several, only one to which a bot was sent is surely meant, and where even that is not one, nobody is taken for
/// another.
fn choose_event(met: &[(String, Value)]) -> Option<(&str, &str)> {
    let sent = |(_, event): &&(String, Value)| {
        event.get("bot_scheduled").and_then(Value::as_bool) == Some(true)
    };
    unanimous_event(&met.iter().filter(sent).collect::<Vec<_>>())
        .or_else(|| unanimous_event(&met.iter().collect::<Vec<_>>()))
}

/// Returns the first of these when all of them are the same event.
fn unanimous_event<'a>(met: &[&'a (String, Value)]) -> Option<(&'a str, &'a str)> {
    let what = |event: &Value| (wire::time(event, &["start_time"]), wire::line(event, &["title"]));
    let (calendar, first) = met.first()?;
    let same = met.iter().all(|(_, event)| what(event) == what(first));
    Some((calendar.as_str(), wire::text(first, &["event_id"])?)).filter(|_| same)
}

/// Returns the address of a meeting in a form that can be compared; `None` for what is no address.
fn normalize_meeting_url(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    url.set_fragment(None);
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// Returns why a bot failed.
fn failure_reason(bot: &Value, is_deleted: bool) -> String {
    let said = wire::text(bot, &["error_message"]);
    let code = wire::text(bot, &["error_code"]);
    let why = match (said, code) {
        (Some(said), Some(code)) => format!("{said} ({code})"),
        (Some(why), None) | (None, Some(why)) => why.to_owned(),
        (None, None) if is_deleted => "its files are deleted".to_owned(),
        (None, None) => "no reason given".to_owned(),
    };
    format!("the bot failed: {}", one_line(&why, 300))
}

/// Returns the items of an answer.
pub(super) fn page_items(answer: &Value) -> Result<&[Value], CallError> {
    wire::list(answer, &["data"]).ok_or_else(|| protocol_error("a list without `data`"))
}

/// Returns what was said: of the ready transcript, else of the raw one of the vendor's own supplier, part after part.
fn read_utterances(transcript: &Value) -> Option<Vec<crate::job::Segment>> {
    let list = |value: &Value| value.get("utterances").and_then(Value::as_array).cloned();
    let ready = transcript.get("result").and_then(list).or_else(|| list(transcript));
    let raw = || {
        let parts = transcript.get("transcriptions").and_then(Value::as_array)?;
        // The times of a later part begin at 0 again, and nothing says by how much they are off.
        let [part] = parts.as_slice() else { return None };
        part.get("transcription").and_then(list)
    };
    wire::read_transcript(&ready.or_else(raw)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(id: &str, title: &str, starts: &str, ends: &str, bot: bool) -> Value {
        json!({"event_id": id, "title": title, "start_time": starts, "end_time": ends, "bot_scheduled": bot,
               "meeting_url": "https://meet.example/abc/"})
    }

    #[test]
    fn a_bot_was_at_the_event_of_its_address_at_its_time() {
        let joined = "2026-11-22T08:55:00Z".parse().expect("a time");
        let address = normalize_meeting_url("https://MEET.example/abc#x").expect("an address");
        let of = |starts: &str, ends: &str| {
            is_event_of_bot(&event("1", "a", starts, ends, false), &address, joined)
        };
        assert!(of("2026-11-22T09:00:00Z", "2026-11-22T10:00:00Z"));
        assert!(of("2026-11-22T08:00:00Z", "2026-11-22T08:55:00Z"));
        assert!(!of("2026-11-22T09:11:00Z", "2026-11-22T10:00:00Z"), "too early for it");
        assert!(!of("2026-11-22T08:00:00Z", "2026-11-22T08:54:00Z"), "it was over");
        assert!(!is_event_of_bot(&event("1", "a", "x", "y", true), &address, joined));
        let elsewhere = normalize_meeting_url("https://meet.example/abd").expect("an address");
        assert!(!is_event_of_bot(
            &event("1", "a", "2026-11-22T08:50:00Z", "2026-11-22T09:50:00Z", true),
            &elsewhere,
            joined
        ));
    }

    #[test]
    fn of_several_events_only_one_that_is_surely_meant_is_taken() {
        let at = |id: &str, title: &str, bot| {
            ("c".to_owned(), event(id, title, "2026-11-22T09:00:00Z", "2026-11-22T10:00:00Z", bot))
        };
        assert_eq!(choose_event(&[at("1", "a", false)]), Some(("c", "1")));
        assert_eq!(
            choose_event(&[at("1", "a", false), at("2", "a", false)]),
            Some(("c", "1")),
            "two calendars, one event"
        );
        assert_eq!(
            choose_event(&[at("1", "a", false), at("2", "b", true)]),
            Some(("c", "2")),
            "a bot was sent there"
        );
        assert_eq!(choose_event(&[at("1", "a", false), at("2", "b", false)]), None);
        assert_eq!(choose_event(&[at("1", "a", true), at("2", "b", true)]), None);
        assert_eq!(choose_event(&[]), None);
    }

    #[test]
    fn a_transcript_is_read_ready_or_raw_and_never_with_times_that_begin_again() {
        let utterance = json!({"text": "Good morning.", "start": 0.5, "end": 2, "speaker": "Ann"});
        let said = |transcript: &Value| read_utterances(transcript).map(|said| said.len());
        assert_eq!(said(&json!({"result": {"utterances": [utterance]}})), Some(1));
        let part = json!({"transcription": {"utterances": [utterance, utterance]}});
        assert_eq!(said(&json!({"transcriptions": [part]})), Some(2));
        assert_eq!(said(&json!({"transcriptions": [part, part]})), None);
        for other in
            [json!({}), json!([]), json!({"result": null}), json!({"result": {"utterances": []}})]
        {
            assert_eq!(said(&other), None, "{other}");
        }
    }

    #[test]
    fn a_failure_is_told_in_the_vendors_words() {
        let told = |bot: Value| failure_reason(&bot, false);
        assert_eq!(
            told(json!({"error_message": "Nobody\nlet it in", "error_code": "BOT_NOT_ACCEPTED"})),
            "the bot failed: Nobody let it in (BOT_NOT_ACCEPTED)"
        );
        assert_eq!(
            told(json!({"error_message": null, "error_code": null})),
            "the bot failed: no reason given"
        );
    }
}
