//! The model of the on-device engine: which files it must be, where they lie, how they come there.
//!
//! The weights are published by the model's own vendor as a Python package. minuted neither ships
//! nor fetches them: the person's own `pip` does, or a person brings the file. Whoever brings it,
//! the [`pins`] decide: no byte is kept whose hash is not the one written there.
//!
//! | file | what it is |
//! |---|---|
//! | [`pins`] | the package, and the hash of everything that is taken from it |
//! | [`places`] | where an installation may lie, and where a new one goes |
//! | [`inspect`] | inspection of an installation by the pins |
//! | [`mod@install`] | the way from nothing, or from something damaged, to an installation |
//! | `fetch` | pip |
//! | `unpack` | from the wheel to files that are checked and on disk |
//! | [`speech`] | a second of speech to try it with |

mod error;
mod fetch;
pub(crate) mod inspect;
pub(crate) mod install;
pub(crate) mod pins;
pub(crate) mod places;
pub(crate) mod speech;
mod unpack;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use error::InstallError;
pub(crate) use inspect::Installation;
pub(crate) use install::{Done, How, Step, install};
pub(crate) use pins::{Package, PinnedFile, Sha256};
pub(crate) use places::Places;

use serde::{Deserialize, Serialize};

use crate::text::printable_path;

/// The files of one installation, which the engine loads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Sound to features.
    pub encoder: PathBuf,
    /// Features to tokens, with and without a cache.
    pub decoder: PathBuf,
    /// Tokens to text.
    pub tokenizer: PathBuf,
    /// The shared library of ONNX Runtime.
    pub runtime: PathBuf,
}

/// The models that tell voices apart, and the runtime that runs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoiceModels {
    /// Sound to who of a few is speaking, and when.
    pub segmentation: PathBuf,
    /// A stretch of one voice to a vector.
    pub embedding: PathBuf,
    /// The shared library of ONNX Runtime.
    pub runtime: PathBuf,
}

impl VoiceModels {
    /// Returns the installed models of voices, or `None` where an installation lacks them: one of
    /// an earlier version, which `minuted engine install` completes.
    #[must_use]
    pub fn find(package: &Package, places: &Places) -> Option<Self> {
        let dir = places.dir_of(package)?;
        let needed = [&package.segmentation, &package.embedding, &package.runtime];
        needed.iter().all(|pinned| pinned.is_there(&dir)).then(|| Self {
            segmentation: dir.join(package.segmentation.name),
            embedding: dir.join(package.embedding.name),
            runtime: dir.join(package.runtime.name),
        })
    }
}

impl Model {
    /// Returns the files of `package` in the installation directory `dir`, without looking at them.
    #[must_use]
    pub fn at(package: &Package, dir: &Path) -> Self {
        Self {
            encoder: dir.join(package.encoder.name),
            decoder: dir.join(package.decoder.name),
            tokenizer: dir.join(package.tokenizer.name),
            runtime: dir.join(package.runtime.name),
        }
    }

    /// Returns the installed model. Names and sizes are looked at, hashes are not:
    /// [`Installation::inspect`] reads them all.
    ///
    /// # Errors
    /// [`NotInstalled`] when it is not there whole.
    pub fn find(package: &Package, places: &Places) -> Result<Self, NotInstalled> {
        let dir = places
            .dir_of(package)
            .ok_or_else(|| NotInstalled::Missing { looked: places.all(package) })?;
        match package.recogniser_files().iter().find(|pinned| !pinned.is_there(&dir)) {
            None => Ok(Self::at(package, &dir)),
            Some(pinned) => Err(NotInstalled::Damaged { file: dir.join(pinned.name) }),
        }
    }
}

/// The reason that there is no model to load. [`NotInstalled::HINT`] cures both.
#[derive(Debug, thiserror::Error)]
pub enum NotInstalled {
    /// The model is not installed.
    #[error(
        "the model of the on-device engine is not installed; looked for {}",
        list_paths(looked)
    )]
    Missing {
        /// The places that were looked at.
        looked: Vec<PathBuf>,
    },
    /// A file of it is missing or has another size.
    #[error("the model of the on-device engine is damaged: `{}`", printable_path(file))]
    Damaged {
        /// The file.
        file: PathBuf,
    },
}

impl NotInstalled {
    /// The command that cures it.
    pub const HINT: &'static str = "minuted engine install";
}

fn list_paths(places: &[PathBuf]) -> String {
    places.iter().map(|place| format!("`{}`", printable_path(place))).collect::<Vec<_>>().join(", ")
}
