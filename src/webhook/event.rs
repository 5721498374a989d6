//! The content of a call: the id of a recording, and nothing else.

use serde::Deserialize;

/// The consequence of a call for its source.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WebhookEvent {
    /// Look, above all at this recording; the id may be empty.
    Look(String),
    /// No new recording can be available because of it.
    Nothing,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WebhookBody {
    event: LenientText,
    data: WebhookData,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WebhookData {
    bot_id: LenientText,
}

/// A text where there is one; whatever else stands there is none.
#[derive(Deserialize, Default)]
#[serde(from = "serde_json::Value")]
struct LenientText(String);

impl From<serde_json::Value> for LenientText {
    fn from(value: serde_json::Value) -> Self {
        Self(value.as_str().unwrap_or_default().to_owned())
    }
}

/// Reads the body of a call that has proved itself. Whatever cannot be read has the source look all the same: the vendor
/// did call.
///
/// An assumption: all events have the shape `{"event", "data": {"bot_id"}}` of the vendor's documents. Were the id
/// elsewhere, a call would still have the source read its list.
pub(super) fn parse_event(body: &[u8]) -> WebhookEvent {
    let body: WebhookBody = serde_json::from_slice(body).unwrap_or_default();
    // A bot that joins or waits tells so again and again; what ends has an event of its own.
    if body.event.0.ends_with("status_change") {
        return WebhookEvent::Nothing;
    }
    WebhookEvent::Look(body.data.bot_id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_call_the_id_alone_is_read_whatever_else_it_says() {
        let look = |id: &str| WebhookEvent::Look(id.into());
        for (body, expected) in [
            (
                r#"{"event":"complete","data":{"bot_id":"b-1","mp4":"https://evil.example","speakers":["x"]}}"#,
                look("b-1"),
            ),
            (r#"{"event":"bot.completed","data":{"bot_id":"b-1"},"extra":null}"#, look("b-1")),
            (r#"{"event":"failed","data":{"bot_id":"b-1","error":"x"}}"#, look("b-1")),
            (r#"{"event":"calendar.sync_events","data":{"calendar_id":"c"}}"#, look("")),
            (r#"{"event":"bot.status_change","data":{"bot_id":"b-1"}}"#, WebhookEvent::Nothing),
            (r#"{"event":7,"data":{"bot_id":["b-1"]}}"#, look("")),
            (r#"{"data":null}"#, look("")),
            (r#"{"data":{"bot_id":"a","bot_id":"b"}}"#, look("")),
            ("[]", look("")),
            ("", look("")),
            ("\u{0}garbage", look("")),
        ] {
            assert_eq!(parse_event(body.as_bytes()), expected, "{body}");
        }
        assert_eq!(parse_event("[".repeat(1 << 20).as_bytes()), look(""));
    }
}
