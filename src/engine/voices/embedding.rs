//! The model of voices: a stretch of one voice becomes a vector, and vectors of one person are
//! alike.

use std::path::Path;

use ort::{environment::Environment, session::Session, value::Tensor};

use super::fbank::{BINS, Fbank};
use crate::engine::{moonshine::ModelError, onnx};

/// Values of a voice print.
pub(super) const VALUES: usize = 256;

/// The largest value of a voice print: a byte with its sign.
const VALUE_MAX: f32 = 127.0;

/// The direction of an embedding, coarsely: enough to tell voices apart, and as small as it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VoicePrint(pub(super) [i8; VALUES]);

impl VoicePrint {
    /// Returns the print of an embedding; `None` of one without a direction.
    fn from_embedding(embedding: &[f32]) -> Option<Self> {
        let most = embedding.iter().fold(0.0, |most: f32, value| most.max(value.abs()));
        if embedding.len() != VALUES
            || !most.is_normal()
            || embedding.iter().any(|value| !value.is_finite())
        {
            return None;
        }
        let mut print = [0; VALUES];
        for (to, value) in print.iter_mut().zip(embedding) {
            #[expect(clippy::cast_possible_truncation, reason = "at most 127 by the division")]
            let value = (value / most * VALUE_MAX).round() as i8;
            *to = value;
        }
        Some(Self(print))
    }

    /// Returns the vector of length 1 in its direction.
    pub(super) fn unit_vector(&self) -> [f32; VALUES] {
        normalized(self.0.map(f32::from))
    }
}

/// Returns a vector with the length 1; one without a direction stays as it is.
pub(super) fn normalized(mut vector: [f32; VALUES]) -> [f32; VALUES] {
    let length = dot(&vector, &vector).sqrt();
    if length > 0.0 {
        for value in &mut vector {
            *value /= length;
        }
    }
    vector
}

/// Returns the sum of the products: of vectors of length 1 how alike they are.
pub(super) fn dot(one: &[f32; VALUES], other: &[f32; VALUES]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// The model, with its spectra.
pub(super) struct Embedder {
    session: Session,
    fbank: Fbank,
}

impl Embedder {
    /// Loads the model, and adds its bytes to a hash.
    pub(super) fn load(
        environment: &Environment,
        path: &Path,
        threads: usize,
        hasher: &mut blake3::Hasher,
    ) -> Result<Self, ModelError> {
        let session = onnx::load_session(environment, path, threads, hasher)?;
        Ok(Self { session, fbank: Fbank::new() })
    }

    /// Returns the print of the voice in `sound`; `None` where it is too short to have one.
    pub(super) fn print_voice(&mut self, sound: &[f32]) -> Result<Option<VoicePrint>, ModelError> {
        let energies = self.fbank.energies(sound);
        let frames = energies.len() / BINS;
        if frames == 0 {
            return Ok(None);
        }
        let inputs = ort::inputs! {
            "fbank" => Tensor::from_array(([1, frames, BINS], energies))?,
            "weights" => Tensor::from_array(([1, frames], vec![1.0_f32; frames]))?,
        };
        let outputs = self.session.run(inputs)?;
        let unexpected = || ModelError::Failed { reason: "it returned no `embedding`".to_owned() };
        let (_, embedding) =
            outputs.get("embedding").ok_or_else(unexpected)?.try_extract_tensor::<f32>()?;
        Ok(VoicePrint::from_embedding(embedding))
    }
}
