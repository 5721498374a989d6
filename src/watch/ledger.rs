//! What watching asks of the durable queue, and tells it.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

pub use crate::queue::Root;
use crate::{
    beneath::Stamp,
    job::HoldReason,
    last_words::Mark,
    queue::{Settled, Sighting},
};

/// The durable memory of the folders. Each call is one commit and may be repeated after a crash.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Returns sightings in a folder by the bytes of their paths, those behind `after`; an empty answer is the end.
    async fn sightings(&self, folder: &str, after: &Path) -> anyhow::Result<Vec<Sighting>>;

    /// Records sightings, each in place of the one of the same path.
    async fn see(&self, folder: &str, seen: Vec<Sighting>) -> anyhow::Result<()>;

    /// Forgets sightings whose files are not there any more. Called after `take` of what came instead.
    async fn gone(&self, folder: &str, paths: Vec<PathBuf>) -> anyhow::Result<()>;

    /// Makes jobs, and the sightings of their files `Taken`. Content decides what is new.
    async fn take(&self, settled: Vec<Settled>) -> anyhow::Result<Vec<Taken>>;

    /// Marks that a file is being parsed, for whoever comes after this process; `None` when that cannot be written.
    fn mark(&self, folder: &str, path: &Path, stamp: Stamp) -> Option<Mark>;

    /// Returns whether a job of the folder may be of a file of this size.
    async fn has_job_of_size(&self, folder: &str, size: u64) -> anyhow::Result<bool>;

    /// Returns the files that minuted died of too often, as they were: they are not parsed again.
    async fn set_aside(&self, folder: &str) -> anyhow::Result<Vec<(PathBuf, Stamp)>>;

    /// Returns what the folder was when it was met; `None` when minuted has never met it.
    async fn folder_root(&self, folder: &str) -> anyhow::Result<Option<Root>>;

    /// Records that the folder is met. The last step of meeting it: without it, a restart meets it anew.
    async fn meet(&self, folder: &str, root: Root) -> anyhow::Result<()>;

    /// Records that something is wrong with a folder. Called when it begins, not while it lasts.
    async fn hold_folder(&self, folder: &str, trouble: HoldReason, detail: String) -> anyhow::Result<()>;

    /// Records that nothing is wrong with a folder any more.
    async fn release_folder(&self, folder: &str) -> anyhow::Result<()>;

    /// Returns the directories below the folder on which something was mounted.
    async fn mounts(&self, folder: &str) -> anyhow::Result<Vec<PathBuf>>;

    /// Records the directories below the folder on which something is mounted, or was.
    async fn remember_mounts(&self, folder: &str, mounts: Vec<PathBuf>) -> anyhow::Result<()>;

    /// Lets what waits for a file of the folder, or for a place in it, try again: more of it can be read than before.
    async fn wake(&self, folder: &str) -> anyhow::Result<()>;
}

/// The job made of a settled recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The path, as it was given.
    pub path: PathBuf,
    /// The job's id.
    pub job: i64,
}
