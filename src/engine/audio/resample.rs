//! From any sample rate to 16 kHz, as a stream.
//!
//! A polyphase filter: a windowed sinc, tabulated for each position that an output sample can have
//! between two input samples. Written here because the ready-made resamplers bring half a dozen
//! crates for speeds and qualities that speech recognition has no use for, and because sample
//! positions stay exact: sample `n` of the output is the sound at `n / 16000` s, with no delay,
//! however the input is cut into blocks.

use crate::engine::RATE;

/// Zero crossings of the sinc on each side: the transition from passed to stopped takes about a
/// tenth of the band.
const CROSSINGS: f64 = 16.0;

/// The part of the band that is kept: speech has next to nothing in the last twentieth.
const PASSED: f64 = 0.95;

/// The shape of the Kaiser window: 80 dB in the stop band, which is below what 16-bit recordings
/// hold.
const BETA: f64 = 8.0;

/// Positions that are tabulated at most. The usual rates need 2 to 640 and are exact; an odd rate
/// takes the nearest of these, which is off by less than a two-thousandth of a sample.
const PHASES_MAX: u64 = 1024;

/// Turns one channel of some rate into one of 16 kHz.
#[derive(Debug)]
pub(crate) struct Resampler {
    /// Phase by phase, the weights of the samples around.
    table: Vec<f32>,
    taps: usize,
    phases: u64,
    /// An output sample comes every `down / up` input samples.
    up: u64,
    down: u64,
    /// The place of the next output sample in `history`, in `1 / up` of an input sample.
    at: u64,
    history: Vec<f32>,
}

impl Resampler {
    /// Makes a resampler from `rate`, in samples a second; at least 1.
    pub(crate) fn new(rate: u32) -> Self {
        let divisor = gcd(u64::from(rate), u64::from(RATE));
        let up = u64::from(RATE) / divisor;
        let down = u64::from(rate) / divisor;
        let phases = up.min(PHASES_MAX);
        let ratio = (f64::from(rate) / f64::from(RATE)).max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few thousand at most"
        )]
        let half = (CROSSINGS * ratio).ceil() as usize;
        let table = (0..phases)
            .flat_map(|phase| phase_weights(phase, phases, half, PASSED / ratio))
            .collect();
        Self { table, taps: 2 * half, phases, up, down, at: 0, history: vec![0.0; half - 1] }
    }

    /// Takes `input` and appends the complete samples to `output`.
    pub(crate) fn push_samples(&mut self, input: &[f32], output: &mut Vec<f32>) {
        if self.up == self.down {
            output.extend_from_slice(input);
            return;
        }
        self.history.extend_from_slice(input);
        while let Some(around) = self.samples_around() {
            let phase = sample_index(self.at % self.up * self.phases / self.up);
            let weights = &self.table[phase * self.taps..][..self.taps];
            output.push(weights.iter().zip(around).map(|(weight, sample)| weight * sample).sum());
            self.at += self.down;
        }
        let passed = sample_index(self.at / self.up).min(self.history.len());
        self.history.drain(..passed);
        self.at -= passed as u64 * self.up;
    }

    /// Appends the rest: silence follows the last sample.
    pub(crate) fn finish_samples(&mut self, output: &mut Vec<f32>) {
        if self.up == self.down {
            return;
        }
        let silence = vec![0.0; self.taps / 2];
        self.push_samples(&silence, output);
    }

    /// Returns the samples around the next output sample, when all of them are there.
    fn samples_around(&self) -> Option<&[f32]> {
        self.history.get(sample_index(self.at / self.up)..)?.get(..self.taps)
    }
}

/// Returns the weights for an output sample that lies `phase / phases` after the input sample
/// `half - 1`. They sum to 1.
fn phase_weights(phase: u64, phases: u64, half: usize, band: f64) -> Vec<f32> {
    #[expect(clippy::cast_precision_loss, reason = "both are at most 1024")]
    let offset = phase as f64 / phases as f64;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
    let weight = |tap: usize| {
        let distance = tap as f64 - (half as f64 - 1.0) - offset;
        sinc(distance * band) * kaiser_window(distance / half as f64)
    };
    let weights: Vec<f64> = (0..2 * half).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    #[expect(clippy::cast_possible_truncation, reason = "a weight needs no more digits")]
    weights.into_iter().map(|weight| (weight / sum) as f32).collect()
}

fn sinc(x: f64) -> f64 {
    let angle = std::f64::consts::PI * x;
    if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle }
}

/// The Kaiser window, for -1..1.
fn kaiser_window(x: f64) -> f64 {
    if x.abs() >= 1.0 { 0.0 } else { bessel_zero(BETA * (1.0 - x * x).sqrt()) / bessel_zero(BETA) }
}

/// The modified Bessel function of order zero, by its series.
fn bessel_zero(x: f64) -> f64 {
    let mut sum = 1.0;
    let mut term = 1.0;
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn sample_index(position: u64) -> usize {
    usize::try_from(position).expect("a position in a block of samples")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tone(rate: u32, hertz: f64, samples: u32) -> Vec<f32> {
        let sample =
            |n: u32| (f64::from(n) / f64::from(rate) * hertz * std::f64::consts::TAU).sin();
        #[expect(clippy::cast_possible_truncation, reason = "a sample needs no more digits")]
        (0..samples).map(|n| sample(n) as f32).collect()
    }

    fn resampled(rate: u32, input: &[f32], block: usize) -> Vec<f32> {
        let (mut resampler, mut output) = (Resampler::new(rate), Vec::new());
        for part in input.chunks(block) {
            resampler.push_samples(part, &mut output);
        }
        resampler.finish_samples(&mut output);
        output
    }

    #[test]
    fn a_tone_stays_where_it_is_at_any_rate() {
        for rate in
            [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000, 44_099]
        {
            let output = resampled(rate, &tone(rate, 440.0, rate), 4096);
            assert!(
                output.len().abs_diff(RATE as usize) <= u32::from(rate != RATE) as usize,
                "{rate}: {}",
                output.len()
            );
            let expected = tone(RATE, 440.0, RATE);
            let inner = 200..15_800;
            let error = inner.map(|n| (output[n] - expected[n]).abs()).fold(0.0, f32::max);
            assert!(error < 0.01, "{rate}: {error}");
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_gone() {
        let output = resampled(48_000, &tone(48_000, 11_000.0, 48_000), 1000);
        let loudest =
            output[200..15_800].iter().fold(0.0_f32, |most, sample| most.max(sample.abs()));
        assert!(loudest < 0.001, "{loudest}");
    }

    proptest! {
        #![proptest_config(crate::budget::cases(32))]

        #[test]
        fn how_the_input_is_cut_changes_nothing(rate in 4_000_u32..100_000, block in 1_usize..3_000) {
            let input = tone(rate, 300.0, 6_000);
            prop_assert_eq!(resampled(rate, &input, block), resampled(rate, &input, 6_000));
        }
    }
}
