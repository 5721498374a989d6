//! A consistent copy of the queue, made while it is in use.
//!
//! The command that asks for the copy opens its place, for the daemon may see another file system.
//! So there are two halves. [`Store::copy_aside`] makes a copy that is handed over as bytes,
//! [`CopyPlace`] takes bytes to a name. Nothing has that name before all of it is durable and was
//! read through.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use super::{Store, StoreError, sqlite::check_copy};
use crate::{
    access::{is_denied, is_full, setfacl_commands},
    beneath::{Dir, Stamp},
    drafts,
    effect::Effect,
    text::{ShellCommand, printable_path},
};

/// The prefix of the names of copies until they are whole.
const DRAFT: &str = ".minuted-backup-";

/// A place for a copy, with the file that will get its name. Dropped before that, it leaves
/// nothing.
#[derive(Debug)]
pub(crate) struct CopyPlace {
    target: PathBuf,
    name: std::ffi::OsString,
    dir: Dir,
    draft: NamedTempFile,
}

impl CopyPlace {
    /// Opens the directory of `target`, an absolute path at which nothing may lie, and makes a file
    /// there.
    ///
    /// # Errors
    /// [`StoreError::Copy`] with the cure.
    pub(crate) fn open(target: &Path) -> Result<Self, StoreError> {
        if target.symlink_metadata().is_ok() {
            let hint = "a backup never replaces anything: name a file that does not exist";
            return Err(failed(target, "it exists", hint));
        }
        let no_name = || failed(target, "it names no file", "name a file that does not exist");
        let name = target.file_name().ok_or_else(no_name)?.to_owned();
        let parent = target
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let fail = |(reason, hint): (String, String)| failed(target, reason, hint);
        let dir = Dir::open(parent).map_err(|error| fail(explain_unopened(parent, &error)))?;
        let draft = draft(parent).map_err(|error| fail(explain_denied(parent, &error)))?;
        Ok(Self { target: target.to_owned(), name, dir, draft })
    }

    /// Returns the file, for its bytes to be written to.
    ///
    /// # Errors
    /// [`StoreError::Copy`].
    pub(crate) fn file(&self) -> Result<File, StoreError> {
        self.draft.as_file().try_clone().map_err(|error| self.unwritten(&error))
    }

    /// Returns the error of bytes that could not be written there.
    #[must_use]
    pub(crate) fn unwritten(&self, error: &io::Error) -> StoreError {
        let hint = if is_full(error) {
            "free some space, or name a file on another disk"
        } else {
            "name a file elsewhere"
        };
        failed(&self.target, error.to_string(), hint)
    }

    /// Reads the copy through, makes it durable and gives it its name. Returns its bytes.
    ///
    /// # Errors
    /// [`StoreError::Copy`]; nothing has the name then.
    pub(crate) fn place(self) -> Result<u64, StoreError> {
        let target = &self.target;
        let file = self.draft.as_file();
        file.sync_all().map_err(|error| self.unwritten(&error))?;
        check_copy(self.draft.path()).map_err(|reason| {
            let reason = format!("what was written there is not the queue: {reason}");
            failed(target, reason, "name a file on another disk")
        })?;
        let bytes = file.metadata().map_err(|error| self.unwritten(&error))?.len();
        let from = self.draft.path().file_name().unwrap_or_default().to_owned();
        Effect::Backup.before();
        self.dir
            .rename_new(&from, &self.dir, &self.name)
            .map_err(|error| self.unwritten(&error))?;
        self.dir.sync().map_err(|error| self.unwritten(&error))?;
        Effect::Backup.after();
        let placed =
            self.dir.open_file(Path::new(&self.name)).map_err(|error| self.unwritten(&error))?;
        let placed =
            Stamp::of(&placed).and_then(|placed| Ok((placed, Stamp::of(self.draft.as_file())?)));
        let (placed, written) = placed.map_err(|error| self.unwritten(&error))?;
        if placed.inode != written.inode {
            let reason = "another file was put in its place while it was written";
            return Err(failed(
                target,
                reason,
                "name a file in a directory where nobody else can write",
            ));
        }
        let placed = placed.size;
        if placed != bytes {
            let reason = format!("it has {placed} bytes after {bytes} were written");
            return Err(StoreError::Copy { path: printable_path(target), reason, hint: None });
        }
        Ok(bytes)
    }
}

impl Store {
    /// Writes a consistent copy of the queue to `target`, an absolute path at which nothing may
    /// lie, while the queue is in use. Returns its bytes.
    ///
    /// The copy is marked: a daemon that starts on it first looks at what the service and the notes
    /// on disk tell.
    ///
    /// # Errors
    /// [`StoreError::Copy`] with the cure.
    pub async fn backup(&self, target: PathBuf) -> Result<u64, StoreError> {
        // A connection of its own: the target may be slow, and nobody else waits for it.
        let database = self.open_reader().await?;
        let work = move || {
            let place = CopyPlace::open(&target)?;
            // What fails here is the copy's disk most often, and nothing of the queue's.
            let cure = "free some space there, or name a file on another disk";
            database
                .copy_to(place.draft.path())
                .map_err(|error| failed(&target, error.to_string(), cure))?;
            place.place()
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
    }

    /// Makes a consistent copy of the queue beside it, for its bytes to be handed over. It goes
    /// away with the file that is returned.
    ///
    /// # Errors
    /// [`StoreError::Copy`] with the cure.
    pub async fn copy_aside(&self, dir: PathBuf) -> Result<NamedTempFile, StoreError> {
        let database = self.open_reader().await?;
        let work = move || {
            let cure = "free some space there, or stop the daemon first: then the copy is made at its place alone";
            let aside = draft(&dir).map_err(|error| failed(&dir, error.to_string(), cure))?;
            database
                .copy_to(aside.path())
                .map_err(|error| failed(&dir, error.to_string(), cure))?;
            Ok(aside)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
    }
}

fn failed(path: &Path, reason: impl Into<String>, hint: impl Into<String>) -> StoreError {
    StoreError::Copy { path: printable_path(path), reason: reason.into(), hint: Some(hint.into()) }
}

/// Returns why the directory of a copy cannot be opened, and what can be done.
fn explain_unopened(parent: &Path, error: &io::Error) -> (String, String) {
    if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
        return explain_denied(parent, error);
    }
    let make = ShellCommand::new("mkdir -p").add_path(parent);
    let reason = format!("there is no directory `{}`", printable_path(parent));
    (reason, format!("{make}, or name a file in one that exists"))
}

/// Returns why nothing can be written into a directory, and what can be done.
fn explain_denied(dir: &Path, error: &io::Error) -> (String, String) {
    let shown = printable_path(dir);
    if is_denied(error) {
        let hint = format!("{}, or name a file elsewhere", setfacl_commands(dir).join("; "));
        return (format!("no permission to write in `{shown}`"), hint);
    }
    let cause = error
        .raw_os_error()
        .map_or_else(|| error.to_string(), |code| io::Error::from_raw_os_error(code).to_string());
    (
        format!("nothing can be written in `{shown}`: {cause}"),
        "name a file in a directory that can be written".into(),
    )
}

/// Makes the file that a copy is written to, once those of copies that a crash has interrupted are
/// gone.
fn draft(parent: &Path) -> io::Result<NamedTempFile> {
    for name in drafts::list_abandoned(parent, DRAFT)? {
        for end in ["-journal", "-wal", "-shm", ""] {
            let mut left = parent.join(&name).into_os_string();
            left.push(end);
            if let Err(error) = std::fs::remove_file(left) {
                tracing::trace!(%error, "nothing to tidy beside a copy that was interrupted");
            }
        }
    }
    // Without links in it: SQLite is told to follow none.
    drafts::create_draft(&parent.canonicalize()?, DRAFT)
}
