//! Files that get their name when they are whole: nothing half-written is ever found under it.

use std::{
    fs::{DirBuilder, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, fchown},
    path::Path,
};

use rustix::fs::Mode;
use tempfile::NamedTempFile;

use crate::{
    beneath::{Dir, Stamp},
    drafts,
    effect::Effect,
};

/// The prefix of the names of files until they are whole.
const DRAFT: &str = ".minuted-init-";

/// The mode of a directory that is made on the way to another: everybody may pass, as `mkdir -p`
/// has it.
const PARENT_MODE: u32 = 0o755;

/// The mode of a folder of a server: what is put there belongs to the group of minuted, and nobody
/// else looks in.
const SHARED_MODE: u32 = 0o2770;

/// The rights of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileAccess {
    pub(super) mode: u32,
    /// The user and the group, where they are not those of this process.
    pub(super) owner: Option<(u32, u32)>,
}

/// Puts a file in its place: a new one where `replaced` is `None`, else the next version of the
/// file with that stamp. Follows no link.
///
/// # Errors
/// `AlreadyExists` where something has come there meanwhile; `InvalidData` where the file is not the
/// one that was read; what the file system says.
pub(super) fn place_file(
    path: &Path,
    text: &str,
    access: FileAccess,
    replaced: Option<Stamp>,
) -> io::Result<()> {
    let (parent, name) = path.parent().zip(path.file_name()).ok_or(io::ErrorKind::InvalidInput)?;
    let dir = Dir::open(parent)?;
    remove_leftovers(&dir, parent)?;
    let draft = write_draft(parent, text, access)?;
    let from = draft.path().file_name().unwrap_or_default();
    Effect::PlaceConfiguration.before();
    match replaced {
        None => dir.rename_new(from, &dir, name)?,
        Some(stamp) => {
            if Stamp::of(&dir.open_file(Path::new(name))?)? != stamp {
                let message = "somebody has changed it meanwhile";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            dir.rename_over(from, name)?;
        }
    }
    dir.sync()?;
    Effect::PlaceConfiguration.after();
    Ok(())
}

/// Makes a directory and what is missing above it. Returns whether it was made; a directory that is
/// there stays as it is.
///
/// # Errors
/// What the file system says.
pub(super) fn make_directory(path: &Path) -> io::Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    DirBuilder::new().recursive(true).mode(PARENT_MODE).create(path)?;
    Ok(true)
}

/// Gives a new directory to a user and a group, for them to share.
///
/// # Errors
/// What the file system says.
pub(super) fn share_directory(path: &Path, (uid, gid): (u32, u32)) -> io::Result<()> {
    let dir = Dir::open(path)?;
    fchown(dir.fd(), Some(uid), Some(gid))?;
    Ok(rustix::fs::fchmod(dir.fd(), Mode::from_raw_mode(SHARED_MODE))?)
}

/// Makes the directory of a configuration; a new one has this mode, whatever the umask is: the
/// user of the service has to get in.
///
/// # Errors
/// What the file system says.
pub(super) fn make_config_directory(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    Ok(rustix::fs::fchmod(Dir::open(path)?.fd(), Mode::from_raw_mode(mode))?)
}

/// Writes a file that has no proper name yet, and makes it durable.
fn write_draft(parent: &Path, text: &str, access: FileAccess) -> io::Result<NamedTempFile> {
    let mut draft = drafts::create_draft(parent, DRAFT)?;
    draft.write_all(text.as_bytes())?;
    let file = draft.as_file();
    if let Some((uid, gid)) = access.owner {
        fchown(file, Some(uid), Some(gid))?;
    }
    file.set_permissions(Permissions::from_mode(access.mode))?;
    file.sync_all()?;
    Ok(draft)
}

/// Removes what an `init` that was killed has left.
fn remove_leftovers(dir: &Dir, parent: &Path) -> io::Result<()> {
    drafts::list_abandoned(parent, DRAFT)?.iter().try_for_each(|name| dir.unlink(name))
}
