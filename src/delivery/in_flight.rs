//! The deliveries that are being made. One whose file system does not answer gives its slot back.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use crate::queue::Lane;

/// A delivery: its lane, and its number.
pub(super) type Entry = (Lane, i64);

/// How far one is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// It is being made.
    Made,
    /// It has been waiting for the file system of this folder's notes for too long.
    Late(String),
    /// It has ended.
    Ended,
}

/// All of them.
///
/// What has ended stays until the queue is read anew: an answer of the queue from before its end still calls it due,
/// and a mail made from that would be sent twice.
#[derive(Debug, Default)]
pub(super) struct InFlightDeliveries(Mutex<HashMap<Entry, Phase>>);

impl InFlightDeliveries {
    /// Begins one; returns whether it is not under way already.
    pub(super) fn begin(&self, entry: Entry) -> bool {
        let mut entries = self.entries();
        let is_new = !entries.contains_key(&entry);
        entries.entry(entry).or_insert(Phase::Made);
        is_new
    }

    /// Takes the slot of one that waits for the file system of `folder`'s notes.
    pub(super) fn late(&self, entry: Entry, folder: &str) {
        self.entries().insert(entry, Phase::Late(folder.to_owned()));
    }

    /// Ends one.
    pub(super) fn end(&self, entry: Entry) {
        self.entries().insert(entry, Phase::Ended);
    }

    /// Forgets what has ended: the queue is about to be read.
    pub(super) fn forget_ended(&self) {
        self.entries().retain(|_, phase| *phase != Phase::Ended);
    }

    /// Returns how many have a slot.
    pub(super) fn slots(&self, lane: Lane) -> usize {
        self.entries().iter().filter(|((of, _), phase)| *of == lane && **phase == Phase::Made).count()
    }

    /// Returns how many there are at all.
    pub(super) fn count(&self, lane: Lane) -> usize {
        self.entries().keys().filter(|(of, _)| *of == lane).count()
    }

    /// Returns whether one of `folder` is late: a further one would only be late too.
    pub(super) fn is_late(&self, folder: &str) -> bool {
        self.entries().values().any(|phase| *phase == Phase::Late(folder.to_owned()))
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Entry, Phase>> {
        self.0.lock().expect("no thread panics while it holds this")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_delivery_gives_its_slot_back_and_is_not_begun_again() {
        let in_flight = InFlightDeliveries::default();
        assert!(
            in_flight.begin((Lane::Files, 1)) && in_flight.begin((Lane::Files, 2)) && in_flight.begin((Lane::Mails, 1))
        );
        assert_eq!((in_flight.slots(Lane::Files), in_flight.is_late("sales")), (2, false));
        in_flight.late((Lane::Files, 1), "sales");
        assert_eq!((in_flight.slots(Lane::Files), in_flight.count(Lane::Files)), (1, 2));
        assert!(in_flight.is_late("sales") && !in_flight.is_late("calls"));
        assert!(!in_flight.begin((Lane::Files, 1)), "it is still being made");
        in_flight.end((Lane::Files, 1));
        assert!(!in_flight.is_late("sales") && !in_flight.begin((Lane::Files, 1)), "the queue may still call it due");
        in_flight.forget_ended();
        assert!(in_flight.begin((Lane::Files, 1)));
        assert_eq!((in_flight.slots(Lane::Files), in_flight.slots(Lane::Mails)), (2, 1));
    }
}
