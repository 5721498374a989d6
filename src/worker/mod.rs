//! Claims jobs, runs one stage at a time, records the outcome; looks at results when it is time.
//!
//! Three loops share one [`Worker`]: [`claims`] (create and upload, a bounded number at once), [`result_poller`] (results,
//! timers in memory) and [`invalid_metadata`] (jobs that wait for a file beside their recording to be mended). Each is
//! level-triggered: a nudge only says "look again", and the queue tells what there is to do. What was made of a
//! recording is delivered by [`crate::delivery`].

mod activity;
pub(crate) mod claims;
mod daily_limit;
pub(crate) mod invalid_metadata;
mod job_run;
mod outcome;
mod panics;
mod reconsidered;
pub(crate) mod result_poller;
mod slots;
mod substitute;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turn_tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

pub(crate) use activity::{ActiveJob, Activity};
pub(crate) use daily_limit::{limits_of, list_limited};
pub(crate) use reconsidered::ReconsideredFiles;

use crate::{
    config::{Environment, Folder},
    pipeline::{StageContext, convert::Converter},
    runtime::{Runtime, ServiceHandle},
    store::JobId,
};

/// The state that the worker's loops share.
#[derive(Debug)]
pub(crate) struct Worker {
    /// The queue, the settings in force and the signals.
    pub runtime: Arc<Runtime>,
    /// The jobs that are being worked on.
    pub activity: Activity,
    /// A job waits because something is wrong with a file beside its recording.
    invalid_metadata: Notify,
    /// The files that the queue has forgotten, for the watch on their folder to forget them, too.
    pub reconsidered: ReconsideredFiles,
    /// The recognised part of each job that made room for another folder, in milliseconds of sound.
    recognised: Mutex<HashMap<JobId, u64>>,
}

impl Worker {
    /// Returns a worker that has nothing to do yet.
    #[must_use]
    pub(crate) fn new(runtime: Arc<Runtime>) -> Self {
        Self {
            runtime,
            activity: Activity::default(),
            invalid_metadata: Notify::new(),
            reconsidered: ReconsideredFiles::default(),
            recognised: Mutex::new(HashMap::new()),
        }
    }

    /// Returns how far a job was heard when it made room for another folder; 0 where it did not.
    fn recognised_before(&self, job: JobId) -> u64 {
        self.recognised().get(&job).copied().unwrap_or(0)
    }

    /// Notes how far a job was heard that makes room for another folder.
    fn note_recognised(&self, job: JobId, done_ms: u64) {
        let mut recognised = self.recognised();
        let furthest = recognised.entry(job).or_insert(0);
        *furthest = done_ms.max(*furthest);
    }

    /// Forgets how far a job was heard: it is not heard again.
    fn forget_recognised(&self, job: JobId) {
        self.recognised().remove(&job);
    }

    fn recognised(&self) -> MutexGuard<'_, HashMap<JobId, u64>> {
        self.recognised.lock().expect("no thread panics while it holds them")
    }

    fn context(&self, handle: &ServiceHandle, folder: &Arc<Folder>) -> StageContext {
        let settings = &self.runtime.live().settings;
        StageContext {
            calendar: settings.calendar_of(folder).cloned(),
            calendars: Arc::clone(&self.runtime.calendars),
            delay_max: settings.retry.delay_max,
            queue: self.runtime.queue.clone(),
            service: Arc::clone(&handle.service),
            service_settings: handle.settings.clone(),
            folder: Arc::clone(folder),
            open_files: Arc::clone(&self.runtime.open_files),
            converter: self.converter(),
        }
    }

    fn converter(&self) -> Converter {
        Converter::new(&self.runtime.live().settings.state_dir, Environment::get())
    }

    /// Removes what was converted for jobs that do not go on. One that is taken up again is converted again.
    pub(crate) async fn tidy_converted(&self) {
        self.converter().tidy(&self.runtime.queue).await;
    }

    /// Removes what conversions of a process before left unfinished.
    pub(crate) async fn remove_unfinished_conversions(&self) {
        self.converter().remove_drafts().await;
        self.tidy_converted().await;
    }
}
