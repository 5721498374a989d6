//! Files that have no proper name yet. Each is locked for as long as somebody writes it, so that those that a crash has left
//! can be told apart, and removed.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::Path,
};

use rustix::fs::FlockOperation;
use tempfile::NamedTempFile;

use crate::beneath::Dir;

/// Letters and digits that follow the prefix: what the crate that makes temporary files uses.
const RANDOM: usize = 6;

/// Makes a file in `dir` whose name begins with `prefix`, and locks it.
///
/// # Errors
/// What the file system says.
pub(crate) fn create_draft(dir: &Path, prefix: &str) -> io::Result<NamedTempFile> {
    let draft = tempfile::Builder::new().prefix(prefix).rand_bytes(RANDOM).tempfile_in(dir)?;
    if let Err(error) = rustix::fs::flock(draft.as_file(), FlockOperation::NonBlockingLockExclusive)
    {
        tracing::trace!(%error, "this file system has no locks");
    }
    Ok(draft)
}

/// Returns the names of the drafts with this prefix that nobody writes any more.
///
/// # Errors
/// What the file system says.
pub(crate) fn list_abandoned(dir: &Path, prefix: &str) -> io::Result<Vec<OsString>> {
    let opened = Dir::open(dir)?;
    let names = std::fs::read_dir(dir)?.flatten().map(|entry| entry.file_name());
    Ok(names.filter(|name| is_draft(name, prefix) && is_abandoned(&opened, name)).collect())
}

fn is_draft(name: &OsStr, prefix: &str) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(prefix));
    random.is_some_and(|random| random.len() == RANDOM)
}

fn is_abandoned(dir: &Dir, name: &OsStr) -> bool {
    dir.open_file(Path::new(name)).is_ok_and(|file| {
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_drafts_that_nobody_writes_any_more_are_abandoned() {
        let dir = tempfile::tempdir().expect("a directory");
        let held = create_draft(dir.path(), ".x-").expect("made");
        for name in [".x-abcdef", ".x-abcdefg", ".y-abcdef", "x-abcdef", ".x-"] {
            std::fs::write(dir.path().join(name), "").expect("written");
        }
        assert_eq!(list_abandoned(dir.path(), ".x-").expect("listed"), [".x-abcdef"]);
        let (file, kept) = held.keep().expect("kept");
        drop(file);
        let name = kept.file_name().expect("a name").to_owned();
        assert!(list_abandoned(dir.path(), ".x-").expect("listed").contains(&name));
    }
}
