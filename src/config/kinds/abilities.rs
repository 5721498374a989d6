//! Properties of the kinds of service: abilities, and cures for messages.

use std::path::Path;

use crate::config::analysis::Analysis;

/// Abilities of a kind of service; keys that need others are refused when the config is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "abilities that have nothing to do with each other, not one state"
)]
pub struct Abilities {
    /// Makes no meeting without attendees.
    pub needs_attendees: bool,
    /// Writes the note by an instruction.
    pub follows_instruction: bool,
    /// Origin of a meeting note.
    pub notes: Notes,
    /// Analyses that it gives, or that minuted makes of its transcription.
    pub analyses: &'static [Analysis],
    /// A person signs in (`minuted login`).
    pub signs_in: bool,
    /// The upload is the work: the transcription is there when it ends.
    pub transcribes_at_once: bool,
    /// Recordings that it should have at once by default; `None` shares the slots of all.
    pub at_once: Option<usize>,
    /// Distinguishes the speakers of a transcription apart.
    pub speakers: bool,
    /// The part of the key `speakers` that it follows.
    pub speakers_key: SpeakersKey,
    /// Reports the progress of a transcription.
    pub progress: bool,
    /// Stops its work when the job is abandoned.
    pub cancels: bool,
    /// Deletes its copy of a recording on request.
    pub deletes: bool,
}

impl Abilities {
    /// Returns the abilities of a transcribing service whose notes a chat model writes.
    #[must_use]
    pub(in crate::config) fn with_chat_notes(self) -> Self {
        Self {
            follows_instruction: true,
            notes: Notes::WhenAsked,
            analyses: &[Analysis::MeetingNote, Analysis::KeyPoints, Analysis::Transcription],
            ..self
        }
    }
}

/// The part of the key `speakers` that a kind of service follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpeakersKey {
    /// Nothing.
    Ignored,
    /// `"off"`.
    Switch,
    /// `"off"` and a number.
    Count,
}

/// Origin of a meeting note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notes {
    /// The service begins it by itself after an upload.
    WithUpload,
    /// The service writes it when it is asked to.
    WhenAsked,
    /// minuted extracts it from the transcription.
    Extracted,
}

/// Properties of a kind of service; the defaults fit most.
pub(super) trait ServiceProfile {
    /// Returns its word in the config.
    fn config_word(&self) -> &'static str;

    /// Returns its abilities.
    fn abilities(&self) -> Abilities;

    /// Returns its location, for a person.
    fn place(&self) -> String;

    /// Returns its models, for a person; none where the service chooses them.
    fn models(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns whether it understands English alone.
    fn is_english_only(&self) -> bool {
        false
    }

    /// Returns the cure for a folder in another language.
    fn language_cure(&self) -> &'static str {
        "choose another service"
    }

    /// Returns the cure for an instruction that this service cannot follow.
    fn instruction_cure(&self) -> &'static str {
        "remove it, or choose a service that does"
    }

    /// Returns the cure for a refused sign-in or key.
    fn sign_in_cure(&self, name: &str) -> String {
        format!("check base_url in [services.{name}]: nobody signs in there")
    }

    /// Returns the cure for a refused request of a folder.
    fn folder_cure(&self) -> &'static str {
        "check its attendees and the service's base_url, then reload (systemctl reload minuted)"
    }

    /// Returns the cure for a service that does not answer.
    fn absence_cure(&self) -> &'static str {
        "check base_url, the network and the service"
    }
}

/// The ending of the names of whisper's models that know English alone.
pub(super) const ENGLISH_MODEL: &str = ".en";

/// Returns the cure for a key that a service refuses.
pub(super) fn key_cure(file: &Path) -> String {
    let file = crate::text::printable_path(file);
    format!("put a key that the server takes into `{file}`; the new key is used without a restart")
}
