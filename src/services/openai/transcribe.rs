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
        transcriber::transcription_prompt,
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

/// What is known of the requests for a transcription that a server takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct KnownForm {
    shape: Option<TranscriptionShape>,
    /// Words to expect are taken. Few models refuse them.
    takes_prompt: Option<bool>,
}

impl KnownForm {
    /// Returns the forms to try, in this order; each one sends the whole recording.
    fn forms(self, has_words: bool) -> Vec<(TranscriptionShape, bool)> {
        let shapes = match self.shape {
            Some(shape) => vec![shape],
            None => vec![TranscriptionShape::Verbose, TranscriptionShape::Plain],
        };
        let prompts = match self.takes_prompt.filter(|_| has_words) {
            Some(takes) => vec![takes],
            None if has_words => vec![true, false],
            None => vec![false],
        };
        prompts
            .into_iter()
            .flat_map(|prompt| shapes.iter().map(move |shape| (*shape, prompt)))
            .collect()
    }
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
    pub(super) async fn send_recording(
        &self,
        upload: &Upload,
    ) -> Result<ServerTranscript, Untranscribed> {
        self.transcribe_as(upload, self.known_form()).await
    }

    /// Has a recording transcribed in the known format, else in the one that the server turns out
    /// to support.
    pub(super) async fn transcribe_as(
        &self,
        upload: &Upload,
        known: KnownForm,
    ) -> Result<ServerTranscript, Untranscribed> {
        let has_words = !upload.expected_words.is_empty();
        let mut forms = known.forms(has_words).into_iter();
        let (mut shape, mut has_prompt) =
            forms.next().unwrap_or((TranscriptionShape::Verbose, false));
        let mut answer = self.send_upload(upload, shape, has_prompt).await?;
        for form in forms {
            if !matches!(answer.status, 400 | 422) {
                break;
            }
            (shape, has_prompt) = form;
            answer = self.send_upload(upload, shape, has_prompt).await?;
        }
        if answer.status == 403 && !is_key_refusal(&answer) {
            // The refusal may concern the key, or come from a proxy that rejects this file.
            return Err(CallError::Forbidden { message: answers::error_message(&answer) }.into());
        }
        let answer =
            self.server.check_answer(answer, "base_url and model, then api_key_file").await?;
        let reading = answers::read_long(move || {
            response_parsing::parse_transcript(&answers::read_transcription(answer)?)?
                .ok_or_else(|| answers::unexpected_answer("no transcription"))
        });
        let transcript = reading.await.map_err(mark_not_executed)?;
        let takes_prompt = known.takes_prompt.or(has_words.then_some(has_prompt));
        let known = KnownForm { shape: Some(shape), takes_prompt };
        *self.form.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(transcript)
    }

    fn known_form(&self) -> KnownForm {
        *self.form.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_upload(
        &self,
        upload: &Upload,
        shape: TranscriptionShape,
        has_prompt: bool,
    ) -> Result<Answer, Untranscribed> {
        let mut fields = vec![("model", self.server.settings.model.as_str())];
        match shape {
            TranscriptionShape::Verbose => {
                fields.extend([
                    ("response_format", "verbose_json"),
                    ("timestamp_granularities[]", "segment"),
                ]);
            }
            TranscriptionShape::Plain => fields.push(("response_format", "json")),
        }
        fields.extend(upload.language.as_deref().map(|language| ("language", language)));
        let prompt = transcription_prompt(&upload.expected_words);
        if has_prompt && !prompt.is_empty() {
            fields.push(("prompt", &prompt));
        }
        let body = upload.form_body(&upload.name, &fields).map_err(CallError::from)?;
        let key = self.server.http.current_key().await?;
        self.server.http.wait_for_slot().await;
        let request =
            Request::post(&["v1", "audio", "transcriptions"]).bytes_max(ANALYSES_BYTES_MAX);
        let request = request.within(self.server.patience);
        let begun = Instant::now();
        self.server.http.upload_now(request, body, &key).await.map_err(|error| Untranscribed {
            error: explain_cut_off(
                mark_not_executed(error.into()),
                begun.elapsed(),
                self.server.patience,
            ),
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
        CallError::Unavailable {
            message,
            after: None,
            uncertain,
            suspect: suspect @ Suspect::Either,
        } if (PROXY_LIMIT_MIN..patience).contains(&after) => {
            let limit = answers::TIME_LIMIT;
            let message = format!(
                "{message}; the connection ended after {}: {limit}",
                text::format_duration(after)
            );
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
    fn what_is_known_of_a_server_is_not_tried_again() {
        let unknown = KnownForm::default();
        assert_eq!(unknown.forms(false).len(), 2);
        let plain = TranscriptionShape::Plain;
        let verbose = TranscriptionShape::Verbose;
        assert_eq!(
            unknown.forms(true),
            [(verbose, true), (plain, true), (verbose, false), (plain, false)]
        );
        let known = KnownForm { shape: Some(verbose), takes_prompt: None };
        assert_eq!(
            known.forms(true),
            [(verbose, true), (verbose, false)],
            "words were not sent before"
        );
        let known = KnownForm { shape: Some(plain), takes_prompt: Some(false) };
        assert_eq!(
            (known.forms(true), known.forms(false)),
            (vec![(plain, false)], vec![(plain, false)])
        );
    }

    #[test]
    fn a_connection_that_ends_when_proxies_lose_patience_names_their_limit() {
        let told = |seconds, suspect| {
            let error = CallError::Unavailable {
                message: "reset".into(),
                after: None,
                uncertain: false,
                suspect,
            };
            explain_cut_off(error, Duration::from_secs(seconds), Duration::from_secs(86_400))
                .to_string()
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
