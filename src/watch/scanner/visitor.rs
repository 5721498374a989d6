//! The visitor of a scan: each file is unchanged, new or missing, and each directory is watched before it is read.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use tokio_util::sync::CancellationToken;

use super::{
    ScanFindings,
    hints::{FolderWatches, WatchError},
    known::{SeenFiles, SeenState},
    walk::{self, OpenedDirectory, WalkVisitor},
};
use crate::{
    beneath::{Dir, Entry, Stamp},
    watch::names::{FileFilter, FileKind},
};

/// Bytes of the paths of new files that one look takes in: a million names of people's recordings, or some thousands
/// at the end of long paths. What is beyond waits for the next scan, which meets the first ones as known.
const FRESH_BYTES_MAX: usize = 64 << 20;

/// A scan, or a look at some paths, while it lasts.
pub(super) struct ScanVisitor<'a> {
    pub(super) root: &'a Dir,
    pub(super) filter: &'a FileFilter,
    pub(super) pulse: &'a AtomicU64,
    pub(super) known: &'a mut SeenFiles,
    /// The files with a name of media that are none, as they were when they were looked into.
    pub(super) lookalikes: &'a mut SeenFiles,
    pub(super) watches: Option<&'a mut FolderWatches>,
    pub(super) stop: &'a CancellationToken,
    pub(super) seen: ScanFindings,
    /// Bytes of the paths of the new files.
    pub(super) fresh_bytes: usize,
    pub(super) refused: Option<WatchError>,
    /// The device of the folder itself.
    pub(super) device: u64,
    /// The directories below it at which another device begins.
    pub(super) mounts: BTreeMap<PathBuf, u64>,
}

impl ScanVisitor<'_> {
    /// Looks at one path; returns whether it was a directory that was scanned.
    pub(super) fn visit_path(&mut self, root: &Dir, path: &Path) -> bool {
        match root.entry(path) {
            Ok(Some(Entry::File(stamp)))
                if !walk::is_too_deep(path) && self.filter.classify(path).is_media() =>
            {
                self.visit_file(path, stamp);
            }
            Ok(Some(Entry::Directory)) if self.is_scanned(path) => {
                let filter = self.filter;
                let tally = walk::walk_folder(root, path, filter, self);
                self.seen.tally.directories += tally.directories;
                return tally.is_walked();
            }
            Ok(Some(Entry::Directory | Entry::Other) | None) => {
                self.seen.vanished.push(path.to_owned());
            }
            // Nothing is concluded; the next scan will tell.
            Ok(Some(Entry::File(_))) | Err(_) => {}
        }
        false
    }

    /// Notes where another device begins. A directory is met after the one above it.
    fn note_mount(&mut self, directory: &OpenedDirectory) {
        let device = directory.device();
        let is_inside = || {
            directory.path.ancestors().skip(1).any(|above| self.mounts.get(above) == Some(&device))
        };
        if device != self.device && !directory.path.as_os_str().is_empty() && !is_inside() {
            self.mounts.insert(directory.path.clone(), device);
        }
    }

    /// Returns whether a file is no recording, whatever its name says. Each is looked into once, until it changes; one
    /// without content says nothing yet.
    fn is_lookalike(&mut self, relative: &Path, stamp: Stamp) -> bool {
        if !self.filter.is_ambiguous(relative) {
            return false;
        }
        let path = self.lookalikes.hash_path(relative);
        if stamp.size == 0 || self.lookalikes.mark_seen(path, &stamp) == SeenState::Same {
            return true;
        }
        let is_lookalike = self.filter.is_lookalike(self.root, relative);
        if is_lookalike {
            self.lookalikes.insert(path, &stamp);
        }
        is_lookalike
    }

    fn is_scanned(&self, directory: &Path) -> bool {
        if directory.components().nth(walk::DEPTH_MAX).is_some() {
            return false;
        }
        let is_below = matches!(self.filter.classify(directory), FileKind::Pruned(..));
        self.filter.is_recursive() && !is_below && self.filter.prune_reason(directory).is_none()
    }
}

impl WalkVisitor for ScanVisitor<'_> {
    fn enter_directories(&mut self, opened: &[OpenedDirectory]) {
        for directory in opened {
            self.note_mount(directory);
        }
        let Some(watches) = self.watches.as_mut().filter(|_| self.refused.is_none()) else {
            return;
        };
        self.refused = watches
            .watch_directories(opened.iter().map(|opened| (&*opened.path, &opened.identity)))
            .err();
    }

    fn visit_file(&mut self, relative: &Path, stamp: Stamp) {
        self.pulse.fetch_add(1, Ordering::Relaxed);
        if self.is_lookalike(relative, stamp) {
            return;
        }
        self.seen.media += u64::from(stamp.size > 0);
        let path = self.known.hash_path(relative);
        let look = self.known.mark_seen(path, &stamp);
        self.seen.known += u64::from(look != SeenState::New);
        self.seen.unchanged += u64::from(look == SeenState::Same);
        if look == SeenState::Same {
            return;
        }
        let bytes = self.fresh_bytes + relative.as_os_str().len();
        if bytes > FRESH_BYTES_MAX {
            self.seen.left_out += 1;
            return;
        }
        self.fresh_bytes = bytes;
        self.seen.fresh.push((relative.to_owned(), stamp));
    }

    fn should_stop(&self) -> bool {
        self.pulse.fetch_add(1, Ordering::Relaxed);
        self.stop.is_cancelled()
    }
}
