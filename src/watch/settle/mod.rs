//! The rules of settling: the stamps of a file over time, as a pure state machine. Time is a parameter.
//!
//! A file has settled when nobody has it open for writing, as far as that can be known ([`crate::open_files`]), it has
//! been quiet for long enough, and its head does not say that it is unfinished. One that is found open when it is quiet
//! waits for as long as it is open, and its being quiet begins when it is closed.
//!
//! Quiet is what minuted has observed: the same stamp at both ends of a stretch of its own monotonic time. Wall time
//! counts only across a restart, and the file server's clock never.

pub(crate) mod files;

use std::{path::PathBuf, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    beneath::Stamp,
    open_files::InUse,
    store::{FileVerdict, Sighting},
};

/// A moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Wall time, for what is kept and shown.
    pub wall: Timestamp,
    /// Time since this process began to watch, for waiting.
    pub running: Duration,
}

/// The times for which a file must be quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SettlePolicy {
    /// The time for which a file must be quiet.
    pub settle: Duration,
    /// The time for which it must be quiet when it looks unfinished: then its writer has died.
    pub unfinished: Duration,
    /// After how long a file that still changes is called slow, once.
    pub slow: Duration,
}

impl SettlePolicy {
    /// Returns the usual policy with this time of settling: an hour for what looks unfinished, six until it is slow.
    #[must_use]
    pub(crate) fn new(settle: Duration) -> Self {
        let unfinished = Duration::from_secs(3600).max(settle);
        Self {
            settle,
            unfinished,
            slow: Duration::from_secs(6 * 3600).max(settle.saturating_mul(2)),
        }
    }
}

/// The stamps of a file that has not settled, over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stability {
    /// Its stamp at the last look.
    pub stamp: Stamp,
    /// The time at which it was first seen.
    pub first: Timestamp,
    /// The time since which it has been exactly this.
    pub since: Timestamp,
    /// The reason for which it looks unfinished, if so.
    pub unfinished: Option<&'static str>,
    /// The process that was still writing it when that was asked last.
    pub in_use: Option<InUse>,
    seen_for: ObservedTime,
    quiet_for: ObservedTime,
    is_slow_reported: bool,
    /// The time for which it is known to have changed before a restart.
    slow_before: Duration,
}

/// A stretch of time: what there was before this process, and when it began to count in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ObservedTime {
    before: Duration,
    from: Duration,
}

impl ObservedTime {
    fn begin(now: Now) -> Self {
        Self { before: Duration::ZERO, from: now.running }
    }

    /// A stretch that began at `wall`, perhaps before a restart. A beginning in the future counts as now.
    fn resume(wall: Timestamp, now: Now) -> Self {
        let before = now.wall.duration_since(wall).max(SignedDuration::ZERO).unsigned_abs();
        Self { before, from: now.running }
    }

    fn length(self, now: Duration) -> Duration {
        self.before + now.saturating_sub(self.from)
    }

    /// The moment at which it is `length` long.
    fn reaches(self, length: Duration) -> Duration {
        self.from + length.saturating_sub(self.before)
    }
}

/// The next step for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Wait until the file was quiet for longer.
    Wait,
    /// Look into it: it has been quiet for long enough.
    Examine,
}

/// Answer to the question whether a quiet file is still being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseCheck {
    /// Open: the file waits, and is asked about again.
    Open,
    /// Closed since the last question: the file waits until it was quiet since then.
    JustClosed,
    /// Closed, as far as that can be known.
    Closed,
}

impl Stability {
    /// Begins with a file that is seen for the first time.
    #[must_use]
    pub(crate) fn begin(stamp: Stamp, now: Now) -> Self {
        Self {
            stamp,
            first: now.wall,
            since: now.wall,
            unfinished: None,
            in_use: None,
            seen_for: ObservedTime::begin(now),
            quiet_for: ObservedTime::begin(now),
            is_slow_reported: false,
            slow_before: Duration::ZERO,
        }
    }

    /// Goes on from what was seen before a restart.
    #[must_use]
    pub(crate) fn resume(sighting: &Sighting, now: Now) -> Self {
        Self {
            stamp: sighting.stamp,
            first: sighting.first.min(now.wall),
            since: sighting.since.min(now.wall),
            unfinished: None,
            in_use: None,
            seen_for: ObservedTime::resume(sighting.first, now),
            quiet_for: ObservedTime::resume(sighting.since, now),
            is_slow_reported: false,
            // It still changed then, so that it was told of then.
            slow_before: sighting
                .since
                .duration_since(sighting.first)
                .max(SignedDuration::ZERO)
                .unsigned_abs(),
        }
    }

    /// Takes in a look; returns whether the file was another one than before.
    pub(crate) fn observe(&mut self, stamp: Stamp, now: Now) -> bool {
        if stamp == self.stamp {
            return false;
        }
        self.stamp = stamp;
        self.restart(now);
        true
    }

    /// Begins to wait for quiet anew.
    pub(crate) fn restart(&mut self, now: Now) {
        self.since = now.wall;
        self.quiet_for = ObservedTime::begin(now);
        self.unfinished = None;
        self.in_use = None;
    }

    /// Takes in whether somebody is still writing a file that is quiet; returns what follows.
    pub(crate) fn record_close_check(&mut self, in_use: Option<InUse>, now: Now) -> CloseCheck {
        let quiet = self.quiet_time(now.running);
        match in_use.filter(|in_use| in_use.counts(quiet)) {
            Some(in_use) => {
                self.in_use = Some(in_use);
                CloseCheck::Open
            }
            None => match self.in_use.take() {
                // What ended because it may have been out of date tells of no close.
                Some(in_use) if in_use.counts(quiet) => {
                    self.restart(now);
                    CloseCheck::JustClosed
                }
                Some(_) | None => CloseCheck::Closed,
            },
        }
    }

    /// Returns what is to be done now.
    #[must_use]
    pub(crate) fn check_readiness(&self, policy: &SettlePolicy, now: Duration) -> Readiness {
        if now >= self.due_at(policy) { Readiness::Examine } else { Readiness::Wait }
    }

    /// Returns the moment at which it has been quiet for long enough, if it stays quiet.
    #[must_use]
    pub(crate) fn due_at(&self, policy: &SettlePolicy) -> Duration {
        let needed = if self.unfinished.is_some() { policy.unfinished } else { policy.settle };
        self.quiet_for.reaches(needed)
    }

    /// Takes in why its head says that it is unfinished.
    pub(crate) fn mark_unfinished(&mut self, why: &'static str) {
        self.unfinished = Some(why);
    }

    /// Returns whether it has been quiet for so long that it is taken although it looks unfinished.
    #[must_use]
    pub(crate) fn is_abandoned(&self, policy: &SettlePolicy, now: Duration) -> bool {
        self.quiet_time(now) >= policy.unfinished
    }

    /// Returns true once: when it has been seen for so long without settling that a person should know.
    pub(crate) fn has_become_slow(&mut self, policy: &SettlePolicy, now: Duration) -> bool {
        self.is_slow_reported |= self.slow_before >= policy.slow;
        let slow = !self.is_slow_reported && self.seen_for.length(now) >= policy.slow;
        self.is_slow_reported |= slow;
        slow
    }

    /// Returns how long it has been quiet.
    #[must_use]
    pub(crate) fn quiet_time(&self, now: Duration) -> Duration {
        self.quiet_for.length(now)
    }

    /// Returns what is kept of it.
    #[must_use]
    pub(crate) fn sighting(&self, path: PathBuf) -> Sighting {
        let stamp = self.stamp;
        let first = self.first;
        let since = self.since;
        Sighting { path, stamp, first, since, verdict: FileVerdict::Settling, written_boot: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open_files::{UnclosedWrite, WritingProcess};

    const POLICY: SettlePolicy = SettlePolicy {
        settle: Duration::from_secs(30),
        unfinished: Duration::from_secs(3600),
        slow: Duration::from_secs(6 * 3600),
    };

    fn at(seconds: u64) -> Now {
        let wall = Timestamp::from_second(1_795_338_000 + i64::try_from(seconds).expect("small"))
            .expect("in range");
        Now { wall, running: Duration::from_secs(seconds) }
    }

    fn stamp(size: u64) -> Stamp {
        Stamp { size, mtime_ns: 0, inode: 1 }
    }

    fn check_readiness(observation: &Stability, seconds: u64) -> Readiness {
        observation.check_readiness(&POLICY, Duration::from_secs(seconds))
    }

    #[test]
    fn quiet_begins_anew_with_each_change() {
        let mut seen = Stability::begin(stamp(1), at(0));
        assert!(seen.observe(stamp(2), at(20)));
        assert_eq!(check_readiness(&seen, 49), Readiness::Wait);
        assert!(!seen.observe(stamp(2), at(49)));
        assert_eq!(check_readiness(&seen, 50), Readiness::Examine);
        assert_eq!((seen.first, seen.since), (at(0).wall, at(20).wall));
    }

    #[test]
    fn what_looks_unfinished_is_taken_after_an_hour_of_quiet() {
        let mut seen = Stability::begin(stamp(1), at(0));
        seen.mark_unfinished("no moov");
        let is_taken = |seconds| seen.is_abandoned(&POLICY, Duration::from_secs(seconds));
        assert_eq!([is_taken(30), is_taken(3599), is_taken(3600)], [false, false, true]);
        assert_eq!(check_readiness(&seen, 3599), Readiness::Wait);
        assert_eq!(check_readiness(&seen, 3600), Readiness::Examine);
        seen.observe(stamp(2), at(3600));
        assert_eq!(
            check_readiness(&seen, 3630),
            Readiness::Examine,
            "a change forgets what the head said"
        );
    }

    fn process() -> InUse {
        InUse::Process(WritingProcess { program: "recorder".into(), process: 812 })
    }

    fn written(is_certain: bool) -> InUse {
        InUse::Written(UnclosedWrite { last: at(0).wall, is_certain })
    }

    #[test]
    fn a_file_that_is_open_waits_however_long_and_is_quiet_only_since_its_close() {
        for in_use in [process(), written(true)] {
            let mut seen = Stability::begin(stamp(1), at(0));
            assert_eq!(seen.record_close_check(Some(in_use.clone()), at(30)), CloseCheck::Open);
            assert_eq!(
                seen.record_close_check(Some(in_use.clone()), at(100 * 3600)),
                CloseCheck::Open
            );
            assert_eq!(seen.in_use, Some(in_use));
            assert_eq!(seen.record_close_check(None, at(100 * 3600 + 10)), CloseCheck::JustClosed);
            assert_eq!(check_readiness(&seen, 100 * 3600 + 39), Readiness::Wait);
            assert_eq!(check_readiness(&seen, 100 * 3600 + 40), Readiness::Examine);
            assert_eq!(seen.record_close_check(None, at(100 * 3600 + 40)), CloseCheck::Closed);
        }
    }

    #[test]
    fn a_file_that_was_never_found_open_is_quiet_since_it_changed() {
        let mut seen = Stability::begin(stamp(1), at(0));
        assert_eq!(seen.record_close_check(None, at(30)), CloseCheck::Closed);
        assert_eq!((seen.since, check_readiness(&seen, 30)), (at(0).wall, Readiness::Examine));
    }

    #[test]
    fn what_may_be_out_of_date_ends_after_one_quiet_hour_and_the_file_is_taken_then() {
        let mut seen = Stability::begin(stamp(1), at(0));
        assert_eq!(seen.record_close_check(Some(written(false)), at(30)), CloseCheck::Open);
        assert_eq!(seen.record_close_check(Some(written(false)), at(3599)), CloseCheck::Open);
        seen.observe(stamp(2), at(3599));
        assert_eq!(
            seen.record_close_check(Some(written(false)), at(3600 + 3598)),
            CloseCheck::Open,
            "a change begins another hour"
        );
        assert_eq!(
            seen.record_close_check(Some(written(false)), at(3600 + 3599)),
            CloseCheck::Closed
        );
        assert_eq!(check_readiness(&seen, 3600 + 3599), Readiness::Examine);
    }

    #[test]
    fn a_close_counts_also_where_events_were_lost_before() {
        let mut seen = Stability::begin(stamp(1), at(0));
        assert_eq!(seen.record_close_check(Some(written(false)), at(30)), CloseCheck::Open);
        assert_eq!(seen.record_close_check(None, at(60)), CloseCheck::JustClosed);
        assert_eq!(check_readiness(&seen, 90), Readiness::Examine);
    }

    #[test]
    fn an_unfinished_head_waits_for_an_hour_since_the_close() {
        let mut seen = Stability::begin(stamp(1), at(0));
        assert_eq!(seen.record_close_check(Some(process()), at(3600)), CloseCheck::Open);
        assert_eq!(seen.record_close_check(None, at(3610)), CloseCheck::JustClosed);
        seen.mark_unfinished("no moov");
        let is_taken = |seconds| seen.is_abandoned(&POLICY, Duration::from_secs(seconds));
        assert_eq!([is_taken(3640), is_taken(3610 + 3600)], [false, true]);
    }

    #[test]
    fn an_observation_goes_on_after_a_restart_and_a_future_one_begins_now() {
        let sighting = Stability::begin(stamp(1), at(0)).sighting("talk.wav".into());
        let restarted = Now { wall: at(20).wall, running: Duration::ZERO };
        let seen = Stability::resume(&sighting, restarted);
        assert_eq!(check_readiness(&seen, 9), Readiness::Wait);
        assert_eq!(check_readiness(&seen, 10), Readiness::Examine);
        let future = Sighting { since: at(9999).wall, ..sighting };
        assert_eq!(check_readiness(&Stability::resume(&future, restarted), 29), Readiness::Wait);
    }

    #[test]
    fn a_writer_that_never_ends_is_told_of_once() {
        let mut seen = Stability::begin(stamp(1), at(0));
        let mut slow = |seconds| seen.has_become_slow(&POLICY, Duration::from_secs(seconds));
        assert_eq!([slow(6 * 3600 - 1), slow(6 * 3600), slow(7 * 3600)], [false, true, false]);
        let restarted = |changed: u64| {
            let sighting = Sighting { since: at(changed).wall, ..seen.sighting("talk.wav".into()) };
            let now = Now { wall: at(7 * 3600).wall, running: Duration::ZERO };
            Stability::resume(&sighting, now).has_become_slow(&POLICY, Duration::ZERO)
        };
        assert_eq!(
            [restarted(3600), restarted(7 * 3600 - 60)],
            [true, false],
            "once, also across a restart"
        );
    }

    /// What a writer does to a file at one moment. Each leaves a stamp that was never there before.
    #[derive(Debug, Clone, Copy)]
    enum Deed {
        Append(u64),
        Truncate,
        /// Another file takes its name, with a time of its own.
        RenameOver(u64),
        /// As `rsync -t` ends.
        SetTimeBack,
        RewriteSameSize,
        CopyOver,
    }

    fn deed() -> impl proptest::strategy::Strategy<Value = Deed> {
        use proptest::prelude::*;
        prop_oneof![
            4 => (1u64..1000).prop_map(Deed::Append),
            1 => Just(Deed::Truncate),
            1 => (0u64..1000).prop_map(Deed::RenameOver),
            1 => Just(Deed::SetTimeBack),
            1 => Just(Deed::RewriteSameSize),
            1 => Just(Deed::CopyOver),
        ]
    }

    /// The file from each second on. The clock of its server is off by `skew` seconds.
    fn played(writes: &[(u64, Deed)], skew: i64) -> Vec<(u64, Stamp)> {
        let mut file = Stamp { size: 0, mtime_ns: 0, inode: 1 };
        let mut now = 0;
        let mut written = vec![(now, file)];
        for (number, (pause, deed)) in (1u32..).zip(writes) {
            now += pause;
            let clock =
                (i64::try_from(now).expect("small") + skew) * 1_000_000_000 + i64::from(number);
            let past = -86_400_000_000_000 * 1000 - i64::from(number);
            file = match *deed {
                Deed::Append(bytes) => Stamp { size: file.size + bytes, mtime_ns: clock, ..file },
                Deed::Truncate => Stamp { size: 0, mtime_ns: clock, ..file },
                Deed::RenameOver(size) => {
                    Stamp { size, mtime_ns: past, inode: 100 + u64::from(number) }
                }
                Deed::SetTimeBack => Stamp { mtime_ns: past, ..file },
                Deed::RewriteSameSize => Stamp { mtime_ns: clock, ..file },
                Deed::CopyOver => Stamp { inode: 100 + u64::from(number), ..file },
            };
            written.push((now, file));
        }
        written
    }

    /// What becomes of a look: an even one is kept on disk, and from here on the process begins anew right before it.
    const KEPT: u8 = 0;
    const RESTARTED: u8 = 2;

    /// A process that watches one file, and what it has on disk.
    struct Watcher {
        seen: Stability,
        saved: Sighting,
        /// When this process began.
        begun: u64,
    }

    impl Watcher {
        fn begin(stamp: Stamp) -> Self {
            let seen = Stability::begin(stamp, at(0));
            Self { saved: seen.sighting("talk.wav".into()), seen, begun: 0 }
        }

        fn moment(&self, now: u64) -> Now {
            Now { wall: at(now).wall, running: Duration::from_secs(now - self.begun) }
        }

        fn look(&mut self, stamp: Stamp, now: u64, fate: u8) {
            if fate >= RESTARTED {
                self.begun = now;
                self.seen = Stability::resume(&self.saved, self.moment(now));
            }
            self.seen.observe(stamp, self.moment(now));
            if fate % 2 == KEPT {
                self.saved = self.seen.sighting("talk.wav".into());
            }
        }

        fn is_taken(&self, now: u64) -> bool {
            self.seen.check_readiness(&POLICY, self.moment(now).running) == Readiness::Examine
        }
    }

    proptest::proptest! {
        #![proptest_config(crate::budget::cases(256))]
        /// A writer that pauses for less than `settle`, seen through looks at any times, is never judged quiet early.
        #[test]
        fn no_half_written_file_settles_while_pauses_are_shorter(
            writes in proptest::collection::vec(1u64..30, 1..40),
            looks in proptest::collection::vec(1u64..40, 1..200),
        ) {
            let mut written = vec![0];
            for pause in writes {
                written.push(written[written.len() - 1] + pause);
            }
            let end = written[written.len() - 1];
            let size = |now: u64| written.iter().filter(|at| **at <= now).count() as u64;
            let mut seen = Stability::begin(stamp(size(0)), at(0));
            let mut now = 0;
            for step in looks {
                now += step;
                seen.observe(stamp(size(now)), at(now));
                if check_readiness(&seen, now) == Readiness::Examine {
                    proptest::prop_assert!(now >= end, "taken at {now}, written until {end}");
                    proptest::prop_assert_eq!(seen.stamp.size, written.len() as u64);
                }
            }
            seen.observe(stamp(size(now.max(end))), at(now.max(end)));
            proptest::prop_assert_eq!(check_readiness(&seen, now.max(end) + 30), Readiness::Examine);
        }

        /// Whatever a writer does, a file is never taken within `settle` of the last write, and is taken one look after
        /// that; a restart between any two looks changes neither, whether or not the last look was kept.
        #[test]
        fn a_file_is_taken_after_the_last_write_and_only_then(
            writes in proptest::collection::vec((0u64..70, deed()), 1..30),
            looks in proptest::collection::vec((1u64..45, 0u8..4), 1..80),
            skew in -86_400i64..86_400, rest in 1u64..45,
        ) {
            let written = played(&writes, skew);
            let file = |now: u64| written[written.partition_point(|(at, _)| *at <= now).max(1) - 1];
            let mut watcher = Watcher::begin(file(0).1);
            let mut now = 0;
            for (gap, fate) in looks {
                now += gap;
                watcher.look(file(now).1, now, fate);
                if watcher.is_taken(now) {
                    proptest::prop_assert!(now >= file(now).0 + 30, "taken at {}, written at {}", now, file(now).0);
                }
            }
            let end = written[written.len() - 1].0.max(now) + rest;
            watcher.look(file(end).1, end, KEPT);
            for now in [end + rest.min(29), end + 30] {
                watcher.look(file(now).1, now, RESTARTED);
            }
            proptest::prop_assert!(watcher.is_taken(end + 30), "never taken");
        }
    }
}
