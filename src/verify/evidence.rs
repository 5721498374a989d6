//! What the lines that an item cites say, with two lines around each.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::{
    lines::{NumberedLine, NumberedLines},
    words::{ContentWords, lower_words, numbers, time_words},
};
use crate::extract::named_days;

/// Lines before and after a cited line that belong to it: speech recognition cuts sentences, and an
/// answer stands behind its question.
const AROUND: usize = 2;

/// The evidence for an item.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// The cited lines that exist, in order.
    pub(super) cited: Vec<&'a NumberedLine>,
    words: ContentWords,
    lower: BTreeSet<String>,
    numbers: BTreeSet<String>,
    times: BTreeSet<String>,
    days: Vec<Date>,
    speakers: BTreeSet<String>,
}

/// Returns whether a text has a question mark, of any script.
pub(super) fn is_asked(text: &str) -> bool {
    text.contains(['?', '？', '؟', '՞', '፧'])
}

impl<'a> Evidence<'a> {
    /// Returns what these lines say; `None` where none of them exists.
    pub(super) fn collect(lines: &'a NumberedLines, cited: &[usize], today: Date) -> Option<Self> {
        let existing: BTreeSet<usize> =
            cited.iter().copied().filter(|number| lines.line(*number).is_some()).collect();
        let around: BTreeSet<usize> = existing
            .iter()
            .flat_map(|number| number.saturating_sub(AROUND)..=number.saturating_add(AROUND))
            .collect();
        let cited: Vec<&NumberedLine> =
            existing.iter().filter_map(|number| lines.line(*number)).collect();
        if cited.is_empty() {
            return None;
        }
        let mut evidence = Self {
            cited,
            words: ContentWords::default(),
            lower: BTreeSet::new(),
            numbers: BTreeSet::new(),
            times: BTreeSet::new(),
            days: Vec::new(),
            speakers: BTreeSet::new(),
        };
        for line in around.into_iter().filter_map(|number| lines.line(number)) {
            evidence.add_line(line, today);
        }
        Some(evidence)
    }

    fn add_line(&mut self, line: &NumberedLine, today: Date) {
        if let Some(speaker) = &line.speaker {
            // Who speaks is known here, though nobody says it.
            self.words.extend(&ContentWords::from_text(speaker));
            self.lower.extend(lower_words(speaker));
            self.speakers.insert(speaker.clone());
        }
        self.words.extend(&ContentWords::from_text(&line.text));
        self.lower.extend(lower_words(&line.text));
        self.numbers.extend(numbers(&line.text));
        self.times.extend(time_words(&line.text));
        self.days.extend(named_days(&line.text, today));
    }

    /// Returns whether one of the cited lines asks something.
    pub(super) fn is_asked(&self) -> bool {
        self.cited.iter().any(|line| is_asked(&line.text))
    }

    /// Returns the share of a text's content words that are spoken; 0 for a text without any.
    #[expect(clippy::cast_precision_loss, reason = "counts of words are far below 2^52")]
    pub(super) fn share_of(&self, words: &ContentWords) -> f64 {
        if words.len() == 0 { 0.0 } else { words.count_in(&self.words) as f64 / words.len() as f64 }
    }

    /// Returns whether a number is spoken, as a whole or by all of its parts: "twelve fifty".
    pub(super) fn has_number(&self, number: &str) -> bool {
        let mut parts = number.split(['.', ':', ',']).map(|part| part.trim_start_matches('0'));
        self.numbers.contains(number)
            || parts
                .all(|part| part.is_empty() || self.numbers.contains(part) || self.has_part(part))
    }

    /// Returns whether a part of a number is spoken within another one, as 30 in 9:30.
    fn has_part(&self, part: &str) -> bool {
        self.numbers.iter().any(|number| number.split(['.', ':', ',']).any(|other| other == part))
    }

    /// Returns whether a word of time is spoken.
    pub(super) fn has_time(&self, word: &str) -> bool {
        self.times.contains(word)
    }

    /// Returns whether a day is named.
    pub(super) fn has_day(&self, day: Date) -> bool {
        self.days.contains(&day)
    }

    /// Returns whether a word is spoken, or part of the name of one who speaks here.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.lower.contains(word)
    }

    /// Returns whether a person with this label speaks here.
    pub(super) fn has_speaker(&self, label: &str) -> bool {
        self.speakers.contains(label)
    }

    /// Returns the cited line that has most of these words, the first one of several.
    pub(super) fn best_line(&self, words: &ContentWords) -> &'a NumberedLine {
        let mut best = self.cited[0];
        let mut most = 0;
        for line in &self.cited {
            let count = words.count_in(&ContentWords::from_text(&line.text));
            if count > most {
                best = line;
                most = count;
            }
        }
        best
    }
}
