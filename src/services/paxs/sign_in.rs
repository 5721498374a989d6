//! What the rest of minuted sees of the sign-in: whether there is one, how to get one, and how it is kept.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    Paxs, TokenError,
    callback::CallbackLogin,
    grant::{self, Failure},
    login::{AgentLogin, Grant, LoginError},
    tokens::{Pair, REFRESH_LIFETIME},
};
use crate::{
    clock,
    http::Request,
    services::{CallError, NotesService as _, answers},
};

/// An access token that ended so long ago was used by nobody: the daemon is idle.
const IDLE: Duration = Duration::from_secs(24 * 3600);

/// Whether someone is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// Yes.
    Yes {
        /// When a person signed in.
        since: Timestamp,
        /// When it ends, unless it is refreshed before.
        refresh_expires: Timestamp,
    },
    /// No: a person must run `minuted login`.
    No {
        /// Why.
        reason: String,
    },
}

/// What [`Paxs::keep_fresh`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing to tell.
    Fine {
        /// Days until the sign-in would end by itself.
        days_left: i64,
    },
    /// It was due and could not be refreshed: a warning.
    Failing {
        /// Days until the sign-in ends.
        days_left: i64,
        /// What happened.
        message: String,
    },
    /// There is none.
    SignedOut {
        /// Why.
        reason: String,
    },
}

impl Paxs {
    /// Returns whether someone is signed in, as far as is known without asking.
    #[must_use]
    pub fn signed_in(&self) -> SignIn {
        match self.session.known() {
            Ok(pair) => SignIn::Yes { since: pair.since, refresh_expires: pair.refresh_expires() },
            Err(reason) => SignIn::No { reason },
        }
    }

    /// Keeps the sign-in of an idle daemon alive; called about once an hour. Refreshes when the refresh token has spent
    /// a quarter of its 30 days, or nobody has used the access token for a day.
    pub async fn keep_fresh(&self, now: Timestamp) -> Freshness {
        let pair = match self.session.current().await {
            Ok(pair) => pair,
            Err(CallError::SignedOut { reason }) => return Freshness::SignedOut { reason },
            Err(error) => return Freshness::Failing { days_left: 0, message: error.to_string() },
        };
        // A sign-in that the service doubts heals by a call that succeeds.
        if let SignIn::No { reason } = self.signed_in()
            && self.profile().await.is_err()
        {
            return Freshness::SignedOut { reason };
        }
        if !is_due(&pair, now) {
            return Freshness::Fine { days_left: days_left(&pair, now) };
        }
        match self.session.refreshed(&pair).await {
            Ok(pair) => Freshness::Fine { days_left: days_left(&pair, now) },
            Err(Failure::SignedOut(reason)) => Freshness::SignedOut { reason },
            Err(Failure::Unavailable { message, .. }) => {
                Freshness::Failing { days_left: days_left(&pair, now), message }
            }
        }
    }

    /// Returns whether the service is there at all; nobody needs to be signed in for that.
    ///
    /// # Errors
    /// When it does not answer, or answers that it is down.
    pub async fn reach(&self) -> Result<(), CallError> {
        let answer = self.session.http().send(&Request::get(&[])).await?;
        if answer.status >= 500 { answers::json(answer).map(drop) } else { Ok(()) }
    }

    /// Begins the agent flow: show the link, then wait for the grant, then [`Paxs::exchange`] it.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn agent_login(&self) -> Result<AgentLogin, LoginError> {
        AgentLogin::new(self.session.clone())
    }

    /// Begins the callback flow on 127.0.0.1; port 0 takes a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn callback_login(&self, port: u16) -> Result<CallbackLogin, LoginError> {
        CallbackLogin::listen(&self.session, port).await
    }

    /// Exchanges a code for tokens, saves them durably and uses them from now on.
    ///
    /// # Errors
    /// When the service refuses the code, cannot be reached, or the tokens cannot be saved.
    pub async fn exchange(&self, grant: &Grant) -> Result<(), LoginError> {
        let code = grant.code.expose_secret();
        let body = json!({
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": grant.redirect_uri,
        });
        let answer = self.session.ask_for_tokens(&body).await?;
        let pair = grant::read(answer, clock::now(), None, &[code]).map_err(CallError::from)?;
        Ok(self.session.sign_in(pair).await?)
    }

    /// Forgets the sign-in; returns whether there was one.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub async fn logout(&self) -> Result<bool, TokenError> {
        self.session.sign_out().await
    }
}

fn is_due(pair: &Pair, now: Timestamp) -> bool {
    let age = now.duration_since(pair.obtained);
    let unused = now.duration_since(pair.expires);
    Duration::try_from(age).is_ok_and(|age| age >= REFRESH_LIFETIME / 4)
        || Duration::try_from(unused).is_ok_and(|unused| unused >= IDLE)
}

fn days_left(pair: &Pair, now: Timestamp) -> i64 {
    (pair.refresh_expires().duration_since(now).as_hours() / 24).max(0)
}
