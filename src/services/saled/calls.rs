//! Calls and the mapping of their answers. There is no sign-in.

use serde_json::Value;

use super::{SaledTranscriber, wire};
use crate::{
    http::{Answer, Request},
    services::{CallError, FileFault, answers, pacer::Priority},
    text::one_line,
};

/// Characters of the server's health status.
const HEALTH_CHARS_MAX: usize = 100;

impl SaledTranscriber {
    /// Makes a call without a file and returns its answer, of any status.
    pub(super) async fn call(
        &self,
        request: Request<'_>,
        priority: Priority,
    ) -> Result<Answer, CallError> {
        self.http.call(request, priority).await.map_err(answers::mark_not_executed)
    }

    /// Returns the server's health status. Any JSON object will do: the documents show a `status`
    /// and no values of it.
    pub(super) async fn read_health(&self) -> Result<String, CallError> {
        let answer = self.call(Request::get(&["health"]), Priority::High).await?;
        let health =
            answers::read_json(check_answer(answer)?).map_err(answers::mark_not_executed)?;
        Ok(one_line(
            health.get("status").and_then(Value::as_str).unwrap_or("unknown"),
            HEALTH_CHARS_MAX,
        ))
    }

    /// Returns the models of a list; `None` where there is no list, or an unreadable one: the
    /// server may work without it.
    pub(super) async fn list_models(
        &self,
        path: &[&str],
    ) -> Result<Option<Vec<wire::SaledModel>>, CallError> {
        let answer = self.call(Request::get(path), Priority::High).await?;
        Ok(answers::read_json(answer).ok().and_then(|answer| wire::parse_models(&answer)))
    }
}

/// Returns the answer when it is 2xx, else the error that its status stands for.
pub(super) fn check_answer(answer: Answer) -> Result<Answer, CallError> {
    match answers::check_status(answer).map_err(answers::mark_not_executed) {
        Err(CallError::SignedOut { reason }) => Err(sign_in_error(&reason)),
        Err(CallError::Forbidden { message }) => Err(sign_in_error(&message)),
        other => other.map_err(|error| answers::blame_address(error, "base_url")),
    }
}

/// Returns the answer to a request for notes when it is 2xx. By the documents every failure at the
/// server is 500 with a `detail`, and a server may have no model for notes at all. So the failure
/// counts as an attempt: after some attempts the transcript is delivered without a note, rather
/// than never.
pub(super) fn check_notes_answer(answer: Answer, key: &str) -> Result<Answer, CallError> {
    let status = answer.status;
    let message = answers::error_message(&answer);
    if !matches!(status, 404 | 405 | 500 | 501) {
        match check_answer(answer) {
            Err(CallError::Refused { .. }) => {}
            other => return other,
        }
    }
    let message = format!("got no notes: the service answered {status}: {message}; check {key}");
    Err(CallError::File(FileFault::Failed(message)))
}

/// Returns the error of a server that wants a sign-in: a SaLED has none, so this is another server.
fn sign_in_error(message: &str) -> CallError {
    CallError::service_alone(format!(
        "a sign-in is wanted, which no SaLED does: {message}; check base_url and what stands before it"
    ))
}
