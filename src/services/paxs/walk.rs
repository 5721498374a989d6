//! Walking the list of meetings: to its real end, or not at all.
//!
//! Nothing is known of the list but that it has pages. A server may ignore `page`, cap `page_size`, repeat its last
//! page for ever or sort as it likes; meetings may be made meanwhile. So a short page is no end, only times that were
//! seen to fall prove an order, and a page that comes again is the end only where another page was turned to before.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

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
    answers::check_status(session.call(&request, Priority::High).await?)
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

/// Walks that an error has interrupted, by what they look for. Each goes on where it was, so that it comes to its end
/// also where errors come more often than a whole walk would take.
#[derive(Debug, Default)]
pub(super) struct Walks(Mutex<HashMap<String, Walk>>);

/// Walks that are kept at once; one more begins anew. Each holds 16 bytes a meeting seen.
const WALKS_MAX: usize = 16;

/// The walk for all markers, among those for one.
const ALL: &str = "";

impl Walks {
    fn take(&self, name: &str) -> Walk {
        self.held().remove(name).unwrap_or_default()
    }

    fn keep(&self, name: &str, mut walk: Walk) {
        let mut held = self.held();
        if !walk.hopeless && held.len() < WALKS_MAX {
            walk.interrupt();
            held.insert(name.to_owned(), walk);
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Walk>> {
        self.0.lock().expect("no thread panics while it holds the walks")
    }
}

/// A walk under way.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about a list of which nothing is known")]
pub(super) struct Walk {
    /// The last page that was read.
    page: u32,
    barren: u32,
    /// Whether a page other than the first brought mostly new meetings: `page` has an effect.
    turned: bool,
    ended: bool,
    /// By how much the clock of the service is behind ours.
    behind: Duration,
    before: Vec<String>,
    /// Hashes of the ids of the meetings that were looked into.
    seen: HashSet<[u8; 16]>,
    /// Whether an error came after the last page: meetings may have moved from page to page since.
    broken: bool,
    /// Whether an error came since the front was read: then it is looked at once more, for what was made meanwhile.
    interrupted: bool,
    /// Whether that is what it does now.
    at_front: bool,
    /// Whether there is nothing in it to go on from.
    hopeless: bool,
    order: Order,
    found: Vec<(Key, String)>,
}

impl Walk {
    /// Returns the meetings of the next page that were not looked into before; `None` at the end.
    async fn next(&mut self, session: &Session) -> Result<Option<Vec<Listed>>, CallError> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if self.page >= PAGES_MAX || self.barren >= BARREN_MAX {
                self.hopeless = true;
                return Err(answers::unexpected("a list of meetings without an end"));
            }
            let page = if self.broken { self.page } else { self.page + 1 };
            let answer = match read(session, page, PAGE_SIZE).await {
                // So some servers say that a page lies behind the last one.
                Err(CallError::Refused { status: 404, .. }) if page > 1 => None,
                answer => Some(answer?),
            };
            let (listed, total) = answer.map_or(Ok((vec![], None)), |answer| self.listed(answer))?;
            let again_after_error = self.broken;
            if again_after_error && !self.is_joined(&listed) {
                continue;
            }
            self.page = page;
            let ids: Vec<String> = listed.iter().map(|item| item.id.clone()).collect();
            let again = ids == self.before && !ids.is_empty();
            if again && !self.turned && total.is_none_or(|total| total > self.seen.len() as u64) {
                return self.at_once(session).await.map(Some);
            }
            let new = self.unseen(listed);
            if again || ids.is_empty() || self.at_front && new.is_empty() && !again_after_error {
                self.end();
                continue;
            }
            self.turned |= page > 1 && new.len() * 2 >= ids.len();
            self.before = ids;
            self.barren = if new.is_empty() { self.barren + 1 } else { 0 };
            return Ok(Some(new));
        }
    }

    fn listed(&mut self, answer: Answer) -> Result<(Vec<Listed>, Option<u64>), CallError> {
        let behind = answer.date.map(|date| elapsed(date, clock::now())).unwrap_or_default();
        self.behind = self.behind.max(behind);
        let answer = answers::json(answer)?;
        let total = wire::total(&answer);
        Ok((listed(answer)?, total))
    }

    /// Whether a page that is read again joins what was seen before the error: where its first meeting was seen nothing
    /// is missing in between, however many were made or deleted meanwhile. Else the page before is tried, and in the end
    /// the walk begins anew.
    fn is_joined(&mut self, listed: &[Listed]) -> bool {
        self.broken = false;
        if listed.first().is_some_and(|first| self.seen.contains(&hash(&first.id))) {
            return true;
        }
        self.page -= 1;
        self.broken = self.page > 0;
        if !self.broken && !self.at_front {
            *self = Self::default();
        }
        false
    }

    /// The end is reached. What was made while the walk was interrupted may stand at the front.
    fn end(&mut self) {
        if self.interrupted {
            self.interrupted = false;
            self.at_front = true;
            self.page = 0;
            self.before.clear();
        } else {
            self.ended = true;
        }
    }

    fn interrupt(&mut self) {
        self.before.clear();
        self.broken = self.page > 0;
        self.interrupted = true;
        self.ended = false;
        self.barren = 0;
    }

    fn unseen(&self, mut listed: Vec<Listed>) -> Vec<Listed> {
        let mut here = HashSet::new();
        listed.retain(|item| !self.seen.contains(&hash(&item.id)) && here.insert(hash(&item.id)));
        listed
    }

    /// A meeting was looked into.
    fn saw(&mut self, item: &Listed) {
        self.seen.insert(hash(&item.id));
        self.order.see(item.created);
    }

    /// Whether everything that follows is older than `limit`.
    fn proves_older_than(&self, limit: Timestamp) -> bool {
        let limit = limit.saturating_sub(self.behind).unwrap_or(Timestamp::MIN);
        !self.at_front && self.order.proves_older_than(limit)
    }

    /// `page` has no effect: as much as a server gives at once is asked for. Servers cap a page at a round number, so
    /// any other count is that of the whole list; a round one proves nothing.
    async fn at_once(&mut self, session: &Session) -> Result<Vec<Listed>, CallError> {
        let answer = answers::json(read(session, 1, PAGE_SIZE_MAX).await?)?;
        let total = wire::total(&answer);
        let all = listed(answer)?;
        let count = all.len() as u64;
        let is_round = count.is_multiple_of(10) || count.is_multiple_of(25);
        if total.map_or(is_round, |total| total > count) {
            self.hopeless = true;
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
    walks: &Walks,
    key: &Key,
    title: &str,
    since: Timestamp,
) -> Result<Option<String>, CallError> {
    let name = key.to_string();
    let mut walk = walks.take(&name);
    let found = look_for(session, &mut walk, key, title, since).await;
    if found.is_err() {
        walks.keep(&name, walk);
    }
    found
}

async fn look_for(
    session: &Session,
    walk: &mut Walk,
    key: &Key,
    title: &str,
    since: Timestamp,
) -> Result<Option<String>, CallError> {
    let limit = since.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    while let Some(items) = walk.next(session).await? {
        for item in items {
            if marker(session, &item, Some(title)).await?.as_ref() == Some(key) {
                return Ok(Some(item.id));
            }
            walk.saw(&item);
        }
        if walk.proves_older_than(limit) {
            walk.end();
        }
    }
    Ok(None)
}

/// Returns every marker in the list with its meeting.
pub(super) async fn markers(session: &Session, walks: &Walks) -> Result<Vec<(Key, String)>, CallError> {
    let mut walk = walks.take(ALL);
    match collect(session, &mut walk).await {
        Ok(()) => Ok(walk.found),
        Err(error) => {
            walks.keep(ALL, walk);
            Err(error)
        }
    }
}

async fn collect(session: &Session, walk: &mut Walk) -> Result<(), CallError> {
    while let Some(items) = walk.next(session).await? {
        for item in items {
            let key = marker(session, &item, None).await?;
            walk.saw(&item);
            walk.found.extend(key.map(|key| (key, item.id)));
        }
    }
    Ok(())
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
