//! A recording → segments, by `POST /v1/audio/transcriptions`: the upload is streamed, and its answer is the work.

use std::{sync::PoisonError, time::Duration};

use tokio::time::Instant;

use super::{OpenAi, session::is_of_key};
use crate::{
    http::{ANALYSES_BYTES_MAX, Answer, Request},
    job::{Segment, Suspect},
    services::{
        CallError, Upload,
        answers::{self, mark_not_executed},
        response_parsing,
    },
    text,
};

/// The shape in which a server gives transcriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `verbose_json`: with times.
    Verbose,
    /// `json`: the text alone, from models and servers that know no other.
    Plain,
}

/// A recording that was not transcribed.
#[derive(Debug)]
pub(super) struct Untranscribed {
    /// Why.
    pub(super) error: CallError,
    /// Whether no answer came at all: once may be the network's doing.
    pub(super) is_lost: bool,
}

impl From<CallError> for Untranscribed {
    fn from(error: CallError) -> Self {
        Self { error, is_lost: false }
    }
}

impl OpenAi {
    /// Has a recording transcribed. A server that refuses the shape with times is asked for the plain one, and is
    /// known for that from then on.
    pub(super) async fn send_recording(&self, upload: &Upload) -> Result<Vec<Segment>, Untranscribed> {
        self.transcribe_as(upload, self.shape()).await
    }

    /// Has a recording transcribed in a shape that is known, or in the one that the server turns out to give.
    pub(super) async fn transcribe_as(
        &self,
        upload: &Upload,
        known: Option<Shape>,
    ) -> Result<Vec<Segment>, Untranscribed> {
        let mut shape = known.unwrap_or(Shape::Verbose);
        let mut answer = self.send(upload, shape).await?;
        if known.is_none() && matches!(answer.status, 400 | 422) {
            shape = Shape::Plain;
            answer = self.send(upload, shape).await?;
        }
        if answer.status == 403 && !is_of_key(&answer) {
            // Of a key, or of what stands before the server and does not like this file.
            return Err(CallError::Forbidden { message: answers::error_message(&answer) }.into());
        }
        let answer = self.accepted(answer, "base_url and model, then api_key_file").await?;
        let reading = answers::read_long(move || {
            response_parsing::transcription(&answers::transcription(answer)?)?
                .ok_or_else(|| answers::unexpected("no transcription"))
        });
        let segments = reading.await.map_err(mark_not_executed)?;
        if known.is_none() {
            *self.shape.lock().unwrap_or_else(PoisonError::into_inner) = Some(shape);
        }
        Ok(segments)
    }

    fn shape(&self) -> Option<Shape> {
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, upload: &Upload, shape: Shape) -> Result<Answer, Untranscribed> {
        let mut fields = vec![("model", self.settings.model.as_str())];
        match shape {
            Shape::Verbose => {
                fields.extend([("response_format", "verbose_json"), ("timestamp_granularities[]", "segment")]);
            }
            Shape::Plain => fields.push(("response_format", "json")),
        }
        fields.extend(upload.language.as_deref().map(|language| ("language", language)));
        let body = upload.form_body(&upload.name, &fields).map_err(CallError::from)?;
        let key = self.http.key().await?;
        self.http.wait_for_slot().await;
        let request = Request::post(&["v1", "audio", "transcriptions"]).bytes_max(ANALYSES_BYTES_MAX);
        let request = request.within(self.patience);
        let begun = Instant::now();
        self.http.upload_now(request, body, &key).await.map_err(|error| Untranscribed {
            error: cut_off(mark_not_executed(error.into()), begun.elapsed(), self.patience),
            is_lost: true,
        })
    }
}

/// The shortest limit of proxies and gateways that is common: 30 s; most have 60 s, some 100 s.
const PROXY_LIMIT_MIN: Duration = Duration::from_secs(25);

/// Names the cure where a connection ended without an answer after as long a time as proxies wait.
pub(super) fn cut_off(error: CallError, after: Duration, patience: Duration) -> CallError {
    match error {
        CallError::Unavailable { message, after: None, uncertain, suspect: suspect @ Suspect::Either }
            if (PROXY_LIMIT_MIN..patience).contains(&after) =>
        {
            let limit = answers::TIME_LIMIT;
            let message = format!("{message}; the connection ended after {}: {limit}", text::rough(after));
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
            cut_off(error, Duration::from_secs(seconds), Duration::from_secs(86_400)).to_string()
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
