//! `ffmpeg`, for the kinds that symphonia cannot decode.
//!
//! A drop folder is hostile input, and ffmpeg reads playlists, opens addresses and follows
//! references in files. So it is given the kind of the file (by its first bytes, never by its
//! name), it may use no protocol but the one descriptor it is given, it has no environment, it can
//! write no file at all, and it has limits of memory and time of its own. It is confined besides
//! ([`crate::confine`]): a demuxer that hostile bytes take over reaches nothing either.

use std::{
    ffi::OsString,
    fmt::Debug,
    fs::File,
    io::{self, Read, Seek as _},
    os::{fd::OwnedFd, unix::process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::JoinHandle,
};

use rustix::process::Signal;

use super::{AudioError, sniff::FileKind};
use crate::{
    engine::{
        ffmpeg_child::{FFMPEG_HOURS, FFMPEG_MEMORY_MIB, NEVER_BEGAN},
        memory_kills::MemoryKills,
    },
    text,
};

/// Bytes of the last words of ffmpeg that are kept.
const WORDS_MAX: u64 = 4096;

/// Bytes of its list of tracks that are read; titles and comments stand in it, too.
const LIST_MAX: u64 = 256 * 1024;

/// Bytes that ffmpeg may ask for at once: no packet of sound is larger.
const ALLOCATION_MAX: &str = "67108864";

/// The command that starts ffmpeg with its limits.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    /// The program and the arguments in front of ffmpeg's own.
    pub command: Vec<OsString>,
}

/// A starter of ffmpeg: this process itself, or another one for it.
pub(crate) trait StartFfmpeg: Debug {
    /// Starts one with these arguments and `file` as its standard input.
    fn spawn(&self, file: &File, arguments: &[String]) -> io::Result<StartedFfmpeg>;
}

/// An ffmpeg that was started.
#[derive(Debug)]
pub(crate) struct StartedFfmpeg {
    /// The decoded sound.
    pub(crate) output: File,
    /// Its messages.
    pub(crate) words: File,
    pub(crate) process: Box<dyn FfmpegProcess>,
}

/// The process of an ffmpeg.
pub(crate) trait FfmpegProcess: Debug + Send + Sync {
    /// Waits for its end.
    fn wait(&mut self) -> io::Result<FfmpegEnd>;

    /// Ends it, if it has not ended.
    fn give_up(&mut self);
}

/// The end of an ffmpeg.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FfmpegEnd {
    pub(crate) status: ExitStatus,
    /// True when the kernel ended it because the machine or the service had no memory left.
    pub(crate) lacked_memory: bool,
}

/// An ffmpeg at work.
#[derive(Debug)]
pub(crate) struct RunningFfmpeg {
    process: Box<dyn FfmpegProcess>,
    words: Option<JoinHandle<Vec<u8>>>,
}

/// The sound tracks that ffmpeg decodes, and the form of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FfmpegStreams {
    /// The first one: a WAV with the recording's own channels.
    First,
    /// All of them, one channel each: a Matroska, which keeps them and their times.
    All,
    /// The given number of them, mixed: a WAV.
    Mixed(usize),
}

/// Messages of ffmpeg about a container without a sound track.
const NO_SOUND: [&str; 2] = ["matches no streams", "does not contain any stream"];

/// Messages of ffmpeg about a file that breaks off, which it calls a success.
const BREAKS_OFF: [&str; 4] = ["ended prematurely", "partial file", "truncat", "Packet corrupt"];

/// Messages of ffmpeg, its libraries and the loader when memory runs out.
const NO_MEMORY: [&str; 4] =
    ["Cannot allocate memory", "cannot allocate", "out of memory", "bad_alloc"];

/// Returns a message when ffmpeg reached one of its own limits.
pub(crate) fn reached_limit(status: ExitStatus, words: &str) -> Option<String> {
    if status.signal() == Some(Signal::XCPU.as_raw()) {
        return Some(format!(
            "ffmpeg needs more than the {FFMPEG_HOURS} hours of processor time that it may have"
        ));
    }
    let is_memory = !status.success() && NO_MEMORY.iter().any(|known| words.contains(known));
    is_memory.then(|| {
        format!("ffmpeg needs more than the {FFMPEG_MEMORY_MIB} MiB of memory that it may have")
    })
}

/// Returns whether these words of ffmpeg mean that there is no sound track.
pub(crate) fn says_no_sound(words: &str) -> bool {
    NO_SOUND.iter().any(|known| words.contains(known))
}

impl dyn StartFfmpeg + '_ {
    /// Starts decoding `file`, which is of `kind`: 16 kHz come out.
    pub(crate) fn start_decoding(
        &self,
        file: &File,
        kind: FileKind,
        streams: FfmpegStreams,
    ) -> io::Result<(File, RunningFfmpeg)> {
        let started = self.spawn(file, &decoding_arguments(kind, streams))?;
        let words = started.words;
        let words = Some(std::thread::spawn(move || last_words(words, WORDS_MAX)));
        Ok((started.output, RunningFfmpeg { process: started.process, words }))
    }

    /// Asks how many sound tracks `file` has; `None` where it is not understood.
    pub(crate) fn count_sound_streams(
        &self,
        file: &File,
        kind: FileKind,
    ) -> io::Result<Option<usize>> {
        let StartedFfmpeg { output, words, mut process } =
            self.spawn(file, &listing_arguments(kind))?;
        drop(output);
        let words = last_words(words, LIST_MAX);
        // It always ends with an error: it has no output.
        process.wait()?;
        Ok(listed_sound_streams(&String::from_utf8_lossy(&words)))
    }
}

impl StartFfmpeg for Ffmpeg {
    fn spawn(&self, file: &File, arguments: &[String]) -> io::Result<StartedFfmpeg> {
        let kills = MemoryKills::begin();
        let mut child = self.build_command(file, arguments)?.spawn()?;
        let (Some(output), Some(words)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let output = File::from(OwnedFd::from(output));
        let words = File::from(OwnedFd::from(words));
        Ok(StartedFfmpeg { output, words, process: Box::new(OwnFfmpeg { child, kills }) })
    }
}

/// An ffmpeg that is this process's child.
#[derive(Debug)]
struct OwnFfmpeg {
    child: Child,
    kills: MemoryKills,
}

impl FfmpegProcess for OwnFfmpeg {
    fn wait(&mut self) -> io::Result<FfmpegEnd> {
        let status = self.child.wait()?;
        Ok(FfmpegEnd { status, lacked_memory: self.kills.explain(status) })
    }

    fn give_up(&mut self) {
        // It may be gone already; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Ffmpeg {
    /// Returns the command that reads `file` from its start and writes its sound and its messages.
    pub(crate) fn build_command(&self, file: &File, arguments: &[String]) -> io::Result<Command> {
        let mut input = file.try_clone()?;
        input.rewind()?;
        let (program, before) = self.command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command.args(before).args(arguments).env_clear().current_dir("/");
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

/// Counts the sound tracks in the messages of ffmpeg; `None` where they name no track.
pub(crate) fn listed_sound_streams(words: &str) -> Option<usize> {
    // A title of a stranger's stands behind a colon, never at the begin of a line.
    let streams: Vec<&str> =
        words.lines().map(str::trim_start).filter(|line| line.starts_with("Stream #0:")).collect();
    (!streams.is_empty()).then(|| streams.iter().filter(|line| line.contains(": Audio: ")).count())
}

/// Returns the command that becomes ffmpeg by way of this program, which gives it its limits:
/// `bytes_max` is the longest file that it may write, 0 for none at all.
pub(crate) fn limited_command(program: &Path, bytes_max: u64) -> Vec<OsString> {
    let mut command =
        vec![crate::engine::run::this_program().into_os_string(), "engine-work".into()];
    command.extend(["--parent".into(), std::process::id().to_string().into()]);
    command.extend([
        "--writes".into(),
        bytes_max.to_string().into(),
        "--ffmpeg".into(),
        program.into(),
        "--".into(),
    ]);
    command
}

/// Returns the arguments of an ffmpeg that decodes.
pub(crate) fn decoding_arguments(kind: FileKind, streams: FfmpegStreams) -> Vec<String> {
    let mut arguments = input_arguments(kind, "error");
    let mut add = |more: &[&str]| arguments.extend(more.iter().map(|word| (*word).to_owned()));
    match streams {
        FfmpegStreams::First => add(&["-map", "0:a:0"]),
        FfmpegStreams::All => add(&["-map", "0:a"]),
        FfmpegStreams::Mixed(count) => {
            add(&["-filter_complex", &mixing_filter(count), "-map", "[mix]"]);
        }
    }
    add(&["-vn", "-sn", "-dn", "-map_metadata", "-1", "-threads", "1", "-ar", "16000"]);
    match streams {
        FfmpegStreams::First | FfmpegStreams::Mixed(_) => {
            add(&["-c:a", "pcm_s16le", "-f", "wav", "pipe:1"]);
        }
        FfmpegStreams::All => add(&["-ac", "1", "-c:a", "pcm_s16le", "-f", "matroska", "pipe:1"]),
    }
    arguments
}

/// Returns the arguments of an ffmpeg that only lists the tracks of a file.
pub(crate) fn listing_arguments(kind: FileKind) -> Vec<String> {
    input_arguments(kind, "info")
}

/// Returns the arguments by which ffmpeg reads a file. A file that is read from its end needs a
/// descriptor that can be sought: ffmpeg 6 has `fd:` for that, older ones take the same descriptor
/// by its name below `/proc`, for which `file` must be allowed. None of the demuxers that get it
/// follows references unasked.
fn input_arguments(kind: FileKind, level: &str) -> Vec<String> {
    let (protocol, input) =
        if kind.seeks { ("file", "file:/proc/self/fd/0") } else { ("pipe", "pipe:0") };
    let before = ["-hide_banner", "-nostdin", "-loglevel", level, "-max_alloc", ALLOCATION_MAX];
    let limits = ["-threads", "1", "-filter_threads", "1", "-protocol_whitelist", protocol];
    let input = ["-f", kind.demuxer, "-i", input];
    let words = before.into_iter().chain(limits).chain(kind.options.iter().copied()).chain(input);
    words.map(str::to_owned).collect()
}

/// Returns the filter that mixes `count` sound tracks, each at its own time. ffmpeg divides by
/// their number; two voices that seldom speak at once bear the root of it.
#[expect(clippy::cast_precision_loss, reason = "a number of tracks is small")]
fn mixing_filter(count: usize) -> String {
    let input = |at: usize| format!("[0:a:{at}]aresample=async=1:first_pts=0[a{at}];");
    let inputs = (0..count).map(input).collect::<Vec<_>>().concat();
    let labels = (0..count).map(|at| format!("[a{at}]")).collect::<Vec<_>>().concat();
    let louder = (count as f64).sqrt();
    format!(
        "{inputs}{labels}amix=inputs={count}:duration=longest:dropout_transition=0,volume={louder:.3}[mix]"
    )
}

impl RunningFfmpeg {
    /// Waits for its end; returns its last words when it failed.
    ///
    /// # Errors
    /// [`AudioError::Ffmpeg`] and [`AudioError::NoMemory`], which are not the recording's fault.
    pub(crate) fn wait_for_end(&mut self) -> Result<Option<String>, AudioError> {
        let ended = self.process.wait();
        let words = self.words.take().and_then(|words| words.join().ok()).unwrap_or_default();
        let words = text::one_line(&String::from_utf8_lossy(&words), 300);
        let FfmpegEnd { status, lacked_memory } = match ended {
            Ok(end) => end,
            Err(error) => return Ok(Some(error.to_string())),
        };
        if lacked_memory {
            return Err(AudioError::NoMemory);
        }
        if status.code() == Some(NEVER_BEGAN.into()) {
            return Err(AudioError::Ffmpeg { reason: words });
        }
        Ok(if status.success() {
            let is_cut = BREAKS_OFF.iter().any(|known| words.contains(known));
            is_cut.then(|| "it ends too early".to_owned())
        } else if let Some(limit) = reached_limit(status, &words) {
            Some(limit)
        } else if words.is_empty() {
            Some(format!("ffmpeg ended with {status}"))
        } else {
            Some(words)
        })
    }
}

impl Drop for RunningFfmpeg {
    fn drop(&mut self) {
        self.process.give_up();
    }
}

/// Reads to the end, so that ffmpeg never waits for a reader, and keeps the first bytes: the cause
/// comes first.
fn last_words(mut stderr: impl Read, most: u64) -> Vec<u8> {
    let mut words = Vec::new();
    let kept = stderr.by_ref().take(most).read_to_end(&mut words);
    if kept.is_ok() {
        drop(io::copy(&mut stderr, &mut io::sink()));
    }
    words
}

/// Returns the path of `ffmpeg` in the directories of `path`, as the shell would find it.
pub fn find(path: &std::ffi::OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let is_program = |file: &Path| {
        file.metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|at| at.join("ffmpeg"))
        .find(|file| is_program(file))
}
