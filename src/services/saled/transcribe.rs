//! A recording → segments: sent once, then polled until it is done.

use std::path::Path;

use super::{
    SaledTranscriber,
    calls::check_answer,
    jobs::{SaledJobEnd, SaledWork, SubmittedJob, forgotten_twice},
    wire,
};
use crate::{
    config::Speakers,
    http::{ANALYSES_BYTES_MAX, Request},
    services::{
        CallError, FileFault, Upload,
        answers::{self, mark_not_executed},
        pacer::Priority,
        response_parsing::{self, ServerTranscript},
        result_cache::JobCache,
    },
    text,
};

/// Characters that are shown of the server's reason for a failure.
const REASON_CHARS_MAX: usize = 300;

impl SaledTranscriber {
    /// Has a recording transcribed, by the job of an earlier attempt if there is one.
    pub(super) async fn send_and_follow(
        &self,
        upload: &Upload,
        cache: &JobCache,
    ) -> Result<ServerTranscript, CallError> {
        // A job that is lost once means that the server restarted, which counts against no
        // recording.
        for _ in 0..2 {
            let job = self.find_or_submit(upload, cache).await?;
            let ended = match self
                .poll_job(SaledWork::Transcription, &job, Some(&upload.progress))
                .await?
            {
                SaledJobEnd::Completed => match self.fetch_transcript(&job.id).await? {
                    Ok(transcript) => return Ok(transcript),
                    Err(ended) => ended,
                },
                ended @ (SaledJobEnd::Failed(_) | SaledJobEnd::Forgotten) => ended,
            };
            self.drop_job(cache, SaledWork::Transcription, &ended).await?;
            if let SaledJobEnd::Failed(reason) = ended {
                let reason = text::printable_answer(&reason, REASON_CHARS_MAX);
                let message = format!("could not be transcribed by the service: {reason}");
                let server_error = self.missing_model_error().await;
                return Err(server_error.unwrap_or(CallError::File(FileFault::Failed(message))));
            }
            tracing::info!("service `{}` restarted; sending the recording again", self.name);
        }
        Err(forgotten_twice())
    }

    /// Returns the job that transcribes the recording: the stored one, else one that the server
    /// lists, else a new one.
    async fn find_or_submit(
        &self,
        upload: &Upload,
        cache: &JobCache,
    ) -> Result<SubmittedJob, CallError> {
        let jobs = self.read_jobs(cache, SaledWork::Transcription).await?;
        if let Some(job) = jobs.now {
            return Ok(job);
        }
        let mark = file_mark(cache.meeting_id());
        let id = match self.find_transcription(&mark, &jobs.failed).await? {
            Some(id) => id,
            None => self.send_recording(&mark, upload).await?,
        };
        self.keep_job(cache, SaledWork::Transcription, id, "").await
    }

    /// Returns the error of a server that lacks the model of the config, or does not answer; `None`
    /// where neither is known: then the recording is at fault.
    async fn missing_model_error(&self) -> Option<CallError> {
        if let Err(error) = self.read_health().await {
            return Some(error);
        }
        let listed = self.list_models(&["api", "transcribe", "models"]).await.ok().flatten()?;
        let model = &self.settings.model;
        let why = match listed.iter().find(|listed| listed.matches_name(model)) {
            Some(listed) if listed.is_downloaded => return None,
            Some(_) => "has not downloaded",
            None if listed.is_empty() => return None,
            None => "does not list",
        };
        Some(CallError::service_alone(format!(
            "the server {why} `{model}`; check model of [services.{}]",
            self.name
        )))
    }

    async fn send_recording(&self, mark: &str, upload: &Upload) -> Result<String, CallError> {
        let diarizes = self.settings.diarize && upload.speakers != Speakers::Off;
        let diarize = if diarizes { "true" } else { "false" };
        let mut fields = vec![("model_name", self.settings.model.as_str()), ("diarize", diarize)];
        fields.extend(upload.language.as_deref().map(|language| ("language", language)));
        let extension =
            Path::new(&upload.name).extension().map(|extension| extension.to_string_lossy());
        let name = format!("{mark}.{}", extension.unwrap_or_default());
        let body = upload.form_body(&name, &fields)?;
        // Without the slash the server answers 307, and a stream cannot be sent twice.
        let request = Request::post(&["api", "transcribe"]).slash();
        let answer = self.http.upload_file(request, body).await.map_err(mark_not_executed)?;
        let answer = match check_answer(answer) {
            Err(error @ CallError::Refused { .. }) => {
                return Err(self
                    .missing_model_error()
                    .await
                    .unwrap_or_else(|| answers::blame_recording(error)));
            }
            accepted => accepted?,
        };
        let answer = answers::read_json(answer).map_err(mark_not_executed)?;
        wire::job_id(&answer).ok_or_else(|| {
            mark_not_executed(answers::unexpected_answer("a transcription without a job_id"))
        })
    }

    /// Returns the transcript of a completed job, or its true end.
    async fn fetch_transcript(
        &self,
        id: &str,
    ) -> Result<Result<ServerTranscript, SaledJobEnd>, CallError> {
        let path = ["api", "transcribe", "result", id];
        let answer =
            self.call(Request::get(&path).bytes_max(ANALYSES_BYTES_MAX), Priority::High).await?;
        if matches!(answer.status, 404 | 410) {
            return Ok(Err(SaledJobEnd::Forgotten));
        }
        let answer = match check_answer(answer) {
            Err(CallError::Refused { status, message }) => {
                return Ok(Err(SaledJobEnd::Failed(format!(
                    "its result was refused ({status}): {message}"
                ))));
            }
            accepted => accepted?,
        };
        let reading = answers::read_long(move || {
            let answer = answers::read_transcription(answer)?;
            match response_parsing::parse_transcript(&answer)? {
                Some(transcript) => Ok(Ok(transcript)),
                None if wire::parse_status(&answer) == Some(wire::SaledJobStatus::Unknown) => {
                    Ok(Err(SaledJobEnd::Forgotten))
                }
                None => Err(answers::unexpected_answer("no transcription")),
            }
        });
        reading.await.map_err(mark_not_executed)
    }
}

/// Returns the name of a recording at the server, by which it is found again: the job's key. A
/// folder's id may hold letters that not every server reads alike, so a hash stands for such a key.
fn file_mark(meeting: &str) -> String {
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
        assert_eq!(file_mark("b3-00.sales.1"), "b3-00.sales.1");
        let foreign = file_mark("b3-00.zürich.1");
        assert!(
            foreign.is_ascii() && foreign.len() == 40 && foreign != file_mark("b3-00.zürich.2"),
            "{foreign}"
        );
    }
}
