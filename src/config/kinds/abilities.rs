//! What each kind of service says of itself.

use std::path::Path;

use crate::config::analysis::Analysis;

/// What a kind of service can do; what it cannot is refused when the config is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "abilities that have nothing to do with each other, not one state")]
pub struct Abilities {
    /// Makes no meeting without attendees.
    pub needs_attendees: bool,
    /// Writes the note by an instruction.
    pub follows_instruction: bool,
    /// Where a meeting note comes from.
    pub notes: Notes,
    /// What it can be asked for, or minuted makes of its transcription.
    pub analyses: &'static [Analysis],
    /// A person signs in (`minuted login`).
    pub signs_in: bool,
    /// The upload is the work: the transcription is there when it ends.
    pub transcribes_at_once: bool,
    /// Recordings that it should have at once by default; `None` shares the slots of all.
    pub at_once: Option<usize>,
    /// Tells the speakers of a transcription apart.
    pub speakers: bool,
    /// Tells how far it is with a transcription.
    pub progress: bool,
    /// Ends what it works on, when its job is given up.
    pub cancels: bool,
    /// Deletes what it keeps of a recording, when it is asked to.
    pub deletes: bool,
}

/// Where a meeting note comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notes {
    /// The service begins it by itself after an upload.
    WithUpload,
    /// The service writes it when it is asked to.
    WhenAsked,
    /// minuted extracts it from the transcription.
    Extracted,
}

/// What a kind of service says of itself; most have little to say.
pub(super) trait ServiceProfile {
    /// Its word in the config.
    fn config_word(&self) -> &'static str;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// Where it is, for a person.
    fn place(&self) -> String;

    /// Whether it understands English alone.
    fn is_english_only(&self) -> bool {
        false
    }

    /// What a person does where a folder has another language.
    fn language_cure(&self) -> &'static str {
        "choose another service"
    }

    /// What a person does where a folder has an instruction and this service follows none.
    fn instruction_cure(&self) -> &'static str {
        "remove it, or choose a service that does"
    }

    /// What a person does where it refuses whoever asks.
    fn sign_in_cure(&self, name: &str) -> String {
        format!("check base_url in [services.{name}]: nobody signs in there")
    }

    /// What a person does where it refuses what a folder asks of it.
    fn folder_cure(&self) -> &'static str {
        "check its attendees and the service's base_url, then reload (systemctl reload minuted)"
    }

    /// What a person does where it does not answer.
    fn absence_cure(&self) -> &'static str {
        "check base_url, the network and the service"
    }
}

/// What a person does about a key that a service does not take.
pub(super) fn key_cure(file: &Path) -> String {
    let file = crate::text::printable_path(file);
    format!("put a key that the server takes into `{file}`; it is read again by itself")
}
