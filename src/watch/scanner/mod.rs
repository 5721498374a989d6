//! All that touches a folder's file system. It may hang on a dead server, so it runs on threads that may block, and
//! owns what it needs: the table of known files, the watches, the way of learning of changes.

pub(crate) mod hints;
pub(crate) mod known;
pub(crate) mod mounts;
mod visitor;
pub(crate) mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    hints::{FolderWatches, Hints, WatchError},
    known::SeenFiles,
    mounts::FolderLocation,
    visitor::ScanVisitor,
    walk::WalkTally,
};
use crate::{
    access::{is_denied, setfacl_commands},
    beneath::{Dir, Entry, Place, Stamp},
    config::Watch,
    job::HoldReason,
    store::FolderRoot,
    watch::names::FileFilter,
};

/// Time until refused watches are asked for again when nobody has raised the limit: others may have given theirs back.
const REFUSED_RETRY: Duration = Duration::from_secs(3600);

/// The way in which changes in a folder are learned of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WatchMode {
    /// By events, and a scan from time to time.
    Native,
    /// By scans alone, because events cannot come or are not wanted; why.
    Polled(String),
    /// By scans alone, because no watches are left; what to raise.
    Unwatched(String),
}

impl WatchMode {
    /// Returns whether this is a folder whose files take longer to show what they are.
    #[must_use]
    pub(crate) fn is_polled(&self) -> bool {
        match self {
            Self::Polled(_) => true,
            Self::Native | Self::Unwatched(_) => false,
        }
    }
}

/// The trouble of a folder, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FolderTrouble {
    /// The kind of trouble.
    pub kind: HoldReason,
    /// A description for a person.
    pub detail: String,
}

/// The findings of a scan, or of a look at some paths.
#[derive(Debug, Default)]
pub(crate) struct ScanFindings {
    /// Media that is not known to be unchanged, empty files too.
    pub fresh: Vec<(PathBuf, Stamp)>,
    /// Paths at which there is nothing any more.
    pub vanished: Vec<PathBuf>,
    /// Number of files of media that are not empty.
    pub media: u64,
    /// Number of the known paths at which there still is a file.
    pub known: u64,
    /// Number of the known files that are unchanged.
    pub unchanged: u64,
    /// The directories that were read.
    pub tally: WalkTally,
    /// Files that were not taken in because there were so many new ones.
    pub left_out: u64,
    /// The time for which a processor was busy with it.
    pub busy: Duration,
}

/// A scan of the whole folder.
#[derive(Debug)]
pub(crate) struct FolderScan {
    /// Its findings.
    pub findings: ScanFindings,
    /// The location of the folder.
    pub location: FolderLocation,
    /// Number of files that were known before it.
    pub known: usize,
    /// Its duration.
    pub took: Duration,
    /// The directories below it on which something is mounted, or was.
    pub mounts: Vec<PathBuf>,
}

/// The scanner of one folder.
#[derive(Debug)]
pub(crate) struct FolderScanner {
    path: PathBuf,
    filter: Arc<FileFilter>,
    wanted: Watch,
    hints: Arc<Hints>,
    stop: CancellationToken,
    /// The files that need no look.
    pub known: SeenFiles,
    /// The files with a name of media that are none.
    lookalikes: SeenFiles,
    /// The way in which changes are learned of, since the last scan.
    pub mode: WatchMode,
    /// The directories below on which something is mounted, or was: what lay there is not gone when it is not mounted.
    pub mounts: BTreeSet<PathBuf>,
    /// The place of the folder when the known files were seen: of any other place nothing is concluded without a scan.
    pub place: Option<Place>,
    /// Grows as long as the file system answers.
    pulse: Arc<AtomicU64>,
    watches: Option<FolderWatches>,
    /// The reason for which there are no watches, and since when: tried again when the limit is raised, and from time to time.
    refused: Option<(WatchError, Instant)>,
}

impl FolderScanner {
    /// Returns a scanner of the folder at `path` that has seen nothing yet.
    #[must_use]
    pub(crate) fn new(
        path: &Path,
        filter: Arc<FileFilter>,
        wanted: Watch,
        hints: Arc<Hints>,
        stop: CancellationToken,
    ) -> Self {
        let path = path.to_owned();
        let known = SeenFiles::default();
        let mode = WatchMode::Native;
        let mounts = BTreeSet::new();
        Self {
            path,
            filter,
            wanted,
            hints,
            stop,
            known,
            lookalikes: SeenFiles::default(),
            mode,
            mounts,
            place: None,
            pulse: Arc::default(),
            watches: None,
            refused: None,
        }
    }

    /// Scans everything. `baseline` is the directory at the first scan, `is_settling` whether files of it are settling; with
    /// `is_lost` all watches are set anew.
    ///
    /// # Errors
    /// What is wrong with the folder. Nothing is concluded then.
    pub(crate) fn scan_folder(
        &mut self,
        baseline: Option<&FolderRoot>,
        is_settling: bool,
        is_lost: bool,
    ) -> Result<FolderScan, FolderTrouble> {
        let begun = Instant::now();
        let busy = thread_time();
        if is_lost {
            // Also where this scan fails: the folder may come back as another directory of the same
            // inode, whose watch would seem to be there. And they count against the limit.
            self.watches = None;
        }
        let (root, location) = self.open_folder(baseline, is_settling)?;
        let known = self.known.len();
        self.choose_mode(&root).map_err(|error| describe_trouble(&self.path, &error))?;
        self.known.unmark_all();
        self.lookalikes.unmark_all();
        if let Some(watches) = &mut self.watches {
            watches.unmark_all();
        }
        let filter = Arc::clone(&self.filter);
        let mut look = self.begin_visit(&root, location.place.device);
        look.seen.tally = walk::walk_folder(&root, Path::new(""), &filter, &mut look);
        look.seen.tally.beyond.files = look.seen.left_out;
        let mut seen = std::mem::take(&mut look.seen);
        let refused = look.refused.take();
        let found = std::mem::take(&mut look.mounts);
        self.fall_back_to_polling(refused);
        let mounts = self.follow_mounts(&root, found.into_keys().collect(), &mut seen.tally);
        if seen.tally.is_walked() {
            self.lookalikes.retain_marked();
        }
        if let Some(watches) = self.watches.as_mut().filter(|_| seen.tally.is_walked()) {
            watches.remove_unmarked();
        }
        for gone in self.hints.written().iter().filter(|path| is_no_file(&root, path)) {
            self.hints.forget_written(gone);
        }
        if let Some((_, why)) =
            seen.tally.unreadable.iter().find(|(path, _)| path.as_os_str().is_empty())
        {
            let detail = format!("the directory cannot be read: {why}");
            return Err(FolderTrouble { kind: HoldReason::Unreadable, detail });
        }
        seen.busy = thread_time().saturating_sub(busy);
        Ok(FolderScan { findings: seen, location, known, took: begun.elapsed(), mounts })
    }

    /// Looks at the paths that were hinted at, and below them.
    ///
    /// # Errors
    /// What is wrong with the folder. Nothing is concluded then.
    pub(crate) fn look_at_paths(
        &mut self,
        mut paths: Vec<PathBuf>,
        baseline: Option<&FolderRoot>,
        is_settling: bool,
    ) -> Result<ScanFindings, FolderTrouble> {
        let busy = thread_time();
        let (root, location) = self.open_folder(baseline, is_settling)?;
        if self.place != Some(location.place) {
            let detail = "it is another directory than the one that was scanned".to_owned();
            return Err(FolderTrouble { kind: HoldReason::AnotherPlace, detail });
        }
        if let Some(watches) = &mut self.watches {
            for path in &paths {
                watches.doubt(path);
            }
        }
        paths.sort_unstable();
        let mut below: Option<PathBuf> = None;
        let mut look = self.begin_visit(&root, location.place.device);
        for path in paths {
            if !below.as_ref().is_some_and(|scanned| path.starts_with(scanned))
                && look.visit_path(&root, &path)
            {
                below = Some(path);
            }
        }
        let mut seen = std::mem::take(&mut look.seen);
        let refused = look.refused.take();
        self.fall_back_to_polling(refused);
        seen.busy = thread_time().saturating_sub(busy);
        Ok(seen)
    }

    /// Returns those of `paths` at which no file lies for certain; `None` when the folder cannot be opened, or is
    /// another directory than the one that was scanned.
    #[must_use]
    pub(crate) fn select_absent(&self, paths: Vec<PathBuf>) -> Option<Vec<PathBuf>> {
        let (root, location) = mounts::open_folder(&self.path).ok()?;
        if self.place != Some(location.place) {
            return None;
        }
        let away: Vec<&PathBuf> =
            self.mounts.iter().filter(|mount| mounts::is_away(&root, mount)).collect();
        let is_absent = |path: &PathBuf| {
            !away.iter().any(|mount| path.starts_with(mount)) && is_no_file(&root, path)
        };
        Some(paths.into_iter().filter(is_absent).collect())
    }

    /// Compares the mounts that a walk has `found` below the folder with those that were known. Below one that is away
    /// nothing is known. Returns all of them.
    fn follow_mounts(
        &mut self,
        root: &Dir,
        found: BTreeSet<PathBuf>,
        tally: &mut WalkTally,
    ) -> Vec<PathBuf> {
        let mut mounts = found;
        for known in &self.mounts {
            if mounts.contains(known) {
                continue;
            }
            if !tally.covers(known) {
                mounts.insert(known.clone());
            } else if mounts::is_away(root, known) {
                tally
                    .unreadable
                    .push((known.clone(), "nothing is mounted there any more".to_owned()));
                mounts.insert(known.clone());
            }
        }
        self.mounts = mounts;
        self.mounts.iter().cloned().collect()
    }

    fn open_folder(
        &self,
        baseline: Option<&FolderRoot>,
        is_settling: bool,
    ) -> Result<(Dir, FolderLocation), FolderTrouble> {
        let (root, location) = mounts::open_folder(&self.path)
            .map_err(|error| describe_trouble(&self.path, &error))?;
        let moved = baseline.is_some_and(|baseline| baseline.is_elsewhere(location.place));
        let is_used = is_settling || !self.known.is_empty();
        if moved
            && is_used
            && root.is_empty().map_err(|error| describe_trouble(&self.path, &error))?
        {
            let detail = "it is empty and not the directory that it was: is it mounted?".to_owned();
            return Err(FolderTrouble { kind: HoldReason::EmptyMountPoint, detail });
        }
        Ok((root, location))
    }

    /// Decides anew how changes are learned of: the folder may have been mounted, or the limit raised.
    fn choose_mode(&mut self, root: &Dir) -> io::Result<()> {
        if let Some(why) = self.reason_to_poll(root)? {
            (self.mode, self.watches, self.refused) = (WatchMode::Polled(why), None, None);
            self.hints.doubt_closes();
            return Ok(());
        }
        if self
            .refused
            .as_ref()
            .is_some_and(|(why, since)| !why.is_over() && since.elapsed() < REFUSED_RETRY)
        {
            return Ok(());
        }
        if self.watches.is_none() {
            self.hints.doubt_closes();
            match FolderWatches::new(&self.path, Arc::clone(&self.filter), Arc::clone(&self.hints))
            {
                Ok(watches) => {
                    (self.watches, self.refused, self.mode) =
                        (Some(watches), None, WatchMode::Native);
                }
                Err(error) => self.fall_back_to_polling(Some(error)),
            }
        }
        Ok(())
    }

    fn reason_to_poll(&self, root: &Dir) -> io::Result<Option<String>> {
        Ok(match self.wanted {
            Watch::Native => None,
            Watch::Poll => Some("as configured".to_owned()),
            Watch::Auto => mounts::detect_eventless(root)?
                .map(|name| format!("it lies on {name}, where changes make no events")),
        })
    }

    /// Falls back to polling when watches were refused. What there is of them goes: half a tree is no tree.
    fn fall_back_to_polling(&mut self, refused: Option<WatchError>) {
        if let Some(error) = refused {
            self.mode = WatchMode::Unwatched(error.to_string());
            (self.watches, self.refused) = (None, Some((error, Instant::now())));
            self.hints.doubt_closes();
        }
    }

    fn begin_visit<'a>(&'a mut self, root: &'a Dir, device: u64) -> ScanVisitor<'a> {
        ScanVisitor {
            root,
            filter: &self.filter,
            pulse: &self.pulse,
            known: &mut self.known,
            lookalikes: &mut self.lookalikes,
            watches: self.watches.as_mut(),
            stop: &self.stop,
            seen: ScanFindings::default(),
            fresh_bytes: 0,
            refused: None,
            device,
            mounts: BTreeMap::new(),
        }
    }
}

/// Returns how long a processor has been busy with this thread.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Returns whether nothing lies there for certain, or a link, a directory, …: none of them is ever a recording.
fn is_no_file(root: &Dir, path: &Path) -> bool {
    match root.entry(path) {
        Ok(Some(Entry::File(_))) | Err(_) => false,
        Ok(Some(Entry::Directory | Entry::Other) | None) => true,
    }
}

fn describe_trouble(path: &Path, error: &io::Error) -> FolderTrouble {
    let shown = crate::text::printable_path(path);
    if error.kind() == io::ErrorKind::NotFound {
        return FolderTrouble {
            kind: HoldReason::Absent,
            detail: format!("`{shown}` is not there"),
        };
    }
    let why = if is_denied(error) {
        format!("no permission; {}", setfacl_commands(path).join("; "))
    } else {
        error.to_string()
    };
    FolderTrouble {
        kind: HoldReason::Unreadable,
        detail: format!("`{shown}` cannot be read: {why}"),
    }
}

/// A scanner that runs on threads which may block.
#[derive(Debug, Clone)]
pub(crate) struct BlockingScanner {
    scanner: Arc<Mutex<FolderScanner>>,
    /// The pulse of the scanner, which can be read while a thread has it.
    pulse: Arc<AtomicU64>,
}

impl BlockingScanner {
    /// Returns `scanner`, to be run on such threads.
    #[must_use]
    pub(crate) fn new(scanner: FolderScanner) -> Self {
        let pulse = Arc::clone(&scanner.pulse);
        Self { scanner: Arc::new(Mutex::new(scanner)), pulse }
    }

    /// Returns a number that grows as long as the file system answers.
    #[must_use]
    pub(crate) fn pulse(&self) -> u64 {
        self.pulse.load(Ordering::Relaxed)
    }

    /// Runs `work` on a thread that may block.
    ///
    /// # Errors
    /// When it panics.
    pub(crate) fn run<T: Send + 'static, F: FnOnce(&mut FolderScanner) -> T + Send + 'static>(
        &self,
        work: F,
    ) -> impl Future<Output = anyhow::Result<T>> + Send + use<T, F> {
        let scanner = Arc::clone(&self.scanner);
        let done = tokio::task::spawn_blocking(move || {
            // A panic in an earlier look has ended the folder's task, so nothing half-changed is seen here.
            work(&mut scanner.lock().unwrap_or_else(PoisonError::into_inner))
        });
        async {
            done.await.map_err(|error| anyhow::anyhow!("a look at the folder failed: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::testing::{accepts, folder};

    fn new_scanner(root: &Path) -> FolderScanner {
        let filter = Arc::new(FileFilter::new(&folder(root), &accepts()));
        FolderScanner::new(
            root,
            filter,
            Watch::Auto,
            Arc::new(Hints::new(root, Arc::default(), 100)),
            CancellationToken::new(),
        )
    }

    #[test]
    fn a_refused_watch_falls_back_to_polling_until_the_limit_is_raised() {
        let tree = tempfile::tempdir().expect("a directory");
        let mut scanner = new_scanner(tree.path());
        scanner.scan_folder(None, false, false).expect("scanned");
        assert_eq!(scanner.mode, WatchMode::Native);
        let limit =
            |now| WatchError::Limit { what: "watches", sysctl: "fs.inotify.max_user_watches", now };
        scanner.fall_back_to_polling(Some(limit(u64::MAX)));
        scanner.scan_folder(None, false, false).expect("scanned");
        assert!(
            matches!(&scanner.mode, WatchMode::Unwatched(why) if why.contains("fs.inotify.max_user_watches"))
        );
        assert!(scanner.watches.is_none(), "half a tree is not kept");
        scanner.fall_back_to_polling(Some(limit(0)));
        scanner.scan_folder(None, false, false).expect("scanned");
        assert_eq!(scanner.mode, WatchMode::Native);
    }

    #[test]
    fn watches_that_are_in_doubt_go_also_where_the_scan_fails() {
        let tree = tempfile::tempdir().expect("a directory");
        let root = tree.path().join("sales");
        std::fs::create_dir(&root).expect("made");
        let mut scanner = new_scanner(&root);
        scanner.scan_folder(None, false, false).expect("scanned");
        assert!(scanner.watches.is_some());
        std::fs::remove_dir(&root).expect("removed");
        scanner.scan_folder(None, false, true).expect_err("absent");
        assert!(scanner.watches.is_none(), "another directory may have its inode");
        std::fs::create_dir(&root).expect("made");
        scanner.scan_folder(None, false, false).expect("scanned");
        assert!(scanner.watches.is_some());
    }

    #[test]
    fn an_empty_folder_on_another_device_is_not_mounted_and_an_absent_one_is_absent() {
        let tree = tempfile::tempdir().expect("a directory");
        let mut scanner = new_scanner(tree.path());
        let met = FolderRoot { device: u64::MAX, met: jiff::Timestamp::UNIX_EPOCH, spot: None };
        let met = Some(&met);
        let trouble = scanner.scan_folder(met, true, false).expect_err("not mounted");
        assert_eq!(trouble.kind, HoldReason::EmptyMountPoint);
        assert!(scanner.scan_folder(met, false, false).is_ok(), "nothing was ever there");
        std::fs::write(tree.path().join("a.wav"), "x").expect("written");
        assert!(scanner.scan_folder(met, true, false).is_ok(), "something is there");
        drop(tree);
        assert_eq!(
            scanner.scan_folder(met, true, false).expect_err("absent").kind,
            HoldReason::Absent
        );
    }
}
