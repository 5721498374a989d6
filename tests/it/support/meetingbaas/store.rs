//! The vendor's store: another origin, which gives a file to whoever knows its address, until that expires.

use std::{
    io::{BufReader, Write as _},
    net::TcpStream,
    sync::Mutex,
    thread,
    time::Duration,
};

use super::{
    Fetched, State,
    http::{Request, read},
    v2,
};

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Spoil {
    /// This status with a few words.
    Status(u16),
    /// The connection closes after so many bytes.
    Cut(usize),
    /// The length that is promised is that of the file and so many more.
    Longer(usize),
    /// The whole file comes, with no word of its length.
    NoLength,
    /// A page comes in its place, with status 200.
    Page,
    /// Nothing comes, with status 200.
    Empty,
    /// It comes in so many pieces, with this wait between them.
    Slow(usize, Duration),
    /// It lies elsewhere, it says: at this address.
    Redirect(String),
}

pub(super) fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let (spoil, found) = {
            let mut state = state.lock().expect("not poisoned");
            let found = found(&mut state, &request);
            let spoil = if state.spoil_once.is_empty() {
                state.spoil_always.clone()
            } else {
                Some(state.spoil_once.remove(0))
            };
            let spoil = if is_broken(&state, &request) { Some(Spoil::Status(503)) } else { spoil };
            let status = match (&spoil, &found) {
                (Some(Spoil::Status(status)), _) => *status,
                (
                    Some(
                        Spoil::Cut(_)
                        | Spoil::Longer(_)
                        | Spoil::Page
                        | Spoil::Empty
                        | Spoil::Redirect(_),
                    ),
                    _,
                ) => 0,
                (Some(Spoil::Slow(..) | Spoil::NoLength) | None, Some(_)) => 200,
                (Some(Spoil::Slow(..) | Spoil::NoLength) | None, None) => 403,
            };
            let path = request.target.split('?').next().unwrap_or_default().to_owned();
            state.fetched.push(Fetched { path, headers: request.headers.clone(), status });
            (spoil, found)
        };
        if !send(stream, spoil, found.as_deref()) {
            return;
        }
    }
}

fn is_broken(state: &State, request: &Request) -> bool {
    let owner =
        request.query("X-Amz-Signature").and_then(|signature| state.addresses.get(&signature));
    owner.is_some_and(|(id, _)| state.broken.as_ref() == Some(id))
}

/// The bytes at an address; `None` where it has expired.
fn found(state: &mut State, request: &Request) -> Option<Vec<u8>> {
    let (id, file) = state.addresses.get(&request.query("X-Amz-Signature")?)?.clone();
    let bot = state.bot(&id).filter(|bot| !bot.deleted)?;
    let (_, extension) = file.rsplit_once('.')?;
    Some(if extension == "json" {
        v2::transcript(bot).to_string().into_bytes()
    } else {
        bot.recorded(extension)
    })
}

/// Sends it; `false` when the connection is over.
fn send(stream: &TcpStream, spoil: Option<Spoil>, found: Option<&[u8]>) -> bool {
    let head = |status: u16, kind: &str, length: usize| {
        format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes()
    };
    let whole =
        |status: u16, kind: &str, body: &[u8]| [&head(status, kind, body.len()), body].concat();
    let expired = || whole(403, "application/xml", b"<Error><Code>AccessDenied</Code></Error>");
    let say = |bytes: &[u8]| (&mut &*stream).write_all(bytes).is_ok();
    let bytes = found.unwrap_or_default();
    match (spoil, found) {
        (Some(Spoil::Status(status)), _) => say(&whole(status, "application/xml", b"<Error/>")),
        (Some(Spoil::Page), _) => say(&whole(200, "text/html", b"<h1>Please sign in</h1>")),
        (Some(Spoil::Empty), _) => say(&whole(200, "audio/flac", b"")),
        (Some(Spoil::Redirect(to)), _) => {
            say(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
                .as_bytes())
        }
        (_, None) => say(&expired()),
        (Some(Spoil::Cut(after)), Some(_)) => {
            say(&head(200, "audio/flac", bytes.len()));
            say(&bytes[..after.min(bytes.len())]);
            false
        }
        (Some(Spoil::Longer(by)), Some(_)) => {
            say(&head(200, "audio/flac", bytes.len() + by));
            say(bytes);
            false
        }
        (Some(Spoil::NoLength), Some(_)) => {
            say(b"HTTP/1.1 200 OK\r\nContent-Type: audio/flac\r\nConnection: close\r\n\r\n");
            say(bytes);
            false
        }
        (Some(Spoil::Slow(pieces, wait)), Some(_)) => {
            let piece = bytes.len().div_ceil(pieces.max(1)).max(1);
            say(&head(200, "audio/flac", bytes.len()))
                && bytes.chunks(piece).all(|chunk| {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a store that is slow is what is asked for"
                    )]
                    thread::sleep(wait);
                    say(chunk)
                })
        }
        (None, Some(_)) => say(&whole(200, "application/octet-stream", bytes)),
    }
}
