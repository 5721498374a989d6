//! What servers of this shape answer, read leniently: each has its own additions and omissions.

use serde_json::Value;

use crate::{
    http::Answer,
    services::{answers, response_parsing},
    text::one_line,
};

/// Models of a list that are kept: clouds have hundreds, a list of more is none.
const MODELS_MAX: usize = 1000;

/// Characters of the name of a model.
const MODEL_CHARS_MAX: usize = 100;

/// What a server says of a request that does not fit its window, in words of several of them.
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

/// What a server refuses by the code of its error, whatever the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The key.
    Key,
    /// The name of the model.
    Model,
}

/// Codes of errors, in lower case, with what is refused by them.
const CODES: [(&str, Refusal); 10] = [
    ("invalid_api_key", Refusal::Key),
    ("api_key_invalid", Refusal::Key),
    ("incorrect_api_key", Refusal::Key),
    ("missing_api_key", Refusal::Key),
    ("authentication_error", Refusal::Key),
    ("invalid_authentication", Refusal::Key),
    ("model_not_found", Refusal::Model),
    ("model_not_available", Refusal::Model),
    ("unknown_model", Refusal::Model),
    ("deploymentnotfound", Refusal::Model),
];

/// Where servers put the code of an error.
const CODE_PLACES: [&str; 6] =
    ["/error/code", "/error/type", "/code", "/type", "/error/details/0/reason", "/0/error/details/0/reason"];

/// Returns what an answer refuses by its code; `None` where no code tells.
pub(super) fn refusal(answer: &Answer) -> Option<Refusal> {
    if !(400..=599).contains(&answer.status) || answer.status == 429 {
        return None;
    }
    let error: Value = answers::value(&answer.body).ok()?;
    let mut codes = CODE_PLACES.iter().filter_map(|place| error.pointer(place)?.as_str());
    let meant = |code: &str| CODES.iter().find(|(known, _)| code.eq_ignore_ascii_case(known)).map(|(_, what)| *what);
    codes.find_map(meant)
}

/// Returns the ids of a list of models.
pub(super) fn models(answer: &Value) -> Vec<String> {
    let list = answer.get("data").or_else(|| answer.get("models")).unwrap_or(answer).as_array();
    let ids = list.into_iter().flatten().filter_map(|model| model.get("id").or_else(|| model.get("name"))?.as_str());
    ids.take(MODELS_MAX).map(|id| one_line(id, MODEL_CHARS_MAX)).collect()
}

/// Returns whether a listed model is the one that is meant. Ollama adds the tag that everyone leaves out; gateways list
/// patterns, in which `*` stands for any text.
pub(super) fn is_model(listed: &str, meant: &str) -> bool {
    listed == meant || listed.strip_suffix(":latest") == Some(meant) || matches_pattern(listed, meant)
}

/// Returns whether a text is what a pattern with at least one `*` stands for.
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

/// What a model said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Completion {
    /// Its text, without what it thought and without a fence around it all.
    pub(super) text: String,
    /// Whether it was cut off at its limit.
    pub(super) is_cut: bool,
    /// Whether the server held a part of it back.
    pub(super) is_filtered: bool,
    /// The tokens that were read, when the server tells.
    pub(super) read: Option<u64>,
}

/// Returns what a model said; `None` for what is no answer of one.
pub(super) fn completion(answer: &Value) -> Option<Completion> {
    let choice = answer.get("choices")?.get(0)?;
    let message = choice.get("message")?;
    let text = match message.get("content") {
        Some(Value::String(text)) => text.as_str(),
        Some(Value::Null) | None => "",
        Some(_) => return None,
    };
    let reason = choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default();
    Some(Completion {
        text: response_parsing::bare(text).to_owned(),
        is_cut: reason == "length",
        is_filtered: reason == "content_filter",
        read: answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64).filter(|tokens| *tokens > 0),
    })
}

/// Returns whether a server refused a request because it does not fit the model's window.
pub(super) fn is_too_long(answer: &Answer) -> bool {
    if !matches!(answer.status, 400 | 413 | 422 | 500) {
        return false;
    }
    let error: Value = answers::value(&answer.body).unwrap_or_default();
    let code = ["/error/code", "/error/type"].map(|place| error.pointer(place).and_then(Value::as_str).unwrap_or(""));
    let said = format!("{} {} {}", code[0], code[1], answers::error_message(answer)).to_lowercase();
    TOO_LONG.iter().any(|words| said.contains(words))
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
        let read = completion(&answer).expect("an answer");
        assert!(read.is_cut && !read.is_filtered && read.read == Some(7));
        for answer in [json!({}), json!({"choices": []}), json!({"choices": [{}]}), json!([1])] {
            assert_eq!(completion(&answer), None, "{answer}");
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
        let listed = models(&json!({"object": "list", "data": [{"id": "qwen3:latest"}, {"id": 7}, {"name": "x\n"}]}));
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
            (401, json!({"error": {"code": "invalid_api_key", "message": "no"}}), Some(Refusal::Key)),
            (400, json!({"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}}), Some(Refusal::Key)),
            (400, json!([{"error": {"details": [{"reason": "API_KEY_INVALID"}]}}]), Some(Refusal::Key)),
            (404, json!({"error": {"code": "model_not_found"}}), Some(Refusal::Model)),
            (400, json!({"error": {"type": "invalid_request_error", "code": "model_not_found"}}), Some(Refusal::Model)),
            (400, json!({"error": {"message": "model_not_found: invalid_api_key"}}), None),
            (429, json!({"error": {"code": "invalid_api_key"}}), None),
            (200, json!({"code": "invalid_api_key"}), None),
        ] {
            assert_eq!(refusal(&answer(status, body.clone())), refused, "{status} {body}");
        }
    }
}
