//! The one door to wall time.
//!
//! Wall time is for what people and other machines read, and for what must survive a restart. Waiting goes through
//! `tokio::time` alone.

use std::time::Duration;

use jiff::Timestamp;

/// Returns the time now, UTC.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the door")]
pub fn now() -> Timestamp {
    #[cfg(test)]
    if let Some(now) = paused::now() {
        return now;
    }
    Timestamp::now()
}

/// Returns the time from `since` to `until`, zero when that lies before.
#[must_use]
pub fn elapsed(since: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(since)).unwrap_or_default()
}

/// Returns a random number in 0..1, to spread delays.
#[must_use]
pub fn jitter() -> f64 {
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
