//! The sentences that say most of a talk: `TextRank`, a graph of sentences that share words.

use std::collections::HashMap;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation as _;

use super::{sentences::Sentence, talk::begins_with, words::is_stop};

/// The most sentences that are compared with each other. Of a longer talk the richest of each
/// stretch are taken.
const COMPARED_MAX: usize = 400;

/// Rounds in which ranks are passed on; by then they are stable to the third digit.
const ROUNDS: usize = 24;

/// The share of its rank that a sentence gets from its neighbours, as in the paper on `TextRank`
/// (Mihalcea and Tarau, 2004).
const DAMPING: f64 = 0.85;

/// A sentence that shares more than this part of its words with one that is chosen says nothing
/// new.
const SAME_SHARE: f64 = 0.6;

/// Returns the sentences of the summary, in order. `taken` are those that are shown elsewhere.
pub(super) fn summary_sentences(
    sentences: &[Sentence],
    english: bool,
    count_max: usize,
    taken: &dyn Fn(usize) -> bool,
) -> Vec<usize> {
    let mut stems = StemNumbers::new(english);
    let bags: Vec<Vec<u32>> =
        sentences.iter().map(|sentence| stems.stem_numbers(&sentence.text)).collect();
    let candidates = find_candidates(sentences, &bags);
    let ranks = rank_candidates(&candidates, &bags);
    let total = sentences.len();
    let mut order: Vec<(f64, usize)> = candidates
        .iter()
        .zip(ranks)
        .map(|(at, rank)| (rank * prior_weight(&sentences[*at], *at, total), *at))
        .collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let count = (total / SENTENCES_EACH).clamp(COUNT_MIN, count_max);
    let mut chosen: Vec<usize> = Vec::new();
    for (_, at) in order {
        let fresh = chosen.iter().all(|other| overlap_share(&bags[at], &bags[*other]) < SAME_SHARE);
        if chosen.len() < count && fresh && !taken(at) {
            chosen.push(at);
        }
    }
    chosen.sort_unstable();
    chosen
}

/// The sentences of a talk for each one of the summary, and the least number of a summary.
const SENTENCES_EACH: usize = 9;
const COUNT_MIN: usize = 3;

/// Words as numbers, the same for all forms of a word.
struct StemNumbers {
    stemmer: Option<Stemmer>,
    numbers: HashMap<String, u32>,
}

impl StemNumbers {
    fn new(english: bool) -> Self {
        Self {
            stemmer: english.then(|| Stemmer::create(Algorithm::English)),
            numbers: HashMap::new(),
        }
    }

    /// Returns the content words of a sentence as numbers, each once, in order.
    fn stem_numbers(&mut self, text: &str) -> Vec<u32> {
        let mut bag = Vec::new();
        for word in text.unicode_words().map(str::to_lowercase) {
            let stem = match &self.stemmer {
                Some(_) if is_stop(&word) || word.contains('\'') => continue,
                Some(stemmer) => stemmer.stem(&word).into_owned(),
                None => word,
            };
            let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
            bag.push(*self.numbers.entry(stem).or_insert(next));
        }
        bag.sort_unstable();
        bag.dedup();
        bag
    }
}

/// A summary wants sentences with something in them.
const WORDS_MIN: usize = 6;
const STEMS_MIN: usize = 3;

/// Returns the sentences that are compared, in order.
fn find_candidates(sentences: &[Sentence], bags: &[Vec<u32>]) -> Vec<usize> {
    let fit: Vec<usize> = (0..sentences.len())
        .filter(|at| bags[*at].len() >= STEMS_MIN && has_substance(&sentences[*at]))
        .collect();
    if fit.len() <= COMPARED_MAX {
        return fit;
    }
    let mut often: HashMap<u32, usize> = HashMap::new();
    for stem in fit.iter().flat_map(|at| &bags[*at]) {
        *often.entry(*stem).or_default() += 1;
    }
    (0..COMPARED_MAX)
        .filter_map(|number| {
            let stretch =
                number * fit.len() / COMPARED_MAX..(number + 1) * fit.len() / COMPARED_MAX;
            fit[stretch].iter().copied().max_by_key(|at| {
                let bag = &bags[*at];
                let richness = bag.iter().map(|stem| often[stem]).sum::<usize>() / bag.len();
                (richness, usize::MAX - at)
            })
        })
        .collect()
}

/// Returns whether a sentence is long enough for a summary, and neither a question nor small talk.
fn has_substance(sentence: &Sentence) -> bool {
    // Where words are not set apart, the sentence counts by its letters.
    let is_long = sentence.words.len() >= WORDS_MIN
        || sentence.text.chars().count() >= 4 * WORDS_MIN && sentence.words.len() < 3;
    is_long && !sentence.ends_with_question() && !is_small_talk(sentence)
}

fn is_small_talk(sentence: &Sentence) -> bool {
    const STARTS: [&str; 24] = [
        "good morning",
        "good afternoon",
        "good evening",
        "hello",
        "hi",
        "hey",
        "thank you",
        "thanks",
        "welcome",
        "bye",
        "see you",
        "have a nice",
        "can you hear",
        "sorry",
        "let us start",
        "let us begin",
        "let us get started",
        "i hear you",
        "no problem",
        "nice to",
        "you are on mute",
        "you are muted",
        "one second",
        "give me",
    ];
    begins_with(&sentence.words, &STARTS)
}

fn rank_candidates(candidates: &[usize], bags: &[Vec<u32>]) -> Vec<f64> {
    let edges = shared_stems(candidates, bags);
    let out: Vec<f64> =
        edges.iter().map(|row| row.iter().map(|(_, weight)| weight).sum()).collect();
    let mut ranks = vec![1.0; candidates.len()];
    for _ in 0..ROUNDS {
        ranks = edges
            .iter()
            .map(|row| {
                let passed: f64 =
                    row.iter().map(|(to, weight)| weight / out[*to] * ranks[*to]).sum();
                1.0 - DAMPING + DAMPING * passed
            })
            .collect();
    }
    ranks
}

fn shared_stems(candidates: &[usize], bags: &[Vec<u32>]) -> Vec<Vec<(usize, f64)>> {
    let mut edges: Vec<Vec<(usize, f64)>> = vec![Vec::new(); candidates.len()];
    for (a, one) in candidates.iter().enumerate() {
        for (b, other) in candidates.iter().enumerate().skip(a + 1) {
            let shared = count_common(&bags[*one], &bags[*other]);
            if shared > 0 {
                let weight = count_as_float(shared)
                    / ((count_as_float(bags[*one].len()) + 1.0).ln()
                        + (count_as_float(bags[*other].len()) + 1.0).ln());
                edges[a].push((b, weight));
                edges[b].push((a, weight));
            }
        }
    }
    edges
}

/// Counts the numbers that are in both; both are sorted.
fn count_common(one: &[u32], other: &[u32]) -> usize {
    let mut a = 0;
    let mut b = 0;
    let mut both = 0;
    while a < one.len() && b < other.len() {
        match one[a].cmp(&other[b]) {
            std::cmp::Ordering::Less => a += 1,
            std::cmp::Ordering::Greater => b += 1,
            std::cmp::Ordering::Equal => {
                a += 1;
                b += 1;
                both += 1;
            }
        }
    }
    both
}

fn overlap_share(one: &[u32], other: &[u32]) -> f64 {
    super::language::share_of(count_common(one, other), one.len().min(other.len()))
}

#[expect(clippy::cast_precision_loss, reason = "counts of words are far below 2^52")]
fn count_as_float(number: usize) -> f64 {
    number as f64
}

/// Returns the weight of a sentence before it is compared: begin and end of a talk say what it is
/// about; a sentence of 8 to 30 words can be read alone; one that leans on what was said before can
/// not.
fn prior_weight(sentence: &Sentence, at: usize, total: usize) -> f64 {
    const LEANING: [&str; 16] = [
        "it", "that", "this", "he", "she", "they", "which", "because", "yeah", "yes", "no",
        "i mean", "like", "you know", "those", "these",
    ];
    let place = super::language::share_of(at, total);
    let edge = if (0.02..0.12).contains(&place) || place > 0.9 { 1.15 } else { 1.0 };
    let length = match sentence.words.len() {
        8..=30 => 1.0,
        31..=45 => 0.85,
        _ => 0.6,
    };
    let alone = if begins_with(&sentence.words, &LEANING) { 0.7 } else { 1.0 };
    // Interrupted; where nothing has a full stop this is true of all.
    let whole = if sentence.text.ends_with(char::is_alphanumeric) { 0.7 } else { 1.0 };
    edge * length * alone * whole
}
