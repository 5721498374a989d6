//! The sound of a recording, as a stream of 16 kHz: one plane, or several that belong to one person
//! each.
//!
//! All sound of the file is decoded, and nothing else: every sound track and channel, all of the
//! sound even if a header gives less, no tags, and nothing that the file itself leaves out. Sound
//! that could not be decoded becomes a remark.
//!
//! - `sniff` says what a file is, `tags` where its sound begins and ends, `wav` and `tracks` what
//!   its container holds; `opening` puts that together.
//! - `view` shows a part of the file to a decoder: `frames` for MPEG audio and AAC without a
//!   container, symphonia for the rest (`decode`), and [`ffmpeg`] for what neither knows.
//! - `planes`, by `mix` and `resample`, makes planes of 16 kHz of what was decoded; `sides` decides
//!   which of them are people of their own.

pub(crate) mod convert;
mod damage;
mod decode;
mod edits;
pub(super) mod error;
pub mod ffmpeg;
mod flac;
mod frames;
mod gaps;
mod mix;
mod ogg;
mod opening;
mod part;
mod planes;
mod remarks;
mod resample;
mod sides;
mod sniff;
mod tags;
mod tracks;
mod view;
mod wav;

use std::{fs::File, io};

use symphonia::core::io::ReadOnlySource;

pub(crate) use self::opening::kind_of;
use self::{
    damage::DecodeRefusal,
    decode::{DecodedSound, Decoder},
    ffmpeg::{Ffmpeg, FfmpegStreams, RunningFfmpeg, StartFfmpeg},
    gaps::{PartPlace, samples_from_seconds},
    opening::{
        FileFacts, audio_error, describe_kind, ends_within_packet, is_incomplete, open_decoder,
        sniff_file, undecodable_error,
    },
    part::{PartEnd, PartSource, RecordingPart},
    planes::{TrackSound, take_first},
    sides::{Sides, SidesComparison, TracksComparison},
    sniff::{FileKind, Sniffed},
    view::FileView,
};
pub use self::{error::AudioError, sides::Side, tracks::sound_tracks};
use super::RATE;

/// Samples of a plane that are handed on at once, about: a second.
const BLOCK: usize = 16_000;

/// Samples that a track may lag behind another one before silence fills it: 10 s, more than
/// containers interleave.
const LAG_MAX: u64 = 10 * RATE as u64;

/// Seconds of ffmpeg's that make it worth to begin again with it.
const BETTER_BY: u64 = 2 * RATE as u64;

/// A recording that is being decoded.
#[derive(Debug)]
pub struct Audio {
    file: File,
    decoder: Decoder,
    ffmpeg: Option<RunningFfmpeg>,
    facts: FileFacts,
    tracks: Vec<TrackSound>,
    /// The kind of the sides of a single track, once known.
    sides: Option<Sides>,
    look: SidesComparison,
    /// The tracks of several that are transcribed, once known.
    kept: Option<Vec<usize>>,
    comparison: TracksComparison,
    /// Silence in front of decoded sound, in samples.
    gap: Option<(u64, DecodedSound)>,
    /// Samples of silence that were filled in.
    silence: u64,
    /// The begin of the part that is being read, in samples, and the base of its times, in seconds.
    part: PartPlace,
    is_over: bool,
    /// Samples handed on.
    handed_on: u64,
}

impl Audio {
    /// Opens `file` by its kind; `ffmpeg` decodes the kinds that symphonia cannot.
    ///
    /// # Errors
    /// [`AudioError`].
    pub fn open(file: File, ffmpeg: Option<&Ffmpeg>) -> Result<Self, AudioError> {
        Self::open_with(file, ffmpeg.map(|ffmpeg| ffmpeg as &dyn StartFfmpeg))
    }

    /// Opens a recording as [`Self::open`] does, with an ffmpeg that another process may start.
    pub(crate) fn open_with(
        file: File,
        ffmpeg: Option<&dyn StartFfmpeg>,
    ) -> Result<Self, AudioError> {
        let (kind, within) = match sniff_file(&file)? {
            (Sniffed::Empty, within) if within.start > 0 => return Err(AudioError::NoSound),
            (Sniffed::Empty, _) => return Err(undecodable_error("it is empty")),
            (Sniffed::Text, _) => return Err(undecodable_error("it is a text, not a recording")),
            (Sniffed::Unknown, within) => {
                let whole = RecordingPart::new(PartSource::Container(FileView::of_range(
                    file.try_clone()?,
                    within,
                )));
                let decoder = Decoder::open([whole]).map_err(audio_error)?;
                return Ok(Self::new(file, decoder, None, FileFacts::default()));
            }
            (Sniffed::Known(kind), within) => (kind, within),
        };
        if !kind.ours {
            let breaks_off = kind.demuxer == "mpegts" && ends_within_packet(&file)?;
            let facts = FileFacts { kind: Some(kind), breaks_off, ..FileFacts::default() };
            return Self::open_with_ffmpeg(&file, kind.name.to_owned(), ffmpeg, facts);
        }
        let mut facts = FileFacts { kind: Some(kind), ..FileFacts::default() };
        let refusal = match open_decoder(&file, kind, within, &mut facts) {
            Ok(decoder) if ffmpeg.is_some() && is_incomplete(&decoder, &facts) => {
                let again = FileFacts { tracks: facts.tracks.clone(), ..facts };
                let decoded = Self::open_with_ffmpeg(&file, kind.name.to_owned(), ffmpeg, facts);
                return decoded.or_else(|error| {
                    let is_passing = matches!(error, AudioError::NoMemory);
                    if is_passing { Err(error) } else { Ok(Self::new(file, decoder, None, again)) }
                });
            }
            Ok(decoder) => return Ok(Self::new(file, decoder, None, facts)),
            Err(refusal) => refusal,
        };
        match refusal {
            DecodeRefusal::Silent if facts.is_listed && !facts.tracks.is_empty() => {
                Self::open_with_ffmpeg(&file, describe_kind(kind, "this codec"), ffmpeg, facts)
            }
            DecodeRefusal::Unsupported(what) => {
                Self::open_with_ffmpeg(&file, describe_kind(kind, &what), ffmpeg, facts)
            }
            // A damaged file is damaged, with or without ffmpeg; but ffmpeg forgives more.
            DecodeRefusal::Damaged(why) if ffmpeg.is_some() => {
                let decoded = Self::open_with_ffmpeg(&file, kind.name.to_owned(), ffmpeg, facts);
                decoded.map_err(|error| {
                    if matches!(error, AudioError::NoMemory) {
                        error
                    } else {
                        undecodable_error(why)
                    }
                })
            }
            refusal
            @ (DecodeRefusal::Damaged(_) | DecodeRefusal::Silent | DecodeRefusal::Io(_)) => {
                Err(audio_error(refusal))
            }
        }
    }

    /// Returns the next sound, about a second of it, as planes of the same length: one, or one for
    /// each of [`Self::voices`]; `None` at the end.
    ///
    /// # Errors
    /// [`AudioError::NoSound`] and [`AudioError::Undecodable`] when the recording ends before its
    /// first sample.
    pub fn listen(&mut self) -> Result<Option<Vec<Vec<f32>>>, AudioError> {
        loop {
            if self.is_ready() {
                return Ok(Some(self.hand_on()));
            }
            if self.is_over {
                return Ok(None);
            }
            self.decode_next()?;
        }
    }

    /// Returns whose the planes are that [`Self::listen`] gives, once it has given some.
    pub fn voices(&self) -> Vec<Option<Side>> {
        let is_apart = self.sides == Some(Sides::Apart);
        match self.kept.as_deref() {
            Some(kept) if kept.len() > 1 => {
                kept.iter().map(|track| Some(self.track_side(*track))).collect()
            }
            Some(_) | None if is_apart => vec![Some(Side::Left), Some(Side::Right)],
            Some(_) | None => vec![None],
        }
    }

    /// Returns the length that the recording gives, in samples of 16 kHz; a guess where it gives
    /// none.
    pub fn length(&self) -> Option<u64> {
        self.decoder.length_seconds().and_then(samples_from_seconds)
    }

    /// Returns how many samples were handed on.
    pub fn given(&self) -> u64 {
        self.handed_on
    }

    /// Asks ffmpeg, where it is there, when much of the recording could not be decoded without it.
    /// Returns the recording from its start where ffmpeg hears more of it.
    ///
    /// # Errors
    /// [`AudioError::Io`].
    pub fn second_opinion(&self, ffmpeg: Option<&Ffmpeg>) -> Result<Option<Self>, AudioError> {
        self.second_opinion_with(ffmpeg.map(|ffmpeg| ffmpeg as &dyn StartFfmpeg))
    }

    /// Asks as [`Self::second_opinion`] does, an ffmpeg that another process may start.
    pub(crate) fn second_opinion_with(
        &self,
        ffmpeg: Option<&dyn StartFfmpeg>,
    ) -> Result<Option<Self>, AudioError> {
        let Some(kind) =
            self.facts.kind.filter(|_| self.ffmpeg.is_none() && self.decoder.damage.is_grave())
        else {
            return Ok(None);
        };
        let facts = || FileFacts {
            kind: Some(kind),
            tracks: self.facts.tracks.clone(),
            is_listed: self.facts.is_listed,
            breaks_off: self.facts.breaks_off,
            first_of: None,
        };
        let mut other =
            match Self::open_with_ffmpeg(&self.file, kind.name.to_owned(), ffmpeg, facts()) {
                Ok(other) => other,
                Err(error @ (AudioError::Io(_) | AudioError::NoMemory)) => return Err(error),
                Err(
                    AudioError::Undecodable { .. }
                    | AudioError::NoSound
                    | AudioError::NeedsFfmpeg { .. }
                    | AudioError::Ffmpeg { .. },
                ) => {
                    return Ok(None);
                }
            };
        while other.listen().is_ok_and(|planes| planes.is_some()) {}
        let own = self.handed_on.saturating_sub(self.silence);
        if other.handed_on.saturating_sub(other.silence) < own + BETTER_BY {
            return Ok(None);
        }
        Self::open_with_ffmpeg(&self.file, kind.name.to_owned(), ffmpeg, facts()).map(Some)
    }

    fn new(file: File, decoder: Decoder, ffmpeg: Option<RunningFfmpeg>, facts: FileFacts) -> Self {
        let mut tracks = Vec::new();
        tracks.resize_with(decoder.track_count().max(1), TrackSound::default);
        Self {
            file,
            decoder,
            ffmpeg,
            facts,
            tracks,
            sides: None,
            look: SidesComparison::default(),
            kept: None,
            comparison: TracksComparison::default(),
            gap: None,
            silence: 0,
            part: PartPlace { number: 1, ..PartPlace::default() },
            is_over: false,
            handed_on: 0,
        }
    }

    /// Has ffmpeg decode all sound tracks, or the first where it cannot decode all.
    fn open_with_ffmpeg(
        file: &File,
        what: String,
        ffmpeg: Option<&dyn StartFfmpeg>,
        facts: FileFacts,
    ) -> Result<Self, AudioError> {
        let (Some(ffmpeg), Some(kind)) = (ffmpeg, facts.kind) else {
            return Err(AudioError::NeedsFfmpeg { what });
        };
        if facts.is_listed && facts.tracks.is_empty() {
            return Err(AudioError::NoSound);
        }
        let needs = |error: io::Error| {
            let is_gone = error.kind() == io::ErrorKind::NotFound;
            if is_gone {
                AudioError::NeedsFfmpeg { what: what.clone() }
            } else {
                AudioError::Io(error)
            }
        };
        let listed = if facts.is_listed || kind.ours {
            None
        } else {
            ffmpeg.count_sound_streams(file, kind).map_err(needs)?
        };
        let count = listed.unwrap_or(facts.tracks.len());
        if count > 1
            && let Ok(running) =
                Self::start_ffmpeg(ffmpeg, file, kind, FfmpegStreams::All).map_err(needs)?
        {
            return Ok(Self::new(file.try_clone()?, running.0, Some(running.1), facts));
        }
        let facts = FileFacts { first_of: (count > 1).then_some(count), ..facts };
        let (decoder, running) =
            Self::start_ffmpeg(ffmpeg, file, kind, FfmpegStreams::First).map_err(needs)??;
        Ok(Self::new(file.try_clone()?, decoder, Some(running), facts))
    }

    fn start_ffmpeg(
        ffmpeg: &dyn StartFfmpeg,
        file: &File,
        kind: FileKind,
        streams: FfmpegStreams,
    ) -> io::Result<Result<(Decoder, RunningFfmpeg), AudioError>> {
        let (output, mut running) = ffmpeg.start_decoding(file, kind, streams)?;
        let stream = RecordingPart::new(PartSource::Stream(Box::new(ReadOnlySource::new(output))));
        let part = RecordingPart {
            end: PartEnd::OfBytes,
            has_times: streams == FfmpegStreams::All,
            ..stream
        };
        Ok(match Decoder::open([part]) {
            Ok(decoder) => Ok((decoder, running)),
            Err(refusal) => Err(match running.wait_for_end() {
                Ok(Some(words)) if ffmpeg::says_no_sound(&words) => AudioError::NoSound,
                Ok(words) => undecodable_error(words.unwrap_or_else(|| refusal.to_string())),
                Err(error) => error,
            }),
        })
    }

    fn track_side(&self, track: usize) -> Side {
        // ffmpeg gives its own numbers, in the order of the file.
        let id = self.decoder.track_id(track);
        let known = self
            .facts
            .tracks
            .iter()
            .position(|(known, _)| *known == id)
            .filter(|_| self.ffmpeg.is_none());
        let at = known.unwrap_or(track);
        Side::Track {
            number: at + 1,
            title: self.facts.tracks.get(at).and_then(|(_, title)| title.clone()),
        }
    }

    /// Returns whether enough waits to be handed on, or all there is.
    fn is_ready(&self) -> bool {
        let waiting = self.tracks.iter().map(TrackSound::waiting_samples).min().unwrap_or(0);
        let is_decided = match self.tracks.as_slice() {
            [track] => track.planes.len() < 2 || self.sides.is_some(),
            _ => self.kept.is_some(),
        };
        waiting > 0 && is_decided && (waiting >= BLOCK || self.is_over)
    }

    fn hand_on(&mut self) -> Vec<Vec<f32>> {
        let waiting = self.tracks.iter().map(TrackSound::waiting_samples).min().unwrap_or(0);
        let mut planes = Vec::new();
        for (at, track) in self.tracks.iter_mut().enumerate() {
            // After a wait for the verdict there are minutes: they go in blocks too, as later sound
            // does.
            let block: Vec<Vec<f32>> = track
                .planes
                .iter_mut()
                .map(|plane| take_first(plane, BLOCK.min(waiting)))
                .collect();
            track.passed += BLOCK.min(waiting) as u64;
            if self.kept.as_ref().is_none_or(|kept| kept.contains(&at)) {
                planes.extend(block);
            }
        }
        if let (Some(sides @ (Sides::Together | Sides::Opposed)), [left, right]) =
            (self.sides, planes.as_mut_slice())
        {
            sides.add_right(left, right);
            planes.truncate(1);
        }
        self.handed_on += planes[0].len() as u64;
        planes
    }

    fn decode_next(&mut self) -> Result<(), AudioError> {
        if self.gap.is_some() {
            self.fill_gap();
        } else {
            match self.decoder.next() {
                Some(decoded) => self.place_sound(decoded),
                None => self.end_recording()?,
            }
        }
        if self.tracks.len() > 1 {
            self.keep_up();
        }
        self.decide_planes();
        Ok(())
    }

    /// Fills tracks that have nothing to say while others have: what is handed on has the same time
    /// in all.
    fn keep_up(&mut self) {
        let furthest = self.tracks.iter().map(TrackSound::position).max().unwrap_or(0);
        let target = if self.is_over { furthest } else { furthest.saturating_sub(LAG_MAX) };
        for track in &mut self.tracks {
            track.fill_silence(target.saturating_sub(track.position()), 1);
        }
    }

    /// Decides which planes are people of their own, once enough of them is there.
    fn decide_planes(&mut self) {
        if let [track] = self.tracks.as_slice() {
            if let ([left, right], None) = (track.planes.as_slice(), self.sides) {
                self.look.add_samples(left, right);
                if self.look.is_enough() || self.is_over {
                    self.sides = Some(self.look.decide_sides());
                }
            }
        } else if self.kept.is_none() {
            let planes: Option<Vec<&[f32]>> =
                self.tracks.iter().map(|track| track.planes.first().map(Vec::as_slice)).collect();
            let Some(planes) = planes else { return };
            self.comparison.add_samples(&planes);
            if self.comparison.is_enough() || self.is_over {
                self.kept = Some(self.comparison.kept_tracks());
            }
        }
    }

    fn end_recording(&mut self) -> Result<(), AudioError> {
        self.tracks.iter_mut().for_each(TrackSound::flush_resamplers);
        self.is_over = true;
        if let Some(running) = self.ffmpeg.as_mut().filter(|_| self.decoder.damage.cut.is_none()) {
            // What ffmpeg writes into a pipe has no end that was foreseen: only ffmpeg knows
            // whether it was the right one.
            self.decoder.damage.cut = running.wait_for_end()?;
        }
        if self.handed_on > 0 || self.tracks.iter().any(|track| track.waiting_samples() > 0) {
            return Ok(());
        }
        let damage = &self.decoder.damage;
        match &damage.cut {
            Some(why) => Err(undecodable_error(why.clone())),
            None if damage.packets > 0 => Err(undecodable_error("nothing of it can be decoded")),
            None => Err(AudioError::NoSound),
        }
    }
}
