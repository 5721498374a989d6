//! The stream that tells a browser of changes: that the queue was written, and how far running jobs are.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse as _, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;

use super::{Web, guard};
use crate::{clock, store::JobId};

/// How often is looked for changes, for each browser that is told.
const EVERY: Duration = Duration::from_secs(1);

/// How often a line without meaning is sent: it shows whether the browser is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What one browser was told last.
struct Viewer {
    web: Arc<Web>,
    session: String,
    version: u64,
    running: Vec<(JobId, u64)>,
    _place: OwnedSemaphorePermit,
}

/// Tells of changes until the browser goes away, its session ends, or the daemon stops.
pub(super) async fn stream(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    let Ok(place) = Arc::clone(&web.viewers).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many browsers are told of changes")
            .into_response();
    };
    let session = guard::session_of(&web, &headers).unwrap_or_default();
    let version = web.service.queue_version();
    let viewer = Viewer { web, session, version, running: Vec::new(), _place: place };
    let events = stream::unfold(viewer, next_event);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

async fn next_event(mut viewer: Viewer) -> Option<(Result<Event, Infallible>, Viewer)> {
    loop {
        tokio::select! {
            () = viewer.web.stop.cancelled() => return None,
            () = tokio::time::sleep(EVERY) => {}
        }
        let service = &viewer.web.service;
        if !service.page_access().is_session(&viewer.session, clock::now()) {
            return None;
        }
        let version = service.queue_version();
        if version != viewer.version {
            viewer.version = version;
            let event = Event::default().event("change").data(version.to_string());
            return Some((Ok(event), viewer));
        }
        let running = service.running_percent();
        if running != viewer.running {
            let shown: Vec<String> =
                running.iter().map(|(id, percent)| format!("{id}:{percent}")).collect();
            viewer.running = running;
            return Some((Ok(Event::default().event("progress").data(shown.join(" "))), viewer));
        }
    }
}
