//! A recording as its decoder is to see it: some bytes in front, then parts of the file.
//!
//! A header that lies, tags, and what one file was joined to are taken care of here, in front of
//! the decoder, which then sees one sound recording without any of it.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    os::unix::fs::FileExt as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use symphonia::core::io::MediaSource;

/// Bytes in front and ranges of a file, one after the other. Reading does not move the file's own
/// position.
#[derive(Debug)]
pub(crate) struct FileView {
    file: File,
    front: Vec<u8>,
    ranges: Vec<Range<u64>>,
    position: u64,
    is_seekable: bool,
    claimed: u64,
    reached: ReadPosition,
}

/// The read position of a [`FileView`], for the code that gave the view away.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadPosition(Arc<AtomicU64>);

impl ReadPosition {
    /// Returns one past the last byte that was read.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl FileView {
    /// Returns a view of `front` followed by `ranges` of `file`.
    pub(crate) fn new(file: File, front: Vec<u8>, ranges: Vec<Range<u64>>) -> Self {
        let ranges = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        Self {
            file,
            front,
            ranges,
            position: 0,
            is_seekable: true,
            claimed: 0,
            reached: ReadPosition::default(),
        }
    }

    /// Returns a view of one range of `file`.
    pub(crate) fn of_range(file: File, range: Range<u64>) -> Self {
        Self::new(file, Vec::new(), vec![range])
    }

    /// Returns the same as a stream: a reader would find no index at the end of a file that was cut
    /// off.
    pub(crate) fn into_stream(self) -> Self {
        Self { is_seekable: false, ..self }
    }

    /// Returns the same with a claimed length: a reader of a file that was cut off finds that out
    /// at its end.
    pub(crate) fn claiming_length(self, length: u64) -> Self {
        Self { claimed: length, ..self }
    }

    /// Returns the shared read position.
    pub(crate) fn read_position(&self) -> ReadPosition {
        self.reached.clone()
    }

    /// Returns the number of bytes, or the claimed length if that is larger.
    pub(crate) fn len(&self) -> u64 {
        let own = self.front.len() as u64
            + self.ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        own.max(self.claimed)
    }

    /// Returns where in the file the byte at `position` of the view lies, and how many follow in
    /// one piece.
    fn locate_byte(&self, position: u64) -> Option<(u64, u64)> {
        let mut left = position - self.front.len() as u64;
        for range in &self.ranges {
            let length = range.end - range.start;
            if left < length {
                return Some((range.start + left, length - left));
            }
            left -= length;
        }
        None
    }
}

impl Read for FileView {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let in_front = usize::try_from(self.position)
            .ok()
            .and_then(|at| self.front.get(at..))
            .unwrap_or_default();
        let read = if in_front.is_empty() {
            let Some((place, length)) = self.locate_byte(self.position) else { return Ok(0) };
            let wanted = buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            self.file.read_at(&mut buffer[..wanted], place)?
        } else {
            let wanted = buffer.len().min(in_front.len());
            buffer[..wanted].copy_from_slice(&in_front[..wanted]);
            wanted
        };
        self.position += read as u64;
        self.reached.0.fetch_max(self.position, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for FileView {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl MediaSource for FileView {
    fn is_seekable(&self) -> bool {
        self.is_seekable
    }

    fn byte_len(&self) -> Option<u64> {
        self.is_seekable.then(|| self.len())
    }
}

/// Reads up to `length` bytes at `place` of a file; fewer at its end.
pub(crate) fn bytes_at(file: &File, place: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut read = 0;
    while read < length {
        match file.read_at(&mut bytes[read..], place + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn ranges_are_read_as_one_file_from_anywhere() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"0123456789").expect("written");
        let mut view = FileView::new(file, b"ab".to_vec(), vec![1..3, 5..5, 7..9]);
        let mut all = Vec::new();
        view.read_to_end(&mut all).expect("read");
        assert_eq!(
            (all.as_slice(), view.len(), view.read_position().bytes_read()),
            (&b"ab1278"[..], 6, 6)
        );
        for from in 0..6 {
            let mut rest = Vec::new();
            view.seek(SeekFrom::Start(from)).expect("sought");
            view.read_to_end(&mut rest).expect("read");
            assert_eq!(rest, all[usize::try_from(from).expect("small")..]);
        }
    }
}
