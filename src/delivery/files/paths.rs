//! The directories of a delivery: the folder, the place of its notes, the way down to them.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use super::{FileError, remove_leftovers};
use crate::{
    beneath::Dir,
    config::{Folder, OnSuccess},
    delivery::context::DeliveryContext,
    store::Written,
};

/// Permissions of directories that minuted makes for notes, less its umask.
pub(super) const DIRECTORY_MODE: u32 = 0o777;

/// Opens the folder. Another directory than before, which is empty or lacks the recording, is the place where its
/// disk was mounted: what is written there would be hidden when the disk is back, and what is missing is not gone.
pub(super) fn open_folder(context: &DeliveryContext) -> Result<Dir, FileError> {
    let root = open_dir(&context.folder.path)?;
    let is_away = || {
        let place = root.place()?;
        let is_elsewhere =
            context.root.as_ref().is_some_and(|baseline| baseline.is_elsewhere(place));
        let lacks = |path: &Path| context.is_seen && matches!(root.entry(path), Ok(None));
        Ok(is_elsewhere && (root.is_empty()? || lacks(&context.job.path)))
    };
    match is_away() {
        Ok(false) => Ok(root),
        Ok(true) => {
            Err(FileError::for_directory(&context.folder.path, rustix::io::Errno::NODEV.into()))
        }
        Err(error) => Err(FileError::for_directory(&context.folder.path, error)),
    }
}

/// Opens the directory that the notes' directory lies in, and returns its path and the way below it.
pub(super) fn open_notes_root(
    context: &DeliveryContext,
) -> Result<(Dir, PathBuf, PathBuf), FileError> {
    let (base, inner) = notes_directory(&context.folder, &context.job.path);
    let root = if base == context.folder.path { open_folder(context)? } else { open_dir(&base)? };
    Ok((root, base, inner))
}

/// Opens the directory of the notes. Directories that minuted keeps itself are made; the one in which a recording lay is
/// a person's, and is not made again where he took it away.
pub(super) fn open_notes_directory(
    context: &DeliveryContext,
    root: &Dir,
    base: &Path,
    inner: &Path,
) -> Result<Dir, FileError> {
    let at = |error| FileError::for_directory(&nearest_existing(base, inner), error);
    if context.folder.notes_dir.is_some() || matches!(context.folder.on_success, OnSuccess::Move(_))
    {
        return root.descend_or_make(inner, DIRECTORY_MODE).map_err(at);
    }
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let gone = || FileError::PlaceGone { dir: base.join(inner) };
    root.descend(inner).map_err(|error| if is_gone(&error) { gone() } else { at(error) })
}

/// Returns the directory of the notes of a recording: a base that must exist, and the way below it.
pub(super) fn notes_directory(folder: &Folder, recording: &Path) -> (PathBuf, PathBuf) {
    let inner = parent_dir(recording);
    match (&folder.notes_dir, &folder.on_success) {
        (Some(dir), _) => (dir.clone(), inner.to_owned()),
        (None, OnSuccess::Move(to)) => (folder.path.clone(), to.join(inner)),
        (None, OnSuccess::Keep | OnSuccess::Delete) => (folder.path.clone(), inner.to_owned()),
    }
}

/// Returns the deepest existing directory on the way from `base` down to `inner`.
pub(super) fn nearest_existing(base: &Path, inner: &Path) -> PathBuf {
    // Anew from its parts: a slash at the end would ask for a directory.
    let way: PathBuf = base.join(inner).components().collect();
    way.ancestors().find(|there| there.symlink_metadata().is_ok()).unwrap_or(base).to_owned()
}

pub(super) fn parent_dir(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Removes what a crash has left of files on their way to `dir`; whatever hinders that does not hinder the notes.
pub(super) fn sweep_quietly(dir: &Dir) {
    if let Err(error) = remove_leftovers(dir) {
        tracing::debug!(%error, "failed to look for temporary files that a crash has left");
    }
}

pub(super) fn open_dir(path: &Path) -> Result<Dir, FileError> {
    Dir::open(path).map_err(|error| FileError::for_directory(path, error))
}

/// Opens the directory in which a file was written; `None` when it is gone, and the file with it.
pub(super) fn place_of(written: &Written) -> Result<Option<(Dir, OsString)>, FileError> {
    let root = open_dir(&written.base)?;
    parent_of(&root, &written.path)
        .map_err(|error| FileError::for_entry(&root, written.path.as_os_str(), error))
}

/// Opens the directory of `path` below `root`, which is there; `None` when the way to it is gone, and what lay at its
/// end with it. To wait for that would be to wait for ever.
pub(super) fn parent_of(root: &Dir, path: &Path) -> io::Result<Option<(Dir, OsString)>> {
    match root.parent_of(path) {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
