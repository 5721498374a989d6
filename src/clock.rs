//! The one door to wall time.
//!
//! Wall time is for what people and other machines read, and for what must survive a restart. Waiting goes through
//! `tokio::time` alone. Wall time may be set while minuted runs; [`lead`] tells when it was.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

/// Returns the time now, UTC.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn now() -> Timestamp {
    #[cfg(test)]
    if let Some(now) = paused::now() {
        return now;
    }
    Timestamp::now().saturating_add(set_by()).unwrap_or(Timestamp::MAX)
}

/// Returns by how much wall time is ahead of the time since the machine started, sleep included. It changes only when
/// somebody sets the clock.
#[must_use]
pub(crate) fn lead() -> SignedDuration {
    #[cfg(test)]
    if paused::now().is_some() {
        // Time that stands still or jumps with tokio's is not a clock that is set.
        return SignedDuration::ZERO;
    }
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let nanoseconds = i32::try_from(boot.tv_nsec).unwrap_or(0);
    now().duration_since(Timestamp::UNIX_EPOCH) - SignedDuration::new(boot.tv_sec, nanoseconds)
}

/// Returns what names this start of the machine, empty where the kernel does not tell.
#[must_use]
pub(crate) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The file that sets the clock of this process.
#[cfg(debug_assertions)]
static SET_BY: std::sync::OnceLock<std::path::PathBuf> = std::sync::OnceLock::new();

/// Sets the clock of this process by a file that holds seconds, which may change while it runs: for tests.
#[cfg(debug_assertions)]
pub(crate) fn set_by_file(path: &std::path::Path) {
    // Set once, at the start: a second time changes nothing.
    drop(SET_BY.set(path.to_owned()));
}

#[cfg(debug_assertions)]
fn set_by() -> SignedDuration {
    let text = SET_BY.get().and_then(|path| std::fs::read_to_string(path).ok());
    SignedDuration::from_secs(text.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
}

#[cfg(not(debug_assertions))]
fn set_by() -> SignedDuration {
    SignedDuration::ZERO
}

/// A day of this machine's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalDay {
    /// Its date.
    pub date: Date,
    /// Its end. Where the clocks change it has 23 or 25 hours.
    pub end: Timestamp,
}

/// Returns the day of `now` in this machine's time zone.
#[must_use]
pub(crate) fn local_day(now: Timestamp) -> LocalDay {
    day_in(&TimeZone::system(), now)
}

fn day_in(zone: &TimeZone, now: Timestamp) -> LocalDay {
    let local = now.to_zoned(zone.clone());
    let next = local.tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
    LocalDay { date: local.date(), end: next.map_or(Timestamp::MAX, |next| next.timestamp()) }
}

/// Returns a time as the clock of this machine shows it, to the minute.
#[must_use]
pub(crate) fn local_minute(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%F %H:%M").to_string()
}

/// Returns the time from `since` to `until`, zero when that lies before.
#[must_use]
pub(crate) fn elapsed(since: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(since)).unwrap_or_default()
}

/// Returns a random number in 0..1, to spread delays.
#[must_use]
pub(crate) fn jitter() -> f64 {
    let bits = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// Wall time that goes with the paused time of tokio, on the thread of one test.
#[cfg(test)]
pub(crate) mod paused {
    use std::cell::Cell;

    use jiff::Timestamp;
    use tokio::time::Instant;

    thread_local! {
        static BEGUN: Cell<Option<(Instant, Timestamp)>> = const { Cell::new(None) };
    }

    /// From now on this thread's wall time stands still while tokio's does.
    pub(crate) fn follow_tokio() {
        let now = super::now();
        BEGUN.set(Some((Instant::now(), now)));
    }

    pub(super) fn now() -> Option<Timestamp> {
        BEGUN.get().map(|(begun, wall)| wall + begun.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp, ToSpan as _, tz::TimeZone};

    use super::day_in;

    #[test]
    fn a_day_ends_at_the_next_local_midnight_also_where_the_clocks_change() {
        let cases = [
            // Spring and autumn of Berlin, the midnights that Cairo and Asuncion leave out, a usual day.
            ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29", "2026-03-29T22:00:00Z", 23),
            ("Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25", "2026-10-25T23:00:00Z", 25),
            ("Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-23", "2026-04-23T22:00:00Z", 24),
            ("Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-24", "2026-04-24T21:00:00Z", 23),
            ("America/New_York", "2026-11-30T04:59:59Z", "2026-11-29", "2026-11-30T05:00:00Z", 24),
            ("UTC", "2026-11-30T00:00:00Z", "2026-11-30", "2026-12-01T00:00:00Z", 24),
        ];
        for (zone, now, date, end, hours) in cases {
            let zone = TimeZone::get(zone).expect("a zone");
            let now: Timestamp = now.parse().expect("a time");
            let day = day_in(&zone, now);
            assert_eq!(day.date.to_string(), date);
            assert_eq!(day.end, end.parse().expect("a time"), "{now}");
            assert_eq!(day_in(&zone, day.end).date, day.date + 1.day(), "the next day begins");
            let begun = day.end - SignedDuration::from_hours(hours);
            assert_eq!(day_in(&zone, begun).date, day.date, "{now}");
            assert_ne!(
                day_in(&zone, begun - SignedDuration::from_nanos(1)).date,
                day.date,
                "{now}"
            );
        }
    }
}
