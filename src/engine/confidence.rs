//! Recognition confidence: how likely the recogniser found its own words.
//!
//! A model of English alone turns every language into English words, and noise into sentences. The
//! probability of its tokens gives both away.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::job::confidence_from_log;

/// The confidence of a piece or of a recording: the likelihood of its tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Confidence {
    /// The number of tokens.
    pub tokens: u32,
    /// The sum of the natural logarithms of their probabilities, in thousandths; not above 0. A
    /// whole number is the same on disk and in memory, so that a resumed recording has it too.
    pub log_probability: i64,
}

/// The mean below which a recording does not sound like English to Moonshine. Measured: readings,
/// calls and meetings in English have -0.02 to -0.34, three meetings at once -0.72, sixteen other
/// languages -0.86 to -2.0, and English behind a wall -1.2.
const FOREIGN_BELOW: f64 = -0.75;

/// Tokens from which a mean tells anything about the language of a recording: two sentences.
const FOREIGN_TOKENS_MIN: u32 = 20;

/// The mean below which the words of a piece are invented: noise that became a sentence. Measured:
/// none of 496 pieces in English is below it, and 43 of 52 in other languages are.
const UNCLEAR_BELOW: f64 = -0.9;

/// Tokens from which a mean tells anything about a piece: a word or two that is misheard is the
/// speaker's or the model's own, and no sentence is made up of it.
const UNCLEAR_TOKENS_MIN: u32 = 5;

/// The words in a piece of sound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RecognisedWords {
    /// The words; may be none.
    pub(super) text: String,
    /// The likelihood of their tokens.
    pub(super) confidence: Confidence,
}

impl Confidence {
    /// Returns whether there is nothing to be confident of.
    pub(super) fn is_empty(&self) -> bool {
        self.tokens == 0
    }

    /// Returns the confidence of a piece by its tokens, each with the natural logarithm of its
    /// probability. A pair of tokens counts once: a model that repeats itself is sure of it,
    /// whatever it hears.
    pub(super) fn of_tokens(tokens: impl IntoIterator<Item = (i64, f32)>) -> Self {
        let mut confidence = Self::default();
        let mut pairs = HashSet::new();
        let mut before = None;
        for (token, log_probability) in tokens {
            if pairs.insert((before, token)) {
                confidence.add_token(log_probability);
            }
            before = Some(token);
        }
        confidence
    }

    fn add_token(&mut self, log_probability: f32) {
        /// The logarithm that a token has at least: a probability of 0 would outweigh all others.
        const FLOOR: f32 = -20.0;
        let thousandths = (log_probability.clamp(FLOOR, 0.0) * 1000.0).round();
        self.tokens += 1;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "between -20,000 and 0; not a number is 0"
        )]
        {
            self.log_probability += thousandths as i64;
        }
    }

    /// Returns the mean logarithm of a token; `None` without tokens.
    #[expect(clippy::cast_precision_loss, reason = "a day of speech has a million tokens")]
    fn mean(self) -> Option<f64> {
        (self.tokens > 0).then(|| self.log_probability as f64 / 1000.0 / f64::from(self.tokens))
    }

    /// Returns whether a recording in which English alone was looked for is in another language.
    pub(super) fn is_foreign(self) -> bool {
        self.tokens >= FOREIGN_TOKENS_MIN && self.is_below(FOREIGN_BELOW)
    }

    /// Returns whether a recording in which English alone was looked for is in English.
    pub(super) fn is_english(self) -> bool {
        self.tokens >= FOREIGN_TOKENS_MIN && !self.is_below(FOREIGN_BELOW)
    }

    /// Returns whether the words of a piece are invented.
    pub(super) fn is_unclear(self) -> bool {
        self.tokens >= UNCLEAR_TOKENS_MIN && self.is_below(UNCLEAR_BELOW)
    }

    fn is_below(self, limit: f64) -> bool {
        self.mean().is_some_and(|mean| mean < limit)
    }

    /// Returns it as that of a segment.
    pub(super) fn of_segment(self) -> Option<f64> {
        self.mean().and_then(confidence_from_log)
    }
}

impl std::iter::Sum for Confidence {
    fn sum<I: Iterator<Item = Self>>(pieces: I) -> Self {
        pieces.fold(Self::default(), |sum, piece| Self {
            tokens: sum.tokens.saturating_add(piece.tokens),
            log_probability: sum.log_probability.saturating_add(piece.log_probability),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_tokens_prove_nothing_and_many_prove_another_language_or_an_invention() {
        let with = |tokens: u32, mean: i64| Confidence {
            tokens,
            log_probability: mean * i64::from(tokens),
        };
        assert!(
            with(20, -751).is_foreign()
                && !with(20, -750).is_foreign()
                && !with(19, -5000).is_foreign()
        );
        assert!(
            with(20, -750).is_english()
                && !with(20, -751).is_english()
                && !with(19, -100).is_english()
        );
        assert!(
            with(5, -901).is_unclear()
                && !with(5, -900).is_unclear()
                && !with(4, -5000).is_unclear()
        );
        assert!(!Confidence::default().is_foreign() && !Confidence::default().is_unclear());
    }

    #[test]
    fn a_mean_is_that_of_all_tokens_however_they_are_added() {
        let of = |logs: &[f32]| Confidence::of_tokens((0..).zip(logs.iter().copied()));
        let whole = of(&[-0.1, -0.5, -2.4, 0.0]);
        assert_eq!(whole, Confidence { tokens: 4, log_probability: -3000 });
        assert_eq!((whole.mean(), whole.of_segment()), (Some(-0.75), Some(0.472)));
        assert_eq!([of(&[-0.1]), of(&[-0.5, -2.4, 0.0])].into_iter().sum::<Confidence>(), whole);
        assert_eq!((Confidence::default().mean(), Confidence::default().is_empty()), (None, true));
        let repeated = [(7, -1.0), (8, -2.0), (7, -0.1), (8, -0.1), (7, -0.1), (9, -3.0)];
        assert_eq!(
            Confidence::of_tokens(repeated),
            Confidence { tokens: 4, log_probability: -6100 }
        );
        assert_eq!(
            of(&[f32::NEG_INFINITY, f32::NAN, 0.1]),
            Confidence { tokens: 3, log_probability: -20_000 }
        );
    }
}
