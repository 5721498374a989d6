//! The kinds of service: what each is told, and what each can do.

use std::num::NonZeroU32;

use super::settings::{Analysis, MeetingType};

/// The protocol of a service, with the settings that it alone has.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The PAXS cloud service.
    Paxs(Paxs),
    /// minuted's own engine, on this machine.
    Ondevice(Ondevice),
}

/// What PAXS is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Paxs {
    /// The origin of every call, without a trailing slash; tokens are bound to it.
    pub base_url: url::Url,
    /// The service's word for the kind of meeting.
    pub meeting_type: MeetingType,
}

/// What the engine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ondevice {
    /// Threads of one transcription. One is best on a small machine: threads that wait for each other spin.
    pub threads: NonZeroU32,
}

/// What a kind of service can do; what it cannot is refused when the config is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Makes no meeting without attendees.
    pub needs_attendees: bool,
    /// Writes the note by an instruction.
    pub follows_instruction: bool,
    /// Writes a meeting note by itself; else minuted extracts one from the transcription.
    pub writes_notes: bool,
    /// What it can be asked for, or minuted makes of its transcription.
    pub analyses: &'static [Analysis],
    /// Recordings that it should have at once by default; `None` shares the slots of all.
    pub at_once: Option<usize>,
}

impl Kind {
    /// Returns its word in the config.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Paxs(_) => "paxs",
            Self::Ondevice(_) => "ondevice",
        }
    }

    /// Returns what it can do.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        match self {
            Self::Paxs(_) => Abilities {
                needs_attendees: true,
                follows_instruction: true,
                writes_notes: true,
                analyses: &Analysis::ALL,
                at_once: None,
            },
            Self::Ondevice(_) => Abilities {
                needs_attendees: false,
                follows_instruction: false,
                writes_notes: false,
                analyses: &[Analysis::MeetingNote, Analysis::Transcription],
                // The processor is one; two at once take as long together.
                at_once: Some(1),
            },
        }
    }

    /// Returns PAXS's word for the kind of meeting; where nobody asks for one, the default.
    #[must_use]
    pub fn meeting_type(&self) -> MeetingType {
        match self {
            Self::Paxs(paxs) => paxs.meeting_type,
            Self::Ondevice(_) => MeetingType::Group,
        }
    }

    /// Returns where it is, for a person.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Paxs(paxs) => paxs.base_url.to_string(),
            Self::Ondevice(_) => "on this machine".to_owned(),
        }
    }
}
