//! RIFF and RF64: sizes in the header that are 0 or more than there is say that a recorder has not finished.
//!
//! Layout after Microsoft's RIFF, EBU Tech 3285 (`bext`) and 3306 (RF64).

use std::io::{self, Read, Seek};

use super::{Head, Made, le32, read_at};

/// Chunks looked at: recorders write fewer than ten.
const CHUNKS_MAX: usize = 64;

/// What a writer that cannot know the size yet puts into a 32-bit field; in RF64 it means "see `ds64`".
const UNKNOWN: u32 = u32::MAX;

/// Some writers count the 8 bytes before the size as well; that is not a sign of more to come.
const SLACK: u64 = 8;

/// Looks at a WAV of `len` bytes.
pub(super) fn look(file: &mut (impl Read + Seek), len: u64) -> io::Result<Head> {
    let Some(head) = read_at::<12>(file, 0)? else {
        // So little is a recorder that has just begun, or nothing that can be judged.
        let begun = read_at::<4>(file, 0)?.is_some_and(|magic| &magic == b"RIFF" || &magic == b"RF64");
        return Ok(Head { unfinished: begun.then_some("its header is not complete"), made: None });
    };
    let wide = &head[..4] == b"RF64" || &head[..4] == b"BW64";
    if !(wide || &head[..4] == b"RIFF") || &head[8..] != b"WAVE" {
        return Ok(Head::default());
    }
    let chunks = Chunks::read(file, len)?;
    Ok(Head { unfinished: objection(le32(&head, 4), wide, &chunks, len), made: chunks.made })
}

/// What the sizes say against a file of `len` bytes.
fn objection(riff: u32, wide: bool, chunks: &Chunks, len: u64) -> Option<&'static str> {
    let Some((start, narrow)) = chunks.data else { return Some("its header names no data yet") };
    let there = len.saturating_sub(start);
    let size = match (wide, narrow) {
        (true, UNKNOWN) => chunks.wide_data.unwrap_or(0),
        (false, UNKNOWN) => return Some("its header says that the size is not known yet"),
        (true | false, size) => u64::from(size),
    };
    if size == 0 {
        return Some("its header says 0 bytes");
    }
    // The pad byte after data of odd length is often left out.
    if size > there.saturating_add(1) {
        return Some("its header says more bytes than are there");
    }
    match riff {
        0 => Some("its header says 0 bytes"),
        UNKNOWN if !wide => Some("its header says that the size is not known yet"),
        UNKNOWN => None,
        size if u64::from(size) > len.saturating_add(SLACK) => Some("its header says more bytes than are there"),
        _ => None,
    }
}

/// The chunks that matter.
#[derive(Debug, Default)]
struct Chunks {
    /// Where `data` begins, and its 32-bit size.
    data: Option<(u64, u32)>,
    /// The 64-bit size of `data` in `ds64`.
    wide_data: Option<u64>,
    made: Option<Made>,
}

impl Chunks {
    fn read(file: &mut (impl Read + Seek), len: u64) -> io::Result<Self> {
        let mut chunks = Self::default();
        let mut at = 12;
        for _ in 0..CHUNKS_MAX {
            let Some(head) = read_at::<8>(file, at)? else { break };
            let (body, size) = (at + 8, le32(&head, 4));
            chunks.meet(file, &head[..4], body, size)?;
            let end = match (&head[..4], chunks.wide_data, size) {
                (b"data", Some(wide), UNKNOWN) => body.saturating_add(wide),
                _ => body + u64::from(size),
            };
            at = end.saturating_add(end % 2);
            if at >= len {
                break;
            }
        }
        Ok(chunks)
    }

    fn meet(&mut self, file: &mut (impl Read + Seek), id: &[u8], body: u64, size: u32) -> io::Result<()> {
        match id {
            b"data" if self.data.is_none() => self.data = Some((body, size)),
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
            return Ok(read_at::<10>(file, at + 8)?.filter(|_| size >= 10).and_then(|text| date(&text)));
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
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data".to_vec();
        bytes[4..8].copy_from_slice(&riff.to_le_bytes());
        bytes.extend(data.to_le_bytes());
        bytes.extend(vec![7; there]);
        bytes
    }

    fn look(bytes: &[u8]) -> Head {
        super::look(&mut Cursor::new(bytes), bytes.len() as u64).expect("readable")
    }

    #[test]
    fn a_finished_wav_is_no_objection() {
        assert_eq!(look(&wav(36 + 100, 100, 100)).unfinished, None);
        assert_eq!(look(&wav(36 + 101, 101, 101)).unfinished, None);
        assert_eq!(look(&wav(44 + 100, 100, 100)).unfinished, None, "a size that counts the whole file");
        assert_eq!(look(b"ID3 this is no wav at all").unfinished, None);
    }

    #[test]
    fn sizes_of_0_or_more_than_there_is_are_unfinished() {
        for (riff, data) in [(0, 0), (36, 0), (u32::MAX, u32::MAX), (36 + 200, 200), (0, 100), (1 << 30, 100)] {
            assert!(look(&wav(riff, data, 100)).unfinished.is_some(), "{riff} {data}");
        }
        assert!(look(b"RIFF").unfinished.is_some());
        assert!(look(&wav(36, 0, 0)[..20]).unfinished.is_some());
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
        assert_eq!(look(&bext).made, Some(Made::Local(jiff::civil::datetime(2026, 11, 22, 9, 0, 5, 0))));
        for separator in "_:/. ".chars() {
            for text in ["2026-11-22", "09-00-05"].map(|text| text.replace('-', &separator.to_string())).windows(2) {
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
