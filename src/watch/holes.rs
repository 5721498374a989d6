//! Files that are nearly all hole: they have a size, and nobody wrote it.
//!
//! A hole alone says little. Compressing file systems store zeros as holes, a recorder may reserve room before it
//! writes, and what it wrote before it died is a recording all the same. So blocks are not counted (compressed ones are
//! few); what counts is what lies between the holes, and only where that is next to nothing of much.

use std::fs::File;

use rustix::{fs::SeekFrom, io::Errno};

/// Below this a file costs nobody much, hole or not.
const LARGE_BYTES: u64 = 64 << 20;

/// With as much as this between its holes a file is a recording: a minute of MP3.
const WRITTEN_BYTES: u64 = 1 << 20;

/// A file is hollow where less than one byte of so many was written: of an hour of sound three seconds.
const SHARE: u64 = 1024;

/// Returns how much was written of a file of `bytes` that is nearly all hole; `None` for any other, and where the file
/// system knows no holes. Moves the file's position.
pub(super) fn hollow(file: &File, bytes: u64) -> Option<u64> {
    if bytes < LARGE_BYTES {
        return None;
    }
    let most = WRITTEN_BYTES.min(bytes / SHARE);
    let mut at = 0;
    let mut written = 0;
    // Each turn finds a block at least, so that few turns bring it to the end or to `most`.
    while at < bytes {
        let begin = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(begin) => begin,
            // Nothing but a hole from here on.
            Err(Errno::NXIO) => break,
            Err(_) => return None,
        };
        let end = match rustix::fs::seek(file, SeekFrom::Hole(begin)) {
            Ok(end) => end.max(begin + 1),
            Err(_) => return None,
        };
        written += end.min(bytes).saturating_sub(begin);
        if written >= most {
            return None;
        }
        at = end;
    }
    Some(written)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::FileExt as _};

    use super::*;

    /// A file of `bytes` with `written` bytes of sound at each of `places`.
    fn file(bytes: u64, places: &[u64], written: usize) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"ID3").expect("written");
        file.set_len(bytes).expect("as large");
        for at in places {
            file.write_all_at(&vec![7; written], *at).expect("written");
        }
        file
    }

    #[test]
    fn only_a_large_file_with_next_to_nothing_in_it_is_hollow() {
        let hollow = |bytes, places: &[u64], written| {
            hollow(&file(bytes, places, written), bytes)
                .is_some_and(|written| written < WRITTEN_BYTES)
        };
        let large = 1 << 30;
        assert!(hollow(large, &[], 0) && hollow(64 << 30, &[large, 2 * large], 4096));
        assert!(!hollow(LARGE_BYTES - 1, &[], 0), "small");
        assert!(
            !hollow(large, &[0], 2 << 20),
            "room that was reserved, and a recording at its begin"
        );
        assert!(
            !hollow(large, &(0..300).map(|at| at << 20).collect::<Vec<_>>(), 4096),
            "silence with words in it"
        );
    }
}
