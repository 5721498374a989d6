//! A recording → segments: sent once, then asked for until it is done.

use std::path::Path;

use super::{
    Saled,
    calls::{accepted, unavailable},
    jobs::{Ended, Submitted, Work, forgetful},
    wire,
};
use crate::{
    http::{ANALYSES_BYTES_MAX, Request},
    job::Segment,
    services::{
        CallError, FileFault, Upload,
        answers::{self, mark_not_executed},
        pacer::Priority,
        response_parsing,
        result_cache::JobCache,
    },
    text,
};

/// How much of the server's reason for a failure is shown, in characters.
const REASON_CHARS_MAX: usize = 300;

impl Saled {
    /// Has a recording transcribed. What was submitted before is gone on with.
    pub(super) async fn send_and_follow(&self, upload: &Upload, cache: &JobCache) -> Result<Vec<Segment>, CallError> {
        // The first time it is forgotten the server has restarted, which is nobody's fault.
        for _ in 0..2 {
            let job = self.submitted(upload, cache).await?;
            let ended = match self.follow(Work::Transcription, &job, Some(&upload.progress)).await? {
                Ended::Completed => match self.result(&job.id).await? {
                    Ok(segments) => return Ok(segments),
                    Err(ended) => ended,
                },
                ended @ (Ended::Failed(_) | Ended::Forgotten) => ended,
            };
            self.drop_job(cache, Work::Transcription, &ended).await?;
            if let Ended::Failed(reason) = ended {
                let reason = text::told(&reason, REASON_CHARS_MAX);
                let message = format!("could not be transcribed by the service: {reason}");
                let own = || CallError::File(FileFault::Failed(message));
                return Err(self.without_model().await.unwrap_or_else(own));
            }
            tracing::info!("service `{}` restarted, and is given a recording again", self.name);
        }
        Err(forgetful())
    }

    /// Returns the job that transcribes the recording: the one that is known, else the one that the server lists, else a
    /// new one.
    async fn submitted(&self, upload: &Upload, cache: &JobCache) -> Result<Submitted, CallError> {
        let jobs = self.jobs(cache, Work::Transcription).await?;
        if let Some(job) = jobs.now {
            return Ok(job);
        }
        let mark = mark(cache.meeting());
        let id = match self.find(&mark, &jobs.failed).await? {
            Some(id) => id,
            None => self.send(&mark, upload).await?,
        };
        self.keep_job(cache, Work::Transcription, id, "").await
    }

    /// Returns the error of a server that does not have the model that the config names, or does not answer; `None` where
    /// neither can be said: then it is the recording's matter.
    async fn without_model(&self) -> Option<CallError> {
        if let Err(error) = self.health().await {
            return Some(error);
        }
        let listed = self.models(&["api", "transcribe", "models"]).await.ok().flatten()?;
        let model = &self.settings.model;
        let why = match listed.iter().find(|listed| listed.is(model)) {
            Some(listed) if listed.is_downloaded => return None,
            Some(_) => "has not downloaded",
            None if listed.is_empty() => return None,
            None => "does not list",
        };
        Some(unavailable(format!("the server {why} `{model}`; check model of [services.{}]", self.name)))
    }

    async fn send(&self, mark: &str, upload: &Upload) -> Result<String, CallError> {
        let diarize = if self.settings.diarize { "true" } else { "false" };
        let mut fields = vec![("model_name", self.settings.model.as_str()), ("diarize", diarize)];
        fields.extend(upload.language.as_deref().map(|language| ("language", language)));
        let extension = Path::new(&upload.name).extension().map(|extension| extension.to_string_lossy());
        let name = format!("{mark}.{}", extension.unwrap_or_default());
        let body = upload.form_body(&name, &fields)?;
        // Without the slash it would answer 307, and a stream cannot be sent twice.
        let request = Request::post(&["api", "transcribe"]).slash();
        let answer = self.http.upload(request, body).await.map_err(mark_not_executed)?;
        let answer = match accepted(answer) {
            Err(error @ CallError::Refused { .. }) => {
                return Err(self.without_model().await.unwrap_or_else(|| answers::of_recording(error)));
            }
            accepted => accepted?,
        };
        let answer = answers::json(answer).map_err(mark_not_executed)?;
        wire::job_id(&answer).ok_or_else(|| mark_not_executed(answers::unexpected("a transcription without a job_id")))
    }

    /// Returns the segments of a job that is done, or how it ended in truth.
    async fn result(&self, id: &str) -> Result<Result<Vec<Segment>, Ended>, CallError> {
        let path = ["api", "transcribe", "result", id];
        let answer = self.call(Request::get(&path).bytes_max(ANALYSES_BYTES_MAX), Priority::High).await?;
        if matches!(answer.status, 404 | 410) {
            return Ok(Err(Ended::Forgotten));
        }
        let answer = match accepted(answer) {
            Err(CallError::Refused { status, message }) => {
                return Ok(Err(Ended::Failed(format!("its result was refused ({status}): {message}"))));
            }
            accepted => accepted?,
        };
        let reading = answers::read_long(move || {
            let answer = answers::transcription(answer)?;
            match response_parsing::transcription(&answer)? {
                Some(segments) => Ok(Ok(segments)),
                None if wire::status(&answer) == Some(wire::Status::Unknown) => Ok(Err(Ended::Forgotten)),
                None => Err(answers::unexpected("no transcription")),
            }
        });
        reading.await.map_err(mark_not_executed)
    }
}

/// Returns what a file is called at the server, where it is found again by that: the job's key. A folder's id may hold
/// letters that not every server reads alike, so another name stands for such a key.
fn mark(meeting: &str) -> String {
    if meeting.is_ascii() {
        return meeting.to_owned();
    }
    let hash = blake3::hash(meeting.as_bytes()).to_hex();
    format!("minuted-{}", &hash.as_str()[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_called_by_its_key_in_letters_that_every_server_reads() {
        assert_eq!(mark("b3-00.sales.1"), "b3-00.sales.1");
        let foreign = mark("b3-00.zürich.1");
        assert!(foreign.is_ascii() && foreign.len() == 40 && foreign != mark("b3-00.zürich.2"), "{foreign}");
    }
}
