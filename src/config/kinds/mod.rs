//! The kinds of service, one file a kind: its keys and its abilities.

mod abilities;
mod koldan;
mod ondevice;
mod openai;
mod paxs;
mod saled;
mod source_transcript;

#[cfg(test)]
pub(super) use self::saled::SummaryFormat;
use self::{
    abilities::ServiceProfile, koldan::KoldanKeys, ondevice::OndeviceKeys, openai::OpenaiKeys,
    paxs::PaxsKeys, saled::SaledKeys,
};
pub(crate) use self::{
    abilities::{Abilities, Notes, SpeakersKey},
    koldan::{ApiKey, Koldan},
    ondevice::{Ondevice, Recogniser, WhisperModel},
    openai::Openai,
    paxs::{MeetingType, Paxs},
    saled::{Saled, Summary},
};
use super::{
    diagnostic::ValueError,
    folder::Folder,
    reader::{Table, TableKeys as _},
    words::{in_backticks, join_alternatives, suggest_word},
};

/// The protocol of a service, with the settings that it alone has.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// The PAXS cloud service.
    Paxs(Paxs),
    /// A SaLED on one's own machine.
    Saled(Saled),
    /// A server of OpenAI's shape.
    Openai(Openai),
    /// Koldan of Dixilang.
    Koldan(Koldan),
    /// minuted's own engine, on this machine.
    Ondevice(Ondevice),
    /// The transcripts that a source gives. No config names it: it is made for each source.
    SourceTranscript,
}

/// A kind, as the config names it.
pub(super) struct NamedKind {
    word: &'static str,
    /// The keys that mean something for it, besides those of every kind.
    pub(super) keys: &'static [&'static str],
    /// The keys of every kind that mean nothing for it.
    without: &'static [&'static str],
    read: fn(&Table<'_>) -> Option<Kind>,
}

/// Every kind that a config may name.
pub(super) static KINDS: [NamedKind; 5] = [
    NamedKind {
        word: "paxs",
        keys: PaxsKeys::KNOWN,
        without: &["notes", "notes_else"],
        read: |table| PaxsKeys::from_table(table).into_settings().map(Kind::Paxs),
    },
    NamedKind {
        word: "saled",
        keys: SaledKeys::KNOWN,
        without: &[],
        read: |table| saled::read_saled(table).map(Kind::Saled),
    },
    NamedKind {
        word: "openai",
        keys: OpenaiKeys::KNOWN,
        without: &[],
        read: |table| openai::read_openai(table).map(Kind::Openai),
    },
    NamedKind {
        word: "koldan",
        keys: KoldanKeys::KNOWN,
        without: &["instruction", "notes", "notes_else"],
        read: |table| koldan::read_koldan(table).map(Kind::Koldan),
    },
    NamedKind {
        word: "ondevice",
        keys: OndeviceKeys::KNOWN,
        without: &["instruction", "request_timeout"],
        read: |table| ondevice::read_ondevice(table).map(Kind::Ondevice),
    },
];

impl NamedKind {
    /// Reads the keys of a service of this kind, and refuses those that mean something for another
    /// kind alone.
    pub(super) fn read(&self, table: &Table<'_>) -> Option<Kind> {
        let foreign =
            KINDS.iter().flat_map(|named| named.keys).filter(|key| !self.keys.contains(key));
        let is_written_elsewhere = table.is_present("notes") && !self.without.contains(&"notes");
        for key in foreign
            .chain(self.without)
            .filter(|key| !(is_written_elsewhere && **key == "instruction"))
        {
            if let Some(span) = table.key_span(key) {
                let what = format!("a service of kind `{}` has no `{key}`", self.word);
                table.diagnostics().add_at(span, what, "remove it");
            }
        }
        (self.read)(table)
    }
}

impl Kind {
    /// Returns the engine as it is without a table of its own.
    pub(super) fn on_this_machine() -> Self {
        let ondevice = OndeviceKeys::default().into_settings(Recogniser::Auto { model: None });
        Self::Ondevice(ondevice.expect("no key is required"))
    }

    /// Returns its properties.
    fn profile(&self) -> &dyn ServiceProfile {
        match self {
            Self::Paxs(paxs) => paxs,
            Self::Saled(saled) => saled,
            Self::Openai(openai) => openai,
            Self::Koldan(koldan) => koldan,
            Self::Ondevice(ondevice) => ondevice,
            Self::SourceTranscript => &source_transcript::SourceTranscriptProfile,
        }
    }

    /// Returns its word in the config.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.profile().config_word()
    }

    /// Returns its abilities.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        self.profile().abilities()
    }

    /// Returns whether it understands English alone.
    #[must_use]
    pub fn is_english_only(&self) -> bool {
        self.profile().is_english_only()
    }

    /// Returns the cure for a folder in another language where [`Self::is_english_only`].
    pub(super) fn language_cure(&self) -> &'static str {
        self.profile().language_cure()
    }

    /// Returns the cure for an instruction that this service cannot follow.
    pub(super) fn instruction_cure(&self) -> &'static str {
        self.profile().instruction_cure()
    }

    /// Returns PAXS's word for the kind of meeting; where nobody asks for one, the default.
    #[must_use]
    pub fn meeting_type(&self) -> MeetingType {
        if let Self::Paxs(paxs) = self { paxs.meeting_type } else { MeetingType::Group }
    }

    /// Returns its models, for a person; none where the service chooses them.
    #[must_use]
    pub fn models(&self) -> Vec<String> {
        self.profile().models()
    }

    /// Returns its location, for a person.
    #[must_use]
    pub fn place(&self) -> String {
        self.profile().place()
    }

    /// Returns the cure for a refused sign-in or key of the service called `name`.
    #[must_use]
    pub fn sign_in_cure(&self, name: &str) -> String {
        self.profile().sign_in_cure(name)
    }

    /// Returns the cure for a refused request of a folder.
    #[must_use]
    pub fn folder_cure(&self) -> &'static str {
        self.profile().folder_cure()
    }

    /// Returns the cure for a service that does not answer.
    #[must_use]
    pub fn absence_cure(&self) -> &'static str {
        self.profile().absence_cure()
    }

    /// Notes that no recording is ever sent to this service.
    pub(super) fn refuse_recordings(&mut self) {
        if let Self::Openai(openai) = self {
            openai.transcribes = false;
        }
    }

    /// Adds the settings of a folder of this service.
    pub(super) fn add_folder(&mut self, folder: &Folder) {
        if let Self::Koldan(koldan) = self {
            koldan.add_folder(folder);
        }
    }
}

/// Returns the kind of that word.
pub(super) fn parse_kind(text: &str) -> Result<&'static NamedKind, ValueError> {
    if let Some(named) = KINDS.iter().find(|named| named.word == text) {
        return Ok(named);
    }
    let words = KINDS.iter().map(|named| named.word);
    let help = suggest_word(text, words.clone(), || {
        format!("write kind = {}", join_alternatives(words).replace('`', "\""))
    });
    Err(ValueError::new(format!("unknown kind {}", in_backticks(text)), help))
}
