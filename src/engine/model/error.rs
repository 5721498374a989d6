//! Errors of an installation.

use std::{io, path::PathBuf};

use rustix::io::Errno;

use super::{Package, PinnedFile, Sha256};
use crate::text::{ShellCommand, printable_path};

/// An error of an installation, by its cure. An earlier installation is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is no package for this machine.
    #[error(
        "the on-device engine is made for Linux with glibc on x86_64 and aarch64; this minuted was built for another \
         machine ({arch})"
    )]
    Unsupported {
        /// The machine.
        arch: &'static str,
    },
    /// There is no directory to install into.
    #[error("there is no place for the model: neither a home directory nor a configuration")]
    NoPlace,
    /// There is no Python.
    #[error("python3 was not found, and the model comes through its pip")]
    NoPython {
        /// The way without pip.
        elsewhere: String,
    },
    /// There is no pip.
    #[error("python3 has no pip, and the model comes through it")]
    NoPip {
        /// The way without pip.
        elsewhere: String,
    },
    /// pip cannot pass its proxy.
    #[error("pip could not pass the proxy: {message}")]
    Proxy {
        /// pip's words.
        message: String,
        /// The way without pip.
        elsewhere: String,
    },
    /// pip cannot reach the index.
    #[error("pip could not fetch the model: {message}")]
    Network {
        /// pip's words.
        message: String,
        /// The way without pip.
        elsewhere: String,
    },
    /// The index has no such package for this machine.
    #[error("pip found no such package for this machine: {message}")]
    NotOffered {
        /// pip's words.
        message: String,
        /// The oldest glibc, `2.34`.
        glibc: String,
        /// The way without pip.
        elsewhere: String,
    },
    /// pip failed in another way.
    #[error("pip failed: {message}")]
    Pip {
        /// pip's words.
        message: String,
        /// The command to run by hand.
        command: String,
    },
    /// The wheel is not the pinned one.
    #[error("`{file}` is not the wheel of {project} {version} for {arch}: {found}")]
    WrongWheel {
        /// The file.
        file: String,
        /// The package.
        project: &'static str,
        /// Its version.
        version: &'static str,
        /// The machine.
        arch: &'static str,
        /// The difference that was found.
        found: String,
        /// The hint.
        cure: String,
    },
    /// The wheel is the pinned one and holds something else than the pins say: the pins are wrong.
    #[error("`{entry}` of the wheel is not what it must be: {found}")]
    WrongEntry {
        /// Its name in the wheel.
        entry: &'static str,
        /// The difference that was found.
        found: String,
    },
    /// There is no room.
    #[error("the disk of `{}` is full", printable_path(path))]
    DiskFull {
        /// The place without room.
        path: PathBuf,
        /// The room that an installation takes on its way, in MB.
        needed: u64,
    },
    /// The place cannot be written.
    #[error("`{}` cannot be written: {error}", printable_path(path))]
    NotWritable {
        /// The place.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
        /// The hint.
        cure: &'static str,
    },
    /// Something else failed.
    #[error("failed to {what} `{}`", printable_path(path))]
    Io {
        /// The action that failed.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

impl InstallError {
    /// Returns the cure, on one line or several; `None` where the system's own error says enough.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unsupported { .. } => {
                "run minuted on such a machine, or configure a service that does the work elsewhere"
                    .to_owned()
            }
            Self::NoPlace => "set $HOME, or name a configuration with --config FILE".to_owned(),
            Self::NoPython { elsewhere } | Self::NoPip { elsewhere } => {
                format!("apt install python3-pip\n{elsewhere}")
            }
            Self::Proxy { elsewhere, .. } => {
                format!("check $HTTPS_PROXY and `python3 -m pip config list`\n{elsewhere}")
            }
            Self::Network { elsewhere, .. } => {
                format!("check the network and try again\n{elsewhere}")
            }
            Self::NotOffered { glibc, elsewhere, .. } => format!(
                "it needs glibc {glibc} or newer and Python 3.8 or newer, and an index that has it \
                 (`python3 -m pip config list`)\n{elsewhere}"
            ),
            Self::Pip { command, .. } => format!("see what this says: {command}"),
            Self::WrongWheel { cure, .. } => cure.clone(),
            Self::WrongEntry { .. } => {
                "the wheel is the right one, so this is a mistake of minuted: please report it"
                    .to_owned()
            }
            Self::DiskFull { needed, .. } => format!("free {needed} MB, then run it again"),
            Self::NotWritable { cure, .. } => (*cure).to_owned(),
            Self::Io { .. } => return None,
        })
    }

    /// Returns the error for something that failed while `path` was to be written.
    pub(super) fn from_write_error(
        package: &Package,
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    ) -> Self {
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Self::disk_full(package, path),
            Some(Errno::ROFS) => {
                let cure = "its file system is mounted read-only: mount it writable, or set $XDG_DATA_HOME to another place";
                Self::NotWritable { path, error: source, cure }
            }
            Some(Errno::ACCESS | Errno::PERM) => {
                let cure = "run it as the user that minuted runs as, or let that user write there";
                Self::NotWritable { path, error: source, cure }
            }
            Some(_) | None => Self::Io { what, path, source },
        }
    }

    /// Returns the error for a disk without room. The wheel lies there twice while pip works, later
    /// beside what is in it.
    pub(super) fn disk_full(package: &Package, path: PathBuf) -> Self {
        let needed =
            (package.wheel_size + package.size().max(package.wheel_size)).div_ceil(1_000_000);
        Self::DiskFull { path, needed }
    }

    /// Returns the error for a file that is not the wheel. `is_fetched` is true when pip brought
    /// it.
    pub(super) fn wrong_wheel(
        package: &Package,
        file: String,
        found: String,
        is_fetched: bool,
    ) -> Self {
        let cure = if is_fetched {
            format!(
                "the index of this pip gives another file (`python3 -m pip config list`)\n{}",
                wheel_hint(package)
            )
        } else {
            format!("fetch it with: {}", download_command(package))
        };
        let Package { project, version, arch, .. } = *package;
        Self::WrongWheel { file, project, version, arch, found, cure }
    }

    pub(super) fn wrong_entry(pinned: &PinnedFile, found: impl Into<String>) -> Self {
        Self::WrongEntry { entry: pinned.entry, found: found.into() }
    }
}

/// Describes a hash that differs from the pinned one.
pub(super) fn hash_mismatch(found: Sha256, wanted: Sha256) -> String {
    format!("its SHA-256 is {found}, not {wanted}")
}

/// Returns the command that fetches the wheel on any machine.
pub(super) fn download_command(package: &Package) -> String {
    let Package { platform, project, version, .. } = package;
    let pip = ShellCommand::new("python3 -m pip download --no-deps --only-binary=:all: --platform")
        .add_word(platform);
    pip.add_word(format!("{project}=={version}")).into()
}

/// Returns the hint to bring the wheel along.
pub(super) fn wheel_hint(package: &Package) -> String {
    format!(
        "hint: or bring the wheel along: minuted engine install FILE; elsewhere it comes by: {}",
        download_command(package)
    )
}
