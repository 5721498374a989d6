//! Ogg: pages one after another (RFC 3533). The last one of each stream says so; a recorder that is still at work, or has
//! died, has not written it.

use std::{
    io::{self, Read, Seek, SeekFrom},
    time::Duration,
};

use super::{Head, le32, read_up_to, span};

/// Pages looked at from the begin: headers are a few, even with a picture among the comments.
const PAGES_MAX: usize = 256;

/// Bytes of the longest page: its header, its table and 255 segments of 255 bytes.
const PAGE_MAX: u64 = 27 + 255 + 255 * 255;

/// The flag of the last page of a stream.
const LAST: u8 = 4;

/// The flag of the first page of a stream.
const FIRST: u8 = 2;

/// The position of a page on which no packet ends.
const NO_POSITION: u64 = u64::MAX;

/// The beginnings of streams without sound: Theora, VP8, Dirac, Kate, CMML, and the index of a file.
const SILENT: [&[u8]; 6] = [b"\x80theora", b"OVP80", b"BBCD\0", b"\x80kate", b"CMML", b"fishead"];

/// Looks at an Ogg file of `len` bytes.
pub(super) fn look(file: &mut (impl Read + Seek), len: u64) -> io::Result<Head> {
    let beginning = Beginning::read(file, len)?;
    let unfinished = match last_page(file, len)? {
        Some(page) if page.end > len => Some("it ends within a page"),
        Some(page) if page.flags & LAST == 0 => Some("its last page is not there yet"),
        None if beginning.is_whole_file => Some("it ends within a page"),
        Some(_) | None => None,
    };
    Ok(Head { unfinished, is_soundless: beginning.is_soundless(), made: None })
}

/// Samples of Opus a second, whatever it was made of (RFC 7845).
const OPUS_RATE: u64 = 48_000;

/// Returns how long an Ogg file of `len` bytes is, by the position of its last page; `None` where several streams or
/// another codec give that no meaning here.
pub(super) fn length(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<Duration>> {
    let Some(first) = OggPage::read(file, 0)? else { return Ok(None) };
    let Some(last) = last_page(file, len)?.filter(|last| last.serial == first.serial) else {
        return Ok(None);
    };
    let (head, count) = read_up_to::<16>(file, first.body)?;
    let rate = match &head[..count] {
        head if head.starts_with(b"OpusHead") => OPUS_RATE,
        head if head.starts_with(b"\x01vorbis") && count == 16 => u64::from(le32(head, 12)),
        _ => return Ok(None),
    };
    Ok(span(last.position, rate).filter(|_| last.position != NO_POSITION))
}

/// The facts in the first pages.
#[derive(Debug, Default)]
struct Beginning {
    /// Streams, and those among them that hold no sound.
    streams: usize,
    silent: usize,
    /// True if a page has a position: sound or pictures have begun.
    has_content: bool,
    /// True if all pages were looked at.
    is_whole_file: bool,
}

impl Beginning {
    fn read(file: &mut (impl Read + Seek), len: u64) -> io::Result<Self> {
        let mut beginning = Self::default();
        let mut at = 0;
        for _ in 0..PAGES_MAX {
            let Some(page) = OggPage::read(file, at)?.filter(|page| page.end <= len) else {
                // A page that is not whole has nothing that could be heard.
                beginning.is_whole_file = len - at.min(len) <= PAGE_MAX;
                break;
            };
            if page.is_first() {
                let (head, count) = read_up_to::<8>(file, page.body)?;
                beginning.streams += 1;
                beginning.silent +=
                    usize::from(SILENT.iter().any(|magic| head[..count].starts_with(magic)));
            }
            if page.position != 0 && page.position != NO_POSITION {
                beginning.has_content = true;
                break;
            }
            at = page.end;
        }
        Ok(beginning)
    }

    fn is_soundless(&self) -> bool {
        let is_silent = self.streams > 0 && self.silent == self.streams;
        is_silent || self.is_whole_file && !self.has_content
    }
}

/// A page without its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct OggPage {
    pub(super) flags: u8,
    pub(super) position: u64,
    pub(super) serial: u32,
    /// The offset of the table of segments, and their number.
    pub(super) table: u64,
    pub(super) segments: usize,
    pub(super) body: u64,
    pub(super) end: u64,
}

impl OggPage {
    /// Returns the page at `at`; `None` where none begins.
    pub(super) fn read(file: &mut (impl Read + Seek), at: u64) -> io::Result<Option<Self>> {
        let (bytes, count) = read_up_to::<282>(file, at)?;
        Ok(Self::parse(&bytes[..count], at))
    }

    /// Returns whether a stream begins here.
    pub(super) fn is_first(&self) -> bool {
        self.flags & FIRST != 0
    }

    fn parse(bytes: &[u8], at: u64) -> Option<Self> {
        let head: &[u8; 27] = bytes.first_chunk()?;
        if !head.starts_with(b"OggS\0") {
            return None;
        }
        let segments = usize::from(head[26]);
        let lengths = bytes.get(27..27 + segments)?;
        let size: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        let body = at + 27 + segments as u64;
        Some(Self {
            flags: head[5],
            position: u64::from_le_bytes(head[6..14].try_into().expect("eight bytes")),
            serial: u32::from_le_bytes(head[14..18].try_into().expect("four bytes")),
            table: at + 27,
            segments,
            body,
            end: body + size,
        })
    }
}

/// Returns the page that begins last, whether or not it is whole; `None` where none begins near the end.
fn last_page(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<OggPage>> {
    // A tag may lie behind, and a page may begin just before.
    let from = len.saturating_sub(2 * PAGE_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.by_ref().take(2 * PAGE_MAX).read_to_end(&mut tail)?;
    let mut begins =
        (0..tail.len().saturating_sub(4)).rev().filter(|at| tail[*at..].starts_with(b"OggS\0"));
    Ok(begins.find_map(|at| OggPage::parse(&tail[at..], from + at as u64)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn look(bytes: &[u8]) -> Head {
        super::look(&mut Cursor::new(bytes), bytes.len() as u64).expect("readable")
    }

    fn page(flags: u8, position: u64, body: &[u8]) -> Vec<u8> {
        let mut page =
            [b"OggS\0", &[flags][..], &position.to_le_bytes(), &[7; 4], &[0; 8]].concat();
        page.extend([1, u8::try_from(body.len()).expect("short")]);
        page.extend(body);
        page
    }

    fn headers() -> Vec<u8> {
        [page(FIRST, 0, b"OpusHead"), page(0, 0, b"OpusTags")].concat()
    }

    #[test]
    fn without_its_last_page_it_is_unfinished() {
        let whole = [headers(), page(0, 960, &[1; 99]), page(LAST, 1920, &[2; 99])].concat();
        assert_eq!(look(&whole), Head::default());
        assert_eq!(look(&[whole.clone(), b"TAG and more".to_vec()].concat()), Head::default());
        assert_eq!(look(&whole[..whole.len() - 1]).unfinished, Some("it ends within a page"));
        let at_work = [headers(), page(0, 960, &[1; 99])].concat();
        let head = look(&at_work);
        assert_eq!(
            (head.unfinished, head.is_soundless),
            (Some("its last page is not there yet"), false)
        );
    }

    #[test]
    fn headers_alone_and_pictures_alone_are_no_sound() {
        let head = look(&headers());
        assert!(head.is_soundless && head.unfinished.is_some(), "{head:?}");
        let ended = [headers(), page(LAST, 0, &[])].concat();
        assert_eq!(look(&ended), Head { is_soundless: true, ..Head::default() });
        let video = [page(FIRST, 0, b"\x80theora"), page(LAST, 960, &[1; 99])].concat();
        assert!(look(&video).is_soundless);
        assert!(look(&headers()[..40]).is_soundless);
    }
}
