//! What the two sides of a stereo recording are: one sound, or one person each.
//!
//! A call recorder writes each end of the line on a side of its own: where one speaks the other is silent. A room
//! recorded in stereo has every voice on both sides, at much the same level. So the first minutes are looked at: how
//! often one side alone is loud, whether both take turns in it, and how like each other the two are.

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

/// What the two sides are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sides {
    /// One sound: the sides are added.
    Together,
    /// One sound, with the wires of one side swapped: added they would cancel each other out.
    Opposed,
    /// One person each.
    Apart,
}

/// Looks at two sides, as far as they were heard.
#[derive(Debug, Default)]
pub(crate) struct Look {
    seen: usize,
    loud: u32,
    left_alone: u32,
    right_alone: u32,
    left: f64,
    right: f64,
    both: f64,
}

impl Look {
    /// Looks at what came since; `left` and `right` hold all from the begin, and are of one length.
    pub(crate) fn at(&mut self, left: &[f32], right: &[f32]) {
        let (from, all) = (self.seen, left.len().min(right.len()));
        let frames = left[from..all].chunks_exact(FRAME).zip(right[from..all].chunks_exact(FRAME));
        for (left, right) in frames {
            self.frame(left, right);
            self.seen += FRAME;
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a frame is small")]
    fn frame(&mut self, left: &[f32], right: &[f32]) {
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() / FRAME as f32;
        let (l, r) = (product(left, left), product(right, right));
        if l.max(r) < LOUD {
            return;
        }
        self.loud += 1;
        self.left_alone += u32::from(l > r * ALONE);
        self.right_alone += u32::from(r > l * ALONE);
        self.left += f64::from(l);
        self.right += f64::from(r);
        self.both += f64::from(product(left, right));
    }

    /// Returns whether more would hardly change the verdict.
    pub(crate) fn is_enough(&self) -> bool {
        self.loud >= FRAMES_ENOUGH || self.seen + FRAME > SAMPLES_MAX
    }

    /// Returns what the sides are.
    pub(crate) fn verdict(&self) -> Sides {
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
    pub(crate) fn add(self, left: &mut [f32], right: &[f32]) {
        let sign = if self == Self::Opposed { -1.0 } else { 1.0 };
        for (left, right) in left.iter_mut().zip(right) {
            *left = 0.5 * (*left + sign * right);
        }
    }
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
        let mut look = Look::default();
        look.at(&left[..30_000], &right[..30_000]);
        look.at(left, right);
        look.verdict()
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
        assert_eq!(verdict(&left, &voice(2, |_| true)), Sides::Together, "a room with distant microphones");
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
        Sides::Opposed.add(&mut mixed, &right);
        assert_eq!(mixed, left);
    }
}
