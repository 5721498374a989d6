//! Holds calls to a service that is down, and tells its failures from those of one recording.
//!
//! Pure: `now` and jitter are arguments. The caller makes the cheap read that comes before a probe; the breaker only
//! hands out the permission.
//!
//! A failure that may be the recording's ([`Suspect::Either`]) is judged by what else happens. While it has met one job
//! alone, the other jobs are not held: the first of them is let through as a probe. Another job's success between two
//! failures of a job makes the second one its own; another job's failure makes both the service's. Where no other job
//! comes, three failures at least `APART` apart, each behind a cheap read that succeeded, are the job's own.

use std::{collections::HashMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::elapsed,
    job::{Suspect, retry::backoff_delay},
};

/// The id of a job in the queue.
pub(crate) type JobId = i64;

/// Stands for a probe that no job wants: the queue counts its jobs from 1.
pub(crate) const NOBODY: JobId = 0;

/// Jobs whose last failure is remembered, a breaker. When more fail the oldest are forgotten: one of their own failures
/// is then taken for the service's, which costs a delay and no attempt.
const FAILURES_MAX: usize = 1024;

/// How far apart the failures of a lone job lie that are held against it: an outage of a server at home, an upgrade say,
/// is over by then.
const APART: Duration = Duration::from_secs(3600);

/// So many failures of a lone job are its own.
const APART_COUNT: u32 = 3;

/// Failures in a row after which a lone job is tried at a quarter of the pace, but at least every hour: each try sends
/// the whole recording.
const LONE_TRIES: u32 = 3;

/// The calls of a service that fail independently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Call {
    /// Making a meeting, and looking for one.
    Create,
    /// Sending a recording.
    Upload,
    /// Looking for results.
    Look,
    /// Asking for results.
    Request,
}

impl Call {
    /// All calls.
    pub(crate) const ALL: [Self; 4] = [Self::Create, Self::Upload, Self::Look, Self::Request];

    /// Returns the word by which it is counted.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Upload => "upload",
            Self::Look => "look",
            Self::Request => "request",
        }
    }
}

/// Whether a call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Yes.
    Go,
    /// Yes, as the one probe, after a cheap read has succeeded. Must be followed by [`Breaker::succeeded`],
    /// [`Breaker::answered`], [`Breaker::failed`], [`Breaker::read_failed`] or [`Breaker::released`].
    Probe,
    /// Not before this.
    Wait {
        /// When to ask again.
        until: Timestamp,
    },
}

/// Whose failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The recording's: counts.
    Own,
    /// The service's.
    Service {
        /// When the call may be tried again.
        until: Timestamp,
        /// Whether it is the one that opened the breaker: told once.
        first: bool,
    },
}

/// The breaker of one call of one service.
#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    delay: Duration,
    delay_max: Duration,
    open: Option<Open>,
    /// Counts outcomes; what tells "between".
    tick: u64,
    /// The tick of the last success; 0 before the first. It is another job's for whoever has failed before it: a job's
    /// own success forgets its failures.
    success: u64,
    /// The last failures of each job that may be its own.
    failures: HashMap<JobId, Failures>,
    /// The last job that failed: another one is tried before it.
    last_failed: Option<JobId>,
}

/// The failures of one job that may be its own.
#[derive(Debug, Clone, Copy)]
struct Failures {
    /// The tick of the last one.
    tick: u64,
    /// How many lie [`APART`], with nothing to compare them with.
    apart: u32,
    /// When the last one of those was.
    counted: Timestamp,
}

/// The jobs that have failed since the breaker opened, in a way that may be their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// None, or those of before a restart.
    None,
    /// One alone.
    One(JobId),
    /// More than one.
    Several,
}

#[derive(Debug, Clone)]
struct Open {
    hit: Hit,
    /// Whether another job was let through since the lone one failed: one is enough to compare with.
    compared: bool,
    since: Timestamp,
    until: Timestamp,
    /// When `until` was set.
    set: Timestamp,
    /// Failures in a row: of the call that opened it and of each probe.
    level: u32,
    /// The probe under way, and when it began.
    probe: Option<(JobId, Timestamp)>,
}

/// A probe may take hours, as an upload over a slow line does. One that has run for longer than the slowest pace of
/// probes, or than this, lets another one begin: a dead service answers sooner.
const PROBE_ALONE_MIN: Duration = Duration::from_secs(60);

impl Open {
    /// Begins the wait anew when the clock was set back since: what it showed before may not come for hours.
    fn keep_to(&mut self, now: Timestamp) {
        if now < self.set {
            self.until = later(now, elapsed(self.set, self.until));
            self.set = now;
            self.probe = self.probe.map(|(job, _)| (job, now));
        }
    }

    fn wait(&mut self, until: Timestamp, now: Timestamp) {
        (self.until, self.set) = (until, now);
    }

    /// Returns whether `job` tells more of the service than the one job that has failed.
    fn is_compared_by(&self, job: JobId) -> bool {
        match self.hit {
            Hit::One(lone) => lone != job && !self.compared,
            Hit::None | Hit::Several => false,
        }
    }

    /// Returns whether no other job than `job` has failed.
    fn is_lone(&self, job: JobId) -> bool {
        match self.hit {
            Hit::One(lone) => lone == job,
            Hit::None => true,
            Hit::Several => false,
        }
    }

    fn is_probed_by(&self, job: JobId) -> bool {
        self.probe.is_some_and(|(probe, _)| probe == job)
    }

    fn is_probed(&self, alone: Duration, now: Timestamp) -> bool {
        self.probe.is_some_and(|(_, since)| now < later(since, alone))
    }
}

impl Breaker {
    /// Returns a closed breaker that waits `delay` after the first failure, growing up to `delay_max`.
    #[must_use]
    pub(crate) fn new(delay: Duration, delay_max: Duration) -> Self {
        Self {
            delay,
            delay_max,
            open: None,
            tick: 0,
            success: 0,
            failures: HashMap::new(),
            last_failed: None,
        }
    }

    /// Returns whether `job` may make the call now. `others` says whether another job may want to make it too: then the
    /// job that failed last leaves the next probe to it for a while.
    pub(crate) fn admits(&mut self, job: JobId, others: bool, now: Timestamp) -> Admission {
        let step = self.delay;
        let alone = self.probe_alone();
        let last_failed = self.last_failed;
        let Some(open) = &mut self.open else { return Admission::Go };
        open.keep_to(now);
        if open.is_compared_by(job) && !open.is_probed(alone, now) {
            open.probe = Some((job, now));
            open.compared = true;
            Admission::Probe
        } else if now < open.until {
            // What another job is compared by may end the wait long before its time.
            let is_near =
                matches!(open.hit, Hit::One(lone) if lone != job) && open.is_probed(alone, now);
            Admission::Wait {
                until: if is_near { open.until.min(later(now, step)) } else { open.until },
            }
        } else if open.is_probed(alone, now)
            || (others && last_failed == Some(job) && now < later(open.until, step))
        {
            Admission::Wait { until: later(now, step) }
        } else {
            open.probe = Some((job, now));
            Admission::Probe
        }
    }

    /// The call succeeded for `job`: the breaker closes.
    pub(crate) fn succeeded(&mut self, job: JobId) {
        self.tick += 1;
        self.success = self.tick;
        self.failures.remove(&job);
        self.answered();
    }

    /// The service answered, though not with success (a refusal, say): it is not down, and the breaker closes.
    pub(crate) fn answered(&mut self) {
        self.open = None;
        self.last_failed = None;
    }

    /// The probe of `job` ended without telling anything: it was cancelled, or its file changed.
    pub(crate) fn released(&mut self, job: JobId) {
        if let Some(open) = &mut self.open
            && open.is_probed_by(job)
        {
            open.probe = None;
            open.compared = false;
        }
    }

    /// The call failed for `job`; `suspect` says whose failure it can be, `after` is what the service asked for, `jitter`
    /// lies in 0..1. A service that asks for time speaks of itself, and never of the job.
    pub(crate) fn failed(
        &mut self,
        job: JobId,
        suspect: Suspect,
        now: Timestamp,
        after: Option<Duration>,
        jitter: f64,
    ) -> Verdict {
        self.tick += 1;
        let is_suspected = suspect == Suspect::Either && after.is_none();
        let is_lone = is_suspected && self.open.as_ref().is_none_or(|open| open.is_lone(job));
        if is_suspected {
            let before = self.failures.get(&job).copied();
            let known = self.remember(job, is_lone, now);
            let is_compared =
                self.open.is_none() && before.is_some_and(|before| self.success > before.tick);
            if is_compared || (is_lone && known.apart >= APART_COUNT) {
                self.answered();
                return Verdict::Own;
            }
        }
        if !is_lone {
            // Not one job alone: nothing is held against any of them.
            self.failures.values_mut().for_each(|known| known.apart = 0);
        }
        self.last_failed = Some(job);
        let first = self.open.is_none();
        let hit = match suspect {
            Suspect::Either if is_lone => Hit::One(job),
            Suspect::Either if is_suspected => Hit::Several,
            Suspect::Either | Suspect::Service => Hit::None,
        };
        let opened =
            Open { hit, compared: false, since: now, until: now, set: now, level: 0, probe: None };
        let open = self.open.get_or_insert(opened);
        open.hit = hit;
        open.keep_to(now);
        // Calls that were under way when it opened tell nothing new.
        if first || open.is_probed_by(job) {
            open.level = open.level.saturating_add(1);
            open.probe = None;
            open.compared = !is_lone;
            let wait = backoff_delay(self.delay, self.delay_max, open.level, jitter);
            let is_patient = is_lone && open.level > LONE_TRIES;
            open.wait(
                later(now, if is_patient { (wait * 4).min(APART.max(wait)) } else { wait }),
                now,
            );
        }
        let asked = later(now, after.unwrap_or_default());
        if asked > open.until {
            open.wait(asked, now);
        }
        Verdict::Service { until: open.until, first }
    }

    /// The cheap read before the probe of `job` failed: the service is still down, and nothing is said of the job.
    /// Returns when the next probe may be made.
    pub(crate) fn read_failed(
        &mut self,
        job: JobId,
        now: Timestamp,
        after: Option<Duration>,
        jitter: f64,
    ) -> Option<Timestamp> {
        let delay = self.delay;
        let delay_max = self.delay_max;
        let open = self.open.as_mut()?;
        open.keep_to(now);
        if open.is_probed_by(job) {
            open.probe = None;
            open.level = open.level.saturating_add(1);
            let wait =
                backoff_delay(delay, delay_max, open.level, jitter).max(after.unwrap_or_default());
            open.wait(open.until.max(later(now, wait)), now);
        }
        Some(open.until)
    }

    /// Takes in that the clock was set by `step`.
    pub(crate) fn step(&mut self, step: SignedDuration) {
        if let Some(open) = &mut self.open {
            open.since = open.since.saturating_add(step).unwrap_or(open.since);
            open.until = open.until.saturating_add(step).unwrap_or(open.until);
        }
        for known in self.failures.values_mut() {
            known.counted = known.counted.saturating_add(step).unwrap_or(known.counted);
        }
    }

    /// Calls were held before a restart, since a time and until another: they still are.
    pub(crate) fn resume(&mut self, since: Timestamp, until: Timestamp) {
        self.open.get_or_insert(Open {
            hit: Hit::None,
            compared: false,
            since,
            until,
            set: since,
            level: 1,
            probe: None,
        });
    }

    /// Somebody has mended what was wrong: calls that are held are probed now.
    pub(crate) fn hasten(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.until = open.until.min(now);
        }
    }

    /// Returns whether calls are held.
    #[must_use]
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Returns since when calls are held.
    #[must_use]
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.open.as_ref().map(|open| open.since)
    }

    /// Returns until when calls are held.
    #[must_use]
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.open.as_ref().map(|open| open.until)
    }

    /// Returns when the next probe may be made, should the one under way tell nothing.
    #[must_use]
    pub(crate) fn next_probe(&self) -> Option<Timestamp> {
        let free = |open: &Open| open.probe.map(|(_, since)| later(since, self.probe_alone()));
        self.open.as_ref().map(|open| free(open).map_or(open.until, |free| free.max(open.until)))
    }

    /// Returns whether calls are held and one may be tried now.
    pub(crate) fn probe_due(&mut self, now: Timestamp) -> bool {
        let alone = self.probe_alone();
        self.open.as_mut().is_some_and(|open| {
            open.keep_to(now);
            open.until <= now && !open.is_probed(alone, now)
        })
    }

    /// Returns whether another job than the lone one that failed may be tried now: it tells whose failure that was.
    #[must_use]
    pub(crate) fn may_compare(&self, now: Timestamp) -> bool {
        let alone = self.probe_alone();
        self.open.as_ref().is_some_and(|open| {
            matches!(open.hit, Hit::One(_)) && !open.compared && !open.is_probed(alone, now)
        })
    }

    fn probe_alone(&self) -> Duration {
        self.delay_max.max(PROBE_ALONE_MIN)
    }

    /// Returns the job that failed last: another one is the better probe.
    #[must_use]
    pub(crate) fn last_failed(&self) -> Option<JobId> {
        self.last_failed
    }

    /// Notes the failure of this tick; returns what is known of the job's then.
    fn remember(&mut self, job: JobId, is_lone: bool, now: Timestamp) -> Failures {
        if self.failures.len() >= FAILURES_MAX
            && !self.failures.contains_key(&job)
            && let Some(oldest) =
                self.failures.iter().min_by_key(|(_, known)| known.tick).map(|(job, _)| *job)
        {
            self.failures.remove(&oldest);
        }
        let tick = self.tick;
        let known = self.failures.entry(job).or_insert(Failures { tick, apart: 0, counted: now });
        known.tick = tick;
        if !is_lone {
            known.apart = 0;
        } else if known.apart == 0 || elapsed(known.counted, now) >= APART {
            known.apart = known.apart.saturating_add(1);
            known.counted = now;
        }
        *known
    }
}

/// The breakers of one service.
#[derive(Debug, Clone)]
pub(crate) struct Breakers {
    delay: Duration,
    delay_max: Duration,
    by_call: HashMap<Call, Breaker>,
}

impl Breakers {
    /// Returns closed breakers; see [`Breaker::new`].
    #[must_use]
    pub(crate) fn new(delay: Duration, delay_max: Duration) -> Self {
        Self { delay, delay_max, by_call: HashMap::new() }
    }

    /// Returns the breaker of `call`.
    pub(crate) fn of(&mut self, call: Call) -> &mut Breaker {
        self.by_call.entry(call).or_insert_with(|| Breaker::new(self.delay, self.delay_max))
    }

    /// Takes in that the clock was set by `step`.
    pub(crate) fn step(&mut self, step: SignedDuration) {
        self.by_call.values_mut().for_each(|breaker| breaker.step(step));
    }

    /// Returns the calls that are held, with since when.
    #[must_use]
    pub(crate) fn open(&self) -> Vec<(Call, Timestamp)> {
        let mut open: Vec<_> = self
            .by_call
            .iter()
            .filter_map(|(call, breaker)| Some((*call, breaker.since()?)))
            .collect();
        open.sort_unstable();
        open
    }

    /// Returns when the next probe of a call that is held may be made.
    #[must_use]
    pub(crate) fn next_try(&self) -> Option<Timestamp> {
        self.by_call.values().filter_map(Breaker::until).min()
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DELAY: Duration = Duration::from_secs(60);
    const DELAY_MAX: Duration = Duration::from_secs(900);

    fn breaker() -> Breaker {
        Breaker::new(DELAY, DELAY_MAX)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
    }

    #[test]
    fn a_service_that_asks_for_time_is_never_a_jobs_own_failure() {
        let mut breaker = breaker();
        for after in [Some(Duration::ZERO), Some(Duration::from_secs(5))] {
            breaker.failed(1, Suspect::Either, at(0), None, 0.5);
            breaker.succeeded(2);
            assert!(matches!(
                breaker.failed(1, Suspect::Either, at(1), after, 0.5),
                Verdict::Service { .. }
            ));
            breaker.succeeded(2);
        }
        breaker.failed(1, Suspect::Either, at(0), None, 0.5);
        breaker.succeeded(2);
        assert_eq!(breaker.failed(1, Suspect::Either, at(1), None, 0.5), Verdict::Own);
    }

    #[test]
    fn a_service_that_is_down_is_told_once_and_left_alone_for_longer_and_longer() {
        let mut breaker = breaker();
        assert_eq!(breaker.admits(1, true, at(0)), Admission::Go);
        assert_eq!(
            breaker.failed(1, Suspect::Service, at(0), None, 0.5),
            Verdict::Service { until: at(60), first: true }
        );
        assert_eq!(breaker.admits(2, true, at(59)), Admission::Wait { until: at(60) });
        assert_eq!(breaker.admits(2, true, at(60)), Admission::Probe);
        assert_eq!(
            breaker.failed(2, Suspect::Service, at(60), None, 0.5),
            Verdict::Service { until: at(360), first: false }
        );
        assert_eq!(breaker.since(), Some(at(0)));
    }

    #[test]
    fn only_one_probe_goes_at_a_time_and_a_probe_that_told_nothing_gives_the_permission_back() {
        let mut breaker = breaker();
        breaker.failed(1, Suspect::Service, at(0), None, 0.5);
        assert_eq!(breaker.admits(2, true, at(60)), Admission::Probe);
        assert_eq!(breaker.admits(3, true, at(60)), Admission::Wait { until: at(120) });
        breaker.released(2);
        assert_eq!(breaker.admits(3, true, at(60)), Admission::Probe);
    }

    #[test]
    fn a_probe_that_takes_hours_lets_another_begin_and_its_end_still_counts() {
        let mut breaker = breaker();
        breaker.failed(1, Suspect::Service, at(0), None, 0.5);
        assert_eq!(breaker.admits(2, true, at(60)), Admission::Probe);
        assert_eq!((breaker.until(), breaker.next_probe()), (Some(at(60)), Some(at(960))));
        assert!(!breaker.probe_due(at(959)) && breaker.probe_due(at(960)));
        assert_eq!(breaker.admits(3, true, at(960)), Admission::Probe);
        assert!(matches!(breaker.admits(4, true, at(961)), Admission::Wait { .. }));
        breaker.failed(2, Suspect::Service, at(1000), None, 0.5);
        assert!(
            matches!(breaker.admits(4, true, at(1000)), Admission::Wait { .. }),
            "the younger probe is under way"
        );
        breaker.succeeded(3);
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_for_the_time_it_showed() {
        let mut breaker = breaker();
        breaker.failed(1, Suspect::Service, at(0), Some(Duration::from_secs(600)), 0.5);
        assert_eq!(breaker.admits(2, true, at(-86_400)), Admission::Wait { until: at(-85_800) });
        assert!(!breaker.probe_due(at(-85_801)) && breaker.probe_due(at(-85_800)));
        assert_eq!(breaker.admits(2, true, at(-85_800)), Admission::Probe);
        assert!(
            breaker.probe_due(at(-85_800 + 86_400)),
            "a clock set forward only makes it sooner"
        );
    }

    #[test]
    fn a_cheap_read_that_fails_lengthens_the_wait_and_is_not_held_against_the_job() {
        let mut breaker = breaker();
        breaker.failed(1, Suspect::Service, at(0), None, 0.5);
        assert_eq!(breaker.admits(2, true, at(60)), Admission::Probe);
        assert_eq!(breaker.read_failed(2, at(60), None, 0.5), Some(at(360)));
        assert_eq!(breaker.admits(2, true, at(360)), Admission::Probe);
        breaker.succeeded(2);
        breaker.succeeded(3);
        assert!(matches!(
            breaker.failed(2, Suspect::Service, at(400), None, 0.5),
            Verdict::Service { .. }
        ));
    }

    #[test]
    fn the_next_probe_is_another_job_where_there_is_one() {
        let mut breaker = breaker();
        breaker.failed(1, Suspect::Service, at(0), None, 0.5);
        assert!(matches!(breaker.admits(1, true, at(60)), Admission::Wait { .. }));
        assert_eq!(breaker.admits(2, true, at(60)), Admission::Probe);
        breaker.failed(2, Suspect::Service, at(60), None, 0.5);
        assert_eq!(breaker.admits(1, true, at(360)), Admission::Probe);
        breaker.failed(1, Suspect::Service, at(360), None, 0.5);
        assert_eq!(breaker.admits(1, false, at(2000)), Admission::Probe);
    }

    #[test]
    fn retry_after_is_obeyed_even_beyond_the_longest_delay() {
        let mut breaker = breaker();
        let verdict =
            breaker.failed(1, Suspect::Either, at(0), Some(Duration::from_secs(3600)), 0.5);
        assert_eq!(verdict, Verdict::Service { until: at(3600), first: true });
    }

    #[test]
    fn a_recording_that_fails_where_others_succeed_fails_by_its_own_fault() {
        let mut breaker = breaker();
        assert!(matches!(
            breaker.failed(1, Suspect::Either, at(0), None, 0.5),
            Verdict::Service { .. }
        ));
        breaker.succeeded(2);
        assert!(!breaker.is_open());
        assert_eq!(breaker.failed(1, Suspect::Either, at(60), None, 0.5), Verdict::Own);
        assert!(!breaker.is_open());
        // Once more, but nobody has succeeded since: it may be the service this time.
        assert!(matches!(
            breaker.failed(1, Suspect::Either, at(90), None, 0.5),
            Verdict::Service { .. }
        ));
    }

    #[test]
    fn its_own_success_between_two_failures_proves_nothing_against_a_recording() {
        let mut breaker = breaker();
        breaker.failed(1, Suspect::Either, at(0), None, 0.5);
        breaker.succeeded(1);
        assert!(matches!(
            breaker.failed(1, Suspect::Either, at(60), None, 0.5),
            Verdict::Service { .. }
        ));
    }

    #[test]
    fn calls_under_way_when_it_opens_do_not_lengthen_the_wait() {
        let mut breaker = breaker();
        for job in 0..10 {
            breaker.failed(job, Suspect::Either, at(0), None, 0.5);
        }
        assert_eq!(breaker.until(), Some(at(60)));
    }

    #[test]
    fn a_refusal_proves_that_the_service_is_there() {
        let mut breaker = breaker();
        breaker.failed(1, Suspect::Either, at(0), None, 0.5);
        breaker.answered();
        assert_eq!(breaker.admits(1, true, at(1)), Admission::Go);
    }

    #[test]
    fn what_speaks_of_the_service_alone_is_never_a_jobs_own_however_often_others_succeed() {
        let mut breaker = breaker();
        for second in 0..100 {
            assert!(matches!(
                breaker.failed(1, Suspect::Service, at(second), None, 0.5),
                Verdict::Service { .. }
            ));
            breaker.succeeded(2);
        }
        // Nor does it make the first failure that may be the job's own a second one.
        assert!(matches!(
            breaker.failed(1, Suspect::Either, at(200), None, 0.5),
            Verdict::Service { .. }
        ));
    }

    #[test]
    fn one_job_that_fails_alone_holds_no_other_and_the_next_one_tells_whose_failure_it_was() {
        let mut breaker = breaker();
        breaker.failed(1, Suspect::Either, at(0), None, 0.5);
        assert!(breaker.may_compare(at(1)) && !breaker.probe_due(at(1)));
        assert_eq!(breaker.admits(1, true, at(1)), Admission::Wait { until: at(60) });
        assert_eq!(breaker.admits(2, true, at(1)), Admission::Probe);
        assert_eq!(
            breaker.admits(3, true, at(2)),
            Admission::Wait { until: at(60) },
            "one is enough"
        );
        assert!(!breaker.may_compare(at(2)));
        let mut down = breaker.clone();
        breaker.succeeded(2);
        assert_eq!(breaker.failed(1, Suspect::Either, at(60), None, 0.5), Verdict::Own);
        assert!(!breaker.is_open());
        // Where it fails, too, it is the service, and everybody waits.
        assert!(matches!(
            down.failed(2, Suspect::Either, at(3), None, 0.5),
            Verdict::Service { first: false, .. }
        ));
        assert!(matches!(down.admits(3, true, at(4)), Admission::Wait { .. }));
    }

    #[test]
    fn a_service_that_is_not_there_holds_everybody_at_once() {
        let mut breaker = breaker();
        breaker.failed(1, Suspect::Service, at(0), None, 0.5);
        assert_eq!(breaker.admits(2, true, at(1)), Admission::Wait { until: at(60) });
        assert!(!breaker.may_compare(at(1)));
    }

    /// Lets one job fail alone whenever it may go; returns when each failure came, and how many were its own.
    fn alone(breaker: &mut Breaker, hours: i64) -> (Vec<i64>, usize) {
        let (mut failed, mut own) = (Vec::new(), 0);
        for second in 0..hours * 3600 {
            if breaker.admits(1, false, at(second)) != Admission::Probe && breaker.is_open() {
                continue;
            }
            failed.push(second);
            if breaker.failed(1, Suspect::Either, at(second), None, 0.5) == Verdict::Own {
                own += 1;
                if own == 3 {
                    break;
                }
            }
        }
        (failed, own)
    }

    #[test]
    fn a_job_that_fails_alone_three_times_an_hour_apart_fails_by_its_own_fault() {
        let mut breaker = breaker();
        let (failed, own) = alone(&mut breaker, 24);
        assert_eq!(own, 3);
        // 1 min, 5 min, 15 min, then an hour each; what follows is up to the queue's own delays.
        assert_eq!(
            failed,
            [0, 60, 360, 1260, 4860, 8460, 8461, 8462],
            "few copies of a large file"
        );
    }

    #[test]
    fn whatever_shows_that_the_service_is_down_begins_the_hours_of_a_lone_job_anew() {
        let disturb: [fn(&mut Breaker) -> Verdict; 2] = [
            |breaker| breaker.failed(1, Suspect::Service, at(8000), None, 0.5),
            |breaker| breaker.failed(2, Suspect::Either, at(8000), None, 0.5),
        ];
        for disturb in disturb {
            let mut breaker = breaker();
            for second in [0, 4000] {
                breaker.failed(1, Suspect::Either, at(second), None, 0.5);
            }
            assert_ne!(disturb(&mut breaker), Verdict::Own);
            assert!(matches!(
                breaker.failed(1, Suspect::Either, at(9000), None, 0.5),
                Verdict::Service { .. }
            ));
        }
    }

    #[test]
    fn after_a_restart_a_lone_job_is_still_found_out() {
        let mut breaker = breaker();
        breaker.resume(at(-100), at(-40));
        assert_eq!(alone(&mut breaker, 24).1, 3);
    }

    #[test]
    fn the_calls_of_a_service_fail_apart() {
        let mut breakers = Breakers::new(DELAY, DELAY_MAX);
        breakers.of(Call::Upload).failed(1, Suspect::Either, at(0), None, 0.5);
        assert_eq!(breakers.of(Call::Create).admits(1, true, at(0)), Admission::Go);
        assert_eq!(breakers.open(), vec![(Call::Upload, at(0))]);
    }

    proptest! {
        // Long runs, so that memory is filled; few, so that they end soon.
        #![proptest_config(crate::budget::cases(24))]

        #[test]
        fn whatever_happens_memory_is_bounded_and_a_service_alone_never_counts(
            steps in prop::collection::vec((0_i64..3000, 0_u8..4, 0.0_f64..1.0), 1..3000)
        ) {
            let mut breaker = breaker();
            let mut probes = 0;
            for (now, (job, what, jitter)) in steps.iter().enumerate() {
                let now = at(i64::try_from(now).expect("small") * 30);
                match what {
                    0 => if breaker.admits(*job, true, now) == Admission::Probe { probes += 1; },
                    1 => breaker.released(*job),
                    // Nothing ever succeeds here.
                    _ => prop_assert_ne!(breaker.failed(*job, Suspect::Either, now, None, *jitter), Verdict::Own),
                }
                prop_assert!(breaker.failures.len() <= FAILURES_MAX);
                if let Some(until) = breaker.until() {
                    prop_assert!(until <= later(now, DELAY_MAX.mul_f64(1.2)));
                }
            }
            prop_assert!(probes <= steps.len());
        }

        #[test]
        fn a_failure_is_a_jobs_own_exactly_when_another_succeeded_since_its_last(
            steps in prop::collection::vec((0_i64..5, 0_u8..8), 1..200)
        ) {
            let mut breaker = breaker();
            // Everything that happened, in order: who, and whether it went well.
            let mut history: Vec<(i64, bool)> = Vec::new();
            let mut is_open = false;
            for (now, (job, what)) in (0..).zip(steps) {
                match what {
                    0..=2 => {
                        breaker.succeeded(job);
                        history.push((job, true));
                        is_open = false;
                    }
                    3 => {
                        breaker.answered();
                        is_open = false;
                    }
                    _ => {
                        let last = history.iter().rposition(|(who, _)| *who == job).filter(|at| !history[*at].1);
                        let own = last.is_some_and(|at| history[at..].iter().any(|(who, well)| *well && *who != job));
                        let verdict = breaker.failed(job, Suspect::Either, at(now), None, 0.5);
                        prop_assert_eq!(verdict == Verdict::Own, own && !is_open, "{:?} {:?}", verdict, history);
                        is_open |= verdict != Verdict::Own;
                        history.push((job, false));
                    }
                }
                prop_assert_eq!(breaker.is_open(), is_open);
            }
        }

        #[test]
        fn while_it_is_open_nobody_goes_early_and_a_success_opens_the_way(
            steps in prop::collection::vec((0_i64..5, 0_i64..400, 0_u8..3), 1..100)
        ) {
            let mut breaker = breaker();
            breaker.failed(99, Suspect::Service, at(0), None, 0.5);
            let mut now = 0;
            for (job, wait, ends) in steps {
                now += wait;
                let until = breaker.until().expect("open");
                match breaker.admits(job, true, at(now)) {
                    Admission::Go => prop_assert!(false, "a call of an open breaker went without a probe"),
                    Admission::Wait { until } => prop_assert!(until > at(now)),
                    Admission::Probe => {
                        prop_assert!(at(now) >= until);
                        match ends {
                            0 => breaker.released(job),
                            1 => prop_assert!(breaker.read_failed(job, at(now), None, 0.5) > Some(at(now))),
                            _ => prop_assert_ne!(breaker.failed(job, Suspect::Service, at(now), None, 0.5), Verdict::Own),
                        }
                    }
                }
            }
            breaker.succeeded(1);
            prop_assert_eq!(breaker.admits(2, true, at(now)), Admission::Go);
        }

        #[test]
        fn an_open_breaker_hands_out_one_probe_until_it_is_told_or_the_slowest_pace_allows(
            asks in prop::collection::vec((0_i64..5, 0_i64..500), 1..50)
        ) {
            let mut breaker = breaker();
            breaker.failed(99, Suspect::Service, at(0), None, 0.5);
            let (mut time, mut probe) = (0, None);
            for (job, wait) in asks {
                time += wait;
                if breaker.admits(job, true, at(time)) == Admission::Probe {
                    prop_assert!(probe.is_none_or(|before| time - before >= 900), "{probe:?} {time}");
                    probe = Some(time);
                }
            }
        }
    }
}
