//! Notifications as Standard Webhooks 1.0 has them.

use std::time::Duration;

use super::{
    address::{read_address, read_signing_keys},
    message::Message,
    send::SendError,
    signature::sign_with_all,
};
use crate::{
    clock,
    config::WebhookTarget,
    http::{Answer, Hook, HookCall},
    text::printable_answer,
};

/// The time that a receiver may take (Standard Webhooks: 15 to 30 s).
const LIMIT: Duration = Duration::from_secs(30);

/// Characters of a receiver's answer that are kept.
const SAID_CHARS_MAX: usize = 200;

/// Posts a message once.
pub(super) async fn send_webhook(
    target: &WebhookTarget,
    message: &Message,
) -> Result<String, SendError> {
    let hook = Hook::new(read_address(&target.address)?, LIMIT)?;
    let keys = read_signing_keys(target)?;
    let body = message.to_json().into_bytes();
    let seconds = clock::now().as_second();
    let mut headers =
        vec![("webhook-id", message.id.clone()), ("webhook-timestamp", seconds.to_string())];
    if !keys.is_empty() {
        headers.push(("webhook-signature", sign_with_all(&keys, &message.id, seconds, &body)));
    }
    let call = HookCall { content_type: "application/json", headers, body };
    let origin = hook.origin();
    judge_answer(&origin, &hook.post(call).await?)
}

/// Judges an answer: 2xx alone is success.
pub(super) fn judge_answer(origin: &str, answer: &Answer) -> Result<String, SendError> {
    let status = answer.status;
    if answer.is_success() {
        return Ok(format!("`{origin}` took it ({status})"));
    }
    if status == 410 {
        return Err(SendError::Gone(format!("`{origin}` wants no more notifications (410)")));
    }
    let said = printable_answer(&String::from_utf8_lossy(&answer.body), SAID_CHARS_MAX);
    let why = match status {
        300..400 => "; redirects are not followed".to_owned(),
        _any if said.is_empty() => String::new(),
        _any => format!(": {said}"),
    };
    Err(SendError::Refused {
        error: format!("`{origin}` answered {status}{why}"),
        pause: super::schedule::pause_after(status, answer.retry_after),
    })
}
