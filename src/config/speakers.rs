//! `speakers`: whether and how voices are told apart.

use std::num::NonZeroU8;

use serde::{Deserialize, Serialize};
use toml::{Spanned, de::DeValue};

use super::{diagnostic::ValueError, reader::Table, words::in_backticks};

/// Speakers of a recording at most: more voices are not told apart.
const SPEAKERS_MAX: u8 = 20;

/// The cure of a value that is none.
const HELP: &str = "write \"auto\", \"off\", or how many people speak: 1 to 20";

/// The number of speakers of a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speakers {
    /// The service finds it out, where it tells speakers apart.
    #[default]
    Auto,
    /// Nobody asks: transcripts have no speakers.
    Off,
    /// So many.
    Exactly(NonZeroU8),
}

impl Table<'_> {
    /// Returns `"auto"`, `"off"`, or a number.
    pub(super) fn read_speakers(&self, key: &'static str) -> Option<Spanned<Speakers>> {
        let item = self.find_item(key)?;
        let (speakers, shown) = match item.value.get_ref() {
            DeValue::String(text) => match &**text {
                "auto" => (Some(Speakers::Auto), String::new()),
                "off" => (Some(Speakers::Off), String::new()),
                other => (None, other.to_owned()),
            },
            DeValue::Integer(number) => {
                let count = u8::from_str_radix(number.as_str(), number.radix()).ok();
                (count.and_then(exact_count), number.to_string())
            }
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                return item.note_wrong_type("a word or a number", HELP.to_owned());
            }
        };
        match speakers {
            Some(speakers) => Some(Spanned::new(item.span(), speakers)),
            None => item.note_error(ValueError::new(
                format!("{} is no number of speakers", in_backticks(&shown)),
                HELP,
            )),
        }
    }
}

fn exact_count(count: u8) -> Option<Speakers> {
    NonZeroU8::new(count).filter(|count| count.get() <= SPEAKERS_MAX).map(Speakers::Exactly)
}
