//! Spectra as the embedding wants them: Kaldi's log mel energies.

use std::sync::Arc;

use realfft::{RealFftPlanner, RealToComplex};

use crate::engine::RATE;

/// Values of a frame.
pub(super) const BINS: usize = 80;

/// Samples of a frame: 25 ms.
const FRAME: usize = 400;

/// Samples from one frame to the next: 10 ms.
const HOP: usize = 160;

/// Samples of the transform: the next power of two above a frame.
const TRANSFORM: usize = 512;

/// The least energy, single precision's own: the logarithm of silence would be endless.
const FLOOR: f32 = 1.192_092_9e-7;

/// Kaldi's samples are those of 16 bits.
const FULL_SCALE: f32 = 32_768.0;

/// The share of the sample before that pre-emphasis takes away.
const EMPHASIS: f32 = 0.97;

/// The lowest frequency that counts, in hertz; the highest is half of the rate.
const LOWEST: f64 = 20.0;

/// A mel filter: its first value of the spectrum, and the weights from there on.
type Filter = (usize, Vec<f32>);

/// The maker of spectra.
pub(super) struct Fbank {
    transform: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    filters: Vec<Filter>,
}

impl Fbank {
    /// Returns a maker of spectra.
    pub(super) fn new() -> Self {
        let transform = RealFftPlanner::new().plan_fft_forward(TRANSFORM);
        Self { transform, window: hamming_window(), filters: mel_filters() }
    }

    /// Returns the energies of `sound`, frame after frame, each bin less its mean; nothing for less
    /// than a frame.
    pub(super) fn energies(&self, sound: &[f32]) -> Vec<f32> {
        let mut input = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut scratch = self.transform.make_scratch_vec();
        let mut energies = Vec::with_capacity(sound.len() / HOP * BINS);
        for frame in sound.windows(FRAME).step_by(HOP) {
            self.prepare_frame(frame, &mut input);
            // The lengths are the plan's own.
            if self.transform.process_with_scratch(&mut input, &mut spectrum, &mut scratch).is_err()
            {
                return Vec::new();
            }
            let power: Vec<f32> = spectrum[..TRANSFORM / 2]
                .iter()
                .map(realfft::num_complex::Complex::norm_sqr)
                .collect();
            energies.extend(self.filters.iter().map(|(first, weights)| {
                let energy: f32 = weights
                    .iter()
                    .zip(&power[*first..])
                    .map(|(weight, power)| weight * power)
                    .sum();
                energy.max(FLOOR).ln()
            }));
        }
        subtract_means(&mut energies);
        energies
    }

    /// Writes a frame into the transform's input: no constant part, high tones lifted, soft edges.
    fn prepare_frame(&self, frame: &[f32], input: &mut [f32]) {
        let count = f32::from(u16::try_from(FRAME).unwrap_or(u16::MAX));
        let mean = frame.iter().map(|sample| sample * FULL_SCALE).sum::<f32>() / count;
        let mut before = frame[0] * FULL_SCALE - mean;
        for ((to, sample), weight) in input.iter_mut().zip(frame).zip(&self.window) {
            let sample = sample * FULL_SCALE - mean;
            *to = (sample - EMPHASIS * before) * weight;
            before = sample;
        }
        input[FRAME..].fill(0.0);
    }
}

/// Subtracts from each bin its mean over all frames.
fn subtract_means(energies: &mut [f32]) {
    #[expect(clippy::cast_precision_loss, reason = "some hundred frames")]
    let frames = (energies.len() / BINS) as f32;
    let mut means = [0.0; BINS];
    for frame in energies.chunks_exact(BINS) {
        means.iter_mut().zip(frame).for_each(|(mean, energy)| *mean += energy / frames);
    }
    for frame in energies.chunks_exact_mut(BINS) {
        frame.iter_mut().zip(&means).for_each(|(energy, mean)| *energy -= mean);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a few hundred weights of 0 to 1"
)]
fn hamming_window() -> Vec<f32> {
    let last = (FRAME - 1) as f64;
    (0..FRAME)
        .map(|at| (0.54 - 0.46 * (std::f64::consts::TAU * at as f64 / last).cos()) as f32)
        .collect()
}

/// Returns Kaldi's triangles, over the power spectrum without its last value.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "frequencies up to 8000 and weights of 0 to 1"
)]
fn mel_filters() -> Vec<Filter> {
    let mel = |hertz: f64| 1127.0 * (1.0 + hertz / 700.0).ln();
    let step = (mel(f64::from(RATE) / 2.0) - mel(LOWEST)) / (BINS + 1) as f64;
    let places: Vec<f64> =
        (0..TRANSFORM / 2).map(|at| mel(at as f64 * f64::from(RATE) / TRANSFORM as f64)).collect();
    let filter = |number: usize| {
        let edge = |at: usize| mel(LOWEST) + (number + at) as f64 * step;
        let (left, right) = (edge(0), edge(2));
        let first = places.partition_point(|place| *place <= left);
        let after = places.partition_point(|place| *place < right);
        let weight = |place: &f64| ((place - left) / step).min((right - place) / step) as f32;
        (first, places[first..after].iter().map(weight).collect())
    };
    (0..BINS).map(filter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sound that any program makes alike: two tones that rise, and a click.
    fn sound(samples: u16) -> Vec<f32> {
        let sample = |at: u16| {
            let time = f64::from(at) / f64::from(RATE);
            let tones = 0.3 * (std::f64::consts::TAU * (200.0 + 300.0 * time) * time).sin()
                + 0.1 * (std::f64::consts::TAU * 2500.0 * time).sin();
            #[expect(clippy::cast_possible_truncation, reason = "a sample")]
            let sample = (tones + if at == 5000 { 0.5 } else { 0.0 }) as f32;
            sample
        };
        (0..samples).map(sample).collect()
    }

    /// Frame, bin and energy, as a script with another library's transform computed them.
    const STORED_ENERGIES: [(usize, usize, f32); 12] = [
        (0, 0, 0.9759),
        (0, 5, 7.4497),
        (0, 40, -0.2109),
        (29, 79, 6.6822),
        (30, 10, -0.3544),
        (30, 60, 8.2111),
        (31, 30, 1.7901),
        (50, 20, -1.4111),
        (64, 44, -0.2419),
        (80, 3, 0.0574),
        (97, 50, -0.1939),
        (97, 79, -0.8733),
    ];

    #[test]
    fn energies_are_those_of_a_second_program() {
        let energies = Fbank::new().energies(&sound(16_000));
        assert_eq!(energies.len(), 98 * BINS);
        for (frame, bin, energy) in STORED_ENERGIES {
            let found = energies[frame * BINS + bin];
            assert!(
                (found - energy).abs() < 2e-3,
                "frame {frame}, bin {bin}: {found} is not {energy}"
            );
        }
    }

    #[test]
    fn less_than_a_frame_is_nothing_and_silence_is_flat() {
        assert_eq!(Fbank::new().energies(&[0.1; FRAME - 1]), Vec::<f32>::new());
        let silence = Fbank::new().energies(&[0.0; 4 * FRAME]);
        assert!(
            silence.len() == 8 * BINS && silence.iter().all(|energy| energy.abs() < 1e-3),
            "{silence:?}"
        );
    }
}
