//! One call: which source it is for, whether it proves itself, what it is about.

use std::{
    collections::HashMap, convert::Infallible, future::poll_fn, path::PathBuf, pin::Pin,
    sync::Mutex, time::Duration,
};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Body,
    header::{ALLOW, HeaderValue},
};
use secrecy::SecretString;
use tokio::time::Instant;

use super::{
    event::{self, WebhookEvent},
    proof::{self, SignedCall, Unproven},
    webhook_path,
};
use crate::{
    clock,
    config::{Source, SourceApi, read_secret},
    sources::SourcesHandle,
};

/// Bytes of a call that are kept. Version 2 sends addresses and names. Version 1 sends the words of a whole meeting as
/// well: of more than this nothing is read, and the source looks without knowing at which recording first.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The operator is told of calls that prove nothing so often, for each source: anybody can make them.
const WARN_EVERY: Duration = Duration::from_secs(15 * 60);

/// Takes the calls for all sources.
#[derive(Debug)]
pub(crate) struct WebhookCalls {
    sources: Vec<(String, Source)>,
    handle: SourcesHandle,
    /// The time of the last warning in the log, by source.
    warned_at: Mutex<HashMap<String, Instant>>,
}

/// The reason why a call is refused.
enum Rejection {
    Unproven(Unproven),
    TooLarge,
    /// The connection broke off.
    Broken,
}

impl From<Unproven> for Rejection {
    fn from(unproven: Unproven) -> Self {
        Self::Unproven(unproven)
    }
}

impl WebhookCalls {
    /// Returns what takes the calls for these sources, and tells `handle`.
    #[must_use]
    pub(crate) fn new(sources: Vec<Source>, handle: SourcesHandle) -> Self {
        let sources =
            sources.into_iter().map(|source| (webhook_path(&source.name), source)).collect();
        Self { sources, handle, warned_at: Mutex::default() }
    }

    /// Answers a call; what is wrong with one that proves nothing is told to the operator, and not to the caller.
    pub(crate) async fn answer_call<B: Body<Data = Bytes> + Unpin>(
        &self,
        request: Request<B>,
    ) -> Result<Response<String>, Infallible> {
        let path = request.uri().path();
        let Some((_, source)) = self.sources.iter().find(|(known, _)| known == path) else {
            return Ok(empty_response(StatusCode::NOT_FOUND));
        };
        if request.method() != Method::POST {
            let mut refused = empty_response(StatusCode::METHOD_NOT_ALLOWED);
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Ok(refused);
        }
        let (head, body) = request.into_parts();
        Ok(empty_response(match self.authenticate(source, &head.headers, body).await {
            Ok(event) => {
                self.nudge_source(source, event);
                // The vendor's documents ask for this very number.
                StatusCode::OK
            }
            Err(Rejection::Unproven(why)) => {
                self.log_rejection(&source.name, &why);
                StatusCode::UNAUTHORIZED
            }
            Err(Rejection::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Err(Rejection::Broken) => StatusCode::BAD_REQUEST,
        }))
    }

    async fn authenticate<B: Body<Data = Bytes> + Unpin>(
        &self,
        source: &Source,
        headers: &HeaderMap,
        body: B,
    ) -> Result<WebhookEvent, Rejection> {
        match source.api {
            SourceApi::V1 => {
                proof::verify_key(headers, &read_secret_file(source.api_key_file.clone()).await?)?;
                let body = read_body(body, true).await?;
                Ok(event::parse_event(&body.unwrap_or_default()))
            }
            SourceApi::V2 => {
                let Some(file) = source.webhook_secret_file.clone() else {
                    let told = "the source has no `webhook_secret_file`, and version 2 proves itself by that alone";
                    return Err(Unproven::NoSecret(told.to_owned()).into());
                };
                let signed = SignedCall::from_headers(headers, clock::now())?;
                let body = read_body(body, false).await?.ok_or(Rejection::TooLarge)?;
                signed.verify(&body, &read_secret_file(file).await?)?;
                Ok(event::parse_event(&body))
            }
        }
    }

    fn nudge_source(&self, source: &Source, event: WebhookEvent) {
        match event {
            WebhookEvent::Look(id) => {
                tracing::debug!("a webhook has source `{}` look", source.name);
                self.handle.nudge(&source.name, &id);
            }
            WebhookEvent::Nothing => {}
        }
    }

    fn log_rejection(&self, source: &str, why: &Unproven) {
        let now = Instant::now();
        let is_due = {
            let mut told =
                self.warned_at.lock().expect("no thread panics while it holds what was told");
            let is_due = told.get(source).is_none_or(|at| now.duration_since(*at) >= WARN_EVERY);
            if is_due {
                told.insert(source.to_owned(), now);
            }
            is_due
        };
        let said = format!("a webhook for source `{source}` is refused: {why}");
        if is_due {
            tracing::warn!("{said}; further ones are reported in 15 minutes");
        } else {
            tracing::debug!("{said}");
        }
    }
}

fn empty_response(status: StatusCode) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = status;
    response
}

async fn read_secret_file(file: PathBuf) -> Result<SecretString, Unproven> {
    let read = tokio::task::spawn_blocking(move || read_secret(&file)).await;
    let read = read.map_err(|error| Unproven::NoSecret(error.to_string()))?;
    read.map_err(|error| Unproven::NoSecret(error.to_string()))
}

/// Reads a body whole; `None` for one that is too large, which is read to its end only where `to_the_end` says so: a
/// caller that still sends does not read an answer.
async fn read_body<B: Body<Data = Bytes> + Unpin>(
    mut body: B,
    to_the_end: bool,
) -> Result<Option<Vec<u8>>, Rejection> {
    let mut bytes = Vec::new();
    let mut is_all = true;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame.map_err(|_| Rejection::Broken)?.into_data() else { continue };
        is_all &= bytes.len() + data.len() <= BODY_BYTES_MAX;
        if is_all {
            bytes.extend_from_slice(&data);
        } else if !to_the_end {
            return Ok(None);
        } else {
            bytes = Vec::new();
        }
    }
    Ok(is_all.then_some(bytes))
}
