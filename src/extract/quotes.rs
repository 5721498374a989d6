//! Quotes: the words of sentences as they were spoken, without fillers and doubled words.

use super::{Quote, fragments::is_stutter, sentences::Sentence, words::split_words};

/// The longest quote, in characters: about 25 seconds of speech. The marks of what is left out do
/// not count.
pub(super) const QUOTE_CHARS_MAX: usize = 300;

/// The mark of words that are left out.
const LEFT_OUT: &str = "…";

/// Quotes the sentences at these places, each by itself.
pub(super) fn quote_each(sentences: &[Sentence], places: &[usize]) -> Vec<Quote> {
    places.iter().map(|at| quote_sentences(sentences, *at, *at)).collect()
}

/// Quotes some sentences in a row.
pub(super) fn quote_sentences(sentences: &[Sentence], first: usize, last: usize) -> Quote {
    let texts = sentences[first..=last].iter().map(|sentence| sentence.text.as_str());
    quote_texts(&sentences[first], texts)
}

/// Quotes some sentences without what others say between them; a mark stands for that.
pub(super) fn quote_speaker(sentences: &[Sentence], first: usize, last: usize) -> Quote {
    let texts = sentences[first..=last].iter().map(|sentence| {
        if sentence.is_by_another(&sentences[first]) { LEFT_OUT } else { sentence.text.as_str() }
    });
    quote_texts(&sentences[first], texts)
}

fn quote_texts<'a>(first: &Sentence, texts: impl Iterator<Item = &'a str>) -> Quote {
    let text = texts.collect::<Vec<_>>().join(" ");
    Quote { at: first.at, speaker: first.speaker.clone(), text: cut_quote(&clean_words(&text)) }
}

/// Returns a text without fillers and doubled words. A mark stands where they were, but for the
/// begin.
fn clean_words(text: &str) -> String {
    let words = split_words(text);
    let mut kept: Vec<&str> = Vec::new();
    let mut begin = 0;
    for piece in text.split(' ') {
        let end = begin + piece.len();
        let mut own =
            (0..words.len()).filter(|at| (begin..end).contains(&words[*at].range.start)).peekable();
        let is_dropped = own.peek().is_some() && own.all(|at| is_stutter(&words, at));
        let piece = if is_dropped { LEFT_OUT } else { piece };
        let is_mark = piece == LEFT_OUT && kept.last().is_none_or(|last| *last == LEFT_OUT);
        if !is_mark {
            kept.push(piece);
        }
        begin = end + 1;
    }
    if kept.last() == Some(&LEFT_OUT) {
        kept.pop();
    }
    kept.join(" ")
}

/// Cuts a text to the longest quote, at a word where there is one.
fn cut_quote(text: &str) -> String {
    let mut counted = text.char_indices().filter(|(_, character)| *character != '…');
    let Some((limit, _)) = counted.nth(QUOTE_CHARS_MAX - 1) else { return text.to_owned() };
    if counted.next().is_none() {
        return text.to_owned();
    }
    let kept = text[..limit].rsplit_once(' ').map_or(&text[..limit], |(kept, _)| kept);
    format!("{}{LEFT_OUT}", kept.trim_end_matches([',', ';', ':', '-', '–', ' ', '…']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fillers_and_doubled_words_are_left_out_with_a_mark() {
        for (text, quoted) in [
            ("We will paint it.", "We will paint it."),
            ("Um, so we'll uh paint the the door.", "so we'll … paint … the door."),
            ("Paint the, um, uh, the sh shed, um.", "Paint the, … the … shed,"),
            ("The … um shed", "The … shed"),
            ("Very very good.", "Very very good."),
        ] {
            assert_eq!(clean_words(text), quoted, "{text}");
        }
    }

    #[test]
    fn a_long_quote_is_cut_at_a_word_and_its_marks_do_not_count() {
        let cut = cut_quote(&"word ".repeat(100));
        assert!(cut.ends_with("word…") && cut.chars().count() <= QUOTE_CHARS_MAX, "{cut}");
        assert_eq!(cut_quote(&"é".repeat(301)).chars().count(), QUOTE_CHARS_MAX);
        let marked = format!("{}…{}", "a".repeat(150), "b".repeat(150));
        assert_eq!(cut_quote(&marked), marked);
    }
}
