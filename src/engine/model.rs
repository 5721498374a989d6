//! Where the model lies.

use std::path::PathBuf;

/// The files of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// From sound to what the decoder attends to.
    pub encoder: PathBuf,
    /// From that to tokens.
    pub decoder: PathBuf,
    /// From tokens to text.
    pub tokenizer: PathBuf,
    /// The runtime: `libonnxruntime`.
    pub runtime: PathBuf,
}
