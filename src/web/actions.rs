//! What a person does on the page: the questions of the commands, and the answer on the next page.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{Web, pages};
use crate::{
    control::{ControlRequest, JobName, Refusal},
    store::JobId,
};

pub(super) async fn retry_job(State(web): State<Arc<Web>>, Path(id): Path<i64>) -> Response {
    let request = ControlRequest::Retry { job: JobName::Id(JobId(id)) };
    act(&web, request, &format!("/jobs/{id}")).await
}

pub(super) async fn redo_job(State(web): State<Arc<Web>>, Path(id): Path<i64>) -> Response {
    let request = ControlRequest::Redo { job: JobName::Id(JobId(id)) };
    act(&web, request, &format!("/jobs/{id}")).await
}

pub(super) async fn cancel_job(State(web): State<Arc<Web>>, Path(id): Path<i64>) -> Response {
    let request = ControlRequest::Cancel { job: JobName::Id(JobId(id)) };
    act(&web, request, &format!("/jobs/{id}")).await
}

pub(super) async fn retry_failed(State(web): State<Arc<Web>>) -> Response {
    act(&web, ControlRequest::RetryFailed, "/").await
}

pub(super) async fn scan_folders(State(web): State<Arc<Web>>) -> Response {
    act(&web, ControlRequest::Scan { dry_run: false }, "/").await
}

pub(super) async fn pause_folder(
    State(web): State<Arc<Web>>,
    Path(folder): Path<String>,
) -> Response {
    act(&web, ControlRequest::Pause { folder }, "/").await
}

pub(super) async fn resume_folder(
    State(web): State<Arc<Web>>,
    Path(folder): Path<String>,
) -> Response {
    act(&web, ControlRequest::Resume { folder }, "/").await
}

/// The form of a backlog.
#[derive(Deserialize)]
pub(super) struct BacklogForm {
    process: bool,
}

pub(super) async fn decide_backlog(
    State(web): State<Arc<Web>>,
    Path(folder): Path<String>,
    Form(form): Form<BacklogForm>,
) -> Response {
    act(&web, ControlRequest::Backlog { folder, process: form.process }, "/").await
}

/// The form of a speaker.
#[derive(Deserialize)]
pub(super) struct SpeakerForm {
    label: String,
    name: String,
}

pub(super) async fn name_speaker(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    Form(form): Form<SpeakerForm>,
) -> Response {
    let names = vec![format!("{}={}", form.label, form.name)];
    let request = ControlRequest::Speakers { job: JobName::Id(JobId(id)), names };
    act(&web, request, &format!("/jobs/{id}")).await
}

/// Asks, and leads on to a page that shows the answer.
async fn act(web: &Web, request: ControlRequest, then: &str) -> Response {
    match web.service.answer(request).await {
        Ok(answer) => {
            let message = answer.get("message").and_then(|message| message.as_str());
            lead_on(web, then, message.unwrap_or("done"))
        }
        Err(refusal) => show_refusal(&refusal),
    }
}

/// Leads on to a page that shows a message once.
pub(super) fn lead_on(web: &Web, then: &str, message: &str) -> Response {
    Redirect::to(&next_page(web, then, message)).into_response()
}

/// Returns the address of a page that shows a message once.
pub(super) fn next_page(web: &Web, then: &str, message: &str) -> String {
    format!("{then}?message={}", web.messages.keep(message.to_owned()))
}

pub(super) fn show_refusal(refusal: &Refusal) -> Response {
    let code = if refusal.is_unknown { StatusCode::NOT_FOUND } else { StatusCode::CONFLICT };
    pages::show_problem(code, &refusal.message, refusal.hint.as_deref())
}
