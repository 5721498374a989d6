//! What a SaLED answers, read leniently: its documents give the names of fields and no more.

use serde_json::Value;

use crate::{
    services::{answers, response_parsing},
    text::one_line,
};

/// Characters of an id; the documents' are UUIDs.
const ID_CHARS_MAX: usize = 200;

/// Models of a list that are kept: a list of more is none.
const MODELS_MAX: usize = 1000;

/// Characters of the name of a model.
const MODEL_CHARS_MAX: usize = 100;

/// Characters of what the server says of a failure.
const SAID_CHARS_MAX: usize = 300;

/// Topics of a summary that are shown, and characters of each.
const TOPICS_MAX: usize = 100;
const TOPIC_CHARS_MAX: usize = 200;

/// Returns the id in an answer to a job that was submitted, or in an entry of the list of jobs. One that cannot stand in
/// an address is none: nothing could be asked about it.
pub(super) fn job_id(answer: &Value) -> Option<String> {
    let id = ["job_id", "id"].iter().find_map(|name| match answer.get(*name)? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    });
    let is_place = |id: &str| !matches!(id, "" | "." | "..") && !id.contains(char::is_control);
    id.filter(|id| is_place(id) && id.chars().count() <= ID_CHARS_MAX)
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// It is worked on, so many hundredths are done.
    Working(u64),
    /// It is done.
    Completed,
    /// It has failed: why.
    Failed(String),
    /// The server does not know it.
    Unknown,
}

/// Returns how a job stands; `None` for what is no status. A word that is not known is one for "not yet".
pub(super) fn status(answer: &Value) -> Option<Status> {
    Some(match answer.get("status")?.as_str()?.to_lowercase().as_str() {
        "completed" | "complete" | "done" | "finished" | "success" => Status::Completed,
        "failed" | "failure" | "error" | "cancelled" | "canceled" => Status::Failed(reason(answer)),
        "not_found" | "not found" | "unknown" => Status::Unknown,
        _other => Status::Working(percent(answer)),
    })
}

fn reason(answer: &Value) -> String {
    let said = ["error", "message"].iter().find_map(|name| answers::message(answer.get(*name)?, 0));
    let said = said.or_else(|| answers::message(answer, 0)).unwrap_or_else(|| "it gave no reason".to_owned());
    one_line(&said, SAID_CHARS_MAX)
}

fn percent(answer: &Value) -> u64 {
    let told = answer.get("progress").and_then(Value::as_f64).filter(|told| told.is_finite()).unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
    let percent = told.clamp(0.0, 100.0) as u64;
    percent
}

/// Returns the id of a job that carries `mark` in any text of its entry in the list of jobs: which fields an entry has
/// is not documented. One that failed, or that is among `not`, is none.
pub(super) fn find_job(answer: &Value, mark: &str, not: &[String]) -> Option<String> {
    let jobs = answer.get("jobs").unwrap_or(answer);
    let is_ours = |entry: &Value| {
        let failed = matches!(status(entry), Some(Status::Failed(_) | Status::Unknown));
        !failed && carries(entry, mark, 0)
    };
    let id = match jobs {
        Value::Array(jobs) => jobs.iter().rev().filter(|job| is_ours(job)).find_map(job_id),
        Value::Object(jobs) => {
            let ours = jobs.iter().find(|(_, job)| is_ours(job));
            ours.and_then(|(id, job)| job_id(job).or_else(|| Some(id.clone())))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    id.filter(|id| !not.contains(id))
}

fn carries(value: &Value, mark: &str, depth: u8) -> bool {
    /// An entry is flat, or has its request in it.
    const DEPTH_MAX: u8 = 4;
    match value {
        Value::String(text) => is_marked(text, mark),
        Value::Array(items) if depth < DEPTH_MAX => items.iter().any(|item| carries(item, mark, depth + 1)),
        Value::Object(fields) if depth < DEPTH_MAX => fields.values().any(|field| carries(field, mark, depth + 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether a mark stands in a text with its end: that of a first generation begins that of the tenth, too.
fn is_marked(text: &str, mark: &str) -> bool {
    text.match_indices(mark).any(|(at, _)| {
        let rest = &text[at + mark.len()..];
        let extension = rest.strip_prefix('.').is_some_and(|rest| {
            // What follows the key of another folder's job is its generation, a number and an extension.
            rest.starts_with(|c: char| c.is_ascii_alphabetic()) || rest.starts_with("3gp")
        });
        extension || !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))
    })
}

/// A model that the server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Model {
    /// Its name.
    pub(super) name: String,
    /// Its other name.
    full_name: Option<String>,
    /// Whether it lies at the server; true where the server does not tell.
    pub(super) is_downloaded: bool,
}

impl Model {
    /// Returns whether it is the one that is meant; Ollama adds the tag that everyone leaves out.
    pub(super) fn is(&self, meant: &str) -> bool {
        let is = |name: &str| name == meant || name.strip_suffix(":latest") == Some(meant);
        is(&self.name) || self.full_name.as_deref().is_some_and(is)
    }
}

/// Returns the models of a list, of objects or of names; `None` for what is no list.
pub(super) fn models(answer: &Value) -> Option<Vec<Model>> {
    let list = answer.get("models").or_else(|| answer.get("data")).unwrap_or(answer).as_array()?;
    let model = |value: &Value| {
        let text = |name: &str| Some(one_line(value.get(name)?.as_str()?, MODEL_CHARS_MAX));
        let name = value.as_str().map(|name| one_line(name, MODEL_CHARS_MAX));
        let name = name.or_else(|| text("name")).or_else(|| text("id")).or_else(|| text("model"))?;
        let is_downloaded = value.get("is_downloaded").and_then(Value::as_bool).unwrap_or(true);
        Some(Model { name, full_name: text("full_name"), is_downloaded })
    };
    Some(list.iter().filter_map(model).take(MODELS_MAX).collect())
}

/// Returns a summary as Markdown; `None` for what is none.
pub(super) fn summary(answer: &Value) -> Option<String> {
    let summary = match answer.get("summary")? {
        Value::String(text) => response_parsing::bare(text).to_owned(),
        // "bullet_points" may be a list: a server that gives one means it.
        Value::Array(points) => list(points),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let topics = answer.get("topics").and_then(Value::as_array).map(|topics| list(topics)).unwrap_or_default();
    Some(if summary.is_empty() || topics.is_empty() { summary } else { format!("{summary}\n\n## Topics\n\n{topics}") })
}

/// A Markdown list of texts, or of objects that hold one under a usual name.
fn list(items: &[Value]) -> String {
    let text = |item: &Value| {
        let names = ["topic", "name", "title", "text"];
        let text = item.as_str().or_else(|| names.iter().find_map(|name| item.get(*name)?.as_str()))?;
        let text = one_line(text.trim().trim_start_matches(['-', '*', '•']).trim(), TOPIC_CHARS_MAX);
        (!text.is_empty()).then(|| format!("- {text}"))
    };
    items.iter().filter_map(text).take(TOPICS_MAX).collect::<Vec<_>>().join("\n")
}

/// What the chat answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chatted {
    /// Its text, without what it thought and without a fence around it all.
    pub(super) text: String,
    /// Tokens that it wrote, where the server tells.
    pub(super) written: Option<u64>,
}

/// Returns what the chat answered; `None` for what is no answer of one.
pub(super) fn chatted(answer: &Value) -> Option<Chatted> {
    let message = answer.get("message")?;
    let text = message.as_str().or_else(|| message.get("content")?.as_str())?;
    let written = answer.pointer("/usage/completion_tokens").and_then(Value::as_u64);
    Some(Chatted { text: response_parsing::bare(text).to_owned(), written })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_stands_as_its_word_says_and_a_word_that_is_not_known_means_not_yet() {
        let stands = |answer: Value| status(&answer);
        assert_eq!(stands(json!({"status": "processing", "progress": 42})), Some(Status::Working(42)));
        assert_eq!(stands(json!({"status": "queued", "progress": "x"})), Some(Status::Working(0)));
        assert_eq!(stands(json!({"status": "diarizing", "progress": 1e300})), Some(Status::Working(100)));
        assert_eq!(stands(json!({"status": "processing", "progress": -3.5})), Some(Status::Working(0)));
        assert_eq!(stands(json!({"status": "COMPLETED"})), Some(Status::Completed));
        assert_eq!(stands(json!({"status": "not_found", "message": "x"})), Some(Status::Unknown));
        let failed = json!({"job_id": "j", "status": "failed", "message": "no\u{1b}[31m\nspeech"});
        assert_eq!(stands(failed), Some(Status::Failed("no\\u{1b}[31m speech".into())));
        assert_eq!(stands(json!({"status": "error"})), Some(Status::Failed("it gave no reason".into())));
        for answer in [json!({}), json!([]), json!("completed"), json!({"status": 7}), json!({"status": null})] {
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
        let found = |jobs: Value| find_job(&json!({"jobs": jobs, "count": 1}), MARK, &["old".into()]);
        let deep = json!([{"id": 3, "request": {"file": {"name": "/tmp/upload_b3-00.sales.1"}}}]);
        assert_eq!(found(deep).as_deref(), Some("3"));
        assert_eq!(found(json!([{"job_id": "a", "filename": "b3-00.sales.1.wav"}])).as_deref(), Some("a"));
        assert_eq!(found(json!({"a": {"filename": "b3-00.sales.1.3gp"}})).as_deref(), Some("a"));
        let failed = json!([{"job_id": "a", "status": "failed", "file": "b3-00.sales.1.wav"}]);
        assert_eq!(found(failed), None);
        assert_eq!(found(json!([{"job_id": "old", "file": "b3-00.sales.1.wav"}])), None);
        for other in ["b3-00.sales.12.wav", "b3-00.sales.1.7.wav", "b3-00.sales.1-x.wav", "talk.wav"] {
            assert_eq!(found(json!([{"job_id": "a", "file": other}])), None, "{other}");
        }
        for answer in [json!({"jobs": 7}), json!([1, null, "b3-00.sales.1"]), json!("x"), json!({"detail": "no"})] {
            assert_eq!(find_job(&answer, MARK, &[]), None, "{answer}");
        }
    }

    #[test]
    fn models_are_names_or_objects_and_one_that_is_not_said_to_be_missing_is_there() {
        let answer = json!({"models": [
            {"name": "tiny.en", "full_name": "openai/whisper-tiny.en", "is_downloaded": false}, "base\n", {"id": "x"}, 7,
        ]});
        let listed = models(&answer).expect("a list");
        let told: Vec<_> = listed.iter().map(|model| (model.name.as_str(), model.is_downloaded)).collect();
        assert_eq!(told, [("tiny.en", false), ("base", true), ("x", true)]);
        assert!(listed[0].is("tiny.en") && listed[0].is("openai/whisper-tiny.en") && !listed[0].is("tiny"));
        assert_eq!(models(&json!({"detail": "no"})), None);
    }

    #[test]
    fn a_summary_is_a_text_with_its_topics_below() {
        let answer = json!({"summary": " We shipped. ", "topics": ["Shipping\n# x", {"name": "Money"}, 7, " "]});
        insta::assert_snapshot!(summary(&answer).expect("a summary"), @r"
        We shipped.

        ## Topics

        - Shipping # x
        - Money
        ");
        assert_eq!(summary(&json!({"summary": ["• one", "- two"]})).as_deref(), Some("- one\n- two"));
        assert_eq!(summary(&json!({"summary": "", "topics": ["a"]})).as_deref(), Some(""));
        for answer in [json!({}), json!([]), json!({"summary": null}), json!({"topics": ["a"]})] {
            assert_eq!(summary(&answer), None, "{answer}");
        }
    }

    #[test]
    fn what_the_chat_says_is_its_message() {
        let answer = json!({"message": {"role": "assistant", "content": "<think>x</think> - one"}, "usage": {"completion_tokens": 3}});
        assert_eq!(chatted(&answer), Some(Chatted { text: "- one".into(), written: Some(3) }));
        assert_eq!(chatted(&json!({"message": "x", "usage": null})), Some(Chatted { text: "x".into(), written: None }));
        for answer in [json!({}), json!({"message": {}}), json!({"message": {"content": 7}})] {
            assert_eq!(chatted(&answer), None, "{answer}");
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
