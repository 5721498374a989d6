//! Answers gone wrong: what a [`Fault`] makes of them.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use serde_json::Value;

use super::{faults::Fault, state::Refusal};

/// How a connection ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    /// It is closed in order.
    #[error("closed without an answer")]
    Close,
    /// It is reset.
    #[error("reset")]
    Reset,
}

/// Does what a fault does before any work. `None` leaves the work to be done.
pub(super) async fn before(fault: &Fault) -> Option<Result<Response, Cut>> {
    match fault {
        Fault::Status(status) => Some(Ok(plain(*status))),
        Fault::StatusWith { status, retry_after, body } => {
            Some(Ok(exact(*status, retry_after.as_deref(), body)))
        }
        Fault::EarlyStatus(status) => Some(Ok(closing(plain(*status)))),
        Fault::ResetBefore => Some(Err(Cut::Reset)),
        Fault::Redirect(place) => Some(Ok(redirect(StatusCode::TEMPORARY_REDIRECT, place))),
        Fault::Moved { status, to } => Some(Ok(redirect(status_of(*status), to))),
        Fault::Html => Some(Ok(Html(
            "<!doctype html><title>Hotel Wi-Fi</title><p>Please accept the terms.</p>",
        )
        .into_response())),
        Fault::Hang => std::future::pending().await,
        Fault::ResetMidBody
        | Fault::LoseAnswer
        | Fault::ResetAfter
        | Fault::HoldAnswer
        | Fault::LateStatus(_)
        | Fault::Empty
        | Fault::Truncated
        | Fault::Field { .. }
        | Fault::Nested(_)
        | Fault::Endless
        | Fault::Drip
        | Fault::Slow { .. } => None,
    }
}

/// Does what a fault does to the answer of work that was done.
pub(super) async fn after(fault: &Fault, answer: Response) -> Result<Response, Cut> {
    match fault {
        Fault::LoseAnswer => Err(Cut::Close),
        Fault::ResetAfter => Err(Cut::Reset),
        Fault::HoldAnswer => std::future::pending().await,
        Fault::LateStatus(status) => Ok(plain(*status)),
        Fault::Empty => Ok(answer.status().into_response()),
        Fault::Truncated => Ok(truncated(answer).await),
        Fault::Field { pointer, json } => Ok(replaced(answer, pointer, json).await),
        Fault::Nested(depth) => Ok(json(answer.status(), Body::from(nested(*depth)))),
        Fault::Endless => Ok(json(answer.status(), endless())),
        Fault::Drip => Ok(slow(answer, 1).await),
        Fault::Slow { bytes_per_second } => Ok(slow(answer, *bytes_per_second).await),
        Fault::Status(_)
        | Fault::StatusWith { .. }
        | Fault::EarlyStatus(_)
        | Fault::ResetBefore
        | Fault::ResetMidBody
        | Fault::Redirect(_)
        | Fault::Moved { .. }
        | Fault::Html
        | Fault::Hang => Ok(answer),
    }
}

/// Returns the answer of a stand-in that is down.
pub(super) fn down() -> Response {
    plain(503)
}

fn plain(status: u16) -> Response {
    Refusal::new(status, "a planted fault").into_response()
}

fn exact(status: u16, retry_after: Option<&str>, body: &str) -> Response {
    let mut answer = (status_of(status), body.to_owned()).into_response();
    if let Some(value) = retry_after.and_then(|value| HeaderValue::from_str(value).ok()) {
        answer.headers_mut().insert(header::RETRY_AFTER, value);
    }
    answer
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a test plants statuses from 100 to 999")
}

fn closing(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn redirect(status: StatusCode, place: &str) -> Response {
    (status, [(header::LOCATION, place.to_owned())]).into_response()
}

fn json(status: StatusCode, body: Body) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

/// The piece of which an endless answer is made.
static ENDLESS_PIECE: [u8; 16 * 1024] = [b'a'; 16 * 1024];

fn endless() -> Body {
    let pieces = stream::repeat_with(|| Bytes::from_static(&ENDLESS_PIECE));
    let whole = stream::iter([Bytes::from_static(b"{\"id\":\"")]).chain(pieces);
    Body::from_stream(whole.map(Ok::<_, Infallible>))
}

/// The most of an answer that is held to be spoiled, in bytes. The longest is a page of 100 meetings.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

async fn whole(answer: Response) -> (axum::http::response::Parts, Bytes) {
    let (parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, ANSWER_MAX).await;
    (parts, body.expect("the model's own answers are short and whole"))
}

/// Promises the whole answer, sends half of it and breaks off.
async fn truncated(answer: Response) -> Response {
    let (mut parts, body) = whole(answer).await;
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let broken = stream::iter([Ok(half)]).chain(stream::once(async {
        // The half goes out on its own: hyper drops what it has not yet flushed when a body breaks off.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    }));
    Response::from_parts(parts, Body::from_stream(broken))
}

/// What stands in an answer for what JSON cannot hold, until it is written out.
const PLACE: &str = "the place of a spoiled field";

async fn replaced(answer: Response, pointer: &str, json: &str) -> Response {
    let (mut parts, body) = whole(answer).await;
    let mut value: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(field) = value.pointer_mut(pointer) {
        *field = Value::from(PLACE);
    }
    let text = value.to_string().replacen(&format!("\"{PLACE}\""), json, 1);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(text))
}

/// Sends so many pieces a second.
const PIECES_PER_SECOND: u64 = 10;

async fn slow(answer: Response, bytes_per_second: u64) -> Response {
    let (parts, body) = whole(answer).await;
    let speed = bytes_per_second.max(1);
    let piece = usize::try_from((speed / PIECES_PER_SECOND).max(1)).unwrap_or(usize::MAX);
    let pause = Duration::from_micros((piece as u64).saturating_mul(1_000_000) / speed);
    let pieces = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(piece.min(rest.len()));
        Some((Ok::<_, Infallible>(piece), rest))
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}
