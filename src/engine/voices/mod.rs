//! Voices: who of several people speaks when, in a recording of one channel.
//!
//! ```text
//!  sound ──▶ segmentation ──▶ parts ──▶ embedding ──▶ prints ──▶ clustering ──▶ speakers
//!            10 s every 5 s   ≤ 3 s     256 values     on disk    at the end
//! ```
//!
//! - [`segmentation`] tells in which frames of a window up to three local speakers are active.
//! - [`parts`] cuts the recording where that changes, and says where one takes over from another:
//!   there pieces are cut before their words are recognised.
//! - [`embedding`] makes a voice print of each part, from spectra of [`fbank`].
//! - [`prints`] keeps them on disk until the job is done, and no longer.
//! - [`clustering`] finds out at the end which parts are of one person.
//!
//! The models are `pyannote/speaker-diarization-community-1` and its `WeSpeaker` embedding, both
//! under CC BY 4.0. The same sound has the same speakers, whatever interrupted the work.

mod clustering;
mod embedding;
mod fbank;
mod parts;
pub(crate) mod prints;
mod segmentation;

use std::{io, ops::Range, path::PathBuf};

use self::{
    clustering::cluster_parts,
    embedding::Embedder,
    parts::{MOMENT, STEP, Timeline},
    prints::{PrintsFile, VoicePrints},
    segmentation::{Segmentation, WINDOW},
};
use super::{RATE, model::VoiceModels, moonshine::ModelError, onnx, speech::SpeechPiece};
use crate::config::Speakers;

/// Samples from one window to the next.
const WINDOW_STEP: usize = 5 * RATE as usize;

/// Samples of a part that has a print, at least: a quarter of a second.
const HEARD_MIN: u64 = RATE as u64 / 4;

/// Samples that are kept for parts that are not decided yet: the longest stretch that is held back,
/// and a window.
const SOUND_MAX: usize = 40 * RATE as usize;

/// Speakers that are named at most; segments of others have no speaker.
const SPEAKERS_MAX: u16 = 999;

/// An error of telling voices apart.
#[derive(Debug, thiserror::Error)]
pub(super) enum VoiceError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// The loaded models of voices.
pub(super) struct VoiceRecogniser {
    segmentation: Segmentation,
    embedder: Embedder,
    hash: String,
}

impl VoiceRecogniser {
    /// Loads the models; once a process.
    pub(super) fn load(models: &VoiceModels, threads: usize) -> Result<Self, ModelError> {
        let environment = onnx::load_runtime(&models.runtime)?;
        let mut hasher = blake3::Hasher::new();
        let segmentation =
            Segmentation::load(environment, &models.segmentation, threads, &mut hasher)?;
        let embedder = Embedder::load(environment, &models.embedding, threads, &mut hasher)?;
        let hash = hasher.finalize().to_hex()[..32].to_owned();
        Ok(Self { segmentation, embedder, hash })
    }

    /// Returns the identity of the models: a hash of their files.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }
}

/// Returns the files that are read to load the models.
pub(super) fn model_files(models: &VoiceModels) -> [&PathBuf; 3] {
    [&models.segmentation, &models.embedding, &models.runtime]
}

/// Listens for voices in the one channel of a recording.
pub(super) struct VoiceListener {
    recogniser: VoiceRecogniser,
    prints: VoicePrints,
    timeline: Timeline,
    /// The last sound.
    sound: Vec<f32>,
    /// The sample that `sound` begins with.
    begin: u64,
    /// The sample that the next window begins with.
    next_window: u64,
    /// Samples so far.
    samples: u64,
}

impl VoiceListener {
    /// Returns a listener that takes up the prints of an earlier run.
    pub(super) fn new(
        recogniser: VoiceRecogniser,
        file: PrintsFile,
        content: &str,
    ) -> io::Result<Self> {
        let prints = file.take_up(recogniser.hash(), content)?;
        Ok(Self {
            recogniser,
            prints,
            timeline: Timeline::default(),
            sound: Vec::new(),
            begin: 0,
            next_window: 0,
            samples: 0,
        })
    }

    /// Starts over with the first sample.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.timeline = Timeline::default();
        self.sound.clear();
        self.begin = 0;
        self.next_window = 0;
        self.samples = 0;
        self.prints.restart()
    }

    /// Adds sound.
    pub(super) fn add_sound(&mut self, sound: &[f32]) -> Result<(), VoiceError> {
        for block in sound.chunks(WINDOW_STEP) {
            self.sound.extend_from_slice(block);
            self.samples += block.len() as u64;
            while self.next_window + WINDOW as u64 <= self.samples {
                self.hear_window()?;
            }
            let surplus = self.sound.len().saturating_sub(SOUND_MAX);
            self.sound.drain(..surplus);
            self.begin += surplus as u64;
        }
        Ok(())
    }

    /// Ends the recording: everything is decided.
    pub(super) fn finish(&mut self) -> Result<(), VoiceError> {
        let is_covered = self.next_window > 0
            && self.samples <= self.next_window + (WINDOW - WINDOW_STEP) as u64;
        if !is_covered {
            self.hear_window()?;
        }
        self.timeline.finish(self.samples);
        self.print_parts()
    }

    /// Returns the sample up to which it is known who takes over from whom.
    pub(super) fn decided_until(&self) -> u64 {
        self.timeline.decided_until()
    }

    /// Cuts a piece where one speaker takes over from another.
    pub(super) fn cut_piece(&self, piece: SpeechPiece) -> Vec<SpeechPiece> {
        let mut rest = piece;
        let mut pieces = Vec::new();
        for change in self.timeline.changes_within(rest.start..rest.end) {
            let at =
                usize::try_from(change - rest.begin).unwrap_or(usize::MAX).min(rest.sound.len());
            let sound = rest.sound.split_off(at);
            let next = SpeechPiece { begin: change, start: change, end: rest.end, sound };
            pieces.push(SpeechPiece { end: change, ..rest });
            rest = next;
        }
        pieces.push(rest);
        pieces
    }

    /// Returns whether one speaker takes over from another within a range that is decided.
    pub(super) fn has_change(&self, range: Range<u64>) -> bool {
        !self.timeline.changes_within(range).is_empty()
    }

    /// Returns for each segment the number of its speaker, from 1 in the order in which they are
    /// heard first; 0 for nobody. The segments are in the order of time.
    pub(super) fn name_speakers(&self, segments: &[(u64, u64)], speakers: Speakers) -> Vec<u16> {
        let parts = self.prints.parts();
        let labels = cluster_parts(parts, speakers);
        let mut order: Vec<usize> = Vec::new();
        let number = |(start, end): &(u64, u64)| {
            let Some(label) = speaker_within(*start, *end, parts, &labels) else { return 0 };
            let known = order.iter().position(|known| *known == label).unwrap_or_else(|| {
                order.push(label);
                order.len() - 1
            });
            u16::try_from(known + 1)
                .map_or(0, |number| if number <= SPEAKERS_MAX { number } else { 0 })
        };
        segments.iter().map(number).collect()
    }

    /// Forgets all voice prints: the speakers are named.
    pub(super) fn forget_prints(&mut self) -> io::Result<()> {
        self.prints.forget()
    }

    fn hear_window(&mut self) -> Result<(), VoiceError> {
        let from = usize::try_from(self.next_window - self.begin)
            .unwrap_or(usize::MAX)
            .min(self.sound.len());
        let mut window: Vec<f32> = self.sound[from..].iter().take(WINDOW).copied().collect();
        window.resize(WINDOW, 0.0);
        self.timeline.add_window(self.recogniser.segmentation.find_activity(window)?, self.samples);
        self.next_window += STEP * MOMENT;
        self.print_parts()
    }

    /// Makes the prints of the parts that are finished.
    fn print_parts(&mut self) -> Result<(), VoiceError> {
        while let Some(span) = self.timeline.take_part() {
            let range = [span.start, span.end].map(|sample| {
                usize::try_from(sample.saturating_sub(self.begin))
                    .unwrap_or(usize::MAX)
                    .min(self.sound.len())
            });
            let sound = &self.sound[range[0]..range[1]];
            let embedder = &mut self.recogniser.embedder;
            self.prints.add_part(span, || -> Result<_, VoiceError> {
                if span.end - span.start < HEARD_MIN {
                    Ok(None)
                } else {
                    Ok(embedder.print_voice(sound)?)
                }
            })?;
        }
        Ok(())
    }
}

/// Returns who speaks the most within a range; where nobody does, the nearest.
fn speaker_within(
    start: u64,
    end: u64,
    parts: &[prints::VoicePart],
    labels: &[usize],
) -> Option<usize> {
    let from = parts.partition_point(|part| part.end <= start);
    let after = parts.partition_point(|part| part.start < end);
    if from >= after {
        let near = parts[..from].last().map(|part| (start.saturating_sub(part.end), from - 1));
        let next = parts.get(from).map(|part| (part.start.saturating_sub(end), from));
        return near.into_iter().chain(next).min().map(|(_, at)| labels[at]);
    }
    let mut spoken: Vec<(usize, u64)> = Vec::new();
    for (part, label) in parts[from..after].iter().zip(&labels[from..after]) {
        let samples = part.end.min(end).saturating_sub(part.start.max(start));
        match spoken.iter_mut().find(|(known, _)| known == label) {
            Some((_, sum)) => *sum += samples,
            None => spoken.push((*label, samples)),
        }
    }
    // Of equals the first.
    spoken.iter().rev().max_by_key(|(_, samples)| *samples).map(|(label, _)| *label)
}

#[cfg(test)]
mod tests {
    use super::{prints::VoicePart, *};

    #[test]
    fn a_segment_is_of_the_one_who_speaks_most_in_it() {
        let part = |start, end| VoicePart { start, end, speakers: 1, print: None };
        let parts = [part(0, 100), part(100, 150), part(150, 190), part(300, 400)];
        let labels = [0, 1, 1, 2];
        let speaker = |start, end| speaker_within(start, end, &parts, &labels);
        assert_eq!(
            (speaker(0, 180), speaker(50, 200), speaker(210, 230)),
            (Some(0), Some(1), Some(1))
        );
        assert_eq!(
            (speaker(260, 290), speaker(900, 950), speaker_within(0, 5, &[], &[])),
            (Some(2), Some(2), None)
        );
    }
}
