//! The mapping of answers to outcomes: the one place where a status becomes a [`CallError`].

use bytes::Bytes;
use serde_json::Value;

use super::{CallError, FileFault, bounded};
use crate::{
    http::{Answer, TransportError, UploadError},
    job::Suspect,
    text,
};

/// Characters of a service's message that are shown.
const MESSAGE_CHARS_MAX: usize = 200;

/// Fields that hold the message of an error, the more telling first.
const MESSAGE_FIELDS: [&str; 8] =
    ["detail", "message", "error_description", "error_message", "error", "errors", "title", "msg"];

/// The cure where a proxy ends the connection before the answer.
pub(crate) const TIME_LIMIT: &str = "most likely a proxy in front of it gives up before the work is done: raise its limit (nginx: proxy_read_timeout)";

/// Maps the error of a call that got no answer.
impl From<TransportError> for CallError {
    fn from(error: TransportError) -> Self {
        // A server that was not reached has not seen the recording.
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

/// Returns the answer when it is 2xx, else the error that its status stands for.
///
/// A 401 is the caller's to refresh; one that arrives here means that a person must sign in.
pub(crate) fn check_status(answer: Answer) -> Result<Answer, CallError> {
    if answer.is_success() {
        return Ok(answer);
    }
    let status = answer.status;
    let reason = error_message(&answer);
    // A rate limit, an overload or a wrong address is never the recording's fault, however often it
    // occurs.
    let (message, uncertain, suspect) = match status {
        300..=399 => {
            let to = answer.location.as_deref().unwrap_or("nowhere");
            let message = format!("redirect to `{to}` is not followed; check base_url");
            // 307 and 308 ask for the same call elsewhere; the others may point to a result.
            (message, !matches!(status, 307 | 308), Suspect::Service)
        }
        401 => {
            return Err(CallError::SignedOut {
                reason: format!("the service answered 401: {reason}"),
            });
        }
        403 => return Err(CallError::Forbidden { message: reason }),
        425 | 429 => (format!("the service is busy ({status}): {reason}"), false, Suspect::Service),
        408 => (format!("the service waited too long (408): {reason}"), true, Suspect::Service),
        // The answer of a proxy whose server is missing or overloaded; nginx also sends it for its
        // rate limit.
        503 => (format!("the service failed (503): {reason}"), true, Suspect::Service),
        400..=499 => return Err(CallError::Refused { status, message: reason }),
        504 => (format!("the service failed (504): {reason}; {TIME_LIMIT}"), true, Suspect::Either),
        _ => (format!("the service failed ({status}): {reason}"), true, Suspect::Either),
    };
    Err(CallError::Unavailable { message, after: answer.retry_after, uncertain, suspect })
}

/// Marks a failed call as not carried out. This holds for a server that keeps nothing, and for a
/// call that only reads.
pub(crate) fn mark_not_executed(error: CallError) -> CallError {
    match error {
        CallError::Unavailable { message, after, suspect, .. } => {
            CallError::Unavailable { message, after, uncertain: false, suspect }
        }
        CallError::SignedOut { .. }
        | CallError::Forbidden { .. }
        | CallError::Refused { .. }
        | CallError::File(_) => error,
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

/// Reads a long answer on a thread that may block, because parsing would hold up the threads of the
/// runtime.
pub(crate) async fn read_long<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, CallError> + Send + 'static,
) -> Result<T, CallError> {
    let reading = tokio::task::spawn_blocking(read).await;
    reading.unwrap_or_else(|_| Err(unexpected_answer("nothing that could be read")))
}

/// Turns the refusal of an upload into the fault of the recording. Some faults cannot be mended by
/// a retry.
pub(crate) fn blame_recording(error: CallError) -> CallError {
    match error {
        CallError::Refused { status: status @ 413, message } => {
            CallError::File(FileFault::Unfit(format!(
                "is larger than the service takes ({status}): {message}; split it, or choose another service"
            )))
        }
        CallError::Refused { status: status @ 415, message } => CallError::File(FileFault::Unfit(
            format!("is of a kind that the service does not take ({status}): {message}"),
        )),
        CallError::Refused { status, message } => CallError::File(FileFault::Failed(format!(
            "was refused by the service ({status}): {message}"
        ))),
        CallError::SignedOut { .. }
        | CallError::Forbidden { .. }
        | CallError::Unavailable { .. }
        | CallError::File(_) => error,
    }
}

/// Returns the JSON of a 2xx answer.
pub(crate) fn read_json(answer: Answer) -> Result<Value, CallError> {
    parse_answer(answer, bounded::parse_value)
}

/// Returns the JSON of a 2xx answer that holds a transcription, without the times of words.
pub(crate) fn read_transcription(answer: Answer) -> Result<Value, CallError> {
    parse_answer(answer, bounded::parse_transcription)
}

fn parse_answer(
    answer: Answer,
    reader: fn(&[u8]) -> serde_json::Result<Value>,
) -> Result<Value, CallError> {
    let answer = check_status(answer)?;
    // serde_json gives up below 128 levels, so that a megabyte of `[` costs nothing.
    reader(&answer.body).map_err(|error| {
        if error.is_data() {
            return unexpected_answer(&format!("{}: {error}", answer.status));
        }
        let kind = answer.content_type.as_deref().unwrap_or("no content type");
        unexpected_answer(&format!("{} is not JSON ({error}; {kind})", answer.status))
    })
}

/// Parses JSON of a server within the same bounds, for answers of any status.
pub(crate) fn parse_json(body: &[u8]) -> serde_json::Result<Value> {
    bounded::parse_value(body)
}

/// The replacement for a key that a server repeats.
const HIDDEN: &str = "[the key]";

/// Removes a key from an answer that is small enough to be shown, because some servers repeat the
/// key that they refuse.
pub(crate) fn redact_key(answer: Answer, key: &str) -> Answer {
    /// Bytes of the longest answer that is searched. A longer one is a transcription or notes, and
    /// is never shown.
    const SEARCHED_BYTES_MAX: usize = 1024 * 1024;
    let mut body = answer.body;
    if body.len() <= SEARCHED_BYTES_MAX && String::from_utf8_lossy(&body).contains(key) {
        body = Bytes::from(String::from_utf8_lossy(&body).replace(key, HIDDEN));
    }
    let location = answer.location.map(|text| text.replace(key, HIDDEN));
    let content_type = answer.content_type.map(|text| text.replace(key, HIDDEN));
    Answer { location, content_type, body, ..answer }
}

/// Returns the error of an answer in an unexpected form.
pub(crate) fn unexpected_answer(what: &str) -> CallError {
    let message = format!(
        "the service answered in an unexpected form: {}",
        text::printable_answer(what, MESSAGE_CHARS_MAX)
    );
    CallError::Unavailable { message, after: None, uncertain: true, suspect: Suspect::Either }
}

/// Returns the service's message, on one printable line.
pub(crate) fn error_message(answer: &Answer) -> String {
    let body = &answer.body[..answer.body.len().min(64 * 1024)];
    let found = bounded::parse_value(body).ok().and_then(|value| find_message(&value, 0));
    let shown = text::printable_answer(
        &found.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
        MESSAGE_CHARS_MAX,
    );
    if shown.is_empty() { "no reason given".into() } else { shown }
}

/// Finds the message in an error: a text, the first telling field of an object, the joined messages
/// of a list.
pub(crate) fn find_message(value: &Value, depth: u8) -> Option<String> {
    /// Levels that are searched: `{"error": {"errors": [{"message": …}]}}` has no more.
    const DEPTH_MAX: u8 = 5;
    if depth > DEPTH_MAX {
        return None;
    }
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Object(fields) => {
            MESSAGE_FIELDS.iter().find_map(|name| find_message(fields.get(*name)?, depth + 1))
        }
        Value::Array(items) => {
            let messages: Vec<_> =
                items.iter().take(5).filter_map(|item| find_message(item, depth + 1)).collect();
            (!messages.is_empty()).then(|| messages.join("; "))
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
            error_message(&answer(
                422,
                r#"{"detail":[{"loc":["a"],"msg":"too short"},{"msg":"no"}]}"#
            )),
            "too short; no"
        );
        assert_eq!(error_message(&answer(400, r#"{"error":{"code":7,"message":"bad"}}"#)), "bad");
        assert_eq!(error_message(&answer(502, "<h1>Bad\n gateway</h1>")), "Bad gateway");
        assert_eq!(error_message(&answer(500, "")), "no reason given");
        assert_eq!(
            error_message(&answer(500, &"x".repeat(100_000))).chars().count(),
            MESSAGE_CHARS_MAX
        );
    }

    #[test]
    fn a_megabyte_of_nesting_is_an_answer_that_was_not_promised() {
        let nested = "[".repeat(1_000_000);
        assert!(matches!(
            read_json(answer(200, &nested)),
            Err(CallError::Unavailable { uncertain: true, .. })
        ));
        assert_eq!(error_message(&answer(400, &nested)).chars().count(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn html_in_place_of_json_is_unavailable_and_says_so() {
        let error = read_json(answer(200, "<html>")).expect_err("not JSON");
        insta::assert_snapshot!(error, @"the service answered in an unexpected form: 200 is not JSON (expected value at line 1 column 1; text/html)");
    }
}
