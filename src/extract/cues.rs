//! Phrases that are looked for in the words of a sentence.
//!
//! A phrase is written as it is spoken: words in a row, `a|b` for either, `?` behind what may be
//! missing, `@name` for a class of words. The first place of a phrase is a word.

use std::collections::HashMap;

use super::words::Word;

/// A class of words by name, for `@name`.
pub(super) type WordClass = (&'static str, fn(&str) -> bool);

/// A position in a phrase: the words that may stand there.
#[derive(Debug)]
struct PhraseSlot {
    either: Vec<&'static str>,
    class: Option<fn(&str) -> bool>,
    optional: bool,
}

/// Many phrases, found by their first word.
#[derive(Debug)]
pub(super) struct CuePhrases {
    phrases: Vec<Vec<PhraseSlot>>,
    by_first: HashMap<&'static str, Vec<usize>>,
}

/// The place of a phrase: the first of its words, and the one after its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PhraseHit {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The number of the phrase, in the order in which they were written.
    pub(super) phrase: usize,
}

impl CuePhrases {
    /// Reads phrases, one a line.
    pub(super) fn parse(lines: &'static str, classes: &[WordClass]) -> Self {
        let phrases: Vec<Vec<PhraseSlot>> = lines
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| {
                line.split_whitespace().map(|place| self::parse_slot(place, classes)).collect()
            })
            .collect();
        let mut by_first: HashMap<&'static str, Vec<usize>> = HashMap::new();
        for (number, phrase) in phrases.iter().enumerate() {
            debug_assert!(
                !phrase[0].either.is_empty() && !phrase[0].optional,
                "a phrase begins with a word"
            );
            for word in &phrase[0].either {
                by_first.entry(word).or_default().push(number);
            }
        }
        Self { phrases, by_first }
    }

    /// Returns every place of a phrase, in order; at one place the longest.
    pub(super) fn find_hits<'a>(
        &'a self,
        words: &'a [Word],
    ) -> impl Iterator<Item = PhraseHit> + 'a {
        (0..words.len()).filter_map(|start| self.hit_at(words, start))
    }

    /// Returns the longest phrase that begins at `start`.
    pub(super) fn hit_at(&self, words: &[Word], start: usize) -> Option<PhraseHit> {
        let candidates = self.by_first.get(words[start].norm.as_str())?;
        let ends = candidates.iter().filter_map(|phrase| {
            match_end(&self.phrases[*phrase], words, start).map(|end| PhraseHit {
                start,
                end,
                phrase: *phrase,
            })
        });
        // Of two that are as long, the one written first.
        ends.reduce(|best, hit| if hit.end > best.end { hit } else { best })
    }

    /// Returns whether any of the phrases occurs.
    pub(super) fn is_in(&self, words: &[Word]) -> bool {
        self.find_hits(words).next().is_some()
    }
}

fn parse_slot(text: &'static str, classes: &[WordClass]) -> PhraseSlot {
    let (text, optional) = text.strip_suffix('?').map_or((text, false), |text| (text, true));
    if let Some(name) = text.strip_prefix('@') {
        let class = classes.iter().find(|(known, _)| *known == name).map(|(_, class)| *class);
        return PhraseSlot {
            either: Vec::new(),
            class: Some(class.expect("a phrase names a class that is given")),
            optional,
        };
    }
    PhraseSlot { either: text.split('|').collect(), class: None, optional }
}

/// Returns the end of the phrase that begins at `at`. Each optional place is tried present, then
/// missing.
fn match_end(phrase: &[PhraseSlot], words: &[Word], at: usize) -> Option<usize> {
    let Some((place, rest)) = phrase.split_first() else { return Some(at) };
    let fits = words.get(at).is_some_and(|word| {
        place
            .class
            .map_or_else(|| place.either.contains(&word.norm.as_str()), |class| class(&word.norm))
    });
    let present = if fits { match_end(rest, words, at + 1) } else { None };
    present.or_else(|| if place.optional { match_end(rest, words, at) } else { None })
}

#[cfg(test)]
mod tests {
    use super::{super::words::split_words, *};

    #[test]
    fn a_phrase_stands_where_it_is_spoken() {
        let phrases = CuePhrases::parse(
            "we have? decided|agreed to?
             i will just? @task",
            &[("task", |word| word == "send")],
        );
        let found = |text: &str| {
            phrases
                .find_hits(&split_words(text))
                .map(|hit| (hit.start, hit.end))
                .collect::<Vec<_>>()
        };
        assert_eq!(found("So we've agreed to it, and I'll just send it"), [(1, 5), (7, 11)]);
        assert_eq!(found("we decided"), [(0, 2)]);
        assert_eq!(found("we have not decided, I will just go"), []);
    }
}
