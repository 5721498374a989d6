//! The reasons why a file could not be placed, with their cures.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use crate::{access::setfacl_commands, beneath::Dir};

/// The reason why a file could not be placed, by what the caller does next. The message ends with
/// the cure where there is one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// A person deleted what this job wrote: it is not made again, and the delivery is done.
    #[error("`{name}` was deleted and is not made again", name = shown_path(name))]
    Deleted {
        /// The file.
        name: OsString,
    },
    /// The recording is not the one that the notes are of: it changed since.
    #[error("`{name}` changed since its notes were made", name = shown_path(name))]
    Changed {
        /// The recording.
        name: OsString,
    },
    /// A program writes to the recording, which stays until that is over.
    #[error("`{name}` stays where it is for now: {by}", name = shown_path(name))]
    InUse {
        /// The recording.
        name: OsString,
        /// The program, for a person.
        by: String,
    },
    /// The directory is not there, or its file server is not: wait for it.
    #[error("the directory `{dir}` is {state}", dir = shown_path(dir), state = directory_state(source))]
    DirectoryGone {
        /// The directory.
        dir: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file system is read-only: for systemd's sandbox there is a cure.
    #[error("`{dir}` is read-only; under systemd regenerate the drop-in (`minuted systemd-drop-in`) and restart", dir = shown_path(dir))]
    ReadOnly {
        /// The directory.
        dir: PathBuf,
    },
    /// minuted may not write there.
    #[error("no permission to write in `{dir}`; grant it: {cure}", dir = shown_path(dir), cure = setfacl_commands(dir).join("; "))]
    Denied {
        /// The directory.
        dir: PathBuf,
    },
    /// The disk or a quota is full: wait for room.
    #[error("no space left in `{dir}`", dir = shown_path(dir))]
    NoSpace {
        /// The directory.
        dir: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file system takes only shorter names.
    #[error("the name `{name}` is too long for the file system of `{dir}`", name = shown_path(name), dir = shown_path(dir))]
    NameTooLong {
        /// The directory.
        dir: PathBuf,
        /// The name.
        name: OsString,
    },
    /// The directory in which the recording lay went with it or without it: wait until one of them is found.
    #[error(
        "the directory `{dir}` is not there any more, nor is the recording found elsewhere in the folder; the notes are kept",
        dir = shown_path(dir)
    )]
    PlaceGone {
        /// The directory.
        dir: PathBuf,
    },
    /// The recording is not where it was, and may be about to be seen elsewhere: look again soon.
    #[error("`{name}` is not where it was", name = shown_path(name))]
    Moved {
        /// The recording.
        name: OsString,
    },
    /// The file system or the way to its server fails: wait for it.
    #[error("failed to write `{name}` in `{dir}`", name = shown_path(name), dir = shown_path(dir))]
    Failing {
        /// The directory.
        dir: PathBuf,
        /// The name.
        name: OsString,
        /// The error of the system.
        source: io::Error,
    },
    /// Anything else: try again later.
    #[error("failed to write `{name}` in `{dir}`", name = shown_path(name), dir = shown_path(dir))]
    Other {
        /// The directory.
        dir: PathBuf,
        /// The name.
        name: OsString,
        /// The error of the system.
        source: io::Error,
    },
}

/// Returns whether the file system itself fails, or its server or disk: that is no verdict on the file.
const FAILING: [Errno; 19] = [
    Errno::IO,
    Errno::NXIO,
    Errno::TIMEDOUT,
    Errno::REMOTEIO,
    Errno::BADMSG,
    Errno::UCLEAN,
    Errno::NOLINK,
    Errno::NOMEDIUM,
    Errno::HOSTUNREACH,
    Errno::NETDOWN,
    Errno::NETUNREACH,
    Errno::CONNREFUSED,
    Errno::CONNRESET,
    Errno::CONNABORTED,
    Errno::AGAIN,
    Errno::INTR,
    Errno::NOMEM,
    Errno::MFILE,
    Errno::NFILE,
];

fn shown_path(path: impl AsRef<Path>) -> String {
    crate::text::printable_path(path.as_ref())
}

/// Returns the state of a directory that cannot be opened.
fn directory_state(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotADirectory { "not one" } else { "gone" }
}

impl FileError {
    /// Returns the error of an operation on `name` in `dir`.
    #[must_use]
    pub(crate) fn for_entry(dir: &Dir, name: &OsStr, source: io::Error) -> Self {
        Self::for_name(dir.path(), name, source)
    }

    /// Returns the error of opening the directory `dir` itself.
    #[must_use]
    pub(crate) fn for_directory(dir: &Path, source: io::Error) -> Self {
        Self::for_name(dir, OsStr::new("."), source)
    }

    fn for_name(dir: &Path, name: &OsStr, source: io::Error) -> Self {
        let dir = dir.to_owned();
        let name = name.to_owned();
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            // A mount whose server is gone answers with the last four.
            Some(
                Errno::NOENT
                | Errno::NOTDIR
                | Errno::STALE
                | Errno::NOTCONN
                | Errno::HOSTDOWN
                | Errno::NODEV,
            ) => Self::DirectoryGone { dir, source },
            Some(Errno::ROFS) => Self::ReadOnly { dir },
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied { dir },
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Self::NoSpace { dir, source },
            Some(errno) if FAILING.contains(&errno) => Self::Failing { dir, name, source },
            Some(Errno::NAMETOOLONG) => Self::NameTooLong { dir, name },
            Some(_) | None => Self::Other { dir, name, source },
        }
    }
}
