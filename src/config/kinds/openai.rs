//! `kind = "openai"`: any server of OpenAI's shape.

use std::path::PathBuf;

use url::Url;

use super::abilities::{Abilities, ENGLISH_MODEL, Notes, ServiceProfile, SpeakersKey, key_cure};
use crate::config::{
    analysis::Analysis,
    reader::{Table, TableKeys as _},
    table_keys::table_keys,
    values,
};

table_keys! {
    /// Settings of a server of OpenAI's shape.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Openai from OpenaiKeys {
        /// The part of every call's address before `/v1`.
        base_url: Url = read_url(values::parse_base_url),
            required "write base_url = \"https://api.openai.com\", or where your own server is";
        + insecure: bool = read_flag();
        /// File with the key, for a server that asks for one; read at each start of work, so that
        /// it may be changed.
        api_key_file: PathBuf = read_file();
        /// The model that transcribes.
        model: String = read_text(values::parse_line), default "whisper-1".to_owned();
        /// The model that writes notes; without one minuted extracts them.
        notes_model: String = read_text(values::parse_line);
        /// Tokens that the model of the notes takes at once, its answer included. By default what
        /// the smallest models of today have, and hosts give.
        context: u32 = read_number(1024..=2_000_000), default 8192;
    } and {
        /// Recordings are sent there. False where it only writes the notes of other services: then
        /// its model that transcribes need not exist.
        transcribes: bool,
    }
}

impl ServiceProfile for Openai {
    fn config_word(&self) -> &'static str {
        "openai"
    }

    fn abilities(&self) -> Abilities {
        let abilities = Abilities {
            needs_attendees: false,
            follows_instruction: false,
            notes: Notes::Extracted,
            analyses: &[Analysis::MeetingNote, Analysis::Transcription],
            signs_in: false,
            transcribes_at_once: true,
            // One graphics card, most often; two at once take as long together.
            at_once: Some(1),
            speakers: false,
            speakers_key: SpeakersKey::Ignored,
            progress: false,
            cancels: false,
            deletes: false,
        };
        if self.notes_model.is_some() { abilities.with_chat_notes() } else { abilities }
    }

    fn place(&self) -> String {
        self.base_url.to_string()
    }

    fn models(&self) -> Vec<String> {
        std::iter::once(&self.model).chain(&self.notes_model).cloned().collect()
    }

    fn is_english_only(&self) -> bool {
        self.model.ends_with(ENGLISH_MODEL)
    }

    fn language_cure(&self) -> &'static str {
        "write a `model` in its table that knows it: `.en` is English alone"
    }

    fn instruction_cure(&self) -> &'static str {
        "add notes_model = \"…\" to the service, or remove it"
    }

    fn sign_in_cure(&self, name: &str) -> String {
        match &self.api_key_file {
            Some(file) => key_cure(file),
            None => {
                format!(
                    "name the file with the server's key, api_key_file = \"…\" in [services.{name}], then reload"
                )
            }
        }
    }
}

/// Reads the keys of a server of OpenAI's shape.
pub(super) fn read_openai(table: &Table<'_>) -> Option<Openai> {
    let is_written_elsewhere = table.is_present("notes");
    for key in ["instruction", "context"] {
        let follows =
            table.is_present("notes_model") || (key == "instruction" && is_written_elsewhere);
        if let Some(span) = table.key_span(key).filter(|_| !follows) {
            let help = "add notes_model = \"…\", the model that writes the notes, or remove it";
            table.diagnostics().add_at(span, format!("`{key}` without `notes_model`"), help);
        }
    }
    OpenaiKeys::from_table(table).into_settings(true)
}
