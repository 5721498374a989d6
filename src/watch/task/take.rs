//! From quiet to taken: files are looked into in batches, and a batch becomes jobs with one commit.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::runtime::Handle;

use super::{LOST_GAP, Task};
use crate::{
    beneath::Dir,
    open_files::OpenFiles,
    queue::{Settled, Unplayable},
    text::printable_path,
    watch::{
        examine::{Candidate, Finding},
        eyes::{self, Examination, Trouble},
        pool::{CHUNK_FILES, QuietFile, is_large},
        settle::{CloseCheck, Observation},
        turns::Turn,
        view::{Clocks, State},
    },
};

/// Batches that a folder looks into at once; they take turns at reading.
const CHUNKS: usize = 2;

/// How many of them may be a large file: a small one is read between its slices.
const LARGE_MAX: usize = CHUNKS - 1;

/// A batch that was looked into, or why the folder could not be.
#[derive(Debug)]
pub(super) struct Examined {
    is_large: bool,
    done: Result<ExaminedBatch, Trouble>,
}

/// What became of a batch of quiet files.
#[derive(Debug, Default)]
pub(super) struct ExaminedBatch {
    /// Those that were looked into.
    found: Vec<(Candidate, Finding)>,
    /// Those that are still open, or were closed only now.
    waiting: Vec<(PathBuf, Observation)>,
}

impl ExaminedBatch {
    /// Asks who has which of the files open; returns those that nobody has, to be looked into. Blocks.
    fn ask(&mut self, open_files: &OpenFiles, root: &Path, quiet: Vec<QuietFile>, clocks: Clocks) -> Vec<Candidate> {
        let paths: Vec<&Path> = quiet.iter().map(|file| file.candidate.path.as_path()).collect();
        let in_use = Dir::open(root).map(|root| open_files.in_use(&root, &paths)).unwrap_or_default();
        // Of a folder that cannot be opened nothing is known, which is told when its files are looked into.
        let in_use = in_use.into_iter().chain(std::iter::repeat(None));
        let mut closed = Vec::new();
        for (QuietFile { candidate, mut seen }, in_use) in quiet.into_iter().zip(in_use) {
            match seen.asked(in_use, clocks.now()) {
                CloseCheck::Open | CloseCheck::JustClosed => self.waiting.push((candidate.path, seen)),
                CloseCheck::Closed => {
                    open_files.written.end_doubt(&root.join(&candidate.path));
                    closed.push(candidate);
                }
            }
        }
        closed
    }
}

impl Task {
    /// Whether another batch may be looked into.
    pub(super) fn may_examine(&self, state: &State) -> bool {
        let is_held = state.trouble.as_ref().is_some_and(|trouble| trouble.kind.blocks_stages());
        !is_held && self.scans > 0 && self.examining.len() < CHUNKS && self.settled.len() < CHUNK_FILES
    }

    /// Whether a large file may be.
    pub(super) fn may_examine_large(&self) -> bool {
        self.large < LARGE_MAX
    }

    /// Begins to look into what has been quiet for long enough.
    pub(super) fn examine_due(&mut self) {
        let now = self.clocks.now().running;
        loop {
            let quiet = {
                let mut state = self.end.view.state();
                let patience = state.patience;
                if self.may_examine(&state) {
                    state.pool.due(&patience, now, self.large < LARGE_MAX)
                } else {
                    Vec::new()
                }
            };
            if quiet.is_empty() {
                return;
            }
            self.examine(quiet);
        }
    }

    fn examine(&mut self, mut quiet: Vec<QuietFile>) {
        for QuietFile { candidate, .. } in &mut quiet {
            candidate.is_set_aside = self.set_aside.get(&candidate.path) == Some(&candidate.stamp);
        }
        let queue = self.queue.clone();
        let (path, rules) = (self.folder.path.clone(), Arc::clone(&self.rules));
        let (stop, view, name) = (self.stop.clone(), Arc::clone(self.view()), self.folder.name.clone());
        let (open_files, clocks) = (Arc::clone(&self.open_files), self.clocks);
        let is_large = quiet.iter().any(|file| is_large(file.candidate.stamp.size));
        self.large += usize::from(is_large);
        let (line, limits) = (self.line.clone(), self.folder.limits);
        self.examining.spawn(async move {
            let turn = Turn::begin(line, stop.clone()).await;
            let readers_turn = Arc::clone(&turn);
            let examine = move || {
                let mark = |path: &Path, stamp| queue.mark_parsing(path, stamp);
                let pass_on = || readers_turn.pass_on();
                let mut batch = ExaminedBatch::default();
                let closed = batch.ask(&open_files, &path, quiet, clocks);
                let has_job = |size| {
                    let asked = Handle::current().block_on(queue.has_job_of_size(size));
                    // What cannot be asked now is read, so that no job loses its file.
                    asked.unwrap_or(true)
                };
                let with = Examination {
                    mark: &mark,
                    stop: &stop,
                    opened: &view.opened,
                    limits,
                    has_job_of_size: &has_job,
                    pass_on: &pass_on,
                };
                batch.found = eyes::examine(&path, closed, &rules, &with)?;
                Ok(batch)
            };
            let mut examining = tokio::task::spawn_blocking(examine);
            let mut is_told = false;
            let examined = loop {
                tokio::select! {
                    examined = &mut examining => break examined,
                    () = turn.overdue() => turn.give_back(),
                }
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(folder = name, "recordings of folder `{name}` are read very slowly, or not at all");
                }
            };
            turn.give_back();
            let done = examined.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down.
                Err(_) => Ok(ExaminedBatch::default()),
            });
            Examined { is_large, done }
        });
    }

    /// Takes in what was found in a batch.
    pub(super) async fn examined(&mut self, examined: Examined) -> anyhow::Result<()> {
        self.large -= usize::from(examined.is_large);
        let Ok(batch) = examined.done else {
            self.put_all_back();
            self.scan_at = Duration::ZERO;
            return Ok(());
        };
        for (path, seen) in batch.waiting {
            self.wait_for_close(&path, seen);
        }
        let mut vanished = Vec::new();
        for (candidate, finding) in batch.found {
            let is_gone = finding == Finding::Gone;
            self.found(&candidate, finding);
            if is_gone {
                vanished.push(candidate.path);
            }
        }
        self.vanish(vanished).await
    }

    /// A quiet file is still open, or was closed only now.
    fn wait_for_close(&self, path: &Path, seen: Observation) {
        if let Some(in_use) = &seen.in_use {
            tracing::debug!(folder = self.folder.name, "`{}` waits: {in_use}", printable_path(path));
        }
        let now = self.clocks.now().running;
        let mut state = self.view().state();
        let patience = state.patience;
        state.pool.wait_for_close(path, seen, &patience, now);
    }

    /// The folder itself could not be opened: every batch comes back, and is tried again after the next scan.
    fn put_all_back(&self) {
        let not_before = self.clocks.now().running + LOST_GAP;
        let mut state = self.view().state();
        let paths: Vec<PathBuf> = state.pool.iter().map(|(path, _)| path.to_owned()).collect();
        for path in paths {
            state.pool.put_back(&path, not_before);
        }
    }

    fn found(&mut self, candidate: &Candidate, finding: Finding) {
        let (now, path) = (self.clocks.now(), candidate.path.as_path());
        let view = Arc::clone(self.view());
        let mut state = view.state();
        let patience = state.patience;
        let Some(entry) = state.pool.get_mut(path).filter(|entry| entry.seen.stamp == candidate.stamp) else { return };
        match finding {
            Finding::Whole { content, sound, recorded, incomplete } => {
                let (folder, backlog) = (self.folder.id.clone(), entry.backlog);
                self.say_whole(path, incomplete);
                let (path, stamp) = (path.to_owned(), candidate.stamp);
                let unplayable = candidate.is_set_aside.then_some(Unplayable::Crashes);
                self.settled.push(Settled {
                    folder,
                    path,
                    stamp,
                    content,
                    sound,
                    recorded,
                    backlog,
                    unplayable,
                    length_max: Some(self.folder.limits.max_duration),
                });
            }
            Finding::Beyond { bound, content, recorded } => self.settled.push(Settled {
                folder: self.folder.id.clone(),
                path: path.to_owned(),
                stamp: candidate.stamp,
                content,
                sound: None,
                recorded,
                backlog: entry.backlog,
                unplayable: Some(Unplayable::Beyond(bound)),
                length_max: None,
            }),
            Finding::Soundless { content, recorded } => self.settled.push(Settled {
                folder: self.folder.id.clone(),
                path: path.to_owned(),
                stamp: candidate.stamp,
                content: Some(content),
                sound: None,
                recorded,
                backlog: entry.backlog,
                unplayable: Some(Unplayable::NoSound),
                length_max: None,
            }),
            Finding::Unfinished(why) => {
                entry.seen.examined(Some(why), &patience, now.running);
                state.pool.put_back(path, Duration::ZERO);
                tracing::debug!(folder = self.folder.name, "`{}` waits: {why}", printable_path(path));
            }
            Finding::Changed(stamp) => {
                let scan = self.scans;
                state.pool.observe(path, stamp, now, scan, &patience);
            }
            Finding::Unreadable(why) => {
                if state.pool.unreadable(path, &why, &patience, now) {
                    let shown = printable_path(path);
                    tracing::warn!(folder = self.folder.name, "cannot read `{shown}`: {why}; tried again by itself");
                }
            }
            Finding::Lookalike => {
                state.pool.remove(path);
            }
            Finding::Gone | Finding::Stopped => state.pool.put_back(path, Duration::ZERO),
        }
    }

    fn say_whole(&self, path: &Path, incomplete: Option<&'static str>) {
        if let Some(why) = incomplete {
            let shown = printable_path(path);
            tracing::warn!(folder = self.folder.name, "`{shown}` is taken as it is, quiet for an hour, although {why}");
        }
    }

    /// Gives the queue what has settled.
    pub(super) async fn take(&mut self) -> anyhow::Result<()> {
        while !self.settled.is_empty() && self.ledger_from <= self.clocks.now().running {
            let batch: Vec<Settled> = self.settled.iter().take(CHUNK_FILES).cloned().collect();
            match self.queue.take_recordings(batch).await {
                Ok(()) => {
                    self.is_ledger_failing = false;
                    let rest = self.settled.split_off(self.settled.len().min(CHUNK_FILES));
                    let done = std::mem::replace(&mut self.settled, rest);
                    self.taken(done).await?;
                }
                Err(error) => self.ledger_failed(&error),
            }
        }
        Ok(())
    }

    async fn taken(&mut self, done: Vec<Settled>) -> anyhow::Result<()> {
        {
            let mut state = self.view().state();
            for settled in &done {
                // What changed since then goes on settling.
                if state.pool.get(&settled.path).is_some_and(|entry| entry.seen.stamp == settled.stamp) {
                    state.pool.remove(&settled.path);
                }
            }
        }
        self.know(done.into_iter().map(|settled| (settled.path, settled.stamp)).collect()).await
    }

    /// Writes down what is settling, so that a restart goes on from there.
    pub(super) async fn keep(&mut self) {
        let now = self.clocks.now().running;
        if self.ledger_from > now {
            return;
        }
        let sightings = {
            let mut state = self.view().state();
            let patience = state.patience;
            state.pool.to_keep(&patience, now)
        };
        for rows in sightings.chunks(super::ROWS) {
            if let Err(error) = self.queue.record_sightings(rows.to_vec()).await {
                self.ledger_failed(&error);
                let retry_at = self.ledger_from;
                self.view().state().pool.not_kept(rows, retry_at);
            }
        }
    }

    /// Warns of files that still change after hours, once each.
    pub(super) fn warn_of_slow(&self) {
        let now = self.clocks.now().running;
        let slow = {
            let mut state = self.view().state();
            let patience = state.patience;
            state.pool.become_slow(&patience, now)
        };
        for (path, in_use) in slow {
            let (folder, shown) = (&self.folder.name, printable_path(&path));
            if let Some(in_use) = in_use {
                tracing::warn!(folder, "`{shown}` is not closed after hours: {in_use}; minuted waits until it is");
            } else {
                tracing::warn!(folder, "`{shown}` still changes after hours; minuted waits until it is quiet");
            }
        }
    }
}
