//! RIFF and RF64: sizes in the header that are 0 or more than there is say that a recorder has not finished. A size that
//! was never known says nothing, and one below what is there has wrapped at 4 GiB or was written early: no objection.
//!
//! Layout after Microsoft's RIFF, EBU Tech 3285 (`bext`) and 3306 (RF64).

use std::io::{self, Read, Seek};

use super::{Head, Length, Made, le32, read_at};

/// Chunks looked at: recorders write fewer than ten.
const CHUNKS_MAX: usize = 64;

/// The size in RF64 that means "see `ds64`".
const UNKNOWN: u32 = u32::MAX;

/// Sizes that a writer into a pipe puts where it cannot know one, and never comes back to: `0xFFFF_FFFF` (ffmpeg), just
/// below 2 GiB (sox: `0x7FFF_F000` and the header) or at it (`arecord`). More room than that was never seen.
const NEVER_KNOWN: [std::ops::RangeInclusive<u32>; 2] =
    [0x7fff_f000..=0x8000_00ff, 0xffff_f000..=u32::MAX];

/// A 64-bit size from here on was never known either: no disk holds as much.
const WIDE_NEVER_KNOWN: u64 = 1 << 60;

/// Some writers count the 8 bytes before the size as well; that is not a sign of more to come.
const SLACK: u64 = 8;

/// Looks at a WAV of `len` bytes.
pub(super) fn look(file: &mut (impl Read + Seek), len: u64) -> io::Result<Head> {
    let Some(head) = read_at::<12>(file, 0)? else {
        // So little is a recorder that has just begun, or nothing that can be judged.
        let begun =
            read_at::<4>(file, 0)?.is_some_and(|magic| &magic == b"RIFF" || &magic == b"RF64");
        let unfinished = begun.then_some("its header is not complete");
        return Ok(Head { unfinished, is_soundless: begun, made: None });
    };
    let wide = &head[..4] == b"RF64" || &head[..4] == b"BW64";
    if !(wide || &head[..4] == b"RIFF") || &head[8..] != b"WAVE" {
        return Ok(Head::default());
    }
    let chunks = Chunks::read(file, len)?;
    let unfinished = objection(le32(&head, 4), wide, &chunks, len);
    Ok(Head { unfinished, is_soundless: chunks.sound_bytes(len) == Some(0), made: chunks.made })
}

/// Returns how long a WAV of `len` bytes is, by its rate of bytes: as its header says, and at most, for all that follows
/// may be sound, whatever size is written there.
pub(super) fn length(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<Length>> {
    if read_at::<12>(file, 0)?.is_none_or(|head| &head[8..] != b"WAVE") {
        return Ok(None);
    }
    let chunks = Chunks::read(file, len)?;
    let (Some(format), Some((start, end))) = (chunks.format, chunks.sound_range(len)) else {
        return Ok(None);
    };
    let rate = bytes_a_second(file, format)?;
    Ok(Length::of_sizes(end.saturating_sub(start), len.saturating_sub(start), rate))
}

/// Returns the rate of bytes in the format that begins at `at`; 0 where it is not known.
pub(super) fn bytes_a_second(file: &mut (impl Read + Seek), at: u64) -> io::Result<u64> {
    let Some(format) = read_at::<16>(file, at)? else { return Ok(0) };
    let number = |at: usize| u64::from(u16::from_le_bytes([format[at], format[at + 1]]));
    if !matches!(number(0), 1 | 3 | 0xfffe) {
        return Ok(le32(&format, 8).into());
    }
    // Of plain samples the rate of bytes follows, and some writers leave it at 0. A frame that is said to be larger than its
    // samples would make the recording look shorter than a decoder finds it.
    let samples = number(2) * number(14).div_ceil(8);
    let frame = if samples == 0 { number(12) } else { number(12).min(samples) };
    Ok(u64::from(le32(&format, 4)) * frame)
}

/// Returns the contradiction between the sizes and a file of `len` bytes.
fn objection(riff: u32, wide: bool, chunks: &Chunks, len: u64) -> Option<&'static str> {
    let Some((start, narrow)) = chunks.data else { return Some("its header names no data yet") };
    let there = len.saturating_sub(start);
    let size = match (wide, narrow) {
        (true, UNKNOWN) => chunks.wide_data.filter(|size| (1..WIDE_NEVER_KNOWN).contains(size))?,
        (true | false, size) if never_known(size, there) => return None,
        (true | false, size) => u64::from(size),
    };
    if size == 0 {
        return (chunks.sound_bytes(len) != Some(0)).then_some("its header says 0 bytes");
    }
    // The pad byte after data of odd length is often left out.
    if size > there.saturating_add(1) {
        return Some("its header says more bytes than are there");
    }
    match riff {
        0 => Some("its header says 0 bytes"),
        UNKNOWN => None,
        size if never_known(size, len) => None,
        size if u64::from(size) > len.saturating_add(SLACK) => {
            Some("its header says more bytes than are there")
        }
        _ => None,
    }
}

/// Returns whether a size that is more than there is was never known.
fn never_known(size: u32, there: u64) -> bool {
    u64::from(size) > there && NEVER_KNOWN.iter().any(|sizes| sizes.contains(&size))
}

/// The chunks that matter.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    /// The offset of `data`, and its 32-bit size.
    data: Option<(u64, u32)>,
    /// The offset of a whole format chunk.
    pub(super) format: Option<u64>,
    /// The 64-bit size of `data` in `ds64`.
    wide_data: Option<u64>,
    /// True if chunks with names of letters fill the file up to its end, by their sizes.
    fill_the_file: bool,
    made: Option<Made>,
}

impl Chunks {
    pub(super) fn read(file: &mut (impl Read + Seek), len: u64) -> io::Result<Self> {
        let mut chunks = Self::default();
        let mut at = 12;
        for _ in 0..CHUNKS_MAX {
            let Some(head) = read_at::<8>(file, at)? else {
                // So little is a chunk that has just been begun; or sound, behind a header that says 0.
                chunks.fill_the_file = chunks.data.is_none();
                break;
            };
            if !head[..4].iter().all(|byte| (b' '..=b'~').contains(byte)) {
                break;
            }
            let body = at + 8;
            let size = le32(&head, 4);
            chunks.meet(file, &head[..4], body, size)?;
            let end = match (&head[..4], chunks.wide_data, size) {
                (b"data", Some(wide), UNKNOWN) => body.saturating_add(wide),
                _ => body + u64::from(size),
            };
            at = end.saturating_add(end % 2);
            if at >= len {
                chunks.fill_the_file = true;
                break;
            }
        }
        Ok(chunks)
    }

    /// Returns how many bytes of sound a file of `len` bytes holds at most; `None` where that cannot be told.
    fn sound_bytes(&self, len: u64) -> Option<u64> {
        match self.data {
            // Whatever follows is other chunks.
            Some((_, 0)) if self.fill_the_file => Some(0),
            Some((start, _)) => Some(len.saturating_sub(start)),
            None => self.fill_the_file.then_some(0),
        }
    }

    /// Returns where the sound begins and ends in a file of `len` bytes: up to the end, where its size is not to be
    /// believed.
    pub(super) fn sound_range(&self, len: u64) -> Option<(u64, u64)> {
        let (start, narrow) = self.data?;
        let size = self.wide_data.filter(|_| narrow == UNKNOWN).unwrap_or(narrow.into());
        let end = start.saturating_add(size);
        Some((start, if size == 0 || end > len { len } else { end }))
    }

    fn meet(
        &mut self,
        file: &mut (impl Read + Seek),
        id: &[u8],
        body: u64,
        size: u32,
    ) -> io::Result<()> {
        match id {
            b"data" if self.data.is_none() => self.data = Some((body, size)),
            b"fmt " if size >= 16 => self.format = Some(body),
            b"ds64" => {
                let bytes = read_at::<8>(file, body + 8)?;
                self.wide_data = bytes.map(u64::from_le_bytes);
            }
            // OriginationDate `yyyy-mm-dd` and OriginationTime `hh:mm:ss` (or with `_`, `:`, `/`, `.` or a space, as EBU
            // Tech 3285 allows) follow 256 + 32 + 32 bytes of text.
            b"bext" if size >= 338 => {
                let text = read_at::<18>(file, body + 320)?;
                self.made = text.and_then(|text| date(&text)).or(self.made);
            }
            b"LIST" => self.made = self.made.or(creation_date(file, body, size)?),
            _ => {}
        }
        Ok(())
    }
}

/// `ICRD` of a `LIST` of kind `INFO`: `2026-11-22`, sometimes with a time.
fn creation_date(file: &mut (impl Read + Seek), body: u64, size: u32) -> io::Result<Option<Made>> {
    if read_at::<4>(file, body)? != Some(*b"INFO") {
        return Ok(None);
    }
    let end = body + u64::from(size);
    let mut at = body + 4;
    for _ in 0..CHUNKS_MAX {
        let Some(head) = read_at::<8>(file, at)? else { break };
        let size = u64::from(le32(&head, 4));
        if at >= end {
            break;
        }
        if &head[..4] == b"ICRD" {
            // With a time, and with an offset behind it.
            if let Some(text) = read_at::<25>(file, at + 8)?.filter(|_| size >= 25) {
                return Ok(date(&text));
            }
            if let Some(text) = read_at::<19>(file, at + 8)?.filter(|_| size >= 19) {
                return Ok(date(&text));
            }
            return Ok(read_at::<10>(file, at + 8)?
                .filter(|_| size >= 10)
                .and_then(|text| date(&text)));
        }
        at += 8 + size + size % 2;
    }
    Ok(None)
}

fn date(text: &[u8]) -> Option<Made> {
    crate::watch::date::in_text(text)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use super::*;

    /// A WAV whose header says `riff` and `data`, with `there` bytes of sound.
    fn wav(riff: u32, data: u32, there: usize) -> Vec<u8> {
        let mut bytes =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data"
                .to_vec();
        bytes[4..8].copy_from_slice(&riff.to_le_bytes());
        bytes.extend(data.to_le_bytes());
        bytes.extend(vec![7; there]);
        bytes
    }

    fn look(bytes: &[u8]) -> Head {
        super::look(&mut Cursor::new(bytes), bytes.len() as u64).expect("readable")
    }

    #[test]
    fn a_size_in_the_header_makes_no_recording_shorter_than_its_bytes() {
        // 16,000 bytes a second.
        let length = |bytes: &[u8]| {
            let found =
                super::length(&mut Cursor::new(bytes), bytes.len() as u64).expect("readable");
            found.map(|length| [length.stated, length.most].map(|length| length.as_millis()))
        };
        for (size, stated) in
            [(32_000, 2_000), (16_000, 1_000), (16, 1), (0, 2_000), (u32::MAX, 2_000)]
        {
            assert_eq!(length(&wav(36 + 16_000, size, 32_000)), Some([stated, 2_000]), "{size}");
        }
        let mut wide = b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0".to_vec();
        wide.extend([0; 8]);
        wide.extend(16_000_u64.to_le_bytes());
        wide.extend([0; 12]);
        wide.extend(&wav(u32::MAX, u32::MAX, 32_000)[12..]);
        assert_eq!(length(&wide), Some([1_000, 2_000]));
        // A frame of 65,535 bytes, of one sample of 16 bits.
        let mut large = wav(36 + 16_000, 16_000, 32_000);
        large[32..34].fill(0xff);
        assert_eq!(length(&large), Some([1_000, 2_000]));
    }

    #[test]
    fn a_finished_wav_is_no_objection() {
        assert_eq!(look(&wav(36 + 100, 100, 100)).unfinished, None);
        assert_eq!(look(&wav(36 + 101, 101, 101)).unfinished, None);
        assert_eq!(
            look(&wav(44 + 100, 100, 100)).unfinished,
            None,
            "a size that counts the whole file"
        );
        assert_eq!(look(b"ID3 this is no wav at all").unfinished, None);
    }

    #[test]
    fn sizes_of_0_or_more_than_there_is_are_unfinished() {
        for (riff, data) in [(0, 0), (36, 0), (36 + 200, 200), (0, 100), (1 << 30, 100)] {
            assert!(look(&wav(riff, data, 100)).unfinished.is_some(), "{riff} {data}");
        }
        assert!(look(b"RIFF").unfinished.is_some());
        assert!(look(&wav(36, 0, 0)[..20]).unfinished.is_some());
    }

    #[test]
    fn a_size_that_was_never_known_or_is_too_small_says_nothing() {
        let never = [
            u32::MAX,
            0xffff_ff00,
            0x7fff_f000,
            0x7fff_f024,
            0x7fff_fff8,
            i32::MAX.cast_unsigned(),
            1 << 31,
        ];
        for size in never {
            for riff in [size, 36 + 100] {
                assert_eq!(look(&wav(riff, size, 100)), Head::default(), "{riff:#x} {size:#x}");
            }
        }
        for size in [1, 50, 99] {
            assert_eq!(
                look(&wav(36 + size, size, 100)),
                Head::default(),
                "wrapped, or written early"
            );
        }
        for size in [0x7000_0000, 0x9000_0000] {
            assert!(look(&wav(36, size, 100)).unfinished.is_some(), "{size:#x} is a size");
        }
    }

    #[test]
    fn a_header_with_nothing_behind_it_holds_no_sound() {
        for size in [0, u32::MAX, 0x7fff_f000] {
            let head = look(&wav(size.saturating_add(36), size, 0));
            assert_eq!((head.unfinished, head.is_soundless), (None, true), "{size:#x}");
        }
        let promised = look(&wav(36 + 200, 200, 0));
        assert!(
            promised.is_soundless && promised.unfinished.is_some(),
            "a recorder may still write what it has promised"
        );
        let with_tags = [wav(36 + 18, 0, 0), b"LIST\x0a\0\0\0INFOISFT\0\0".to_vec()].concat();
        assert!(look(&with_tags).is_soundless, "tags are no sound");
        for cut in 4..44 {
            let head = look(&wav(36, 0, 0)[..cut]);
            assert!(head.is_soundless && head.unfinished.is_some(), "{cut}");
        }
        for there in [1, 100] {
            assert!(!look(&wav(36, 0, there)).is_soundless, "sound of a recorder that is at work");
        }
    }

    #[test]
    fn a_wide_header_that_was_never_filled_in_says_nothing() {
        for size in [0, u64::MAX, 1 << 62] {
            let mut bytes = b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0".to_vec();
            bytes.extend([0; 8]);
            bytes.extend(size.to_le_bytes());
            bytes.extend([0; 12]);
            bytes.extend(b"data\xff\xff\xff\xff");
            assert_eq!(look(&[&bytes[..], &[7; 100]].concat()), Head::default(), "{size}");
            assert!(look(&bytes).is_soundless);
        }
    }

    #[test]
    fn a_wide_header_tells_the_size_elsewhere() {
        let mut bytes = b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0".to_vec();
        bytes.extend(172u64.to_le_bytes());
        bytes.extend(100u64.to_le_bytes());
        bytes.extend([0; 12]);
        bytes.extend(b"data\xff\xff\xff\xff");
        bytes.extend([7; 100]);
        assert_eq!(look(&bytes).unfinished, None);
        assert!(look(&bytes[..bytes.len() - 50]).unfinished.is_some());
    }

    #[test]
    fn the_date_comes_from_bext_or_from_the_list() {
        let mut bext = b"RIFF\0\0\0\0WAVEbext".to_vec();
        bext.extend(602u32.to_le_bytes());
        bext.extend([b' '; 320]);
        bext.extend(b"2026-11-2209:00:05");
        bext.extend(vec![0; 602 - 338]);
        assert_eq!(
            look(&bext).made,
            Some(Made::Local(jiff::civil::datetime(2026, 11, 22, 9, 0, 5, 0)))
        );
        for separator in "_:/. ".chars() {
            for text in ["2026-11-22", "09-00-05"]
                .map(|text| text.replace('-', &separator.to_string()))
                .windows(2)
            {
                let at = bext.len() - (602 - 320);
                bext[at..at + 18].copy_from_slice(text.concat().as_bytes());
            }
            let expected = Made::Local(jiff::civil::datetime(2026, 11, 22, 9, 0, 5, 0));
            assert_eq!(look(&bext).made, Some(expected), "{separator}");
        }
        let list = b"RIFF\0\0\0\0WAVELIST\x16\0\0\0INFOICRD\x0a\0\0\x002026-11-22";
        assert_eq!(look(list).made, Some(Made::On(jiff::civil::date(2026, 11, 22))));
    }
}
