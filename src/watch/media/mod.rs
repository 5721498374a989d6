//! A look at the head of a recording: is it visibly still being written, and when was it made?
//!
//! Hostile input: every read is bounded, nothing is allocated by a number that the file says, and whatever cannot be
//! understood is no objection.

mod mp4;
mod wav;

use std::io::{self, Read, Seek, SeekFrom};

use jiff::{Timestamp, civil::DateTime};

/// What the head of a recording tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Why it looks unfinished, when it does.
    pub unfinished: Option<&'static str>,
    /// When it was made, as its container says.
    pub made: Option<Made>,
}

/// A container's own date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// A moment in universal time.
    At(Timestamp),
    /// A date and time of wherever the recorder was.
    Local(DateTime),
    /// A date alone.
    On(jiff::civil::Date),
}

/// Looks at the head of a file of so many bytes. It fails when the file cannot be read; what the file says is never an
/// error.
pub type Parser<F> = fn(&mut F, u64) -> io::Result<Head>;

/// Returns what can parse a head, by the extension in lower case; `None` where nobody looks.
pub fn parser<F: Read + Seek>(extension: &str) -> Option<Parser<F>> {
    match extension {
        "wav" | "wave" | "bwf" | "w64" => Some(wav::look),
        "mp4" | "m4a" | "m4b" | "m4r" | "m4v" | "f4v" | "mov" | "qt" | "qta" | "3gp" | "3gpp" | "3g2" => {
            Some(mp4::look)
        }
        _ => None,
    }
}

/// Reads exactly `N` bytes at `offset`; `None` when the file ends before.
fn read_at<const N: usize>(file: &mut (impl Read + Seek), offset: u64) -> io::Result<Option<[u8; N]>> {
    if i64::try_from(offset).is_err() {
        // No file reaches so far, and the kernel would call it an error.
        return Ok(None);
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = [0; N];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The big-endian or little-endian number in the `N` bytes of `bytes` from `at`.
fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
                                  start in 0usize..4, extension in 0usize..2) {
            let starts: [&[u8]; 4] = [b"RIFF\0\0\0\0WAVE", b"RF64\xff\xff\xff\xffWAVEds64", b"\0\0\0\x08ftyp\0\0\0\x40moov", b""];
            let len = starts[start].len().min(bytes.len());
            bytes[..len].copy_from_slice(&starts[start][..len]);
            let len = bytes.len() as u64;
            let parser = parser(["wav", "mp4"][extension]).expect("known");
            parser(&mut Cursor::new(bytes), len).expect("readable");
        }
    }
}
