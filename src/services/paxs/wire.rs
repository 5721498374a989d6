//! Answers of PAXS, read leniently: where its documents leave a form open, each plausible one is
//! accepted.
//!
//! Pure. `None` and errors mean that an answer has an unexpected form; nothing here panics on any
//! JSON.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::{Map, Value};

use crate::{services::Attachment, text::is_unprintable};

/// Bytes of the longest id: a longer one does not fit into an address.
const ID_BYTES_MAX: usize = 1024;

/// Fields that may hold a list of meetings, where it is not the answer itself.
const LIST_FIELDS: [&str; 4] = ["items", "data", "sessions", "results"];

/// Fields that may wrap an answer about one thing.
const WRAPPERS: [&str; 7] =
    ["data", "session", "meeting", "recording", "attachment", "result", "item"];

const ID_FIELDS: [&str; 4] = ["id", "_id", "uuid", "session_id"];
const MEETING_FIELDS: [&str; 4] = ["session_id", "sessionId", "meeting_id", "meetingId"];
const RECORDING_ID_FIELDS: [&str; 6] =
    ["id", "attachment_id", "recording_id", "attachmentId", "recordingId", "_id"];
const RECORDINGS_FIELDS: [&str; 6] =
    ["recordings", "attachments", "recording", "attachment", "files", "media"];
const NAME_FIELDS: [&str; 7] =
    ["file_name", "filename", "fileName", "original_filename", "original_name", "name", "title"];
const SIZE_FIELDS: [&str; 7] =
    ["size", "file_size", "fileSize", "size_bytes", "filesize", "content_length", "bytes"];
const CREATED_FIELDS: [&str; 5] =
    ["created_at", "createdAt", "created", "creation_time", "inserted_at"];

/// Returns the items of a list: the answer itself, or the contents of an envelope. `null` in an
/// envelope is empty.
pub(super) fn list_items(answer: Value) -> Option<Vec<Value>> {
    list_under(answer, &LIST_FIELDS, 0)
}

/// Returns the number of items on all pages, where the envelope gives it. A `count` may be that of
/// the page.
pub(super) fn total_items(answer: &Value) -> Option<u64> {
    let fields = answer.as_object()?;
    let nested =
        ["meta", "pagination", "data"].iter().filter_map(|name| fields.get(*name)?.as_object());
    std::iter::once(fields).chain(nested).find_map(|fields| {
        first_field(fields, &["total", "total_count", "totalCount", "total_items"])
            .and_then(Value::as_u64)
    })
}

pub(super) fn list_under(answer: Value, names: &[&str], depth: u8) -> Option<Vec<Value>> {
    /// Levels of envelopes: `{"data": {"items": […]}}` has two.
    const DEPTH_MAX: u8 = 2;
    match answer {
        Value::Array(items) => Some(items),
        Value::Object(mut fields) if depth < DEPTH_MAX => {
            for name in names {
                match fields.remove(*name) {
                    Some(Value::Null) => return Some(Vec::new()),
                    Some(inner @ (Value::Array(_) | Value::Object(_))) => {
                        if let Some(items) = list_under(inner, names, depth + 1) {
                            return Some(items);
                        }
                    }
                    Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
                }
            }
            None
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            None
        }
    }
}

/// Returns the id of a meeting in the answer to its creation, in its details or in the list.
pub(super) fn meeting_id(answer: &Value) -> Option<String> {
    id_under(answer, &ID_FIELDS)
}

/// Returns the id of a recording in the answer to its upload.
pub(super) fn recording_id(answer: &Value) -> Option<String> {
    if let Value::Array(items) = answer {
        return items.first().and_then(|item| id_under(item, &RECORDING_ID_FIELDS));
    }
    id_under(answer, &RECORDING_ID_FIELDS)
}

fn id_under(answer: &Value, names: &[&str]) -> Option<String> {
    let fields = answer.as_object()?;
    let own = first_field(fields, names).and_then(parse_id);
    own.or_else(|| {
        WRAPPERS
            .iter()
            .find_map(|name| first_field(fields.get(*name)?.as_object()?, names).and_then(parse_id))
    })
}

/// Returns whether an answer, or a part of one, names another meeting than `meeting`: a cache or
/// proxy that mixes up answers must not mix up the minutes.
pub(super) fn is_of_another(answer: &Value, meeting: &str) -> bool {
    let named = answer
        .as_object()
        .and_then(|fields| first_field(fields, &MEETING_FIELDS))
        .and_then(parse_id);
    named.is_some_and(|named| named != meeting)
}

/// Returns an id as text; it may be a number. An id that is too long, leads upwards in a path or
/// cannot be shown is none.
pub(super) fn parse_id(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let fits = !text.is_empty() && text.len() <= ID_BYTES_MAX && text != "." && text != "..";
    (fits && !text.chars().any(is_unprintable)).then_some(text)
}

/// Returns the first of the named fields that is there and not null.
pub(super) fn first_field<'a>(fields: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| fields.get(*name).filter(|value| !value.is_null()))
}

/// Returns the first of the named fields that is a text with words.
pub(super) fn first_text<'a>(fields: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| fields.get(*name)?.as_str().filter(|text| !text.trim().is_empty()))
}

/// Returns the details of a meeting without their envelope.
fn meeting_details(answer: &Value) -> Option<&Map<String, Value>> {
    let fields = answer.as_object()?;
    if ["description", "title", "recordings", "attachments"]
        .iter()
        .any(|name| fields.contains_key(*name))
    {
        return Some(fields);
    }
    let mut wrappers = ["data", "session", "meeting", "result"].iter();
    Some(wrappers.find_map(|name| fields.get(*name)?.as_object()).unwrap_or(fields))
}

/// Returns the recordings in the details of a meeting; none when there is no such field. Entries
/// without an id are no recordings.
pub(super) fn parse_attachments(answer: &Value) -> Option<Vec<Attachment>> {
    let details = meeting_details(answer)?;
    let found = RECORDINGS_FIELDS.iter().find_map(|name| match details.get(*name)? {
        Value::Array(items) => Some(items.iter().collect::<Vec<_>>()),
        one @ Value::Object(_) => {
            let inner = list_items(one.clone());
            if inner.is_some() { None } else { Some(vec![one]) }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    });
    if let Some(items) = found {
        return Some(items.into_iter().filter_map(parse_attachment).collect());
    }
    let mut names = RECORDINGS_FIELDS.iter();
    let nested = names.find_map(|name| list_items(details.get(*name)?.clone()));
    Some(nested.unwrap_or_default().iter().filter_map(parse_attachment).collect())
}

fn parse_attachment(item: &Value) -> Option<Attachment> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::String(_) | Value::Number(_) => {
            return Some(Attachment { id: parse_id(item)?, name: None, size: None });
        }
        Value::Null | Value::Bool(_) | Value::Array(_) => return None,
    };
    Some(Attachment {
        id: first_field(fields, &RECORDING_ID_FIELDS).and_then(parse_id)?,
        name: first_text(fields, &NAME_FIELDS).map(str::to_owned),
        size: first_field(fields, &SIZE_FIELDS).and_then(whole_number),
    })
}

fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// An item of the list, as a walk needs it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListedMeeting {
    /// The meeting.
    pub(super) id: String,
    /// Its title, where given.
    pub(super) title: Option<String>,
    /// Its description, where given.
    pub(super) description: Option<String>,
    /// The time at which it was made, where given.
    pub(super) created: Option<Timestamp>,
}

impl ListedMeeting {
    /// Reads an item of the list, or the details of a meeting.
    pub(super) fn from_item(item: &Value) -> Option<Self> {
        let fields = meeting_details(item)?;
        let string = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            id: meeting_id(item)?,
            title: string("title").or_else(|| string("name")),
            description: string("description"),
            created: first_field(fields, &CREATED_FIELDS).and_then(parse_time),
        })
    }

    /// Returns whether the description is whole, so that its last line is there.
    pub(super) fn is_whole(&self) -> bool {
        self.description.as_deref().is_some_and(|text| {
            let end = text.trim_end();
            !end.ends_with('…') && !end.ends_with("...")
        })
    }
}

/// Reads a time: RFC 3339, the same without a zone (taken for UTC), or seconds or milliseconds
/// since 1970.
pub(super) fn parse_time(value: &Value) -> Option<Timestamp> {
    /// Below this a number counts seconds (until the year 5138), above it milliseconds (from 1973).
    const SECONDS_MAX: f64 = 1e11;
    match value {
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| {
                let naive: civil::DateTime = text.parse().ok()?;
                Some(naive.to_zoned(TimeZone::UTC).ok()?.timestamp())
            })
        }
        Value::Number(number) => {
            let number = number.as_f64()?;
            let seconds = if number.abs() < SECONDS_MAX { number } else { number / 1000.0 };
            Timestamp::UNIX_EPOCH
                .checked_add(jiff::SignedDuration::try_from_secs_f64(seconds).ok()?)
                .ok()
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Any JSON, with the field names that are looked for among its keys.
    pub(in crate::services::paxs) fn any_json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            prop::sample::select(vec![
                "id",
                "data",
                "items",
                "session",
                "recordings",
                "size",
                "description",
                "created_at",
                "status",
                "type",
                "report_content",
                "content",
                "transcription",
                "segments",
                "speakers",
                "markdown",
                "summary",
                "start",
                "end",
                "text",
                "speaker",
                "analysis_type",
                "error",
                "start_ms",
                "reports",
            ])
            .prop_map(str::to_owned),
            ".{0,4}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            prop::sample::select(vec![
                "transcription",
                "meeting note",
                "completed",
                "00:01:02",
                "{\"markdown\":1}",
                "["
            ])
            .prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn no_answer_panics(answer in any_json()) {
            let ids = [meeting_id(&answer), recording_id(&answer), ListedMeeting::from_item(&answer).map(|listed| listed.id)];
            for id in ids.into_iter().flatten() {
                prop_assert!(!id.is_empty() && id.len() <= ID_BYTES_MAX);
            }
            parse_attachments(&answer);
            parse_time(&answer);
            list_items(answer);
        }
    }

    #[test]
    fn a_list_is_found_in_any_envelope() {
        for answer in [
            json!([{"id": 1}]),
            json!({"items": [{"id": 1}], "total": 1}),
            json!({"data": [{"id": 1}]}),
            json!({"sessions": [{"id": 1}]}),
            json!({"results": [{"id": 1}]}),
            json!({"data": {"items": [{"id": 1}]}}),
        ] {
            assert_eq!(list_items(answer.clone()).map(|items| items.len()), Some(1), "{answer}");
        }
        assert_eq!(list_items(json!({"items": null})), Some(vec![]));
        assert_eq!(list_items(json!({"message": "hello"})), None);
        assert_eq!(list_items(json!("hello")), None);
    }

    #[test]
    fn an_id_may_be_a_number_but_not_a_novel_nor_a_way_up() {
        assert_eq!(meeting_id(&json!({"id": 7})), Some("7".into()));
        assert_eq!(meeting_id(&json!({"data": {"id": "a"}})), Some("a".into()));
        assert_eq!(meeting_id(&json!({"id": "x".repeat(1025)})), None);
        for id in ["..", ".\t.", "a\nb", "a\u{202e}b", ""] {
            assert_eq!(meeting_id(&json!({"id": id})), None, "{id:?}");
        }
        assert_eq!(meeting_id(&json!({"id": null, "session_id": "s"})), Some("s".into()));
        assert_eq!(recording_id(&json!({"session_id": "s", "attachment_id": 9})), Some("9".into()));
        assert_eq!(recording_id(&json!({"session_id": "s"})), None);
    }

    #[test]
    fn recordings_are_found_wherever_the_details_hold_them() {
        let one = Attachment { id: "r".into(), name: Some("a.wav".into()), size: Some(5) };
        for details in [
            json!({"id": "s", "recordings": [{"id": "r", "file_name": "a.wav", "file_size": 5}]}),
            json!({"id": "s", "attachments": [{"attachment_id": "r", "filename": "a.wav", "size": "5"}]}),
            json!({"id": "s", "recording": {"id": "r", "name": "a.wav", "size_bytes": 5}}),
            json!({"data": {"recordings": [{"id": "r", "name": "a.wav", "size": 5}]}}),
            json!({"id": "s", "recordings": {"items": [{"id": "r", "name": "a.wav", "size": 5}]}}),
        ] {
            assert_eq!(parse_attachments(&details), Some(vec![one.clone()]), "{details}");
        }
        assert_eq!(parse_attachments(&json!({"id": "s"})), Some(vec![]));
        assert_eq!(parse_attachments(&json!([])), None);
    }

    #[test]
    fn times_are_read_in_every_spelling() {
        let expected: Timestamp = "2026-11-22T08:00:00Z".parse().expect("a time");
        for spelling in [
            json!("2026-11-22T08:00:00Z"),
            json!("2026-11-22T10:00:00+02:00"),
            json!("2026-11-22T08:00:00"),
            json!("2026-11-22 08:00:00"),
            json!(1_795_334_400),
            json!(1_795_334_400_000_u64),
        ] {
            assert_eq!(parse_time(&spelling), Some(expected), "{spelling}");
        }
        assert_eq!(parse_time(&json!("yesterday")), None);
    }

    #[test]
    fn a_description_that_was_cut_short_is_not_whole() {
        let listed = |description: Value| {
            ListedMeeting::from_item(&json!({"id": 1, "description": description}))
                .expect("an item")
        };
        assert!(listed(json!("all of it")).is_whole());
        assert!(!listed(json!("some of it… ")).is_whole());
        assert!(!listed(json!(null)).is_whole());
    }
}
