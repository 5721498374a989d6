//! Gaps: sound that comes later than the sound before it ends is placed at its time.

use super::{Audio, BLOCK, RATE, decode::DecodedSound, planes::TrackSound};

/// Samples that the sound of a packet may come later than its time says, before silence fills the
/// gap: 50 ms.
const GAP_MIN: u64 = 800;

/// Samples of a gap that is believed: six hours. A longer one is a clock that was set.
const GAP_MAX: u64 = 6 * 3600 * RATE as u64;

/// Samples of silence that are filled in at most: a day.
const SILENCE_MAX: u64 = 24 * 3600 * RATE as u64;

/// The place of a part within the recording.
#[derive(Debug, Default)]
pub(super) struct PartPlace {
    pub(super) number: usize,
    pub(super) begin: u64,
    pub(super) base: Option<f64>,
}

impl Audio {
    /// Places decoded sound at its time.
    pub(super) fn place_sound(&mut self, decoded: DecodedSound) {
        let furthest = self.tracks.iter().map(TrackSound::position).max().unwrap_or(0);
        if self.decoder.parts_begun() != self.part.number {
            self.part =
                PartPlace { number: self.decoder.parts_begun(), begin: furthest, base: None };
            self.tracks.iter_mut().for_each(TrackSound::flush_resamplers);
        }
        let gap = self.gap_before(&decoded);
        if gap > 0 {
            self.silence += gap;
            self.gap = Some((gap, decoded));
        } else {
            let is_several = self.tracks.len() > 1;
            if let Some(track) = self.tracks.get_mut(decoded.track) {
                track.take_sound(&decoded, is_several);
            }
        }
    }

    /// Returns the samples of silence in front of decoded sound.
    fn gap_before(&mut self, decoded: &DecodedSound) -> u64 {
        /// Seconds after which the first sound is not late, but a piece of something longer.
        const LATE: f64 = 3600.0;
        let Some(at) = decoded.at else { return 0 };
        let Some(track) = self.tracks.get(decoded.track) else { return 0 };
        let base = *self.part.base.get_or_insert(if at > LATE { at } else { 0.0 });
        let Some(expected) = samples_from_seconds(at - base) else { return 0 };
        let gap = self.part.begin.saturating_add(expected).saturating_sub(track.position());
        if (GAP_MIN..GAP_MAX).contains(&gap) && self.silence + gap < SILENCE_MAX { gap } else { 0 }
    }

    /// Fills a second of the gap, or takes the sound behind it.
    pub(super) fn fill_gap(&mut self) {
        let is_several = self.tracks.len() > 1;
        let Some((left, decoded)) = self.gap.take() else { return };
        let Some(track) = self.tracks.get_mut(decoded.track) else { return };
        if left == 0 {
            track.take_sound(&decoded, is_several);
            return;
        }
        let now = left.min(BLOCK as u64);
        track.fill_silence(now, if is_several { 1 } else { decoded.spec.channels().count() });
        self.gap = Some((left - now, decoded));
    }
}

/// Converts seconds to samples of 16 kHz; `None` for a number that is no time.
pub(super) fn samples_from_seconds(seconds: f64) -> Option<u64> {
    let seconds = Some(seconds).filter(|seconds| seconds.is_finite() && *seconds > 0.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and saturates"
    )]
    Some((seconds * f64::from(RATE)) as u64)
}
