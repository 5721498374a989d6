//! Files on their way to a name: made in the directory where they will lie, and gone if they never get there.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::OnceLock,
    time::Duration,
};

use rustix::fs::FlockOperation;

use crate::{
    access::Permissions,
    beneath::{Dir, Entry},
    clock,
    effect::Effect,
};

/// A new file under a random name, which is removed again unless it is renamed. It is locked while it is being made, so
/// that nobody takes it for one that a crash has left.
#[derive(Debug)]
pub(crate) struct Temporary<'a> {
    dir: &'a Dir,
    name: OsString,
    kept: bool,
}

impl<'a> Temporary<'a> {
    /// Makes the file, open for writing.
    ///
    /// # Errors
    /// The error of the file system.
    pub(crate) fn create_in(dir: &'a Dir, mode: u32) -> io::Result<(Self, File)> {
        let name = random_name()?;
        let file = dir.create_new(&name, mode)?;
        if let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            tracing::trace!(%error, "this file system has no locks");
        }
        Ok((Self { dir, name, kept: false }, file))
    }

    /// Opens it for reading.
    pub(super) fn open(&self) -> io::Result<File> {
        self.dir.open_file(Path::new(&self.name))
    }

    /// Gives it a name that is free; `AlreadyExists` leaves it for another try.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the file system says.
    pub(crate) fn rename_new(&mut self, name: &OsStr) -> io::Result<()> {
        self.dir.rename_new(&self.name, self.dir, name)?;
        self.kept = true;
        self.dir.sync()
    }

    /// Replaces what has that name.
    pub(super) fn rename_over(&mut self, name: &OsStr) -> io::Result<()> {
        self.dir.rename_over(&self.name, name)?;
        self.kept = true;
        self.dir.sync()
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = self.dir.unlink(&self.name)
        {
            tracing::debug!(%error, "left a temporary file for the next sweep");
        }
    }
}

/// Makes a file in `dir` with the mode that notes have, gives it another name and removes it: all that notes there will
/// need. Returns who may read it. One that was killed in between leaves what the next [`remove_leftovers`] takes for what it is,
/// and this one sweeps first.
///
/// # Errors
/// The error of the file system.
pub(crate) fn try_out(dir: &Dir, mode: u32) -> io::Result<Permissions> {
    remove_leftovers(dir)?;
    let (mut trial, made) = Temporary::create_in(dir, mode)?;
    let permissions = Permissions::read_from(&made)?;
    // Closed before it is renamed, as notes are: a mounted cloud gives an open file its old name again at its end.
    drop(made);
    let other = random_name()?;
    Effect::TryOut.during(|| dir.rename_new(&trial.name, dir, &other))?;
    trial.name = other;
    dir.unlink(&trial.name)?;
    trial.kept = true;
    Ok(permissions)
}

fn random_name() -> io::Result<OsString> {
    let random = getrandom::u32().map_err(io::Error::other)?;
    Ok(OsString::from(format!(".minuted-{:08x}{random:08x}.tmp", process_tag()?)))
}

/// Returns what the names of this process's temporary files begin with.
fn process_tag() -> io::Result<u32> {
    static TAG: OnceLock<u32> = OnceLock::new();
    let random = getrandom::u32().map_err(io::Error::other)?;
    Ok(*TAG.get_or_init(|| random))
}

/// Age after which an unchanged temporary file belongs to a process that died, on file systems
/// without locks.
const TEMPORARY_AGE: Duration = Duration::from_secs(3600);

/// Removes the temporary files that crashes left in `dir`; returns how many.
///
/// # Errors
/// When the directory cannot be read.
pub(crate) fn remove_leftovers(dir: &Dir) -> io::Result<usize> {
    let mut removed = 0;
    for entry in rustix::fs::Dir::read_from(dir.fd())? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if is_temporary(name) && is_abandoned(dir, name)? {
            dir.unlink(name).or_else(missing_is_fine)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// This process removes its own; that of another one is locked for as long as it lives.
fn is_abandoned(dir: &Dir, name: &OsStr) -> io::Result<bool> {
    if name.as_bytes().starts_with(format!(".minuted-{:08x}", process_tag()?).as_bytes()) {
        return Ok(false);
    }
    let Ok(file) = dir.open_file(Path::new(name)) else { return Ok(false) };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(_) => is_old(dir, name),
    }
}

fn is_old(dir: &Dir, name: &OsStr) -> io::Result<bool> {
    let Some(Entry::File(stamp)) = dir.entry(Path::new(name))? else { return Ok(false) };
    let age_ns = clock::now().as_nanosecond() - i128::from(stamp.mtime_ns);
    Ok(age_ns > i128::try_from(TEMPORARY_AGE.as_nanos()).unwrap_or(i128::MAX))
}

const TEMPORARY_PREFIX: &[u8] = b".minuted-";
const TEMPORARY_SUFFIX: &[u8] = b".tmp";
const RANDOM_HEX: usize = 16;

/// Returns whether minuted names its temporary files so: `.minuted-<16 hex>.tmp`.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    let random = name
        .as_bytes()
        .strip_prefix(TEMPORARY_PREFIX)
        .and_then(|rest| rest.strip_suffix(TEMPORARY_SUFFIX));
    random.is_some_and(|random| {
        random.len() == RANDOM_HEX && random.iter().all(u8::is_ascii_hexdigit)
    })
}

/// A file that is gone already is as good as removed.
pub(super) fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
