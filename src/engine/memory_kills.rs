//! Kills for lack of memory: the kernel counts the processes that it ends so.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    os::unix::process::ExitStatusExt as _,
    process::ExitStatus,
};

use rustix::process::Signal;

/// Bytes of the kernel's counters that are read: some 200 lines of 30.
const COUNTERS_MAX: u64 = 64 * 1024;

/// The number of processes that the kernel had ended for lack of memory, of the machine or of a
/// service, when a child began.
///
/// The counter is that of the whole machine, for a process need not be able to see its own group's.
/// So a child that is killed while another process dies for lack of memory is excused too,
/// which costs nothing but another try.
#[derive(Debug)]
pub(super) struct MemoryKills {
    /// Kept open: a confined process could not open it again.
    counters: Option<File>,
    before: u64,
}

impl MemoryKills {
    /// Reads the counter. Without one no child is excused.
    pub(super) fn begin() -> Self {
        let mut kills = Self { counters: File::open("/proc/vmstat").ok(), before: 0 };
        kills.note_count();
        kills
    }

    /// Reads the counter again, for another child begins.
    pub(super) fn note_count(&mut self) {
        self.before = self.read_count();
    }

    /// Returns whether the kernel ended a child for lack of memory, and not its own limit.
    pub(super) fn explain(&self, status: ExitStatus) -> bool {
        status.signal() == Some(Signal::KILL.as_raw()) && self.read_count() > self.before
    }

    fn read_count(&self) -> u64 {
        self.counters.as_ref().and_then(|file| read_counter(file).ok().flatten()).unwrap_or(0)
    }
}

fn read_counter(mut file: &File) -> io::Result<Option<u64>> {
    let mut text = String::new();
    file.rewind()?;
    file.take(COUNTERS_MAX).read_to_string(&mut text)?;
    Ok(parse_counter(&text))
}

/// Reads the number of ended processes from the kernel's counters.
fn parse_counter(counters: &str) -> Option<u64> {
    counters.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended_by(signal: Signal) -> ExitStatus {
        ExitStatus::from_raw(signal.as_raw())
    }

    #[test]
    fn only_a_kill_beside_a_count_that_rose_is_for_want_of_memory() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("vmstat");
        let write = |count: u32| {
            std::fs::write(&path, format!("pgfault 7\noom_kill_x 9\noom_kill {count}\n"))
        };
        write(3).expect("written");
        let mut kills = MemoryKills { counters: File::open(&path).ok(), before: 0 };
        kills.note_count();
        assert!(!kills.explain(ended_by(Signal::KILL)), "nobody was ended");
        write(4).expect("written");
        assert!(kills.explain(ended_by(Signal::KILL)));
        assert!(
            !kills.explain(ended_by(Signal::SEGV)) && !kills.explain(ExitStatus::from_raw(1 << 8))
        );
        kills.note_count();
        assert!(!kills.explain(ended_by(Signal::KILL)), "that was before");
    }

    #[test]
    fn this_kernel_counts_them() {
        assert!(parse_counter(&std::fs::read_to_string("/proc/vmstat").expect("read")).is_some());
    }
}
