//! Which calls there are, and the book kept of them.

use std::collections::{BTreeMap, VecDeque};

use axum::http::Method;
use jiff::Timestamp;

/// A call of PAXS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Call {
    /// `GET /api/oauth/provider/authorize`
    Authorize,
    /// `GET /api/oauth/provider/poll`
    Poll,
    /// `POST /api/oauth/provider/token`
    Token,
    /// `GET /api/users/me`
    Profile,
    /// `POST /api/sessions`
    CreateSession,
    /// `GET /api/sessions`
    ListSessions,
    /// `GET /api/sessions/{id}`
    GetSession,
    /// `POST /api/recordings`
    Upload,
    /// `GET /api/recordings/{id}/analysis`
    Analysis,
    /// `POST /api/analysis/request`
    RequestAnalysis,
    /// Anything else; answered 404 or 405.
    Unknown,
}

impl Call {
    /// Returns the call that a request is.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let steps: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method.as_str(), steps.as_slice()) {
            ("GET", ["api", "oauth", "provider", "authorize"]) => Self::Authorize,
            ("GET", ["api", "oauth", "provider", "poll"]) => Self::Poll,
            ("POST", ["api", "oauth", "provider", "token"]) => Self::Token,
            ("GET", ["api", "users", "me"]) => Self::Profile,
            ("POST", ["api", "sessions"]) => Self::CreateSession,
            ("GET", ["api", "sessions"]) => Self::ListSessions,
            ("GET", ["api", "sessions", _]) => Self::GetSession,
            ("POST", ["api", "recordings"]) => Self::Upload,
            ("GET", ["api", "recordings", _, "analysis"]) => Self::Analysis,
            ("POST", ["api", "analysis", "request"]) => Self::RequestAnalysis,
            _ => Self::Unknown,
        }
    }
}

/// A call that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its place among all calls, from 0.
    pub(crate) number: u64,
    /// When its head was read.
    pub(crate) at: Timestamp,
    /// Which call.
    pub(crate) call: Call,
    /// Its path, without the query.
    pub(crate) path: String,
    /// Whether it met a fault that a test had planted, or the stand-in was down.
    pub(crate) faulted: bool,
    /// The status of its answer; `None` while it runs, and when there was no answer.
    pub(crate) status: Option<u16>,
}

/// The most calls that are remembered one by one: a test of ten thousand meetings fits, memory stays under 20 MiB.
/// The counts go on.
const RECORDS_MAX: usize = 100_000;

/// The book of calls: what came in, how often, how much at once.
#[derive(Debug, Default)]
pub(super) struct Book {
    records: VecDeque<Record>,
    next: u64,
    counts: BTreeMap<Call, u64>,
    running: BTreeMap<Call, usize>,
    uploads_at_once_max: usize,
}

impl Book {
    /// Enters a call that begins; returns its number.
    pub(super) fn begin(&mut self, call: Call, path: &str, at: Timestamp) -> u64 {
        let number = self.next;
        self.next += 1;
        *self.counts.entry(call).or_default() += 1;
        *self.running.entry(call).or_default() += 1;
        self.uploads_at_once_max = self.uploads_at_once_max.max(self.running(Call::Upload));
        if self.records.len() == RECORDS_MAX {
            self.records.pop_front();
        }
        self.records.push_back(Record {
            number,
            at,
            call,
            path: path.to_owned(),
            faulted: false,
            status: None,
        });
        number
    }

    /// Marks a call as one that met a fault.
    pub(super) fn fault(&mut self, number: u64) {
        if let Some(record) = self.record(number) {
            record.faulted = true;
        }
    }

    /// Notes the status of an answer.
    pub(super) fn answer(&mut self, number: u64, status: u16) {
        if let Some(record) = self.record(number) {
            record.status = Some(status);
        }
    }

    /// Closes a call, answered or not.
    pub(super) fn end(&mut self, call: Call) {
        let running = self.running.entry(call).or_default();
        *running = running.saturating_sub(1);
    }

    /// Returns the calls that are remembered, in the order in which they came.
    pub(super) fn records(&self) -> Vec<Record> {
        self.records.iter().cloned().collect()
    }

    /// Returns how often each call came.
    pub(super) fn counts(&self) -> BTreeMap<Call, u64> {
        self.counts.clone()
    }

    /// Returns how many of a call run now.
    pub(super) fn running(&self, call: Call) -> usize {
        self.running.get(&call).copied().unwrap_or_default()
    }

    /// Returns the most uploads that ever ran at once.
    pub(super) fn uploads_at_once_max(&self) -> usize {
        self.uploads_at_once_max
    }

    fn record(&mut self, number: u64) -> Option<&mut Record> {
        let oldest = self.records.front()?.number;
        self.records.get_mut(usize::try_from(number.checked_sub(oldest)?).ok()?)
    }
}
mod tests {
    use super::*;

    #[test]
    fn every_documented_path_is_its_call() {
        let cases = [
            (Method::GET, "/api/oauth/provider/authorize", Call::Authorize),
            (Method::GET, "/api/oauth/provider/poll", Call::Poll),
            (Method::POST, "/api/oauth/provider/token", Call::Token),
            (Method::GET, "/api/users/me", Call::Profile),
            (Method::POST, "/api/sessions", Call::CreateSession),
            (Method::GET, "/api/sessions", Call::ListSessions),
            (Method::GET, "/api/sessions/1", Call::GetSession),
            (Method::POST, "/api/recordings", Call::Upload),
            (Method::GET, "/api/recordings/1/analysis", Call::Analysis),
            (Method::POST, "/api/analysis/request", Call::RequestAnalysis),
            (Method::DELETE, "/api/sessions/1", Call::Unknown),
        ];
        for (method, path, call) in cases {
            assert_eq!(Call::of(&method, path), call, "{method} {path}");
        }
    }

    #[test]
    fn the_high_water_mark_counts_what_ran_at_once() {
        let mut book = Book::default();
        book.begin(Call::Upload, "/", Timestamp::UNIX_EPOCH);
        book.begin(Call::Upload, "/", Timestamp::UNIX_EPOCH);
        book.end(Call::Upload);
        book.begin(Call::Profile, "/", Timestamp::UNIX_EPOCH);
        book.begin(Call::Upload, "/", Timestamp::UNIX_EPOCH);
        assert_eq!(book.uploads_at_once_max(), 2);
        assert_eq!(book.counts().get(&Call::Upload), Some(&3));
    }

    #[test]
    fn old_records_give_way_and_late_answers_still_find_theirs() {
        let mut book = Book::default();
        for _ in 0..=RECORDS_MAX {
            book.begin(Call::Profile, "/", Timestamp::UNIX_EPOCH);
        }
        book.answer(0, 200);
        book.answer(1, 204);
        let records = book.records();
        assert_eq!(
            (records.len(), records[0].number, records[0].status),
            (RECORDS_MAX, 1, Some(204))
        );
    }
}
