//! Reading a few bytes here and there of a file that somebody else reads from end to end.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
};

use super::Obscure;

/// Bytes read ahead: a table is read in order, and the heads of blocks lie near to each other.
const BUFFER: usize = 4096;

/// Bytes that can be read at any place, whoever else reads them.
pub trait ReadAt {
    /// Reads up to as many bytes as `buffer` holds from `at`; 0 at the end.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, at)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// A place in a file with a little of what follows.
pub(super) struct Window<'f> {
    file: &'f dyn ReadAt,
    buffer: Vec<u8>,
    /// The offset of the buffer in the file.
    from: u64,
    position: u64,
}

impl<'f> Window<'f> {
    pub(super) fn new(file: &'f dyn ReadAt) -> Self {
        Self { file, buffer: Vec::new(), from: 0, position: 0 }
    }

    /// Returns another window on the same file.
    pub(super) fn another(&self) -> Self {
        Self::new(self.file)
    }

    /// Returns exactly so many bytes from `at`. The caller sees to it that they are few.
    pub(super) fn bytes(&mut self, at: u64, count: usize) -> Result<Vec<u8>, Obscure> {
        self.seek(SeekFrom::Start(at))?;
        let mut bytes = vec![0; count];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.resize(BUFFER, 0);
        self.from = self.position;
        let count = loop {
            match self.file.read_at(&mut self.buffer, self.position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(count.as_ref().copied().unwrap_or(0));
        count.map(drop)
    }

    /// The content of the buffer from the position on.
    fn held(&self) -> &[u8] {
        let skip = self.position.checked_sub(self.from).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.buffer.get(skip..)).unwrap_or_default()
    }
}

impl Read for Window<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.held().is_empty() && !out.is_empty() {
            self.fill()?;
        }
        let held = self.held();
        let count = held.len().min(out.len());
        out[..count].copy_from_slice(&held[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        if i64::try_from(at).is_err() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.position = at;
        Ok(at)
    }
}
