//! Questions about a service: its sign-in and its meetings.

use serde_json::json;

use super::{Answer, ControlService, Refusal};
use crate::{
    job::{EndedBy, HoldReason},
    runtime::ServiceHandle,
    services::{
        CallError,
        paxs::{AgentLogin, Grant, PaxsService},
    },
    store::Scope,
    text::{error_chain, one_line},
};

/// Characters of an error that are shown.
const ERROR_MAX: usize = 500;

/// A sign-in that waits for a person at a browser.
#[derive(Debug)]
pub(crate) struct PendingSignIn {
    service: String,
    login: AgentLogin,
}

impl PendingSignIn {
    /// Returns the link that the person opens.
    #[must_use]
    pub(crate) fn link(&self) -> String {
        self.login.link().to_string()
    }

    /// Waits for the person, some minutes at most, and has the daemon keep the sign-in.
    pub(crate) async fn finish(self, control: &ControlService) -> Answer {
        let granted = self.login.wait_for_grant(|_| ()).await;
        let granted =
            granted.map_err(|error| Refusal::new(one_line(&error_chain(&error), ERROR_MAX)))?;
        let (code, redirect_uri) = granted.into_parts();
        control.sign_in(&self.service, code, redirect_uri).await
    }
}

impl ControlService {
    /// Begins a sign-in that a person finishes at a browser.
    ///
    /// # Errors
    /// When there is no such service, or nobody signs in there.
    pub(crate) fn begin_sign_in(&self, service: &str) -> Result<PendingSignIn, Refusal> {
        let handle = self.find_service(Some(service))?;
        let login = sign_in_of(&handle)?.agent_login();
        let login =
            login.map_err(|error| Refusal::new(one_line(&error_chain(&error), ERROR_MAX)))?;
        Ok(PendingSignIn { service: service.to_owned(), login })
    }

    /// Checks that people sign in at this service.
    ///
    /// # Errors
    /// When there is no such service, or nobody signs in there.
    pub(crate) fn sign_in_place(&self, service: &str) -> Result<(), Refusal> {
        sign_in_of(&*self.find_service(Some(service))?).map(drop)
    }

    pub(super) async fn show_profile(&self, service: Option<&str>) -> Answer {
        self.profile_of(&*self.find_service(service)?, true).await
    }

    /// Reads the profile of a service. A working one that is `in_force` is no longer held for a
    /// person.
    pub(super) async fn profile_of(&self, handle: &ServiceHandle, in_force: bool) -> Answer {
        let name = handle.service.name();
        let profile =
            handle.service.read_profile().await.map_err(|error| refused_call(handle, &error))?;
        if in_force {
            self.release_sign_in(name).await?;
        }
        Ok(json!({ "service": name, "base_url": handle.settings.kind.place(), "profile": profile }))
    }

    pub(super) async fn sign_in(
        &self,
        service: &str,
        code: String,
        redirect_uri: String,
    ) -> Answer {
        let handle = self.find_service(Some(service))?;
        let grant = Grant::new(code.into(), redirect_uri);
        let exchanged = sign_in_of(&handle)?.exchange_grant(&grant).await;
        exchanged.map_err(|error| Refusal::new(one_line(&error_chain(&error), 500)))?;
        self.release_sign_in(service).await?;
        Ok(json!({ "service": service, "message": format!("signed in at `{service}`") }))
    }

    pub(super) async fn sign_out(&self, service: Option<&str>) -> Answer {
        let handle = self.find_service(service)?;
        let name = handle.service.name();
        let was = sign_in_of(&handle)?.sign_out().await;
        let was = was.map_err(|error| Refusal::new(one_line(&error_chain(&error), 500)))?;
        let outcome = if was { "signed out of" } else { "was not signed in at" };
        Ok(json!({ "service": name, "message": format!("{outcome} `{name}`") }))
    }

    pub(super) async fn list_meetings(&self, service: Option<&str>, page: u32) -> Answer {
        let handle = self.find_service(service)?;
        let meetings = handle.service.list_meetings(page).await;
        Ok(json!(meetings.map_err(|error| refused_call(&handle, &error))?))
    }

    pub(super) async fn show_meeting(&self, service: Option<&str>, id: &str) -> Answer {
        let handle = self.find_service(service)?;
        handle.service.read_meeting(id).await.map_err(|error| {
            if let CallError::Refused { status: 404, .. } = error {
                return Refusal::new(format!("the service has no meeting `{}`", one_line(id, 80)))
                    .hint("minuted meetings lists them");
            }
            refused_call(&handle, &error)
        })
    }

    async fn release_sign_in(&self, service: &str) -> Result<(), Refusal> {
        if self
            .queue
            .holds()
            .release(Scope::Service, service, &HoldReason::ended_by(EndedBy::SignIn))
            .await?
        {
            self.wake_daemon();
        }
        if let Some(worker) = &self.worker {
            worker.runtime.signed_in.notify_one();
        }
        Ok(())
    }
}

/// Returns the sign-in of a service.
fn sign_in_of(handle: &ServiceHandle) -> Result<&PaxsService, Refusal> {
    handle
        .account
        .as_ref()
        .ok_or_else(|| Refusal::new(format!("nobody signs in at `{}`", handle.service.name())))
}

fn refused_call(handle: &ServiceHandle, error: &CallError) -> Refusal {
    let service = handle.service.name();
    let refusal =
        Refusal::new(format!("service `{service}`: {}", one_line(&error_chain(error), 500)));
    match error {
        CallError::SignedOut { .. } => refusal.hint(handle.settings.kind.sign_in_cure(service)),
        CallError::Forbidden { .. } => refusal.hint("the account lacks a right at the service"),
        CallError::Unavailable { .. } => {
            refusal.hint(format!("{}; minuted check", handle.settings.kind.absence_cure()))
        }
        CallError::Refused { status: 404, .. } => refusal.hint(format!(
            "check base_url of service `{service}`: the server there does not know this call; minuted check"
        )),
        // Some servers answer so to a wrong key.
        CallError::Refused { .. } => {
            refusal.hint(format!("check base_url; if it is right: {}", handle.settings.kind.sign_in_cure(service)))
        }
        CallError::File(_) => refusal,
    }
}
