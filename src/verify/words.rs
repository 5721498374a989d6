//! Words with content, numbers and words of time, of any language.
//!
//! English words are compared by their stems. Scripts without spaces are compared by pairs of
//! characters.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Bound,
    sync::LazyLock,
};

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::text::strip_accents;

/// Characters that two long words have in common at their beginning where they are forms of one
/// word; endings of other languages than English are found this way.
const PREFIX_CHARS: usize = 6;

/// The words of a text that have content, each by its stem.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ContentWords(BTreeSet<String>);

impl ContentWords {
    /// Returns the content words of a text.
    pub(super) fn from_text(text: &str) -> Self {
        let stemmer = Stemmer::create(Algorithm::English);
        let mut stems = BTreeSet::new();
        for word in lower_words(text) {
            if word.chars().any(is_without_spaces) {
                let characters: Vec<char> = word.chars().collect();
                let pairs =
                    characters.windows(2.min(characters.len())).map(|pair| pair.iter().collect());
                stems.extend(pairs);
            } else if !is_empty_word(&word) && !word.chars().all(|c| c.is_ascii_digit()) {
                stems.insert(strip_accents(&stemmer.stem(&word)));
            }
        }
        Self(stems)
    }

    /// Adds the words of another text.
    pub(super) fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns how many of these words are among the others.
    pub(super) fn count_in(&self, others: &Self) -> usize {
        self.0.iter().filter(|word| others.has(word)).count()
    }

    fn has(&self, word: &str) -> bool {
        if self.0.contains(word) {
            return true;
        }
        let Some((end, _)) = word.char_indices().nth(PREFIX_CHARS) else { return false };
        let prefix = &word[..end];
        // Strings are in order, so those with this prefix stand in a row.
        let mut following = self
            .0
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|other| other.starts_with(prefix));
        following.any(|other| other.chars().count() > PREFIX_CHARS)
    }
}

/// Returns the words of a text in lower case, with straight apostrophes and without genitives.
pub(super) fn lower_words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('\u{2019}', "'");
    let mut words = Vec::new();
    let mut run = String::new();
    for word in text.unicode_words() {
        // Each character of such a script is a word of its own to the algorithm.
        if word.chars().all(is_without_spaces) {
            run.push_str(word);
            continue;
        }
        if !run.is_empty() {
            words.push(std::mem::take(&mut run));
        }
        words.push(word.strip_suffix("'s").unwrap_or(word).to_owned());
    }
    if !run.is_empty() {
        words.push(run);
    }
    words
}

/// Returns whether a script writes this character without spaces between words.
fn is_without_spaces(character: char) -> bool {
    matches!(character,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}')
}

/// Returns whether a word says nothing about its sentence: grammar, or the frame of minutes.
pub(super) fn is_empty_word(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| EMPTY.split_whitespace().collect());
    word.chars().count() < 2 || WORDS.contains(word) || WORDS.contains(strip_accents(word).as_str())
}

/// Grammar of English, German, French, Spanish, Italian, Dutch and Portuguese, then the words with
/// which minutes are framed ("the team agreed that").
const EMPTY: &str = "a about after all also am an and any are as at be because been before being both but by can could did do does doing \
    for from had has have having he her him his how i if in into is it its just may me might more most must my no nor not of on one \
    or our out over own shall she should so some such than that the their them then there these they this those to too up us very was \
    we were what when where which while who whom why will with would you your i'm i'll i've it's that's we'll we're we've don't let's \
    going gonna get got go okay yes yeah well like \
    aber als am an auch auf aus bei bin bis da damit dann das dass dem den der des die dies diese diesen dieser doch durch ein eine \
    einem einen einer er es fur haben hat hatte ich ihr im in ist ja kann kein mit muss nach nicht noch nur ob oder schon sein sich sie sind \
    soll sollen uber um und uns von vor war was wenn wer werden wie wir wird wo zu zum zur \
    ai au aux avec ce ces cette dans de des du elle elles en est et il ils je la le les leur lui mais me mon ne nous on ont ou par pas \
    pour que qui sa se ses si son sont sur un une vous y sera doit \
    al como con cual cuando del donde el ella ellos entre era es esta este esto ha hay la las le lo los mas mi muy nos o para pero \
    por porque que se si sin sobre son su sus tambien tiene un una uno unos va van y ya debe \
    alla anche che chi ci come con cui da dal dalla degli dei del della delle di e gli i il la le lo ma mi nel nella non per piu \
    quando questo se si sono sul sulla tra un una uno vi \
    aan als bij dan dat de deze die dit door een en er ge had heb hebben heeft het hij hoe ik in is je maar met moet na naar niet nog \
    nu of om ons onze ook op te tot uit van voor waar wat we wel wij worden wordt zal ze zich zij zijn zo zou \
    ao aos as com da das do dos e em ela eles essa esse esta este eu foi isso isto mais mas na nao nas nem no nos o os ou para pela \
    pelo por quando que se sem ser seu sua tem um uma \
    action actions agree agreed agreement agrees ask asked asks decide decided decides decision decisions discuss discussed discussion \
    everyone group item items meeting meetings need needed needs open participant participants plan planned plans question questions \
    speaker speakers team teams whether";

/// Returns whether a text denies something.
pub(super) fn has_negation(text: &str) -> bool {
    const WORDS: [&str; 20] = [
        "not", "no", "never", "none", "nothing", "nobody", "without", "cannot", "refuse",
        "refused", "against", "nicht", "kein", "keine", "nie", "pas", "jamais", "nunca", "non",
        "niet",
    ];
    lower_words(text).iter().any(|word| WORDS.contains(&word.as_str()) || word.ends_with("n't"))
}

/// Words that place something in time. What an item says of time must be spoken.
const TIMES: [&str; 40] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "today",
    "tomorrow",
    "tonight",
    "yesterday",
    "morning",
    "afternoon",
    "evening",
    "noon",
    "midnight",
    "eod",
    "week",
    "weekend",
    "month",
    "quarter",
    "year",
    "montag",
    "dienstag",
    "mittwoch",
    "donnerstag",
    "freitag",
    "samstag",
    "morgen",
];

/// Returns the words of time in a text, in the singular.
pub(super) fn time_words(text: &str) -> Vec<String> {
    let words = lower_words(text).into_iter().map(|word| match word.strip_suffix('s') {
        Some(singular) if is_time(singular) => singular.to_owned(),
        Some(_) | None => word,
    });
    words.filter(|word| is_time(word)).collect()
}

fn is_time(word: &str) -> bool {
    TIMES.contains(&word)
}

/// Returns the numbers of a text as digits: `2,500` and "two thousand five hundred" are 2500, "half
/// past two" is 2.
pub(super) fn numbers(text: &str) -> BTreeSet<String> {
    let mut found = digit_numbers(text);
    found.extend(spelled_numbers(text));
    found
}

/// Returns the numbers that a text has in digits, each as a whole and by its parts.
pub(super) fn digit_numbers(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let is_inside = |c: char| c.is_ascii_digit() || matches!(c, ',' | '.' | ':');
    for run in text.split(|c: char| !is_inside(c)) {
        let run = run.trim_matches(|c: char| !c.is_ascii_digit());
        if run.is_empty() {
            continue;
        }
        let joined = run.replace(',', "");
        found.insert(trim_zeros(if is_grouped(run) { &joined } else { run }));
    }
    found
}

/// Returns whether commas part the thousands of a number.
fn is_grouped(run: &str) -> bool {
    let mut groups = run.split(',');
    let first = groups.next().is_some_and(|first| (1..=3).contains(&first.len()));
    first && run.contains(',') && groups.all(|group| group.len() == 3)
}

fn trim_zeros(number: &str) -> String {
    let number = number.strip_suffix(".00").or_else(|| number.strip_suffix(".0")).unwrap_or(number);
    let whole = number.trim_start_matches('0');
    if whole.is_empty() || !whole.starts_with(|c: char| c.is_ascii_digit()) {
        number.to_owned()
    } else {
        whole.to_owned()
    }
}

/// English words of numbers below a hundred, and ordinals of days.
const SPELLED: [(&str, u64); 56] = [
    ("zero", 0),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
    ("third", 3),
    ("fourth", 4),
    ("fifth", 5),
    ("sixth", 6),
    ("seventh", 7),
    ("eighth", 8),
    ("ninth", 9),
    ("tenth", 10),
    ("eleventh", 11),
    ("twelfth", 12),
    ("thirteenth", 13),
    ("fourteenth", 14),
    ("fifteenth", 15),
    ("sixteenth", 16),
    ("seventeenth", 17),
    ("eighteenth", 18),
    ("nineteenth", 19),
    ("twentieth", 20),
    ("thirtieth", 30),
    ("half", 30),
    ("quarter", 15),
    ("twice", 2),
    ("double", 2),
    ("couple", 2),
    ("dozen", 12),
    ("pair", 2),
    ("noon", 12),
    ("midnight", 0),
    ("first", 1),
];

fn spelled_numbers(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut total: u64 = 0;
    let mut current: Option<u64> = None;
    let mut finish = |total: &mut u64, current: &mut Option<u64>| {
        if *total > 0 || current.is_some() {
            found.insert((*total + current.unwrap_or(0)).to_string());
        }
        found.extend(current.map(|value| value.to_string()));
        *total = 0;
        *current = None;
    };
    for word in lower_words(&text.replace('-', " ")) {
        let value = SPELLED.iter().find(|(spelled, _)| *spelled == word).map(|(_, value)| *value);
        let value = value.or_else(|| (word == "one").then_some(1));
        match (value, word.as_str()) {
            (Some(value), _) => {
                current = Some(match current {
                    Some(tens) if tens >= 20 && tens % 10 == 0 && value < 10 => tens + value,
                    Some(hundreds) if hundreds >= 100 && hundreds % 100 == 0 && value < 100 => {
                        hundreds + value
                    }
                    Some(_) => {
                        finish(&mut total, &mut current);
                        value
                    }
                    None => value,
                });
            }
            (None, "hundred") => current = Some(current.unwrap_or(1).min(99) * 100),
            (None, "thousand" | "million") => {
                let scale = if word == "thousand" { 1_000 } else { 1_000_000 };
                total += current.take().unwrap_or(1).min(999) * scale;
            }
            (None, "and") if current.is_some_and(|value| value >= 100) => {}
            (None, _) => finish(&mut total, &mut current),
        }
    }
    finish(&mut total, &mut current);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(item: &str, line: &str) -> (usize, usize) {
        let item = ContentWords::from_text(item);
        (item.count_in(&ContentWords::from_text(line)), item.len())
    }

    #[test]
    fn forms_of_a_word_are_one_word() {
        assert_eq!(
            share("The team agreed to ship the lists", "so we are shipping that list then"),
            (2, 2)
        );
        assert_eq!(
            share("Die Lieferungen kommen aus Hamburg", "die lieferung kommt aus hamburg"),
            (2, 3)
        );
        assert_eq!(share("决定下周发布", "我们决定下周发布新版本"), (5, 5));
        assert_eq!(share("Buy a printer", "we sold the house"), (0, 2));
    }

    #[test]
    fn numbers_are_the_same_in_digits_and_in_words() {
        let of = |text: &str| numbers(text).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(of("2,500 pounds"), "2500");
        assert_eq!(of("two thousand five hundred pounds"), "2500 500");
        assert_eq!(of("twenty-five euros"), "25");
        assert_eq!(of("at 09:30 or 12.50"), "12.50 9:30");
        assert_eq!(of("a hundred and twenty"), "120");
        assert_eq!(of("nothing of the kind"), "");
    }
}
