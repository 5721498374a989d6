//! FLAC (RFC 9639): its first block names the number of samples, which an encoder writes last; 0 is "not known". An ID3
//! tag may lie before it.

use std::{
    io::{self, Read, Seek},
    time::Duration,
};

use super::{Head, read_at, read_up_to, span};

/// Blocks looked at before the sound: a picture, tags and a seek table are a few.
const BLOCKS_MAX: usize = 128;

/// Tags that may lie before the sound.
const TAGS_MAX: usize = 16;

/// Looks at a FLAC file of `len` bytes; at what begins with an ID3 tag only where FLAC follows.
pub(super) fn look(file: &mut (impl Read + Seek), len: u64) -> io::Result<Head> {
    let at = behind_tags(file)?;
    if read_at::<4>(file, at)? != Some(*b"fLaC") {
        return Ok(Head::default());
    }
    let Some(blocks) = FlacBlocks::read(file, at + 4, len)? else {
        return Ok(Head {
            unfinished: Some("its header is not complete"),
            is_soundless: true,
            made: None,
        });
    };
    let Some(begin) = blocks.sound else { return Ok(Head::default()) };
    let unfinished = match blocks.samples() {
        Some(0) => Some("its header says 0 samples"),
        Some(_) if begin >= len => Some("its header names sound that is not there yet"),
        Some(_) | None => None,
    };
    Ok(Head { unfinished, is_soundless: begin >= len, made: None })
}

/// Returns how long a FLAC file of `len` bytes is, as its first block says.
pub(super) fn length(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<Duration>> {
    let at = behind_tags(file)?;
    if read_at::<4>(file, at)? != Some(*b"fLaC") {
        return Ok(None);
    }
    let Some(blocks) = FlacBlocks::read(file, at + 4, len)? else { return Ok(None) };
    let rate =
        u32::from_be_bytes([0, blocks.stream[10], blocks.stream[11], blocks.stream[12]]) >> 4;
    Ok(blocks.samples().and_then(|samples| span(samples, rate.into())))
}

/// Returns where the file begins behind its ID3 tags, which say how long they are.
pub(super) fn behind_tags(file: &mut (impl Read + Seek)) -> io::Result<u64> {
    let mut at = 0;
    for _ in 0..TAGS_MAX {
        let Some(size) = read_at::<10>(file, at)?.and_then(|head| tag_size(&head)) else { break };
        at += size;
    }
    Ok(at)
}

/// Returns how long an ID3 tag is that begins with this, with its header and footer.
pub(super) fn tag_size(head: &[u8; 10]) -> Option<u64> {
    let is_tag =
        head.starts_with(b"ID3") && head[3] < 0xff && head[6..].iter().all(|byte| *byte < 0x80);
    let footer = if head[5] & 0x10 != 0 { 10 } else { 0 };
    is_tag
        .then(|| 10 + footer + head[6..].iter().fold(0, |size, byte| size << 7 | u64::from(*byte)))
}

/// The blocks before the sound.
#[derive(Debug)]
pub(super) struct FlacBlocks {
    /// The first block, which describes the sound.
    pub(super) stream: [u8; 34],
    /// Returns the offset of the sound; `None` where there are too many blocks.
    pub(super) sound: Option<u64>,
}

impl FlacBlocks {
    /// Returns the blocks from `at`; `None` where the file ends within them, or they are none.
    pub(super) fn read(
        file: &mut (impl Read + Seek),
        at: u64,
        len: u64,
    ) -> io::Result<Option<Self>> {
        let Some(stream) = read_at::<34>(file, at + 4)? else { return Ok(None) };
        let mut at = at;
        for _ in 0..BLOCKS_MAX {
            let (head, count) = read_up_to::<4>(file, at)?;
            if count < 4 {
                return Ok(None);
            }
            at += 4 + u64::from(u32::from_be_bytes([0, head[1], head[2], head[3]]));
            if at > len {
                return Ok(None);
            }
            if head[0] & 0x80 != 0 {
                return Ok(Some(Self { stream, sound: Some(at) }));
            }
        }
        Ok(Some(Self { stream, sound: None }))
    }

    /// Returns how many samples the first block names; 0 is "not known".
    fn samples(&self) -> Option<u64> {
        let bytes: [u8; 8] = self.stream[10..18].try_into().ok()?;
        Some(u64::from_be_bytes(bytes) & 0xf_ffff_ffff)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn look(bytes: &[u8]) -> Head {
        super::look(&mut Cursor::new(bytes), bytes.len() as u64).expect("readable")
    }

    fn flac(samples: u8, sound: usize) -> Vec<u8> {
        let mut bytes = b"fLaC\0\0\0\x22".to_vec();
        bytes.extend([0; 17]);
        bytes.push(samples);
        bytes.extend([9; 16]);
        bytes.extend(b"\x84\0\0\x04tags");
        bytes.extend(vec![7; sound]);
        bytes
    }

    #[test]
    fn a_header_with_0_samples_is_unfinished() {
        assert_eq!(look(&flac(100, 50)), Head::default());
        let open = look(&flac(0, 50));
        assert_eq!(
            (open.unfinished, open.is_soundless),
            (Some("its header says 0 samples"), false)
        );
        let tagged = [b"ID3\x04\0\0\0\0\0\x05HELLO".to_vec(), flac(0, 50)].concat();
        assert_eq!(look(&tagged), open, "behind a tag, too");
        assert_eq!(look(b"ID3\x04\0\0\0\0\0\x05HELLO\xff\xfb and an MP3"), Head::default());
    }

    #[test]
    fn a_header_with_nothing_behind_it_holds_no_sound() {
        for samples in [0, 100] {
            let head = look(&flac(samples, 0));
            assert!(head.is_soundless && head.unfinished.is_some(), "{samples}");
        }
        for cut in 4..flac(0, 0).len() {
            assert!(look(&flac(100, 0)[..cut]).is_soundless, "{cut}");
        }
    }
}
