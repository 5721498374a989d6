//! Tags: titles, covers and lyrics that lie before, behind and, in files that were joined, between
//! the sound.
//!
//! Each is passed by the length that it states. Nothing in it is looked at: a cover is full of
//! bytes that look like the begin of a frame of sound.

use std::{fs::File, io, ops::Range};

use super::view::bytes_at;

/// Bytes of the head of a tag that give its length.
pub(crate) const HEAD: usize = 32;

/// Tags of one file that are passed at most; more are a loop or an attack.
const TAGS_MAX: usize = 64;

/// Returns the length of the tag that begins with `head`, when it is one.
pub(crate) fn tag_length(head: &[u8]) -> Option<u64> {
    let word = |at: usize| head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    match head {
        // https://id3.org/id3v2.4.0-structure: seven bits a byte; a footer is as long as the
        // header.
        [b'I', b'D', b'3', version, revision, flags, size @ ..]
            if *version < 0xff
                && *revision < 0xff
                && size.len() >= 4
                && size[..4].iter().all(|byte| *byte < 0x80) =>
        {
            let size = size[..4].iter().fold(0, |size, byte| size << 7 | u64::from(*byte));
            Some(10 + size + if flags & 0x10 == 0 { 0 } else { 10 })
        }
        // https://wiki.hydrogenaudio.org/index.php?title=APE_Tags_Header: the size counts all but
        // the header.
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', ..] => {
            let is_header = word(20).map(u32::from_le_bytes)? & 1 << 29 != 0;
            let size = u64::from(word(12).map(u32::from_le_bytes)?);
            Some(if is_header { 32 + size } else { 32 })
        }
        [b'T', b'A', b'G', b'+', ..] => Some(227),
        [b'T', b'A', b'G', ..] => Some(128),
        _ => None,
    }
}

/// Returns the part of a file between the tags at its begin and those at its end.
pub(crate) fn range_between_tags(file: &File) -> io::Result<Range<u64>> {
    let mut whole = 0..file.metadata()?.len();
    for _ in 0..TAGS_MAX {
        let Some(length) = tag_length(&bytes_at(file, whole.start, HEAD)?) else { break };
        whole.start = whole.end.min(whole.start + length);
    }
    for _ in 0..TAGS_MAX {
        let from = whole.end.saturating_sub(256).max(whole.start);
        let tail = bytes_at(file, from, usize::try_from(whole.end - from).unwrap_or_default())?;
        let Some(length) = length_before(&tail).filter(|length| *length <= whole.end - whole.start)
        else {
            break;
        };
        whole.end -= length;
    }
    Ok(whole)
}

/// Returns the length of the tag that ends with `tail`, when it is one.
fn length_before(tail: &[u8]) -> Option<u64> {
    let from_end = |length: usize| tail.len().checked_sub(length).map(|at| &tail[at..]);
    if from_end(128).is_some_and(|tag| tag.starts_with(b"TAG")) {
        return Some(128);
    }
    if from_end(227).is_some_and(|tag| tag.starts_with(b"TAG+")) {
        return Some(227);
    }
    if let Some(footer) = from_end(32).filter(|footer| footer.starts_with(b"APETAGEX")) {
        let word = |at: usize| {
            u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]])
        };
        let header = if word(20) & 1 << 31 == 0 { 0 } else { 32 };
        return Some(u64::from(word(12)) + header);
    }
    if let Some(footer) = from_end(10).filter(|footer| footer.starts_with(b"3DI")) {
        let size = footer[6..].iter().fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f));
        return Some(20 + size);
    }
    // https://id3.org/Lyrics3v2: six digits of the size, then the mark.
    let lyrics = from_end(15).filter(|end| end.ends_with(b"LYRICS200"))?;
    Some(15 + std::str::from_utf8(&lyrics[..6]).ok()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn id3(length: u32) -> Vec<u8> {
        let seven = |shift: u32| u8::try_from(length >> shift & 0x7f).expect("seven bits");
        let mut tag = vec![b'I', b'D', b'3', 4, 0, 0, seven(21), seven(14), seven(7), seven(0)];
        tag.resize(10 + length as usize, 0xff);
        tag
    }

    fn ape(items: &[u8], with_header: bool) -> Vec<u8> {
        let mark = |is_header: bool| {
            let flags = u32::from(with_header) << 31 | u32::from(is_header) << 29;
            let size = u32::try_from(items.len() + 32).expect("small");
            let numbers = [2000, size, 1, flags].map(u32::to_le_bytes);
            [&b"APETAGEX"[..], numbers.as_flattened(), &[0; 8]].concat()
        };
        let header = if with_header { mark(true) } else { Vec::new() };
        [header, items.to_vec(), mark(false)].concat()
    }

    #[test]
    fn tags_before_and_behind_are_passed_by_their_length() {
        let id3v1 = [&b"TAG"[..], &[b' '; 125]].concat();
        let lyrics = b"LYRICSBEGININD00002000000022LYRICS200".to_vec();
        let sound = vec![0x55; 3000];
        for (before, behind) in [
            (vec![], vec![]),
            (vec![id3(0)], vec![id3v1.clone()]),
            (vec![id3(3_000_000), id3(70)], vec![ape(&[7; 500], true), id3v1.clone()]),
            (vec![ape(&[7; 40], true)], vec![ape(&[7; 500], false)]),
            (vec![], vec![lyrics, id3v1]),
        ] {
            let mut file = tempfile::tempfile().expect("a file");
            let bytes = [before.concat(), sound.clone(), behind.concat()].concat();
            file.write_all(&bytes).expect("written");
            let from = before.concat().len() as u64;
            assert_eq!(
                range_between_tags(&file).expect("read"),
                from..from + 3000,
                "{} {}",
                before.len(),
                behind.len()
            );
        }
    }
}
