//! Sentences of a transcript, with their time and speaker.

use super::{
    fragments::drop_stutters,
    words::{Word, split_words},
};
use crate::{job::Segment, text};

/// A sentence of the transcript.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sentence {
    /// The begin of the segment in which it begins, in seconds.
    pub(super) at: Option<f64>,
    /// The end of the segment in which it ends, in seconds.
    pub(super) until: Option<f64>,
    /// The speaker, on one line.
    pub(super) speaker: Option<String>,
    /// The words on one line, as they are in the transcript.
    pub(super) text: String,
    /// The same for the cues, without fillers and doubled words.
    pub(super) words: Vec<Word>,
    /// The fillers and doubled words of the text.
    pub(super) stutters: usize,
}

impl Sentence {
    /// Returns whether it ends with a question mark.
    pub(super) fn ends_with_question(&self) -> bool {
        self.text.trim_end_matches(is_closing).ends_with(['?', '？'])
    }

    /// Returns whether its speaker and the other's are known and differ.
    pub(super) fn is_by_another(&self, other: &Self) -> bool {
        self.speaker.is_some() && other.speaker.is_some() && self.speaker != other.speaker
    }
}

/// A segment that goes on where the one before it stopped begins within this many seconds.
const GOES_ON_SECONDS: f64 = 0.6;

/// Words after which a sentence ends in speech without full stops: about half a minute.
const WORDS_MAX: usize = 80;

/// Returns whether a word may end with this character behind its full stop.
fn is_closing(character: char) -> bool {
    matches!(character, '"' | '\'' | '”' | '’' | ')' | ']' | '»')
}

/// A sentence while its words are gathered.
#[derive(Debug, Default)]
struct OpenSentence {
    at: Option<f64>,
    until: Option<f64>,
    speaker: Option<String>,
    text: String,
    count: usize,
}

impl OpenSentence {
    fn push_word(&mut self, word: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(word);
        self.count += 1;
    }

    fn close_sentence(&mut self, sentences: &mut Vec<Sentence>) {
        let open = std::mem::take(self);
        if !open.text.is_empty() {
            let (words, stutters) = drop_stutters(split_words(&open.text));
            let OpenSentence { at, until, speaker, text, .. } = open;
            sentences.push(Sentence { at, until, speaker, text, words, stutters });
        }
    }
}

/// Returns the sentences of the segments. The end of a segment ends a sentence, unless it goes on
/// at once in lower case. Segments that were not understood are left out.
pub(super) fn split_sentences(segments: &[Segment]) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let mut open = OpenSentence::default();
    for segment in segments.iter().filter(|segment| !segment.is_unclear()) {
        let line = text::strip_to_line(&segment.text);
        let Some(first) = line.chars().next() else { continue };
        let speaker =
            segment.speaker.as_deref().map(text::strip_to_line).filter(|name| !name.is_empty());
        let near = open
            .until
            .zip(segment.start)
            .is_some_and(|(end, start)| start - end <= GOES_ON_SECONDS);
        let goes_on = first.is_lowercase() || ends_with_title(&open.text);
        if !(near && goes_on && speaker == open.speaker) {
            open.close_sentence(&mut sentences);
        }
        gather_words(&line, segment, speaker.as_deref(), &mut open, &mut sentences);
    }
    open.close_sentence(&mut sentences);
    sentences
}

fn gather_words(
    line: &str,
    segment: &Segment,
    speaker: Option<&str>,
    open: &mut OpenSentence,
    sentences: &mut Vec<Sentence>,
) {
    let mut words = line.split(' ').peekable();
    while let Some(word) = words.next() {
        if open.text.is_empty() {
            open.at = segment.start;
            open.speaker = speaker.map(str::to_owned);
        }
        open.push_word(word);
        open.until = segment.end.or(segment.start);
        if ends_sentence(word, words.peek().copied()) || open.count >= WORDS_MAX {
            open.close_sentence(sentences);
        }
    }
}

/// Words that end with a full stop and no sentence, without it.
const ABBREVIATIONS: [&str; 28] = [
    "mr", "mrs", "ms", "hon", "rev", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "approx",
    "inc", "ltd", "co", "corp", "dept", "fig", "jan", "feb", "aug", "sept", "oct", "nov", "dec",
    "gen", "sr",
];

/// Titles before names: the recogniser's segment may end with one, its sentence does not.
const TITLES: [&str; 8] = ["mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "hon.", "rev."];

fn ends_with_title(text: &str) -> bool {
    text.rsplit(' ').next().is_some_and(|last| TITLES.contains(&last.to_lowercase().as_str()))
}

/// Words that are abbreviations only before a number.
const BEFORE_NUMBERS: [&str; 4] = ["no", "nos", "p", "pp"];

fn ends_sentence(word: &str, next: Option<&str>) -> bool {
    let bare = word.trim_end_matches(is_closing);
    let next = next.and_then(|next| next.chars().find(|c| c.is_alphanumeric()));
    match bare.chars().next_back() {
        Some('?' | '!' | '。' | '？' | '！') => true,
        Some('…') => !next.is_some_and(char::is_lowercase),
        Some('.') if bare.ends_with("..") => !next.is_some_and(char::is_lowercase),
        Some('.') => {
            let is_number = next.is_some_and(|c| c.is_ascii_digit());
            !is_abbreviated(bare, is_number, next.is_some_and(char::is_uppercase))
        }
        Some(_) | None => false,
    }
}

fn is_abbreviated(bare: &str, before_number: bool, before_capital: bool) -> bool {
    let stem = bare
        .trim_end_matches('.')
        .trim_start_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase();
    let meridiem = ["a.m", "p.m"].contains(&stem.as_str());
    let letters = stem.split('.').all(|part| part.chars().count() == 1)
        && stem.chars().any(char::is_alphabetic);
    // A letter alone is an initial, but for "I" and "a" at an end.
    let initials = letters && (stem.contains('.') || !["i", "a"].contains(&stem.as_str()));
    (meridiem && !before_capital)
        || (initials && !meridiem)
        || ABBREVIATIONS.contains(&stem.as_str())
        || (before_number && BEFORE_NUMBERS.contains(&stem.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start: f64, end: f64, text: &str) -> Segment {
        Segment {
            start: Some(start),
            end: Some(end),
            speaker: None,
            text: text.to_owned(),
            ..Segment::default()
        }
    }

    fn texts(segments: &[Segment]) -> Vec<String> {
        split_sentences(segments).into_iter().map(|sentence| sentence.text).collect()
    }

    #[test]
    fn full_stops_end_sentences_and_abbreviations_do_not() {
        let text = "Dr. Lee met the U.S. team at 3.5 p.m. on Monday. No. 5 is done at 4 p.m. Then... well, e.g. this. “Is it?” Yes! J. Smith knows";
        assert_eq!(
            texts(&[line(0.0, 9.0, text)]),
            [
                "Dr. Lee met the U.S. team at 3.5 p.m. on Monday.",
                "No. 5 is done at 4 p.m.",
                "Then... well, e.g. this.",
                "“Is it?”",
                "Yes!",
                "J. Smith knows",
            ]
        );
    }

    #[test]
    fn the_end_of_a_segment_ends_a_sentence_unless_it_goes_on_at_once() {
        let segments = [
            line(0.0, 2.0, "they can't do"),
            line(2.3, 4.0, "the brochure"),
            line(4.1, 5.0, "Oh no"),
            line(7.0, 8.0, "and then"),
        ];
        assert_eq!(texts(&segments), ["they can't do the brochure", "Oh no", "and then"]);
        let found = split_sentences(&segments);
        assert_eq!((found[0].at, found[0].until), (Some(0.0), Some(4.0)));
    }

    #[test]
    fn a_title_before_a_name_ends_no_sentence() {
        let segments = [
            line(0.0, 2.0, "We will ask Mr."),
            line(2.0, 4.0, "Lee."),
            line(9.0, 9.5, "Or Ms."),
            line(9.9, 10.0, "Chen"),
        ];
        assert_eq!(texts(&segments), ["We will ask Mr. Lee.", "Or Ms. Chen"]);
    }

    #[test]
    fn speech_without_any_full_stop_is_cut() {
        let endless = "word ".repeat(1_000);
        assert!(
            split_sentences(&[line(0.0, 9.0, &endless)])
                .iter()
                .all(|sentence| sentence.words.len() <= WORDS_MAX)
        );
    }
}
