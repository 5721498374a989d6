//! The times at which a folder is scanned and looked at next, and at which a queue that failed is tried again.

use std::time::Duration;

/// Shortest time from one look at hints to the next, so that a burst makes few looks and few commits.
const HINT_GAP: Duration = Duration::from_millis(100);

/// Shortest time from a scan to the next one that lost hints ask for, together with four times the rest of the scan: a
/// storm of events must not make minuted scan without end.
pub(super) const LOST_GAP: Duration = Duration::from_secs(1);

/// Rest after a scan or a look, in times of what it kept a processor busy: a tree that is large or changes without end
/// takes a quarter of one processor at most, and its folder alone waits for that.
const REST: u32 = 3;

/// Longest time between scans of a folder in trouble: to open a directory costs next to nothing.
const TROUBLE_RESCAN: Duration = Duration::from_secs(10);

/// Time until the queue is tried again when it could not write: long enough for a disk to get room.
pub(super) const QUEUE_RETRY: Duration = Duration::from_secs(10);

/// The scans of a folder and the looks at its hints. Times are those of the task's running clock.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Number of completed scans, in trouble or not.
    pub(super) scans: u64,
    /// True when hints were lost since the last scan.
    pub(super) are_hints_lost: bool,
    scan_at: Duration,
    look_from: Duration,
    /// Lost hints ask for a scan no earlier than this.
    lost_from: Duration,
}

impl Schedule {
    /// Returns the time of the next scan.
    pub(super) fn next_scan(&self) -> Duration {
        if self.are_hints_lost { self.scan_at.min(self.lost_from) } else { self.scan_at }
    }

    /// Returns the time from which hints may be looked at.
    pub(super) fn next_look(&self) -> Duration {
        self.look_from
    }

    /// Asks for a scan at once.
    pub(super) fn scan_at_once(&mut self) {
        self.scan_at = Duration::ZERO;
    }

    /// Asks for the next scan after the usual `interval`, or later where the last one asks for `rest`: a scan that takes
    /// longer than its turn leaves as much time to what it found.
    pub(super) fn plan_scan(&mut self, now: Duration, interval: Duration, rest: Duration) {
        self.scan_at = now + interval.max(rest);
        self.lost_from = now + LOST_GAP + rest.saturating_mul(4);
    }

    /// Asks for a scan soon, because the folder is in trouble.
    pub(super) fn scan_trouble_again(&mut self, now: Duration) {
        self.scan_at = self.scan_at.min(now + TROUBLE_RESCAN);
    }

    /// Asks for another first scan, because the queue could not record this one.
    pub(super) fn repeat_first_scan(&mut self, now: Duration) {
        self.scan_at = now + QUEUE_RETRY;
    }

    /// Puts the next look at hints off after one that kept a processor `busy`, by `rest_max` at most.
    pub(super) fn plan_look(&mut self, now: Duration, busy: Duration, rest_max: Duration) {
        self.look_from = now + rest_after(busy).min(rest_max).max(HINT_GAP);
    }
}

/// Returns how long nothing is read after a scan or a look that kept a processor `busy`.
pub(super) fn rest_after(busy: Duration) -> Duration {
    busy.saturating_mul(REST)
}

/// The next try of a queue that failed.
#[derive(Debug, Default)]
pub(super) struct QueueRetry {
    /// The queue is not asked to write before this.
    pub(super) not_before: Duration,
    is_failing: bool,
}

impl QueueRetry {
    /// Puts the next try off; returns whether the failure is the first one since a success.
    pub(super) fn record_failure(&mut self, now: Duration) -> bool {
        self.not_before = now + QUEUE_RETRY;
        !std::mem::replace(&mut self.is_failing, true)
    }

    pub(super) fn record_success(&mut self) {
        self.is_failing = false;
    }

    /// Returns whether the queue may be asked to write.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.not_before <= now
    }
}
