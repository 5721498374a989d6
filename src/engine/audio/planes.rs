//! The sound of one track on its way: mixed, brought to 16 kHz, and kept until it is handed on.

use symphonia::core::audio::AudioSpec;

use super::{decode::DecodedSound, mix::ChannelMix, resample::Resampler};

/// The sound of one track on its way.
#[derive(Debug, Default)]
pub(super) struct TrackSound {
    /// The current format of the sound; a recording may change it.
    shape: Option<PlanePipeline>,
    /// The planes that wait to be handed on.
    pub(super) planes: Vec<Vec<f32>>,
    /// Samples that were handed on, or left out because another track has them.
    pub(super) passed: u64,
}

/// The way from the sound as it is to planes of 16 kHz.
#[derive(Debug)]
struct PlanePipeline {
    spec: AudioSpec,
    mix: ChannelMix,
    native: Vec<Vec<f32>>,
    resamplers: Vec<Resampler>,
}

impl TrackSound {
    /// Returns how many samples wait to be handed on.
    pub(super) fn waiting_samples(&self) -> usize {
        self.planes.first().map_or(0, Vec::len)
    }

    /// Returns how many samples have come.
    pub(super) fn position(&self) -> u64 {
        self.passed + self.waiting_samples() as u64
    }

    /// Takes decoded sound: mixes it, to one plane where there are several tracks, and brings it to
    /// 16 kHz.
    pub(super) fn take_sound(&mut self, decoded: &DecodedSound, is_several: bool) {
        if self.shape.as_ref().is_none_or(|shape| shape.spec != decoded.spec) {
            self.flush_resamplers();
            let planes = if is_several { 1 } else { self.planes.len() };
            self.shape = Some(PlanePipeline::new(&decoded.spec, planes));
        }
        let Some(shape) = &mut self.shape else { return };
        if self.planes.is_empty() {
            self.planes = vec![Vec::new(); shape.mix.plane_count()];
        }
        shape.mix.mix_onto(&decoded.interleaved, &mut shape.native);
        for (at, plane) in self.planes.iter_mut().enumerate() {
            // One channel in the midst of two sides is on both.
            let from = at.min(shape.native.len() - 1);
            shape.resamplers[at].push_samples(&shape.native[from], plane);
        }
        shape.native.iter_mut().for_each(Vec::clear);
    }

    /// Appends silence; `channels` is the number of channels of the sound that follows.
    pub(super) fn fill_silence(&mut self, samples: u64, channels: usize) {
        if samples == 0 {
            return;
        }
        self.flush_resamplers();
        if self.planes.is_empty() {
            self.planes = vec![Vec::new(); if channels == 2 { 2 } else { 1 }];
        }
        for plane in &mut self.planes {
            plane.resize(plane.len() + usize::try_from(samples).unwrap_or(0), 0.0);
        }
    }

    /// Hands on what the resamplers still hold.
    pub(super) fn flush_resamplers(&mut self) {
        if let Some(mut shape) = self.shape.take() {
            for (resampler, plane) in shape.resamplers.iter_mut().zip(&mut self.planes) {
                resampler.finish_samples(plane);
            }
        }
    }
}

impl PlanePipeline {
    /// Creates the pipeline; `planes` is the number that exist already, 0 for the first.
    fn new(spec: &AudioSpec, planes: usize) -> Self {
        let mix = ChannelMix::of_channels(spec.channels());
        let mix = if planes == 1 { mix.into_one_plane(spec.channels().count()) } else { mix };
        let count = planes.max(mix.plane_count());
        let resamplers = (0..count).map(|_| Resampler::new(spec.rate())).collect();
        Self { spec: spec.clone(), native: vec![Vec::new(); mix.plane_count()], mix, resamplers }
    }
}

/// Takes the first samples out of a plane.
pub(super) fn take_first(plane: &mut Vec<f32>, samples: usize) -> Vec<f32> {
    let rest = plane.split_off(samples.min(plane.len()));
    std::mem::replace(plane, rest)
}
