//! The rule for slots: one folder never holds all of them while another may come, and work that can be resumed makes
//! room for a folder that waits.
//!
//! A pool is what a service's own slots are, or those that the other services share. Where two folders or more use a
//! pool of two slots or more, its last free slot is kept for a folder that holds none of it: the other folder's recording
//! comes later than the one that would take the slot. A pool of one slot has nothing to keep; there a job on this machine
//! yields after a turn, and goes on later from what it has finished.

use std::{collections::BTreeMap, time::Duration};

/// Processor time of a turn. Long enough that hearing again what was heard before (some 4 s for an hour of sound) costs
/// little of it; short enough that an hour's recording of another folder is not late.
pub(super) const TURN: Duration = Duration::from_secs(600);

/// The slots of one service, or those that services share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotPool<'a> {
    /// Their number.
    pub(super) size: usize,
    /// The folders that may use it.
    pub(super) folders: &'a [&'a str],
    /// The number that each folder holds; folders that hold none are absent.
    pub(super) held: &'a BTreeMap<String, usize>,
}

impl SlotPool<'_> {
    /// Returns whether `folder` may take a slot now.
    pub(super) fn admits(&self, folder: &str) -> bool {
        let free = self.size.saturating_sub(self.held.values().sum());
        let others_may_come =
            || self.folders.iter().any(|other| *other != folder && !self.held.contains_key(*other));
        free > 1 || free == 1 && (!self.held.contains_key(folder) || !others_may_come())
    }

    /// Returns whether `folder` has to wait although it holds none: others are to make room.
    pub(super) fn starves(&self, folder: &str) -> bool {
        !self.held.contains_key(folder) && !self.admits(folder)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FOLDERS: [&str; 4] = ["a", "b", "c", "d"];

    fn admits(size: usize, folders: &[&str], held: &[(&str, usize)], folder: &str) -> bool {
        let held = held.iter().map(|(folder, count)| ((*folder).to_owned(), *count)).collect();
        SlotPool { size, folders, held: &held }.admits(folder)
    }

    #[test]
    fn the_last_slot_is_for_a_folder_that_holds_none() {
        assert!(admits(2, &["a"], &[("a", 1)], "a"), "a single folder has all of them");
        assert!(!admits(2, &["a", "b"], &[("a", 1)], "a"));
        assert!(admits(2, &["a", "b"], &[("a", 1)], "b"));
        assert!(!admits(2, &["a", "b"], &[("a", 1), ("b", 1)], "b"), "there is none");
        assert!(
            admits(3, &["a", "b"], &[("a", 1), ("b", 1)], "a"),
            "each has one, and nobody else can come"
        );
        assert!(!admits(3, &["a", "b", "c"], &[("a", 1), ("b", 1)], "a"));
        assert!(admits(1, &["a", "b"], &[], "a"), "there is nothing to keep");
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn however_slots_are_taken_no_folder_holds_all_and_each_one_gets_one(
            size in 2_usize..6, order in proptest::collection::vec(0_usize..4, 0..40)
        ) {
            let mut held = BTreeMap::new();
            for folder in order.into_iter().map(|at| FOLDERS[at]) {
                if (SlotPool { size, folders: &FOLDERS, held: &held }).admits(folder) {
                    *held.entry(folder.to_owned()).or_insert(0) += 1;
                }
            }
            prop_assert!(held.values().all(|count| *count < size));
            let pool = SlotPool { size, folders: &FOLDERS, held: &held };
            let free = size - held.values().sum::<usize>();
            for folder in FOLDERS.iter().filter(|folder| !held.contains_key(**folder)) {
                prop_assert_eq!(pool.admits(folder), free > 0, "{} {:?}", folder, held);
                prop_assert!(free > 0 || held.len() >= 2);
            }
        }
    }
}
