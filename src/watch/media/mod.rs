//! A look at the head of a recording: is it visibly still being written, and when was it made?
//!
//! Hostile input: every read is bounded, nothing is allocated by a number that the file says, and whatever cannot be
//! understood is no objection.

pub(crate) mod estimate;
mod flac;
mod matroska;
mod mp4;
mod ogg;
mod samples;
pub(crate) mod sound;
mod transport;
mod wav;

use std::{
    io::{self, Read, Seek, SeekFrom},
    time::Duration,
};

use jiff::{Timestamp, civil::DateTime};

/// The facts in the head of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// The reason why it looks unfinished, if it does.
    pub unfinished: Option<&'static str>,
    /// True if it surely holds no sound now: no sound track, or nothing behind the header.
    pub is_soundless: bool,
    /// The time at which it was made, by its container.
    pub made: Option<Made>,
}

/// A container's own date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// A moment in universal time.
    At(Timestamp),
    /// A date and time of wherever the recorder was.
    Local(DateTime),
    /// A date alone.
    On(jiff::civil::Date),
}

/// Looks at the head of a file of `len` bytes. Its first bytes say what it is, never its name.
///
/// # Errors
/// When the file cannot be read; what the file says is never an error.
pub(crate) fn look(file: &mut (impl Read + Seek), len: u64) -> io::Result<Head> {
    let (head, _) = read_up_to::<8>(file, 0)?;
    match &head[..4] {
        b"RIFF" | b"RF64" | b"BW64" => wav::look(file, len),
        b"\x1a\x45\xdf\xa3" => matroska::look(file, len),
        b"OggS" => ogg::look(file, len),
        b"fLaC" => flac::look(file, len),
        _ if head.starts_with(b"ID3") => flac::look(file, len),
        _ if mp4::BEGINNINGS.iter().any(|kind| head[4..] == **kind) => mp4::look(file, len),
        _ => transport::look(file, len),
    }
}

/// The length of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length {
    /// As its container says.
    pub stated: Duration,
    /// At most: as its rate makes of all its bytes, where that is more. A header may lie, and decoders read on.
    pub most: Duration,
}

impl Length {
    /// Returns the length of samples that are said to be `stated` bytes, of `there` bytes that may be samples.
    fn of_sizes(stated: u64, there: u64, bytes_a_second: u64) -> Option<Self> {
        let most = span(there, bytes_a_second)?;
        Some(Self { stated: span(stated, bytes_a_second).unwrap_or(most), most })
    }
}

impl From<Duration> for Length {
    fn from(stated: Duration) -> Self {
        Self { stated, most: stated }
    }
}

/// Returns how long a recording of `len` bytes is, as its container says and as its rate makes of its bytes; `None` where
/// neither is known without reading all of it, as of MP3.
///
/// # Errors
/// When the file cannot be read; what the file says is never an error.
pub(crate) fn length(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<Length>> {
    let (head, _) = read_up_to::<8>(file, 0)?;
    let stated = match &head[..4] {
        b"RIFF" | b"RF64" | b"BW64" => return wav::length(file, len),
        b"FORM" => return samples::length_of_aiff(file, len),
        b".snd" => return samples::length_of_au(file, len),
        b"riff" => return samples::length_of_w64(file, len),
        b"\x1a\x45\xdf\xa3" => matroska::length(file, len)?,
        b"OggS" => ogg::length(file, len)?,
        b"fLaC" => flac::length(file, len)?,
        _ if head.starts_with(b"ID3") => flac::length(file, len)?,
        _ if mp4::BEGINNINGS.iter().any(|kind| head[4..] == **kind) => mp4::length(file, len)?,
        _ => None,
    };
    Ok(stated.map(Length::from))
}

/// Returns how long so many units are, of which a second has `rate`; `None` for none of either.
fn span(units: u64, rate: u64) -> Option<Duration> {
    if units == 0 || rate == 0 {
        return None;
    }
    let ms = u128::from(units) * 1000 / u128::from(rate);
    Some(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
}

/// Reads exactly `N` bytes at `offset`; `None` when the file ends before.
fn read_at<const N: usize>(
    file: &mut (impl Read + Seek),
    offset: u64,
) -> io::Result<Option<[u8; N]>> {
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

/// Reads up to `N` bytes at `offset`; returns them, with zeros behind, and how many there are.
fn read_up_to<const N: usize>(
    file: &mut (impl Read + Seek),
    offset: u64,
) -> io::Result<([u8; N], usize)> {
    let mut bytes = [0; N];
    if i64::try_from(offset).is_err() {
        return Ok((bytes, 0));
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut count = 0;
    while count < N {
        match file.read(&mut bytes[count..]) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((bytes, count))
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
                                  start in 0usize..12) {
            let starts: [&[u8]; 12] = [
                b"FORM\0\0\0\0AIFFCOMM\0\0\0\x12",
                b".snd\0\0\0\x18",
                samples::W64_BEGIN,
                b"RIFF\0\0\0\0WAVE",
                b"RF64\xff\xff\xff\xffWAVEds64",
                b"\0\0\0\x08ftyp\0\0\0\x40moov",
                b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff\x16\x54\xae\x6b",
                b"OggS\0\x02",
                b"fLaC\x80\0\0\x22",
                b"ID3\x04\0\0\0\0\0\0fLaC",
                b"G",
                b"",
            ];
            let len = starts[start].len().min(bytes.len());
            bytes[..len].copy_from_slice(&starts[start][..len]);
            let len = bytes.len() as u64;
            look(&mut Cursor::new(&bytes), len).expect("readable");
            length(&mut Cursor::new(bytes), len).expect("readable");
        }
    }
}
