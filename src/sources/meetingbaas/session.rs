//! One call: the key read from its file, the pace, and the meaning of an answer.

use std::time::Duration;

use serde_json::Value;

use super::MeetingBaas;
use crate::{
    config::SourceApi,
    http::{ANALYSES_BYTES_MAX, Answer, FetchError, Request},
    services::{CallError, FileFault, answers, pacer::Priority},
};

/// The header that proves who asks (`securitySchemes` of both documents).
pub(super) const KEY_HEADER: &str = "x-meeting-baas-api-key";

/// A wait that an answer asks for is at most this long, as in its header.
const RETRY_AFTER_MAX: u64 = 3_600;

impl MeetingBaas {
    /// Makes a call that changes nothing and returns the JSON of its answer. Whatever goes wrong, it may be made again.
    pub(super) async fn get_json(&self, request: Request<'_>) -> Result<Value, CallError> {
        self.send(request).await.and_then(|answer| self.read_payload(answer)).map_err(|error| {
            match error {
                CallError::Unavailable { message, after, suspect, .. } => {
                    CallError::Unavailable { message, after, uncertain: false, suspect }
                }
                CallError::Forbidden { message } => {
                    let message =
                        format!("{message}; a key of the kind \"Sending Access\" cannot read");
                    CallError::Forbidden { message }
                }
                CallError::SignedOut { .. } | CallError::Refused { .. } | CallError::File(_) => {
                    error
                }
            }
        })
    }

    /// As [`Self::get_json`], for what is always there: a list that is not is another server, or another version.
    pub(super) async fn get_list(&self, request: Request<'_>) -> Result<Value, CallError> {
        let answered = self.get_json(request).await;
        answered.map_err(|error| answers::blame_address(error, "base_url and api"))
    }

    /// Makes a call that changes something, once.
    pub(super) async fn post_once(&self, request: Request<'_>) -> Result<Value, CallError> {
        let answer = answers::check_status(self.send(request).await?)?;
        // Some of them answer with nothing, or with a word.
        if answer.body.iter().all(u8::is_ascii_whitespace) || answer.status == 202 {
            return Ok(answers::parse_json(&answer.body).unwrap_or(Value::Null));
        }
        self.read_payload(answer)
    }

    /// Fetches a transcript from where the vendor keeps it, without the key. `None` for one that is not there, or at an
    /// address that is not fetched.
    pub(super) async fn fetch_transcript(&self, address: &str) -> Result<Option<Value>, CallError> {
        let Some(url) = self.elsewhere.address(address) else { return Ok(None) };
        let answer = match self.elsewhere.get(&url, ANALYSES_BYTES_MAX).await {
            Ok(answer) => answer,
            Err(FetchError::Address(why)) => {
                tracing::debug!("a transcript is done without: {why}");
                return Ok(None);
            }
            Err(FetchError::Transport(error)) => return Err(error.into()),
        };
        match answers::check_status(answer) {
            // The audio is there all the same: what it says can be heard again.
            Ok(answer) => Ok(answers::parse_json(&answer.body).ok()),
            Err(CallError::Unavailable { message, after, suspect, .. }) => {
                Err(CallError::Unavailable { message, after, uncertain: false, suspect })
            }
            Err(
                CallError::SignedOut { .. }
                | CallError::Forbidden { .. }
                | CallError::Refused { .. },
            ) => Ok(None),
            Err(error @ CallError::File(_)) => Err(error),
        }
    }

    async fn send(&self, request: Request<'_>) -> Result<Answer, CallError> {
        Ok(with_retry_after_of_body(self.http.call(request, Priority::High).await?))
    }

    /// Returns what an answer holds: all of it in version 1, in version 2 an envelope that says itself whether it is one.
    fn read_payload(&self, answer: Answer) -> Result<Value, CallError> {
        let value = answers::read_json(answer)?;
        let failed = value.get("success").and_then(Value::as_bool) == Some(false);
        if self.api == SourceApi::V2 && failed {
            let said =
                answers::find_message(&value, 0).unwrap_or_else(|| "no reason given".to_owned());
            return Err(answers::unexpected_answer(&format!("success is false: {said}")));
        }
        Ok(value)
    }
}

/// Returns the error of an answer to a question that is not what was promised: nothing has happened.
pub(super) fn protocol_error(what: &str) -> CallError {
    CallError::service_alone(answers::unexpected_answer(what).to_string())
}

/// Returns the error of a recording whose file lies at an address that is not fetched: its own, for others have others.
pub(super) fn unusable_address() -> CallError {
    CallError::File(FileFault::Failed(
        "cannot be fetched: the vendor gives an address for it that cannot be used".to_owned(),
    ))
}

/// Takes the wait out of the body, where version 2 has it, besides or in place of the header.
fn with_retry_after_of_body(answer: Answer) -> Answer {
    if answer.is_success() || answer.retry_after.is_some() {
        return answer;
    }
    let body: Option<Value> = answers::parse_json(&answer.body).ok();
    let seconds = body.as_ref().and_then(|body| body.get("retryAfter")?.as_u64());
    Answer {
        retry_after: seconds.map(|seconds| Duration::from_secs(seconds.min(RETRY_AFTER_MAX))),
        ..answer
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, body: &str, retry_after: Option<u64>) -> Answer {
        Answer {
            status,
            date: None,
            retry_after: retry_after.map(Duration::from_secs),
            location: None,
            content_type: Some("sk-canary".into()),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn a_wait_is_read_from_the_header_else_from_the_body_and_is_no_longer_than_an_hour() {
        let wait = |body: &str, header| {
            with_retry_after_of_body(answer(429, body, header))
                .retry_after
                .map(|wait| wait.as_secs())
        };
        assert_eq!(wait(r#"{"retryAfter": 7}"#, None), Some(7));
        assert_eq!(wait(r#"{"retryAfter": 7}"#, Some(3)), Some(3));
        assert_eq!(wait(r#"{"retryAfter": 99999999}"#, None), Some(3600));
        for body in ["", "<html>", r#"{"retryAfter": "soon"}"#, r#"{"retryAfter": -1}"#] {
            assert_eq!(wait(body, None), None, "{body}");
        }
        assert_eq!(
            with_retry_after_of_body(answer(200, r#"{"retryAfter": 7}"#, None)).retry_after,
            None
        );
    }
}
