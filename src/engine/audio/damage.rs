//! The reasons that a recording is not decoded, and the damage of one that is.

use std::io;

use symphonia::core::errors::Error;

/// The message for a file that was cut off.
pub(super) const TOO_EARLY: &str = "it ends too early";

/// The reason that symphonia does not decode a file.
#[derive(Debug)]
pub(super) enum DecodeRefusal {
    /// symphonia does not know the kind or the codec; another decoder may.
    Unsupported(String),
    /// The file is damaged.
    Damaged(String),
    /// There is no sound in it.
    Silent,
    /// The file cannot be read.
    Io(io::Error),
}

impl From<Error> for DecodeRefusal {
    fn from(error: Error) -> Self {
        match error {
            Error::IoError(error) => Self::from(error),
            // What symphonia says names its own parts.
            Error::Unsupported(_) => Self::Unsupported("its format".to_owned()),
            Error::DecodeError(_)
            | Error::SeekError(_)
            | Error::LimitError(_)
            | Error::ResetRequired
            | _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<io::Error> for DecodeRefusal {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Damaged(TOO_EARLY.to_owned())
        } else {
            Self::Io(error)
        }
    }
}

impl std::fmt::Display for DecodeRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsupported(what) => write!(f, "{what} is not known"),
            Self::Damaged(why) => f.write_str(why),
            Self::Silent => f.write_str("there is no sound in it"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

/// The damage that was met while decoding.
#[derive(Debug, Default)]
pub(super) struct SoundDamage {
    /// Packets that could not be decoded.
    pub(super) packets: u64,
    /// Packets that could.
    pub(super) decoded: u64,
    /// In a row, until now.
    pub(super) row: u64,
    /// The reason that it ended before its end.
    pub(super) cut: Option<String>,
    /// True when it ended because there are no more bytes.
    pub(super) is_at_end: bool,
    /// Bytes behind the sound that were not read.
    pub(super) unread: u64,
    /// Sound tracks that cannot be decoded, from 1.
    pub(super) deaf: Vec<usize>,
    /// True when there is an edit list that is not understood.
    pub(super) is_oddly_edited: bool,
}

impl SoundDamage {
    /// Returns whether more was lost than a scratch explains: a fiftieth of it, ten seconds, or all
    /// from somewhere on.
    pub(super) fn is_grave(&self) -> bool {
        /// Packets of ten seconds: they have some 25 ms each.
        const TEN_SECONDS: u64 = 400;
        self.packets * 50 > self.decoded + self.packets
            || self.packets > TEN_SECONDS
            || (self.cut.is_some() && !self.is_at_end)
            || self.unread > 0
    }
}
