//! `kind = "paxs"`: the PAXS cloud service.

use toml::Spanned;
use url::Url;

use super::{Abilities, Notes, Speaks, is_insecure};
use crate::{
    config::{
        reader::Table,
        settings::{Analysis, MeetingType},
        values,
    },
    text::ShellCommand,
};

/// The keys of its table that mean something for it, besides those of every kind.
pub(super) const KEYS: &[&str] = &["base_url", "insecure", "meeting_type", "request_timeout", "instruction"];

/// The words for PAXS's kinds of meeting.
const MEETING_TYPES: &[(&str, MeetingType)] = &[
    ("group", MeetingType::Group),
    ("team", MeetingType::Team),
    ("department", MeetingType::Department),
    ("cross_functional", MeetingType::CrossFunctional),
    ("organization", MeetingType::Organization),
    ("company", MeetingType::Company),
];

/// What PAXS is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Paxs {
    /// The origin of every call, without a trailing slash; tokens are bound to it.
    pub base_url: url::Url,
    /// The service's word for the kind of meeting.
    pub meeting_type: MeetingType,
}

impl Speaks for Paxs {
    fn word(&self) -> &'static str {
        "paxs"
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            needs_attendees: true,
            follows_instruction: true,
            notes: Notes::WithUpload,
            analyses: &Analysis::ALL,
            signs_in: true,
            transcribes_at_once: false,
            at_once: None,
            speakers: true,
            progress: false,
            cancels: false,
            deletes: false,
        }
    }

    fn place(&self) -> String {
        self.base_url.to_string()
    }

    fn sign_in_cure(&self, name: &str) -> String {
        ShellCommand::new("minuted login").word(name).into()
    }
}

pub(super) fn read(table: &Table<'_>) -> Paxs {
    let insecure = is_insecure(table);
    let base_url = table.text("base_url", |text| values::origin(text, insecure)).map(Spanned::into_inner);
    let meeting_type = table.word("meeting_type", MEETING_TYPES).map(Spanned::into_inner);
    Paxs {
        base_url: base_url.unwrap_or_else(|| Url::parse("https://dzd.paxs.ai").expect("a constant URL")),
        meeting_type: meeting_type.unwrap_or(MeetingType::Group),
    }
}
