//! From the bytes of a recording to samples, by symphonia: all of its sound tracks, packet by packet.

use std::{collections::VecDeque, io};

use symphonia::core::{
    audio::{AudioSpec, Channels, GenericAudioBufferRef},
    codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_OPUS},
    common::Limit,
    errors::Error,
    formats::{FormatOptions, FormatReader, Track, TrackType, probe::Hint},
    io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
    packet::Packet,
    units::TimeBase,
};

use super::{
    damage::{Damage, Refusal, TOO_EARLY},
    edits::{Cut, cut, cuts},
    frames::Frames,
    tracks::Edit,
    view::{Reached, View},
};

/// Bytes of pictures and of words that a file may carry with the sound; they are of no use here.
const METADATA_MAX: usize = 4 * 1024 * 1024;

/// Sample rates that a recording may have.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// Channels that a recording may have.
const CHANNELS_MAX: usize = 64;

/// Packets in a row that make no sound: what follows is not this codec any more.
const DAMAGED_MAX: u64 = 5_000;

/// Sound tracks that are heard: four people with a microphone each, and four more.
pub(crate) const TRACKS_MAX: usize = 8;

/// Bytes behind the sound that nothing explains, and that are passed over in silence: less than a few seconds.
const UNREAD_MAX: u64 = 64 * 1024;

/// A part of a recording that is opened on its own: all of it, unless files were joined.
pub(crate) struct Part {
    pub(crate) source: Source,
    /// The edit lists of tracks, by the number that the container gives them.
    pub(crate) edits: Vec<(u64, Vec<Edit>)>,
    /// Whether the times of packets are those of the recording.
    pub(crate) has_times: bool,
    /// Where it ends.
    pub(crate) end: PartEnd,
    /// Whether which channel is where is a guess.
    pub(crate) is_without_places: bool,
    /// Whether bytes that are left behind its end are sound that was not heard.
    pub(crate) is_all_sound: bool,
    /// How long its header says it is, in seconds.
    pub(crate) stated: Option<f64>,
}

/// Where a part ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PartEnd {
    /// Where its header says.
    #[default]
    Stated,
    /// Where the bytes end.
    OfBytes,
    /// Behind the end of the file, which was cut off: whatever goes wrong at its end is that.
    Missing,
}

/// Where the bytes come from.
pub(crate) enum Source {
    /// A file with a container.
    Container(View),
    /// Frames without a container.
    Frames(View),
    /// What another decoder writes.
    Stream(Box<dyn MediaSource>),
}

impl Part {
    /// Returns a part of a recording of which nothing particular is known.
    pub(crate) fn new(source: Source) -> Self {
        let edits = Vec::new();
        Self {
            source,
            edits,
            has_times: false,
            end: PartEnd::Stated,
            is_without_places: false,
            is_all_sound: false,
            stated: None,
        }
    }
}

/// Some sound of a track.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Which track, from 0.
    pub(crate) track: usize,
    pub(crate) spec: AudioSpec,
    /// When it is heard, in seconds from the start of its part; where its container says so.
    pub(crate) at: Option<f64>,
    /// Frame by frame.
    pub(crate) interleaved: Vec<f32>,
}

/// The sound of a recording, packet by packet.
pub(crate) struct Decoder {
    packets: Packets,
    voices: Vec<Voice>,
    ready: VecDeque<Heard>,
    part: PartFacts,
    later: VecDeque<Part>,
    /// How many parts were begun.
    parts: usize,
    stated: Option<f64>,
    estimate: Option<f64>,
    pub(crate) damage: Damage,
}

/// What is known of the part that is being read.
#[derive(Debug, Default)]
struct PartFacts {
    has_times: bool,
    end: PartEnd,
    is_without_places: bool,
    reached: Option<(Reached, u64)>,
}

enum Packets {
    Container(Box<dyn FormatReader>),
    Frames(Box<Frames>),
}

/// A sound track that can be decoded.
struct Voice {
    track: u32,
    codec: Box<dyn AudioDecoder>,
    time_base: Option<TimeBase>,
    cuts: Vec<Cut>,
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
    /// Looks what the first of `parts` is, and gets ready for its sound; the others follow it.
    pub(crate) fn open(parts: impl IntoIterator<Item = Part>) -> Result<Self, Refusal> {
        let mut later: VecDeque<Part> = parts.into_iter().collect();
        let first = later.pop_front().ok_or(Refusal::Silent)?;
        let opened = Opened::open(first)?;
        Ok(Self {
            packets: opened.packets,
            voices: opened.voices,
            ready: VecDeque::new(),
            part: opened.facts,
            later,
            parts: 1,
            stated: opened.stated,
            estimate: opened.estimate,
            damage: Damage { deaf: opened.deaf, is_oddly_edited: opened.is_oddly_edited, ..Damage::default() },
        })
    }

    /// Returns how long it says it is, in seconds.
    pub(crate) fn stated(&self) -> Option<f64> {
        self.stated
    }

    /// Returns how long it is, in seconds, as far as that can be known.
    pub(crate) fn length(&self) -> Option<f64> {
        self.stated.or(self.estimate)
    }

    /// Returns how many tracks are heard.
    pub(crate) fn tracks(&self) -> usize {
        self.voices.len()
    }

    /// Returns the number that the container gives to a track.
    pub(crate) fn track_id(&self, track: usize) -> u64 {
        self.voices.get(track).map_or(0, |voice| u64::from(voice.track))
    }

    /// Returns how many parts were begun.
    pub(crate) fn parts(&self) -> usize {
        self.parts
    }

    /// Decodes the next packet that can be; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.ready.pop_front() {
                return Some(heard);
            }
            let is_over = match self.packet() {
                Some(packet) => !self.decode(&packet),
                None => true,
            };
            if is_over && (self.damage.cut.is_some() || !self.open_next_part()) {
                return None;
            }
        }
    }

    /// Returns the next packet of any track; `None` at the end of the part.
    fn packet(&mut self) -> Option<Packet> {
        loop {
            let error = match &mut self.packets {
                Packets::Frames(frames) => match frames.next() {
                    Ok(Some(frame)) => {
                        if let Some(codec) = frame.parameters.and_then(|parameters| decoder(&parameters).ok()) {
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
                Packets::Container(format) => match format.next_packet() {
                    Ok(Some(packet)) => return Some(packet),
                    Ok(None) => {
                        self.end_container();
                        return None;
                    }
                    Err(Error::ResetRequired) => {
                        if self.begin_anew() {
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
                    self.damage.cut = Some(Refusal::from(error).to_string());
                    self.damage.is_at_end = is_at_end;
                }
            }
            return None;
        }
    }

    /// Counts what was no frame: as packets of the usual size.
    fn end_frames(&mut self) {
        const USUAL: u64 = 400;
        if let Packets::Frames(frames) = &mut self.packets {
            self.damage.packets += std::mem::take(&mut frames.lost).div_ceil(USUAL);
        }
    }

    /// Looks how much is left behind the end that the container has.
    fn end_container(&mut self) {
        if let Some((reached, length)) = &self.part.reached {
            let unread = length.saturating_sub(reached.bytes());
            self.damage.unread += if unread > UNREAD_MAX && unread > length / 50 { unread } else { 0 };
        }
    }

    /// Decodes a packet into [`Self::ready`]; returns whether it makes sense to go on.
    fn decode(&mut self, packet: &Packet) -> bool {
        let Some(track) = self.voices.iter().position(|voice| voice.track == packet.track_id) else { return true };
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
                let time = voice.time_base.filter(|_| self.part.has_times).and_then(|base| base.calc_time(packet.pts));
                let time = time.map(|time| time.as_secs_f64());
                let heard = Heard { track, spec, at: time, interleaved };
                match time {
                    Some(time) if !voice.cuts.is_empty() => self.ready.extend(cut(&voice.cuts, time, &heard)),
                    _ => self.ready.push_back(heard),
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
    fn begin_anew(&mut self) -> bool {
        let Packets::Container(format) = &self.packets else { return false };
        let Some(track) = format.default_track(TrackType::Audio) else { return false };
        let Some(codec) = parameters(track).and_then(|parameters| decoder(parameters).ok()) else { return false };
        self.voices.truncate(1);
        let Some(voice) = self.voices.first_mut() else { return false };
        voice.track = track.id;
        voice.codec = codec;
        true
    }

    /// Goes on with the file that was joined to this one.
    fn open_next_part(&mut self) -> bool {
        let Some(part) = self.later.pop_front() else { return false };
        match Opened::open(part) {
            Ok(opened) => {
                self.parts += 1;
                self.packets = opened.packets;
                self.voices = opened.voices;
                self.part = opened.facts;
                self.damage.deaf.extend(opened.deaf);
                true
            }
            Err(refusal) => {
                self.damage.cut = Some(format!("the next of the files that were joined: {refusal}"));
                false
            }
        }
    }
}

/// A part that was opened.
struct Opened {
    packets: Packets,
    voices: Vec<Voice>,
    facts: PartFacts,
    stated: Option<f64>,
    estimate: Option<f64>,
    deaf: Vec<usize>,
    is_oddly_edited: bool,
}

impl Opened {
    fn open(part: Part) -> Result<Self, Refusal> {
        let mut facts = PartFacts {
            has_times: part.has_times,
            end: part.end,
            is_without_places: part.is_without_places,
            reached: None,
        };
        let source: Box<dyn MediaSource> = match part.source {
            Source::Frames(view) => return Self::frames(view, facts),
            Source::Container(view) => {
                facts.reached = part.is_all_sound.then(|| (view.reached(), view.len()));
                Box::new(view)
            }
            Source::Stream(stream) => stream,
        };
        let format = container(source)?;
        let mut voices = Vec::new();
        let mut deaf = Vec::new();
        let mut refusal = Refusal::Silent;
        let mut stated: Option<f64> = None;
        let mut is_oddly_edited = false;
        for (at, track) in format.tracks().iter().filter(|track| is_sound(track)).enumerate() {
            if voices.len() == TRACKS_MAX {
                deaf.push(at + 1);
                continue;
            }
            match parameters(track).ok_or(Refusal::Unsupported("this codec".to_owned())).and_then(decoder) {
                Ok(codec) => {
                    let edits = part.edits.iter().find(|(id, _)| *id == u64::from(track.id));
                    let cuts = edits.map_or(Some(Vec::new()), |(_, edits)| cuts(edits));
                    is_oddly_edited |= cuts.is_none();
                    let cuts = cuts.unwrap_or_default();
                    let length = length(track).map(|length| match cuts.last() {
                        Some(last) => last.at + last.to.min(length).max(last.from) - last.from,
                        None => length,
                    });
                    stated = stated.into_iter().chain(length).reduce(f64::max);
                    voices.push(Voice { track: track.id, codec, time_base: track.time_base, cuts });
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
        let packets = Packets::Container(format);
        Ok(Self { packets, voices, facts, stated: part.stated.or(stated), estimate: None, deaf, is_oddly_edited })
    }

    fn frames(view: View, facts: PartFacts) -> Result<Self, Refusal> {
        let mut frames = Frames::open(view)?;
        let stated = frames.stated();
        let estimate = frames.estimate();
        let parameters = frames.parameters().ok_or(Refusal::Silent)?;
        let voice = Voice { track: 0, codec: decoder(&parameters)?, time_base: None, cuts: Vec::new() };
        let packets = Packets::Frames(Box::new(frames));
        let deaf = Vec::new();
        Ok(Self { packets, voices: vec![voice], facts, stated, estimate, deaf, is_oddly_edited: false })
    }
}

/// Opens a container; one that has its index at its end is read as a stream where the end is missing.
fn container(source: Box<dyn MediaSource>) -> Result<Box<dyn FormatReader>, Refusal> {
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

fn parameters(track: &Track) -> Option<&AudioCodecParameters> {
    track.codec_params.as_ref()?.audio()
}

fn decoder(parameters: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, Refusal> {
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
