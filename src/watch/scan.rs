//! The truth: a walk over a folder by descriptor, that asks only for the names that can be recordings.
//!
//! No link is followed. Directories wait on a stack as paths and are opened from the folder's own descriptor, so that
//! neither depth nor breadth costs descriptors; each is shown to the visitor before it is read, which is when its watch
//! is set.

use std::{
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

use super::names::Rules;
use crate::beneath::{Dir, Entry, Stamp};

/// Directories opened at a time: their watches are set with one message. Each costs a descriptor meanwhile.
const BATCH: usize = 64;

/// Bytes of the buffer for names: `getdents64` fills it with about a thousand.
const BUFFER: usize = 64 * 1024;

/// Unreadable directories that are named. When there are more, the whole folder counts as unreadable.
const UNREADABLE_MAX: usize = 1000;

/// Who is told what a walk meets.
pub trait Visitor {
    /// Directories that are open and not yet read.
    fn directories(&mut self, opened: &[Opened]);

    /// A regular file whose name is that of media, empty ones too.
    fn file(&mut self, relative: &Path, stamp: Stamp);

    /// Whether to stop early.
    fn stop(&self) -> bool;
}

/// A directory that is about to be read.
#[derive(Debug)]
pub struct Opened {
    /// Its path, relative to the folder; empty for the folder itself.
    pub path: PathBuf,
    /// What it is: its inode and device, as a stamp that is compared.
    pub identity: Stamp,
    fd: OwnedFd,
}

impl Opened {
    /// Returns the device it lies on.
    #[must_use]
    pub fn device(&self) -> u64 {
        self.identity.size
    }
}

/// What a walk has counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Directories read.
    pub directories: u64,
    /// Files with names of media.
    pub media: u64,
    /// Directories that could not be read to their end, with the reason. What is below them is not known.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Whether the visitor stopped it.
    pub stopped: bool,
}

impl Tally {
    /// Returns whether everything was seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unreadable.is_empty() && !self.stopped
    }

    /// Returns whether what lies at `relative` was seen if it is there.
    #[must_use]
    pub fn covers(&self, relative: &Path) -> bool {
        !self.stopped && !self.unreadable.iter().any(|(directory, _)| relative.starts_with(directory))
    }

    fn fail(&mut self, path: &Path, error: Errno) {
        if self.unreadable.len() < UNREADABLE_MAX {
            self.unreadable.push((path.to_owned(), io::Error::from(error).to_string()));
        } else {
            self.unreadable[UNREADABLE_MAX - 1].0 = PathBuf::new();
        }
    }
}

/// Walks `root` from `start`, a relative path that may be empty, and tells `visitor`.
pub fn walk(root: &Dir, start: &Path, rules: &Rules, visitor: &mut impl Visitor) -> Tally {
    let mut tally = Tally::default();
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut waiting = vec![start.to_owned()];
    while !waiting.is_empty() {
        let batch = waiting.split_off(waiting.len().saturating_sub(BATCH));
        let opened: Vec<Opened> = batch.into_iter().filter_map(|path| open(root, path, &mut tally)).collect();
        visitor.directories(&opened);
        for directory in &opened {
            if visitor.stop() {
                tally.stopped = true;
                return tally;
            }
            let mut reader = Reader { rules, directory, tally: &mut tally, waiting: &mut waiting };
            reader.read(&mut buffer, visitor);
        }
    }
    tally
}

/// Opens a directory to be read; `None` when it is not one any more, or cannot be opened.
fn open(root: &Dir, path: PathBuf, tally: &mut Tally) -> Option<Opened> {
    let opened = open_below(root, &path).and_then(|fd| {
        let stat = rustix::fs::fstat(&fd)?;
        Ok((fd, Stamp { size: stat.st_dev, mtime_ns: 0, inode: stat.st_ino }))
    });
    match opened {
        Ok((fd, identity)) => Some(Opened { path, identity, fd }),
        // It has been removed, or replaced by a file or a link, since its name was read.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
        Err(error) => {
            tally.fail(&path, error);
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
            let dir = root.descend(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            rustix::io::fcntl_dupfd_cloexec(dir.fd(), 0)
        }
        done => done,
    }
}

/// Reads one directory.
struct Reader<'a> {
    rules: &'a Rules,
    directory: &'a Opened,
    tally: &'a mut Tally,
    waiting: &'a mut Vec<PathBuf>,
}

impl Reader<'_> {
    fn read(&mut self, buffer: &mut Vec<u8>, visitor: &mut impl Visitor) {
        self.tally.directories += 1;
        let mut entries = RawDir::new(&self.directory.fd, spare(buffer));
        while let Some(entry) = entries.next() {
            let met = entry.and_then(|entry| self.meet(entry.file_name().to_bytes(), entry.file_type(), visitor));
            match met {
                Ok(()) => {}
                // The directory itself was removed meanwhile.
                Err(Errno::NOENT) => return,
                Err(error) => {
                    self.tally.fail(&self.directory.path, error);
                    return;
                }
            }
        }
    }

    fn meet(&mut self, name: &[u8], kind: FileType, visitor: &mut impl Visitor) -> Result<(), Errno> {
        if name == b"." || name == b".." {
            return Ok(());
        }
        let may_be_media = self.rules.may_be_media(name);
        match kind {
            FileType::Directory => self.descend(name),
            FileType::RegularFile if may_be_media => return self.ask(name, visitor),
            FileType::Unknown if may_be_media || self.rules.recursive() => return self.ask(name, visitor),
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

    fn ask(&mut self, name: &[u8], visitor: &mut impl Visitor) -> Result<(), Errno> {
        let name = OsStr::from_bytes(name);
        let stat = match rustix::fs::statat(&self.directory.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error),
        };
        match Entry::from_stat(&stat) {
            Entry::File(stamp) => self.file(name, stamp, visitor),
            Entry::Directory => self.descend(name.as_bytes()),
            Entry::Other => {}
        }
        Ok(())
    }

    fn file(&mut self, name: &OsStr, stamp: Stamp, visitor: &mut impl Visitor) {
        let path = self.directory.path.join(name);
        if self.rules.kind_of_file(&path).is_media() {
            self.tally.media += 1;
            visitor.file(&path, stamp);
        }
    }

    fn descend(&mut self, name: &[u8]) {
        if !self.rules.recursive() {
            return;
        }
        let path = self.directory.path.join(OsStr::from_bytes(name));
        if self.rules.prunes(&path).is_none() {
            self.waiting.push(path);
        }
    }
}

fn spare(buffer: &mut Vec<u8>) -> &mut [MaybeUninit<u8>] {
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

    impl Visitor for Seen {
        fn directories(&mut self, opened: &[Opened]) {
            self.directories += opened.len();
        }

        fn file(&mut self, relative: &Path, stamp: Stamp) {
            self.files.insert(relative.to_owned(), stamp);
        }

        fn stop(&self) -> bool {
            false
        }
    }

    fn walked(root: &Path) -> (Seen, Tally) {
        let mut seen = Seen::default();
        let rules = Rules::new(&folder(root), &accepts());
        let tally = walk(&Dir::open(root).expect("opened"), Path::new(""), &rules, &mut seen);
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

    #[test]
    fn depth_costs_no_descriptors_and_paths_longer_than_one_call_takes_are_found() {
        let tree = tempfile::tempdir().expect("a directory");
        let name = "d".repeat(20);
        let mut at = Dir::open(tree.path()).expect("opened");
        for _ in 0..500 {
            at = at.descend_or_make(Path::new(&name), 0o700).expect("made");
        }
        at.create_new(OsStr::new("talk.wav"), 0o600).expect("made");
        let (seen, tally) = walked(tree.path());
        assert!(tally.is_complete(), "{:?}", tally.unreadable);
        assert_eq!(seen.files.len(), 1);
        assert_eq!(tally.directories, 501);
    }

    #[test]
    fn what_lies_below_an_unreadable_directory_is_not_known() {
        let mut tally = Tally::default();
        assert!(tally.covers(Path::new("a/b.wav")));
        tally.fail(Path::new("a"), Errno::IO);
        assert!(!tally.covers(Path::new("a/b.wav")) && tally.covers(Path::new("ab/b.wav")));
        for _ in 0..2000 {
            tally.fail(Path::new("c"), Errno::IO);
        }
        assert_eq!(tally.unreadable.len(), UNREADABLE_MAX);
        assert!(!tally.covers(Path::new("x.wav")), "too many to name: the whole folder");
    }
}
