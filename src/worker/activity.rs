//! The jobs that are being worked on, for `status` and for the slots.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{job::Stage, progress::Progress, store::JobId};

/// A job that a worker has.
#[derive(Debug, Clone)]
pub(crate) struct ActiveJob {
    /// Its stage.
    pub stage: Stage,
    /// The start of the stage.
    pub since: Timestamp,
    /// The progress of its upload.
    pub progress: Arc<Progress>,
    /// Ends the work: a person gave the job up.
    pub(super) cancel: CancellationToken,
    /// The folder of its recording.
    folder: String,
    /// The service of whose own slots it takes one; `None` takes one of those that services share.
    pool: Option<String>,
    /// Its turn at the slot, which ends when another folder waits.
    pub(super) turn: Arc<WorkerTurn>,
}

impl ActiveJob {
    pub(super) fn new(
        stage: Stage,
        progress: &Arc<Progress>,
        cancel: &CancellationToken,
        folder: &str,
        pool: Option<&str>,
        turn: &Arc<WorkerTurn>,
    ) -> Self {
        let progress = Arc::clone(progress);
        let cancel = cancel.clone();
        let turn = Arc::clone(turn);
        let folder = folder.to_owned();
        let pool = pool.map(str::to_owned);
        Self { stage, since: crate::clock::now(), progress, cancel, folder, pool, turn }
    }
}

/// The turn of a job at its slot.
#[derive(Debug, Default)]
pub(super) struct WorkerTurn(watch::Sender<bool>);

impl WorkerTurn {
    /// Notes whether another folder waits for the slot.
    fn request_room(&self, is_wanted: bool) {
        self.0.send_if_modified(|was| std::mem::replace(was, is_wanted) != is_wanted);
    }

    /// Waits until another folder waits for the slot.
    pub(super) async fn until_wanted(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        if self.0.subscribe().wait_for(|is_wanted| *is_wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns whether another folder waits for the slot.
    pub(super) fn is_wanted(&self) -> bool {
        *self.0.borrow()
    }
}

/// The jobs that workers have, by number.
#[derive(Debug, Default)]
pub(crate) struct Activity(Mutex<BTreeMap<JobId, ActiveJob>>);

impl Activity {
    /// Returns a copy of what runs now.
    #[must_use]
    pub(crate) fn snapshot(&self) -> BTreeMap<JobId, ActiveJob> {
        self.lock().clone()
    }

    /// Returns how many slots of a pool each folder holds: of a service's own, or of those that services share.
    pub(super) fn held_slots(&self, pool: Option<&str>) -> BTreeMap<String, usize> {
        let mut held = BTreeMap::new();
        for active in self.lock().values().filter(|active| active.pool.as_deref() == pool) {
            *held.entry(active.folder.clone()).or_insert(0) += 1;
        }
        held
    }

    /// Notes whether a folder waits that holds no slot of this pool.
    pub(super) fn ask_for_room(&self, pool: Option<&str>, is_wanted: bool) {
        for active in self.lock().values().filter(|active| active.pool.as_deref() == pool) {
            active.turn.request_room(is_wanted);
        }
    }

    /// Returns whether nothing runs now.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Ends the work on a job, if it is being worked on.
    pub(crate) fn cancel(&self, job: JobId) {
        if let Some(active) = self.lock().get(&job) {
            active.cancel.cancel();
        }
    }

    pub(super) fn enter(&self, job: JobId, active: ActiveJob) {
        self.lock().insert(job, active);
    }

    /// The job went on to a stage.
    pub(super) fn set_stage(&self, job: JobId, stage: Stage) {
        if let Some(active) = self.lock().get_mut(&job) {
            (active.stage, active.since) = (stage, crate::clock::now());
        }
    }

    pub(super) fn leave(&self, job: JobId) {
        self.lock().remove(&job);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, ActiveJob>> {
        self.0.lock().expect("no thread panics while it holds the activity")
    }
}
