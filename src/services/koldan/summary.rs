//! Summaries: found, begun where there is none, and read.

use serde_json::{Value, json};

use super::{
    KoldanService,
    results::{FetchedResult, unfinished_report, written_report},
    session::{SUMMARIES, summary_path},
    templates::{NoteTemplate, TEMPLATE},
    wire,
};
use crate::{
    config::Analysis,
    http::{Answer, Request},
    job::{Report, Status, Suspect},
    services::{CallError, FileFault, answers, pacer::Priority},
};

/// Koldan's codes for a transcription without text yet, and for a missing template.
const NOT_COMPLETED: &str = "TRANSCRIPTION_NOT_COMPLETED";
const NO_TEMPLATE: &str = "PROMPT_TEMPLATE_NOT_FOUND";

/// The cure for a missing template.
const TEMPLATE_CURE: &str =
    "write prompt_template = \"…\" with one that is there, reload, then minuted retry";

impl KoldanService {
    /// Returns the summaries of a transcription by a template. One that names another transcription
    /// or template is left out: a server may ignore a filter.
    pub(super) async fn list_summaries(
        &self,
        transcription: &str,
        template: &str,
        priority: Priority,
    ) -> Result<Vec<Value>, CallError> {
        let filter = [("transcriptionId", transcription), ("promptTemplateId", template)];
        let listed = match self.read_list(&SUMMARIES, &filter, priority).await {
            Ok(listed) => listed,
            // No list, or none of a transcription without summaries.
            Err(CallError::Refused { status: 404 | 405 | 410, .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let ours = listed.into_iter().filter(|entry| {
            wire::transcription_of(entry).is_none_or(|other| other == transcription)
                && wire::template_of(entry).is_none_or(|other| other == template)
        });
        Ok(ours.collect())
    }

    /// Begins the summary of a transcription, unless there is one that has not failed.
    pub(super) async fn begin_summary(
        &self,
        meeting: &str,
        transcription: &str,
    ) -> Result<(), CallError> {
        let template = self.choose_template(self.template_of(meeting)).await?;
        let template =
            template.map_err(|reason| no_notes_error(&format!("{reason}; {TEMPLATE_CURE}")))?;
        self.cache.job_cache(meeting).write_file(TEMPLATE, &template).await?;
        if self.has_summary(transcription, &template).await? {
            return Ok(());
        }
        let body = json!({ "transcriptionId": transcription, "promptTemplateId": template.id });
        let answer = self.call(Request::post(&SUMMARIES).json(&body), Priority::High).await?;
        if answer.is_success() {
            let begun = wire::begun_summary(&answers::read_json(answer)?);
            return begun
                .map(drop)
                .ok_or_else(|| answers::unexpected_answer("a summary without an id"));
        }
        if answer.status == 409 && self.has_summary(transcription, &template).await? {
            return Ok(());
        }
        Err(self.explain_refusal(answer, &template).await)
    }

    async fn has_summary(
        &self,
        transcription: &str,
        template: &NoteTemplate,
    ) -> Result<bool, CallError> {
        let there = self.list_summaries(transcription, &template.id, Priority::High).await?;
        Ok(there.iter().any(|summary| wire::parse_status(summary) != Status::Failed))
    }

    /// Returns the error of a refused summary.
    async fn explain_refusal(&self, answer: Answer, template: &NoteTemplate) -> CallError {
        if matches!(answer.status, 400 | 409 | 422) && wire::has_code(&answer.body, NOT_COMPLETED) {
            // The transcription was completed a moment ago: this is the service's fault, not a
            // recording's.
            let message = format!(
                "the service is not ready for a summary ({}): {NOT_COMPLETED}",
                answer.status
            );
            return CallError::Unavailable {
                message,
                after: answer.retry_after,
                uncertain: false,
                suspect: Suspect::Service,
            };
        }
        if (400..500).contains(&answer.status) && wire::has_code(&answer.body, NO_TEMPLATE) {
            self.forget_templates();
            let reason = format!(
                "the template `{}` is not there any more ({NO_TEMPLATE}); {TEMPLATE_CURE}",
                template.name
            );
            return no_notes_error(&reason);
        }
        match self.check_answer(answer).await {
            Ok(_) => answers::unexpected_answer("a refusal that is none"),
            Err(CallError::Refused { status: 409, message }) => CallError::service_alone(format!(
                "the service answered 409 to the request of a summary: {message}"
            )),
            Err(error) => error,
        }
    }

    /// Returns a summary as the meeting note.
    pub(super) async fn summary_report(
        &self,
        entry: &Value,
        template: &NoteTemplate,
    ) -> Result<Report, CallError> {
        let analysis = Analysis::MeetingNote;
        let id = wire::id_at(entry, &["id", "summaryId", "uuid"]);
        let id = id.ok_or_else(|| answers::unexpected_answer("a summary without an id"))?;
        let status = wire::parse_status(entry);
        if status != Status::Completed {
            let mut report = unfinished_report(analysis, &id, status, entry);
            if let Some(error) = report.error.as_mut().filter(|error| error.contains(NO_TEMPLATE)) {
                *error = format!(
                    "{error}: the template `{}` was not found; {TEMPLATE_CURE}",
                    template.name
                );
            }
            return Ok(report);
        }
        if let Some(text) = wire::result_text(entry).filter(|text| !text.trim().is_empty()) {
            return Ok(written_report(&id, text, entry));
        }
        // A list need not hold the texts.
        let Some(found) =
            self.read_json_if_found(Request::get(&summary_path(&id)), Priority::Low).await?
        else {
            return Ok(unfinished_report(analysis, &id, Status::Processing, entry));
        };
        let found = wire::unwrap_answer(found, &id)?;
        if let Some(text) = wire::result_text(&found).filter(|text| !text.trim().is_empty()) {
            return Ok(written_report(&id, text, &found));
        }
        Ok(match self.fetch_result(&summary_path(&id)).await? {
            FetchedResult::There(found) => {
                match wire::result_text(&found).filter(|text| !text.trim().is_empty()) {
                    Some(text) => written_report(&id, text, &found),
                    None => lost_report(&id, "it is empty"),
                }
            }
            FetchedResult::NotYet => unfinished_report(analysis, &id, Status::Processing, entry),
            FetchedResult::Purged => lost_report(&id, "its text was purged (410)"),
        })
    }
}

/// Returns the report of a summary whose text is lost: another one has to be written.
fn lost_report(id: &str, why: &str) -> Report {
    unfinished_report(Analysis::MeetingNote, id, Status::Failed, &json!({ "errorCode": why }))
}

/// Returns the error of notes that cannot be written in the way that the config wants.
fn no_notes_error(reason: &str) -> CallError {
    CallError::File(FileFault::Failed(format!("got no notes: {reason}")))
}
