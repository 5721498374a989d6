//! When a recording was made: from its container, else from its name, else from its mtime.

use std::{os::unix::ffi::OsStrExt as _, path::Path, time::Duration};

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

use super::media::Made;
use crate::clock;

/// Years that a recording may be of. What lies outside is a clock that was never set, or not a date.
const YEARS: std::ops::RangeInclusive<i16> = 1990..=2100;

/// A file server's clock may be ahead by so much, as one in another time zone is that tells its own time as UTC.
const FUTURE: Duration = Duration::from_secs(26 * 3600);

/// Returns when a recording was made. `zone` is that of this machine: names carry local time.
#[must_use]
pub fn recorded(made: Option<Made>, relative: &Path, mtime_ns: i64, zone: &TimeZone) -> Timestamp {
    recorded_by(clock::now(), made, relative, mtime_ns, zone)
}

fn recorded_by(now: Timestamp, made: Option<Made>, relative: &Path, mtime_ns: i64, zone: &TimeZone) -> Timestamp {
    // A file system that knows no times, or a clock that was never set: then it is of now, when it is first read.
    let is_possible = |at: &Timestamp| is_sane(*at) && clock::elapsed(now, *at) < FUTURE;
    let written = Timestamp::from_nanosecond(i128::from(mtime_ns)).ok().filter(is_possible).unwrap_or(now);
    let name = relative.file_stem().unwrap_or_default().as_bytes();
    let Some(made) = made.or_else(|| in_text(name)) else { return written };
    match made {
        Made::At(at) => at,
        Made::Local(local) => zone.to_timestamp(local).unwrap_or(written),
        // The mtime of the same day knows the hour as well.
        Made::On(day) if zone.to_datetime(written).date() == day => written,
        Made::On(day) => zone.to_timestamp(day.to_datetime(Time::midnight())).unwrap_or(written),
    }
}

/// Returns whether a time can be that of a recording.
#[must_use]
pub fn is_sane(at: Timestamp) -> bool {
    YEARS.contains(&TimeZone::UTC.to_datetime(at).year())
}

/// Returns the first date in a text, with the time that follows it: `2026-11-22`, `20261122_0900`,
/// `2026-11-22 09.00.05`, `20261122090005`, `2026-11-22 at 9.05.00`.
#[must_use]
pub fn in_text(text: &[u8]) -> Option<Made> {
    (0..text.len()).find_map(|start| {
        let begins = start == 0 || !text[start - 1].is_ascii_digit();
        if begins { date_at(&text[start..]) } else { None }
    })
}

/// A date at the very start of `text`.
fn date_at(text: &[u8]) -> Option<Made> {
    let (year, rest) = number(text, 4)?;
    let separator = rest.first().copied().filter(|byte| b"-_.".contains(byte));
    let (month, rest) = number(skip(rest, separator)?, 2)?;
    let (day, rest) = number(skip(rest, separator)?, 2)?;
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    if !YEARS.contains(&year) {
        return None;
    }
    if let Some(time) = time_after(rest) {
        return Some(Made::Local(DateTime::from_parts(date, time)));
    }
    // Digits that go on are a number, not a date.
    (!rest.first().is_some_and(u8::is_ascii_digit)).then_some(Made::On(date))
}

/// A time after a date: hours and minutes, perhaps seconds, with or without something in between.
fn time_after(text: &[u8]) -> Option<Time> {
    let gap = text.iter().take(4).take_while(|byte| b" _-.Ttaat".contains(byte)).count();
    let text = &text[gap..];
    let (hour, rest) = number(text, 2)?;
    let separator = rest.first().copied().filter(|byte| b":.-_h".contains(byte));
    let (minute, rest) = number(skip(rest, separator)?, 2)?;
    let seconds = skip(rest, separator).and_then(|rest| number(rest, 2));
    let (second, rest) = seconds.unwrap_or((0, rest));
    if rest.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let part = |number: i16| i8::try_from(number).ok();
    Time::new(part(hour)?, part(minute)?, part(second)?, 0).ok()
}

/// Passes `separator`, which must be there when it is given.
fn skip(text: &[u8], separator: Option<u8>) -> Option<&[u8]> {
    match separator {
        None => Some(text),
        Some(separator) => text.strip_prefix(&[separator]),
    }
}

/// Exactly `digits` digits as a number, and what follows.
fn number(text: &[u8], digits: usize) -> Option<(i16, &[u8])> {
    let head = text.get(..digits)?;
    let number = head
        .iter()
        .try_fold(0, |number: i16, byte| byte.is_ascii_digit().then(|| number * 10 + i16::from(byte - b'0')))?;
    Some((number, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, datetime};

    use super::*;

    #[test]
    fn dates_in_names_are_found() {
        let day = Made::On(date(2026, 11, 22));
        let nine = Made::Local(datetime(2026, 11, 22, 9, 0, 0, 0));
        let exact = Made::Local(datetime(2026, 11, 22, 9, 0, 5, 0));
        for (name, expected) in [
            ("2026-11-22", Some(day)),
            ("Sales 2026-11-22 weekly", Some(day)),
            ("20261122", Some(day)),
            ("call_2026.11.22", Some(day)),
            ("20261122_0900", Some(nine)),
            ("202611220900", Some(nine)),
            ("2026-11-22 09.00.05", Some(exact)),
            ("2026-11-22T09:00:05", Some(exact)),
            ("Recording 2026-11-22 at 09.00.05 (2)", Some(exact)),
            ("20261122090005-call", Some(exact)),
            ("2026-11-2209:00:05", Some(exact)),
            ("VID_20261122_090005", Some(exact)),
            ("2026-13-22", None),
            ("2026-02-30", None),
            ("19691122", None),
            ("491701234567", None),
            ("1202611224", None),
            ("20261122091", None),
            ("talk", None),
            ("", None),
        ] {
            assert_eq!(in_text(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn a_day_without_an_hour_takes_the_hour_of_an_mtime_of_that_day() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let written: Timestamp = "2026-11-22T14:00:00Z".parse().expect("a time");
        let mtime = i64::try_from(written.as_nanosecond()).expect("in range");
        let of = |name: &str| recorded_by(written, None, Path::new(name), mtime, &zone).to_string();
        assert_eq!(of("a/2026-11-22.wav"), "2026-11-22T14:00:00Z");
        assert_eq!(of("a/2026-11-20.wav"), "2026-11-19T23:00:00Z");
        assert_eq!(of("a/20261120_0900.wav"), "2026-11-20T08:00:00Z");
        assert_eq!(of("a/talk.wav"), "2026-11-22T14:00:00Z");
    }

    #[test]
    fn an_mtime_that_cannot_be_is_the_time_of_the_first_look() {
        let now: Timestamp = "2026-11-22T14:00:00Z".parse().expect("a time");
        let day = 24 * 3600;
        for seconds in [0, -day, now.as_second() + 2 * day, i64::MAX / 1_000_000_000, i64::MIN / 1_000_000_000] {
            let found = recorded_by(now, None, Path::new("talk.wav"), seconds * 1_000_000_000, &TimeZone::UTC);
            assert_eq!(found, now, "{seconds}");
        }
        let ahead = now.as_second() + day;
        let found = recorded_by(now, None, Path::new("talk.wav"), ahead * 1_000_000_000, &TimeZone::UTC);
        assert_eq!(found.as_second(), ahead, "a file server in another time zone");
    }

    proptest::proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn no_text_makes_it_panic(text in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            if let Some(Made::On(day)) = in_text(&text) {
                proptest::prop_assert!(YEARS.contains(&day.year()));
            }
        }
    }
}
