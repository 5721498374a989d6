//! Signing in at a service: a link for the browser, and what became of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};

use super::{Web, actions, pages};
use crate::control::{PendingSignIn, Refusal};

/// The sign-ins that were begun here, by service: the last one of each.
#[derive(Debug, Default)]
pub(super) struct SignIns(Mutex<HashMap<String, SignInState>>);

/// A sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SignInState {
    /// It waits for the person, who opens this link.
    Waiting(String),
    /// It is done.
    Done,
    /// It did not work, for this reason.
    Failed(String),
}

impl SignIns {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, SignInState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how far the last sign-in at a service is.
    pub(super) fn state_of(&self, service: &str) -> Option<SignInState> {
        self.lock().get(service).cloned()
    }

    fn set(&self, service: &str, state: SignInState) {
        self.lock().insert(service.to_owned(), state);
    }
}

/// Begins a sign-in, or goes on with the one that waits. Returns its link.
pub(super) fn start(web: &Arc<Web>, service: &str) -> Result<String, Refusal> {
    if let Some(SignInState::Waiting(link)) = web.sign_ins.state_of(service) {
        return Ok(link);
    }
    let pending = web.service.begin_sign_in(service)?;
    let link = pending.link();
    web.sign_ins.set(service, SignInState::Waiting(link.clone()));
    web.tasks.spawn(finish(Arc::clone(web), service.to_owned(), pending));
    Ok(link)
}

/// Begins a sign-in on the page.
pub(super) async fn begin(State(web): State<Arc<Web>>, Path(service): Path<String>) -> Response {
    match start(&web, &service) {
        Ok(_) => {
            Redirect::to(&format!("/services/{}/sign-in", pages::encode(&service))).into_response()
        }
        Err(refusal) => actions::show_refusal(&refusal),
    }
}

/// Shows how far a sign-in is.
pub(super) async fn show(State(web): State<Arc<Web>>, Path(service): Path<String>) -> Response {
    let state = web.sign_ins.state_of(&service);
    pages::sign_in::show(&service, state.as_ref())
}

/// Waits for the person, and keeps what became of it for the page.
async fn finish(web: Arc<Web>, service: String, pending: PendingSignIn) {
    let finished = tokio::select! {
        finished = pending.finish(&web.service) => finished,
        () = web.stop.cancelled() => return,
    };
    let state = match finished {
        Ok(_) => SignInState::Done,
        Err(refusal) => SignInState::Failed(refusal.message),
    };
    web.sign_ins.set(&service, state);
}
