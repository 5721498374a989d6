//! From quiet to taken: quiet files are examined in batches, and a batch becomes jobs with one commit.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::tz::TimeZone;
use tokio::{runtime::Handle, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{FolderTask, ROWS, schedule::LOST_GAP};
use crate::{
    beneath::{Dir, Stamp},
    open_files::OpenFiles,
    store::Settled,
    text::printable_path,
    watch::{
        examine::{Examiner, Inspection, QuietFile},
        names::FileFilter,
        settle::files::{CHUNK_FILES, DueFile, is_large},
        settle::{CloseCheck, Stability},
        turns::{FolderLine, ReadingTurn},
        view::{FolderState, TaskClocks},
    },
};

/// Batches of a folder that are examined at once; they take turns at reading.
const BATCHES_MAX: usize = 2;

/// Batches of them that may be a large file: a small one is read between its slices.
const LARGE_MAX: usize = BATCHES_MAX - 1;

/// The batches of a folder: those that are examined, and the recordings that the queue has not taken yet.
#[derive(Debug)]
pub(super) struct Batches {
    filter: Arc<FileFilter>,
    /// The files that processes have open.
    pub(super) open_files: Arc<OpenFiles>,
    stop: CancellationToken,
    pub(super) running: JoinSet<ExaminedBatch>,
    /// Number of the running batches that are a large file.
    large: usize,
    /// The line in which the batches wait for their turn to read.
    line: FolderLine,
    /// Recordings that are hashed, and not yet taken by the queue.
    settled: Vec<Settled>,
    /// Files that minuted died of too often, as they were: they are not parsed again.
    set_aside: HashMap<PathBuf, Stamp>,
}

/// A batch that was examined; an error where the folder could not be opened.
#[derive(Debug)]
pub(super) struct ExaminedBatch {
    is_large: bool,
    files: io::Result<ExaminedFiles>,
}

/// The files of a batch.
#[derive(Debug, Default)]
struct ExaminedFiles {
    /// Closed files, with what was found in each.
    found: Vec<(QuietFile, Inspection)>,
    /// Files that are still open, or were closed only now.
    waiting: Vec<(PathBuf, Stability)>,
}

impl ExaminedFiles {
    /// Asks who has which of the quiet files open; returns those that nobody has. Blocks.
    fn select_closed(
        &mut self,
        open_files: &OpenFiles,
        root: &Dir,
        quiet: Vec<DueFile>,
        clocks: TaskClocks,
    ) -> Vec<QuietFile> {
        let paths: Vec<&Path> = quiet.iter().map(|file| file.file.path.as_path()).collect();
        let in_use = open_files.in_use(root, &paths);
        let mut closed = Vec::new();
        for (DueFile { file, mut seen }, in_use) in quiet.into_iter().zip(in_use) {
            match seen.record_close_check(in_use, clocks.now()) {
                CloseCheck::Open | CloseCheck::JustClosed => self.waiting.push((file.path, seen)),
                CloseCheck::Closed => {
                    open_files.written.end_doubt(&root.path().join(&file.path));
                    closed.push(file);
                }
            }
        }
        closed
    }
}

impl Batches {
    pub(super) fn new(
        filter: Arc<FileFilter>,
        open_files: Arc<OpenFiles>,
        stop: CancellationToken,
        set_aside: HashMap<PathBuf, Stamp>,
    ) -> Self {
        Self {
            filter,
            open_files,
            stop,
            running: JoinSet::new(),
            large: 0,
            line: FolderLine::default(),
            settled: Vec::new(),
            set_aside,
        }
    }

    /// Returns whether nothing is examined or waits for the queue.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.settled.is_empty()
    }

    /// Returns whether recordings wait for the queue.
    pub(super) fn has_settled(&self) -> bool {
        !self.settled.is_empty()
    }

    /// Returns whether a large file may be examined now.
    pub(super) fn may_begin_large(&self) -> bool {
        self.large < LARGE_MAX
    }

    fn may_begin(&self) -> bool {
        self.running.len() < BATCHES_MAX && self.settled.len() < CHUNK_FILES
    }
}

impl FolderTask {
    /// Returns whether another batch may be examined.
    pub(super) fn may_examine(&self, state: &FolderState) -> bool {
        !state.is_held() && self.schedule.scans > 0 && self.batches.may_begin()
    }

    /// Begins to examine the files that have been quiet for long enough.
    pub(super) fn examine_due(&mut self) {
        let now = self.clocks.now().running;
        loop {
            let quiet = {
                let mut state = self.end.view.state();
                let policy = state.policy;
                if self.may_examine(&state) {
                    state.settling.take_due(&policy, now, self.batches.may_begin_large())
                } else {
                    Vec::new()
                }
            };
            if quiet.is_empty() {
                return;
            }
            self.begin_batch(quiet);
        }
    }

    fn begin_batch(&mut self, mut quiet: Vec<DueFile>) {
        let batches = &mut self.batches;
        for DueFile { file, .. } in &mut quiet {
            file.is_set_aside = batches.set_aside.get(&file.path) == Some(&file.stamp);
        }
        let is_large = quiet.iter().any(|file| is_large(file.file.stamp.size));
        batches.large += usize::from(is_large);
        let queue = self.queue.clone();
        let path = self.folder.path.clone();
        let name = self.folder.name.clone();
        let limits = self.folder.limits;
        let filter = Arc::clone(&batches.filter);
        let open_files = Arc::clone(&batches.open_files);
        let stop = batches.stop.clone();
        let line = batches.line.clone();
        let view = Arc::clone(&self.end.view);
        let clocks = self.clocks;
        batches.running.spawn(async move {
            let turn = ReadingTurn::begin(line, stop.clone()).await;
            let readers_turn = Arc::clone(&turn);
            let mut examining = tokio::task::spawn_blocking(move || {
                let root = Dir::open(&path)?;
                let mut files = ExaminedFiles::default();
                let closed = files.select_closed(&open_files, &root, quiet, clocks);
                let examiner = Examiner {
                    root: &root,
                    filter: &filter,
                    zone: &TimeZone::system(),
                    mark: &|path, stamp| queue.mark_parsing(path, stamp),
                    stop: &stop,
                    opened: &view.opened,
                    limits,
                    // A size that cannot be asked now is read, so that no job loses its file.
                    has_job_of_size: &|size| {
                        Handle::current().block_on(queue.has_job_of_size(size)).unwrap_or(true)
                    },
                    pass_on: &|| readers_turn.pass_on(),
                };
                files.found = examiner.examine_all(closed);
                Ok(files)
            });
            let mut is_slow_logged = false;
            let examined = loop {
                tokio::select! {
                    examined = &mut examining => break examined,
                    () = turn.wait_overdue() => turn.give_back(),
                }
                if !std::mem::replace(&mut is_slow_logged, true) {
                    tracing::warn!(
                        folder = name,
                        "recordings of folder `{name}` are read very slowly, or not at all"
                    );
                }
            };
            turn.give_back();
            let files = examined.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down.
                Err(_) => Ok(ExaminedFiles::default()),
            });
            ExaminedBatch { is_large, files }
        });
    }

    /// Takes in a batch that was examined.
    pub(super) async fn finish_batch(&mut self, batch: ExaminedBatch) -> anyhow::Result<()> {
        self.batches.large -= usize::from(batch.is_large);
        let Ok(files) = batch.files else {
            self.put_all_back();
            self.schedule.scan_at_once();
            return Ok(());
        };
        for (path, seen) in files.waiting {
            self.wait_for_close(&path, seen);
        }
        let mut missing = Vec::new();
        for (file, finding) in files.found {
            let is_gone = finding == Inspection::Gone;
            self.take_in_finding(&file, finding);
            if is_gone {
                missing.push(file.path);
            }
        }
        self.mark_missing(missing).await
    }

    /// Lets a quiet file that is still open, or was closed only now, go on settling.
    fn wait_for_close(&self, path: &Path, seen: Stability) {
        if let Some(in_use) = &seen.in_use {
            tracing::debug!(
                folder = self.folder.name,
                "`{}` waits: {in_use}",
                printable_path(path)
            );
        }
        let now = self.clocks.now().running;
        let mut state = self.view().state();
        let policy = state.policy;
        state.settling.wait_for_close(path, seen, &policy, now);
    }

    /// Lets every batch be tried again after the next scan: the folder itself could not be opened.
    fn put_all_back(&self) {
        let not_before = self.clocks.now().running + LOST_GAP;
        let mut state = self.view().state();
        let paths: Vec<PathBuf> = state.settling.iter().map(|(path, _)| path.to_owned()).collect();
        for path in paths {
            state.settling.put_back(&path, not_before);
        }
    }

    fn take_in_finding(&mut self, file: &QuietFile, finding: Inspection) {
        let now = self.clocks.now();
        let path = file.path.as_path();
        let shown = printable_path(path);
        let folder = &self.folder.name;
        let mut state = self.end.view.state();
        let policy = state.policy;
        let Some(entry) =
            state.settling.get_mut(path).filter(|entry| entry.seen.stamp == file.stamp)
        else {
            return;
        };
        if let Inspection::Whole { incomplete: Some(why), .. } = &finding {
            tracing::warn!(
                folder,
                "`{shown}` has been quiet for an hour and is queued as it is, although {why}"
            );
        }
        let finding = match finding.into_settled(&self.folder, file, entry.backlog) {
            Ok(settled) => return self.batches.settled.push(settled),
            Err(finding) => finding,
        };
        match finding {
            Inspection::Unfinished(why) => {
                entry.seen.mark_unfinished(why);
                state.settling.put_back(path, Duration::ZERO);
                tracing::debug!(folder, "`{shown}` waits: {why}");
            }
            Inspection::Changed(stamp) => {
                state.settling.observe(path, stamp, now, self.schedule.scans, &policy);
            }
            Inspection::Unreadable(why) => {
                if state.settling.mark_unreadable(path, &why, &policy, now) {
                    tracing::warn!(folder, "cannot read `{shown}`: {why}; minuted keeps trying");
                }
            }
            Inspection::Lookalike => {
                state.settling.remove(path);
            }
            Inspection::Whole { .. }
            | Inspection::Beyond { .. }
            | Inspection::Soundless { .. }
            | Inspection::Gone
            | Inspection::Stopped => state.settling.put_back(path, Duration::ZERO),
        }
    }

    /// Gives the queue the recordings that have settled.
    pub(super) async fn take_settled(&mut self) -> anyhow::Result<()> {
        while self.batches.has_settled() && self.retry.is_due(self.clocks.now().running) {
            let size = self.batches.settled.len().min(CHUNK_FILES);
            match self.queue.take_recordings(self.batches.settled[..size].to_vec()).await {
                Ok(()) => {
                    self.retry.record_success();
                    let taken = self.batches.settled.drain(..size).collect();
                    self.forget_taken(taken).await?;
                }
                Err(error) => self.record_queue_failure(&error),
            }
        }
        Ok(())
    }

    async fn forget_taken(&self, taken: Vec<Settled>) -> anyhow::Result<()> {
        {
            let mut state = self.view().state();
            for settled in &taken {
                // A file that has changed since then goes on settling.
                if state
                    .settling
                    .get(&settled.path)
                    .is_some_and(|entry| entry.seen.stamp == settled.stamp)
                {
                    state.settling.remove(&settled.path);
                }
            }
        }
        self.mark_unchanged(
            taken.into_iter().map(|settled| (settled.path, settled.stamp)).collect(),
        )
        .await
    }

    /// Records the files that are settling, so that a restart goes on from there.
    pub(super) async fn record_settling(&mut self) {
        let now = self.clocks.now().running;
        if !self.retry.is_due(now) {
            return;
        }
        let sightings = {
            let mut state = self.view().state();
            let policy = state.policy;
            state.settling.take_unrecorded(&policy, now)
        };
        for rows in sightings.chunks(ROWS) {
            if let Err(error) = self.queue.record_sightings(rows.to_vec()).await {
                self.record_queue_failure(&error);
                self.view().state().settling.mark_unrecorded(rows, self.retry.not_before);
            }
        }
    }

    /// Warns of files that still change after hours, once each.
    pub(super) fn warn_of_slow(&self) {
        let now = self.clocks.now().running;
        let slow = {
            let mut state = self.view().state();
            let policy = state.policy;
            state.settling.take_slow(&policy, now)
        };
        let folder = &self.folder.name;
        for (path, in_use) in slow {
            let shown = printable_path(&path);
            if let Some(in_use) = in_use {
                tracing::warn!(
                    folder,
                    "`{shown}` is not closed after hours: {in_use}; minuted waits until it is"
                );
            } else {
                tracing::warn!(
                    folder,
                    "`{shown}` still changes after hours; minuted waits until it is quiet"
                );
            }
        }
    }
}
