//! The state of a folder as its task shows it: for `status`, for `why`, and for commands that wait until it is quiet.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::{
    scanner::walk::LeftOut,
    scanner::{FolderTrouble, WatchMode},
    settle::files::{SettlingFile, SettlingFiles},
    settle::{Now, SettlePolicy},
};
use crate::{clock::elapsed, open_files::InUse};

/// A folder as it is seen now.
#[derive(Debug)]
pub(crate) struct FolderView {
    state: Mutex<FolderState>,
    quiet: watch::Sender<bool>,
    /// Files opened to be read: none for what is known.
    pub opened: AtomicU64,
    /// Complete walks over the folder.
    pub scans: AtomicU64,
}

/// The state behind the lock. The folder's task writes it, never across an await.
#[derive(Debug)]
pub(crate) struct FolderState {
    /// The files that are settling.
    pub settling: SettlingFiles,
    /// The times for which a file must be quiet.
    pub policy: SettlePolicy,
    /// The way in which changes are learned of; `None` before the first scan.
    pub mode: Option<WatchMode>,
    /// The trouble of the folder, if any.
    pub trouble: Option<FolderTrouble>,
    /// The last scan.
    pub scan: Option<LastScan>,
    /// Number of files that wait for `minuted backlog`.
    pub backlog: u64,
}

/// The last complete walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastScan {
    /// The time at which it ended.
    pub at: Timestamp,
    /// Its duration.
    pub took: Duration,
    /// Files of media.
    pub media: u64,
    /// Directories.
    pub directories: u64,
    /// Directories that could not be read, with the reason.
    pub unreadable: Vec<(PathBuf, String)>,
    /// The parts of the tree that were left out because there is too much of it.
    pub beyond: LeftOut,
}

/// A folder for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FolderSnapshot {
    /// The way in which changes are learned of; `None` before the first scan.
    pub mode: Option<WatchMode>,
    /// The trouble of the folder, if any.
    pub trouble: Option<FolderTrouble>,
    /// The last scan.
    pub scan: Option<LastScan>,
    /// Number of files that are settling.
    pub settling: usize,
    /// Number of files that wait for `minuted backlog`.
    pub backlog: u64,
}

/// A file that is settling, for `status` and `why`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SettlingFileView {
    /// Its path, relative to the folder.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// The time at which it was first seen.
    pub first: Timestamp,
    /// The time since which it has not changed.
    pub since: Timestamp,
    /// The time at which it is taken if it stays as it is.
    pub until: Timestamp,
    /// The reason for which it looks unfinished, if so.
    pub unfinished: Option<&'static str>,
    /// The reason for which it cannot be read, if so.
    pub unreadable: Option<String>,
    /// The process that still writes it, as was found last.
    pub in_use: Option<InUse>,
    /// True once it has been settling for so long that a person should know.
    pub is_slow: bool,
}

impl FolderState {
    /// Returns whether the folder is in a trouble in which none of its files is examined.
    pub(super) fn is_held(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.kind.blocks_stages())
    }
}

impl Default for FolderView {
    fn default() -> Self {
        let state = FolderState {
            settling: SettlingFiles::default(),
            policy: SettlePolicy::new(Duration::from_secs(30)),
            mode: None,
            trouble: None,
            scan: None,
            backlog: 0,
        };
        let opened = AtomicU64::new(0);
        let scans = AtomicU64::new(0);
        Self { state: Mutex::new(state), quiet: watch::Sender::new(false), opened, scans }
    }
}

impl FolderView {
    /// Returns the folder for `status`.
    #[must_use]
    pub(crate) fn status(&self) -> FolderSnapshot {
        let state = self.state();
        let mode = state.mode.clone();
        let trouble = state.trouble.clone();
        let scan = state.scan.clone();
        FolderSnapshot {
            mode,
            trouble,
            scan,
            settling: state.settling.len(),
            backlog: state.backlog,
        }
    }

    /// Returns a file if it is settling.
    #[must_use]
    pub(crate) fn settling_file(&self, relative: &Path) -> Option<SettlingFileView> {
        let state = self.state();
        state.settling.get(relative).map(|entry| view_file(relative, entry, &state.policy))
    }

    /// Returns the files that are settling, by path; at most so many.
    #[must_use]
    pub(crate) fn settling_files(&self, max: usize) -> Vec<SettlingFileView> {
        let state = self.state();
        let mut files: Vec<_> = state.settling.iter().collect();
        files.sort_unstable_by_key(|(path, _)| *path);
        let shown = files.into_iter().take(max);
        shown.map(|(path, entry)| view_file(path, entry, &state.policy)).collect()
    }

    /// Waits until the folder has been scanned and nothing in it is settling. A folder that cannot be scanned, and a
    /// file that cannot be read, are not waited for.
    pub(crate) async fn wait_quiet(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        if self.quiet.subscribe().wait_for(|quiet| *quiet).await.is_err() {
            tracing::debug!("a folder's view went away while it was waited for");
        }
    }

    /// Returns whether [`Self::wait_quiet`] would return at once.
    #[cfg(test)]
    pub(crate) fn is_quiet(&self) -> bool {
        *self.quiet.borrow()
    }

    /// Says whether anything is left to do.
    pub(crate) fn set_quiet(&self, quiet: bool) {
        self.quiet.send_if_modified(|was| std::mem::replace(was, quiet) != quiet);
    }

    /// Counts a scan.
    pub(crate) fn count_scan(&self) {
        self.scans.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns what is behind the lock.
    pub(crate) fn state(&self) -> MutexGuard<'_, FolderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn view_file(path: &Path, entry: &SettlingFile, policy: &SettlePolicy) -> SettlingFileView {
    let needed = if entry.seen.unfinished.is_some() { policy.unfinished } else { policy.settle };
    let needed = SignedDuration::try_from(needed).unwrap_or(SignedDuration::MAX);
    SettlingFileView {
        path: path.to_owned(),
        size: entry.seen.stamp.size,
        first: entry.seen.first,
        since: entry.seen.since,
        until: entry.seen.since.checked_add(needed).unwrap_or(Timestamp::MAX),
        unfinished: entry.seen.unfinished,
        unreadable: entry.trouble.clone(),
        in_use: entry.seen.in_use.clone(),
        is_slow: elapsed(entry.seen.first, crate::clock::now()) >= policy.slow,
    }
}

/// The two clocks of a folder's task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskClocks {
    epoch: tokio::time::Instant,
}

impl TaskClocks {
    /// Begins to count.
    #[must_use]
    pub(crate) fn start() -> Self {
        Self { epoch: tokio::time::Instant::now() }
    }

    /// Returns now on both clocks.
    #[must_use]
    pub(crate) fn now(&self) -> Now {
        Now { wall: crate::clock::now(), running: self.epoch.elapsed() }
    }

    /// Returns the instant at which it has run for so long.
    #[must_use]
    pub(crate) fn instant_at(&self, running: Duration) -> tokio::time::Instant {
        self.epoch + running
    }
}
