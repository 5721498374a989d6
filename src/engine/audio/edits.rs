//! Edit lists: which stretches of a track are heard, and when.

use super::{decode::Heard, tracks::Edit};

/// A stretch of a track that is heard, in seconds of the track, and when it is heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) at: f64,
}

/// Returns what is heard of an edit list; `None` where it is odder than a beginning and an end that are left out, and
/// pieces between: stretches that come again, go back, or have another speed.
pub(super) fn cuts(edits: &[Edit]) -> Option<Vec<Cut>> {
    let mut cuts: Vec<Cut> = Vec::new();
    let mut at = 0.0;
    for edit in edits {
        if let Some(from) = edit.from {
            if !edit.is_plain || cuts.last().is_some_and(|before| from < before.to) {
                return None;
            }
            cuts.push(Cut { from, to: from + edit.length, at });
        }
        at += edit.length;
    }
    Some(cuts)
}

/// Returns what is heard of `heard`, which begins at `time` of its track.
pub(super) fn cut(cuts: &[Cut], time: f64, heard: &Heard) -> Vec<Heard> {
    let rate = f64::from(heard.spec.rate());
    let channels = heard.spec.channels().count();
    let frames = heard.interleaved.len() / channels;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the frames of a packet")]
    let frame = |moment: f64| (((moment - time) * rate).round().max(0.0) as usize).min(frames);
    let part = |cut: &Cut| {
        let range = frame(cut.from)..frame(cut.to);
        let interleaved = heard.interleaved.get(range.start * channels..range.end * channels)?.to_vec();
        let at = Some(cut.at + (time - cut.from).max(0.0));
        (!range.is_empty()).then(|| Heard { track: heard.track, spec: heard.spec.clone(), at, interleaved })
    };
    cuts.iter().filter_map(part).collect()
}
