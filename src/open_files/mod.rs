//! Who has a file open for writing: a recording that a writer still has open is not finished, however quiet it is.
//!
//! There are two witnesses, and each is blind somewhere:
//!
//! | witness | what it knows | where it is blind |
//! |---|---|---|
//! | [`Processes`] (`/proc`) | each file that a process has open for writing, also one that writes nothing now | processes of other users without root's rights, and all others under the system unit (`ProtectProc=invisible`, `PrivateUsers`); what runs outside a container; other hosts; file servers in the kernel (`nfsd`, `ksmbd`) |
//! | [`WrittenFiles`] (kernel events) | each write after which no close was seen | what was written before the watch was set, or while events were lost; a writer that opens a file and writes nothing; changes through a memory map; polled folders: network file systems and FUSE |
//!
//! `/proc` that shows a writer outweighs everything; `/proc` that shows every process and no writer outweighs the events.
//! Where `/proc` does not see every process, the events decide; where neither knows anything, a file counts as closed,
//! and its being quiet has to do. A lease (`F_SETLEASE`) would tell the same of files of one's own; it needs `unsafe`
//! code, which this crate forbids.

mod processes;
mod written;

use std::{
    collections::HashSet,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

pub(crate) use processes::Processes;
pub(crate) use written::{UnclosedWrite, WrittenFiles};

use crate::beneath::{Dir, FileId};

/// For how long a write counts after which a close may have been missed: after events were lost, or while minuted was
/// down. A file that stays as it is for so long has lost its writer.
pub(crate) const DOUBT_MAX: Duration = Duration::from_secs(3600);

/// Files that a job waits for and whose close is announced. One beyond that is asked about from time to time.
const AWAITED_MAX: usize = 4096;

/// A process that has a file open for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WritingProcess {
    /// The name of its program, fit to be shown.
    pub program: String,
    /// Its process id.
    pub process: u32,
}

/// Answer to the question who has a file open for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Openness {
    /// This process has, and perhaps others.
    Open(WritingProcess),
    /// None has: every process was looked at.
    Closed,
    /// None of those that could be looked at has.
    Unknown,
}

/// A file that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SoughtFile {
    /// The file's identity.
    pub id: FileId,
    /// Its file name.
    pub name: std::ffi::OsString,
}

/// Source of answers about open files. Tests have sources that see nothing.
pub(crate) trait WriterSource: fmt::Debug + Send + Sync {
    /// Returns an answer for each file, in order. Blocks; the whole batch costs as much as one file.
    fn find(&self, files: &[SoughtFile]) -> Vec<Openness>;
}

/// Evidence that a file is still being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InUse {
    /// A process has it open for writing.
    Process(WritingProcess),
    /// The file was written to, and no close was seen since.
    Written(UnclosedWrite),
}

impl InUse {
    /// Returns whether it still counts for a file that has been `quiet` for so long: what may be out of date ends.
    #[must_use]
    pub(crate) fn counts(&self, quiet: Duration) -> bool {
        match self {
            Self::Process(_) => true,
            Self::Written(written) => written.is_certain || quiet < DOUBT_MAX,
        }
    }
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(WritingProcess { program, process }) => {
                write!(f, "`{program}` (process {process}) has it open")
            }
            Self::Written(UnclosedWrite { is_certain: true, .. }) => {
                f.write_str("it changed since its writer last closed it: it is still being written")
            }
            Self::Written(UnclosedWrite { is_certain: false, .. }) => f.write_str(
                "it was being written when minuted last saw its writer, and that writer may still have it open",
            ),
        }
    }
}

/// The knowledge about open files, shared by the whole process.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    writers: Box<dyn WriterSource>,
    /// The files that were written to and not closed, as the kernel's events tell.
    pub written: WrittenFiles,
    /// Files whose close somebody waits for, by their whole paths.
    awaited: Mutex<HashSet<PathBuf>>,
}

impl Default for OpenFiles {
    fn default() -> Self {
        Self::new(Box::new(Processes::default()))
    }
}

impl OpenFiles {
    /// Returns the knowledge of one that asks `writers` and has heard of no events.
    #[must_use]
    pub(crate) fn new(writers: Box<dyn WriterSource>) -> Self {
        Self { writers, written: WrittenFiles::default(), awaited: Mutex::default() }
    }

    /// Returns for each of `paths` below `root` why it is still being written, if it is. A file that is not there is not.
    /// Blocks on `/proc`, once for the whole batch.
    #[must_use]
    pub(crate) fn in_use(&self, root: &Dir, paths: &[&Path]) -> Vec<Option<InUse>> {
        let wanted: Vec<Option<SoughtFile>> = paths.iter().map(|path| wanted(root, path)).collect();
        let asked: Vec<SoughtFile> = wanted.iter().flatten().cloned().collect();
        let mut answers =
            if asked.is_empty() { Vec::new() } else { self.writers.find(&asked) }.into_iter();
        let answer = |(path, wanted): (&&Path, &Option<SoughtFile>)| match wanted
            .as_ref()
            .and_then(|_| answers.next())
        {
            Some(Openness::Open(writer)) => Some(InUse::Process(writer)),
            Some(Openness::Closed) => None,
            Some(Openness::Unknown) | None => {
                self.written.get(&root.path().join(path)).map(InUse::Written)
            }
        };
        paths.iter().zip(&wanted).map(answer).collect()
    }

    /// Returns why a file must not be sent, moved or deleted now, if so. Its close is awaited then: `is_awaited`.
    #[must_use]
    pub(crate) fn in_use_now(&self, root: &Dir, path: &Path, now: Timestamp) -> Option<InUse> {
        let in_use = self.in_use(root, &[path]).pop().flatten()?;
        let quiet = match &in_use {
            InUse::Process(_) => Duration::ZERO,
            InUse::Written(written) => {
                now.duration_since(written.last).max(SignedDuration::ZERO).unsigned_abs()
            }
        };
        if !in_use.counts(quiet) {
            return None;
        }
        let mut awaited = self.awaited();
        if awaited.len() < AWAITED_MAX {
            awaited.insert(root.path().join(path));
        }
        Some(in_use)
    }

    /// Takes in that a writer has closed the file at this whole path; returns whether somebody waits for that.
    pub(crate) fn closed(&self, path: &Path) -> bool {
        self.written.closed(path);
        self.is_awaited(path)
    }

    /// Returns whether somebody waits for the close of the file at this whole path, and forgets it.
    fn is_awaited(&self, path: &Path) -> bool {
        let mut awaited = self.awaited();
        !awaited.is_empty() && awaited.remove(path)
    }

    fn awaited(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wanted(root: &Dir, path: &Path) -> Option<SoughtFile> {
    let id = root.file_id(path).ok()??;
    Some(SoughtFile { id, name: path.file_name()?.to_owned() })
}

/// Returns the id of this boot of the machine; `None` where the kernel does not tell. No file is open across a boot.
#[must_use]
pub(crate) fn boot_id() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().map(|id| id.trim().to_owned())
    };
    BOOT.get_or_init(read).as_deref().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A source that has the same answer for every file.
    #[derive(Debug)]
    struct Always(Openness);

    impl WriterSource for Always {
        fn find(&self, files: &[SoughtFile]) -> Vec<Openness> {
            files.iter().map(|_| self.0.clone()).collect()
        }
    }

    fn recorder() -> WritingProcess {
        WritingProcess { program: "recorder".into(), process: 812 }
    }

    /// The answer about a file that was written to and not closed, or about which nothing is known.
    fn answer(openness: &Openness, is_written: bool) -> Option<InUse> {
        let tree = tempfile::tempdir().expect("a directory");
        fs::write(tree.path().join("a.mp3"), "x").expect("written");
        let files = OpenFiles::new(Box::new(Always(openness.clone())));
        if is_written {
            files.written.write(&tree.path().join("a.mp3"), Timestamp::UNIX_EPOCH);
        }
        let root = Dir::open(tree.path()).expect("opened");
        let missing = Path::new("missing.mp3");
        let mut answers = files.in_use(&root, &[missing, Path::new("a.mp3")]);
        let of_file = answers.pop().flatten();
        assert_eq!(answers, [None], "nobody writes to what is not there");
        of_file
    }

    #[test]
    fn a_process_outweighs_events_and_events_outweigh_not_knowing() {
        let open = Openness::Open(recorder());
        let written =
            Some(InUse::Written(UnclosedWrite { last: Timestamp::UNIX_EPOCH, is_certain: true }));
        assert_eq!(answer(&open, false), Some(InUse::Process(recorder())));
        assert_eq!(answer(&open, true), Some(InUse::Process(recorder())));
        assert_eq!(
            [answer(&Openness::Closed, true), answer(&Openness::Closed, false)],
            [None, None]
        );
        assert_eq!(
            [answer(&Openness::Unknown, true), answer(&Openness::Unknown, false)],
            [written, None]
        );
    }

    #[test]
    fn what_may_be_out_of_date_ends_after_a_quiet_hour_and_what_is_certain_does_not() {
        let written =
            |is_certain| InUse::Written(UnclosedWrite { last: Timestamp::UNIX_EPOCH, is_certain });
        let nearly = DOUBT_MAX.saturating_sub(Duration::from_secs(1));
        assert!(written(false).counts(nearly) && !written(false).counts(DOUBT_MAX));
        assert!(
            written(true).counts(DOUBT_MAX * 1000)
                && InUse::Process(recorder()).counts(DOUBT_MAX * 1000)
        );
    }

    #[test]
    fn the_close_of_a_file_that_was_found_open_is_awaited_once() {
        let tree = tempfile::tempdir().expect("a directory");
        let path = tree.path().join("a.mp3");
        let mut file = fs::File::create(&path).expect("made");
        file.write_all(b"x").expect("written");
        let files = OpenFiles::default();
        let root = Dir::open(tree.path()).expect("opened");
        let found = files.in_use_now(&root, Path::new("a.mp3"), Timestamp::UNIX_EPOCH);
        assert!(
            matches!(&found, Some(InUse::Process(writer)) if writer.process == std::process::id()),
            "this very process has it open: {found:?}"
        );
        assert_eq!([files.closed(&path), files.closed(&path)], [true, false]);
    }

    #[test]
    fn evidence_is_told_in_words() {
        let written =
            |is_certain| InUse::Written(UnclosedWrite { last: Timestamp::UNIX_EPOCH, is_certain });
        let told = [InUse::Process(recorder()), written(true), written(false)]
            .map(|in_use| in_use.to_string());
        insta::assert_snapshot!(told.join("\n"), @r"
        `recorder` (process 812) has it open
        it changed since its writer last closed it: it is still being written
        it was being written when minuted last saw its writer, and that writer may still have it open
        ");
    }
}
