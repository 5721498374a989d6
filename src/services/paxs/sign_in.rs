//! The sign-in as the rest of minuted uses it: its state, the two flows, and keeping it alive.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    PaxsService, TokenError,
    callback::CallbackLogin,
    grant::{self, RefreshFailure},
    login::{AgentLogin, Grant, LoginError},
    tokens::{REFRESH_LIFETIME, TokenPair},
};
use crate::{
    clock,
    http::Request,
    services::{CallError, NotesService as _, answers},
};

/// Time since the end of an access token after which the daemon counts as idle.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// The state of the sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignIn {
    /// Someone is signed in.
    Yes {
        /// The time of the sign-in.
        since: Timestamp,
        /// The end of the sign-in, unless it is refreshed before.
        refresh_expires: Timestamp,
    },
    /// A person must run `minuted login`.
    No {
        /// The reason.
        reason: String,
    },
}

/// The outcome of [`PaxsService::keep_fresh`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// The sign-in is in order.
    Fine {
        /// Days until the sign-in would end by itself.
        days_left: i64,
    },
    /// A due refresh failed: a warning.
    Failing {
        /// Days until the sign-in ends.
        days_left: i64,
        /// The cause.
        message: String,
    },
    /// There is no sign-in.
    SignedOut {
        /// The reason.
        reason: String,
    },
}

impl PaxsService {
    /// Returns the state of the sign-in, without a call.
    #[must_use]
    pub(crate) fn signed_in(&self) -> SignIn {
        match self.session.known_pair() {
            Ok(pair) => SignIn::Yes { since: pair.since, refresh_expires: pair.refresh_expires() },
            Err(reason) => SignIn::No { reason },
        }
    }

    /// Keeps the sign-in of an idle daemon alive; called about once an hour. Refreshes when the
    /// refresh token is older than a quarter of its 30 days, or the access token was not used for a
    /// day.
    pub(crate) async fn keep_fresh(&self, now: Timestamp) -> Freshness {
        let pair = match self.session.current_pair().await {
            Ok(pair) => pair,
            Err(CallError::SignedOut { reason }) => return Freshness::SignedOut { reason },
            Err(error) => return Freshness::Failing { days_left: 0, message: error.to_string() },
        };
        // A doubted sign-in recovers by a successful call.
        if let SignIn::No { reason } = self.signed_in()
            && self.read_profile().await.is_err()
        {
            return Freshness::SignedOut { reason };
        }
        if !is_due(&pair, now) {
            return Freshness::Fine { days_left: days_left(&pair, now) };
        }
        match self.session.refresh_pair(&pair).await {
            Ok(pair) => Freshness::Fine { days_left: days_left(&pair, now) },
            Err(RefreshFailure::SignedOut(reason)) => Freshness::SignedOut { reason },
            Err(RefreshFailure::Unavailable { message, .. }) => {
                Freshness::Failing { days_left: days_left(&pair, now), message }
            }
        }
    }

    /// Checks that the service can be reached, with or without a sign-in.
    ///
    /// # Errors
    /// When it does not answer, or answers that it is out of order.
    pub(crate) async fn check_reachable(&self) -> Result<(), CallError> {
        let answer = self.session.http_client().send(&Request::get(&[])).await?;
        if answer.status >= 500 { answers::read_json(answer).map(drop) } else { Ok(()) }
    }

    /// Begins the agent flow: show the link, wait for the grant, then
    /// [`PaxsService::exchange_grant`].
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(crate) fn agent_login(&self) -> Result<AgentLogin, LoginError> {
        AgentLogin::new(self.session.clone())
    }

    /// Begins the callback flow on 127.0.0.1; port 0 chooses a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub(crate) async fn callback_login(&self, port: u16) -> Result<CallbackLogin, LoginError> {
        CallbackLogin::listen_on(&self.session, port).await
    }

    /// Exchanges a code for tokens, saves them durably and uses them from now on.
    ///
    /// # Errors
    /// When the service refuses the code, cannot be reached, or the tokens cannot be saved.
    pub(crate) async fn exchange_grant(&self, grant: &Grant) -> Result<(), LoginError> {
        let code = grant.code.expose_secret();
        let body = json!({
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": grant.redirect_uri,
        });
        let answer = self.session.ask_for_tokens(&body).await?;
        let pair =
            grant::read_grant(answer, clock::now(), None, &[code]).map_err(CallError::from)?;
        Ok(self.session.sign_in(pair).await?)
    }

    /// Removes the sign-in; returns whether there was one.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(crate) async fn sign_out(&self) -> Result<bool, TokenError> {
        self.session.sign_out().await
    }
}

fn is_due(pair: &TokenPair, now: Timestamp) -> bool {
    let age = now.duration_since(pair.obtained);
    let unused = now.duration_since(pair.expires);
    Duration::try_from(age).is_ok_and(|age| age >= REFRESH_LIFETIME / 4)
        || Duration::try_from(unused).is_ok_and(|unused| unused >= IDLE)
}

fn days_left(pair: &TokenPair, now: Timestamp) -> i64 {
    (pair.refresh_expires().duration_since(now).as_hours() / 24).max(0)
}
