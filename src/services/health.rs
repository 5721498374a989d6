//! The health of one service: which of its calls are held, and what a failed call says about it.
//!
//! [`Breaker`](super::breaker::Breaker) is the pure core, one for each call. [`ServiceHealth`] owns the breakers of a
//! service and makes the cheap read that comes before a probe. [`ServiceFault`] is the one mapping from a failed call to
//! the reason for which the service is held; the vendor of a source is judged by it too. Recording the hold is left to
//! the caller, who has the database.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    CallError, NotesService,
    breaker::{Admission, Breakers, Call, JobId, NOBODY, Verdict},
};
use crate::{
    clock,
    config::Retry,
    job::{HoldReason, Stage, Suspect},
};

/// A fault of the service itself, as a failed call shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceFault {
    /// It does not work.
    Down {
        /// How long it asked to be left alone.
        after: Option<Duration>,
    },
    /// It refuses the sign-in or the key.
    SignedOut,
    /// It forbids the account a call.
    Forbidden,
}

impl ServiceFault {
    /// Returns the fault that a failed call shows; `None` where the service answered and refused this request alone.
    #[must_use]
    pub(crate) fn of_error(error: &CallError) -> Option<Self> {
        match error {
            CallError::Unavailable { after, .. } => Some(Self::Down { after: *after }),
            CallError::SignedOut { .. } => Some(Self::SignedOut),
            CallError::Forbidden { .. } => Some(Self::Forbidden),
            CallError::Refused { .. } | CallError::File(_) => None,
        }
    }

    /// Returns the reason for which the service is held then.
    #[must_use]
    pub(crate) fn hold_reason(self) -> HoldReason {
        match self {
            Self::Down { .. } => HoldReason::Down,
            Self::SignedOut => HoldReason::SignedOut,
            Self::Forbidden => HoldReason::Forbidden,
        }
    }
}

/// The outcome of a call, as far as it tells of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallOutcome {
    /// It succeeded.
    Succeeded,
    /// The service answered, though not with success: it is not down.
    Answered,
    /// It was not made, or tells nothing: a probe is left to another job.
    Untold,
    /// It failed, and may be tried again.
    Failed {
        /// Whose failure it can be.
        suspect: Suspect,
        /// How long the service asked to be left alone.
        after: Option<Duration>,
    },
}

impl CallOutcome {
    /// Returns the word by which it is counted; `None` where no call was made.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Succeeded => Some("succeeded"),
            Self::Answered => Some("refused"),
            Self::Untold => None,
            Self::Failed { .. } => Some("failed"),
        }
    }
}

/// The consequence of a call for the service and the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HealthReport {
    /// Whether the last call that was held is not held any more.
    pub recovered: bool,
    /// Whose failure it was, where the call failed.
    pub verdict: Option<Verdict>,
}

/// The answer to the cheap read that comes before a probe.
#[derive(Debug)]
pub(crate) enum ProbeRead {
    /// The service answers: the probe may be made.
    Answered,
    /// The service refuses the read itself, which says nothing about the call.
    Refused,
    /// The service is still down.
    Down {
        /// When the next probe may be made.
        until: Timestamp,
    },
    /// The service waits for a person.
    NeedsPerson {
        /// Whether it refuses the sign-in; else it forbids the read.
        signed_out: bool,
        /// The error of the read.
        error: CallError,
    },
}

/// A probe of a call that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StageProbe {
    /// The call.
    pub call: Call,
    /// The stages of the jobs that may make it.
    pub stages: Vec<Stage>,
    /// The job that failed last: another one is the better probe.
    pub except: Option<JobId>,
    /// Whether its time has come. Before, only another job than the one that failed may go, to be compared with it.
    pub is_due: bool,
}

/// The health of one service.
#[derive(Debug)]
pub(crate) struct ServiceHealth {
    breakers: Mutex<Breakers>,
    /// The time of the sign-in that was refused last.
    refused_sign_in: Mutex<Option<Timestamp>>,
    /// How many calls had which outcome.
    counts: Mutex<BTreeMap<(Call, &'static str), u64>>,
}

impl ServiceHealth {
    /// Returns the health of a service of which nothing bad is known.
    #[must_use]
    pub(crate) fn new(retry: Retry) -> Self {
        let breakers = Breakers::new(retry.delay, retry.delay_max);
        Self {
            breakers: Mutex::new(breakers),
            refused_sign_in: Mutex::new(None),
            counts: Mutex::default(),
        }
    }

    /// Takes over from `before` which sign-in was refused: other settings make it no better.
    pub(crate) fn keep_refused_sign_in(&self, before: &Self) {
        let since =
            *before.refused_sign_in.lock().expect("no thread panics while it holds the time");
        *self.refused_sign_in.lock().expect("no thread panics while it holds the time") = since;
    }

    /// Notes that the sign-in of that time was refused; returns whether it had been refused before.
    pub(crate) fn refuse_sign_in(&self, since: Timestamp) -> bool {
        let mut refused =
            self.refused_sign_in.lock().expect("no thread panics while it holds the time");
        refused.replace(since) == Some(since)
    }

    /// Returns whether a job may make a call now. `others` says whether another job may want to make it too.
    #[must_use]
    pub(crate) fn admit(&self, job: JobId, call: Call, others: bool) -> Admission {
        self.breakers().of(call).admits(job, others, clock::now())
    }

    /// Takes in the outcome of a call that was made for a job.
    pub(crate) fn report(&self, job: JobId, call: Call, outcome: CallOutcome) -> HealthReport {
        if let Some(word) = outcome.word() {
            *self.counts().entry((call, word)).or_default() += 1;
        }
        let mut breakers = self.breakers();
        let breaker = breakers.of(call);
        let was_open = breaker.is_open();
        let verdict = match outcome {
            CallOutcome::Succeeded => {
                breaker.succeeded(job);
                None
            }
            CallOutcome::Answered => {
                breaker.answered();
                None
            }
            CallOutcome::Untold => {
                breaker.released(job);
                None
            }
            CallOutcome::Failed { suspect, after } => {
                Some(breaker.failed(job, suspect, clock::now(), after, clock::jitter()))
            }
        };
        HealthReport { recovered: was_open && breakers.open().is_empty(), verdict }
    }

    /// Makes the cheap read that comes before a probe: an upload is a dear way to learn that a service is down. For
    /// [`NOBODY`] the read is the whole probe, and one that does not succeed has failed.
    pub(crate) async fn read_before_probe(
        &self,
        service: &dyn NotesService,
        job: JobId,
        call: Call,
    ) -> ProbeRead {
        let Err(error) = service.read_profile_for(call).await else { return ProbeRead::Answered };
        let fault = ServiceFault::of_error(&error);
        let until = match fault {
            Some(ServiceFault::Down { after }) => self.fail_read(job, call, after),
            Some(ServiceFault::SignedOut | ServiceFault::Forbidden) | None => {
                // A read for nobody has no call after it that could tell more.
                if job == NOBODY { self.fail_read(job, call, None) } else { None }
            }
        };
        match fault {
            Some(ServiceFault::Down { .. }) => {
                tracing::debug!(
                    job.id = job,
                    "service `{}` is still down: {error}",
                    service.name()
                );
                ProbeRead::Down { until: until.unwrap_or_else(clock::now) }
            }
            Some(ServiceFault::SignedOut) => ProbeRead::NeedsPerson { signed_out: true, error },
            Some(ServiceFault::Forbidden) => ProbeRead::NeedsPerson { signed_out: false, error },
            None => ProbeRead::Refused,
        }
    }

    fn fail_read(&self, job: JobId, call: Call, after: Option<Duration>) -> Option<Timestamp> {
        self.breakers().of(call).read_failed(job, clock::now(), after, clock::jitter())
    }

    /// Leaves all probes of a job to other jobs.
    pub(crate) fn release_probes(&self, job: JobId) {
        let mut breakers = self.breakers();
        for call in Call::ALL {
            breakers.of(call).released(job);
        }
    }

    /// Returns the stages that may run, and the probe that may be made where a call is held. Looks are probed by the
    /// jobs that wait for them; with `no_looks` there are none, and a job that would look anyway finds out.
    #[must_use]
    pub(crate) fn admit_stages(
        &self,
        no_looks: bool,
        now: Timestamp,
    ) -> (Vec<Stage>, Option<StageProbe>) {
        let mut breakers = self.breakers();
        let create = breakers.of(Call::Create).is_open();
        let upload = breakers.of(Call::Upload).is_open();
        let request = breakers.of(Call::Request).is_open()
            || (breakers.of(Call::Look).is_open() && !no_looks);
        let mut stages = Vec::with_capacity(3);
        // No meetings are made for recordings that could not be sent then.
        if !create && !upload {
            stages.push(Stage::Create);
        }
        if !upload {
            stages.push(Stage::Upload);
        }
        if !request {
            stages.push(Stage::Analyse);
        }
        let probes = [
            (Call::Create, vec![Stage::Create]),
            (
                Call::Upload,
                if create { vec![Stage::Upload] } else { vec![Stage::Upload, Stage::Create] },
            ),
            (Call::Request, vec![Stage::Analyse]),
        ];
        let probe = probes.into_iter().find_map(|(call, stages)| {
            let breaker = breakers.of(call);
            let is_due = breaker.probe_due(now);
            let except = breaker.last_failed();
            (is_due || breaker.may_compare(now)).then_some(StageProbe {
                call,
                stages,
                except,
                is_due,
            })
        });
        (stages, probe)
    }

    /// Returns a call that is held and may be probed now.
    #[must_use]
    pub(crate) fn due_probe(&self, now: Timestamp) -> Option<Call> {
        let mut breakers = self.breakers();
        breakers
            .open()
            .into_iter()
            .map(|(call, _)| call)
            .find(|call| breakers.of(*call).probe_due(now))
    }

    /// Returns when each call that is held may be probed next, should the probe under way tell nothing.
    #[must_use]
    pub(crate) fn next_probes(&self) -> Vec<Timestamp> {
        let mut breakers = self.breakers();
        Call::ALL.into_iter().filter_map(|call| breakers.of(call).next_probe()).collect()
    }

    /// Returns the job whose call failed last.
    #[must_use]
    pub(crate) fn last_failed(&self, call: Call) -> Option<JobId> {
        self.breakers().of(call).last_failed()
    }

    /// Returns until when a call is held.
    #[must_use]
    pub(crate) fn held_until(&self, call: Call) -> Option<Timestamp> {
        self.breakers().of(call).until()
    }

    /// Returns when a call that is held is tried again.
    #[must_use]
    pub(crate) fn next_try(&self) -> Option<Timestamp> {
        self.breakers().next_try()
    }

    /// Holds a call as it was held before a restart.
    pub(crate) fn resume_hold(&self, call: Call, since: Timestamp, until: Timestamp) {
        self.breakers().of(call).resume(since, until);
    }

    /// Somebody has mended what was wrong: calls that are held are probed now.
    pub(crate) fn hasten_probes(&self, now: Timestamp) {
        let mut breakers = self.breakers();
        for call in Call::ALL {
            breakers.of(call).hasten(now);
        }
    }

    /// Moves its times with a clock that was set by `step`.
    pub(crate) fn follow_clock(&self, step: SignedDuration) {
        self.breakers().step(step);
    }

    /// Returns how many calls had which outcome since this health is kept: `succeeded`, `refused` or `failed`.
    #[must_use]
    pub(crate) fn count_calls(&self) -> Vec<(Call, &'static str, u64)> {
        self.counts().iter().map(|((call, word), count)| (*call, *word, *count)).collect()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<(Call, &'static str), u64>> {
        self.counts.lock().expect("no thread panics while it holds the counts")
    }

    fn breakers(&self) -> MutexGuard<'_, Breakers> {
        self.breakers.lock().expect("no thread panics while it holds the breakers")
    }
}
