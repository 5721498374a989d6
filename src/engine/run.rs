//! The parent's side: starts the child, reads its answers, and ends it when the caller no longer
//! waits.

use std::{
    fs::File,
    io,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
    time::{Instant, timeout, timeout_at},
};

use super::{
    audio::error::NO_MEMORY_LEFT,
    child,
    confidence::Confidence,
    memory_kills::MemoryKills,
    pieces,
    recogniser::Choice,
    sample_seconds,
    wire::{ChildLine, FailureKind, LINE_MAX, VoiceWork, Work},
};
use crate::{
    config::ENGLISH,
    job::{Segment, UNCLEAR},
    progress::{Progress, Unit},
    text,
};

/// Time without progress after which a child is ended: the slowest machine does a second of sound
/// in that.
const STANDS_STILL: Duration = Duration::from_mins(10);

/// Time that a child may take to end after its last answer.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Bytes of the child's last messages that are kept: enough for a panic.
const WORDS_MAX: usize = 4096;

/// MiB of memory that the child may ask for. It uses less than 256, whatever the length of the
/// recording (198 were measured for an hour); the rest is for what the allocator and the runtime
/// reserve.
pub(crate) const MEMORY_MIB: u64 = 512;

/// A recording to transcribe, and the way to do it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The recogniser that turns sound into words.
    pub recogniser: Choice,
    /// The way to tell voices apart; `None` makes a transcript without speakers.
    pub voices: Option<VoiceWork>,
    /// The directory for finished pieces, of this job alone; made when it is not there.
    pub pieces: PathBuf,
    /// The identity of this recording, for instance the hash of its content.
    pub content: String,
    /// Threads of the model, at least 1.
    pub threads: usize,
    /// MiB of memory that the child may ask for; for Moonshine [`MEMORY_MIB`].
    pub memory_mib: u64,
    /// The length of the recording, if known.
    pub duration: Option<Duration>,
    /// Maximum length of the recording: a longer one is given up.
    pub length_max: Option<Duration>,
    /// The path of ffmpeg, if it is installed: [`super::audio::ffmpeg::find`].
    pub ffmpeg: Option<PathBuf>,
    /// The program that is the child: [`this_program`].
    pub program: PathBuf,
    /// For tests: the effect at which the child comes to harm, see [`crate::effect`].
    pub harm: Option<String>,
}

/// A transcript.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transcript {
    /// In the order of time; two people may speak at once.
    pub segments: Vec<Segment>,
    /// The length of the recording.
    pub duration: Duration,
    /// Remarks for the reader: damage, an end that is missing.
    pub remarks: Vec<String>,
    /// True where the recogniser understands English alone and something else was spoken: the words
    /// mean nothing.
    pub is_foreign: bool,
    /// The language, ISO 639, where it was detected, or what was said sounds like the one language
    /// of the recogniser.
    pub language: Option<String>,
}

/// An error of the engine, by what is to be done next.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The recording cannot be decoded: its own fault.
    #[error("{reason}")]
    Undecodable {
        /// The reason.
        reason: String,
    },
    /// The recording is whole, and holds no sound: nothing went wrong.
    #[error("there is no sound in it")]
    NoSound,
    /// The recording is longer than it may be.
    #[error("it is longer than {}", text::format_duration(*.max))]
    TooLong {
        /// Its maximum length.
        max: Duration,
    },
    /// The child died of the recording: its own fault.
    #[error("the engine died of it: {how}")]
    Crashed {
        /// The cause, with its last messages.
        how: String,
    },
    /// The recording needs more memory than the child may have: its own fault.
    #[error("the engine ran out of memory ({limit_mib} MiB)")]
    OutOfMemory {
        /// The limit.
        limit_mib: u64,
    },
    /// The child was ended because the machine or the service had no memory left: not the
    /// recording's fault.
    #[error("{NO_MEMORY_LEFT}")]
    NoMemory,
    /// The child got no further for a long time and was ended: the recording's own fault.
    #[error("the engine stood still for {}", text::format_duration(*.after))]
    StoodStill {
        /// The time without progress.
        after: Duration,
    },
    /// The recording waits until ffmpeg is there.
    #[error("{reason}")]
    NeedsFfmpeg {
        /// The purpose that it is needed for.
        reason: String,
    },
    /// The model does not know the language that is spoken: the recording waits until another one
    /// is named.
    #[error("{reason}")]
    Language {
        /// The language, and what to do.
        reason: String,
    },
    /// The model is missing or damaged: all recordings wait until it is installed.
    #[error("{reason}")]
    Model {
        /// The reason.
        reason: String,
    },
    /// The recording cannot be read just now, or what is finished cannot be written: not the
    /// recording's fault.
    #[error("{reason}")]
    Disk {
        /// The reason.
        reason: String,
    },
    /// The child could not be started, or not be understood: not the recording's fault.
    #[error("failed to run the engine")]
    Start(#[source] io::Error),
}

/// Returns the path of this program, also after its file was replaced by a newer version, so that
/// the daemon and its child always understand each other. No other code names it.
#[must_use]
pub fn this_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// Transcribes `recording`, an open file of any kind; `progress` counts milliseconds of sound.
/// Dropping the future ends the child; finished pieces are taken up the next time. They stay until
/// the caller removes their directory.
///
/// Not to be polled on a thread that ends before it: the kernel ends the child with the *thread*
/// that started it.
///
/// # Errors
/// [`EngineError`].
pub async fn run(
    request: Request,
    recording: File,
    progress: Arc<Progress>,
) -> Result<Transcript, EngineError> {
    let directory = request.pieces.clone();
    let done = run_child(request, recording, progress).await;
    if done.is_err() {
        pieces::forget_empty(&directory);
    }
    done
}

async fn run_child(
    request: Request,
    recording: File,
    progress: Arc<Progress>,
) -> Result<Transcript, EngineError> {
    let kills = MemoryKills::begin();
    let mut child = start_child(&request, recording).map_err(EngineError::Start)?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(EngineError::Start(io::ErrorKind::BrokenPipe.into()));
    };
    let (last, words) =
        tokio::join!(follow_child(stdout, &mut child, &progress), last_words(stderr));
    let last = last?;
    let status = timeout(ENDS_WITHIN, child.wait()).await.ok().and_then(Result::ok);
    let is_silent = matches!(last, Some(ChildLine::Loading | ChildLine::Progress { .. }) | None);
    if is_silent && status.is_some_and(|status| kills.explain(status)) {
        return Err(EngineError::NoMemory);
    }
    match last {
        Some(ChildLine::Done { remarks, .. }) => {
            Ok(Transcript { remarks, ..read_transcript(&request)? })
        }
        Some(ChildLine::Failed { kind, error }) => Err(child_failure(kind, &error, &request)),
        Some(ChildLine::Loading) => {
            let how = how_it_died(status, &words);
            Err(EngineError::Model {
                reason: format!("the engine died while it loaded its model: {how}"),
            })
        }
        Some(ChildLine::Progress { .. }) | None => Err(crash_error(status, &words, &request)),
    }
}

fn start_child(request: &Request, recording: File) -> io::Result<Child> {
    let work = Work {
        recogniser: request.recogniser.clone(),
        voices: request.voices.clone(),
        pieces: request.pieces.clone(),
        content: request.content.clone(),
        threads: request.threads,
        memory_mib: request.memory_mib,
        length_max_ms: request.length_max.and_then(|length| u64::try_from(length.as_millis()).ok()),
        duration_ms: request.duration.and_then(|duration| u64::try_from(duration.as_millis()).ok()),
        ffmpeg: request.ffmpeg.clone(),
        parent: std::process::id(),
        harm: request.harm.clone(),
    };
    let mut command = Command::new(&request.program);
    command.args(child::command_arguments(&work)?).env_clear().current_dir("/").kill_on_drop(true);
    // When whisper.cpp gives up it would start a debugger, where there is one.
    command.env("GGML_NO_BACKTRACE", "1");
    command.stdin(Stdio::from(recording)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Reads the child's lines; returns the last one that is not about progress, which is `Loading` for
/// a child that died meanwhile. Ends a child that stands still.
async fn follow_child(
    stdout: ChildStdout,
    child: &mut Child,
    progress: &Progress,
) -> Result<Option<ChildLine>, EngineError> {
    let mut reader = BufReader::new(stdout);
    let mut deadline = Instant::now() + STANDS_STILL;
    let mut most = None;
    let mut loading = None;
    loop {
        let Ok(line) = timeout_at(deadline, read_line(&mut reader)).await else {
            child.kill().await.map_err(EngineError::Start)?;
            return Err(EngineError::StoodStill { after: STANDS_STILL });
        };
        match line.map_err(EngineError::Start)? {
            Some(ChildLine::Loading) => loading = Some(ChildLine::Loading),
            Some(ChildLine::Progress { done_ms, total_ms, busy_ms }) => {
                loading = None;
                if most.is_none() {
                    progress.begin(done_ms, total_ms, Unit::Milliseconds);
                }
                if most.is_none_or(|most| done_ms > most) {
                    most = Some(done_ms);
                    deadline = Instant::now() + STANDS_STILL;
                }
                progress.keep_busy(done_ms, busy_ms);
                // A recording may be longer than it says.
                progress.reach(done_ms, total_ms.max(done_ms));
            }
            last => return Ok(last.or(loading)),
        }
    }
}

async fn read_line(reader: &mut BufReader<ChildStdout>) -> io::Result<Option<ChildLine>> {
    let mut text = Vec::new();
    reader.take(LINE_MAX).read_until(b'\n', &mut text).await?;
    // A line that is torn is the last of a child that died.
    if text.last() == Some(&b'\n') { Ok(Some(serde_json::from_slice(&text)?)) } else { Ok(None) }
}

/// Reads to the end and returns the last bytes.
pub(super) async fn last_words(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut words = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        words.extend_from_slice(&buffer[..read]);
        words.drain(..words.len().saturating_sub(WORDS_MAX));
    }
    String::from_utf8_lossy(&words).into_owned()
}

fn read_transcript(request: &Request) -> Result<Transcript, EngineError> {
    let (mut found, end) = pieces::read_pieces(&request.pieces).map_err(|error| {
        EngineError::Disk { reason: format!("cannot read what is finished: {error}") }
    })?;
    found.retain(|piece| !piece.text.is_empty());
    found.sort_by_key(|piece| (piece.start, piece.end));
    let is_english_only = request.recogniser.is_english_only();
    // Where whisper has detected English, moonshine has recognised it.
    let is_moonshine = is_english_only
        || end
            .language
            .as_deref()
            .is_some_and(|language| request.recogniser.for_language(language).is_english_only());
    let confidence: Confidence = found.iter().map(|piece| piece.confidence).sum();
    let is_foreign = is_english_only && confidence.is_foreign();
    let is_english = is_english_only && confidence.is_english();
    let segments = found.into_iter().map(|piece| Segment {
        start: Some(sample_seconds(piece.start)),
        end: Some(sample_seconds(piece.end)),
        speaker: piece
            .side
            .map(|side| side.speaker())
            .or_else(|| Some(format!("Speaker {}", piece.speaker?))),
        // The words of another language may still show whoever speaks it what the recording is.
        text: if is_moonshine && !is_foreign && piece.confidence.is_unclear() {
            UNCLEAR.to_owned()
        } else {
            piece.text
        },
        confidence: piece.confidence.of_segment(),
    });
    let duration = Duration::from_secs_f64(sample_seconds(end.samples));
    Ok(Transcript {
        segments: segments.collect(),
        duration,
        remarks: end.remarks,
        is_foreign,
        language: end.language.or_else(|| is_english.then(|| ENGLISH.to_owned())),
    })
}

fn child_failure(kind: FailureKind, reason: &str, request: &Request) -> EngineError {
    let reason = text::one_line(reason, 500);
    match kind {
        FailureKind::Undecodable => EngineError::Undecodable { reason },
        FailureKind::NoSound => EngineError::NoSound,
        FailureKind::TooLong => {
            EngineError::TooLong { max: request.length_max.unwrap_or_default() }
        }
        FailureKind::NeedsFfmpeg => EngineError::NeedsFfmpeg { reason },
        FailureKind::Language => EngineError::Language { reason },
        FailureKind::Model => EngineError::Model { reason },
        FailureKind::Disk => EngineError::Disk { reason },
        FailureKind::Memory => EngineError::OutOfMemory { limit_mib: request.memory_mib },
        FailureKind::NoMemory => EngineError::NoMemory,
    }
}

/// Returns the error for a child that died without an answer.
fn crash_error(status: Option<ExitStatus>, words: &str, request: &Request) -> EngineError {
    if words.contains("memory allocation of") || words.contains("bad_alloc") {
        return EngineError::OutOfMemory { limit_mib: request.memory_mib };
    }
    EngineError::Crashed { how: how_it_died(status, words) }
}

fn how_it_died(status: Option<ExitStatus>, words: &str) -> String {
    let how = match status {
        Some(status) => {
            status.signal().map_or_else(|| status.to_string(), |signal| format!("signal {signal}"))
        }
        None => "it did not end".to_owned(),
    };
    let words = text::one_line(words, 300);
    if words.is_empty() { how } else { format!("{how}: {words}") }
}
