//! Answers of a SaLED, read leniently: its documents give the names of fields and no more.

use serde_json::Value;

use crate::{
    services::{answers, response_parsing},
    text::one_line,
};

/// Characters of an id; the documents' are UUIDs.
const ID_CHARS_MAX: usize = 200;

/// Models that are kept of a list: a longer list is not credible.
const MODELS_MAX: usize = 1000;

/// Characters of the name of a model.
const MODEL_CHARS_MAX: usize = 100;

/// Characters of the message of a failure.
const MESSAGE_CHARS_MAX: usize = 300;

/// Topics of a summary that are shown, and characters of each.
const TOPICS_MAX: usize = 100;
const TOPIC_CHARS_MAX: usize = 200;

/// Returns the id of a job, from the answer to its submission or from its entry in the list of
/// jobs. An id that does not fit into an address counts as none, because it could not be polled.
pub(super) fn job_id(answer: &Value) -> Option<String> {
    let id = ["job_id", "id"].iter().find_map(|name| match answer.get(*name)? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    id.filter(|id| {
        !matches!(id.as_str(), "" | "." | "..")
            && !id.contains(char::is_control)
            && id.chars().count() <= ID_CHARS_MAX
    })
}

/// The state of a job at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SaledJobStatus {
    /// In progress, with the percentage that is done.
    Working(u64),
    /// Done.
    Completed,
    /// Failed, with the reason.
    Failed(String),
    /// Unknown to the server.
    Unknown,
}

/// Returns the state of a job; `None` where there is none. An unknown word counts as in progress.
pub(super) fn parse_status(answer: &Value) -> Option<SaledJobStatus> {
    Some(match answer.get("status")?.as_str()?.to_lowercase().as_str() {
        "completed" | "complete" | "done" | "finished" | "success" => SaledJobStatus::Completed,
        "failed" | "failure" | "error" | "cancelled" | "canceled" => {
            SaledJobStatus::Failed(failure_reason(answer))
        }
        "not_found" | "not found" | "unknown" => SaledJobStatus::Unknown,
        _other => SaledJobStatus::Working(progress_percent(answer)),
    })
}

fn failure_reason(answer: &Value) -> String {
    let message =
        ["error", "message"].iter().find_map(|name| answers::find_message(answer.get(*name)?, 0));
    let message = message
        .or_else(|| answers::find_message(answer, 0))
        .unwrap_or_else(|| "it gave no reason".to_owned());
    one_line(&message, MESSAGE_CHARS_MAX)
}

fn progress_percent(answer: &Value) -> u64 {
    let progress = answer
        .get("progress")
        .and_then(Value::as_f64)
        .filter(|progress| progress.is_finite())
        .unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
    let percent = progress.clamp(0.0, 100.0) as u64;
    percent
}

/// Returns the id of a job that carries `mark` in any text of its entry in the list of jobs; the
/// fields of an entry are not documented. Failed jobs and those among `not` are left out.
pub(super) fn find_job(answer: &Value, mark: &str, not: &[String]) -> Option<String> {
    let jobs = answer.get("jobs").unwrap_or(answer);
    let id = match jobs {
        Value::Array(jobs) => jobs.iter().rev().filter(|job| is_usable(job, mark)).find_map(job_id),
        Value::Object(jobs) => {
            let ours = jobs.iter().find(|(_, job)| is_usable(job, mark));
            ours.and_then(|(id, job)| job_id(job).or_else(|| Some(id.clone())))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    id.filter(|id| !not.contains(id))
}

/// Returns whether a job carries `mark` and has not failed.
fn is_usable(job: &Value, mark: &str) -> bool {
    match parse_status(job) {
        Some(SaledJobStatus::Failed(_) | SaledJobStatus::Unknown) => false,
        Some(SaledJobStatus::Working(_) | SaledJobStatus::Completed) | None => {
            carries_mark(job, mark, 0)
        }
    }
}

fn carries_mark(value: &Value, mark: &str, depth: u8) -> bool {
    /// Levels of an entry that are searched: it is flat, or holds its request.
    const DEPTH_MAX: u8 = 4;
    match value {
        Value::String(text) => is_marked(text, mark),
        Value::Array(items) if depth < DEPTH_MAX => {
            items.iter().any(|item| carries_mark(item, mark, depth + 1))
        }
        Value::Object(fields) if depth < DEPTH_MAX => {
            fields.values().any(|field| carries_mark(field, mark, depth + 1))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            false
        }
    }
}

/// Returns whether a text contains a mark and not a longer one: the mark of generation 1 is the
/// beginning of that of generation 10.
fn is_marked(text: &str, mark: &str) -> bool {
    text.match_indices(mark).any(|(at, _)| {
        let rest = &text[at + mark.len()..];
        let extension = rest.strip_prefix('.').is_some_and(|rest| {
            // The key of another folder's job is followed by its generation, a number and an
            // extension.
            rest.starts_with(|c: char| c.is_ascii_alphabetic()) || rest.starts_with("3gp")
        });
        extension
            || !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))
    })
}

/// A model that the server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SaledModel {
    /// Its name.
    pub(super) name: String,
    /// Its longer name.
    full_name: Option<String>,
    /// True where the server has it, or does not say so.
    pub(super) is_downloaded: bool,
}

impl SaledModel {
    /// Returns whether this is the wanted model; Ollama adds a tag that is usually omitted.
    pub(super) fn matches_name(&self, meant: &str) -> bool {
        let mut names = std::iter::once(self.name.as_str()).chain(self.full_name.as_deref());
        names.any(|name| name == meant || name.strip_suffix(":latest") == Some(meant))
    }
}

/// Returns the models of a list of objects or names; `None` where there is no list.
pub(super) fn parse_models(answer: &Value) -> Option<Vec<SaledModel>> {
    let list = answer.get("models").or_else(|| answer.get("data")).unwrap_or(answer).as_array()?;
    Some(list.iter().filter_map(parse_model).take(MODELS_MAX).collect())
}

fn parse_model(value: &Value) -> Option<SaledModel> {
    let mut names = ["name", "id", "model"].iter();
    let name = value.as_str().or_else(|| names.find_map(|name| value.get(name)?.as_str()))?;
    let full_name = value.get("full_name").and_then(Value::as_str);
    Some(SaledModel {
        name: one_line(name, MODEL_CHARS_MAX),
        full_name: full_name.map(|name| one_line(name, MODEL_CHARS_MAX)),
        is_downloaded: value.get("is_downloaded").and_then(Value::as_bool).unwrap_or(true),
    })
}

/// Returns a summary as Markdown; `None` where there is none.
pub(super) fn summary_markdown(answer: &Value) -> Option<String> {
    let summary = match answer.get("summary")? {
        Value::String(text) => response_parsing::strip_markup(text).to_owned(),
        // "bullet_points" may be a list of texts.
        Value::Array(points) => markdown_list(points),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let topics = answer
        .get("topics")
        .and_then(Value::as_array)
        .map(|topics| markdown_list(topics))
        .unwrap_or_default();
    Some(if summary.is_empty() || topics.is_empty() {
        summary
    } else {
        format!("{summary}\n\n## Topics\n\n{topics}")
    })
}

/// Returns a Markdown list of texts, or of objects that hold one in a usual field.
fn markdown_list(items: &[Value]) -> String {
    let lines = items.iter().filter_map(|item| {
        let mut names = ["topic", "name", "title", "text"].iter();
        let text = item.as_str().or_else(|| names.find_map(|name| item.get(*name)?.as_str()))?;
        let text = text.trim().trim_start_matches(['-', '*', '•']).trim();
        let text = one_line(text, TOPIC_CHARS_MAX);
        (!text.is_empty()).then(|| format!("- {text}"))
    });
    lines.take(TOPICS_MAX).collect::<Vec<_>>().join("\n")
}

/// The answer of the chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChatAnswer {
    /// Its text, without its reasoning and without a fence around the whole.
    pub(super) text: String,
    /// Tokens of the answer, where the server gives their number.
    pub(super) written: Option<u64>,
}

/// Returns the answer of the chat; `None` where there is none.
pub(super) fn parse_chat_answer(answer: &Value) -> Option<ChatAnswer> {
    let message = answer.get("message")?;
    let text = message.as_str().or_else(|| message.get("content")?.as_str())?;
    let written = answer.pointer("/usage/completion_tokens").and_then(Value::as_u64);
    Some(ChatAnswer { text: response_parsing::strip_markup(text).to_owned(), written })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_stands_as_its_word_says_and_a_word_that_is_not_known_means_not_yet() {
        let stands = |answer: Value| parse_status(&answer);
        assert_eq!(
            stands(json!({"status": "processing", "progress": 42})),
            Some(SaledJobStatus::Working(42))
        );
        assert_eq!(
            stands(json!({"status": "queued", "progress": "x"})),
            Some(SaledJobStatus::Working(0))
        );
        assert_eq!(
            stands(json!({"status": "diarizing", "progress": 1e300})),
            Some(SaledJobStatus::Working(100))
        );
        assert_eq!(
            stands(json!({"status": "processing", "progress": -3.5})),
            Some(SaledJobStatus::Working(0))
        );
        assert_eq!(stands(json!({"status": "COMPLETED"})), Some(SaledJobStatus::Completed));
        assert_eq!(
            stands(json!({"status": "not_found", "message": "x"})),
            Some(SaledJobStatus::Unknown)
        );
        let failed = json!({"job_id": "j", "status": "failed", "message": "no\u{1b}[31m\nspeech"});
        assert_eq!(stands(failed), Some(SaledJobStatus::Failed("no\\u{1b}[31m speech".into())));
        assert_eq!(
            stands(json!({"status": "error"})),
            Some(SaledJobStatus::Failed("it gave no reason".into()))
        );
        for answer in [
            json!({}),
            json!([]),
            json!("completed"),
            json!({"status": 7}),
            json!({"status": null}),
        ] {
            assert_eq!(stands(answer.clone()), None, "{answer}");
        }
    }

    #[test]
    fn an_id_is_a_short_text_or_a_number() {
        assert_eq!(job_id(&json!({"job_id": "a/b", "id": "c"})).as_deref(), Some("a/b"));
        assert_eq!(job_id(&json!({"id": 7})).as_deref(), Some("7"));
        for answer in [
            json!({}),
            json!({"job_id": ""}),
            json!({"job_id": ".."}),
            json!({"job_id": "a\n"}),
            json!({"job_id": "x".repeat(201)}),
        ] {
            assert_eq!(job_id(&answer), None, "{answer}");
        }
    }

    const MARK: &str = "b3-00.sales.1";

    #[test]
    fn our_job_is_found_whatever_its_entry_calls_the_name_of_its_file() {
        let found =
            |jobs: Value| find_job(&json!({"jobs": jobs, "count": 1}), MARK, &["old".into()]);
        let deep = json!([{"id": 3, "request": {"file": {"name": "/tmp/upload_b3-00.sales.1"}}}]);
        assert_eq!(found(deep).as_deref(), Some("3"));
        assert_eq!(
            found(json!([{"job_id": "a", "filename": "b3-00.sales.1.wav"}])).as_deref(),
            Some("a")
        );
        assert_eq!(found(json!({"a": {"filename": "b3-00.sales.1.3gp"}})).as_deref(), Some("a"));
        let failed = json!([{"job_id": "a", "status": "failed", "file": "b3-00.sales.1.wav"}]);
        assert_eq!(found(failed), None);
        assert_eq!(found(json!([{"job_id": "old", "file": "b3-00.sales.1.wav"}])), None);
        for other in
            ["b3-00.sales.12.wav", "b3-00.sales.1.7.wav", "b3-00.sales.1-x.wav", "talk.wav"]
        {
            assert_eq!(found(json!([{"job_id": "a", "file": other}])), None, "{other}");
        }
        for answer in [
            json!({"jobs": 7}),
            json!([1, null, "b3-00.sales.1"]),
            json!("x"),
            json!({"detail": "no"}),
        ] {
            assert_eq!(find_job(&answer, MARK, &[]), None, "{answer}");
        }
    }

    #[test]
    fn models_are_names_or_objects_and_one_that_is_not_said_to_be_missing_is_there() {
        let answer = json!({"models": [
            {"name": "tiny.en", "full_name": "openai/whisper-tiny.en", "is_downloaded": false}, "base\n", {"id": "x"}, 7,
        ]});
        let listed = parse_models(&answer).expect("a list");
        let told: Vec<_> =
            listed.iter().map(|model| (model.name.as_str(), model.is_downloaded)).collect();
        assert_eq!(told, [("tiny.en", false), ("base", true), ("x", true)]);
        assert!(
            listed[0].matches_name("tiny.en")
                && listed[0].matches_name("openai/whisper-tiny.en")
                && !listed[0].matches_name("tiny")
        );
        assert_eq!(parse_models(&json!({"detail": "no"})), None);
    }

    #[test]
    fn a_summary_is_a_text_with_its_topics_below() {
        let answer = json!({"summary": " We shipped. ", "topics": ["Shipping\n# x", {"name": "Money"}, 7, " "]});
        insta::assert_snapshot!(summary_markdown(&answer).expect("a summary"), @r"
        We shipped.

        ## Topics

        - Shipping # x
        - Money
        ");
        assert_eq!(
            summary_markdown(&json!({"summary": ["• one", "- two"]})).as_deref(),
            Some("- one\n- two")
        );
        assert_eq!(summary_markdown(&json!({"summary": "", "topics": ["a"]})).as_deref(), Some(""));
        for answer in [json!({}), json!([]), json!({"summary": null}), json!({"topics": ["a"]})] {
            assert_eq!(summary_markdown(&answer), None, "{answer}");
        }
    }

    #[test]
    fn what_the_chat_says_is_its_message() {
        let answer = json!({"message": {"role": "assistant", "content": "<think>x</think> - one"}, "usage": {"completion_tokens": 3}});
        assert_eq!(
            parse_chat_answer(&answer),
            Some(ChatAnswer { text: "- one".into(), written: Some(3) })
        );
        assert_eq!(
            parse_chat_answer(&json!({"message": "x", "usage": null})),
            Some(ChatAnswer { text: "x".into(), written: None })
        );
        for answer in [json!({}), json!({"message": {}}), json!({"message": {"content": 7}})] {
            assert_eq!(parse_chat_answer(&answer), None, "{answer}");
        }
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn no_text_of_a_list_makes_a_job_ours_but_the_mark_with_its_end(before in "[a-z/_ .-]{0,6}", after in "[a-z0-9._ -]{0,6}") {
            let entry = json!([{"job_id": "a", "file": format!("{before}{MARK}{after}")}]);
            let found = find_job(&entry, MARK, &[]).is_some();
            let goes_on = after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
            prop_assert!(!(found && goes_on), "{}", entry);
            prop_assert!(found || !after.is_empty());
        }
    }
}
