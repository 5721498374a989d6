//! The wire of the vendor's API: requests apart, faults, twists, what is kept of an exchange.

use std::{
    io::{BufReader, Write as _},
    net::TcpStream,
    sync::Mutex,
    thread,
};

use serde_json::{Value, json};

use super::{Answer, Call, Exchange, Fault, KEY_HEADER, State, Twist, v1, v2};
use crate::support::server;

/// A request as it came.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) bytes: Vec<u8>,
}

impl Request {
    /// The path in its segments.
    pub(super) fn path(&self) -> Vec<&str> {
        self.target.split('?').next().unwrap_or_default().split('/').skip(1).collect()
    }

    /// A value of the query.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    /// A number of the query.
    pub(super) fn number(&self, name: &str, usual: usize) -> usize {
        self.query(name).map_or(usual, |number| number.parse().expect("a number"))
    }

    /// The body.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("JSON")
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        server::header(&self.headers, name)
    }
}

/// Reads one request; its length must be known before.
pub(super) fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let (line, headers, bytes) = server::read(reader)?;
    let mut words = line.split(' ').map(str::to_owned);
    Some(Request { method: words.next()?, target: words.next()?, headers, bytes })
}

pub(super) fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let (fault, answer) = {
            let mut state = state.lock().expect("not poisoned");
            answered(&mut state, &request)
        };
        let mut more = String::new();
        let mut kind = "application/json";
        let (status, body) = match fault {
            Some(Fault::Lost) => return,
            Some(Fault::Page) => {
                kind = "text/html";
                (200, "<h1>Welcome</h1>".to_owned())
            }
            Some(Fault::Status(status, body)) => (status, body),
            Some(Fault::RetryAfter(status, wait)) => {
                more = format!("Retry-After: {wait}\r\n");
                (status, "{}".to_owned())
            }
            Some(Fault::RetryAfterInBody(status, wait)) => {
                let body = json!({"success": false, "error": "Too many requests", "code": "RATE_LIMITED",
                                  "statusCode": status, "retryAfter": wait});
                (status, body.to_string())
            }
            Some(Fault::Slow(wait)) => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a server that is slow is what is asked for"
                )]
                thread::sleep(wait);
                (answer.status, answer.body.to_string())
            }
            None => (
                answer.status,
                if answer.body.is_null() { String::new() } else { answer.body.to_string() },
            ),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\n{more}Content-Length: {length}\r\n\r\n"
        );
        if (&mut &*stream).write_all(&[head.as_bytes(), body.as_bytes()].concat()).is_err() {
            return;
        }
    }
}

/// Does the work, and keeps the exchange.
fn answered(state: &mut State, request: &Request) -> (Option<Fault>, Answer) {
    let is_v2 = request.path().first() == Some(&"v2");
    let call = if is_v2 { v2::call(request) } else { v1::call(request) };
    let refused = |status: u16, message: &str| {
        if is_v2 { v2::refusal(status, message) } else { v1::refusal(status, message) }
    };
    let Some(call) = call else { return (None, refused(404, "no such place")) };
    state.calls.push(call);
    let fault = fault(state, call);
    let is_done = matches!(fault, None | Some(Fault::Lost | Fault::Page | Fault::Slow(_)));
    let mut answer = if request.header(KEY_HEADER) != Some(&state.key) {
        // Some say back what they refuse.
        refused(401, &format!("invalid API key: {}", request.header(KEY_HEADER).unwrap_or("none")))
    } else if state.sending_only && request.method == "GET" {
        refused(403, "Insufficient permissions")
    } else if !is_done {
        refused(500, "a fault stands in its place")
    } else if is_v2 {
        v2::answer(state, call, request)
    } else {
        v1::answer(state, call, request)
    };
    let is_twisted = state.twisted.as_ref().is_none_or(|id| request.target.contains(id.as_str()));
    let twists = if is_twisted { state.twists.clone() } else { Vec::new() };
    let is_plain = fault.is_none() && twists.is_empty();
    for twist in twists {
        twist.apply(&mut answer.body);
    }
    state.exchanges.push(Exchange {
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        body: (!request.bytes.is_empty()).then(|| request.json()),
        status: answer.status,
        answer: is_plain.then(|| answer.body.clone()),
    });
    (fault, answer)
}

fn fault(state: &mut State, call: Call) -> Option<Fault> {
    let once = state.once.iter().position(|(of, _)| *of == call).map(|at| state.once.remove(at).1);
    once.or_else(|| state.always.iter().find(|(of, _)| *of == call).map(|(_, fault)| fault.clone()))
}

impl Twist {
    fn apply(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                // First those below: what is added is left as it is.
                fields
                    .values_mut()
                    .filter(|field| field.is_object() || field.is_array())
                    .for_each(|field| self.apply(field));
                match self {
                    Self::Drop(name) => drop(fields.remove(*name)),
                    Self::Put(name, put) => {
                        if let Some(field) = fields.get_mut(*name) {
                            *field = put.clone();
                        }
                    }
                    Self::Rename(name, to) => {
                        if let Some(field) = fields.remove(*name) {
                            fields.insert((*to).to_owned(), field);
                        }
                    }
                    Self::Add(name, add) => {
                        fields.entry(*name).or_insert(add.clone());
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
