//! The callback flow: a listener on loopback that takes one redirect of the person's browser.

use std::{net::Ipv4Addr, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use url::Url;

use super::{
    login::{self, Grant, LoginError},
    session::PaxsSession,
};
use crate::text;

/// Bytes of the longest request that is read: those of browsers are shorter.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Time limit of a request: browsers open connections in advance and send nothing.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// Connections that are served at once. More wait in the kernel.
const CONNECTIONS_MAX: usize = 16;

/// The callback flow: a link for a browser on this machine, and a listener for its redirect.
#[derive(Debug)]
pub(crate) struct CallbackLogin {
    listener: TcpListener,
    state: SecretString,
    link: Url,
    redirect_uri: String,
}

/// The meaning of a request to the listener.
enum CallbackVisit {
    Code(String),
    Error(String),
    Other(&'static str),
}

impl CallbackLogin {
    /// Listens on 127.0.0.1 alone; port 0 chooses a free one.
    pub(super) async fn listen_on(session: &PaxsSession, port: u16) -> Result<Self, LoginError> {
        let listen = |source| LoginError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
        let port = listener.local_addr().map_err(listen)?.port();
        let redirect_uri = format!("http://localhost:{port}/callback");
        let state = login::random_state()?;
        let link = login::callback_link(session, &state, &redirect_uri)?;
        Ok(Self { listener, state, link, redirect_uri })
    }

    /// Returns the link to show; the browser must run on this machine.
    #[must_use]
    pub(crate) fn link(&self) -> &Url {
        &self.link
    }

    /// Waits for the redirect, at most 5 min.
    ///
    /// # Errors
    /// When the person or the service refuses, or the time is over.
    pub(crate) async fn wait_for_grant(&self) -> Result<Grant, LoginError> {
        tokio::time::timeout(login::PATIENCE, self.serve_until_grant())
            .await
            .unwrap_or(Err(LoginError::TimedOut { last: None }))
    }

    async fn serve_until_grant(&self) -> Result<Grant, LoginError> {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if open.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => open.push(tokio::time::timeout(READ_LIMIT, self.answer_visit(stream))),
                    // A connection that was closed before it was accepted, or a momentary lack of
                    // descriptors.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(visit) = open.next(), if !open.is_empty() => match visit {
                    Ok(Some(CallbackVisit::Code(code))) => {
                        return Ok(Grant { code: code.into(), redirect_uri: self.redirect_uri.clone() });
                    }
                    Ok(Some(CallbackVisit::Error(message))) => return Err(LoginError::Refused { message }),
                    Ok(Some(CallbackVisit::Other(_)) | None) | Err(_) => {}
                },
            }
        }
    }

    /// Reads one request and answers it with a page.
    async fn answer_visit(&self, mut stream: TcpStream) -> Option<CallbackVisit> {
        let target = read_target(&mut stream).await?;
        let visit = self.read_visit(&target);
        let (status, message) = match &visit {
            CallbackVisit::Code(_) => ("200 OK", "You are signed in. You can close this page."),
            CallbackVisit::Error(_) => {
                ("200 OK", "The sign-in was refused. The terminal says why.")
            }
            CallbackVisit::Other(status) => (*status, "There is nothing here."),
        };
        // The person is signed in whether or not the page arrives.
        let sent = stream.write_all(answer_page(status, message).as_bytes()).await;
        if sent.and(stream.shutdown().await).is_err() {
            tracing::debug!("the browser did not wait for the page");
        }
        Some(visit)
    }

    fn read_visit(&self, target: &str) -> CallbackVisit {
        let Ok(url) = Url::parse(&self.redirect_uri).and_then(|base| base.join(target)) else {
            return CallbackVisit::Other("400 Bad Request");
        };
        if url.path() != "/callback" {
            return CallbackVisit::Other("404 Not Found");
        }
        let state = query_value(&url, "state");
        if !state.as_deref().is_some_and(|state| is_same_secret(state, self.state.expose_secret()))
        {
            return CallbackVisit::Other("400 Bad Request");
        }
        if let Some(error) = query_value(&url, "error") {
            let more = query_value(&url, "error_description").map(|more| format!(": {more}"));
            let more = more.unwrap_or_default();
            return CallbackVisit::Error(text::one_line(&format!("{error}{more}"), 200));
        }
        match query_value(&url, "code").filter(|code| !code.is_empty()) {
            Some(code) => CallbackVisit::Code(code),
            None => CallbackVisit::Other("400 Bad Request"),
        }
    }
}

fn query_value(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Compares in a time that does not depend on the secret, as blake3 compares hashes.
fn is_same_secret(one: &str, other: &str) -> bool {
    blake3::hash(one.as_bytes()) == blake3::hash(other.as_bytes())
}

/// Reads the head of a request and returns the target of a GET.
async fn read_target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= REQUEST_BYTES_MAX || stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = std::str::from_utf8(&head).ok()?;
    let mut words = head.lines().next()?.split(' ');
    let target = words.next().filter(|method| *method == "GET").and(words.next())?;
    target.starts_with('/').then(|| target.to_owned())
}

fn answer_page(status: &str, message: &str) -> String {
    let body =
        format!("<!doctype html><meta charset=utf-8><title>minuted</title><p>{message}</p>\n");
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'\r\n\r\n\
         {body}",
        body.len()
    )
}
