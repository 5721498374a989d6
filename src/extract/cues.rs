//! Phrases that are looked for in the words of a sentence.
//!
//! A phrase is written as it is spoken: words in a row, `a|b` for either, `?` behind what may be missing, `@name` for a
//! class of words. The first place of a phrase is a word.

use std::collections::HashMap;

use super::words::Word;

/// A class of words by name, for `@name`.
pub(super) type Class = (&'static str, fn(&str) -> bool);

/// One place of a phrase.
#[derive(Debug)]
struct Place {
    either: Vec<&'static str>,
    class: Option<fn(&str) -> bool>,
    optional: bool,
}

/// Many phrases, found by their first word.
#[derive(Debug)]
pub(super) struct Phrases {
    phrases: Vec<Vec<Place>>,
    by_first: HashMap<&'static str, Vec<usize>>,
}

/// Where a phrase was found: the first of its words, and the one behind its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Which phrase, in the order in which they were written.
    pub(super) phrase: usize,
}

impl Phrases {
    /// Reads phrases, one a line.
    pub(super) fn read(lines: &'static str, classes: &[Class]) -> Self {
        let phrases: Vec<Vec<Place>> = lines
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| line.split_whitespace().map(|place| self::place(place, classes)).collect())
            .collect();
        let mut by_first: HashMap<&'static str, Vec<usize>> = HashMap::new();
        for (number, phrase) in phrases.iter().enumerate() {
            debug_assert!(!phrase[0].either.is_empty() && !phrase[0].optional, "a phrase begins with a word");
            for word in &phrase[0].either {
                by_first.entry(word).or_default().push(number);
            }
        }
        Self { phrases, by_first }
    }

    /// Returns every place where one of them stands, in order; at one place the longest.
    pub(super) fn hits<'a>(&'a self, words: &'a [Word]) -> impl Iterator<Item = Hit> + 'a {
        (0..words.len()).filter_map(|start| self.at(words, start))
    }

    /// Returns the longest that begins there.
    pub(super) fn at(&self, words: &[Word], start: usize) -> Option<Hit> {
        let candidates = self.by_first.get(words[start].norm.as_str())?;
        let ends = candidates.iter().filter_map(|phrase| {
            matched(&self.phrases[*phrase], words, start).map(|end| Hit { start, end, phrase: *phrase })
        });
        // Of two that are as long, the one written first.
        ends.reduce(|best, hit| if hit.end > best.end { hit } else { best })
    }

    /// Returns whether one of them stands anywhere.
    pub(super) fn is_in(&self, words: &[Word]) -> bool {
        self.hits(words).next().is_some()
    }
}

fn place(text: &'static str, classes: &[Class]) -> Place {
    let (text, optional) = text.strip_suffix('?').map_or((text, false), |text| (text, true));
    if let Some(name) = text.strip_prefix('@') {
        let class = classes.iter().find(|(known, _)| *known == name).map(|(_, class)| *class);
        return Place {
            either: Vec::new(),
            class: Some(class.expect("a phrase names a class that is given")),
            optional,
        };
    }
    Place { either: text.split('|').collect(), class: None, optional }
}

/// Where the phrase ends that begins at `at`. Tried with each optional place present, then missing.
fn matched(phrase: &[Place], words: &[Word], at: usize) -> Option<usize> {
    let Some((place, rest)) = phrase.split_first() else { return Some(at) };
    let fits = words.get(at).is_some_and(|word| {
        place.class.map_or_else(|| place.either.contains(&word.norm.as_str()), |class| class(&word.norm))
    });
    let present = if fits { matched(rest, words, at + 1) } else { None };
    present.or_else(|| if place.optional { matched(rest, words, at) } else { None })
}

#[cfg(test)]
mod tests {
    use super::{super::words::words, *};

    #[test]
    fn a_phrase_stands_where_it_is_spoken() {
        let phrases = Phrases::read(
            "we have? decided|agreed to?
             i will just? @task",
            &[("task", |word| word == "send")],
        );
        let found = |text: &str| phrases.hits(&words(text)).map(|hit| (hit.start, hit.end)).collect::<Vec<_>>();
        assert_eq!(found("So we've agreed to it, and I'll just send it"), [(1, 5), (7, 11)]);
        assert_eq!(found("we decided"), [(0, 2)]);
        assert_eq!(found("we have not decided, I will just go"), []);
    }
}
