//! Calls of the sources' vendors at the port of the page. A call proves itself, so it needs no session.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use super::Web;
use crate::webhook::CALL_MAX;

/// Takes a call.
pub(super) async fn receive(State(web): State<Arc<Web>>, request: Request) -> Response {
    match tokio::time::timeout(CALL_MAX, web.webhooks.answer_call(request)).await {
        Ok(Ok(response)) => response.into_response(),
        Ok(Err(never)) => match never {},
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}
