//! Addresses that the configuration names and that are called as they are: receivers of webhooks, ntfy, monitors.
//!
//! The address itself may be a secret: it is never shown, and a redirect is never followed. Of an answer no more is read
//! than its first bytes: a receiver that never ends it costs nothing.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use url::Url;

use super::{Answer, BuildError, TransportError, cause, client::plain_client};
use crate::config;

/// Bytes of an answer that are read: the error of a receiver, for the operator.
const ANSWER_BYTES_MAX: usize = 4096;

/// A caller of one address.
#[derive(Clone)]
pub(crate) struct Hook {
    inner: reqwest::Client,
    address: Url,
    limit: Duration,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("origin", &self.origin()).finish_non_exhaustive()
    }
}

/// What is sent to an address.
#[derive(Debug)]
pub(crate) struct HookCall {
    /// The type of the body.
    pub content_type: &'static str,
    /// More headers. Their values are never logged.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Hook {
    /// Returns a caller of `address`, each call of which takes at most `limit`.
    ///
    /// # Errors
    /// When TLS cannot start.
    pub(crate) fn new(address: Url, limit: Duration) -> Result<Self, BuildError> {
        let is_near = address.host_str().is_some_and(config::is_loopback);
        Ok(Self { inner: plain_client(is_near)?, address, limit })
    }

    /// Returns the scheme, the host and the port: all of the address that is ever shown.
    #[must_use]
    pub(crate) fn origin(&self) -> String {
        self.address.origin().ascii_serialization()
    }

    /// Posts once.
    ///
    /// # Errors
    /// When no answer came within the limit, or a header cannot be sent.
    pub(crate) async fn post(&self, call: HookCall) -> Result<Answer, TransportError> {
        let unfit = |name: &str| TransportError {
            message: format!("the value of `{name}` cannot stand in a header"),
            begun: false,
            sent: false,
        };
        let mut request = self.inner.request(Method::POST, self.address.clone());
        request = request.header(CONTENT_TYPE, HeaderValue::from_static(call.content_type));
        for (name, value) in call.headers {
            let mut header = HeaderValue::try_from(value).map_err(|_| unfit(name))?;
            header.set_sensitive(true);
            request = request.header(HeaderName::from_static(name), header);
        }
        let answered = tokio::time::timeout(self.limit, self.read(request.body(call.body))).await;
        answered.unwrap_or_else(|_| {
            let message = format!("no answer from `{}` within {:?}", self.origin(), self.limit);
            Err(TransportError { message, begun: true, sent: true })
        })
    }

    async fn read(&self, request: reqwest::RequestBuilder) -> Result<Answer, TransportError> {
        let lost = |error: reqwest::Error| {
            let sent = !(error.is_connect() || error.is_builder());
            let phase = if sent { "no answer from" } else { "cannot reach" };
            let origin = self.origin();
            let message = format!("{phase} `{origin}`: {}", cause::error_chain(error));
            TransportError { message, begun: sent, sent }
        };
        let mut response = request.send().await.map_err(lost)?;
        let mut body = BytesMut::new();
        // The status alone says that it was taken.
        while !response.status().is_success() && body.len() < ANSWER_BYTES_MAX {
            let Ok(Some(chunk)) = response.chunk().await else { break };
            body.extend_from_slice(&chunk);
        }
        body.truncate(ANSWER_BYTES_MAX);
        let body: Bytes = body.freeze();
        Ok(Answer::new(response.status().as_u16(), response.headers(), body))
    }
}
