//! A recording → segments, by `POST /v1/audio/transcriptions`: the upload is streamed, and its answer is the work.

use std::sync::{Arc, PoisonError};

use super::{OpenAi, session::without};
use crate::{
    http::{ANALYSES_BYTES_MAX, Answer, FileBody, Request},
    job::Segment,
    services::{
        CallError, FileFault, Upload,
        answers::{self, certain},
        lenient,
        pacer::Priority,
    },
};

/// The shape in which a server gives transcriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `verbose_json`: with times.
    Verbose,
    /// `json`: the text alone, from models and servers that know no other.
    Plain,
}

impl OpenAi {
    /// Has a recording transcribed. A server that refuses the shape with times is asked for the plain one, and is
    /// known for that from then on.
    pub(super) async fn transcribe(&self, upload: &Upload) -> Result<Vec<Segment>, CallError> {
        let known = self.shape();
        let mut shape = known.unwrap_or(Shape::Verbose);
        let mut answer = self.send(upload, shape).await?;
        if known.is_none() && matches!(answer.status, 400 | 422) {
            shape = Shape::Plain;
            answer = self.send(upload, shape).await?;
        }
        let answer = self.accepted(answer, "base_url and model").await.map_err(answers::of_recording)?;
        // A long transcription takes its time; the runtime's threads have others to serve.
        let reading = tokio::task::spawn_blocking(move || {
            lenient::transcription(&answers::json(answer)?).ok_or_else(|| answers::unexpected("no transcription"))
        });
        let segments = reading.await.unwrap_or_else(|_| Err(answers::unexpected("nothing that could be read")));
        let segments = segments.map_err(certain)?;
        if known.is_none() {
            *self.shape.lock().unwrap_or_else(PoisonError::into_inner) = Some(shape);
        }
        Ok(segments)
    }

    fn shape(&self) -> Option<Shape> {
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, upload: &Upload, shape: Shape) -> Result<Answer, CallError> {
        let file = upload.file.try_clone();
        let file = file.map_err(|error| CallError::File(FileFault::Unreadable(error.to_string())))?;
        let mut fields = vec![("model", self.settings.model.as_str())];
        match shape {
            Shape::Verbose => {
                fields.extend([("response_format", "verbose_json"), ("timestamp_granularities[]", "segment")]);
            }
            Shape::Plain => fields.push(("response_format", "json")),
        }
        fields.extend(upload.language.as_deref().map(|language| ("language", language)));
        let (name, mime, progress) = (upload.name.as_str(), upload.mime, Arc::clone(&upload.progress));
        let body = FileBody { file, stamp: upload.stamp, name, mime, fields: &fields, progress };
        let key = self.key().await?;
        self.pacer.acquire(Priority::High).await;
        let request = Request::post(&["v1", "audio", "transcriptions"]).bytes_max(ANALYSES_BYTES_MAX);
        let request = request.within(self.patience);
        let request = match &key {
            Some(key) => request.bearer(key),
            None => request,
        };
        let answer = self.http.upload(&request, body).await.map_err(|error| certain(error.into()))?;
        Ok(without(answer, &key))
    }
}
