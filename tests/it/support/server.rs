//! What the models of servers outside share: a port that takes requests, a thread a connection, until its value goes.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// A request line, the headers with their names in lower case, the body.
pub(crate) type Request = (String, Vec<(String, String)>, Vec<u8>);

/// What is answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// More lines of the head, each with its end.
    pub(crate) more: String,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
}

impl Answer {
    /// An answer in JSON.
    pub(crate) fn json(status: u16, more: String, body: String) -> Self {
        Self { status, more, kind: "application/json", body }
    }
}

/// A server with state; it ends with this value.
pub(crate) struct Server<S> {
    address: SocketAddr,
    state: Arc<Mutex<S>>,
    stopped: Arc<AtomicBool>,
}

impl<S: Send + 'static> Server<S> {
    /// Starts one that answers so; `None` is an answer that is lost, and ends the connection.
    pub(crate) fn start(state: S, answer: fn(&mut S, &Request) -> Option<Answer>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = Self { address, state: Arc::new(Mutex::new(state)), stopped: Arc::default() };
        let (state, stopped) = (Arc::clone(&server.state), Arc::clone(&server.stopped));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&state);
                thread::spawn(move || serve(&stream, &state, answer));
            }
        });
        server
    }
}

impl<S> Server<S> {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it is and has seen.
    pub(crate) fn state(&self) -> MutexGuard<'_, S> {
        self.state.lock().expect("no thread panics while it holds the state")
    }
}

impl<S> Drop for Server<S> {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

fn serve<S>(stream: &TcpStream, state: &Mutex<S>, answer: fn(&mut S, &Request) -> Option<Answer>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let answered = answer(&mut state.lock().expect("not poisoned"), &request);
        let Some(Answer { status, more, kind, body }) = answered else { return };
        let body = if status == 204 { "" } else { body.as_str() };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\n{more}Content-Length: {length}\r\n\r\n"
        );
        if (&mut &*stream).write_all(&[head.as_bytes(), body.as_bytes()].concat()).is_err() {
            return;
        }
    }
}

/// Reads one request; its length must be known before.
pub(crate) fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut lines = reader.by_ref().lines();
    let line = lines.next()?.ok()?;
    let mut headers = Vec::new();
    while let Some((name, value)) = lines.next()?.ok()?.split_once(':') {
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length =
        header(&headers, "content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((line, headers, body))
}

/// A header, by its name in lower case.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
