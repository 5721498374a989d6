//! The two sides of a stereo recording: one sound, or one person each.
//!
//! A call recorder writes each end of the line on a side of its own: where one speaks the other is
//! silent. A room recorded in stereo has every voice on both sides, at much the same level. So the
//! first minutes are looked at: how often one side alone is loud, whether both take turns in it,
//! and how like each other the two are.
//!
//! Sound tracks are another matter: who records several means them apart, unless they hold the same
//! sound.

use serde::{Deserialize, Serialize};

/// Samples that are looked at together: 20 ms.
const FRAME: usize = 320;

/// A frame counts when a side is louder than this, the mean of squares: -50 dB of full scale.
const LOUD: f32 = 1e-5;

/// A side speaks alone when its power is this many times the other's: 12 dB.
const ALONE: f32 = 16.0;

/// Frames that must count before anything is decided: 2 s of sound.
const FRAMES_MIN: u32 = 100;

/// Frames that decide early: 60 s of sound.
const FRAMES_ENOUGH: u32 = 3_000;

/// Samples after which it is decided in any case: 3 min, which take 23 MB of memory for both sides.
pub(crate) const SAMPLES_MAX: usize = 180 * 16_000;

/// The kind of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sides {
    /// The same sound: the sides are added.
    Together,
    /// The same sound, with the wires of one side swapped: added they would cancel each other out.
    Opposed,
    /// A person on each side.
    Apart,
}

/// A comparison of two sides, as far as they were decoded.
#[derive(Debug, Default)]
pub(crate) struct SidesComparison {
    seen: usize,
    loud: u32,
    left_alone: u32,
    right_alone: u32,
    left: f64,
    right: f64,
    both: f64,
}

impl SidesComparison {
    /// Compares the samples since the last call; `left` and `right` hold all from the begin, and
    /// are of one length.
    pub(crate) fn add_samples(&mut self, left: &[f32], right: &[f32]) {
        let from = self.seen;
        let all = left.len().min(right.len());
        let frames = left[from..all].chunks_exact(FRAME).zip(right[from..all].chunks_exact(FRAME));
        for (left, right) in frames {
            self.add_frame(left, right);
            self.seen += FRAME;
        }
    }

    fn add_frame(&mut self, left: &[f32], right: &[f32]) {
        let l = mean_product(left, left);
        let r = mean_product(right, right);
        if l.max(r) < LOUD {
            return;
        }
        self.loud += 1;
        self.left_alone += u32::from(l > r * ALONE);
        self.right_alone += u32::from(r > l * ALONE);
        self.left += f64::from(l);
        self.right += f64::from(r);
        self.both += f64::from(mean_product(left, right));
    }

    /// Returns whether more would hardly change the verdict.
    pub(crate) fn is_enough(&self) -> bool {
        self.loud >= FRAMES_ENOUGH || self.seen + FRAME > SAMPLES_MAX
    }

    /// Returns the kind of the sides.
    pub(crate) fn decide_sides(&self) -> Sides {
        let alike = self.both / (self.left * self.right).sqrt().max(f64::MIN_POSITIVE);
        let takes_turns = self.left_alone.min(self.right_alone) * 20 >= self.loud;
        let is_alone = (self.left_alone + self.right_alone) * 10 >= self.loud * 6;
        if self.loud >= FRAMES_MIN && takes_turns && is_alone && alike.abs() < 0.3 {
            Sides::Apart
        } else if alike < -0.5 {
            Sides::Opposed
        } else {
            Sides::Together
        }
    }
}

impl Sides {
    /// Adds the right side to the left one; not for sides that are [`Self::Apart`].
    pub(crate) fn add_right(self, left: &mut [f32], right: &[f32]) {
        let sign = if self == Self::Opposed { -1.0 } else { 1.0 };
        for (left, right) in left.iter_mut().zip(right) {
            *left = 0.5 * (*left + sign * right);
        }
    }
}

/// The side that a plane of sound belongs to, where the recording keeps people apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The left channel.
    Left,
    /// The right channel.
    Right,
    /// A sound track.
    Track {
        /// Its number, from 1.
        number: usize,
        /// The title in its container.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    },
}

impl Side {
    /// Returns the name of the speaker.
    #[must_use]
    pub fn speaker(&self) -> String {
        match self {
            Self::Left => "Left".to_owned(),
            Self::Right => "Right".to_owned(),
            Self::Track { number, title: None } => format!("Track {number}"),
            Self::Track { number, title: Some(title) } => format!("Track {number} ({title})"),
        }
    }
}

/// A comparison of several sound tracks, to find those that hold the sound of others.
///
/// A screen recorder writes the desktop and the microphone to tracks of their own, and often both
/// together to a third one. No speech should be transcribed twice, so a track that is contained in
/// others is left out.
#[derive(Debug, Default)]
pub(crate) struct TracksComparison {
    seen: usize,
    loud: Vec<u32>,
    /// For each track and each other one, in how many of its loud frames that one sounds the same.
    alike: Vec<Vec<u32>>,
    /// For each track, in how many of its loud frames any other sounds the same.
    covered: Vec<u32>,
}

impl TracksComparison {
    /// Compares the samples since the last call; `planes` hold all from the begin.
    pub(crate) fn add_samples(&mut self, planes: &[&[f32]]) {
        let all = planes.iter().map(|plane| plane.len()).min().unwrap_or(0);
        self.loud.resize(planes.len(), 0);
        self.covered.resize(planes.len(), 0);
        self.alike.resize_with(planes.len(), || vec![0; planes.len()]);
        while self.seen + FRAME <= all {
            let frames: Vec<&[f32]> =
                planes.iter().map(|plane| &plane[self.seen..self.seen + FRAME]).collect();
            self.add_frame(&frames);
            self.seen += FRAME;
        }
    }

    fn add_frame(&mut self, frames: &[&[f32]]) {
        /// Two voices of the same loudness sound this much like their sum.
        const ALIKE: f32 = 0.6;
        let powers: Vec<f32> = frames.iter().map(|frame| mean_product(frame, frame)).collect();
        for (at, frame) in frames.iter().enumerate().filter(|(at, _)| powers[*at] >= LOUD) {
            self.loud[at] += 1;
            let mut is_covered = false;
            for (other, sound) in frames.iter().enumerate().filter(|(other, _)| *other != at) {
                let is_alike = mean_product(frame, sound)
                    >= ALIKE * (powers[at] * powers[other]).sqrt().max(LOUD / 100.0);
                self.alike[at][other] += u32::from(is_alike);
                is_covered |= is_alike;
            }
            self.covered[at] += u32::from(is_covered);
        }
    }

    /// Returns whether more would hardly change the verdict, or takes too much memory.
    pub(crate) fn is_enough(&self) -> bool {
        let is_long = self.seen * self.loud.len().max(1) >= 2 * SAMPLES_MAX;
        is_long || self.loud.iter().all(|loud| *loud >= FRAMES_ENOUGH)
    }

    /// Returns the tracks to transcribe. Where one is the sum of others, those are kept.
    pub(crate) fn kept_tracks(&self) -> Vec<usize> {
        let is_most = |part: u32, track: usize| {
            self.loud[track] >= FRAMES_MIN && part * 5 >= self.loud[track] * 4
        };
        let is_within = |inner: usize, outer: usize| is_most(self.alike[inner][outer], inner);
        let mut kept: Vec<usize> = Vec::new();
        for track in 0..self.loud.len() {
            let is_known =
                kept.iter().any(|other| is_within(track, *other) && is_within(*other, track));
            kept.extend((!is_known).then_some(track));
        }
        let is_sum = |track: &usize| {
            let parts =
                kept.iter().filter(|part| *part != track && is_within(**part, *track)).count();
            parts >= 2 && is_most(self.covered[*track], *track)
        };
        let sums: Vec<usize> = kept.iter().copied().filter(is_sum).collect();
        kept.retain(|track| !sums.contains(track));
        let within: Vec<usize> = kept
            .iter()
            .copied()
            .filter(|track| kept.iter().any(|other| other != track && is_within(*track, *other)))
            .collect();
        kept.retain(|track| !within.contains(track));
        kept
    }
}

/// Returns the mean product of two frames.
#[expect(clippy::cast_precision_loss, reason = "a frame is small")]
fn mean_product(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / FRAME as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise that comes and goes: `on(second)` says when.
    fn voice(seed: u32, on: impl Fn(usize) -> bool) -> Vec<f32> {
        let mut state = seed;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u8::try_from(state >> 24).expect("eight bits")) / 512.0 - 0.25
        };
        (0..20 * 16_000).map(|n| if on(n / 16_000) { noise() } else { noise() * 0.001 }).collect()
    }

    fn verdict(left: &[f32], right: &[f32]) -> Sides {
        let mut look = SidesComparison::default();
        look.add_samples(&left[..30_000], &right[..30_000]);
        look.add_samples(left, right);
        look.decide_sides()
    }

    #[test]
    fn two_who_take_turns_are_apart() {
        let (left, right) = (voice(1, |s| s % 4 < 2), voice(2, |s| s % 4 >= 2));
        assert_eq!(verdict(&left, &right), Sides::Apart);
    }

    #[test]
    fn one_sound_on_both_sides_is_together_also_when_louder_on_one() {
        let left = voice(1, |_| true);
        let right: Vec<_> = left.iter().map(|sample| sample * 0.3).collect();
        assert_eq!(verdict(&left, &left), Sides::Together);
        assert_eq!(verdict(&left, &right), Sides::Together);
        assert_eq!(
            verdict(&left, &voice(2, |_| true)),
            Sides::Together,
            "a room with distant microphones"
        );
    }

    #[test]
    fn a_dead_side_or_silence_is_not_a_person() {
        assert_eq!(verdict(&voice(1, |_| true), &vec![0.0; 320_000]), Sides::Together);
        assert_eq!(verdict(&vec![0.0; 320_000], &vec![0.0; 320_000]), Sides::Together);
    }

    #[test]
    fn swapped_wires_do_not_cancel_the_sound_out() {
        let left = voice(1, |_| true);
        let right: Vec<_> = left.iter().map(|sample| -sample).collect();
        assert_eq!(verdict(&left, &right), Sides::Opposed);
        let mut mixed = left.clone();
        Sides::Opposed.add_right(&mut mixed, &right);
        assert_eq!(mixed, left);
    }

    /// A name, tracks, and which of them are kept.
    type Row<'a> = (&'a str, &'a [&'a [f32]], &'a [usize]);

    fn kept(tracks: &[&[f32]]) -> Vec<usize> {
        let mut comparison = TracksComparison::default();
        comparison.add_samples(&tracks.iter().map(|track| &track[..50_000]).collect::<Vec<_>>());
        comparison.add_samples(tracks);
        comparison.kept_tracks()
    }

    #[test]
    fn tracks_are_heard_apart_unless_they_hold_the_same_sound() {
        let one = voice(1, |s| s % 4 < 2);
        let two = voice(2, |s| s % 4 >= 1);
        let both: Vec<f32> = one.iter().zip(&two).map(|(a, b)| 0.7 * (a + b)).collect();
        let quieter: Vec<f32> = one.iter().map(|sample| sample * 0.3).collect();
        let silence = vec![0.0; one.len()];
        let table: [Row; 7] = [
            ("two people", &[&one, &two], &[0, 1]),
            ("the same twice", &[&one, &quieter], &[0]),
            ("both, and each alone", &[&both, &one, &two], &[1, 2]),
            ("both, and one of them", &[&both, &two], &[0]),
            ("one of them, and both", &[&one, &both], &[1]),
            ("one who is yet to speak", &[&one, &silence], &[0, 1]),
            ("nobody yet", &[&silence, &silence], &[0, 1]),
        ];
        for (name, tracks, expected) in table {
            assert_eq!(kept(tracks), expected, "{name}");
        }
    }
}
