//! One look around: what it meets is known, or fresh, or gone, and each directory is watched before it is read.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use tokio_util::sync::CancellationToken;

use super::{
    Seen,
    hints::{WatchError, Watches},
    known::{Known, Look},
    walk::{self, Opened, Visitor},
};
use crate::{
    beneath::{Dir, Entry, Stamp},
    watch::names::{Kind, Rules},
};

/// Bytes of the paths of new files that one look takes in: a million names of people's recordings, or some thousands
/// at the end of long paths. What is beyond waits for the next scan, which meets the first ones as known.
const FRESH_BYTES_MAX: usize = 64 << 20;

/// One look: what it may change and what it finds.
pub(super) struct Around<'a> {
    pub(super) root: &'a Dir,
    pub(super) rules: &'a Rules,
    pub(super) pulse: &'a AtomicU64,
    pub(super) known: &'a mut Known,
    /// The files with a name of media that are none, as they were when they were looked into.
    pub(super) lookalikes: &'a mut Known,
    pub(super) watches: Option<&'a mut Watches>,
    pub(super) stop: &'a CancellationToken,
    pub(super) seen: Seen,
    /// Bytes of the paths of the new files.
    pub(super) fresh_bytes: usize,
    pub(super) refused: Option<WatchError>,
    /// The device of the folder itself.
    pub(super) device: u64,
    /// The directories below it at which another device begins.
    pub(super) mounts: BTreeMap<PathBuf, u64>,
}

impl Around<'_> {
    /// Looks at one path; returns whether it was a directory that was scanned.
    pub(super) fn at(&mut self, root: &Dir, path: &Path) -> bool {
        match root.entry(path) {
            Ok(Some(Entry::File(stamp))) if !walk::is_too_deep(path) && self.rules.kind(path).is_media() => {
                self.file(path, stamp);
            }
            Ok(Some(Entry::Directory)) if self.is_scanned(path) => {
                let rules = self.rules;
                let tally = walk::walk(root, path, rules, self);
                self.seen.tally.directories += tally.directories;
                return tally.is_walked();
            }
            Ok(Some(Entry::Directory | Entry::Other) | None) => self.seen.vanished.push(path.to_owned()),
            // Nothing is concluded; the next scan will tell.
            Ok(Some(Entry::File(_))) | Err(_) => {}
        }
        false
    }

    /// Notes where another device begins. A directory is met after the one above it.
    fn ground(&mut self, directory: &Opened) {
        let device = directory.device();
        let is_inside = || directory.path.ancestors().skip(1).any(|above| self.mounts.get(above) == Some(&device));
        if device != self.device && !directory.path.as_os_str().is_empty() && !is_inside() {
            self.mounts.insert(directory.path.clone(), device);
        }
    }

    /// Returns whether a file is no recording, whatever its name says. Each is looked into once, until it changes; one
    /// without content says nothing yet.
    fn is_lookalike(&mut self, relative: &Path, stamp: Stamp) -> bool {
        if !self.rules.is_ambiguous(relative) {
            return false;
        }
        let path = self.lookalikes.path(relative);
        if stamp.size == 0 || self.lookalikes.meet(path, &stamp) == Look::Same {
            return true;
        }
        let is_lookalike = self.rules.is_lookalike(self.root, relative);
        if is_lookalike {
            self.lookalikes.insert(path, &stamp);
        }
        is_lookalike
    }

    fn is_scanned(&self, directory: &Path) -> bool {
        if directory.components().nth(walk::DEPTH_MAX).is_some() {
            return false;
        }
        let is_below = matches!(self.rules.kind(directory), Kind::Pruned(..));
        self.rules.recursive() && !is_below && self.rules.prunes(directory).is_none()
    }
}

impl Visitor for Around<'_> {
    fn directories(&mut self, opened: &[Opened]) {
        for directory in opened {
            self.ground(directory);
        }
        let Some(watches) = self.watches.as_mut().filter(|_| self.refused.is_none()) else { return };
        self.refused = watches.arm(opened.iter().map(|opened| (&*opened.path, &opened.identity))).err();
    }

    fn file(&mut self, relative: &Path, stamp: Stamp) {
        self.pulse.fetch_add(1, Ordering::Relaxed);
        if self.is_lookalike(relative, stamp) {
            return;
        }
        self.seen.media += u64::from(stamp.size > 0);
        let path = self.known.path(relative);
        let look = self.known.meet(path, &stamp);
        self.seen.met += u64::from(look != Look::New);
        self.seen.same += u64::from(look == Look::Same);
        if look == Look::Same {
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

    fn stop(&self) -> bool {
        self.pulse.fetch_add(1, Ordering::Relaxed);
        self.stop.is_cancelled()
    }
}
