//! The bounds of a folder that a recording exceeds, in words that name the bound and the key.

use std::{fmt, time::Duration};

use crate::text::{format_duration, format_size};

/// A bound that a recording exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The recording is larger than `max_size`.
    Size {
        /// Its bytes.
        bytes: u64,
        /// The bound.
        max: u64,
    },
    /// Nearly all of it is a hole: its size says nothing of what was recorded.
    Hollow {
        /// Its bytes.
        bytes: u64,
        /// Bytes of it that were ever written.
        written: u64,
    },
    /// The recording is longer than `max_duration`.
    Long {
        /// Its length; `None` where only that it goes on behind the bound is known.
        length: Option<Duration>,
        /// The bound.
        max: Duration,
    },
    /// The recording is shorter than `min_duration`.
    Short {
        /// Its length.
        length: Duration,
        /// The bound.
        min: Duration,
    },
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { bytes, max } => {
                write!(
                    f,
                    "it has {}, and its folder takes up to {} (`max_size`)",
                    format_size(*bytes),
                    format_size(*max)
                )
            }
            Self::Hollow { bytes, written } => write!(
                f,
                "of its {} only {} were ever written: minuted does not treat it as a recording",
                format_size(*bytes),
                format_size(*written)
            ),
            Self::Long { length: Some(length), max } => {
                write!(
                    f,
                    "it is {} long, and its folder takes up to {} (`max_duration`)",
                    format_duration(*length),
                    format_duration(*max)
                )
            }
            Self::Long { length: None, max } => {
                write!(
                    f,
                    "it is longer than {}, and its folder takes no more (`max_duration`)",
                    format_duration(*max)
                )
            }
            Self::Short { length, min } => write!(
                f,
                "it is {} long, and its folder takes recordings from {} on (`min_duration`)",
                format_duration(*length),
                format_duration(*min)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_names_what_was_found_and_the_key() {
        let hour = Duration::from_secs(3600);
        let bounds = [
            Bound::Size { bytes: 900 << 30, max: 64 << 30 },
            Bound::Hollow { bytes: 1 << 30, written: 4096 },
            Bound::Long { length: Some(hour * 149), max: hour * 24 },
            Bound::Long { length: None, max: hour * 24 },
            Bound::Short { length: Duration::from_secs(2), min: Duration::from_secs(10) },
        ];
        insta::assert_snapshot!(bounds.map(|bound| bound.to_string()).join("\n"), @r"
        it has 900GiB, and its folder takes up to 64GiB (`max_size`)
        of its 1GiB only 4KiB were ever written: minuted does not treat it as a recording
        it is 6d long, and its folder takes up to 24h (`max_duration`)
        it is longer than 24h, and its folder takes no more (`max_duration`)
        it is 2s long, and its folder takes recordings from 10s on (`min_duration`)
        ");
    }
}
