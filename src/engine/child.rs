//! What the child does: the hidden command `minuted engine-work`.
//!
//! It has no configuration, no logging and no environment. The recording is its standard input, its answers are lines
//! on its standard output, and what it finishes goes to disk at once ([`super::pieces`]). It ends when its parent does.

use std::{
    fs::File,
    io::{self, Write as _},
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, Signal};

use super::{
    audio::{
        Audio, AudioError,
        ffmpeg::{Ffmpeg, limited},
    },
    milliseconds,
    moonshine::ModelError,
    pieces::{End, Piece, Pieces},
    recogniser::Recogniser,
    speech::Listener,
    wire::{Kind, Line, Work},
};

/// How nice it is: the recording can wait, whoever works on this machine should not.
const NICENESS: i32 = 10;

/// How often it says how far it is, at most.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// Files that ffmpeg may have open.
const FFMPEG_FILES: u64 = 64;

/// Seconds of processor time that ffmpeg may take: it decodes a hundred hours of sound in that.
const FFMPEG_SECONDS: u64 = 4 * 3600;

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
}

impl Failure {
    fn kind(&self) -> Kind {
        match self {
            Self::Audio(AudioError::Undecodable { .. }) => Kind::Undecodable,
            Self::Audio(AudioError::NoSound) => Kind::NoSound,
            Self::Audio(AudioError::NeedsFfmpeg { .. }) => Kind::NeedsFfmpeg,
            Self::Audio(AudioError::Io(_)) | Self::Pieces(_) | Self::Start(_) => Kind::Disk,
            Self::Model(ModelError::Unusable { .. } | ModelError::Failed { .. }) => Kind::Model,
            Self::Model(ModelError::Memory { .. }) => Kind::Memory,
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

/// Becomes ffmpeg, with limits: it may write no file that is longer than `bytes_max`, and it ends with its parent. Only
/// returns when it could not.
pub fn become_ffmpeg(program: &Path, arguments: &[std::ffi::OsString], parent: u32, bytes_max: u64) -> io::Error {
    let limits = [(Resource::Fsize, bytes_max), (Resource::Nofile, FFMPEG_FILES), (Resource::Cpu, FFMPEG_SECONDS)];
    let limited = limits.into_iter().try_for_each(|(resource, most)| limit(resource, most));
    let prepared = limited.and_then(|()| end_with(parent));
    match prepared.and_then(|()| Ok(rustix::thread::set_no_new_privs(true)?)) {
        Ok(()) => Command::new(program).args(arguments).env_clear().exec(),
        Err(error) => error,
    }
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// Makes this process end with its parent, which may have ended before it could be asked for that.
fn end_with(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get().unsigned_abs());
    if now == Some(parent) { Ok(()) } else { Err(io::Error::other("the parent is gone")) }
}

/// Makes this process one that harms nobody: it dies with its parent, comes last, and has its limit of memory.
fn settle_down(work: &Work) -> io::Result<()> {
    end_with(work.parent)?;
    rustix::process::nice(NICENESS)?;
    limit(Resource::Data, work.memory_mib.saturating_mul(1024 * 1024))
}

fn transcribe(work: &Work, answers: &mut Answers) -> Result<Line, Failure> {
    settle_down(work).map_err(Failure::Start)?;
    let recording = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(Failure::Start)?);
    let ffmpeg = work.ffmpeg.as_ref().map(|program| Ffmpeg { command: limited(program, 0) });
    let audio = Audio::open(recording, ffmpeg.as_ref())?;
    answers.tell(&Line::Loading).map_err(Failure::Start)?;
    let recogniser = Recogniser::load(&work.recogniser, work.threads)?;
    let total_ms = audio.length().map(milliseconds).or(work.duration_ms).unwrap_or(0);
    answers.tell(&Line::Progress { done_ms: 0, total_ms }).map_err(Failure::Start)?;
    let pieces = Pieces::open(&work.pieces, &recogniser.id(), &work.content).map_err(Failure::Pieces)?;
    if let Some(end) = pieces.end() {
        return Ok(Line::Done { segments: pieces.spoken(), remarks: end.remarks.clone() });
    }
    let mut session = Session { audio, recogniser, pieces, answers, total_ms, told: None };
    session.hear()?;
    if let Some(audio) = session.audio.second_opinion(ffmpeg.as_ref())? {
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
        let line = Line::Progress { done_ms: milliseconds(samples), total_ms: self.total_ms };
        self.answers.tell(&line).map_err(Failure::Start)
    }
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
