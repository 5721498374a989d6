//! What the child does: the hidden command `minuted engine-work`.
//!
//! It has no configuration, no logging and no environment. The recording is its standard input, its answers are lines
//! on its standard output, and what it finishes goes to disk at once ([`super::pieces`]). It ends when its parent does.
//!
//! Before it reads the first byte of the recording it opens the file of pieces, has a process started that will start
//! ffmpeg for it, and is confined: what a decoder or the recogniser is talked into by hostile bytes reaches the model and
//! the libraries, and nothing else.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use super::{
    audio::{Audio, AudioError, ffmpeg::StartFfmpeg},
    lender::Lender,
    limits::{Limits, end_with, give_way},
    milliseconds,
    moonshine::ModelError,
    pieces::{self, End, Piece, Pieces, PiecesFile},
    recogniser::{Choice, Recogniser},
    speech::Listener,
    wire::{Kind, Line, Work},
};
use crate::confine::{ConfineError, Reach, Role, confine};

/// How often it says how far it is, at most.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// Files that it may have open: the recording, the pieces, its pipes, and the model while it is loaded.
const FILES_MAX: u64 = 64;

/// Seconds of processor time that it may take, a week: a hundred hours of sound with the slowest model. What is finished
/// by then stays.
const SECONDS_MAX: u64 = 7 * 86_400;

/// Where a runtime learns which processor it has.
const PROCESSOR: [&str; 2] = ["/proc/cpuinfo", "/sys/devices/system/cpu"];

/// Why the child fails.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Audio(#[from] AudioError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("cannot keep what is finished: {0}")]
    Pieces(#[source] io::Error),
    #[error("failed to get ready: {0}")]
    Start(io::Error),
    #[error(transparent)]
    Confine(#[from] ConfineError),
    #[error("it is longer than it may be")]
    TooLong,
}

impl Failure {
    fn kind(&self) -> Kind {
        match self {
            Self::Audio(AudioError::Undecodable { .. }) => Kind::Undecodable,
            Self::Audio(AudioError::NoSound) => Kind::NoSound,
            Self::Audio(AudioError::NeedsFfmpeg { .. } | AudioError::Ffmpeg { .. }) => Kind::NeedsFfmpeg,
            Self::Audio(AudioError::NoMemory) => Kind::NoMemory,
            Self::Audio(AudioError::Io(_)) | Self::Pieces(_) | Self::Start(_) | Self::Confine(_) => Kind::Disk,
            Self::Model(ModelError::Unusable { .. } | ModelError::Failed { .. }) => Kind::Model,
            Self::Model(ModelError::Memory { .. }) => Kind::Memory,
            Self::TooLong => Kind::TooLong,
            Self::Model(ModelError::Language { .. }) => Kind::Language,
        }
    }
}

/// Does the work, and tells how it went. Returns whether it is done.
///
/// # Errors
/// When nobody listens any more.
pub fn work(work: &Work) -> io::Result<bool> {
    #[cfg(debug_assertions)]
    if let Some(harm) = &work.harm {
        crate::effect::arm(harm);
    }
    let mut answers = Answers::open()?;
    let (line, is_done) = match transcribe(work, &mut answers) {
        Ok(line) => (line, true),
        Err(failure) => (Line::Failed { kind: failure.kind(), error: failure.to_string() }, false),
    };
    answers.tell(&line)?;
    Ok(is_done)
}

/// What the child is ready with once it is confined.
struct Ready {
    recording: File,
    pieces: PiecesFile,
    lender: Option<Lender>,
}

/// Makes this process one that harms nobody: it ends with its parent, comes last, has its limits, and reaches nothing
/// but what it opened here and what it must read.
fn settle_down(work: &Work) -> Result<Ready, Failure> {
    end_with(work.parent).and_then(|()| give_way()).map_err(Failure::Start)?;
    let recording = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(Failure::Start)?);
    let pieces = PiecesFile::open(&work.pieces).map_err(Failure::Pieces)?;
    let lender = work.ffmpeg.as_ref().map(|program| Lender::start(program, &recording));
    let lender = lender.transpose().map_err(Failure::Start)?;
    let limits =
        Limits { memory_mib: work.memory_mib, seconds: SECONDS_MAX, files: FILES_MAX, file_bytes: pieces::FILE_MAX };
    limits.apply().map_err(Failure::Start)?;
    confine(Role::Recogniser, &reach(&work.recogniser))?;
    Ok(Ready { recording, pieces, lender })
}

/// Returns what the recogniser must read.
fn reach(choice: &Choice) -> Reach {
    let reach = PROCESSOR.into_iter().fold(Reach::libraries(), Reach::with_read);
    choice.files().into_iter().fold(reach, Reach::with_read)
}

fn transcribe(work: &Work, answers: &mut Answers) -> Result<Line, Failure> {
    let Ready { recording, pieces, lender } = settle_down(work)?;
    let ffmpeg = lender.as_ref().map(|lender| lender as &dyn StartFfmpeg);
    let audio = Audio::open_with(recording, ffmpeg)?;
    answers.tell(&Line::Loading).map_err(Failure::Start)?;
    let recogniser = Recogniser::load(&work.recogniser, work.threads)?;
    let total_ms = audio.length().map(milliseconds).or(work.duration_ms).unwrap_or(0);
    answers.tell(&Line::Progress { done_ms: 0, total_ms, busy_ms: busy_ms() }).map_err(Failure::Start)?;
    let pieces = pieces.take_up(&recogniser.id(), &work.content).map_err(Failure::Pieces)?;
    if let Some(end) = pieces.end() {
        return Ok(Line::Done { segments: pieces.spoken(), remarks: end.remarks.clone() });
    }
    let length_max_ms = work.length_max_ms.unwrap_or(u64::MAX);
    let mut session = Session { audio, recogniser, pieces, answers, total_ms, length_max_ms, told: None };
    session.hear()?;
    if let Some(audio) = session.audio.second_opinion_with(ffmpeg)? {
        session.audio = audio;
        session.pieces.restart().map_err(Failure::Pieces)?;
        session.hear()?;
    }
    session.finish()
}

/// One recording on its way.
struct Session<'a> {
    audio: Audio,
    recogniser: Recogniser,
    pieces: Pieces,
    answers: &'a mut Answers,
    total_ms: u64,
    length_max_ms: u64,
    told: Option<Instant>,
}

impl Session<'_> {
    /// Turns all of the sound into pieces.
    fn hear(&mut self) -> Result<(), Failure> {
        let mut listeners: Vec<Listener> = Vec::new();
        while let Some(planes) = self.audio.listen()? {
            if listeners.is_empty() {
                listeners.resize_with(planes.len(), Listener::default);
            }
            for (at, listener) in listeners.iter_mut().enumerate() {
                let others =
                    loudest(planes.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, plane)| plane));
                listener.hear(&planes[at], others.as_deref());
            }
            self.finish_pieces(&mut listeners)?;
            if milliseconds(self.audio.given()) > self.length_max_ms {
                return Err(Failure::TooLong);
            }
            self.tell(self.audio.given())?;
        }
        listeners.iter_mut().for_each(Listener::finish);
        self.finish_pieces(&mut listeners)
    }

    fn finish(mut self) -> Result<Line, Failure> {
        let end = End { samples: self.audio.given(), remarks: self.audio.remarks() };
        let remarks = end.remarks.clone();
        self.pieces.finish(end).map_err(Failure::Pieces)?;
        Ok(Line::Done { segments: self.pieces.spoken(), remarks })
    }

    fn finish_pieces(&mut self, listeners: &mut [Listener]) -> Result<(), Failure> {
        for (listener, side) in listeners.iter_mut().zip(self.audio.voices()) {
            for piece in listener.take() {
                if self.pieces.meet(side.clone(), piece.start, piece.end).map_err(Failure::Pieces)? {
                    continue;
                }
                let text = self.recogniser.words(&piece.sound)?;
                let piece = Piece { side: side.clone(), start: piece.start, end: piece.end, text };
                let end = piece.end;
                self.pieces.push(piece).map_err(Failure::Pieces)?;
                self.tell(end)?;
            }
        }
        Ok(())
    }

    /// Says how far it is, unless it was said just now.
    fn tell(&mut self, samples: u64) -> Result<(), Failure> {
        if self.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return Ok(());
        }
        self.told = Some(Instant::now());
        let line = Line::Progress { done_ms: milliseconds(samples), total_ms: self.total_ms, busy_ms: busy_ms() };
        self.answers.tell(&line).map_err(Failure::Start)
    }
}

/// Returns for how many milliseconds processors were busy with this process.
fn busy_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

/// Returns the loudest of some planes, sample by sample; `None` of none.
fn loudest<'a>(mut planes: impl Iterator<Item = &'a Vec<f32>>) -> Option<Vec<f32>> {
    let mut loudest = planes.next()?.clone();
    for plane in planes {
        for (most, sample) in loudest.iter_mut().zip(plane) {
            if sample.abs() > most.abs() {
                *most = *sample;
            }
        }
    }
    Some(loudest)
}

/// Where the parent listens.
struct Answers(File);

impl Answers {
    /// Keeps standard output for the answers alone: what native code prints there goes to standard error from now on.
    fn open() -> io::Result<Self> {
        let answers = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdout(io::stderr())?;
        Ok(Self(answers))
    }

    fn tell(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.0.write_all(&text)
    }
}

/// Reads the request.
///
/// # Errors
/// When it is not one.
pub fn request(text: &str) -> io::Result<Work> {
    Ok(serde_json::from_str(text)?)
}

/// The arguments of the hidden command, for a request.
pub fn arguments(work: &Work) -> io::Result<[String; 2]> {
    Ok(["engine-work".to_owned(), serde_json::to_string(work)?])
}
