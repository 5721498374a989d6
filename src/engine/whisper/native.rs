//! whisper.cpp at work: from a piece of sound to its words.
//!
//! Each piece is read by itself, without the words before it: so a resumed recording says what an
//! uninterrupted one would, and one piece that went wrong does not spoil the next.

use std::ffi::c_int;

use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperError,
    WhisperState, WhisperTokenId,
};

use super::Weights;
use crate::{
    engine::{
        RATE,
        confidence::{Confidence, RecognisedWords},
        moonshine::ModelError,
    },
    job::{is_silence, spoken_words},
    text::printable_path,
};

/// Samples from which a piece shows its language: whisper takes a single word for any.
const TELLS_LANGUAGE: usize = 5 * RATE as usize;

/// A model that is ready.
pub(in crate::engine) struct Whisper {
    state: WhisperState,
    hash: String,
    threads: c_int,
    /// The token that ends a text; all that are words are before it.
    end_token: WhisperTokenId,
    /// The language of the folder.
    language: Option<&'static str>,
    /// The language of the last piece that was long enough to detect it.
    detected: Option<&'static str>,
}

impl std::fmt::Debug for Whisper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whisper")
            .field("hash", &self.hash)
            .field("language", &self.language)
            .finish_non_exhaustive()
    }
}

impl Whisper {
    /// Loads the model; once a process. `threads` is at least 1.
    pub(in crate::engine) fn load(
        weights: &Weights,
        language: Option<&str>,
        threads: usize,
    ) -> Result<Self, ModelError> {
        let language = language.map(find_language).transpose()?;
        // Without a receiver its log goes nowhere; else it would fill standard error.
        whisper_rs::install_logging_hooks();
        let unusable = |error: WhisperError| ModelError::Unusable {
            path: printable_path(&weights.path),
            reason: error.to_string().trim_end_matches('.').to_lowercase(),
        };
        let mut parameters = WhisperContextParameters::new();
        parameters.use_gpu(false);
        let context =
            WhisperContext::new_with_params(&weights.path, parameters).map_err(unusable)?;
        let state = context.create_state().map_err(unusable)?;
        let hash = format!("{} {}", language.unwrap_or("any"), weights.hash);
        // A model of English alone finds out nothing.
        let language = if context.is_multilingual() { language } else { Some("en") };
        let threads = c_int::try_from(threads.max(1)).unwrap_or(1);
        Ok(Self { state, hash, threads, end_token: context.token_eot(), language, detected: None })
    }

    /// Returns the identity of its words: the language of the folder, and [`Weights::hash`].
    pub(in crate::engine) fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns the words in `sound`, 16 kHz and at most some 15 s of it; empty when there are none.
    pub(in crate::engine) fn recognise_words(
        &mut self,
        sound: &[f32],
    ) -> Result<RecognisedWords, ModelError> {
        if sound.is_empty() {
            return Ok(RecognisedWords::default());
        }
        let is_long = sound.len() >= TELLS_LANGUAGE;
        let language = self.language.or(self.detected.filter(|_| !is_long));
        self.state
            .full(sampling_parameters(language, self.threads), sound)
            .map_err(|error| model_failure(&error))?;
        if self.language.is_none() && is_long {
            self.detected = whisper_rs::get_lang_str(self.state.full_lang_id_from_state());
        }
        let mut words = Vec::new();
        let mut spoken = Vec::new();
        for segment in self.state.as_iter() {
            let text = segment.to_str_lossy().map_err(|error| model_failure(&error))?;
            // By its own rule nobody speaks in it: that has left nothing.
            let is_silent =
                is_silence(&text, Some(f64::from(segment.no_speech_probability())), None);
            let Some(text) = spoken_words(&text).filter(|_| !is_silent) else { continue };
            words.push(text.to_owned());
            let tokens = (0..segment.n_tokens()).filter_map(|at| segment.get_token(at));
            // Behind it are the tokens that are no words: times, languages.
            let tokens = tokens.filter(|token| token.token_id() < self.end_token);
            spoken.extend(
                tokens.map(|token| (i64::from(token.token_id()), token.token_probability().ln())),
            );
        }
        Ok(RecognisedWords { text: words.join(" "), confidence: Confidence::of_tokens(spoken) })
    }
}

/// Returns the language as whisper has it.
fn find_language(language: &str) -> Result<&'static str, ModelError> {
    let found = whisper_rs::get_lang_id(language).and_then(whisper_rs::get_lang_str);
    found.ok_or_else(|| ModelError::Language {
        reason: format!("whisper knows no language `{language}`"),
    })
}

fn sampling_parameters(
    language: Option<&'static str>,
    threads: c_int,
) -> FullParams<'static, 'static> {
    let mut parameters = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
    parameters.set_language(language);
    parameters.set_n_threads(threads);
    parameters.set_no_context(true);
    parameters.set_suppress_nst(true);
    parameters.set_print_special(false);
    parameters.set_print_progress(false);
    parameters.set_print_realtime(false);
    parameters.set_print_timestamps(false);
    parameters
}

fn model_failure(error: &WhisperError) -> ModelError {
    ModelError::Failed { reason: error.to_string().trim_end_matches('.').to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_instead_of_words_is_none() {
        for text in ["", " ", " [BLANK_AUDIO]", "(Musik)", "*Applaus*", " ♪", "♪ ♪", "…"] {
            assert_eq!(spoken_words(text), None, "{text}");
        }
        for (text, words) in [
            (" Guten Morgen.", "Guten Morgen."),
            ("(a) und (b)", "(a) und (b)"),
            ("♪ la la", "♪ la la"),
        ] {
            assert_eq!(spoken_words(text), Some(words));
        }
    }

    #[test]
    fn languages_are_those_that_whisper_has() {
        assert_eq!(find_language("de").ok(), Some("de"));
        let refused = find_language("xx").expect_err("no such language");
        insta::assert_snapshot!(refused, @"whisper knows no language `xx`");
    }
}
