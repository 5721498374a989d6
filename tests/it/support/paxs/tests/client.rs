//! A client that shows the wire as it is: what was heard, and how the connection ended.

use std::{io, net::SocketAddr, time::Duration};

use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::paxs::{Options, Standin};

/// The boundary of the forms.
const BOUNDARY: &str = "standin-boundary";

/// What came back.
#[derive(Debug)]
pub(super) struct Heard {
    /// Every byte.
    pub(super) bytes: Vec<u8>,
    /// How reading or writing broke off, if it did.
    pub(super) error: Option<io::ErrorKind>,
}

impl Heard {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(super) fn status(&self) -> u16 {
        let text = self.text();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("an answer, not {self:?}"))
    }

    pub(super) fn body(&self) -> String {
        self.text().split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body())
            .unwrap_or_else(|error| panic!("JSON, not {:?}: {error}", self.text()))
    }

    /// The header as it was sent; headers are lower case.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.text()
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
    }
}

/// A stand-in and somebody who is signed in there.
pub(super) struct Caller {
    pub(super) standin: Standin,
    pub(super) token: String,
}

impl Caller {
    pub(super) fn new(options: Options) -> Self {
        Self::of(Standin::start(options).expect("loopback"))
    }

    /// Analyses take no time at all.
    pub(super) fn quick() -> Self {
        Self::new(Options {
            transcription_time: Duration::ZERO,
            note_time: Duration::ZERO,
            ..Options::default()
        })
    }

    pub(super) fn of(standin: Standin) -> Self {
        let token = standin.issue_pair().access.expose_secret().to_owned();
        Self { standin, token }
    }

    fn address(&self) -> SocketAddr {
        let url = self.standin.base_url();
        url.trim_start_matches("http://").parse().expect("an address")
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.expect("it listens")
    }

    /// The head of a request; the body is the caller's.
    pub(super) fn head(&self, call: &str, kind: &str, length: u64) -> String {
        let token = &self.token;
        format!(
            "{call} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        )
    }

    pub(super) async fn get(&self, path: &str) -> Heard {
        self.send(&format!("GET {path}"), "text/plain", b"").await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Heard {
        self.send(&format!("POST {path}"), "application/json", body.to_string().as_bytes()).await
    }

    pub(super) async fn send(&self, call: &str, kind: &str, body: &[u8]) -> Heard {
        let mut stream = self.connect().await;
        let mut request = self.head(call, kind, body.len() as u64).into_bytes();
        request.extend_from_slice(body);
        let sent = stream.write_all(&request).await;
        let mut heard = listen(&mut stream).await;
        heard.error = heard.error.or(sent.err().map(|error| error.kind()));
        heard
    }

    pub(super) async fn create(&self, title: &str) -> String {
        let attendees =
            serde_json::json!([{ "email": "ann@example.com", "displayName": "Ann Lee" }]);
        let body = serde_json::json!({ "title": title, "description": "d\nminuted:x", "attendees": attendees });
        let heard = self.post("/api/sessions", &body).await;
        heard.json()["id"].as_str().expect("an id").to_owned()
    }

    pub(super) async fn upload(&self, meeting: &str, name: &str, bytes: &[u8]) -> Heard {
        let form = form(&[text("session_id", meeting), file(name, Some("audio/wav"), bytes)]);
        self.send_form(meeting, &form).await
    }

    pub(super) async fn send_form(&self, meeting: &str, form: &[u8]) -> Heard {
        self.send(&format!("POST /api/recordings?session_id={meeting}"), &form_type(), form).await
    }
}

pub(super) fn form_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// Reads to the end, however it comes.
pub(super) async fn listen(stream: &mut TcpStream) -> Heard {
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).await.err().map(|error| error.kind());
    Heard { bytes, error }
}

/// A form field.
pub(super) fn text(name: &str, value: &str) -> Vec<u8> {
    format!("content-disposition: form-data; name=\"{name}\"\r\n\r\n{value}").into_bytes()
}

/// A file's form field.
pub(super) fn file(name: &str, mime: Option<&str>, bytes: &[u8]) -> Vec<u8> {
    let mime = mime.map(|mime| format!("content-type: {mime}\r\n")).unwrap_or_default();
    let head =
        format!("content-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n{mime}\r\n");
    [head.as_bytes(), bytes].concat()
}

pub(super) fn form(fields: &[Vec<u8>]) -> Vec<u8> {
    let mut form = Vec::new();
    for field in fields {
        form.extend_from_slice(format!("--{BOUNDARY}\r\n").as_bytes());
        form.extend_from_slice(field);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    form
}
