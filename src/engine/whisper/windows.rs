//! The words of pieces that were recognised together, handed back to each.
//!
//! whisper reads 30 s of sound at once and takes as long for a second of it. So the pieces of one speaker are joined to a
//! window, and its words come back to the pieces by the times that whisper gives them.

use crate::{
    engine::confidence::{Confidence, RecognisedWords},
    job::spoken_words,
};

/// Text between two times of a window, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimedText {
    /// Its begin.
    pub start: f64,
    /// Its end, not before the begin.
    pub end: f64,
    /// The text.
    pub text: String,
    /// The likelihood of its tokens.
    pub confidence: Confidence,
}

/// A word of a window.
struct TimedWord<'a> {
    /// Its middle, in seconds.
    time: f64,
    word: &'a str,
    /// The number of the text that it is of.
    text: usize,
}

/// Words by which the times of whisper are off at most: within so many a piece ends where a sentence does.
const WORDS_OFF: usize = 3;

/// Returns the words of each piece, of which `ends` are the ends in the window, in seconds. The words of a text are as
/// far apart as they are long. Nothing is lost: the last piece gets what comes after it.
///
/// A piece is as likely as the texts of which it has words.
pub(super) fn words_of_pieces(heard: &[TimedText], ends: &[f64]) -> Vec<RecognisedWords> {
    let words: Vec<TimedWord<'_>> =
        heard.iter().enumerate().flat_map(|(at, text)| words_with_times(at, text)).collect();
    let spoken_until: Vec<usize> = ends
        .iter()
        .map(|end| words.partition_point(|word| word.time < *end))
        .chain([words.len()])
        .collect();
    let mut from = 0;
    let mut pieces = Vec::with_capacity(ends.len());
    for at in 0..ends.len() {
        let near = spoken_until[at].max(from);
        let is_last = at + 1 == ends.len();
        let to = if is_last {
            words.len()
        } else {
            end_of_sentence(&words, from, near, spoken_until[at + 1])
        };
        pieces.push(join_words(&words[from..to], heard));
        from = to;
    }
    pieces
}

fn join_words(words: &[TimedWord<'_>], heard: &[TimedText]) -> RecognisedWords {
    let text = words.iter().map(|word| word.word).collect::<Vec<_>>().join(" ");
    let texts =
        words.first().zip(words.last()).map_or(0..0, |(first, last)| first.text..last.text + 1);
    let confidence = heard[texts].iter().map(|text| text.confidence).sum();
    RecognisedWords { text, confidence }
}

/// Returns the words of a text, which has this number.
fn words_with_times(number: usize, heard: &TimedText) -> Vec<TimedWord<'_>> {
    let Some(text) = spoken_words(&heard.text) else { return Vec::new() };
    let mut place = 0;
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        #[expect(clippy::cast_precision_loss, reason = "some hundred letters")]
        let share = (place as f64 + word.len() as f64 / 2.0) / text.len() as f64;
        let time = heard.start + (heard.end - heard.start) * share;
        words.push(TimedWord { time, word, text: number });
        place += word.len() + 1;
    }
    words
}

/// Returns the end of a sentence nearest to word `near` that leaves words to this piece, which begins with word `from`,
/// and to the next one, which ends before word `next`; `near` where there is none.
fn end_of_sentence(words: &[TimedWord<'_>], from: usize, near: usize, next: usize) -> usize {
    let is_end = |at: &usize| words[*at - 1].word.ends_with(['.', '?', '!', '…', '。', '？', '！']);
    let first = near.saturating_sub(WORDS_OFF).max(from + 1);
    let around = first..next.min(near + WORDS_OFF + 1);
    let nearest = around.filter(is_end).min_by_key(|at| at.abs_diff(near));
    nearest.filter(|_| near > from).unwrap_or(near)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timed(start: f64, end: f64, text: &str) -> TimedText {
        let confidence = Confidence::of_tokens([(1, -0.5)]);
        TimedText { start, end, text: text.to_owned(), confidence }
    }

    fn texts_of_pieces(heard: &[TimedText], ends: &[f64]) -> Vec<String> {
        words_of_pieces(heard, ends).into_iter().map(|words| words.text).collect()
    }

    #[test]
    fn a_piece_is_as_likely_as_the_texts_of_which_it_has_words() {
        let heard = [timed(0.0, 3.0, "eins zwei"), timed(3.0, 9.0, "drei vier")];
        let tokens = |ends: &[f64]| -> Vec<u32> {
            words_of_pieces(&heard, ends).iter().map(|words| words.confidence.tokens).collect()
        };
        assert_eq!(tokens(&[3.0, 6.0, 9.0]), [1, 1, 1]);
        assert_eq!(tokens(&[6.0, 9.0]), [2, 1]);
        assert_eq!(tokens(&[9.0, 10.0]), [2, 0]);
    }

    #[test]
    fn words_go_to_the_piece_in_which_they_are_spoken() {
        let heard = [
            timed(0.2, 2.8, " Guten Morgen."),
            timed(3.1, 5.0, " Wir beginnen."),
            timed(5.0, 6.0, "[Musik]"),
        ];
        assert_eq!(texts_of_pieces(&heard, &[3.0, 6.0]), ["Guten Morgen.", "Wir beginnen."]);
        let long = [timed(0.0, 10.0, "eins zwei drei vier fünf sechs sieben acht neun zehn")];
        assert_eq!(
            texts_of_pieces(&long, &[5.0, 9.0]),
            ["eins zwei drei vier fünf", "sechs sieben acht neun zehn"]
        );
        let late = [timed(0.0, 6.0, "Sie sind da. Wir auch, und alle.")];
        assert_eq!(
            texts_of_pieces(&late, &[3.4, 6.0]),
            ["Sie sind da.", "Wir auch, und alle."],
            "a sentence is whole"
        );
        assert_eq!(
            texts_of_pieces(&[timed(9.0, 9.5, "spät")], &[3.0, 6.0]),
            ["", "spät"],
            "beyond the last"
        );
        assert_eq!(texts_of_pieces(&[], &[3.0, 6.0]), ["", ""]);
    }

    proptest! {
        #![proptest_config(crate::budget::cases(64))]

        #[test]
        fn no_word_is_lost_and_their_order_stays(
            texts in prop::collection::vec(("[a-z é]{0,30}", 0.0_f64..9.0, 0.0_f64..9.0), 0..6), cuts in prop::collection::vec(0.1_f64..3.0, 1..6)
        ) {
            let mut at = 0.0;
            let heard: Vec<TimedText> = texts.iter().map(|(text, gap, length)| {
                at += gap;
                at += length;
                timed(at - length, at, text)
            }).collect();
            let ends: Vec<f64> = cuts.iter().scan(0.0, |sum, cut| { *sum += cut; Some(*sum) }).collect();
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let said: Vec<String> = heard.iter().flat_map(|heard| words(&heard.text)).collect();
            prop_assert_eq!(words(&texts_of_pieces(&heard, &ends).join(" ")), said);
        }
    }
}
