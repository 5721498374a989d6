//! The recogniser that turns a piece of sound into words: one of two, behind one interface.
//!
//! [`Choice`] names the recogniser and its files; it crosses from the daemon to the child.
//! `Recogniser` is the loaded one in the child.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    confidence::RecognisedWords,
    model::Model,
    moonshine::{ModelError, Moonshine},
    whisper,
};
use crate::{job::spoken_words, text::printable_path};

/// A choice of recogniser, with its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Moonshine, for English.
    Moonshine(Model),
    /// whisper.cpp, where this build has it.
    Whisper {
        /// The ggml file.
        model: PathBuf,
        /// The language that is spoken, ISO 639; `None` lets whisper find out.
        language: Option<String>,
    },
}

impl Choice {
    /// Returns whether it hears English words in every language, which its confidence shows. Limits
    /// for whisper's models of English were not measured.
    pub(super) fn is_english_only(&self) -> bool {
        match self {
            Self::Moonshine(_) => true,
            Self::Whisper { .. } => false,
        }
    }

    /// Returns the files that are read to load it.
    pub(super) fn model_files(&self) -> Vec<&Path> {
        match self {
            Self::Moonshine(model) => {
                [&model.encoder, &model.decoder, &model.tokenizer, &model.runtime]
                    .map(PathBuf::as_path)
                    .to_vec()
            }
            Self::Whisper { model, .. } => vec![model],
        }
    }
}

/// A recogniser that is ready.
#[derive(Debug)]
pub(super) enum Recogniser {
    Moonshine(Moonshine),
    #[cfg(feature = "whisper")]
    Whisper(whisper::native::Whisper),
}

impl Recogniser {
    /// Loads the chosen recogniser; once a process. `threads` is at least 1.
    pub(super) fn load(choice: &Choice, threads: usize) -> Result<Self, ModelError> {
        match choice {
            Choice::Moonshine(model) => Moonshine::load(model, threads).map(Self::Moonshine),
            Choice::Whisper { model, language } => {
                let found = whisper::look(model);
                let found = found.map_err(|error| ModelError::Unusable {
                    path: printable_path(model),
                    reason: error.to_string(),
                })?;
                found
                    .understands(language.as_deref())
                    .map_err(|reason| ModelError::Language { reason })?;
                #[cfg(feature = "whisper")]
                return whisper::native::Whisper::load(&found, language.as_deref(), threads)
                    .map(Self::Whisper);
                #[cfg(not(feature = "whisper"))]
                Err(ModelError::Failed { reason: "this build has no whisper".to_owned() })
            }
        }
    }

    /// Returns the id of the recogniser: its name, and a hash of its model.
    pub(super) fn model_id(&self) -> String {
        match self {
            Self::Moonshine(moonshine) => format!("moonshine {}", moonshine.hash()),
            #[cfg(feature = "whisper")]
            Self::Whisper(whisper) => format!("whisper {}", whisper.hash()),
        }
    }

    /// Returns the words in `sound`, 16 kHz and at most some 15 s of it; empty when there are none.
    pub(super) fn recognise_words(&mut self, sound: &[f32]) -> Result<RecognisedWords, ModelError> {
        let words = match self {
            Self::Moonshine(moonshine) => moonshine.recognise_words(sound)?,
            #[cfg(feature = "whisper")]
            Self::Whisper(whisper) => whisper.recognise_words(sound)?,
        };
        let Some(text) = spoken_words(&words.text) else { return Ok(RecognisedWords::default()) };
        Ok(RecognisedWords { text: text.to_owned(), ..words })
    }
}
