//! The name of a recording's sound, beside that of its content.

use std::{fmt, str::FromStr};

use super::key::ParseError;

/// The prefix of the text. Its number is that of the canonical form; a later form gets another one.
const START: &str = "s1-";

/// Hex digits of the hash, as many as a content has.
const HEX_LEN: usize = 32;

/// The identity of a recording's sound: `s1-` and the first 128 bits of the BLAKE3 hash of its packets and codecs, in hex.
/// A remux and a file with other tags have the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sound(String);

impl Sound {
    /// Returns the sound of a finished hash.
    #[must_use]
    pub fn from_hash(hash: &blake3::Hash) -> Self {
        Self(format!("{START}{}", &hash.to_hex().as_str()[..HEX_LEN]))
    }

    /// Returns the text, `s1-<32 hex>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Sound {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_hex = |hex: &str| hex.len() == HEX_LEN && hex.bytes().all(is_digit);
        if text.strip_prefix(START).is_some_and(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::new(text, "sound", "`s1-` and 32 hex digits"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_has_one_spelling() {
        let sound = Sound::from_hash(&blake3::hash(b"packets"));
        assert_eq!(sound.to_string().parse::<Sound>().as_ref(), Ok(&sound));
        for wrong in [
            "",
            "s1-",
            "b3-00000000000000000000000000000000",
            "s1-0000000000000000000000000000000G",
        ] {
            assert!(wrong.parse::<Sound>().expect_err(wrong).to_string().contains("32 hex digits"));
        }
    }
}
