//! Version 2: bots that are sent, and calendars.

use serde_json::{Value, json};

use super::{
    Bot, BotJoin, BotSchedule, Calendar, CalendarEvent, EventLocation, MeetingBaas,
    session::protocol_error,
    v2::{EXTRA_KEY, PAGE_SIZE_MAX, page_items},
    wire,
};
use crate::{
    clock,
    http::Request,
    services::{CallError, answers::unexpected_answer},
    text::one_line,
};

/// Bots that are shown.
const BOTS_PAGE_SIZE: &str = "50";

/// Pages, 250 items each, that are read.
const PAGES_MAX: usize = 10;

impl MeetingBaas {
    pub(super) async fn send_bot_v2(&self, join: &BotJoin<'_>) -> Result<String, CallError> {
        let mut body = bot_body(join.name, join.transcribe);
        body["meeting_url"] = json!(join.meeting_url.as_str());
        // A second bot in one meeting within five minutes is a command that was repeated.
        body["allow_multiple_bots"] = json!(false);
        let request = match join.at {
            None => Request::post(&["v2", "bots"]),
            Some(at) => {
                body["join_at"] = json!(at.to_string());
                Request::post(&["v2", "bots", "scheduled"])
            }
        };
        let answer = self.post_once(request.json(&body)).await?;
        let id = answer.get("data").and_then(|data| wire::id(data, &["bot_id"]));
        id.ok_or_else(|| unexpected_answer("a bot without an id"))
    }

    pub(super) async fn recall_bot_v2(&self, bot: &str) -> Result<(), CallError> {
        self.post_once(Request::post(&["v2", "bots", bot, "leave"])).await.map(|_| ())
    }

    /// Returns the newest bots; before them those that are planned and have not joined yet, which are a list of their own.
    pub(super) async fn list_bots_v2(&self) -> Result<Vec<Bot>, CallError> {
        let planned = Request::get(&["v2", "bots", "scheduled"])
            .query("limit", BOTS_PAGE_SIZE)
            .query("status", "scheduled");
        let mut bots: Vec<Bot> =
            page_items(&self.get_list(planned).await?)?.iter().filter_map(read_bot).collect();
        let sent =
            self.get_list(Request::get(&["v2", "bots"]).query("limit", BOTS_PAGE_SIZE)).await?;
        let known: Vec<String> = bots.iter().map(|bot| bot.id.clone()).collect();
        bots.extend(
            page_items(&sent)?.iter().filter_map(read_bot).filter(|bot| !known.contains(&bot.id)),
        );
        Ok(bots)
    }

    pub(super) async fn list_calendars_v2(&self) -> Result<Vec<Calendar>, CallError> {
        let request = Request::get(&["v2", "calendars"]).query("limit", PAGE_SIZE_MAX);
        let calendar = |item: &Value| {
            Some(Calendar {
                id: wire::id(item, &["calendar_id", "id", "uuid"])?,
                name: wire::line(item, &["name", "calendar_platform"]),
                email: wire::line(item, &["account_email", "email"]),
                status: wire::line(item, &["status"]),
            })
        };
        Ok(self.read_all_pages(request).await?.iter().filter_map(calendar).collect())
    }

    pub(super) async fn list_events_v2(
        &self,
        calendar: &str,
    ) -> Result<Vec<CalendarEvent>, CallError> {
        let now = clock::now().to_string();
        let request =
            Request::get(&["v2", "calendars", calendar, "events"]).query("limit", PAGE_SIZE_MAX);
        let request = request.query("start_date", &now).query("show_cancelled", "false");
        Ok(self
            .read_all_pages(request)
            .await?
            .iter()
            .filter_map(|item| read_event(item, calendar))
            .collect())
    }

    /// Returns the items of all pages of a list.
    async fn read_all_pages(&self, request: Request<'_>) -> Result<Vec<Value>, CallError> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = match &cursor {
                Some(cursor) => self.get_json(request.clone().query("cursor", cursor)).await?,
                None => self.get_json(request.clone()).await?,
            };
            all.extend_from_slice(page_items(&page)?);
            cursor = wire::next_cursor(&page);
            if cursor.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// Looks through the calendars for an event.
    pub(super) async fn locate_event_v2(&self, event: &str) -> Result<EventLocation, CallError> {
        for calendar in self.list_calendars_v2().await? {
            let Some(found) = self.get_event(&calendar.id, event).await? else { continue };
            let series = wire::id(&found, &["series_id"])
                .ok_or_else(|| protocol_error("an event without a series"))?;
            return Ok(EventLocation { calendar: calendar.id, series });
        }
        let message = format!("no calendar has an event `{}`", one_line(event, 80));
        Err(CallError::Refused { status: 404, message })
    }

    pub(super) async fn schedule_bot_v2(
        &self,
        event: &str,
        place: &EventLocation,
        plan: &BotSchedule<'_>,
    ) -> Result<(), CallError> {
        let mut body = bot_body(plan.name, plan.transcribe);
        body["series_id"] = json!(place.series);
        body["all_occurrences"] = json!(plan.whole_series);
        if !plan.whole_series {
            body["event_id"] = json!(event);
            // What a bot records does not say which event it was sent to, but for this.
            body["extra"] =
                json!({ EXTRA_KEY: { "calendar_id": place.calendar, "event_id": event } });
        }
        let request = Request::post(&["v2", "calendars", &place.calendar, "bots"]).json(&body);
        check_scheduled(&self.post_once(request).await?, event)
    }

    pub(super) async fn unschedule_bot_v2(
        &self,
        event: &str,
        place: &EventLocation,
        whole_series: bool,
    ) -> Result<(), CallError> {
        let mut body = json!({ "series_id": place.series, "all_occurrences": whole_series });
        if !whole_series {
            body["event_id"] = json!(event);
        }
        let request = Request::delete(&["v2", "calendars", &place.calendar, "bots"]).json(&body);
        check_scheduled(&self.post_once(request).await?, event)
    }
}

fn bot_body(name: &str, transcribe: bool) -> Value {
    let mut body = json!({ "bot_name": name });
    if transcribe {
        body["transcription_enabled"] = json!(true);
    }
    body
}

/// Reads an answer that may say of some events that they failed. What it says of the one that was meant counts; of a
/// series, whether any was done.
fn check_scheduled(answer: &Value, event: &str) -> Result<(), CallError> {
    let errors =
        answer.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let done = answer.get("data").and_then(Value::as_array).is_some_and(|done| !done.is_empty());
    let own = errors.iter().find(|error| wire::text(error, &["event_id"]) == Some(event));
    let Some(error) = own.or_else(|| errors.first().filter(|_| !done)) else { return Ok(()) };
    let why =
        wire::line(error, &["message", "code"]).unwrap_or_else(|| "no reason given".to_owned());
    Err(CallError::Refused { status: 200, message: why })
}

fn read_bot(item: &Value) -> Option<Bot> {
    Some(Bot {
        id: wire::id(item, &["bot_id", "id"])?,
        name: wire::line(item, &["bot_name"]),
        meeting_url: wire::line(item, &["meeting_url"]),
        status: wire::line(item, &["status"]).unwrap_or_else(|| "unknown".to_owned()),
        at: wire::time(item, &["join_at"])
            .or_else(|| wire::time(item, &["joined_at"]))
            .or_else(|| wire::time(item, &["created_at"])),
        ended: wire::time(item, &["ended_at"]),
        error: wire::line(item, &["error_message", "error_code"]),
    })
}

fn read_event(item: &Value, calendar: &str) -> Option<CalendarEvent> {
    Some(CalendarEvent {
        id: wire::id(item, &["event_id", "id"])?,
        calendar: wire::id(item, &["calendar_id"]).unwrap_or_else(|| calendar.to_owned()),
        title: wire::line(item, &["title", "name"]),
        starts: wire::time(item, &["start_time"]),
        ends: wire::time(item, &["end_time"]),
        meeting_url: wire::line(item, &["meeting_url"]),
        recurs: wire::text(item, &["event_type"]) == Some("recurring"),
        bot: item.get("bot_scheduled").and_then(Value::as_bool) == Some(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_event_that_was_meant_counts() {
        let failed = json!({"event_id": "1", "code": "NO_URL", "message": "it has no address", "details": null});
        let said = |answer: Value| check_scheduled(&answer, "1").map_err(|error| error.to_string());
        assert_eq!(
            said(json!({"success": true, "data": [{"event_id": "1"}], "errors": []})),
            Ok(())
        );
        assert_eq!(
            said(
                json!({"success": true, "data": [{"event_id": "2"}], "errors": [{"event_id": "3"}]})
            ),
            Ok(())
        );
        let refused = Err("the service refused it (200): it has no address".to_owned());
        assert_eq!(said(json!({"data": [{"event_id": "2"}], "errors": [failed]})), refused);
        let another = json!({"event_id": "7", "code": "GONE", "message": null});
        assert_eq!(
            said(json!({"data": [], "errors": [another]})),
            Err("the service refused it (200): GONE".to_owned())
        );
    }
}
