//! A recording → segments, by `POST /v1/audio/transcriptions`: the upload is streamed, and the
//! answer holds the transcript.

use std::{sync::PoisonError, time::Duration};

use tokio::time::Instant;

use super::{OpenAiTranscriber, session::is_key_refusal};
use crate::{
    http::{ANALYSES_BYTES_MAX, Answer, Request},
    job::Suspect,
    services::{
        CallError, Upload,
        answers::{self, mark_not_executed},
        response_parsing::{self, ServerTranscript},
    },
    text,
};

/// The response format of a transcription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TranscriptionShape {
    /// `verbose_json`: with times.
    Verbose,
    /// `json`: the text alone, for models and servers without the other format.
    Plain,
}

/// A recording that was not transcribed.
#[derive(Debug)]
pub(super) struct Untranscribed {
    /// The error.
    pub(super) error: CallError,
    /// True where no answer came at all: the first time that may be the network's fault.
    pub(super) is_lost: bool,
}

impl From<CallError> for Untranscribed {
    fn from(error: CallError) -> Self {
        Self { error, is_lost: false }
    }
}

impl OpenAiTranscriber {
    /// Has a recording transcribed. A server that refuses the format with times is asked for the
    /// plain one, from then on at once.
    pub(super) async fn send_recording(&self, upload: &Upload) -> Result<ServerTranscript, Untranscribed> {
        self.transcribe_as(upload, self.known_shape()).await
    }

    /// Has a recording transcribed in the known format, else in the one that the server turns out
    /// to support.
    pub(super) async fn transcribe_as(
        &self,
        upload: &Upload,
        known: Option<TranscriptionShape>,
    ) -> Result<ServerTranscript, Untranscribed> {
        let mut shape = known.unwrap_or(TranscriptionShape::Verbose);
        let mut answer = self.send_upload(upload, shape).await?;
        if known.is_none() && matches!(answer.status, 400 | 422) {
            shape = TranscriptionShape::Plain;
            answer = self.send_upload(upload, shape).await?;
        }
        if answer.status == 403 && !is_key_refusal(&answer) {
            // The refusal may concern the key, or come from a proxy that rejects this file.
            return Err(CallError::Forbidden { message: answers::error_message(&answer) }.into());
        }
        let answer = self.check_answer(answer, "base_url and model, then api_key_file").await?;
        let reading = answers::read_long(move || {
            response_parsing::parse_transcript(&answers::read_transcription(answer)?)?
                .ok_or_else(|| answers::unexpected_answer("no transcription"))
        });
        let transcript = reading.await.map_err(mark_not_executed)?;
        if known.is_none() {
            *self.shape.lock().unwrap_or_else(PoisonError::into_inner) = Some(shape);
        }
        Ok(transcript)
    }

    fn known_shape(&self) -> Option<TranscriptionShape> {
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_upload(&self, upload: &Upload, shape: TranscriptionShape) -> Result<Answer, Untranscribed> {
        let mut fields = vec![("model", self.settings.model.as_str())];
        match shape {
            TranscriptionShape::Verbose => {
                fields.extend([("response_format", "verbose_json"), ("timestamp_granularities[]", "segment")]);
            }
            TranscriptionShape::Plain => fields.push(("response_format", "json")),
        }
        fields.extend(upload.language.as_deref().map(|language| ("language", language)));
        let body = upload.form_body(&upload.name, &fields).map_err(CallError::from)?;
        let key = self.http.current_key().await?;
        self.http.wait_for_slot().await;
        let request = Request::post(&["v1", "audio", "transcriptions"]).bytes_max(ANALYSES_BYTES_MAX);
        let request = request.within(self.patience);
        let begun = Instant::now();
        self.http.upload_now(request, body, &key).await.map_err(|error| Untranscribed {
            error: explain_cut_off(mark_not_executed(error.into()), begun.elapsed(), self.patience),
            is_lost: true,
        })
    }
}

/// The shortest time after which a proxy may have ended the connection. Common limits are 30 s,
/// mostly 60 s, some 100 s.
const PROXY_LIMIT_MIN: Duration = Duration::from_secs(25);

/// Adds the cure where a connection ended without an answer after a time that is typical of
/// proxies.
pub(super) fn explain_cut_off(error: CallError, after: Duration, patience: Duration) -> CallError {
    match error {
        CallError::Unavailable { message, after: None, uncertain, suspect: suspect @ Suspect::Either }
            if (PROXY_LIMIT_MIN..patience).contains(&after) =>
        {
            let limit = answers::TIME_LIMIT;
            let message = format!("{message}; the connection ended after {}: {limit}", text::format_duration(after));
            CallError::Unavailable { message, after: None, uncertain, suspect }
        }
        other @ (CallError::Unavailable { .. }
        | CallError::SignedOut { .. }
        | CallError::Forbidden { .. }
        | CallError::Refused { .. }
        | CallError::File(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_ends_when_proxies_lose_patience_names_their_limit() {
        let told = |seconds, suspect| {
            let error = CallError::Unavailable { message: "reset".into(), after: None, uncertain: false, suspect };
            explain_cut_off(error, Duration::from_secs(seconds), Duration::from_secs(86_400)).to_string()
        };
        for seconds in [30, 60, 100, 300] {
            let told = told(seconds, Suspect::Either);
            assert!(told.starts_with("reset; ") && told.contains("proxy_read_timeout"), "{told}");
        }
        assert_eq!(told(2, Suspect::Either), "reset");
        assert_eq!(told(60, Suspect::Service), "reset");
        assert_eq!(told(86_400, Suspect::Either), "reset", "minuted itself has lost patience");
    }
}
