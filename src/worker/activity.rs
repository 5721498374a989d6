//! What is being worked on now, for `status`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{job::Stage, progress::Progress, queue::JobId};

/// A job that a worker has.
#[derive(Debug, Clone)]
pub struct Active {
    /// What runs.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// How far an upload is.
    pub progress: Arc<Progress>,
    /// Ends the work: a person gave the job up.
    pub(super) cancel: CancellationToken,
    /// Whether it takes one of the slots that services share.
    shares: bool,
}

impl Active {
    pub(super) fn new(stage: Stage, progress: &Arc<Progress>, cancel: &CancellationToken, shares: bool) -> Self {
        let (progress, cancel) = (Arc::clone(progress), cancel.clone());
        Self { stage, since: crate::clock::now(), progress, cancel, shares }
    }
}

/// The jobs that workers have, by number.
#[derive(Debug, Default)]
pub struct Activity(Mutex<BTreeMap<JobId, Active>>);

impl Activity {
    /// Returns a copy of what runs now.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<JobId, Active> {
        self.lock().clone()
    }

    /// Returns how many run now in slots that services share.
    pub(super) fn sharing(&self) -> usize {
        self.lock().values().filter(|active| active.shares).count()
    }

    /// Returns whether nothing runs now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Ends the work on a job, if it is being worked on.
    pub fn cancel(&self, job: JobId) {
        if let Some(active) = self.lock().get(&job) {
            active.cancel.cancel();
        }
    }

    pub(super) fn enter(&self, job: JobId, active: Active) {
        self.lock().insert(job, active);
    }

    /// The job went on to a stage.
    pub(super) fn goes_on(&self, job: JobId, stage: Stage) {
        if let Some(active) = self.lock().get_mut(&job) {
            (active.stage, active.since) = (stage, crate::clock::now());
        }
    }

    pub(super) fn leave(&self, job: JobId) {
        self.lock().remove(&job);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Active>> {
        self.0.lock().expect("no thread panics while it holds the activity")
    }
}
