//! The sound of bare AAC (ADTS, ISO/IEC 13818-7): frames with a header each. In other containers the same frames stand
//! without it.

use super::{
    Obscure, Opened, Packet, Packets, before_tags,
    pace::Pace,
    params::{self, AAC_RATES},
    window::Window,
};
use crate::watch::media::read_at;

/// Bytes of a header, and of a checksum behind it.
const HEADER: u64 = 7;
const CHECKSUM: u64 = 2;

pub(super) fn open(
    mut window: Window<'_>,
    at: u64,
    len: u64,
) -> Result<Option<Opened<'_>>, Obscure> {
    let end = before_tags(&mut window, len)?;
    let Some(frame) = AdtsFrame::read(&mut window, at, end)? else { return Ok(None) };
    let shape = frame.shape;
    let rate = AAC_RATES.get(usize::from(shape.1)).copied().unwrap_or(0);
    let params = params::aac_of(u64::from(shape.0) + 1, rate, shape.2.into());
    Ok(Some(Opened::new(vec![params.done()], AdtsFrames { window, at, end, shape })))
}

/// Kind of coding, index of the rate, channels.
type Shape = (u8, u8, u8);

struct AdtsFrame {
    shape: Shape,
    body: u64,
    end: u64,
}

impl AdtsFrame {
    /// Returns the frame at `at`; `None` where no whole one is.
    fn read(window: &mut Window<'_>, at: u64, end: u64) -> Result<Option<Self>, Obscure> {
        let Some(head) = read_at::<7>(window, at)? else { return Ok(None) };
        if head[0] != 0xff || head[1] & 0xf6 != 0xf0 {
            return Ok(None);
        }
        let shape = (head[2] >> 6, head[2] >> 2 & 15, (head[2] & 1) << 2 | head[3] >> 6);
        let size = u64::from(u32::from_be_bytes([0, head[3] & 3, head[4], head[5]]) >> 5);
        let header = if head[1] & 1 == 1 { HEADER } else { HEADER + CHECKSUM };
        let blocks_more = head[6] & 3;
        let found = Self { shape, body: at + header, end: at + size };
        Ok((size > header && blocks_more == 0 && found.end <= end).then_some(found))
    }
}

/// Samples in each frame.
const SAMPLES: u64 = 1024;

/// Frames whose bytes tell the rate of a stream: some seconds of sound.
const PACED: u64 = 256;

/// Returns the pace of the first frames of a stream.
pub(super) fn pace(mut window: Window<'_>, at: u64, end: u64) -> Result<Option<Pace>, Obscure> {
    let Some(first) = AdtsFrame::read(&mut window, at, end)? else { return Ok(None) };
    let rate = AAC_RATES.get(usize::from(first.shape.1)).copied().unwrap_or(0);
    let mut frames = 1;
    let mut behind = first.end;
    while frames < PACED
        && let Some(frame) = AdtsFrame::read(&mut window, behind, end)?
    {
        frames += 1;
        behind = frame.end;
    }
    Ok(Some(Pace { samples: frames * SAMPLES, rate, bytes: Some(behind - at) }))
}

struct AdtsFrames<'f> {
    window: Window<'f>,
    at: u64,
    end: u64,
    shape: Shape,
}

impl Packets for AdtsFrames<'_> {
    fn next(&mut self) -> Result<Option<Packet>, Obscure> {
        let Some(frame) = AdtsFrame::read(&mut self.window, self.at, self.end)? else {
            return Ok(None);
        };
        if frame.shape != self.shape {
            return Err(Obscure);
        }
        self.at = frame.end;
        Ok(Some(Packet { track: 0, at: frame.body, len: frame.end - frame.body }))
    }
}
