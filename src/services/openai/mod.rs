//! Any server of OpenAI's shape (speaches, whisper.cpp, LocalAI, vLLM, Ollama, a cloud), as a service.
//!
//! Such a server keeps nothing: there is no meeting to make and none to find. The *upload* is the transcription, whose
//! answer is kept in the state directory; a *request* has a language model write notes from it, part by part where it
//! is longer than the model's window, and each finished part is kept, so that an interrupted one is not paid for twice.
//!
//! | file | what it does |
//! |---|---|
//! | `session` | one call: the key, the pace, what an answer means |
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
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};

use self::transcribe::Shape;
use super::{
    AnalysisRequest, Attachment, CallError, Service, Upload,
    pacer::Pacer,
    result_cache::{CachedTranscript, ModelOutput, RECORDING, ResultCache, gone},
    trial::Trials,
};
use crate::{
    config::{self, Analysis},
    http::{BuildError, Client, Limits},
    job::Report,
};

/// What such servers take: the list of OpenAI's documents, with other names of the same containers.
const ACCEPTS: [(&str, &str); 13] = [
    ("flac", "audio/flac"),
    ("m4a", "audio/mp4"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpa", "audio/mpeg"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("mpga", "audio/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
];

/// The results that a language model makes, with the files that keep them.
const WRITTEN: [(Analysis, &str); 2] = [(Analysis::MeetingNote, "note.json"), (Analysis::KeyPoints, "points.json")];

/// The server of one table of the config. Clones share what is known of it.
#[derive(Debug, Clone)]
pub struct OpenAi {
    name: String,
    settings: config::Openai,
    http: Client,
    pacer: Arc<Pacer>,
    keep: ResultCache,
    /// How long the server may work on one answer.
    patience: Duration,
    /// The shape in which the server gives transcriptions, once that is known.
    shape: Arc<Mutex<Option<Shape>>>,
    /// The fingerprint of the key that was refused last.
    refused: Arc<Mutex<Option<blake3::Hash>>>,
    /// What is known of the server by what it took.
    trials: Arc<Mutex<Trials>>,
}

impl OpenAi {
    /// Returns the server's service. `pacer` is shared by all its users.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(
        service: &config::Service,
        settings: &config::Openai,
        state_dir: &Path,
        pacer: Arc<Pacer>,
    ) -> Result<Self, BuildError> {
        let patience = service.poll.patience.max(service.poll.timeout);
        // The answer to an upload is the work itself.
        let limits = Limits { answer: patience, ..Limits::new(service.request_timeout) };
        Ok(Self {
            name: service.name.clone(),
            settings: settings.clone(),
            http: Client::new(&settings.base_url, limits)?,
            pacer,
            keep: ResultCache::new(state_dir.join("openai").join(&service.name)),
            patience,
            shape: Arc::default(),
            refused: Arc::default(),
            trials: Arc::default(),
        })
    }

    /// Has one result written, and keeps it.
    async fn make(&self, analysis: Analysis, request: &AnalysisRequest<'_>) -> Result<(), CallError> {
        let written = WRITTEN.iter().find(|(known, _)| *known == analysis);
        let (Some((_, file)), Some(model)) = (written, &self.settings.notes_model) else {
            let message = format!("it makes no {}; is `notes_model` set?", analysis.as_str());
            return Err(CallError::Refused { status: 400, message });
        };
        let kept = self.keep.transcript(request.meeting).await?.ok_or_else(gone)?;
        let said = self.write(model, analysis, request, &kept.segments).await?;
        self.keep.place(request.meeting, file, &said).await
    }
}

#[async_trait]
impl Service for OpenAi {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> &'static [(&'static str, &'static str)] {
        &ACCEPTS
    }

    async fn profile(&self) -> Result<Value, CallError> {
        let wanted = [Some(&self.settings.model), self.settings.notes_model.as_ref()];
        let Some(models) = self.models().await? else { return Ok(json!({ "models": null })) };
        let is_listed = |model: &&String| models.iter().any(|listed| wire::is_model(listed, model));
        let unlisted: Vec<&String> = wanted.into_iter().flatten().filter(|model| !is_listed(model)).collect();
        Ok(json!({ "models": models, "unlisted": unlisted }))
    }

    async fn attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError> {
        self.keep.attachments(meeting).await
    }

    async fn upload(&self, meeting: &str, upload: Upload) -> Result<String, CallError> {
        let segments = match self.transcribe(&upload).await {
            Ok(segments) => segments,
            Err(failed) => return Err(self.judge(meeting, upload.language, failed).await),
        };
        self.took(meeting);
        let nothing = "nothing was said in this recording, as far as the service could hear".to_owned();
        let remarks = if segments.is_empty() { vec![nothing] } else { Vec::new() };
        let kept = CachedTranscript { name: upload.name, size: upload.stamp.size, segments, remarks };
        self.keep.place_transcript(meeting, &kept).await?;
        Ok(RECORDING.to_owned())
    }

    async fn look(&self, meeting: &str, _recording: &str) -> Result<Vec<Report>, CallError> {
        let mut reports = vec![self.keep.transcript(meeting).await?.ok_or_else(gone)?.report()];
        for (analysis, file) in WRITTEN {
            reports.extend(self.keep.read::<ModelOutput>(meeting, file).await?.map(|said| said.report(analysis)));
        }
        Ok(reports)
    }

    async fn request(&self, request: &AnalysisRequest<'_>) -> Result<(), CallError> {
        for analysis in request.analyses {
            self.make(*analysis, request).await?;
        }
        Ok(())
    }

    async fn meetings(&self, page: u32) -> Result<Vec<Value>, CallError> {
        self.keep.meetings(page).await
    }

    async fn meeting(&self, id: &str) -> Result<Value, CallError> {
        self.keep.meeting(id).await
    }

    async fn may_be_mended(&self) -> bool {
        self.has_another_key().await
    }

    async fn forget(&self, meeting: &str) {
        self.keep.forget(meeting).await;
    }
}
