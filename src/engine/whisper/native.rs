//! whisper.cpp at work: from a piece of sound to its words.
//!
//! Each window is read by itself, without the words before it: so a resumed recording says what an
//! uninterrupted one would, and one window that went wrong does not spoil the next.

use std::ffi::c_int;

use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperError,
    WhisperState, WhisperTokenId,
};

use super::{
    Weights,
    processor::check_processor,
    windows::{TimedText, words_of_pieces},
};
use crate::{
    engine::{
        RATE,
        confidence::{Confidence, RecognisedWords},
        moonshine::{ModelError, loops::end_of_sense},
        sample_seconds,
    },
    job::is_silence,
    text::printable_path,
};

/// Tokens of words to expect at most: a model reads so many of what was spoken before.
const PROMPT_TOKENS_MAX: usize = 223;

/// Samples of a window at most: 29 s. whisper hears 30 s at once.
pub(in crate::engine) const WINDOW_SAMPLES: usize = 29 * RATE as usize;

/// Samples of a piece from which silence is no answer: two seconds, with the sound around it.
const SPOKEN_SAMPLES: usize = 2 * RATE as usize;

/// Times that whisper tells apart in a second.
const TIMES_A_SECOND: f64 = 50.0;

/// Samples of a position of the model; it has 1500 for 30 s.
const SAMPLES_OF_POSITION: usize = 320;
const POSITIONS_MAX: usize = 1500;

/// Positions of silence behind the sound at least, 5 s: with half of it, base took more words wrong.
const POSITIONS_BEHIND: usize = 256;

/// Positions are counted in steps, for which memory is laid out.
const POSITIONS_STEP: usize = 64;

/// A model that is ready.
pub(in crate::engine) struct Whisper {
    state: WhisperState,
    hash: String,
    threads: usize,
    /// The token that ends a text, the first that is no word; and that of the time 0.
    end_token: WhisperTokenId,
    first_time: WhisperTokenId,
    /// The language that is spoken; `None` where whisper detects that of each piece.
    language: Option<&'static str>,
    /// Words to expect.
    prompt: Vec<WhisperTokenId>,
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
    /// Loads the model. `threads` is at least 1.
    pub(in crate::engine) fn load(
        weights: &Weights,
        language: Option<&str>,
        prompt: &str,
        threads: usize,
    ) -> Result<Self, ModelError> {
        check_processor().map_err(|error| ModelError::Failed { reason: error.to_string() })?;
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
        let mut hash = format!("{} {}", language.unwrap_or("any"), weights.hash);
        if !prompt.is_empty() {
            hash = format!("{hash} {}", &blake3::hash(prompt.as_bytes()).to_hex()[..16]);
        }
        // A model of English alone finds out nothing.
        let language = if context.is_multilingual() { language } else { Some("en") };
        let prompt = prompt_tokens(&context, prompt).map_err(|error| model_failure(&error))?;
        let [end_token, first_time] = [context.token_eot(), context.token_beg()];
        Ok(Self { state, hash, threads, end_token, first_time, language, prompt })
    }

    /// Returns the identity of its words: the language, [`Weights::hash`], and words to expect.
    pub(in crate::engine) fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns the language that is spoken in `sound`, 16 kHz and at most 30 s of it.
    pub(in crate::engine) fn detect_language(
        &mut self,
        sound: &[f32],
    ) -> Result<Option<&'static str>, ModelError> {
        if self.language.is_some() {
            return Ok(self.language);
        }
        self.state.pcm_to_mel(sound, self.threads).map_err(|error| model_failure(&error))?;
        let (detected, _) =
            self.state.lang_detect(0, self.threads).map_err(|error| model_failure(&error))?;
        Ok(whisper_rs::get_lang_str(detected))
    }

    /// Returns the words in each of some pieces of one speaker, 16 kHz and together at most
    /// [`WINDOW_SAMPLES`]; empty where there are none.
    pub(in crate::engine) fn recognise_pieces(
        &mut self,
        pieces: &[&[f32]],
    ) -> Result<Vec<RecognisedWords>, ModelError> {
        if let [piece] = pieces {
            let heard = self.hear_window(piece, false)?;
            return Ok(words_of_pieces(&heard.texts, &[f64::INFINITY]));
        }
        let heard = self.hear_window(&pieces.concat(), true)?;
        let mut words = if heard.is_loop {
            vec![RecognisedWords::default(); pieces.len()]
        } else {
            let mut end = 0;
            let ends = pieces.iter().map(|piece| {
                end += piece.len() as u64;
                sample_seconds(end)
            });
            words_of_pieces(&heard.texts, &ends.collect::<Vec<_>>())
        };
        // A window in which whisper loops, or ends too early, is recognised in pieces.
        for (piece, words) in pieces.iter().zip(&mut words) {
            if words.text.is_empty() && piece.len() >= SPOKEN_SAMPLES {
                let heard = self.hear_window(piece, false)?;
                *words = words_of_pieces(&heard.texts, &[f64::INFINITY]).remove(0);
            }
        }
        Ok(words)
    }

    /// Recognises a window; at once, or again behind each end that whisper finds in it.
    fn hear_window(&mut self, sound: &[f32], is_at_once: bool) -> Result<HeardWindow, ModelError> {
        let mut parameters = sampling_parameters(self.language, self.threads);
        parameters.set_tokens(&self.prompt);
        parameters.set_single_segment(is_at_once);
        parameters.set_audio_ctx(sound_positions(sound.len()));
        self.state.full(parameters, sound).map_err(|error| model_failure(&error))?;
        let mut heard = HeardWindow { texts: Vec::new(), is_loop: false };
        for segment in self.state.as_iter() {
            let text = segment.to_str_lossy().map_err(|error| model_failure(&error))?;
            // By its own rule nobody speaks in it: that has left nothing.
            if is_silence(&text, Some(f64::from(segment.no_speech_probability())), None) {
                continue;
            }
            let tokens: Vec<_> =
                (0..segment.n_tokens()).filter_map(|at| segment.get_token(at)).collect();
            let spoken: Vec<i64> = tokens
                .iter()
                .map(|token| i64::from(token.token_id()))
                .filter(|id| *id < self.end_token.into())
                .collect();
            let sense = (1..=spoken.len()).find_map(|length| end_of_sense(&spoken[..length]));
            heard.is_loop |= sense.is_some();
            let mut left = sense.unwrap_or(spoken.len());
            let mut start = 0.0;
            let mut text = TokenText::default();
            for token in tokens {
                let id = token.token_id();
                if id >= self.first_time {
                    let time = f64::from(id - self.first_time) / TIMES_A_SECOND;
                    heard.push_text(start, time, std::mem::take(&mut text));
                    start = time;
                } else if id < self.end_token && left > 0 {
                    left -= 1;
                    let bytes = token.to_bytes().map_err(|error| model_failure(&error))?;
                    text.bytes.extend_from_slice(bytes);
                    text.tokens.push((i64::from(id), token.token_probability().ln()));
                }
            }
            heard.push_text(start, sample_seconds(sound.len() as u64), text);
        }
        Ok(heard)
    }
}

/// The words of a window.
struct HeardWindow {
    texts: Vec<TimedText>,
    /// whisper repeated itself: what it heard is of no use.
    is_loop: bool,
}

impl HeardWindow {
    fn push_text(&mut self, start: f64, end: f64, TokenText { bytes, tokens }: TokenText) {
        if !bytes.is_empty() {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let confidence = Confidence::of_tokens(tokens);
            self.texts.push(TimedText { start, end: end.max(start), text, confidence });
        }
    }
}

/// The text of some tokens.
#[derive(Default)]
struct TokenText {
    /// UTF-8 when it is whole: a letter may have several tokens.
    bytes: Vec<u8>,
    /// Each with the natural logarithm of its probability.
    tokens: Vec<(i64, f32)>,
}

/// Returns how many positions of the model so many samples take, with room behind: 50 a second.
fn sound_positions(samples: usize) -> c_int {
    let positions = samples.div_ceil(SAMPLES_OF_POSITION).saturating_add(POSITIONS_BEHIND);
    c_int::try_from(positions.next_multiple_of(POSITIONS_STEP).min(POSITIONS_MAX)).unwrap_or(0)
}

/// Returns the language as whisper has it.
fn find_language(language: &str) -> Result<&'static str, ModelError> {
    let found = whisper_rs::get_lang_id(language).and_then(whisper_rs::get_lang_str);
    found.ok_or_else(|| ModelError::Language {
        reason: format!("whisper knows no language `{language}`"),
    })
}

/// Returns words to expect as tokens, the first ones.
fn prompt_tokens(
    context: &WhisperContext,
    prompt: &str,
) -> Result<Vec<WhisperTokenId>, WhisperError> {
    if prompt.is_empty() {
        return Ok(Vec::new());
    }
    // A word begins with a space. No token is shorter than a byte.
    let mut tokens =
        context.tokenize(&format!(" {}", prompt.replace('\0', "")), prompt.len() + 1)?;
    tokens.truncate(PROMPT_TOKENS_MAX);
    Ok(tokens)
}

fn sampling_parameters<'tokens>(
    language: Option<&'static str>,
    threads: usize,
) -> FullParams<'static, 'tokens> {
    let mut parameters = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
    parameters.set_language(language);
    parameters.set_n_threads(c_int::try_from(threads).unwrap_or(1));
    parameters.set_no_context(true);
    parameters.set_suppress_nst(true);
    // Another try would throw dice that another run does not.
    parameters.set_temperature_inc(0.0);
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
    use crate::job::spoken_words;

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
