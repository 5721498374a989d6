//! PAXS: meetings, recordings and analyses behind a sign-in whose refresh token rotates.

mod callback;
mod calls;
mod grant;
mod login;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod refresh;
mod reports;
mod session;
mod sign_in;
#[cfg(test)]
mod tests;
mod tokens;
mod transcript;
mod upload;
mod walk;
mod wire;

use std::{path::Path, sync::Arc};

use tokio_util::task::TaskTracker;

pub(crate) use login::{AgentLogin, Grant, LoginError};
pub(crate) use sign_in::{Freshness, SignIn};
pub(crate) use tokens::TokenError;

use self::{session::PaxsSession, tokens::TokenStore};
use super::pacer::Pacer;
use crate::{
    config,
    http::{BuildError, CallLimits, Client},
};

/// The PAXS service of one table of the config. Clones share the sign-in.
#[derive(Debug, Clone)]
pub(crate) struct PaxsService {
    name: String,
    session: PaxsSession,
    walks: Arc<walk::MeetingWalks>,
}

impl PaxsService {
    /// Returns the service, with the sign-in that the state directory holds.
    ///
    /// `pacer` is shared by all users of the service. A refresh runs to its end on `tasks`.
    ///
    /// # Errors
    /// When the HTTP client cannot be built. A missing or unusable sign-in is none: see [`PaxsService::signed_in`].
    pub(crate) fn new(
        settings: &config::Service,
        paxs: &config::Paxs,
        state_dir: &Path,
        pacer: Arc<Pacer>,
        tasks: TaskTracker,
    ) -> Result<Self, BuildError> {
        Self::with_limits(
            settings,
            paxs,
            state_dir,
            pacer,
            tasks,
            CallLimits::new(settings.request_timeout),
        )
    }

    fn with_limits(
        settings: &config::Service,
        paxs: &config::Paxs,
        state_dir: &Path,
        pacer: Arc<Pacer>,
        tasks: TaskTracker,
        limits: CallLimits,
    ) -> Result<Self, BuildError> {
        let http = Client::new(&paxs.base_url, limits)?;
        let store = TokenStore::new(state_dir, &settings.name, http.origin());
        let session = PaxsSession::new(http, pacer, store, tasks);
        Ok(Self { name: settings.name.clone(), session, walks: Arc::default() })
    }
}
