//! The sound of a recording, as a stream of 16 kHz: one channel, or two that belong to one person each.

pub mod convert;
mod decode;
pub mod ffmpeg;
mod mix;
mod resample;
mod sides;
mod sniff;

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
};

use symphonia::core::{audio::AudioSpec, io::ReadOnlySource};

use self::{
    decode::{Decoder, Mended, Refusal},
    ffmpeg::{Ffmpeg, Running},
    mix::Mix,
    resample::Resampler,
    sides::{Look, Sides},
    sniff::{Kind, Sniffed},
};
use super::RATE;
use crate::{media_types::Headerless, text};

/// Samples of a plane that are handed on at once, about: a second.
const BLOCK: usize = 16_000;

/// Why there is no sound.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file's own fault.
    #[error("cannot decode: {reason}")]
    Undecodable {
        /// Why.
        reason: String,
    },
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
    decoder: Decoder,
    ffmpeg: Option<Running>,
    /// What the sound is just now; a recording may change it.
    shape: Option<Shape>,
    /// The planes that wait to be handed on.
    planes: Vec<Vec<f32>>,
    /// What the sides are, once known.
    sides: Option<Sides>,
    look: Look,
    interleaved: Vec<f32>,
    is_over: bool,
    /// Samples handed on.
    given: u64,
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
    pub fn open(mut file: File, ffmpeg: Option<&Ffmpeg>) -> Result<Self, AudioError> {
        let head = head_of(&mut file)?;
        match sniff::sniff(&head) {
            Sniffed::Empty => Err(undecodable("it is empty")),
            Sniffed::Text => Err(undecodable("it is a text, not a recording")),
            Sniffed::Unknown => Ok(Self::new(Self::ours(file, &head).map_err(refused)?, None)),
            Sniffed::Known(kind) if !kind.ours => Self::foreign(&file, kind, kind.name.to_owned(), ffmpeg),
            Sniffed::Known(kind) => match Self::ours(file.try_clone()?, &head) {
                Ok(decoder) => Ok(Self::new(decoder, None)),
                Err(Refusal::Unsupported(what)) => Self::foreign(&file, kind, wanted(kind, &what), ffmpeg),
                // A damaged file is damaged, with or without ffmpeg; but ffmpeg forgives more.
                Err(Refusal::Damaged(why)) if ffmpeg.is_some() => {
                    Self::foreign(&file, kind, kind.name.to_owned(), ffmpeg).map_err(|_| undecodable(why))
                }
                Err(refusal) => Err(refused(refusal)),
            },
        }
    }

    /// Returns the next sound, about a second of it: one plane, or a left and a right one of the same length for one
    /// person each; `None` at the end.
    ///
    /// # Errors
    /// [`AudioError::Undecodable`] when the recording ends before its first sample.
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

    /// Returns how long the recording says it is, in samples of 16 kHz.
    pub fn length(&self) -> Option<u64> {
        let seconds = self.decoder.length().filter(|seconds| seconds.is_finite() && *seconds > 0.0)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
        Some((seconds * f64::from(RATE)) as u64)
    }

    /// Returns how many samples were handed on.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Returns what a reader of the transcript should know of the recording; complete at the end.
    pub fn remarks(&self) -> Vec<String> {
        let damage = &self.decoder.damage;
        let at = text::rough(std::time::Duration::from_secs(self.given / u64::from(RATE)));
        let mut remarks = Vec::new();
        if damage.packets > 0 {
            remarks
                .push(format!("{} could not be decoded and left out", text::count(damage.packets, "damaged packet")));
        }
        if let Some(why) = &damage.cut {
            remarks.push(format!("the recording breaks off after {at}: {}", text::printable(why)));
        } else if let Some(length) =
            self.length().filter(|length| self.given < length - length / 20 && *length > u64::from(RATE))
        {
            let whole = text::rough(std::time::Duration::from_secs(length / u64::from(RATE)));
            remarks.push(format!("the recording breaks off after {at} of {whole}"));
        }
        remarks
    }

    fn new(decoder: Decoder, ffmpeg: Option<Running>) -> Self {
        let (planes, interleaved) = (Vec::new(), Vec::new());
        Self {
            decoder,
            ffmpeg,
            shape: None,
            planes,
            sides: None,
            look: Look::default(),
            interleaved,
            is_over: false,
            given: 0,
        }
    }

    fn ours(file: File, head: &[u8]) -> Result<Decoder, Refusal> {
        Decoder::open(Box::new(Mended::new(file, head)))
    }

    fn foreign(file: &File, kind: Kind, what: String, ffmpeg: Option<&Ffmpeg>) -> Result<Self, AudioError> {
        let needs = || AudioError::NeedsFfmpeg { what };
        let (output, mut running) = match ffmpeg.ok_or_else(needs)?.start(file, kind) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(AudioError::NeedsFfmpeg { what: kind.name.to_owned() });
            }
            started => started?,
        };
        match Decoder::open(Box::new(ReadOnlySource::new(output))) {
            Ok(decoder) => Ok(Self::new(decoder, Some(running))),
            Err(refusal) => Err(undecodable(running.end().unwrap_or_else(|| refusal.to_string()))),
        }
    }

    /// Whether enough waits to be handed on, or all there is.
    fn is_ready(&self) -> bool {
        let waiting = self.planes.first().map_or(0, Vec::len);
        let is_decided = self.planes.len() < 2 || self.sides.is_some();
        waiting > 0 && is_decided && (waiting >= BLOCK || self.is_over)
    }

    fn hand_on(&mut self) -> Vec<Vec<f32>> {
        // After a wait for the verdict there are minutes: they go in blocks too, as later sound does.
        let mut planes: Vec<Vec<f32>> = self.planes.iter_mut().map(|plane| first(plane, BLOCK)).collect();
        if let (Some(sides @ (Sides::Together | Sides::Opposed)), [left, right]) = (self.sides, planes.as_mut_slice()) {
            sides.add(left, right);
            planes.truncate(1);
        }
        self.given += planes[0].len() as u64;
        planes
    }

    fn decode(&mut self) -> Result<(), AudioError> {
        match self.decoder.next() {
            Some(sound) => {
                let spec = sound.spec().clone();
                sound.copy_to_vec_interleaved(&mut self.interleaved);
                self.take(&spec);
            }
            None => self.end()?,
        }
        if let ([left, right], None) = (self.planes.as_slice(), self.sides) {
            self.look.at(left, right);
            if self.look.is_enough() || self.is_over {
                self.sides = Some(self.look.verdict());
            }
        }
        Ok(())
    }

    /// Takes what was decoded: mixes it, and brings it to 16 kHz.
    fn take(&mut self, spec: &AudioSpec) {
        if self.shape.as_ref().is_none_or(|shape| shape.spec != *spec) {
            self.flush();
            self.shape = Some(Shape::new(spec, self.planes.len()));
        }
        let Some(shape) = &mut self.shape else { return };
        if self.planes.is_empty() {
            self.planes = vec![Vec::new(); shape.mix.planes()];
        }
        shape.mix.apply(&self.interleaved, &mut shape.native);
        for (at, plane) in self.planes.iter_mut().enumerate() {
            // One channel in the midst of two sides is on both.
            let from = at.min(shape.native.len() - 1);
            shape.resamplers[at].push(&shape.native[from], plane);
        }
        shape.native.iter_mut().for_each(Vec::clear);
    }

    /// Hands on what the resamplers still hold.
    fn flush(&mut self) {
        if let Some(mut shape) = self.shape.take() {
            for (resampler, plane) in shape.resamplers.iter_mut().zip(&mut self.planes) {
                resampler.finish(plane);
            }
        }
    }

    fn end(&mut self) -> Result<(), AudioError> {
        self.flush();
        self.is_over = true;
        if let Some(running) = &mut self.ffmpeg {
            // What ffmpeg writes into a pipe has no end that was foreseen: only ffmpeg knows whether it was the right one.
            self.decoder.damage.cut = running.end();
        }
        let has_sound = self.given > 0 || self.planes.first().is_some_and(|plane| !plane.is_empty());
        if has_sound {
            return Ok(());
        }
        let damage = &self.decoder.damage;
        Err(undecodable(damage.cut.clone().unwrap_or_else(|| "there is no sound in it".to_owned())))
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
        Refusal::Unsupported(_) | Refusal::Damaged(_) | Refusal::Silent => undecodable(refusal.to_string()),
    }
}

/// Returns for what ffmpeg is needed.
fn wanted(kind: Kind, what: &str) -> String {
    match what {
        "Opus" => format!("Opus in {}", kind.name),
        _ => format!("this kind of {}", kind.name),
    }
}
