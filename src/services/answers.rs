//! What an answer means for the caller: the one place where a status becomes a [`CallError`].

use bytes::Bytes;
use serde_json::Value;

use super::{CallError, FileFault, bounded};
use crate::{
    http::{Answer, TransportError, UploadError},
    job::Suspect,
    text,
};

/// How much of what a service says is shown, in characters.
const SAID_CHARS_MAX: usize = 200;

/// The fields in which services say what is wrong, the more telling first.
const MESSAGE_FIELDS: [&str; 8] =
    ["detail", "message", "error_description", "error_message", "error", "errors", "title", "msg"];

/// The cure of a proxy that does not wait for the answer.
pub(crate) const TIME_LIMIT: &str = "most likely a proxy before it waits for a shorter time than the work takes: raise its limit (nginx: proxy_read_timeout)";

/// Says of a call without an answer what the caller does next.
impl From<TransportError> for CallError {
    fn from(error: TransportError) -> Self {
        // A server that nobody reaches has not seen the recording.
        let suspect = if error.begun { Suspect::Either } else { Suspect::Service };
        Self::Unavailable { message: error.message, after: None, uncertain: error.sent, suspect }
    }
}

impl From<UploadError> for CallError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Transport(error) => error.into(),
            UploadError::Changed => Self::File(FileFault::Changed),
            UploadError::Unreadable(reason) => Self::File(FileFault::Unreadable(reason)),
        }
    }
}

/// Returns the answer when it is 2xx, else what its status means.
///
/// A 401 is the caller's to refresh; one that arrives here means that a person must sign in.
pub(crate) fn check_status(answer: Answer) -> Result<Answer, CallError> {
    let status = answer.status;
    let failed = |message: String, uncertain: bool, suspect: Suspect| {
        Err(CallError::Unavailable { message, after: answer.retry_after, uncertain, suspect })
    };
    // A rate limit, an overload and a wrong address are never a recording's doing, however often one of them meets it.
    let unavailable = |message: String, uncertain: bool| failed(message, uncertain, Suspect::Service);
    match status {
        200..=299 => Ok(answer),
        300..=399 => {
            let to = answer.location.as_deref().unwrap_or("nowhere");
            // 307 and 308 ask for the same call elsewhere; the others may point to a result.
            unavailable(format!("redirect to `{to}` is not followed; check base_url"), !matches!(status, 307 | 308))
        }
        401 => Err(CallError::SignedOut { reason: format!("the service answered 401: {}", error_message(&answer)) }),
        403 => Err(CallError::Forbidden { message: error_message(&answer) }),
        425 | 429 => unavailable(format!("the service is busy ({status}): {}", error_message(&answer)), false),
        408 => unavailable(format!("the service waited too long (408): {}", error_message(&answer)), true),
        // What a proxy says of a server that is not there or has too much to do; nginx says so of its rate limit.
        503 => unavailable(format!("the service failed (503): {}", error_message(&answer)), true),
        400..=499 => Err(CallError::Refused { status, message: error_message(&answer) }),
        504 => {
            let message = format!("the service failed (504): {}; {TIME_LIMIT}", error_message(&answer));
            failed(message, true, Suspect::Either)
        }
        _ => failed(format!("the service failed ({status}): {}", error_message(&answer)), true, Suspect::Either),
    }
}

/// Says of a call's failure that asking again makes nothing twice: of a server that keeps nothing, or is asked for what
/// it keeps.
pub(crate) fn mark_not_executed(error: CallError) -> CallError {
    match error {
        CallError::Unavailable { message, after, suspect, .. } => {
            CallError::Unavailable { message, after, uncertain: false, suspect }
        }
        CallError::SignedOut { .. } | CallError::Forbidden { .. } | CallError::Refused { .. } | CallError::File(_) => {
            error
        }
    }
}

/// Turns the refusal of a whole call, which speaks of no recording, into the failure of a service
/// that is set up wrongly. `settings` are the keys of the config that lead to the call.
pub(crate) fn blame_address(error: CallError, settings: &str) -> CallError {
    match error {
        CallError::Refused { status: status @ (404 | 405), message } => {
            let message = format!("the service answered {status}: {message}; check {settings}");
            CallError::service_alone(message)
        }
        CallError::SignedOut { .. }
        | CallError::Forbidden { .. }
        | CallError::Refused { .. }
        | CallError::Unavailable { .. }
        | CallError::File(_) => error,
    }
}

/// Reads a long answer on a thread that may block: the threads of the runtime have others to serve.
pub(crate) async fn read_long<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, CallError> + Send + 'static,
) -> Result<T, CallError> {
    let reading = tokio::task::spawn_blocking(read).await;
    reading.unwrap_or_else(|_| Err(unexpected("nothing that could be read")))
}

/// Says what a server has against a recording: for some of it no retry helps.
pub(crate) fn of_recording(error: CallError) -> CallError {
    match error {
        CallError::Refused { status: status @ 413, message } => CallError::File(FileFault::Unfit(format!(
            "is larger than the service takes ({status}): {message}; split it, or choose another service"
        ))),
        CallError::Refused { status: status @ 415, message } => CallError::File(FileFault::Unfit(format!(
            "is of a kind that the service does not take ({status}): {message}"
        ))),
        CallError::Refused { status, message } => {
            CallError::File(FileFault::Failed(format!("was refused by the service ({status}): {message}")))
        }
        CallError::SignedOut { .. }
        | CallError::Forbidden { .. }
        | CallError::Unavailable { .. }
        | CallError::File(_) => error,
    }
}

/// Returns the JSON of a 2xx answer.
pub(crate) fn json(answer: Answer) -> Result<Value, CallError> {
    read(answer, bounded::value)
}

/// Returns the JSON of a 2xx answer that holds a transcription, without the times of words.
pub(crate) fn transcription(answer: Answer) -> Result<Value, CallError> {
    read(answer, bounded::transcription)
}

fn read(answer: Answer, reader: fn(&[u8]) -> serde_json::Result<Value>) -> Result<Value, CallError> {
    let answer = check_status(answer)?;
    // serde_json gives up below 128 levels, so that a megabyte of `[` costs nothing.
    reader(&answer.body).map_err(|error| {
        if error.is_data() {
            return unexpected(&format!("{}: {error}", answer.status));
        }
        let kind = answer.content_type.as_deref().unwrap_or("no content type");
        unexpected(&format!("{} is not JSON ({error}; {kind})", answer.status))
    })
}

/// Reads JSON from a server under the same bound, whatever the status of the answer.
pub(crate) fn value(body: &[u8]) -> serde_json::Result<Value> {
    bounded::value(body)
}

/// What stands in place of a key that a server says back.
const HIDDEN: &str = "[the key]";

/// Takes a key out of an answer that is small enough to be shown: some servers say back what they refuse.
pub(crate) fn redact_key(answer: Answer, key: &str) -> Answer {
    /// What is longer is a transcription or notes, of which nothing is told.
    const TOLD_BYTES_MAX: usize = 1024 * 1024;
    let hidden = |text: String| if text.contains(key) { text.replace(key, HIDDEN) } else { text };
    let body = if answer.body.len() > TOLD_BYTES_MAX || !String::from_utf8_lossy(&answer.body).contains(key) {
        answer.body
    } else {
        Bytes::from(hidden(String::from_utf8_lossy(&answer.body).into_owned()))
    };
    let (location, content_type) = (answer.location.map(hidden), answer.content_type.map(hidden));
    Answer { location, content_type, body, ..answer }
}

/// Returns the error of an answer that is not what was promised.
pub(crate) fn unexpected(what: &str) -> CallError {
    let message = format!("the service answered something else than promised: {}", text::told(what, SAID_CHARS_MAX));
    CallError::Unavailable { message, after: None, uncertain: true, suspect: Suspect::Either }
}

/// Returns what the service says, on one printable line.
pub(crate) fn error_message(answer: &Answer) -> String {
    let body = &answer.body[..answer.body.len().min(64 * 1024)];
    let found = bounded::value(body).ok().and_then(|value| message(&value, 0));
    let shown = text::told(&found.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()), SAID_CHARS_MAX);
    if shown.is_empty() { "no reason given".into() } else { shown }
}

/// Looks for a message: a text, the first telling field of an object, the messages of a list joined.
pub(crate) fn message(value: &Value, depth: u8) -> Option<String> {
    /// A message lies no deeper: `{"error": {"errors": [{"message": …}]}}`.
    const DEPTH_MAX: u8 = 5;
    if depth > DEPTH_MAX {
        return None;
    }
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Object(fields) => MESSAGE_FIELDS.iter().find_map(|name| message(fields.get(*name)?, depth + 1)),
        Value::Array(items) => {
            let said: Vec<_> = items.iter().take(5).filter_map(|item| message(item, depth + 1)).collect();
            (!said.is_empty()).then(|| said.join("; "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            date: None,
            retry_after: None,
            location: None,
            content_type: Some("text/html".into()),
            body: Bytes::from(body.to_owned()),
        }
    }

    fn uncertain(status: u16) -> Option<bool> {
        match check_status(answer(status, "")) {
            Err(CallError::Unavailable { uncertain, .. }) => Some(uncertain),
            Ok(_) | Err(_) => None,
        }
    }

    #[test]
    fn a_status_says_whose_fault_it_is_and_whether_it_may_have_happened() {
        for status in [408, 500, 502, 503, 504, 520, 302, 303] {
            assert_eq!(uncertain(status), Some(true), "{status}");
        }
        for status in [425, 429, 307, 308] {
            assert_eq!(uncertain(status), Some(false), "{status}");
        }
        for status in [400, 404, 405, 409, 410, 413, 415, 422] {
            assert!(
                matches!(check_status(answer(status, "")), Err(CallError::Refused { status: s, .. }) if s == status)
            );
        }
        assert!(matches!(check_status(answer(403, "")), Err(CallError::Forbidden { .. })));
        assert!(check_status(answer(204, "")).is_ok());
    }

    #[test]
    fn what_the_service_says_is_found_and_made_printable() {
        assert_eq!(
            error_message(&answer(400, r#"{"detail":"attendees\u001b[31m\nmissing"}"#)),
            "attendees\\u{1b}[31m missing"
        );
        assert_eq!(
            error_message(&answer(422, r#"{"detail":[{"loc":["a"],"msg":"too short"},{"msg":"no"}]}"#)),
            "too short; no"
        );
        assert_eq!(error_message(&answer(400, r#"{"error":{"code":7,"message":"bad"}}"#)), "bad");
        assert_eq!(error_message(&answer(502, "<h1>Bad\n gateway</h1>")), "Bad gateway");
        assert_eq!(error_message(&answer(500, "")), "no reason given");
        assert_eq!(error_message(&answer(500, &"x".repeat(100_000))).chars().count(), SAID_CHARS_MAX);
    }

    #[test]
    fn a_megabyte_of_nesting_is_an_answer_that_was_not_promised() {
        let nested = "[".repeat(1_000_000);
        assert!(matches!(json(answer(200, &nested)), Err(CallError::Unavailable { uncertain: true, .. })));
        assert_eq!(error_message(&answer(400, &nested)).chars().count(), SAID_CHARS_MAX);
    }

    #[test]
    fn html_in_place_of_json_is_unavailable_and_says_so() {
        let error = json(answer(200, "<html>")).expect_err("not JSON");
        insta::assert_snapshot!(error, @"the service answered something else than promised: 200 is not JSON (expected value at line 1 column 1; text/html)");
    }
}
