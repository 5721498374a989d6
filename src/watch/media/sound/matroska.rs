//! The sound of Matroska: the frames in its blocks, without the heads of blocks and laces.

use super::{
    Obscure, Opened, Packet, Packets, TRACKS_MAX,
    params::{self, Params, Pcm},
    window::Window,
};
use crate::watch::media::{
    matroska::{
        CLUSTER, Element, SEGMENT, SOUND, TRACK_ENTRY, TRACK_TYPE, TRACKS, child, number, segment,
        variable,
    },
    read_up_to,
};

/// Ids of elements, with their marker bits.
const TRACK_NUMBER: u32 = 0xd7;
const CODEC: u32 = 0x86;
const CODEC_PRIVATE: u32 = 0x63a2;
const AUDIO: u32 = 0xe1;
const FREQUENCY: u32 = 0xb5;
const CHANNELS: u32 = 0x9f;
const DEPTH: u32 = 0x6264;
const ENCODINGS: u32 = 0x6d80;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const SIMPLE_BLOCK: u32 = 0xa3;

/// Bytes of a name of a codec.
const NAME_MAX: usize = 32;

/// Bytes of what a codec needs to begin, looked at in one piece: the headers of Vorbis are the longest.
const PRIVATE_MAX: usize = 64 * 1024;

/// Tracks of any kind.
const ENTRIES_MAX: usize = 256;

pub(super) fn open(mut window: Window<'_>, len: u64) -> Result<Option<Opened<'_>>, Obscure> {
    let Some(segment) = segment(&mut window, len)? else { return Ok(None) };
    let end = segment.end().min(len);
    let mut at = segment.body;
    while at < end {
        let Some(element) = Element::read(&mut window, at)? else { break };
        match element.id {
            TRACKS => {
                let tracks = tracks(&mut window, &element)?;
                let params = tracks.iter().map(|track| track.params.clone()).collect();
                let numbers = tracks.into_iter().map(|track| track.number).collect();
                return Ok(Some(Opened::new(
                    params,
                    MatroskaBlocks { window, at: element.end(), end, numbers },
                )));
            }
            CLUSTER => break,
            _ => at = element.end(),
        }
    }
    Ok(None)
}

struct MatroskaTrack {
    number: u64,
    params: Vec<u8>,
}

fn tracks(window: &mut Window<'_>, tracks: &Element) -> Result<Vec<MatroskaTrack>, Obscure> {
    let mut found = Vec::new();
    let mut at = tracks.body;
    for _ in 0..ENTRIES_MAX {
        if at >= tracks.end() {
            return Ok(found);
        }
        let entry = Element::read(window, at)?
            .filter(|entry| entry.end() <= tracks.end())
            .ok_or(Obscure)?;
        if entry.id == TRACK_ENTRY && field(window, &entry, TRACK_TYPE)? == Some(SOUND) {
            // What is packed again is not what other containers have.
            if child(window, &entry, ENCODINGS)?.is_some() || found.len() == TRACKS_MAX {
                return Err(Obscure);
            }
            let number = field(window, &entry, TRACK_NUMBER)?.ok_or(Obscure)?;
            found.push(MatroskaTrack { number, params: params(window, &entry)? });
        }
        at = entry.end();
    }
    Err(Obscure)
}

/// Returns the number in a field of an element.
fn field(window: &mut Window<'_>, parent: &Element, id: u32) -> Result<Option<u64>, Obscure> {
    let Some(field) = child(window, parent, id)? else { return Ok(None) };
    Ok(number(window, &field)?)
}

/// Returns the bytes of a field of an element, up to a length.
fn bytes(
    window: &mut Window<'_>,
    parent: &Element,
    id: u32,
    max: usize,
) -> Result<Vec<u8>, Obscure> {
    let Some(field) = child(window, parent, id)? else { return Ok(Vec::new()) };
    let size = field
        .size
        .and_then(|size| usize::try_from(size).ok())
        .filter(|size| *size <= max)
        .ok_or(Obscure)?;
    window.bytes(field.body, size)
}

fn params(window: &mut Window<'_>, entry: &Element) -> Result<Vec<u8>, Obscure> {
    let name = bytes(window, entry, CODEC, NAME_MAX)?;
    let private = bytes(window, entry, CODEC_PRIVATE, PRIVATE_MAX)?;
    let params = match name.as_slice() {
        b"A_AAC" => params::aac(&private),
        b"A_OPUS" => params::opus_head(&private).ok_or(Obscure)?,
        b"A_VORBIS" => vorbis(&private).ok_or(Obscure)?,
        // The mark and the head of the first block come before what describes the sound.
        b"A_FLAC" => private.get(8..).and_then(params::flac).ok_or(Obscure)?,
        b"A_MPEG/L3" => params::mpeg(3),
        b"A_MPEG/L2" => params::mpeg(2),
        b"A_AC3" => Params::new("ac-3"),
        b"A_EAC3" => Params::new("e-ac-3"),
        b"A_ALAC" => Params::new("alac").bytes(&private),
        b"A_PCM/INT/LIT" | b"A_PCM/INT/BIG" | b"A_PCM/FLOAT/IEEE" => {
            pcm(window, entry, &name)?.params()
        }
        _ => Params::new("matroska").bytes(&name).bytes(&private),
    };
    Ok(params.done())
}

fn pcm(window: &mut Window<'_>, entry: &Element, name: &[u8]) -> Result<Pcm, Obscure> {
    let audio = child(window, entry, AUDIO)?.ok_or(Obscure)?;
    let frequency = child(window, &audio, FREQUENCY)?.ok_or(Obscure)?;
    let raw = number(window, &frequency)?.ok_or(Obscure)?;
    let hertz = match frequency.size {
        Some(4) => f64::from(f32::from_bits(u32::try_from(raw).map_err(|_| Obscure)?)),
        Some(8) => f64::from_bits(raw),
        Some(_) | None => return Err(Obscure),
    };
    let bits = field(window, &audio, DEPTH)?.ok_or(Obscure)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and no rate is so large"
    )]
    let rate = hertz as u64;
    Ok(Pcm {
        is_float: name.ends_with(b"IEEE"),
        is_big_endian: name.ends_with(b"BIG"),
        is_signed: bits > 8,
        bits,
        channels: field(window, &audio, CHANNELS)?.unwrap_or(1),
        rate,
    })
}

/// Reads the three headers of Vorbis, which stand behind their lengths.
fn vorbis(private: &[u8]) -> Option<Params> {
    let (count, rest) = private.split_first()?;
    if *count != 2 {
        return None;
    }
    let (first, rest) = lace_size(rest)?;
    let (second, rest) = lace_size(rest)?;
    let identification = rest.get(..first)?;
    params::vorbis(identification, rest.get(first.checked_add(second)?..)?)
}

/// Returns a length as Xiph writes it, and what follows.
fn lace_size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let more = bytes.iter().take_while(|byte| **byte == 255).count();
    let last = *bytes.get(more)?;
    Some((more * 255 + usize::from(last), &bytes[more + 1..]))
}

/// The blocks of the sound tracks.
struct MatroskaBlocks<'f> {
    window: Window<'f>,
    at: u64,
    end: u64,
    numbers: Vec<u64>,
}

impl Packets for MatroskaBlocks<'_> {
    fn next(&mut self) -> Result<Option<Packet>, Obscure> {
        while self.at < self.end {
            let Some(element) = Element::read(&mut self.window, self.at)? else { return Ok(None) };
            match element.id {
                // What they hold is looked at as if it lay side by side: their lengths may be unknown.
                SEGMENT | CLUSTER | BLOCK_GROUP => self.at = element.body,
                BLOCK | SIMPLE_BLOCK => {
                    self.at = element.end();
                    if self.at > self.end {
                        return Ok(None);
                    }
                    if let Some(packet) = self.block(&element)? {
                        return Ok(Some(packet));
                    }
                }
                _ => self.at = element.end(),
            }
        }
        Ok(None)
    }
}

impl MatroskaBlocks<'_> {
    /// Returns the frames of a block, which lie one behind the other; `None` for one of another track.
    fn block(&mut self, block: &Element) -> Result<Option<Packet>, Obscure> {
        let (head, count) = read_up_to::<12>(&mut self.window, block.body)?;
        let (Some(number), length) = variable(&head[..count]).ok_or(Obscure)? else {
            return Err(Obscure);
        };
        let Some(track) = self.numbers.iter().position(|known| *known == number) else {
            return Ok(None);
        };
        // A time of two bytes, then the flags.
        let flags = *head.get(length + 2).ok_or(Obscure)?;
        let at = block.body + length as u64 + 3;
        let at = match flags >> 1 & 3 {
            0 => at,
            1 => self.behind_xiph_sizes(at)?,
            2 => at + 1,
            _ => self.behind_ebml_sizes(at)?,
        };
        let len = block.end().checked_sub(at).ok_or(Obscure)?;
        Ok(Some(Packet { track, at, len }))
    }

    /// Returns where the frames begin behind the sizes of all but the last, each a row of bytes that ends below 255.
    fn behind_xiph_sizes(&mut self, at: u64) -> Result<u64, Obscure> {
        let (count, _) = read_up_to::<1>(&mut self.window, at)?;
        let mut at = at + 1;
        for _ in 0..count[0] {
            // A frame is no longer than this many bytes of size say: 4 MiB.
            for n in 0_u32.. {
                let (byte, read) = read_up_to::<1>(&mut self.window, at)?;
                at += 1;
                if byte[0] < 255 {
                    break;
                }
                if read == 0 || n > 1 << 14 {
                    return Err(Obscure);
                }
            }
        }
        Ok(at)
    }

    /// Returns where the frames begin behind the sizes of all but the last, each a number of EBML.
    fn behind_ebml_sizes(&mut self, at: u64) -> Result<u64, Obscure> {
        let (count, _) = read_up_to::<1>(&mut self.window, at)?;
        let mut at = at + 1;
        for _ in 0..count[0] {
            let (bytes, read) = read_up_to::<8>(&mut self.window, at)?;
            at += variable(&bytes[..read]).ok_or(Obscure)?.1 as u64;
        }
        Ok(at)
    }
}
