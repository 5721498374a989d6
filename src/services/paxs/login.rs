//! Signing in. Both flows end in a [`Grant`], a code that is exchanged once for the first pair of
//! tokens.
//!
//! minuted shows a link and never opens a browser. `state` guards the code: 256 bits from the OS,
//! shown in the link alone.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{session::PaxsSession, tokens::TokenError};
use crate::{
    http::Request,
    services::{CallError, answers, pacer::Priority},
    text,
};

/// PAXS's documents: poll every 3 s …
const POLL_EVERY: Duration = Duration::from_secs(3);

/// … for at most 5 min. The callback flow waits as long.
pub(super) const PATIENCE: Duration = Duration::from_secs(5 * 60);

const AUTHORIZE: [&str; 4] = ["api", "oauth", "provider", "authorize"];
const POLL: [&str; 4] = ["api", "oauth", "provider", "poll"];
const AGENT_CALLBACK: [&str; 4] = ["api", "oauth", "provider", "agent-callback"];

/// The error of a sign-in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// The service or the person refused.
    #[error("the sign-in was refused: {message}")]
    Refused {
        /// The reason.
        message: String,
    },
    /// The link was not used in time.
    #[error("nobody signed in within {} min{}", PATIENCE.as_secs() / 60, last.as_ref().map(|last| format!(" (last: {last})")).unwrap_or_default())]
    TimedOut {
        /// The last error while waiting, if there was one.
        last: Option<String>,
    },
    /// The service is unreachable or broken.
    #[error("{message}")]
    Unavailable {
        /// The cause.
        message: String,
    },
    /// The loopback listener cannot be opened.
    #[error("failed to listen on 127.0.0.1:{port}: {source}")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// The cause.
        source: std::io::Error,
    },
    /// The tokens cannot be saved.
    #[error(transparent)]
    Save(#[from] TokenError),
}

/// A code and the address it was made for. It is exchanged for tokens once, within minutes.
pub(crate) struct Grant {
    pub(super) code: SecretString,
    pub(super) redirect_uri: String,
}

impl Grant {
    /// Returns the grant of a code that was received elsewhere, for the address it was made for.
    #[must_use]
    pub(crate) fn new(code: SecretString, redirect_uri: String) -> Self {
        Self { code, redirect_uri }
    }

    /// Returns the code and the address, to be handed to the process that keeps the tokens.
    #[must_use]
    pub(crate) fn into_parts(self) -> (String, String) {
        (self.code.expose_secret().to_owned(), self.redirect_uri)
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// The agent flow: a link for any browser anywhere, and polling.
#[derive(Debug)]
pub(crate) struct AgentLogin {
    session: PaxsSession,
    state: SecretString,
    link: Url,
    redirect_uri: String,
    every: Duration,
}

impl AgentLogin {
    pub(super) fn new(session: PaxsSession) -> Result<Self, LoginError> {
        let state = random_state()?;
        let query =
            [("response_type", "code"), ("state", state.expose_secret()), ("flow", "agent")];
        let link = session.http_client().url(&AUTHORIZE, &query).map_err(CallError::from)?;
        let redirect_uri =
            session.http_client().url(&AGENT_CALLBACK, &[]).map_err(CallError::from)?.to_string();
        Ok(Self { session, state, link, redirect_uri, every: POLL_EVERY })
    }

    /// Sets another interval than that of the documents.
    #[cfg(test)]
    pub(super) fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Returns the link to show. The person who opens it signs in for this minuted.
    #[must_use]
    pub(crate) fn link(&self) -> &Url {
        &self.link
    }

    /// Polls until someone has signed in, at most 5 min. A passing failure is polled again; `tell` is called once, as
    /// soon as the service cannot be reached.
    ///
    /// # Errors
    /// When the service refuses or nobody signs in.
    pub(crate) async fn wait_for_grant(&self, tell: impl Fn(&str)) -> Result<Grant, LoginError> {
        let limit = Instant::now() + PATIENCE;
        let mut is_told = false;
        loop {
            let last = match self.poll().await {
                Ok(Some(code)) => {
                    return Ok(Grant { code, redirect_uri: self.redirect_uri.clone() });
                }
                Ok(None) => None,
                Err(LoginError::Unavailable { message }) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tell(&message);
                    }
                    Some(message)
                }
                Err(
                    error @ (LoginError::Refused { .. }
                    | LoginError::TimedOut { .. }
                    | LoginError::Listen { .. }
                    | LoginError::Save(_)),
                ) => return Err(error),
            };
            if Instant::now() + self.every > limit {
                return Err(LoginError::TimedOut { last });
            }
            tokio::time::sleep(self.every).await;
        }
    }

    async fn poll(&self) -> Result<Option<SecretString>, LoginError> {
        self.session.wait_for_slot(Priority::High).await;
        let request = Request::get(&POLL).query("state", self.state.expose_secret());
        let answer = self.session.http_client().send(&request).await.map_err(CallError::from)?;
        read_poll(&answers::read_json(answer)?)
    }
}

/// Reads the answer to a poll: the code, or `None` while there is none.
fn read_poll(answer: &Value) -> Result<Option<SecretString>, LoginError> {
    let code = answer.get("code").and_then(Value::as_str).filter(|code| !code.is_empty());
    let status = answer.get("status").and_then(Value::as_str).map(str::to_ascii_lowercase);
    match (status.as_deref(), code) {
        (Some("complete" | "completed"), Some(code)) => Ok(Some(code.to_owned().into())),
        (Some("pending"), _) => Ok(None),
        (Some(word), _) => {
            let message = answers::find_message(answer, 0)
                .map(|message| format!(": {message}"))
                .unwrap_or_default();
            Err(LoginError::Refused { message: text::one_line(&format!("{word}{message}"), 200) })
        }
        (None, _) => Err(answers::unexpected_answer("a poll without a status").into()),
    }
}

impl From<CallError> for LoginError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unavailable { message, .. } => Self::Unavailable { message },
            CallError::SignedOut { reason } => Self::Refused { message: reason },
            refused @ (CallError::Forbidden { .. }
            | CallError::Refused { .. }
            | CallError::File(_)) => Self::Refused { message: refused.to_string() },
        }
    }
}

/// Returns the link of the callback flow.
pub(super) fn callback_link(
    session: &PaxsSession,
    state: &SecretString,
    redirect_uri: &str,
) -> Result<Url, LoginError> {
    let query = [
        ("response_type", "code"),
        ("state", state.expose_secret()),
        ("redirect_uri", redirect_uri),
    ];
    Ok(session.http_client().url(&AUTHORIZE, &query).map_err(CallError::from)?)
}

/// Returns 256 random bits in hex.
pub(super) fn random_state() -> Result<SecretString, LoginError> {
    let mut bits = [0_u8; 32];
    getrandom::fill(&mut bits).map_err(|error| LoginError::Unavailable {
        message: format!("the system has no random numbers: {error}"),
    })?;
    let [high, low] = [&bits[..16], &bits[16..]]
        .map(|half| half.iter().fold(0_u128, |all, byte| all << 8 | u128::from(*byte)));
    Ok(format!("{high:032x}{low:032x}").into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_poll_is_pending_complete_or_refused() {
        assert!(matches!(read_poll(&json!({"status": "pending"})), Ok(None)));
        let code =
            read_poll(&json!({"status": "complete", "code": "c"})).expect("read").expect("there");
        assert_eq!(code.expose_secret(), "c");
        let error =
            read_poll(&json!({"status": "denied", "detail": "by\nAnn"})).expect_err("refused");
        insta::assert_snapshot!(error, @"the sign-in was refused: denied: by Ann");
        assert!(matches!(read_poll(&json!({"code": "c"})), Err(LoginError::Unavailable { .. })));
        assert!(matches!(read_poll(&json!([])), Err(LoginError::Unavailable { .. })));
    }

    #[test]
    fn a_state_is_long_and_never_the_same() {
        let (one, other) = (random_state().expect("random"), random_state().expect("random"));
        assert_eq!(one.expose_secret().len(), 64);
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert!(!format!("{one:?}").contains(one.expose_secret()));
    }
}
