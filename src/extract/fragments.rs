//! Speech that cannot be quoted: fillers, doubled words, sentences that break off.

use std::collections::HashSet;

use super::{
    sentences::Sentence,
    words::{Word, is_stop},
};

/// Sounds that are no words.
const FILLERS: [&str; 14] =
    ["um", "uh", "er", "erm", "ah", "eh", "hm", "hmm", "mm", "mmm", "mhm", "uhm", "tsk", "huh"];

/// Returns whether a word is only a sound.
pub(super) fn is_filler(norm: &str) -> bool {
    FILLERS.contains(&norm)
}

/// Returns whether a sentence is nothing but "hmm" and the like.
pub(super) fn is_noise(words: &[Word]) -> bool {
    words.iter().all(|word| word.is_any(&["well", "oh", "okay", "mm-hmm", "uh-huh", "so"]))
}

/// Returns whether the word at `at` is a sound, or is said again or corrected by the next word: "the
/// the", "th the". Letters alone may be names of things, but for the first letter of the next word.
pub(super) fn is_stutter(words: &[Word], at: usize) -> bool {
    let word = &words[at];
    if is_filler(&word.norm) {
        return true;
    }
    let Some(next) = words[at + 1..].iter().find(|next| !is_filler(&next.norm)) else {
        return false;
    };
    let same =
        word.norm == next.norm && !word.is_any(&["very", "really", "no", "that", "had", "bye"]);
    let cut = word.norm.len() < next.norm.len()
        && next.norm.starts_with(&word.norm)
        && (word.norm.len() == 1 || !is_whole(&word.norm))
        && !word.norm.chars().any(char::is_numeric)
        && !["a", "i"].contains(&word.norm.as_str());
    (same || cut) && !word.breaks
}

/// Returns whether it is a common word as it stands, which begins others by chance: "we went".
fn is_whole(norm: &str) -> bool {
    is_stop(norm) || norm.len() > 4
}

/// Different words that a decision, a task or a question has at least; fillers do not count.
const DIFFERENT_WORDS_MIN: usize = 5;

/// Returns the words without those that are stutters, and how many of these there were. The end of
/// a clause stays one.
pub(super) fn drop_stutters(words: Vec<Word>) -> (Vec<Word>, usize) {
    let stutters: Vec<bool> = (0..words.len()).map(|at| is_stutter(&words, at)).collect();
    let mut kept: Vec<Word> = Vec::with_capacity(words.len());
    for (word, stutter) in words.into_iter().zip(&stutters) {
        if !stutter {
            kept.push(word);
        } else if let Some(last) = kept.last_mut() {
            last.breaks |= word.breaks;
        }
    }
    (kept, stutters.into_iter().filter(|stutter| *stutter).count())
}

/// Sounds and doubled words from which a sentence cannot be read, and the most words that stand for
/// each of them then: of quick speech it is ten.
const STUTTERS_MIN: usize = 4;
const STUTTERS_EACH: usize = 2;

/// Returns whether a sentence is a fragment: it has few words, breaks off, or stutters.
pub(super) fn is_fragment(sentence: &Sentence) -> bool {
    let different: HashSet<&str> = sentence.words.iter().map(|word| word.norm.as_str()).collect();
    different.len() < DIFFERENT_WORDS_MIN || breaks_off(sentence)
}

/// Returns the different words that say something.
pub(super) fn content_words(words: &[Word]) -> HashSet<&str> {
    words.iter().map(|word| word.norm.as_str()).filter(|norm| !is_stop(norm)).collect()
}

/// Counts the different words that say something.
pub(super) fn count_content(words: &[Word]) -> usize {
    content_words(words).len()
}

/// Returns whether a sentence breaks off: its last word wants another one, or it stutters too much.
pub(super) fn breaks_off(sentence: &Sentence) -> bool {
    let Sentence { words, stutters, .. } = sentence;
    if *stutters >= STUTTERS_MIN && stutters * STUTTERS_EACH > words.len() {
        return true;
    }
    let Some(last) = words.last() else { return true };
    // "So I it's": a contraction leans on the word behind it.
    let leans = words.len() > 1
        && words[words.len() - 2].range == last.range
        && last.is_any(&["is", "are", "am", "have", "will", "would", "us"]);
    // "The problem is": only a pronoun ends a sentence with that, as in "the green one it is".
    let is_open = last.is_any(&["is", "are", "was", "were"])
        && !words[..words.len() - 1].last().is_some_and(|before| before.is_any(&PRONOUNS));
    leans || is_open || LEANING.contains(&last.norm.as_str())
}

/// Pronouns with which a sentence ends before its verb.
const PRONOUNS: [&str; 10] = ["it", "that", "this", "they", "we", "you", "he", "she", "i", "there"];

/// Words with which no sentence ends: grammar that wants a word behind it, and titles of people.
const LEANING: [&str; 40] = [
    "a", "an", "the", "and", "or", "but", "because", "than", "my", "our", "their", "its", "your",
    "to", "of", "from", "i", "we", "they", "he", "she", "if", "whether", "which", "while", "mr",
    "mrs", "ms", "dr", "prof", "hon", "st", "with", "into", "very", "where", "these", "would",
    "could", "every",
];

#[cfg(test)]
mod tests {
    use super::{
        super::{sentences::split_sentences, words::split_words},
        *,
    };
    use crate::job::Segment;

    fn sentence(text: &str) -> Sentence {
        let segment = Segment { text: text.to_owned(), ..Segment::default() };
        split_sentences(&[segment]).remove(0)
    }

    #[test]
    fn sentences_that_break_off_are_fragments() {
        for text in [
            "It is it is",
            "So I it's",
            "The door of the old shed is open and it's",
            "We will look at the shed and the",
            "We will now go to the shed of Mr.",
            "We will paint the door of the shed tomorrow with",
            "Um th the uh door of of the the shed uh",
            "We agreed.",
        ] {
            assert!(is_fragment(&sentence(text)), "{text}");
        }
    }

    #[test]
    fn whole_sentences_are_none() {
        for text in [
            "We will paint the door of the shed.",
            "The green one it is.",
            "Um so we'll paint the the door, uh, and the window.",
            "We decided to buy what Ann was looking for.",
        ] {
            assert!(!is_fragment(&sentence(text)), "{text}");
        }
    }

    #[test]
    fn sounds_and_doubled_words_are_stutters() {
        let words = split_words("So um the the p painting is a very very good th thing to try");
        let found: Vec<usize> = (0..words.len()).filter(|at| is_stutter(&words, *at)).collect();
        assert_eq!(found, [1, 2, 4, 11]);
    }
}
