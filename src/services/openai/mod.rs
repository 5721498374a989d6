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
//! | `chat` | the model that writes notes, and one question to it |
//! | `notes` | segments → notes, in as many calls as the window requires |
//! | `items` | segments → items that are in the transcript |
//! | `prompts` | the prompts of the model |
//! | `cut` | texts in parts that fit |
//! | `wire` | the forms of the answers |

mod chat;
mod cut;
mod items;
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

pub(super) use self::chat::ChatWriter;
use self::transcribe::KnownForm;
use super::{
    CallError, Upload,
    http_service::{Credentials, HttpService, KeyChange, KeyHeader},
    pacer::Pacer,
    result_cache::{CachedTranscript, JobCache},
    transcriber::Transcriber,
    trial::Trials,
};
use crate::{
    config::{self, ApiKey, Poll},
    http::{BuildError, CallLimits},
};

/// Extensions that such servers accept: the list of OpenAI's documents, with other names of the
/// same containers.
const ACCEPTS: [&str; 13] = [
    "flac", "m4a", "mp3", "mp4", "mpa", "mpeg", "mpg", "mpga", "oga", "ogg", "opus", "wav", "webm",
];

/// The server of one table of the config: what the calls of both halves have in common.
#[derive(Debug)]
pub(super) struct OpenAiServer {
    name: String,
    settings: config::Openai,
    http: HttpService,
    /// Time limit of one answer.
    patience: Duration,
}

/// The half of a server that transcribes.
#[derive(Debug)]
pub(super) struct OpenAiTranscriber {
    server: Arc<OpenAiServer>,
    /// The form of a request that the server takes, once that is known.
    form: Mutex<KnownForm>,
    /// The evidence about recordings that it accepted or refused.
    trials: Mutex<Trials>,
}

impl OpenAiServer {
    /// Returns the server. `pacer` is shared by all its users.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(super) fn new(
        name: &str,
        settings: &config::Openai,
        request_timeout: Duration,
        poll: Poll,
        pacer: Arc<Pacer>,
    ) -> Result<Self, BuildError> {
        let patience = poll.patience.max(poll.timeout);
        // The server transcribes before it answers the upload.
        let limits = CallLimits { answer: patience, ..CallLimits::new(request_timeout) };
        let credentials = settings
            .api_key_file
            .clone()
            .map(|file| Credentials { place: ApiKey::File(file), header: KeyHeader::Bearer });
        Ok(Self {
            name: name.to_owned(),
            settings: settings.clone(),
            http: HttpService::new(&settings.base_url, limits, pacer, credentials)?,
            patience,
        })
    }

    /// Returns the models that the server lists, and those of `wanted` that it does not.
    async fn read_models(&self, wanted: &[&str]) -> Result<Value, CallError> {
        let Some(models) = self.list_models().await? else { return Ok(json!({ "models": null })) };
        let is_listed = |model: &str| models.iter().any(|listed| wire::is_model(listed, model));
        let unlisted: Vec<&str> =
            wanted.iter().copied().filter(|model| !is_listed(model)).collect();
        Ok(json!({ "models": models, "unlisted": unlisted }))
    }
}

impl OpenAiTranscriber {
    /// Returns the half of this server that transcribes.
    pub(super) fn new(server: Arc<OpenAiServer>) -> Self {
        Self { server, form: Mutex::default(), trials: Mutex::default() }
    }
}

#[async_trait]
impl Transcriber for OpenAiTranscriber {
    fn name(&self) -> &str {
        &self.server.name
    }

    fn accepted_extensions(&self) -> &'static [&'static str] {
        &ACCEPTS
    }

    async fn read_profile(&self) -> Result<Value, CallError> {
        let settings = &self.server.settings;
        let transcribing = settings.transcribes.then_some(settings.model.as_str());
        let wanted: Vec<&str> =
            transcribing.into_iter().chain(settings.notes_model.as_deref()).collect();
        self.server.read_models(&wanted).await
    }

    /// Returns whether the key was replaced. After a restart, where no refusal is known, the server
    /// is asked.
    async fn may_be_mended(&self) -> bool {
        match self.server.http.key_change().await {
            KeyChange::NoneRefused => self.server.list_models().await.is_ok(),
            KeyChange::Replaced => true,
            KeyChange::Unchanged(_) => false,
        }
    }

    async fn transcribe(
        &self,
        recording: Upload,
        cache: &JobCache,
    ) -> Result<CachedTranscript, CallError> {
        let meeting = cache.meeting_id();
        let transcript = match self.send_recording(&recording).await {
            Ok(transcript) => transcript,
            Err(failed) => {
                return Err(self.judge_failure(meeting, recording.language, failed).await);
            }
        };
        self.record_success(meeting);
        Ok(CachedTranscript::from_server(recording.name, recording.stamp.size, transcript))
    }
}
