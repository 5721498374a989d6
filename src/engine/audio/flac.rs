//! The place of the sound in a FLAC, and the length that its head gives.
//!
//! The decoder is not given that length: it would leave out the sound beyond it, in a file whose
//! head was written early. Files that were joined are separated by their marks.

use std::{fs::File, io, ops::Range};

use super::view::{FileView, bytes_at};

/// The begin of each FLAC: its mark, and the head of the block that must come first (RFC 9639, 8).
const MARK: [u8; 8] = *b"fLaC\0\0\0\x22";

/// Bytes of the mark and of the first block.
const HEAD: usize = 42;

/// Bytes that are searched for marks at once.
const BLOCK: usize = 1024 * 1024;

/// A FLAC in a file.
#[derive(Debug)]
pub(crate) struct Flac {
    head: Vec<u8>,
    rest: Range<u64>,
}

impl Flac {
    /// Returns a view of it that gives no length.
    pub(crate) fn to_view(&self, file: File) -> FileView {
        let mut head = self.head.clone();
        if let Some(samples) = head.get_mut(21..26) {
            samples[0] &= 0xf0;
            samples[1..].fill(0);
        }
        FileView::new(file, head, vec![self.rest.clone()])
    }

    /// Returns the length that it gives, in seconds.
    #[expect(clippy::cast_precision_loss, reason = "exact for any recording there can be")]
    pub(crate) fn stated_seconds(&self) -> Option<f64> {
        let facts = u64::from_be_bytes(self.head.get(18..26)?.try_into().ok()?);
        let rate = facts >> 44;
        let samples = facts & ((1 << 36) - 1);
        (rate > 0 && samples > 0).then(|| samples as f64 / rate as f64)
    }
}

/// Looks for the FLACs in a range of a file: one, or several that were joined.
pub(crate) fn find_flacs(file: &File, within: Range<u64>) -> io::Result<Vec<Flac>> {
    let mut begins = Vec::new();
    let mut at = within.start;
    while at < within.end {
        let bytes = bytes_at(file, at, BLOCK + MARK.len() - 1)?;
        let found = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
        begins.extend(found.map(|(offset, _)| at + offset as u64));
        at += BLOCK as u64;
    }
    let ends = begins.iter().skip(1).copied().chain([within.end]);
    let flacs = begins.iter().zip(ends).map(|(begin, end)| {
        let head = bytes_at(file, *begin, HEAD.min(usize::try_from(end - begin).unwrap_or(HEAD)))?;
        Ok(Flac { rest: begin + head.len() as u64..end, head })
    });
    flacs.collect()
}
