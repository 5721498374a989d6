//! From the bytes of a recording to samples, by symphonia.

use std::io::{self, Read, Seek};

use symphonia::core::{
    audio::GenericAudioBufferRef,
    codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_OPUS},
    common::Limit,
    errors::Error,
    formats::{FormatOptions, FormatReader, Track, TrackType, probe::Hint},
    io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
};

/// Bytes of pictures and of words that a file may carry with the sound; they are of no use here.
const METADATA_MAX: usize = 4 * 1024 * 1024;

/// Sample rates that a recording may have.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Channels that a recording may have.
const CHANNELS_MAX: usize = 64;

/// Packets in a row that make no sound: what follows is not this codec any more.
const DAMAGED_MAX: u64 = 5_000;

/// Why symphonia does not decode a file.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It does not know the kind or the codec; another decoder may.
    Unsupported(String),
    /// The file is damaged.
    Damaged(String),
    /// There is no sound in it.
    Silent,
    /// The file cannot be read.
    Io(io::Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Damaged("it ends too early".to_owned())
            }
            Error::IoError(error) => Self::Io(error),
            Error::Unsupported(what) => Self::Unsupported(what.to_owned()),
            Error::DecodeError(_) | Error::SeekError(_) | Error::LimitError(_) | Error::ResetRequired | _ => {
                Self::Damaged(error.to_string())
            }
        }
    }
}

/// One sound of a recording, packet by packet.
pub(crate) struct Decoder {
    format: Box<dyn FormatReader>,
    codec: Box<dyn AudioDecoder>,
    track: u32,
    frames: Option<f64>,
    pub(crate) damage: Damage,
}

/// What went wrong on the way, without ending it.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    /// Packets that could not be decoded.
    pub(crate) packets: u64,
    /// In a row, until now.
    row: u64,
    /// Why it ended before its end.
    pub(crate) cut: Option<String>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("track", &self.track).field("damage", &self.damage).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Looks what `source` is, and gets ready for its sound.
    pub(crate) fn open(source: Box<dyn MediaSource>) -> Result<Self, Refusal> {
        let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        let metadata = MetadataOptions::default()
            .limit_tag_bytes(Limit::Maximum(METADATA_MAX))
            .limit_visual_bytes(Limit::Maximum(METADATA_MAX));
        let probe = symphonia::default::get_probe();
        let format = probe.probe(&Hint::new(), stream, FormatOptions::default(), metadata)?;
        let track = format.default_track(TrackType::Audio).or_else(|| format.first_track(TrackType::Audio));
        let track = track.ok_or(Refusal::Silent)?;
        let (id, frames) = (track.id, length(track));
        let codec = decoder(track)?;
        Ok(Self { format, codec, track: id, frames, damage: Damage::default() })
    }

    /// Returns how long it says it is, in seconds.
    pub(crate) fn length(&self) -> Option<f64> {
        self.frames
    }

    /// Decodes the next packet that can be; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<GenericAudioBufferRef<'_>> {
        loop {
            let packet = match self.format.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return None,
                Err(Error::ResetRequired) if self.begin_anew() => continue,
                Err(error) => {
                    self.damage.cut = Some(Refusal::from(error).to_string());
                    return None;
                }
            };
            if packet.track_id != self.track {
                continue;
            }
            match self.codec.decode(&packet) {
                Ok(sound) if is_sane(&sound) => {
                    self.damage.row = 0;
                    // Asked for again, because what was just returned cannot leave a loop.
                    break;
                }
                Ok(_) | Err(_) => {
                    self.damage.packets += 1;
                    self.damage.row += 1;
                    if self.damage.row > DAMAGED_MAX {
                        self.damage.cut = Some("nothing of the rest can be decoded".to_owned());
                        return None;
                    }
                }
            }
        }
        Some(self.codec.last_decoded())
    }

    /// Goes on with another stream in the same file, as radio recordings in Ogg have it.
    fn begin_anew(&mut self) -> bool {
        let Some(track) = self.format.default_track(TrackType::Audio) else { return false };
        let Ok(codec) = decoder(track) else { return false };
        self.track = track.id;
        self.codec = codec;
        true
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsupported(what) => write!(f, "{what} is not known"),
            Self::Damaged(why) => f.write_str(why),
            Self::Silent => f.write_str("there is no sound in it"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

fn parameters(track: &Track) -> Option<&AudioCodecParameters> {
    track.codec_params.as_ref()?.audio()
}

fn decoder(track: &Track) -> Result<Box<dyn AudioDecoder>, Refusal> {
    let parameters = parameters(track).ok_or(Refusal::Silent)?;
    if parameters.codec == CODEC_ID_OPUS {
        return Err(Refusal::Unsupported("Opus".to_owned()));
    }
    let made = symphonia::default::get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default());
    made.map_err(Refusal::from)
}

/// Returns how long a track says it is, in seconds.
#[expect(clippy::cast_precision_loss, reason = "exact for any recording there can be")]
fn length(track: &Track) -> Option<f64> {
    let rate = parameters(track).and_then(|parameters| parameters.sample_rate);
    if let (Some(frames), Some(rate)) = (track.num_frames, rate) {
        return Some(frames as f64 / f64::from(rate));
    }
    Some(track.time_base?.calc_duration(track.duration?)?.as_secs_f64())
}

fn is_sane(sound: &GenericAudioBufferRef<'_>) -> bool {
    let spec = sound.spec();
    RATES.contains(&spec.rate()) && (1..=CHANNELS_MAX).contains(&spec.channels().count())
}

/// A WAV whose recorder died before it could write the lengths: they are 0. It is read as one that never ends.
#[derive(Debug)]
pub(crate) struct Mended<S> {
    source: S,
    position: u64,
    /// Places of lengths that are 0.
    lengths: Vec<u64>,
}

impl<S: Read + Seek> Mended<S> {
    /// Looks for lengths in `head`, the first bytes of `source`, which stands at its begin.
    pub(crate) fn new(source: S, head: &[u8]) -> Self {
        let is_wav = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WAVE");
        let lengths = if is_wav { zero_lengths(head) } else { Vec::new() };
        Self { source, position: 0, lengths }
    }
}

/// Returns where the lengths of the file and of its sound stand, when they are 0.
fn zero_lengths(head: &[u8]) -> Vec<u64> {
    let word = |at: usize| head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let mut lengths = Vec::new();
    lengths.extend((word(4) == Some(0)).then_some(4));
    let mut at = 12;
    while let (Some(name), Some(length)) = (head.get(at..at + 4), word(at + 4)) {
        if name == b"data" {
            lengths.extend((length == 0).then_some(at as u64 + 4));
            break;
        }
        at = at
            .saturating_add(8)
            .saturating_add(usize::try_from(length).unwrap_or(usize::MAX))
            .saturating_add((length % 2) as usize);
    }
    lengths
}

impl<S: Read> Read for Mended<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        for length in &self.lengths {
            for byte in *length..length + 4 {
                let place = byte.checked_sub(self.position).and_then(|place| usize::try_from(place).ok());
                if let Some(byte) = place.and_then(|place| buffer[..read].get_mut(place)) {
                    *byte = 0xff;
                }
            }
        }
        self.position += read as u64;
        Ok(read)
    }
}

impl<S: Seek> Seek for Mended<S> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.position = self.source.seek(to)?;
        Ok(self.position)
    }
}

impl MediaSource for Mended<std::fs::File> {
    fn is_seekable(&self) -> bool {
        self.source.is_seekable()
    }

    fn byte_len(&self) -> Option<u64> {
        self.source.byte_len()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn wav(riff: u32, data: u32) -> Vec<u8> {
        let mut bytes = [b"RIFF", &riff.to_le_bytes()[..], b"WAVEfmt \x10\0\0\0"].concat();
        bytes.extend([1, 0, 1, 0, 0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0, 2, 0, 16, 0]);
        bytes.extend([b"data", &data.to_le_bytes()[..], &[7; 64]].concat());
        bytes
    }

    fn mended(bytes: &[u8], block: usize) -> Vec<u8> {
        let mut source = Mended::new(Cursor::new(bytes.to_vec()), bytes);
        let (mut all, mut buffer) = (Vec::new(), vec![0; block]);
        while let Ok(read @ 1..) = source.read(&mut buffer) {
            all.extend_from_slice(&buffer[..read]);
        }
        all
    }

    #[test]
    fn lengths_that_were_never_written_are_endless() {
        for block in [1, 3, 4, 7, 4096] {
            assert_eq!(mended(&wav(0, 0), block), wav(u32::MAX, u32::MAX));
            assert_eq!(mended(&wav(100, 64), block), wav(100, 64));
        }
    }
}
