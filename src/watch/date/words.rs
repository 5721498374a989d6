//! Words that stand in the names of recordings around dates and times. Each table grows by a line; all words are in lower
//! case and without accents.

/// The months, by language. A word of three letters or more that begins the names of one month alone stands for it.
const MONTHS: &[[&str; 12]] = &[
    [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ],
    [
        "januar",
        "februar",
        "marz",
        "april",
        "mai",
        "juni",
        "juli",
        "august",
        "september",
        "oktober",
        "november",
        "dezember",
    ],
    [
        "janvier",
        "fevrier",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "aout",
        "septembre",
        "octobre",
        "novembre",
        "decembre",
    ],
    [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
    [
        "gennaio",
        "febbraio",
        "marzo",
        "aprile",
        "maggio",
        "giugno",
        "luglio",
        "agosto",
        "settembre",
        "ottobre",
        "novembre",
        "dicembre",
    ],
    [
        "janeiro",
        "fevereiro",
        "marco",
        "abril",
        "maio",
        "junho",
        "julho",
        "agosto",
        "setembro",
        "outubro",
        "novembro",
        "dezembro",
    ],
    [
        "januari",
        "februari",
        "maart",
        "april",
        "mei",
        "juni",
        "juli",
        "augustus",
        "september",
        "oktober",
        "november",
        "december",
    ],
    ["jan", "feb", "mrz", "apr", "maj", "jun", "jul", "avg", "sept", "okt", "nov", "dec"],
];

/// Returns the month, 1 to 12, that a word in lower case stands for.
pub(super) fn month(word: &str) -> Option<i8> {
    if word.chars().count() < 3 {
        return None;
    }
    let numbered = |names: &'static [&'static str; 12]| (1..).zip(names.iter());
    let mut fitting = MONTHS
        .iter()
        .flat_map(numbered)
        .filter(|(_, name)| name.starts_with(word))
        .map(|(month, _)| month);
    let first = fitting.next()?;
    fitting.all(|month| month == first).then_some(first)
}

/// The days of the week and "o'clock", which may stand between a date and its time.
const FILLERS: &[&str] = &[
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "mo",
    "di",
    "mi",
    "do",
    "fr",
    "sa",
    "so",
    "montag",
    "dienstag",
    "mittwoch",
    "donnerstag",
    "freitag",
    "samstag",
    "sonntag",
    // "at", in the languages in which phones and macOS write it.
    "at",
    "t",
    "um",
    "a",
    "as",
    "las",
    "la",
    "alle",
    "ore",
    "om",
    "kl",
    "klo",
    "o",
    "в",
    "u",
    "saat",
    "luc",
];

/// Returns whether a word in lower case may stand between a date and its time.
pub(super) fn is_filler(word: &str) -> bool {
    FILLERS.contains(&word)
}

/// Words in front of a time that say which half of the day it is of; `true` for the second.
const HALVES: &[(&str, bool)] = &[
    ("上午", false),
    ("下午", true),
    ("午前", false),
    ("午後", true),
    ("오전", false),
    ("오후", true),
];

/// Returns which half of the day `text` begins with, and the bytes of the word; `true` for the second half.
pub(super) fn half_of_day(text: &str) -> Option<(bool, usize)> {
    HALVES
        .iter()
        .find(|(word, _)| text.starts_with(word))
        .map(|(word, is_second)| (*is_second, word.len()))
}

/// Abbreviations of zones in minutes east of Greenwich. Those that stand for several zones are missing (CST, IST): a time
/// with one of them is taken for local.
const ZONES: &[(&str, i32)] = &[
    ("z", 0),
    ("utc", 0),
    ("gmt", 0),
    ("edt", -240),
    ("est", -300),
    ("cdt", -300),
    ("mdt", -360),
    ("mst", -420),
    ("pdt", -420),
    ("pst", -480),
    ("akdt", -480),
    ("akst", -540),
    ("hst", -600),
    ("bst", 60),
    ("wet", 0),
    ("west", 60),
    ("cet", 60),
    ("mez", 60),
    ("cest", 120),
    ("mesz", 120),
    ("eet", 120),
    ("eest", 180),
    ("msk", 180),
    ("jst", 540),
    ("kst", 540),
    ("aest", 600),
    ("aedt", 660),
    ("nzst", 720),
    ("nzdt", 780),
];

/// Returns the offset of a zone in minutes by its abbreviation in lower case.
pub(super) fn zone(word: &str) -> Option<i32> {
    ZONES.iter().find(|(name, _)| *name == word).map(|(_, minutes)| *minutes)
}
