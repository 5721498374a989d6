//! Version 1: its calls, and its answers as its document has them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Bot, Call, Event, State, http::Request, ok, page};

/// Which call it is.
pub(super) fn call(request: &Request) -> Option<Call> {
    Some(match (request.method.as_str(), request.path().as_slice()) {
        ("POST", ["bots", ""]) => Call::Join,
        ("GET", ["bots", "bots_with_metadata"]) => Call::List,
        ("GET", ["bots", "meeting_data"]) => Call::Recording,
        ("POST", ["bots", "retranscribe"]) => Call::Retranscribe,
        ("POST", ["bots", _, "delete_data"]) => Call::Delete,
        ("DELETE", ["bots", _]) => Call::Leave,
        ("GET", ["calendars", ""]) => Call::Calendars,
        ("GET", ["calendar_events", ""]) => Call::Events,
        ("GET", ["calendar_events", _]) => Call::Event,
        ("POST", ["calendar_events", _, "bot"]) => Call::Schedule,
        ("DELETE", ["calendar_events", _, "bot"]) => Call::Unschedule,
        _ => return None,
    })
}

pub(super) fn refusal(status: u16, message: &str) -> Answer {
    Answer { status, body: json!({ "message": message }) }
}

pub(super) fn answer(state: &mut State, call: Call, request: &Request) -> Answer {
    let path = request.path();
    let id = path.get(1).copied().unwrap_or_default();
    match call {
        Call::List => list(state, request),
        Call::Recording => match state.bot(&request.query("bot_id").unwrap_or_default()).cloned() {
            Some(bot) => ok(metadata(state, &bot)),
            None => refusal(404, "Bot not found"),
        },
        Call::Delete => delete(state, id),
        Call::Join => join(state, &request.json()),
        Call::Leave => match state.bot(id) {
            Some(bot) => {
                bot.ended = Some(minuted::testing::clock::now());
                ok(json!({ "ok": true }))
            }
            None => refusal(404, "Bot not found"),
        },
        Call::Retranscribe => {
            let bot = request.json()["bot_uuid"].as_str().expect("an id").to_owned();
            if state.bot(&bot).is_none() {
                return refusal(404, "Bot not found");
            }
            state.retranscribed.push(bot);
            Answer { status: 202, body: Value::Null }
        }
        Call::Calendars => {
            let calendars = state.calendars.iter().map(|calendar| {
                json!({"uuid": calendar.id, "name": "Work", "email": calendar.email, "google_id": calendar.email})
            });
            ok(calendars.collect())
        }
        Call::Events => events(state, request),
        Call::Event => match state.events.iter().find(|event| event.id == id) {
            Some(found) => ok(event(found)),
            None => refusal(404, "Event not found"),
        },
        Call::Schedule => {
            plan(state, id, Some(request.json()["bot_name"].as_str().expect("a name")))
        }
        Call::Unschedule => plan(state, id, None),
        Call::Planned => refusal(404, "there is no such call"),
    }
}

fn list(state: &mut State, request: &Request) -> Answer {
    let since = request.query("ended_after").map(|since| {
        let since: jiff::civil::DateTime = since.parse().expect("a time without a zone");
        since.to_zoned(jiff::tz::TimeZone::UTC).expect("in range").timestamp()
    });
    let is_wanted =
        |bot: &&Bot| since.is_none_or(|since| bot.ended.is_some_and(|ended| ended >= since));
    let limit = request.number("limit", 10);
    assert!((1..=50).contains(&limit), "{limit}");
    let mut bots: Vec<&Bot> = state.bots.iter().filter(is_wanted).collect();
    bots.sort_by_key(|bot| std::cmp::Reverse(bot.created));
    let entries = bots.iter().map(|bot| entry(bot)).collect();
    let (bots, next) = page(entries, limit.min(state.page_max), request.query("cursor").as_deref());
    ok(
        json!({"bots": bots, "next_cursor": next, "last_updated": minuted::testing::clock::now().to_string()}),
    )
}

fn number(id: &str) -> i64 {
    i64::from_str_radix(&id[id.len() - 6..], 16).expect("hexadecimal")
}

fn entry(bot: &Bot) -> Value {
    json!({
        "access_count": null,
        "bot_name": bot.name,
        "created_at": bot.created.to_string(),
        "duration": bot.ended.zip(bot.joined).map(|(ended, joined)| ended.as_second() - joined.as_second()),
        "ended_at": bot.ended.map(|at| at.to_string()),
        "extra": if bot.extra.is_null() { json!({}) } else { bot.extra.clone() },
        "id": number(&bot.id),
        "meeting_url": bot.meeting_url,
        "session_id": null,
        "speakers": ["Ann Lee"],
        "uuid": bot.id,
    })
}

fn metadata(state: &mut State, bot: &Bot) -> Value {
    let is_there = |has: bool| has && bot.is_over() && !bot.deleted;
    let mut address = |has: bool, file: &str| {
        if is_there(has) { state.address(&bot.id, file) } else { String::new() }
    };
    let (audio, mp4) = (address(bot.audio, "output.wav"), address(bot.video, "output.mp4"));
    let said = if bot.transcribed && !bot.deleted { bot.said.as_slice() } else { &[] };
    let transcripts: Vec<Value> = said
        .iter()
        .zip(1..)
        .map(|((start, end, speaker, text), id)| {
            let words = text.split(' ').map(|word| {
                json!({"bot_id": 1, "id": id, "text": word, "start_time": start, "end_time": end, "user_id": null})
            });
            json!({"bot_id": 1, "id": id, "speaker": speaker, "start_time": start, "end_time": end,
                   "words": words.collect::<Vec<_>>()})
        })
        .collect();
    let at = |time: Option<Timestamp>| time.map(|at| at.to_string());
    json!({
        "audio": audio,
        "mp4": mp4,
        "duration": 1800,
        "meeting_participants_file": "",
        "speaker_diarization_file": "",
        "speaker_diarization_file_network": "",
        "bot_data": {
            "bot": {
                "account_id": 1,
                "bot_exited_at": at(bot.ended),
                "bot_joined_at": at(bot.joined),
                "bot_name": bot.name,
                "bot_param_id": 1,
                "created_at": bot.created.to_string(),
                "diarization_v2": false,
                "ended_at": at(bot.ended),
                "errors": bot.failed.as_ref().map(|(_, message)| message),
                "extra": if bot.extra.is_null() { json!({}) } else { bot.extra.clone() },
                "id": number(&bot.id),
                "meeting_url": bot.meeting_url,
                "mp4_s3_path": "",
                "reserved": false,
                "transcription_custom_parameters": {},
                "uuid": bot.id,
                "webhook_url": "",
            },
            "event_uuid": bot.event,
            "transcripts": transcripts,
        },
    })
}

fn delete(state: &mut State, id: &str) -> Answer {
    if !state.may_delete() {
        return refusal(429, "Rate limit exceeded");
    }
    match state.bot(id) {
        Some(bot) if bot.deleted => ok(json!({"ok": true, "status": "alreadyDeleted"})),
        Some(bot) => {
            bot.deleted = true;
            ok(json!({"ok": true, "status": "deleted"}))
        }
        None => refusal(404, "Bot not found"),
    }
}

fn join(state: &mut State, body: &Value) -> Answer {
    let text = |name: &str| body[name].as_str().expect("a text").to_owned();
    let (name, meeting_url) = (text("bot_name"), text("meeting_url"));
    if state.bots.iter().any(|bot| bot.meeting_url == meeting_url && !bot.is_over()) {
        return refusal(409, "A bot with the same API key is in this meeting");
    }
    let id = state.id();
    let joins = body["start_time"].as_i64().map(|at| Timestamp::from_second(at).expect("a time"));
    let sent = Bot::sitting(&name, joins.unwrap_or_else(minuted::testing::clock::now));
    let transcribed = body.get("speech_to_text").is_some();
    state.bots.push(Bot { id: id.clone(), meeting_url, transcribed, ..sent });
    ok(json!({ "bot_id": id }))
}

fn events(state: &State, request: &Request) -> Answer {
    let calendar = request.query("calendar_id").expect("required");
    let is_wanted = |event: &&Event| match request.query("status").as_deref() {
        Some("all") => true,
        Some("past") => event.ends < minuted::testing::clock::now(),
        Some(_) | None => event.starts >= minuted::testing::clock::now(),
    };
    let found = state.events.iter().filter(|event| event.calendar == calendar).filter(is_wanted);
    let (data, next) = page(
        found.map(event).collect(),
        state.page_max.min(100),
        request.query("cursor").as_deref(),
    );
    ok(json!({"data": data, "next": next}))
}

fn event(event: &Event) -> Value {
    let attendees: Vec<Value> =
        event.attendees.iter().map(|(email, name)| json!({"email": email, "name": name})).collect();
    let bot = event.bot.as_ref().map(|(name, extra)| {
        json!({"bot_name": name, "extra": extra, "transcription_custom_parameters": {}, "webhook_url": ""})
    });
    json!({
        "attendees": attendees,
        "bot_param": bot,
        "calendar_uuid": event.calendar,
        "deleted": false,
        "end_time": event.ends.to_string(),
        "google_id": "g1",
        "is_organizer": true,
        "is_recurring": false,
        "last_updated_at": event.starts.to_string(),
        "meeting_url": event.meeting_url,
        "name": event.title,
        "raw": {},
        "recurring_event_id": null,
        "start_time": event.starts.to_string(),
        "uuid": event.id,
    })
}

fn plan(state: &mut State, id: &str, name: Option<&str>) -> Answer {
    let Some(found) = state.events.iter_mut().find(|event| event.id == id) else {
        return refusal(404, "Event not found");
    };
    found.bot = name.map(|name| (name.to_owned(), json!({})));
    ok(json!([event(found)]))
}
