//! The sound of a recording, as a stream of 16 kHz: one plane, or several that belong to one person each.
//!
//! All that is in the file is heard, and nothing else: every sound track and channel, the whole of the sound whatever
//! a header says, no tags, and nothing that the file itself leaves out. What could not be heard is a remark.
//!
//! - `sniff` says what a file is, `tags` where its sound begins and ends, `wav` and `tracks` what its container holds.
//! - `view` shows a part of the file to a decoder: `frames` for MPEG audio and AAC without a container, symphonia for
//!   the rest (`decode`), and [`ffmpeg`] for what neither knows.
//! - `mix` and `resample` make planes of 16 kHz of what was decoded; `sides` decides which of them are people of their own.

pub mod convert;
mod decode;
pub mod ffmpeg;
mod flac;
mod frames;
mod mix;
mod ogg;
mod resample;
mod sides;
mod sniff;
mod tags;
mod tracks;
mod view;
mod wav;

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    ops::Range,
    time::Duration,
};

use symphonia::core::{audio::AudioSpec, io::ReadOnlySource};

use self::{
    decode::{Decoder, Heard, Part, PartEnd, Refusal, Source},
    ffmpeg::{Ffmpeg, Running, Streams},
    mix::Mix,
    resample::Resampler,
    sides::{Comparison, Look, Sides},
    sniff::{Kind, Sniffed},
    tracks::Container,
    view::View,
};
pub use self::{sides::Side, tracks::sound_tracks};
use super::RATE;
use crate::{media_types::Headerless, text};

/// Samples of a plane that are handed on at once, about: a second.
const BLOCK: usize = 16_000;

/// Samples that the sound of a packet may come later than its time says, before silence fills the gap: 50 ms.
const GAP_MIN: u64 = 800;

/// Samples of a gap that is believed: six hours. A longer one is a clock that was set.
const GAP_MAX: u64 = 6 * 3600 * RATE as u64;

/// Samples of silence that are filled in at most: a day.
const SILENCE_MAX: u64 = 24 * 3600 * RATE as u64;

/// Samples that a track may lag behind another one before silence fills it: 10 s, more than containers interleave.
const LAG_MAX: u64 = 10 * RATE as u64;

/// Seconds of ffmpeg's that make it worth to begin again with it.
const BETTER_BY: u64 = 2 * RATE as u64;

/// Why there is no sound.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file's own fault.
    #[error("cannot decode: {reason}")]
    Undecodable {
        /// Why.
        reason: String,
    },
    /// The file is whole, and holds no sound.
    #[error("there is no sound in it")]
    NoSound,
    /// ffmpeg would be needed, and is not there.
    #[error("needs ffmpeg for {what}")]
    NeedsFfmpeg {
        /// For what.
        what: String,
    },
    /// The file cannot be read.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
}

/// A recording that is being decoded.
#[derive(Debug)]
pub struct Audio {
    file: File,
    decoder: Decoder,
    ffmpeg: Option<Running>,
    facts: Facts,
    tracks: Vec<TrackSound>,
    /// What the sides of a single track are, once known.
    sides: Option<Sides>,
    look: Look,
    /// Which of several tracks are heard, once known.
    kept: Option<Vec<usize>>,
    comparison: Comparison,
    /// Silence that comes in front of what was heard, in samples.
    gap: Option<(u64, Heard)>,
    /// Samples of silence that were filled in.
    silence: u64,
    /// Where the part begins that is being read, in samples, and what its times count from, in seconds.
    part: PartPlace,
    is_over: bool,
    /// Samples handed on.
    given: u64,
}

/// What is known of the file besides its sound.
#[derive(Debug, Default)]
struct Facts {
    kind: Option<Kind>,
    /// The titles of its sound tracks, in the order of the container.
    tracks: Vec<(u64, Option<String>)>,
    /// Whether the container says which tracks there are.
    is_listed: bool,
    /// Whether it promises more than there is.
    breaks_off: bool,
    /// How many sound tracks there are where only the first of them could be heard.
    first_of: Option<usize>,
}

#[derive(Debug, Default)]
struct PartPlace {
    number: usize,
    begin: u64,
    base: Option<f64>,
}

/// The sound of one track on its way.
#[derive(Debug, Default)]
struct TrackSound {
    /// What the sound is just now; a recording may change it.
    shape: Option<Shape>,
    /// The planes that wait to be handed on.
    planes: Vec<Vec<f32>>,
    /// Samples that were handed on, or left out because another track has them.
    passed: u64,
}

#[derive(Debug)]
struct Shape {
    spec: AudioSpec,
    mix: Mix,
    native: Vec<Vec<f32>>,
    resamplers: Vec<Resampler>,
}

impl Audio {
    /// Looks what `file` is and opens it; `ffmpeg` is there for what symphonia cannot decode.
    ///
    /// # Errors
    /// [`AudioError`].
    pub fn open(file: File, ffmpeg: Option<&Ffmpeg>) -> Result<Self, AudioError> {
        let (kind, within) = match sniffed(&file)? {
            (Sniffed::Empty, within) if within.start > 0 => return Err(AudioError::NoSound),
            (Sniffed::Empty, _) => return Err(undecodable("it is empty")),
            (Sniffed::Text, _) => return Err(undecodable("it is a text, not a recording")),
            (Sniffed::Unknown, within) => {
                let whole = Part::new(Source::Container(View::of(file.try_clone()?, within)));
                let decoder = Decoder::open([whole]).map_err(refused)?;
                return Ok(Self::new(file, decoder, None, Facts::default()));
            }
            (Sniffed::Known(kind), within) => (kind, within),
        };
        if !kind.ours {
            let breaks_off = kind.demuxer == "mpegts" && ends_within_packet(&file)?;
            let facts = Facts { kind: Some(kind), breaks_off, ..Facts::default() };
            return Self::foreign(&file, kind.name.to_owned(), ffmpeg, facts);
        }
        let mut facts = Facts { kind: Some(kind), ..Facts::default() };
        let refusal = match ours(&file, kind, within, &mut facts) {
            Ok(decoder) if ffmpeg.is_some() && is_incomplete(&decoder, &facts) => {
                let again = Facts { tracks: facts.tracks.clone(), ..facts };
                let heard = Self::foreign(&file, kind.name.to_owned(), ffmpeg, facts);
                return heard.or_else(|_| Ok(Self::new(file, decoder, None, again)));
            }
            Ok(decoder) => return Ok(Self::new(file, decoder, None, facts)),
            Err(refusal) => refusal,
        };
        match refusal {
            Refusal::Silent if facts.is_listed && !facts.tracks.is_empty() => {
                Self::foreign(&file, wanted(kind, "this codec"), ffmpeg, facts)
            }
            Refusal::Unsupported(what) => Self::foreign(&file, wanted(kind, &what), ffmpeg, facts),
            // A damaged file is damaged, with or without ffmpeg; but ffmpeg forgives more.
            Refusal::Damaged(why) if ffmpeg.is_some() => {
                Self::foreign(&file, kind.name.to_owned(), ffmpeg, facts).map_err(|_| undecodable(why))
            }
            refusal @ (Refusal::Damaged(_) | Refusal::Silent | Refusal::Io(_)) => Err(refused(refusal)),
        }
    }

    /// Returns the next sound, about a second of it, as planes of the same length: one, or one for each of
    /// [`Self::voices`]; `None` at the end.
    ///
    /// # Errors
    /// [`AudioError::NoSound`] and [`AudioError::Undecodable`] when the recording ends before its first sample.
    pub fn listen(&mut self) -> Result<Option<Vec<Vec<f32>>>, AudioError> {
        loop {
            if self.is_ready() {
                return Ok(Some(self.hand_on()));
            }
            if self.is_over {
                return Ok(None);
            }
            self.decode()?;
        }
    }

    /// Returns whose the planes are that [`Self::listen`] gives, once it has given some.
    pub fn voices(&self) -> Vec<Option<Side>> {
        let is_apart = self.sides == Some(Sides::Apart);
        match self.kept.as_deref() {
            Some(kept) if kept.len() > 1 => kept.iter().map(|track| Some(self.track_side(*track))).collect(),
            Some(_) | None if is_apart => vec![Some(Side::Left), Some(Side::Right)],
            Some(_) | None => vec![None],
        }
    }

    /// Returns how long the recording says it is, in samples of 16 kHz; a guess where it only can be guessed.
    pub fn length(&self) -> Option<u64> {
        self.decoder.length().and_then(samples)
    }

    /// Returns how many samples were handed on.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Returns what a reader of the transcript should know of the recording; complete at the end.
    pub fn remarks(&self) -> Vec<String> {
        let damage = &self.decoder.damage;
        let rough = |samples: u64| text::rough(Duration::from_secs(samples / u64::from(RATE)));
        let at = rough(self.given);
        let mut remarks = Vec::new();
        if damage.packets > 0 {
            remarks
                .push(format!("{} could not be decoded and left out", text::count(damage.packets, "damaged packet")));
        }
        let stated = self.decoder.stated().and_then(samples);
        let short = stated.filter(|length| self.given < length - length / 20 && *length > u64::from(RATE));
        if let Some(why) = &damage.cut {
            remarks.push(format!("the recording breaks off after {at}: {}", text::printable(why)));
        } else if let Some(length) = short {
            remarks.push(format!("the recording breaks off after {at} of {}", rough(length)));
        } else if self.facts.breaks_off {
            remarks.push(format!("the recording breaks off after {at}: it ends too early"));
        }
        if damage.unread > 0 {
            let megabytes = (damage.unread >> 20).max(1);
            remarks.push(format!(
                "about {megabytes} MiB at the end of the file are not sound that can be read, and were left out"
            ));
        }
        remarks.extend(self.track_remarks());
        remarks
    }

    /// Asks ffmpeg, where it is there, when much of the recording could not be decoded without it. Returns the
    /// recording from its start where ffmpeg hears more of it.
    ///
    /// # Errors
    /// [`AudioError::Io`].
    pub fn second_opinion(&self, ffmpeg: Option<&Ffmpeg>) -> Result<Option<Self>, AudioError> {
        let Some(kind) = self.facts.kind.filter(|_| self.ffmpeg.is_none() && self.decoder.damage.is_grave()) else {
            return Ok(None);
        };
        let facts = || Facts {
            kind: Some(kind),
            tracks: self.facts.tracks.clone(),
            is_listed: self.facts.is_listed,
            breaks_off: self.facts.breaks_off,
            first_of: None,
        };
        let mut other = match Self::foreign(&self.file, kind.name.to_owned(), ffmpeg, facts()) {
            Ok(other) => other,
            Err(AudioError::Io(error)) => return Err(error.into()),
            Err(AudioError::Undecodable { .. } | AudioError::NoSound | AudioError::NeedsFfmpeg { .. }) => {
                return Ok(None);
            }
        };
        while other.listen().is_ok_and(|planes| planes.is_some()) {}
        let own = self.given.saturating_sub(self.silence);
        if other.given.saturating_sub(other.silence) < own + BETTER_BY {
            return Ok(None);
        }
        Self::foreign(&self.file, kind.name.to_owned(), ffmpeg, facts()).map(Some)
    }

    fn new(file: File, decoder: Decoder, ffmpeg: Option<Running>, facts: Facts) -> Self {
        let mut tracks = Vec::new();
        tracks.resize_with(decoder.tracks().max(1), TrackSound::default);
        Self {
            file,
            decoder,
            ffmpeg,
            facts,
            tracks,
            sides: None,
            look: Look::default(),
            kept: None,
            comparison: Comparison::default(),
            gap: None,
            silence: 0,
            part: PartPlace { number: 1, ..PartPlace::default() },
            is_over: false,
            given: 0,
        }
    }

    /// Has ffmpeg decode all sound tracks, or the first where it cannot decode all.
    fn foreign(file: &File, what: String, ffmpeg: Option<&Ffmpeg>, facts: Facts) -> Result<Self, AudioError> {
        let (Some(ffmpeg), Some(kind)) = (ffmpeg, facts.kind) else { return Err(AudioError::NeedsFfmpeg { what }) };
        if facts.is_listed && facts.tracks.is_empty() {
            return Err(AudioError::NoSound);
        }
        let needs = |error: io::Error| {
            let is_gone = error.kind() == io::ErrorKind::NotFound;
            if is_gone { AudioError::NeedsFfmpeg { what: what.clone() } } else { AudioError::Io(error) }
        };
        let listed =
            if facts.is_listed || kind.ours { None } else { ffmpeg.count_sound_streams(file, kind).map_err(needs)? };
        let count = listed.unwrap_or(facts.tracks.len());
        if count > 1
            && let Ok(running) = Self::started(ffmpeg, file, kind, Streams::All).map_err(needs)?
        {
            return Ok(Self::new(file.try_clone()?, running.0, Some(running.1), facts));
        }
        let facts = Facts { first_of: (count > 1).then_some(count), ..facts };
        let (decoder, running) = Self::started(ffmpeg, file, kind, Streams::First).map_err(needs)??;
        Ok(Self::new(file.try_clone()?, decoder, Some(running), facts))
    }

    fn started(
        ffmpeg: &Ffmpeg,
        file: &File,
        kind: Kind,
        streams: Streams,
    ) -> io::Result<Result<(Decoder, Running), AudioError>> {
        let (output, mut running) = ffmpeg.start(file, kind, streams)?;
        let stream = Part::new(Source::Stream(Box::new(ReadOnlySource::new(output))));
        let part = Part { end: PartEnd::OfBytes, has_times: streams == Streams::All, ..stream };
        Ok(match Decoder::open([part]) {
            Ok(decoder) => Ok((decoder, running)),
            Err(refusal) => Err(match running.end() {
                Some(words) if ffmpeg::says_no_sound(&words) => AudioError::NoSound,
                words => undecodable(words.unwrap_or_else(|| refusal.to_string())),
            }),
        })
    }

    fn track_side(&self, track: usize) -> Side {
        // ffmpeg gives its own numbers, in the order of the file.
        let id = self.decoder.track_id(track);
        let known = self.facts.tracks.iter().position(|(known, _)| *known == id).filter(|_| self.ffmpeg.is_none());
        let at = known.unwrap_or(track);
        Side::Track { number: at + 1, title: self.facts.tracks.get(at).and_then(|(_, title)| title.clone()) }
    }

    fn track_remarks(&self) -> Vec<String> {
        let damage = &self.decoder.damage;
        let mut remarks = Vec::new();
        if let Some(count) = self.facts.first_of {
            remarks.push(format!("the recording has {count} sound tracks, and only the first could be heard"));
        } else if self.ffmpeg.is_none() && !damage.deaf.is_empty() {
            let tracks: Vec<String> = damage.deaf.iter().map(usize::to_string).collect();
            let count = self.decoder.tracks() + tracks.len();
            remarks.push(format!(
                "sound track {} of {count} could not be decoded and was not heard",
                tracks.join(" and ")
            ));
        } else if self.ffmpeg.is_none() && self.facts.tracks.len() > self.decoder.tracks() {
            let (all, heard) = (self.facts.tracks.len(), self.decoder.tracks());
            remarks.push(format!("the recording has {all} sound tracks, and only {heard} of them could be heard"));
        }
        if damage.is_oddly_edited {
            remarks
                .push("the recording was cut in a way that is not understood: what was cut out may be here".to_owned());
        }
        remarks
    }

    /// Whether enough waits to be handed on, or all there is.
    fn is_ready(&self) -> bool {
        let waiting = self.tracks.iter().map(TrackSound::waiting).min().unwrap_or(0);
        let is_decided = match self.tracks.as_slice() {
            [track] => track.planes.len() < 2 || self.sides.is_some(),
            _ => self.kept.is_some(),
        };
        waiting > 0 && is_decided && (waiting >= BLOCK || self.is_over)
    }

    fn hand_on(&mut self) -> Vec<Vec<f32>> {
        let waiting = self.tracks.iter().map(TrackSound::waiting).min().unwrap_or(0);
        let mut planes = Vec::new();
        for (at, track) in self.tracks.iter_mut().enumerate() {
            // After a wait for the verdict there are minutes: they go in blocks too, as later sound does.
            let block: Vec<Vec<f32>> = track.planes.iter_mut().map(|plane| first(plane, BLOCK.min(waiting))).collect();
            track.passed += BLOCK.min(waiting) as u64;
            if self.kept.as_ref().is_none_or(|kept| kept.contains(&at)) {
                planes.extend(block);
            }
        }
        if let (Some(sides @ (Sides::Together | Sides::Opposed)), [left, right]) = (self.sides, planes.as_mut_slice()) {
            sides.add(left, right);
            planes.truncate(1);
        }
        self.given += planes[0].len() as u64;
        planes
    }

    fn decode(&mut self) -> Result<(), AudioError> {
        if self.gap.is_some() {
            self.fill_gap();
        } else {
            match self.decoder.next() {
                Some(heard) => self.place(heard),
                None => self.end()?,
            }
        }
        if self.tracks.len() > 1 {
            self.keep_up();
        }
        self.decide();
        Ok(())
    }

    /// Puts what was heard where it belongs.
    fn place(&mut self, heard: Heard) {
        let furthest = self.tracks.iter().map(TrackSound::position).max().unwrap_or(0);
        if self.decoder.parts() != self.part.number {
            self.part = PartPlace { number: self.decoder.parts(), begin: furthest, base: None };
            self.tracks.iter_mut().for_each(TrackSound::flush);
        }
        let gap = self.gap_before(&heard);
        if gap > 0 {
            self.silence += gap;
            self.gap = Some((gap, heard));
        } else {
            let is_several = self.tracks.len() > 1;
            if let Some(track) = self.tracks.get_mut(heard.track) {
                track.take(&heard, is_several);
            }
        }
    }

    /// Returns how many samples of silence lie in front of what was heard.
    fn gap_before(&mut self, heard: &Heard) -> u64 {
        /// Seconds after which the first sound is not late, but a piece of something longer.
        const LATE: f64 = 3600.0;
        let Some(at) = heard.at else { return 0 };
        let Some(track) = self.tracks.get(heard.track) else { return 0 };
        let base = *self.part.base.get_or_insert(if at > LATE { at } else { 0.0 });
        let Some(expected) = samples(at - base) else { return 0 };
        let gap = self.part.begin.saturating_add(expected).saturating_sub(track.position());
        if (GAP_MIN..GAP_MAX).contains(&gap) && self.silence + gap < SILENCE_MAX { gap } else { 0 }
    }

    /// Fills a second of the gap, or takes what was heard behind it.
    fn fill_gap(&mut self) {
        let is_several = self.tracks.len() > 1;
        let Some((left, heard)) = self.gap.take() else { return };
        let Some(track) = self.tracks.get_mut(heard.track) else { return };
        if left == 0 {
            track.take(&heard, is_several);
            return;
        }
        let now = left.min(BLOCK as u64);
        track.fill(now, if is_several { 1 } else { heard.spec.channels().count() });
        self.gap = Some((left - now, heard));
    }

    /// Fills tracks that have nothing to say while others have: what is handed on has the same time in all.
    fn keep_up(&mut self) {
        let furthest = self.tracks.iter().map(TrackSound::position).max().unwrap_or(0);
        let target = if self.is_over { furthest } else { furthest.saturating_sub(LAG_MAX) };
        for track in &mut self.tracks {
            track.fill(target.saturating_sub(track.position()), 1);
        }
    }

    /// Decides what the planes are, once enough of them is there.
    fn decide(&mut self) {
        if let [track] = self.tracks.as_slice() {
            if let ([left, right], None) = (track.planes.as_slice(), self.sides) {
                self.look.at(left, right);
                if self.look.is_enough() || self.is_over {
                    self.sides = Some(self.look.verdict());
                }
            }
        } else if self.kept.is_none() {
            let planes: Option<Vec<&[f32]>> =
                self.tracks.iter().map(|track| track.planes.first().map(Vec::as_slice)).collect();
            let Some(planes) = planes else { return };
            self.comparison.at(&planes);
            if self.comparison.is_enough() || self.is_over {
                self.kept = Some(self.comparison.kept());
            }
        }
    }

    fn end(&mut self) -> Result<(), AudioError> {
        self.tracks.iter_mut().for_each(TrackSound::flush);
        self.is_over = true;
        if let Some(running) = self.ffmpeg.as_mut().filter(|_| self.decoder.damage.cut.is_none()) {
            // What ffmpeg writes into a pipe has no end that was foreseen: only ffmpeg knows whether it was the right one.
            self.decoder.damage.cut = running.end();
        }
        if self.given > 0 || self.tracks.iter().any(|track| track.waiting() > 0) {
            return Ok(());
        }
        let damage = &self.decoder.damage;
        match &damage.cut {
            Some(why) => Err(undecodable(why.clone())),
            None if damage.packets > 0 => Err(undecodable("nothing of it can be decoded")),
            None => Err(AudioError::NoSound),
        }
    }
}

impl TrackSound {
    fn waiting(&self) -> usize {
        self.planes.first().map_or(0, Vec::len)
    }

    /// Returns how many samples have come.
    fn position(&self) -> u64 {
        self.passed + self.waiting() as u64
    }

    /// Takes what was decoded: mixes it, to one plane where there are several tracks, and brings it to 16 kHz.
    fn take(&mut self, heard: &Heard, is_several: bool) {
        if self.shape.as_ref().is_none_or(|shape| shape.spec != heard.spec) {
            self.flush();
            let planes = if is_several { 1 } else { self.planes.len() };
            self.shape = Some(Shape::new(&heard.spec, planes));
        }
        let Some(shape) = &mut self.shape else { return };
        if self.planes.is_empty() {
            self.planes = vec![Vec::new(); shape.mix.planes()];
        }
        shape.mix.apply(&heard.interleaved, &mut shape.native);
        for (at, plane) in self.planes.iter_mut().enumerate() {
            // One channel in the midst of two sides is on both.
            let from = at.min(shape.native.len() - 1);
            shape.resamplers[at].push(&shape.native[from], plane);
        }
        shape.native.iter_mut().for_each(Vec::clear);
    }

    /// Appends silence; `channels` is how many the sound has that follows.
    fn fill(&mut self, samples: u64, channels: usize) {
        if samples == 0 {
            return;
        }
        self.flush();
        if self.planes.is_empty() {
            self.planes = vec![Vec::new(); if channels == 2 { 2 } else { 1 }];
        }
        for plane in &mut self.planes {
            plane.resize(plane.len() + usize::try_from(samples).unwrap_or(0), 0.0);
        }
    }

    /// Hands on what the resamplers still hold.
    fn flush(&mut self) {
        if let Some(mut shape) = self.shape.take() {
            for (resampler, plane) in shape.resamplers.iter_mut().zip(&mut self.planes) {
                resampler.finish(plane);
            }
        }
    }
}

/// Opens a file of a kind that is decoded here.
fn ours(file: &File, kind: Kind, within: Range<u64>, facts: &mut Facts) -> Result<Decoder, Refusal> {
    let view = |place: &Range<u64>| file.try_clone().map(|file| View::of(file, place.clone()));
    match kind.demuxer {
        "wav" => {
            let found = wav::look(file, within)?;
            let part = |part: &wav::WavPart| -> io::Result<Part> {
                let source = Source::Container(part.view(file.try_clone()?));
                let stated = (found.missing > 0).then(|| part.seconds(part.bytes() + found.missing)).flatten();
                Ok(Part {
                    end: if part.is_endless() { PartEnd::OfBytes } else { PartEnd::Stated },
                    is_without_places: part.is_without_places(),
                    stated,
                    ..Part::new(source)
                })
            };
            facts.breaks_off = found.missing > 0;
            Decoder::open(found.parts.iter().map(part).collect::<io::Result<Vec<_>>>()?)
        }
        "mp3" | "aac" => Decoder::open([Part::new(Source::Frames(view(&within)?))]),
        "matroska" => {
            let found = tracks::matroska(file)?;
            facts.take(&found);
            if facts.is_listed && facts.tracks.is_empty() {
                return Err(Refusal::Silent);
            }
            let part = |container: &Container, is_stream: bool| -> io::Result<Part> {
                let view = view(&container.place)?;
                let source = Source::Container(if is_stream { view.into_stream() } else { view });
                let end = if container.breaks_off { PartEnd::Missing } else { PartEnd::OfBytes };
                Ok(Part { has_times: true, end, ..Part::new(source) })
            };
            let parts = |is_stream: bool| found.iter().map(|one| part(one, is_stream)).collect::<io::Result<Vec<_>>>();
            // As a stream, for the index of one that was cut off is missing; some have their tracks at the end.
            match Decoder::open(parts(true)?) {
                Err(Refusal::Damaged(_)) if facts.is_listed => Decoder::open(parts(false)?),
                Err(Refusal::Damaged(_)) if facts.breaks_off => Err(breaks_off_early()),
                opened => opened,
            }
        }
        "mov" => {
            let found = tracks::mp4(file)?;
            facts.take(&found);
            if !facts.is_listed {
                return Err(Refusal::Damaged(
                    "it breaks off before its index, without which nothing can play it".to_owned(),
                ));
            }
            if facts.tracks.is_empty() {
                return Err(Refusal::Silent);
            }
            let part = |container: &Container| -> io::Result<Part> {
                let edits = container.tracks.iter().map(|track| (track.id, track.edits.clone()));
                let edits = edits.filter(|(_, edits)| !edits.is_empty()).collect();
                let source = Source::Container(view(&container.place)?.claiming(container.promised));
                let end = if container.breaks_off { PartEnd::Missing } else { PartEnd::Stated };
                Ok(Part { edits, has_times: true, end, ..Part::new(source) })
            };
            Decoder::open(found.iter().map(part).collect::<io::Result<Vec<_>>>()?)
        }
        "flac" => {
            let part = |flac: &flac::Flac| -> io::Result<Part> {
                let source = Source::Container(flac.view(file.try_clone()?));
                Ok(Part { is_all_sound: true, stated: flac.stated(), ..Part::new(source) })
            };
            Decoder::open(flac::look(file, within)?.iter().map(part).collect::<io::Result<Vec<_>>>()?)
        }
        demuxer => {
            facts.breaks_off = demuxer == "ogg" && ogg::breaks_off(file)?;
            let is_all_sound = demuxer == "ogg";
            Decoder::open([Part { is_all_sound, ..Part::new(Source::Container(view(&within)?)) }])
        }
    }
}

/// Returns whether an MPEG transport stream ends within a packet: 188 bytes, or 192 with a time in front.
fn ends_within_packet(file: &File) -> io::Result<bool> {
    const MARK: u8 = 0x47;
    let is_plain = view::bytes_at(file, 0, 1)?.first() == Some(&MARK);
    Ok(file.metadata()?.len() % if is_plain { 188 } else { 192 } != 0)
}

fn breaks_off_early() -> Refusal {
    Refusal::Damaged("it breaks off before its first sound".to_owned())
}

/// Returns whether ffmpeg may hear what was not opened here.
fn is_incomplete(decoder: &Decoder, facts: &Facts) -> bool {
    let is_deaf = !decoder.damage.deaf.is_empty() || facts.tracks.len() > decoder.tracks();
    (is_deaf && decoder.tracks() < decode::TRACKS_MAX) || decoder.damage.is_oddly_edited
}

impl Facts {
    fn take(&mut self, containers: &[Container]) {
        self.breaks_off = containers.last().is_some_and(|container| container.breaks_off);
        let Some(first) = containers.first() else { return };
        self.is_listed = first.is_listed;
        self.tracks = first.tracks.iter().map(|track| (track.id, track.title.clone())).collect();
    }
}

impl Shape {
    /// `planes` is how many there are already; 0 for the first.
    fn new(spec: &AudioSpec, planes: usize) -> Self {
        let mix = Mix::of(spec.channels());
        let mix = if planes == 1 { mix.alone(spec.channels().count()) } else { mix };
        let count = planes.max(mix.planes());
        let resamplers = (0..count).map(|_| Resampler::new(spec.rate())).collect();
        Self { spec: spec.clone(), native: vec![Vec::new(); mix.planes()], mix, resamplers }
    }
}

/// Takes the first samples out of a plane.
fn first(plane: &mut Vec<f32>, samples: usize) -> Vec<f32> {
    let rest = plane.split_off(samples.min(plane.len()));
    std::mem::replace(plane, rest)
}

/// Returns so many seconds in samples of 16 kHz; `None` for what is no time.
fn samples(seconds: f64) -> Option<u64> {
    let seconds = Some(seconds).filter(|seconds| seconds.is_finite() && *seconds > 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
    Some((seconds * f64::from(RATE)) as u64)
}

/// Says what an open file is by the first bytes behind its tags, and where it lies between its tags.
fn sniffed(file: &File) -> io::Result<(Sniffed, Range<u64>)> {
    let whole = 0..file.metadata()?.len();
    let head = view::bytes_at(file, 0, sniff::HEAD)?;
    let found = sniff::sniff(&head);
    let Sniffed::Known(kind) = found else { return Ok((found, whole)) };
    if !matches!(kind.demuxer, "mp3" | "aac") {
        return Ok((found, whole));
    }
    let between = tags::between(file)?;
    match sniff::sniff(&view::bytes_at(file, between.start, sniff::HEAD)?) {
        Sniffed::Known(inner) => Ok((Sniffed::Known(inner), between)),
        Sniffed::Empty => Ok((Sniffed::Empty, between)),
        Sniffed::Text | Sniffed::Unknown => Ok((found, between)),
    }
}

/// Says what an open file is by its first bytes, for ffmpeg alone to read; where those have no mark, by what its name
/// says.
pub(crate) fn kind_of(file: &mut File, headerless: Option<Headerless>) -> Result<Kind, AudioError> {
    let head = head_of(file)?;
    if let Some(headerless) = headerless.filter(|_| !head.is_empty()) {
        return Ok(sniff::marked(&head).unwrap_or_else(|| Kind::from_headerless(headerless)));
    }
    match sniff::sniff(&head) {
        Sniffed::Known(kind) => Ok(kind),
        Sniffed::Empty => Err(undecodable("it is empty")),
        Sniffed::Text => Err(undecodable("it is a text, not a recording")),
        Sniffed::Unknown => Err(undecodable("its first bytes are those of no recording")),
    }
}

/// Returns the first bytes of a file, which is at its start again.
fn head_of(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.rewind()?;
    file.by_ref().take(sniff::HEAD as u64).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(head)
}

fn undecodable(reason: impl Into<String>) -> AudioError {
    AudioError::Undecodable { reason: reason.into() }
}

fn refused(refusal: Refusal) -> AudioError {
    match refusal {
        Refusal::Io(error) => AudioError::Io(error),
        Refusal::Silent => AudioError::NoSound,
        Refusal::Unsupported(_) | Refusal::Damaged(_) => undecodable(refusal.to_string()),
    }
}

/// Returns for what ffmpeg is needed.
fn wanted(kind: Kind, what: &str) -> String {
    match what {
        "Opus" => format!("Opus in {}", kind.name),
        _ => format!("this kind of {}", kind.name),
    }
}
