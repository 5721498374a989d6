//! When a recording was made: its container says it, else its name, else the nearest directory above it, else its mtime.

#[cfg(test)]
mod table;
mod text;
mod time_of_day;
mod words;

use std::{os::unix::ffi::OsStrExt, path::Path, time::Duration};

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};

use self::text::{DateCandidate, DateCertainty, candidates};
use super::media::Made;
use crate::clock;

/// Years that a recording may be of. What lies outside is a clock that was never set, or not a date.
const YEARS: std::ops::RangeInclusive<i16> = 1990..=2100;

/// A file server's clock may be ahead by so much, as one in another time zone is that tells its own time as UTC.
const FUTURE: Duration = Duration::from_secs(26 * 3600);

/// Ten digits are the seconds of a moment only when it is that near to the mtime: numbers of that length have many other
/// meanings, and of a thousand that begin with 1 some thirty are as near.
const NEAR: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Returns when a recording was made. `zone` is that of this machine: names carry local time.
#[must_use]
pub(crate) fn recorded(
    made: Option<Made>,
    relative: &Path,
    mtime_ns: i64,
    zone: &TimeZone,
) -> Timestamp {
    recorded_by(clock::now(), made, relative, mtime_ns, zone)
}

fn recorded_by(
    now: Timestamp,
    made: Option<Made>,
    relative: &Path,
    mtime_ns: i64,
    zone: &TimeZone,
) -> Timestamp {
    // A file system that knows no times, or a clock that was never set: then it is of now, when it is first read.
    let is_past = |at: &Timestamp| is_sane(*at) && clock::elapsed(now, *at) < FUTURE;
    let mtime = Timestamp::from_nanosecond(i128::from(mtime_ns)).ok().filter(is_past);
    let sources = DateSources { written: mtime.unwrap_or(now), now, zone };
    let mut found = sources.find(made, relative).into_iter();
    let Some(first) = found.next() else { return sources.written };
    let Made::On(day) = first.made else {
        return sources.moment(first.made).unwrap_or(sources.written);
    };
    // What is less near may know the hour of that day.
    let is_of_day = |at: &Timestamp| zone.to_datetime(*at).date() == day;
    let moments = found.map(|found| found.made).filter(|made| !matches!(made, Made::On(_)));
    let hour = moments.filter_map(|made| sources.moment(made)).find(is_of_day);
    let stem = relative.file_stem().unwrap_or_default().as_bytes();
    let in_name = || {
        let made = text::moment_at_begin(stem, day).filter(|_| first.is_of_parent)?;
        sources.moment(made).filter(|at| sources.is_possible(*at))
    };
    let midnight = || zone.to_timestamp(day.to_datetime(Time::midnight())).ok();
    let written = Some(sources.written).filter(is_of_day);
    hour.or_else(in_name).or(written).or_else(midnight).unwrap_or(sources.written)
}

/// A date, and whether a directory's name has it.
struct FoundDate {
    made: Made,
    is_of_parent: bool,
}

/// The facts with which a date is compared.
struct DateSources<'a> {
    /// The last write to the file, as far as that is plausible.
    written: Timestamp,
    now: Timestamp,
    zone: &'a TimeZone,
}

impl DateSources<'_> {
    /// Returns the dates of a recording that can be, the nearest first: of its container, of its name, and of the
    /// directories below the folder, from the innermost out.
    fn find(&self, made: Option<Made>, relative: &Path) -> Vec<FoundDate> {
        let mut found: Vec<FoundDate> =
            made.map(|made| FoundDate { made, is_of_parent: false }).into_iter().collect();
        let stem = relative.file_stem().unwrap_or_default().as_bytes();
        let of_name = candidates(stem).into_iter().filter(|candidate| self.is_believed(candidate));
        found.extend(
            of_name.map(|candidate| FoundDate { made: candidate.made, is_of_parent: false }),
        );
        let parents: Vec<&[u8]> =
            relative.parent().into_iter().flat_map(Path::iter).map(OsStrExt::as_bytes).collect();
        for last in (0..parents.len()).rev() {
            let of_name = candidates(parents[last])
                .into_iter()
                .filter(|found| found.certainty > DateCertainty::Number);
            // `2021/01/05`: year, month and day.
            let joined = parents[..=last].last_chunk::<3>().map(|parts| parts.join(&b'/'));
            let of_parts = joined.and_then(|joined| day_of(&joined));
            let of_parent = of_name.map(|candidate| candidate.made).chain(of_parts.map(Made::On));
            found.extend(of_parent.map(|made| FoundDate { made, is_of_parent: true }));
        }
        found.retain(|found| self.moment(found.made).is_some_and(|at| self.is_possible(at)));
        found
    }

    /// Returns the moment that a date means here; of a day its begin.
    fn moment(&self, made: Made) -> Option<Timestamp> {
        match made {
            Made::At(at) => Some(at),
            Made::Local(local) => self.zone.to_timestamp(local).ok(),
            Made::On(day) => self.zone.to_timestamp(day.to_datetime(Time::midnight())).ok(),
        }
    }

    /// Returns whether a recording can be of that moment: nothing is made after it was written.
    fn is_possible(&self, at: Timestamp) -> bool {
        let latest = self.written.min(self.now);
        is_sane(at) && clock::elapsed(latest, at) < FUTURE
    }

    fn is_believed(&self, candidate: &DateCandidate) -> bool {
        let is_near =
            || self.moment(candidate.made).is_some_and(|at| self.written.duration_since(at) < NEAR);
        candidate.certainty > DateCertainty::Number || is_near()
    }
}

/// Returns the day that three directories are called after.
fn day_of(joined: &[u8]) -> Option<Date> {
    let [year, month, day] =
        joined.split(|byte| *byte == b'/').collect::<Vec<_>>().try_into().ok()?;
    let is_number = |part: &[u8], lengths: &[usize]| {
        lengths.contains(&part.len()) && part.iter().all(u8::is_ascii_digit)
    };
    if !is_number(year, &[4]) || !is_number(day, &[1, 2]) {
        return None;
    }
    let text = [year, b"-", month_of(month), b"-", day].concat();
    match candidates(&text).first()?.made {
        Made::On(date) => Some(date),
        Made::At(_) | Made::Local(_) => None,
    }
}

/// Returns the month of a directory: `01`, `January`, `01-January`, `01 Jan`, `2021-01`.
fn month_of(directory: &[u8]) -> &[u8] {
    let is_letter = |byte: &u8| !byte.is_ascii_digit() && !b" -_.".contains(byte);
    match directory.iter().position(is_letter) {
        Some(letters) => &directory[letters..],
        None => directory.rsplit(|byte| b" -_.".contains(byte)).next().unwrap_or_default(),
    }
}

/// Returns whether a time can be that of a recording.
#[must_use]
pub(crate) fn is_sane(at: Timestamp) -> bool {
    YEARS.contains(&TimeZone::UTC.to_datetime(at).year())
}

/// Returns the surest date in a text, with the time that follows it and the zone that is stated: `2026-11-22`,
/// `20261122_0900`, `2026-11-22 09.00.05`, `20261122090005Z`, `22 Nov 2026 at 9.05 PM`. Digits that may be any number are
/// none.
#[must_use]
pub(crate) fn in_text(text: &[u8]) -> Option<Made> {
    let surest = candidates(text).into_iter().next()?;
    (surest.certainty > DateCertainty::Epoch).then_some(surest.made)
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
    fn a_container_is_believed_first_and_never_where_it_is_ahead() {
        let now: Timestamp = "2026-11-22T14:00:00Z".parse().expect("a time");
        let at = |text: &str| Some(Made::At(text.parse().expect("a time")));
        let day = Some(Made::On(date(2021, 1, 5)));
        let old: Timestamp = "2021-01-06T08:00:00Z".parse().expect("a time");
        for (written, made, path, expected) in [
            (now, at("2021-01-04T08:00:00Z"), "2021-01-05 10.30.00.m4a", "2021-01-04T08:00:00Z"),
            (now, at("2040-02-06T06:28:15Z"), "2021-01-05 10.30.00.m4a", "2021-01-05T10:30:00Z"),
            (now, at("2036-01-02T00:00:00Z"), "2021/01/05/talk.m4a", "2021-01-05T00:00:00Z"),
            (now, at("2036-01-02T00:00:00Z"), "talk.m4a", "2026-11-22T14:00:00Z"),
            (now, at("2026-11-24T14:00:00Z"), "talk.m4a", "2026-11-22T14:00:00Z"),
            (now, at("2026-11-23T14:00:00Z"), "talk.m4a", "2026-11-23T14:00:00Z"),
            (old, at("2026-11-20T00:00:00Z"), "2021-01-05 10.30.00.m4a", "2021-01-05T10:30:00Z"),
            (old, at("2026-11-20T00:00:00Z"), "talk.m4a", "2021-01-06T08:00:00Z"),
            (old, None, "2026-11-20 10.30.m4a", "2021-01-06T08:00:00Z"),
            (now, day, "talk.wav", "2021-01-05T00:00:00Z"),
            (now, day, "2021-01-05 10.30.wav", "2021-01-05T10:30:00Z"),
            (now, day, "2021-01-04 10.30.wav", "2021-01-05T00:00:00Z"),
            (
                now,
                Some(Made::Local(datetime(2040, 1, 1, 0, 0, 0, 0))),
                "2021-01-05.wav",
                "2021-01-05T00:00:00Z",
            ),
            (old, None, "1609860600.wav", "2021-01-05T15:30:00Z"),
            (now, None, "1609860600.wav", "2026-11-22T14:00:00Z"),
        ] {
            let mtime = i64::try_from(written.as_nanosecond()).expect("in range");
            let found = recorded_by(now, made, Path::new(path), mtime, &TimeZone::UTC);
            assert_eq!(found.to_string(), expected, "{written} {made:?} {path}");
        }
    }

    #[test]
    fn an_mtime_that_cannot_be_is_the_time_of_the_first_look() {
        let now: Timestamp = "2026-11-22T14:00:00Z".parse().expect("a time");
        let day = 24 * 3600;
        for seconds in
            [0, -day, now.as_second() + 2 * day, i64::MAX / 1_000_000_000, i64::MIN / 1_000_000_000]
        {
            let found = recorded_by(
                now,
                None,
                Path::new("talk.wav"),
                seconds * 1_000_000_000,
                &TimeZone::UTC,
            );
            assert_eq!(found, now, "{seconds}");
        }
        let ahead = now.as_second() + day;
        let found =
            recorded_by(now, None, Path::new("talk.wav"), ahead * 1_000_000_000, &TimeZone::UTC);
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
