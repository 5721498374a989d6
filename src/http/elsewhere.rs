//! Addresses that a service gives: its store, a host that it names only in its answers.
//!
//! Credentials are never sent there: the address itself is the permission. It is not shown either.

use bytes::BytesMut;
use url::Url;

use super::{
    Answer, BuildError, CallLimits, TransportError, cause,
    client::plain_client_by,
    public::{PublicHosts, RefusedAddress},
};
use crate::config;

/// Why nothing came from an address that a service gave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nothing is fetched from this address, however often it is tried. Others of the service may be fit.
    #[error("{0}")]
    Address(String),
    /// No answer came. [`TransportError::begun`] is false when the store could not be reached at all.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl From<RefusedAddress> for FetchError {
    fn from(RefusedAddress(why): RefusedAddress) -> Self {
        Self::Address(why)
    }
}

/// A client for addresses of any origin.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    inner: reqwest::Client,
    limits: CallLimits,
    /// Looks up the hosts of the addresses.
    hosts: PublicHosts,
    /// True when an address may be http, as the calls to the service itself are.
    in_the_clear: bool,
}

impl Elsewhere {
    /// Returns a client for the addresses that the service at `base` gives.
    ///
    /// # Errors
    /// When TLS cannot start.
    pub fn new(base: &Url, limits: CallLimits) -> Result<Self, BuildError> {
        let hosts = PublicHosts::for_service(base);
        let inner =
            plain_client_by(base.host_str().is_some_and(config::is_loopback), hosts.clone())?;
        Ok(Self { inner, limits, hosts, in_the_clear: base.scheme() == "http" })
    }

    /// Prepares a GET of an address that a service gave.
    ///
    /// # Errors
    /// When it is on this machine or in a network of one's own, and the service is not.
    pub(super) async fn prepare_get(
        &self,
        url: &Url,
    ) -> Result<reqwest::RequestBuilder, FetchError> {
        self.hosts.admit_host(url).await?;
        Ok(self.inner.get(url.clone()))
    }

    pub(super) fn limits(&self) -> CallLimits {
        self.limits
    }

    /// Reads an address as the service gave it; `None` for one that is not fetched: no address, or
    /// one in the clear.
    #[must_use]
    pub fn address(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let is_fit = url.scheme() == "https" || (url.scheme() == "http" && self.in_the_clear);
        let is_plain = url.username().is_empty() && url.password().is_none();
        (is_fit && is_plain && url.has_host()).then_some(url)
    }

    /// Fetches the content of an address, with any status, up to `bytes_max`.
    ///
    /// # Errors
    /// When no whole answer came within the limits of time and size, or the address is one that is not fetched.
    pub async fn get(&self, url: &Url, bytes_max: usize) -> Result<Answer, FetchError> {
        let host = url.host_str().unwrap_or_default();
        let failed = |message: String| {
            FetchError::Transport(TransportError { message, begun: true, sent: true })
        };
        let lost = |error: reqwest::Error| match RefusedAddress::in_causes_of(&error) {
            Some(refused) => refused.clone().into(),
            None => failed(format!("no answer from `{host}`: {}", cause::error_chain(error))),
        };
        let call = async {
            let mut response = self.prepare_get(url).await?.send().await.map_err(lost)?;
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(lost)? {
                if body.len() + chunk.len() > bytes_max {
                    return Err(failed(format!(
                        "the answer of `{host}` is longer than {bytes_max} bytes"
                    )));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Answer::new(response.status().as_u16(), response.headers(), body.freeze()))
        };
        let limit = self.limits.answer;
        tokio::time::timeout(limit, call)
            .await
            .unwrap_or_else(|_| Err(failed(format!("no answer from `{host}` within {limit:?}"))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_address_of_this_machine_is_refused_and_no_failure_of_the_way_there() {
        let base = "https://8.8.8.8".parse().expect("a URL");
        let client =
            Elsewhere::new(&base, CallLimits::new(Duration::from_secs(60))).expect("a client");
        let url: Url = "https://127.0.0.1:1/talk.flac".parse().expect("a URL");
        let fetched = client.fetch(&url).await.expect_err("refused");
        assert!(
            matches!(&fetched, FetchError::Address(why) if why.contains("`127.0.0.1`")),
            "{fetched:?}"
        );
        assert_eq!(client.get(&url, 1).await.expect_err("refused"), fetched);
    }

    #[test]
    fn an_address_in_the_clear_is_fetched_only_where_the_service_itself_is_in_the_clear() {
        let fit = |base: &str, text: &str| {
            let client = Elsewhere::new(
                &base.parse().expect("a URL"),
                CallLimits::new(Duration::from_secs(1)),
            );
            client.expect("a client").address(text).is_some()
        };
        assert!(fit("https://a.example", "https://store.example/x?sig=1"));
        assert!(fit("http://127.0.0.1:1", "http://127.0.0.1:2/x"));
        for text in [
            "http://store.example/x",
            "file:///etc/passwd",
            "",
            "x",
            "https://u:p@store.example/",
            "data:,x",
        ] {
            assert!(!fit("https://a.example", text), "{text}");
        }
    }
}
