//! The page and the API: a small server for browsers and programs on this machine, or behind a reverse proxy.
//!
//! It shows what the commands show and does what they do, through the same questions
//! ([`ControlRequest`]). Pages are made here, work without script, and fetch nothing from
//! elsewhere; a stream of events tells a browser that what it shows has changed. Nothing is computed while nobody looks.
//!
//! | module | task |
//! |---|---|
//! | `listener` | the port: few connections, none that stands still |
//! | `guard` | who may: host, session, origin; the headers of every answer |
//! | `pages` | HTML |
//! | `actions` | what a person does: retry, redo, cancel, name, pause, scan |
//! | `upload` | recordings that are dropped onto a folder |
//! | `recording` | the recording of a job, to listen to |
//! | `sign_in` | signing in at a service |
//! | `live` | the stream that tells of changes |
//! | `metrics` | numbers for a monitoring system |
//! | `webhooks` | calls of the sources' vendors, where they share the port |
//! | `api` | the same for programs: JSON, a token, and a document that describes it |

mod actions;
mod api;
mod guard;
mod listener;
mod live;
mod metrics;
mod pages;
mod recording;
mod sign_in;
mod upload;
mod webhooks;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use metrics::Metrics;
use pages::overview::SharedOverview;
use sign_in::SignIns;

use crate::{
    config::HttpServer,
    control::{ControlRequest, ControlService, StatusReport},
    webhook::{WEBHOOK_PREFIX, WebhookCalls},
};

/// Bytes of a form: names of speakers are the longest that is sent.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// Browsers that are told of changes at once; more see the page as it was when they loaded it.
const VIEWERS_MAX: usize = 64;

/// Messages that wait to be shown once.
const MESSAGES_MAX: usize = 64;

/// The state that all requests share.
#[derive(Debug)]
struct Web {
    service: Arc<ControlService>,
    settings: HttpServer,
    viewers: Arc<Semaphore>,
    messages: Messages,
    sign_ins: SignIns,
    /// The turn of the check that runs: one at a time.
    checks: tokio::sync::Mutex<()>,
    overview: SharedOverview,
    metrics: Metrics,
    webhooks: WebhookCalls,
    /// Sign-ins that wait for a person.
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Answers to what a person did, until the next page shows them.
#[derive(Debug, Default)]
struct Messages(Mutex<VecDeque<(String, String)>>);

impl Messages {
    /// Keeps a message and returns its name.
    fn keep(&self, message: String) -> String {
        let name = getrandom::u64().map_or_else(|_| String::new(), |name| format!("{name:016x}"));
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MESSAGES_MAX {
            kept.pop_front();
        }
        kept.push_back((name.clone(), message));
        name
    }

    /// Returns the message of that name, once.
    fn take(&self, name: &str) -> Option<String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == name)?;
        kept.remove(at).map(|(_, message)| message)
    }
}

/// Serves the page until `stop`. While the port is taken by another program it is tried again.
pub(crate) async fn serve_page(
    service: Arc<ControlService>,
    settings: HttpServer,
    webhooks: WebhookCalls,
    stop: CancellationToken,
) {
    let listen = settings.listen;
    let metrics = match Metrics::begin(&service).await {
        Ok(metrics) => metrics,
        Err(error) => {
            tracing::error!("the page cannot be served: {error}");
            return;
        }
    };
    let web = Arc::new(Web {
        service,
        settings,
        viewers: Arc::new(Semaphore::new(VIEWERS_MAX)),
        messages: Messages::default(),
        sign_ins: SignIns::default(),
        checks: tokio::sync::Mutex::default(),
        overview: SharedOverview::default(),
        metrics,
        webhooks,
        tasks: TaskTracker::new(),
        stop: stop.clone(),
    });
    listener::serve(listen, routes(Arc::clone(&web)), stop).await;
    web.tasks.close();
    web.tasks.wait().await;
}

fn routes(web: Arc<Web>) -> Router {
    Router::new()
        .route("/", get(pages::overview::show))
        .route("/jobs", get(pages::jobs::show))
        .route("/jobs/{id}", get(pages::job::show))
        .route("/jobs/{id}/recording", get(recording::send))
        .route("/jobs/{id}/retry", post(actions::retry_job))
        .route("/jobs/{id}/redo", post(actions::redo_job))
        .route("/jobs/{id}/cancel", post(actions::cancel_job))
        .route("/jobs/{id}/speakers", post(actions::name_speaker))
        .route("/folders/{name}/pause", post(actions::pause_folder))
        .route("/folders/{name}/resume", post(actions::resume_folder))
        .route("/folders/{name}/backlog", post(actions::decide_backlog))
        .route("/scan", post(actions::scan_folders))
        .route("/services/{name}/sign-in", get(sign_in::show).post(sign_in::begin))
        .route("/retry-failed", post(actions::retry_failed))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .route(
            "/folders/{name}/recordings",
            post(upload::receive).layer(DefaultBodyLimit::disable()),
        )
        .route("/api", get(pages::api::show))
        .nest(api::PREFIX, api::routes())
        .route("/live", get(live::stream))
        .route("/enter", get(guard::enter))
        .route("/leave", post(guard::leave))
        .route("/healthz", get(show_health))
        .route("/metrics", get(metrics::show))
        .route(&format!("{WEBHOOK_PREFIX}{{source}}"), any(webhooks::receive))
        .route("/style.css", get(|| async { asset("text/css; charset=utf-8", STYLE) }))
        .route("/script.js", get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .fallback(pages::show_missing)
        .layer(middleware::from_fn_with_state(Arc::clone(&web), guard::check_request))
        .with_state(web)
}

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/script.js");

fn asset(media_type: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type)], content).into_response()
}

/// Answers a question of a health check: 200, or 503 with the kinds of trouble. It names nothing.
async fn show_health(axum::extract::State(web): axum::extract::State<Arc<Web>>) -> Response {
    let kinds = match web.status().await {
        Ok(status) => pages::trouble_kinds(&status),
        Err(_) => vec!["queue"],
    };
    let is_well = kinds.is_empty();
    let code = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({
        "status": if is_well { "ok" } else { "trouble" },
        "trouble": kinds,
    });
    (code, axum::Json(body)).into_response()
}

impl Web {
    /// Returns everything at a glance.
    async fn status(&self) -> Result<StatusReport, crate::control::Refusal> {
        let answer = self.service.answer(ControlRequest::Status).await?;
        serde_json::from_value(answer)
            .map_err(|error| crate::control::Refusal::new(error.to_string()))
    }
}
