//! Calls and the mapping of their answers.

use super::{OpenAiServer, wire};
use crate::{
    http::{Answer, Request},
    services::{CallError, answers, pacer::Priority},
};

impl OpenAiServer {
    /// Makes a call without a file and returns its answer, of any status.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Answer, CallError> {
        self.http.call(request, Priority::High).await.map_err(answers::mark_not_executed)
    }

    /// Returns the answer when it is 2xx, else the error that its status stands for. `settings` are
    /// the keys of the config that lead to this call.
    pub(super) async fn check_answer(
        &self,
        answer: Answer,
        settings: &str,
    ) -> Result<Answer, CallError> {
        if let Some(item) = wire::refused_item(&answer) {
            let status = answer.status;
            let message = answers::error_message(&answer);
            return Err(match item {
                wire::RefusedItem::Key => self.refused_key(status, &message).await,
                wire::RefusedItem::Model => CallError::service_alone(format!(
                    "the service has no such model ({status}): {message}; check {settings}"
                )),
            });
        }
        match answers::check_status(answer).map_err(answers::mark_not_executed) {
            Err(CallError::SignedOut { reason }) => Err(self.http.refuse_key(reason).await),
            Err(CallError::Forbidden { message }) => Err(self.refused_key(403, &message).await),
            Err(CallError::Refused { status: 402, message }) => {
                let message = format!("the service asks for payment (402): {message}");
                Err(CallError::service_alone(message))
            }
            other => other.map_err(|error| answers::blame_address(error, settings)),
        }
    }

    /// Returns the error of a refused key, and remembers the key.
    pub(super) async fn refused_key(&self, status: u16, message: &str) -> CallError {
        self.http.refuse_key(format!("the service answered {status}: {message}")).await
    }

    /// Returns the models that the server lists; `None` where it has no list, or none for this key.
    pub(super) async fn list_models(&self) -> Result<Option<Vec<String>>, CallError> {
        let answer = self.call(Request::get(&["v1", "models"])).await?;
        if answer.status == 403 {
            // Clouds have keys that may transcribe but not list; such a key is recognised by a call
            // without a recording.
            return self.prove_key().await.map(|()| None);
        }
        if matches!(answer.status, 404 | 405 | 501) {
            return Ok(None);
        }
        let answer = self.check_answer(answer, "base_url").await?;
        Ok(Some(wire::model_ids(&answers::read_json(answer).map_err(answers::mark_not_executed)?)))
    }

    /// Returns the error of a refused question: a model that the server does not list is the
    /// set-up's fault.
    pub(super) async fn blame_unlisted_model(&self, model: &str, error: CallError) -> CallError {
        let listed = self.list_models().await.ok().flatten().unwrap_or_default();
        if listed.is_empty() || listed.iter().any(|listed| wire::is_model(listed, model)) {
            return error;
        }
        let name = &self.name;
        CallError::service_alone(format!(
            "{error}; the server does not list `{model}`; check notes_model of [services.{name}]"
        ))
    }

    /// Proves that the key may send recordings, by a request without one: it is refused whatever
    /// the key, and a server checks the key first.
    async fn prove_key(&self) -> Result<(), CallError> {
        let empty = serde_json::json!({});
        let answer =
            self.call(Request::post(&["v1", "audio", "transcriptions"]).json(&empty)).await?;
        if matches!(answer.status, 401 | 403) {
            return Err(self.refused_key(answer.status, &answers::error_message(&answer)).await);
        }
        Ok(())
    }
}

/// Returns whether the error code of an answer names the key.
pub(super) fn is_key_refusal(answer: &Answer) -> bool {
    wire::refused_item(answer) == Some(wire::RefusedItem::Key)
}
