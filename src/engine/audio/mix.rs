//! From the channels of a recording to one, or to a left and a right one.

use symphonia::core::audio::{Channels, Position};

/// The way in which channels become planes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ChannelMix {
    /// A single channel, as it is.
    One,
    /// Left and right, kept apart until it is decided whether they are two people.
    Two,
    /// More: one plane, by these weights.
    Many(Vec<f32>),
}

/// The weight of the centre, where films and rooms have the speech.
const CENTRE: f32 = 0.7;
/// The weight of left and right.
const FRONT: f32 = 0.5;
/// The weight of channels beside, behind or above.
const AROUND: f32 = 0.25;

impl ChannelMix {
    /// Returns how `channels` are mixed.
    pub(crate) fn of_channels(channels: &Channels) -> Self {
        let count = channels.count();
        match (count, channels) {
            (0 | 1, _) => Self::One,
            (2, _) => Self::Two,
            (_, Channels::Positioned(positions)) => {
                Self::Many(positions.iter().map(position_weight).collect())
            }
            // Microphones side by side: their sum must not clip when one speaks, nor vanish.
            #[expect(clippy::cast_precision_loss, reason = "a number of channels is small")]
            _ => Self::Many(vec![1.0 / (count as f32).sqrt(); count]),
        }
    }

    /// Returns how many planes come out: 1 or 2.
    pub(crate) fn plane_count(&self) -> usize {
        match self {
            Self::One | Self::Many(_) => 1,
            Self::Two => 2,
        }
    }

    /// Returns the mix that makes one plane in any case.
    pub(crate) fn into_one_plane(self, channels: usize) -> Self {
        match self {
            Self::Two => Self::Many(vec![0.5; channels]),
            Self::One | Self::Many(_) => self,
        }
    }

    /// Mixes interleaved samples onto the planes, one of which is there for each that comes out.
    /// NaN and infinity become silence.
    pub(crate) fn mix_onto(&self, interleaved: &[f32], planes: &mut [Vec<f32>]) {
        match self {
            Self::One => planes[0].extend(interleaved.iter().map(|sample| finite_sample(*sample))),
            Self::Two => {
                for (side, plane) in planes.iter_mut().enumerate() {
                    plane.extend(
                        interleaved.chunks_exact(2).map(|frame| finite_sample(frame[side])),
                    );
                }
            }
            Self::Many(weights) => {
                let mixed = |frame: &[f32]| {
                    frame
                        .iter()
                        .zip(weights)
                        .map(|(sample, weight)| finite_sample(*sample) * weight)
                        .sum()
                };
                let frames = interleaved.chunks_exact(weights.len());
                planes[0].extend(frames.map(|frame| f32::clamp(mixed(frame), -1.0, 1.0)));
            }
        }
    }
}

/// Returns a finite sample: float recordings hold anything.
fn finite_sample(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

/// Returns the weight of a channel. The low-frequency channel holds no speech.
fn position_weight(position: Position) -> f32 {
    if position.intersects(Position::LFE1 | Position::LFE2) {
        0.0
    } else if position == Position::FRONT_CENTER {
        CENTRE
    } else if position.intersects(Position::FRONT_LEFT | Position::FRONT_RIGHT) {
        FRONT
    } else {
        AROUND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(channels: &Channels, interleaved: &[f32]) -> Vec<Vec<f32>> {
        let mix = ChannelMix::of_channels(channels);
        let mut planes = vec![Vec::new(); mix.plane_count()];
        mix.mix_onto(interleaved, &mut planes);
        planes
    }

    #[test]
    fn the_low_frequencies_are_left_out_and_the_centre_is_heard_best() {
        let surround = Position::FRONT_LEFT
            | Position::FRONT_RIGHT
            | Position::FRONT_CENTER
            | Position::LFE1
            | Position::SIDE_LEFT
            | Position::SIDE_RIGHT;
        let frames =
            [[0., 0., 1., 0., 0., 0.], [0., 0., 0., 1., 0., 0.], [1., 0., 0., 0., 0., 0.], [1.; 6]];
        let planes = mixed(&Channels::Positioned(surround), frames.as_flattened());
        assert_eq!(planes, [[0.7, 0.0, 0.5, 1.0]]);
    }

    #[test]
    fn left_and_right_stay_apart_and_what_is_no_number_is_silence() {
        let stereo = Channels::Positioned(Position::FRONT_LEFT | Position::FRONT_RIGHT);
        assert_eq!(mixed(&stereo, &[0.1, 0.2, f32::NAN, 7.0]), [[0.1, 0.0], [0.2, 1.0]]);
        assert_eq!(mixed(&Channels::Discrete(4), &[1.0, 0.0, 0.0, 0.0]), [[0.5]]);
    }
}
