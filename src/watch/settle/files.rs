//! The files of a folder that have not settled, and what each of them waits for.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{Judgement, Moment, Observation, Patience};
use crate::{
    beneath::Stamp,
    open_files::{InUse, boot_id},
    queue::Sighting,
    watch::examine::Candidate,
};

/// Files given out to be examined together: one commit makes their jobs.
pub const CHUNK_FILES: usize = 64;

/// Bytes in such a batch, after which it takes no more files: a large recording does not hold up small ones.
const CHUNK_BYTES: u64 = 64 * 1024 * 1024;

/// How soon an unreadable file is tried again, at the earliest.
const UNREADABLE_RETRY: Duration = Duration::from_secs(60);

/// How often a quiet file that is still open is asked about, where no event tells of its close: as often as it would
/// settle, within these bounds. One look at `/proc` answers for all of them.
const ASK_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// A new sighting becomes durable after at most this, together with others.
const KEEP_AFTER: Duration = Duration::from_secs(5);

/// The files that are settling.
#[derive(Debug, Default)]
pub struct Pool {
    entries: HashMap<PathBuf, Entry>,
    /// Those that were written to and not closed, as events tell.
    written: HashSet<PathBuf>,
}

/// A file that has been quiet for long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietFile {
    /// What is looked into, once it is closed.
    pub candidate: Candidate,
    /// What was seen of it.
    pub seen: Observation,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What was seen of it.
    pub seen: Observation,
    /// Whether it was there before minuted.
    pub backlog: bool,
    /// Why it could not be read, when it could not.
    pub trouble: Option<String>,
    /// What the queue knows of it.
    kept: Option<KeptSighting>,
    /// When to write it down next.
    keep_at: Duration,
    /// Whether it is being looked into.
    is_examined: bool,
    /// Whether it was written to and not closed, as events tell.
    is_written: bool,
    /// When it was last asked who has it open, and somebody had.
    asked: Duration,
    /// Not before this.
    not_before: Duration,
    /// The scan that met it last.
    scan: u64,
}

/// What the queue knows of a file that is settling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KeptSighting {
    stamp: Stamp,
    is_written: bool,
}

impl Entry {
    /// Returns what the queue should know.
    fn to_keep(&self) -> KeptSighting {
        KeptSighting { stamp: self.seen.stamp, is_written: self.is_written }
    }

    /// Returns the moment at which it will be looked into if nothing changes.
    #[must_use]
    pub fn due(&self, patience: &Patience) -> Duration {
        self.seen.due(patience).max(self.not_before)
    }

    /// Returns whether it goes alone when it is looked into.
    fn is_large(&self) -> bool {
        is_large(self.seen.stamp.size)
    }

    /// Returns whether time alone can bring it further: it is not one that cannot be read.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.trouble.is_none()
    }
}

impl Pool {
    /// Takes in a look at a file. An empty file is only met when it was more before.
    pub fn observe(&mut self, path: &Path, stamp: Stamp, now: Moment, scan: u64, patience: &Patience) {
        if let Some(entry) = self.entries.get_mut(path) {
            entry.scan = scan;
            if entry.seen.observe(stamp, now) {
                entry.is_examined = false;
                entry.trouble = None;
                entry.not_before = Duration::ZERO;
            }
            if stamp.size == 0 {
                self.entries.remove(path);
            }
        } else if stamp.size > 0 {
            let seen = Observation::begin(stamp, now);
            self.insert(path.to_owned(), seen, None, now.running + keep_after(patience), scan);
        }
    }

    /// Goes on with a file that the queue knows as settling.
    pub fn resume(&mut self, sighting: &Sighting, backlog: bool, now: Moment, scan: u64) {
        let seen = Observation::resume(sighting, now);
        let kept = KeptSighting { stamp: sighting.stamp, is_written: sighting.written_boot.is_some() };
        self.insert(sighting.path.clone(), seen, Some(kept), now.running, scan);
        if let Some(entry) = self.entries.get_mut(&sighting.path) {
            entry.backlog = backlog;
        }
    }

    fn insert(&mut self, path: PathBuf, seen: Observation, kept: Option<KeptSighting>, keep_at: Duration, scan: u64) {
        let is_written = self.written.contains(&path);
        let entry = Entry {
            seen,
            backlog: false,
            trouble: None,
            kept,
            keep_at,
            is_examined: false,
            is_written,
            asked: Duration::ZERO,
            not_before: Duration::ZERO,
            scan,
        };
        self.entries.insert(path, entry);
    }

    /// Takes in which files were written to and not closed, as events tell.
    pub fn note_written(&mut self, written: HashSet<PathBuf>) {
        for path in self.written.symmetric_difference(&written) {
            if let Some(entry) = self.entries.get_mut(path) {
                entry.is_written = written.contains(path);
            }
        }
        self.written = written;
    }

    /// Returns those of `paths` that were found open: an event at them may be a close.
    #[must_use]
    pub fn open_among(&self, paths: &HashSet<PathBuf>) -> Vec<PathBuf> {
        let is_open = |path: &&PathBuf| self.entries.get(*path).is_some_and(|entry| entry.seen.in_use.is_some());
        paths.iter().filter(is_open).cloned().collect()
    }

    /// Has it asked again soon whether a file is open.
    pub fn ask_again(&mut self, path: &Path) {
        if let Some(entry) = self.entries.get_mut(path).filter(|entry| entry.seen.in_use.is_some()) {
            entry.not_before = entry.not_before.min(entry.asked + ASK_AGAIN[0]);
        }
    }

    /// Takes in that a file is open, or was closed only now: it goes on settling.
    pub fn wait_for_close(&mut self, path: &Path, seen: Observation, patience: &Patience, now: Duration) {
        let Some(entry) = self.entries.get_mut(path).filter(|entry| entry.seen.stamp == seen.stamp) else { return };
        let is_open = seen.in_use.is_some();
        entry.seen = seen;
        entry.is_examined = false;
        entry.asked = now;
        entry.not_before =
            if is_open { now + patience.settle.clamp(ASK_AGAIN[0], ASK_AGAIN[1]) } else { Duration::ZERO };
    }

    /// Returns up to a batch of files that have been quiet for long enough; they count as being examined. Large ones are
    /// among them only with `with_large`.
    pub fn due(&mut self, patience: &Patience, now: Duration, with_large: bool) -> Vec<QuietFile> {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        for (path, entry) in &mut self.entries {
            if chunk.len() == CHUNK_FILES || bytes >= CHUNK_BYTES {
                break;
            }
            if entry.is_large() && !with_large {
                continue;
            }
            let is_due = entry.seen.judge(patience, now) == Judgement::Examine && entry.not_before <= now;
            // A large one goes alone: what is small does not wait for it.
            let fits = chunk.is_empty() || !entry.is_large();
            if is_due && !entry.is_examined && fits {
                entry.is_examined = true;
                bytes += entry.seen.stamp.size;
                let is_abandoned = entry.seen.quiet(now) >= patience.unfinished;
                let stamp = entry.seen.stamp;
                let candidate = Candidate { path: path.clone(), stamp, is_abandoned, is_set_aside: false };
                chunk.push(QuietFile { candidate, seen: entry.seen.clone() });
            }
        }
        chunk
    }

    /// Returns the earliest moment at which a file may be due, large ones only with `with_large`.
    #[must_use]
    pub fn next_due(&self, patience: &Patience, with_large: bool) -> Option<Duration> {
        let waiting = self.entries.values().filter(|entry| !entry.is_examined && (with_large || !entry.is_large()));
        waiting.map(|entry| entry.due(patience)).min()
    }

    /// Returns what the queue should know, at most once in a time of settling for each file.
    pub fn to_keep(&mut self, patience: &Patience, now: Duration) -> Vec<Sighting> {
        let mut keep = Vec::new();
        for (path, entry) in &mut self.entries {
            if entry.kept != Some(entry.to_keep()) && entry.keep_at <= now {
                entry.kept = Some(entry.to_keep());
                entry.keep_at = now + patience.settle;
                let written_boot = boot_id().filter(|_| entry.is_written).map(str::to_owned);
                keep.push(Sighting { written_boot, ..entry.seen.sighting(path.clone()) });
            }
        }
        keep
    }

    /// Returns the earliest moment at which the queue should know more.
    #[must_use]
    pub fn next_keep(&self) -> Option<Duration> {
        let unkept = self.entries.values().filter(|entry| entry.kept != Some(entry.to_keep()));
        unkept.map(|entry| entry.keep_at).min()
    }

    /// Takes back that these are kept: the queue could not write them down. They are tried again at `retry_at`.
    pub fn not_kept(&mut self, sightings: &[Sighting], retry_at: Duration) {
        for sighting in sightings {
            if let Some(entry) = self.entries.get_mut(&sighting.path) {
                (entry.kept, entry.keep_at) = (None, retry_at);
            }
        }
    }

    /// Returns the files that have just become slow, each with who is still writing it where that was found.
    pub fn become_slow(&mut self, patience: &Patience, now: Duration) -> Vec<(PathBuf, Option<InUse>)> {
        let waiting = self.entries.iter_mut().filter(|(_, entry)| !entry.is_examined);
        let slow = waiting.filter_map(|(path, entry)| {
            entry.seen.has_become_slow(patience, now).then(|| (path.clone(), entry.seen.in_use.clone()))
        });
        slow.collect()
    }

    /// Returns the files that the scan has not met.
    #[must_use]
    pub fn unmet(&self, scan: u64) -> Vec<PathBuf> {
        self.entries.iter().filter(|(_, entry)| entry.scan != scan).map(|(path, _)| path.clone()).collect()
    }

    /// Says that a file cannot be read, and when it is tried again; returns whether that is news.
    pub fn unreadable(&mut self, path: &Path, why: &str, patience: &Patience, now: Moment) -> bool {
        let Some(entry) = self.entries.get_mut(path) else { return false };
        let wait = UNREADABLE_RETRY.max(patience.settle);
        let at = now.wall.checked_add(wait).unwrap_or(Timestamp::MAX);
        entry.is_examined = false;
        entry.not_before = now.running + wait;
        entry.trouble.replace(format!("{why}; tried again at {at:.0}, or at once by `minuted scan`")).is_none()
    }

    /// Lets what could not be read be tried again at once.
    pub fn retry_unreadable(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.trouble.is_some()) {
            entry.not_before = Duration::ZERO;
        }
    }

    /// Ends the examination of a file that goes on settling; it is not examined again before `not_before`.
    pub fn put_back(&mut self, path: &Path, not_before: Duration) {
        if let Some(entry) = self.entries.get_mut(path) {
            entry.is_examined = false;
            entry.not_before = not_before;
        }
    }

    /// Returns a file.
    #[must_use]
    pub fn get(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Returns a file to change what was seen of it.
    pub fn get_mut(&mut self, path: &Path) -> Option<&mut Entry> {
        self.entries.get_mut(path)
    }

    /// Forgets a file; returns whether the queue knows it.
    pub fn remove(&mut self, path: &Path) -> bool {
        self.entries.remove(path).is_some_and(|entry| entry.kept.is_some())
    }

    /// Returns all files.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_path(), entry))
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Returns whether a file of so many bytes goes alone when it is looked into.
#[must_use]
pub fn is_large(size: u64) -> bool {
    size >= CHUNK_BYTES
}

/// A file that settles soon need not be written down before.
fn keep_after(patience: &Patience) -> Duration {
    KEEP_AFTER.min(patience.settle / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        let wall = Timestamp::from_second(i64::try_from(seconds).expect("small")).expect("in range");
        Moment { wall, running: Duration::from_secs(seconds) }
    }

    fn stamp(size: u64) -> Stamp {
        Stamp { size, mtime_ns: 0, inode: 1 }
    }

    #[test]
    fn a_slow_writer_is_written_down_at_most_once_in_a_time_of_settling() {
        let patience = Patience::new(Duration::from_secs(30));
        let mut pool = Pool::default();
        let mut kept = 0;
        for second in 0..300 {
            pool.observe(Path::new("a.wav"), stamp(second + 1), at(second), 1, &patience);
            kept += pool.to_keep(&patience, Duration::from_secs(second)).len();
            assert_eq!(pool.due(&patience, Duration::from_secs(second), true), []);
        }
        assert_eq!(kept, 10);
    }

    #[test]
    fn a_file_that_is_being_examined_is_not_given_out_twice_unless_it_changes() {
        let patience = Patience::new(Duration::from_secs(30));
        let mut pool = Pool::default();
        pool.observe(Path::new("a.wav"), stamp(1), at(0), 1, &patience);
        assert_eq!(pool.due(&patience, Duration::from_secs(30), true).len(), 1);
        assert_eq!(pool.due(&patience, Duration::from_secs(31), true).len(), 0);
        pool.observe(Path::new("a.wav"), stamp(2), at(32), 1, &patience);
        assert_eq!(pool.due(&patience, Duration::from_secs(61), true).len(), 0);
        assert_eq!(pool.due(&patience, Duration::from_secs(62), true).len(), 1);
    }

    #[test]
    fn what_is_written_is_kept_with_this_boot_and_what_is_closed_without() {
        let patience = Patience::new(Duration::from_secs(30));
        let mut pool = Pool::default();
        pool.note_written(HashSet::from(["a.mp3".into()]));
        pool.observe(Path::new("a.mp3"), stamp(1), at(0), 1, &patience);
        let kept = |pool: &mut Pool, second| {
            let kept = pool.to_keep(&patience, Duration::from_secs(second));
            kept.into_iter().map(|sighting| sighting.written_boot).collect::<Vec<_>>()
        };
        assert_eq!(kept(&mut pool, 10), [boot_id().map(str::to_owned)]);
        assert_eq!(kept(&mut pool, 50), []);
        pool.note_written(HashSet::new());
        assert!(pool.next_keep().is_some(), "the queue should know that it was closed");
        assert_eq!(kept(&mut pool, 50), [None]);
        assert_eq!(pool.next_keep(), None);
    }

    #[test]
    fn an_open_file_is_asked_about_at_times_and_soon_after_an_event() {
        let patience = Patience::new(Duration::from_secs(30));
        let second = Duration::from_secs(1);
        let in_use = InUse::Process(crate::open_files::WritingProcess { program: "recorder".into(), process: 812 });
        let mut pool = Pool::default();
        let path = PathBuf::from("a.mp3");
        pool.observe(&path, stamp(1), at(0), 1, &patience);
        let mut quiet = pool.due(&patience, second * 30, true).pop().expect("it is quiet");
        quiet.seen.asked(Some(in_use), at(30));
        pool.wait_for_close(&path, quiet.seen, &patience, second * 30);
        assert_eq!(pool.next_due(&patience, true), Some(second * 60));
        let hinted = HashSet::from([path.clone(), "b.mp3".into()]);
        assert_eq!(pool.open_among(&hinted), std::slice::from_ref(&path));
        pool.ask_again(&path);
        assert_eq!(pool.next_due(&patience, true), Some(second * 31));
        let mut quiet = pool.due(&patience, second * 31, true).pop().expect("it is asked about");
        quiet.seen.asked(None, at(31));
        pool.wait_for_close(&path, quiet.seen, &patience, second * 31);
        assert_eq!(pool.next_due(&patience, true), Some(second * 61), "it is quiet since its close");
    }

    #[test]
    fn empty_files_are_not_kept_in_mind() {
        let patience = Patience::new(Duration::from_secs(30));
        let mut pool = Pool::default();
        pool.observe(Path::new("a.wav"), stamp(0), at(0), 1, &patience);
        assert!(pool.is_empty());
        pool.observe(Path::new("a.wav"), stamp(9), at(0), 1, &patience);
        pool.observe(Path::new("a.wav"), stamp(0), at(1), 1, &patience);
        assert!(pool.is_empty());
    }

    #[test]
    fn batches_are_bounded_by_count_and_by_bytes() {
        let patience = Patience::new(Duration::from_secs(1));
        let mut pool = Pool::default();
        for number in 0..100 {
            pool.observe(Path::new(&format!("{number}.wav")), stamp(1), at(0), 1, &patience);
        }
        assert_eq!(pool.due(&patience, Duration::from_secs(1), true).len(), CHUNK_FILES);
        let mut pool = Pool::default();
        for number in 0..10 {
            pool.observe(Path::new(&format!("{number}.wav")), stamp(CHUNK_BYTES), at(0), 1, &patience);
        }
        assert_eq!(pool.due(&patience, Duration::from_secs(1), true).len(), 1);
    }

    #[test]
    fn large_files_leave_room_for_a_small_one() {
        let patience = Patience::new(Duration::from_secs(1));
        let mut pool = Pool::default();
        for number in 0..10 {
            pool.observe(Path::new(&format!("{number}.wav")), stamp(CHUNK_BYTES), at(0), 1, &patience);
        }
        assert_eq!(pool.due(&patience, Duration::from_secs(1), false), []);
        assert_eq!(pool.next_due(&patience, false), None, "nobody wakes for what may not be read yet");
        pool.observe(Path::new("small.wav"), stamp(1), at(0), 1, &patience);
        let quiet = pool.due(&patience, Duration::from_secs(1), false);
        assert_eq!(quiet.iter().map(|file| &file.candidate.path).collect::<Vec<_>>(), [Path::new("small.wav")]);
    }
}
