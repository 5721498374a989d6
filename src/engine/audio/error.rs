//! Why there is no sound.

use std::io;

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
