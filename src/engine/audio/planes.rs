//! The sound of one track on its way: mixed, brought to 16 kHz, and kept until it is handed on.

use symphonia::core::audio::AudioSpec;

use super::{decode::Heard, mix::Mix, resample::Resampler};

/// The sound of one track on its way.
#[derive(Debug, Default)]
pub(super) struct TrackSound {
    /// What the sound is just now; a recording may change it.
    shape: Option<Shape>,
    /// The planes that wait to be handed on.
    pub(super) planes: Vec<Vec<f32>>,
    /// Samples that were handed on, or left out because another track has them.
    pub(super) passed: u64,
}

/// The way from the sound as it is to planes of 16 kHz.
#[derive(Debug)]
struct Shape {
    spec: AudioSpec,
    mix: Mix,
    native: Vec<Vec<f32>>,
    resamplers: Vec<Resampler>,
}

impl TrackSound {
    /// Returns how many samples wait to be handed on.
    pub(super) fn waiting(&self) -> usize {
        self.planes.first().map_or(0, Vec::len)
    }

    /// Returns how many samples have come.
    pub(super) fn position(&self) -> u64 {
        self.passed + self.waiting() as u64
    }

    /// Takes what was decoded: mixes it, to one plane where there are several tracks, and brings it to 16 kHz.
    pub(super) fn take(&mut self, heard: &Heard, is_several: bool) {
        if self.shape.as_ref().is_none_or(|shape| shape.spec != heard.spec) {
            self.flush();
            let planes = if is_several { 1 } else { self.planes.len() };
            self.shape = Some(Shape::new(&heard.spec, planes));
        }
        let Some(shape) = &mut self.shape else { return };
        if self.planes.is_empty() {
            self.planes = vec![Vec::new(); shape.mix.planes()];
        }
        shape.mix.apply(&heard.interleaved, &mut shape.native);
        for (at, plane) in self.planes.iter_mut().enumerate() {
            // One channel in the midst of two sides is on both.
            let from = at.min(shape.native.len() - 1);
            shape.resamplers[at].push(&shape.native[from], plane);
        }
        shape.native.iter_mut().for_each(Vec::clear);
    }

    /// Appends silence; `channels` is how many the sound has that follows.
    pub(super) fn fill(&mut self, samples: u64, channels: usize) {
        if samples == 0 {
            return;
        }
        self.flush();
        if self.planes.is_empty() {
            self.planes = vec![Vec::new(); if channels == 2 { 2 } else { 1 }];
        }
        for plane in &mut self.planes {
            plane.resize(plane.len() + usize::try_from(samples).unwrap_or(0), 0.0);
        }
    }

    /// Hands on what the resamplers still hold.
    pub(super) fn flush(&mut self) {
        if let Some(mut shape) = self.shape.take() {
            for (resampler, plane) in shape.resamplers.iter_mut().zip(&mut self.planes) {
                resampler.finish(plane);
            }
        }
    }
}

impl Shape {
    /// `planes` is how many there are already; 0 for the first.
    fn new(spec: &AudioSpec, planes: usize) -> Self {
        let mix = Mix::of(spec.channels());
        let mix = if planes == 1 { mix.alone(spec.channels().count()) } else { mix };
        let count = planes.max(mix.planes());
        let resamplers = (0..count).map(|_| Resampler::new(spec.rate())).collect();
        Self { spec: spec.clone(), native: vec![Vec::new(); mix.planes()], mix, resamplers }
    }
}

/// Takes the first samples out of a plane.
pub(super) fn first(plane: &mut Vec<f32>, samples: usize) -> Vec<f32> {
    let rest = plane.split_off(samples.min(plane.len()));
    std::mem::replace(plane, rest)
}
