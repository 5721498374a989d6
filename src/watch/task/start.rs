//! The start of a folder's task, with what the queue remembers of the folder.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{
    FolderTask,
    batches::Batches,
    identity::FolderIdentity,
    missing::MissingFiles,
    report::ReportedTrouble,
    schedule::{QueueRetry, Schedule},
};
use crate::{
    beneath::Stamp,
    config::Folder,
    open_files::{OpenFiles, boot_id},
    store::{FileVerdict, Sighting},
    watch::{
        folder_queue::FolderQueue,
        handle::FolderEnd,
        names::FileFilter,
        scanner::hints::Hints,
        scanner::{BlockingScanner, FolderScanner},
        settle::SettlePolicy,
        view::TaskClocks,
    },
};

impl FolderTask {
    /// Returns a task that knows what the queue knows, and has scanned nothing.
    pub(super) async fn start(
        folder: Folder,
        accepts: &[String],
        queue: FolderQueue,
        end: FolderEnd,
        stop: CancellationToken,
        open_files: Arc<OpenFiles>,
        hints_max: usize,
    ) -> anyhow::Result<Self> {
        let filter = Arc::new(FileFilter::new(&folder, accepts));
        let hints = Arc::new(Hints::new(&folder.path, Arc::clone(&open_files), hints_max));
        // Nobody has listened until now.
        hints.doubt_closes();
        let scanner = FolderScanner::new(
            &folder.path,
            Arc::clone(&filter),
            folder.watch,
            Arc::clone(&hints),
            stop.clone(),
        );
        let baseline =
            queue.read_baseline().await.context("failed to read the folder's baseline")?;
        let set_aside = queue.read_set_aside().await.context("failed to read what is set aside")?;
        let mounts = queue.read_mounts().await.context("failed to read what was mounted before")?;
        let mut task = Self {
            identity: FolderIdentity::new(baseline, mounts.clone()),
            batches: Batches::new(filter, open_files, stop, set_aside.into_iter().collect()),
            scanner: BlockingScanner::new(scanner),
            clocks: TaskClocks::start(),
            schedule: Schedule::default(),
            retry: QueueRetry::default(),
            missing: MissingFiles::default(),
            reported: ReportedTrouble::default(),
            folder,
            queue,
            end,
            hints,
        };
        task.view().state().policy = SettlePolicy::new(task.folder.settle_time(false));
        task.scanner.run(move |scanner| scanner.mounts = mounts.into_iter().collect()).await?;
        task.restore_sightings().await?;
        Ok(task)
    }

    async fn restore_sightings(&mut self) -> anyhow::Result<()> {
        let mut after = PathBuf::new();
        loop {
            let page = self.queue.read_sightings(&after).await;
            let page = page.context("failed to read what was seen before")?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.path);
            self.restore_page(page).await?;
        }
    }

    async fn restore_page(&mut self, sightings: Vec<Sighting>) -> anyhow::Result<()> {
        let now = self.clocks.now();
        let baseline = &self.identity.baseline;
        let mut unchanged = Vec::new();
        {
            let mut state = self.end.view.state();
            for sighting in sightings {
                state.backlog +=
                    u64::from(sighting.verdict == FileVerdict::Backlog && baseline.is_some());
                match (sighting.verdict, baseline) {
                    (FileVerdict::Settling, _) => {
                        if sighting.written_boot.is_some()
                            && sighting.written_boot.as_deref() == boot_id()
                        {
                            let path = self.folder.path.join(&sighting.path);
                            self.batches.open_files.written.resume(&path, sighting.since);
                        }
                        let is_backlog =
                            baseline.as_ref().is_some_and(|root| sighting.first <= root.met);
                        state.settling.resume(&sighting, is_backlog, now, 0);
                    }
                    (FileVerdict::Taken { .. }, _)
                    | (FileVerdict::Backlog | FileVerdict::Ignored, Some(_)) => {
                        unchanged.push((sighting.path, sighting.stamp));
                    }
                    // The first scan was interrupted: it is repeated, and decides about these again.
                    (FileVerdict::Backlog | FileVerdict::Ignored, None) => {}
                }
            }
        }
        self.mark_unchanged(unchanged).await
    }

    /// Has scans pass these files over as long as they are unchanged.
    pub(super) async fn mark_unchanged(&self, files: Vec<(PathBuf, Stamp)>) -> anyhow::Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let insert = move |scanner: &mut FolderScanner| {
            for (path, stamp) in &files {
                let path = scanner.known.hash_path(path);
                scanner.known.insert(path, stamp);
            }
        };
        self.scanner.run(insert).await
    }
}
