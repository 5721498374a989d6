//! Reading of single texts, for others than the rules: the days that a text names.

use jiff::civil::Date;

use super::{due::find_due, words::split_words};

/// Words of a text that are read: a line of a transcript has fewer.
const WORDS_MAX: usize = 200;

/// Returns the days that a text names, counted from `today`, each once.
pub(crate) fn named_days(text: &str, today: Date) -> Vec<Date> {
    let mut words = split_words(text);
    words.truncate(WORDS_MAX);
    let by = split_words("by");
    let mut days = Vec::new();
    for from in 0..words.len() {
        // The reader returns one date, and a day of the calendar behind such a word alone.
        let behind = [by.as_slice(), &words[from..]].concat();
        if let Some(day) = find_due(&behind, 0, today).filter(|day| !days.contains(day)) {
            days.push(day);
        }
    }
    days
}
