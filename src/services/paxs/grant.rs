//! Answers of the token endpoint: a pair of tokens, a refusal, or neither.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

use super::tokens::{TokenError, TokenPair};
use crate::{
    http::Answer,
    job::Suspect,
    services::{CallError, answers},
};

/// The token endpoint.
pub(super) const TOKEN: [&str; 4] = ["api", "oauth", "provider", "token"];

/// Lifetime of an access token that names none: an hour, by the documents.
const LIFE: Duration = Duration::from_secs(3600);

/// Longest lifetime of an access token that is believed: that of its refresh token.
const LIFE_MAX: Duration = super::tokens::REFRESH_LIFETIME;

/// The reason why there is no new pair of tokens. The call that needed it was not made, or was
/// answered with 401.
#[derive(Debug, Clone)]
pub(super) enum RefreshFailure {
    /// The service refuses: a person must sign in.
    SignedOut(String),
    /// The service could not be asked.
    Unavailable {
        /// The cause.
        message: String,
        /// The pause that the service asked for.
        after: Option<Duration>,
    },
}

impl RefreshFailure {
    pub(super) fn from_message(message: String) -> Self {
        Self::Unavailable { message, after: None }
    }
}

impl From<RefreshFailure> for CallError {
    fn from(failure: RefreshFailure) -> Self {
        match failure {
            RefreshFailure::SignedOut(reason) => Self::SignedOut { reason },
            // The caller's own request was certainly not carried out.
            RefreshFailure::Unavailable { message, after } => {
                Self::Unavailable { message, after, uncertain: false, suspect: Suspect::Service }
            }
        }
    }
}

impl From<CallError> for RefreshFailure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::SignedOut { reason } => Self::SignedOut(reason),
            CallError::Unavailable { message, after, .. } => Self::Unavailable { message, after },
            refused @ (CallError::Forbidden { .. }
            | CallError::Refused { .. }
            | CallError::File(_)) => Self::SignedOut(refused.to_string()),
        }
    }
}

impl From<TokenError> for RefreshFailure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Exposed { .. }
            | TokenError::OpenDirectory { .. }
            | TokenError::Broken { .. } => Self::SignedOut(error.to_string()),
            TokenError::Io { .. } | TokenError::Busy | TokenError::Interrupted => {
                Self::from_message(error.to_string())
            }
        }
    }
}

/// Reads the answer to a grant. `before` is the pair that was refreshed; `secrets` were sent and
/// must not be shown, even when the service repeats them.
pub(super) fn read_grant(
    answer: Answer,
    now: Timestamp,
    before: Option<&TokenPair>,
    secrets: &[&str],
) -> Result<TokenPair, RefreshFailure> {
    let answer =
        answers::read_json(answer).map_err(|error| redact_secrets(error.into(), secrets))?;
    parse_pair(&answer, now, before)
        .ok_or_else(|| answers::unexpected_answer("a sign-in without an access token").into())
}

/// Returns the failure without the secrets.
fn redact_secrets(failure: RefreshFailure, secrets: &[&str]) -> RefreshFailure {
    let clean = |text: String| {
        // A message is cut at 200 characters: a secret that begins before the cut and ends after it
        // must not show.
        secrets.iter().filter(|secret| !secret.is_empty()).fold(text, |text, secret| {
            let begin: String = secret.chars().take(16).collect();
            match text.find(&begin) {
                Some(at) => format!("{}[…]", &text[..at]),
                None => text,
            }
        })
    };
    match failure {
        RefreshFailure::SignedOut(reason) => RefreshFailure::SignedOut(clean(reason)),
        RefreshFailure::Unavailable { message, after } => {
            RefreshFailure::Unavailable { message: clean(message), after }
        }
    }
}

fn parse_pair(answer: &Value, now: Timestamp, before: Option<&TokenPair>) -> Option<TokenPair> {
    let fields =
        answer.get("data").filter(|_| answer.get("access_token").is_none()).unwrap_or(answer);
    let secret = |name: &str| {
        let text = fields.get(name)?.as_str().filter(|text| !text.is_empty())?;
        Some(SecretString::from(text.to_owned()))
    };
    let life = fields.get("expires_in").and_then(parse_seconds).unwrap_or(LIFE).min(LIFE_MAX);
    Some(TokenPair {
        access: secret("access_token")?,
        // A service that does not rotate tokens sends none: the old one stays valid.
        refresh: secret("refresh_token").or_else(|| before.map(|pair| pair.refresh.clone()))?,
        since: before.map_or(now, |pair| pair.since),
        obtained: now,
        expires: now.saturating_add(life).unwrap_or(Timestamp::MAX),
    })
}

fn parse_seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(seconds).ok().filter(|life| !life.is_zero())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("in range")
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            date: None,
            retry_after: None,
            location: None,
            content_type: None,
            body: Bytes::from(body.to_owned()),
        }
    }

    #[test]
    fn a_life_that_makes_no_sense_is_an_hour() {
        for expires_in in [json!(0), json!(-1), json!("soon"), json!(null)] {
            let pair = parse_pair(
                &json!({"access_token": "a", "refresh_token": "r", "expires_in": expires_in}),
                now(),
                None,
            );
            assert_eq!(pair.map(|pair| pair.expires.as_second()), Some(1_800_003_600));
        }
        let pair = parse_pair(
            &json!({"access_token": "a", "refresh_token": "r", "expires_in": 1e300}),
            now(),
            None,
        );
        assert!(pair.is_some());
    }

    #[test]
    fn a_refusal_shows_what_the_service_said_but_no_secret() {
        let secret = "rt-0123456789abcdef-and-more";
        let body = format!(r#"{{"detail":"token {secret} is\u001b dead"}}"#);
        let Err(RefreshFailure::SignedOut(reason)) =
            read_grant(answer(400, &body), now(), None, &[secret])
        else {
            panic!("not refused");
        };
        insta::assert_snapshot!(reason, @"the service refused it (400): token […]");
    }

    #[test]
    fn only_a_refusal_ends_a_sign_in() {
        for status in [400, 401, 403, 404, 422] {
            assert!(
                matches!(
                    read_grant(answer(status, "{}"), now(), None, &[]),
                    Err(RefreshFailure::SignedOut(_))
                ),
                "{status}"
            );
        }
        for (status, body) in
            [(200, "<html>"), (200, "{}"), (302, ""), (408, ""), (425, ""), (429, ""), (500, "")]
        {
            let result = read_grant(answer(status, body), now(), None, &[]);
            assert!(matches!(result, Err(RefreshFailure::Unavailable { .. })), "{status}");
        }
    }
}
