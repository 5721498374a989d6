//! Why nothing was installed.

use std::{io, path::PathBuf};

use rustix::io::Errno;

use super::{Hash, Package, Pinned};
use crate::text::{ShellCommand, printable_path};

/// Why nothing was installed, by what cures it. What was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is no package for this machine.
    #[error(
        "the on-device engine is made for Linux with glibc on x86_64 and aarch64; this minuted was built for another \
         machine ({arch})\nhint: run minuted on such a machine, or configure a service that does the work elsewhere"
    )]
    Unsupported {
        /// The machine.
        arch: &'static str,
    },
    /// There is no directory to install into.
    #[error(
        "there is no place for the model: neither a home directory nor a configuration\nhint: set $HOME, or name a \
         configuration with --config FILE"
    )]
    NoPlace,
    /// There is no Python.
    #[error("python3 was not found, and the model comes through its pip\nhint: apt install python3-pip\n{elsewhere}")]
    NoPython {
        /// How to do without.
        elsewhere: String,
    },
    /// There is no pip.
    #[error("python3 has no pip, and the model comes through it\nhint: apt install python3-pip\n{elsewhere}")]
    NoPip {
        /// How to do without.
        elsewhere: String,
    },
    /// pip cannot pass its proxy.
    #[error(
        "pip could not pass the proxy: {said}\nhint: check $HTTPS_PROXY and `python3 -m pip config list`\n{elsewhere}"
    )]
    Proxy {
        /// pip's words.
        said: String,
        /// How to do without.
        elsewhere: String,
    },
    /// pip cannot reach the index.
    #[error("pip could not fetch the model: {said}\nhint: check the network and try again\n{elsewhere}")]
    Network {
        /// pip's words.
        said: String,
        /// How to do without.
        elsewhere: String,
    },
    /// The index has no such package for this machine.
    #[error(
        "pip found no such package for this machine: {said}\nhint: it needs glibc {glibc} or newer and Python 3.8 or \
         newer, and an index that has it (`python3 -m pip config list`)\n{elsewhere}"
    )]
    NotOffered {
        /// pip's words.
        said: String,
        /// The oldest glibc, `2.34`.
        glibc: String,
        /// How to do without.
        elsewhere: String,
    },
    /// pip failed in another way.
    #[error("pip failed: {said}\nhint: see what this says: {command}")]
    Pip {
        /// pip's words.
        said: String,
        /// What to run by hand.
        command: String,
    },
    /// The wheel is not the pinned one.
    #[error("`{file}` is not the wheel of {project} {version} for {arch}: {found}\nhint: {cure}")]
    WrongWheel {
        /// The file.
        file: String,
        /// The package.
        project: &'static str,
        /// Its version.
        version: &'static str,
        /// The machine.
        arch: &'static str,
        /// What it is instead.
        found: String,
        /// What to do.
        cure: String,
    },
    /// The wheel is the pinned one and holds something else than the pins say: the pins are wrong.
    #[error(
        "`{entry}` of the wheel is not what it must be: {found}\nhint: the wheel is the right one, so this is a mistake of minuted: please report it"
    )]
    WrongEntry {
        /// Its name in the wheel.
        entry: &'static str,
        /// What is wrong.
        found: String,
    },
    /// There is no room.
    #[error("the disk of `{}` is full\nhint: free {needed} MB, then run it again", printable_path(path))]
    DiskFull {
        /// Where there is no room.
        path: PathBuf,
        /// What an installation takes on its way, in MB.
        needed: u64,
    },
    /// The place cannot be written.
    #[error("`{}` cannot be written: {error}\nhint: {cure}", printable_path(path))]
    NotWritable {
        /// The place.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
        /// What to do.
        cure: &'static str,
    },
    /// Something else failed.
    #[error("failed to {what} `{}`", printable_path(path))]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl InstallError {
    /// Returns the error for something that failed while `path` was to be written.
    pub(super) fn written(package: &Package, what: &'static str, path: PathBuf, source: io::Error) -> Self {
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Self::full(package, path),
            Some(Errno::ROFS) => {
                let cure =
                    "its file system is mounted read-only: mount it writable, or set $XDG_DATA_HOME to another place";
                Self::NotWritable { path, error: source, cure }
            }
            Some(Errno::ACCESS | Errno::PERM) => {
                let cure = "run it as the user that minuted runs as, or let that user write there";
                Self::NotWritable { path, error: source, cure }
            }
            Some(_) | None => Self::Io { what, path, source },
        }
    }

    /// Returns the error for a disk without room. The wheel lies there twice while pip works, later beside what is in it.
    pub(super) fn full(package: &Package, path: PathBuf) -> Self {
        let needed = (package.wheel_size + package.size().max(package.wheel_size)).div_ceil(1_000_000);
        Self::DiskFull { path, needed }
    }

    /// Returns the error for a file that is not the wheel. `is_fetched` tells whether pip brought it.
    pub(super) fn wrong_wheel(package: &Package, file: String, found: String, is_fetched: bool) -> Self {
        let cure = if is_fetched {
            format!("the index of this pip gives another file (`python3 -m pip config list`)\n{}", elsewhere(package))
        } else {
            format!("fetch it with: {}", download(package))
        };
        let Package { project, version, arch, .. } = *package;
        Self::WrongWheel { file, project, version, arch, found, cure }
    }

    pub(super) fn wrong_entry(pinned: &Pinned, found: impl Into<String>) -> Self {
        Self::WrongEntry { entry: pinned.entry, found: found.into() }
    }
}

/// Says what a hash is and what it should be.
pub(super) fn mismatch(found: Hash, wanted: Hash) -> String {
    format!("its SHA-256 is {found}, not {wanted}")
}

/// Returns the command that fetches the wheel on any machine.
pub(super) fn download(package: &Package) -> String {
    let Package { platform, project, version, .. } = package;
    let pip = ShellCommand::new("python3 -m pip download --no-deps --only-binary=:all: --platform").word(platform);
    pip.word(format!("{project}=={version}")).into()
}

/// Returns how to bring the wheel along, as a hint of its own.
pub(super) fn elsewhere(package: &Package) -> String {
    format!("hint: or bring the wheel along: minuted engine install FILE; elsewhere it comes by: {}", download(package))
}
