//! `ffmpeg`, for the kinds that symphonia cannot decode.
//!
//! A drop folder is hostile input, and ffmpeg reads playlists, opens addresses and follows references in files. So it
//! is told what the file is (the first bytes say it, never the name), it may use no protocol but the one descriptor it
//! is given, it has no environment, it can write no file at all, and it has limits of memory and time of its own.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread::JoinHandle,
};

use super::sniff::Kind;
use crate::text;

/// Bytes of the last words of ffmpeg that are kept.
const WORDS_MAX: u64 = 4096;

/// Bytes that ffmpeg may ask for at once: no packet of sound is larger.
const ALLOCATION_MAX: &str = "67108864";

/// How ffmpeg is started, which the child process knows: it gives it its limits.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    /// The program and the arguments in front of ffmpeg's own.
    pub command: Vec<OsString>,
}

/// An ffmpeg at work.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    words: Option<JoinHandle<Vec<u8>>>,
}

impl Ffmpeg {
    /// Starts decoding `file`, which is of `kind`: a WAV of 16 kHz with the recording's own channels comes out.
    pub(crate) fn start(&self, file: &File, kind: Kind) -> io::Result<(ChildStdout, Running)> {
        let mut input = file.try_clone()?;
        input.rewind()?;
        let (program, before) = self.command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command.args(before).args(decoding(kind)).env_clear().current_dir("/");
        let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let words = child.stderr.take().map(|stderr| std::thread::spawn(move || last_words(stderr)));
        Ok((output, Running { child, words }))
    }
}

/// Returns the command that becomes ffmpeg by way of this program, which gives it its limits: `bytes_max` is the longest
/// file that it may write, 0 for none at all.
pub(crate) fn limited(program: &Path, bytes_max: u64) -> Vec<OsString> {
    let mut command = vec![crate::engine::run::this_program().into_os_string(), "engine-work".into()];
    command.extend(["--parent".into(), std::process::id().to_string().into()]);
    command.extend(["--writes".into(), bytes_max.to_string().into(), "--ffmpeg".into(), program.into(), "--".into()]);
    command
}

/// The arguments of an ffmpeg that decodes. A file that is read from its end needs a descriptor that can be sought: ffmpeg 6 has `fd:` for
/// that, older ones take the same descriptor by its name below `/proc`, for which `file` must be allowed. None of the
/// demuxers that get it follows references unasked.
pub(crate) fn decoding(kind: Kind) -> Vec<&'static str> {
    let (protocol, input) = if kind.seeks { ("file", "file:/proc/self/fd/0") } else { ("pipe", "pipe:0") };
    let mut arguments = vec!["-hide_banner", "-nostdin", "-loglevel", "error", "-max_alloc", ALLOCATION_MAX];
    arguments.extend(["-threads", "1", "-filter_threads", "1", "-protocol_whitelist", protocol]);
    arguments.extend(kind.options);
    arguments.extend(["-f", kind.demuxer, "-i", input]);
    arguments.extend(["-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-threads", "1"]);
    arguments.extend(["-ar", "16000", "-c:a", "pcm_s16le", "-f", "wav", "pipe:1"]);
    arguments
}

impl Running {
    /// Waits for its end; returns its last words when it failed.
    pub(crate) fn end(&mut self) -> Option<String> {
        let status = self.child.wait();
        let words = self.words.take().and_then(|words| words.join().ok()).unwrap_or_default();
        let words = text::one_line(&String::from_utf8_lossy(&words), 300);
        match status {
            Ok(status) if status.success() => None,
            Ok(status) if words.is_empty() => Some(format!("ffmpeg ended with {status}")),
            Ok(_) => Some(words),
            Err(error) => Some(error.to_string()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads to the end, so that ffmpeg never waits for a reader, and keeps the first bytes: the cause comes first.
fn last_words(mut stderr: impl Read) -> Vec<u8> {
    let mut words = Vec::new();
    let kept = stderr.by_ref().take(WORDS_MAX).read_to_end(&mut words);
    if kept.is_ok() {
        drop(io::copy(&mut stderr, &mut io::sink()));
    }
    words
}

/// Returns where `ffmpeg` lies in the directories of `path`, as the shell would find it.
pub fn find(path: &std::ffi::OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let is_program = |file: &Path| {
        file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|at| at.join("ffmpeg"))
        .find(|file| is_program(file))
}
