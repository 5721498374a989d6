//! Version 1: bots that are sent, and calendars.

use serde_json::{Value, json};

use super::{
    Bot, BotJoin, BotSchedule, Calendar, CalendarEvent, MeetingBaas, session::protocol_error, v1,
    wire,
};
use crate::{
    http::Request,
    services::{CallError, answers::unexpected_answer},
};

/// Pages of the events of a calendar, 100 each, that are read.
const PAGES_MAX: usize = 10;

impl MeetingBaas {
    pub(super) async fn send_bot_v1(&self, join: &BotJoin<'_>) -> Result<String, CallError> {
        let mut body = json!({ "bot_name": join.name, "meeting_url": join.meeting_url.as_str() });
        if let Some(at) = join.at {
            body["start_time"] = json!(at.as_second());
        }
        if join.transcribe {
            body["speech_to_text"] = json!({ "provider": "Default" });
        }
        let answer = self.post_once(Request::post(&["bots"]).slash().json(&body)).await?;
        wire::id(&answer, &["bot_id"]).ok_or_else(|| unexpected_answer("a bot without an id"))
    }

    pub(super) async fn recall_bot_v1(&self, bot: &str) -> Result<(), CallError> {
        let answer = self.post_once(Request::delete(&["bots", bot])).await?;
        check_ok(&answer)
    }

    pub(super) async fn request_transcription_v1(&self, bot: &str) -> Result<(), CallError> {
        let body = json!({ "bot_uuid": bot });
        self.post_once(Request::post(&["bots", "retranscribe"]).json(&body)).await.map(|_| ())
    }

    pub(super) async fn list_bots_v1(&self) -> Result<Vec<Bot>, CallError> {
        let request = Request::get(&["bots", "bots_with_metadata"]).query("limit", v1::PAGE_SIZE);
        let answer = self.get_list(request).await?;
        Ok(v1::page_bots(&answer)?.iter().filter_map(read_bot).collect())
    }

    pub(super) async fn list_calendars_v1(&self) -> Result<Vec<Calendar>, CallError> {
        let answer = self.get_json(Request::get(&["calendars"]).slash()).await?;
        let items = wire::list(&answer, &["data", "calendars"])
            .ok_or_else(|| protocol_error("no list of calendars"))?;
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

    pub(super) async fn list_events_v1(
        &self,
        calendar: &str,
    ) -> Result<Vec<CalendarEvent>, CallError> {
        let mut events = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let request = Request::get(&["calendar_events"]).slash().query("calendar_id", calendar);
            let request = request.query("status", "upcoming");
            let request = match &cursor {
                Some(cursor) => request.query("cursor", cursor),
                None => request,
            };
            let answer = self.get_json(request).await?;
            let items = wire::list(&answer, &["data"])
                .ok_or_else(|| protocol_error("no list of events"))?;
            events.extend(items.iter().filter_map(|item| read_event(item, calendar)));
            cursor = wire::next_cursor(&answer);
            if cursor.is_none() {
                break;
            }
        }
        Ok(events)
    }

    pub(super) async fn schedule_bot_v1(
        &self,
        event: &str,
        plan: &BotSchedule<'_>,
    ) -> Result<(), CallError> {
        let mut body = json!({ "bot_name": plan.name });
        if plan.transcribe {
            body["speech_to_text"] = json!({ "provider": "Default" });
        }
        let request = Request::post(&["calendar_events", event, "bot"]);
        self.post_once(request.query("all_occurrences", flag_text(plan.whole_series)).json(&body))
            .await
            .map(|_| ())
    }

    pub(super) async fn unschedule_bot_v1(
        &self,
        event: &str,
        whole_series: bool,
    ) -> Result<(), CallError> {
        let request = Request::delete(&["calendar_events", event, "bot"]);
        self.post_once(request.query("all_occurrences", flag_text(whole_series))).await.map(|_| ())
    }
}

/// Returns how a flag is written in a query.
fn flag_text(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// Reads `{"ok": true}`; an answer without it was given with 200, and is one.
fn check_ok(answer: &Value) -> Result<(), CallError> {
    match answer.get("ok").and_then(Value::as_bool) {
        Some(false) => Err(unexpected_answer("`ok` is false")),
        Some(true) | None => Ok(()),
    }
}

fn read_bot(item: &Value) -> Option<Bot> {
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

fn read_event(item: &Value, calendar: &str) -> Option<CalendarEvent> {
    if item.get("deleted").and_then(Value::as_bool) == Some(true) {
        return None;
    }
    Some(CalendarEvent {
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
