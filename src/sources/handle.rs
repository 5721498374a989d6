//! The shared handle of running sources: nudges to look now, and what each shows of itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, RwLock},
};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::progress::Progress;

/// Recordings that a source is told to look at above all; what is more is found by its list.
const IDS_MAX: usize = 256;

/// Characters of an id: vendors give UUIDs.
const ID_CHARS_MAX: usize = 128;

/// The sources that run, by name. Cheap to clone; every clone is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourcesHandle(Arc<RwLock<BTreeMap<String, Arc<Nudge>>>>);

impl SourcesHandle {
    /// Tells a source to look by itself, now, above all at the recording `id`. Nothing else is believed: whether there
    /// is such a recording the vendor is asked, and one that is known is not fetched again. Cheap and bounded, so that
    /// anybody may call it at any rate; a source that does not run, and an id that is none, are ignored.
    pub(crate) fn nudge(&self, source: &str, id: &str) {
        if let Some(nudge) = self.nudge_of(source) {
            if is_id(id) {
                nudge.name_recording(id);
            }
            nudge.wake();
        }
    }

    /// Tells every source to look now.
    pub(crate) fn nudge_all(&self) {
        for nudge in self.nudges().values() {
            nudge.wake();
        }
    }

    /// Returns what a source shows of itself; `None` when it does not run.
    #[must_use]
    pub(crate) fn view(&self, source: &str) -> Option<SourceView> {
        Some(self.nudge_of(source)?.view.borrow().clone())
    }

    /// Returns the nudge of a source that begins to run.
    pub(super) fn register(&self, source: &str) -> Arc<Nudge> {
        let nudge = Arc::new(Nudge::default());
        self.0
            .write()
            .expect("no thread panics while it holds the nudges")
            .insert(source.to_owned(), Arc::clone(&nudge));
        nudge
    }

    /// Forgets a source that has ended, unless another one has taken its place.
    pub(super) fn unregister(&self, source: &str, left: &Arc<Nudge>) {
        let mut nudges = self.0.write().expect("no thread panics while it holds the nudges");
        if nudges.get(source).is_some_and(|nudge| Arc::ptr_eq(nudge, left)) {
            nudges.remove(source);
        }
    }

    fn nudge_of(&self, source: &str) -> Option<Arc<Nudge>> {
        self.nudges().get(source).cloned()
    }

    fn nudges(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<Nudge>>> {
        self.0.read().expect("no thread panics while it holds the nudges")
    }
}

/// Returns whether a text may be a vendor's id, which goes into addresses and file names.
#[must_use]
pub(crate) fn is_id(text: &str) -> bool {
    let is_part =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    !text.is_empty() && text.len() <= ID_CHARS_MAX && text.chars().all(is_part)
}

/// The state of a running source, for `status` and `source`.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceView {
    /// The time at which this process last read the list to its end.
    pub listed: Option<Timestamp>,
    /// The time of the next round; `None` while one runs.
    pub next: Option<Timestamp>,
    /// True when the list was read and everything available now is fetched.
    pub idle: bool,
    /// The download that runs: the recording, its start, its progress.
    pub fetching: Option<(String, Timestamp, Arc<Progress>)>,
}

/// A request to look now, and the ids that it names.
#[derive(Debug, Default)]
pub(super) struct Nudge {
    wake: Notify,
    ids: Mutex<BTreeSet<String>>,
    /// The state that the source shows.
    pub(super) view: watch::Sender<SourceView>,
}

impl Nudge {
    fn wake(&self) {
        // What waits until it is idle must not find it so as it was before.
        self.view.send_modify(|view| view.idle = false);
        self.wake.notify_one();
    }

    pub(super) fn name_recording(&self, id: &str) {
        let mut ids = self.ids();
        if ids.len() < IDS_MAX {
            ids.insert(id.to_owned());
        }
    }

    /// Waits for the next nudge.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Takes the recordings that were named since.
    pub(super) fn take_named(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.ids())
    }

    fn ids(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.ids.lock().expect("no thread panics while it holds the ids")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_nudge_is_heard_once_and_names_what_may_be_an_id() {
        let sources = SourcesHandle::default();
        sources.nudge("calls", "nobody-listens");
        let nudge = sources.register("calls");
        for id in ["93ac7e2d-1", "../x", "a b", "", "93ac7e2d-1"] {
            sources.nudge("calls", id);
        }
        nudge.woken().await;
        assert_eq!(nudge.take_named().into_iter().collect::<Vec<_>>(), ["93ac7e2d-1"]);
        assert!(nudge.take_named().is_empty());
    }

    #[test]
    fn a_flood_of_nudges_is_bounded() {
        let sources = SourcesHandle::default();
        let nudge = sources.register("calls");
        (0..10_000).for_each(|number| sources.nudge("calls", &format!("bot-{number}")));
        assert_eq!(nudge.take_named().len(), IDS_MAX);
    }

    #[test]
    fn a_source_that_was_replaced_does_not_take_the_new_one_away() {
        let sources = SourcesHandle::default();
        let (old, new) = (sources.register("calls"), sources.register("calls"));
        sources.unregister("calls", &old);
        assert!(sources.view("calls").is_some());
        sources.unregister("calls", &new);
        assert!(sources.view("calls").is_none());
    }
}
