//! The schema of the model's answer, and the answer → proposals.
//!
//! The schema bounds lists and texts, or a small model repeats itself up to its limit. The summary
//! comes last, so that it is what an answer lacks that is cut off. The reader is lenient about
//! everything but the meaning: other names of the lists, numbers as texts, texts in place of lists.

use serde_json::{Value, json};

use super::repair::find_object;
use crate::{job::ItemKind, text};

/// Items of one kind that are asked for in one answer.
const EACH_MAX: usize = 12;

/// Sentences of the summary of one answer.
const SUMMARY_MAX: usize = 8;

/// Lines that one item may cite. More would make a bag of words in which everything is found.
const CITED_MAX: usize = 5;

/// Characters of an item that are asked for.
const TEXT_CHARS_MAX: usize = 240;

/// Characters of an item that are read: more is no item.
const READ_CHARS_MAX: usize = 600;

/// Characters of an owner or a due time that are read.
const SHORT_CHARS_MAX: usize = 80;

/// Proposals of one kind that are read from one answer, whatever the schema allowed.
const READ_MAX: usize = 100;

/// The schema of an answer about some lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ItemSchema {
    /// The number of the first line.
    pub(crate) first: usize,
    /// The number of the last line.
    pub(crate) last: usize,
    /// True where items are asked for; else the summary alone.
    pub(crate) has_items: bool,
    /// True where the summary is asked for.
    pub(crate) has_summary: bool,
}

impl ItemSchema {
    /// Returns the JSON schema.
    pub(crate) fn to_json(self) -> Value {
        let line = json!({"type": "integer", "minimum": self.first, "maximum": self.last});
        let lines = json!({"type": "array", "items": line, "minItems": 1, "maxItems": CITED_MAX});
        let text = json!({"type": "string", "maxLength": TEXT_CHARS_MAX});
        let short = json!({"type": ["string", "null"], "maxLength": SHORT_CHARS_MAX});
        let list =
            |item: &Value, most: usize| json!({"type": "array", "items": item, "maxItems": most});
        let plain = json!({
            "type": "object",
            "properties": {"lines": lines, "text": text},
            "required": ["lines", "text"],
            "additionalProperties": false,
        });
        let action = json!({
            "type": "object",
            "properties": {"due": short, "lines": lines, "owner": short, "text": text},
            "required": ["due", "lines", "owner", "text"],
            "additionalProperties": false,
        });
        let mut properties = json!({});
        let mut required = Vec::new();
        if self.has_items {
            properties["actions"] = list(&action, EACH_MAX);
            properties["decisions"] = list(&plain, EACH_MAX);
            properties["questions"] = list(&plain, EACH_MAX);
            required.extend(["actions", "decisions", "questions"]);
        }
        if self.has_summary {
            properties["summary"] = list(&plain, SUMMARY_MAX);
            required.push("summary");
        }
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }
}

/// An item that a model proposes, as it gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// The item, on one line.
    pub(super) text: String,
    /// The numbers of the lines that say it.
    pub(super) lines: Vec<usize>,
    /// Its owner, if it is an action.
    pub(super) owner: Option<String>,
    /// Its due time, if it is an action.
    pub(super) due: Option<String>,
}

/// The answer of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proposals {
    /// The items by their kind, in the order of the answer.
    pub(super) items: Vec<(ItemKind, Proposal)>,
    /// The sentences of the summary.
    pub(super) summary: Vec<Proposal>,
    /// True where the answer ended in the middle.
    pub(crate) is_cut: bool,
}

/// The lists of an answer by the names that models give them.
const LISTS: [(ItemKind, &[&str]); 3] = [
    (ItemKind::Decision, &["decisions", "decision"]),
    (ItemKind::Action, &["actions", "action_items", "actionItems", "action items", "tasks"]),
    (ItemKind::Question, &["questions", "open_questions", "openQuestions", "open questions"]),
];

const SUMMARY: &[&str] = &["summary", "key_points", "summaries"];

/// The names of an item's text.
const TEXTS: [&str; 9] = [
    "text",
    "decision",
    "action",
    "question",
    "task",
    "item",
    "description",
    "sentence",
    "summary",
];

/// Reads the answer of a model; `None` where there is none of the lists in it.
pub(crate) fn parse_proposals(answer: &str) -> Option<Proposals> {
    let has_list = |value: &Value| {
        let names = LISTS.iter().flat_map(|(_, names)| *names).chain(SUMMARY);
        names
            .copied()
            .any(|name| value.get(name).is_some_and(|list| list.is_array() || list.is_string()))
    };
    let (value, is_cut) = find_object(answer, has_list)?;
    let mut proposals = Proposals { is_cut, ..Proposals::default() };
    for (kind, names) in LISTS {
        proposals
            .items
            .extend(read_list(&value, names).into_iter().map(|proposal| (kind, proposal)));
    }
    proposals.summary = read_list(&value, SUMMARY);
    Some(proposals)
}

fn read_list(answer: &Value, names: &[&str]) -> Vec<Proposal> {
    let Some(list) = names.iter().find_map(|name| answer.get(name)) else { return Vec::new() };
    let items = match list {
        Value::Array(items) => items.as_slice(),
        Value::String(_) => std::slice::from_ref(list),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => &[],
    };
    items.iter().take(READ_MAX).filter_map(read_proposal).collect()
}

fn read_proposal(item: &Value) -> Option<Proposal> {
    let written = match item {
        Value::String(text) => text.as_str(),
        Value::Object(_) => TEXTS.iter().find_map(|name| item.get(name)?.as_str())?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    let text = text::one_line(written, READ_CHARS_MAX);
    let text = text.trim_start_matches(['-', '*', '•', ' ']).trim();
    if text.is_empty() {
        return None;
    }
    let lines = ["lines", "line", "line_numbers", "sources"].iter().find_map(|name| item.get(name));
    let short = |names: &[&str]| {
        names.iter().find_map(|name| item.get(name)?.as_str()).and_then(read_short)
    };
    Some(Proposal {
        text: text.to_owned(),
        lines: lines.map(read_lines).unwrap_or_default(),
        owner: short(&["owner", "assignee", "who"]),
        due: short(&["due", "due_date", "dueDate", "deadline", "when"]),
    })
}

/// Reads numbers of lines, as numbers or texts such as `[12]`, `L12`, `3-5`; the first ones of many.
fn read_lines(value: &Value) -> Vec<usize> {
    let mut numbers = Vec::new();
    collect_lines(value, &mut numbers);
    numbers.truncate(CITED_MAX);
    numbers
}

fn collect_lines(value: &Value, numbers: &mut Vec<usize>) {
    match value {
        Value::Number(number) => {
            numbers.extend(number.as_u64().and_then(|number| usize::try_from(number).ok()));
        }
        Value::String(text) => {
            let runs = text.split(|c: char| !c.is_ascii_digit()).take(READ_MAX);
            numbers.extend(runs.filter_map(|run| run.parse::<usize>().ok()));
        }
        Value::Array(items) => {
            items.iter().take(READ_MAX).filter(|item| !item.is_array()).for_each(|item| {
                collect_lines(item, numbers);
            });
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => {}
    }
}

/// Returns an owner or a due time; `None` for the words by which models say that there is none.
fn read_short(text: &str) -> Option<String> {
    const NONE: [&str; 14] = [
        "null",
        "none",
        "n/a",
        "na",
        "unknown",
        "unassigned",
        "unspecified",
        "not specified",
        "not mentioned",
        "tbd",
        "-",
        "no owner",
        "no due date",
        "not stated",
    ];
    let text = text::one_line(text, SHORT_CHARS_MAX);
    let text = text.trim().trim_end_matches('.');
    (!text.is_empty() && !NONE.contains(&text.to_lowercase().as_str())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whatever_its_lists_are_called() {
        let answer = r#"Sure! ```json
            {"decisions": [{"text": "Ship it", "lines": ["12", "[14]"]}, "Buy a boat"],
             "action_items": [{"task": "Write to them", "line": 3, "owner": "N/A", "deadline": "Friday."}],
             "open_questions": null, "summary": "We met."}
            ```"#;
        let read = parse_proposals(answer).expect("an answer");
        let texts: Vec<_> = read
            .items
            .iter()
            .map(|(kind, item)| (*kind, item.text.as_str(), &item.lines[..]))
            .collect();
        assert_eq!(
            texts,
            [
                (ItemKind::Decision, "Ship it", &[12, 14][..]),
                (ItemKind::Decision, "Buy a boat", &[][..]),
                (ItemKind::Action, "Write to them", &[3][..]),
            ]
        );
        assert_eq!(
            (&read.items[2].1.owner, read.items[2].1.due.as_deref()),
            (&None, Some("Friday"))
        );
        assert_eq!(read.summary[0].text, "We met.");
        assert_eq!(parse_proposals("## Notes\n\n- we met"), None);
    }

    #[test]
    fn the_summary_is_the_last_that_is_asked_for() {
        let schema = ItemSchema { first: 3, last: 9, has_items: true, has_summary: true };
        let text = schema.to_json().to_string();
        let place = |word: &str| text.find(word).expect("there");
        assert!(
            place("\"actions\"") < place("\"decisions\"")
                && place("\"questions\"") < place("\"summary\"")
        );
        assert!(
            text.contains("\"maximum\":9")
                && text.contains("\"minimum\":3")
                && text.contains("\"maxItems\"")
        );
        assert!(
            !ItemSchema { has_items: false, ..schema }.to_json().to_string().contains("decisions")
        );
    }
}
