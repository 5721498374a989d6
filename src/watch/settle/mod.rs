//! When a file has settled: what was seen of it over time, as a pure state machine. Time is a parameter.
//!
//! A file has settled when nobody has it open for writing, as far as that can be known ([`crate::open_files`]), it has
//! been quiet for long enough, and its head does not say that it is unfinished. One that is found open when it is quiet
//! waits for as long as it is open, and its being quiet begins when it is closed.
//!
//! Quiet is what minuted has observed: the same stamp at both ends of a stretch of its own monotonic time. Wall time
//! counts only across a restart, and the file server's clock never.

pub mod files;

use std::{path::PathBuf, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    beneath::Stamp,
    open_files::InUse,
    queue::{Sighting, Verdict},
};

/// A moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Wall time, for what is kept and shown.
    pub wall: Timestamp,
    /// Time since this process began to watch, for waiting.
    pub running: Duration,
}

/// How patient settling is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a file must be quiet.
    pub settle: Duration,
    /// How long it must be quiet when it looks unfinished: then whoever wrote it has died.
    pub unfinished: Duration,
    /// After how long a file that still changes is called slow, once.
    pub slow: Duration,
}

impl Patience {
    /// Returns the usual patience with this time of settling: an hour for what looks unfinished, six until it is slow.
    #[must_use]
    pub fn new(settle: Duration) -> Self {
        let unfinished = Duration::from_secs(3600).max(settle);
        Self { settle, unfinished, slow: Duration::from_secs(6 * 3600).max(settle.saturating_mul(2)) }
    }
}

/// What has been seen of a file that has not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What it was at the last look.
    pub stamp: Stamp,
    /// When it was first seen.
    pub first: Timestamp,
    /// Since when it has been exactly this.
    pub since: Timestamp,
    /// Why it looks unfinished, when it was looked at and does.
    pub unfinished: Option<&'static str>,
    /// Who was still writing it when it was quiet and that was asked last.
    pub in_use: Option<InUse>,
    seen_for: Span,
    quiet_for: Span,
    told_slow: bool,
    /// For how long it is known to have changed before a restart.
    slow_before: Duration,
}

/// A stretch of time: what there was before this process, and when it began to count in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    before: Duration,
    from: Duration,
}

impl Span {
    fn begin(now: Moment) -> Self {
        Self { before: Duration::ZERO, from: now.running }
    }

    /// A stretch that began at `wall`, perhaps before a restart. A beginning in the future counts as now.
    fn resume(wall: Timestamp, now: Moment) -> Self {
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

/// What an observation says is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing, until it has been quiet for longer.
    Wait,
    /// Look into it: it has been quiet for long enough.
    Examine,
}

/// Answer to the question whether a quiet file is still being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCheck {
    /// It is: it waits, and is asked about again.
    Open,
    /// It was when that was asked last, and is not any more: it waits until it has been quiet since.
    JustClosed,
    /// It is not, as far as that can be known.
    Closed,
}

/// What follows from a look into a quiet file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It has settled. When it looks unfinished all the same, why: nobody has touched it for an hour.
    Settled {
        /// What its head says against it.
        incomplete: Option<&'static str>,
    },
    /// It looks unfinished and was touched within the hour.
    Unfinished,
}

impl Observation {
    /// Begins with a file that is seen for the first time.
    #[must_use]
    pub fn begin(stamp: Stamp, now: Moment) -> Self {
        Self {
            stamp,
            first: now.wall,
            since: now.wall,
            unfinished: None,
            in_use: None,
            seen_for: Span::begin(now),
            quiet_for: Span::begin(now),
            told_slow: false,
            slow_before: Duration::ZERO,
        }
    }

    /// Goes on from what was seen before a restart.
    #[must_use]
    pub fn resume(sighting: &Sighting, now: Moment) -> Self {
        Self {
            stamp: sighting.stamp,
            first: sighting.first.min(now.wall),
            since: sighting.since.min(now.wall),
            unfinished: None,
            in_use: None,
            seen_for: Span::resume(sighting.first, now),
            quiet_for: Span::resume(sighting.since, now),
            told_slow: false,
            // It still changed then, so that it was told of then.
            slow_before: sighting.since.duration_since(sighting.first).max(SignedDuration::ZERO).unsigned_abs(),
        }
    }

    /// Takes in a look; returns whether the file was another one than before.
    pub fn observe(&mut self, stamp: Stamp, now: Moment) -> bool {
        if stamp == self.stamp {
            return false;
        }
        self.stamp = stamp;
        self.restart(now);
        true
    }

    /// Begins to wait for quiet anew.
    pub fn restart(&mut self, now: Moment) {
        self.since = now.wall;
        self.quiet_for = Span::begin(now);
        self.unfinished = None;
        self.in_use = None;
    }

    /// Takes in whether somebody is still writing a file that is quiet; returns what follows.
    pub fn asked(&mut self, in_use: Option<InUse>, now: Moment) -> CloseCheck {
        let quiet = self.quiet(now.running);
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
    pub fn judge(&self, patience: &Patience, now: Duration) -> Judgement {
        if now >= self.due(patience) { Judgement::Examine } else { Judgement::Wait }
    }

    /// Returns the moment at which it has been quiet for long enough, if it stays quiet.
    #[must_use]
    pub fn due(&self, patience: &Patience) -> Duration {
        let needed = if self.unfinished.is_some() { patience.unfinished } else { patience.settle };
        self.quiet_for.reaches(needed)
    }

    /// Takes in what its head says and returns what follows.
    pub fn examined(&mut self, unfinished: Option<&'static str>, patience: &Patience, now: Duration) -> Settlement {
        self.unfinished = unfinished;
        if unfinished.is_some() && self.quiet_for.length(now) < patience.unfinished {
            return Settlement::Unfinished;
        }
        Settlement::Settled { incomplete: unfinished }
    }

    /// Returns true once: when it has been seen for so long without settling that a person should know.
    pub fn has_become_slow(&mut self, patience: &Patience, now: Duration) -> bool {
        self.told_slow |= self.slow_before >= patience.slow;
        let slow = !self.told_slow && self.seen_for.length(now) >= patience.slow;
        self.told_slow |= slow;
        slow
    }

    /// Returns how long it has been quiet.
    #[must_use]
    pub fn quiet(&self, now: Duration) -> Duration {
        self.quiet_for.length(now)
    }

    /// Returns what is kept of it.
    #[must_use]
    pub fn sighting(&self, path: PathBuf) -> Sighting {
        let (stamp, first, since) = (self.stamp, self.first, self.since);
        Sighting { path, stamp, first, since, verdict: Verdict::Settling, written_boot: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open_files::{UnclosedWrite, WritingProcess};

    const PATIENCE: Patience = Patience {
        settle: Duration::from_secs(30),
        unfinished: Duration::from_secs(3600),
        slow: Duration::from_secs(6 * 3600),
    };

    fn at(seconds: u64) -> Moment {
        let wall = Timestamp::from_second(1_795_338_000 + i64::try_from(seconds).expect("small")).expect("in range");
        Moment { wall, running: Duration::from_secs(seconds) }
    }

    fn stamp(size: u64) -> Stamp {
        Stamp { size, mtime_ns: 0, inode: 1 }
    }

    fn judge(observation: &Observation, seconds: u64) -> Judgement {
        observation.judge(&PATIENCE, Duration::from_secs(seconds))
    }

    #[test]
    fn quiet_begins_anew_with_each_change() {
        let mut seen = Observation::begin(stamp(1), at(0));
        assert!(seen.observe(stamp(2), at(20)));
        assert_eq!(judge(&seen, 49), Judgement::Wait);
        assert!(!seen.observe(stamp(2), at(49)));
        assert_eq!(judge(&seen, 50), Judgement::Examine);
        assert_eq!((seen.first, seen.since), (at(0).wall, at(20).wall));
    }

    #[test]
    fn what_looks_unfinished_is_taken_after_an_hour_of_quiet() {
        let mut seen = Observation::begin(stamp(1), at(0));
        let mut look = |seconds| seen.examined(Some("no moov"), &PATIENCE, Duration::from_secs(seconds));
        assert_eq!(look(30), Settlement::Unfinished);
        assert_eq!(look(3599), Settlement::Unfinished);
        assert_eq!(look(3600), Settlement::Settled { incomplete: Some("no moov") });
        assert_eq!(judge(&seen, 3599), Judgement::Wait);
        assert_eq!(judge(&seen, 3600), Judgement::Examine);
        seen.observe(stamp(2), at(3600));
        assert_eq!(judge(&seen, 3630), Judgement::Examine, "a change forgets what the head said");
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
            let mut seen = Observation::begin(stamp(1), at(0));
            assert_eq!(seen.asked(Some(in_use.clone()), at(30)), CloseCheck::Open);
            assert_eq!(seen.asked(Some(in_use.clone()), at(100 * 3600)), CloseCheck::Open);
            assert_eq!(seen.in_use, Some(in_use));
            assert_eq!(seen.asked(None, at(100 * 3600 + 10)), CloseCheck::JustClosed);
            assert_eq!(judge(&seen, 100 * 3600 + 39), Judgement::Wait);
            assert_eq!(judge(&seen, 100 * 3600 + 40), Judgement::Examine);
            assert_eq!(seen.asked(None, at(100 * 3600 + 40)), CloseCheck::Closed);
        }
    }

    #[test]
    fn a_file_that_was_never_found_open_is_quiet_since_it_changed() {
        let mut seen = Observation::begin(stamp(1), at(0));
        assert_eq!(seen.asked(None, at(30)), CloseCheck::Closed);
        assert_eq!((seen.since, judge(&seen, 30)), (at(0).wall, Judgement::Examine));
    }

    #[test]
    fn what_may_be_out_of_date_ends_after_one_quiet_hour_and_the_file_is_taken_then() {
        let mut seen = Observation::begin(stamp(1), at(0));
        assert_eq!(seen.asked(Some(written(false)), at(30)), CloseCheck::Open);
        assert_eq!(seen.asked(Some(written(false)), at(3599)), CloseCheck::Open);
        seen.observe(stamp(2), at(3599));
        assert_eq!(seen.asked(Some(written(false)), at(3600 + 3598)), CloseCheck::Open, "a change begins another hour");
        assert_eq!(seen.asked(Some(written(false)), at(3600 + 3599)), CloseCheck::Closed);
        assert_eq!(judge(&seen, 3600 + 3599), Judgement::Examine);
    }

    #[test]
    fn a_close_counts_also_where_events_were_lost_before() {
        let mut seen = Observation::begin(stamp(1), at(0));
        assert_eq!(seen.asked(Some(written(false)), at(30)), CloseCheck::Open);
        assert_eq!(seen.asked(None, at(60)), CloseCheck::JustClosed);
        assert_eq!(judge(&seen, 90), Judgement::Examine);
    }

    #[test]
    fn an_unfinished_head_waits_for_an_hour_since_the_close() {
        let mut seen = Observation::begin(stamp(1), at(0));
        assert_eq!(seen.asked(Some(process()), at(3600)), CloseCheck::Open);
        assert_eq!(seen.asked(None, at(3610)), CloseCheck::JustClosed);
        let mut look = |seconds| seen.examined(Some("no moov"), &PATIENCE, Duration::from_secs(seconds));
        assert_eq!(look(3640), Settlement::Unfinished);
        assert_eq!(look(3610 + 3600), Settlement::Settled { incomplete: Some("no moov") });
    }

    #[test]
    fn an_observation_goes_on_after_a_restart_and_a_future_one_begins_now() {
        let sighting = Observation::begin(stamp(1), at(0)).sighting("talk.wav".into());
        let restarted = Moment { wall: at(20).wall, running: Duration::ZERO };
        let seen = Observation::resume(&sighting, restarted);
        assert_eq!(judge(&seen, 9), Judgement::Wait);
        assert_eq!(judge(&seen, 10), Judgement::Examine);
        let future = Sighting { since: at(9999).wall, ..sighting };
        assert_eq!(judge(&Observation::resume(&future, restarted), 29), Judgement::Wait);
    }

    #[test]
    fn a_writer_that_never_ends_is_told_of_once() {
        let mut seen = Observation::begin(stamp(1), at(0));
        let mut slow = |seconds| seen.has_become_slow(&PATIENCE, Duration::from_secs(seconds));
        assert_eq!([slow(6 * 3600 - 1), slow(6 * 3600), slow(7 * 3600)], [false, true, false]);
        let restarted = |changed: u64| {
            let sighting = Sighting { since: at(changed).wall, ..seen.sighting("talk.wav".into()) };
            let now = Moment { wall: at(7 * 3600).wall, running: Duration::ZERO };
            Observation::resume(&sighting, now).has_become_slow(&PATIENCE, Duration::ZERO)
        };
        assert_eq!([restarted(3600), restarted(7 * 3600 - 60)], [true, false], "once, also across a restart");
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
            let clock = (i64::try_from(now).expect("small") + skew) * 1_000_000_000 + i64::from(number);
            let past = -86_400_000_000_000 * 1000 - i64::from(number);
            file = match *deed {
                Deed::Append(bytes) => Stamp { size: file.size + bytes, mtime_ns: clock, ..file },
                Deed::Truncate => Stamp { size: 0, mtime_ns: clock, ..file },
                Deed::RenameOver(size) => Stamp { size, mtime_ns: past, inode: 100 + u64::from(number) },
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
        seen: Observation,
        saved: Sighting,
        /// When this process began.
        begun: u64,
    }

    impl Watcher {
        fn begin(stamp: Stamp) -> Self {
            let seen = Observation::begin(stamp, at(0));
            Self { saved: seen.sighting("talk.wav".into()), seen, begun: 0 }
        }

        fn moment(&self, now: u64) -> Moment {
            Moment { wall: at(now).wall, running: Duration::from_secs(now - self.begun) }
        }

        fn look(&mut self, stamp: Stamp, now: u64, fate: u8) {
            if fate >= RESTARTED {
                self.begun = now;
                self.seen = Observation::resume(&self.saved, self.moment(now));
            }
            self.seen.observe(stamp, self.moment(now));
            if fate % 2 == KEPT {
                self.saved = self.seen.sighting("talk.wav".into());
            }
        }

        fn is_taken(&self, now: u64) -> bool {
            self.seen.judge(&PATIENCE, self.moment(now).running) == Judgement::Examine
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
            let mut seen = Observation::begin(stamp(size(0)), at(0));
            let mut now = 0;
            for step in looks {
                now += step;
                seen.observe(stamp(size(now)), at(now));
                if judge(&seen, now) == Judgement::Examine {
                    proptest::prop_assert!(now >= end, "taken at {now}, written until {end}");
                    proptest::prop_assert_eq!(seen.stamp.size, written.len() as u64);
                }
            }
            seen.observe(stamp(size(now.max(end))), at(now.max(end)));
            proptest::prop_assert_eq!(judge(&seen, now.max(end) + 30), Judgement::Examine);
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
