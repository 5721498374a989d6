//! Who speaks when: the sound of one channel is cut into pieces of speech.
//!
//! A frame of 16 ms is speech or it is not; a piece begins a little before its first word and ends after a short
//! silence. Nobody's sentence is longer than 15 s for the model: there it is cut where it is quietest.

use std::collections::VecDeque;

use earshot::Detector;

/// Samples of a frame: 16 ms, which the detector demands.
pub const FRAME: usize = 256;

/// From this score on a frame is speech.
const THRESHOLD: f32 = 0.3;

/// Frames before the first word that belong to it: 220 ms, because a word begins softly.
const BEFORE: usize = 14;

/// Frames of silence that end a piece: 350 ms, which is longer than a stop within a word.
const AFTER: usize = 22;

/// Frames of a piece at most: 15 s. The model talks nonsense about longer ones.
const FRAMES_MAX: usize = 937;

/// Frames of speech that a piece must have: 80 ms. A click is none.
const SPOKEN_MIN: usize = 5;

/// The other side's power over this one's from which what is heard here has leaked from there: 15 dB.
const LEAKED: f32 = 32.0;

/// A stretch of speech.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The first sample of it that is speech, from the start of the recording.
    pub start: u64,
    /// One past the last sample that is speech.
    pub end: u64,
    /// The sound, with a little of what is around.
    pub sound: Vec<f32>,
}

/// Listens to one channel.
pub struct Listener {
    detector: Box<Detector>,
    /// Less than a frame.
    rest: Vec<f32>,
    /// The power of the other side since the begin of `rest`.
    others_power: f32,
    /// Frames heard.
    heard: u64,
    /// What was heard last, while nobody speaks.
    before: VecDeque<Vec<f32>>,
    /// The piece that is being spoken.
    open: Option<Open>,
    done: Vec<Piece>,
}

/// A piece that goes on.
struct Open {
    /// The number of its first frame.
    first: u64,
    sound: Vec<f32>,
    /// Of each frame, whether it is speech.
    spoken: Vec<bool>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("heard", &self.heard).field("done", &self.done.len()).finish_non_exhaustive()
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            detector: Detector::default_boxed(),
            rest: Vec::with_capacity(FRAME),
            others_power: 0.0,
            heard: 0,
            before: VecDeque::with_capacity(BEFORE),
            open: None,
            done: Vec::new(),
        }
    }
}

impl Listener {
    /// Listens to `sound`. `other` is the other side of the same recording, as long as `sound`: what is much louder
    /// there comes from there, and is not taken for speech here.
    pub fn hear(&mut self, mut sound: &[f32], mut other: Option<&[f32]>) {
        while !sound.is_empty() {
            let (part, later) = sound.split_at((FRAME - self.rest.len()).min(sound.len()));
            self.rest.extend_from_slice(part);
            if let Some((part, later)) = other.and_then(|other| other.split_at_checked(part.len())) {
                self.others_power += power(part);
                other = Some(later);
            }
            sound = later;
            if self.rest.len() == FRAME {
                let frame = std::mem::replace(&mut self.rest, Vec::with_capacity(FRAME));
                let is_others = std::mem::take(&mut self.others_power) > power(&frame) * LEAKED;
                let is_speech = self.detector.predict_f32(&frame) >= THRESHOLD && !is_others;
                self.frame(frame, is_speech);
            }
        }
    }

    /// Ends what is being spoken: the recording is over.
    pub fn finish(&mut self) {
        if let Some(open) = self.open.take() {
            self.close(open);
        }
    }

    /// Takes the pieces that are finished, in order.
    pub fn take(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.done)
    }

    fn frame(&mut self, frame: Vec<f32>, is_speech: bool) {
        self.heard += 1;
        match &mut self.open {
            Some(open) => open.push(&frame, is_speech),
            None if is_speech => {
                let mut open = Open { first: self.heard - 1 - self.before.len() as u64, sound: Vec::new(), spoken: Vec::new() };
                for before in self.before.drain(..) {
                    open.push(&before, false);
                }
                open.push(&frame, true);
                self.open = Some(open);
            }
            None => {
                if self.before.len() == BEFORE {
                    self.before.pop_front();
                }
                self.before.push_back(frame);
            }
        }
        self.end_or_cut();
    }

    fn end_or_cut(&mut self) {
        let Some(mut open) = self.open.take() else { return };
        if open.silence() >= AFTER {
            self.close(open);
        } else if open.spoken.len() >= FRAMES_MAX {
            let rest = open.cut();
            self.close(open);
            self.open = Some(rest);
        } else {
            self.open = Some(open);
        }
    }

    fn close(&mut self, open: Open) {
        self.done.extend(open.piece());
    }
}

impl Open {
    fn push(&mut self, frame: &[f32], is_speech: bool) {
        self.sound.extend_from_slice(frame);
        self.spoken.push(is_speech);
    }

    /// Returns how many frames at the end are silent.
    fn silence(&self) -> usize {
        self.spoken.iter().rev().take_while(|spoken| !**spoken).count()
    }

    /// Cuts it in front of the quietest frame of its second half; returns the rest.
    fn cut(&mut self) -> Self {
        let powers: Vec<f32> = self.sound.chunks_exact(FRAME).map(power).collect();
        // Three frames together: a single one may fall into a closed lip.
        let around = |at: &usize| powers[at - 1..=(at + 1).min(powers.len() - 1)].iter().sum::<f32>();
        let second_half = powers.len() / 2..powers.len();
        let at = second_half.min_by(|a, b| around(a).total_cmp(&around(b))).expect("a piece that is cut has frames");
        Self { first: self.first + at as u64, sound: self.sound.split_off(at * FRAME), spoken: self.spoken.split_off(at) }
    }

    /// Returns the piece, unless it is only a click.
    fn piece(self) -> Option<Piece> {
        let spoken = self.spoken.iter().filter(|spoken| **spoken).count();
        let first = self.spoken.iter().position(|spoken| *spoken)?;
        let last = self.spoken.iter().rposition(|spoken| *spoken)?;
        let sample = |frame: usize| (self.first + frame as u64) * FRAME as u64;
        (spoken >= SPOKEN_MIN).then(|| Piece { start: sample(first), end: sample(last + 1), sound: self.sound })
    }
}

fn power(sound: &[f32]) -> f32 {
    sound.iter().map(|sample| sample * sample).sum()
}
