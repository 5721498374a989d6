//! Segments → numbered lines, as a model reads them: without fillers, doubled words and lines of a
//! word or two, and with long turns cut at sentences.

use crate::{job::Segment, text};

/// A longer segment is cut at its sentences, so that a number names a few sentences. A spoken
/// sentence has about 80 characters.
const LINE_CHARS_MAX: usize = 300;

/// A sentence that is longer is cut after a word: a text without full stops, or a hostile one.
const SENTENCE_CHARS_MAX: usize = 600;

/// Speakers who are told apart; a meeting has fewer.
const SPEAKERS_MAX: usize = 200;

/// Lines of fewer words are left out: "Yeah.", "Okay, good."
const WORDS_MIN: usize = 3;

/// Characters that stand for the least words where a script has no spaces.
const CHARACTERS_MIN: usize = 8;

/// Sounds that are no words.
const FILLERS: [&str; 14] = [
    "um", "uh", "uhm", "erm", "er", "hm", "hmm", "mm", "mmm", "mm-hmm", "uh-huh", "äh", "ähm",
    "euh",
];

/// A line of a transcript.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NumberedLine {
    /// The place of its segment in the transcript, counted from 0.
    pub(crate) segment: usize,
    /// The begin of its segment, in seconds.
    pub(crate) at: Option<f64>,
    /// Its speaker, on one line.
    pub(crate) speaker: Option<String>,
    /// Its words, on one line.
    pub(crate) text: String,
}

/// The lines of a transcript, numbered from 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct NumberedLines {
    lines: Vec<NumberedLine>,
    /// Everybody who speaks, in the order of their first lines.
    speakers: Vec<String>,
}

impl NumberedLines {
    /// Returns the lines of a transcript.
    pub(crate) fn from_segments(segments: &[Segment]) -> Self {
        let mut lines = Vec::new();
        let mut speakers: Vec<String> = Vec::new();
        for (place, segment) in segments.iter().enumerate() {
            let speaker =
                segment.speaker.as_deref().map(text::strip_to_line).filter(|name| !name.is_empty());
            if let Some(name) = speaker
                .as_ref()
                .filter(|name| speakers.len() < SPEAKERS_MAX && !speakers.contains(name))
            {
                speakers.push(name.clone());
            }
            let text = text::strip_to_line(&segment.text);
            for words in split_sentences(&text).into_iter().flat_map(split_words) {
                let words = remove_fillers(words);
                if has_content(&words) {
                    let speaker = speaker.clone();
                    lines.push(NumberedLine {
                        segment: place,
                        at: segment.start,
                        speaker,
                        text: words,
                    });
                }
            }
        }
        Self { lines, speakers }
    }

    /// Returns everybody who speaks.
    pub(super) fn speakers(&self) -> impl Iterator<Item = &str> {
        self.speakers.iter().map(String::as_str)
    }

    /// Returns the number of lines, which is the number of the last one.
    pub(crate) fn count(&self) -> usize {
        self.lines.len()
    }

    /// Returns all lines; the first one has the number 1.
    pub(crate) fn as_slice(&self) -> &[NumberedLine] {
        &self.lines
    }

    /// Returns the line of a number.
    pub(super) fn line(&self, number: usize) -> Option<&NumberedLine> {
        self.lines.get(number.checked_sub(1)?)
    }
}

/// Cuts a text that is too long for a sentence after words, else between characters.
fn split_words(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((end, _)) = rest.char_indices().nth(SENTENCE_CHARS_MAX) {
        let at = rest[..end].rfind(' ').filter(|at| *at > 0).unwrap_or(end);
        pieces.push(rest[..at].trim());
        rest = rest[at..].trim_start();
    }
    pieces.push(rest);
    pieces
}

/// Cuts a long text after sentences; a sentence that is too long by itself stays whole.
fn split_sentences(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut end = 0;
    for (at, character) in text.char_indices() {
        let after = at + character.len_utf8();
        let ends = matches!(character, '。' | '？' | '！')
            || (matches!(character, '.' | '?' | '!' | '…') && text[after..].starts_with(' '));
        if ends {
            if end > start && text[start..after].chars().count() > LINE_CHARS_MAX {
                pieces.push(text[start..end].trim());
                start = end;
            }
            end = after;
        }
    }
    if end > start && text[start..].chars().count() > LINE_CHARS_MAX {
        pieces.push(text[start..end].trim());
        start = end;
    }
    pieces.push(text[start..].trim());
    pieces
}

/// Returns a text without fillers, and with each word that is said twice in a row once.
fn remove_fillers(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut last = String::new();
    for word in text.split(' ') {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if FILLERS.contains(&bare.as_str()) || (!bare.is_empty() && bare == last) {
            continue;
        }
        last = bare;
        kept.push(word);
    }
    kept.join(" ")
}

fn has_content(text: &str) -> bool {
    let words = text.split(' ').filter(|word| word.contains(char::is_alphanumeric)).count();
    let characters = text.chars().filter(|c| c.is_alphabetic() && !c.is_ascii()).count();
    words >= WORDS_MIN || characters >= CHARACTERS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<(usize, String)> {
        let segment = |text: &&str| Segment { text: (*text).to_owned(), ..Segment::default() };
        let lines = NumberedLines::from_segments(&texts.iter().map(segment).collect::<Vec<_>>());
        lines.as_slice().iter().map(|line| (line.segment, line.text.clone())).collect()
    }

    #[test]
    fn fillers_stutters_and_short_lines_go() {
        let cleaned = lines(&[
            "Um, so the the price uh list goes out.",
            "Yeah.",
            "Mm-hmm. Okay.",
            "我们决定下周发布新版本。",
        ]);
        assert_eq!(
            cleaned,
            [
                (0, "so the price list goes out.".to_owned()),
                (3, "我们决定下周发布新版本。".to_owned())
            ]
        );
    }

    #[test]
    fn a_long_turn_is_cut_after_sentences_and_loses_no_word() {
        let sentence = "This is a sentence of some fifty characters or so. ";
        let cut = lines(&[&sentence.repeat(14)]);
        assert!(
            cut.len() > 2
                && cut.iter().all(|(segment, text)| *segment == 0 && text.len() <= LINE_CHARS_MAX)
        );
        let long = lines(&["word ".repeat(1000).replace("word ", "a1 b2 ").as_str()]);
        assert!(
            long.len() == 10 && long.iter().all(|(_, text)| text.len() <= SENTENCE_CHARS_MAX),
            "{}",
            long.len()
        );
        let joined: Vec<String> = cut.into_iter().map(|(_, text)| text).collect();
        assert_eq!(joined.join(" "), sentence.repeat(14).trim_end());
    }
}
