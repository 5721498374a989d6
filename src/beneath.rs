//! A directory tree by descriptor: everything below is opened component by component, and no link is ever followed.
//!
//! A drop folder is hostile input: whoever can write there may swap a directory for a link between a check and an
//! open. So nothing below a folder is ever opened by its whole path.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};

use crate::text::printable_path;

/// The longest name of a file under Linux, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// What tells one version of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// The file server's time of the last write, in nanoseconds since 1970. Compared, never believed.
    pub mtime_ns: i64,
    /// The inode.
    pub inode: u64,
}

impl Stamp {
    /// Returns the stamp of an open file.
    ///
    /// # Errors
    /// When the file cannot be asked.
    pub fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from_stat(&rustix::fs::fstat(file)?))
    }

    /// Returns the stamp in the answer of a `stat` call.
    #[must_use]
    pub fn from_stat(stat: &rustix::fs::Stat) -> Self {
        let seconds: i64 = stat.st_mtime;
        let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds),
            inode: stat.st_ino,
        }
    }
}

/// What tells one directory from another of the same path: a mount that comes or goes changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its device.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// Whether something is mounted there.
    pub is_mount: bool,
}

/// What a file is, whatever it is called: two names with the same id are links to one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device that it lies on, as `stat` tells it.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

/// What lies under a name. Links are not followed: a link is `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File(Stamp),
    /// A directory.
    Directory,
    /// A link, a FIFO, a socket or a device.
    Other,
}

impl Entry {
    /// Returns what a `stat` call that follows no link has told.
    #[must_use]
    pub fn from_stat(stat: &rustix::fs::Stat) -> Self {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::RegularFile {
            Self::File(Stamp::from_stat(stat))
        } else if kind == FileType::Directory {
            Self::Directory
        } else {
            Self::Other
        }
    }
}

/// Opens a file that the configuration names, if it is a regular one; never blocks on a FIFO. Links in the path are the
/// administrator's and are followed, but for one in a directory where others can write.
///
/// # Errors
/// When it cannot be opened, is not regular (`InvalidInput`), or is a link that others may have made.
pub(crate) fn open_configured(path: &Path) -> io::Result<File> {
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let dir = Dir::open(parent)?;
    if rustix::fs::fstat(&dir.fd)?.st_mode & 0o022 != 0 {
        flags |= OFlags::NOFOLLOW;
    }
    let name = path.file_name().ok_or_else(|| outside(path))?;
    regular(File::from(rustix::fs::openat(&dir.fd, name, flags, Mode::empty())?))
}

/// Opens a regular file at an absolute path, following no link anywhere below `root`; returns `None` where it lies elsewhere.
///
/// # Errors
/// As [`Dir::open_file`].
pub(crate) fn open_below(root: &Path, path: &Path) -> io::Result<Option<File>> {
    match path.strip_prefix(root) {
        Ok(relative) => Dir::open(root)?.open_file(relative).map(Some),
        Err(_) => Ok(None),
    }
}

fn regular(file: File) -> io::Result<File> {
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) == FileType::RegularFile {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

impl Dir {
    /// Opens a configured directory. Links in `path` itself are the administrator's and are followed.
    ///
    /// # Errors
    /// When it is not a directory that can be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::open(path, flags, Mode::empty())?, path: path.to_owned() })
    }

    /// Opens a directory below, following no link.
    ///
    /// # Errors
    /// When `relative` leaves the tree, or a component is missing, a link or not a directory.
    pub fn descend(&self, relative: &Path) -> io::Result<Self> {
        let mut fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?;
        for name in components(relative)? {
            fd = rustix::fs::openat(&fd, name, Self::INNER, Mode::empty())?;
        }
        Ok(Self { fd, path: self.path.join(relative) })
    }

    /// Opens a directory below, making what is missing with `mode` less the umask.
    ///
    /// # Errors
    /// As [`Self::descend`], or when a directory cannot be made.
    pub fn descend_or_make(&self, relative: &Path, mode: u32) -> io::Result<Self> {
        let mut fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?;
        for name in components(relative)? {
            match rustix::fs::mkdirat(&fd, name, Mode::from_raw_mode(mode)) {
                Ok(()) => rustix::fs::fsync(&fd)?,
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            fd = rustix::fs::openat(&fd, name, Self::INNER, Mode::empty())?;
        }
        Ok(Self { fd, path: self.path.join(relative) })
    }

    const INNER: OFlags =
        OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

    /// Opens a regular file below for reading; never blocks on a FIFO.
    ///
    /// # Errors
    /// When a component is missing or a link, or the file is not regular (`InvalidInput`).
    pub fn open_file(&self, relative: &Path) -> io::Result<File> {
        let (dir, name) = self.parent_of(relative)?;
        let flags =
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        regular(File::from(rustix::fs::openat(&dir.fd, &name, flags, Mode::empty())?))
    }

    /// Returns what lies at `relative`, `None` when nothing does.
    ///
    /// # Errors
    /// When it cannot be known: a component is a link, or may not be searched.
    pub fn entry(&self, relative: &Path) -> io::Result<Option<Entry>> {
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let (dir, name) = match self.parent_of(relative) {
            Ok(found) => found,
            Err(error) if missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        match rustix::fs::statat(&dir.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Entry::from_stat(&stat))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the id of the regular file at `relative`, `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be known: a component is a link, or may not be searched.
    pub fn file_id(&self, relative: &Path) -> io::Result<Option<FileId>> {
        let (dir, name) = self.parent_of(relative)?;
        let stat = rustix::fs::statat(&dir.fd, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        Ok(is_file.then_some(FileId { device: stat.st_dev, inode: stat.st_ino }))
    }

    /// Returns where it is.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn place(&self) -> io::Result<Place> {
        let stat = rustix::fs::fstat(&self.fd)?;
        let above = rustix::fs::statat(&self.fd, "..", AtFlags::empty());
        // A directory of the same file system that is mounted here (a bind mount) shows by its attribute alone.
        let told =
            rustix::fs::statx(&self.fd, "", AtFlags::EMPTY_PATH, rustix::fs::StatxFlags::INO);
        let is_root = told.is_ok_and(|told| {
            told.stx_attributes.contains(rustix::fs::StatxAttributes::MOUNT_ROOT)
        });
        let is_mount = is_root || above.is_ok_and(|above| above.st_dev != stat.st_dev);
        Ok(Place { device: stat.st_dev, inode: stat.st_ino, is_mount })
    }

    /// Returns whether nothing at all lies in it.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn is_empty(&self) -> io::Result<bool> {
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            if entry.file_name() != c"." && entry.file_name() != c".." {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes a new file here for writing; fails when the name is taken. `name` is one component.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the file system says.
    pub fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(rustix::fs::openat(&self.fd, one(name)?, flags, Mode::from_raw_mode(mode))?))
    }

    /// Opens the file `name` here for lines to be added, where it is a regular file of one name that belongs to this user or
    /// to root: into any other, somebody else may want the lines to go.
    ///
    /// # Errors
    /// When it is not (`InvalidInput`), or what the file system says.
    pub fn open_own_to_append(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY
            | OFlags::APPEND
            | OFlags::CLOEXEC
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY;
        let file = File::from(rustix::fs::openat(&self.fd, one(name)?, flags, Mode::empty())?);
        let stat = rustix::fs::fstat(&file)?;
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let is_own = stat.st_uid == rustix::process::geteuid().as_raw() || stat.st_uid == 0;
        if is_regular && is_own && stat.st_nlink == 1 {
            Ok(file)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file of this user that has one name",
            ))
        }
    }

    /// Renames within the tree or to another one, without ever replacing anything.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the file system says.
    pub fn rename_new(&self, from: &OsStr, to_dir: &Self, to: &OsStr) -> io::Result<()> {
        let from = one(from)?;
        let to = one(to)?;
        match rustix::fs::renameat_with(&self.fd, from, &to_dir.fd, to, RenameFlags::NOREPLACE) {
            // Some file systems (older NFS, some FUSE) do not know the flag: a link is as good, for files.
            Err(
                rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP,
            ) => {
                match rustix::fs::linkat(&self.fd, from, &to_dir.fd, to, AtFlags::empty()) {
                    Ok(()) => Ok(rustix::fs::unlinkat(&self.fd, from, AtFlags::empty())?),
                    Err(error) if is_final(error) => Err(error.into()),
                    // What a file system without links answers is for it to choose: EPERM, ENOSYS, EIO, …
                    Err(_) => self.rename_claimed(from, to_dir, to),
                }
            }
            done => Ok(done?),
        }
    }

    /// Renames where there are no links either (clouds mounted by FUSE): the name is claimed by an empty file of our
    /// own, and only that one is replaced. A crash in between leaves it, and the next run takes another name.
    fn rename_claimed(&self, from: &OsStr, to_dir: &Self, to: &OsStr) -> io::Result<()> {
        drop(to_dir.create_new(to, 0o600)?);
        match rustix::fs::renameat(&self.fd, from, &to_dir.fd, to) {
            Ok(()) => Ok(()),
            Err(error) => {
                to_dir.unlink(to)?;
                Err(error.into())
            }
        }
    }

    /// Renames `from` over `to`, both here.
    ///
    /// # Errors
    /// What the file system says.
    pub fn rename_over(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, one(from)?, &self.fd, one(to)?)?)
    }

    /// Removes the file `name` here.
    ///
    /// # Errors
    /// What the file system says.
    pub fn unlink(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, one(name)?, AtFlags::empty())?)
    }

    /// Makes the names in this directory durable.
    ///
    /// # Errors
    /// What the file system says.
    pub fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.fd) {
            // Some network file systems cannot sync a directory; there is nothing better to do there.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(()),
            done => Ok(done?),
        }
    }

    /// Returns how many bytes a name may have here: fewer than the 255 of Linux on some file systems, such as the 143 of
    /// eCryptfs. One that tells nothing, or more than Linux takes, is trusted with 255.
    #[must_use]
    pub fn name_bytes_max(&self) -> usize {
        let told = rustix::fs::fstatvfs(&self.fd).map_or(0, |told| told.f_namemax);
        match usize::try_from(told) {
            Ok(told) if (1..NAME_BYTES_MAX).contains(&told) => told,
            Ok(_) | Err(_) => NAME_BYTES_MAX,
        }
    }

    /// Returns the path it was opened by, for messages and for display only.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the descriptor.
    #[must_use]
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Opens the directory that holds `relative`; returns it with the last component.
    ///
    /// # Errors
    /// As [`Self::descend`].
    pub fn parent_of(&self, relative: &Path) -> io::Result<(Self, OsString)> {
        let mut names = components(relative)?;
        let name = names.pop().ok_or_else(|| outside(relative))?.to_owned();
        Ok((self.descend(&names.iter().collect::<PathBuf>())?, name))
    }
}

/// The components of a relative path that stays below.
fn components(relative: &Path) -> io::Result<Vec<&OsStr>> {
    relative
        .components()
        .filter(|component| *component != Component::CurDir)
        .map(|component| match component {
            Component::Normal(name) => Ok(name),
            Component::CurDir
            | Component::ParentDir
            | Component::RootDir
            | Component::Prefix(_) => Err(outside(relative)),
        })
        .collect()
}

/// Returns whether the refusal of a link says that no other way to the name would work.
fn is_final(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    const FINAL: [Errno; 7] = [
        Errno::EXIST,
        Errno::NOENT,
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::ROFS,
        Errno::ACCESS,
        Errno::NAMETOOLONG,
    ];
    FINAL.contains(&error)
}

fn one(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(outside(Path::new(name)));
    }
    Ok(name)
}

fn outside(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("`{}` does not name a place below", printable_path(path)),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_is_never_followed_neither_as_a_file_nor_on_the_way() {
        let outside = tempfile::tempdir().expect("a directory");
        std::fs::write(outside.path().join("secret.wav"), "x").expect("written");
        let tree = tempfile::tempdir().expect("a directory");
        symlink(outside.path(), tree.path().join("sub")).expect("linked");
        symlink(outside.path().join("secret.wav"), tree.path().join("talk.wav")).expect("linked");
        let dir = Dir::open(tree.path()).expect("opened");
        assert!(dir.open_file(Path::new("talk.wav")).is_err());
        assert!(dir.open_file(Path::new("sub/secret.wav")).is_err());
        assert!(dir.descend_or_make(Path::new("sub/new"), 0o700).is_err());
        assert!(dir.open_file(Path::new("../secret.wav")).is_err());
        assert_eq!(dir.entry(Path::new("talk.wav")).expect("known"), Some(Entry::Other));
        assert_eq!(dir.entry(Path::new("missing/talk.wav")).expect("known"), None);
    }

    #[test]
    fn a_fifo_neither_blocks_nor_opens() {
        let tree = tempfile::tempdir().expect("a directory");
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, tree.path().join("pipe.wav"), FileType::Fifo, mode, 0)
            .expect("made");
        let dir = Dir::open(tree.path()).expect("opened");
        assert!(dir.open_file(Path::new("pipe.wav")).is_err());
    }

    #[test]
    fn nothing_is_ever_replaced_by_a_rename_to_a_new_name() {
        let tree = tempfile::tempdir().expect("a directory");
        std::fs::write(tree.path().join("a"), "a").expect("written");
        std::fs::write(tree.path().join("b"), "b").expect("written");
        let dir = Dir::open(tree.path()).expect("opened");
        let error = dir.rename_new(OsStr::new("a"), &dir, OsStr::new("b")).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_file_system_without_links_is_known_by_any_refusal_that_says_nothing_of_the_names() {
        use rustix::io::Errno;
        for without in [
            Errno::PERM,
            Errno::NOSYS,
            Errno::OPNOTSUPP,
            Errno::IO,
            Errno::INVAL,
            Errno::MLINK,
            Errno::XDEV,
        ] {
            assert!(!is_final(without), "{without}");
        }
        for said in
            [Errno::EXIST, Errno::NOENT, Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::ACCESS]
        {
            assert!(is_final(said), "{said}");
        }
        let tree = tempfile::tempdir().expect("a directory");
        assert!((1..=255).contains(&Dir::open(tree.path()).expect("opened").name_bytes_max()));
    }

    #[test]
    fn a_name_that_is_claimed_first_replaces_nothing_of_others() {
        let tree = tempfile::tempdir().expect("a directory");
        for name in ["a", "b"] {
            std::fs::write(tree.path().join(name), name).expect("written");
        }
        let dir = Dir::open(tree.path()).expect("opened");
        let claimed =
            |from: &str, to: &str| dir.rename_claimed(OsStr::new(from), &dir, OsStr::new(to));
        assert_eq!(claimed("a", "b").expect_err("taken").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(claimed("missing", "c").expect_err("missing").kind(), io::ErrorKind::NotFound);
        assert!(!tree.path().join("c").exists(), "the claim is given back");
        claimed("a", "c").expect("renamed");
        assert_eq!(std::fs::read_to_string(tree.path().join("c")).expect("read"), "a");
    }
}
