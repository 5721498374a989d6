//! A model of a server that publishes a calendar at a secret address, as strict as the standard allows.

use super::{
    server::{Answer, Request, Server, header},
    tls::{Authority, Door, Kind, Way},
};

/// The path of the calendar: it proves that one may read it.
pub(crate) const SECRET_PATH: &str = "/calendar/private-0123456789abcdef/basic.ics";

/// What is answered to the next questions.
#[derive(Debug, Clone)]
pub(crate) enum Mood {
    /// The calendar.
    Well,
    /// This status, and nothing.
    Failing(u16),
    /// Nothing: the connection ends.
    Lost,
    /// A redirect to this address.
    Moved(String),
}

/// A question that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub(crate) status: u16,
    pub(crate) is_conditional: bool,
}

pub(crate) struct CalendarState {
    text: String,
    version: u32,
    mood: Mood,
    fetches: Vec<Fetch>,
}

/// The server behind its door of TLS.
pub(crate) struct CalendarHost {
    server: Server<CalendarState>,
    door: Door,
}

impl CalendarHost {
    pub(crate) fn start(authority: &Authority, text: &str) -> Self {
        let state = CalendarState {
            text: text.to_owned(),
            version: 1,
            mood: Mood::Well,
            fetches: Vec::new(),
        };
        let server = Server::start(state, answer);
        let door = Door::open(authority, Way::Tls(Kind::Good), server.address().port());
        Self { server, door }
    }

    /// The secret address.
    pub(crate) fn address(&self) -> String {
        format!("https://localhost:{}{SECRET_PATH}", self.door.port())
    }

    /// Publishes another version.
    pub(crate) fn publish(&self, text: &str) {
        let mut state = self.server.state();
        text.clone_into(&mut state.text);
        state.version += 1;
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.server.state().mood = mood;
    }

    pub(crate) fn fetches(&self) -> Vec<Fetch> {
        self.server.state().fetches.clone()
    }
}

fn answer(state: &mut CalendarState, (line, headers, _): &Request) -> Option<Answer> {
    for proof in ["authorization", "cookie", "referer"] {
        assert!(header(headers, proof).is_none(), "the address is the only proof: {headers:?}");
    }
    if *line != format!("GET {SECRET_PATH} HTTP/1.1") {
        return Some(Answer {
            status: 404,
            more: String::new(),
            kind: "text/plain",
            body: String::new(),
        });
    }
    let known = header(headers, "if-none-match");
    let tag = format!("\"v{}\"", state.version);
    let (status, more, body) = match &state.mood {
        Mood::Lost => return None,
        Mood::Failing(status) => (*status, String::new(), String::new()),
        Mood::Moved(to) => (302, format!("Location: {to}\r\n"), String::new()),
        Mood::Well if known == Some(tag.as_str()) => {
            (304, format!("ETag: {tag}\r\n"), String::new())
        }
        Mood::Well => (200, format!("ETag: {tag}\r\n"), state.text.clone()),
    };
    state.fetches.push(Fetch { status, is_conditional: known.is_some() });
    Some(Answer { status, more, kind: "text/calendar; charset=utf-8", body })
}
