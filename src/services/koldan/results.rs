//! What a look shows: the transcription and, once that is there, the summary as the meeting note.

use serde_json::Value;

use super::{Koldan, plain, session::transcription, templates::TEMPLATE, wire};
use crate::{
    config::Analysis,
    http::Request,
    job::{Findings, Report, Status},
    services::{CallError, pacer::Priority},
};

/// What a reader is told of a recording in which nothing was heard.
const SILENCE: &str = "nothing was said in this recording, as far as the service could hear";

impl Koldan {
    /// Returns the results of a job's recording. While the transcription is under way that is one call.
    pub(super) async fn results(&self, meeting: &str, recording: &str) -> Result<Vec<Report>, CallError> {
        let transcription = self.transcription(recording).await?;
        let mut reports = vec![self.transcription_report(recording, transcription).await?];
        if reports[0].status == Status::Completed {
            match self.notes(meeting, recording).await {
                Ok(notes) => reports.extend(notes),
                // For a transcription alone a key needs no more rights than that.
                Err(_) if !self.summarises(meeting) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(reports)
    }

    /// Returns the summaries by the template that they were asked for by, else by the one that is wanted; none where there
    /// is no such template.
    async fn notes(&self, meeting: &str, recording: &str) -> Result<Vec<Report>, CallError> {
        let template = match self.cache.job(meeting).read(TEMPLATE).await? {
            Some(asked) => asked,
            None => match self.template(self.template_of(meeting)).await? {
                Ok(template) => template,
                Err(_) => return Ok(Vec::new()),
            },
        };
        let mut notes = Vec::new();
        for summary in self.summaries(recording, &template.id, Priority::Low).await? {
            notes.push(self.note(&summary, &template).await?);
        }
        Ok(notes)
    }

    /// Reads a transcription. One that was purged is as good as one that never was.
    async fn transcription(&self, id: &str) -> Result<Value, CallError> {
        match self.json(Request::get(&transcription(id)), Priority::Low).await {
            Ok(found) => wire::of_id(found, id),
            Err(CallError::Refused { status: 410, message }) => Err(CallError::Refused { status: 404, message }),
            Err(error) => Err(error),
        }
    }

    async fn transcription_report(&self, id: &str, found: Value) -> Result<Report, CallError> {
        let analysis = Analysis::Transcription;
        let status = wire::status(&found);
        if status != Status::Completed {
            return Ok(unfinished(analysis, id, status, &found));
        }
        let found = match wire::segments(&found) {
            Some(_) => found,
            // [guess]: as of a summary, the result may have an address of its own, where 404 says "not yet".
            None => match self.result(&transcription(id)).await? {
                Fetched::There(result) => result,
                Fetched::NotYet => return Ok(unfinished(analysis, id, Status::Processing, &found)),
                Fetched::Purged => {
                    let message = "its transcription was purged (410)".to_owned();
                    return Err(CallError::Refused { status: 404, message });
                }
            },
        };
        let segments = wire::segments(&found).unwrap_or_default();
        let mut speakers: Vec<String> = Vec::new();
        for speaker in segments.iter().filter_map(|segment| segment.speaker.as_ref()) {
            if !speakers.contains(speaker) {
                speakers.push(speaker.clone());
            }
        }
        let remarks = if segments.is_empty() { vec![SILENCE.to_owned()] } else { Vec::new() };
        let findings = Findings { speakers, segments, remarks, ..Findings::default() };
        let id = Some(id.to_owned());
        Ok(Report { analysis, status, id, findings, error: None, raw: found.to_string() })
    }

    /// Reads the result of something that has an address of its own for it.
    pub(super) async fn result(&self, path: &[&str; 5]) -> Result<Fetched, CallError> {
        let [a, b, c, d, id] = *path;
        match self.json(Request::get(&[a, b, c, d, id, "result"]), Priority::Low).await {
            // The result alone, or what holds it.
            Ok(found) if found.get("result").is_some() => Ok(Fetched::There(found)),
            Ok(found) => Ok(Fetched::There(serde_json::json!({ "result": found }))),
            Err(CallError::Refused { status: 410, .. }) => Ok(Fetched::Purged),
            Err(CallError::Refused { status: 404 | 405, .. }) => Ok(Fetched::NotYet),
            Err(error) => Err(error),
        }
    }
}

/// What lay at the address of a result.
pub(super) enum Fetched {
    /// The result, under `result`.
    There(Value),
    /// Nothing, or nothing yet; Koldan does not tell which.
    NotYet,
    /// Nothing any more.
    Purged,
}

/// A report without findings. Its raw text is the same at each look, so that a failed one is known again.
pub(super) fn unfinished(analysis: Analysis, id: &str, status: Status, found: &Value) -> Report {
    let error = (status == Status::Failed).then(|| wire::failure(found));
    let raw = error.clone().unwrap_or_default();
    Report { analysis, status, id: Some(id.to_owned()), findings: Findings::default(), error, raw }
}

/// A note that was written.
pub(super) fn written(id: &str, text: &str, found: &Value) -> Report {
    let findings = Findings { markdown: Some(plain::markdown(text)), ..Findings::default() };
    let (analysis, status) = (Analysis::MeetingNote, Status::Completed);
    Report { analysis, status, id: Some(id.to_owned()), findings, error: None, raw: found.to_string() }
}
