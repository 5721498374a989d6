//! What servers of this shape answer, read leniently: each has its own additions and omissions.

use serde_json::Value;

use crate::{http::Answer, job::Segment, services::answers, text::one_line};

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

/// Returns what was said; `None` for what is no transcription. A text without segments is one segment without times.
pub(super) fn transcription(answer: &Value) -> Option<Vec<Segment>> {
    let answer = answer.as_object()?;
    let segments = answer.get("segments").and_then(Value::as_array);
    let segments: Vec<Segment> = segments.into_iter().flatten().filter_map(segment).collect();
    if !segments.is_empty() {
        return Some(segments);
    }
    let text = answer.get("text")?.as_str()?.trim().to_owned();
    Some(if text.is_empty() { Vec::new() } else { vec![Segment { text, ..Segment::default() }] })
}

fn segment(value: &Value) -> Option<Segment> {
    let text = value.get("text")?.as_str()?.trim().to_owned();
    let time = |key: &str| value.get(key).and_then(Value::as_f64).filter(|time| time.is_finite() && *time >= 0.0);
    let start = time("start");
    let end = time("end").filter(|end| start.is_none_or(|start| *end >= start));
    let speaker = match value.get("speaker") {
        Some(Value::String(name)) if !name.trim().is_empty() => Some(name.trim().to_owned()),
        Some(Value::Number(number)) => Some(format!("Speaker {number}")),
        Some(_) | None => None,
    };
    (!text.is_empty()).then_some(Segment { start, end, speaker, text })
}

/// Returns the ids of a list of models.
pub(super) fn models(answer: &Value) -> Vec<String> {
    let list = answer.get("data").or_else(|| answer.get("models")).unwrap_or(answer).as_array();
    let ids = list.into_iter().flatten().filter_map(|model| model.get("id").or_else(|| model.get("name"))?.as_str());
    ids.take(MODELS_MAX).map(|id| one_line(id, MODEL_CHARS_MAX)).collect()
}

/// Returns whether a listed model is the one that is meant; Ollama adds the tag that everyone leaves out.
pub(super) fn is_model(listed: &str, meant: &str) -> bool {
    listed == meant || listed.strip_suffix(":latest") == Some(meant)
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
        text: unfenced(thought_out(text)).trim().to_owned(),
        is_cut: reason == "length",
        is_filtered: reason == "content_filter",
        read: answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64).filter(|tokens| *tokens > 0),
    })
}

/// Returns what follows the thoughts of a reasoning model. Some templates open them before the answer begins.
fn thought_out(text: &str) -> &str {
    let (open, close) = ("<think>", "</think>");
    let begins = text.trim_start().starts_with(open);
    match text.split_once(close) {
        Some((thoughts, said)) if begins || !thoughts.contains(open) => said,
        None if begins => "",
        Some(_) | None => text,
    }
}

/// Returns the inside of a code fence that stands around the whole.
fn unfenced(text: &str) -> &str {
    let inside = || {
        let (info, rest) = text.trim().strip_prefix("```")?.split_once('\n')?;
        let inside = rest.strip_suffix("```")?;
        let is_markdown = matches!(info.trim().to_ascii_lowercase().as_str(), "" | "md" | "markdown");
        // A fence that ends the first one inside opened none: those are two blocks, with text between them.
        let is_whole = inside.split_once("```").is_none_or(|(_, after)| !after.starts_with(['\r', '\n']));
        (is_markdown && is_whole && inside.matches("```").count() % 2 == 0).then_some(inside)
    };
    inside().unwrap_or(text)
}

/// Returns whether a server refused a request because it does not fit the model's window.
pub(super) fn is_too_long(answer: &Answer) -> bool {
    if !matches!(answer.status, 400 | 413 | 422 | 500) {
        return false;
    }
    let error: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = ["/error/code", "/error/type"].map(|place| error.pointer(place).and_then(Value::as_str).unwrap_or(""));
    let said = format!("{} {} {}", code[0], code[1], answers::said(answer)).to_lowercase();
    TOO_LONG.iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn segments_are_read_whatever_else_a_server_adds_or_leaves_out() {
        let answer = json!({"task": "transcribe", "text": "all", "segments": [
            {"id": 0, "start": 0, "end": 1.5, "text": " Good morning. ", "tokens": [1, 2]},
            {"start": -1, "end": "x", "text": "No times.", "speaker": "A"},
            {"start": 5, "end": 4, "text": "An end before its start.", "speaker": 1},
            {"start": 6, "end": 7, "text": " "}, {"start": 6}, 7,
        ]});
        let read = transcription(&answer).expect("a transcription");
        let shown: Vec<_> = read.iter().map(|s| (s.start, s.end, s.speaker.as_deref(), s.text.as_str())).collect();
        assert_eq!(
            shown,
            [
                (Some(0.0), Some(1.5), None, "Good morning."),
                (None, None, Some("A"), "No times."),
                (Some(5.0), None, Some("Speaker 1"), "An end before its start."),
            ]
        );
    }

    #[test]
    fn a_text_alone_is_one_segment_and_silence_is_none() {
        let read = |answer: Value| transcription(&answer).map(|segments| segments.len());
        assert_eq!(read(json!({"text": " Good morning. "})), Some(1));
        assert_eq!(read(json!({"text": "", "segments": []})), Some(0));
        for answer in [json!({}), json!([]), json!("text"), json!({"error": "x"}), json!({"text": null})] {
            assert_eq!(read(answer.clone()), None, "{answer}");
        }
    }

    #[test]
    fn thoughts_and_a_fence_around_the_whole_are_taken_off_and_nothing_else() {
        let text = |content: &str| {
            let answer = json!({"choices": [{"message": {"content": content}}]});
            completion(&answer).expect("an answer").text
        };
        for (said, meant) in [
            ("# Notes", "# Notes"),
            ("<think>Hm.\n</think>\n\n# Notes", "# Notes"),
            ("Hm.</think>\n# Notes", "# Notes"),
            ("<think>never closed", ""),
            ("```markdown\n# Notes\n```\n", "# Notes"),
            ("```\n# Notes\n```", "# Notes"),
            ("```md\n# Notes\n```sh\nls\n```\nb\n```", "# Notes\n```sh\nls\n```\nb"),
            ("```md\na\n```\nb\n```\nc\n```", "```md\na\n```\nb\n```\nc\n```"),
            ("```rust\nfn\n```", "```rust\nfn\n```"),
            ("a <think>b</think> c", "a <think>b</think> c"),
        ] {
            assert_eq!(text(said), meant, "{said}");
        }
    }

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
    }
}
