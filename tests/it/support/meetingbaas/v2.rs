//! Version 2: its calls, and its answers as its document has them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Bot, Call, Event, Planned, State, http::Request, ok, page};

/// Which call it is.
pub(super) fn call(request: &Request) -> Option<Call> {
    Some(match (request.method.as_str(), request.path().as_slice()) {
        ("POST", ["v2", "bots"] | ["v2", "bots", "scheduled"]) => Call::Join,
        ("GET", ["v2", "bots"]) => Call::List,
        ("GET", ["v2", "bots", "scheduled"]) => Call::Planned,
        ("GET", ["v2", "bots", _]) => Call::Recording,
        ("POST", ["v2", "bots", _, "leave"]) => Call::Leave,
        ("DELETE", ["v2", "bots", _, "delete-data"]) => Call::Delete,
        ("GET", ["v2", "calendars"]) => Call::Calendars,
        ("GET", ["v2", "calendars", _, "events"]) => Call::Events,
        ("GET", ["v2", "calendars", _, "events", _]) => Call::Event,
        ("POST", ["v2", "calendars", _, "bots"]) => Call::Schedule,
        ("DELETE", ["v2", "calendars", _, "bots"]) => Call::Unschedule,
        _ => return None,
    })
}

pub(super) fn refusal(status: u16, message: &str) -> Answer {
    let body = json!({"success": false, "error": "Refused", "code": "FST_ERR", "statusCode": status, "message": message});
    Answer { status, body }
}

fn data(data: &Value) -> Answer {
    ok(json!({"success": true, "data": data}))
}

pub(super) fn answer(state: &mut State, call: Call, request: &Request) -> Answer {
    let path = request.path();
    let id = path.get(2).copied().unwrap_or_default();
    match call {
        Call::List => list(state, request),
        Call::Planned => planned(state, request),
        Call::Recording => match state.bot(id).cloned() {
            Some(bot) => data(&details(state, &bot)),
            None => refusal(404, "Bot not found"),
        },
        Call::Delete => delete(state, id),
        Call::Join => join(state, &request.json(), path.len() == 3),
        Call::Leave => leave(state, id),
        Call::Calendars => calendars(state, request),
        Call::Events => events(state, id, request),
        Call::Event => {
            let is_meant = |event: &&Event| event.calendar == id && event.id == path[4];
            state
                .events
                .iter()
                .find(is_meant)
                .map_or_else(|| refusal(404, "Event not found"), |found| data(&event(found)))
        }
        Call::Schedule => plan(state, id, &request.json(), true),
        Call::Unschedule => plan(state, id, &request.json(), false),
        Call::Retranscribe => refusal(404, "there is no such call"),
    }
}

fn status(bot: &Bot) -> &'static str {
    match (&bot.failed, bot.is_over()) {
        (Some(_), _) => "failed",
        (None, true) => "completed",
        (None, false) => "in_call_recording",
    }
}

fn at(time: Option<Timestamp>) -> Option<String> {
    time.map(|at| at.to_string())
}

fn tokens() -> Value {
    json!({"recording": 0.5, "transcription": 0.1, "byok_transcription": 0, "streaming_input": 0, "streaming_output": 0,
           "total": 0.6})
}

fn list(state: &State, request: &Request) -> Answer {
    let since: Option<Timestamp> =
        request.query("ended_after").map(|since| since.parse().expect("a time"));
    let words = request.query("status");
    let is_wanted = |bot: &&Bot| {
        let named =
            words.as_deref().is_none_or(|words| words.split(',').any(|word| word == status(bot)));
        named && since.is_none_or(|since| bot.ended.is_some_and(|ended| ended > since))
    };
    let limit = request.number("limit", 50);
    assert!((1..=250).contains(&limit), "{limit}");
    let mut bots: Vec<&Bot> = state.bots.iter().filter(is_wanted).collect();
    bots.sort_by_key(|bot| std::cmp::Reverse(bot.created));
    let entry = |bot: &&Bot| {
        json!({
            "bot_id": bot.id, "bot_name": bot.name, "meeting_url": bot.meeting_url, "meeting_platform": "meet",
            "extra": bot.extra, "duration": bot.ended.map(|_| 1800), "created_at": bot.created.to_string(),
            "ended_at": at(bot.ended), "joined_at": at(bot.joined), "exited_at": at(bot.ended), "status": status(bot),
            "error_code": bot.failed.as_ref().map(|(code, _)| code),
            "error_message": bot.failed.as_ref().map(|(_, message)| message), "tokens": tokens(),
        })
    };
    let (found, next) = page(
        bots.iter().map(entry).collect(),
        limit.min(state.page_max),
        request.query("cursor").as_deref(),
    );
    ok(json!({"success": true, "data": found, "cursor": next, "prev_cursor": null}))
}

fn details(state: &mut State, bot: &Bot) -> Value {
    let is_there = |has: bool| has && bot.is_over() && !bot.deleted;
    let mut address = |has: bool, file: &str| is_there(has).then(|| state.address(&bot.id, file));
    let (audio, video) = (address(bot.audio, "output.flac"), address(bot.video, "output.mp4"));
    let transcription = address(bot.transcribed && !bot.said.is_empty(), "transcription.json");
    let person = |name: &str, id: u32| json!({"name": name, "id": id});
    json!({
        "bot_id": bot.id, "bot_name": bot.name, "meeting_url": bot.meeting_url, "meeting_platform": "meet",
        "recording_mode": "speaker_view", "status": status(bot), "created_at": bot.created.to_string(),
        "joined_at": at(bot.joined), "exited_at": at(bot.ended), "duration_seconds": bot.ended.map(|_| 1800),
        "participants": [person("Ann Lee", 1), person("Bo Chen", 2)], "speakers": [person("Ann Lee", 1)],
        "artifacts_deleted": bot.deleted, "video": video, "audio": audio, "diarization": null,
        "raw_transcription": null, "transcription": transcription, "chat_messages": null, "transcription_ids": null,
        "transcription_provider": bot.transcribed.then_some("gladia"),
        "error_code": bot.failed.as_ref().map(|(code, _)| code),
        "error_message": bot.failed.as_ref().map(|(_, message)| message), "tokens": tokens(), "extra": bot.extra,
        "zoom_config": null,
    })
}

/// The file of the transcript, as `OutputTranscription` of the document has it.
pub(super) fn transcript(bot: &Bot) -> Value {
    let said = bot.said.iter().map(|(start, end, speaker, text)| {
        let words = text.split(' ').map(|word| json!({"word": word, "start": start, "end": end, "confidence": 0.9}));
        json!({"text": text, "language": "en", "start": start, "end": end, "confidence": 0.9, "channel": 0,
               "words": words.collect::<Vec<_>>(), "speaker": speaker})
    });
    let said: Vec<Value> = said.collect();
    json!({"bot_id": bot.id, "provider": "gladia", "created_at": bot.created.to_string(), "result": {
        "utterances": said, "languages": ["en"], "total_utterances": said.len(), "total_duration": 1800,
    }})
}

fn delete(state: &mut State, id: &str) -> Answer {
    if !state.may_delete() {
        return refusal(429, "Rate limit exceeded");
    }
    match state.bot(id) {
        Some(bot) if !bot.is_over() => refusal(409, "Bot status does not allow this operation"),
        Some(bot) => {
            bot.deleted = true;
            data(&json!({"message": "Bot data deleted"}))
        }
        None => refusal(404, "Bot not found"),
    }
}

fn join(state: &mut State, body: &Value, later: bool) -> Answer {
    let text = |name: &str| body[name].as_str().expect("a text").to_owned();
    let (name, meeting_url) = (text("bot_name"), text("meeting_url"));
    let id = state.id();
    let created =
        |id: &str| Answer { status: 201, body: json!({"success": true, "data": { "bot_id": id }}) };
    if later {
        let at = text("join_at").parse().expect("a time");
        state.planned.push(Planned { id: id.clone(), name, meeting_url, at });
        return created(&id);
    }
    let alone = body["allow_multiple_bots"] == false;
    if alone && state.bots.iter().any(|bot| bot.meeting_url == meeting_url && !bot.is_over()) {
        return refusal(409, "Bot already exists");
    }
    let transcribed = body["transcription_enabled"] == true;
    let extra = body.get("extra").cloned().unwrap_or(Value::Null);
    let sent = Bot::sitting(&name, minuted::testing::clock::now());
    state.bots.push(Bot { id: id.clone(), meeting_url, transcribed, extra, ..sent });
    created(&id)
}

fn leave(state: &mut State, id: &str) -> Answer {
    let planned = state.planned.len();
    state.planned.retain(|bot| bot.id != id);
    if state.planned.len() < planned {
        return data(&json!({"message": "Scheduled bot cancelled"}));
    }
    match state.bot(id) {
        Some(bot) if bot.is_over() => refusal(409, "Bot status does not allow this operation"),
        Some(bot) => {
            bot.ended = Some(minuted::testing::clock::now());
            data(&json!({"message": "Bot is leaving"}))
        }
        None => refusal(404, "Bot not found"),
    }
}

fn planned(state: &State, request: &Request) -> Answer {
    let entry = |bot: &Planned| {
        let at = bot.at.to_string();
        json!({"bot_id": bot.id, "bot_name": bot.name, "meeting_url": bot.meeting_url, "meeting_platform": "meet",
               "join_at": at, "status": "scheduled", "created_at": at, "updated_at": at,
               "extra": null})
    };
    let limit = request.number("limit", 50).min(state.page_max);
    let (found, next) =
        page(state.planned.iter().map(entry).collect(), limit, request.query("cursor").as_deref());
    ok(json!({"success": true, "data": found, "cursor": next, "prev_cursor": null}))
}

fn calendars(state: &State, request: &Request) -> Answer {
    let at = minuted::testing::clock::now().to_string();
    let entry = |calendar: &super::Calendar| {
        json!({"calendar_id": calendar.id, "calendar_platform": "google", "account_email": calendar.email,
               "status": "active", "synced_at": at, "created_at": at})
    };
    let limit = request.number("limit", 50).min(state.page_max);
    let (found, next) = page(
        state.calendars.iter().map(entry).collect(),
        limit,
        request.query("cursor").as_deref(),
    );
    ok(json!({"success": true, "data": found, "cursor": next, "prev_cursor": null}))
}

fn events(state: &State, calendar: &str, request: &Request) -> Answer {
    let time = |name| request.query(name).map(|time| time.parse::<Timestamp>().expect("a time"));
    let (from, to) = (time("start_date"), time("end_date"));
    let is_wanted = |event: &&Event| {
        let starts = event.starts;
        event.calendar == calendar
            && from.is_none_or(|from| starts >= from)
            && to.is_none_or(|to| starts <= to)
    };
    let entry = |found: &Event| {
        let mut event = event(found);
        let more = [
            "description",
            "location",
            "timezone",
            "is_all_day",
            "organizer_email",
            "organizer_name",
        ];
        for name in
            more.into_iter().chain(["attendees", "calendar_platform", "raw_payload", "updated_at"])
        {
            event.as_object_mut().expect("an object").remove(name);
        }
        event["is_exception"] = json!(false);
        event
    };
    let limit = request.number("limit", 50).min(state.page_max);
    let found = state.events.iter().filter(is_wanted).map(entry).collect();
    let (found, next) = page(found, limit, request.query("cursor").as_deref());
    ok(json!({"success": true, "data": found, "cursor": next, "prev_cursor": null}))
}

fn event(event: &Event) -> Value {
    let attendee = |(email, name): &(&str, Option<&str>)| json!({"email": email, "name": name, "response_status": "accepted"});
    let attendees: Vec<Value> = event.attendees.iter().map(attendee).collect();
    let at = event.starts.to_string();
    json!({
        "event_id": event.id, "series_id": event.series, "event_type": "one_off", "title": event.title,
        "description": null, "location": null, "start_time": at, "end_time": event.ends.to_string(), "timezone": "UTC",
        "is_all_day": false, "status": "confirmed", "organizer_email": null, "organizer_name": null,
        "attendees": attendees, "meeting_url": event.meeting_url, "meeting_platform": "meet",
        "calendar_id": event.calendar, "calendar_platform": "google", "bot_scheduled": event.bot.is_some(),
        "raw_payload": null, "created_at": at, "updated_at": at,
    })
}

fn plan(state: &mut State, calendar: &str, body: &Value, is_planned: bool) -> Answer {
    let whole = body["all_occurrences"] == true;
    let is_meant = |event: &&mut Event| {
        let own = event.calendar == calendar && body["series_id"] == event.series;
        own && (whole || body["event_id"] == event.id)
    };
    let bot = is_planned
        .then(|| (body["bot_name"].as_str().expect("a name").to_owned(), body["extra"].clone()));
    let mut done = Vec::new();
    for event in state.events.iter_mut().filter(is_meant) {
        event.bot.clone_from(&bot);
        done.push(json!({ "event_id": event.id }));
    }
    if done.is_empty() {
        return refusal(404, "Event not found");
    }
    let status = if is_planned { 201 } else { 200 };
    Answer { status, body: json!({"success": true, "data": done, "errors": []}) }
}
