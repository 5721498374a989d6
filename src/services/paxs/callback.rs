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
    session::Session,
};
use crate::text;

/// A request of a browser is smaller; what is longer is cut off.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Browsers open connections ahead and leave them silent.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// Connections at once. More wait in the kernel.
const CONNECTIONS_MAX: usize = 16;

/// The callback flow: a link for a browser on this machine, and a listener for its redirect.
#[derive(Debug)]
pub struct CallbackLogin {
    listener: TcpListener,
    state: SecretString,
    link: Url,
    redirect_uri: String,
}

/// What a request to the listener was.
enum Visit {
    Code(String),
    Error(String),
    Other(&'static str),
}

impl CallbackLogin {
    /// Listens on 127.0.0.1 alone; port 0 takes a free one.
    pub(super) async fn listen(session: &Session, port: u16) -> Result<Self, LoginError> {
        let listen = |source| LoginError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
        let port = listener.local_addr().map_err(listen)?.port();
        let redirect_uri = format!("http://localhost:{port}/callback");
        let state = login::state()?;
        let link = login::callback_link(session, &state, &redirect_uri)?;
        Ok(Self { listener, state, link, redirect_uri })
    }

    /// Returns the link to show; the browser must run on this machine.
    #[must_use]
    pub fn link(&self) -> &Url {
        &self.link
    }

    /// Waits for the redirect, at most 5 min.
    ///
    /// # Errors
    /// When the person or the service refuses, or nobody comes.
    pub async fn grant(&self) -> Result<Grant, LoginError> {
        tokio::time::timeout(login::PATIENCE, self.visits()).await.unwrap_or(Err(LoginError::TimedOut { last: None }))
    }

    async fn visits(&self) -> Result<Grant, LoginError> {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if open.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => open.push(tokio::time::timeout(READ_LIMIT, self.serve(stream))),
                    // A connection that is gone before it is taken, or no descriptor left for a moment.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(visit) = open.next(), if !open.is_empty() => match visit {
                    Ok(Some(Visit::Code(code))) => {
                        return Ok(Grant { code: code.into(), redirect_uri: self.redirect_uri.clone() });
                    }
                    Ok(Some(Visit::Error(message))) => return Err(LoginError::Refused { message }),
                    Ok(Some(Visit::Other(_)) | None) | Err(_) => {}
                },
            }
        }
    }

    /// Reads one request and answers it with a page.
    async fn serve(&self, mut stream: TcpStream) -> Option<Visit> {
        let target = target(&mut stream).await?;
        let visit = self.visit(&target);
        let (status, said) = match &visit {
            Visit::Code(_) => ("200 OK", "You are signed in. You can close this page."),
            Visit::Error(_) => ("200 OK", "The sign-in was refused. The terminal says why."),
            Visit::Other(status) => (*status, "There is nothing here."),
        };
        // The person is signed in whether or not the page arrives.
        let sent = stream.write_all(page(status, said).as_bytes()).await;
        if sent.and(stream.shutdown().await).is_err() {
            tracing::debug!("the browser did not wait for the page");
        }
        Some(visit)
    }

    fn visit(&self, target: &str) -> Visit {
        let Ok(url) = Url::parse(&self.redirect_uri).and_then(|base| base.join(target)) else {
            return Visit::Other("400 Bad Request");
        };
        if url.path() != "/callback" {
            return Visit::Other("404 Not Found");
        }
        let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let state = value("state");
        if !state.as_deref().is_some_and(|state| same(state, self.state.expose_secret())) {
            return Visit::Other("400 Bad Request");
        }
        if let Some(error) = value("error") {
            let more = value("error_description").map(|more| format!(": {more}")).unwrap_or_default();
            return Visit::Error(text::one_line(&format!("{error}{more}"), 200));
        }
        match value("code").filter(|code| !code.is_empty()) {
            Some(code) => Visit::Code(code),
            None => Visit::Other("400 Bad Request"),
        }
    }
}

/// Compares in a time that tells nothing: hashes are compared so by blake3.
fn same(one: &str, other: &str) -> bool {
    blake3::hash(one.as_bytes()) == blake3::hash(other.as_bytes())
}

/// Reads the head of a request and returns the target of a GET.
async fn target(stream: &mut TcpStream) -> Option<String> {
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

fn page(status: &str, said: &str) -> String {
    let body = format!("<!doctype html><meta charset=utf-8><title>minuted</title><p>{said}</p>\n");
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'\r\n\r\n\
         {body}",
        body.len()
    )
}
