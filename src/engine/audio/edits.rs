//! Edit lists: the stretches of a track that are played, and their times.

use super::{decode::DecodedSound, tracks::TrackEdit};

/// A stretch of a track that is played, in seconds of the track, and its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TrackCut {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) at: f64,
}

/// Returns the stretches of an edit list; `None` where it is odder than a beginning and an end that
/// are left out, and pieces between: stretches that come again, go back, or have another speed.
pub(super) fn cuts_from_edits(edits: &[TrackEdit]) -> Option<Vec<TrackCut>> {
    let mut cuts: Vec<TrackCut> = Vec::new();
    let mut at = 0.0;
    for edit in edits {
        if let Some(from) = edit.from {
            if !edit.is_plain || cuts.last().is_some_and(|before| from < before.to) {
                return None;
            }
            cuts.push(TrackCut { from, to: from + edit.length, at });
        }
        at += edit.length;
    }
    Some(cuts)
}

/// Returns the played part of `decoded`, which begins at `time` of its track.
pub(super) fn apply_cuts(
    cuts: &[TrackCut],
    time: f64,
    decoded: &DecodedSound,
) -> Vec<DecodedSound> {
    let rate = f64::from(decoded.spec.rate());
    let channels = decoded.spec.channels().count();
    let frames = decoded.interleaved.len() / channels;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the frames of a packet"
    )]
    let frame = |moment: f64| (((moment - time) * rate).round().max(0.0) as usize).min(frames);
    let parts = cuts.iter().filter_map(|cut| {
        let range = frame(cut.from)..frame(cut.to);
        let interleaved =
            decoded.interleaved.get(range.start * channels..range.end * channels)?.to_vec();
        let at = Some(cut.at + (time - cut.from).max(0.0));
        (!range.is_empty()).then(|| DecodedSound {
            track: decoded.track,
            spec: decoded.spec.clone(),
            at,
            interleaved,
        })
    });
    parts.collect()
}
