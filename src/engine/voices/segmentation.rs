//! The model of segmentation: who of up to three local speakers is active, every 17 ms.

use std::path::Path;

use ort::{environment::Environment, session::Session, value::Tensor};

use crate::engine::{moonshine::ModelError, onnx};

/// Samples that the model hears at once: 10 s.
pub(super) const WINDOW: usize = 160_000;

/// Decisions of a window: 17 ms each.
pub(super) const FRAMES: usize = 589;

/// Local speakers of a window.
pub(super) const LOCAL_SPEAKERS: usize = 3;

/// The speakers that are active in each frame of a window, a bit each.
pub(super) type Activity = [u8; FRAMES];

/// The model.
pub(super) struct Segmentation(Session);

impl Segmentation {
    /// Loads the model, and adds its bytes to a hash.
    pub(super) fn load(
        environment: &Environment,
        path: &Path,
        threads: usize,
        hasher: &mut blake3::Hasher,
    ) -> Result<Self, ModelError> {
        onnx::load_session(environment, path, threads, hasher).map(Self)
    }

    /// Returns who is active in a window of sound, which has all its samples.
    pub(super) fn find_activity(&mut self, window: Vec<f32>) -> Result<Activity, ModelError> {
        let input = Tensor::from_array(([1, 1, window.len()], window))?;
        let outputs = self.0.run(ort::inputs! { "waveforms" => input })?;
        let unexpected =
            || ModelError::Failed { reason: "it returned no `segmentation`".to_owned() };
        let (_, active) =
            outputs.get("segmentation").ok_or_else(unexpected)?.try_extract_tensor::<f32>()?;
        if active.len() != FRAMES * LOCAL_SPEAKERS {
            return Err(unexpected());
        }
        let mut activity = [0; FRAMES];
        for (bits, frame) in activity.iter_mut().zip(active.chunks_exact(LOCAL_SPEAKERS)) {
            *bits = frame.iter().rev().fold(0, |bits, active| bits << 1 | u8::from(*active > 0.5));
        }
        Ok(activity)
    }
}
