//! The limits of a child process: memory, time, files, and that it ends with its parent.

use std::{fs::File, io, io::Write as _};

use rustix::{
    fs::{Mode, OFlags},
    process::{DumpableBehavior, Resource, Rlimit, Signal},
};

/// Bytes in a MiB.
const MIB: u64 = 1024 * 1024;

/// Seconds from the signal that processor time is used up to the kill.
const GRACE_SECONDS: u64 = 5;

/// The score by which the kernel ends a child first when memory runs out: its work is resumed,
/// while the daemon serves every recording.
const KILLED_FIRST: &str = "1000";

/// The niceness of a child: a recording can wait for other work on the machine.
const NICENESS: i32 = 10;

/// The limits of a child process. A kernel counts a thread's stack as memory, and nothing that is
/// only read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChildLimits {
    /// MiB of memory.
    pub(super) memory_mib: u64,
    /// Seconds of processor time.
    pub(super) seconds: u64,
    /// Files that it has open at once.
    pub(super) files: u64,
    /// Bytes of the longest file that it writes.
    pub(super) file_bytes: u64,
}

impl ChildLimits {
    /// Sets the limits of this process for its whole life, also after it runs another program.
    pub(super) fn apply_limits(self) -> io::Result<()> {
        set_limit(Resource::Data, self.memory_mib.saturating_mul(MIB), 0)?;
        // A soft limit below the hard one has a signal of its own; at the hard one it would
        // only be killed.
        set_limit(Resource::Cpu, self.seconds, GRACE_SECONDS)?;
        set_limit(Resource::Nofile, self.files, 0)?;
        set_limit(Resource::Fsize, self.file_bytes, 0)?;
        set_limit(Resource::Core, 0, 0)
    }
}

fn set_limit(resource: Resource, most: u64, grace: u64) -> io::Result<()> {
    let limit = Rlimit { current: Some(most), maximum: Some(most.saturating_add(grace)) };
    Ok(rustix::process::setrlimit(resource, limit)?)
}

/// Makes this process end with its parent, which may have ended before it could be asked for that.
pub(super) fn end_with(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get().unsigned_abs());
    if now == Some(parent) { Ok(()) } else { Err(io::Error::other("the parent is gone")) }
}

/// Makes this process come last where there is little processor time, and be ended first where
/// there is little memory.
pub(super) fn give_way() -> io::Result<()> {
    rustix::process::nice(NICENESS)?;
    // Without it the kernel chooses by size, which is right often enough: where `/proc` is missing
    // the work goes on.
    if let Err(error) = be_killed_first() {
        tracing::debug!("the kernel may end another process first: {error}");
    }
    Ok(())
}

/// The files of a process that cannot be dumped belong to root, so it is one that can while it
/// writes. It has just begun: there is nothing in it to be seen.
fn be_killed_first() -> io::Result<()> {
    let before = rustix::process::dumpable_behavior()?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let opened = rustix::fs::open(
        "/proc/self/oom_score_adj",
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    rustix::process::set_dumpable_behavior(before)?;
    File::from(opened?).write_all(KILLED_FIRST.as_bytes())
}
