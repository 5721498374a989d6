//! Dates and times in a text that somebody or some program has called a recording. Pure.

use std::borrow::Cow;

use jiff::{Timestamp, civil::Date};

use super::{
    super::media::Made,
    YEARS, is_sane,
    time_of_day::{ClockTime, of_half},
    words,
};
use crate::text::strip_accents;

/// The certainty of a date in a text; a surer one wins over one that stands earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DateCertainty {
    /// Ten digits that may be the seconds of a moment, or a number of anything else.
    Number,
    /// Digits that are the seconds or milliseconds of a moment by their form.
    Epoch,
    /// A day.
    Day,
    /// A moment whose form is that of other numbers, too: twelve digits in one piece, a year of two digits.
    TightMoment,
    /// A day with a time.
    Moment,
}

/// A date that a text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DateCandidate {
    pub(super) made: Made,
    pub(super) certainty: DateCertainty,
}

/// Returns the dates in a text, the surest first, and of equally sure ones the first.
pub(super) fn candidates(text: &[u8]) -> Vec<DateCandidate> {
    let text = plain(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let is_begin = |is_part: fn(char) -> bool| {
            rest.starts_with(is_part) && !text[..at].chars().next_back().is_some_and(is_part)
        };
        if let Some(length) = uuid(rest) {
            at += length;
            continue;
        }
        let read = if is_begin(is_digit) || is_begin(char::is_alphabetic) {
            read_at(&text, at)
        } else {
            None
        };
        match read {
            Some((candidate, end)) => {
                found.extend(candidate);
                at = end;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.certainty));
    found
}

/// Returns the time of day that a text begins with, down to its seconds, as of `day`.
pub(super) fn moment_at_begin(text: &[u8], day: Date) -> Option<Made> {
    let text = plain(text);
    let clock = ClockTime::read(&text, false)?;
    let is_bounded = !clock.rest.starts_with(|next: char| next.is_alphanumeric());
    (clock.has_seconds && is_bounded).then(|| clock.made(day, None)).flatten()
}

/// Makes a text comparable: accents go, all kinds of spaces, dashes and colons become the plain ones, and the signs of
/// East Asian dates become separators.
fn plain(text: &[u8]) -> String {
    let one = |character: char| match character {
        '\u{a0}'
        | '\u{2000}'..='\u{200a}'
        | '\u{202f}'
        | '\u{3000}'
        | '日'
        | '秒'
        | '일'
        | '초'
        | '\t' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '年' | '月' | '년' | '월' => '-',
        '\u{a789}' | '\u{2236}' | '\u{ff1a}' | '時' | '时' | '点' | '分' | '시' | '분' => ':',
        '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' => '/',
        other => other,
    };
    let is_mark = |character: &char| matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}');
    let text: Cow<'_, str> = String::from_utf8_lossy(text);
    strip_accents(&text).chars().filter(|character| !is_mark(character)).map(one).collect()
}

/// Reads what begins at `at`; returns it, and where it ends. Digits that are a date of two meanings are passed as a whole,
/// so that no part of them is taken for another date.
fn read_at(text: &str, at: usize) -> Option<(Option<DateCandidate>, usize)> {
    let rest = &text[at..];
    let (day, after) = match DayText::read(rest) {
        Some(DayText::Sure { date, rest, is_tight, needs_time }) => {
            ((date, is_tight, needs_time), rest)
        }
        Some(DayText::Ambiguous { rest }) => return Some((None, text.len() - rest.len())),
        None => return epoch(text, at).map(|(candidate, length)| (Some(candidate), at + length)),
    };
    let (date, is_tight, needs_time) = day;
    let zone_before = zone_before(&text[..at]);
    let clock = time_after(after, needs_time);
    if let Some(made) = clock.as_ref().and_then(|clock| clock.made(date, zone_before)) {
        let certainty = if is_tight { DateCertainty::TightMoment } else { DateCertainty::Moment };
        let end = text.len() - clock.map_or(after, |clock| clock.rest).len();
        return Some((Some(DateCandidate { made, certainty }), end));
    }
    let candidate = DateCandidate { made: Made::On(date), certainty: DateCertainty::Day };
    (!needs_time).then_some((Some(candidate), text.len() - after.len()))
}

/// Returns the offset of a zone that stands directly in front of a date, as in `GMT20210105-150000`.
fn zone_before(before: &str) -> Option<i32> {
    let before = before.strip_suffix([' ', '_', '-']).unwrap_or(before);
    let word = &before[before.trim_end_matches(char::is_alphabetic).len()..];
    ["UTC", "GMT"].iter().any(|zone| word.eq_ignore_ascii_case(zone)).then_some(0)
}

/// A day at the begin of a text.
enum DayText<'a> {
    /// A single day.
    Sure {
        date: Date,
        rest: &'a str,
        /// True if such digits often are something else.
        is_tight: bool,
        /// True if it is a date only with a time right behind it.
        needs_time: bool,
    },
    /// `05-01-2021`, which is of January or of May.
    Ambiguous { rest: &'a str },
}

impl<'a> DayText<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (run, rest) = digits(text);
        match run.len() {
            0 => Self::month_first(text),
            1 | 2 => Self::day_first(run, rest),
            4 => Self::year_first(run, rest),
            6 => Self::short(run, rest),
            8 | 12 | 14 | 17 | 20 => Self::in_one_piece(run, text),
            _ => None,
        }
    }

    /// `20210105`, `202101051030`, `20210105103000`, `20210105103000123`.
    fn in_one_piece(run: &str, text: &'a str) -> Option<Self> {
        let date = date(&run[..4], &run[4..6], &run[6..8])?;
        Some(Self::Sure {
            date,
            rest: &text[8..],
            is_tight: run.len() == 12,
            needs_time: run.len() > 8,
        })
    }

    /// `210105-103000`, which recorders of Zoom write; without the time six digits are a number.
    fn short(run: &str, rest: &'a str) -> Option<Self> {
        let (time, _) = digits(rest.strip_prefix(['-', '_'])?);
        let date = date(&format!("20{}", &run[..2]), &run[2..4], &run[4..6])
            .filter(|_| time.len() == 6)?;
        Some(Self::Sure { date, rest, is_tight: true, needs_time: true })
    }

    /// `2021-01-05`, `2021.1.5`, `2021:01:05`, `2021/01/05`, `2021 01 05`, `2021 Jan 5`.
    fn year_first(year: &str, rest: &'a str) -> Option<Self> {
        let separator = rest.chars().next().filter(|next| "-_./: ".contains(*next))?;
        let (run, after) = digits(&rest[1..]);
        if run.len() == 4 && matches!(separator, '_' | '-') && after.starts_with(separator) {
            // `2021_0105_103000`, which dashboard cameras write.
            let date = date(year, &run[..2], &run[2..])?;
            return Some(Self::Sure { date, rest: after, is_tight: false, needs_time: true });
        }
        let (month, after) = month_or_digits(&rest[1..])?;
        let (run, _) = digits(after.strip_prefix(separator)?);
        let day_begin = &after[1..];
        // The time of a Broadcast WAV stands directly behind its date.
        let day_digits = if matches!(run.len(), 4 | 6 | 8) { 2 } else { run.len() };
        let is_short = month.is_digits && (month.digits < 2 || day_digits < 2);
        if !(1..=2).contains(&day_digits) || is_short && matches!(separator, ' ' | ':') {
            return None;
        }
        let date = dated(year, month.number, &run[..day_digits])?;
        let rest = strip_ordinal(&day_begin[day_digits..]);
        Some(Self::Sure { date, rest, is_tight: false, needs_time: run.len() > 2 })
    }

    /// `31.12.2021`, `31-12-2021`, `12/31/2021`, `5 Jan 2021`, `5. Januar 2021`, `5 de enero de 2021`, `05Jan2021`.
    fn day_first(first: &str, rest: &'a str) -> Option<Self> {
        if let Some((separator, second, after)) = second_number(rest) {
            let (year, rest) = digits(after.strip_prefix(separator)?);
            if year.len() != 4 {
                return None;
            }
            let is_american = date(year, first, second);
            let is_usual = date(year, second, first);
            return match (is_usual, is_american) {
                (Some(date), None) | (None, Some(date)) => Some(Self::sure(date, rest)),
                (Some(date), Some(_)) if separator == '.' => Some(Self::sure(date, rest)),
                (Some(date), Some(other)) if date == other => Some(Self::sure(date, rest)),
                (Some(_), Some(_)) => Some(Self::Ambiguous { rest }),
                (None, None) => None,
            };
        }
        let before_month = strip_of(strip_gap(strip_ordinal(rest), 2));
        let (month, after) = word(before_month);
        let month = words::month(&month.to_lowercase())?;
        let (year, rest) = digits(strip_of(strip_gap(after, 2)));
        let date = dated(year, month, first).filter(|_| year.len() == 4)?;
        Some(Self::sure(date, rest))
    }

    /// `Jan 5, 2021`, `January 5th 2021`.
    fn month_first(text: &'a str) -> Option<Self> {
        let (month, after) = word(text);
        let month = words::month(&month.to_lowercase())?;
        let (day, after) = digits(strip_gap(after, 2));
        let (year, rest) = digits(strip_gap(strip_ordinal(after), 2));
        let date = dated(year, month, day).filter(|_| year.len() == 4 && day.len() <= 2)?;
        Some(Self::sure(date, rest))
    }

    fn sure(date: Date, rest: &'a str) -> Self {
        Self::Sure { date, rest, is_tight: false, needs_time: false }
    }
}

/// A month, as a word or as digits.
struct MonthText {
    number: i8,
    is_digits: bool,
    digits: usize,
}

fn month_or_digits(text: &str) -> Option<(MonthText, &str)> {
    let (run, rest) = digits(text);
    if (1..=2).contains(&run.len()) {
        return Some((
            MonthText { number: run.parse().ok()?, is_digits: true, digits: run.len() },
            rest,
        ));
    }
    let (name, rest) = word(text);
    let number = words::month(&name.to_lowercase())?;
    Some((MonthText { number, is_digits: false, digits: 0 }, rest))
}

/// The second number of a date that begins with one: its separator, its digits and what follows.
fn second_number(text: &str) -> Option<(char, &str, &str)> {
    let separator = text.chars().next().filter(|next| "./-_ ".contains(*next))?;
    let (second, rest) = digits(&text[1..]);
    ((1..=2).contains(&second.len()) && rest.starts_with(separator))
        .then_some((separator, second, rest))
}

fn date(year: &str, month: &str, day: &str) -> Option<Date> {
    dated(year, month.parse().ok()?, day)
}

fn dated(year: &str, month: i8, day: &str) -> Option<Date> {
    let year: i16 = year.parse().ok()?;
    Date::new(year, month, day.parse().ok()?).ok().filter(|_| YEARS.contains(&year))
}

impl DayText<'_> {
    fn needs_time(&self) -> bool {
        matches!(self, Self::Sure { needs_time: true, .. })
    }
}

/// A time behind a date, with what may stand between: `_0900`, ` 09.00.05`, `T09:00`, ` at 9.05.00 PM`, ` um 10.30`.
/// With `is_glued` nothing may.
fn time_after(text: &str, is_glued: bool) -> Option<ClockTime<'_>> {
    /// Words between a date and its time: a day of the week and "at".
    const WORDS_MAX: usize = 3;
    /// Characters of punctuation in a row: ` - `, `, `, `_-_`.
    const GAP_MAX: usize = 4;
    if is_glued && text.starts_with(is_digit) {
        return ClockTime::read(text, false);
    }
    let mut rest = strip_gap(text, GAP_MAX);
    let mut is_second_half = None;
    for _ in 0..WORDS_MAX {
        if let Some((half, length)) = words::half_of_day(rest) {
            is_second_half = Some(half);
            rest = strip_gap(&rest[length..], GAP_MAX);
            continue;
        }
        let (filler, after) = word(rest);
        if filler.is_empty() || !words::is_filler(&filler.to_lowercase()) {
            break;
        }
        rest = strip_gap(after, GAP_MAX);
    }
    // What follows may be another date.
    if rest.len() == text.len() || DayText::read(rest).is_some_and(|day| !day.needs_time()) {
        return None;
    }
    let is_dashed = text[..text.len() - rest.len()].ends_with('-');
    let mut clock = ClockTime::read(rest, is_dashed)?;
    clock.time =
        is_second_half.map_or(Some(clock.time), |is_second| of_half(clock.time, is_second))?;
    Some(clock)
}

/// Seconds or milliseconds since 1970, as Asterisk and many recorders write them: a number of its own of 13 digits, or of
/// 10 with a counter behind it (`1609860600.12`); 10 digits alone may be anything.
fn epoch(text: &str, at: usize) -> Option<(DateCandidate, usize)> {
    let (run, rest) = digits(&text[at..]);
    // Up to 2033. Other numbers of this length begin with other digits: of phones, with the code of a country.
    let is_apart = !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '+');
    if !run.starts_with('1') || !is_apart || rest.starts_with(char::is_alphabetic) {
        return None;
    }
    let number: i64 = run.parse().ok()?;
    let (counter, _) = digits(rest.strip_prefix('.').unwrap_or_default());
    let (at, certainty) = match run.len() {
        13 => (Timestamp::from_millisecond(number).ok()?, DateCertainty::Epoch),
        10 if !counter.is_empty() => (Timestamp::from_second(number).ok()?, DateCertainty::Epoch),
        10 => (Timestamp::from_second(number).ok()?, DateCertainty::Number),
        _ => return None,
    };
    is_sane(at).then_some((DateCandidate { made: Made::At(at), certainty }, run.len()))
}

/// Returns the length of a UUID at the begin of a text: no part of it is a date (RFC 9562, section 4).
fn uuid(text: &str) -> Option<usize> {
    const LENGTH: usize = 36;
    let head = text.as_bytes().get(..LENGTH)?;
    let fits = head.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    fits.then_some(LENGTH)
}

pub(super) fn is_digit(character: char) -> bool {
    character.is_ascii_digit()
}

/// The digits that a text begins with, and the rest.
pub(super) fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(is_digit).len())
}

/// The letters that a text begins with, and the rest.
pub(super) fn word(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(char::is_alphabetic).len())
}

/// Passes up to so many characters that may stand between the parts of a date.
pub(super) fn strip_gap(text: &str, characters_max: usize) -> &str {
    let is_gap = |character: &char| " _-.,~@|([".contains(*character);
    let length: usize =
        text.chars().take(characters_max).take_while(is_gap).map(char::len_utf8).sum();
    &text[length..]
}

/// Passes `1st`, `2nd`, `3rd`, `4th`, `1er` behind their digits.
fn strip_ordinal(text: &str) -> &str {
    let (ending, rest) = word(text);
    let is_ordinal =
        ["st", "nd", "rd", "th", "er"].iter().any(|known| ending.eq_ignore_ascii_case(known));
    if is_ordinal { rest } else { text }
}

/// Passes the "de" of `5 de enero de 2021`.
fn strip_of(text: &str) -> &str {
    text.strip_prefix("de ").unwrap_or(text)
}
