//! The queue as one watched folder uses it, and the calls by which that folder reaches the worker.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    beneath::Stamp,
    clock,
    config::Folder,
    job::{EndedBy, HoldReason},
    last_words::{LastWords, Mark},
    store::{FolderRoot, Hold, Scope, Settled, Sighting, Store, StoreError},
    text::{one_line, printable_path},
};

/// The longest description of a folder's trouble that is kept, in characters: a few sentences with a path.
const DETAIL_MAX: usize = 500;

/// A handler of an error of the queue, called with the operation that failed.
pub(crate) type QueueErrorHandler = Box<dyn Fn(&str, &StoreError) + Send + Sync>;

/// Calls to the parts of the daemon that watching does not know.
pub(crate) struct WorkerLink {
    /// Says that recordings were taken in: there may be a job to claim, or a failure to deliver.
    pub announce_jobs: Box<dyn Fn() + Send + Sync>,
    /// Says that jobs and deliveries which waited for the folder may try again.
    pub announce_retries: Box<dyn Fn() + Send + Sync>,
    /// Handles an error of the queue, given with the operation that failed.
    pub handle_queue_error: QueueErrorHandler,
    /// Returns the reason that is recorded for a file which the folder's service does not take.
    pub unsupported_reason: Box<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for WorkerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerLink").finish_non_exhaustive()
    }
}

/// The durable memory of one folder. Each call is one commit and may be repeated after a crash. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct FolderQueue {
    queue: Store,
    /// The folder's id.
    folder: String,
    /// The folder's name, for messages.
    name: String,
    marks: Arc<LastWords>,
    worker: Arc<WorkerLink>,
}

impl FolderQueue {
    /// Returns the memory that `queue` holds of `folder`.
    #[must_use]
    pub(crate) fn new(
        queue: Store,
        folder: &Folder,
        marks: Arc<LastWords>,
        worker: WorkerLink,
    ) -> Self {
        let worker = Arc::new(worker);
        Self { queue, folder: folder.id.clone(), name: folder.name.clone(), marks, worker }
    }

    /// Returns sightings by the bytes of their paths, those behind `after`; an empty answer is the end.
    pub(super) async fn read_sightings(&self, after: &Path) -> anyhow::Result<Vec<Sighting>> {
        self.check("read what was seen", self.queue.files().list(&self.folder, after).await)
    }

    /// Records sightings, each in place of the one of the same path.
    pub(super) async fn record_sightings(&self, sightings: Vec<Sighting>) -> anyhow::Result<()> {
        self.check("record what was seen", self.queue.files().record(&self.folder, sightings).await)
    }

    /// Forgets the sightings of files that were removed. Comes after the files that replaced them were taken.
    pub(super) async fn record_removed(&self, paths: Vec<PathBuf>) -> anyhow::Result<()> {
        self.check(
            "record what is gone",
            self.queue.files().record_missing(&self.folder, paths, clock::now()).await,
        )
    }

    /// Makes jobs of settled recordings, all or none of them. Content decides what is new.
    pub(super) async fn take_recordings(&self, settled: Vec<Settled>) -> anyhow::Result<()> {
        let unsupported = (self.worker.unsupported_reason)();
        let taken = self.check(
            "take recordings in",
            self.queue.files().take(settled, unsupported, clock::now()).await,
        )?;
        for taken in &taken {
            let job = taken.job;
            let shown = printable_path(&taken.path);
            match &taken.skipped {
                None => tracing::info!(job.id = job.0, "job {job}: `{shown}` is queued"),
                Some(why) => {
                    tracing::info!(job.id = job.0, "job {job}: `{shown}` is skipped: {why}");
                }
            }
        }
        (self.worker.announce_jobs)();
        Ok(())
    }

    /// Marks that a file is being parsed, for the next process; `None` when that cannot be written.
    pub(super) fn mark_parsing(&self, path: &Path, stamp: Stamp) -> Option<Mark> {
        self.marks.mark_or_go_on(&self.folder, path, stamp)
    }

    /// Returns whether a job of the folder may be of a file of this size.
    pub(super) async fn has_job_of_size(&self, size: u64) -> anyhow::Result<bool> {
        self.check(
            "read which jobs there are",
            self.queue.jobs().has_size(&self.folder, size).await,
        )
    }

    /// Returns the files that minuted died of too often, as they were: they are not parsed again.
    pub(super) async fn read_set_aside(&self) -> anyhow::Result<Vec<(PathBuf, Stamp)>> {
        Ok(self.queue.files().list_crashing(&self.folder).await?)
    }

    /// Returns the directory that the folder was at its first scan; `None` before that.
    pub(super) async fn read_baseline(&self) -> anyhow::Result<Option<FolderRoot>> {
        Ok(self.queue.folders().read_root(&self.folder).await?)
    }

    /// Records the directory of a folder, as the last step of its first scan: without it, a restart repeats that.
    pub(super) async fn record_baseline(&self, root: FolderRoot) -> anyhow::Result<()> {
        Ok(self.queue.folders().record_root(&self.folder, root).await?)
    }

    /// Records that something is wrong with the folder. Called when it begins, not while it lasts.
    pub(super) async fn hold_folder(&self, reason: HoldReason, detail: &str) -> anyhow::Result<()> {
        let detail = one_line(detail, DETAIL_MAX);
        let notice = reason.blocks_stages().then(|| format!("folder `{}`: {detail}", self.name));
        let hold = Hold {
            scope: Scope::Folder,
            name: self.folder.clone(),
            reason,
            detail,
            since: clock::now(),
        };
        self.queue
            .holds()
            .release(Scope::Folder, &self.folder, &HoldReason::ended_by(EndedBy::Scan))
            .await?;
        self.queue.holds().add(hold, notice).await?;
        Ok(())
    }

    /// Records that nothing is wrong with the folder any more.
    pub(super) async fn release_folder(&self) -> anyhow::Result<()> {
        if self
            .queue
            .holds()
            .release(Scope::Folder, &self.folder, &HoldReason::ended_by(EndedBy::Scan))
            .await?
        {
            self.wake_waiting().await?;
            (self.worker.announce_retries)();
        }
        Ok(())
    }

    /// Returns the directories below the folder on which something was mounted.
    pub(super) async fn read_mounts(&self) -> anyhow::Result<Vec<PathBuf>> {
        self.check("read what was mounted", self.queue.folders().read_mounts(&self.folder).await)
    }

    /// Records the directories below the folder on which something is mounted, or was.
    pub(super) async fn record_mounts(&self, mounts: Vec<PathBuf>) -> anyhow::Result<()> {
        self.check(
            "record what is mounted",
            self.queue.folders().record_mounts(&self.folder, mounts).await,
        )
    }

    /// Lets jobs and deliveries that wait for a file or a place of the folder try again: more of it can be read.
    pub(super) async fn wake_waiting(&self) -> anyhow::Result<()> {
        let woken = self.queue.folders().wake(&self.folder, clock::now()).await;
        if self.check("wake what waits for the folder", woken)? > 0 {
            (self.worker.announce_retries)();
        }
        Ok(())
    }

    /// Passes an answer of the queue on, and its error to the worker as well.
    fn check<T>(&self, operation: &str, answer: Result<T, StoreError>) -> anyhow::Result<T> {
        answer.map_err(|error| {
            (self.worker.handle_queue_error)(operation, &error);
            error.into()
        })
    }
}
