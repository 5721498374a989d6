//! The file of the queue, found again under its name.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::QueueError;

/// What was opened. A file that is removed while it is open goes on working, and all of it is gone with the process:
/// so each commit makes sure first that what it writes to is still what the next start will open.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The file and its write-ahead log, which `SQLite` keeps for as long as the file is open.
    files: [(PathBuf, (u64, u64)); 2],
}

impl Place {
    /// Remembers what lies under `path` now that it is open.
    pub(super) fn of(path: &Path) -> Result<Self, QueueError> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let found = |path: PathBuf| identity(&path).map(|identity| (path, identity));
        let files = found(path.to_owned()).and_then(|file| Ok([file, found(log.into())?]));
        let unopened =
            |error: io::Error| QueueError::Open { path: String::new(), reason: error.to_string(), lasts: false };
        Ok(Self { path: path.to_owned(), files: files.map_err(unopened)? })
    }

    /// Returns an error unless it still lies there.
    pub(super) fn check(&self) -> Result<(), QueueError> {
        let is_there = |(path, opened): &(PathBuf, (u64, u64))| identity(path).is_ok_and(|found| found == *opened);
        if self.files.iter().all(is_there) {
            return Ok(());
        }
        Err(QueueError::Lost { path: crate::text::printable_path(&self.path) })
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
