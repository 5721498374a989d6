//! The engine on this machine: from a recording to a transcript, without an account and without a
//! network.
//!
//! ```text
//!  recording ──▶ audio ──▶ speech ──▶ recogniser ──▶ pieces ──▶ transcript
//!  (open file)   16 kHz    who speaks  words         on disk
//!                └─────────── child, a process ────────────┘   └─ run, in the daemon
//! ```
//!
//! - [`run`] is all that the rest of minuted uses: it starts the child, hands it the open recording
//!   as its standard input, follows its progress, and reads the pieces when it is done.
//! - [`child`] is the hidden command `minuted engine-work`. It is a process of its own,
//!   because it runs native code on hostile bytes: a crash there is that recording's failure and no
//!   one else's. What it takes from elsewhere it takes first: then it is confined
//!   ([`crate::confine`]), and reads the recording.
//! - [`ffmpeg_child`] becomes ffmpeg, confined too; [`lender`] starts it for the recogniser, which
//!   may start nothing.
//! - [`hook_child`] becomes a program that the operator has told of events, confined as ffmpeg is.
//! - [`audio`] decodes to 16 kHz as a stream: symphonia, else `ffmpeg` where it is installed. Sound
//!   tracks, and the sides of stereo with one person each, stay apart; everything else becomes one
//!   channel.
//! - [`speech`] finds who speaks when and cuts the sound into pieces of at most 15 s.
//! - [`recogniser`] turns a piece into words: [`moonshine`], or [`whisper`] where this build has
//!   it. `onnx` loads the runtime of the models, and `language` finds the speech on which whisper
//!   detects which language it is.
//! - `confidence` is how likely the recogniser found these words.
//! - [`voices`] tells the people in one channel apart: pieces are cut where another one takes over,
//!   and segments get their speakers at the end.
//! - [`pieces`] keeps finished pieces on disk, so that a kill costs a minute and not the recording.
//! - [`wire`] is the protocol of parent and child.
//! - [`effort`] is how much processor time a recording takes.
//! - [`model`] says where the model of Moonshine lies; that of whisper a person names.
//!
//! No part holds more than a few minutes of sound, however long the recording is.

pub(crate) mod audio;
pub(crate) mod child;
mod confidence;
pub(crate) mod effort;
pub(crate) mod ffmpeg_child;
pub(crate) mod hook_child;
mod language;
pub(crate) mod lender;
mod limits;
mod memory_kills;
pub(crate) mod model;
pub(crate) mod moonshine;
mod onnx;
pub(crate) mod pieces;
pub(crate) mod recogniser;
pub(crate) mod run;
pub(crate) mod speech;
pub(crate) mod trial;
pub(crate) mod voices;
pub(crate) mod whisper;
pub(crate) mod wire;

/// Samples a second of all sound inside the engine: what the model was trained on.
pub(crate) const RATE: u32 = 16_000;

/// Returns the time of a sample, in seconds.
pub(crate) fn sample_seconds(sample: u64) -> f64 {
    // A recording of 2^52 samples would last nine thousand years.
    #[expect(clippy::cast_precision_loss, reason = "exact for any recording there can be")]
    let sample = sample as f64;
    sample / f64::from(RATE)
}

/// Returns the time of a sample, in milliseconds.
pub(crate) fn sample_milliseconds(sample: u64) -> u64 {
    sample.saturating_mul(1000) / u64::from(RATE)
}
