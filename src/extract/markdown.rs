//! An extract as Markdown: quotes that show the exact words of any transcript.

use std::fmt::Write as _;

use super::{Action, Extract, Quote, Speech};
use crate::text::{escape_markdown, format_clock};

/// The line above every extract.
const LABEL: &str = "*Automatic extract, no language model: every line is a quote from the transcript.*";

/// The line above an extract of another language.
const LABEL_OTHER: &str = "*Automatic extract, no language model: every line is a quote from the transcript. Not English: no \
    decisions or actions were looked for.*";

/// The whole extract of a recording without speech.
const SILENCE: &str = "No speech was found in this recording.";

impl Extract {
    /// Returns the extract as Markdown, without a line end at its end. Sections without an entry
    /// are left out; no quote can become anything but text.
    #[must_use]
    pub(crate) fn markdown(&self) -> String {
        let label = match self.speech {
            Speech::None => return SILENCE.to_owned(),
            Speech::English => LABEL,
            Speech::Other => LABEL_OTHER,
        };
        let sections: [(&str, Vec<String>); 5] = [
            ("Summary", self.summary.iter().map(quote_line).collect()),
            ("Decisions", self.decisions.iter().map(quote_line).collect()),
            ("Action items", self.actions.iter().map(action_line).collect()),
            ("Open questions", self.questions.iter().map(quote_line).collect()),
            ("Topics", self.topics.iter().map(|topic| at_begin(&escape_markdown(topic))).collect()),
        ];
        let mut out = label.to_owned();
        for (heading, lines) in sections.into_iter().filter(|(_, lines)| !lines.is_empty()) {
            write!(out, "\n\n## {heading}\n").expect("a String takes what is written");
            for line in lines {
                write!(out, "\n- {line}").expect("a String takes what is written");
            }
        }
        out
    }
}

fn quote_line(quote: &Quote) -> String {
    let speaker = quote.speaker.as_deref().map(|name| format!("{}:", escape_markdown(name)));
    join_parts([quote_time(quote), speaker, Some(escape_markdown(&quote.text)), None])
}

fn action_line(action: &Action) -> String {
    let owner = action.owner.as_deref().map(|name| format!("**{}**:", escape_markdown(name)));
    let due = action.due.map(|date| format!("(due {date})"));
    join_parts([quote_time(&action.quote), owner, Some(escape_markdown(&action.quote.text)), due])
}

fn quote_time(quote: &Quote) -> Option<String> {
    quote.at.and_then(format_clock).map(|time| format!("[{time}]"))
}

fn join_parts(parts: [Option<String>; 4]) -> String {
    at_begin(&parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
}

/// Makes text that begins a line begin no list, heading, quote or table there.
fn at_begin(text: &str) -> String {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && text[digits..].starts_with(['.', ')']) {
        return format!("{}\\{}", &text[..digits], &text[digits..]);
    }
    if text.starts_with(['#', '>', '-', '+', '=', '|']) { format!("\\{text}") } else { text.to_owned() }
}
