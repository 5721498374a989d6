//! The writer of a transcriber's notes that is a service of its own (`notes = "NAME"`).
//!
//! It is a chat model at a server of OpenAI's shape, and gets text alone. Its failures say which
//! service failed. A refused key holds back the notes and nothing else: recordings are transcribed
//! meanwhile, so it is an outage to the transcriber's health.

use async_trait::async_trait;
use serde_json::Value;

use super::{
    AnalysisRequest, CallError,
    openai::ChatWriter,
    result_cache::{JobCache, ModelOutput},
    transcriber::NotesWriter,
};
use crate::{
    config::{Analysis, NotesBy},
    job::Segment,
};

/// The chat half of another service.
#[derive(Debug)]
pub(super) struct ChatService {
    chat: ChatWriter,
    settings: NotesBy,
}

impl ChatService {
    pub(super) fn new(chat: ChatWriter, settings: NotesBy) -> Self {
        Self { chat, settings }
    }

    /// Returns the error of a call with the name of the service that failed.
    fn name_service(&self, error: CallError) -> CallError {
        let prefix = format!("service `{}`, which writes the notes", self.settings.name);
        match error {
            CallError::Unavailable { message, after, uncertain, suspect } => {
                CallError::Unavailable {
                    message: format!("{prefix}: {message}"),
                    after,
                    uncertain,
                    suspect,
                }
            }
            CallError::SignedOut { reason } => {
                let cure = self.settings.sign_in_cure();
                CallError::service_alone(format!("{prefix}, refuses its key: {reason}; {cure}"))
            }
            CallError::Forbidden { message } => CallError::service_alone(format!(
                "{prefix}, forbids it (403): {message}; check the rights of its key"
            )),
            CallError::Refused { status, message } => {
                CallError::Refused { status, message: format!("{prefix}: {message}") }
            }
            fault @ CallError::File(_) => fault,
        }
    }
}

#[async_trait]
impl NotesWriter for ChatService {
    async fn read_writer_profile(&self) -> Result<Option<Value>, CallError> {
        self.chat.read_models().await.map(Some).map_err(|error| self.name_service(error))
    }

    async fn try_writer(&self) -> Result<Option<String>, CallError> {
        self.chat.ask_for_sentence().await.map(Some).map_err(|error| self.name_service(error))
    }

    async fn write_notes(
        &self,
        analysis: Analysis,
        request: &AnalysisRequest<'_>,
        transcript: &[Segment],
        cache: &JobCache,
    ) -> Result<ModelOutput, CallError> {
        let written = self.chat.write_notes(analysis, request, transcript, cache).await;
        written.map_err(|error| self.name_service(error))
    }
}
