//! The lock on the state directory: one minuted for each.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::fs::FlockOperation;

use super::owner::{as_user, user_name};
use crate::{
    access::is_full,
    text::{ShellCommand, printable_path},
};

/// The exclusive lock on a state directory; released when dropped, or by the kernel when the
/// process dies.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

/// An error of the state directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another process holds it.
    #[error("another minuted uses the state directory `{dir}`")]
    Held {
        /// The directory.
        dir: String,
    },
    /// The directory of another user; root's files in it would lock the daemon out.
    #[error("the state directory `{dir}` belongs to another user ({name}, uid {owner})", name = user_name(*owner))]
    OtherUser {
        /// The directory.
        dir: String,
        /// Its owner.
        owner: u32,
    },
    /// A file in its place.
    #[error("the state directory `{dir}` is not a directory")]
    NotADirectory {
        /// The path that should be the directory.
        dir: String,
    },
    /// Others may read it: it holds tokens.
    #[error(
        "the state directory `{}` is open to other users (mode {mode:04o})",
        printable_path(dir)
    )]
    Open {
        /// The directory.
        dir: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A network file system, where SQLite's locks and WAL do not hold.
    #[error("the state directory `{dir}` lies on {kind}, where a queue is not safe")]
    Network {
        /// The directory.
        dir: String,
        /// The file system.
        kind: &'static str,
    },
    /// A directory that cannot be made.
    #[error("failed to make the state directory `{}`: {error}", printable_path(dir))]
    Make {
        /// The directory.
        dir: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// A directory that cannot be opened or written.
    #[error("failed to open the state directory `{dir}`: {error}")]
    Io {
        /// The directory.
        dir: String,
        /// The cause.
        error: io::Error,
    },
}

impl LockError {
    /// Returns what a person can do about it.
    #[must_use]
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Held { .. } => {
                "one minuted serves one state directory; minuted status asks the one that runs"
                    .to_owned()
            }
            Self::OtherUser { owner, .. } => as_user(*owner),
            Self::NotADirectory { .. } => {
                "move that file away, or set state_dir to a directory".to_owned()
            }
            Self::Open { dir, .. } => ShellCommand::new("chmod 0700").add_path(dir).into(),
            Self::Network { .. } => "set state_dir to a directory on a local disk".to_owned(),
            Self::Make { dir, .. } => StateLock::make_it(dir),
            Self::Io { error, .. } if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                READ_ONLY.to_owned()
            }
            Self::Io { error, .. } if is_full(error) => "free some space on its disk".to_owned(),
            Self::Io { .. } => "minuted check says what is wrong with it".to_owned(),
        }
    }
}

/// The remedy for a state directory on a file system that cannot be written.
pub(crate) const READ_ONLY: &str = "its file system is mounted read-only: mount it writable, or set state_dir to a directory on another";

/// The time after which a busy lock is asked for again.
const RETRY: Duration = Duration::from_millis(100);

impl StateLock {
    /// Makes the directory (0700) when it is missing and takes its lock, waiting up to `patience`
    /// for another holder.
    ///
    /// # Errors
    /// [`LockError`], by what cures it.
    pub(crate) async fn acquire(dir: &Path, patience: Duration) -> Result<Self, LockError> {
        let begun = tokio::time::Instant::now();
        loop {
            match Self::try_acquire(dir) {
                Err(LockError::Held { .. }) if begun.elapsed() < patience => {
                    tokio::time::sleep(RETRY).await;
                }
                done => return done,
            }
        }
    }

    /// Returns what makes a state directory that minuted cannot make itself.
    #[must_use]
    pub(crate) fn make_it(dir: &Path) -> String {
        let make = ShellCommand::new("sudo install -d -m 0700 -o \"$(id -un)\"").add_path(dir);
        format!("{make}; the systemd unit makes its own")
    }

    fn try_acquire(dir: &Path) -> Result<Self, LockError> {
        let shown = || printable_path(dir);
        let io = |error: io::Error| LockError::Io { dir: shown(), error };
        if std::fs::metadata(dir).is_ok_and(|found| !found.is_dir()) {
            return Err(LockError::NotADirectory { dir: shown() });
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| LockError::Make { dir: dir.to_owned(), error })?;
        let metadata = std::fs::metadata(dir).map_err(io)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(LockError::OtherUser { dir: shown(), owner: metadata.uid() });
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(LockError::Open { dir: dir.to_owned(), mode });
        }
        if let Some(kind) = network_file_system(dir).map_err(io)? {
            return Err(LockError::Network { dir: shown(), kind });
        }
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::Held { dir: shown() }),
            Err(error) => Err(io(error.into())),
        }
    }
}

/// Returns the kind of a network file system. The magic numbers are those of statfs(2).
fn network_file_system(dir: &Path) -> io::Result<Option<&'static str>> {
    let magic = u64::try_from(rustix::fs::statfs(dir)?.f_type).unwrap_or(0) & 0xffff_ffff;
    Ok(match magic {
        0x6969 => Some("NFS"),
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9p"),
        _ => None,
    })
}
