//! What each operation does: the question of a command, or an upload.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, sync::Arc};

use axum::{
    Json,
    extract::{Multipart, State, multipart::MultipartRejection},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{ApiBody, ApiPath, ApiQuery, Problem};
use crate::{
    config::{Analysis, Format},
    control::{ControlRequest, JobName},
    job::JobState,
    store::JobId,
    web::{
        Web,
        sign_in::{self, SignInState},
        upload,
    },
};

/// An answer of the API.
pub(super) type ApiAnswer = Result<Json<Value>, Problem>;

async fn ask(web: &Web, request: ControlRequest) -> ApiAnswer {
    Ok(Json(web.service.answer(request).await?))
}

fn job(id: i64) -> JobName {
    JobName::Id(JobId(id))
}

pub(super) async fn show_status(State(web): State<Arc<Web>>) -> ApiAnswer {
    ask(&web, ControlRequest::Status).await
}

/// The query of the list of jobs.
#[derive(Deserialize)]
pub(super) struct JobsQuery {
    state: Option<JobState>,
    folder: Option<String>,
}

pub(super) async fn list_jobs(
    State(web): State<Arc<Web>>,
    ApiQuery(query): ApiQuery<JobsQuery>,
) -> ApiAnswer {
    ask(&web, ControlRequest::Jobs { state: query.state, folder: query.folder }).await
}

pub(super) async fn show_job(State(web): State<Arc<Web>>, ApiPath(id): ApiPath<i64>) -> ApiAnswer {
    ask(&web, ControlRequest::Job { job: job(id) }).await
}

/// The query of notes.
#[derive(Deserialize)]
pub(super) struct NotesQuery {
    format: Option<Format>,
}

pub(super) async fn show_notes(
    State(web): State<Arc<Web>>,
    ApiPath(id): ApiPath<i64>,
    ApiQuery(query): ApiQuery<NotesQuery>,
) -> Result<Response, Problem> {
    let facts = web.service.job_facts(JobId(id)).await?;
    let facts = facts
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no job {id}")))?;
    let Some(minutes) = facts.minutes.filter(|minutes| !minutes.reports.is_empty()) else {
        let problem = Problem::new(StatusCode::CONFLICT, format!("job {id} has no notes yet"));
        return Err(problem.hint(facts.explanation));
    };
    let format = query.format.unwrap_or(Format::Json);
    let media_type = match format {
        Format::Json => "application/json",
        Format::Md => "text/markdown; charset=utf-8",
        Format::Txt | Format::Srt => "text/plain; charset=utf-8",
        Format::Vtt => "text/vtt; charset=utf-8",
    };
    Ok(([(header::CONTENT_TYPE, media_type)], minutes.render(format)).into_response())
}

pub(super) async fn retry_job(State(web): State<Arc<Web>>, ApiPath(id): ApiPath<i64>) -> ApiAnswer {
    ask(&web, ControlRequest::Retry { job: job(id) }).await
}

pub(super) async fn retry_failed(State(web): State<Arc<Web>>) -> ApiAnswer {
    ask(&web, ControlRequest::RetryFailed).await
}

pub(super) async fn redo_job(State(web): State<Arc<Web>>, ApiPath(id): ApiPath<i64>) -> ApiAnswer {
    ask(&web, ControlRequest::Redo { job: job(id) }).await
}

pub(super) async fn cancel_job(
    State(web): State<Arc<Web>>,
    ApiPath(id): ApiPath<i64>,
) -> ApiAnswer {
    ask(&web, ControlRequest::Cancel { job: job(id) }).await
}

/// The analyses that are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnalyseBody {
    analyses: Vec<Analysis>,
    #[serde(default)]
    mail: bool,
}

pub(super) async fn analyse_job(
    State(web): State<Arc<Web>>,
    ApiPath(id): ApiPath<i64>,
    ApiBody(body): ApiBody<AnalyseBody>,
) -> ApiAnswer {
    let AnalyseBody { analyses, mail } = body;
    ask(&web, ControlRequest::Analyse { job: job(id), analyses, mail }).await
}

pub(super) async fn list_speakers(
    State(web): State<Arc<Web>>,
    ApiPath(id): ApiPath<i64>,
) -> ApiAnswer {
    ask(&web, ControlRequest::Speakers { job: job(id), names: Vec::new() }).await
}

/// The names of speakers, by label.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpeakersBody {
    names: BTreeMap<String, String>,
}

pub(super) async fn name_speakers(
    State(web): State<Arc<Web>>,
    ApiPath(id): ApiPath<i64>,
    ApiBody(body): ApiBody<SpeakersBody>,
) -> ApiAnswer {
    let names = body.names.iter().map(|(label, name)| format!("{label}={name}")).collect();
    ask(&web, ControlRequest::Speakers { job: job(id), names }).await
}

/// The query of `why`.
#[derive(Deserialize)]
pub(super) struct WhyQuery {
    path: PathBuf,
}

pub(super) async fn explain_path(
    State(web): State<Arc<Web>>,
    ApiQuery(query): ApiQuery<WhyQuery>,
) -> ApiAnswer {
    if !query.path.is_absolute() {
        let what = "`path` must be absolute: a server does not know where you are";
        return Err(Problem::new(StatusCode::BAD_REQUEST, what));
    }
    ask(&web, ControlRequest::Why { path: query.path }).await
}

/// The query of a scan.
#[derive(Deserialize)]
pub(super) struct ScanQuery {
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn scan_folders(
    State(web): State<Arc<Web>>,
    ApiQuery(query): ApiQuery<ScanQuery>,
) -> ApiAnswer {
    ask(&web, ControlRequest::Scan { dry_run: query.dry_run }).await
}

pub(super) async fn pause_folder(
    State(web): State<Arc<Web>>,
    ApiPath(folder): ApiPath<String>,
) -> ApiAnswer {
    ask(&web, ControlRequest::Pause { folder }).await
}

pub(super) async fn resume_folder(
    State(web): State<Arc<Web>>,
    ApiPath(folder): ApiPath<String>,
) -> ApiAnswer {
    ask(&web, ControlRequest::Resume { folder }).await
}

pub(super) async fn show_backlog(
    State(web): State<Arc<Web>>,
    ApiPath(folder): ApiPath<String>,
) -> ApiAnswer {
    ask(&web, ControlRequest::ShowBacklog { folder }).await
}

/// A decision about the backlog.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BacklogBody {
    process: bool,
}

pub(super) async fn decide_backlog(
    State(web): State<Arc<Web>>,
    ApiPath(folder): ApiPath<String>,
    ApiBody(body): ApiBody<BacklogBody>,
) -> ApiAnswer {
    ask(&web, ControlRequest::Backlog { folder, process: body.process }).await
}

pub(super) async fn add_recordings(
    State(web): State<Arc<Web>>,
    ApiPath(folder): ApiPath<String>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let mut form = form.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let received = upload::receive_form(&web, &folder, &mut form).await?;
    if received.is_empty() {
        let problem = Problem::new(StatusCode::BAD_REQUEST, "the form holds no recording");
        return Err(problem.hint("send one as the file of the field `recording`"));
    }
    let recordings: Vec<Value> = received.into_iter().map(|received| received.answer).collect();
    Ok((StatusCode::CREATED, Json(json!({ "recordings": recordings }))).into_response())
}

pub(super) async fn show_profile(
    State(web): State<Arc<Web>>,
    ApiPath(service): ApiPath<String>,
) -> ApiAnswer {
    ask(&web, ControlRequest::Whoami { service: Some(service) }).await
}

pub(super) async fn begin_sign_in(
    State(web): State<Arc<Web>>,
    ApiPath(service): ApiPath<String>,
) -> ApiAnswer {
    let link = sign_in::start(&web, &service)?;
    Ok(Json(describe_sign_in(&service, Some(SignInState::Waiting(link)))))
}

pub(super) async fn show_sign_in(
    State(web): State<Arc<Web>>,
    ApiPath(service): ApiPath<String>,
) -> ApiAnswer {
    web.service.sign_in_place(&service)?;
    Ok(Json(describe_sign_in(&service, web.sign_ins.state_of(&service))))
}

/// Returns the JSON of the last sign-in that was begun here.
fn describe_sign_in(service: &str, state: Option<SignInState>) -> Value {
    let (word, link, error) = match state {
        None => ("none", None, None),
        Some(SignInState::Waiting(link)) => ("waiting", Some(link), None),
        Some(SignInState::Done) => ("done", None, None),
        Some(SignInState::Failed(error)) => ("failed", None, Some(error)),
    };
    json!({ "service": service, "state": word, "link": link, "error": error })
}

pub(super) async fn sign_out(
    State(web): State<Arc<Web>>,
    ApiPath(service): ApiPath<String>,
) -> ApiAnswer {
    ask(&web, ControlRequest::SignOut { service: Some(service) }).await
}

/// The query of a service's list.
#[derive(Deserialize)]
pub(super) struct MeetingsQuery {
    page: Option<NonZeroU32>,
}

pub(super) async fn list_meetings(
    State(web): State<Arc<Web>>,
    ApiPath(service): ApiPath<String>,
    ApiQuery(query): ApiQuery<MeetingsQuery>,
) -> ApiAnswer {
    let page = query.page.map_or(1, NonZeroU32::get);
    ask(&web, ControlRequest::Meetings { service: Some(service), page }).await
}

pub(super) async fn show_meeting(
    State(web): State<Arc<Web>>,
    ApiPath((service, id)): ApiPath<(String, String)>,
) -> ApiAnswer {
    ask(&web, ControlRequest::Meeting { service: Some(service), id }).await
}

pub(super) async fn list_source(
    State(web): State<Arc<Web>>,
    ApiPath(source): ApiPath<String>,
) -> ApiAnswer {
    ask(&web, ControlRequest::SourceList { source: Some(source) }).await
}

pub(super) async fn fetch_recording(
    State(web): State<Arc<Web>>,
    ApiPath((source, id)): ApiPath<(String, String)>,
) -> ApiAnswer {
    ask(&web, ControlRequest::SourceFetch { source: Some(source), id }).await
}
