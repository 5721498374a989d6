//! `kind = "openai"`: any server of OpenAI's shape.

use std::path::PathBuf;

use toml::Spanned;

use super::{Abilities, From, Notes, Speaks, is_insecure, key_cure};
use crate::config::{
    diagnostic::{Mistake, Mistakes},
    reader::Table,
    secret_file::beside,
    settings::Analysis,
    values,
};

/// The keys of its table that mean something for it, besides those of every kind.
pub(super) const KEYS: &[&str] =
    &["base_url", "insecure", "api_key_file", "model", "notes_model", "context", "request_timeout", "instruction"];

/// What a server of OpenAI's shape is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Openai {
    /// What stands before `/v1` in the address of every call.
    pub base_url: url::Url,
    /// Where the key lies, for a server that asks for one; read at each start of work, so that it may be changed.
    pub api_key_file: Option<PathBuf>,
    /// The model that transcribes.
    pub model: String,
    /// The model that writes notes; without one minuted extracts them.
    pub notes_model: Option<String>,
    /// Tokens that the model of the notes takes at once, its answer included.
    pub context: u32,
}

impl Speaks for Openai {
    fn word(&self) -> &'static str {
        "openai"
    }

    fn abilities(&self) -> Abilities {
        let writes = self.notes_model.is_some();
        Abilities {
            needs_attendees: false,
            follows_instruction: writes,
            notes: if writes { Notes::WhenAsked } else { Notes::Extracted },
            analyses: if writes {
                &[Analysis::MeetingNote, Analysis::KeyPoints, Analysis::Transcription]
            } else {
                &[Analysis::MeetingNote, Analysis::Transcription]
            },
            signs_in: false,
            transcribes_at_once: true,
            // One graphics card, most often; two at once take as long together.
            at_once: Some(1),
            speakers: false,
            progress: false,
            cancels: false,
            deletes: false,
        }
    }

    fn place(&self) -> String {
        self.base_url.to_string()
    }

    fn instruction_cure(&self) -> &'static str {
        "add notes_model = \"…\" to the service, or remove it"
    }

    fn sign_in_cure(&self, name: &str) -> String {
        match &self.api_key_file {
            Some(file) => key_cure(file),
            None => {
                format!("name the file with the server's key, api_key_file = \"…\" in [services.{name}], then reload")
            }
        }
    }
}

/// The window of the model that writes notes, in tokens: what the smallest models of today have, and hosts give.
const CONTEXT: u32 = 8192;

pub(super) fn read(table: &Table<'_>, from: From<'_>, mistakes: &Mistakes) -> Option<Openai> {
    table.require("base_url", "write base_url = \"https://api.openai.com\", or where your own server is");
    let insecure = is_insecure(table);
    let base_url = table.text("base_url", |text| values::base(text, insecure)).map(Spanned::into_inner);
    let api_key_file = table.text("api_key_file", values::file);
    let model = table.text("model", values::line).map(Spanned::into_inner);
    let notes_model = table.text("notes_model", values::line).map(Spanned::into_inner);
    let context = table.number("context", 1024..=2_000_000).map(Spanned::into_inner);
    for key in ["instruction", "context"] {
        if let Some(span) = table.key_span(key).filter(|_| !table.means("notes_model")) {
            let help = "add notes_model = \"…\", the model that writes the notes, or remove it";
            mistakes.add(Mistake::at(span, format!("`{key}` without `notes_model`"), help));
        }
    }
    Some(Openai {
        base_url: base_url?,
        api_key_file: api_key_file.map(|path| beside(path.into_inner(), from.file, from.env)),
        model: model.unwrap_or_else(|| "whisper-1".to_owned()),
        notes_model,
        context: context.unwrap_or(CONTEXT),
    })
}
