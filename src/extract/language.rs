//! Detection of English: the cues mean nothing in another language.

use super::sentences::Sentence;

/// Words that every English talk is full of and that other languages hardly know in this spelling.
const COMMON: [&str; 40] = [
    "the", "and", "to", "of", "is", "that", "it", "you", "i", "we", "for", "this", "are", "have",
    "with", "not", "but", "they", "what", "there", "be", "he", "she", "would", "will", "can",
    "just", "about", "from", "my", "your", "if", "do", "was", "our", "let", "please", "yes",
    "okay", "how",
];

/// English speech has 35 to 50 words of those in a hundred, Dutch and German under 8.
const SHARE_MIN: f64 = 0.12;

/// Under so many words the share says nothing, and the transcript is taken for English.
const WORDS_MIN: usize = 12;

/// Returns whether these sentences are English.
pub(super) fn is_english(sentences: &[Sentence]) -> bool {
    let all: usize = sentences.iter().map(|sentence| sentence.words.len()).sum();
    let latin =
        sentences.iter().flat_map(|sentence| sentence.text.chars()).filter(|c| c.is_alphabetic());
    let mut ascii = 0_usize;
    let mut letters = 0_usize;
    for letter in latin {
        letters += 1;
        ascii += usize::from(letter.is_ascii());
    }
    if all < WORDS_MIN {
        return ascii * 10 >= letters * 9;
    }
    let common = sentences
        .iter()
        .flat_map(|sentence| &sentence.words)
        .filter(|word| word.is_any(&COMMON))
        .count();
    share_of(common, all) >= SHARE_MIN
}

#[expect(clippy::cast_precision_loss, reason = "counts of words are far below 2^52")]
pub(super) fn share_of(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::{super::sentences::split_sentences, *};
    use crate::job::Segment;

    fn english(text: &str) -> bool {
        is_english(&split_sentences(&[Segment { text: text.to_owned(), ..Segment::default() }]))
    }

    #[test]
    fn english_is_told_from_other_languages() {
        assert!(english(
            "So the thing is that we have to look at it again, and then I will send you what I found."
        ));
        assert!(english("Hello there."));
        assert!(!english(
            "Wir haben gestern beschlossen, dass die Lieferung erst im Januar kommt, und das ist für alle in Ordnung."
        ));
        assert!(!english(
            "We hebben gisteren besloten dat de levering pas in januari komt en dat is voor iedereen goed."
        ));
        assert!(!english(
            "Nous avons décidé hier que la livraison arrivera en janvier, et tout le monde est d'accord avec cela."
        ));
        assert!(!english(
            "Vi har bestemt at møtet flyttes til torsdag, og at alle skal ta med seg papirene sine dit."
        ));
        assert!(!english("会議は来週の火曜日に延期されました。"));
    }
}
