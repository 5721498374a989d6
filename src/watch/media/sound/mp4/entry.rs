//! The codec in a sample description.

use super::{
    super::params::{self, Params, Pcm},
    Found, Obscure, Window, child, descend, read_at,
};

/// Bytes of a box that describes a codec.
const BOX_MAX: u64 = 4096;

/// A codec, and how large its samples are where the tables do not say it right.
pub(super) struct SoundEntry {
    pub(super) params: Vec<u8>,
    /// Bytes of one sample of all channels, for samples that are not coded.
    pub(super) frame_bytes: Option<u64>,
}

/// Reads the one description that a track has.
pub(super) fn read_entry(window: &mut Window<'_>, table: &Found) -> Result<SoundEntry, Obscure> {
    let descriptions = child(window, table, *b"stsd")?.ok_or(Obscure)?;
    let count = read_at::<4>(window, descriptions.body + 4)?.ok_or(Obscure)?;
    let entry = Found::read(window, descriptions.body + 8, descriptions.end)?.ok_or(Obscure)?;
    let bytes = read_at::<36>(window, entry.body)?.ok_or(Obscure)?;
    if count != [0, 0, 0, 1] || entry.end > descriptions.end {
        return Err(Obscure);
    }
    let half = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let word =
        |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let version = half(8);
    let mut pcm = Pcm {
        is_float: false,
        is_big_endian: true,
        is_signed: true,
        bits: half(18).into(),
        channels: half(16).into(),
        rate: (word(24) >> 16).into(),
    };
    // Later versions of QuickTime have more fields before the boxes.
    let boxes = entry.body + [28, 44, 64].get(usize::from(version)).ok_or(Obscure)?;
    let inner = Found { kind: entry.kind, body: boxes, end: entry.end };
    if version == 2 {
        pcm = wide(window, &entry)?;
    }
    let params = match &entry.kind {
        b"mp4a" => described(window, &inner)?,
        b".mp3" => params::mpeg(3),
        b"Opus" => {
            let bytes = content(window, &inner, *b"dOps")?;
            let channels = bytes.get(1).ok_or(Obscure)?;
            let family = bytes.get(10).ok_or(Obscure)?;
            params::opus(*channels, *family)
        }
        // Version and flags, and the head of the first block, come before what describes the sound.
        b"fLaC" => {
            content(window, &inner, *b"dfLa")?.get(8..).and_then(params::flac).ok_or(Obscure)?
        }
        b"ac-3" => Params::new("ac-3"),
        b"ec-3" => Params::new("e-ac-3"),
        // Version and flags come before the cookie.
        b"alac" => {
            Params::new("alac").bytes(content(window, &inner, *b"alac")?.get(4..).ok_or(Obscure)?)
        }
        kind => match plain(window, &inner, *kind, pcm)? {
            Some(pcm) => {
                let frame_bytes =
                    Some(pcm.bits.div_ceil(8) * pcm.channels).filter(|bytes| *bytes > 0);
                return Ok(SoundEntry { params: pcm.params().done(), frame_bytes });
            }
            None => Params::new("mp4").bytes(kind).number(pcm.channels).number(pcm.rate),
        },
    };
    Ok(SoundEntry { params: params.done(), frame_bytes: None })
}

/// Reads the fields of the second version: a rate with a fraction, channels, width, flags.
fn wide(window: &mut Window<'_>, entry: &Found) -> Result<Pcm, Obscure> {
    let bytes = read_at::<28>(window, entry.body + 32)?.ok_or(Obscure)?;
    let hertz = f64::from_be_bytes(bytes[..8].try_into().map_err(|_| Obscure)?);
    let word =
        |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let flags = word(20);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and no rate is so large"
    )]
    let rate = hertz as u64;
    Ok(Pcm {
        is_float: flags & 1 != 0,
        is_big_endian: flags & 2 != 0,
        is_signed: flags & 4 != 0,
        bits: word(16).into(),
        channels: word(8).into(),
        rate,
    })
}

/// Returns samples that are not coded, by their four letters.
fn plain(
    window: &mut Window<'_>,
    entry: &Found,
    kind: [u8; 4],
    pcm: Pcm,
) -> Result<Option<Pcm>, Obscure> {
    let has_little_end = |window: &mut Window<'_>| -> Result<bool, Obscure> {
        let mark = descend(window, entry, &[b"wave", b"enda"])?;
        let mark = mark.map(|mark| read_at::<2>(window, mark.body)).transpose()?.flatten();
        Ok(mark == Some([0, 1]))
    };
    Ok(Some(match &kind {
        b"sowt" => Pcm { is_big_endian: false, is_signed: pcm.bits > 8, ..pcm },
        b"twos" => Pcm { is_signed: true, ..pcm },
        b"raw " => Pcm { is_signed: false, ..pcm },
        b"lpcm" => pcm,
        b"in24" => Pcm { bits: 24, is_big_endian: !has_little_end(window)?, ..pcm },
        b"in32" => Pcm { bits: 32, is_big_endian: !has_little_end(window)?, ..pcm },
        b"fl32" => Pcm { bits: 32, is_float: true, is_big_endian: !has_little_end(window)?, ..pcm },
        b"fl64" => Pcm { bits: 64, is_float: true, is_big_endian: !has_little_end(window)?, ..pcm },
        _ => return Ok(None),
    }))
}

/// Returns the content of a box in a description.
fn content(window: &mut Window<'_>, entry: &Found, kind: [u8; 4]) -> Result<Vec<u8>, Obscure> {
    let found = match child(window, entry, kind)? {
        Some(found) => found,
        // QuickTime puts them into one more box.
        None => descend(window, entry, &[b"wave", &kind])?.ok_or(Obscure)?,
    };
    let size = found.end.checked_sub(found.body).filter(|size| *size <= BOX_MAX).ok_or(Obscure)?;
    window.bytes(found.body, usize::try_from(size).map_err(|_| Obscure)?)
}

/// Kinds of objects of MPEG-4 systems that are not AAC, and their codecs.
const OBJECTS: [(u8, &str); 2] = [(0xa5, "ac-3"), (0xa6, "e-ac-3")];

/// Reads the descriptors of MPEG-4 (ISO/IEC 14496-1): which codec it is, and how AAC is configured.
fn described(window: &mut Window<'_>, entry: &Found) -> Result<Params, Obscure> {
    let bytes = content(window, entry, *b"esds")?;
    let descriptor = bytes.get(4..).and_then(|bytes| Descriptor::read(bytes, 3)).ok_or(Obscure)?;
    // A number, then flags of what else stands before the next descriptor.
    let flags = *descriptor.get(2).ok_or(Obscure)?;
    let mut skip = 3 + if flags & 0x80 != 0 { 2 } else { 0 };
    if flags & 0x40 != 0 {
        skip += 1 + usize::from(*descriptor.get(skip).ok_or(Obscure)?);
    }
    skip += if flags & 0x20 != 0 { 2 } else { 0 };
    let decoder =
        descriptor.get(skip..).and_then(|bytes| Descriptor::read(bytes, 4)).ok_or(Obscure)?;
    let object = *decoder.first().ok_or(Obscure)?;
    let config = decoder.get(13..).and_then(|bytes| Descriptor::read(bytes, 5)).unwrap_or_default();
    Ok(match object {
        0x40 | 0x66..=0x68 => params::aac(config),
        // Audio of MPEG-1 and MPEG-2 is layer 3 in such files.
        0x69 | 0x6b => params::mpeg(3),
        _ => match OBJECTS.iter().find(|(known, _)| *known == object) {
            Some((_, codec)) => Params::new(codec),
            None => Params::new("mpeg-4").number(object.into()).bytes(config),
        },
    })
}

struct Descriptor;

impl Descriptor {
    /// Returns the content of a descriptor of a tag at the begin of `bytes`.
    fn read(bytes: &[u8], tag: u8) -> Option<&[u8]> {
        let (found, mut rest) = bytes.split_first()?;
        let mut size = 0;
        // Seven bits a byte, four bytes at most.
        for _ in 0..4 {
            let (byte, next) = rest.split_first()?;
            rest = next;
            size = size << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        (*found == tag).then(|| &rest[..size.min(rest.len())])
    }
}
