//! Walks of the list of meetings, to its real end or not at all.
//!
//! The list is only known to have pages. A server may ignore `page`, cap `page_size`, repeat its
//! last page without end or sort as it likes, and meetings may be made meanwhile. So a short page
//! is no end, an order is proven only by times that were seen to fall, and a repeated page is the
//! end only where another page came before it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    session::PaxsSession,
    wire::{self, ListedMeeting},
};
use crate::{
    clock::{self, elapsed},
    http::{Answer, Request},
    job::Key,
    services::{CallError, answers, pacer::Priority},
};

/// Pages after which a walk is given up as incomplete: 200,000 meetings at 20 a page.
const PAGES_MAX: u32 = 10_000;

/// Size of a page, by the documents.
const PAGE_SIZE: &str = "20";

/// Size of the page where `page` has no effect: the documents name no limit, servers commonly allow
/// a hundred.
const PAGE_SIZE_MAX: &str = "100";

/// Pages in a row without a new meeting, after which a walk is given up as incomplete. One page may
/// be full of repeats because twenty meetings were made during the walk.
const BARREN_MAX: u32 = 3;

/// Meetings seen in falling order before the order counts as proven: half a page.
const ORDER_PROOF: usize = 10;

/// The sessions' path.
pub(super) const SESSIONS: [&str; 2] = ["api", "sessions"];

/// Returns a page of the list as it came.
pub(super) async fn list_page(session: &PaxsSession, page: u32) -> Result<Vec<Value>, CallError> {
    page_items(answers::read_json(read_page(session, page, PAGE_SIZE).await?)?)
}

async fn read_page(session: &PaxsSession, page: u32, size: &str) -> Result<Answer, CallError> {
    let page = page.to_string();
    let request = Request::get(&SESSIONS).query("page", &page).query("page_size", size);
    answers::check_status(session.call(&request, Priority::High).await?)
}

fn page_items(answer: Value) -> Result<Vec<Value>, CallError> {
    wire::list_items(answer)
        .ok_or_else(|| answers::unexpected_answer("a list of meetings without a list"))
}

fn page_meetings(answer: Value) -> Result<Vec<ListedMeeting>, CallError> {
    let listed =
        page_items(answer)?.iter().map(ListedMeeting::from_item).collect::<Option<Vec<_>>>();
    listed.ok_or_else(|| answers::unexpected_answer("a meeting without an id in the list"))
}

/// Returns the details of a meeting.
pub(super) async fn read_details(session: &PaxsSession, id: &str) -> Result<Value, CallError> {
    let request = Request::get(&["api", "sessions", id]);
    let details = answers::read_json(session.call(&request, Priority::High).await?)?;
    if wire::meeting_id(&details).is_some_and(|found| found != id) {
        return Err(answers::unexpected_answer("details of another meeting"));
    }
    Ok(details)
}

/// Walks that an error has interrupted, by the marker that they look for. Each continues where it
/// stopped, so that it ends even where errors are more frequent than whole walks.
#[derive(Debug, Default)]
pub(super) struct MeetingWalks(Mutex<HashMap<String, MeetingWalk>>);

/// Walks that are kept at once; a further one starts again. Each holds 16 bytes for a meeting.
const WALKS_MAX: usize = 16;

/// The name of the walk for all markers.
const ALL: &str = "";

impl MeetingWalks {
    fn take_walk(&self, name: &str) -> MeetingWalk {
        self.lock_walks().remove(name).unwrap_or_default()
    }

    fn keep_walk(&self, name: &str, mut walk: MeetingWalk) {
        let mut held = self.lock_walks();
        if !walk.hopeless && held.len() < WALKS_MAX {
            walk.mark_interrupted();
            held.insert(name.to_owned(), walk);
        }
    }

    fn lock_walks(&self) -> MutexGuard<'_, HashMap<String, MeetingWalk>> {
        self.0.lock().expect("no thread panics while it holds the walks")
    }
}

/// A walk in progress.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about a list of which nothing is known"
)]
pub(super) struct MeetingWalk {
    /// The last page that was read.
    page: u32,
    barren: u32,
    /// True once a page other than the first brought mostly new meetings: `page` has an effect.
    turned: bool,
    ended: bool,
    /// The lag of the service's clock behind ours.
    behind: Duration,
    before: Vec<String>,
    /// Hashes of the ids of the meetings that were read.
    seen: HashSet<[u8; 16]>,
    /// True where an error came after the last page: meetings may have moved from page to page
    /// since.
    broken: bool,
    /// True where an error came since the front was read: the front is then read once more, for
    /// meetings that were made meanwhile.
    interrupted: bool,
    /// True while the front is read once more.
    at_front: bool,
    /// True where the walk cannot be continued.
    hopeless: bool,
    order: ListOrder,
    found: Vec<(Key, String)>,
}

impl MeetingWalk {
    /// Returns the meetings of the next page that were not read before; `None` at the end.
    async fn next_page(
        &mut self,
        session: &PaxsSession,
    ) -> Result<Option<Vec<ListedMeeting>>, CallError> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if self.page >= PAGES_MAX || self.barren >= BARREN_MAX {
                self.hopeless = true;
                return Err(answers::unexpected_answer("a list of meetings without an end"));
            }
            let page = if self.broken { self.page } else { self.page + 1 };
            let answer = match read_page(session, page, PAGE_SIZE).await {
                // Some servers answer so to a page after the last one.
                Err(CallError::Refused { status: 404, .. }) if page > 1 => None,
                answer => Some(answer?),
            };
            let (listed, total) =
                answer.map_or(Ok((vec![], None)), |answer| self.read_listed(answer))?;
            let again_after_error = self.broken;
            if again_after_error && !self.is_joined(&listed) {
                continue;
            }
            self.page = page;
            let ids: Vec<String> = listed.iter().map(|item| item.id.clone()).collect();
            let again = ids == self.before && !ids.is_empty();
            if again && !self.turned && total.is_none_or(|total| total > self.seen.len() as u64) {
                return self.read_all_at_once(session).await.map(Some);
            }
            let new = self.keep_unseen(listed);
            if again || ids.is_empty() || self.at_front && new.is_empty() && !again_after_error {
                self.reach_end();
                continue;
            }
            self.turned |= page > 1 && new.len() * 2 >= ids.len();
            self.before = ids;
            self.barren = if new.is_empty() { self.barren + 1 } else { 0 };
            return Ok(Some(new));
        }
    }

    fn read_listed(
        &mut self,
        answer: Answer,
    ) -> Result<(Vec<ListedMeeting>, Option<u64>), CallError> {
        let behind = answer.date.map(|date| elapsed(date, clock::now())).unwrap_or_default();
        self.behind = self.behind.max(behind);
        let answer = answers::read_json(answer)?;
        let total = wire::total_items(&answer);
        Ok((page_meetings(answer)?, total))
    }

    /// Returns whether a page that is read again joins the pages before the error. Where its first
    /// meeting was already seen nothing is missing in between, however many were made or deleted
    /// meanwhile. Else the page before is tried, and in the end the walk starts again.
    fn is_joined(&mut self, listed: &[ListedMeeting]) -> bool {
        self.broken = false;
        if listed.first().is_some_and(|first| self.seen.contains(&id_hash(&first.id))) {
            return true;
        }
        self.page -= 1;
        self.broken = self.page > 0;
        if !self.broken && !self.at_front {
            *self = Self::default();
        }
        false
    }

    /// Marks the end of the list. Meetings that were made while the walk was interrupted may be at
    /// the front, which is then read once more.
    fn reach_end(&mut self) {
        if self.interrupted {
            self.interrupted = false;
            self.at_front = true;
            self.page = 0;
            self.before.clear();
        } else {
            self.ended = true;
        }
    }

    fn mark_interrupted(&mut self) {
        self.before.clear();
        self.broken = self.page > 0;
        self.interrupted = true;
        self.ended = false;
        self.barren = 0;
    }

    fn keep_unseen(&self, mut listed: Vec<ListedMeeting>) -> Vec<ListedMeeting> {
        let mut here = HashSet::new();
        listed.retain(|item| {
            !self.seen.contains(&id_hash(&item.id)) && here.insert(id_hash(&item.id))
        });
        listed
    }

    /// Marks a meeting as read.
    fn mark_seen(&mut self, item: &ListedMeeting) {
        self.seen.insert(id_hash(&item.id));
        self.order.note_time(item.created);
    }

    /// Returns whether all further meetings are older than `limit`.
    fn proves_older_than(&self, limit: Timestamp) -> bool {
        let limit = limit.saturating_sub(self.behind).unwrap_or(Timestamp::MIN);
        !self.at_front && self.order.proves_older_than(limit)
    }

    /// Reads the list in one page, as large as servers allow, where `page` has no effect. Servers
    /// cap a page at a round number: any other count is that of the whole list, and a round one
    /// proves nothing.
    async fn read_all_at_once(
        &mut self,
        session: &PaxsSession,
    ) -> Result<Vec<ListedMeeting>, CallError> {
        let answer = answers::read_json(read_page(session, 1, PAGE_SIZE_MAX).await?)?;
        let total = wire::total_items(&answer);
        let all = page_meetings(answer)?;
        let count = all.len() as u64;
        let is_round = count.is_multiple_of(10) || count.is_multiple_of(25);
        if total.map_or(is_round, |total| total > count) {
            self.hopeless = true;
            return Err(answers::unexpected_answer(
                "the list of meetings is the same on every page, so that it cannot be known what else there is",
            ));
        }
        self.ended = true;
        Ok(self.keep_unseen(all))
    }
}

fn id_hash(id: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..16]);
    short
}

/// The evidence for a list that is sorted with the newest first.
#[derive(Debug, Default)]
struct ListOrder {
    last: Option<Timestamp>,
    fallen: usize,
    broken: bool,
}

impl ListOrder {
    fn note_time(&mut self, created: Option<Timestamp>) {
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

    /// Returns whether all further meetings are older than `limit`.
    fn proves_older_than(&self, limit: Timestamp) -> bool {
        !self.broken && self.fallen >= ORDER_PROOF && self.last.is_some_and(|last| last < limit)
    }
}

/// Looks for the meeting with the marker of `key`.
pub(super) async fn find_meeting(
    session: &PaxsSession,
    walks: &MeetingWalks,
    key: &Key,
    title: &str,
    since: Timestamp,
) -> Result<Option<String>, CallError> {
    let name = key.to_string();
    let mut walk = walks.take_walk(&name);
    let found = look_for(session, &mut walk, key, title, since).await;
    if found.is_err() {
        walks.keep_walk(&name, walk);
    }
    found
}

async fn look_for(
    session: &PaxsSession,
    walk: &mut MeetingWalk,
    key: &Key,
    title: &str,
    since: Timestamp,
) -> Result<Option<String>, CallError> {
    let limit = since.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    while let Some(items) = walk.next_page(session).await? {
        for item in items {
            if read_marker(session, &item, Some(title)).await?.as_ref() == Some(key) {
                return Ok(Some(item.id));
            }
            walk.mark_seen(&item);
        }
        if walk.proves_older_than(limit) {
            walk.reach_end();
        }
    }
    Ok(None)
}

/// Returns every marker in the list with its meeting.
pub(super) async fn find_markers(
    session: &PaxsSession,
    walks: &MeetingWalks,
) -> Result<Vec<(Key, String)>, CallError> {
    let mut walk = walks.take_walk(ALL);
    match collect_markers(session, &mut walk).await {
        Ok(()) => Ok(walk.found),
        Err(error) => {
            walks.keep_walk(ALL, walk);
            Err(error)
        }
    }
}

async fn collect_markers(session: &PaxsSession, walk: &mut MeetingWalk) -> Result<(), CallError> {
    while let Some(items) = walk.next_page(session).await? {
        for item in items {
            let key = read_marker(session, &item, None).await?;
            walk.mark_seen(&item);
            walk.found.extend(key.map(|key| (key, item.id)));
        }
    }
    Ok(())
}

/// Returns the marker of a meeting. Where the list does not hold the whole description the details
/// are read: of any meeting, or only of those with this title.
async fn read_marker(
    session: &PaxsSession,
    item: &ListedMeeting,
    title: Option<&str>,
) -> Result<Option<Key>, CallError> {
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
    match read_details(session, &item.id).await {
        Ok(details) => Ok(ListedMeeting::from_item(&details)
            .and_then(|item| Key::from_description(item.description.as_deref()?))),
        // Deleted meanwhile, or somebody else's: not ours.
        Err(CallError::Refused { status: 404 | 410, .. } | CallError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn collapse_spaces(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns whether titles are the same but for white space, and for what a list cuts off.
fn is_same_title(found: &str, title: &str) -> bool {
    let found = collapse_spaces(found);
    let title = collapse_spaces(title);
    let cut = found.strip_suffix('…').or_else(|| found.strip_suffix("..."));
    found == title
        || cut.is_some_and(|begin| !begin.trim().is_empty() && title.starts_with(begin.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn order<T: Into<Option<Timestamp>>>(times: impl IntoIterator<Item = T>) -> ListOrder {
        let mut order = ListOrder::default();
        times.into_iter().for_each(|time| order.note_time(time.into()));
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
