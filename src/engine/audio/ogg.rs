//! Detection of an Ogg file that breaks off.

use std::{fs::File, io};

use super::view::bytes_at;

/// Bytes at the end in which the last page lies: a page has 65,307 at most (RFC 3533, 6).
const TAIL: u64 = 128 * 1024;

/// Bytes of the head of a page, without its list of segments.
const HEAD: usize = 27;

/// The bit of the last page of a stream.
const IS_LAST: u8 = 4;

/// Returns whether the last page is missing or cut off.
pub(crate) fn breaks_off(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let tail =
        bytes_at(file, length.saturating_sub(TAIL), usize::try_from(TAIL).unwrap_or_default())?;
    let Some(page) = tail.windows(4).rposition(|mark| mark == b"OggS").map(|at| &tail[at..]) else {
        return Ok(true);
    };
    let Some(head) = page.get(..HEAD) else { return Ok(true) };
    let segments = usize::from(head[HEAD - 1]);
    let Some(lacing) = page.get(HEAD..HEAD + segments) else { return Ok(true) };
    let size = HEAD + segments + lacing.iter().map(|length| usize::from(*length)).sum::<usize>();
    Ok(head[5] & IS_LAST == 0 || page.len() < size)
}
