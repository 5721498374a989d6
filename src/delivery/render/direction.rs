//! The reading direction of a text. Pure: the same text always has the same direction.

/// Counts the letters of a text by the way they read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::delivery) struct Letters {
    right_to_left: usize,
    others: usize,
}

impl Letters {
    /// Counts the letters of one more text.
    pub(in crate::delivery) fn count_letters(&mut self, text: &str) {
        for character in text.chars().filter(|character| character.is_alphabetic()) {
            if is_right_to_left(character) {
                self.right_to_left += 1;
            } else {
                self.others += 1;
            }
        }
    }

    /// Returns whether most of it reads from right to left. Names, addresses and terms in Latin letters turn no text.
    pub(in crate::delivery) fn are_right_to_left(self) -> bool {
        self.right_to_left > self.others
    }
}

/// Returns whether a letter is of a script that is written from right to left: the blocks that
/// Unicode keeps for them (Hebrew, Arabic, Syriac, Thaana, N'Ko, Samaritan, Mandaic; their
/// presentation forms; those of the supplementary plane).
fn is_right_to_left(letter: char) -> bool {
    matches!(letter,
        '\u{0590}'..='\u{08ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}'
        | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads_right_to_left(text: &str) -> bool {
        let mut letters = Letters::default();
        letters.count_letters(text);
        letters.are_right_to_left()
    }

    #[test]
    fn most_of_the_letters_decide() {
        for text in [
            "שלום לכולם",
            "تم الاتفاق على الخطة",
            "ܫܠܡܐ",
            "החלטנו לשלוח את ה-API של Acme",
            "1. שלום (12:30)",
        ] {
            assert!(reads_right_to_left(text), "{text}");
        }
        for text in [
            "",
            "123 — 12:30",
            "Good morning",
            "Добрый день",
            "会議",
            "Shalom (שלום) to all of you",
            "नमस्ते",
        ] {
            assert!(!reads_right_to_left(text), "{text}");
        }
    }
}
