//! The transcripts of a source: a service without a table of its own.

use super::abilities::{Abilities, Notes, ServiceProfile, SpeakersKey};
use crate::config::analysis::Analysis;

/// The service that makes notes of a source's transcripts, and gives nothing else.
pub(super) struct SourceTranscriptProfile;

impl ServiceProfile for SourceTranscriptProfile {
    fn config_word(&self) -> &'static str {
        "source transcript"
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
            speakers_key: SpeakersKey::Ignored,
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
