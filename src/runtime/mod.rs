//! The state that the loops of the daemon share: the queue, the settings in force, the signals that stop and wake them.
//!
//! The worker, the deliveries and the daemon's own chores all work on one [`Runtime`]. It also holds what each of them
//! needs in the same way: commits that wait for a full disk, holds that are reported once, a clock that may be set.

mod live;
mod poll_schedule;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use live::{LiveConfig, ServiceHandle};
pub(crate) use poll_schedule::{PollSchedule, PollTimer};

use crate::{
    calendar::CalendarShelf,
    clock::{self, elapsed},
    hint::with_hint,
    job::HoldReason,
    open_files::OpenFiles,
    services::{
        breaker::{Call, Verdict},
        health::CallOutcome,
        paxs::{PaxsService, SignIn},
    },
    store::{Hold, JobId, STEP_MIN, Scope, Store, StoreError},
    text::{error_chain, one_line},
};

/// Pause before a commit is tried again that found the disk full or the queue locked.
pub(crate) const DISK_RETRY: Duration = Duration::from_secs(5);

/// Characters of an error that are kept.
const ERROR_MAX: usize = 1000;

/// The state that the loops of the daemon share.
#[derive(Debug)]
pub(crate) struct Runtime {
    /// The queue.
    pub queue: Store,
    /// The settings in force.
    pub live: watch::Receiver<Arc<LiveConfig>>,
    /// Ends the loops, and the work that may be interrupted.
    pub stop: CancellationToken,
    /// Ends the daemon: something happened that only a restart can mend.
    pub fatal: CancellationToken,
    /// The tasks of the work at hand.
    pub tasks: TaskTracker,
    /// Signals that there may be a job to claim.
    pub claims: Notify,
    /// Signals that there may be a delivery to make.
    pub deliveries: Notify,
    /// The timers of the jobs that wait for results.
    pub polls: PollSchedule,
    /// Signals that somebody signed in.
    pub signed_in: Notify,
    /// Signals a change that the status line shows.
    pub changed: Notify,
    /// The programs that have files open for writing.
    pub open_files: Arc<OpenFiles>,
    /// The calendars that were read.
    pub calendars: Arc<CalendarShelf>,
    /// True while the queue cannot be written, most often because its disk is full: nothing new is
    /// begun.
    pub disk_full: Arc<AtomicBool>,
    /// True if the configuration on disk was refused, and an earlier one is in force.
    pub config_refused: AtomicBool,
    /// The time of the last try of each folder whose settings were refused.
    refused_folders: Mutex<HashMap<String, Timestamp>>,
    /// The lead of the clock when times were last moved with it; `None` before the first time.
    lead: tokio::sync::Mutex<Option<SignedDuration>>,
}

impl Runtime {
    /// Returns the state of a daemon that has nothing to do yet.
    #[must_use]
    pub(crate) fn new(
        queue: Store,
        live: watch::Receiver<Arc<LiveConfig>>,
        stop: CancellationToken,
        fatal: CancellationToken,
    ) -> Self {
        Self {
            disk_full: queue.full(),
            queue,
            live,
            stop,
            fatal,
            tasks: TaskTracker::new(),
            claims: Notify::new(),
            deliveries: Notify::new(),
            polls: PollSchedule::default(),
            signed_in: Notify::new(),
            changed: Notify::new(),
            open_files: Arc::default(),
            calendars: Arc::default(),
            config_refused: AtomicBool::new(false),
            refused_folders: Mutex::new(HashMap::new()),
            lead: tokio::sync::Mutex::new(None),
        }
    }

    /// Returns the settings in force.
    #[must_use]
    pub(crate) fn live(&self) -> Arc<LiveConfig> {
        Arc::clone(&self.live.borrow())
    }

    /// Wakes every loop.
    pub(crate) fn nudge(&self) {
        self.changed.notify_one();
        self.claims.notify_one();
        self.deliveries.notify_one();
        self.queue.announced().notify_one();
        self.polls.wake_held();
    }

    /// Moves what waits for a time by as much as the clock was set, if it was. Every loop that compares times begins
    /// with it: a clock that jumps hurries nothing and holds nothing back.
    ///
    /// # Errors
    /// When the queue cannot be written; the step is taken with the next call.
    pub(crate) async fn follow_clock(&self) -> Result<(), StoreError> {
        let mut known = self.lead.lock().await;
        let lead = clock::lead();
        let step = known.map_or(SignedDuration::ZERO, |known| lead - known);
        if known.is_some() && step.abs() < STEP_MIN {
            return Ok(());
        }
        // Any write has the queue follow first.
        self.queue.maintenance().prove_alive().await?;
        *known = Some(lead);
        for handle in self.live().services_and_sources() {
            handle.health.follow_clock(step);
        }
        for tried in self.refused_folders().values_mut() {
            *tried = tried.saturating_add(step).unwrap_or(*tried);
        }
        if !step.is_zero() {
            // A loop that read a time before the step and the clock after it would sleep for as long as the step.
            self.nudge();
        }
        Ok(())
    }

    /// Returns when each folder whose settings were refused was last tried. Held for a moment only.
    pub(crate) fn refused_folders(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.refused_folders.lock().expect("no thread panics while it holds the refusals")
    }

    /// Lets folders whose settings were refused try again at once.
    pub(crate) fn forget_refusals(&self) {
        self.refused_folders().clear();
    }

    /// Runs a commit, waiting for room on the disk as long as it takes: its effect has happened and
    /// must be recorded.
    ///
    /// # Errors
    /// When the queue has failed in another way, or the daemon stops.
    pub(crate) async fn persist_commit<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        commit: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        loop {
            match commit().await {
                Err(error) if error.is_passing() => tokio::select! {
                    () = tokio::time::sleep(DISK_RETRY) => {}
                    () = self.stop.cancelled() => return Err(error),
                },
                done => {
                    if done.is_ok() {
                        self.has_room();
                    }
                    return done;
                }
            }
        }
    }

    /// Lets work go on that had stopped because the queue could not be written.
    pub(crate) fn has_room(&self) {
        if self.disk_full.swap(false, Ordering::Relaxed) {
            tracing::warn!("the queue can be written again");
            self.nudge();
        }
    }

    /// Logs an error of the queue. One that only a restart can mend ends the daemon.
    pub(crate) fn queue_failed(&self, what: &str, error: &StoreError) {
        if let StoreError::Moved { job } = error {
            tracing::info!(
                job.id = job.0,
                "job {job} was changed by a person meanwhile; {what} is dropped"
            );
        } else if error.is_passing() {
            tracing::debug!("failed to {what}: {error}");
        } else if error.is_fatal() {
            tracing::error!(
                "failed to {what}: {}",
                one_line(&with_hint(&error_chain(error), error.hint()), 500)
            );
            self.fatal.cancel();
        } else {
            tracing::warn!("failed to {what}: {error}");
        }
    }

    /// Records that something is held. The first time, `message` is logged and becomes a notice for the operator.
    pub(crate) async fn record_hold(
        &self,
        scope: Scope,
        name: &str,
        reason: HoldReason,
        detail: String,
        message: String,
    ) {
        self.hold_with_notice(scope, name, reason, detail, &message, Some(message.clone())).await;
    }

    /// Records that something is held. The first time, `message` is logged, and the operator gets `notice` where there
    /// is one.
    pub(crate) async fn hold_with_notice(
        &self,
        scope: Scope,
        name: &str,
        reason: HoldReason,
        detail: String,
        message: &str,
        notice: Option<String>,
    ) {
        let hold = Hold { scope, name: name.to_owned(), reason, detail, since: clock::now() };
        match self.queue.holds().add(hold, notice).await {
            Ok(true) => {
                tracing::warn!("{}", one_line(&message.replace('\n', "; "), 1000));
                self.changed.notify_one();
            }
            Ok(false) => {}
            Err(error) => self.queue_failed("record what is held", &error),
        }
    }

    /// Records that something is not held any more; returns whether it was.
    pub(crate) async fn end_hold(&self, scope: Scope, name: &str, reasons: &[HoldReason]) -> bool {
        match self.queue.holds().release(scope, name, reasons).await {
            Ok(true) => {
                tracing::info!("{scope} `{name}` works again");
                self.nudge();
                true
            }
            Ok(false) => false,
            Err(error) => {
                self.queue_failed("record what works again", &error);
                false
            }
        }
    }

    /// Reports the outcome of a call to the health of its service; its hold ends when the service works again. Returns
    /// whose failure it was, where the call failed.
    pub(crate) async fn report_call(
        &self,
        handle: &ServiceHandle,
        job: JobId,
        call: Call,
        outcome: CallOutcome,
    ) -> Option<Verdict> {
        let report = handle.health.report(job.0, call, outcome);
        if report.recovered {
            self.end_hold(Scope::Service, handle.service.name(), &[HoldReason::Down]).await;
        }
        report.verdict
    }

    /// Records that a service does not work.
    pub(crate) async fn service_down(&self, handle: &ServiceHandle, error: &str) {
        let name = handle.service.name();
        let message = format!(
            "service `{name}` does not work: {error}\nno attempt is counted and nothing is lost; it is tried again automatically"
        );
        self.record_hold(Scope::Service, name, HoldReason::Down, error.to_owned(), message).await;
    }

    /// Records that a service wants a person.
    pub(crate) async fn service_refused(
        &self,
        handle: &ServiceHandle,
        signed_out: bool,
        error: &anyhow::Error,
    ) {
        let name = handle.service.name();
        let error = one_line(&format!("{error:#}"), ERROR_MAX);
        if signed_out && Self::is_of_an_earlier_sign_in(handle) {
            tracing::debug!(
                "service `{name}` refused an earlier sign-in than that of now: {error}"
            );
            self.nudge();
            return;
        }
        let kind = &handle.settings.kind;
        let cure = handle.settings.kind.sign_in_cure(name);
        let (reason, cure) = match (signed_out, kind.abilities().signs_in) {
            (true, true) => (HoldReason::SignedOut, format!("sign in: {cure}")),
            (true, false) => (HoldReason::SignedOut, cure),
            (false, _) => (
                HoldReason::Forbidden,
                format!("check the account's rights at the service, then: {cure}"),
            ),
        };
        let message = format!("service `{name}` waits for a person: {error}\n{cure}");
        self.record_hold(Scope::Service, name, reason, format!("{error}; {cure}"), message).await;
    }

    /// Returns whether the rejected call used credentials older than the current sign-in: then it is tried
    /// once more. A sign-in that is refused a second time is refused.
    fn is_of_an_earlier_sign_in(handle: &ServiceHandle) -> bool {
        let Some(SignIn::Yes { since, .. }) = handle.account.as_ref().map(PaxsService::signed_in)
        else {
            return false;
        };
        !handle.health.refuse_sign_in(since)
    }
}

/// Sleeps until a wall time; for ever without one.
pub(crate) async fn sleep_until(wake: Option<Timestamp>) {
    match wake {
        Some(wake) => tokio::time::sleep(elapsed(clock::now(), wake)).await,
        None => std::future::pending().await,
    }
}
