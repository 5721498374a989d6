//! Sound that is nothing but frames: MPEG audio and AAC as a stream (ADTS).
//!
//! The frames are found here, and not by the demuxers of symphonia, because files of this kind are
//! joined by `cat`: tags lie between the frames, and the frames of the next file have another rate
//! or another number of channels.

use std::io::{self, Read as _};

use symphonia::core::{
    audio::{Channels, Position},
    codecs::audio::{
        AudioCodecId, AudioCodecParameters,
        well_known::{CODEC_ID_AAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3},
    },
    packet::Packet,
    units::{Duration, Timestamp},
};

use super::{damage::DecodeRefusal, tags, view::FileView};

/// Bytes in which the first frame must be found.
const SEARCHED_MAX: u64 = 1024 * 1024;

/// Bytes that are read at once.
const BLOCK: usize = 64 * 1024;

/// Bytes that a frame has at most, with the head of the next one: 8191 in ADTS.
const FRAME_MAX: usize = 8 * 1024;

/// A stream of frames.
#[derive(Debug)]
pub(crate) struct Frames {
    window: FrameWindow,
    shape: FrameShape,
    at: i64,
    /// The length that the stream gives, in seconds.
    stated: Option<f64>,
    /// Samples in a byte, about.
    density: f64,
    /// Bytes that are neither frames nor tags.
    pub(crate) lost: u64,
}

/// The properties of frames that a decoder needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FrameShape {
    codec: AudioCodecId,
    rate: u32,
    channels: u16,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy)]
struct FrameHead {
    shape: FrameShape,
    /// Bytes of all.
    size: usize,
    /// Bytes that belong to the container.
    skipped: usize,
    samples: u32,
}

/// A frame.
#[derive(Debug)]
pub(crate) struct AudioFrame {
    pub(crate) packet: Packet,
    /// For a new decoder, when the frames are different from here on.
    pub(crate) parameters: Option<AudioCodecParameters>,
}

impl Frames {
    /// Looks for the first frame.
    pub(crate) fn open(view: FileView) -> Result<Self, DecodeRefusal> {
        let mut window = FrameWindow { view, bytes: Vec::new(), from: 0 };
        let mut searched = 0;
        let head = loop {
            let bytes = window.peek_bytes(FRAME_MAX)?;
            if bytes.is_empty() && searched == 0 {
                return Err(DecodeRefusal::Silent);
            }
            if bytes.len() < 4 || searched > SEARCHED_MAX {
                return Err(DecodeRefusal::Damaged("no sound is found in it".to_owned()));
            }
            if let Some(length) = tags::tag_length(bytes) {
                window.skip_bytes(length)?;
            } else if let Some(head) = confirmed_head(bytes) {
                break head;
            } else {
                window.skip_bytes(1)?;
                searched += 1;
            }
        };
        if head.shape.codec == CODEC_ID_AAC && window.peek_bytes(7)?[6] & 3 > 0 {
            return Err(DecodeRefusal::Unsupported(
                "AAC with several blocks in a frame".to_owned(),
            ));
        }
        let stated = promised_seconds(head, window.peek_bytes(head.size)?);
        let density = sample_density(window.peek_bytes(BLOCK)?);
        // The first frame always brings the parameters of its own.
        let shape = FrameShape { rate: 0, ..head.shape };
        Ok(Self { window, shape, at: 0, stated, density, lost: 0 })
    }

    /// Returns the length that the stream gives, in seconds.
    pub(crate) fn stated_seconds(&self) -> Option<f64> {
        self.stated
    }

    /// Returns its approximate length in seconds: as if all frames were like the first ones.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(crate) fn estimated_seconds(&mut self) -> Option<f64> {
        let rate = self.window.peek_head().ok()??.shape.rate;
        Some(self.window.view.len() as f64 * self.density / f64::from(rate))
    }

    /// Returns the codec parameters of the first frame.
    pub(crate) fn codec_parameters(&mut self) -> Option<AudioCodecParameters> {
        self.window.peek_head().ok()?.map(|head| head.shape.codec_parameters())
    }

    /// Returns the next frame; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<AudioFrame>> {
        let mut is_in_step = true;
        loop {
            let bytes = self.window.peek_bytes(FRAME_MAX)?;
            if bytes.len() < 4 {
                return Ok(None);
            }
            if let Some(length) = tags::tag_length(bytes) {
                self.window.skip_bytes(length)?;
                continue;
            }
            let head = if is_in_step { parse_head(bytes) } else { confirmed_head(bytes) };
            let Some(head) = head else {
                self.lost += u64::from(bytes[0] != 0);
                is_in_step = false;
                self.window.skip_bytes(1)?;
                continue;
            };
            let Some(frame) = bytes.get(..head.size) else {
                // The last frame is cut off, as it is wherever a recorder stops.
                return Ok(None);
            };
            if is_description(head, frame) {
                self.window.skip_bytes(head.size as u64)?;
                continue;
            }
            let data = frame[head.skipped..].to_vec();
            self.window.skip_bytes(head.size as u64)?;
            let parameters = (head.shape != self.shape).then(|| head.shape.codec_parameters());
            self.shape = head.shape;
            let packet =
                Packet::new(0, Timestamp::new(self.at), Duration::new(head.samples.into()), data);
            self.at = self.at.saturating_add(head.samples.into());
            return Ok(Some(AudioFrame { packet, parameters }));
        }
    }
}

impl FrameShape {
    fn codec_parameters(self) -> AudioCodecParameters {
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(self.codec).with_sample_rate(self.rate);
        let channels = match self.channels {
            0 => return parameters,
            1 => Channels::Positioned(Position::FRONT_LEFT),
            2 => Channels::Positioned(Position::FRONT_LEFT | Position::FRONT_RIGHT),
            more => Channels::Discrete(more),
        };
        parameters.with_channels(channels);
        parameters
    }
}

/// The bytes of a stream, some of them in memory.
#[derive(Debug)]
struct FrameWindow {
    view: FileView,
    bytes: Vec<u8>,
    from: usize,
}

impl FrameWindow {
    /// Returns the next bytes, at most `length`; fewer at the end.
    fn peek_bytes(&mut self, length: usize) -> io::Result<&[u8]> {
        while self.bytes.len() - self.from < length {
            self.bytes.drain(..self.from);
            self.from = 0;
            let held = self.bytes.len();
            self.bytes.resize(held + BLOCK, 0);
            let read = self.view.read(&mut self.bytes[held..]);
            self.bytes.truncate(held + read.as_ref().copied().unwrap_or(0));
            if read? == 0 {
                break;
            }
        }
        let end = self.bytes.len().min(self.from + length);
        Ok(&self.bytes[self.from..end])
    }

    fn skip_bytes(&mut self, length: u64) -> io::Result<()> {
        let held = (self.bytes.len() - self.from) as u64;
        if length <= held {
            self.from += usize::try_from(length).unwrap_or(usize::MAX);
            return Ok(());
        }
        self.bytes.clear();
        self.from = 0;
        let beyond = i64::try_from(length - held).unwrap_or(i64::MAX);
        io::Seek::seek(&mut self.view, io::SeekFrom::Current(beyond)).map(|_| ())
    }

    fn peek_head(&mut self) -> io::Result<Option<FrameHead>> {
        self.peek_bytes(FRAME_MAX).map(parse_head)
    }
}

/// Returns how many samples there are in a byte, by the frames in the first of them.
#[expect(clippy::cast_precision_loss, reason = "a block is small")]
fn sample_density(bytes: &[u8]) -> f64 {
    let mut samples = 0;
    let mut at = 0;
    while let Some(head) = bytes.get(at..).and_then(parse_head) {
        samples += u64::from(head.samples);
        at += head.size;
    }
    samples as f64 / (at as f64).max(1.0)
}

/// Returns the head of the frame that begins here, when another one, a tag or the end follows it.
fn confirmed_head(bytes: &[u8]) -> Option<FrameHead> {
    let first = parse_head(bytes)?;
    let rest = bytes.get(first.size..).unwrap_or_default();
    let is_followed = rest.len() < 4
        || tags::tag_length(rest).is_some()
        || parse_head(rest).is_some_and(|second| second.shape.codec == first.shape.codec);
    is_followed.then_some(first)
}

fn parse_head(bytes: &[u8]) -> Option<FrameHead> {
    if bytes.len() < 7 || bytes[0] != 0xff {
        return None;
    }
    if bytes[1] & 0xf6 == 0xf0 { parse_adts_head(bytes) } else { parse_mpeg_head(bytes) }
}

/// Reads the head of a frame of MPEG audio (ISO/IEC 11172-3, 2.4.1.3, and 13818-3 for the lower
/// rates).
fn parse_mpeg_head(bytes: &[u8]) -> Option<FrameHead> {
    const HIGH: [[u32; 14]; 3] = [
        [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    ];
    const LOW: [[u32; 14]; 3] = [
        [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ];
    if bytes[1] & 0xe0 != 0xe0 || bytes[3] & 3 == 2 {
        return None;
    }
    let (is_high, divisor) = match bytes[1] >> 3 & 3 {
        3 => (true, 1),
        2 => (false, 2),
        0 => (false, 4),
        _ => return None,
    };
    let layer = match bytes[1] >> 1 & 3 {
        3 => 0,
        2 => 1,
        1 => 2,
        _ => return None,
    };
    let bit_rates = if is_high { HIGH[layer] } else { LOW[layer] };
    let kilobits = *bit_rates.get(usize::from(bytes[2] >> 4).checked_sub(1)?)?;
    let rate = [44_100, 48_000, 32_000].get(usize::from(bytes[2] >> 2 & 3))? / divisor;
    let padding = u32::from(bytes[2] >> 1 & 1);
    let bits = kilobits * 1000;
    let (size, samples, codec) = match layer {
        0 => ((12 * bits / rate + padding) * 4, 384, CODEC_ID_MP1),
        1 => (144 * bits / rate + padding, 1152, CODEC_ID_MP2),
        _ if is_high => (144 * bits / rate + padding, 1152, CODEC_ID_MP3),
        _ => (72 * bits / rate + padding, 576, CODEC_ID_MP3),
    };
    let channels = if bytes[3] >> 6 == 3 { 1 } else { 2 };
    Some(FrameHead {
        shape: FrameShape { codec, rate, channels },
        size: size as usize,
        skipped: 0,
        samples,
    })
}

/// Reads the head of a frame of AAC (ISO/IEC 14496-3, 1.A.3.2).
fn parse_adts_head(bytes: &[u8]) -> Option<FrameHead> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ];
    let rate = *RATES.get(usize::from(bytes[2] >> 2 & 15))?;
    let configuration = u16::from(bytes[2] & 1) << 2 | u16::from(bytes[3] >> 6);
    let channels = if configuration == 7 { 8 } else { configuration };
    let size =
        usize::from(bytes[3] & 3) << 11 | usize::from(bytes[4]) << 3 | usize::from(bytes[5] >> 5);
    let skipped = if bytes[1] & 1 == 1 { 7 } else { 9 };
    let shape = FrameShape { codec: CODEC_ID_AAC, rate, channels };
    (size > skipped).then_some(FrameHead { shape, size, skipped, samples: 1024 })
}

/// Returns the place of the description of the whole stream in its first frame, when it has one.
/// Such a frame has no sound (Xing, LAME and VBRI; <http://gabriel.mp3-tech.org/mp3infotag.html>).
fn find_description(head: FrameHead, frame: &[u8]) -> Option<usize> {
    if head.shape.codec != CODEC_ID_MP3 {
        return None;
    }
    let side = match (head.samples, head.shape.channels) {
        (1152, 1) | (576, 2) => 17,
        (1152, _) => 32,
        _ => 9,
    };
    let is_at = |at: usize, mark: &[u8]| frame.get(at..).is_some_and(|rest| rest.starts_with(mark));
    if is_at(4 + side, b"Xing") || is_at(4 + side, b"Info") {
        return Some(4 + side);
    }
    is_at(36, b"VBRI").then_some(36)
}

fn is_description(head: FrameHead, frame: &[u8]) -> bool {
    find_description(head, frame).is_some()
}

/// Returns how many seconds the description in the first frame promises.
fn promised_seconds(head: FrameHead, frame: &[u8]) -> Option<f64> {
    let at = find_description(head, frame)?;
    let word = |at: usize| {
        frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
    };
    let frames = if frame[at..].starts_with(b"VBRI") {
        word(at + 14)?
    } else if word(at + 4)? & 1 == 1 {
        word(at + 8)?
    } else {
        return None;
    };
    Some(f64::from(frames) * f64::from(head.samples) / f64::from(head.shape.rate))
}
