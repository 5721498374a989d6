//! Errors of decoding.

use std::io;

/// The message for a child that the kernel ended for lack of memory.
pub(crate) const NO_MEMORY_LEFT: &str = "its decoder or recogniser was ended, for this machine or the service had no memory left: \
     see MemoryMax= of the service, or give the machine more";

/// An error of decoding.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file's own fault.
    #[error("cannot be decoded: {reason}")]
    Undecodable {
        /// The reason.
        reason: String,
    },
    /// The file is whole, and holds no sound.
    #[error("there is no sound in it")]
    NoSound,
    /// ffmpeg would be needed, and is not there.
    #[error("needs ffmpeg for {what}")]
    NeedsFfmpeg {
        /// The kind of file that it is needed for.
        what: String,
    },
    /// ffmpeg is there and cannot be run as it must be.
    #[error("ffmpeg does not work: {reason}")]
    Ffmpeg {
        /// The reason.
        reason: String,
    },
    /// ffmpeg was ended because the machine or the service had no memory left.
    #[error("{NO_MEMORY_LEFT}")]
    NoMemory,
    /// The file cannot be read.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
}
