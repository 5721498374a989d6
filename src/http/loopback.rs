//! Servers on 127.0.0.1 for tests: real sockets, and every byte is chosen by the test.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use url::Url;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct SeenRequest {
    /// The request line and the headers.
    pub(crate) head: String,
    /// The body, by its Content-Length.
    pub(crate) body: Vec<u8>,
}

impl SeenRequest {
    /// Returns method and target, `GET /a?b`.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().and_then(|line| line.rsplit_once(' ')).expect("a request line").0
    }

    /// Returns a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Returns the token.
    pub(crate) fn bearer(&self) -> &str {
        self.header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default()
    }

    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub(crate) enum LoopbackReply {
    /// A status and a body.
    Body(u16, String),
    /// These bytes.
    Raw(String),
    /// No answer: the connection closes.
    Hangup,
}

impl LoopbackReply {
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::Body(200, value.to_string())
    }

    fn bytes(&self) -> String {
        match self {
            Self::Body(status, body) => {
                format!(
                    "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                )
            }
            Self::Raw(bytes) => bytes.clone(),
            Self::Hangup => String::new(),
        }
    }
}

/// A server; it ends when it is dropped.
pub(crate) struct Server {
    pub(crate) base: Url,
    seen: Arc<Mutex<Vec<SeenRequest>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Hands every connection to `handle`.
    pub(crate) async fn raw<F, Fut>(handle: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let base = format!("http://{}", listener.local_addr().expect("an address"))
            .parse()
            .expect("a URL");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(handle(stream));
            }
        });
        Self { base, seen: Arc::default(), _tasks: tasks }
    }

    /// Answers every request by what `answer` makes of it.
    pub(crate) async fn start<F, Fut>(answer: F) -> Self
    where
        F: Fn(SeenRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = LoopbackReply> + Send + 'static,
    {
        let seen: Arc<Mutex<Vec<SeenRequest>>> = Arc::default();
        let log = Arc::clone(&seen);
        let answer = Arc::new(answer);
        let server = Self::raw(move |mut stream| {
            let log = Arc::clone(&log);
            let answer = Arc::clone(&answer);
            async move {
                let Some(request) = read_request(&mut stream).await else { return };
                log.lock().expect("not poisoned").push(request.clone());
                let reply = answer(request).await;
                stream.write_all(reply.bytes().as_bytes()).await.ok();
                stream.shutdown().await.ok();
            }
        })
        .await;
        Self { seen, ..server }
    }

    /// Returns the requests so far, in the order in which they were whole.
    pub(crate) fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().expect("not poisoned").clone()
    }

    /// Returns how many requests began with `line`.
    pub(crate) fn count(&self, line: &str) -> usize {
        self.seen().iter().filter(|request| request.line().starts_with(line)).count()
    }
}

/// Reads up to the empty line; what follows stays in `rest`.
pub(crate) async fn read_head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Some((String::from_utf8(bytes).expect("a head in UTF-8"), rest));
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Reads a whole request.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<SeenRequest> {
    let (head, mut body) = read_head(stream).await?;
    let seen = SeenRequest { head, body: vec![] };
    let length: usize =
        seen.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(SeenRequest { body, ..seen })
}
