//! The file of the queue, found again under its name.

use std::{
    fs, io,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::super::StoreError;
use crate::access::is_full;

/// The file that was opened. One that is removed while it is open goes on working, and all of it is
/// gone with the process: so each write makes sure first that the next start will open the same
/// file.
#[derive(Debug)]
pub(super) struct OpenedFile {
    path: PathBuf,
    /// The file and its write-ahead log, which `SQLite` keeps for as long as the file is open.
    files: [(PathBuf, (u64, u64)); 2],
}

impl OpenedFile {
    /// Remembers what lies under `path` now that it is open.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log = PathBuf::from(log);
        let files = [(path.to_owned(), identity(path)?), (log.clone(), identity(&log)?)];
        Ok(Self { path: path.to_owned(), files })
    }

    /// Returns an error unless it still lies there.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let is_there = |(path, opened): &(PathBuf, (u64, u64))| {
            identity(path).is_ok_and(|found| found == *opened)
        };
        if self.files.iter().all(is_there) {
            return Ok(());
        }
        Err(StoreError::Lost { path: crate::text::printable_path(&self.path) })
    }

    /// Returns whether there is no room for more on its disk.
    pub(super) fn has_no_room(&self) -> bool {
        has_no_room(&self.path)
    }
}

/// Bytes that are written to find out whether there is room: more than almost any commit needs.
const TRIED_BYTES: usize = 1 << 20;

/// Returns whether the disk of the queue refuses a file for want of room, by itself or by a quota.
pub(super) fn has_no_room(queue: &Path) -> bool {
    let mut trial = queue.as_os_str().to_owned();
    trial.push("-trial");
    let write = || {
        let file =
            fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&trial)?;
        file.write_all_at(&vec![0; TRIED_BYTES], 0)?;
        // A file server may say it only now.
        file.sync_all()
    };
    let written: io::Result<()> = write();
    if let Err(error) = fs::remove_file(&trial) {
        tracing::debug!(%error, "left a file that was made to find out whether there is room");
    }
    written.is_err_and(|error| is_full(&error))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}
