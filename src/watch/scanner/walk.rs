//! The truth: a walk over a folder by descriptor, that asks only for the names that can be recordings.
//!
//! No link is followed. Directories wait in a queue as paths and are opened from the folder's own descriptor, so that
//! neither depth nor breadth costs descriptors; each is shown to the visitor before it is read, which is when its watch
//! is set.
//!
//! A tree is hostile input: whoever writes in a folder may make it as deep and as broad as the disk allows. So there is
//! a depth below which nothing is read, and a number of directories (and of bytes of their paths) after which a walk
//! enters no more. Shallow directories come first: what a person filed is met before what a program nested.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags},
    io::Errno,
};

use crate::{
    beneath::{Dir, Entry, Stamp},
    text::printable_path,
    watch::names::FileFilter,
};

/// Directories opened at a time: their watches are set with one message. Each costs a descriptor meanwhile.
const BATCH: usize = 64;

/// Bytes of the buffer for names: `getdents64` fills it with about a thousand.
const BUFFER: usize = 64 * 1024;

/// Unreadable directories that are named. When there are more, the whole folder counts as unreadable.
const UNREADABLE_MAX: usize = 1000;

/// Levels of directories below a folder that are read. People's trees have fewer than twenty; each level makes every
/// path below it longer, so that a chain of thousands costs the square of its length.
pub(crate) const DEPTH_MAX: usize = 64;

/// Directories of a folder that are read. Watching half as many was measured; each costs the kernel a watch.
pub(crate) const DIRECTORIES_MAX: u64 = 100_000;

/// Bytes of the paths of a folder's directories: 335 for each of [`DIRECTORIES_MAX`], so that long names cannot make
/// them cost more memory.
const DIRECTORY_BYTES_MAX: usize = 32 << 20;

/// Returns whether a path, relative to a folder, lies deeper than what is read.
#[must_use]
pub(crate) fn is_too_deep(relative: &Path) -> bool {
    relative.components().nth(DEPTH_MAX + 1).is_some()
}

/// The receiver of the directories and files of a walk.
pub(crate) trait WalkVisitor {
    /// Directories that are open and not yet read.
    fn enter_directories(&mut self, opened: &[OpenedDirectory]);

    /// A regular file whose name is that of media, empty ones too.
    fn visit_file(&mut self, relative: &Path, stamp: Stamp);

    /// Returns whether to stop early.
    fn should_stop(&self) -> bool;
}

/// A directory that is about to be read.
#[derive(Debug)]
pub(crate) struct OpenedDirectory {
    /// Its path, relative to the folder; empty for the folder itself.
    pub path: PathBuf,
    /// Its identity: its inode and device, as a stamp that is compared.
    pub identity: Stamp,
    fd: OwnedFd,
}

impl OpenedDirectory {
    /// Returns the device it lies on.
    #[must_use]
    pub(crate) fn device(&self) -> u64 {
        self.identity.size
    }
}

/// The counts of a walk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WalkTally {
    /// Directories read.
    pub directories: u64,
    /// Files with names of media.
    pub media: u64,
    /// Directories that could not be read to their end, with the reason. What is below them is not known.
    pub unreadable: Vec<(PathBuf, String)>,
    /// True when the visitor stopped it.
    pub stopped: bool,
    /// The parts of the tree that were not read because there is too much of it.
    pub beyond: LeftOut,
}

/// The parts of a tree that a walk has left out because of its bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Directories that lie deeper than [`DEPTH_MAX`] and were not entered. What is below them was not counted.
    pub deep: u64,
    /// A single entry.
    pub deep_example: Option<PathBuf>,
    /// Directories that were not entered because [`DIRECTORIES_MAX`] were read, or their paths are too long in all.
    pub many: u64,
    /// Files that were not taken in because so many new ones were met with this scan; the next one takes more.
    pub files: u64,
}

impl LeftOut {
    /// Returns what a person should know of it; `None` where nothing was left out for good.
    #[must_use]
    pub(crate) fn describe(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.deep > 0 {
            let example = self.deep_example.as_deref().and_then(|path| path.components().next());
            let below =
                example.map(|first| format!(", below `{}`", printable_path(Path::new(&first))));
            parts.push(format!(
                "{} deeper than {DEPTH_MAX} levels and not read{}",
                count_with_verb(self.deep, "directory", "directories"),
                below.unwrap_or_default()
            ));
        }
        if self.many > 0 {
            parts.push(format!(
                "{} not read, because a folder has at most {DIRECTORIES_MAX} and {} MiB of their paths",
                count_with_verb(self.many, "directory", "directories"),
                DIRECTORY_BYTES_MAX >> 20
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Says how many there are, with the verb.
fn count_with_verb(count: u64, one: &str, more: &str) -> String {
    if count == 1 { format!("1 {one} is") } else { format!("{count} {more} are") }
}

impl WalkTally {
    /// Returns whether everything was seen that a walk reads.
    #[must_use]
    pub(crate) fn is_complete(&self) -> bool {
        self.is_walked() && self.beyond.many == 0 && self.beyond.files == 0
    }

    /// Returns whether every directory that was entered was read to its end.
    #[must_use]
    pub(crate) fn is_walked(&self) -> bool {
        self.unreadable.is_empty() && !self.stopped
    }

    /// Returns whether what lies at `relative` was seen if it is there.
    #[must_use]
    pub(crate) fn covers(&self, relative: &Path) -> bool {
        let is_left_out =
            self.beyond.files > 0 || self.beyond.many > 0 && relative.components().nth(1).is_some();
        let is_unread =
            || self.unreadable.iter().any(|(directory, _)| relative.starts_with(directory));
        !self.stopped && !is_left_out && !is_too_deep(relative) && !is_unread()
    }

    fn add_unreadable(&mut self, path: &Path, error: Errno) {
        if self.unreadable.len() < UNREADABLE_MAX {
            self.unreadable.push((path.to_owned(), io::Error::from(error).to_string()));
        } else {
            self.unreadable[UNREADABLE_MAX - 1].0 = PathBuf::new();
        }
    }
}

/// Walks `root` from `start`, a relative path that may be empty, and tells `visitor`.
pub(crate) fn walk_folder(
    root: &Dir,
    start: &Path,
    filter: &FileFilter,
    visitor: &mut impl WalkVisitor,
) -> WalkTally {
    let mut tally = WalkTally::default();
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut waiting = DirectoryQueue::default();
    waiting.add(start.to_owned(), &mut tally.beyond);
    while !waiting.paths.is_empty() {
        let batch = waiting.paths.len().min(BATCH);
        let batch = waiting.paths.drain(..batch);
        let opened: Vec<OpenedDirectory> =
            batch.filter_map(|path| open_directory(root, path, &mut tally)).collect();
        visitor.enter_directories(&opened);
        for directory in &opened {
            if visitor.should_stop() {
                tally.stopped = true;
                return tally;
            }
            let mut reader =
                DirectoryReader { filter, directory, tally: &mut tally, waiting: &mut waiting };
            reader.read_directory(&mut buffer, visitor);
        }
    }
    tally
}

/// The directories that are yet to be read, and how many there were.
#[derive(Debug, Default)]
struct DirectoryQueue {
    paths: VecDeque<PathBuf>,
    /// Number of directories so far, and the bytes of their paths.
    count: u64,
    bytes: usize,
}

impl DirectoryQueue {
    /// Has a directory read, unless it lies too deep or there are too many.
    fn add(&mut self, path: PathBuf, beyond: &mut LeftOut) {
        if path.components().nth(DEPTH_MAX).is_some() {
            beyond.deep += 1;
            beyond.deep_example.get_or_insert(path);
            return;
        }
        let bytes = self.bytes + path.as_os_str().len();
        if self.count >= DIRECTORIES_MAX || bytes > DIRECTORY_BYTES_MAX {
            beyond.many += 1;
            return;
        }
        self.bytes = bytes;
        self.count += 1;
        self.paths.push_back(path);
    }
}

/// Opens a directory to be read; `None` when it is not one any more, or cannot be opened.
fn open_directory(root: &Dir, path: PathBuf, tally: &mut WalkTally) -> Option<OpenedDirectory> {
    let opened = open_below(root, &path).and_then(|fd| {
        let stat = rustix::fs::fstat(&fd)?;
        Ok((fd, Stamp { size: stat.st_dev, mtime_ns: 0, inode: stat.st_ino }))
    });
    match opened {
        Ok((fd, identity)) => Some(OpenedDirectory { path, identity, fd }),
        // It has been removed, or replaced by a file or a link, since its name was read.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
        Err(error) => {
            tally.add_unreadable(&path, error);
            None
        }
    }
}

fn open_below(root: &Dir, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if path.as_os_str().is_empty() {
        return rustix::fs::openat(root.fd(), c".", flags, Mode::empty());
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(root.fd(), path, flags, Mode::empty(), resolve) {
        // An old kernel, a system call filter or a path longer than one call takes: component by component.
        Err(Errno::NOSYS | Errno::PERM | Errno::NAMETOOLONG | Errno::AGAIN) => {
            let dir = root
                .descend(path)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            rustix::io::fcntl_dupfd_cloexec(dir.fd(), 0)
        }
        done => done,
    }
}

/// Reads one directory.
struct DirectoryReader<'a> {
    filter: &'a FileFilter,
    directory: &'a OpenedDirectory,
    tally: &'a mut WalkTally,
    waiting: &'a mut DirectoryQueue,
}

impl DirectoryReader<'_> {
    fn read_directory(&mut self, buffer: &mut Vec<u8>, visitor: &mut impl WalkVisitor) {
        self.tally.directories += 1;
        let mut entries = RawDir::new(&self.directory.fd, spare_capacity(buffer));
        while let Some(entry) = entries.next() {
            let visited = entry.and_then(|entry| {
                self.visit_entry(entry.file_name().to_bytes(), entry.file_type(), visitor)
            });
            match visited {
                Ok(()) => {}
                // The directory itself was removed meanwhile.
                Err(Errno::NOENT) => return,
                Err(error) => {
                    self.tally.add_unreadable(&self.directory.path, error);
                    return;
                }
            }
        }
    }

    fn visit_entry(
        &mut self,
        name: &[u8],
        kind: FileType,
        visitor: &mut impl WalkVisitor,
    ) -> Result<(), Errno> {
        if name == b"." || name == b".." {
            return Ok(());
        }
        let may_be_media = self.filter.may_be_media(name);
        match kind {
            FileType::Directory => self.queue_directory(name),
            FileType::RegularFile if may_be_media => return self.stat_entry(name, visitor),
            FileType::Unknown if may_be_media || self.filter.is_recursive() => {
                return self.stat_entry(name, visitor);
            }
            FileType::RegularFile
            | FileType::Unknown
            | FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice => {}
        }
        Ok(())
    }

    fn stat_entry(&mut self, name: &[u8], visitor: &mut impl WalkVisitor) -> Result<(), Errno> {
        let name = OsStr::from_bytes(name);
        let stat = match rustix::fs::statat(&self.directory.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error),
        };
        match Entry::from_stat(&stat) {
            Entry::File(stamp) => self.visit_file(name, stamp, visitor),
            Entry::Directory => self.queue_directory(name.as_bytes()),
            Entry::Other => {}
        }
        Ok(())
    }

    fn visit_file(&mut self, name: &OsStr, stamp: Stamp, visitor: &mut impl WalkVisitor) {
        let path = self.directory.path.join(name);
        if self.filter.classify_file(&path).is_media() {
            self.tally.media += 1;
            visitor.visit_file(&path, stamp);
        }
    }

    fn queue_directory(&mut self, name: &[u8]) {
        if !self.filter.is_recursive() {
            return;
        }
        let path = self.directory.path.join(OsStr::from_bytes(name));
        if self.filter.prune_reason(&path).is_none() {
            self.waiting.add(path, &mut self.tally.beyond);
        }
    }
}

fn spare_capacity(buffer: &mut Vec<u8>) -> &mut [MaybeUninit<u8>] {
    buffer.clear();
    buffer.spare_capacity_mut()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, os::unix::fs::symlink};

    use super::*;
    use crate::watch::testing::{accepts, folder};

    #[derive(Default)]
    struct Seen {
        files: BTreeMap<PathBuf, Stamp>,
        directories: usize,
    }

    impl WalkVisitor for Seen {
        fn enter_directories(&mut self, opened: &[OpenedDirectory]) {
            self.directories += opened.len();
        }

        fn visit_file(&mut self, relative: &Path, stamp: Stamp) {
            self.files.insert(relative.to_owned(), stamp);
        }

        fn should_stop(&self) -> bool {
            false
        }
    }

    fn walked(root: &Path) -> (Seen, WalkTally) {
        let mut seen = Seen::default();
        let filter = FileFilter::new(&folder(root), &accepts());
        let tally =
            walk_folder(&Dir::open(root).expect("opened"), Path::new(""), &filter, &mut seen);
        (seen, tally)
    }

    #[test]
    fn it_finds_media_and_passes_over_links_fifos_and_foreign_directories() {
        let tree = tempfile::tempdir().expect("a directory");
        let root = tree.path();
        fs::create_dir_all(root.join("a/b")).expect("made");
        fs::create_dir_all(root.join("@eaDir")).expect("made");
        for name in ["a/b/talk.wav", "a/clip.mkv", "a/talk.md", "@eaDir/talk.wav", ".talk.wav"] {
            fs::write(root.join(name), "x").expect("written");
        }
        fs::write(root.join(OsStr::from_bytes(b"a/\xff.mp3")), "x").expect("written");
        symlink(root.join("a"), root.join("link")).expect("linked");
        symlink(root.join("a/b/talk.wav"), root.join("link.wav")).expect("linked");
        let fifo = root.join("pipe.wav");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).expect("made");
        let (seen, tally) = walked(root);
        let found: Vec<_> = seen.files.keys().map(|path| path.as_os_str().as_bytes()).collect();
        assert_eq!(found, [&b"a/b/talk.wav"[..], b"a/clip.mkv", b"a/\xff.mp3"]);
        assert!(tally.is_complete());
        assert_eq!((tally.directories, seen.directories), (3, 3));
    }

    /// Makes a chain of directories with this name, one in the other, with a recording at each level in `with_talk`.
    fn chain(root: &Path, name: &str, levels: usize, with_talk: &[usize]) {
        let mut at = Dir::open(root).expect("opened");
        for level in 1..=levels {
            at = at.descend_or_make(Path::new(name), 0o700).expect("made");
            if with_talk.contains(&level) {
                at.create_new(OsStr::new("talk.wav"), 0o600).expect("made");
            }
        }
    }

    #[test]
    fn paths_longer_than_one_call_takes_are_found() {
        let tree = tempfile::tempdir().expect("a directory");
        chain(tree.path(), &"d".repeat(200), 60, &[60]);
        let (seen, tally) = walked(tree.path());
        assert!(tally.is_complete(), "{:?}", tally.unreadable);
        assert_eq!((seen.files.len(), tally.directories), (1, 61));
    }

    #[test]
    fn a_chain_is_read_down_to_the_deepest_level_and_no_further() {
        let tree = tempfile::tempdir().expect("a directory");
        for name in ["a", "b", "c"] {
            chain(tree.path(), name, 500, &[1, DEPTH_MAX, DEPTH_MAX + 1, 500]);
        }
        let (seen, tally) = walked(tree.path());
        let depths: Vec<usize> =
            seen.files.keys().map(|path| path.components().count() - 1).collect();
        assert_eq!(depths, [DEPTH_MAX, 1, DEPTH_MAX, 1, DEPTH_MAX, 1]);
        assert_eq!(tally.directories, 1 + 3 * DEPTH_MAX as u64);
        assert!(tally.is_complete(), "what lies deeper is nobody's");
        let told = tally.beyond.describe().expect("told");
        assert!(
            told.starts_with("3 directories are deeper than 64 levels and not read, below `"),
            "{told}"
        );
        let at = |levels: usize| ["a/"; 100][..levels].concat() + "talk.wav";
        assert!(tally.covers(Path::new(&at(DEPTH_MAX))) && !is_too_deep(Path::new(&at(DEPTH_MAX))));
        assert!(
            !tally.covers(Path::new(&at(DEPTH_MAX + 1))),
            "a job from before does not lose its file"
        );
    }

    #[test]
    fn shallow_directories_are_read_before_those_that_are_too_many() {
        let mut waiting =
            DirectoryQueue { count: DIRECTORIES_MAX - 1, ..DirectoryQueue::default() };
        let mut tally = WalkTally::default();
        waiting.add("a".into(), &mut tally.beyond);
        waiting.add("b".into(), &mut tally.beyond);
        assert_eq!((waiting.paths.len(), tally.beyond.many), (1, 1));
        assert!(!tally.is_complete() && tally.is_walked());
        assert!(tally.covers(Path::new("talk.wav")), "the folder itself is always read");
        assert!(
            !tally.covers(Path::new("b/talk.wav")),
            "nothing is concluded of what was not read"
        );
        let mut waiting =
            DirectoryQueue { bytes: DIRECTORY_BYTES_MAX - 1, ..DirectoryQueue::default() };
        waiting.add("ab".into(), &mut tally.beyond);
        assert_eq!((waiting.paths.len(), tally.beyond.many), (0, 2));
    }

    #[test]
    fn what_lies_below_an_unreadable_directory_is_not_known() {
        let mut tally = WalkTally::default();
        assert!(tally.covers(Path::new("a/b.wav")));
        tally.add_unreadable(Path::new("a"), Errno::IO);
        assert!(!tally.covers(Path::new("a/b.wav")) && tally.covers(Path::new("ab/b.wav")));
        for _ in 0..2000 {
            tally.add_unreadable(Path::new("c"), Errno::IO);
        }
        assert_eq!(tally.unreadable.len(), UNREADABLE_MAX);
        assert!(!tally.covers(Path::new("x.wav")), "too many to name: the whole folder");
    }
}
