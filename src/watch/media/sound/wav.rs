//! The sound of a WAV: its format and the bytes of `data`.

use super::{
    Obscure, Opened, Packet, Packets,
    params::{Params, Pcm},
    window::Window,
};
use crate::watch::media::{le32, read_at, wav::Chunks};

/// Bytes of a piece: sound has no packets here.
const PIECE: u64 = 4096;

/// Format tags: samples as they are, whole and with a fraction; a longer header that says which.
const INTEGER: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;

pub(super) fn open(mut window: Window<'_>, len: u64) -> Result<Option<Opened<'_>>, Obscure> {
    let chunks = Chunks::read(&mut window, len)?;
    let (Some(format), Some((at, end))) = (chunks.format, chunks.sound_range(len)) else {
        return Ok(None);
    };
    let Some(bytes) = read_at::<16>(&mut window, format)? else { return Ok(None) };
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let tag = match half(0) {
        // The first half of the sub-format is the tag of old.
        EXTENSIBLE => {
            read_at::<2>(&mut window, format + 24)?.map_or(EXTENSIBLE, u16::from_le_bytes)
        }
        tag => tag,
    };
    let channels = half(2);
    let bits = half(14);
    let params = match tag {
        INTEGER | FLOAT => Pcm {
            is_float: tag == FLOAT,
            is_big_endian: false,
            is_signed: bits > 8,
            bits: bits.into(),
            channels: channels.into(),
            rate: le32(&bytes, 4).into(),
        }
        .params(),
        // Tag, channels, rate, bytes of a block, width.
        _ => Params::new("wav").number(tag.into()).bytes(&bytes[2..8]).bytes(&bytes[12..16]),
    };
    Ok(Some(Opened::new(vec![params.done()], WavPieces { at, end, piece: PIECE })))
}

/// A stretch of a file, piece by piece.
pub(super) struct WavPieces {
    pub(super) at: u64,
    pub(super) end: u64,
    pub(super) piece: u64,
}

impl Packets for WavPieces {
    fn next(&mut self) -> Result<Option<Packet>, Obscure> {
        let len = self.piece.min(self.end.saturating_sub(self.at));
        let packet = Packet { track: 0, at: self.at, len };
        self.at += len;
        Ok((len > 0).then_some(packet))
    }
}
