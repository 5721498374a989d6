//! One call, and what its answer means.

use super::{OpenAi, wire};
use crate::{
    http::{Answer, Request},
    services::{CallError, answers, pacer::Priority},
};

impl OpenAi {
    /// Makes a small or a long call and returns its answer, whatever its status.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Answer, CallError> {
        self.http.call(request, Priority::High).await.map_err(answers::mark_not_executed)
    }

    /// Returns the answer when it is 2xx, else what its status means. `settings` are the keys of the config that lead
    /// to this call.
    pub(super) async fn accepted(&self, answer: Answer, settings: &str) -> Result<Answer, CallError> {
        let (status, code) = (answer.status, wire::refusal(&answer));
        if let Some(code) = code {
            let said = answers::error_message(&answer);
            return Err(match code {
                wire::Refusal::Key => self.refused_key(status, &said).await,
                wire::Refusal::Model => CallError::service_alone(format!(
                    "the service has no such model ({status}): {said}; check {settings}"
                )),
            });
        }
        match answers::check_status(answer).map_err(answers::mark_not_executed) {
            Err(CallError::SignedOut { reason }) => Err(self.http.refuse_key(reason).await),
            Err(CallError::Forbidden { message }) => Err(self.refused_key(403, &message).await),
            Err(CallError::Refused { status: 402, message }) => {
                let message = format!("the service wants to be paid (402): {message}");
                Err(CallError::service_alone(message))
            }
            other => other.map_err(|error| answers::blame_address(error, settings)),
        }
    }

    /// Returns the error of a key that is refused, and remembers which one it was.
    pub(super) async fn refused_key(&self, status: u16, said: &str) -> CallError {
        self.http.refuse_key(format!("the service answered {status}: {said}")).await
    }

    /// Returns the models that the server lists; `None` from one that has no list, or none for this key.
    pub(super) async fn models(&self) -> Result<Option<Vec<String>>, CallError> {
        let answer = self.call(Request::get(&["v1", "models"])).await?;
        if answer.status == 403 {
            // Clouds have keys that may transcribe and not list; such a key is told apart by a call without a recording.
            return self.proves_key().await.map(|()| None);
        }
        if matches!(answer.status, 404 | 405 | 501) {
            return Ok(None);
        }
        let answer = self.accepted(answer, "base_url").await?;
        Ok(Some(wire::models(&answers::json(answer).map_err(answers::mark_not_executed)?)))
    }

    /// Returns what it means that a question to a model was refused: one that the server does not list is the set-up's.
    pub(super) async fn unlisted(&self, model: &str, error: CallError) -> CallError {
        let listed = self.models().await.ok().flatten().unwrap_or_default();
        if listed.is_empty() || listed.iter().any(|listed| wire::is_model(listed, model)) {
            return error;
        }
        let name = &self.name;
        CallError::service_alone(format!(
            "{error}; the server does not list `{model}`; check notes_model of [services.{name}]"
        ))
    }

    /// Proves that the key is taken where recordings are sent, by a request without one: it is refused whatever the key,
    /// and a server looks at the key first.
    async fn proves_key(&self) -> Result<(), CallError> {
        let empty = serde_json::json!({});
        let answer = self.call(Request::post(&["v1", "audio", "transcriptions"]).json(&empty)).await?;
        if matches!(answer.status, 401 | 403) {
            return Err(self.refused_key(answer.status, &answers::error_message(&answer)).await);
        }
        Ok(())
    }
}

/// Returns whether a server says by its code that the key is what it refuses.
pub(super) fn is_of_key(answer: &Answer) -> bool {
    wire::refusal(answer) == Some(wire::Refusal::Key)
}
