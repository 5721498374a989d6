//! Summaries: found, begun where there is none, and read.

use serde_json::{Value, json};

use super::{
    Koldan,
    results::{Fetched, unfinished, written},
    session::{SUMMARIES, summary},
    templates::{TEMPLATE, Template},
    wire,
};
use crate::{
    config::Analysis,
    http::{Answer, Request},
    job::{Report, Status, Suspect},
    services::{CallError, FileFault, answers, pacer::Priority},
};

/// Koldan's words for a transcription that has no text yet, and for a template that is not there.
const NOT_COMPLETED: &str = "TRANSCRIPTION_NOT_COMPLETED";
const NO_TEMPLATE: &str = "PROMPT_TEMPLATE_NOT_FOUND";

/// What a person does about a template that is gone.
const TEMPLATE_CURE: &str = "write prompt_template = \"…\" with one that is there, reload, then minuted retry";

impl Koldan {
    /// Returns the summaries of a transcription by a template. One that says that it is of another is left out: a server
    /// may not know a filter.
    pub(super) async fn summaries(
        &self,
        transcription: &str,
        template: &str,
        priority: Priority,
    ) -> Result<Vec<Value>, CallError> {
        let filter = [("transcriptionId", transcription), ("promptTemplateId", template)];
        let listed = match self.list(&SUMMARIES, &filter, priority).await {
            Ok(listed) => listed,
            // No list, or none of a transcription without summaries.
            Err(CallError::Refused { status: 404 | 405 | 410, .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let is_ours = |entry: &Value| {
            wire::transcription_of(entry).is_none_or(|other| other == transcription)
                && wire::template_of(entry).is_none_or(|other| other == template)
        };
        Ok(listed.into_iter().filter(is_ours).collect())
    }

    /// Begins the summary of a transcription, unless there is one that has not failed.
    pub(super) async fn summarise(&self, meeting: &str, transcription: &str) -> Result<(), CallError> {
        let template = self.template(self.template_of(meeting)).await?;
        let template = template.map_err(|told| unwritten(&format!("{told}; {TEMPLATE_CURE}")))?;
        self.cache.job(meeting).write(TEMPLATE, &template).await?;
        if self.has_summary(transcription, &template).await? {
            return Ok(());
        }
        let body = json!({ "transcriptionId": transcription, "promptTemplateId": template.id });
        let answer = self.call(Request::post(&SUMMARIES).json(&body), Priority::High).await?;
        if answer.is_success() {
            let begun = wire::begun(&answers::json(answer)?);
            return begun.map(drop).ok_or_else(|| answers::unexpected("a summary without an id"));
        }
        if answer.status == 409 && self.has_summary(transcription, &template).await? {
            return Ok(());
        }
        Err(self.refused(answer, &template).await)
    }

    async fn has_summary(&self, transcription: &str, template: &Template) -> Result<bool, CallError> {
        let there = self.summaries(transcription, &template.id, Priority::High).await?;
        Ok(there.iter().any(|summary| wire::status(summary) != Status::Failed))
    }

    /// Says what a refusal of a summary means.
    async fn refused(&self, answer: Answer, template: &Template) -> CallError {
        if matches!(answer.status, 400 | 409 | 422) && wire::has_code(&answer.body, NOT_COMPLETED) {
            // It said that it was completed a moment ago: its own matter, and no recording's.
            let message = format!("the service is not ready for a summary ({}): {NOT_COMPLETED}", answer.status);
            return CallError::Unavailable {
                message,
                after: answer.retry_after,
                uncertain: false,
                suspect: Suspect::Service,
            };
        }
        if (400..500).contains(&answer.status) && wire::has_code(&answer.body, NO_TEMPLATE) {
            self.forget_templates();
            let told =
                format!("the template `{}` is not there any more ({NO_TEMPLATE}); {TEMPLATE_CURE}", template.name);
            return unwritten(&told);
        }
        match self.accepted(answer).await {
            Ok(_) => answers::unexpected("a refusal that is none"),
            Err(CallError::Refused { status: 409, message }) => {
                CallError::service_alone(format!("the service answered 409 to the request of a summary: {message}"))
            }
            Err(error) => error,
        }
    }

    /// Returns a summary as the meeting note.
    pub(super) async fn note(&self, entry: &Value, template: &Template) -> Result<Report, CallError> {
        let analysis = Analysis::MeetingNote;
        let id = wire::id_at(entry, &["id", "summaryId", "uuid"]);
        let id = id.ok_or_else(|| answers::unexpected("a summary without an id"))?;
        let told = |mut report: Report| {
            if let Some(error) = report.error.as_mut().filter(|error| error.contains(NO_TEMPLATE)) {
                *error = format!("{error}: the template `{}` was not found; {TEMPLATE_CURE}", template.name);
            }
            report
        };
        let status = wire::status(entry);
        if status != Status::Completed {
            return Ok(told(unfinished(analysis, &id, status, entry)));
        }
        if let Some(text) = wire::text(entry).filter(|text| !text.trim().is_empty()) {
            return Ok(written(&id, text, entry));
        }
        // A list need not hold the texts.
        let Some(found) = self.json_if(Request::get(&summary(&id)), Priority::Low).await? else {
            return Ok(unfinished(analysis, &id, Status::Processing, entry));
        };
        let found = wire::of_id(found, &id)?;
        if let Some(text) = wire::text(&found).filter(|text| !text.trim().is_empty()) {
            return Ok(written(&id, text, &found));
        }
        Ok(match self.result(&summary(&id)).await? {
            Fetched::There(found) => match wire::text(&found).filter(|text| !text.trim().is_empty()) {
                Some(text) => written(&id, text, &found),
                None => lost(&id, "it is empty"),
            },
            Fetched::NotYet => unfinished(analysis, &id, Status::Processing, entry),
            Fetched::Purged => lost(&id, "its text was purged (410)"),
        })
    }
}

/// A summary without a text: another one has to be written.
fn lost(id: &str, why: &str) -> Report {
    unfinished(Analysis::MeetingNote, id, Status::Failed, &json!({ "errorCode": why }))
}

/// The notes of a recording cannot be written as the config wants them.
fn unwritten(told: &str) -> CallError {
    CallError::File(FileFault::Failed(format!("got no notes: {told}")))
}
