//! An extract as Markdown: quotes that show the exact words of any transcript.

use std::fmt::Write as _;

use super::{Action, AgreedDecision, Extract, Quote, Speech};
use crate::text::{escape_markdown, escape_start, format_clock};

/// The line above every extract.
const LABEL: &str =
    "*Automatic extract, no language model: every line is a quote from the transcript.*";

/// The line above an extract of another language.
const LABEL_OTHER: &str = "*Automatic extract, no language model: every line is a quote from the transcript. Not English: no \
    decisions or actions were looked for.*";

/// The whole extract of a recording without speech.
const SILENCE: &str = "No speech was found in this recording.";

/// The whole extract of a recording of which no word was understood.
const UNCLEAR: &str = "No words were understood in this recording.";

/// The lines of sections in which nothing was found: much is settled without saying so.
const NO_DECISION: &str = "No decision was said in so many words.";
const NO_ACTION: &str = "No task was taken on in so many words.";
const NO_QUESTION: &str = "No question was left open in so many words.";

impl Extract {
    /// Returns the extract as Markdown, without a line end at its end. A section of English speech
    /// that is looked for and has no entry says so; the others are left out. No quote can become
    /// anything but text.
    #[must_use]
    pub(crate) fn markdown(&self) -> String {
        let label = match self.speech {
            Speech::None => return SILENCE.to_owned(),
            Speech::Unclear => return UNCLEAR.to_owned(),
            Speech::English => LABEL,
            Speech::Other => LABEL_OTHER,
        };
        let sections: [(&str, Vec<String>, Option<&str>); 5] = [
            ("Summary", self.summary.iter().map(quote_line).collect(), None),
            ("Decisions", self.decisions.iter().map(decision_line).collect(), Some(NO_DECISION)),
            ("Action items", self.actions.iter().map(action_line).collect(), Some(NO_ACTION)),
            ("Open questions", self.questions.iter().map(quote_line).collect(), Some(NO_QUESTION)),
            (
                "Topics",
                self.topics.iter().map(|topic| escape_start(&escape_markdown(topic))).collect(),
                None,
            ),
        ];
        let mut out = label.to_owned();
        for (heading, lines, none) in sections {
            let none = none.filter(|_| self.speech == Speech::English);
            if lines.is_empty() && none.is_none() {
                continue;
            }
            write!(out, "\n\n## {heading}\n").expect("a String takes what is written");
            for line in &lines {
                write!(out, "\n- {line}").expect("a String takes what is written");
            }
            if let Some(none) = none.filter(|_| lines.is_empty()) {
                write!(out, "\n{none}").expect("a String takes what is written");
            }
        }
        out
    }
}

fn quote_line(quote: &Quote) -> String {
    let speaker = quote.speaker.as_deref().map(|name| format!("{}:", escape_markdown(name)));
    join_parts([quote_time(quote), speaker, Some(escape_markdown(&quote.text)), None])
}

/// The decision, and who agreed.
fn decision_line(decision: &AgreedDecision) -> String {
    let proposal = quote_line(&decision.quote);
    let assent = decision
        .assent
        .as_ref()
        .map(|assent| format!("\n  > {}", quote_line(assent)))
        .unwrap_or_default();
    proposal + &assent
}

/// The task with a box to tick, its owner and its day.
fn action_line(action: &Action) -> String {
    let owner = action.owner.as_deref().map(|name| format!("**{}**:", escape_markdown(name)));
    let due = action.due.map(|date| format!("(due {date})"));
    let task = join_parts([
        quote_time(&action.quote),
        owner,
        Some(escape_markdown(&action.quote.text)),
        due,
    ]);
    format!("[ ] {task}")
}

fn quote_time(quote: &Quote) -> Option<String> {
    quote.at.and_then(format_clock).map(|time| format!("[{time}]"))
}

fn join_parts(parts: [Option<String>; 4]) -> String {
    escape_start(
        &parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "),
    )
}
