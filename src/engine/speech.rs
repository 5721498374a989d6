//! Detection of speech: the sound of one channel is cut into pieces.
//!
//! A frame of 16 ms is speech or it is not; a piece begins a little before its first word and ends
//! after a short silence. A piece has at most 15 s, for the model's sake: a longer one is cut where
//! it is quietest.

use std::collections::VecDeque;

use earshot::Detector;

/// Samples of a frame: 16 ms, which the detector demands.
pub(crate) const FRAME: usize = 256;

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

/// The score that the best frame of a piece must have: noise stays below 0.65, the quietest speech
/// comes above 0.9.
const SURE: f32 = 0.7;

/// The other side's power over this one's from which sound here has leaked from there: 15 dB.
const LEAKED: f32 = 32.0;

/// A stretch of speech.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SpeechPiece {
    /// The first sample of it that is speech, from the start of the recording.
    pub start: u64,
    /// The sample after the last one that is speech.
    pub end: u64,
    /// The first sample of `sound`.
    pub begin: u64,
    /// The sound, with a little of the sound around it.
    pub sound: Vec<f32>,
}

/// Listens to one channel.
pub(crate) struct SpeechListener {
    detector: Box<Detector>,
    /// Less than a frame.
    rest: Vec<f32>,
    /// The power of the other side since the begin of `rest`.
    others_power: f32,
    /// Frames so far.
    frames: u64,
    /// The last frames of silence.
    before: VecDeque<Vec<f32>>,
    /// The piece that is being spoken.
    open: Option<OpenPiece>,
    done: Vec<SpeechPiece>,
}

/// A piece that goes on.
struct OpenPiece {
    /// The number of its first frame.
    first: u64,
    sound: Vec<f32>,
    /// Of each frame, how much it sounds like speech.
    scores: Vec<f32>,
}

impl std::fmt::Debug for SpeechListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener")
            .field("frames", &self.frames)
            .field("done", &self.done.len())
            .finish_non_exhaustive()
    }
}

impl Default for SpeechListener {
    fn default() -> Self {
        Self {
            detector: Detector::default_boxed(),
            rest: Vec::with_capacity(FRAME),
            others_power: 0.0,
            frames: 0,
            before: VecDeque::with_capacity(BEFORE),
            open: None,
            done: Vec::new(),
        }
    }
}

impl SpeechListener {
    /// Adds `sound`. `other` is the other side of the same recording, as long as `sound`: sound
    /// that is much louder there comes from there, and is not taken for speech here.
    pub(crate) fn add_sound(&mut self, mut sound: &[f32], mut other: Option<&[f32]>) {
        while !sound.is_empty() {
            let (part, later) = sound.split_at((FRAME - self.rest.len()).min(sound.len()));
            self.rest.extend_from_slice(part);
            if let Some((part, later)) = other.and_then(|other| other.split_at_checked(part.len()))
            {
                self.others_power += sound_power(part);
                other = Some(later);
            }
            sound = later;
            if self.rest.len() == FRAME {
                let frame = std::mem::replace(&mut self.rest, Vec::with_capacity(FRAME));
                let is_others =
                    std::mem::take(&mut self.others_power) > sound_power(&frame) * LEAKED;
                let score = self.detector.predict_f32(&within_full_scale(&frame));
                self.add_frame(frame, if is_others { 0.0 } else { score });
            }
        }
    }

    /// Ends the open piece: the recording is over.
    pub(crate) fn finish_piece(&mut self) {
        if let Some(open) = self.open.take() {
            self.close_piece(open);
        }
    }

    /// Takes the pieces that are finished, in order.
    pub(crate) fn take_pieces(&mut self) -> Vec<SpeechPiece> {
        std::mem::take(&mut self.done)
    }

    fn add_frame(&mut self, frame: Vec<f32>, score: f32) {
        self.frames += 1;
        match &mut self.open {
            Some(open) => open.push_frame(&frame, score),
            None if score >= THRESHOLD => {
                let first = self.frames - 1 - self.before.len() as u64;
                let mut open = OpenPiece { first, sound: Vec::new(), scores: Vec::new() };
                for before in self.before.drain(..) {
                    open.push_frame(&before, 0.0);
                }
                open.push_frame(&frame, score);
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
        if open.silent_frames() >= AFTER {
            self.close_piece(open);
        } else if open.scores.len() >= FRAMES_MAX {
            let rest = open.cut_quietest();
            self.close_piece(open);
            self.open = Some(rest);
        } else {
            self.open = Some(open);
        }
    }

    fn close_piece(&mut self, open: OpenPiece) {
        self.done.extend(open.into_piece());
    }
}

impl OpenPiece {
    fn push_frame(&mut self, frame: &[f32], score: f32) {
        self.sound.extend_from_slice(frame);
        self.scores.push(score);
    }

    /// Returns how many frames at the end are silent.
    fn silent_frames(&self) -> usize {
        self.scores.iter().rev().take_while(|score| **score < THRESHOLD).count()
    }

    /// Cuts it in front of the quietest frame of its second half; returns the rest.
    fn cut_quietest(&mut self) -> Self {
        let powers: Vec<f32> = self.sound.chunks_exact(FRAME).map(sound_power).collect();
        // Three frames together: a single one may fall into a closed lip.
        let around =
            |at: &usize| powers[at - 1..=(at + 1).min(powers.len() - 1)].iter().sum::<f32>();
        let second_half = powers.len() / 2..powers.len();
        let at = second_half
            .min_by(|a, b| around(a).total_cmp(&around(b)))
            .expect("a piece that is cut has frames");
        let sound = self.sound.split_off(at * FRAME);
        let scores = self.scores.split_off(at);
        Self { first: self.first + at as u64, sound, scores }
    }

    /// Returns the piece, unless it is only a click or a noise.
    fn into_piece(self) -> Option<SpeechPiece> {
        let is_speech = |score: &f32| *score >= THRESHOLD;
        let spoken = self.scores.iter().filter(|score| is_speech(score)).count();
        let first = self.scores.iter().position(is_speech)?;
        let last = self.scores.iter().rposition(is_speech)?;
        let best = self.scores.iter().copied().fold(0.0, f32::max);
        let sample = |frame: usize| (self.first + frame as u64) * FRAME as u64;
        (spoken >= SPOKEN_MIN && best >= SURE).then(|| SpeechPiece {
            start: sample(first),
            end: sample(last + 1),
            begin: sample(0),
            sound: self.sound,
        })
    }
}

/// Has a listener for each plane of a recording hear the next sound of all; makes them for the first.
pub(super) fn listen_to_planes(listeners: &mut Vec<SpeechListener>, planes: &[Vec<f32>]) {
    if listeners.is_empty() {
        listeners.resize_with(planes.len(), SpeechListener::default);
    }
    for (at, listener) in listeners.iter_mut().enumerate() {
        let others = planes.iter().enumerate().filter(|(other, _)| *other != at);
        listener.add_sound(&planes[at], loudest_samples(others.map(|(_, plane)| plane)).as_deref());
    }
}

/// Returns the loudest of some planes, sample by sample; `None` of none.
fn loudest_samples<'a>(mut planes: impl Iterator<Item = &'a Vec<f32>>) -> Option<Vec<f32>> {
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

/// Returns the samples within -1 to 1, as the detector demands: loud sound is beyond after its rate
/// was changed.
fn within_full_scale(frame: &[f32]) -> [f32; FRAME] {
    let mut within = [0.0; FRAME];
    for (within, sample) in within.iter_mut().zip(frame) {
        *within = sample.clamp(-1.0, 1.0);
    }
    within
}

fn sound_power(sound: &[f32]) -> f32 {
    sound.iter().map(|sample| sample * sample).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sound_beyond_full_scale_is_listened_to() {
        let mut listener = SpeechListener::default();
        let loud: Vec<f32> =
            (0..FRAME * 4).map(|at| if at % 64 < 32 { 1.3 } else { -1.3 }).collect();
        listener.add_sound(&loud, None);
        listener.finish_piece();
        assert!(listener.take_pieces().iter().all(|piece| !piece.sound.is_empty()));
    }

    /// An open piece with these scores; the sound of a frame is its number.
    fn open(scores: &[f32]) -> OpenPiece {
        let mut open = OpenPiece { first: 100, sound: Vec::new(), scores: Vec::new() };
        for (at, score) in scores.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            open.push_frame(&[at as f32; FRAME], *score);
        }
        open
    }

    #[test]
    fn a_piece_is_from_its_first_to_its_last_word() {
        let piece =
            open(&[0.0, 0.0, 0.9, 0.1, 0.9, 0.9, 0.9, 0.9, 0.0]).into_piece().expect("speech");
        assert_eq!((piece.start, piece.end), (102 * 256, 108 * 256));
        assert_eq!(piece.sound.len(), 9 * FRAME, "what is around belongs to the sound");
    }

    #[test]
    fn a_click_and_a_noise_are_no_speech() {
        assert_eq!(open(&[0.9; 4]).into_piece(), None);
        assert_eq!(open(&[0.5; 60]).into_piece(), None);
    }

    #[test]
    fn a_long_piece_is_cut_where_it_is_quietest_in_its_second_half() {
        let mut whole = open(&[0.9; FRAMES_MAX]);
        for quiet in [100, 700] {
            whole.sound[(quiet - 1) * FRAME..(quiet + 2) * FRAME].fill(0.0);
        }
        let all = whole.sound.clone();
        let rest = whole.cut_quietest();
        assert_eq!((whole.scores.len(), rest.first), (700, 800));
        assert_eq!([whole.sound, rest.sound].concat(), all, "nothing is lost and nothing is twice");
    }

    #[test]
    fn silence_is_nothing_and_costs_no_memory() {
        let mut listener = SpeechListener::default();
        listener.add_sound(&vec![0.0; 60 * 16_000], None);
        listener.finish_piece();
        assert_eq!(listener.take_pieces(), []);
        assert!(listener.before.len() <= BEFORE && listener.open.is_none());
    }

    /// A second of something like a voice, and a second of nothing.
    fn buzz() -> Vec<f32> {
        let sample = |n: u16| if n % 133 < 10 && n < 16_000 { 0.4 } else { 0.0 };
        (0..32_000).map(sample).collect()
    }

    proptest! {
        #![proptest_config(crate::budget::cases(16))]

        #[test]
        fn how_the_sound_comes_in_changes_nothing(block in 1_usize..40_000) {
            let heard = |block: usize| {
                let mut listener = SpeechListener::default();
                buzz().chunks(block).for_each(|part| listener.add_sound(part, None));
                listener.finish_piece();
                listener.take_pieces()
            };
            prop_assert_eq!(heard(block), heard(32_000));
        }
    }
}
