//! The place of the sound in a WAV, whether its sizes are right or not.
//!
//! Sizes are written last, so they are wrong in every way: 0 when the recorder died, the largest
//! number when it wrote into a pipe, the size so far when it wrote them early, and a remainder
//! where 32 bits were too few. The bytes behind the sound decide: chunks explain the rest of a
//! file, or they do not, and then the rest is sound.

use std::{fs::File, io, ops::Range};

use super::{
    tags,
    view::{FileView, bytes_at},
};

/// Bytes of a description of the sound at most: 40 are usual.
const FORMAT_MAX: u32 = 64 * 1024;

/// Chunks of a file that are looked at: a file with more is no recording.
const CHUNKS_MAX: usize = 10_000;

/// Chunks that explain what follows the sound (RIFF, BWF, and what recorders and editors add).
const CHUNKS: [&[u8; 4]; 40] = [
    b"LIST", b"list", b"id3 ", b"ID3 ", b"bext", b"iXML", b"ixml", b"cue ", b"smpl", b"inst",
    b"fact", b"PEAK", b"JUNK", b"junk", b"PAD ", b"FLLR", b"DISP", b"levl", b"afsp", b"axml",
    b"minf", b"elm1", b"regn", b"umid", b"r64m", b"cart", b"chna", b"dbmd", b"ResU", b"SAUR",
    b"SNDM", b"_PMX", b"wavl", b"slnt", b"plst", b"note", b"labl", b"strc", b"acid", b"qlty",
];

/// The sound of a WAV.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Wav {
    /// The parts in order: a second one where files were joined that are not alike.
    pub(crate) parts: Vec<WavPart>,
    /// Bytes of sound that the header promises and that are not there.
    pub(crate) missing: u64,
}

/// Sound of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct WavPart {
    /// The content of the chunk `fmt `.
    format: Vec<u8>,
    ranges: Vec<Range<u64>>,
}

impl WavPart {
    /// Returns how many bytes of sound there are.
    pub(crate) fn byte_count(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// Returns the length of `bytes` of it in seconds; `None` where the file does not give it.
    #[expect(clippy::cast_precision_loss, reason = "exact for any recording there can be")]
    pub(crate) fn seconds_of(&self, bytes: u64) -> Option<f64> {
        let rate = u32::from_le_bytes(self.format.get(8..12)?.try_into().ok()?);
        (rate > 0).then(|| bytes as f64 / f64::from(rate))
    }

    /// Returns whether the file does not say which channel is where, though there are more than
    /// two.
    pub(crate) fn is_without_places(&self) -> bool {
        const EXTENSIBLE: [u8; 2] = [0xfe, 0xff];
        let channels =
            self.format.get(2..4).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
        channels > 2 && !self.format.starts_with(&EXTENSIBLE)
    }

    /// Returns a view of it as a WAV whose sizes are right.
    pub(crate) fn to_view(&self, file: File) -> FileView {
        let long = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
        let padded = self.format.len() + self.format.len() % 2;
        let mut format = self.format.clone();
        format.resize(padded, 0);
        let sound = long(self.byte_count());
        let all = long(self.byte_count().saturating_add(20 + padded as u64));
        let front = [
            b"RIFF",
            &all[..],
            b"WAVEfmt ",
            &long(self.format.len() as u64),
            &format,
            b"data",
            &sound,
        ]
        .concat();
        FileView::new(file, front, self.ranges.clone())
    }

    /// Returns whether its length does not fit into the header of [`Self::to_view`].
    pub(crate) fn is_endless(&self) -> bool {
        u32::try_from(self.byte_count().saturating_add(64 * 1024)).is_err()
    }
}

/// Looks where the sound lies in `within`, a range of `file` that begins with the header of a WAV.
pub(crate) fn find_sound(file: &File, within: Range<u64>) -> io::Result<Wav> {
    let mut wav = Wav::default();
    let mut part = WavPart::default();
    let mut long_size = None;
    let mut at = within.start + 12;
    for _ in 0..CHUNKS_MAX {
        let Some(chunk) = WavChunk::read_head(file, at, within.end)? else { break };
        let mut next = chunk.next();
        match &chunk.name {
            b"ds64" => {
                let bytes = bytes_at(file, chunk.body + 8, 8)?;
                long_size = bytes.try_into().ok().map(u64::from_le_bytes);
            }
            b"fmt " if chunk.length <= FORMAT_MAX => {
                let format = bytes_at(file, chunk.body, chunk.length as usize)?;
                if format != part.format && !part.ranges.is_empty() {
                    wav.parts.push(std::mem::take(&mut part));
                }
                part.format = format;
            }
            b"data" => {
                let stated = if chunk.length == u32::MAX { long_size.take() } else { None };
                let end = end_of_sound(file, &chunk, stated, within.end)?;
                part.ranges.push(chunk.body..end);
                wav.missing = missing_bytes(&chunk, stated, within.end);
                next = end + (end - chunk.body) % 2;
            }
            // Files that were joined: the next one begins here.
            b"RIFF" | b"RF64" | b"BW64" if bytes_at(file, chunk.body, 4)? == b"WAVE" => {
                next = chunk.body + 4;
            }
            _ => {}
        }
        at = next;
    }
    wav.parts.extend((!part.ranges.is_empty()).then_some(part));
    wav.parts.retain(|part| part.byte_count() > 0);
    Ok(wav)
}

/// The head of a chunk.
#[derive(Debug)]
struct WavChunk {
    name: [u8; 4],
    length: u32,
    body: u64,
}

impl WavChunk {
    fn read_head(file: &File, at: u64, end: u64) -> io::Result<Option<Self>> {
        if at.saturating_add(8) > end {
            return Ok(None);
        }
        let head = bytes_at(file, at, 8)?;
        let [a, b, c, d, length @ ..] = head.as_slice() else { return Ok(None) };
        let Ok(length) = length.try_into() else { return Ok(None) };
        Ok(Some(Self { name: [*a, *b, *c, *d], length: u32::from_le_bytes(length), body: at + 8 }))
    }

    fn next(&self) -> u64 {
        self.body + u64::from(self.length) + u64::from(self.length % 2)
    }
}

/// Returns whether a size is none: what is written into a pipe has the largest number, or the
/// largest that is positive, less what the program takes for its header.
fn is_unknown(size: u32) -> bool {
    size >= 0xffff_0000 || (0x7fff_0000..=0x8000_0000).contains(&size)
}

/// Returns the end of the sound that begins with `chunk`; `stated` is its size in 64 bits.
fn end_of_sound(file: &File, chunk: &WavChunk, stated: Option<u64>, end: u64) -> io::Result<u64> {
    const WRAP: u64 = 1 << 32;
    let known = stated.filter(|size| *size > 0 && *size <= end - chunk.body);
    if known.is_none()
        && chunk.length > 0
        && is_unknown(chunk.length)
        && chunk.body + u64::from(chunk.length) > end
    {
        return Ok(end);
    }
    let mut sound = chunk.body.saturating_add(known.unwrap_or(u64::from(chunk.length)));
    while sound <= end {
        if is_explained(file, sound, (sound - chunk.body) % 2, end)? {
            return Ok(sound);
        }
        sound = sound.saturating_add(WRAP);
    }
    Ok(end)
}

/// Returns how many bytes of the sound are not there.
fn missing_bytes(chunk: &WavChunk, stated: Option<u64>, end: u64) -> u64 {
    let size = match stated {
        Some(size) => size,
        None if is_unknown(chunk.length) => 0,
        None => u64::from(chunk.length),
    };
    // A size in 64 bits can be nonsense, too.
    if size > 1 << 48 { 0 } else { size.saturating_sub(end - chunk.body) }
}

/// Returns whether chunks explain all that lies between `from` and `end`.
fn is_explained(file: &File, from: u64, padding: u64, end: u64) -> io::Result<bool> {
    if end - from < 8 {
        return Ok(true);
    }
    Ok(is_chain(file, from + padding, end)? || (padding > 0 && is_chain(file, from, end)?))
}

fn is_chain(file: &File, mut at: u64, end: u64) -> io::Result<bool> {
    for _ in 0..CHUNKS_MAX {
        let Some(chunk) = WavChunk::read_head(file, at, end)? else { return Ok(true) };
        match &chunk.name {
            // More sound, or another file: its own sizes are looked at when it is its turn.
            b"data" | b"RIFF" | b"RF64" | b"BW64" | b"fmt " => return Ok(true),
            name if CHUNKS.contains(&name) => at = chunk.next(),
            _ => match tags::tag_length(&bytes_at(file, at, tags::HEAD)?) {
                Some(length) => at += length,
                None => return Ok(false),
            },
        }
        if at > end + 1 {
            return Ok(false);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::FileExt as _};

    use proptest::prelude::*;

    use super::*;

    /// A file of `length` bytes that is a header and then nothing but silence, which takes no room
    /// on the disk.
    fn sparse(data: u32, length: u64) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        let format = [1, 0, 1, 0, 0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0, 2, 0, 16, 0];
        let head = [
            b"RIFF",
            &data.to_le_bytes()[..],
            b"WAVEfmt \x10\0\0\0",
            &format,
            b"data",
            &data.to_le_bytes(),
        ];
        file.write_all(&head.concat()).expect("written");
        file.set_len(length).expect("made longer");
        file
    }

    #[test]
    fn sizes_that_have_wrapped_at_4_gib_are_unwrapped() {
        const WRAP: u64 = 1 << 32;
        for wraps in 1..4 {
            let end = 44 + wraps * WRAP + 1_000;
            let file = sparse(1_000, end);
            assert_eq!(
                find_sound(&file, 0..end).expect("read").parts[0].ranges,
                [Range { start: 44, end }],
                "{wraps}"
            );
            // A chunk behind the sound is none of it.
            let list = b"LIST\x04\0\0\0INFO";
            file.write_at(list, end).expect("written");
            let whole = end + list.len() as u64;
            assert_eq!(
                find_sound(&file, 0..whole).expect("read").parts[0].ranges,
                [Range { start: 44, end }],
                "{wraps}"
            );
        }
        let end = 44 + WRAP + 77_000;
        let found = find_sound(&sparse(3_000, end), 0..end).expect("read");
        assert_eq!(found.parts[0].byte_count(), WRAP + 77_000, "a size that fits nowhere");
        assert!(found.parts[0].is_endless() && found.missing == 0);
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn whatever_a_header_says_the_sound_lies_in_the_file(
            sizes in prop::collection::vec(prop_oneof![any::<u32>(), 0_u32..200, Just(u32::MAX)], 4),
            tail in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut file = tempfile::tempfile().expect("a file");
            let size = |at: usize| sizes[at].to_le_bytes();
            let chunks = [&b"RF64"[..], &size(0), b"WAVEds64", &size(1), &[0xff; 28], b"fmt ", &16_u32.to_le_bytes(), &[1; 16]];
            let bytes = [&chunks.concat()[..], b"data", &size(2), &tail, b"data", &size(3), &tail].concat();
            file.write_all(&bytes).expect("written");
            let end = bytes.len() as u64;
            for part in find_sound(&file, 0..end).expect("read").parts {
                prop_assert!(part.ranges.iter().all(|range| range.start <= range.end && range.end <= end), "{:?}", part);
            }
        }
    }
}
