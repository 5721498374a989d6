//! The work of the child process: the hidden command `minuted engine-work`.
//!
//! The child has no configuration, no logging and no environment. The recording is its standard
//! input, its answers are lines on its standard output, and what it finishes goes to disk at once
//! ([`super::pieces`]). It ends when its parent does.
//!
//! Before it reads the first byte of the recording it opens the file of pieces, starts a process
//! that will start ffmpeg for it, and is confined: a decoder or recogniser that hostile bytes take
//! over reaches the model and the libraries, and nothing else.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use super::{
    audio::{Audio, AudioError, Side, ffmpeg::StartFfmpeg},
    confidence::RecognisedWords,
    language::first_speech,
    lender::FfmpegLender,
    limits::{ChildLimits, end_with, give_way},
    moonshine::ModelError,
    pieces::{self, FinishedPiece, Pieces, PiecesEnd, PiecesFile},
    recogniser::{Choice, Recogniser},
    sample_milliseconds,
    speech::{SpeechListener, SpeechPiece, listen_to_planes},
    voices::{self, VoiceError, VoiceListener, VoiceRecogniser, prints::PrintsFile},
    wire::{ChildLine, FailureKind, VoiceWork, Work},
};
use crate::{
    config::Speakers,
    confine::{ConfineError, Reach, Role, confine_process},
};

/// Minimum interval between two reports of progress.
const REPORTED_EVERY: Duration = Duration::from_millis(250);

/// Files that the child may have open: the recording, the pieces, its pipes, and the model while it
/// is loaded.
const FILES_MAX: u64 = 64;

/// Seconds of processor time that the child may take, a week: a hundred hours of sound with the
/// slowest model. Pieces that are finished by then stay.
const SECONDS_MAX: u64 = 7 * 86_400;

/// Files from which a runtime learns which processor it has.
const PROCESSOR: [&str; 2] = ["/proc/cpuinfo", "/sys/devices/system/cpu"];

/// The reason that the child fails.
#[derive(Debug, thiserror::Error)]
enum ChildFailure {
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

impl From<VoiceError> for ChildFailure {
    fn from(error: VoiceError) -> Self {
        match error {
            VoiceError::Model(error) => Self::Model(error),
            VoiceError::Disk(error) => Self::Pieces(error),
        }
    }
}

impl ChildFailure {
    fn failure_kind(&self) -> FailureKind {
        match self {
            Self::Audio(AudioError::Undecodable { .. }) => FailureKind::Undecodable,
            Self::Audio(AudioError::NoSound) => FailureKind::NoSound,
            Self::Audio(AudioError::NeedsFfmpeg { .. } | AudioError::Ffmpeg { .. }) => {
                FailureKind::NeedsFfmpeg
            }
            Self::Audio(AudioError::NoMemory) => FailureKind::NoMemory,
            Self::Audio(AudioError::Io(_))
            | Self::Pieces(_)
            | Self::Start(_)
            | Self::Confine(_) => FailureKind::Disk,
            Self::Model(ModelError::Unusable { .. } | ModelError::Failed { .. }) => {
                FailureKind::Model
            }
            Self::Model(ModelError::Memory { .. }) => FailureKind::Memory,
            Self::TooLong => FailureKind::TooLong,
            Self::Model(ModelError::Language { .. }) => FailureKind::Language,
        }
    }
}

/// Transcribes the recording and reports the outcome. Returns whether it is done.
///
/// # Errors
/// When the parent has closed the pipe.
pub(crate) fn work(work: &Work) -> io::Result<bool> {
    #[cfg(debug_assertions)]
    if let Some(harm) = &work.harm {
        crate::effect::arm(harm);
    }
    let mut answers = AnswerPipe::open()?;
    let (line, is_done) = match transcribe_recording(work, &mut answers) {
        Ok(line) => (line, true),
        Err(failure) => {
            (ChildLine::Failed { kind: failure.failure_kind(), error: failure.to_string() }, false)
        }
    };
    answers.write_line(&line)?;
    Ok(is_done)
}

/// The open files of a confined child.
struct ConfinedChild {
    recording: File,
    pieces: PiecesFile,
    prints: Option<PrintsFile>,
    lender: Option<FfmpegLender>,
}

/// Confines this process: it ends with its parent, comes last, has its limits, and reaches nothing
/// but what it opened here and what it must read.
fn settle_down(work: &Work) -> Result<ConfinedChild, ChildFailure> {
    end_with(work.parent).and_then(|()| give_way()).map_err(ChildFailure::Start)?;
    let recording =
        File::from(io::stdin().as_fd().try_clone_to_owned().map_err(ChildFailure::Start)?);
    let pieces = PiecesFile::open(&work.pieces).map_err(ChildFailure::Pieces)?;
    let prints = work.voices.as_ref().map(|_| PrintsFile::open(&work.pieces));
    let prints = prints.transpose().map_err(ChildFailure::Pieces)?;
    let lender = work.ffmpeg.as_ref().map(|program| FfmpegLender::start(program, &recording));
    let lender = lender.transpose().map_err(ChildFailure::Start)?;
    let limits = ChildLimits {
        memory_mib: work.memory_mib,
        seconds: SECONDS_MAX,
        files: FILES_MAX,
        file_bytes: pieces::FILE_MAX,
    };
    limits.apply_limits().map_err(ChildFailure::Start)?;
    confine_process(Role::Recogniser, &recogniser_reach(&work.recogniser, work.voices.as_ref()))?;
    Ok(ConfinedChild { recording, pieces, prints, lender })
}

/// Returns the files that the recogniser must read.
fn recogniser_reach(choice: &Choice, voices: Option<&VoiceWork>) -> Reach {
    let reach = PROCESSOR.into_iter().fold(Reach::for_libraries(), Reach::with_read);
    let reach = choice.model_files().into_iter().fold(reach, Reach::with_read);
    voices
        .iter()
        .flat_map(|voices| voices::model_files(&voices.models))
        .fold(reach, Reach::with_read)
}

fn transcribe_recording(work: &Work, answers: &mut AnswerPipe) -> Result<ChildLine, ChildFailure> {
    let ConfinedChild { recording, mut pieces, prints, lender } = settle_down(work)?;
    let ffmpeg = lender.as_ref().map(|lender| lender as &dyn StartFfmpeg);
    let open_audio = || -> Result<Audio, ChildFailure> {
        let recording = recording.try_clone().map_err(ChildFailure::Start)?;
        Ok(Audio::open_with(recording, ffmpeg)?)
    };
    let mut audio = open_audio()?;
    let mut language = None;
    if work.recogniser.detects_language() {
        language = pieces.detected_language(&work.content).map_err(ChildFailure::Pieces)?;
        if language.is_none() {
            language = detect_language(work, &mut audio, answers)?;
            audio = open_audio()?;
        }
    }
    answers.write_line(&ChildLine::Loading).map_err(ChildFailure::Start)?;
    let choice = language.as_deref().map(|language| work.recogniser.for_language(language));
    let recogniser = Recogniser::load(choice.as_ref().unwrap_or(&work.recogniser), work.threads)?;
    let voices = work
        .voices
        .as_ref()
        .map(|voices| VoiceRecogniser::load(&voices.models, work.threads))
        .transpose()?;
    let total_ms = audio.length().map(sample_milliseconds).or(work.duration_ms).unwrap_or(0);
    answers
        .write_line(&ChildLine::Progress { done_ms: 0, total_ms, busy_ms: busy_ms() })
        .map_err(ChildFailure::Start)?;
    let voices_id =
        voices.as_ref().map(|voices| format!(" voices {}", voices.hash())).unwrap_or_default();
    let models = recogniser.model_id() + &voices_id;
    let pieces = pieces.take_up(&models, &work.content, language).map_err(ChildFailure::Pieces)?;
    let voices = voices
        .zip(prints)
        .map(|(voices, prints)| VoiceListener::new(voices, prints, &work.content));
    let mut voices = voices.transpose().map_err(ChildFailure::Pieces)?;
    if let Some(end) = pieces.end() {
        if let Some(voices) = &mut voices {
            voices.forget_prints().map_err(ChildFailure::Pieces)?;
        }
        return Ok(ChildLine::Done {
            segments: pieces.spoken_count(),
            remarks: end.remarks.clone(),
        });
    }
    let length_max_ms = work.length_max_ms.unwrap_or(u64::MAX);
    let speakers = work.voices.as_ref().map_or(Speakers::Off, |voices| voices.speakers);
    let mut session = TranscribingSession {
        audio,
        recogniser,
        voices,
        is_mono: false,
        waiting: VecDeque::new(),
        window: Vec::new(),
        pieces,
        answers,
        total_ms,
        length_max_ms,
        reported: None,
    };
    session.transcribe_sound()?;
    if let Some(audio) = session.audio.second_opinion_with(ffmpeg)? {
        session.audio = audio;
        session.restart().map_err(ChildFailure::Pieces)?;
        session.transcribe_sound()?;
    }
    session.finish_transcript(speakers)
}

/// Detects the language of a recording that was just opened; `None` where nobody speaks.
fn detect_language(
    work: &Work,
    audio: &mut Audio,
    answers: &mut AnswerPipe,
) -> Result<Option<String>, ChildFailure> {
    let speech = first_speech(audio)?;
    if speech.is_empty() {
        return Ok(None);
    }
    answers.write_line(&ChildLine::Loading).map_err(ChildFailure::Start)?;
    let mut recogniser = Recogniser::load(&work.recogniser, work.threads)?;
    let language = recogniser.detect_language(&speech)?;
    Ok(language.map(str::to_owned))
}

/// A piece that is recognised with those before and after it.
struct WindowPiece {
    side: Option<Side>,
    piece: SpeechPiece,
    /// Its words are on disk already.
    is_done: bool,
}

/// The transcription of one recording.
struct TranscribingSession<'a> {
    audio: Audio,
    recogniser: Recogniser,
    voices: Option<VoiceListener>,
    /// Everybody is heard in one channel: voices are told apart.
    is_mono: bool,
    /// Pieces of which it is not known yet where one speaker takes over from another.
    waiting: VecDeque<SpeechPiece>,
    /// Pieces of one speaker that are recognised together.
    window: Vec<WindowPiece>,
    pieces: Pieces,
    answers: &'a mut AnswerPipe,
    total_ms: u64,
    length_max_ms: u64,
    reported: Option<Instant>,
}

impl TranscribingSession<'_> {
    /// Turns all of the sound into pieces.
    fn transcribe_sound(&mut self) -> Result<(), ChildFailure> {
        let mut listeners: Vec<SpeechListener> = Vec::new();
        while let Some(planes) = self.audio.listen()? {
            self.is_mono = planes.len() == 1;
            if let Some(voices) = self.voices.as_mut().filter(|_| self.is_mono) {
                voices.add_sound(&planes[0])?;
            }
            listen_to_planes(&mut listeners, &planes);
            self.finish_pieces(&mut listeners)?;
            if sample_milliseconds(self.audio.given()) > self.length_max_ms {
                return Err(ChildFailure::TooLong);
            }
            self.report_progress(self.audio.given())?;
        }
        listeners.iter_mut().for_each(SpeechListener::finish_piece);
        if let Some(voices) = self.voices.as_mut().filter(|_| self.is_mono) {
            voices.finish()?;
        }
        self.finish_pieces(&mut listeners)?;
        // The last moment is shorter than any.
        while let Some(piece) = self.waiting.pop_front() {
            self.finish_voices_piece(piece)?;
        }
        self.finish_window()
    }

    /// Starts over with the first sample.
    fn restart(&mut self) -> io::Result<()> {
        self.waiting.clear();
        if let Some(voices) = &mut self.voices {
            voices.restart()?;
        }
        self.pieces.restart()
    }

    fn finish_transcript(mut self, speakers: Speakers) -> Result<ChildLine, ChildFailure> {
        let language = self.pieces.language().map(str::to_owned);
        let end =
            PiecesEnd { samples: self.audio.given(), remarks: self.audio.remarks(), language };
        let remarks = end.remarks.clone();
        let speakers = self.name_speakers(speakers);
        self.pieces.write_end(&speakers, end).map_err(ChildFailure::Pieces)?;
        if let Some(voices) = &mut self.voices {
            voices.forget_prints().map_err(ChildFailure::Pieces)?;
        }
        Ok(ChildLine::Done { segments: self.pieces.spoken_count(), remarks })
    }

    /// Returns the speakers of all pieces; nothing where voices were not told apart.
    fn name_speakers(&self, speakers: Speakers) -> Vec<u16> {
        let Some(voices) = self.voices.as_ref().filter(|_| self.is_mono) else { return Vec::new() };
        let spans = self.pieces.spans();
        let mut spoken: Vec<usize> = (0..spans.len()).filter(|at| spans[*at].is_spoken).collect();
        spoken.sort_by_key(|at| (spans[*at].start, spans[*at].end));
        let segments: Vec<_> = spoken.iter().map(|at| (spans[*at].start, spans[*at].end)).collect();
        let mut named = vec![0; spans.len()];
        for (at, speaker) in spoken.iter().zip(voices.name_speakers(&segments, speakers)) {
            named[*at] = speaker;
        }
        named
    }

    fn finish_pieces(&mut self, listeners: &mut [SpeechListener]) -> Result<(), ChildFailure> {
        for (listener, side) in listeners.iter_mut().zip(self.audio.voices()) {
            for piece in listener.take_pieces() {
                if self.voices.is_some() && self.is_mono {
                    self.waiting.push_back(piece);
                } else {
                    self.add_to_window(side.clone(), piece)?;
                }
            }
        }
        let decided = self.voices.as_ref().map_or(0, VoiceListener::decided_until);
        while self.waiting.front().is_some_and(|piece| piece.end <= decided) {
            let Some(piece) = self.waiting.pop_front() else { break };
            self.finish_voices_piece(piece)?;
        }
        Ok(())
    }

    /// Finishes a piece in which several people may speak.
    fn finish_voices_piece(&mut self, piece: SpeechPiece) -> Result<(), ChildFailure> {
        let cut = match &self.voices {
            Some(voices) => voices.cut_piece(piece),
            None => vec![piece],
        };
        cut.into_iter().try_for_each(|piece| self.add_to_window(None, piece))
    }

    /// Adds a piece to the window, after it has finished the window to which the piece does not belong.
    fn add_to_window(
        &mut self,
        side: Option<Side>,
        piece: SpeechPiece,
    ) -> Result<(), ChildFailure> {
        if !self.fits_window(side.as_ref(), &piece) {
            self.finish_window()?;
        }
        let is_done = self
            .pieces
            .match_next(side.as_ref(), piece.start, piece.end)
            .map_err(ChildFailure::Pieces)?;
        self.window.push(WindowPiece { side, piece, is_done });
        if self.recogniser.window_samples() == 0 { self.finish_window() } else { Ok(()) }
    }

    /// Returns whether a piece is of the speaker of the window, and fits into it.
    fn fits_window(&self, side: Option<&Side>, piece: &SpeechPiece) -> bool {
        let Some(last) = self.window.last() else { return true };
        let samples: usize = self.window.iter().map(|window| window.piece.sound.len()).sum();
        let voices = self.voices.as_ref().filter(|_| self.is_mono);
        last.side.as_ref() == side
            && samples + piece.sound.len() <= self.recogniser.window_samples()
            && !voices.is_some_and(|voices| voices.has_change(last.piece.start..piece.end))
    }

    /// Recognises the words of the window, unless all of it was finished before.
    fn finish_window(&mut self) -> Result<(), ChildFailure> {
        let window = std::mem::take(&mut self.window);
        if window.iter().all(|window| window.is_done) {
            return Ok(());
        }
        let sounds: Vec<&[f32]> =
            window.iter().map(|window| window.piece.sound.as_slice()).collect();
        let words = self.recogniser.recognise_pieces(&sounds)?;
        for (WindowPiece { side, piece, is_done }, words) in window.into_iter().zip(words) {
            if !is_done {
                let RecognisedWords { text, confidence } = words;
                let SpeechPiece { start, end, .. } = piece;
                let piece = FinishedPiece { side, start, end, text, confidence, speaker: None };
                self.pieces.append_piece(piece).map_err(ChildFailure::Pieces)?;
                self.report_progress(end)?;
            }
        }
        Ok(())
    }

    /// Reports the progress, unless it was reported just now.
    fn report_progress(&mut self, samples: u64) -> Result<(), ChildFailure> {
        if self.reported.is_some_and(|reported| reported.elapsed() < REPORTED_EVERY) {
            return Ok(());
        }
        self.reported = Some(Instant::now());
        let line = ChildLine::Progress {
            done_ms: sample_milliseconds(samples),
            total_ms: self.total_ms,
            busy_ms: busy_ms(),
        };
        self.answers.write_line(&line).map_err(ChildFailure::Start)
    }
}

/// Returns for how many milliseconds processors were busy with this process.
fn busy_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000
        + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

/// The pipe that the parent reads.
struct AnswerPipe(File);

impl AnswerPipe {
    /// Keeps standard output for the answers alone: output of native code goes to standard error
    /// from now on.
    fn open() -> io::Result<Self> {
        let answers = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdout(io::stderr())?;
        Ok(Self(answers))
    }

    fn write_line(&mut self, line: &ChildLine) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.0.write_all(&text)
    }
}

/// Reads the request.
///
/// # Errors
/// When it is not one.
pub(crate) fn request(text: &str) -> io::Result<Work> {
    Ok(serde_json::from_str(text)?)
}

/// Returns the arguments of the hidden command for a request.
pub(crate) fn command_arguments(work: &Work) -> io::Result<[String; 2]> {
    Ok(["engine-work".to_owned(), serde_json::to_string(work)?])
}
