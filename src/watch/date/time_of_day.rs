//! A time of day in a text: its hours, minutes and seconds, its half of the day and its zone. Pure.

use jiff::{
    SignedDuration,
    civil::{Date, DateTime, Time},
};

use super::{
    super::media::Made,
    is_sane,
    text::{digits, is_digit, strip_gap, word},
    words,
};

/// A time of day, and the zone that is stated with it.
pub(super) struct ClockTime<'a> {
    pub(super) time: Time,
    pub(super) has_seconds: bool,
    /// Minutes east of Greenwich.
    offset: Option<i32>,
    pub(super) rest: &'a str,
}

impl<'a> ClockTime<'a> {
    /// Reads a time; `is_dashed` when a dash stands in front of it, so that a dash behind it is one more separator and no
    /// sign.
    pub(super) fn read(text: &'a str, is_dashed: bool) -> Option<Self> {
        let (run, after) = digits(text);
        let parts = match run.len() {
            1 | 2 => ClockParts::separated(run, after),
            4 | 6 | 9 | 12 => ClockParts::in_one_piece(run, after),
            _ => None,
        }?;
        let (half, rest) = half_after(parts.rest);
        if parts.minute.is_none() && half.is_none() || parts.is_vague && half.is_none() {
            return None;
        }
        let time =
            Time::new(parts.hour, parts.minute.unwrap_or(0), parts.second.unwrap_or(0), 0).ok()?;
        let time = half.map_or(Some(time), |is_second| of_half(time, is_second))?;
        let is_dashed = is_dashed || parts.separator == Some('-');
        let zone = offset_after(rest, is_dashed)
            .or_else(|| offset_after(strip_fraction(rest)?, !rest.starts_with(['.', ','])));
        let (offset, rest) = zone.map_or((None, rest), |(offset, rest)| (Some(offset), rest));
        Some(Self { time, has_seconds: parts.second.is_some(), offset, rest })
    }

    /// Returns the moment on `day`; a zone that is stated with the time is nearer to it than one in front of the date.
    pub(super) fn made(&self, day: Date, zone_before: Option<i32>) -> Option<Made> {
        let local = DateTime::from_parts(day, self.time);
        let Some(minutes) = self.offset.or(zone_before) else { return Some(Made::Local(local)) };
        let utc = jiff::tz::TimeZone::UTC.to_timestamp(local).ok()?;
        let at = utc.checked_sub(SignedDuration::from_mins(minutes.into())).ok()?;
        is_sane(at).then_some(Made::At(at))
    }
}

/// The numbers of a time.
struct ClockParts<'a> {
    hour: i8,
    minute: Option<i8>,
    second: Option<i8>,
    separator: Option<char>,
    /// True if it is a time only with "am" or "pm" behind it.
    is_vague: bool,
    rest: &'a str,
}

impl<'a> ClockParts<'a> {
    /// `0900`, `090005`, `090005123`.
    fn in_one_piece(run: &str, rest: &'a str) -> Option<Self> {
        let second = if run.len() > 4 { Some(run[4..6].parse().ok()?) } else { None };
        let hour = run[..2].parse().ok()?;
        let minute = Some(run[2..4].parse().ok()?);
        Some(Self { hour, minute, second, separator: None, is_vague: false, rest })
    }

    /// `09:00`, `9.05.00`, `09-00-05`, `9h05`, `09 00 05`, `3` with "pm" behind it.
    fn separated(run: &str, rest: &'a str) -> Option<Self> {
        let hour = run.parse().ok()?;
        let bare = Self { hour, minute: None, second: None, separator: None, is_vague: true, rest };
        let Some(separator) = rest.chars().next().filter(|next| ":.-_hH /".contains(*next)) else {
            return Some(bare);
        };
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
    let rest = if matches!(separator, 'h' | 'H') {
        rest.strip_prefix(['s', 'S']).unwrap_or(rest)
    } else {
        rest
    };
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
pub(super) fn of_half(time: Time, is_second: bool) -> Option<Time> {
    let hour = match (time.hour(), is_second) {
        (12, false) => 0,
        (hour @ 1..=11, true) => hour + 12,
        (hour, _) => hour,
    };
    Time::new(hour, time.minute(), time.second(), 0).ok()
}

/// The offset of a zone right behind a time, in minutes: `Z`, ` UTC`, `+0200`, `-07:00`, ` GMT-7`, ` (EST)`.
fn offset_after(text: &str, is_dashed: bool) -> Option<(i32, &str)> {
    // A separator may stand in front of the sign: ` -0500`, `-+0700`.
    let is_separated = text.starts_with(' ') || text.starts_with("-+") || text.starts_with("_+");
    if let Some(found) = signed_offset(if is_separated { &text[1..] } else { text }, is_dashed) {
        return Some(found);
    }
    let after_gap = strip_gap(text, 2);
    let (name, rest) = word(after_gap);
    let lower = name.to_lowercase();
    let minutes = words::zone(&lower)?;
    match lower.as_str() {
        "z" => {
            (text.len() - after_gap.len() <= 1 && !rest.starts_with(is_digit)).then_some((0, rest))
        }
        "utc" | "gmt" => Some(offset_from_greenwich(rest).unwrap_or((0, rest))),
        // In small letters they are words: "est", "west".
        _ => (name.chars().all(char::is_uppercase) && !rest.starts_with(is_digit))
            .then_some((minutes, rest)),
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
            let behind =
                rest.strip_prefix(separators).map(digits).filter(|(minutes, _)| minutes.len() == 2);
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
    let behind =
        rest.strip_prefix([':', '.', '_']).map(digits).filter(|(minutes, _)| minutes.len() == 2);
    let with_minutes =
        behind.and_then(|(minutes, rest)| Some((offset(is_west, run, minutes)?, rest)));
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

/// Passes the fraction of a second.
fn strip_fraction(text: &str) -> Option<&str> {
    let (run, rest) = digits(text.strip_prefix(['.', ',', '-', '_'])?);
    let is_fraction = if text.starts_with(['.', ',']) {
        (1..=9).contains(&run.len())
    } else {
        matches!(run.len(), 3 | 6)
    };
    is_fraction.then_some(rest)
}
