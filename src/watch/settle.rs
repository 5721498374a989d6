//! When a file has settled: what was seen of it over time, as a pure state machine. Time is a parameter.
//!
//! Quiet is what minuted has observed: the same stamp at both ends of a stretch of its own monotonic time. Wall time
//! counts only across a restart, and the file server's clock never.

use std::{path::PathBuf, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    beneath::Stamp,
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
    seen_for: Span,
    quiet_for: Span,
    told_slow: bool,
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
            seen_for: Span::begin(now),
            quiet_for: Span::begin(now),
            told_slow: false,
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
            seen_for: Span::resume(sighting.first, now),
            quiet_for: Span::resume(sighting.since, now),
            told_slow: false,
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
        Sighting { path, stamp, first, since, verdict: Verdict::Settling }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(crate::budget::budget(256)))]
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
    }
}
