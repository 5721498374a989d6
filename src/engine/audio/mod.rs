//! The sound of a recording, as a stream of 16 kHz: one plane, or several that belong to one person each.
//!
//! All that is in the file is heard, and nothing else: every sound track and channel, the whole of the sound whatever
//! a header says, no tags, and nothing that the file itself leaves out. What could not be heard is a remark.
//!
//! - `sniff` says what a file is, `tags` where its sound begins and ends, `wav` and `tracks` what its container holds;
//!   `opening` puts that together.
//! - `view` shows a part of the file to a decoder: `frames` for MPEG audio and AAC without a container, symphonia for
//!   the rest (`decode`), and [`ffmpeg`] for what neither knows.
//! - `planes`, by `mix` and `resample`, makes planes of 16 kHz of what was decoded; `sides` decides which of them are people of their own.

pub mod convert;
mod damage;
mod decode;
mod edits;
pub(super) mod error;
pub mod ffmpeg;
mod flac;
mod frames;
mod mix;
mod ogg;
mod opening;
mod planes;
mod resample;
mod sides;
mod sniff;
mod tags;
mod tracks;
mod view;
mod wav;

use std::{fs::File, io, time::Duration};

use symphonia::core::io::ReadOnlySource;

pub(crate) use self::opening::kind_of;
use self::{
    damage::Refusal,
    decode::{Decoder, Heard, Part, PartEnd, Source},
    ffmpeg::{Ffmpeg, Running, StartFfmpeg, Streams},
    opening::{Facts, ends_within_packet, is_incomplete, ours, refused, sniffed, undecodable, wanted},
    planes::{TrackSound, first},
    sides::{Comparison, Look, Sides},
    sniff::{Kind, Sniffed},
    view::View,
};
pub use self::{error::AudioError, sides::Side, tracks::sound_tracks};
use super::RATE;
use crate::text;

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

#[derive(Debug, Default)]
struct PartPlace {
    number: usize,
    begin: u64,
    base: Option<f64>,
}

impl Audio {
    /// Looks what `file` is and opens it; `ffmpeg` is there for what symphonia cannot decode.
    ///
    /// # Errors
    /// [`AudioError`].
    pub fn open(file: File, ffmpeg: Option<&Ffmpeg>) -> Result<Self, AudioError> {
        Self::open_with(file, ffmpeg.map(|ffmpeg| ffmpeg as &dyn StartFfmpeg))
    }

    /// Opens a recording as [`Self::open`] does, with an ffmpeg that another process may start.
    pub(crate) fn open_with(file: File, ffmpeg: Option<&dyn StartFfmpeg>) -> Result<Self, AudioError> {
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
                return heard.or_else(|error| {
                    let is_passing = matches!(error, AudioError::NoMemory);
                    if is_passing { Err(error) } else { Ok(Self::new(file, decoder, None, again)) }
                });
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
                let heard = Self::foreign(&file, kind.name.to_owned(), ffmpeg, facts);
                heard.map_err(|error| if matches!(error, AudioError::NoMemory) { error } else { undecodable(why) })
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
        self.second_opinion_with(ffmpeg.map(|ffmpeg| ffmpeg as &dyn StartFfmpeg))
    }

    /// Asks as [`Self::second_opinion`] does, an ffmpeg that another process may start.
    pub(crate) fn second_opinion_with(&self, ffmpeg: Option<&dyn StartFfmpeg>) -> Result<Option<Self>, AudioError> {
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
    fn foreign(file: &File, what: String, ffmpeg: Option<&dyn StartFfmpeg>, facts: Facts) -> Result<Self, AudioError> {
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
        ffmpeg: &dyn StartFfmpeg,
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
                Ok(Some(words)) if ffmpeg::says_no_sound(&words) => AudioError::NoSound,
                Ok(words) => undecodable(words.unwrap_or_else(|| refusal.to_string())),
                Err(error) => error,
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
            self.decoder.damage.cut = running.end()?;
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

/// Returns so many seconds in samples of 16 kHz; `None` for what is no time.
fn samples(seconds: f64) -> Option<u64> {
    let seconds = Some(seconds).filter(|seconds| seconds.is_finite() && *seconds > 0.0)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
    Some((seconds * f64::from(RATE)) as u64)
}
