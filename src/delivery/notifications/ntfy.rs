//! Notifications as messages of ntfy: JSON to the root of the server (ntfy's `docs/publish.md`, "Publish as JSON").

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    address::{read_secret_file, read_topic},
    send::SendError,
    webhook::judge_answer,
    wording::EventWording,
};
use crate::{
    config::NtfyTarget,
    http::{Hook, HookCall},
};

/// The time that a server may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Publishes a message once.
pub(super) async fn send_ntfy(
    target: &NtfyTarget,
    wording: &EventWording,
    link: Option<&str>,
) -> Result<String, SendError> {
    let topic = read_topic(&target.topic)?;
    let mut headers = Vec::new();
    if let Some(file) = &target.token_file {
        let token = read_secret_file(file)?;
        headers.push(("authorization", format!("Bearer {}", token.expose_secret().trim())));
    }
    let mut body = json!({
        "topic": topic,
        "title": wording.title,
        "message": wording.line,
        "tags": [wording.tag],
        "priority": wording.priority,
    });
    if let Some(link) = link {
        body["click"] = json!(link);
    }
    let hook = Hook::new(target.server.clone(), LIMIT)?;
    let call =
        HookCall { content_type: "application/json", headers, body: body.to_string().into_bytes() };
    let origin = hook.origin();
    match judge_answer(&origin, &hook.post(call).await?) {
        // For ntfy 410 says nothing of the topic.
        Err(SendError::Gone(error)) => Err(SendError::Refused { error, pause: None }),
        judged => judged,
    }
}
