//! One call: the pace, and what an answer means. There is no sign-in.

use serde_json::Value;

use super::{Saled, wire};
use crate::{
    http::{Answer, Request},
    services::{CallError, FileFault, answers, pacer::Priority},
    text::one_line,
};

/// Characters of the server's word for its health.
const HEALTH_CHARS_MAX: usize = 100;

impl Saled {
    /// Makes a call that is no upload and returns its answer, whatever its status.
    pub(super) async fn call(&self, request: Request<'_>, priority: Priority) -> Result<Answer, CallError> {
        self.http.call(request, priority).await.map_err(answers::mark_not_executed)
    }

    /// Returns the server's word for how it is; any JSON will do, for nothing is documented but that there is a word.
    pub(super) async fn health(&self) -> Result<String, CallError> {
        let answer = self.call(Request::get(&["health"]), Priority::High).await?;
        let health = answers::json(accepted(answer)?).map_err(answers::mark_not_executed)?;
        Ok(one_line(health.get("status").and_then(Value::as_str).unwrap_or("unknown"), HEALTH_CHARS_MAX))
    }

    /// Returns the models of a list; `None` where there is no list, or one that cannot be read: it may work without.
    pub(super) async fn models(&self, path: &[&str]) -> Result<Option<Vec<wire::Model>>, CallError> {
        let answer = self.call(Request::get(path), Priority::High).await?;
        Ok(answers::json(answer).ok().and_then(|answer| wire::models(&answer)))
    }
}

/// Returns the answer when it is 2xx, else what its status means.
pub(super) fn accepted(answer: Answer) -> Result<Answer, CallError> {
    match answers::check_status(answer).map_err(answers::mark_not_executed) {
        Err(CallError::SignedOut { reason }) => Err(stranger(&reason)),
        Err(CallError::Forbidden { message }) => Err(stranger(&message)),
        other => other.map_err(|error| answers::blame_address(error, "base_url")),
    }
}

/// Returns the answer to a question about notes when it is 2xx. The documents give 500 with a `detail` to whatever fails
/// at the server, and a server may have no model for notes at all: that is told after some attempts, and the transcript
/// is delivered without a note rather than never.
pub(super) fn accepted_notes(answer: Answer, key: &str) -> Result<Answer, CallError> {
    let (status, said) = (answer.status, answers::error_message(&answer));
    let failed = || {
        let message = format!("got no notes: the service answered {status}: {said}; check {key}");
        Err(CallError::File(FileFault::Failed(message)))
    };
    match status {
        404 | 405 | 500 | 501 => failed(),
        _ => match accepted(answer) {
            Err(CallError::Refused { .. }) => failed(),
            other => other,
        },
    }
}

/// The error of a server that is none of ours: a SaLED asks nobody who they are.
fn stranger(said: &str) -> CallError {
    unavailable(format!("a sign-in is wanted, which no SaLED does: {said}; check base_url and what stands before it"))
}

/// The service's own failure, after which asking again makes nothing twice.
pub(super) fn unavailable(message: String) -> CallError {
    CallError::service_alone(message)
}
