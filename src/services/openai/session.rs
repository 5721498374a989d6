//! One call: the key as it lies there now, the pace, and what an answer means.

use std::sync::PoisonError;

use secrecy::{ExposeSecret as _, SecretString};

use super::{OpenAi, wire};
use crate::{
    config::{SecretFileError, read_secret},
    http::{Answer, Request},
    services::{CallError, answers, pacer::Priority},
    text,
};

/// The key of one piece of work; `None` for a server that asks for none.
pub(super) type ApiKey = Option<SecretString>;

impl OpenAi {
    /// Reads the key, which may be another one than at the last call.
    pub(super) async fn key(&self) -> Result<ApiKey, CallError> {
        match self.read_key().await {
            Ok(key) => Ok(key),
            Err(reason) => {
                self.refuse(Err(&reason));
                Err(CallError::SignedOut { reason })
            }
        }
    }

    async fn read_key(&self) -> Result<ApiKey, String> {
        let Some(file) = self.settings.api_key_file.clone() else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || read_secret(&file).map_err(|error| told(&error))).await;
        let key = read.unwrap_or_else(|_| Err("reading the key ended early".to_owned()))?;
        let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_graphic());
        if is_key(key.expose_secret().trim()) {
            return Ok(Some(key.expose_secret().trim().to_owned().into()));
        }
        Err("the file of `api_key_file` holds no key, or more than one: a key is one word".to_owned())
    }

    /// Makes a small or a long call and returns its answer, whatever its status.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Answer, CallError> {
        let key = self.key().await?;
        self.pacer.acquire(Priority::High).await;
        let request = match &key {
            Some(key) => request.bearer(key),
            None => request,
        };
        let answer = self.http.send(&request).await.map_err(|error| answers::mark_not_executed(error.into()))?;
        Ok(without(answer, &key))
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
            Err(CallError::SignedOut { reason }) => {
                self.refuse(self.read_key().await.as_ref().map_err(String::as_str));
                Err(CallError::SignedOut { reason })
            }
            Err(CallError::Forbidden { message }) => Err(self.refused_key(403, &message).await),
            // It is not the recording that is not there.
            Err(CallError::Refused { status: status @ (404 | 405), message }) => {
                let message = format!("the service answered {status}: {message}; check {settings}");
                Err(CallError::service_alone(message))
            }
            Err(CallError::Refused { status: 402, message }) => {
                let message = format!("the service wants to be paid (402): {message}");
                Err(CallError::service_alone(message))
            }
            other => other,
        }
    }

    /// Returns the error of a key that is refused, and remembers which one it was.
    pub(super) async fn refused_key(&self, status: u16, said: &str) -> CallError {
        self.refuse(self.read_key().await.as_ref().map_err(String::as_str));
        CallError::SignedOut { reason: format!("the service answered {status}: {said}") }
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

    /// Whether another key lies there than the one that was refused. After a restart the server is asked.
    pub(super) async fn has_another_key(&self) -> bool {
        let Some(refused) = *self.refused.lock().unwrap_or_else(PoisonError::into_inner) else {
            return self.models().await.is_ok();
        };
        fingerprint(self.read_key().await.as_ref().map_err(String::as_str)) != refused
    }

    fn refuse(&self, key: Result<&ApiKey, &str>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint(key));
    }
}

/// Takes the key out of an answer that is small enough to be shown: some servers say back what they refuse.
pub(super) fn without(answer: Answer, key: &ApiKey) -> Answer {
    match key {
        Some(key) => answers::redact_key(answer, key.expose_secret()),
        None => answer,
    }
}

/// Returns whether a server says by its code that the key is what it refuses.
pub(super) fn is_of_key(answer: &Answer) -> bool {
    wire::refusal(answer) == Some(wire::Refusal::Key)
}

fn told(error: &SecretFileError) -> String {
    text::one_line(&format!("the key's file {error}"), 500)
}

fn fingerprint(key: Result<&ApiKey, &str>) -> blake3::Hash {
    let (kind, text) = match key {
        Ok(Some(key)) => ("key", key.expose_secret()),
        Ok(None) => ("none", ""),
        Err(reason) => ("error", reason),
    };
    blake3::hash(format!("{kind}\0{text}").as_bytes())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_key_that_is_said_back_is_told_to_nobody() {
        let answer = |body: &[u8]| Answer {
            status: 401,
            date: None,
            retry_after: None,
            location: Some("https://x.example/sk-canary".into()),
            content_type: Some("text/sk-canary".into()),
            body: Bytes::copy_from_slice(body),
        };
        let key = Some(SecretString::from("sk-canary"));
        for body in [b"{\"error\":{\"message\":\"sk-canary is wrong\"}}".as_slice(), b"\xff sk-canary"] {
            let told = format!("{:?}", without(answer(body), &key));
            assert!(!told.contains("canary"), "{told}");
        }
    }
}
