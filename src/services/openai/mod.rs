//! Any server with OpenAI's interface (speaches, whisper.cpp, LocalAI, vLLM, Ollama, a cloud), as a
//! transcriber.
//!
//! Such a server keeps nothing. A language model may write notes from the transcript, in parts
//! where it is longer than the model's window. Each finished part is cached, so that an interrupted
//! request is not paid for twice.
//!
//! | file | task |
//! |---|---|
//! | `session` | calls and the mapping of their answers |
//! | `transcribe` | a recording → segments |
//! | `judge` | the culprit of a refused recording |
//! | `notes` | segments → notes, in as many calls as the window requires |
//! | `prompts` | the prompts of the model |
//! | `cut` | texts in parts that fit |
//! | `wire` | the forms of the answers |

mod cut;
mod judge;
mod notes;
mod prompts;
mod session;
mod transcribe;
mod wire;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};

use self::transcribe::TranscriptionShape;
use super::{
    CallError, Upload,
    http_service::{Credentials, HttpService, KeyChange, KeyHeader},
    pacer::Pacer,
    result_cache::{CachedTranscript, JobCache},
    transcriber::{NotesWriter, Transcriber},
    trial::Trials,
};
use crate::{
    config::{self, ApiKey},
    http::{BuildError, CallLimits},
};

/// Extensions that such servers accept: the list of OpenAI's documents, with other names of the
/// same containers.
const ACCEPTS: [&str; 13] =
    ["flac", "m4a", "mp3", "mp4", "mpa", "mpeg", "mpg", "mpga", "oga", "ogg", "opus", "wav", "webm"];

/// The server of one table of the config.
#[derive(Debug)]
pub(crate) struct OpenAiTranscriber {
    name: String,
    settings: config::Openai,
    http: HttpService,
    /// Time limit of one answer.
    patience: Duration,
    /// The response format of the server, once that is known.
    shape: Mutex<Option<TranscriptionShape>>,
    /// The evidence about recordings that it accepted or refused.
    trials: Mutex<Trials>,
}

impl OpenAiTranscriber {
    /// Returns the transcriber at the server. `pacer` is shared by all its users.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(crate) fn new(
        service: &config::Service,
        settings: &config::Openai,
        pacer: Arc<Pacer>,
    ) -> Result<Self, BuildError> {
        let patience = service.poll.patience.max(service.poll.timeout);
        // The server transcribes before it answers the upload.
        let limits = CallLimits { answer: patience, ..CallLimits::new(service.request_timeout) };
        let credentials = settings
            .api_key_file
            .clone()
            .map(|file| Credentials { place: ApiKey::File(file), header: KeyHeader::Bearer });
        Ok(Self {
            name: service.name.clone(),
            settings: settings.clone(),
            http: HttpService::new(&settings.base_url, limits, pacer, credentials)?,
            patience,
            shape: Mutex::default(),
            trials: Mutex::default(),
        })
    }
}

#[async_trait]
impl Transcriber for OpenAiTranscriber {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepted_extensions(&self) -> &'static [&'static str] {
        &ACCEPTS
    }

    async fn read_profile(&self) -> Result<Value, CallError> {
        let wanted = [Some(&self.settings.model), self.settings.notes_model.as_ref()];
        let Some(models) = self.list_models().await? else { return Ok(json!({ "models": null })) };
        let unlisted: Vec<&String> = wanted
            .into_iter()
            .flatten()
            .filter(|model| !models.iter().any(|listed| wire::is_model(listed, model)))
            .collect();
        Ok(json!({ "models": models, "unlisted": unlisted }))
    }

    /// Returns whether the key was replaced. After a restart, where no refusal is known, the server
    /// is asked.
    async fn may_be_mended(&self) -> bool {
        match self.http.key_change().await {
            KeyChange::NoneRefused => self.list_models().await.is_ok(),
            KeyChange::Replaced => true,
            KeyChange::Unchanged(_) => false,
        }
    }

    async fn transcribe(&self, recording: Upload, cache: &JobCache) -> Result<CachedTranscript, CallError> {
        let meeting = cache.meeting_id();
        let transcript = match self.send_recording(&recording).await {
            Ok(transcript) => transcript,
            Err(failed) => return Err(self.judge_failure(meeting, recording.language, failed).await),
        };
        self.record_success(meeting);
        Ok(CachedTranscript::from_server(recording.name, recording.stamp.size, transcript))
    }

    fn notes_writer(&self) -> Option<&dyn NotesWriter> {
        Some(self)
    }
}
