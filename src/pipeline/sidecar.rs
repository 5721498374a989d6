//! The sidecars of a recording, as they lie in its folder. Everything here blocks.
//!
//! They are hostile input: opened by descriptor without following a link, read up to a bound, and one that cannot be
//! taken as it is keeps its recording waiting. To go on without it could mail the notes to the wrong people.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use rustix::io::Errno;

use crate::{
    beneath::{Dir, Entry, Stamp},
    config::{
        Folder, SIDECAR_BYTES_MAX, SIDECAR_OF_DIRECTORY, Service, Sidecar, read_sidecar, sidecar_of,
    },
    text::printable_path,
};

/// A sidecar that was written less than this ago may not be whole yet, where `settle` is not even shorter. Programs
/// write a few KiB at once; its time is the file server's, so that this is all that is ever waited because of it.
const QUIET: Duration = Duration::from_secs(5);

/// The sidecars of a recording.
#[derive(Debug, Default)]
pub(crate) struct Sidecars {
    /// The sidecars of the sub-folders it lies in, the outermost first.
    pub directories: Vec<Sidecar>,
    /// Its own, with the BLAKE3 of its bytes.
    pub own: Option<(Sidecar, String)>,
}

/// Why they cannot be taken.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The recording itself is not there as it was.
    Lost(anyhow::Error),
    /// A sidecar may still be written; the time to look again.
    Fresh(Timestamp),
    /// The mistakes, each with its cure.
    Invalid(Vec<String>),
}

/// Reads the sidecars of the recording at `path`, which must be there with this stamp, for its service.
///
/// # Errors
/// [`Trouble`], by what the caller does next.
pub(crate) fn read(
    folder: &Folder,
    service: &Service,
    path: &Path,
    stamp: Stamp,
    now: Timestamp,
) -> Result<Sidecars, Trouble> {
    let root =
        Dir::open(&folder.path).context("the folder cannot be opened").map_err(Trouble::Lost)?;
    is_there(&root, path, stamp)?;
    let reader = Reader { root, service, now, quiet: folder.settle_time(false).min(QUIET) };
    let mut mistakes = Vec::new();
    let mut directories: Vec<&Path> =
        path.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()).collect();
    directories.reverse();
    let mut sidecars = Sidecars::default();
    for directory in directories {
        let read = reader.read(&directory.join(SIDECAR_OF_DIRECTORY), &mut mistakes)?;
        sidecars.directories.extend(read.map(|(sidecar, _)| sidecar));
    }
    sidecars.own = reader.read(&sidecar_of(path), &mut mistakes)?;
    // One that is missing because its directory went meanwhile is not missing.
    is_there(&reader.root, path, stamp)?;
    if mistakes.is_empty() { Ok(sidecars) } else { Err(Trouble::Invalid(mistakes)) }
}

/// Returns what is wrong with the sidecar at `path`, a path below the folder; nothing where nothing is.
#[must_use]
pub(crate) fn mistakes(folder: &Folder, service: &Service, path: &Path) -> Vec<String> {
    let Ok(root) = Dir::open(&folder.path) else { return Vec::new() };
    let reader = Reader { root, service, now: Timestamp::MIN, quiet: Duration::ZERO };
    let mut mistakes = Vec::new();
    match reader.read(path, &mut mistakes) {
        Ok(_) | Err(_) => mistakes,
    }
}

fn is_there(root: &Dir, path: &Path, stamp: Stamp) -> Result<(), Trouble> {
    let entry =
        root.entry(path).context("the recording cannot be looked at").map_err(Trouble::Lost)?;
    match entry {
        Some(Entry::File(found)) if found == stamp => Ok(()),
        Some(Entry::File(_) | Entry::Directory | Entry::Other) => {
            Err(Trouble::Lost(anyhow!("the recording changed after it was queued")))
        }
        None => Err(Trouble::Lost(anyhow!("the recording is not there any more"))),
    }
}

struct Reader<'a> {
    root: Dir,
    service: &'a Service,
    now: Timestamp,
    quiet: Duration,
}

impl Reader<'_> {
    /// Reads one sidecar; `None` where there is none, or it has mistakes.
    fn read(
        &self,
        path: &Path,
        mistakes: &mut Vec<String>,
    ) -> Result<Option<(Sidecar, String)>, Trouble> {
        let bytes = match self.root.open_file(path).and_then(|file| self.bytes(file)) {
            Ok(Bytes::All(bytes)) => bytes,
            Ok(Bytes::Fresh(until)) => return Err(Trouble::Fresh(until)),
            Ok(Bytes::TooMany) => {
                let most = SIDECAR_BYTES_MAX / 1024;
                let what = format!(
                    "larger than {most} KiB; is this the right file? a sidecar holds a few lines"
                );
                mistakes.push(format!("{}: {what}", printable_path(path)));
                return Ok(None);
            }
            Err(error) => {
                mistakes.extend(
                    unreadable(&error).map(|what| format!("{}: {what}", printable_path(path))),
                );
                return Ok(None);
            }
        };
        match read_sidecar(&bytes, path, self.service) {
            Ok(sidecar) => Ok(Some((sidecar, digest_of(&bytes)))),
            Err(report) => {
                mistakes.extend(report.lines_in_full());
                Ok(None)
            }
        }
    }

    fn bytes(&self, file: File) -> io::Result<Bytes> {
        let written = Stamp::of(&file)?.mtime_ns;
        let age = self.now.as_nanosecond() - i128::from(written);
        if (0..i128::try_from(self.quiet.as_nanos()).unwrap_or(0)).contains(&age) {
            let written = Timestamp::from_nanosecond(i128::from(written)).unwrap_or(self.now);
            return Ok(Bytes::Fresh(written.saturating_add(self.quiet).unwrap_or(self.now)));
        }
        let mut bytes = Vec::new();
        file.take(SIDECAR_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(if bytes.len() as u64 > SIDECAR_BYTES_MAX { Bytes::TooMany } else { Bytes::All(bytes) })
    }
}

/// The content of an open file.
enum Bytes {
    All(Vec<u8>),
    TooMany,
    Fresh(Timestamp),
}

/// Returns what a sidecar is recognised by.
#[must_use]
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Returns the reason why a file cannot be read, with the cure; `None` where there is no file.
fn unreadable(error: &io::Error) -> Option<String> {
    match Errno::from_io_error(error) {
        // No name is that long: there can be no such file.
        Some(Errno::NOENT | Errno::NAMETOOLONG) => None,
        Some(Errno::LOOP) => {
            Some("a link, and links are never followed; put the file itself there".to_owned())
        }
        Some(Errno::ACCESS | Errno::PERM) => Some(format!(
            "it cannot be read: {error}; let the user that runs minuted read it (chmod, chgrp or setfacl)"
        )),
        None if error.kind() == io::ErrorKind::InvalidInput => {
            Some("not a regular file; put a text file there, or remove it".to_owned())
        }
        Some(_) | None => {
            Some(format!("it cannot be read: {error}; put a text file there, or remove it"))
        }
    }
}
