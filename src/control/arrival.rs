//! A recording that a person hands over: it appears in its folder whole, under a name that is free.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
};

use crate::{
    beneath::Dir,
    config::Folder,
    delivery::{files::names::add_number, remove_leftovers},
    effect::Effect,
};

/// Numbers that are tried for a name that is taken.
const NUMBERS_MAX: u32 = 999;

/// A recording that is being written into a folder, under a temporary name. It is removed unless it is placed.
#[derive(Debug)]
pub(crate) struct Arrival {
    root: Dir,
    temporary: OsString,
    /// Open, and with it locked: the daemon removes temporary files that nobody holds.
    file: File,
    is_placed: bool,
}

impl Arrival {
    /// Begins to write a recording into a folder.
    ///
    /// # Errors
    /// The error of the file system.
    pub(crate) fn begin(folder: &Folder) -> io::Result<Self> {
        let root = Dir::open(&folder.path)?;
        remove_leftovers(&root)?;
        let temporary = OsString::from(format!(
            ".minuted-{:016x}.tmp",
            getrandom::u64().map_err(io::Error::other)?
        ));
        let file = root.create_new(&temporary, folder.file_mode)?;
        let flag = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        if let Err(error) = rustix::fs::flock(&file, flag) {
            tracing::trace!(%error, "this file system has no locks");
        }
        Ok(Self { root, temporary, file, is_placed: false })
    }

    /// Returns the file to write to.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives it its name, or the next one with a number that is free, durably; returns its path.
    ///
    /// # Errors
    /// The error of the file system.
    pub(crate) fn place(mut self, folder: &Folder, name: &OsStr) -> io::Result<PathBuf> {
        self.file.flush()?;
        self.file.sync_all()?;
        for number in 1..=NUMBERS_MAX {
            let candidate = add_number(name, number);
            let rename = || {
                self.root
                    .rename_new(&self.temporary, &self.root, &candidate)
                    .and_then(|()| self.root.sync())
            };
            match Effect::Add.during(rename) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.is_placed = true;
                    return Ok(folder.path.join(candidate));
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if !self.is_placed {
            // What was written so far is of no use.
            drop(self.root.unlink(&self.temporary));
        }
    }
}
