//! The sound of an MP3: its frames (ISO/IEC 11172-3, 13818-3), without tags before, between or behind them, and without
//! the first frame where that holds no sound but the length (`Xing`, `Info`, `VBRI`).

use super::{Obscure, Opened, Packet, Packets, before_tags, pace::Pace, params, window::Window};
use crate::watch::media::{be32, flac::tag_size, read_at};

/// Bytes that are passed over in search of a frame, in all: a scratch and what a tag left behind.
const JUNK_MAX: u64 = 1 << 20;

/// Bytes of a frame's header.
const HEADER: usize = 4;

pub(super) fn open(
    mut window: Window<'_>,
    at: u64,
    len: u64,
) -> Result<Option<Opened<'_>>, Obscure> {
    let end = before_tags(&mut window, len)?;
    let mut frames = Mp3Frames { window, at, end, junk: 0, layer: None };
    let Some(first) = frames.find()? else { return Ok(None) };
    frames.layer = Some(first.layer);
    if frames.is_table(&first)? {
        frames.at = first.end;
    }
    let params = params::mpeg(first.layer.into());
    Ok(Some(Opened::new(vec![params.done()], frames)))
}

/// Returns the pace of a stream: by its table of frames, else by the rate of its first frames.
pub(super) fn pace(window: Window<'_>, at: u64, end: u64) -> Result<Option<Pace>, Obscure> {
    let mut frames = Mp3Frames { window, at, end, junk: 0, layer: None };
    let Some(first) = frames.find()? else { return Ok(None) };
    frames.layer = Some(first.layer);
    if frames.is_table(&first)? {
        let number = read_at::<12>(&mut frames.window, first.at + HEADER as u64 + first.side)?;
        // The lowest flag says that the number of frames follows.
        if let Some(table) = number.filter(|table| table[7] & 1 == 1) {
            let samples = u64::from(be32(&table, 8)) * first.samples;
            return Ok(Some(Pace { samples, rate: first.rate, bytes: None }));
        }
        frames.at = first.end;
    }
    let begin = frames.at;
    let mut samples = 0;
    for _ in 0..PACED {
        let Some(frame) = frames.find()? else { break };
        samples += frame.samples;
        frames.at = frame.end;
    }
    Ok(Some(Pace { samples, rate: first.rate, bytes: Some(frames.at - begin) }))
}

/// Frames whose bytes tell the rate of a stream: some seconds of sound.
const PACED: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Mp3Frame {
    /// 1 to 3.
    layer: u8,
    /// Samples a second.
    rate: u64,
    /// Samples in the frame.
    samples: u64,
    /// Bytes between the header and the sound: side information.
    side: u64,
    at: u64,
    end: u64,
}

/// Kilobits a second by version 1 or 2, layer and index.
const RATES: [[[u16; 16]; 3]; 2] = [
    [
        [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448, 0],
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0],
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0],
    ],
    [
        [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256, 0],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0],
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0],
    ],
];

impl Mp3Frame {
    fn parse(head: [u8; HEADER], at: u64) -> Option<Self> {
        let version = head[1] >> 3 & 3;
        let layer = 4_u8.checked_sub(head[1] >> 1 & 3).filter(|layer| *layer < 4)?;
        let index = usize::from(head[2] >> 4);
        let rate_index = head[2] >> 2 & 3;
        if head[0] != 0xff || head[1] & 0xe0 != 0xe0 || version == 1 || rate_index == 3 {
            return None;
        }
        let is_first = version == 3;
        let kilobits = u64::from(RATES[usize::from(!is_first)][usize::from(layer) - 1][index]);
        let rate = [44_100_u64, 48_000, 32_000][usize::from(rate_index)]
            >> [2, 0, 1, 0][usize::from(version)];
        let padding = u64::from(head[2] >> 1 & 1);
        let size = match (layer, is_first) {
            (1, _) => (12_000 * kilobits / rate + padding) * 4,
            (3, false) => 72_000 * kilobits / rate + padding,
            _ => 144_000 * kilobits / rate + padding,
        };
        let is_mono = head[3] >> 6 == 3;
        let side = match (is_first, is_mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        let samples = match (layer, is_first) {
            (1, _) => 384,
            (3, false) => 576,
            _ => 1152,
        };
        (kilobits > 0).then_some(Self { layer, rate, samples, side, at, end: at + size })
    }
}

struct Mp3Frames<'f> {
    window: Window<'f>,
    at: u64,
    end: u64,
    junk: u64,
    layer: Option<u8>,
}

impl Mp3Frames<'_> {
    /// Returns the frame at a place, where one is.
    fn frame(&mut self, at: u64) -> Result<Option<Mp3Frame>, Obscure> {
        let head = read_at::<HEADER>(&mut self.window, at)?;
        let found =
            head.and_then(|head| Mp3Frame::parse(head, at)).filter(|frame| frame.end <= self.end);
        Ok(found.filter(|frame| self.layer.is_none_or(|layer| layer == frame.layer)))
    }

    /// Returns the next frame; what only looks like one has none behind it.
    fn find(&mut self) -> Result<Option<Mp3Frame>, Obscure> {
        let mut is_in_step = self.layer.is_some();
        while self.at < self.end {
            if let Some(frame) = self.frame(self.at)?
                && (is_in_step || frame.end == self.end || self.frame(frame.end)?.is_some())
            {
                return Ok(Some(frame));
            }
            if let Some(size) =
                read_at::<10>(&mut self.window, self.at)?.and_then(|head| tag_size(&head))
            {
                self.at += size;
                continue;
            }
            is_in_step = false;
            self.at += 1;
            self.junk += 1;
            if self.junk > JUNK_MAX {
                return Err(Obscure);
            }
        }
        Ok(None)
    }

    /// Returns whether a frame holds a table in place of sound.
    fn is_table(&mut self, frame: &Mp3Frame) -> Result<bool, Obscure> {
        let xing = read_at::<4>(&mut self.window, frame.at + HEADER as u64 + frame.side)?;
        let vbri = read_at::<4>(&mut self.window, frame.at + HEADER as u64 + 32)?;
        Ok(xing.is_some_and(|word| &word == b"Xing" || &word == b"Info") || vbri == Some(*b"VBRI"))
    }
}

impl Packets for Mp3Frames<'_> {
    fn next(&mut self) -> Result<Option<Packet>, Obscure> {
        let Some(frame) = self.find()? else { return Ok(None) };
        self.at = frame.end;
        Ok(Some(Packet { track: 0, at: frame.at, len: frame.end - frame.at }))
    }
}
