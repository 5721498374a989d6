//! The files that need no look: path and stamp as two hashes, so that a million old files cost about 22 bytes each.
//!
//! An open-addressing table with linear probing. The hashes are keyed at random in each process: a hostile name cannot
//! be made to look like a known one. What a complete scan has not marked is gone.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use crate::beneath::Stamp;

/// A set of paths, each with what was last seen under it.
#[derive(Debug, Default)]
pub(crate) struct SeenFiles {
    slots: Vec<Slot>,
    len: usize,
    hasher: RandomState,
}

/// `path` 0 is an empty slot. The lowest bit of `mark` says that the running scan has met it; the rest is the stamp's.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    path: u64,
    mark: u64,
}

/// The path of a file as the table knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PathHash(u64);

/// The state of a path beside what was last seen there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeenState {
    /// Exactly this.
    Same,
    /// The path, with another stamp.
    Other,
    /// Not known.
    New,
}

/// The table grows when more than 7 of 8 slots are taken, by half.
const FULL: (usize, usize) = (7, 8);

impl SeenFiles {
    /// Returns the hash of a path. `path` must be in the one form that scans give.
    #[must_use]
    pub(crate) fn hash_path(&self, path: &Path) -> PathHash {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(path.as_os_str().as_bytes());
        PathHash(hasher.finish().max(1))
    }

    /// Returns how many paths are known.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns whether nothing is known.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns what is known of a path and marks it as met.
    pub(crate) fn mark_seen(&mut self, path: PathHash, stamp: &Stamp) -> SeenState {
        let wanted = self.hash_stamp(stamp);
        match self.find_slot(path) {
            Some(index) => {
                let slot = &mut self.slots[index];
                let look =
                    if slot.mark & !1 == wanted { SeenState::Same } else { SeenState::Other };
                slot.mark |= 1;
                look
            }
            None => SeenState::New,
        }
    }

    /// Returns whether anything is known of a path.
    #[must_use]
    pub(crate) fn contains(&self, path: PathHash) -> bool {
        self.find_slot(path).is_some()
    }

    /// Remembers a path with its stamp, as met.
    pub(crate) fn insert(&mut self, path: PathHash, stamp: &Stamp) {
        let mark = self.hash_stamp(stamp) | 1;
        if let Some(index) = self.find_slot(path) {
            self.slots[index].mark = mark;
            return;
        }
        if (self.len + 1) * FULL.1 > self.slots.len() * FULL.0 {
            self.grow_table();
        }
        self.place_slot(Slot { path: path.0, mark });
        self.len += 1;
    }

    /// Forgets a path; returns whether it was known.
    pub(crate) fn remove(&mut self, path: PathHash) -> bool {
        let Some(mut hole) = self.find_slot(path) else { return false };
        let mut next = self.next_slot(hole);
        // What follows in the run moves back, so that no probe ends at the hole.
        while self.slots[next].path != 0 {
            let origin = self.home_slot(self.slots[next].path);
            if self.distance(origin, next) >= self.distance(hole, next) {
                self.slots[hole] = self.slots[next];
                hole = next;
            }
            next = self.next_slot(next);
        }
        self.slots[hole] = Slot::default();
        self.len -= 1;
        true
    }

    /// Begins a scan: nothing is marked.
    pub(crate) fn unmark_all(&mut self) {
        for slot in &mut self.slots {
            slot.mark &= !1;
        }
    }

    /// Returns how many paths the scan has not met.
    #[must_use]
    pub(crate) fn count_unmarked(&self) -> usize {
        self.slots.iter().filter(|slot| slot.path != 0 && slot.mark & 1 == 0).count()
    }

    /// Returns whether the path is known and the scan has not met it.
    #[must_use]
    pub(crate) fn is_unmarked(&self, path: PathHash) -> bool {
        self.find_slot(path).is_some_and(|index| self.slots[index].mark & 1 == 0)
    }

    /// Forgets what the scan has not met.
    pub(crate) fn retain_marked(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![Slot::default(); old.len()];
        self.len = 0;
        for slot in old.into_iter().filter(|slot| slot.path != 0 && slot.mark & 1 == 1) {
            self.place_slot(slot);
            self.len += 1;
        }
    }

    fn hash_stamp(&self, stamp: &Stamp) -> u64 {
        self.hasher.hash_one(stamp) & !1
    }

    fn find_slot(&self, path: PathHash) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut index = self.home_slot(path.0);
        while self.slots[index].path != 0 {
            if self.slots[index].path == path.0 {
                return Some(index);
            }
            index = self.next_slot(index);
        }
        None
    }

    fn place_slot(&mut self, slot: Slot) {
        let mut index = self.home_slot(slot.path);
        while self.slots[index].path != 0 {
            index = self.next_slot(index);
        }
        self.slots[index] = slot;
    }

    fn grow_table(&mut self) {
        let capacity = (self.slots.len() + self.slots.len() / 2).max(16);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); capacity]);
        for slot in old.into_iter().filter(|slot| slot.path != 0) {
            self.place_slot(slot);
        }
    }

    /// Returns the slot in which a path belongs: the hash scaled to the length, which need not be a power of two.
    fn home_slot(&self, path: u64) -> usize {
        let scaled = (u128::from(path) * self.slots.len() as u128) >> 64;
        usize::try_from(scaled).expect("it is less than the length")
    }

    fn next_slot(&self, index: usize) -> usize {
        if index + 1 == self.slots.len() { 0 } else { index + 1 }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.slots.len() - from }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn stamp(size: u64) -> Stamp {
        Stamp { size, mtime_ns: 1, inode: 1 }
    }

    proptest::proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn it_knows_what_a_map_knows(steps in proptest::collection::vec((0u8..4, 0u8..60, 0u64..4), 0..400)) {
            let (mut known, mut model) = (SeenFiles::default(), HashMap::new());
            for (what, name, size) in steps {
                let name = format!("{name}.wav");
                let path = known.hash_path(Path::new(&name));
                match what {
                    0 | 1 => {
                        known.insert(path, &stamp(size));
                        model.insert(name, size);
                    }
                    2 => proptest::prop_assert_eq!(known.remove(path), model.remove(&name).is_some()),
                    _ => {
                        let expected = match model.get(&name) {
                            None => SeenState::New,
                            Some(old) if *old == size => SeenState::Same,
                            Some(_) => SeenState::Other,
                        };
                        proptest::prop_assert_eq!(known.mark_seen(path, &stamp(size)), expected);
                    }
                }
                proptest::prop_assert_eq!(known.len(), model.len());
            }
        }
    }

    #[test]
    fn what_a_scan_did_not_meet_is_unmarked() {
        let mut known = SeenFiles::default();
        let (a, b) = (known.hash_path(Path::new("a")), known.hash_path(Path::new("b")));
        known.insert(a, &stamp(1));
        known.insert(b, &stamp(1));
        known.unmark_all();
        assert_eq!(known.mark_seen(a, &stamp(1)), SeenState::Same);
        assert_eq!(known.count_unmarked(), 1);
        assert!(known.is_unmarked(b) && !known.is_unmarked(a));
        known.retain_marked();
        assert!(known.contains(a) && !known.contains(b) && known.len() == 1);
    }

    #[test]
    fn a_hundred_thousand_paths_cost_at_most_28_bytes_each() {
        let mut known = SeenFiles::default();
        for number in 0..100_000 {
            let path = known.hash_path(Path::new(&format!("{number}.wav")));
            known.insert(path, &stamp(number));
        }
        assert!(known.slots.len() * size_of::<Slot>() <= 28 * known.len());
    }
}
