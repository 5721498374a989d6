//! A document at an address of one's own configuration, which is a secret: a calendar's.
//!
//! Redirects are followed within the same origin alone, so that the secret goes nowhere else. Messages name the host at most.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION};
use url::Url;

use super::{Answer, BuildError, TransportError, cause, client::plain_client};
use crate::config;

/// Redirects that are followed: a vendor that moves an address needs one or two.
const REDIRECTS_MAX: usize = 5;

/// Bytes of the mark of a version that are kept.
const TAG_BYTES_MAX: usize = 1024;

/// The mark of a version of a document.
#[derive(Debug, Clone)]
pub(crate) struct DocumentTag(HeaderValue);

/// The answer to the question for a document.
#[derive(Debug)]
pub(crate) enum FetchedDocument {
    /// The document, and the mark of its version.
    New(Bytes, Option<DocumentTag>),
    /// The document has not changed.
    Unchanged,
    /// Anything else.
    Refused(Answer),
}

/// The reason why no document came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    /// No client could be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// No whole answer came.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The address leads to another server.
    #[error("`{from}` redirects to another server, `{to}`, and its address is not sent there")]
    Elsewhere {
        /// The host that was asked.
        from: String,
        /// The host that it names.
        to: String,
    },
    /// The redirects have no end, or lead nowhere.
    #[error("`{0}` redirects without end")]
    Redirects(String),
    /// The document is too long.
    #[error("what `{host}` sends is larger than {} MiB", .bytes_max >> 20)]
    TooLarge {
        /// The host.
        host: String,
        /// The most bytes that are read.
        bytes_max: usize,
    },
}

/// Fetches a document, unless it is the version that `known` marks. The whole takes `limit` at most.
///
/// # Errors
/// When no whole answer came, or the address leads elsewhere.
pub(crate) async fn fetch_document(
    url: &Url,
    known: Option<&DocumentTag>,
    bytes_max: usize,
    limit: Duration,
) -> Result<FetchedDocument, DocumentError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    tokio::time::timeout(limit, follow(url, known, bytes_max)).await.unwrap_or_else(|_| {
        let message = format!("no answer from `{host}` within {limit:?}");
        Err(TransportError { message, begun: true, sent: true }.into())
    })
}

async fn follow(
    url: &Url,
    known: Option<&DocumentTag>,
    bytes_max: usize,
) -> Result<FetchedDocument, DocumentError> {
    let host = url.host_str().unwrap_or_default();
    let client = plain_client(config::is_loopback(host))?;
    let lost = |error: reqwest::Error| {
        let begun = !(error.is_connect() || error.is_builder());
        let phase = if begun { "no answer from" } else { "cannot reach" };
        // Without the address, which is the secret.
        let cause = cause::error_chain(error.without_url());
        TransportError { message: format!("{phase} `{host}`: {cause}"), begun, sent: begun }
    };
    let mut at = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let mut request = client.get(at.clone()).header(ACCEPT, "text/calendar, */*;q=0.5");
        if let Some(DocumentTag(tag)) = known {
            request = request.header(IF_NONE_MATCH, tag.clone());
        }
        let mut response = request.send().await.map_err(lost)?;
        match response.status().as_u16() {
            200 => {}
            304 if known.is_some() => return Ok(FetchedDocument::Unchanged),
            301 | 302 | 303 | 307 | 308 => {
                at = next_address(&at, response.headers().get(LOCATION))?;
                continue;
            }
            status => {
                let refused = Answer::new(status, response.headers(), Bytes::new());
                return Ok(FetchedDocument::Refused(refused));
            }
        }
        let tag = response.headers().get(ETAG).filter(|tag| tag.len() <= TAG_BYTES_MAX).cloned();
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > bytes_max {
                return Err(DocumentError::TooLarge { host: host.to_owned(), bytes_max });
            }
            body.extend_from_slice(&chunk);
        }
        return Ok(FetchedDocument::New(body.freeze(), tag.map(DocumentTag)));
    }
    Err(DocumentError::Redirects(host.to_owned()))
}

/// Returns where a redirect leads, if that is on the same server.
fn next_address(at: &Url, location: Option<&HeaderValue>) -> Result<Url, DocumentError> {
    let from = at.host_str().unwrap_or_default().to_owned();
    let next = location.and_then(|location| at.join(location.to_str().ok()?).ok());
    let Some(next) = next else { return Err(DocumentError::Redirects(from)) };
    if next.origin() == at.origin() {
        return Ok(next);
    }
    let to = crate::text::one_line(next.host_str().unwrap_or_default(), 100);
    Err(DocumentError::Elsewhere { from, to })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::loopback::{LoopbackReply, Server, read_request};

    /// The secret part of the address.
    const SECRET: &str = "private-0123456789abcdef";

    /// Returns a server that gives this answer, and the secret address there.
    async fn serve(reply: LoopbackReply) -> (Server, Url) {
        let server = Server::start(move |_| {
            let reply = reply.clone();
            async move { reply }
        })
        .await;
        let url = server.base.join(&format!("/{SECRET}/basic.ics?token={SECRET}")).expect("a URL");
        (server, url)
    }

    async fn fetch(
        url: &Url,
        known: Option<&DocumentTag>,
    ) -> Result<FetchedDocument, DocumentError> {
        fetch_document(url, known, 1 << 20, Duration::from_secs(60)).await
    }

    #[tokio::test]
    async fn a_document_that_has_not_changed_is_not_sent_again() {
        let server = Server::start(async |request| {
            let head = match request.header("if-none-match") {
                Some("\"v1\"") => "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n",
                Some(_) | None => {
                    "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 4\r\n\r\ntext"
                }
            };
            LoopbackReply::Raw(head.to_owned())
        })
        .await;
        let url = server.base.join("/x.ics").expect("a URL");
        let FetchedDocument::New(text, tag) = fetch(&url, None).await.expect("fetched") else {
            panic!("it is new")
        };
        assert_eq!(&*text, b"text");
        let again = fetch(&url, tag.as_ref()).await.expect("fetched");
        assert!(matches!(again, FetchedDocument::Unchanged), "{again:?}");
        // One that was never seen cannot be unchanged.
        let (_server, url) =
            serve(LoopbackReply::Raw("HTTP/1.1 304 Not Modified\r\n\r\n".into())).await;
        let refused = fetch(&url, None).await.expect("answered");
        assert!(matches!(refused, FetchedDocument::Refused(_)), "{refused:?}");
    }

    #[tokio::test]
    async fn whatever_goes_wrong_the_secret_is_in_no_message() {
        let long = "x".repeat(2 << 20);
        let lie = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n{long}");
        let moved = |to: &str| {
            LoopbackReply::Raw(format!(
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
            ))
        };
        for (reply, expected) in [
            (LoopbackReply::Body(200, long.clone()), "larger than 1 MiB"),
            (LoopbackReply::Raw(lie), "larger than 1 MiB"),
            (
                LoopbackReply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut".into()),
                "no answer from",
            ),
            (LoopbackReply::Raw("not HTTP".into()), "no answer from"),
            (LoopbackReply::Hangup, "no answer from"),
            (moved(&format!("http://other.example/{SECRET}")), "another server"),
            (moved(&format!("/{SECRET}")), "redirects without end"),
            (moved(""), "redirects without end"),
        ] {
            let (_server, url) = serve(reply).await;
            let error = fetch(&url, None).await.expect_err(expected);
            let told = crate::text::error_chain(&error);
            assert!(told.contains(expected), "{told}");
            assert!(!told.contains(SECRET) && !format!("{error:?}").contains(SECRET), "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_ends_is_given_up() {
        for begin in ["", "HTTP/1.1 200 OK\r\n\r\nBEGIN:VCALENDAR\r\n"] {
            let server = Server::raw(async |mut stream| {
                let Some(_) = read_request(&mut stream).await else { return };
                tokio::io::AsyncWriteExt::write_all(&mut stream, begin.as_bytes()).await.ok();
                std::future::pending::<()>().await;
            })
            .await;
            let url = server.base.join("/x.ics").expect("a URL");
            let error = fetch(&url, None).await.expect_err("given up");
            assert!(error.to_string().starts_with("no answer from `127.0.0.1`"), "{error}");
        }
    }

    #[test]
    fn a_redirect_is_followed_on_the_same_server_alone() {
        let at: Url = "https://calendar.example/private/secret.ics".parse().expect("a URL");
        let next = |location: &'static str| {
            next_address(&at, Some(&HeaderValue::from_static(location))).map(|url| url.to_string())
        };
        assert_eq!(next("/moved").expect("followed"), "https://calendar.example/moved");
        assert_eq!(
            next("https://calendar.example:443/moved").expect("followed"),
            "https://calendar.example/moved"
        );
        for location in [
            "http://calendar.example/moved",
            "https://calendar.example:8443/moved",
            "https://other.example/moved",
            "//other.example/moved",
            "https://calendar.example.other.example/",
            "https://calendar.example@other.example/",
            "file:///etc/passwd",
            "data:text/calendar,x",
        ] {
            let refused = next(location).expect_err(location);
            assert!(matches!(refused, DocumentError::Elsewhere { .. }), "{location}: {refused}");
            assert!(!refused.to_string().contains("secret"), "{refused}");
        }
        assert!(matches!(next_address(&at, None), Err(DocumentError::Redirects(_))));
    }
}
