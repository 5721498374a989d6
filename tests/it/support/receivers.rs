//! Models of those who are told of events: a receiver of Standard Webhooks, an ntfy server, a monitor as healthchecks.io,
//! and chats. Strict: what the vendor's documents do not permit is an error that the test shows.

use std::collections::VecDeque;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::server::{Answer, Request, Server, header};

/// A secret of 32 bytes.
pub(crate) const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The secret from before.
pub(crate) const OLD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A message that a receiver got.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) seconds: String,
    pub(crate) signature: String,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Received {
    /// The word of its event.
    pub(crate) fn event(&self) -> &str {
        self.body["type"].as_str().expect("a type")
    }

    /// How many of its signatures were made with this secret.
    pub(crate) fn signatures_by(&self, secret: &str) -> usize {
        let bytes = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let signed =
            hmac::sign(&key, format!("{}.{}.{}", self.id, self.seconds, self.text).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(signed.as_ref()));
        self.signature.split(' ').filter(|signature| *signature == expected).count()
    }
}

/// A receiver of webhooks.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    /// What it took.
    pub(crate) taken: Vec<Received>,
    /// What it refused.
    pub(crate) refused: Vec<Received>,
    /// The next answers in place of 204: a status, and more lines of the head.
    pub(crate) next: VecDeque<(u16, String)>,
    /// The answer from now on, in place of 204.
    pub(crate) always: Option<u16>,
}

impl Hooks {
    /// Starts one.
    pub(crate) fn start() -> Server<Self> {
        Server::start(Self::default(), Self::answer)
    }

    /// The events that it took, in their order.
    pub(crate) fn events(&self) -> Vec<String> {
        self.taken.iter().map(|taken| taken.event().to_owned()).collect()
    }

    #[expect(clippy::unnecessary_wraps, reason = "a server may lose an answer; this one does not")]
    fn answer(&mut self, (line, headers, body): &Request) -> Option<Answer> {
        let of = |name: &str| header(headers, name).unwrap_or_default().to_owned();
        assert!(line.starts_with("POST /hook/s3cret?q=1 "), "{line}");
        assert_eq!(of("content-type"), "application/json");
        assert!(body.len() <= 20_000, "{} bytes", body.len());
        let text = String::from_utf8(body.clone()).expect("UTF-8");
        let received = Received {
            id: of("webhook-id"),
            seconds: of("webhook-timestamp"),
            signature: of("webhook-signature"),
            body: serde_json::from_str(&text).expect("JSON"),
            text,
        };
        let keys: Vec<_> = received.body.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["data", "timestamp", "type"]);
        let (status, more) = match (self.next.pop_front(), self.always) {
            (Some(next), _) => next,
            (None, Some(status)) => (status, String::new()),
            (None, None) => (204, String::new()),
        };
        let taken = if status == 204 { &mut self.taken } else { &mut self.refused };
        taken.push(received);
        Some(Answer::json(status, more, r#"{"error":"busy"}"#.to_owned()))
    }
}

/// The keys of a message that minuted sends.
const NTFY_KEYS: [&str; 6] = ["topic", "title", "message", "tags", "priority", "click"];

/// An ntfy server: what its `docs/publish.md` and its source accept.
#[derive(Debug, Default)]
pub(crate) struct Ntfy {
    /// What was published.
    pub(crate) published: Vec<Value>,
    /// How many requests are refused for their number.
    pub(crate) limited: u32,
    /// The token that it wants.
    pub(crate) token: Option<&'static str>,
}

impl Ntfy {
    /// Starts one.
    pub(crate) fn start(token: Option<&'static str>) -> Server<Self> {
        Server::start(Self { token, ..Self::default() }, Self::answer)
    }

    fn answer(&mut self, (line, headers, body): &Request) -> Option<Answer> {
        let error = |status: u16, code: u32, error: &str| {
            let link = "https://ntfy.sh/docs/publish/";
            let body =
                serde_json::json!({"code": code, "http": status, "error": error, "link": link});
            Some(Answer::json(status, String::new(), body.to_string()))
        };
        if !line.starts_with("POST / ") {
            return error(404, 40401, "page not found");
        }
        if self.limited > 0 {
            self.limited -= 1;
            return error(429, 42901, "limit reached: too many requests");
        }
        let given = header(headers, "authorization").unwrap_or_default();
        if self.token.is_some_and(|token| given != format!("Bearer {token}")) {
            return error(401, 40101, "unauthorized");
        }
        let Ok(Value::Object(message)) = serde_json::from_slice(body) else {
            return error(400, 40024, "invalid request: request body must be valid JSON");
        };
        if let Some(unknown) = message.keys().find(|key| !NTFY_KEYS.contains(&key.as_str())) {
            panic!("`{unknown}` is no key that minuted should send to ntfy");
        }
        let priority = message["priority"].as_u64().expect("a number");
        assert!((1..=5).contains(&priority), "{priority}");
        let text = message["message"].as_str().expect("a text");
        assert!(!text.is_empty() && text.len() <= 4096, "ntfy makes a file of a longer one");
        assert!(message["tags"].as_array().is_some_and(|tags| tags.iter().all(Value::is_string)));
        self.published.push(Value::Object(message));
        Some(Answer::json(200, String::new(), "{}".to_owned()))
    }
}

/// A monitor as healthchecks.io: at most five calls in a minute, and no other way than those that it documents.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// The calls: `ok` or `fail`, and what was told.
    pub(crate) calls: Vec<(&'static str, String)>,
}

impl Checks {
    /// Starts one.
    pub(crate) fn start() -> Server<Self> {
        Server::start(Self::default(), Self::answer)
    }

    #[expect(clippy::unnecessary_wraps, reason = "a server may lose an answer; this one does not")]
    fn answer(&mut self, (line, _, body): &Request) -> Option<Answer> {
        let kind = match line.split(' ').nth(1).expect("a path") {
            "/ping/0b3c-uuid" => "ok",
            "/ping/0b3c-uuid/fail" => "fail",
            other => panic!("no call of the protocol: {other}"),
        };
        // One a start, and then one in five minutes: five of them would be a loop.
        assert!(self.calls.len() < 5, "healthchecks.io answers 429 from here on");
        self.calls.push((kind, String::from_utf8(body.clone()).expect("UTF-8")));
        Some(Answer { status: 200, more: String::new(), kind: "text/plain", body: "OK".to_owned() })
    }
}

/// A chat: it keeps what is posted and put to it.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    /// The line of each request, its `Authorization`, and its JSON.
    pub(crate) posted: Vec<(String, String, Value)>,
}

impl Chat {
    /// Starts one.
    pub(crate) fn start() -> Server<Self> {
        Server::start(Self::default(), Self::answer)
    }

    #[expect(clippy::unnecessary_wraps, reason = "a server may lose an answer; this one does not")]
    fn answer(&mut self, (line, headers, body): &Request) -> Option<Answer> {
        let of = |name: &str| header(headers, name).unwrap_or_default().to_owned();
        assert!(of("content-type").starts_with("application/json"), "{}", of("content-type"));
        let json = serde_json::from_slice(body).expect("JSON");
        self.posted.push((line.clone(), of("authorization"), json));
        Some(Answer::json(200, String::new(), "{}".to_owned()))
    }
}
