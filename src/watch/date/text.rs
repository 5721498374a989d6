//! Dates and times in a text that somebody or some program has called a recording. Pure.

use std::borrow::Cow;

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, Time},
};

use super::{super::media::Made, YEARS, is_sane, words};
use crate::text::unaccented;

/// How sure a date in a text is; a surer one wins over one that stands earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
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
pub(super) struct Candidate {
    pub(super) made: Made,
    pub(super) certainty: Certainty,
}

/// Returns the dates in a text, the surest first, and of equally sure ones the first.
pub(super) fn candidates(text: &[u8]) -> Vec<Candidate> {
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
        let read = if is_begin(is_digit) || is_begin(char::is_alphabetic) { read_at(&text, at) } else { None };
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
    let clock = Clock::read(&text, false)?;
    let is_bounded = !clock.rest.starts_with(|next: char| next.is_alphanumeric());
    (clock.has_seconds && is_bounded).then(|| clock.made(day, None)).flatten()
}

/// Makes a text comparable: accents go, all kinds of spaces, dashes and colons become the plain ones, and the signs of
/// East Asian dates become separators.
fn plain(text: &[u8]) -> String {
    let one = |character: char| match character {
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' | '日' | '秒' | '일' | '초' | '\t' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '年' | '月' | '년' | '월' => '-',
        '\u{a789}' | '\u{2236}' | '\u{ff1a}' | '時' | '时' | '点' | '分' | '시' | '분' => ':',
        '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' => '/',
        other => other,
    };
    let is_mark =
        |character: &char| matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}');
    let text: Cow<'_, str> = String::from_utf8_lossy(text);
    unaccented(&text).chars().filter(|character| !is_mark(character)).map(one).collect()
}

/// Reads what begins at `at`; returns it, and where it ends. Digits that are a date of two meanings are passed as a whole,
/// so that no part of them is taken for another date.
fn read_at(text: &str, at: usize) -> Option<(Option<Candidate>, usize)> {
    let rest = &text[at..];
    let (day, after) = match Day::read(rest) {
        Some(Day::Sure { date, rest, is_tight, needs_time }) => ((date, is_tight, needs_time), rest),
        Some(Day::Ambiguous { rest }) => return Some((None, text.len() - rest.len())),
        None => return epoch(text, at).map(|(candidate, length)| (Some(candidate), at + length)),
    };
    let (date, is_tight, needs_time) = day;
    let zone_before = zone_before(&text[..at]);
    let clock = time_after(after, needs_time);
    if let Some(made) = clock.as_ref().and_then(|clock| clock.made(date, zone_before)) {
        let certainty = if is_tight { Certainty::TightMoment } else { Certainty::Moment };
        let end = text.len() - clock.map_or(after, |clock| clock.rest).len();
        return Some((Some(Candidate { made, certainty }), end));
    }
    let candidate = Candidate { made: Made::On(date), certainty: Certainty::Day };
    (!needs_time).then_some((Some(candidate), text.len() - after.len()))
}

/// Returns the offset of a zone that stands directly in front of a date, as in `GMT20210105-150000`.
fn zone_before(before: &str) -> Option<i32> {
    let before = before.strip_suffix([' ', '_', '-']).unwrap_or(before);
    let word = &before[before.trim_end_matches(char::is_alphabetic).len()..];
    ["UTC", "GMT"].iter().any(|zone| word.eq_ignore_ascii_case(zone)).then_some(0)
}

/// A day at the begin of a text.
enum Day<'a> {
    /// One day.
    Sure {
        date: Date,
        rest: &'a str,
        /// Whether such digits often are something else.
        is_tight: bool,
        /// Whether it is a date only with a time right behind it.
        needs_time: bool,
    },
    /// `05-01-2021`, which is of January or of May.
    Ambiguous { rest: &'a str },
}

impl<'a> Day<'a> {
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
        Some(Self::Sure { date, rest: &text[8..], is_tight: run.len() == 12, needs_time: run.len() > 8 })
    }

    /// `210105-103000`, which recorders of Zoom write; without the time six digits are a number.
    fn short(run: &str, rest: &'a str) -> Option<Self> {
        let (time, _) = digits(rest.strip_prefix(['-', '_'])?);
        let date = date(&format!("20{}", &run[..2]), &run[2..4], &run[4..6]).filter(|_| time.len() == 6)?;
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
struct Month {
    number: i8,
    is_digits: bool,
    digits: usize,
}

fn month_or_digits(text: &str) -> Option<(Month, &str)> {
    let (run, rest) = digits(text);
    if (1..=2).contains(&run.len()) {
        return Some((Month { number: run.parse().ok()?, is_digits: true, digits: run.len() }, rest));
    }
    let (name, rest) = word(text);
    let number = words::month(&name.to_lowercase())?;
    Some((Month { number, is_digits: false, digits: 0 }, rest))
}

/// The second number of a date that begins with one: its separator, its digits and what follows.
fn second_number(text: &str) -> Option<(char, &str, &str)> {
    let separator = text.chars().next().filter(|next| "./-_ ".contains(*next))?;
    let (second, rest) = digits(&text[1..]);
    ((1..=2).contains(&second.len()) && rest.starts_with(separator)).then_some((separator, second, rest))
}

fn date(year: &str, month: &str, day: &str) -> Option<Date> {
    dated(year, month.parse().ok()?, day)
}

fn dated(year: &str, month: i8, day: &str) -> Option<Date> {
    let year: i16 = year.parse().ok()?;
    Date::new(year, month, day.parse().ok()?).ok().filter(|_| YEARS.contains(&year))
}

/// A time of day, and the zone that is stated with it.
struct Clock<'a> {
    time: Time,
    has_seconds: bool,
    /// Minutes east of Greenwich.
    offset: Option<i32>,
    rest: &'a str,
}

/// A time behind a date, with what may stand between: `_0900`, ` 09.00.05`, `T09:00`, ` at 9.05.00 PM`, ` um 10.30`.
/// With `is_glued` nothing may.
fn time_after(text: &str, is_glued: bool) -> Option<Clock<'_>> {
    /// Words between a date and its time: a day of the week and "at".
    const WORDS_MAX: usize = 3;
    /// Characters of punctuation in a row: ` - `, `, `, `_-_`.
    const GAP_MAX: usize = 4;
    if is_glued && text.starts_with(is_digit) {
        return Clock::read(text, false);
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
    if rest.len() == text.len() || Day::read(rest).is_some_and(|day| !day.needs_time()) {
        return None;
    }
    let is_dashed = text[..text.len() - rest.len()].ends_with('-');
    let mut clock = Clock::read(rest, is_dashed)?;
    clock.time = is_second_half.map_or(Some(clock.time), |is_second| of_half(clock.time, is_second))?;
    Some(clock)
}

impl Day<'_> {
    fn needs_time(&self) -> bool {
        matches!(self, Self::Sure { needs_time: true, .. })
    }
}

impl<'a> Clock<'a> {
    /// Reads a time; `is_dashed` when a dash stands in front of it, so that a dash behind it is one more separator and no
    /// sign.
    fn read(text: &'a str, is_dashed: bool) -> Option<Self> {
        let (run, after) = digits(text);
        let parts = match run.len() {
            1 | 2 => Parts::separated(run, after),
            4 | 6 | 9 | 12 => Parts::in_one_piece(run, after),
            _ => None,
        }?;
        let (half, rest) = half_after(parts.rest);
        if parts.minute.is_none() && half.is_none() || parts.is_vague && half.is_none() {
            return None;
        }
        let time = Time::new(parts.hour, parts.minute.unwrap_or(0), parts.second.unwrap_or(0), 0).ok()?;
        let time = half.map_or(Some(time), |is_second| of_half(time, is_second))?;
        let is_dashed = is_dashed || parts.separator == Some('-');
        let zone = offset_after(rest, is_dashed).or_else(|| offset_after(strip_fraction(rest)?, false));
        let (offset, rest) = zone.map_or((None, rest), |(offset, rest)| (Some(offset), rest));
        Some(Self { time, has_seconds: parts.second.is_some(), offset, rest })
    }

    /// Returns the moment on `day`; a zone that is stated with the time is nearer to it than one in front of the date.
    fn made(&self, day: Date, zone_before: Option<i32>) -> Option<Made> {
        let local = DateTime::from_parts(day, self.time);
        let Some(minutes) = self.offset.or(zone_before) else { return Some(Made::Local(local)) };
        let utc = jiff::tz::TimeZone::UTC.to_timestamp(local).ok()?;
        let at = utc.checked_sub(SignedDuration::from_mins(minutes.into())).ok()?;
        is_sane(at).then_some(Made::At(at))
    }
}

/// The numbers of a time.
struct Parts<'a> {
    hour: i8,
    minute: Option<i8>,
    second: Option<i8>,
    separator: Option<char>,
    /// Whether it is a time only with "am" or "pm" behind it.
    is_vague: bool,
    rest: &'a str,
}

impl<'a> Parts<'a> {
    /// `0900`, `090005`, `090005123`.
    fn in_one_piece(run: &str, rest: &'a str) -> Option<Self> {
        let second = if run.len() > 4 { Some(run[4..6].parse().ok()?) } else { None };
        let (hour, minute) = (run[..2].parse().ok()?, Some(run[2..4].parse().ok()?));
        Some(Self { hour, minute, second, separator: None, is_vague: false, rest })
    }

    /// `09:00`, `9.05.00`, `09-00-05`, `9h05`, `09 00 05`, `3` with "pm" behind it.
    fn separated(run: &str, rest: &'a str) -> Option<Self> {
        let hour = run.parse().ok()?;
        let bare = Self { hour, minute: None, second: None, separator: None, is_vague: true, rest };
        let Some(separator) = rest.chars().next().filter(|next| ":.-_hH /".contains(*next)) else { return Some(bare) };
        let (minute, after) = digits(&rest[1..]);
        if minute.len() != 2 {
            return Some(bare);
        }
        let minute = Some(minute.parse().ok()?);
        let second = second_after(after, separator);
        let (second, rest) = second.map_or((None, after), |(second, rest)| (Some(second), rest));
        let is_clear = match separator {
            ' ' | '/' => run.len() == 2 && second.is_some(),
            '-' | '_' => run.len() == 2 || second.is_some(),
            _ => true,
        };
        Some(Self { hour, minute, second, separator: Some(separator), is_vague: !is_clear, rest })
    }
}

/// The seconds behind hours and minutes: behind the same separator, or as in `9h05m07s`.
fn second_after(text: &str, separator: char) -> Option<(i8, &str)> {
    let rest = match separator {
        'h' | 'H' => text.strip_prefix(['m', 'M', ':', '.', '-'])?,
        separator => text.strip_prefix(separator)?,
    };
    let (run, rest) = digits(rest);
    let rest = if matches!(separator, 'h' | 'H') { rest.strip_prefix(['s', 'S']).unwrap_or(rest) } else { rest };
    (run.len() == 2).then(|| run.parse().ok()).flatten().map(|second| (second, rest))
}

/// "am", "p.m.", "p. m." behind a time; `true` for the second half of the day.
fn half_after(text: &str) -> (Option<bool>, &str) {
    let read = || {
        let rest = strip_gap(text, 1);
        let is_second = match rest.chars().next()? {
            'a' | 'A' => false,
            'p' | 'P' => true,
            _ => return None,
        };
        let rest = rest[1..].strip_prefix('.').unwrap_or(&rest[1..]);
        let rest = rest.strip_prefix(' ').unwrap_or(rest).strip_prefix(['m', 'M'])?;
        let is_whole = !rest.starts_with(char::is_alphanumeric);
        is_whole.then(|| (Some(is_second), rest.strip_prefix('.').unwrap_or(rest)))
    };
    read().unwrap_or((None, text))
}

/// Returns a time of a clock of twelve hours; one of more hours says itself which half it is of.
fn of_half(time: Time, is_second: bool) -> Option<Time> {
    let hour = match (time.hour(), is_second) {
        (12, false) => 0,
        (hour @ 1..=11, true) => hour + 12,
        (hour, _) => hour,
    };
    Time::new(hour, time.minute(), time.second(), 0).ok()
}

/// The offset of a zone right behind a time, in minutes: `Z`, ` UTC`, `+0200`, `-07:00`, ` GMT-7`, ` (EST)`.
fn offset_after(text: &str, is_dashed: bool) -> Option<(i32, &str)> {
    if let Some(found) = signed_offset(text, is_dashed) {
        return Some(found);
    }
    let after_gap = strip_gap(text, 2);
    let (name, rest) = word(after_gap);
    let lower = name.to_lowercase();
    let minutes = words::zone(&lower)?;
    match lower.as_str() {
        "z" => (after_gap.len() == text.len() && !rest.starts_with(is_digit)).then_some((0, rest)),
        "utc" | "gmt" => Some(offset_from_greenwich(rest).unwrap_or((0, rest))),
        // In small letters they are words: "est", "west".
        _ => (name.chars().all(char::is_uppercase) && !rest.starts_with(is_digit)).then_some((minutes, rest)),
    }
}

/// `+0200`, `-0500`, `+02:00`, `-05:00`, `+02`. A dash behind a time that has dashes already is one more separator, but
/// for what has a colon.
fn signed_offset(text: &str, is_dashed: bool) -> Option<(i32, &str)> {
    let is_west = text.starts_with('-');
    let (run, rest) = digits(text.strip_prefix(['+', '-'])?);
    let (hours, minutes, rest) = match run.len() {
        4 if !(is_west && is_dashed) => (&run[..2], &run[2..], rest),
        2 => {
            let separators: &[char] = if is_west { &[':'] } else { &[':', '.', '_', '-'] };
            let behind = rest.strip_prefix(separators).map(digits).filter(|(minutes, _)| minutes.len() == 2);
            match behind {
                Some((minutes, rest)) => (run, minutes, rest),
                None if is_west => return None,
                None => (run, "00", rest),
            }
        }
        _ => return None,
    };
    offset(is_west, hours, minutes).map(|minutes| (minutes, rest))
}

/// `-7`, `+2`, `+0530`, `+05:30`, `-03.30` behind `GMT` or `UTC`.
fn offset_from_greenwich(text: &str) -> Option<(i32, &str)> {
    let is_west = text.starts_with('-');
    let (run, rest) = digits(text.strip_prefix(['+', '-'])?);
    if run.len() == 4 {
        return offset(is_west, &run[..2], &run[2..]).map(|minutes| (minutes, rest));
    }
    if !(1..=2).contains(&run.len()) {
        return None;
    }
    let behind = rest.strip_prefix([':', '.', '_']).map(digits).filter(|(minutes, _)| minutes.len() == 2);
    let with_minutes = behind.and_then(|(minutes, rest)| Some((offset(is_west, run, minutes)?, rest)));
    with_minutes.or_else(|| Some((offset(is_west, run, "00")?, rest)))
}

/// Returns minutes east of Greenwich, where there is such a zone.
fn offset(is_west: bool, hours: &str, minutes: &str) -> Option<i32> {
    let hours: i32 = hours.parse().ok()?;
    let minutes: i32 = minutes.parse().ok()?;
    let is_real = hours <= if is_west { 12 } else { 14 } && minutes % 15 == 0 && minutes < 60;
    let east = hours * 60 + minutes;
    is_real.then_some(if is_west { -east } else { east })
}

/// Seconds or milliseconds since 1970, as Asterisk and many recorders write them: a number of its own of 13 digits, or of
/// 10 with a counter behind it (`1609860600.12`); 10 digits alone may be anything.
fn epoch(text: &str, at: usize) -> Option<(Candidate, usize)> {
    let (run, rest) = digits(&text[at..]);
    // Up to 2033. Other numbers of this length begin with other digits: of phones, with the code of a country.
    let is_apart = !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '+');
    if !run.starts_with('1') || !is_apart || rest.starts_with(char::is_alphabetic) {
        return None;
    }
    let number: i64 = run.parse().ok()?;
    let (counter, _) = digits(rest.strip_prefix('.').unwrap_or_default());
    let (at, certainty) = match run.len() {
        13 => (Timestamp::from_millisecond(number).ok()?, Certainty::Epoch),
        10 if !counter.is_empty() => (Timestamp::from_second(number).ok()?, Certainty::Epoch),
        10 => (Timestamp::from_second(number).ok()?, Certainty::Number),
        _ => return None,
    };
    is_sane(at).then_some((Candidate { made: Made::At(at), certainty }, run.len()))
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

fn is_digit(character: char) -> bool {
    character.is_ascii_digit()
}

/// The digits that a text begins with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(is_digit).len())
}

/// The letters that a text begins with, and the rest.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.len() - text.trim_start_matches(char::is_alphabetic).len())
}

/// Passes up to so many characters that may stand between the parts of a date.
fn strip_gap(text: &str, characters_max: usize) -> &str {
    let is_gap = |character: &char| " _-.,~@|([".contains(*character);
    let length: usize = text.chars().take(characters_max).take_while(is_gap).map(char::len_utf8).sum();
    &text[length..]
}

/// Passes `1st`, `2nd`, `3rd`, `4th`, `1er` behind their digits.
fn strip_ordinal(text: &str) -> &str {
    let (ending, rest) = word(text);
    let is_ordinal = ["st", "nd", "rd", "th", "er"].iter().any(|known| ending.eq_ignore_ascii_case(known));
    if is_ordinal { rest } else { text }
}

/// Passes the "de" of `5 de enero de 2021`.
fn strip_of(text: &str) -> &str {
    text.strip_prefix("de ").unwrap_or(text)
}

/// Passes the fraction of a second.
fn strip_fraction(text: &str) -> Option<&str> {
    let (run, rest) = digits(text.strip_prefix(['.', ','])?);
    (1..=9).contains(&run.len()).then_some(rest)
}
