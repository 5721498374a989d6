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
use crate::{config::ENGLISH, job::spoken_words, text::printable_path};

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
        /// The language that is spoken, ISO 639; `None` has whisper detect it.
        language: Option<String>,
        /// The model of Moonshine that hears English where whisper detects it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        english: Option<Model>,
        /// Words to expect, in the form of a text that was spoken before; may be none.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prompt: String,
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
            Self::Moonshine(model) => moonshine_files(model).to_vec(),
            Self::Whisper { model, english, .. } => {
                english.iter().flat_map(moonshine_files).chain([model.as_path()]).collect()
            }
        }
    }

    /// Returns whether the language is detected before the first word is recognised.
    pub(super) fn detects_language(&self) -> bool {
        matches!(self, Self::Whisper { language: None, .. })
    }

    /// Returns the choice for a recording whose language was detected.
    pub(super) fn for_language(&self, detected: &str) -> Self {
        match self {
            Self::Whisper { language: None, english: Some(english), .. } if detected == ENGLISH => {
                Self::Moonshine(english.clone())
            }
            Self::Whisper { language: None, model, english, prompt } => Self::Whisper {
                model: model.clone(),
                language: Some(detected.to_owned()),
                english: english.clone(),
                prompt: prompt.clone(),
            },
            Self::Moonshine(_) | Self::Whisper { .. } => self.clone(),
        }
    }
}

fn moonshine_files(model: &Model) -> [&Path; 4] {
    [&model.encoder, &model.decoder, &model.tokenizer, &model.runtime].map(PathBuf::as_path)
}

/// A recogniser that is ready.
#[derive(Debug)]
pub(super) enum Recogniser {
    Moonshine(Moonshine),
    #[cfg(feature = "whisper")]
    Whisper(whisper::native::Whisper),
}

impl Recogniser {
    /// Loads the chosen recogniser. `threads` is at least 1.
    pub(super) fn load(choice: &Choice, threads: usize) -> Result<Self, ModelError> {
        match choice {
            Choice::Moonshine(model) => Moonshine::load(model, threads).map(Self::Moonshine),
            Choice::Whisper { model, language, prompt, .. } => {
                let found = whisper::look(model);
                let found = found.map_err(|error| ModelError::Unusable {
                    path: printable_path(model),
                    reason: error.to_string(),
                })?;
                found
                    .understands(language.as_deref())
                    .map_err(|reason| ModelError::Language { reason })?;
                Self::load_whisper(&found, language.as_deref(), prompt, threads)
            }
        }
    }

    #[cfg(feature = "whisper")]
    fn load_whisper(
        weights: &whisper::Weights,
        language: Option<&str>,
        prompt: &str,
        threads: usize,
    ) -> Result<Self, ModelError> {
        whisper::native::Whisper::load(weights, language, prompt, threads).map(Self::Whisper)
    }

    #[cfg(not(feature = "whisper"))]
    fn load_whisper(
        _: &whisper::Weights,
        _: Option<&str>,
        _: &str,
        _: usize,
    ) -> Result<Self, ModelError> {
        Err(ModelError::Failed { reason: "this build has no whisper".to_owned() })
    }

    /// Returns the id of the recogniser: its name, and a hash of its model.
    pub(super) fn model_id(&self) -> String {
        match self {
            Self::Moonshine(moonshine) => format!("moonshine {}", moonshine.hash()),
            #[cfg(feature = "whisper")]
            Self::Whisper(whisper) => format!("whisper {}", whisper.hash()),
        }
    }

    /// Returns the language that is spoken in `sound`, 16 kHz and at most 30 s of it, where the recogniser can tell.
    #[cfg_attr(
        not(feature = "whisper"),
        expect(
            unused_variables,
            clippy::unnecessary_wraps,
            reason = "Moonshine knows one language"
        )
    )]
    pub(super) fn detect_language(
        &mut self,
        sound: &[f32],
    ) -> Result<Option<&'static str>, ModelError> {
        match self {
            Self::Moonshine(_) => Ok(None),
            #[cfg(feature = "whisper")]
            Self::Whisper(whisper) => whisper.detect_language(sound),
        }
    }

    /// Returns the samples that pieces of one speaker have together at most to be recognised as one window.
    pub(super) fn window_samples(&self) -> usize {
        match self {
            Self::Moonshine(_) => 0,
            #[cfg(feature = "whisper")]
            Self::Whisper(_) => whisper::native::WINDOW_SAMPLES,
        }
    }

    /// Returns the words in each of some pieces, 16 kHz and at most some 15 s long; empty where there are none.
    pub(super) fn recognise_pieces(
        &mut self,
        pieces: &[&[f32]],
    ) -> Result<Vec<RecognisedWords>, ModelError> {
        let words = match self {
            Self::Moonshine(moonshine) => pieces
                .iter()
                .map(|piece| moonshine.recognise_words(piece))
                .collect::<Result<Vec<_>, _>>()?,
            #[cfg(feature = "whisper")]
            Self::Whisper(whisper) => whisper.recognise_pieces(pieces)?,
        };
        let spoken = words.into_iter().map(|words| match spoken_words(&words.text) {
            Some(text) => RecognisedWords { text: text.to_owned(), ..words },
            None => RecognisedWords::default(),
        });
        Ok(spoken.collect())
    }
}
