//! The process that becomes a program of the operator's which is told of events: it takes its limits, is confined, and
//! then runs the program.
//!
//! The program is trusted with what it is told, not with what it may be made to do: its input holds names and titles of
//! strangers.

use std::{io, os::unix::process::CommandExt as _, path::Path, process::Command};

use super::limits::{ChildLimits, end_with, give_way};
use crate::confine::{Reach, Role, confine_process};

/// The limits of such a program. It writes no file; processor time is bounded besides by the time limit of the notifier,
/// which is 10 minutes at most.
const HOOK_LIMITS: ChildLimits =
    ChildLimits { memory_mib: 1024, seconds: 600, files: 256, file_bytes: 0 };

/// Files that a program reads which calls others over the network.
const OF_NETWORK: [&str; 10] = [
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/run/systemd/resolve",
];

/// Files that every program may read.
const OF_ALL: [&str; 4] = ["/usr/share", "/etc/localtime", "/dev/urandom", "/dev/zero"];

/// Exit code of a process that could not become the program.
pub(crate) const NEVER_BEGAN: u8 = 126;

/// Becomes the program, confined and with limits; it ends with its parent. Returns only when it fails.
pub(crate) fn become_hook(program: &Path, parent: u32, network: bool) -> io::Error {
    match prepare(program, parent, network) {
        Ok(()) => Command::new(program).exec(),
        Err(error) => error,
    }
}

fn prepare(program: &Path, parent: u32, network: bool) -> io::Result<()> {
    end_with(parent)?;
    give_way()?;
    HOOK_LIMITS.apply_limits()?;
    let (role, files) =
        if network { (Role::NetworkHook, &OF_NETWORK[..]) } else { (Role::Hook, &[][..]) };
    let mut reach = Reach::for_program(program).with_written("/dev/null");
    for path in OF_ALL.iter().chain(files) {
        reach = reach.with_read(*path);
    }
    // What it needs lies beside it: a configuration, a token of its own.
    if let Some(directory) = std::fs::canonicalize(program)?.parent() {
        reach = reach.with_program(directory);
    }
    confine_process(role, &reach).map_err(io::Error::other)?;
    Ok(())
}
