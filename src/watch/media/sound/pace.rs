//! The bytes that a second of a bare stream has, by its first frames: MP3 and ADTS state no length.

use std::time::Duration;

use super::{Obscure, ReadAt, adts, before_tags, behind_tags, mp3, window::Window};
use crate::watch::media::{read_up_to, span};

/// The pace of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Samples of the frames that were looked at.
    pub(super) samples: u64,
    /// Samples a second.
    pub(super) rate: u64,
    /// Bytes of these frames; `None` where they are all of the stream.
    pub(super) bytes: Option<u64>,
}

impl Pace {
    /// Returns the length of a stream of `len` bytes at this pace.
    pub(crate) fn length_of(self, len: u64) -> Option<Duration> {
        let all = span(self.samples, self.rate)?;
        let Some(bytes) = self.bytes.filter(|bytes| *bytes > 0) else { return Some(all) };
        let ms = all.as_millis() * u128::from(len) / u128::from(bytes);
        Some(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
    }
}

/// Returns the pace of a file of `len` bytes; `None` where it is no such stream.
pub(crate) fn pace(file: &dyn ReadAt, len: u64) -> Option<Pace> {
    read_pace(file, len).ok().flatten()
}

fn read_pace(file: &dyn ReadAt, len: u64) -> Result<Option<Pace>, Obscure> {
    let mut window = Window::new(file);
    let at = behind_tags(&mut window)?;
    let end = before_tags(&mut window, len)?;
    match read_up_to::<4>(&mut window, at)?.0 {
        [0xff, second, ..] if second & 0xf6 == 0xf0 => adts::pace(window, at, end),
        [0xff, second, ..] if second & 0xe0 == 0xe0 => mp3::pace(window, at, end),
        _ => Ok(None),
    }
}
