//! Version 1: bots that are sent, and calendars.

use serde_json::{Value, json};

use super::{Bot, Calendar, Event, Join, MeetingBaas, Plan, session::odd, v1, wire};
use crate::{
    http::Request,
    services::{CallError, answers::unexpected},
};

/// Pages of the events of a calendar, 100 each, that are read.
const PAGES_MAX: usize = 10;

impl MeetingBaas {
    pub(super) async fn join_v1(&self, join: &Join<'_>) -> Result<String, CallError> {
        let mut body = json!({ "bot_name": join.name, "meeting_url": join.meeting_url.as_str() });
        if let Some(at) = join.at {
            body["start_time"] = json!(at.as_second());
        }
        if join.transcribe {
            body["speech_to_text"] = json!({ "provider": "Default" });
        }
        let answer = self.act(Request::post(&["bots"]).slash().json(&body)).await?;
        wire::id(&answer, &["bot_id"]).ok_or_else(|| unexpected("a bot without an id"))
    }

    pub(super) async fn leave_v1(&self, bot: &str) -> Result<(), CallError> {
        let answer = self.act(Request::delete(&["bots", bot])).await?;
        done(&answer)
    }

    pub(super) async fn retranscribe_v1(&self, bot: &str) -> Result<(), CallError> {
        let body = json!({ "bot_uuid": bot });
        self.act(Request::post(&["bots", "retranscribe"]).json(&body)).await.map(|_| ())
    }

    pub(super) async fn bots_v1(&self) -> Result<Vec<Bot>, CallError> {
        let request = Request::get(&["bots", "bots_with_metadata"]).query("limit", v1::PAGE);
        let answer = self.ask_list(request).await?;
        Ok(v1::bots(&answer)?.iter().filter_map(bot).collect())
    }

    pub(super) async fn calendars_v1(&self) -> Result<Vec<Calendar>, CallError> {
        let answer = self.ask(Request::get(&["calendars"]).slash()).await?;
        let items = wire::list(&answer, &["data", "calendars"]).ok_or_else(|| odd("no list of calendars"))?;
        let calendar = |item: &Value| {
            Some(Calendar {
                id: wire::id(item, &["uuid", "id"])?,
                name: wire::line(item, &["name"]),
                email: wire::line(item, &["email"]),
                status: None,
            })
        };
        Ok(items.iter().filter_map(calendar).collect())
    }

    pub(super) async fn events_v1(&self, calendar: &str) -> Result<Vec<Event>, CallError> {
        let mut events = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let request = Request::get(&["calendar_events"]).slash().query("calendar_id", calendar);
            let request = request.query("status", "upcoming");
            let request = match &cursor {
                Some(cursor) => request.query("cursor", cursor),
                None => request,
            };
            let answer = self.ask(request).await?;
            let items = wire::list(&answer, &["data"]).ok_or_else(|| odd("no list of events"))?;
            events.extend(items.iter().filter_map(|item| event(item, calendar)));
            cursor = wire::next(&answer);
            if cursor.is_none() {
                break;
            }
        }
        Ok(events)
    }

    pub(super) async fn schedule_v1(&self, event: &str, plan: &Plan<'_>) -> Result<(), CallError> {
        let mut body = json!({ "bot_name": plan.name });
        if plan.transcribe {
            body["speech_to_text"] = json!({ "provider": "Default" });
        }
        let request = Request::post(&["calendar_events", event, "bot"]);
        self.act(request.query("all_occurrences", word(plan.whole_series)).json(&body)).await.map(|_| ())
    }

    pub(super) async fn unschedule_v1(&self, event: &str, whole_series: bool) -> Result<(), CallError> {
        let request = Request::delete(&["calendar_events", event, "bot"]);
        self.act(request.query("all_occurrences", word(whole_series))).await.map(|_| ())
    }
}

/// Returns how a flag is written in a query.
fn word(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// Reads `{"ok": true}`; an answer without it was given with 200, and is one.
fn done(answer: &Value) -> Result<(), CallError> {
    match answer.get("ok").and_then(Value::as_bool) {
        Some(false) => Err(unexpected("`ok` is false")),
        Some(true) | None => Ok(()),
    }
}

fn bot(item: &Value) -> Option<Bot> {
    let is_over = wire::text(item, &["ended_at"]).is_some();
    Some(Bot {
        id: wire::id(item, &["uuid", "id"])?,
        name: wire::line(item, &["bot_name"]),
        meeting_url: wire::line(item, &["meeting_url"]),
        status: if is_over { "ended" } else { "not ended" }.to_owned(),
        at: wire::time(item, &["created_at"]),
        ended: wire::time(item, &["ended_at"]),
        error: None,
    })
}

fn event(item: &Value, calendar: &str) -> Option<Event> {
    if item.get("deleted").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    Some(Event {
        id: wire::id(item, &["uuid", "id"])?,
        calendar: wire::id(item, &["calendar_uuid"]).unwrap_or_else(|| calendar.to_owned()),
        title: wire::line(item, &["name", "title"]),
        starts: wire::time(item, &["start_time"]),
        ends: wire::time(item, &["end_time"]),
        meeting_url: wire::line(item, &["meeting_url"]),
        recurs: item.get("is_recurring").and_then(Value::as_bool) == Some(true),
        bot: item.get("bot_param").is_some_and(Value::is_object),
    })
}
