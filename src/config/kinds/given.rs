//! The transcripts that a source gives: a service that nobody configures.

use std::time::Duration;

use super::{Abilities, Kind, Notes, Speaks};
use crate::config::settings::{Analysis, Poll, Service};

/// What a source gives, minuted makes the note of; nothing else can be asked for.
pub(super) struct Transcripts;

impl Speaks for Transcripts {
    fn word(&self) -> &'static str {
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

/// The transcript is there before its job is.
const POLL: Poll = Poll {
    first: Duration::from_millis(10),
    every: Duration::from_secs(5),
    timeout: Duration::from_secs(300),
    patience: Duration::from_secs(86_400),
};

impl Service {
    /// Returns the service that makes notes from the transcripts of the source `name`. It has the source's name.
    #[must_use]
    pub fn given(name: &str) -> Self {
        let abilities = Kind::Given.abilities();
        Self {
            name: name.to_owned(),
            kind: Kind::Given,
            analyses: abilities.analyses.to_vec(),
            instruction: None,
            poll: POLL,
            // Nothing is called.
            request_timeout: Duration::from_secs(30),
            at_once: abilities.at_once,
        }
    }
}
