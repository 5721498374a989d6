//! Walking the list of meetings: to its real end, or not at all.
//!
//! Nothing is known of the list but that it has pages. A server may ignore `page`, cap `page_size`, repeat its last
//! page for ever or sort as it likes; meetings may be made meanwhile. So a short page is no end, only times that were
//! seen to fall prove an order, and a page that comes again is the end only where another page was turned to before.

use std::{collections::HashSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    session::Session,
    wire::{self, Listed},
};
use crate::{
    clock::{self, elapsed},
    http::{Answer, Request},
    job::Key,
    services::{CallError, answers, pacer::Priority},
};

/// A walk of more pages than this is given up as incomplete: 200,000 meetings at 20 a page.
const PAGES_MAX: u32 = 10_000;

/// What the documents ask for.
const PAGE_SIZE: &str = "20";

/// What is asked for where `page` has no effect: the documents name no limit, a hundred is what servers allow.
const PAGE_SIZE_MAX: &str = "100";

/// Pages in a row without a new meeting after which a walk is given up as incomplete. One could be full of repeats
/// because twenty meetings were made during the walk.
const BARREN_MAX: u32 = 3;

/// Meetings seen in falling order before the order is believed: half a page.
const ORDER_PROOF: usize = 10;

/// The sessions' path.
pub(super) const SESSIONS: [&str; 2] = ["api", "sessions"];

/// Returns a page of the list as it came.
pub(super) async fn page(session: &Session, page: u32) -> Result<Vec<Value>, CallError> {
    items(answers::json(read(session, page, PAGE_SIZE).await?)?)
}

async fn read(session: &Session, page: u32, size: &str) -> Result<Answer, CallError> {
    let page = page.to_string();
    let request = Request::get(&SESSIONS).query("page", &page).query("page_size", size);
    answers::accepted(session.call(&request, Priority::High).await?)
}

fn items(answer: Value) -> Result<Vec<Value>, CallError> {
    wire::list(answer).ok_or_else(|| answers::unexpected("a list of meetings without a list"))
}

fn listed(answer: Value) -> Result<Vec<Listed>, CallError> {
    let listed = items(answer)?.iter().map(Listed::read).collect::<Option<Vec<_>>>();
    listed.ok_or_else(|| answers::unexpected("a meeting without an id in the list"))
}

/// Returns the details of a meeting.
pub(super) async fn details(session: &Session, id: &str) -> Result<Value, CallError> {
    let request = Request::get(&["api", "sessions", id]);
    let details = answers::json(session.call(&request, Priority::High).await?)?;
    if wire::meeting_id(&details).is_some_and(|found| found != id) {
        return Err(answers::unexpected("details of another meeting"));
    }
    Ok(details)
}

/// A walk under way.
struct Walk<'a> {
    session: &'a Session,
    page: u32,
    barren: u32,
    /// Whether a page other than the first brought mostly new meetings: `page` has an effect.
    turned: bool,
    ended: bool,
    /// By how much the clock of the service is behind ours.
    behind: Duration,
    before: Vec<String>,
    /// Hashes of the ids seen.
    seen: HashSet<[u8; 16]>,
}

impl<'a> Walk<'a> {
    fn new(session: &'a Session) -> Self {
        Self {
            session,
            page: 0,
            barren: 0,
            turned: false,
            ended: false,
            behind: Duration::ZERO,
            before: vec![],
            seen: HashSet::new(),
        }
    }

    /// Returns the meetings of the next page that were not on any page before; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<Listed>>, CallError> {
        if self.ended {
            return Ok(None);
        }
        if self.page >= PAGES_MAX || self.barren >= BARREN_MAX {
            return Err(answers::unexpected("a list of meetings without an end"));
        }
        self.page += 1;
        let answer = match read(self.session, self.page, PAGE_SIZE).await {
            // So some servers say that a page lies behind the last one.
            Err(CallError::Refused { status: 404, .. }) if self.page > 1 => return Ok(None),
            answer => answer?,
        };
        let behind = answer.date.map(|date| elapsed(date, clock::now())).unwrap_or_default();
        self.behind = self.behind.max(behind);
        let answer = answers::json(answer)?;
        let total = wire::total(&answer);
        let listed = listed(answer)?;
        let ids: Vec<String> = listed.iter().map(|item| item.id.clone()).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        if ids == self.before {
            let whole = self.turned || total.is_some_and(|total| total <= self.seen.len() as u64);
            return if whole { Ok(None) } else { self.at_once().await.map(Some) };
        }
        let new = self.unseen(listed);
        self.turned |= self.page > 1 && new.len() * 2 >= ids.len();
        self.before = ids;
        self.barren = if new.is_empty() { self.barren + 1 } else { 0 };
        Ok(Some(new))
    }

    fn unseen(&mut self, listed: Vec<Listed>) -> Vec<Listed> {
        listed.into_iter().filter(|item| self.seen.insert(hash(&item.id))).collect()
    }

    /// `page` has no effect: as much as a server gives at once is asked for. Servers cap a page at a round number, so
    /// any other count is that of the whole list; a round one proves nothing.
    async fn at_once(&mut self) -> Result<Vec<Listed>, CallError> {
        let answer = answers::json(read(self.session, 1, PAGE_SIZE_MAX).await?)?;
        let total = wire::total(&answer);
        let all = listed(answer)?;
        let count = all.len() as u64;
        let is_round = count.is_multiple_of(10) || count.is_multiple_of(25);
        if total.map_or(is_round, |total| total > count) {
            return Err(answers::unexpected(
                "the list of meetings is the same on every page, so that it cannot be known what else there is",
            ));
        }
        self.ended = true;
        Ok(self.unseen(all))
    }
}

fn hash(id: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..16]);
    short
}

/// Whether the list was newest first as far as it was seen.
#[derive(Debug, Default)]
struct Order {
    last: Option<Timestamp>,
    fallen: usize,
    broken: bool,
}

impl Order {
    fn see(&mut self, created: Option<Timestamp>) {
        let Some(created) = created else {
            self.broken = true;
            return;
        };
        match self.last {
            Some(last) if created > last => self.broken = true,
            Some(last) if created < last => self.fallen += 1,
            Some(_) | None => {}
        }
        self.last = Some(created);
    }

    /// Returns whether everything that follows is older than `limit`.
    fn proves_older_than(&self, limit: Timestamp) -> bool {
        !self.broken && self.fallen >= ORDER_PROOF && self.last.is_some_and(|last| last < limit)
    }
}

/// Looks for the meeting with the marker of `key`.
pub(super) async fn find(
    session: &Session,
    key: &Key,
    title: &str,
    since: Timestamp,
) -> Result<Option<String>, CallError> {
    let limit = since.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    let (mut walk, mut order) = (Walk::new(session), Order::default());
    while let Some(items) = walk.next().await? {
        for item in items {
            order.see(item.created);
            if marker(session, &item, Some(title)).await?.as_ref() == Some(key) {
                return Ok(Some(item.id));
            }
        }
        if order.proves_older_than(limit.saturating_sub(walk.behind).unwrap_or(Timestamp::MIN)) {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Returns every marker in the list with its meeting.
pub(super) async fn markers(session: &Session) -> Result<Vec<(Key, String)>, CallError> {
    let (mut walk, mut found) = (Walk::new(session), Vec::new());
    while let Some(items) = walk.next().await? {
        for item in items {
            if let Some(key) = marker(session, &item, None).await? {
                found.push((key, item.id));
            }
        }
    }
    Ok(found)
}

/// Returns the marker of a meeting. Where the list does not hold the whole description the details are read: of any
/// meeting, or only of those with this title.
async fn marker(session: &Session, item: &Listed, title: Option<&str>) -> Result<Option<Key>, CallError> {
    if let Some(key) = item.description.as_deref().and_then(Key::from_description) {
        return Ok(Some(key));
    }
    let is_wanted = match title {
        // A list may cut a description without saying so.
        Some(title) => item.title.as_deref().is_none_or(|found| is_same_title(found, title)),
        None => !item.is_whole(),
    };
    if !is_wanted {
        return Ok(None);
    }
    match details(session, &item.id).await {
        Ok(details) => Ok(Listed::read(&details).and_then(|item| Key::from_description(item.description.as_deref()?))),
        // Gone meanwhile, or of someone else: not ours.
        Err(CallError::Refused { status: 404 | 410, .. } | CallError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Titles are the same but for white space, and for what a list cuts off.
fn is_same_title(found: &str, title: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (found, title) = (words(found), words(title));
    let cut = found.strip_suffix('…').or_else(|| found.strip_suffix("..."));
    found == title || cut.is_some_and(|begin| !begin.trim().is_empty() && title.starts_with(begin.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn order<T: Into<Option<Timestamp>>>(times: impl IntoIterator<Item = T>) -> Order {
        let mut order = Order::default();
        times.into_iter().for_each(|time| order.see(time.into()));
        order
    }

    #[test]
    fn only_times_that_were_seen_to_fall_prove_an_order() {
        let limit = Timestamp::from_second(500).expect("in range");
        assert!(order((0..20).map(|n| at(400 - n))).proves_older_than(limit));
        assert!(!order((0..20).map(|n| at(600 - n))).proves_older_than(limit), "not there yet");
        assert!(!order((0..20).map(at)).proves_older_than(limit), "oldest first");
        assert!(!order((0..20).map(|_| at(7))).proves_older_than(limit), "all the same");
        assert!(!order([at(7)]).proves_older_than(limit), "one proves nothing");
        assert!(
            !order((0..20).map(|n| Some(at(400 - n))).chain([None])).proves_older_than(limit),
            "one without a time"
        );
    }

    #[test]
    fn titles_match_but_for_white_space_and_what_a_list_cuts_off() {
        assert!(is_same_title("Weekly  sales ", "Weekly sales"));
        assert!(is_same_title("Weekly…", "Weekly sales"));
        assert!(!is_same_title("…", "Weekly sales"));
        assert!(!is_same_title("Weekly", "Weekly sales"));
    }
}
