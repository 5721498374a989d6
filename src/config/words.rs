//! Words in messages: values of the file made fit to be shown, suggestions, lists.

use crate::text;

/// Characters of a value that are repeated in a message; the source line shows the rest.
const VALUE_CHARS_MAX: usize = 60;

/// Columns of a long list; with what stands before it, it fits a terminal.
const LIST_COLUMNS: usize = 75;

/// Returns a value of the file in backticks, fit for a message.
pub(super) fn in_backticks(value: &str) -> String {
    format!("`{}`", fit_for_message(value))
}

/// Returns a value of the file fit for a message that has its own quotes.
pub(super) fn fit_for_message(value: &str) -> String {
    let shown = text::printable(value);
    if shown.chars().count() <= VALUE_CHARS_MAX {
        return shown.into_owned();
    }
    shown.chars().take(VALUE_CHARS_MAX - 1).chain(['…']).collect()
}

/// Returns the word of `known` that `word` is probably a misspelling of.
pub(super) fn did_you_mean<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    /// Below this two words are not alike: `atendees` and `attendees` have 0.96, `path` and `watch`
    /// 0.63.
    const ALIKE: f64 = 0.8;
    /// Longer words are never keys, and comparing takes time squared.
    const WORD_LEN_MAX: usize = 64;
    if word.len() > WORD_LEN_MAX {
        return None;
    }
    let word = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&word, &known.to_lowercase()), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// Returns the cure for an unknown word: the word of `known` that it resembles, else the text of
/// `otherwise`.
pub(super) fn suggest_word<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    match did_you_mean(word, known) {
        Some(meant) => format!("did you mean `{}`?", fit_for_message(meant)),
        None => otherwise(),
    }
}

/// Returns words as a list for a sentence: `a`, `b` or `c`.
pub(super) fn join_alternatives<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    let mut words: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match (words.pop(), words.is_empty()) {
        (Some(last), false) => format!("{} or {last}", words.join(", ")),
        (Some(only), true) => only,
        (None, _) => String::new(),
    }
}

/// Returns a long list of words in lines that fit a terminal.
pub(super) fn wrap_words(words: &[&str]) -> String {
    let mut lines = vec![String::new()];
    for (index, word) in words.iter().enumerate() {
        let line = lines.last_mut().expect("one line at least");
        let line = if line.len() + word.len() < LIST_COLUMNS {
            line
        } else {
            lines.push(String::new());
            lines.last_mut().expect("just pushed")
        };
        line.push_str(word);
        line.push_str(if index + 1 == words.len() { "" } else { ", " });
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_recognised_by_its_likeness_and_only_by_it() {
        let known = ["attendees", "path", "watch", "on_success"];
        assert_eq!(did_you_mean("atendees", known), Some("attendees"));
        assert_eq!(did_you_mean("on-success", known), Some("on_success"));
        assert_eq!(did_you_mean("colour", known), None);
        assert_eq!(did_you_mean(&"attendees".repeat(1000), known), None);
    }

    #[test]
    fn words_are_listed_as_in_a_sentence() {
        assert_eq!(join_alternatives(["a"]), "`a`");
        assert_eq!(join_alternatives(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
