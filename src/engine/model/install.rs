//! The way from nothing, or from something damaged, to an installation.
//!
//! Everything is made in a temporary directory beside the target, checked, made durable, and gets its name by one rename.
//! A process that dies anywhere before leaves what was there and a temporary directory, which the next run takes away.
//! A lock keeps two runs apart: the second waits, and then finds the work done.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::FlockOperation;
use tempfile::TempDir;

use super::{InstallError, Installation, Package, Places, fetch, unpack};
use crate::{beneath::Dir, effect::Effect};

/// How the names of temporary directories begin. What is called so belongs to a run that holds the lock, or to none.
const TEMPORARY: &str = ".minuted-install-";

/// The name of the lock beside the installations.
const LOCK: &str = ".minuted-install.lock";

/// How often a busy lock is asked for again.
const RETRY: Duration = Duration::from_millis(100);

/// The name of what is unpacked, in the temporary directory.
const FRESH: &str = "fresh";

/// The name of what was damaged, in the temporary directory.
const FORMER: &str = "former";

/// What an installation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Another one is at work: it waits for that one.
    Waiting,
    /// pip begins to fetch the wheel.
    Fetching,
    /// pip is still fetching it.
    Fetched {
        /// How much of [`Package::wheel_size`] is there.
        bytes: u64,
    },
    /// The wheel is checked, and unpacked.
    Unpacking,
}

/// How an installation came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It was there, and every hash is right.
    Already,
    /// It is new.
    Installed,
    /// What was there was damaged.
    Repaired,
}

/// An installation that is intact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its directory.
    pub dir: PathBuf,
    /// How it came to be.
    pub how: How,
}

/// Installs `package`, from `wheel` or through pip; leaves an intact installation alone and repairs a damaged one.
///
/// A future that is dropped ends pip and leaves nothing behind.
///
/// # Errors
/// [`InstallError`], by what cures it.
pub async fn install(
    package: &Package,
    places: &Places,
    wheel: Option<&Path>,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<Done, InstallError> {
    let target = places.target(package)?;
    if Installation::inspect(package, &target).is_intact() {
        // Without a write: it may lie where nobody can write any more.
        return Ok(Done { dir: target, how: How::Already });
    }
    let base = target.parent().ok_or(InstallError::NoPlace)?;
    let written = |source| InstallError::written(package, "write in", base.to_owned(), source);
    make(places, base).map_err(written)?;
    let _lock = lock(base, tell).await.map_err(written)?;
    if Installation::inspect(package, &target).is_intact() {
        return Ok(Done { dir: target, how: How::Already });
    }
    sweep(base);
    let temporary = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(base).map_err(written)?;
    let wheel = match wheel {
        Some(path) => unpack::open(package, path, false)?,
        None => unpack::open(package, &fetch::wheel(package, temporary.path(), tell).await?, true)?,
    };
    tell(Step::Unpacking);
    let beside = Dir::open(temporary.path()).map_err(written)?;
    unpack::unpack(package, wheel, &beside, OsStr::new(FRESH))?;
    let how = place(&temporary, &target).map_err(written)?;
    Ok(Done { dir: target, how })
}

/// Makes the directory of installations. The state directory is made as the daemon would make it: it will hold tokens.
fn make(places: &Places, base: &Path) -> io::Result<()> {
    if let Some(state_dir) = places.state_dir_above(base) {
        DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    }
    DirBuilder::new().recursive(true).mode(0o755).create(base)
}

async fn lock(base: &Path, tell: &(dyn Fn(Step) + Sync)) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o644).open(base.join(LOCK))?;
    let mut told = false;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        if !told {
            tell(Step::Waiting);
            told = true;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Takes away what runs that died have left. What cannot be taken away is in nobody's way.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        if is_ours && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::debug!(%error, "a temporary directory of an installation stays");
        }
    }
}

/// Gives what was unpacked its name. What was damaged goes the way of the temporary directory; nothing else is replaced: a
/// directory is never renamed over one that holds something, nor over a file.
fn place(temporary: &TempDir, target: &Path) -> io::Result<How> {
    let is_there = target.symlink_metadata().is_ok();
    if is_there {
        Effect::RetireModel.before();
        fs::rename(target, temporary.path().join(FORMER))?;
        Effect::RetireModel.after();
    }
    Effect::PlaceModel.before();
    fs::rename(temporary.path().join(FRESH), target)?;
    if let Some(base) = target.parent() {
        Dir::open(base)?.sync()?;
    }
    Effect::PlaceModel.after();
    Ok(if is_there { How::Repaired } else { How::Installed })
}
