//! How a folder's task begins: with what the queue remembers.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Task;
use crate::{
    beneath::Stamp,
    config::Folder,
    open_files::{OpenFiles, boot_id},
    queue::{Sighting, Verdict},
    watch::{
        eyes::{Eyes, Lent},
        folder_queue::FolderQueue,
        handle::FolderEnd,
        hints::Hints,
        names::Rules,
        settle::Patience,
        turns::FolderLine,
        view::Clocks,
    },
};

impl Task {
    /// Returns a task that knows what the queue knows, and has seen nothing.
    pub(super) async fn begin(
        folder: Folder,
        accepts: &[String],
        queue: FolderQueue,
        end: FolderEnd,
        stop: CancellationToken,
        open_files: Arc<OpenFiles>,
        hints_max: usize,
    ) -> anyhow::Result<Self> {
        let rules = Arc::new(Rules::new(&folder, accepts));
        let hints = Arc::new(Hints::new(&folder.path, Arc::clone(&open_files), hints_max));
        // Nobody has listened until now.
        hints.doubt();
        let eyes = Eyes::new(&folder.path, Arc::clone(&rules), folder.watch, Arc::clone(&hints), stop.clone());
        let pulse = Arc::clone(&eyes.pulse);
        let root = queue.read_baseline().await.context("failed to read where the folder was met")?;
        let set_aside = queue.read_set_aside().await.context("failed to read what is set aside")?;
        let mut task = Self {
            rules,
            queue,
            end,
            stop,
            hints,
            open_files,
            eyes: Lent::new(eyes),
            clocks: Clocks::start(),
            root,
            place: None,
            pulse,
            decided: None,
            examining: JoinSet::new(),
            large: 0,
            line: FolderLine::default(),
            settled: Vec::new(),
            set_aside: set_aside.into_iter().collect(),
            gone: BTreeMap::new(),
            scans: 0,
            scan_at: Duration::ZERO,
            hints_from: Duration::ZERO,
            lost_from: Duration::ZERO,
            is_lost: false,
            ledger_from: Duration::ZERO,
            told: None,
            is_told: false,
            is_ledger_failing: false,
            unresolved: 0,
            mounts: Vec::new(),
            folder,
        };
        task.remember().await?;
        Ok(task)
    }

    /// Takes in what the queue knows of the folder.
    async fn remember(&mut self) -> anyhow::Result<()> {
        self.view().state().patience = Patience::new(self.folder.settle_time(false));
        let mounts = self.queue.read_mounts().await.context("failed to read what was mounted before")?;
        self.mounts.clone_from(&mounts);
        self.eyes.run(move |eyes| eyes.mounts = mounts.into_iter().collect()).await?;
        let mut after = PathBuf::new();
        loop {
            let page = self.queue.read_sightings(&after).await;
            let page = page.context("failed to read what was seen before")?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.path);
            self.remember_page(page).await?;
        }
    }

    async fn remember_page(&mut self, sightings: Vec<Sighting>) -> anyhow::Result<()> {
        let now = self.clocks.now();
        let root = self.root.clone();
        let mut known = Vec::new();
        {
            let mut state = self.view().state();
            for sighting in sightings {
                state.backlog += u64::from(sighting.verdict == Verdict::Backlog && root.is_some());
                match (sighting.verdict, &root) {
                    (Verdict::Settling, _) => {
                        if sighting.written_boot.is_some() && sighting.written_boot.as_deref() == boot_id() {
                            let path = self.folder.path.join(&sighting.path);
                            self.open_files.written.resume(&path, sighting.since);
                        }
                        let backlog = root.as_ref().is_some_and(|root| sighting.first <= root.met);
                        state.pool.resume(&sighting, backlog, now, 0);
                    }
                    (Verdict::Taken { .. }, _) | (Verdict::Backlog | Verdict::Ignored, Some(_)) => {
                        known.push((sighting.path, sighting.stamp));
                    }
                    // Meeting the folder was interrupted: it is met again, and these with it.
                    (Verdict::Backlog | Verdict::Ignored, None) => {}
                }
            }
        }
        self.know(known).await
    }

    /// Has these files need no look any more.
    pub(super) async fn know(&self, files: Vec<(PathBuf, Stamp)>) -> anyhow::Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let insert = move |eyes: &mut Eyes| {
            for (path, stamp) in &files {
                let path = eyes.known.path(path);
                eyes.known.insert(path, stamp);
            }
        };
        self.eyes.run(insert).await
    }
}
