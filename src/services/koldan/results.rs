//! The results of one poll: the transcription and, once that is there, the summary as the meeting
//! note.

use serde_json::Value;

use super::{KoldanService, plain, session::transcription_path, templates::TEMPLATE, wire};
use crate::{
    config::Analysis,
    http::Request,
    job::{Findings, Report, Status},
    services::{CallError, pacer::Priority},
};

/// The remark on a recording in which nothing was heard.
const SILENCE: &str = "nothing was said in this recording, as far as the service could hear";

impl KoldanService {
    /// Returns the results of a job's recording. An unfinished transcription takes one call.
    pub(super) async fn read_results(
        &self,
        meeting: &str,
        recording: &str,
    ) -> Result<Vec<Report>, CallError> {
        let transcription = self.read_transcription(recording).await?;
        let mut reports = vec![self.transcription_report(recording, transcription).await?];
        if reports[0].status == Status::Completed {
            match self.read_notes(meeting, recording).await {
                Ok(notes) => reports.extend(notes),
                // For a transcription alone a key needs no more rights than that.
                Err(_) if !self.wants_summary(meeting) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(reports)
    }

    /// Returns the summaries by the template that was requested, else by the one in the config;
    /// none where there is no such template.
    async fn read_notes(&self, meeting: &str, recording: &str) -> Result<Vec<Report>, CallError> {
        let template = match self.cache.job_cache(meeting).read_file(TEMPLATE).await? {
            Some(asked) => asked,
            None => match self.choose_template(self.template_of(meeting)).await? {
                Ok(template) => template,
                Err(_) => return Ok(Vec::new()),
            },
        };
        let mut notes = Vec::new();
        for summary in self.list_summaries(recording, &template.id, Priority::Low).await? {
            notes.push(self.summary_report(&summary, &template).await?);
        }
        Ok(notes)
    }

    /// Reads a transcription. A purged one counts as missing.
    async fn read_transcription(&self, id: &str) -> Result<Value, CallError> {
        match self.read_json(Request::get(&transcription_path(id)), Priority::Low).await {
            Ok(found) => wire::unwrap_answer(found, id),
            Err(CallError::Refused { status: 410, message }) => {
                Err(CallError::Refused { status: 404, message })
            }
            Err(error) => Err(error),
        }
    }

    async fn transcription_report(&self, id: &str, found: Value) -> Result<Report, CallError> {
        let analysis = Analysis::Transcription;
        let status = wire::parse_status(&found);
        if status != Status::Completed {
            return Ok(unfinished_report(analysis, id, status, &found));
        }
        let found = match wire::parse_segments(&found) {
            Some(_) => found,
            // [guess]: as of a summary, the result may have an address of its own, where 404 says
            // "not yet".
            None => match self.fetch_result(&transcription_path(id)).await? {
                FetchedResult::There(result) => result,
                FetchedResult::NotYet => {
                    return Ok(unfinished_report(analysis, id, Status::Processing, &found));
                }
                FetchedResult::Purged => {
                    let message = "its transcription was purged (410)".to_owned();
                    return Err(CallError::Refused { status: 404, message });
                }
            },
        };
        let segments = wire::parse_segments(&found).unwrap_or_default();
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

    /// Reads a result that has an address of its own.
    pub(super) async fn fetch_result(&self, path: &[&str; 5]) -> Result<FetchedResult, CallError> {
        let [a, b, c, d, id] = *path;
        match self.read_json(Request::get(&[a, b, c, d, id, "result"]), Priority::Low).await {
            // The result alone, or what holds it.
            Ok(found) if found.get("result").is_some() => Ok(FetchedResult::There(found)),
            Ok(found) => Ok(FetchedResult::There(serde_json::json!({ "result": found }))),
            Err(CallError::Refused { status: 410, .. }) => Ok(FetchedResult::Purged),
            Err(CallError::Refused { status: 404 | 405, .. }) => Ok(FetchedResult::NotYet),
            Err(error) => Err(error),
        }
    }
}

/// The outcome of reading a result's address.
pub(super) enum FetchedResult {
    /// The result, under `result`.
    There(Value),
    /// No result, or none yet; Koldan does not distinguish the two.
    NotYet,
    /// The result was purged.
    Purged,
}

/// Returns a report without findings. Its raw text is the same at each poll, so that a failure is
/// recognised as the same one.
pub(super) fn unfinished_report(
    analysis: Analysis,
    id: &str,
    status: Status,
    found: &Value,
) -> Report {
    let error = (status == Status::Failed).then(|| wire::failure_message(found));
    let raw = error.clone().unwrap_or_default();
    Report { analysis, status, id: Some(id.to_owned()), findings: Findings::default(), error, raw }
}

/// Returns the report of a finished note.
pub(super) fn written_report(id: &str, text: &str, found: &Value) -> Report {
    let findings = Findings { markdown: Some(plain::to_markdown(text)), ..Findings::default() };
    Report {
        analysis: Analysis::MeetingNote,
        status: Status::Completed,
        id: Some(id.to_owned()),
        findings,
        error: None,
        raw: found.to_string(),
    }
}
