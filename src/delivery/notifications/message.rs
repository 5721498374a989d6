//! What a notification says: the body of a webhook, and the input of a command.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::store::EventFacts;

/// Bytes of a whole notification: Standard Webhooks 1.0 recommends less than 20 kB, and receivers rely on it.
const BODY_BYTES_MAX: usize = 20_000;

/// An event as a notifier is told of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    /// Its id, the same however often it is sent.
    pub id: String,
    /// The word of the event.
    pub event: &'static str,
    /// The time of the event.
    pub at: Timestamp,
    /// The facts.
    pub facts: EventFacts,
    /// The page of the job, where there is one.
    pub link: Option<String>,
    /// The notes, where the notifier gets them.
    pub notes: Option<String>,
}

impl Message {
    /// Returns it as JSON: `type`, `timestamp`, `data`.
    ///
    /// Notes are cut at the end of a line where the whole would be too large; `notes_cut` says so. Decisions and actions
    /// stand first in them, so what is cut is the transcript.
    #[must_use]
    pub(super) fn to_json(&self) -> String {
        let Some(notes) = &self.notes else { return self.render(None) };
        let whole = self.render(Some((notes, false)));
        if whole.len() <= BODY_BYTES_MAX {
            return whole;
        }
        // Escapes make a text longer in JSON: half of what is too long goes until it fits.
        let mut length = notes.len().min(BODY_BYTES_MAX);
        loop {
            let cut = cut_at_line(notes, length);
            let body = self.render(Some((cut, true)));
            if body.len() <= BODY_BYTES_MAX || cut.is_empty() {
                return body;
            }
            length = cut.len().saturating_sub((body.len() - BODY_BYTES_MAX).div_ceil(2).max(1));
        }
    }

    fn render(&self, notes: Option<(&str, bool)>) -> String {
        let mut data = match serde_json::to_value(&self.facts) {
            Ok(Value::Object(data)) => data,
            Ok(_) | Err(_) => Map::new(),
        };
        if let Some(link) = &self.link {
            data.insert("link".to_owned(), json!(link));
        }
        if let Some((text, is_cut)) = notes {
            data.insert("notes_text".to_owned(), json!(text));
            data.insert("notes_cut".to_owned(), json!(is_cut));
        }
        json!({ "type": self.event, "timestamp": self.at.to_string(), "data": data }).to_string()
    }
}

/// Returns the longest part of at most `bytes` that ends with a line, or within one where that is longer.
fn cut_at_line(text: &str, bytes: usize) -> &str {
    let bytes = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    let part = &text[..bytes.unwrap_or_default()];
    match part.rfind('\n') {
        Some(end) if part.len() < text.len() => &part[..=end],
        Some(_) | None => part,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(title: &str, notes: Option<&str>) -> Message {
        Message {
            id: "msg_1".to_owned(),
            event: "notes.ready",
            at: Timestamp::UNIX_EPOCH,
            facts: EventFacts {
                job: Some(7),
                title: Some(title.to_owned()),
                ..EventFacts::default()
            },
            link: Some("http://127.0.0.1:8765/jobs/7".to_owned()),
            notes: notes.map(str::to_owned),
        }
    }

    proptest! {
        #![proptest_config(crate::budget::cases(64))]

        #[test]
        fn any_notes_make_json_below_20_kb_that_begins_as_they_do(notes in "(\\PC|[\n\"\\\\\u{0}]){0,30000}") {
            let body = message("talk", Some(&notes)).to_json();
            prop_assert!(body.len() <= BODY_BYTES_MAX, "{}", body.len());
            let body: Value = serde_json::from_str(&body).expect("JSON");
            let text = body["data"]["notes_text"].as_str().expect("a text");
            prop_assert!(notes.starts_with(text));
            prop_assert_eq!(body["data"]["notes_cut"] == true, text.len() < notes.len());
        }
    }

    #[test]
    fn a_thin_notification_has_its_facts_and_no_notes() {
        let body = message("a \"title\" <b>{{x}}", None).to_json();
        insta::assert_snapshot!(body, @r#"{"data":{"job":7,"link":"http://127.0.0.1:8765/jobs/7","title":"a \"title\" <b>{{x}}"},"timestamp":"1970-01-01T00:00:00Z","type":"notes.ready"}"#);
    }

    #[test]
    fn long_notes_are_cut_at_a_line_and_say_so() {
        let notes = "## Decisions\n".to_owned() + &"a line of the transcript\n".repeat(2000);
        let body: Value =
            serde_json::from_str(&message("talk", Some(&notes)).to_json()).expect("JSON");
        let text = body["data"]["notes_text"].as_str().expect("a text");
        assert!(text.starts_with("## Decisions\n") && text.ends_with("transcript\n"));
        assert!(text.len() > BODY_BYTES_MAX / 2, "{}", text.len());
        assert_eq!(body["data"]["notes_cut"], true);
    }
}
