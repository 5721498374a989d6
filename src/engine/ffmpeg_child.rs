//! The process that becomes ffmpeg: it takes its limits, is confined, and then runs the program.

use std::{ffi::OsString, io, os::unix::process::CommandExt as _, path::Path, process::Command};

use super::limits::{ChildLimits, end_with, give_way};
use crate::confine::{Reach, Role, confine_process};

/// MiB of memory that ffmpeg may ask for. It uses less than 100 to decode the sound of most files;
/// what its demuxer keeps of a film of a day, 60 pictures a second, are some hundreds.
pub(crate) const FFMPEG_MEMORY_MIB: u64 = 1024;

/// Hours of processor time that ffmpeg may take: it decodes a hundred hours of sound in that.
pub(super) const FFMPEG_HOURS: u64 = 4;

/// The limits of an ffmpeg that writes no file. Files: the recording, its pipes, and what the
/// loader has open for a moment.
pub(super) const FFMPEG_LIMITS: ChildLimits = ChildLimits {
    memory_mib: FFMPEG_MEMORY_MIB,
    seconds: FFMPEG_HOURS * 3600,
    files: 64,
    file_bytes: 0,
};

/// Exit code of a process that could not become ffmpeg: the one of a shell for a program that
/// cannot be run, which ffmpeg itself never uses.
pub(crate) const NEVER_BEGAN: u8 = 126;

/// Becomes ffmpeg, confined and with limits: it may write no file that is longer than `bytes_max`,
/// and it ends with its parent. It reads its standard input; where that and its output are files,
/// it may open them again. Returns only when it fails.
pub(crate) fn become_ffmpeg(
    program: &Path,
    arguments: &[OsString],
    parent: u32,
    bytes_max: u64,
) -> io::Error {
    match prepare(program, parent, bytes_max) {
        Ok(()) => Command::new(program).args(arguments).env_clear().exec(),
        Err(error) => error,
    }
}

fn prepare(program: &Path, parent: u32, bytes_max: u64) -> io::Result<()> {
    end_with(parent)?;
    give_way()?;
    ChildLimits { file_bytes: bytes_max, ..FFMPEG_LIMITS }.apply_limits()?;
    let reach =
        Reach::for_program(program).with_open(io::stdin(), false)?.with_open(io::stdout(), true)?;
    confine_process(Role::Ffmpeg, &reach).map_err(io::Error::other)?;
    Ok(())
}
