//! From the bytes of a recording to samples, by symphonia: all of its sound tracks, packet by
//! packet.

use std::{collections::VecDeque, io};

use symphonia::core::{
    audio::{AudioSpec, Channels, GenericAudioBufferRef},
    codecs::audio::{
        AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_OPUS,
    },
    common::Limit,
    errors::Error,
    formats::{FormatOptions, FormatReader, Track, TrackType, probe::Hint},
    io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
    packet::Packet,
    units::TimeBase,
};

use super::{
    damage::{DecodeRefusal, SoundDamage, TOO_EARLY},
    edits::{TrackCut, apply_cuts, cuts_from_edits},
    frames::Frames,
    part::{PartEnd, PartSource, RecordingPart},
    view::{FileView, ReadPosition},
};

/// Bytes of pictures and of words that a file may carry with the sound; they are of no use here.
const METADATA_MAX: usize = 4 * 1024 * 1024;

/// Sample rates that a recording may have.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Channels that a recording may have.
const CHANNELS_MAX: usize = 64;

/// Packets in a row that make no sound: the rest of the file is not this codec.
const DAMAGED_MAX: u64 = 5_000;

/// Sound tracks that are decoded: four people with a microphone each, and four more.
pub(crate) const TRACKS_MAX: usize = 8;

/// Bytes behind the sound that nothing explains, and that are passed over in silence: less than a
/// few seconds.
const UNREAD_MAX: u64 = 64 * 1024;

/// Decoded sound of a track.
#[derive(Debug)]
pub(crate) struct DecodedSound {
    /// The number of the track, from 0.
    pub(crate) track: usize,
    pub(crate) spec: AudioSpec,
    /// The time in seconds from the start of its part, if its container gives it.
    pub(crate) at: Option<f64>,
    /// Frame by frame.
    pub(crate) interleaved: Vec<f32>,
}

/// The sound of a recording, packet by packet.
pub(crate) struct Decoder {
    packets: PacketSource,
    voices: Vec<DecodedTrack>,
    ready: VecDeque<DecodedSound>,
    part: PartFacts,
    later: VecDeque<RecordingPart>,
    /// The number of parts that were begun.
    parts: usize,
    stated: Option<f64>,
    estimate: Option<f64>,
    pub(crate) damage: SoundDamage,
}

/// The facts of the part that is being read.
#[derive(Debug, Default)]
struct PartFacts {
    has_times: bool,
    end: PartEnd,
    is_without_places: bool,
    reached: Option<(ReadPosition, u64)>,
}

enum PacketSource {
    Container(Box<dyn FormatReader>),
    Frames(Box<Frames>),
}

/// A sound track that can be decoded.
struct DecodedTrack {
    track: u32,
    codec: Box<dyn AudioDecoder>,
    time_base: Option<TimeBase>,
    cuts: Vec<TrackCut>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("voices", &self.voices.len())
            .field("damage", &self.damage)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// Opens the first of `parts`; the others follow it.
    pub(crate) fn open(
        parts: impl IntoIterator<Item = RecordingPart>,
    ) -> Result<Self, DecodeRefusal> {
        let mut later: VecDeque<RecordingPart> = parts.into_iter().collect();
        let first = later.pop_front().ok_or(DecodeRefusal::Silent)?;
        let opened = OpenedPart::open(first)?;
        Ok(Self {
            packets: opened.packets,
            voices: opened.voices,
            ready: VecDeque::new(),
            part: opened.facts,
            later,
            parts: 1,
            stated: opened.stated,
            estimate: opened.estimate,
            damage: SoundDamage {
                deaf: opened.deaf,
                is_oddly_edited: opened.is_oddly_edited,
                ..SoundDamage::default()
            },
        })
    }

    /// Returns the length that it gives, in seconds.
    pub(crate) fn stated_seconds(&self) -> Option<f64> {
        self.stated
    }

    /// Returns its length in seconds, as far as that can be known.
    pub(crate) fn length_seconds(&self) -> Option<f64> {
        self.stated.or(self.estimate)
    }

    /// Returns the number of tracks that are decoded.
    pub(crate) fn track_count(&self) -> usize {
        self.voices.len()
    }

    /// Returns the number that the container gives to a track.
    pub(crate) fn track_id(&self, track: usize) -> u64 {
        self.voices.get(track).map_or(0, |voice| u64::from(voice.track))
    }

    /// Returns how many parts were begun.
    pub(crate) fn parts_begun(&self) -> usize {
        self.parts
    }

    /// Decodes the next packet that can be; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<DecodedSound> {
        loop {
            if let Some(decoded) = self.ready.pop_front() {
                return Some(decoded);
            }
            let is_over = match self.read_packet() {
                Some(packet) => !self.decode_packet(&packet),
                None => true,
            };
            if is_over && (self.damage.cut.is_some() || !self.open_next_part()) {
                return None;
            }
        }
    }

    /// Returns the next packet of any track; `None` at the end of the part.
    fn read_packet(&mut self) -> Option<Packet> {
        loop {
            let error = match &mut self.packets {
                PacketSource::Frames(frames) => match frames.next() {
                    Ok(Some(frame)) => {
                        if let Some(codec) =
                            frame.parameters.and_then(|parameters| create_decoder(&parameters).ok())
                        {
                            self.voices[0].codec = codec;
                        }
                        return Some(frame.packet);
                    }
                    Ok(None) => {
                        self.end_frames();
                        return None;
                    }
                    Err(error) => Error::IoError(error),
                },
                PacketSource::Container(format) => match format.next_packet() {
                    Ok(Some(packet)) => return Some(packet),
                    Ok(None) => {
                        self.end_container();
                        return None;
                    }
                    Err(Error::ResetRequired) => {
                        if self.open_next_stream() {
                            continue;
                        }
                        Error::ResetRequired
                    }
                    Err(error) => error,
                },
            };
            let is_at_end = matches!(&error, Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof);
            match self.part.end {
                PartEnd::OfBytes if is_at_end => {}
                PartEnd::Missing => {
                    self.damage.cut = Some(TOO_EARLY.to_owned());
                    self.damage.is_at_end = true;
                }
                PartEnd::Stated | PartEnd::OfBytes => {
                    self.damage.cut = Some(DecodeRefusal::from(error).to_string());
                    self.damage.is_at_end = is_at_end;
                }
            }
            return None;
        }
    }

    /// Counts bytes that are no frames, as packets of the usual size.
    fn end_frames(&mut self) {
        const USUAL: u64 = 400;
        if let PacketSource::Frames(frames) = &mut self.packets {
            self.damage.packets += std::mem::take(&mut frames.lost).div_ceil(USUAL);
        }
    }

    /// Counts the bytes behind the end that the container has.
    fn end_container(&mut self) {
        if let Some((reached, length)) = &self.part.reached {
            let unread = length.saturating_sub(reached.bytes_read());
            self.damage.unread +=
                if unread > UNREAD_MAX && unread > length / 50 { unread } else { 0 };
        }
    }

    /// Decodes a packet into [`Self::ready`]; returns whether it makes sense to go on.
    fn decode_packet(&mut self, packet: &Packet) -> bool {
        let Some(track) = self.voices.iter().position(|voice| voice.track == packet.track_id)
        else {
            return true;
        };
        let voice = &mut self.voices[track];
        match voice.codec.decode(packet) {
            Ok(sound) if is_sane(&sound) => {
                self.damage.row = 0;
                self.damage.decoded += 1;
                let mut interleaved = Vec::new();
                sound.copy_to_vec_interleaved(&mut interleaved);
                let mut spec = sound.spec().clone();
                if self.part.is_without_places {
                    let count = u16::try_from(spec.channels().count()).unwrap_or(u16::MAX);
                    spec = AudioSpec::new(spec.rate(), Channels::Discrete(count));
                }
                let time = voice
                    .time_base
                    .filter(|_| self.part.has_times)
                    .and_then(|base| base.calc_time(packet.pts));
                let time = time.map(|time| time.as_secs_f64());
                let decoded = DecodedSound { track, spec, at: time, interleaved };
                match time {
                    Some(time) if !voice.cuts.is_empty() => {
                        self.ready.extend(apply_cuts(&voice.cuts, time, &decoded));
                    }
                    _ => self.ready.push_back(decoded),
                }
            }
            Ok(_) | Err(_) => {
                self.damage.packets += 1;
                self.damage.row += 1;
                if self.damage.row > DAMAGED_MAX {
                    self.damage.cut = Some("nothing of the rest can be decoded".to_owned());
                    return false;
                }
            }
        }
        true
    }

    /// Goes on with another stream in the same file, as radio recordings in Ogg have it.
    fn open_next_stream(&mut self) -> bool {
        let PacketSource::Container(format) = &self.packets else { return false };
        let Some(track) = format.default_track(TrackType::Audio) else { return false };
        let Some(codec) =
            codec_parameters(track).and_then(|parameters| create_decoder(parameters).ok())
        else {
            return false;
        };
        self.voices.truncate(1);
        let Some(voice) = self.voices.first_mut() else { return false };
        voice.track = track.id;
        voice.codec = codec;
        true
    }

    /// Goes on with the file that was joined to this one.
    fn open_next_part(&mut self) -> bool {
        let Some(part) = self.later.pop_front() else { return false };
        match OpenedPart::open(part) {
            Ok(opened) => {
                self.parts += 1;
                self.packets = opened.packets;
                self.voices = opened.voices;
                self.part = opened.facts;
                self.damage.deaf.extend(opened.deaf);
                true
            }
            Err(refusal) => {
                self.damage.cut =
                    Some(format!("the next of the files that were joined: {refusal}"));
                false
            }
        }
    }
}

/// A part that was opened.
struct OpenedPart {
    packets: PacketSource,
    voices: Vec<DecodedTrack>,
    facts: PartFacts,
    stated: Option<f64>,
    estimate: Option<f64>,
    deaf: Vec<usize>,
    is_oddly_edited: bool,
}

impl OpenedPart {
    fn open(part: RecordingPart) -> Result<Self, DecodeRefusal> {
        let mut facts = PartFacts {
            has_times: part.has_times,
            end: part.end,
            is_without_places: part.is_without_places,
            reached: None,
        };
        let source: Box<dyn MediaSource> = match part.source {
            PartSource::Frames(view) => return Self::open_frames(view, facts),
            PartSource::Container(view) => {
                facts.reached = part.is_all_sound.then(|| (view.read_position(), view.len()));
                Box::new(view)
            }
            PartSource::Stream(stream) => stream,
        };
        let format = open_container(source)?;
        let mut voices = Vec::new();
        let mut deaf = Vec::new();
        let mut refusal = DecodeRefusal::Silent;
        let mut stated: Option<f64> = None;
        let mut is_oddly_edited = false;
        for (at, track) in format.tracks().iter().filter(|track| is_sound(track)).enumerate() {
            if voices.len() == TRACKS_MAX {
                deaf.push(at + 1);
                continue;
            }
            match codec_parameters(track)
                .ok_or(DecodeRefusal::Unsupported("this codec".to_owned()))
                .and_then(create_decoder)
            {
                Ok(codec) => {
                    let edits = part.edits.iter().find(|(id, _)| *id == u64::from(track.id));
                    let cuts = edits.map_or(Some(Vec::new()), |(_, edits)| cuts_from_edits(edits));
                    is_oddly_edited |= cuts.is_none();
                    let cuts = cuts.unwrap_or_default();
                    let length = track_seconds(track).map(|length| match cuts.last() {
                        Some(last) => last.at + last.to.min(length).max(last.from) - last.from,
                        None => length,
                    });
                    stated = stated.into_iter().chain(length).reduce(f64::max);
                    voices.push(DecodedTrack {
                        track: track.id,
                        codec,
                        time_base: track.time_base,
                        cuts,
                    });
                }
                Err(error) => {
                    deaf.push(at + 1);
                    refusal = error;
                }
            }
        }
        if voices.is_empty() {
            return Err(refusal);
        }
        let packets = PacketSource::Container(format);
        Ok(Self {
            packets,
            voices,
            facts,
            stated: part.stated.or(stated),
            estimate: None,
            deaf,
            is_oddly_edited,
        })
    }

    fn open_frames(view: FileView, facts: PartFacts) -> Result<Self, DecodeRefusal> {
        let mut frames = Frames::open(view)?;
        let stated = frames.stated_seconds();
        let estimate = frames.estimated_seconds();
        let parameters = frames.codec_parameters().ok_or(DecodeRefusal::Silent)?;
        let voice = DecodedTrack {
            track: 0,
            codec: create_decoder(&parameters)?,
            time_base: None,
            cuts: Vec::new(),
        };
        let packets = PacketSource::Frames(Box::new(frames));
        let deaf = Vec::new();
        Ok(Self {
            packets,
            voices: vec![voice],
            facts,
            stated,
            estimate,
            deaf,
            is_oddly_edited: false,
        })
    }
}

/// Opens a container; one that has its index at its end is read as a stream where the end is
/// missing.
fn open_container(source: Box<dyn MediaSource>) -> Result<Box<dyn FormatReader>, DecodeRefusal> {
    let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
    let metadata = MetadataOptions::default()
        .limit_tag_bytes(Limit::Maximum(METADATA_MAX))
        .limit_visual_bytes(Limit::Maximum(METADATA_MAX));
    let probe = symphonia::default::get_probe();
    Ok(probe.probe(&Hint::new(), stream, FormatOptions::default(), metadata)?)
}

fn is_sound(track: &Track) -> bool {
    track.track_type() == Some(TrackType::Audio)
}

fn codec_parameters(track: &Track) -> Option<&AudioCodecParameters> {
    track.codec_params.as_ref()?.audio()
}

fn create_decoder(
    parameters: &AudioCodecParameters,
) -> Result<Box<dyn AudioDecoder>, DecodeRefusal> {
    if parameters.codec == CODEC_ID_OPUS {
        return Err(DecodeRefusal::Unsupported("Opus".to_owned()));
    }
    let made = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default());
    made.map_err(DecodeRefusal::from)
}

/// Returns the length that a track gives, in seconds.
#[expect(clippy::cast_precision_loss, reason = "exact for any recording there can be")]
fn track_seconds(track: &Track) -> Option<f64> {
    let rate = codec_parameters(track).and_then(|parameters| parameters.sample_rate);
    if let (Some(frames), Some(rate)) = (track.num_frames, rate) {
        return Some(frames as f64 / f64::from(rate));
    }
    Some(track.time_base?.calc_duration(track.duration?)?.as_secs_f64())
}

fn is_sane(sound: &GenericAudioBufferRef<'_>) -> bool {
    let spec = sound.spec();
    RATES.contains(&spec.rate()) && (1..=CHANNELS_MAX).contains(&spec.channels().count())
}
