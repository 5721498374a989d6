//! What the folders' tasks know of the queue.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

use crate::{
    beneath::Stamp,
    clock, control,
    job::{EndedBy, HoldReason},
    last_words::{LastWords, Mark},
    queue::{Hold, QueueError, Scope, Settled, Sighting},
    text::{one_line, printable_path},
    watch::{Ledger, Root, Taken},
    worker::Worker,
};

/// The queue as the memory of the folders; wakes the worker when there is something to do.
pub(super) struct QueueLedger(pub(super) Arc<Worker>, pub(super) Arc<LastWords>);

#[async_trait]
impl Ledger for QueueLedger {
    async fn sightings(&self, folder: &str, after: &Path) -> anyhow::Result<Vec<Sighting>> {
        self.heard("read what was seen", self.0.queue.sightings(folder, after).await)
    }

    async fn see(&self, folder: &str, seen: Vec<Sighting>) -> anyhow::Result<()> {
        self.heard("record what was seen", self.0.queue.see(folder, seen).await)
    }

    async fn gone(&self, folder: &str, paths: Vec<PathBuf>) -> anyhow::Result<()> {
        self.heard("record what is gone", self.0.queue.gone(folder, paths, clock::now()).await)
    }

    async fn take(&self, settled: Vec<Settled>) -> anyhow::Result<Vec<Taken>> {
        let reason = settled.first().map(|first| self.unsupported(&first.folder)).unwrap_or_default();
        let taken = self.heard("take recordings in", self.0.queue.take(settled, reason, clock::now()).await)?;
        for taken in &taken {
            let (job, shown) = (taken.job, printable_path(&taken.path));
            match &taken.skipped {
                None => tracing::info!(job.id = job.0, "job {job}: `{shown}` is taken in"),
                Some(why) => tracing::info!(job.id = job.0, "job {job}: `{shown}` is skipped: {why}"),
            }
        }
        // A job that still needed a file may have lost it to new content.
        self.0.tidy_converted().await;
        self.0.claims.notify_one();
        // One that has failed at once is told of beside the recording.
        self.0.deliveries.notify_one();
        Ok(taken.into_iter().map(|taken| Taken { path: taken.path, job: taken.job.0 }).collect())
    }

    fn mark(&self, folder: &str, path: &Path, stamp: Stamp) -> Option<Mark> {
        self.1.mark_or_go_on(folder, path, stamp)
    }

    async fn has_job_of_size(&self, folder: &str, size: u64) -> anyhow::Result<bool> {
        self.heard("read which jobs there are", self.0.queue.has_job_of_size(folder, size).await)
    }

    async fn set_aside(&self, folder: &str) -> anyhow::Result<Vec<(PathBuf, Stamp)>> {
        Ok(self.0.queue.set_aside(folder).await?)
    }

    async fn folder_root(&self, folder: &str) -> anyhow::Result<Option<Root>> {
        Ok(self.0.queue.folder_root(folder).await?)
    }

    async fn meet(&self, folder: &str, root: Root) -> anyhow::Result<()> {
        Ok(self.0.queue.meet(folder, root).await?)
    }

    async fn hold_folder(&self, folder: &str, trouble: HoldReason, detail: String) -> anyhow::Result<()> {
        let live = self.0.live();
        let name = live.folders.get(folder).map_or(folder, |folder| folder.name.as_str()).to_owned();
        let detail = one_line(&detail, 500);
        let told = format!("folder `{name}`: {detail}");
        let hold = Hold { scope: Scope::Folder, name: folder.to_owned(), reason: trouble, detail, since: clock::now() };
        self.0.queue.release(Scope::Folder, folder, &HoldReason::ended_by(EndedBy::Scan)).await?;
        self.0.queue.hold(hold, trouble.blocks_stages().then_some(told)).await?;
        Ok(())
    }

    async fn release_folder(&self, folder: &str) -> anyhow::Result<()> {
        if self.0.queue.release(Scope::Folder, folder, &HoldReason::ended_by(EndedBy::Scan)).await? {
            self.wake(folder).await?;
            self.0.nudge();
        }
        Ok(())
    }

    async fn mounts(&self, folder: &str) -> anyhow::Result<Vec<PathBuf>> {
        self.heard("read what was mounted", self.0.queue.mounts(folder).await)
    }

    async fn remember_mounts(&self, folder: &str, mounts: Vec<PathBuf>) -> anyhow::Result<()> {
        self.heard("record what is mounted", self.0.queue.remember_mounts(folder, mounts).await)
    }

    async fn wake(&self, folder: &str) -> anyhow::Result<()> {
        let woken = self.0.queue.wake_folder(folder, clock::now()).await;
        if self.heard("wake what waits for the folder", woken)? > 0 {
            self.0.nudge();
        }
        Ok(())
    }
}

impl QueueLedger {
    /// Passes an answer of the queue on. What only a restart can mend ends the daemon, a full disk stops new work.
    fn heard<T>(&self, what: &str, answer: Result<T, QueueError>) -> anyhow::Result<T> {
        answer.map_err(|error| {
            self.0.queue_failed(what, &error);
            error.into()
        })
    }

    fn unsupported(&self, folder: &str) -> String {
        let live = self.0.live();
        let Some(folder) = live.folders.get(folder) else { return String::new() };
        let handle = live.services.get(&folder.service);
        handle.map(|handle| control::unsupported(folder, handle.service.as_ref())).unwrap_or_default()
    }
}
