//! The kinds of service: what each is told, and what each can do.

use std::{num::NonZeroU32, path::PathBuf};

use super::settings::{Analysis, MeetingType};

/// The protocol of a service, with the settings that it alone has.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The PAXS cloud service.
    Paxs(Paxs),
    /// A server of OpenAI's shape.
    Openai(Openai),
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

/// What the engine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ondevice {
    /// Threads of one transcription. One is best on a small machine: threads that wait for each other spin.
    pub threads: NonZeroU32,
    /// What turns sound into words.
    pub recogniser: Recogniser,
}

/// What turns sound into words on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recogniser {
    /// The model of `minuted engine install`; English alone.
    Moonshine,
    /// whisper.cpp, where this build has it: other languages too.
    Whisper {
        /// The ggml file. Absolute.
        model: PathBuf,
    },
}

impl Recogniser {
    /// Whether this build has whisper: the Cargo feature of that name.
    pub const HAS_WHISPER: bool = cfg!(feature = "whisper");

    /// Returns its word in the config.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Moonshine => "moonshine",
            Self::Whisper { .. } => "whisper",
        }
    }
}

/// What a kind of service can do; what it cannot is refused when the config is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Recordings that it should have at once by default; `None` shares the slots of all.
    pub at_once: Option<usize>,
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

impl Kind {
    /// Returns its word in the config.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Paxs(_) => "paxs",
            Self::Openai(_) => "openai",
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
                notes: Notes::WithUpload,
                analyses: &Analysis::ALL,
                signs_in: true,
                at_once: None,
            },
            Self::Openai(openai) => Abilities {
                needs_attendees: false,
                follows_instruction: openai.notes_model.is_some(),
                notes: if openai.notes_model.is_some() { Notes::WhenAsked } else { Notes::Extracted },
                analyses: match openai.notes_model {
                    Some(_) => &[Analysis::MeetingNote, Analysis::KeyPoints, Analysis::Transcription],
                    None => &[Analysis::MeetingNote, Analysis::Transcription],
                },
                signs_in: false,
                // One graphics card, most often; two at once take as long together.
                at_once: Some(1),
            },
            Self::Ondevice(_) => Abilities {
                needs_attendees: false,
                follows_instruction: false,
                notes: Notes::Extracted,
                analyses: &[Analysis::MeetingNote, Analysis::Transcription],
                signs_in: false,
                // The processor is one; two at once take as long together.
                at_once: Some(1),
            },
        }
    }

    /// Returns whether it understands English alone.
    #[must_use]
    pub fn is_english_only(&self) -> bool {
        match self {
            Self::Paxs(_) | Self::Openai(_) => false,
            Self::Ondevice(ondevice) => ondevice.recogniser == Recogniser::Moonshine,
        }
    }

    /// Returns PAXS's word for the kind of meeting; where nobody asks for one, the default.
    #[must_use]
    pub fn meeting_type(&self) -> MeetingType {
        match self {
            Self::Paxs(paxs) => paxs.meeting_type,
            Self::Openai(_) | Self::Ondevice(_) => MeetingType::Group,
        }
    }

    /// Returns where it is, for a person.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Paxs(paxs) => paxs.base_url.to_string(),
            Self::Openai(openai) => openai.base_url.to_string(),
            Self::Ondevice(_) => "on this machine".to_owned(),
        }
    }

    /// Returns what a person does when the service called `name` refuses whoever asks.
    #[must_use]
    pub fn sign_in_cure(&self, name: &str) -> String {
        match self {
            Self::Openai(Openai { api_key_file: Some(file), .. }) => {
                let file = crate::text::printable_path(file);
                format!("put a key that the server takes into `{file}`; it is read again by itself")
            }
            Self::Openai(_) => {
                format!("name the file with the server's key, api_key_file = \"…\" in [services.{name}], then reload")
            }
            Self::Paxs(_) | Self::Ondevice(_) => format!("minuted login {name}"),
        }
    }
}
