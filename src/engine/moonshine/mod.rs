//! Moonshine: from a piece of sound to its words.
//!
//! The encoder reads the whole piece once, the decoder makes one token after the other and is fed
//! its own memory back.
//!
//! Two things the model does not forgive: the decoder's `encoder_attention_mask` is as long as the
//! *sound*, not as what the encoder made of it (that works up to 9 s and fails above); and after
//! the first step the encoder's part of the memory is kept as it is, because the later steps return
//! an empty one.

pub(in crate::engine) mod loops;
mod tokenizer;

use std::{borrow::Cow, fs::File, io::Read as _, path::Path};

use ort::{
    memory::Allocator,
    session::{Session, SessionInputValue, SessionOutputs},
    value::{DynValue, Tensor},
};

use self::tokenizer::Tokenizer;
use crate::engine::{
    RATE,
    confidence::{Confidence, RecognisedWords},
    model::Model,
    onnx::{self, unusable_model},
};

/// Layers of the decoder, heads of each, and values of each head, of Moonshine tiny.
const LAYERS: usize = 6;
const HEADS: usize = 8;
const VALUES: usize = 36;

/// The token before the first, and the one after the last.
const START: i64 = 1;
const END: i64 = 2;

/// Tokens a second of the fastest speech; a model in a loop makes more.
const TOKENS_A_SECOND: f64 = 6.5;

/// The shortest piece that may still hold a word, in tokens.
const TOKENS_MIN: usize = 4;

/// An error of a recogniser.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    /// A file cannot be read, or is not what it should be: the model has to be installed again.
    #[error("cannot load the model from `{path}`: {reason}")]
    Unusable {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
    /// The runtime failed at work.
    #[error("the model failed: {reason}")]
    Failed {
        /// In the runtime's words.
        reason: String,
    },
    /// The model does not know the language that is spoken.
    #[error("{reason}")]
    Language {
        /// The language, and what to do.
        reason: String,
    },
    /// There was not enough memory.
    #[error("the model needs more memory than it may have: {reason}")]
    Memory {
        /// In the runtime's words.
        reason: String,
    },
}

impl<R> From<ort::Error<R>> for ModelError {
    fn from(error: ort::Error<R>) -> Self {
        let reason = error.message().to_owned();
        if reason.contains("bad_alloc")
            || reason.contains("bad allocation")
            || reason.contains("allocate memory")
        {
            Self::Memory { reason }
        } else {
            Self::Failed { reason }
        }
    }
}

/// A model that is ready.
pub(crate) struct Moonshine {
    encoder: Session,
    decoder: Session,
    tokenizer: Tokenizer,
    hash: String,
    /// The names of the decoder's memory: what goes in, what comes out, and whether it is the
    /// encoder's.
    memory: Vec<(String, String, bool)>,
}

impl std::fmt::Debug for Moonshine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Moonshine").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Moonshine {
    /// Loads the runtime and the model; once a process. `threads` is at least 1.
    ///
    /// # Errors
    /// [`ModelError::Unusable`] for a file that is missing or something else.
    pub(crate) fn load(model: &Model, threads: usize) -> Result<Self, ModelError> {
        let environment = onnx::load_runtime(&model.runtime)?;
        let mut hasher = blake3::Hasher::new();
        let encoder = onnx::load_session(environment, &model.encoder, threads, &mut hasher)?;
        let decoder = onnx::load_session(environment, &model.decoder, threads, &mut hasher)?;
        let bytes = read_file(&model.tokenizer)?;
        hasher.update(&bytes);
        let tokenizer = Tokenizer::parse(&bytes)
            .ok_or_else(|| unusable_model(&model.tokenizer, "it is not a tokenizer"))?;
        let hash = hasher.finalize().to_hex()[..32].to_owned();
        Ok(Self { encoder, decoder, tokenizer, hash, memory: memory_names() })
    }

    /// Returns the identity of this model: a hash of its files.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns the words in `sound`, 16 kHz and at most some 15 s of it; empty when there are none.
    ///
    /// # Errors
    /// The error of the runtime.
    pub(in crate::engine) fn recognise_words(
        &mut self,
        sound: &[f32],
    ) -> Result<RecognisedWords, ModelError> {
        let hidden = self.encode_sound(sound)?;
        let (tokens, confidence) = self.decode_tokens(&hidden, sound.len())?;
        Ok(RecognisedWords { text: self.tokenizer.tokens_to_text(&tokens), confidence })
    }

    fn encode_sound(&mut self, sound: &[f32]) -> Result<DynValue, ModelError> {
        let inputs = ort::inputs! {
            "input_values" => Tensor::from_array(([1, sound.len()], sound.to_vec()))?,
            "attention_mask" => attention_mask(sound.len())?,
        };
        take_output(&mut self.encoder.run(inputs)?, "last_hidden_state")
    }

    /// Returns the tokens in a sound, and how likely they are.
    fn decode_tokens(
        &mut self,
        hidden: &DynValue,
        samples: usize,
    ) -> Result<(Vec<i64>, Confidence), ModelError> {
        let mask = attention_mask(samples)?;
        let mut memory =
            self.memory.iter().map(|_| empty_memory()).collect::<Result<Vec<_>, _>>()?;
        let mut tokens = Vec::new();
        let mut log_probabilities = Vec::new();
        let mut last = START;
        for step in 0..tokens_max(samples) {
            let is_first = step == 0;
            let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = ort::inputs! {
                "input_ids" => Tensor::from_array(([1, 1], vec![last]))?,
                "encoder_hidden_states" => hidden,
                "encoder_attention_mask" => &mask,
                "use_cache_branch" => Tensor::from_array(([1], vec![!is_first]))?,
            };
            inputs.extend(
                self.memory
                    .iter()
                    .zip(&memory)
                    .map(|((name, ..), value)| (name.into(), value.into())),
            );
            let mut outputs = self.decoder.run(inputs)?;
            let likeliest = likeliest_token(&outputs)?;
            last = likeliest.token;
            for ((_, name, is_encoders), kept) in self.memory.iter().zip(&mut memory) {
                if is_first || !is_encoders {
                    *kept = take_output(&mut outputs, name)?;
                }
            }
            if last == END {
                break;
            }
            tokens.push(last);
            log_probabilities.push(likeliest.log_probability);
            if let Some(end) = loops::end_of_sense(&tokens) {
                tokens.truncate(end);
                break;
            }
        }
        // Those of the loop that was cut off are left out.
        let confidence = Confidence::of_tokens(tokens.iter().copied().zip(log_probabilities));
        Ok((tokens, confidence))
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unusable_model(path, &error))?;
    file.take(tokenizer::BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| unusable_model(path, &error))?;
    Ok(bytes)
}

/// Returns the names of the decoder's memory.
fn memory_names() -> Vec<(String, String, bool)> {
    let whose = ["decoder", "encoder"];
    let names = whose.into_iter().flat_map(|side| ["key", "value"].map(|what| (side, what)));
    let of = |layer: usize, (side, what): (&str, &str)| {
        let name = format!("{layer}.{side}.{what}");
        (format!("past_key_values.{name}"), format!("present.{name}"), side == "encoder")
    };
    let names: Vec<_> = names.collect();
    (0..LAYERS).flat_map(|layer| names.iter().map(move |name| of(layer, *name))).collect()
}

/// Returns the memory before the first step. Only an allocator makes a tensor without values.
fn empty_memory() -> Result<DynValue, ModelError> {
    Ok(Tensor::<f32>::new(&Allocator::default(), [1, HEADS, 0, VALUES])?.into_dyn())
}

/// Returns a mask in which every sample counts.
fn attention_mask(samples: usize) -> Result<Tensor<i64>, ModelError> {
    Ok(Tensor::from_array(([1, samples], vec![1_i64; samples]))?)
}

fn take_output(outputs: &mut SessionOutputs<'_>, name: &str) -> Result<DynValue, ModelError> {
    outputs
        .remove(name)
        .ok_or_else(|| ModelError::Failed { reason: format!("it returned no `{name}`") })
}

/// The likeliest token of a step.
struct LikeliestToken {
    token: i64,
    /// The natural logarithm of its probability.
    log_probability: f32,
}

/// Returns the likeliest token of the last step.
fn likeliest_token(outputs: &SessionOutputs<'_>) -> Result<LikeliestToken, ModelError> {
    let no_logits = || ModelError::Failed { reason: "it returned no `logits`".to_owned() };
    let (_, logits) = outputs.get("logits").ok_or_else(no_logits)?.try_extract_tensor::<f32>()?;
    let best = logits.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    let (token, most) = best.ok_or_else(no_logits)?;
    Ok(LikeliestToken {
        token: i64::try_from(token).map_err(|_| no_logits())?,
        log_probability: log_softmax_at(logits, *most),
    })
}

/// Returns the natural logarithm of the probability of the likeliest token, whose logit is `most`.
fn log_softmax_at(logits: &[f32], most: f32) -> f32 {
    /// Logits that are further below the largest one are left out: nearly all are, and 32,768 of
    /// them add 0.004 at most.
    const BELOW_MAX: f32 = -16.0;
    let below = logits.iter().map(|logit| logit - most).filter(|below| *below > BELOW_MAX);
    -below.map(f32::exp).sum::<f32>().ln()
}

/// Returns how many tokens `samples` can hold.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most some hundred"
)]
fn tokens_max(samples: usize) -> usize {
    ((samples as f64 / f64::from(RATE) * TOKENS_A_SECOND).ceil() as usize).max(TOKENS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_as_likely_as_its_logit_stands_above_the_others() {
        let certain = log_softmax_at(&[1.0, 30.0, 2.0], 30.0);
        let one_of_four = log_softmax_at(&[7.0, 7.0, 7.0, 7.0, -50.0], 7.0);
        assert!(
            certain.abs() < 1e-6 && (one_of_four + 4.0_f32.ln()).abs() < 1e-6,
            "{certain} {one_of_four}"
        );
    }
}
