//! Koldan's answers, read leniently: where its documents leave a name open, each likely one is
//! accepted.

use serde_json::Value;

use crate::{
    job::{Segment, Status},
    services::{CallError, answers::unexpected_answer},
    text::one_line,
};

/// Fields that may hold the entries of a page. (unknown)
const ENTRIES: [&str; 8] =
    ["content", "items", "data", "results", "transcriptions", "summaries", "files", "templates"];

/// Fields that may wrap the wanted object. (unknown)
const WRAPPERS: [&str; 4] = ["data", "transcription", "summary", "item"];

/// Characters that are kept of a failure's message.
const ERROR_CHARS_MAX: usize = 300;

/// Levels of an entry that are searched for a marker.
const DEPTH_MAX: u8 = 8;

/// Returns the entries of a page, and the total that it names. A list of anything but objects has
/// no entries.
pub(super) fn page_entries(page: &Value) -> Result<(Vec<Value>, Option<usize>), CallError> {
    let total =
        ["totalElements", "total", "totalCount"].iter().find_map(|name| page.get(name)?.as_u64());
    let total = total.and_then(|total| usize::try_from(total).ok());
    let list = page.as_array().or_else(|| list_in(page, 0));
    let list = list.ok_or_else(|| unexpected_answer("a page without a list"))?;
    Ok((list.iter().filter(|entry| entry.is_object()).cloned().collect(), total))
}

fn list_in(page: &Value, depth: u8) -> Option<&Vec<Value>> {
    let mut named = ENTRIES.iter().filter_map(|name| page.get(name));
    let direct = named.clone().find_map(Value::as_array);
    if direct.is_some() || depth >= 2 {
        return direct;
    }
    named.find_map(|inner| list_in(inner, depth + 1))
}

/// Characters of an id; those of the documents have about 30.
const ID_CHARS_MAX: usize = 200;

/// Returns an id: a number, or a text that fits into an address.
pub(super) fn parse_id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if fits_address(text.trim()) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

fn fits_address(id: &str) -> bool {
    !matches!(id, "" | "." | "..")
        && id.len() <= ID_CHARS_MAX
        && !id.contains(crate::text::is_unprintable)
}

/// Returns the first id under these names.
pub(super) fn id_at(value: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| parse_id(value.get(name)?))
}

/// Returns the id of the transcription in the answer to an upload. (unknown): its field.
pub(super) fn uploaded_transcription(answer: &Value) -> Option<String> {
    let answer = answer.get("data").filter(|data| data.is_object()).unwrap_or(answer);
    let inner = answer.get("transcription").or_else(|| answer.get("transcriptionJob"));
    let inner = inner.and_then(|inner| {
        id_at(inner, &["id", "transcriptionId", "uuid"]).or_else(|| parse_id(inner))
    });
    inner.or_else(|| id_at(answer, &["transcriptionId", "id"]))
}

/// Returns the id of the summary in the answer to its request.
pub(super) fn begun_summary(answer: &Value) -> Option<String> {
    let inner = ["summary", "data"].iter().find_map(|name| answer.get(name));
    [Some(answer), inner].into_iter().flatten().find_map(|value| id_at(value, &["id", "summaryId"]))
}

/// Takes the wanted object out of its wrapper, if it has one. An object with another id is an
/// unexpected answer.
pub(super) fn unwrap_answer(answer: Value, wanted: &str) -> Result<Value, CallError> {
    let found = if has_state(&answer) {
        answer
    } else {
        let mut inner = WRAPPERS.iter().filter_map(|name| answer.get(name));
        inner.find(|inner| has_state(inner)).cloned().unwrap_or(answer)
    };
    if !found.is_object() {
        return Err(unexpected_answer("no object"));
    }
    match id_at(&found, &["id", "uuid"]) {
        Some(other) if other != wanted => {
            Err(unexpected_answer("an answer of another id than was asked for"))
        }
        Some(_) | None => Ok(found),
    }
}

fn has_state(value: &Value) -> bool {
    value.get("status").is_some() || value.get("result").is_some()
}

/// Returns the progress of a transcription or summary. An unknown word counts as unfinished.
pub(super) fn parse_status(value: &Value) -> Status {
    let word = value.get("status").and_then(Value::as_str).unwrap_or_default().to_ascii_uppercase();
    match word.as_str() {
        "COMPLETED" | "SUCCEEDED" | "DONE" | "FINISHED" => Status::Completed,
        "FAILED" | "ERROR" | "CANCELLED" | "CANCELED" => Status::Failed,
        "PENDING" | "QUEUED" => Status::Pending,
        "" if result_text(value).is_some() => Status::Completed,
        _other => Status::Processing,
    }
}

/// Returns the reason of a failure, in Koldan's codes and words.
pub(super) fn failure_message(value: &Value) -> String {
    let list = value.get("errors").and_then(Value::as_array);
    let errors = list.into_iter().flatten().take(5).filter_map(error_text);
    let single = value.get("error").and_then(error_text);
    let code = text_field(value, "errorCode").map(str::to_owned);
    let message = text_field(value, "errorMessage").map(str::to_owned);
    let mut parts: Vec<String> = Vec::new();
    for part in code.into_iter().chain(message).chain(single).chain(errors) {
        if !parts.iter().any(|before| before.contains(&part)) {
            parts.push(part);
        }
    }
    if parts.is_empty() {
        parts.extend(text_field(value, "status").map(str::to_owned));
    }
    let reason = one_line(&parts.join("; "), ERROR_CHARS_MAX);
    if reason.is_empty() { "it gave no reason".to_owned() } else { reason }
}

/// Returns the code and message of an error.
fn error_text(error: &Value) -> Option<String> {
    match error {
        Value::String(text) => Some(text.clone()),
        Value::Object(_) => {
            let parts = ["code", "message"].iter().filter_map(|name| text_field(error, name));
            let parts: Vec<&str> = parts.map(str::trim).filter(|part| !part.is_empty()).collect();
            (!parts.is_empty()).then(|| parts.join(": "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn text_field<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Returns the text of a result, if it has one.
pub(super) fn result_text(value: &Value) -> Option<&str> {
    match value.get("result") {
        Some(Value::String(text)) => Some(text),
        Some(result) => result.get("text").and_then(Value::as_str),
        None => value.get("text").and_then(Value::as_str),
    }
}

/// Returns the segments of a transcription; `None` where the answer has no result. A text without
/// segments gives one a paragraph.
pub(super) fn parse_segments(value: &Value) -> Option<Vec<Segment>> {
    // [unknown]: whether and how segments come; the documents show the text alone.
    let result = value.get("result").unwrap_or(value);
    let list = ["segments", "utterances", "sentences"]
        .iter()
        .find_map(|name| result.get(name)?.as_array());
    let segments: Vec<Segment> = list.into_iter().flatten().filter_map(parse_segment).collect();
    if !segments.is_empty() {
        return Some(segments);
    }
    let paragraphs = result_text(value)?.split("\n\n").flat_map(|part| part.split("\r\n\r\n"));
    let texts = paragraphs.map(str::trim).filter(|text| !text.is_empty());
    Some(texts.map(|text| Segment { text: text.to_owned(), ..Segment::default() }).collect())
}

fn parse_segment(value: &Value) -> Option<Segment> {
    let text = value.get("text")?.as_str()?.trim().to_owned();
    let start =
        parse_time(value, &["start", "startTime", "start_time", "begin"], &["startMs", "start_ms"]);
    let end = parse_time(value, &["end", "endTime", "end_time"], &["endMs", "end_ms"]);
    let end = end.filter(|end| start.is_none_or(|start| *end >= start));
    let speaker = ["speaker", "speakerName", "speakerLabel", "speakerId"]
        .iter()
        .find_map(|name| speaker_name(value.get(name)?));
    (!text.is_empty()).then_some(Segment { start, end, speaker, text, ..Segment::default() })
}

/// Returns a time in seconds. (unknown): the unit. A name that ends in `Ms` means milliseconds, any
/// other seconds.
fn parse_time(value: &Value, seconds: &[&str], milliseconds: &[&str]) -> Option<f64> {
    let time = seconds.iter().find_map(|name| number_field(value, name));
    let time = time.or_else(|| {
        let milliseconds = milliseconds.iter().find_map(|name| number_field(value, name));
        milliseconds.map(|milliseconds| milliseconds / 1000.0)
    });
    time.filter(|time| time.is_finite() && *time >= 0.0)
}

fn number_field(value: &Value, name: &str) -> Option<f64> {
    match value.get(name)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn speaker_name(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.trim().to_owned()).filter(|name| !name.is_empty()),
        Value::Number(number) => Some(format!("Speaker {number}")),
        Value::Object(_) => {
            ["name", "label"].iter().find_map(|name| speaker_name(value.get(name)?))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    }
}

/// Returns the SHA-256 in the entry of a file, in lower case; `None` where there is none.
/// (unknown): its field.
pub(super) fn file_hash(file: &Value) -> Option<String> {
    let named =
        ["sha256", "sha256Hash", "sha256Checksum", "fileHash", "contentHash", "hash", "checksum"];
    let found = named.iter().find_map(|name| match file.get(name)? {
        Value::String(text) => Some(text.clone()),
        inner @ Value::Object(_) => {
            inner.get("sha256").or_else(|| inner.get("value"))?.as_str().map(str::to_owned)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    })?;
    let found = found.trim().to_ascii_lowercase();
    Some(found.strip_prefix("sha256:").map_or(found.clone(), str::to_owned))
}

/// The prefix of a job's key in tags and metadata.
pub(super) const MARK: &str = "minuted:";

/// Returns whether any text of an entry contains the marker of this job, and whether any contains
/// that of some job.
pub(super) fn find_marks(value: &Value, key: &str) -> (bool, bool) {
    let mut ours = false;
    let mut any = false;
    each_text(value, 0, &mut |text| {
        any |= text.contains(MARK);
        ours |= text.match_indices(key).any(|(at, _)| {
            let rest = &text[at + key.len()..];
            let ends =
                !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
            ends && text[..at].ends_with(MARK)
        });
    });
    (ours, any)
}

fn each_text(value: &Value, depth: u8, visit: &mut impl FnMut(&str)) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, depth + 1, visit)),
        // The words of a recording are no marker.
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "result")
            .for_each(|(_, field)| each_text(field, depth + 1, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the transcription that an entry names.
pub(super) fn transcription_of(summary: &Value) -> Option<String> {
    id_at(summary, &["transcriptionId", "transcription_id", "transcription"])
        .or_else(|| id_at(summary.get("transcription")?, &["id"]))
}

/// Returns the template that an entry names.
pub(super) fn template_of(summary: &Value) -> Option<String> {
    let names = [
        "promptTemplateId",
        "promptTemplateUuid",
        "prompt_template_id",
        "templateId",
        "promptTemplate",
    ];
    id_at(summary, &names).or_else(|| id_at(summary.get("promptTemplate")?, &["uuid", "id"]))
}

/// Returns the ids of the transcriptions that the entry of a file names.
pub(super) fn transcriptions_of(file: &Value) -> Vec<String> {
    let one = id_at(file, &["transcriptionId"]).or_else(|| {
        let inner = file.get("transcription")?;
        id_at(inner, &["id"]).or_else(|| parse_id(inner))
    });
    let many = ["transcriptions", "transcriptionIds"]
        .iter()
        .filter_map(|name| file.get(name)?.as_array())
        .flatten();
    let many = many
        .filter_map(|entry| id_at(entry, &["id", "transcriptionId"]).or_else(|| parse_id(entry)));
    let mut ids: Vec<String> = Vec::new();
    for id in one.into_iter().chain(many) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// Returns whether an error answer has this code.
pub(super) fn has_code(body: &[u8], code: &str) -> bool {
    String::from_utf8_lossy(&body[..body.len().min(64 * 1024)]).contains(code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_read_in_each_envelope_that_it_may_have() {
        let entry = json!({"id": "a"});
        for (page, total) in [
            (json!([entry]), None),
            (json!({"content": [entry], "totalElements": 7}), Some(7)),
            (json!({"data": {"items": [entry, 7, null]}}), None),
            (json!({"results": [entry], "total": 1}), Some(1)),
        ] {
            let (found, told) = page_entries(&page).expect("a page");
            assert_eq!((found.as_slice(), told), ([entry.clone()].as_slice(), total), "{page}");
        }
        for page in [json!({}), json!("x"), json!({"content": 7})] {
            assert!(matches!(page_entries(&page), Err(CallError::Unavailable { .. })), "{page}");
        }
    }

    #[test]
    fn the_transcription_of_an_upload_is_found_under_each_name_of_it() {
        for answer in [
            json!({"file": {"id": "f"}, "transcription": {"id": "t", "status": "PENDING"}}),
            json!({"id": "f", "transcriptionId": "t"}),
            json!({"id": "t"}),
            json!({"data": {"transcription": {"id": "t"}}}),
        ] {
            assert_eq!(uploaded_transcription(&answer).as_deref(), Some("t"), "{answer}");
        }
        assert_eq!(uploaded_transcription(&json!({"id": 7})).as_deref(), Some("7"));
        for unfit in ["", " ", "..", "a\nb", &"x".repeat(300)] {
            assert_eq!(uploaded_transcription(&json!({ "id": unfit })), None, "{unfit}");
        }
        assert_eq!(uploaded_transcription(&json!({"file": {"id": "f"}})), None);
    }

    #[test]
    fn an_answer_of_another_id_is_not_what_was_promised() {
        assert!(unwrap_answer(json!({"id": "b", "status": "COMPLETED"}), "a").is_err());
        assert!(unwrap_answer(json!([1]), "a").is_err());
        assert_eq!(
            unwrap_answer(json!({"data": {"id": "a", "status": "X"}}), "a").expect("it")["status"],
            "X"
        );
        assert_eq!(
            unwrap_answer(json!({"status": "PENDING"}), "a").expect("it")["status"],
            "PENDING"
        );
    }

    #[test]
    fn words_that_nobody_knows_are_work_in_progress() {
        let status = |word: &str| parse_status(&json!({"status": word}));
        assert_eq!(status("COMPLETED"), Status::Completed);
        assert_eq!([status("FAILED"), status("CANCELLED")], [Status::Failed, Status::Failed]);
        assert_eq!(
            [status("IN_PROGRESS"), status("DIARIZING")],
            [Status::Processing, Status::Processing]
        );
        assert_eq!(super::parse_status(&json!({"result": {"text": "x"}})), Status::Completed);
        assert_eq!(super::parse_status(&json!({})), Status::Processing);
    }

    #[test]
    fn a_failure_tells_its_codes_once_and_in_one_line() {
        let told = failure_message(&json!({"status": "FAILED", "errorCode": "AUDIO", "errors": [
            {"code": "AUDIO", "message": "no\nspeech", "timestamp": 1}, {"code": "AUDIO"}, 7]}));
        assert_eq!(told, "AUDIO; AUDIO: no speech");
        assert_eq!(failure_message(&json!({"status": "CANCELLED"})), "CANCELLED");
        assert_eq!(failure_message(&json!({})), "it gave no reason");
    }

    #[test]
    fn what_was_said_comes_in_segments_or_in_paragraphs() {
        let answer = json!({"result": {"text": "all", "segments": [
            {"start": 0, "end": 1.5, "text": " One. ", "speaker": {"name": "Ann"}},
            {"startMs": 2000, "endMs": 1000, "text": "Two.", "speakerId": 2}, {"start": "3.5", "text": "Three."}, {"text": " "}, 7]}});
        let read = parse_segments(&answer).expect("segments");
        let shown: Vec<_> =
            read.iter().map(|s| (s.start, s.end, s.speaker.as_deref(), s.text.as_str())).collect();
        assert_eq!(
            shown,
            [
                (Some(0.0), Some(1.5), Some("Ann"), "One."),
                (Some(2.0), None, Some("Speaker 2"), "Two."),
                (Some(3.5), None, None, "Three.")
            ]
        );
        let paragraphs = parse_segments(&json!({"result": {"text": "One.\nStill one.\n\n\nTwo."}}))
            .expect("a text");
        assert_eq!(
            paragraphs.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(),
            ["One.\nStill one.", "Two."]
        );
        assert_eq!(parse_segments(&json!({"result": {"text": ""}})), Some(Vec::new()));
        assert_eq!(parse_segments(&json!({"result": {}})), None);
    }

    #[test]
    fn a_marker_is_that_of_one_job_and_of_no_other() {
        let key = "b3-0.sales.1";
        for (entry, expected) in [
            (json!({"tags": ["minuted:b3-0.sales.1"]}), (true, true)),
            (json!({"metadata": "{\"job\":\"minuted:b3-0.sales.1\"}"}), (true, true)),
            (json!({"tags": ["minuted:b3-0.sales.10"]}), (false, true)),
            (json!({"tags": ["b3-0.sales.1"]}), (false, false)),
            (json!({"result": {"text": "minuted:b3-0.sales.1"}}), (false, false)),
            (json!({}), (false, false)),
        ] {
            assert_eq!(find_marks(&entry, key), expected, "{entry}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            prop_oneof!["[a-z]{0,6}", "COMPLETED|FAILED|minuted:x", any::<String>()]
                .prop_map(Value::from),
        ];
        let name = prop_oneof![
            Just("id"),
            Just("status"),
            Just("result"),
            Just("text"),
            Just("segments"),
            Just("data"),
            Just("content"),
            Just("errors"),
            Just("speaker"),
            Just("start"),
            Just("tags"),
            Just("transcription"),
            Just("transcriptions"),
        ];
        leaf.prop_recursive(6, 48, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((name.clone(), inner), 0..6).prop_map(|fields| fields
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(crate::budget::cases(512))]

        #[test]
        fn whatever_is_answered_is_read_or_refused(answer in any_json()) {
            drop(page_entries(&answer));
            let _read = (uploaded_transcription(&answer), parse_status(&answer), parse_segments(&answer), file_hash(&answer));
            let _read = (transcription_of(&answer), template_of(&answer), transcriptions_of(&answer), find_marks(&answer, "x"));
            prop_assert!(failure_message(&answer).chars().count() <= ERROR_CHARS_MAX);
            for segment in parse_segments(&answer).into_iter().flatten() {
                prop_assert!(!segment.text.is_empty() && segment.start.is_none_or(|start| start >= 0.0));
            }
            drop(unwrap_answer(answer, "a"));
        }
    }
}
