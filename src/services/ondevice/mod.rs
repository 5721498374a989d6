//! The engine on this machine, as a transcriber in a child process.
//!
//! There is no server. The child reads the open file, and its finished pieces are cached with the
//! job, so that an interrupted transcription continues.

use std::{ffi::OsString, path::Path};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    CallError, FileFault, Upload,
    result_cache::{CachedTranscript, JobCache},
    transcriber::{Transcriber, transcription_prompt},
};
use crate::{
    beneath::Stamp,
    config::{self, ENGLISH, Environment, Settings, Speakers},
    engine::{
        audio::ffmpeg,
        model::{Model, NotInstalled, Package, Places, VoiceModels},
        recogniser::Choice,
        run::{EngineError, MEMORY_MIB, Request, run, this_program},
        whisper::{self, Weights},
        wire::VoiceWork,
    },
    media_types,
    text::one_line,
};

/// The engine of one table of the config.
#[derive(Debug)]
pub(crate) struct OnDeviceTranscriber {
    name: String,
    threads: usize,
    recogniser: config::Recogniser,
    places: Places,
    /// The search path of programs: ffmpeg may be installed at any time.
    path: OsString,
}

impl OnDeviceTranscriber {
    /// Returns the engine of these settings. A missing model shows at the first call.
    pub(crate) fn new(
        name: &str,
        ondevice: &config::Ondevice,
        settings: &Settings,
        env: &Environment,
    ) -> Self {
        Self {
            name: name.to_owned(),
            threads: usize::try_from(ondevice.threads.get()).unwrap_or(1),
            recogniser: ondevice.recogniser.clone(),
            places: Places::of(Some(settings), env),
            path: env.path.clone().unwrap_or_default(),
        }
    }

    /// Returns the recogniser, and the MiB of memory that it takes.
    fn choose_recogniser(
        &self,
        language: Option<String>,
        prompt: String,
    ) -> Result<(Choice, u64), CallError> {
        match &self.recogniser {
            config::Recogniser::Moonshine => {
                match language.filter(|language| language != ENGLISH) {
                    Some(language) => {
                        let reason = format!(
                            "is in the language `{language}`, and moonshine understands English only"
                        );
                        Err(CallError::File(FileFault::Lacking(reason)))
                    }
                    None => self.choose_moonshine(),
                }
            }
            config::Recogniser::Whisper { model } => {
                let weights = whisper::installed::choose_model(&self.places, model.as_ref());
                let weights =
                    weights.map_err(|error| missing_model_error(&error, &error.hint()))?;
                Ok(choose_whisper(weights, language, None, prompt))
            }
            config::Recogniser::Auto { model } => {
                self.choose_by_language(model.as_ref(), language, prompt)
            }
        }
    }

    fn choose_moonshine(&self) -> Result<(Choice, u64), CallError> {
        Ok((Choice::Moonshine(self.find_model()?), MEMORY_MIB))
    }

    /// Chooses moonshine for English and whisper for other languages. Where nobody names the language, whisper detects
    /// it. A recording in another language waits until there is a model.
    fn choose_by_language(
        &self,
        model: Option<&config::WhisperModel>,
        language: Option<String>,
        prompt: String,
    ) -> Result<(Choice, u64), CallError> {
        if language.as_deref() == Some(ENGLISH) {
            return self.choose_moonshine();
        }
        let weights = whisper::installed::choose_model(&self.places, model);
        match (weights, &language) {
            (Ok(weights), None) if config::Recogniser::HAS_WHISPER && weights.is_multilingual => {
                // Without moonshine whisper hears English, too.
                Ok(choose_whisper(weights, None, self.find_model().ok(), prompt))
            }
            (Ok(weights), Some(_)) if config::Recogniser::HAS_WHISPER => {
                Ok(choose_whisper(weights, language, None, prompt))
            }
            (Err(error), Some(language)) if config::Recogniser::HAS_WHISPER => {
                let reason =
                    format!("is in the language `{language}`, and {error}; {}", error.hint());
                Err(CallError::File(FileFault::Lacking(one_line(&reason, 500))))
            }
            (Ok(_) | Err(_), Some(language)) => {
                let reason = format!(
                    "is in the language `{language}`, and this build understands English only; choose another service, or \
                     cargo build --release --features whisper"
                );
                Err(CallError::File(FileFault::Lacking(reason)))
            }
            (Ok(_) | Err(_), None) => self.choose_moonshine(),
        }
    }

    /// Returns the remark on a recording in which English alone was looked for and is not spoken.
    fn foreign_remark(&self) -> String {
        let first = match &self.recogniser {
            _ if !config::Recogniser::HAS_WHISPER => {
                "cargo build --release --features whisper, then "
            }
            config::Recogniser::Moonshine => "write engine = \"auto\", then ",
            config::Recogniser::Auto { .. } | config::Recogniser::Whisper { .. } => "",
        };
        format!(
            "this does not sound like English, which is all this engine understands, and no notes were made of it; for \
             another language {first}minuted engine install FILE with a model of whisper, set `language`, and minuted \
             redo this recording"
        )
    }

    fn find_model(&self) -> Result<Model, CallError> {
        let package = Package::here()
            .map_err(|error| missing_model_error(&error, &error.hint().unwrap_or_default()))?;
        Model::find(package, &self.places)
            .map_err(|error| missing_model_error(&error, NotInstalled::HINT))
    }

    /// Returns the way to tell voices apart; `None` where nobody asks for it, or an installation of
    /// an earlier version lacks the models, which `check` tells.
    fn find_voices(&self, speakers: Speakers) -> Option<VoiceWork> {
        let models = VoiceModels::find(Package::here().ok()?, &self.places)?;
        (speakers != Speakers::Off).then_some(VoiceWork { models, speakers })
    }

    fn engine_request(
        &self,
        cache: &JobCache,
        language: Option<String>,
        prompt: String,
        speakers: Speakers,
    ) -> Result<Request, CallError> {
        let (recogniser, memory_mib) = self.choose_recogniser(language, prompt)?;
        Ok(Request {
            recogniser,
            voices: self.find_voices(speakers),
            pieces: cache.job_dir().to_owned(),
            content: cache.meeting_id().to_owned(),
            threads: self.threads,
            memory_mib,
            duration: None,
            length_max: None,
            ffmpeg: ffmpeg::find(&self.path),
            program: this_program(),
            harm: None,
        })
    }
}

#[async_trait]
impl Transcriber for OnDeviceTranscriber {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepted_extensions(&self) -> &'static [&'static str] {
        &media_types::READABLE_EXTENSIONS
    }

    fn hears_all_tracks(&self) -> bool {
        true
    }

    async fn read_profile(&self) -> Result<Value, CallError> {
        let model = match self.choose_recogniser(None, String::new())? {
            (Choice::Moonshine(model), _) => model.encoder.parent().map(Path::to_owned),
            (Choice::Whisper { model, .. }, _) => Some(model),
        };
        let ffmpeg = ffmpeg::find(&self.path);
        Ok(json!({ "engine": self.recogniser.as_str(), "model": model, "ffmpeg": ffmpeg }))
    }

    async fn transcribe(
        &self,
        recording: Upload,
        cache: &JobCache,
    ) -> Result<CachedTranscript, CallError> {
        let prompt = transcription_prompt(&recording.expected_words);
        let Upload { file, stamp, name, language, speakers, progress, length_max, .. } = recording;
        let after = file
            .try_clone()
            .map_err(|error| CallError::File(FileFault::Unreadable(error.to_string())))?;
        let request =
            Request { length_max, ..self.engine_request(cache, language, prompt, speakers)? };
        let transcript = run(request, file, progress).await?;
        // A file that changed during the work has a transcript of no version of it.
        match Stamp::of(&after) {
            Ok(found) if found == stamp => {}
            Ok(_) => {
                cache.remove_results().await;
                return Err(CallError::File(FileFault::Changed));
            }
            Err(error) => return Err(CallError::File(FileFault::Unreadable(error.to_string()))),
        }
        let foreign = transcript.is_foreign.then(|| self.foreign_remark());
        let remarks = foreign.into_iter().chain(transcript.remarks).collect();
        Ok(CachedTranscript {
            name,
            size: stamp.size,
            segments: transcript.segments,
            remarks,
            duration: Some(transcript.duration.as_secs_f64()),
            language: transcript.language,
            is_foreign: transcript.is_foreign,
        })
    }
}

impl From<EngineError> for CallError {
    fn from(error: EngineError) -> Self {
        let cause =
            std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        let message = one_line(&format!("{error}{cause}"), 500);
        match error {
            EngineError::Undecodable { .. } => Self::File(FileFault::Unfit(message)),
            EngineError::NoSound => Self::File(FileFault::NoSound),
            EngineError::TooLong { max } => Self::File(FileFault::TooLong(max)),
            EngineError::Crashed { .. }
            | EngineError::OutOfMemory { .. }
            | EngineError::StoodStill { .. } => Self::File(FileFault::Failed(message)),
            EngineError::NeedsFfmpeg { .. }
            | EngineError::Language { .. }
            | EngineError::NoMemory => Self::File(FileFault::Lacking(message)),
            EngineError::Model { .. } | EngineError::Disk { .. } | EngineError::Start(_) => {
                Self::service_alone(message)
            }
        }
    }
}

/// Returns whisper with this model, and the MiB of memory that it takes.
fn choose_whisper(
    weights: Weights,
    language: Option<String>,
    english: Option<Model>,
    prompt: String,
) -> (Choice, u64) {
    let memory_mib = weights.memory_mib();
    (Choice::Whisper { model: weights.path, language, english, prompt }, memory_mib)
}

/// Returns the error of an engine without a usable model: all recordings wait.
fn missing_model_error(error: &dyn std::error::Error, hint: &str) -> CallError {
    CallError::service_alone(one_line(&format!("{error}; {hint}"), 500))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an engine of this recogniser, without any model.
    fn engine(recogniser: config::Recogniser) -> OnDeviceTranscriber {
        let places = Places::of(None, &Environment::default());
        OnDeviceTranscriber {
            name: "local".to_owned(),
            threads: 1,
            recogniser,
            places,
            path: OsString::new(),
        }
    }

    #[test]
    fn moonshine_hears_no_other_language_than_english_also_when_the_config_changed_since() {
        let moonshine = engine(config::Recogniser::Moonshine);
        for language in ["de", "he"] {
            let refused = moonshine
                .choose_recogniser(Some(language.to_owned()), String::new())
                .expect_err("refused");
            assert!(matches!(refused, CallError::File(FileFault::Lacking(_))), "{refused}");
            assert!(
                refused.to_string().contains(&format!("is in the language `{language}`")),
                "{refused}"
            );
        }
        for language in [Some(ENGLISH.to_owned()), None] {
            let refused = moonshine
                .choose_recogniser(language, String::new())
                .expect_err("there is no model");
            assert!(matches!(refused, CallError::Unavailable { .. }), "{refused}");
        }
    }

    #[test]
    fn the_remark_on_another_language_fits_where_it_is_shown() {
        let remarks = [
            config::Recogniser::Moonshine,
            config::Recogniser::Auto { model: None },
            config::Recogniser::Whisper { model: None },
        ]
        .map(|recogniser| engine(recogniser).foreign_remark());
        assert!(remarks.iter().all(|remark| remark.len() <= 300 && remark.contains("minuted engine install FILE")));
    }
}
