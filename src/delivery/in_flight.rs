//! The deliveries that are being made. One whose file system does not answer gives its slot back.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

use crate::store::Lane;

/// A delivery: its lane, and its number.
pub(super) type InFlightKey = (Lane, i64);

/// The phase of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
enum DeliveryPhase {
    /// The delivery is being made, and has a slot.
    Active,
    /// The file system of this folder's notes does not answer; the slot is given back.
    Stalled(String),
    /// The delivery has ended.
    Ended,
}

/// All of them.
///
/// Finished entries are kept until the next read of the queue: a stale read still calls them due,
/// and a mail made from that would be sent twice.
#[derive(Debug, Default)]
pub(super) struct InFlightDeliveries(Mutex<HashMap<InFlightKey, DeliveryPhase>>);

impl InFlightDeliveries {
    /// Marks a delivery as begun; returns whether it was not in flight already.
    pub(super) fn begin_delivery(&self, entry: InFlightKey) -> bool {
        let mut entries = self.lock_entries();
        let is_new = !entries.contains_key(&entry);
        entries.entry(entry).or_insert(DeliveryPhase::Active);
        is_new
    }

    /// Takes the slot of one that waits for the file system of `folder`'s notes.
    pub(super) fn mark_stalled(&self, entry: InFlightKey, folder: &str) {
        self.lock_entries().insert(entry, DeliveryPhase::Stalled(folder.to_owned()));
    }

    /// Marks a delivery as ended.
    pub(super) fn end_delivery(&self, entry: InFlightKey) {
        self.lock_entries().insert(entry, DeliveryPhase::Ended);
    }

    /// Forgets what has ended: the queue is about to be read.
    pub(super) fn forget_ended(&self) {
        self.lock_entries().retain(|_, phase| *phase != DeliveryPhase::Ended);
    }

    /// Returns how many have a slot.
    pub(super) fn busy_slots(&self, lane: Lane) -> usize {
        self.lock_entries()
            .iter()
            .filter(|((of, _), phase)| *of == lane && **phase == DeliveryPhase::Active)
            .count()
    }

    /// Returns how many deliveries of the lane are in flight.
    pub(super) fn count_entries(&self, lane: Lane) -> usize {
        self.lock_entries().keys().filter(|(of, _)| *of == lane).count()
    }

    /// Returns whether one of `folder` is late: a further one would only be late too.
    pub(super) fn is_stalled(&self, folder: &str) -> bool {
        self.lock_entries()
            .values()
            .any(|phase| *phase == DeliveryPhase::Stalled(folder.to_owned()))
    }

    fn lock_entries(&self) -> MutexGuard<'_, HashMap<InFlightKey, DeliveryPhase>> {
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
            in_flight.begin_delivery((Lane::Files, 1))
                && in_flight.begin_delivery((Lane::Files, 2))
                && in_flight.begin_delivery((Lane::Mails, 1))
        );
        assert_eq!((in_flight.busy_slots(Lane::Files), in_flight.is_stalled("sales")), (2, false));
        in_flight.mark_stalled((Lane::Files, 1), "sales");
        assert_eq!(
            (in_flight.busy_slots(Lane::Files), in_flight.count_entries(Lane::Files)),
            (1, 2)
        );
        assert!(in_flight.is_stalled("sales") && !in_flight.is_stalled("calls"));
        assert!(!in_flight.begin_delivery((Lane::Files, 1)), "it is still being made");
        in_flight.end_delivery((Lane::Files, 1));
        assert!(
            !in_flight.is_stalled("sales") && !in_flight.begin_delivery((Lane::Files, 1)),
            "the queue may still call it due"
        );
        in_flight.forget_ended();
        assert!(in_flight.begin_delivery((Lane::Files, 1)));
        assert_eq!((in_flight.busy_slots(Lane::Files), in_flight.busy_slots(Lane::Mails)), (2, 1));
    }
}
