//! Hints: what notify tells, coalesced into a bounded set of paths, and the watches that make it tell.
//!
//! Writes and closes are passed on to [`OpenFiles`], without waking anybody: the folder's task asks there
//! when a file is quiet.
//!
//! Each directory has a watch of its own, set before the directory is read. A recursive watch would leave that order to
//! notify's thread, would follow what is pruned here, and is refused or left half done at the limit without a word on
//! what is missing.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use notify::{
    Config, Event, EventKind, EventKindMask, PathOp, RecommendedWatcher, RecursiveMode,
    WatchPathConfig, Watcher as _,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode},
};
use tokio::sync::Notify;

use super::known::{SeenFiles, SeenState};
use crate::{
    beneath::Stamp,
    clock,
    open_files::OpenFiles,
    watch::names::{FileFilter, is_document, is_noise},
};

/// Paths that wait to be looked at. More than this at once is cheaper to find by a scan than one by one.
pub(crate) const PENDING_MAX: usize = 4096;

/// The events that the kernel is asked for. Not among them: opens and reads, which our own scans would cause. A write wakes the thread
/// that hears events and nobody else; without it nothing would tell a recorder that is paused from a file that was
/// linked here.
const EVENTS: EventKindMask = EventKindMask::CREATE
    .union(EventKindMask::REMOVE)
    .union(EventKindMask::MODIFY_DATA)
    .union(EventKindMask::MODIFY_NAME)
    .union(EventKindMask::ACCESS_CLOSE);

/// The paths at which something may have happened.
#[derive(Debug)]
pub(crate) struct Hints {
    pending: Mutex<PendingHints>,
    bell: Notify,
    paths_max: usize,
    /// The folder.
    root: PathBuf,
    /// Is told what is written and closed.
    open_files: Arc<OpenFiles>,
    /// A file was closed that a job waits for.
    is_close_awaited: AtomicBool,
}

/// The hints since the last time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingHints {
    /// Relative paths.
    pub paths: HashSet<PathBuf>,
    /// Hints were lost: only a scan can tell, and the watches have to be set anew.
    pub lost: bool,
}

impl Hints {
    /// Returns an empty set that holds up to `paths_max` paths of the folder at `root`. What is written there and what is
    /// closed is told to `open_files`.
    #[must_use]
    pub(crate) fn new(root: &Path, open_files: Arc<OpenFiles>, paths_max: usize) -> Self {
        let pending = Mutex::default();
        let bell = Notify::new();
        let is_close_awaited = AtomicBool::new(false);
        Self { pending, bell, paths_max, root: root.to_owned(), open_files, is_close_awaited }
    }

    /// Takes in that events may be missed for a while: a close may be among them.
    pub(crate) fn doubt_closes(&self) {
        self.open_files.written.doubt(&self.root);
    }

    /// Returns the files of the folder that were written to and not closed, relative to it.
    #[must_use]
    pub(crate) fn written(&self) -> Vec<PathBuf> {
        self.open_files.written.below(&self.root)
    }

    /// Forgets that a file of the folder was written to: it is not there any more, or another one is.
    pub(crate) fn forget_written(&self, relative: &Path) {
        self.open_files.written.forget(&self.root.join(relative));
    }

    /// Returns whether a file was closed that a job waits for, once.
    #[must_use]
    pub(crate) fn take_awaited_close(&self) -> bool {
        self.is_close_awaited.swap(false, Ordering::Relaxed)
    }

    /// Adds a relative path; over the limit all of them become one lost hint.
    pub(crate) fn add_path(&self, relative: PathBuf) {
        let mut pending = self.lock();
        if pending.lost {
            return;
        }
        pending.paths.insert(relative);
        if pending.paths.len() > self.paths_max {
            *pending = PendingHints { paths: HashSet::new(), lost: true };
        }
        drop(pending);
        self.bell.notify_one();
    }

    /// Says that hints were lost.
    pub(crate) fn mark_lost(&self) {
        self.doubt_closes();
        *self.lock() = PendingHints { paths: HashSet::new(), lost: true };
        self.bell.notify_one();
    }

    /// Waits until there is something to take. Loses nothing when it is dropped.
    pub(crate) async fn wait_pending(&self) {
        while *self.lock() == PendingHints::default() {
            self.bell.notified().await;
        }
    }

    /// Takes what there is.
    #[must_use]
    pub(crate) fn take_pending(&self) -> PendingHints {
        std::mem::take(&mut *self.lock())
    }

    /// Takes in what an event tells of those who write; returns whether it tells nothing else.
    fn track_writers(&self, filter: &FileFilter, event: &Event) -> bool {
        let written = &self.open_files.written;
        match (event.kind, &event.paths[..]) {
            (EventKind::Modify(ModifyKind::Data(_)), paths) => {
                for path in paths.iter().filter(|path| is_media(filter, &self.root, path)) {
                    written.write(path, clock::now());
                }
                return true;
            }
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), paths) => {
                let awaited = paths.iter().filter(|path| self.open_files.closed(path)).count();
                self.is_close_awaited.fetch_or(awaited > 0, Ordering::Relaxed);
            }
            (EventKind::Modify(ModifyKind::Name(RenameMode::Both)), [from, to]) => {
                written.rename(from, to);
            }
            (
                EventKind::Create(_)
                | EventKind::Remove(_)
                | EventKind::Modify(ModifyKind::Name(RenameMode::To)),
                paths,
            ) => paths.iter().for_each(|path| written.forget(path)),
            // Its new name may come next: what is known of it waits until then.
            (
                EventKind::Any | EventKind::Access(_) | EventKind::Modify(_) | EventKind::Other,
                _,
            ) => {}
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, PendingHints> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what notify tells of the folder.
    fn handle_event(&self, filter: &FileFilter, message: notify::Result<Event>) {
        let Ok(event) = message else { return self.mark_lost() };
        if event.need_rescan()
            || event.paths.is_empty()
            || event.kind == EventKind::Remove(RemoveKind::Other)
        {
            return self.mark_lost();
        }
        if self.track_writers(filter, &event) {
            return;
        }
        for path in &event.paths {
            match path.strip_prefix(&self.root) {
                Ok(relative) if relative.as_os_str().is_empty() => {
                    if is_structural(event.kind) {
                        self.mark_lost();
                    }
                }
                Ok(relative) if is_news(filter, relative, event.kind) => {
                    self.add_path(relative.to_owned());
                }
                Ok(_) | Err(_) => {}
            }
        }
    }
}

/// Returns whether a path has the name of a recording.
fn is_media(filter: &FileFilter, root: &Path, path: &Path) -> bool {
    let name = path.file_name().is_some_and(|name| filter.may_be_media(name.as_encoded_bytes()));
    name && path.strip_prefix(root).is_ok_and(|relative| !is_noise(relative))
}

/// Returns whether an event can concern a directory.
fn is_structural(kind: EventKind) -> bool {
    !matches!(
        kind,
        EventKind::Create(CreateKind::File)
            | EventKind::Remove(RemoveKind::File)
            | EventKind::Access(_)
    )
}

/// Returns whether a path should be looked at: names of media always, others only when they may be directories.
///
/// Files of minuted itself are neither: its temporary names are hidden, its notes are documents.
fn is_news(filter: &FileFilter, relative: &Path, kind: EventKind) -> bool {
    let Some(name) = relative.file_name() else { return false };
    if is_noise(relative) {
        return false;
    }
    let is_renamed = matches!(kind, EventKind::Modify(ModifyKind::Name(_)));
    filter.may_be_media(name.as_encoded_bytes())
        || is_structural(kind) && !(is_renamed && is_document(name))
}

/// The reason for which a folder cannot be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// A limit of the system is reached: the folder is polled until it is raised.
    #[error("no inotify {what} left: raise {sysctl} (now {now})")]
    Limit {
        /// The thing that there is too little of.
        what: &'static str,
        /// The setting to raise.
        sysctl: &'static str,
        /// Its value.
        now: u64,
    },
    /// Anything else: the folder is polled.
    #[error("it cannot be watched: {0}")]
    Failed(String),
}

impl WatchError {
    fn from_notify(error: &notify::Error, what: &'static str) -> Self {
        let is_limit = match &error.kind {
            notify::ErrorKind::MaxFilesWatch => true,
            notify::ErrorKind::Io(error) => error.raw_os_error().is_some_and(is_limit),
            notify::ErrorKind::Generic(_)
            | notify::ErrorKind::PathNotFound
            | notify::ErrorKind::WatchNotFound
            | notify::ErrorKind::InvalidConfig(_) => false,
        };
        match (is_limit, what) {
            (true, INSTANCES) => Self::Limit {
                what,
                sysctl: "fs.inotify.max_user_instances",
                now: read_limit("instances"),
            },
            (true, _) => Self::Limit {
                what,
                sysctl: "fs.inotify.max_user_watches",
                now: read_limit("watches"),
            },
            (false, _) => Self::Failed(error.to_string()),
        }
    }

    /// Returns whether it is worth another try at once: the limit has been raised, or it was no limit.
    #[must_use]
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Limit { what, now, .. } => read_limit(what) > *now,
            Self::Failed(_) => true,
        }
    }
}

const WATCHES: &str = "watches";
const INSTANCES: &str = "instances";

/// `ENOSPC`, `EMFILE`: what `inotify_add_watch(2)` and `inotify_init(2)` answer at their limits.
fn is_limit(errno: i32) -> bool {
    use rustix::io::Errno;
    errno == Errno::NOSPC.raw_os_error() || errno == Errno::MFILE.raw_os_error()
}

/// The value of `fs.inotify.max_user_…`; 0 when it cannot be read.
fn read_limit(what: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/sys/fs/inotify/max_user_{what}"));
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The watches of one folder.
#[derive(Debug)]
pub(crate) struct FolderWatches {
    watcher: RecommendedWatcher,
    root: PathBuf,
    /// The directories that have a watch, each with what it was when it was set.
    armed: SeenFiles,
}

/// A stamp that no directory has: its watch is set again at the next look.
const DOUBTFUL: Stamp = Stamp { size: u64::MAX, mtime_ns: 0, inode: 0 };

impl FolderWatches {
    /// Begins to watch; nothing is watched until [`Self::watch_directories`].
    ///
    /// # Errors
    /// When the system gives no instance of inotify.
    pub(crate) fn new(
        root: &Path,
        filter: Arc<FileFilter>,
        hints: Arc<Hints>,
    ) -> Result<Self, WatchError> {
        let handle = move |message| hints.handle_event(&filter, message);
        let config = Config::default().with_event_kinds(EVENTS).with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(handle, config)
            .map_err(|error| WatchError::from_notify(&error, INSTANCES))?;
        Ok(Self { watcher, root: root.to_owned(), armed: SeenFiles::default() })
    }

    /// Sets the watches of directories, given with their identities, that have none or are not the ones watched.
    ///
    /// # Errors
    /// When the limit is reached: the tree is then partly watched. A directory that is gone is no error.
    pub(crate) fn watch_directories<'a>(
        &mut self,
        directories: impl Iterator<Item = (&'a Path, &'a Stamp)>,
    ) -> Result<(), WatchError> {
        let mut ops = Vec::new();
        for (path, identity) in directories {
            let key = self.armed.hash_path(path);
            let look = self.armed.mark_seen(key, identity);
            let absolute = self.absolute_path(path);
            if look == SeenState::Other {
                ops.push(PathOp::unwatch(&absolute));
            }
            if look != SeenState::Same {
                self.armed.insert(key, identity);
                ops.push(PathOp::Watch(absolute, watch_config(path)));
            }
        }
        self.apply_ops(ops)
    }

    /// Has the watch of a directory set anew when it is met next: it may be another one of the same name and inode.
    pub(crate) fn doubt(&mut self, relative: &Path) {
        let key = self.armed.hash_path(relative);
        if self.armed.contains(key) {
            self.armed.insert(key, &DOUBTFUL);
        }
    }

    /// Begins a scan.
    pub(crate) fn unmark_all(&mut self) {
        self.armed.unmark_all();
    }

    /// Ends a complete scan: gives back the watches of directories that it has not met.
    pub(crate) fn remove_unmarked(&mut self) {
        if self.armed.count_unmarked() == 0 {
            return;
        }
        for (path, _) in self.watcher.watched_paths().unwrap_or_default() {
            let Ok(relative) = path.strip_prefix(&self.root) else { continue };
            let key = self.armed.hash_path(relative);
            // Gone from the kernel already, most often: an error says no more than that.
            if !self.armed.contains(key) || self.armed.is_unmarked(key) {
                self.watcher
                    .unwatch(&path)
                    .unwrap_or_else(|error| tracing::trace!("no watch to remove: {error}"));
            }
        }
        self.armed.retain_marked();
    }

    fn absolute_path(&self, relative: &Path) -> PathBuf {
        if relative.as_os_str().is_empty() { self.root.clone() } else { self.root.join(relative) }
    }

    /// Applies all that can be applied.
    fn apply_ops(&mut self, mut ops: Vec<PathOp>) -> Result<(), WatchError> {
        while !ops.is_empty() {
            let Err(error) = self.watcher.update_paths(ops) else { return Ok(()) };
            let failure = WatchError::from_notify(&error.source, WATCHES);
            if matches!(failure, WatchError::Limit { .. }) {
                return Err(failure);
            }
            match &error.origin {
                Some(PathOp::Watch(path, _)) => self.forget_directory(path),
                // There was no watch to remove: the kernel was faster.
                Some(PathOp::Unwatch(_)) => {}
                None => return Err(failure),
            }
            ops = error.remaining;
        }
        Ok(())
    }

    /// A directory that could not be watched: gone again, or one that may not be read. The next scan tries again.
    fn forget_directory(&mut self, absolute: &Path) {
        if let Ok(relative) = absolute.strip_prefix(&self.root) {
            let key = self.armed.hash_path(relative);
            self.armed.remove(key);
        }
    }
}

fn watch_config(relative: &Path) -> WatchPathConfig {
    // A link in the configured path is the administrator's; one below is nobody's.
    let is_root = relative.as_os_str().is_empty();
    WatchPathConfig::new(RecursiveMode::NonRecursive).with_dereference_symlinks(is_root)
}

#[cfg(test)]
mod tests {
    use notify::event::{DataChange, Flag};

    use super::*;
    use crate::watch::testing::{accepts, folder};

    fn heard(events: Vec<notify::Result<Event>>) -> PendingHints {
        let (hints, _) = listening();
        tell(&hints, events);
        hints.take_pending()
    }

    /// The hints of `/srv/sales`, and what they tell on.
    fn listening() -> (Hints, Arc<OpenFiles>) {
        let open_files = Arc::new(OpenFiles::default());
        (Hints::new(Path::new("/srv/sales"), Arc::clone(&open_files), 3), open_files)
    }

    fn tell(hints: &Hints, events: Vec<notify::Result<Event>>) {
        let filter = FileFilter::new(&folder(Path::new("/srv/sales")), &accepts());
        for event in events {
            hints.handle_event(&filter, event);
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is what notify gives its handler")]
    fn event(kind: EventKind, path: &str) -> notify::Result<Event> {
        Ok(Event::new(kind).add_path(path.into()))
    }

    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const CREATED: EventKind = EventKind::Create(CreateKind::File);
    const RENAMED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));

    /// The files that are being written after these events, with whether that is certain.
    fn written(events: Vec<notify::Result<Event>>) -> Vec<(PathBuf, bool)> {
        let (hints, open_files) = listening();
        tell(&hints, events);
        let root = Path::new("/srv/sales");
        let is_certain = |path: &PathBuf| {
            open_files.written.get(&root.join(path)).is_some_and(|written| written.is_certain)
        };
        let mut files: Vec<_> =
            hints.written().into_iter().map(|path| (is_certain(&path), path)).collect();
        files.sort();
        files.into_iter().map(|(is_certain, path)| (path, is_certain)).collect()
    }

    #[test]
    fn a_write_after_the_last_close_says_that_a_file_is_open_and_wakes_nobody() {
        let path = "/srv/sales/a.mp3";
        let open = [(PathBuf::from("a.mp3"), true)];
        assert_eq!(written(vec![event(CREATED, path), event(WRITTEN, path)]), open);
        assert_eq!(written(vec![event(WRITTEN, path), event(CLOSED, path)]), []);
        assert_eq!(
            written(vec![event(WRITTEN, path), event(CLOSED, path), event(WRITTEN, path)]),
            open
        );
        assert_eq!(heard(vec![event(WRITTEN, path)]), PendingHints::default());
    }

    #[test]
    fn that_a_file_was_made_linked_or_renamed_says_nothing() {
        assert_eq!(
            written(vec![event(CREATED, "/srv/sales/a.mp3"), event(RENAMED, "/srv/sales/b.mp3")]),
            []
        );
        let replaced = vec![event(WRITTEN, "/srv/sales/a.mp3"), event(RENAMED, "/srv/sales/a.mp3")];
        assert_eq!(written(replaced), [], "another file has its name now");
        let temporary =
            vec![event(WRITTEN, "/srv/sales/#4711"), event(WRITTEN, "/srv/sales/.a.mp3.part")];
        assert_eq!(written(temporary), []);
    }

    #[test]
    fn a_file_that_is_renamed_while_it_is_written_is_still_written() {
        let both = Event::new(EventKind::Modify(ModifyKind::Name(RenameMode::Both)));
        let both = both.add_path("/srv/sales/a.mp3".into()).add_path("/srv/sales/b.mp3".into());
        let from = EventKind::Modify(ModifyKind::Name(RenameMode::From));
        let told = vec![
            event(WRITTEN, "/srv/sales/a.mp3"),
            event(from, "/srv/sales/a.mp3"),
            event(RENAMED, "/srv/sales/b.mp3"),
            Ok(both),
        ];
        assert_eq!(written(told), [(PathBuf::from("b.mp3"), true)]);
    }

    #[test]
    fn after_lost_events_a_close_may_have_been_missed() {
        let lost = || {
            let overflow = Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan));
            vec![event(WRITTEN, "/srv/sales/a.mp3"), event(WRITTEN, "/srv/sales/b.mp3"), overflow]
        };
        let (first, second) = (PathBuf::from("a.mp3"), PathBuf::from("b.mp3"));
        assert_eq!(written(lost()), [(first.clone(), false), (second.clone(), false)]);
        let again = lost().into_iter().chain([event(WRITTEN, "/srv/sales/a.mp3")]).collect();
        assert_eq!(written(again), [(second, false), (first, true)]);
    }

    #[test]
    fn the_close_that_a_job_waits_for_is_told_once() {
        let tree = tempfile::tempdir().expect("a directory");
        let open_files = Arc::new(OpenFiles::default());
        let hints = Hints::new(tree.path(), Arc::clone(&open_files), 3);
        let path = tree.path().join("a.mp3");
        let writer = fs::File::create(&path).expect("made");
        let root = crate::beneath::Dir::open(tree.path()).expect("opened");
        assert!(open_files.in_use_now(&root, Path::new("a.mp3"), clock::now()).is_some());
        drop(writer);
        let shown = path.to_str().expect("UTF-8");
        tell(&hints, vec![event(CLOSED, shown)]);
        assert_eq!([hints.take_awaited_close(), hints.take_awaited_close()], [true, false]);
        tell(&hints, vec![event(CLOSED, shown)]);
        assert!(!hints.take_awaited_close(), "nobody waits for this one");
    }

    #[test]
    fn what_minuted_writes_itself_is_no_news() {
        let mut events = Vec::new();
        for kind in [CREATED, CLOSED, RENAMED] {
            for name in [
                "talk.notes.md",
                ".minuted-x.tmp",
                "talk.failed.txt",
                "talk.transcript.srt",
                "talk.notes.json",
            ] {
                events.push(event(kind, &format!("/srv/sales/a/{name}")));
            }
        }
        assert_eq!(heard(events), PendingHints::default());
    }

    #[test]
    fn media_and_whatever_may_be_a_directory_is_news() {
        let told = heard(vec![
            event(CLOSED, "/srv/sales/talk.wav"),
            event(RENAMED, "/srv/sales/v1.2"),
            event(EventKind::Create(CreateKind::Folder), "/srv/sales/new"),
            event(CREATED, "/srv/sales/new/talk.doc"),
        ]);
        let mut paths: Vec<_> = told.paths.into_iter().collect();
        paths.sort();
        assert_eq!(paths, ["new", "talk.wav", "v1.2"].map(PathBuf::from));
    }

    #[test]
    fn overflow_errors_loss_of_the_root_and_a_full_set_all_ask_for_a_scan() {
        let lost = PendingHints { paths: HashSet::new(), lost: true };
        assert_eq!(heard(vec![Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan))]), lost);
        assert_eq!(heard(vec![Err(notify::Error::generic("broken"))]), lost);
        assert_eq!(heard(vec![event(EventKind::Remove(RemoveKind::Folder), "/srv/sales")]), lost);
        assert_eq!(
            heard((0..4).map(|n| event(CLOSED, &format!("/srv/sales/{n}.wav"))).collect()),
            lost
        );
        let same = (0..40).map(|_| event(CLOSED, "/srv/sales/a.wav")).collect();
        assert_eq!(heard(same).paths.len(), 1, "the same path again is one hint");
    }

    #[tokio::test]
    async fn a_directory_of_the_same_name_and_inode_is_watched_again() {
        let tree = tempfile::tempdir().expect("a directory");
        let root = tree.path();
        let hints = Arc::new(Hints::new(root, Arc::default(), 10));
        let filter = Arc::new(FileFilter::new(&folder(root), &accepts()));
        let mut watches =
            FolderWatches::new(root, filter, Arc::clone(&hints)).expect("an instance");
        let same = [(Path::new("a"), &Stamp { size: 1, mtime_ns: 1, inode: 1 })];
        let next = || async {
            let limit = std::time::Duration::from_secs(30);
            tokio::time::timeout(limit, hints.wait_pending()).await.expect("a hint");
            hints.take_pending().paths
        };
        fs::create_dir(root.join("a")).expect("made");
        watches.watch_directories(same.into_iter()).expect("watched");
        fs::remove_dir(root.join("a")).expect("removed");
        assert_eq!(next().await, HashSet::from(["a".into()]));
        fs::create_dir(root.join("a")).expect("made");
        watches.doubt(Path::new("a"));
        watches.watch_directories(same.into_iter()).expect("watched");
        fs::write(root.join("a/talk.mp3"), "x").expect("written");
        assert_eq!(next().await, HashSet::from(["a/talk.mp3".into()]));
    }

    #[test]
    fn the_limit_names_what_to_raise() {
        let error =
            WatchError::from_notify(&notify::Error::new(notify::ErrorKind::MaxFilesWatch), WATCHES);
        let now = read_limit(WATCHES);
        assert_eq!(
            error.to_string(),
            format!("no inotify watches left: raise fs.inotify.max_user_watches (now {now})")
        );
        assert!(!error.is_over());
        assert!(
            EVENTS.intersects(EventKindMask::CREATE)
                && !EVENTS.matches(&EventKind::Access(AccessKind::Open(AccessMode::Any)))
        );
    }
}
