//! A client of one origin, and the calls to it that are not uploads.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{Answer, JSON_BYTES_MAX, cause, public::PublicHosts};
use crate::config;

/// A connection that is not there after this will not come: three SYNs have been lost.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// No byte of an upload taken for so long means that the server or the way to it stands still.
const STALL: Duration = Duration::from_secs(60);

/// The least time a server has to answer after the last byte of an upload: it may first pass the
/// recording on.
const ANSWER_MIN: Duration = Duration::from_secs(120);

/// The kernel gives a connection up when sent bytes stay unacknowledged for so long: later than
/// [`STALL`], which says better what happened.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(75);

/// The interval of TCP keep-alive probes, for servers that answer after minutes and for the NATs in
/// between.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Idle connections are kept for so long: less than what servers do, so that a call seldom meets
/// one that is closing.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Idle connections kept: the workers of one service rarely call more at once.
const POOL_MAX: usize = 8;

/// The client's name to services.
const USER_AGENT: &str = concat!("minuted/", env!("CARGO_PKG_VERSION"));

/// The time limits of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Of a whole call that is not an upload, from connecting to the last byte of the answer.
    pub request: Duration,
    /// Without any byte of an upload being taken.
    pub stall: Duration,
    /// From the last byte of an upload to its answer, besides a second for every 10 MiB sent.
    pub answer: Duration,
}

impl CallLimits {
    /// Returns the limits for calls of at most `request`: an upload may stand still for 60 s and
    /// has no limit in all; after its last byte the answer may take four times `request`, at least
    /// 2 min.
    #[must_use]
    pub fn new(request: Duration) -> Self {
        Self { request, stall: STALL, answer: ANSWER_MIN.max(request.saturating_mul(4)) }
    }
}

/// A client of one service.
#[derive(Clone)]
pub(crate) struct Client {
    pub(super) inner: reqwest::Client,
    pub(super) limits: CallLimits,
    base: Url,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("origin", &self.origin())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A client that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The base URL has no place for a path.
    #[error("`{0}` is not a base URL: expected http:// or https:// and a host")]
    Base(String),
    /// TLS or the resolver cannot start.
    #[error("failed to prepare the HTTP client: {0}")]
    Start(String),
}

/// A call that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// The error on one line, without address or secrets.
    pub message: String,
    /// True when the service may have received a part of the request.
    pub begun: bool,
    /// True when the service may have received the whole request.
    pub sent: bool,
}

/// A request to make; the address is relative to the client's base.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    method: Method,
    path: Vec<&'a str>,
    slash: bool,
    query: Vec<(&'a str, &'a str)>,
    pub(super) bearer: Option<&'a SecretString>,
    key: Option<(&'static str, &'a SecretString)>,
    body: Option<Bytes>,
    limit: Option<Duration>,
    pub(super) bytes_max: usize,
}

impl<'a> Request<'a> {
    /// Returns a GET of the path made of these segments; each is percent-encoded.
    #[must_use]
    pub(crate) fn get(path: &[&'a str]) -> Self {
        Self {
            method: Method::GET,
            path: path.to_vec(),
            slash: false,
            query: Vec::new(),
            bearer: None,
            key: None,
            body: None,
            limit: None,
            bytes_max: JSON_BYTES_MAX,
        }
    }

    /// Returns a POST to the path made of these segments; each is percent-encoded.
    #[must_use]
    pub(crate) fn post(path: &[&'a str]) -> Self {
        Self { method: Method::POST, ..Self::get(path) }
    }

    /// Returns a DELETE of the path made of these segments; each is percent-encoded.
    #[must_use]
    pub(crate) fn delete(path: &[&'a str]) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    /// Ends the path in a slash, for a server that knows the place by that name alone and would
    /// redirect.
    #[must_use]
    pub(crate) fn slash(mut self) -> Self {
        self.slash = true;
        self
    }

    /// Adds a pair to the query.
    #[must_use]
    pub(crate) fn query(mut self, name: &'a str, value: &'a str) -> Self {
        self.query.push((name, value));
        self
    }

    /// Sends `body` as JSON.
    #[must_use]
    pub(crate) fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(Bytes::from(body.to_string()));
        self
    }

    /// Authenticates the call by a bearer token.
    #[must_use]
    pub(crate) fn bearer(mut self, token: &'a SecretString) -> Self {
        self.bearer = Some(token);
        self
    }

    /// Authenticates the call by a key in this header.
    #[must_use]
    pub(crate) fn key(mut self, header: &'static str, key: &'a SecretString) -> Self {
        self.key = Some((header, key));
        self
    }

    /// Waits so long for the whole call, or for the answer to an upload once it has begun, in place
    /// of [`CallLimits::request`].
    #[must_use]
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Reads at most so many bytes of the answer; [`JSON_BYTES_MAX`] by default.
    #[must_use]
    pub(crate) fn bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }
}

impl Client {
    /// Returns a client for everything below `base`.
    ///
    /// # Errors
    /// When `base` is not an address of a web server, or TLS cannot start.
    pub(crate) fn new(base: &Url, limits: CallLimits) -> Result<Self, BuildError> {
        let Some(host) = base.host_str().filter(|_| matches!(base.scheme(), "http" | "https"))
        else {
            return Err(BuildError::Base(crate::text::one_line(base.as_str(), 200)));
        };
        let inner = plain_client(config::is_loopback(host))?;
        let mut base = base.clone();
        // A name and password in the address would be sent besides the token; neither fails on http
        // and https.
        if base.set_username("").and(base.set_password(None)).is_err() {
            return Err(BuildError::Base(base.origin().ascii_serialization()));
        }
        Ok(Self { inner, limits, base })
    }

    /// Returns the origin, `https://host[:port]`: tokens are bound to it.
    #[must_use]
    pub(crate) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Returns the time limits.
    #[must_use]
    pub(crate) fn limits(&self) -> CallLimits {
        self.limits
    }

    /// Returns the address of a path below the base.
    ///
    /// # Errors
    /// When a segment is empty, `.` or `..`, or becomes so without its control characters, which
    /// are dropped from an address: it would name another place.
    pub(crate) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, TransportError> {
        let unfit =
            |message: &str| TransportError { message: message.into(), begun: false, sent: false };
        if path.iter().any(|segment| {
            matches!(*segment, "" | "." | "..") || segment.contains(char::is_control)
        }) {
            return Err(unfit("an id that cannot stand in an address"));
        }
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => return Err(unfit("base_url has no place for a path")),
        };
        url.set_query(None);
        url.set_fragment(None);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// Makes one call and reads its whole answer, with any status.
    ///
    /// # Errors
    /// When no whole answer came within the limits of time and size.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Answer, TransportError> {
        let prepared = self.prepare_call(request)?;
        let call = async {
            let response = prepared.send().await.map_err(|error| self.transport_error(error))?;
            self.read_answer(response, request.bytes_max).await
        };
        let limit = self.time_limit(request);
        tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
            let message = format!("no answer from `{}` within {limit:?}", self.origin());
            Err(TransportError { message, begun: true, sent: true })
        })
    }

    pub(super) fn time_limit(&self, request: &Request<'_>) -> Duration {
        request.limit.unwrap_or(self.limits.request)
    }

    pub(super) fn prepare_call(
        &self,
        request: &Request<'_>,
    ) -> Result<reqwest::RequestBuilder, TransportError> {
        let mut url = self.url(&request.path, &request.query)?;
        if request.slash {
            // It is encoded already, and stays as it is.
            url.set_path(&format!("{}/", url.path()));
        }
        let mut prepared = self.inner.request(request.method.clone(), url);
        if let Some(token) = request.bearer {
            prepared = prepared.header(AUTHORIZATION, bearer_header(token)?);
        }
        if let Some((header, key)) = request.key {
            prepared = prepared.header(header, secret_header(key.expose_secret(), "the key")?);
        }
        if let Some(body) = &request.body {
            prepared = prepared
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        Ok(prepared.header(reqwest::header::ACCEPT, "application/json"))
    }

    /// Reads a body up to `bytes_max`, even if its head promised less.
    pub(super) async fn read_answer(
        &self,
        mut response: reqwest::Response,
        bytes_max: usize,
    ) -> Result<Answer, TransportError> {
        let mut body = BytesMut::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| self.transport_error(error))?
        {
            if body.len() + chunk.len() > bytes_max {
                let message =
                    format!("the answer of `{}` is longer than {bytes_max} bytes", self.origin());
                return Err(TransportError { message, begun: true, sent: true });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::new(response.status().as_u16(), response.headers(), body.freeze()))
    }

    pub(super) fn transport_error(&self, error: reqwest::Error) -> TransportError {
        let sent = !(error.is_connect() || error.is_builder());
        let phase = if sent { "no answer from" } else { "cannot reach" };
        TransportError {
            message: format!("{phase} `{}`: {}", self.origin(), cause::error_chain(error)),
            begun: sent,
            sent,
        }
    }
}

/// Returns a client with all limits but those of a call, and without credentials.
pub(super) fn plain_client(on_this_machine: bool) -> Result<reqwest::Client, BuildError> {
    build(on_this_machine, reqwest::Client::builder())
}

/// Returns such a client whose hosts `resolver` looks up.
pub(super) fn plain_client_by(
    on_this_machine: bool,
    resolver: PublicHosts,
) -> Result<reqwest::Client, BuildError> {
    build(on_this_machine, reqwest::Client::builder().dns_resolver(std::sync::Arc::new(resolver)))
}

fn build(
    on_this_machine: bool,
    builder: reqwest::ClientBuilder,
) -> Result<reqwest::Client, BuildError> {
    let builder = builder
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_MAX)
        .tcp_keepalive(KEEPALIVE)
        .tcp_user_timeout(TCP_USER_TIMEOUT);
    let builder = if on_this_machine { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| BuildError::Start(cause::error_chain(error)))
}

fn bearer_header(token: &SecretString) -> Result<HeaderValue, TransportError> {
    secret_header(&format!("Bearer {}", token.expose_secret()), "the access token")
}

fn secret_header(text: &str, name: &str) -> Result<HeaderValue, TransportError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| TransportError {
        message: format!("{name} cannot stand in a header"),
        begun: false,
        sent: false,
    })?;
    value.set_sensitive(true);
    Ok(value)
}
