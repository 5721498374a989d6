//! The files of a folder that have not settled, and what each of them waits for.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{Now, Readiness, SettlePolicy, Stability};
use crate::{
    beneath::Stamp,
    open_files::{InUse, boot_id},
    store::Sighting,
    watch::examine::QuietFile,
};

/// Files given out to be examined together: one commit makes their jobs.
pub(crate) const CHUNK_FILES: usize = 64;

/// Bytes in such a batch, after which it takes no more files: a large recording does not hold up small ones.
const CHUNK_BYTES: u64 = 64 * 1024 * 1024;

/// Shortest time until an unreadable file is tried again.
const UNREADABLE_RETRY: Duration = Duration::from_secs(60);

/// Bounds of the time until a quiet file that is still open is asked about again, where no event tells of its close: as often as it would
/// settle, within these bounds. One look at `/proc` answers for all of them.
const ASK_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// A new sighting becomes durable after at most this, together with others.
const KEEP_AFTER: Duration = Duration::from_secs(5);

/// The files that are settling.
#[derive(Debug, Default)]
pub(crate) struct SettlingFiles {
    entries: HashMap<PathBuf, SettlingFile>,
    /// Files that were written to and not closed, as events tell.
    written: HashSet<PathBuf>,
}

/// A file that has been quiet for long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DueFile {
    /// The file, which is looked into once it is closed.
    pub file: QuietFile,
    /// Its stamps over time.
    pub seen: Stability,
}

/// A file that is settling.
#[derive(Debug, Clone)]
pub(crate) struct SettlingFile {
    /// Its stamps over time.
    pub seen: Stability,
    /// True for a file that was there before minuted.
    pub backlog: bool,
    /// The reason for which it could not be read, if so.
    pub trouble: Option<String>,
    /// The state of it that the queue knows.
    kept: Option<RecordedState>,
    /// The time from which a change of it is recorded.
    keep_at: Duration,
    /// True while it is being looked into.
    is_examined: bool,
    /// True for a file that was written to and not closed, as events tell.
    is_written: bool,
    /// The time at which it was last found open.
    asked: Duration,
    /// The time before which it is not looked into.
    not_before: Duration,
    /// The scan that met it last.
    scan: u64,
}

/// The state of a settling file that the queue knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RecordedState {
    stamp: Stamp,
    is_written: bool,
}

impl SettlingFile {
    /// Returns what the queue should know.
    fn current_record(&self) -> RecordedState {
        RecordedState { stamp: self.seen.stamp, is_written: self.is_written }
    }

    /// Returns the moment at which it will be looked into if nothing changes.
    #[must_use]
    pub(crate) fn due_at(&self, policy: &SettlePolicy) -> Duration {
        self.seen.due_at(policy).max(self.not_before)
    }

    /// Returns whether it goes alone when it is looked into.
    fn is_large(&self) -> bool {
        is_large(self.seen.stamp.size)
    }

    /// Returns whether time alone can bring it further: it is not one that cannot be read.
    #[must_use]
    pub(crate) fn can_settle(&self) -> bool {
        self.trouble.is_none()
    }
}

impl SettlingFiles {
    /// Takes in a look at a file. An empty file is only met when it was more before.
    pub(crate) fn observe(
        &mut self,
        path: &Path,
        stamp: Stamp,
        now: Now,
        scan: u64,
        policy: &SettlePolicy,
    ) {
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
            let seen = Stability::begin(stamp, now);
            self.insert(path.to_owned(), seen, None, now.running + record_delay(policy), scan);
        }
    }

    /// Goes on with a file that the queue knows as settling.
    pub(crate) fn resume(&mut self, sighting: &Sighting, backlog: bool, now: Now, scan: u64) {
        let seen = Stability::resume(sighting, now);
        let kept =
            RecordedState { stamp: sighting.stamp, is_written: sighting.written_boot.is_some() };
        self.insert(sighting.path.clone(), seen, Some(kept), now.running, scan);
        if let Some(entry) = self.entries.get_mut(&sighting.path) {
            entry.backlog = backlog;
        }
    }

    fn insert(
        &mut self,
        path: PathBuf,
        seen: Stability,
        kept: Option<RecordedState>,
        keep_at: Duration,
        scan: u64,
    ) {
        let is_written = self.written.contains(&path);
        let entry = SettlingFile {
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
    pub(crate) fn note_written(&mut self, written: HashSet<PathBuf>) {
        for path in self.written.symmetric_difference(&written) {
            if let Some(entry) = self.entries.get_mut(path) {
                entry.is_written = written.contains(path);
            }
        }
        self.written = written;
    }

    /// Returns those of `paths` that were found open: an event at them may be a close.
    #[must_use]
    pub(crate) fn select_open(&self, paths: &HashSet<PathBuf>) -> Vec<PathBuf> {
        let is_open = |path: &&PathBuf| {
            self.entries.get(*path).is_some_and(|entry| entry.seen.in_use.is_some())
        };
        paths.iter().filter(is_open).cloned().collect()
    }

    /// Has it asked again soon whether a file is open.
    pub(crate) fn check_close_soon(&mut self, path: &Path) {
        if let Some(entry) = self.entries.get_mut(path).filter(|entry| entry.seen.in_use.is_some())
        {
            entry.not_before = entry.not_before.min(entry.asked + ASK_AGAIN[0]);
        }
    }

    /// Takes in that a file is open, or was closed only now: it goes on settling.
    pub(crate) fn wait_for_close(
        &mut self,
        path: &Path,
        seen: Stability,
        policy: &SettlePolicy,
        now: Duration,
    ) {
        let Some(entry) = self.entries.get_mut(path).filter(|entry| entry.seen.stamp == seen.stamp)
        else {
            return;
        };
        let is_open = seen.in_use.is_some();
        entry.seen = seen;
        entry.is_examined = false;
        entry.asked = now;
        entry.not_before = if is_open {
            now + policy.settle.clamp(ASK_AGAIN[0], ASK_AGAIN[1])
        } else {
            Duration::ZERO
        };
    }

    /// Returns up to a batch of files that have been quiet for long enough; they count as being examined. Large ones are
    /// among them only with `with_large`.
    pub(crate) fn take_due(
        &mut self,
        policy: &SettlePolicy,
        now: Duration,
        with_large: bool,
    ) -> Vec<DueFile> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        for (path, entry) in &mut self.entries {
            if chunk.len() == CHUNK_FILES || bytes >= CHUNK_BYTES {
                break;
            }
            if entry.is_large() && !with_large {
                continue;
            }
            let is_due = entry.seen.check_readiness(policy, now) == Readiness::Examine
                && entry.not_before <= now;
            // A large one goes alone: what is small does not wait for it.
            let fits = chunk.is_empty() || !entry.is_large();
            if is_due && !entry.is_examined && fits {
                entry.is_examined = true;
                bytes += entry.seen.stamp.size;
                let is_abandoned = entry.seen.is_abandoned(policy, now);
                let stamp = entry.seen.stamp;
                let file =
                    QuietFile { path: path.clone(), stamp, is_abandoned, is_set_aside: false };
                chunk.push(DueFile { file, seen: entry.seen.clone() });
            }
        }
        chunk
    }

    /// Returns the earliest moment at which a file may be due, large ones only with `with_large`.
    #[must_use]
    pub(crate) fn next_due(&self, policy: &SettlePolicy, with_large: bool) -> Option<Duration> {
        let waiting = self
            .entries
            .values()
            .filter(|entry| !entry.is_examined && (with_large || !entry.is_large()));
        waiting.map(|entry| entry.due_at(policy)).min()
    }

    /// Returns what the queue should know, at most once in a time of settling for each file.
    pub(crate) fn take_unrecorded(
        &mut self,
        policy: &SettlePolicy,
        now: Duration,
    ) -> Vec<Sighting> {
        let mut keep = Vec::new();
        for (path, entry) in &mut self.entries {
            if entry.kept != Some(entry.current_record()) && entry.keep_at <= now {
                entry.kept = Some(entry.current_record());
                entry.keep_at = now + policy.settle;
                let written_boot = boot_id().filter(|_| entry.is_written).map(str::to_owned);
                keep.push(Sighting { written_boot, ..entry.seen.sighting(path.clone()) });
            }
        }
        keep
    }

    /// Returns the earliest moment at which the queue should know more.
    #[must_use]
    pub(crate) fn next_record(&self) -> Option<Duration> {
        let unkept =
            self.entries.values().filter(|entry| entry.kept != Some(entry.current_record()));
        unkept.map(|entry| entry.keep_at).min()
    }

    /// Takes back that these are kept: the queue could not write them down. They are tried again at `retry_at`.
    pub(crate) fn mark_unrecorded(&mut self, sightings: &[Sighting], retry_at: Duration) {
        for sighting in sightings {
            if let Some(entry) = self.entries.get_mut(&sighting.path) {
                (entry.kept, entry.keep_at) = (None, retry_at);
            }
        }
    }

    /// Returns the files that have just become slow, each with who is still writing it where that was found.
    pub(crate) fn take_slow(
        &mut self,
        policy: &SettlePolicy,
        now: Duration,
    ) -> Vec<(PathBuf, Option<InUse>)> {
        let waiting = self.entries.iter_mut().filter(|(_, entry)| !entry.is_examined);
        let slow = waiting.filter_map(|(path, entry)| {
            entry
                .seen
                .has_become_slow(policy, now)
                .then(|| (path.clone(), entry.seen.in_use.clone()))
        });
        slow.collect()
    }

    /// Returns the files that the scan has not met.
    #[must_use]
    pub(crate) fn list_unseen(&self, scan: u64) -> Vec<PathBuf> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.scan != scan)
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// Says that a file cannot be read, and when it is tried again; returns whether that is news.
    pub(crate) fn mark_unreadable(
        &mut self,
        path: &Path,
        why: &str,
        policy: &SettlePolicy,
        now: Now,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(path) else { return false };
        let wait = UNREADABLE_RETRY.max(policy.settle);
        let at = now.wall.checked_add(wait).unwrap_or(Timestamp::MAX);
        entry.is_examined = false;
        entry.not_before = now.running + wait;
        entry
            .trouble
            .replace(format!("{why}; tried again at {at:.0}, or at once by `minuted scan`"))
            .is_none()
    }

    /// Lets what could not be read be tried again at once.
    pub(crate) fn retry_unreadable(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.trouble.is_some()) {
            entry.not_before = Duration::ZERO;
        }
    }

    /// Ends the examination of a file that goes on settling; it is not examined again before `not_before`.
    pub(crate) fn put_back(&mut self, path: &Path, not_before: Duration) {
        if let Some(entry) = self.entries.get_mut(path) {
            entry.is_examined = false;
            entry.not_before = not_before;
        }
    }

    /// Returns a file.
    #[must_use]
    pub(crate) fn get(&self, path: &Path) -> Option<&SettlingFile> {
        self.entries.get(path)
    }

    /// Returns a file to change what was seen of it.
    pub(crate) fn get_mut(&mut self, path: &Path) -> Option<&mut SettlingFile> {
        self.entries.get_mut(path)
    }

    /// Forgets a file; returns whether the queue knows it.
    pub(crate) fn remove(&mut self, path: &Path) -> bool {
        self.entries.remove(path).is_some_and(|entry| entry.kept.is_some())
    }

    /// Returns all files.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Path, &SettlingFile)> {
        self.entries.iter().map(|(path, entry)| (path.as_path(), entry))
    }

    /// Returns how many there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Returns whether a file of so many bytes goes alone when it is looked into.
#[must_use]
pub(crate) fn is_large(size: u64) -> bool {
    size >= CHUNK_BYTES
}

/// A file that settles soon need not be written down before.
fn record_delay(policy: &SettlePolicy) -> Duration {
    KEEP_AFTER.min(policy.settle / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        let wall =
            Timestamp::from_second(i64::try_from(seconds).expect("small")).expect("in range");
        Now { wall, running: Duration::from_secs(seconds) }
    }

    fn stamp(size: u64) -> Stamp {
        Stamp { size, mtime_ns: 0, inode: 1 }
    }

    #[test]
    fn a_slow_writer_is_written_down_at_most_once_in_a_time_of_settling() {
        let policy = SettlePolicy::new(Duration::from_secs(30));
        let mut files = SettlingFiles::default();
        let mut kept = 0;
        for second in 0..300 {
            files.observe(Path::new("a.wav"), stamp(second + 1), at(second), 1, &policy);
            kept += files.take_unrecorded(&policy, Duration::from_secs(second)).len();
            assert_eq!(files.take_due(&policy, Duration::from_secs(second), true), []);
        }
        assert_eq!(kept, 10);
    }

    #[test]
    fn a_file_that_is_being_examined_is_not_given_out_twice_unless_it_changes() {
        let policy = SettlePolicy::new(Duration::from_secs(30));
        let mut files = SettlingFiles::default();
        files.observe(Path::new("a.wav"), stamp(1), at(0), 1, &policy);
        assert_eq!(files.take_due(&policy, Duration::from_secs(30), true).len(), 1);
        assert_eq!(files.take_due(&policy, Duration::from_secs(31), true).len(), 0);
        files.observe(Path::new("a.wav"), stamp(2), at(32), 1, &policy);
        assert_eq!(files.take_due(&policy, Duration::from_secs(61), true).len(), 0);
        assert_eq!(files.take_due(&policy, Duration::from_secs(62), true).len(), 1);
    }

    #[test]
    fn what_is_written_is_kept_with_this_boot_and_what_is_closed_without() {
        let policy = SettlePolicy::new(Duration::from_secs(30));
        let mut files = SettlingFiles::default();
        files.note_written(HashSet::from(["a.mp3".into()]));
        files.observe(Path::new("a.mp3"), stamp(1), at(0), 1, &policy);
        let kept = |files: &mut SettlingFiles, second| {
            let kept = files.take_unrecorded(&policy, Duration::from_secs(second));
            kept.into_iter().map(|sighting| sighting.written_boot).collect::<Vec<_>>()
        };
        assert_eq!(kept(&mut files, 10), [boot_id().map(str::to_owned)]);
        assert_eq!(kept(&mut files, 50), []);
        files.note_written(HashSet::new());
        assert!(files.next_record().is_some(), "the queue should know that it was closed");
        assert_eq!(kept(&mut files, 50), [None]);
        assert_eq!(files.next_record(), None);
    }

    #[test]
    fn an_open_file_is_asked_about_at_times_and_soon_after_an_event() {
        let policy = SettlePolicy::new(Duration::from_secs(30));
        let second = Duration::from_secs(1);
        let in_use = InUse::Process(crate::open_files::WritingProcess {
            program: "recorder".into(),
            process: 812,
        });
        let mut files = SettlingFiles::default();
        let path = PathBuf::from("a.mp3");
        files.observe(&path, stamp(1), at(0), 1, &policy);
        let mut quiet = files.take_due(&policy, second * 30, true).pop().expect("it is quiet");
        quiet.seen.record_close_check(Some(in_use), at(30));
        files.wait_for_close(&path, quiet.seen, &policy, second * 30);
        assert_eq!(files.next_due(&policy, true), Some(second * 60));
        let hinted = HashSet::from([path.clone(), "b.mp3".into()]);
        assert_eq!(files.select_open(&hinted), std::slice::from_ref(&path));
        files.check_close_soon(&path);
        assert_eq!(files.next_due(&policy, true), Some(second * 31));
        let mut quiet =
            files.take_due(&policy, second * 31, true).pop().expect("it is asked about");
        quiet.seen.record_close_check(None, at(31));
        files.wait_for_close(&path, quiet.seen, &policy, second * 31);
        assert_eq!(files.next_due(&policy, true), Some(second * 61), "it is quiet since its close");
    }

    #[test]
    fn empty_files_are_not_kept_in_mind() {
        let policy = SettlePolicy::new(Duration::from_secs(30));
        let mut files = SettlingFiles::default();
        files.observe(Path::new("a.wav"), stamp(0), at(0), 1, &policy);
        assert!(files.is_empty());
        files.observe(Path::new("a.wav"), stamp(9), at(0), 1, &policy);
        files.observe(Path::new("a.wav"), stamp(0), at(1), 1, &policy);
        assert!(files.is_empty());
    }

    #[test]
    fn batches_are_bounded_by_count_and_by_bytes() {
        let policy = SettlePolicy::new(Duration::from_secs(1));
        let mut files = SettlingFiles::default();
        for number in 0..100 {
            files.observe(Path::new(&format!("{number}.wav")), stamp(1), at(0), 1, &policy);
        }
        assert_eq!(files.take_due(&policy, Duration::from_secs(1), true).len(), CHUNK_FILES);
        let mut files = SettlingFiles::default();
        for number in 0..10 {
            files.observe(
                Path::new(&format!("{number}.wav")),
                stamp(CHUNK_BYTES),
                at(0),
                1,
                &policy,
            );
        }
        assert_eq!(files.take_due(&policy, Duration::from_secs(1), true).len(), 1);
    }

    #[test]
    fn large_files_leave_room_for_a_small_one() {
        let policy = SettlePolicy::new(Duration::from_secs(1));
        let mut files = SettlingFiles::default();
        for number in 0..10 {
            files.observe(
                Path::new(&format!("{number}.wav")),
                stamp(CHUNK_BYTES),
                at(0),
                1,
                &policy,
            );
        }
        assert_eq!(files.take_due(&policy, Duration::from_secs(1), false), []);
        assert_eq!(
            files.next_due(&policy, false),
            None,
            "nobody wakes for what may not be read yet"
        );
        files.observe(Path::new("small.wav"), stamp(1), at(0), 1, &policy);
        let quiet = files.take_due(&policy, Duration::from_secs(1), false);
        assert_eq!(
            quiet.iter().map(|file| &file.file.path).collect::<Vec<_>>(),
            [Path::new("small.wav")]
        );
    }
}
