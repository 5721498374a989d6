//! The kinds of service: what each is told, and what each can do. One file a kind.

mod given;
mod koldan;
mod ondevice;
mod openai;
mod paxs;
mod saled;

use std::{num::NonZeroU32, path::Path};

pub use self::{
    koldan::{ApiKey, Koldan},
    ondevice::{Ondevice, Recogniser},
    openai::Openai,
    paxs::Paxs,
    saled::{Saled, Summary, SummaryFormat},
};
use super::{
    diagnostic::{Flaw, Mistake, Mistakes},
    environment::Environment,
    folder::Folder,
    reader::Table,
    settings::{Analysis, MeetingType},
    words::{meant, one_of, quoted},
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
    Given,
}

/// A kind, as the config names it.
struct Named {
    word: &'static str,
    /// The keys that mean something for it, besides those of every kind.
    keys: &'static [&'static str],
    read: fn(&Table<'_>, From<'_>, &Mistakes) -> Option<Kind>,
}

const KINDS: [Named; 5] = [
    Named { word: "paxs", keys: paxs::KEYS, read: |table, _, _| Some(Kind::Paxs(paxs::read(table))) },
    Named {
        word: "saled",
        keys: saled::KEYS,
        read: |table, _, mistakes| Some(Kind::Saled(saled::read(table, mistakes))),
    },
    Named {
        word: "openai",
        keys: openai::KEYS,
        read: |table, from, mistakes| openai::read(table, from, mistakes).map(Kind::Openai),
    },
    Named {
        word: "koldan",
        keys: koldan::KEYS,
        read: |table, from, mistakes| koldan::read(table, from, mistakes).map(Kind::Koldan),
    },
    Named {
        word: "ondevice",
        keys: ondevice::KEYS,
        read: |table, _, mistakes| ondevice::read(table, mistakes).map(Kind::Ondevice),
    },
];

/// Where a table of the config comes from: what its relative paths start at.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    /// The config file.
    pub(super) file: &'a Path,
    /// The environment.
    pub(super) env: &'a Environment,
}

/// What a kind of service can do; what it cannot is refused when the config is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "abilities that have nothing to do with each other, not one state")]
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
    /// The upload is the work: the transcription is there when it ends.
    pub transcribes_at_once: bool,
    /// Recordings that it should have at once by default; `None` shares the slots of all.
    pub at_once: Option<usize>,
    /// Tells the speakers of a transcription apart.
    pub speakers: bool,
    /// Tells how far it is with a transcription.
    pub progress: bool,
    /// Ends what it works on, when its job is given up.
    pub cancels: bool,
    /// Deletes what it keeps of a recording, when it is asked to.
    pub deletes: bool,
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

/// What a kind of service says of itself; most have little to say.
pub(super) trait Speaks {
    /// Its word in the config.
    fn word(&self) -> &'static str;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// Where it is, for a person.
    fn place(&self) -> String;

    /// Whether it understands English alone.
    fn is_english_only(&self) -> bool {
        false
    }

    /// What a person does where a folder has another language.
    fn language_cure(&self) -> &'static str {
        "choose another service"
    }

    /// What a person does where a folder has an instruction and this service follows none.
    fn instruction_cure(&self) -> &'static str {
        "remove it, or choose a service that does"
    }

    /// What a person does where it refuses whoever asks.
    fn sign_in_cure(&self, name: &str) -> String {
        format!("check base_url in [services.{name}]: nobody signs in there")
    }

    /// What a person does where it refuses what a folder asks of it.
    fn folder_cure(&self) -> &'static str {
        "check its attendees and the service's base_url, then reload (systemctl reload minuted)"
    }

    /// What a person does where it does not answer.
    fn absence_cure(&self) -> &'static str {
        "check base_url, the network and the service"
    }
}

impl Kind {
    /// Reads the `kind` of a service's table, and the keys that belong to it.
    pub(super) fn read(table: &Table<'_>, from: From<'_>, mistakes: &Mistakes) -> Option<Self> {
        let help = "write kind = \"paxs\", \"saled\", \"koldan\" or \"openai\", or \"ondevice\" for the engine on this machine";
        table.require("kind", help);
        let named = table.text("kind", named)?.into_inner();
        refuse_foreign(named, table, mistakes);
        (named.read)(table, from, mistakes)
    }

    /// Returns the engine as it is without a table of its own.
    pub(super) fn on_this_machine() -> Self {
        Self::Ondevice(Ondevice { threads: NonZeroU32::MIN, recogniser: Recogniser::Moonshine })
    }

    /// Returns what it says of itself.
    fn told(&self) -> &dyn Speaks {
        match self {
            Self::Paxs(paxs) => paxs,
            Self::Saled(saled) => saled,
            Self::Openai(openai) => openai,
            Self::Koldan(koldan) => koldan,
            Self::Ondevice(ondevice) => ondevice,
            Self::Given => &given::Transcripts,
        }
    }

    /// Returns its word in the config.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.told().word()
    }

    /// Returns what it can do.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        self.told().abilities()
    }

    /// Returns whether it understands English alone.
    #[must_use]
    pub fn is_english_only(&self) -> bool {
        self.told().is_english_only()
    }

    /// Returns what a person does where a folder's language is not that of [`Self::is_english_only`].
    pub(super) fn language_cure(&self) -> &'static str {
        self.told().language_cure()
    }

    /// Returns what a person does where a folder has an instruction and this service follows none.
    pub(super) fn instruction_cure(&self) -> &'static str {
        self.told().instruction_cure()
    }

    /// Returns PAXS's word for the kind of meeting; where nobody asks for one, the default.
    #[must_use]
    pub fn meeting_type(&self) -> MeetingType {
        if let Self::Paxs(paxs) = self { paxs.meeting_type } else { MeetingType::Group }
    }

    /// Returns where it is, for a person.
    #[must_use]
    pub fn place(&self) -> String {
        self.told().place()
    }

    /// Returns what a person does when the service called `name` refuses whoever asks.
    #[must_use]
    pub fn sign_in_cure(&self, name: &str) -> String {
        self.told().sign_in_cure(name)
    }

    /// Returns what a person does where the service refuses what a folder asks of it.
    #[must_use]
    pub fn folder_cure(&self) -> &'static str {
        self.told().folder_cure()
    }

    /// Returns what a person does where it does not answer.
    #[must_use]
    pub fn absence_cure(&self) -> &'static str {
        self.told().absence_cure()
    }

    /// Takes in what a folder of this service asks of it.
    pub(super) fn serve(&mut self, folder: &Folder) {
        if let Self::Koldan(koldan) = self {
            koldan.serve(folder);
        }
    }
}

/// What a person does about a key that a service does not take.
fn key_cure(file: &Path) -> String {
    let file = crate::text::printable_path(file);
    format!("put a key that the server takes into `{file}`; it is read again by itself")
}

fn named(text: &str) -> Result<&'static Named, Flaw> {
    if let Some(named) = KINDS.iter().find(|named| named.word == text) {
        return Ok(named);
    }
    let words = || KINDS.iter().map(|named| named.word);
    let help = match meant(text, words()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("write kind = {}", one_of(words()).replace('`', "\"")),
    };
    Err(Flaw::new(format!("unknown kind {}", quoted(text)), help))
}

/// Refuses the keys that mean something for another kind alone.
fn refuse_foreign(kind: &Named, table: &Table<'_>, mistakes: &Mistakes) {
    let foreign = KINDS.iter().flat_map(|named| named.keys).filter(|key| !kind.keys.contains(key));
    let mut told = Vec::new();
    for key in foreign {
        if let Some(span) = table.key_span(key).filter(|_| !told.contains(key)) {
            told.push(key);
            let what = format!("a service of kind `{}` has no `{key}`", kind.word);
            mistakes.add(Mistake::at(span, what, "remove it"));
        }
    }
}

/// Whether recordings and secrets may go to another machine in the clear.
fn is_insecure(table: &Table<'_>) -> bool {
    table.flag("insecure").is_some_and(toml::Spanned::into_inner)
}
