//! What Meeting BaaS answers, read leniently: its two documents disagree with themselves, and a new field or word is no
//! reason to stop.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::Value;

use crate::{
    config::Attendee,
    job::Segment,
    services::bounded::{TRANSCRIPT_BYTES_MAX, count_word_bytes},
    text::{is_unprintable, one_line},
};

/// Characters of a title, a name or an address that are kept.
const LINE_CHARS_MAX: usize = 200;

/// Characters of an id: theirs have 36.
const ID_CHARS_MAX: usize = 64;

/// Characters of a cursor, a list of two times and an id in base64.
const CURSOR_CHARS_MAX: usize = 2_000;

/// People of one meeting that are kept: more are a mailing list.
const ATTENDEES_MAX: usize = 500;

/// Stretches of speech that are kept: a day of talk in pieces of half a second has fewer.
const SEGMENTS_MAX: usize = 200_000;

/// Returns the first of these fields that is a text and not blank.
pub(super) fn text<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    names
        .iter()
        .find_map(|name| value.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty()))
}

/// Returns a text fit for a line.
pub(super) fn line(value: &Value, names: &[&str]) -> Option<String> {
    text(value, names).map(|text| one_line(text, LINE_CHARS_MAX))
}

/// Returns an id: it stands in addresses, in the queue and in names of files, so that nothing but what ids are made of
/// is one.
pub(super) fn id(value: &Value, names: &[&str]) -> Option<String> {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text(value, names)
        .filter(|id| id.len() <= ID_CHARS_MAX && id.chars().all(fit))
        .map(str::to_owned)
}

/// Returns a time. One without a zone is UTC, as both documents' examples mean it.
pub(super) fn time(value: &Value, names: &[&str]) -> Option<Timestamp> {
    let text = text(value, names)?;
    let civil = || text.parse::<civil::DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
    text.parse().ok().or_else(|| civil().map(|zoned| zoned.timestamp()))
}

/// Returns a number of seconds that is one.
fn seconds(value: &Value, names: &[&str]) -> Option<f64> {
    let number = names.iter().find_map(|name| value.get(name)?.as_f64());
    number.filter(|number| number.is_finite() && *number >= 0.0)
}

/// Returns the items of a list, which stands at the top or under one of these names; `None` where there is none.
pub(super) fn list<'a>(value: &'a Value, names: &[&str]) -> Option<&'a [Value]> {
    let found = names.iter().find_map(|name| value.get(name)?.as_array());
    found.or_else(|| value.as_array()).map(Vec::as_slice)
}

/// Returns the cursor of the next page, in any of its spellings. Version 1 says of that of events that it is an address
/// with a cursor in it, and that it is the cursor: both are read.
pub(super) fn next_cursor(value: &Value) -> Option<String> {
    let next = text(value, &["next_cursor", "nextCursor", "cursor", "next"])?;
    let query = next.split_once('?').map(|(_, query)| query);
    let inside = query.and_then(|query| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(name, _)| name == "cursor").map(|(_, cursor)| cursor.into_owned())
    });
    let next = inside.unwrap_or_else(|| next.to_owned());
    (next.len() <= CURSOR_CHARS_MAX && !next.contains(is_unprintable)).then_some(next)
}

/// Returns who is invited: those with an address, less those who have declined. `None` where that is nobody.
pub(super) fn read_attendees(event: &Value) -> Option<Vec<Attendee>> {
    let invited = event.get("attendees")?.as_array()?;
    let comes =
        |person: &&Value| text(person, &["response_status", "responseStatus"]) != Some("declined");
    let attendee = |person: &Value| {
        let organizes = person.get("organizer").and_then(Value::as_bool) == Some(true);
        let role = organizes.then_some("organizer");
        Attendee::from_outside(
            text(person, &["name", "displayName"]),
            text(person, &["email"])?,
            role,
        )
    };
    let mut people: Vec<Attendee> = Vec::new();
    for person in invited.iter().filter(comes).filter_map(attendee).take(ATTENDEES_MAX) {
        if !people.iter().any(|known| known.email.eq_ignore_ascii_case(&person.email)) {
            people.push(person);
        }
    }
    (!people.is_empty()).then_some(people)
}

/// Returns what was said; `None` for what is no transcript, an empty one, or more than anyone can have said.
pub(super) fn read_transcript(items: &[Value]) -> Option<Vec<Segment>> {
    let segments: Vec<Segment> = items.iter().filter_map(read_segment).take(SEGMENTS_MAX).collect();
    (!segments.is_empty() && count_word_bytes(&segments) <= TRANSCRIPT_BYTES_MAX)
        .then_some(segments)
}

fn read_segment(item: &Value) -> Option<Segment> {
    let words = item.get("words").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let spoken = || {
        let words = words.iter().filter_map(|word| text(word, &["text", "word"]));
        words.collect::<Vec<_>>().join(" ")
    };
    let text = text(item, &["text"]).map_or_else(spoken, str::to_owned);
    let last = || words.iter().rev().find_map(|word| seconds(word, &["end_time", "end"]));
    let start = seconds(item, &["start_time", "start"]);
    let end = seconds(item, &["end_time", "end"]).or_else(last);
    let speaker = match item.get("speaker") {
        Some(Value::String(name)) if !name.trim().is_empty() => {
            Some(one_line(name, LINE_CHARS_MAX))
        }
        Some(Value::Number(number)) => Some(format!("Speaker {number}")),
        Some(_) | None => None,
    };
    let end = end.filter(|end| start.is_none_or(|start| *end >= start));
    (!text.is_empty()).then_some(Segment { start, end, speaker, text, ..Segment::default() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_of_words_and_times_are_read() {
        let old = json!([{"speaker": "Ann", "start_time": 1.5, "words": [
            {"text": "Good", "start_time": 1.5, "end_time": 1.9}, {"text": " morning.", "start_time": 2, "end_time": 2.5},
        ]}]);
        let new = json!([{"speaker": "Ann", "start": 1.5, "end": 2.5, "words": [
            {"word": "Good", "start": 1.5, "end": 1.9}, {"word": "morning.", "start": 2, "end": 2.5},
        ]}]);
        let said = Segment {
            start: Some(1.5),
            end: Some(2.5),
            speaker: Some("Ann".into()),
            text: "Good morning.".into(),
            ..Segment::default()
        };
        for items in [old, new] {
            assert_eq!(
                read_transcript(items.as_array().expect("a list")),
                Some(vec![said.clone()])
            );
        }
    }

    #[test]
    fn a_missing_or_odd_speaker_is_nobody_and_silence_is_no_transcript() {
        let items = json!([
            {"text": "a"}, {"text": "b", "speaker": " "}, {"text": "c", "speaker": 2}, {"text": "d", "speaker": {}},
            {"text": "e", "start": -1, "end": "x"}, {"text": "f", "start": 9, "end": 3},
        ]);
        let said = read_transcript(items.as_array().expect("a list")).expect("a transcript");
        let speakers: Vec<_> = said.iter().map(|segment| segment.speaker.as_deref()).collect();
        assert_eq!(speakers, [None, None, Some("Speaker 2"), None, None, None]);
        assert_eq!((said[4].start, said[4].end, said[5].end), (None, None, None));
        assert_eq!(read_transcript(&[]), None);
        assert_eq!(
            read_transcript(&[json!({"words": [], "speaker": "Ann"}), json!(7), Value::Null]),
            None
        );
    }

    #[test]
    fn a_cursor_is_found_in_each_of_its_spellings() {
        for value in [
            json!({"next_cursor": "abc="}),
            json!({"nextCursor": "abc="}),
            json!({"cursor": "abc=", "prev_cursor": null}),
            json!({"next": "abc="}),
            json!({"next": "https://api.example/calendar_events/?calendar_id=1&cursor=abc%3D"}),
        ] {
            assert_eq!(next_cursor(&value).as_deref(), Some("abc="), "{value}");
        }
        for value in [
            json!({}),
            json!({"next_cursor": null}),
            json!({"cursor": ""}),
            json!({"next": 7}),
            json!([]),
        ] {
            assert_eq!(next_cursor(&value), None, "{value}");
        }
    }

    #[test]
    fn times_have_zones_or_are_utc() {
        let at = |text: &str| time(&json!({ "at": text }), &["at"]).map(|at| at.to_string());
        assert_eq!(
            at("2026-11-22T09:00:00.123456+00:00").as_deref(),
            Some("2026-11-22T09:00:00.123456Z")
        );
        assert_eq!(at("2026-11-22T09:00:00").as_deref(), Some("2026-11-22T09:00:00Z"));
        assert_eq!(at("2026-11-22 09:00:00").as_deref(), Some("2026-11-22T09:00:00Z"));
        assert_eq!(at("soon"), None);
    }

    #[test]
    fn an_id_that_could_lead_elsewhere_is_none() {
        let is_id = |text: &str| id(&json!({ "id": text }), &["id"]).is_some();
        assert!(is_id("6f1c2c1e-8e0a-4b53-9a39-0a8f4f1e2a77"));
        for text in ["", "../x", "a/b", "a b", "é", &"a".repeat(65)] {
            assert!(!is_id(text), "{text}");
        }
        assert_eq!(id(&json!({"uuid": null, "id": 7}), &["uuid", "id"]), None);
    }

    #[test]
    fn those_who_come_and_can_be_written_to_are_attendees() {
        let event = json!({"attendees": [
            {"email": "ann@example.com", "name": "Ann Lee", "organizer": true, "response_status": "accepted"},
            {"email": "bo@example.com", "name": null, "response_status": "perhaps"},
            {"email": "cy@example.com", "response_status": "declined"},
            {"email": "ANN@example.com"}, {"name": "Nobody"}, {"email": "not an address"}, 7,
        ]});
        let people = read_attendees(&event).expect("people");
        let told: Vec<_> =
            people.iter().map(|p| (p.name.as_str(), p.email.as_str(), p.role.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("Ann Lee", "ann@example.com", Some("organizer")),
                ("bo@example.com", "bo@example.com", None)
            ]
        );
        for nobody in [
            json!({}),
            json!({"attendees": null}),
            json!({"attendees": []}),
            json!({"attendees": {}}),
        ] {
            assert_eq!(read_attendees(&nobody), None);
        }
    }

    proptest! {
        #![proptest_config(crate::budget::cases(64))]

        #[test]
        fn no_json_makes_a_panic_or_a_time_that_is_none(text in "[\\[\\]{},:\"a-z0-9.eE+-]{0,60}", number in any::<f64>()) {
            let words = json!([{"text": text, "start": number, "end_time": number, "words": [{"word": text}]}]);
            for value in crate::services::answers::parse_json(text.as_bytes()).into_iter().chain([words]) {
                for segment in read_transcript(list(&value, &["data"]).unwrap_or_default()).into_iter().flatten() {
                    prop_assert!(segment.start.is_none_or(|start| start.is_finite() && start >= 0.0));
                }
                drop((next_cursor(&value), read_attendees(&value), time(&value, &["a"]), id(&value, &["a"])));
            }
        }
    }
}
