//! Any server of OpenAI's shape (speaches, whisper.cpp, LocalAI, vLLM, Ollama, a cloud), as a transcriber.
//!
//! Such a server keeps nothing. A language model may write notes from the transcript, part by part where it is longer
//! than the model's window; each finished part is cached, so that an interrupted one is not paid for twice.
//!
//! | file | what it does |
//! |---|---|
//! | `session` | one call, and what its answer means |
//! | `transcribe` | a recording → segments |
//! | `judge` | whose failure it is that a recording was not taken |
//! | `notes` | segments → notes, in as many calls as the window asks for |
//! | `prompts` | the words for the model |
//! | `cut` | texts in parts that fit |
//! | `wire` | what servers answer |

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

use self::transcribe::Shape;
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
    http::{BuildError, Limits},
};

/// What such servers take: the list of OpenAI's documents, with other names of the same containers.
const ACCEPTS: [&str; 13] =
    ["flac", "m4a", "mp3", "mp4", "mpa", "mpeg", "mpg", "mpga", "oga", "ogg", "opus", "wav", "webm"];

/// The server of one table of the config.
#[derive(Debug)]
pub(crate) struct OpenAi {
    name: String,
    settings: config::Openai,
    http: HttpService,
    /// How long the server may work on one answer.
    patience: Duration,
    /// The shape in which the server gives transcriptions, once that is known.
    shape: Mutex<Option<Shape>>,
    /// The recordings that it took and those that it refused.
    trials: Mutex<Trials>,
}

impl OpenAi {
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
        // The answer to an upload is the work itself.
        let limits = Limits { answer: patience, ..Limits::new(service.request_timeout) };
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
impl Transcriber for OpenAi {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> &'static [&'static str] {
        &ACCEPTS
    }

    async fn profile(&self) -> Result<Value, CallError> {
        let wanted = [Some(&self.settings.model), self.settings.notes_model.as_ref()];
        let Some(models) = self.models().await? else { return Ok(json!({ "models": null })) };
        let is_listed = |model: &&String| models.iter().any(|listed| wire::is_model(listed, model));
        let unlisted: Vec<&String> = wanted.into_iter().flatten().filter(|model| !is_listed(model)).collect();
        Ok(json!({ "models": models, "unlisted": unlisted }))
    }

    /// After a restart, where no refusal is known, the server is asked.
    async fn may_be_mended(&self) -> bool {
        match self.http.key_change().await {
            KeyChange::NoneRefused => self.models().await.is_ok(),
            KeyChange::Replaced => true,
            KeyChange::Unchanged(_) => false,
        }
    }

    async fn transcribe(&self, recording: Upload, cache: &JobCache) -> Result<CachedTranscript, CallError> {
        let meeting = cache.meeting();
        let segments = match self.send_recording(&recording).await {
            Ok(segments) => segments,
            Err(failed) => return Err(self.judge(meeting, recording.language, failed).await),
        };
        self.took(meeting);
        Ok(CachedTranscript::from_segments(recording.name, recording.stamp.size, segments))
    }

    fn notes_writer(&self) -> Option<&dyn NotesWriter> {
        Some(self)
    }
}
