//! Claim a job, run one stage, record the outcome; look at results when it is time; make the deliveries that are due.
//!
//! Three loops share one [`Worker`]: [`claims`] (create and upload, a bounded number at once), [`looks`] (results,
//! timers in memory) and [`deliveries`] (files and mail). Each is level-triggered: a nudge only says "look again", and
//! the queue tells what there is to do.

mod activity;
pub mod claims;
mod contain;
pub mod deliveries;
pub mod invalid_metadata;
mod live;
pub mod looks;
mod mails;
mod outcome;
mod reconsidered;
mod remote;
mod run;
mod slots;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turn_tests;

mod under_way;

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

pub use activity::{Active, Activity};
pub use live::{Live, ServiceHandle};
pub use reconsidered::Reconsidered;

use crate::{
    config::{Environment, Folder},
    job::HoldReason,
    open_files::OpenFiles,
    pipeline::{Context, convert::Converter},
    queue::{Hold, JobId, Queue, QueueError, STEP_MIN, Scope},
};

/// What the loops share.
#[derive(Debug)]
pub struct Worker {
    /// The queue.
    pub queue: Queue,
    /// The settings in force.
    pub live: watch::Receiver<Arc<Live>>,
    /// Ends the loops; work that may be interrupted is.
    pub stop: CancellationToken,
    /// The tasks of the work at hand.
    pub tasks: TaskTracker,
    /// What is being worked on now.
    pub activity: Activity,
    /// Says that there may be a job to claim.
    pub claims: Notify,
    /// Says that there may be a delivery to make.
    pub deliveries: Notify,
    /// A job waits because something is wrong with a file beside its recording.
    pub(super) invalid_metadata: Notify,
    /// The files that the queue has forgotten, for the watch on their folder to forget them, too.
    pub reconsidered: Reconsidered,
    /// Who has which file open for writing.
    pub open_files: Arc<OpenFiles>,
    /// Says that somebody signed in.
    pub signed_in: Notify,
    /// Says that something changed which the status line shows.
    pub changed: Notify,
    /// The timers of the results.
    pub looks: looks::Timers,
    /// Whether the queue cannot be written for now, most often because its disk is full: nothing new is begun.
    pub disk_full: Arc<AtomicBool>,
    /// Ends the daemon: something happened that only a restart can mend.
    pub fatal: CancellationToken,
    /// How far the jobs were heard that made room for another folder, in milliseconds of sound.
    heard: Mutex<HashMap<JobId, u64>>,
    /// When a folder whose settings were refused was last tried.
    refused: Mutex<HashMap<String, Timestamp>>,
    /// The sign-ins of the services by when a person made them, as they were when one was refused.
    refused_sign_ins: Mutex<HashMap<String, Timestamp>>,
    /// How far ahead the clock was when times were last moved with it; `None` before the first time.
    lead: tokio::sync::Mutex<Option<SignedDuration>>,
}

/// How long a commit waits for room on a full disk, or for another program, before it is tried again.
pub const DISK_RETRY: Duration = Duration::from_secs(5);

impl Worker {
    /// Returns a worker that has nothing to do yet.
    #[must_use]
    pub fn new(
        queue: Queue,
        live: watch::Receiver<Arc<Live>>,
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
            activity: Activity::default(),
            claims: Notify::new(),
            deliveries: Notify::new(),
            invalid_metadata: Notify::new(),
            reconsidered: Reconsidered::default(),
            open_files: Arc::default(),
            signed_in: Notify::new(),
            changed: Notify::new(),
            looks: looks::Timers::default(),
            heard: Mutex::new(HashMap::new()),
            refused: Mutex::new(HashMap::new()),
            refused_sign_ins: Mutex::new(HashMap::new()),
            lead: tokio::sync::Mutex::new(None),
        }
    }

    /// Moves what waits for a time by as much as the clock was set, if it was. Every loop that compares times begins
    /// with it: a clock that jumps hurries nothing and holds nothing back.
    ///
    /// # Errors
    /// When the queue cannot be written; the step is taken with the next call.
    pub async fn follow_clock(&self) -> Result<(), QueueError> {
        let mut known = self.lead.lock().await;
        let lead = crate::clock::lead();
        let step = known.map_or(SignedDuration::ZERO, |known| lead - known);
        if known.is_some() && step.abs() < STEP_MIN {
            return Ok(());
        }
        // Any write has the queue follow first.
        self.queue.alive().await?;
        *known = Some(lead);
        for handle in self.live().all() {
            handle.breakers().step(step);
        }
        for tried in self.refused().values_mut() {
            *tried = tried.saturating_add(step).unwrap_or(*tried);
        }
        Ok(())
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.borrow())
    }

    /// Wakes every loop.
    pub fn nudge(&self) {
        self.changed.notify_one();
        self.claims.notify_one();
        self.deliveries.notify_one();
        self.looks.nudge();
    }

    /// Lets folders whose settings were refused try again at once.
    pub fn forget_refusals(&self) {
        self.refused().clear();
    }

    /// Returns how far a job was heard when it made room for another folder; 0 where it did not.
    fn heard_before(&self, job: JobId) -> u64 {
        self.heard().get(&job).copied().unwrap_or(0)
    }

    /// Notes how far a job was heard that makes room for another folder.
    fn note_heard(&self, job: JobId, done_ms: u64) {
        let mut heard = self.heard();
        let furthest = heard.entry(job).or_insert(0);
        *furthest = done_ms.max(*furthest);
    }

    /// Forgets how far a job was heard: it is not heard again.
    fn forget_heard(&self, job: JobId) {
        self.heard().remove(&job);
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<JobId, u64>> {
        self.heard.lock().expect("no thread panics while it holds them")
    }

    fn refused(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.refused.lock().expect("no thread panics while it holds the refusals")
    }

    fn context(&self, handle: &ServiceHandle, folder: &Arc<Folder>) -> Context {
        Context {
            queue: self.queue.clone(),
            service: Arc::clone(&handle.service),
            service_settings: handle.settings.clone(),
            folder: Arc::clone(folder),
            open_files: Arc::clone(&self.open_files),
            converter: self.converter(),
        }
    }

    fn converter(&self) -> Converter {
        Converter::new(&self.live().settings.state_dir, Environment::get())
    }

    /// Removes what was converted for jobs that do not go on. One that is taken up again is converted again.
    pub async fn tidy_converted(&self) {
        self.converter().tidy(&self.queue).await;
    }

    /// Removes what conversions of a process before left unfinished.
    pub async fn remove_unfinished_conversions(&self) {
        self.converter().remove_drafts().await;
        self.tidy_converted().await;
    }

    /// Makes a commit, waiting for room on the disk as long as it takes: its effect has happened and must be recorded.
    async fn persist<T, F: Future<Output = Result<T, QueueError>>>(
        &self,
        commit: impl Fn() -> F,
    ) -> Result<T, QueueError> {
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

    /// The queue could be written: work goes on if it had stopped.
    pub fn has_room(&self) {
        if self.disk_full.swap(false, Ordering::Relaxed) {
            tracing::warn!("the queue can be written again");
            self.nudge();
        }
    }

    /// Handles an error of the queue: what only a restart can mend ends the daemon.
    pub fn queue_failed(&self, what: &str, error: &QueueError) {
        if let QueueError::Moved { job } = error {
            tracing::info!(job.id = job.0, "job {job} was changed by a person meanwhile; {what} is dropped");
        } else if error.is_passing() {
            tracing::debug!("failed to {what}: {error}");
        } else if error.is_fatal() {
            tracing::error!("failed to {what}: {}", crate::text::one_line(&chain(error), 500));
            self.fatal.cancel();
        } else {
            tracing::warn!("failed to {what}: {error}");
        }
    }

    /// Records that something is held; says it once.
    pub async fn hold(&self, scope: Scope, name: &str, reason: HoldReason, detail: String, told: String) {
        self.hold_telling(scope, name, reason, detail, &told, Some(told.clone())).await;
    }

    /// Records that something is held; says it once, and tells the operator `notice` where there is one.
    async fn hold_telling(
        &self,
        scope: Scope,
        name: &str,
        reason: HoldReason,
        detail: String,
        said: &str,
        notice: Option<String>,
    ) {
        let hold = Hold { scope, name: name.to_owned(), reason, detail, since: crate::clock::now() };
        match self.queue.hold(hold, notice).await {
            Ok(true) => {
                tracing::warn!("{}", crate::text::one_line(&said.replace('\n', "; "), 1000));
                self.changed.notify_one();
            }
            Ok(false) => {}
            Err(error) => self.queue_failed("record what is held", &error),
        }
    }

    /// Records that something is not held any more; returns whether it was.
    pub async fn release(&self, scope: Scope, name: &str, reasons: &[HoldReason]) -> bool {
        match self.queue.release(scope, name, reasons).await {
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
}

/// Returns an error with its causes, on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !told.contains(&text) {
            told.push_str(": ");
            told.push_str(&text);
        }
        source = cause.source();
    }
    told
}
