//! The transcripts that a source gives: a service that nobody configures.

use std::time::Duration;

use super::{Abilities, Kind, Notes};
use crate::config::{
    Source,
    settings::{Analysis, Poll, Service},
};

/// minuted makes the note; nothing else can be asked for.
pub(super) const ABILITIES: Abilities = Abilities {
    needs_attendees: false,
    follows_instruction: false,
    notes: Notes::Extracted,
    analyses: &[Analysis::Transcription, Analysis::MeetingNote],
    signs_in: false,
    transcribes_at_once: true,
    deletes: false,
    // It only reads a file: two at once are enough, and hold up nobody.
    at_once: Some(2),
};

/// The transcript is there before its job is.
const POLL: Poll = Poll {
    first: Duration::from_millis(10),
    every: Duration::from_secs(5),
    timeout: Duration::from_secs(300),
    patience: Duration::from_secs(86_400),
};

impl Service {
    /// Returns the service that makes notes of the transcripts that this source gives. It has the source's name.
    #[must_use]
    pub fn given(source: &Source) -> Self {
        Self {
            name: source.name.clone(),
            kind: Kind::Given,
            analyses: ABILITIES.analyses.to_vec(),
            instruction: None,
            poll: POLL,
            // Nothing is called.
            request_timeout: Duration::from_secs(30),
            at_once: ABILITIES.at_once,
        }
    }
}
