//! What holds for every file that is dropped, for any bytes. Each function panics where it does not; the tests and
//! `fuzz/` feed them.

use std::{
    cell::Cell,
    ffi::OsStr,
    io::{self, Cursor, Read, Seek, SeekFrom},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use jiff::tz::TimeZone;

use super::{
    date,
    media::{
        self,
        sound::{ReadAt, SoundHasher},
    },
    names,
};

/// Reads of one look: each box or chunk takes a few.
const READS_MAX: usize = 3_000_000;

/// Bytes as the kernel gives them: a seek beyond what a file can be is an error, not an end.
struct Like {
    bytes: Cursor<Vec<u8>>,
    reads: usize,
}

impl Read for Like {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reads += 1;
        assert!(self.reads <= READS_MAX, "a look without an end");
        self.bytes.read(buffer)
    }
}

impl Seek for Like {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Start(at) if i64::try_from(at).is_err() => {
                Err(io::ErrorKind::InvalidInput.into())
            }
            SeekFrom::Start(_) | SeekFrom::End(_) | SeekFrom::Current(_) => self.bytes.seek(to),
        }
    }
}

/// A look at the head of a file ends, and what the head says is never an error.
pub(crate) fn head(bytes: &[u8]) {
    // The first byte was a choice once, and the seeds still have it.
    let Some((_, bytes)) = bytes.split_first() else { return };
    let mut file = Like { bytes: Cursor::new(bytes.to_vec()), reads: 0 };
    let head =
        media::look(&mut file, bytes.len() as u64).expect("what a head says is never an error");
    if let Some(media::Made::At(at)) = head.made {
        assert!(date::is_sane(at), "{at}");
    }
}

/// The sound of a file has the same name however its bytes are cut, and looking for it ends.
pub(crate) fn sound(bytes: &[u8]) {
    let Some((_, bytes)) = bytes.split_first() else { return };
    let names = [1, 13, 4096].map(|piece| {
        let file = Counted { bytes: bytes.to_vec(), reads: Cell::new(0) };
        let mut hasher = SoundHasher::open(&file, bytes.len() as u64);
        for (number, piece_bytes) in (0_u64..).zip(bytes.chunks(piece)) {
            hasher = hasher.and_then(|hasher| hasher.pass(number * piece as u64, piece_bytes));
        }
        hasher.and_then(SoundHasher::finish)
    });
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
}

/// Bytes that count how often they are read.
struct Counted {
    bytes: Vec<u8>,
    reads: Cell<usize>,
}

impl ReadAt for Counted {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() <= READS_MAX, "a look without an end");
        self.bytes.read_at(buffer, at)
    }
}

/// A name is shown without what a terminal obeys, holds a date of our times or none, and makes names of notes that a
/// directory can hold.
pub(crate) fn name(bytes: &[u8]) {
    let name = bytes
        .split(|byte| *byte == b'/' || *byte == 0)
        .find(|part| !part.is_empty())
        .unwrap_or(b"talk.wav");
    let path = Path::new(OsStr::from_bytes(&name[..name.len().min(255)]));
    if let Some(made) = date::in_text(path.as_os_str().as_bytes()) {
        let day = match made {
            media::Made::At(at) => TimeZone::UTC.to_datetime(at).date(),
            media::Made::Local(local) => local.date(),
            media::Made::On(day) => day,
        };
        assert!((1990..=2100).contains(&day.year()), "{day}");
    }
    for mtime in [i64::MIN, 0, i64::MAX] {
        assert!(date::is_sane(date::recorded(None, path, mtime, &TimeZone::UTC)));
    }
    assert!(names::is_noise(path) || !path.as_os_str().as_bytes().starts_with(b"."));
    let shown = crate::text::printable_path(path);
    assert!(!shown.chars().any(crate::text::is_unprintable), "{shown:?}");
}
