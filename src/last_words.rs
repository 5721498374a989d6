//! Which recording's bytes this process is parsing, written down for the one that comes after it.
//!
//! A file that kills its reader (an abort, a stack that overflows) would otherwise kill every next process as well. A
//! [`Mark`] lies in the state directory while a file is being parsed; whoever finds it at the start knows what its
//! predecessor died of. Nothing here is synced: after a power cut no mark counts, because nobody died of the file then.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use crate::{beneath::Stamp, clock, effect::Effect};

/// Where the marks lie, below the state directory.
const DIRECTORY: &str = "parsing";

/// A mark is a few hundred bytes and a path; whatever is larger was not made here. Bytes.
const MARK_MAX: u64 = 64 * 1024;

/// The marks of one process. Cheap to share.
#[derive(Debug)]
pub(crate) struct LastWords {
    directory: PathBuf,
    boot: String,
    /// Part of the names of this process's marks: two processes never use one name.
    process: String,
    count: AtomicU64,
}

/// What a process was parsing when it died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The name of the mark: no other mark ever has it.
    pub mark: String,
    /// The folder's id.
    pub folder: String,
    /// The file, relative to the folder.
    pub path: PathBuf,
    /// What it was then.
    pub stamp: Stamp,
}

/// Says that a file is being parsed, until it is dropped.
#[derive(Debug)]
pub(crate) struct Mark {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Words {
    boot: String,
    folder: String,
    path: Vec<u8>,
    size: u64,
    mtime_ns: i64,
    inode: u64,
}

impl LastWords {
    /// Opens the marks of `state_dir`. Changes nothing: the directory is made with the first mark.
    pub(crate) fn new(state_dir: &Path) -> Self {
        let process = format!("{}-{}", clock::now().as_nanosecond(), std::process::id());
        let boot = clock::boot();
        Self { directory: state_dir.join(DIRECTORY), boot, process, count: AtomicU64::new(0) }
    }

    /// Marks that a file of a folder is about to be parsed; the mark goes when it is dropped, also by a panic.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn mark(&self, folder: &str, path: &Path, stamp: Stamp) -> io::Result<Mark> {
        let words = Words {
            boot: self.boot.clone(),
            folder: folder.to_owned(),
            path: path.as_os_str().as_bytes().to_vec(),
            size: stamp.size,
            mtime_ns: stamp.mtime_ns,
            inode: stamp.inode,
        };
        let words = serde_json::to_vec(&words).map_err(io::Error::other)?;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let mark = Mark { path: self.directory.join(format!("{}-{number}", self.process)) };
        self.write(&mark.path, &words)?;
        Ok(mark)
    }

    /// As [`Self::mark`], for whom the mark is not worth stopping: on a full disk nothing new is begun anyway.
    pub(crate) fn mark_or_go_on(&self, folder: &str, path: &Path, stamp: Stamp) -> Option<Mark> {
        let mark = self.mark(folder, path, stamp);
        mark.inspect_err(
            |error| tracing::debug!(%error, "failed to mark a file that is being parsed"),
        )
        .ok()
    }

    fn write(&self, path: &Path, words: &[u8]) -> io::Result<()> {
        let create = || File::options().write(true).create_new(true).mode(0o600).open(path);
        Effect::Parse.during(|| {
            let mut file = match create() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    DirBuilder::new().mode(0o700).create(&self.directory)?;
                    create()?
                }
                file => file?,
            };
            file.write_all(words)
        })
    }

    /// Returns what other processes were parsing when they died since the machine was started, oldest first.
    ///
    /// # Errors
    /// When the marks cannot be read. One that was torn by the death is passed over.
    pub(crate) fn left(&self) -> io::Result<Vec<Parsed>> {
        let mut left: Vec<Parsed> = self
            .names()?
            .into_iter()
            .filter(|mark| !mark.starts_with(&self.process))
            .filter_map(|mark| self.read(mark))
            .collect();
        left.sort_by(|a, b| a.mark.cmp(&b.mark));
        Ok(left)
    }

    fn read(&self, mark: String) -> Option<Parsed> {
        let path = self.directory.join(&mark);
        let len = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?.len();
        let words: Words =
            (len <= MARK_MAX).then(|| fs::read(&path).ok()).flatten().and_then(|bytes| {
                // A mark that was torn by the death says nothing.
                serde_json::from_slice(&bytes).ok()
            })?;
        let is_of_now = words.boot == self.boot;
        let stamp = Stamp { size: words.size, mtime_ns: words.mtime_ns, inode: words.inode };
        let path = PathBuf::from(std::ffi::OsString::from_vec(words.path));
        is_of_now.then_some(Parsed { mark, folder: words.folder, path, stamp })
    }

    /// Removes all marks, once they are charged, or when this process ends in order: then nobody died of anything.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for name in self.names()? {
            match fs::remove_file(self.directory.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if let Err(error) = Effect::Parsed.during(|| fs::remove_file(&self.path)) {
            tracing::debug!(%error, "failed to remove the mark of a file that was parsed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { size: 5, mtime_ns: -1, inode: 7 };

    #[test]
    fn a_mark_that_was_not_taken_back_is_found_by_the_next_process() {
        let state = tempfile::tempdir().expect("a directory");
        let path = Path::new(std::ffi::OsStr::from_bytes(b"sub/t\xffalk.wav"));
        let dying = LastWords::new(state.path());
        drop(dying.mark("sales", Path::new("well.wav"), STAMP).expect("marked"));
        std::mem::forget(dying.mark("sales", path, STAMP).expect("marked"));
        assert_eq!(dying.left().expect("read"), [], "a process has not died of what it is doing");
        let next = LastWords::new(state.path());
        let left = next.left().expect("read");
        assert_eq!(left.len(), 1);
        assert_eq!(
            (left[0].folder.as_str(), left[0].path.as_path(), left[0].stamp),
            ("sales", path, STAMP)
        );
        next.clear().expect("cleared");
        assert_eq!(next.left().expect("read"), []);
    }

    #[test]
    fn a_mark_from_before_the_last_start_of_the_machine_or_a_torn_one_charges_nobody() {
        let state = tempfile::tempdir().expect("a directory");
        let dying = LastWords { boot: "another".into(), ..LastWords::new(state.path()) };
        std::mem::forget(dying.mark("sales", Path::new("talk.wav"), STAMP).expect("marked"));
        fs::write(state.path().join(DIRECTORY).join("torn"), r#"{"boot":"#).expect("written");
        let next = LastWords::new(state.path());
        assert_eq!(next.left().expect("read"), []);
        next.clear().expect("cleared");
        assert_eq!(next.names().expect("read"), [""; 0]);
    }
}
