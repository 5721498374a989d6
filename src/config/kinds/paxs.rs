//! `kind = "paxs"`: the PAXS cloud service.

use url::Url;

use super::abilities::{Abilities, Notes, ServiceProfile, SpeakersKey};
use crate::{
    config::{analysis::Analysis, table_keys::table_keys, values},
    text::ShellCommand,
};

/// The words for PAXS's kinds of meeting.
const MEETING_TYPES: &[(&str, MeetingType)] = &[
    ("group", MeetingType::Group),
    ("team", MeetingType::Team),
    ("department", MeetingType::Department),
    ("cross_functional", MeetingType::CrossFunctional),
    ("organization", MeetingType::Organization),
    ("company", MeetingType::Company),
];

/// PAXS's kinds of meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeetingType {
    /// The default.
    Group,
    /// A team's meeting.
    Team,
    /// A department's.
    Department,
    /// Of several departments.
    CrossFunctional,
    /// Of the whole organisation.
    Organization,
    /// Of the whole company.
    Company,
}

table_keys! {
    /// Settings of PAXS.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Paxs from PaxsKeys {
        /// The origin of every call, without a trailing slash; tokens are bound to it.
        base_url: Url = read_url(values::parse_origin),
            default Url::parse("https://dzd.paxs.ai").expect("a constant URL");
        + insecure: bool = read_flag();
        /// The service's word for the kind of meeting.
        meeting_type: MeetingType = read_word(MEETING_TYPES), default MeetingType::Group;
    }
}

impl ServiceProfile for Paxs {
    fn config_word(&self) -> &'static str {
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
            speakers_key: SpeakersKey::Ignored,
            progress: false,
            cancels: false,
            deletes: false,
        }
    }

    fn place(&self) -> String {
        self.base_url.to_string()
    }

    fn sign_in_cure(&self, name: &str) -> String {
        ShellCommand::new("minuted login").add_word(name).into()
    }
}
