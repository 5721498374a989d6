//! `kind = "ondevice"`: minuted's own engine.

use std::{num::NonZeroU32, path::PathBuf};

use toml::Spanned;

use super::abilities::{Abilities, Notes, ServiceProfile};
use crate::config::{
    analysis::Analysis,
    reader::{Table, TableKeys as _},
    table_keys::table_keys,
    values,
};

/// The words of `engine`.
const ENGINES: &[(&str, Engine)] = &[("moonshine", Engine::Moonshine), ("whisper", Engine::Whisper)];

/// `engine` without the file that `model` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Engine {
    /// `moonshine`
    Moonshine,
    /// `whisper`
    Whisper,
}

table_keys! {
    /// Settings of the engine.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Ondevice from OndeviceKeys {
        + engine: Engine = read_word(ENGINES);
        + model: PathBuf = read_text(values::parse_absolute_path);
        /// Threads of one transcription. One is best on a small machine: threads that wait for each
        /// other spin.
        threads: NonZeroU32 = read_number(1..=64), default NonZeroU32::MIN;
    } and {
        /// The recogniser of speech.
        recogniser: Recogniser,
    }
}

/// A recogniser of speech on this machine.
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
    /// This build has whisper: the Cargo feature of that name.
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

impl ServiceProfile for Ondevice {
    fn config_word(&self) -> &'static str {
        "ondevice"
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            needs_attendees: false,
            follows_instruction: false,
            notes: Notes::Extracted,
            analyses: &[Analysis::MeetingNote, Analysis::Transcription],
            signs_in: false,
            transcribes_at_once: true,
            // The processor is one; two at once take as long together.
            at_once: Some(1),
            speakers: false,
            progress: true,
            cancels: false,
            deletes: false,
        }
    }

    fn place(&self) -> String {
        "on this machine".to_owned()
    }

    fn is_english_only(&self) -> bool {
        self.recogniser == Recogniser::Moonshine
    }

    fn language_cure(&self) -> &'static str {
        "write engine = \"whisper\" and a `model` in its table, or choose another service"
    }

    fn absence_cure(&self) -> &'static str {
        "minuted engine install"
    }
}

/// Reads the keys of the engine on this machine.
pub(super) fn read_ondevice(table: &Table<'_>) -> Option<Ondevice> {
    let mut keys = OndeviceKeys::from_table(table);
    let engine = keys.engine.take().map(Spanned::into_inner);
    let recogniser = if engine == Some(Engine::Whisper) {
        read_whisper(table, keys.model.take().map(Spanned::into_inner))?
    } else {
        refuse_model(table, engine.is_some());
        Recogniser::Moonshine
    };
    keys.into_settings(recogniser)
}

fn read_whisper(table: &Table<'_>, model: Option<PathBuf>) -> Option<Recogniser> {
    let span = table.key_span("engine")?;
    if !Recogniser::HAS_WHISPER {
        let help = "build it with cargo build --release --features whisper";
        table.diagnostics().add_at(span, "this build has no whisper", help);
        return None;
    }
    if !table.is_present("model") {
        let help = "write model = \"/…/ggml-base.bin\": a model of whisper.cpp, which minuted does not fetch";
        table.diagnostics().add_at(span, "`engine = \"whisper\"` without `model`", help);
    }
    Some(Recogniser::Whisper { model: model? })
}

/// Refuses a `model` that nothing would load. An `engine` with a mistake of its own may have meant
/// whisper.
fn refuse_model(table: &Table<'_>, is_moonshine: bool) {
    if let Some(span) = table.key_span("model").filter(|_| is_moonshine || !table.is_present("engine")) {
        let help = "add engine = \"whisper\", or remove `model`: moonshine has its own (minuted engine install)";
        table.diagnostics().add_at(span, "`model` without `engine = \"whisper\"`", help);
    }
}
