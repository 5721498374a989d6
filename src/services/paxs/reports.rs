//! The analyses of PAXS: the reports, their progress and their contents.
//!
//! A report is never lost because of its content: an unreadable one stays in `raw`, and its
//! findings are empty.

use serde_json::{Map, Value};

use super::{transcript, wire};
use crate::{
    config::Analysis,
    job::{Findings, Report, Status},
    services::answers,
    text,
};

/// Fields that may hold the reports, where they are not the answer itself.
const LIST_FIELDS: [&str; 7] =
    ["analyses", "analysis", "reports", "items", "data", "results", "report"];
const TYPE_FIELDS: [&str; 5] =
    ["analysis_type", "type", "report_type", "analysisType", "reportType"];
const CONTENT_FIELDS: [&str; 4] = ["report_content", "reportContent", "content", "result"];
const ERROR_FIELDS: [&str; 5] = ["error", "error_message", "errorMessage", "message", "detail"];
const MARKDOWN_FIELDS: [&str; 6] =
    ["markdown", "markdown_content", "meeting_note", "note", "text", "content"];

/// Characters that are kept of a failure's message.
const ERROR_CHARS_MAX: usize = 500;

/// Levels of JSON texts inside JSON texts that are parsed.
const UNWRAP_MAX: u8 = 3;

/// Returns the reports of an answer about `meeting`, without those of unknown types; `None` when it
/// is no list of reports at all, or one of another meeting.
pub(super) fn parse_reports(answer: Value, meeting: &str) -> Option<Vec<Report>> {
    if wire::is_of_another(&answer, meeting) {
        return None;
    }
    let items = split_reports(answer)?;
    let is_foreign = items.iter().any(|(_, item)| wire::is_of_another(item, meeting));
    (!is_foreign)
        .then(|| items.iter().filter_map(|(kind, item)| parse_report(*kind, item)).collect())
}

/// Returns the reports, each with the analysis that its field names, where it does.
fn split_reports(answer: Value) -> Option<Vec<(Option<Analysis>, Value)>> {
    match answer {
        Value::Null => Some(vec![]),
        Value::Array(items) => Some(items.into_iter().map(|item| (None, item)).collect()),
        Value::Object(fields) => {
            if is_report(&fields) {
                return Some(vec![(None, Value::Object(fields))]);
            }
            if let Some(items) = wire::list_under(Value::Object(fields.clone()), &LIST_FIELDS, 0) {
                return Some(items.into_iter().map(|item| (None, item)).collect());
            }
            let inner = LIST_FIELDS
                .iter()
                .find_map(|name| fields.get(*name)?.as_object())
                .unwrap_or(&fields);
            if is_report(inner) {
                return Some(vec![(None, Value::Object(inner.clone()))]);
            }
            if is_not_yet(inner) {
                return Some(vec![]);
            }
            let named: Vec<_> =
                inner.iter().filter_map(|(name, item)| named_report(name, item)).collect();
            (!named.is_empty() || inner.is_empty()).then_some(named)
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Reads an entry of `{"transcription": {…}, "meeting note": {…}}`.
fn named_report(name: &str, item: &Value) -> Option<(Option<Analysis>, Value)> {
    let analysis = Analysis::parse(name)?;
    item.is_object().then(|| (Some(analysis), item.clone()))
}

fn is_report(fields: &Map<String, Value>) -> bool {
    wire::first_text(fields, &TYPE_FIELDS).is_some()
        && ["status", "report_content", "reportContent"]
            .iter()
            .any(|name| fields.contains_key(*name))
}

/// Returns whether the answer is `{"status": "processing"}` in place of a list: there are no
/// reports yet.
fn is_not_yet(fields: &Map<String, Value>) -> bool {
    wire::first_text(fields, &["status", "state"]).is_some_and(|word| {
        let word = word.trim().to_ascii_lowercase();
        matches!(word.as_str(), "pending" | "queued" | "processing" | "in_progress" | "running")
    })
}

fn parse_report(kind: Option<Analysis>, item: &Value) -> Option<Report> {
    let fields = item.as_object()?;
    let analysis = wire::first_text(fields, &TYPE_FIELDS).map_or(kind, Analysis::parse)?;
    let content = wire::first_field(fields, &CONTENT_FIELDS);
    let status = parse_status(fields, content.is_some());
    let findings = match status {
        Status::Completed => {
            content.map(|content| parse_findings(analysis, content)).unwrap_or_default()
        }
        Status::Pending | Status::Processing | Status::Failed => Findings::default(),
    };
    Some(Report {
        analysis,
        status,
        id: wire::first_field(fields, &["id", "report_id", "_id", "uuid"]).and_then(wire::parse_id),
        findings,
        error: (status == Status::Failed).then(|| error_text(fields)).flatten(),
        raw: if status == Status::Failed && content.is_none() {
            failure_text(fields)
        } else {
            raw_text(content, item)
        },
    })
}

/// Fields that identify a failure by its message and time: the same at each reading, different for
/// the next failure.
const FAILURE_FIELDS: [&str; 12] = [
    "created_at",
    "createdAt",
    "started_at",
    "startedAt",
    "updated_at",
    "updatedAt",
    "completed_at",
    "completedAt",
    "failed_at",
    "failedAt",
    "finished_at",
    "finishedAt",
];

fn failure_text(fields: &Map<String, Value>) -> String {
    let parts = FAILURE_FIELDS
        .iter()
        .chain(&ERROR_FIELDS)
        .filter_map(|name| Some((*name, fields.get(*name)?)));
    parts.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
}

/// Returns the text of the content as it came. It stays the same when the rest of the report
/// changes (a time of reading, a signed link), and so distinguishes one result from the next.
/// Without content it is the whole report.
fn raw_text(content: Option<&Value>, item: &Value) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(content) => content.to_string(),
        None => item.to_string(),
    }
}

fn parse_status(fields: &Map<String, Value>, has_content: bool) -> Status {
    let Some(word) = wire::first_text(fields, &["status", "state"]) else {
        return if has_content { Status::Completed } else { Status::Processing };
    };
    match word.trim().to_ascii_lowercase().as_str() {
        "completed" | "complete" | "done" | "success" | "succeeded" | "finished" => {
            Status::Completed
        }
        "failed" | "failure" | "error" | "cancelled" | "canceled" => Status::Failed,
        "pending" | "queued" => Status::Pending,
        _ => Status::Processing,
    }
}

fn error_text(fields: &Map<String, Value>) -> Option<String> {
    let message =
        ERROR_FIELDS.iter().find_map(|name| answers::find_message(fields.get(*name)?, 0))?;
    Some(text::one_line(&message, ERROR_CHARS_MAX))
}

fn parse_findings(analysis: Analysis, content: &Value) -> Findings {
    let content = unwrap_json(content);
    let found = match analysis {
        Analysis::Transcription => transcript::parse_transcript(&content),
        Analysis::MeetingNote | Analysis::KeyPoints | Analysis::Sentiment => {
            parse_prose(analysis, &content)
        }
    };
    if found.markdown.is_none() && found.summary.is_none() && found.segments.is_empty() {
        return Findings { markdown: show_as_json(&content), ..found };
    }
    found
}

/// Shows a result in an unknown form as the JSON that it is, rather than not at all.
fn show_as_json(content: &Value) -> Option<String> {
    let says_something = match content {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    // No line of JSON begins like a fence.
    says_something.then(|| format!("```json\n{content:#}\n```"))
}

/// Parses JSON texts inside JSON texts.
fn unwrap_json(content: &Value) -> Value {
    let mut content = content.clone();
    for _ in 0..UNWRAP_MAX {
        let Value::String(text) = &content else { break };
        match serde_json::from_str::<Value>(text) {
            // A bare number or word in Markdown also parses as JSON, but stays a text.
            Ok(inner @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => content = inner,
            Ok(_) | Err(_) => break,
        }
    }
    content
}

fn parse_prose(analysis: Analysis, content: &Value) -> Findings {
    let mut findings = Findings::default();
    match content {
        Value::String(markdown) => findings.markdown = Some(markdown.clone()),
        Value::Array(items) => findings.markdown = bullet_list(items),
        Value::Object(fields) => {
            let inner = result_object(analysis, fields);
            findings.markdown = wire::first_text(inner, &MARKDOWN_FIELDS)
                .map(str::to_owned)
                .or_else(|| listed_points(inner));
            findings.summary = wire::first_text(inner, &["summary", "overview"]).map(str::to_owned);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    findings
}

/// Returns the object that holds the result: under the name of the analysis, under `content`, or
/// the whole.
fn result_object(analysis: Analysis, fields: &Map<String, Value>) -> &Map<String, Value> {
    let content = fields.get("content").and_then(Value::as_object).unwrap_or(fields);
    let mut named = content.iter().filter(|(name, _)| Analysis::parse(name) == Some(analysis));
    named.find_map(|(_, value)| value.as_object()).unwrap_or(content)
}

/// Returns key points that come as a list.
fn listed_points(fields: &Map<String, Value>) -> Option<String> {
    ["key_points", "points", "items", "results"]
        .iter()
        .find_map(|name| bullet_list(fields.get(*name)?.as_array()?))
}

fn bullet_list(items: &[Value]) -> Option<String> {
    let lines: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            Value::String(text) => Some(text.as_str()),
            Value::Object(fields) => {
                wire::first_text(fields, &["text", "point", "content", "title", "summary"])
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
        })
        .map(|text| format!("- {}", text.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::wire::tests::any_json, *};

    fn all(answer: Value) -> Option<Vec<Report>> {
        parse_reports(answer, "m")
    }

    fn one(answer: Value) -> Report {
        let mut reports = all(answer).expect("reports");
        assert_eq!(reports.len(), 1);
        reports.remove(0)
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn no_answer_panics(answer in any_json()) {
            all(answer.clone());
            for analysis in Analysis::ALL {
                parse_findings(analysis, &answer);
                let nested = Value::String(answer.to_string());
                parse_report(Some(analysis), &json!({"status": "completed", "report_content": nested}));
            }
        }

        #[test]
        fn a_report_of_a_known_type_is_never_lost_for_its_content(content in any_json()) {
            let answer = json!([{"id": 1, "analysis_type": "meeting note", "status": "completed", "report_content": content}]);
            prop_assert_eq!(one(answer).status, Status::Completed);
        }
    }

    #[test]
    fn a_note_is_read_from_a_json_text_an_object_or_plain_markdown() {
        for content in [
            json!("{\"markdown\":\"# Notes\"}"),
            json!({"markdown": "# Notes"}),
            json!("# Notes"),
            json!("{\"content\":{\"markdown\":\"# Notes\"}}"),
            json!("{\"content\":{\"meeting_note\":{\"markdown\":\"# Notes\"}}}"),
            json!("\"{\\\"markdown\\\":\\\"# Notes\\\"}\""),
        ] {
            let report = one(
                json!([{"type": "meeting note", "status": "completed", "report_content": content}]),
            );
            assert_eq!(report.findings.markdown.as_deref(), Some("# Notes"), "{content}");
        }
    }

    #[test]
    fn markdown_of_the_wrong_type_keeps_the_report_with_its_raw_text() {
        let report = one(
            json!([{"report_type": "meeting_note", "status": "completed", "report_content": "{\"markdown\":[7]}"}]),
        );
        assert_eq!((report.status, report.raw.as_str()), (Status::Completed, "{\"markdown\":[7]}"));
        assert_eq!(
            report.findings.markdown.as_deref(),
            Some("```json\n{\n  \"markdown\": [\n    7\n  ]\n}\n```")
        );
    }

    #[test]
    fn status_words_are_understood_and_an_unknown_one_means_not_yet() {
        let status = |word: &str| one(json!([{"type": "sentiment", "status": word}])).status;
        for (word, expected) in [
            ("completed", Status::Completed),
            ("Success", Status::Completed),
            ("done", Status::Completed),
            ("error", Status::Failed),
            ("cancelled", Status::Failed),
            ("queued", Status::Pending),
            ("pending", Status::Pending),
            ("processing", Status::Processing),
            ("transmogrifying", Status::Processing),
        ] {
            assert_eq!(status(word), expected, "{word}");
        }
    }

    #[test]
    fn the_reports_are_found_in_any_envelope() {
        let item = json!({"analysis_type": "transcription", "status": "pending"});
        for answer in [
            json!([item]),
            json!({"analyses": [item]}),
            json!({"data": [item]}),
            json!({"data": {"reports": [item]}}),
            item.clone(),
            json!({"data": item}),
            json!({"transcription": {"status": "pending"}}),
            json!({"analysis": {"transcription": {"status": "pending"}}}),
        ] {
            let report = one(answer.clone());
            assert_eq!(
                (report.analysis, report.status),
                (Analysis::Transcription, Status::Pending),
                "{answer}"
            );
        }
        assert_eq!(all(json!([])), Some(vec![]));
        assert_eq!(all(json!({"items": []})), Some(vec![]));
        assert_eq!(all(json!({})), Some(vec![]));
        assert_eq!(all(json!({"status": "processing", "message": "patience"})), Some(vec![]));
        assert_eq!(all(json!({"message": "hello"})), None);
        assert_eq!(
            all(json!([{"analysis_type": "horoscope", "status": "completed"}])),
            Some(vec![])
        );
    }

    #[test]
    fn reports_of_another_meeting_are_none_of_ours() {
        let report = |meeting: Value| json!({"type": "sentiment", "status": "completed", "session_id": meeting});
        assert!(all(json!([report(json!("m"))])).is_some());
        assert!(all(json!([report(json!("m")), report(json!("other"))])).is_none());
        assert!(all(json!({"session_id": 7, "reports": [report(json!(null))]})).is_none());
        assert!(
            all(json!({"transcription": {"status": "pending", "sessionId": "other"}})).is_none()
        );
    }

    #[test]
    fn all_reports_of_one_analysis_are_returned_and_a_failure_tells_why() {
        let reports = all(json!([
            {"id": 1, "type": "meeting note", "status": "failed", "error": {"message": "too\nquiet"}},
            {"id": 2, "type": "meeting note", "status": "completed", "report_content": "# Notes", "message": "ok"},
        ]))
        .expect("reports");
        assert_eq!(reports[0].error.as_deref(), Some("too quiet"));
        assert_eq!((reports[1].id.as_deref(), reports[1].error.as_deref()), (Some("2"), None));
    }

    #[test]
    fn what_changes_around_the_content_does_not_make_another_report() {
        let at = |time: &str| {
            one(
                json!([{"id": 1, "type": "meeting note", "status": "completed", "report_content": "# Notes", "read_at": time}]),
            )
        };
        assert_eq!(at("1").fingerprint(), at("2").fingerprint());
    }

    #[test]
    fn key_points_that_come_as_a_list_become_one() {
        let report = one(json!([{"type": "key_points", "status": "completed",
            "report_content": "{\"key_points\":[\"Ship\\n it\",{\"text\":\"Test it\"},7]}"}]));
        assert_eq!(report.findings.markdown.as_deref(), Some("- Ship it\n- Test it"));
    }
}
