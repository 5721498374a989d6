//! All that touches a folder's file system. It may hang on a dead server, so it runs on threads that may block, and
//! owns what it needs: the table of known files, the watches, the way of learning of changes.

pub mod hints;
pub mod known;
pub mod mounts;
mod visitor;
pub mod walk;

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
    hints::{Hints, WatchError, Watches},
    known::Known,
    mounts::Ground,
    visitor::Around,
    walk::Tally,
};
use crate::{
    access::{grant, is_denied},
    beneath::{Dir, Entry, Place, Stamp},
    config::Watch,
    job::HoldReason,
    queue::Root,
    watch::names::Rules,
};

/// How soon refused watches are asked for again when nobody has raised the limit: others may have given theirs back.
const REFUSED_RETRY: Duration = Duration::from_secs(3600);

/// How changes in a folder are learned of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// By events, and a scan from time to time.
    Native,
    /// By scans alone, because events cannot come or are not wanted; why.
    Polled(String),
    /// By scans alone, because no watches are left; what to raise.
    Unwatched(String),
}

impl Mode {
    /// Returns whether this is a folder whose files take longer to show what they are.
    #[must_use]
    pub fn is_polled(&self) -> bool {
        match self {
            Self::Polled(_) => true,
            Self::Native | Self::Unwatched(_) => false,
        }
    }
}

/// What is wrong with a folder, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Which trouble.
    pub kind: HoldReason,
    /// What was found.
    pub detail: String,
}

/// What a look has found.
#[derive(Debug, Default)]
pub struct Seen {
    /// Media that is not known to be unchanged, empty files too.
    pub fresh: Vec<(PathBuf, Stamp)>,
    /// Paths at which there is nothing any more.
    pub vanished: Vec<PathBuf>,
    /// How many files of media there are that are not empty.
    pub media: u64,
    /// How many of the known paths were met, whatever lies there now.
    pub met: u64,
    /// How many of the known files were met as they were.
    pub same: u64,
    /// What was read.
    pub tally: Tally,
    /// Files that were not taken in because there were so many new ones.
    pub left_out: u64,
    /// How long a processor was busy with it.
    pub busy: Duration,
}

/// A scan of the whole folder.
#[derive(Debug)]
pub struct Scanned {
    /// What it has found.
    pub seen: Seen,
    /// Where the folder lies.
    pub ground: Ground,
    /// How many files were known before it.
    pub known: usize,
    /// How long it took.
    pub took: Duration,
    /// The directories below it on which something is mounted, or was.
    pub mounts: Vec<PathBuf>,
}

/// What is to be seen.
#[derive(Debug)]
pub struct Eyes {
    path: PathBuf,
    rules: Arc<Rules>,
    wanted: Watch,
    hints: Arc<Hints>,
    stop: CancellationToken,
    /// The files that need no look.
    pub known: Known,
    /// The files with a name of media that are none.
    lookalikes: Known,
    /// How changes are learned of, since the last scan.
    pub mode: Mode,
    /// The directories below on which something is mounted, or was: what lay there is not gone when it is not mounted.
    pub mounts: BTreeSet<PathBuf>,
    /// Where the folder lay when what is known was seen: of any other place nothing is concluded without a scan.
    pub place: Option<Place>,
    /// Grows as long as the file system answers.
    pulse: Arc<AtomicU64>,
    watches: Option<Watches>,
    /// Why there are no watches, and since when: tried again when the limit is raised, and from time to time.
    refused: Option<(WatchError, Instant)>,
}

impl Eyes {
    /// Returns eyes for the folder at `path` that know nothing yet.
    #[must_use]
    pub fn new(path: &Path, rules: Arc<Rules>, wanted: Watch, hints: Arc<Hints>, stop: CancellationToken) -> Self {
        let (path, known, mode, mounts) = (path.to_owned(), Known::default(), Mode::Native, BTreeSet::new());
        Self {
            path,
            rules,
            wanted,
            hints,
            stop,
            known,
            lookalikes: Known::default(),
            mode,
            mounts,
            place: None,
            pulse: Arc::default(),
            watches: None,
            refused: None,
        }
    }

    /// Scans everything. `met` is where the folder was met, `is_settling` whether files of it are settling; with
    /// `is_lost` all watches are set anew.
    ///
    /// # Errors
    /// What is wrong with the folder. Nothing is concluded then.
    pub fn scan(&mut self, met: Option<&Root>, is_settling: bool, is_lost: bool) -> Result<Scanned, Trouble> {
        let (begun, busy) = (Instant::now(), thread_time());
        let (root, ground) = self.open(met, is_settling)?;
        let known = self.known.len();
        self.choose(&root, is_lost).map_err(|error| trouble(&self.path, &error))?;
        self.known.unmark_all();
        self.lookalikes.unmark_all();
        if let Some(watches) = &mut self.watches {
            watches.unmark_all();
        }
        let rules = Arc::clone(&self.rules);
        let mut look = self.look_around(&root, ground.place.device);
        look.seen.tally = walk::walk(&root, Path::new(""), &rules, &mut look);
        look.seen.tally.beyond.files = look.seen.left_out;
        let (mut seen, refused) = (std::mem::take(&mut look.seen), look.refused.take());
        let found = std::mem::take(&mut look.mounts);
        self.refuse(refused);
        let mounts = self.follow_mounts(&root, found.into_keys().collect(), &mut seen.tally);
        if seen.tally.is_walked() {
            self.lookalikes.retain_marked();
        }
        if let Some(watches) = self.watches.as_mut().filter(|_| seen.tally.is_walked()) {
            watches.sweep();
        }
        for gone in self.hints.written().iter().filter(|path| is_no_file(&root, path)) {
            self.hints.forget_written(gone);
        }
        if let Some((_, why)) = seen.tally.unreadable.iter().find(|(path, _)| path.as_os_str().is_empty()) {
            let detail = format!("the directory cannot be read: {why}");
            return Err(Trouble { kind: HoldReason::Unreadable, detail });
        }
        seen.busy = thread_time().saturating_sub(busy);
        Ok(Scanned { seen, ground, known, took: begun.elapsed(), mounts })
    }

    /// Looks at the paths that were hinted at, and below them.
    ///
    /// # Errors
    /// What is wrong with the folder. Nothing is concluded then.
    pub fn look(&mut self, mut paths: Vec<PathBuf>, met: Option<&Root>, is_settling: bool) -> Result<Seen, Trouble> {
        let busy = thread_time();
        let (root, ground) = self.open(met, is_settling)?;
        if self.place != Some(ground.place) {
            let detail = "it is another directory than the one that was scanned".to_owned();
            return Err(Trouble { kind: HoldReason::AnotherPlace, detail });
        }
        if let Some(watches) = &mut self.watches {
            for path in &paths {
                watches.doubt(path);
            }
        }
        paths.sort_unstable();
        let mut below: Option<PathBuf> = None;
        let mut look = self.look_around(&root, ground.place.device);
        for path in paths {
            if !below.as_ref().is_some_and(|scanned| path.starts_with(scanned)) && look.at(&root, &path) {
                below = Some(path);
            }
        }
        let (mut seen, refused) = (std::mem::take(&mut look.seen), look.refused.take());
        self.refuse(refused);
        seen.busy = thread_time().saturating_sub(busy);
        Ok(seen)
    }

    /// Returns those of `paths` at which no file lies for certain; `None` when the folder cannot be opened, or is
    /// another directory than the one that was scanned.
    #[must_use]
    pub fn absent(&self, paths: Vec<PathBuf>) -> Option<Vec<PathBuf>> {
        let (root, ground) = mounts::open(&self.path).ok()?;
        if self.place != Some(ground.place) {
            return None;
        }
        let away: Vec<&PathBuf> = self.mounts.iter().filter(|mount| mounts::is_away(&root, mount)).collect();
        let is_absent = |path: &PathBuf| !away.iter().any(|mount| path.starts_with(mount)) && is_no_file(&root, path);
        Some(paths.into_iter().filter(is_absent).collect())
    }

    /// Compares the mounts that a walk has `found` below the folder with those that were known. Below one that is away
    /// nothing is known. Returns all of them.
    fn follow_mounts(&mut self, root: &Dir, found: BTreeSet<PathBuf>, tally: &mut Tally) -> Vec<PathBuf> {
        let mut mounts = found;
        for known in &self.mounts {
            if mounts.contains(known) {
                continue;
            }
            if !tally.covers(known) {
                mounts.insert(known.clone());
            } else if mounts::is_away(root, known) {
                tally.unreadable.push((known.clone(), "nothing is mounted there any more".to_owned()));
                mounts.insert(known.clone());
            }
        }
        self.mounts = mounts;
        self.mounts.iter().cloned().collect()
    }

    fn open(&self, met: Option<&Root>, is_settling: bool) -> Result<(Dir, Ground), Trouble> {
        let (root, ground) = mounts::open(&self.path).map_err(|error| trouble(&self.path, &error))?;
        let moved = met.is_some_and(|met| met.is_elsewhere(ground.place));
        let is_used = is_settling || !self.known.is_empty();
        if moved && is_used && root.is_empty().map_err(|error| trouble(&self.path, &error))? {
            let detail = "it is empty and not the directory that it was: is it mounted?".to_owned();
            return Err(Trouble { kind: HoldReason::EmptyMountPoint, detail });
        }
        Ok((root, ground))
    }

    /// Decides anew how changes are learned of: the folder may have been mounted, or the limit raised.
    fn choose(&mut self, root: &Dir, is_lost: bool) -> io::Result<()> {
        if let Some(why) = self.reason_to_poll(root)? {
            (self.mode, self.watches, self.refused) = (Mode::Polled(why), None, None);
            self.hints.doubt();
            return Ok(());
        }
        if self.refused.as_ref().is_some_and(|(why, since)| !why.is_over() && since.elapsed() < REFUSED_RETRY) {
            return Ok(());
        }
        if is_lost || self.watches.is_none() {
            // The old ones go first: they count against the limit.
            self.watches = None;
            self.hints.doubt();
            match Watches::new(&self.path, Arc::clone(&self.rules), Arc::clone(&self.hints)) {
                Ok(watches) => (self.watches, self.refused, self.mode) = (Some(watches), None, Mode::Native),
                Err(error) => self.refuse(Some(error)),
            }
        }
        Ok(())
    }

    fn reason_to_poll(&self, root: &Dir) -> io::Result<Option<String>> {
        Ok(match self.wanted {
            Watch::Native => None,
            Watch::Poll => Some("as configured".to_owned()),
            Watch::Auto => mounts::polls(root)?.map(|name| format!("it lies on {name}, where changes make no events")),
        })
    }

    /// Falls back to polling when watches were refused. What there is of them goes: half a tree is no tree.
    fn refuse(&mut self, refused: Option<WatchError>) {
        if let Some(error) = refused {
            self.mode = Mode::Unwatched(error.to_string());
            (self.watches, self.refused) = (None, Some((error, Instant::now())));
            self.hints.doubt();
        }
    }

    fn look_around<'a>(&'a mut self, root: &'a Dir, device: u64) -> Around<'a> {
        Around {
            root,
            rules: &self.rules,
            pulse: &self.pulse,
            known: &mut self.known,
            lookalikes: &mut self.lookalikes,
            watches: self.watches.as_mut(),
            stop: &self.stop,
            seen: Seen::default(),
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

/// Whether nothing lies there for certain, or a link, a directory, …: none of them is ever a recording.
fn is_no_file(root: &Dir, path: &Path) -> bool {
    match root.entry(path) {
        Ok(Some(Entry::File(_))) | Err(_) => false,
        Ok(Some(Entry::Directory | Entry::Other) | None) => true,
    }
}

fn trouble(path: &Path, error: &io::Error) -> Trouble {
    let shown = crate::text::printable_path(path);
    if error.kind() == io::ErrorKind::NotFound {
        return Trouble { kind: HoldReason::Absent, detail: format!("`{shown}` is not there") };
    }
    let why = if is_denied(error) { format!("no permission; {}", grant(path).join("; ")) } else { error.to_string() };
    Trouble { kind: HoldReason::Unreadable, detail: format!("`{shown}` cannot be read: {why}") }
}

/// Eyes that are lent to a thread that may block.
#[derive(Debug, Clone)]
pub struct Lent {
    eyes: Arc<Mutex<Eyes>>,
    /// The pulse of the eyes, which can be read while a thread has them.
    pulse: Arc<AtomicU64>,
}

impl Lent {
    /// Returns eyes that can be lent.
    #[must_use]
    pub fn new(eyes: Eyes) -> Self {
        let pulse = Arc::clone(&eyes.pulse);
        Self { eyes: Arc::new(Mutex::new(eyes)), pulse }
    }

    /// Returns a number that grows as long as the file system answers.
    #[must_use]
    pub fn pulse(&self) -> u64 {
        self.pulse.load(Ordering::Relaxed)
    }

    /// Runs `work` on a thread that may block.
    ///
    /// # Errors
    /// When it panics.
    pub fn run<T: Send + 'static, F: FnOnce(&mut Eyes) -> T + Send + 'static>(
        &self,
        work: F,
    ) -> impl Future<Output = anyhow::Result<T>> + Send + use<T, F> {
        let eyes = Arc::clone(&self.eyes);
        let done = tokio::task::spawn_blocking(move || {
            // A panic in an earlier look has ended the folder's task, so nothing half-changed is seen here.
            work(&mut eyes.lock().unwrap_or_else(PoisonError::into_inner))
        });
        async { done.await.map_err(|error| anyhow::anyhow!("a look at the folder failed: {error}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::testing::{accepts, folder};

    fn eyes(root: &Path) -> Eyes {
        let rules = Arc::new(Rules::new(&folder(root), &accepts()));
        Eyes::new(root, rules, Watch::Auto, Arc::new(Hints::new(root, Arc::default(), 100)), CancellationToken::new())
    }

    #[test]
    fn a_refused_watch_falls_back_to_polling_until_the_limit_is_raised() {
        let tree = tempfile::tempdir().expect("a directory");
        let mut eyes = eyes(tree.path());
        eyes.scan(None, false, false).expect("scanned");
        assert_eq!(eyes.mode, Mode::Native);
        let limit = |now| WatchError::Limit { what: "watches", sysctl: "fs.inotify.max_user_watches", now };
        eyes.refuse(Some(limit(u64::MAX)));
        eyes.scan(None, false, false).expect("scanned");
        assert!(matches!(&eyes.mode, Mode::Unwatched(why) if why.contains("fs.inotify.max_user_watches")));
        assert!(eyes.watches.is_none(), "half a tree is not kept");
        eyes.refuse(Some(limit(0)));
        eyes.scan(None, false, false).expect("scanned");
        assert_eq!(eyes.mode, Mode::Native);
    }

    #[test]
    fn an_empty_folder_on_another_device_is_not_mounted_and_an_absent_one_is_absent() {
        let tree = tempfile::tempdir().expect("a directory");
        let mut eyes = eyes(tree.path());
        let met = Root { device: u64::MAX, met: jiff::Timestamp::UNIX_EPOCH, spot: None };
        let met = Some(&met);
        let trouble = eyes.scan(met, true, false).expect_err("not mounted");
        assert_eq!(trouble.kind, HoldReason::EmptyMountPoint);
        assert!(eyes.scan(met, false, false).is_ok(), "nothing was ever there");
        std::fs::write(tree.path().join("a.wav"), "x").expect("written");
        assert!(eyes.scan(met, true, false).is_ok(), "something is there");
        drop(tree);
        assert_eq!(eyes.scan(met, true, false).expect_err("absent").kind, HoldReason::Absent);
    }
}
