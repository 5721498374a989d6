//! The names of contents and of jobs.

use std::{fmt, str::FromStr};

/// The identity of a recording's bytes: `b3-` and the first 128 bits of their BLAKE3 hash, in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content(String);

/// Hex digits of a content's hash. 128 bits: no two recordings on Earth share them by chance.
const HEX_LEN: usize = 32;

impl Content {
    /// Returns the content of a finished hash.
    #[must_use]
    pub fn from_hash(hash: &blake3::Hash) -> Self {
        let hex = hash.to_hex();
        Self(format!("b3-{}", &hex.as_str()[..HEX_LEN]))
    }

    /// Returns the text, `b3-<32 hex>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a content or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: expected {expected}")]
pub struct ParseError {
    text: String,
    what: &'static str,
    expected: &'static str,
}

impl ParseError {
    pub(super) fn new(text: &str, what: &'static str, expected: &'static str) -> Self {
        Self { text: text.to_owned(), what, expected }
    }
}

impl FromStr for Content {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_hex = |hex: &str| {
            hex.len() == HEX_LEN
                && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if text.strip_prefix("b3-").is_some_and(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError {
                text: text.to_owned(),
                what: "content",
                expected: "`b3-` and 32 hex digits",
            })
        }
    }
}

/// The name of a job at the service and in the notes: content, folder id and generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The bytes.
    pub content: Content,
    /// The folder's id; it may hold dots.
    pub folder: String,
    /// 1, and one more for each `redo`.
    pub generation: u32,
}

/// The highest generation that is believed where minuted did not count it itself: in notes on disk, in a service's list.
/// Nobody redoes a recording a thousand times, and one planted number must not use up those that follow it.
const TOLD_GENERATION_MAX: u32 = 1_000;

impl Key {
    /// Returns whether a key that was read from a file or a list may be one of minuted's.
    #[must_use]
    pub fn is_believable(&self) -> bool {
        self.generation <= TOLD_GENERATION_MAX
    }

    /// Returns the last line of the description of this job's meeting.
    #[must_use]
    pub fn marker_line(&self) -> String {
        format!("{MARKER}{self}")
    }

    /// Returns the key that the last marker line of `description` names, if one does.
    #[must_use]
    pub fn from_description(description: &str) -> Option<Self> {
        description
            .lines()
            .rev()
            .find_map(|line| line.trim().strip_prefix(MARKER)?.trim().parse().ok())
    }
}

/// The beginning of a marker line.
const MARKER: &str = "minuted:";

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.content, self.folder, self.generation)
    }
}

impl FromStr for Key {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError {
            text: text.to_owned(),
            what: "job key",
            expected: "`b3-<32 hex digits>.<folder>.<generation>`",
        };
        let (content, rest) = text.split_once('.').ok_or_else(error)?;
        let (folder, generation) = rest.rsplit_once('.').ok_or_else(error)?;
        let key = Self {
            content: content.parse().map_err(|_| error())?,
            folder: folder.to_owned(),
            generation: generation.parse().map_err(|_| error())?,
        };
        // `+1` and `01` are numbers too, and would be second names of one key.
        let is_plain = key.generation > 0 && key.generation.to_string() == generation;
        if key.folder.is_empty() || !is_plain { Err(error()) } else { Ok(key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(folder: &str) -> Key {
        Key {
            content: Content::from_hash(&blake3::hash(b"talk")),
            folder: folder.into(),
            generation: 2,
        }
    }

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        for folder in ["sales", "sales.eu", "a.1"] {
            let key = key(folder);
            assert_eq!(key.to_string().parse::<Key>().as_ref(), Ok(&key));
        }
    }

    #[test]
    fn a_marker_is_found_after_other_lines_and_with_spaces_around() {
        let key = key("sales");
        let description = format!("Weekly\nminuted: not a key\n  {}  \r\n", key.marker_line());
        assert_eq!(Key::from_description(&description), Some(key));
        assert_eq!(Key::from_description("nothing here"), None);
    }

    #[test]
    fn what_is_not_a_key_says_what_a_key_is() {
        let error = "b3-12.sales.1".parse::<Key>().expect_err("too short");
        assert!(error.to_string().contains("32 hex digits"), "{error}");
        assert!("b3-00000000000000000000000000000000.sales.0".parse::<Key>().is_err());
        assert!("b3-00000000000000000000000000000000..1".parse::<Key>().is_err());
    }

    #[test]
    fn a_key_has_one_spelling() {
        for generation in ["+1", "01", "1 ", "4294967296"] {
            assert!(
                format!("b3-00000000000000000000000000000000.sales.{generation}")
                    .parse::<Key>()
                    .is_err()
            );
        }
    }
}
