//! The confinement of a child process that works on hostile bytes: it reaches its descriptors, what it must read, and
//! nothing else.
//!
//! Two parts of the kernel do it, and neither needs a privilege. Landlock decides which files may be opened by a path
//! ([`files`]). A filter of system calls (`calls`) keeps it from what has no path: sockets, signals, other processes,
//! namespaces, and whatever a kernel may learn to do later. Both hold for the rest of the process's life and for every
//! program that it becomes.
//!
//! A kernel may lack either of them. Then the work goes on with what there is, and `minuted check` says so. A filter
//! of a service manager or a container that refuses the calls by which a process confines itself is another matter: the
//! kernel could, somebody forbids it, and that is an error.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod calls;
pub(crate) mod files;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod no_calls;

use std::{error::Error, io};

use serde::{Deserialize, Serialize};

pub(crate) use self::files::Reach;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use self::no_calls as calls;

/// The purpose of a confined process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// The recogniser, which becomes no other program.
    Recogniser,
    /// A process that becomes ffmpeg.
    Ffmpeg,
    /// A process that becomes a program of the operator's, and may begin others.
    Hook,
    /// The same with the network.
    NetworkHook,
}

impl Role {
    /// Returns whether it runs programs.
    fn runs_programs(self) -> bool {
        match self {
            Self::Recogniser => false,
            Self::Ffmpeg | Self::Hook | Self::NetworkHook => true,
        }
    }

    /// Returns whether it may call others over the network.
    fn has_network(self) -> bool {
        match self {
            Self::Recogniser | Self::Ffmpeg | Self::Hook => false,
            Self::NetworkHook => true,
        }
    }
}

/// The parts of a confinement that the kernel enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enforced {
    /// True if Landlock keeps it from all other files.
    pub files: bool,
    /// True if the filter keeps it from all other system calls.
    pub calls: bool,
}

/// The reason why a process could not be confined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfineError {
    /// A filter of system calls above this process refuses it.
    #[error("a filter of system calls refuses `{call}`: the service must be allowed {NEEDED}")]
    Refused {
        /// The system call that was refused.
        call: &'static str,
    },
    /// The kernel has it, and failed.
    #[error("failed to confine the process: {0}")]
    Failed(#[source] io::Error),
}

/// The system calls that a unit's `SystemCallFilter=` must allow besides the usual ones.
pub(crate) const NEEDED: &str =
    "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp";

/// Confines this process, which must have one thread and reaches from now on its open descriptors and `reach`. It can
/// never gain privileges again either.
///
/// # Errors
/// [`ConfineError`]; the process is then of no use.
pub(crate) fn confine_process(role: Role, reach: &Reach) -> Result<Enforced, ConfineError> {
    rustix::thread::set_no_new_privs(true).map_err(|error| ConfineError::Failed(error.into()))?;
    let files = files::restrict_files(role, reach)?;
    let calls = calls::apply_filters(role).map_err(|error| refused_or_failed("seccomp", error))?;
    Ok(Enforced { files, calls })
}

/// Confines this process from files alone: for one that reads no hostile bytes and starts those that do.
///
/// # Errors
/// As [`confine_process`].
pub(crate) fn confine_files(role: Role, reach: &Reach) -> Result<bool, ConfineError> {
    rustix::thread::set_no_new_privs(true).map_err(|error| ConfineError::Failed(error.into()))?;
    files::restrict_files(role, reach)
}

/// Tells a filter that forbids from a kernel that fails. The kernel itself never answers these calls so, once the
/// process can gain no privileges.
fn refused_or_failed(call: &'static str, error: io::Error) -> ConfineError {
    if error.kind() == io::ErrorKind::PermissionDenied {
        ConfineError::Refused { call }
    } else {
        ConfineError::Failed(error)
    }
}

/// Returns the error of the system below another one.
fn system_error(error: &(dyn Error + 'static)) -> io::Error {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(code) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(code);
        }
        cause = error.source();
    }
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        net::{TcpListener, UdpSocket},
        os::unix::net::UnixStream,
        path::Path,
        process::Command,
    };

    use rustix::process::{Resource, Rlimit, Signal};

    use super::*;
    use crate::alone;

    /// Says that the outcome is a refusal.
    fn assert_refused<T>(what: &str, outcome: Result<T, impl Into<io::Error>>) {
        let error = outcome.err().map(Into::into);
        let code = error.as_ref().and_then(io::Error::raw_os_error);
        assert!(
            matches!(code, Some(libc::EPERM | libc::EACCES | libc::ENOSYS)),
            "{what}: {error:?}"
        );
    }

    #[test]
    fn a_confined_recogniser_reads_what_it_must_begins_threads_and_does_nothing_else() {
        if !alone::is_child() {
            let test =
                "a_confined_recogniser_reads_what_it_must_begins_threads_and_does_nothing_else";
            alone::pass(&format!("confine::tests::{test}"), &[]);
            return;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let [readable, other, made] =
            ["Cargo.toml", "Cargo.lock", "made-by-a-test"].map(|name| root.join(name));
        let open = File::open(&other).expect("opened");
        let parent = rustix::process::getppid().expect("a parent");
        let enforced =
            confine_process(Role::Recogniser, &Reach::for_libraries().with_read(&readable))
                .expect("confined");
        assert!(
            std::fs::read(&readable).is_ok() && io::read_to_string(&open).is_ok(),
            "what it must read"
        );
        assert_eq!(std::thread::spawn(|| 7).join().expect("a thread"), 7);
        if enforced.files {
            assert_refused("another file", File::open(&other));
            assert_refused("a file to write", File::options().append(true).open(&readable));
            assert_refused("a new file", File::create(&made));
            assert_refused("a directory", std::fs::read_dir(root));
        }
        if enforced.calls {
            assert_refused("a program", Command::new("/bin/true").status());
            assert_refused("UDP", UdpSocket::bind("127.0.0.1:0"));
            assert_refused("TCP", TcpListener::bind("127.0.0.1:0"));
            assert_refused("a pair of sockets", UnixStream::pair());
            assert_refused("a signal", rustix::process::kill_process(parent, Signal::CONT));
            let limit = Rlimit { current: Some(64), maximum: Some(64) };
            assert_refused(
                "limits of another",
                rustix::process::prlimit(Some(parent), Resource::Nofile, limit),
            );
            assert_refused("mode of a file", rustix::fs::fchmod(&open, rustix::fs::Mode::RWXU));
            assert_refused("times of a file", open.set_modified(std::time::UNIX_EPOCH));
            assert_refused("a priority", rustix::process::setpriority_process(None, 19));
        }
    }

    #[test]
    fn a_refusal_is_told_from_a_failure() {
        let refused = refused_or_failed("seccomp", io::Error::from_raw_os_error(libc::EPERM));
        assert!(matches!(refused, ConfineError::Refused { call: "seccomp" }));
        let failed = refused_or_failed("seccomp", io::Error::from_raw_os_error(libc::ENOMEM));
        assert!(matches!(failed, ConfineError::Failed(_)));
        let below = anyhow::Error::new(io::Error::from_raw_os_error(libc::EACCES)).context("above");
        assert_eq!(system_error(below.as_ref()).raw_os_error(), Some(libc::EACCES));
    }
}
