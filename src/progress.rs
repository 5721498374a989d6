//! How far a piece of work is: counted where the work is done, read where a person looks.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// How much is done, of how much there is.
#[derive(Debug, Default)]
pub struct Progress {
    /// What was done when this piece of work began: an earlier one was interrupted.
    before: AtomicU64,
    done: AtomicU64,
    total: AtomicU64,
    /// A [`Unit`], by its place in [`Unit::ALL`].
    unit: AtomicU8,
    /// What an earlier piece of this work had done when it was put back.
    mark: AtomicU64,
    /// Milliseconds for which a processor was busy until the work came beyond that, and one more; 0 before.
    begin_ms: AtomicU64,
    /// Milliseconds for which a processor has been busy since.
    busy_ms: AtomicU64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes that were sent.
    #[default]
    Bytes,
    /// Milliseconds of the recording that were listened to.
    Milliseconds,
    /// Hundredths of the work, as the service tells them; all bytes are sent by then.
    Percent,
}

impl Unit {
    const ALL: [Self; 3] = [Self::Bytes, Self::Milliseconds, Self::Percent];
}

impl Progress {
    /// Begins anew with `total` bytes.
    pub fn start(&self, total: u64) {
        self.begin(0, total, Unit::Bytes);
    }

    /// Begins with `total` units of which `done` are done.
    pub fn begin(&self, done: u64, total: u64, unit: Unit) {
        self.unit.store(unit as u8, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
        self.before.store(done, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
    }

    /// Sets how much is done, of how much there is.
    pub fn reach(&self, done: u64, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
    }

    /// Counts `more` as done.
    pub fn add(&self, more: u64) {
        self.done.fetch_add(more, Ordering::Relaxed);
    }

    /// Has the time count that comes after `done` is done: so much was done before.
    pub fn mark(&self, done: u64) {
        self.mark.store(done, Ordering::Relaxed);
    }

    /// Sets for how long the work has kept a processor of this machine busy until `done` was done.
    pub fn keep_busy(&self, done: u64, busy_ms: u64) {
        if done <= self.mark.load(Ordering::Relaxed) {
            return;
        }
        if self.begin_ms.load(Ordering::Relaxed) == 0 {
            self.begin_ms.store(busy_ms + 1, Ordering::Relaxed);
        }
        self.busy_ms.store(
            (busy_ms + 1).saturating_sub(self.begin_ms.load(Ordering::Relaxed)),
            Ordering::Relaxed,
        );
    }

    /// Returns for how long the work has kept a processor of this machine busy behind the mark, where that is known.
    #[must_use]
    pub fn busy(&self) -> Duration {
        Duration::from_millis(self.busy_ms.load(Ordering::Relaxed))
    }

    /// Returns what is counted.
    #[must_use]
    pub fn unit(&self) -> Unit {
        Unit::ALL.get(usize::from(self.unit.load(Ordering::Relaxed))).copied().unwrap_or_default()
    }

    /// Returns what is done and what there is in all; 0 of 0 before the start.
    #[must_use]
    pub fn read(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Returns how long the rest takes at the pace of so far; `None` where that cannot be told.
    #[must_use]
    pub fn left(&self, since_start: Duration) -> Option<Duration> {
        let (done, total) = self.read();
        let here =
            done.checked_sub(self.before.load(Ordering::Relaxed)).filter(|here| *here > 0)?;
        let left = total.checked_sub(done)?;
        Some(Duration::from_millis(
            u64::try_from(since_start.as_millis() * u128::from(left) / u128::from(here)).ok()?,
        ))
    }

    /// Returns whether everything is done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let (done, total) = self.read();
        total > 0 && done >= total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_known_by_its_unit() {
        let progress = Progress::default();
        for unit in Unit::ALL {
            progress.begin(1, 100, unit);
            assert_eq!(progress.unit(), unit);
        }
        progress.start(7);
        assert_eq!(progress.unit(), Unit::Bytes);
    }

    #[test]
    fn a_processor_counts_as_busy_only_with_what_was_not_done_before() {
        let progress = Progress::default();
        progress.mark(500);
        progress.keep_busy(100, 4_000);
        progress.keep_busy(500, 20_000);
        assert_eq!(progress.busy(), Duration::ZERO);
        progress.keep_busy(501, 21_000);
        progress.keep_busy(900, 30_000);
        assert_eq!(progress.busy(), Duration::from_secs(9));
    }

    #[test]
    fn what_is_left_goes_by_the_pace_of_this_run_alone() {
        let progress = Progress::default();
        assert_eq!(progress.left(Duration::from_secs(1)), None);
        progress.begin(600, 1_000, Unit::Milliseconds);
        assert_eq!(progress.left(Duration::from_secs(1)), None);
        progress.add(100);
        assert_eq!(progress.left(Duration::from_secs(2)), Some(Duration::from_secs(6)));
        progress.add(300);
        assert_eq!(
            (progress.left(Duration::from_secs(9)), progress.is_complete()),
            (Some(Duration::ZERO), true)
        );
    }
}
