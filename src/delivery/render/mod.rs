//! The documents of a recording: notes, transcript, mail and the word of a failure. Pure.
//!
//! Everything that comes from a service or a file name is hostile here: it may neither run, nor forge the front matter,
//! nor reach a header.

mod direction;
pub(crate) mod failed;
mod formats;
pub(super) mod front;
pub(super) mod html;
mod items;
pub(super) mod markdown;
pub(super) mod notes;
pub(super) mod plain;
pub(super) mod seal;
mod subtitles;
pub(super) mod templates;
mod turns;
mod vault;

pub(crate) use front::{Proof, key_of, proof_of, sound_of};
pub use notes::Minutes;
pub(crate) use turns::Paragraph;
pub(crate) use vault::Vault;

use crate::config::Format;

impl Minutes {
    /// Returns the content of the file of that format.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Md => self.sealed_markdown(),
            Format::Txt => formats::render_text(self),
            Format::Srt => subtitles::render_srt(self.segments()),
            Format::Vtt => subtitles::render_vtt(self.segments(), &self.key),
            Format::Json => formats::render_json(self),
        }
    }
}
