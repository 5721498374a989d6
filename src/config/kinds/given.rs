//! The transcripts that a source gives: a service that nobody configures.

use super::abilities::{Abilities, Notes, ServiceProfile};
use crate::config::analysis::Analysis;

/// What a source gives, minuted makes the note of; nothing else can be asked for.
pub(super) struct SourceTranscripts;

impl ServiceProfile for SourceTranscripts {
    fn config_word(&self) -> &'static str {
        "given"
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            needs_attendees: false,
            follows_instruction: false,
            notes: Notes::Extracted,
            analyses: &[Analysis::Transcription, Analysis::MeetingNote],
            signs_in: false,
            transcribes_at_once: true,
            speakers: true,
            progress: false,
            cancels: false,
            deletes: false,
            // It only reads a file: two at once are enough, and hold up nobody.
            at_once: Some(2),
        }
    }

    fn place(&self) -> String {
        "a source's transcripts".to_owned()
    }
}
