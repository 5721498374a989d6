//! The way from nothing, or from something damaged, to an installation.
//!
//! Everything is made in a temporary directory beside the target, checked, made durable, and gets
//! its name by one rename. A process that dies anywhere before leaves what was there and a
//! temporary directory, which the next run takes away. A lock keeps two runs apart: the second
//! waits, and then finds the work done.

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

/// The prefix of temporary directories. They belong to the run that holds the lock, or to none.
const TEMPORARY: &str = ".minuted-install-";

/// The name of the lock beside the installations.
const LOCK: &str = ".minuted-install.lock";

/// Interval at which a busy lock is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// The name of the unpacked files, in the temporary directory.
const FRESH: &str = "fresh";

/// The name of the damaged installation, in the temporary directory.
const FORMER: &str = "former";

/// A step of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another one is at work: it waits for that one.
    Waiting,
    /// pip begins to fetch the wheel.
    Fetching,
    /// pip is still fetching it.
    Fetched {
        /// Bytes so far, of [`Package::wheel_size`].
        bytes: u64,
    },
    /// The wheel is checked, and unpacked.
    Unpacking,
}

/// The way in which an installation came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The installation was there, and every hash is right.
    Already,
    /// The installation is new.
    Installed,
    /// An installation of an earlier version, which lacked the models of voices, was replaced.
    Completed,
    /// A damaged installation was replaced.
    Repaired,
}

/// An installation that is intact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// Its directory.
    pub dir: PathBuf,
    /// The way in which it came to be.
    pub how: How,
}

/// Installs `package`, from `wheel` or through pip; leaves an intact installation alone and repairs
/// a damaged one.
///
/// A future that is dropped ends pip and leaves nothing behind.
///
/// # Errors
/// [`InstallError`], by what cures it.
pub(crate) async fn install(
    package: &Package,
    places: &Places,
    wheel: Option<&Path>,
    tell: &(dyn Fn(Step) + Sync),
) -> Result<Done, InstallError> {
    let target = places.target(package)?;
    if Installation::inspect(package, &target).is_intact() {
        // Without a write: it may lie in a read-only place.
        return Ok(Done { dir: target, how: How::Already });
    }
    let base = target.parent().ok_or(InstallError::NoPlace)?;
    let written =
        |source| InstallError::from_write_error(package, "write in", base.to_owned(), source);
    create_base(places, base).map_err(written)?;
    let _lock = lock_base(base, tell).await.map_err(written)?;
    let found = Installation::inspect(package, &target);
    if found.is_intact() {
        return Ok(Done { dir: target, how: How::Already });
    }
    remove_leftovers(base);
    let temporary = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(base).map_err(written)?;
    let wheel = match wheel {
        Some(path) => unpack::open(package, path, false)?,
        None => unpack::open(
            package,
            &fetch::fetch_wheel(package, temporary.path(), tell).await?,
            true,
        )?,
    };
    tell(Step::Unpacking);
    let beside = Dir::open(temporary.path()).map_err(written)?;
    unpack::unpack_files(package, wheel, &beside, OsStr::new(FRESH))?;
    let how = match place_installation(&temporary, &target).map_err(written)? {
        How::Repaired if found.is_usable(package) => How::Completed,
        how @ (How::Already | How::Installed | How::Completed | How::Repaired) => how,
    };
    Ok(Done { dir: target, how })
}

/// Makes the directory of installations. The state directory is made as the daemon would make it:
/// it will hold tokens.
fn create_base(places: &Places, base: &Path) -> io::Result<()> {
    if let Some(state_dir) = places.state_dir_above(base) {
        DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    }
    DirBuilder::new().recursive(true).mode(0o755).create(base)
}

async fn lock_base(base: &Path, tell: &(dyn Fn(Step) + Sync)) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file =
        options.write(true).create(true).truncate(false).mode(0o644).open(base.join(LOCK))?;
    let mut is_reported = false;
    loop {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        if !is_reported {
            tell(Step::Waiting);
            is_reported = true;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Removes the temporary directories of runs that died. A directory that cannot be removed does no
/// harm.
fn remove_leftovers(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        if is_ours && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::debug!(%error, "a temporary directory of an installation stays");
        }
    }
}

/// Renames the unpacked files to `target`. A damaged installation is moved into the temporary
/// directory; nothing else is replaced: a directory is never renamed over one that holds something,
/// nor over a file.
fn place_installation(temporary: &TempDir, target: &Path) -> io::Result<How> {
    let is_there = target.symlink_metadata().is_ok();
    if is_there {
        Effect::RetireModel.during(|| fs::rename(target, temporary.path().join(FORMER)))?;
    }
    Effect::PlaceModel.during(|| {
        fs::rename(temporary.path().join(FRESH), target)?;
        target.parent().map_or(Ok(()), |base| Dir::open(base)?.sync())
    })?;
    Ok(if is_there { How::Repaired } else { How::Installed })
}
