//! Answers of servers with this interface, read leniently: each has its own additions and
//! omissions.

use serde_json::Value;

use crate::{
    http::Answer,
    services::{answers, response_parsing},
    text::one_line,
};

/// Models that are kept of a list: clouds have hundreds, a longer list is not credible.
const MODELS_MAX: usize = 1000;

/// Characters of the name of a model.
const MODEL_CHARS_MAX: usize = 100;

/// Phrases by which servers say that a request does not fit the window.
const TOO_LONG: [&str; 8] = [
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context size",
    "context window",
    "maximum context",
    "prompt is too long",
    "too many tokens",
];

/// The refused part of a request, by the code of the error, for any status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusedItem {
    /// The key.
    Key,
    /// The name of the model.
    Model,
}

/// Codes of errors, in lower case, with the part that they refuse.
const CODES: [(&str, RefusedItem); 10] = [
    ("invalid_api_key", RefusedItem::Key),
    ("api_key_invalid", RefusedItem::Key),
    ("incorrect_api_key", RefusedItem::Key),
    ("missing_api_key", RefusedItem::Key),
    ("authentication_error", RefusedItem::Key),
    ("invalid_authentication", RefusedItem::Key),
    ("model_not_found", RefusedItem::Model),
    ("model_not_available", RefusedItem::Model),
    ("unknown_model", RefusedItem::Model),
    ("deploymentnotfound", RefusedItem::Model),
];

/// Places of an error's code.
const CODE_PLACES: [&str; 6] = [
    "/error/code",
    "/error/type",
    "/code",
    "/type",
    "/error/details/0/reason",
    "/0/error/details/0/reason",
];

/// Returns the part of the request that an answer refuses by its code; `None` without a known code.
pub(super) fn refused_item(answer: &Answer) -> Option<RefusedItem> {
    if !(400..=599).contains(&answer.status) || answer.status == 429 {
        return None;
    }
    let error: Value = answers::parse_json(&answer.body).ok()?;
    let mut codes = CODE_PLACES.iter().filter_map(|place| error.pointer(place)?.as_str());
    codes.find_map(|code| {
        let known = CODES.iter().find(|(known, _)| code.eq_ignore_ascii_case(known));
        known.map(|(_, item)| *item)
    })
}

/// Returns the ids of a list of models.
pub(super) fn model_ids(answer: &Value) -> Vec<String> {
    let list = answer.get("data").or_else(|| answer.get("models")).unwrap_or(answer).as_array();
    let ids = list
        .into_iter()
        .flatten()
        .filter_map(|model| model.get("id").or_else(|| model.get("name"))?.as_str());
    ids.take(MODELS_MAX).map(|id| one_line(id, MODEL_CHARS_MAX)).collect()
}

/// Returns whether a listed model is the wanted one. Ollama adds a tag that is usually omitted;
/// gateways list patterns, in which `*` stands for any text.
pub(super) fn is_model(listed: &str, meant: &str) -> bool {
    listed == meant
        || listed.strip_suffix(":latest") == Some(meant)
        || matches_pattern(listed, meant)
}

/// Returns whether a text matches a pattern with at least one `*`.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('*') else { return false };
    let Some(mut left) = text.strip_prefix(before) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

/// The answer of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Completion {
    /// Its text, without its reasoning and without a fence around the whole.
    pub(super) text: String,
    /// True where it was cut off at its limit.
    pub(super) is_cut: bool,
    /// True where the server withheld a part of it.
    pub(super) is_filtered: bool,
    /// The tokens that were read, where the server gives their number.
    pub(super) read: Option<u64>,
}

/// Returns the answer of a model; `None` where there is none.
pub(super) fn parse_completion(answer: &Value) -> Option<Completion> {
    let choice = answer.get("choices")?.get(0)?;
    let message = choice.get("message")?;
    let text = match message.get("content") {
        Some(Value::String(text)) => text.as_str(),
        Some(Value::Null) | None => "",
        Some(_) => return None,
    };
    let reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default();
    Some(Completion {
        text: response_parsing::strip_markup(text).to_owned(),
        is_cut: reason == "length",
        is_filtered: reason == "content_filter",
        read: answer
            .pointer("/usage/prompt_tokens")
            .and_then(Value::as_u64)
            .filter(|tokens| *tokens > 0),
    })
}

/// Returns whether a server refused a request because it does not fit the model's window.
pub(super) fn is_too_long(answer: &Answer) -> bool {
    if !matches!(answer.status, 400 | 413 | 422 | 500) {
        return false;
    }
    let error: Value = answers::parse_json(&answer.body).unwrap_or_default();
    let code = ["/error/code", "/error/type"]
        .map(|place| error.pointer(place).and_then(Value::as_str).unwrap_or(""));
    let text = format!("{} {} {}", code[0], code[1], answers::error_message(answer)).to_lowercase();
    TOO_LONG.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_says_when_it_is_cut_and_how_much_was_read() {
        let answer = json!({"choices": [{"message": {"content": "x"}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 7}});
        let read = parse_completion(&answer).expect("an answer");
        assert!(read.is_cut && !read.is_filtered && read.read == Some(7));
        for answer in [json!({}), json!({"choices": []}), json!({"choices": [{}]}), json!([1])] {
            assert_eq!(parse_completion(&answer), None, "{answer}");
        }
    }

    #[test]
    fn a_window_that_is_too_small_is_told_from_other_refusals() {
        let answer = |status, body: &str| Answer {
            status,
            date: None,
            retry_after: None,
            location: None,
            content_type: None,
            body: Bytes::from(body.to_owned()),
        };
        for body in [
            r#"{"error":{"message":"no","code":"context_length_exceeded"}}"#,
            r#"{"error":{"code":400,"type":"exceed_context_size_error","message":"the request exceeds it"}}"#,
            r#"{"message":"This model's maximum context length is 4096 tokens."}"#,
        ] {
            assert!(is_too_long(&answer(400, body)), "{body}");
        }
        assert!(!is_too_long(&answer(400, r#"{"error":{"message":"no such voice"}}"#)));
        assert!(!is_too_long(&answer(429, r#"{"error":{"code":"context_length_exceeded"}}"#)));
    }

    #[test]
    fn a_model_is_known_with_and_without_the_tag_that_is_left_out() {
        let listed = model_ids(
            &json!({"object": "list", "data": [{"id": "qwen3:latest"}, {"id": 7}, {"name": "x\n"}]}),
        );
        assert_eq!(listed, ["qwen3:latest", "x"]);
        assert!(is_model("qwen3:latest", "qwen3") && is_model("x", "x") && !is_model("xx", "x"));
        for (pattern, meant, is_meant) in [
            ("openai/whisper-*", "openai/whisper-large-v3", true),
            ("openai/whisper-*", "other/whisper-tiny", false),
            ("*", "anything", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*-turbo", "whisper-turbo", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(is_model(pattern, meant), is_meant, "{pattern} {meant}");
        }
    }

    #[test]
    fn a_code_tells_what_is_refused_and_words_tell_nothing() {
        let answer = |status, body: Value| Answer {
            status,
            date: None,
            retry_after: None,
            location: None,
            content_type: None,
            body: Bytes::from(body.to_string()),
        };
        for (status, body, refused) in [
            (
                401,
                json!({"error": {"code": "invalid_api_key", "message": "no"}}),
                Some(RefusedItem::Key),
            ),
            (
                400,
                json!({"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}}),
                Some(RefusedItem::Key),
            ),
            (
                400,
                json!([{"error": {"details": [{"reason": "API_KEY_INVALID"}]}}]),
                Some(RefusedItem::Key),
            ),
            (404, json!({"error": {"code": "model_not_found"}}), Some(RefusedItem::Model)),
            (
                400,
                json!({"error": {"type": "invalid_request_error", "code": "model_not_found"}}),
                Some(RefusedItem::Model),
            ),
            (400, json!({"error": {"message": "model_not_found: invalid_api_key"}}), None),
            (429, json!({"error": {"code": "invalid_api_key"}}), None),
            (200, json!({"code": "invalid_api_key"}), None),
        ] {
            assert_eq!(refused_item(&answer(status, body.clone())), refused, "{status} {body}");
        }
    }
}
