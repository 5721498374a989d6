//! `kind = "ondevice"`: minuted's own engine.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use toml::Spanned;

use super::abilities::{Abilities, Notes, ServiceProfile, SpeakersKey};
use crate::{
    config::{
        analysis::Analysis,
        diagnostic::ValueError,
        reader::{Table, TableKeys as _},
        table_keys::table_keys,
        values,
    },
    text::printable_path,
};

/// The words of `engine`.
const ENGINES: &[(&str, Engine)] =
    &[("auto", Engine::Auto), ("moonshine", Engine::Moonshine), ("whisper", Engine::Whisper)];

/// `engine` without the file that `model` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Engine {
    /// `auto`
    Auto,
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
        + model: WhisperModel = read_text(parse_whisper_model);
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
    /// Moonshine for English; whisper for another language, where this build has it and a model is installed.
    Auto {
        /// The model of whisper; `None` takes the largest installed one of many languages.
        model: Option<WhisperModel>,
    },
    /// The model of `minuted engine install`; English alone.
    Moonshine,
    /// whisper.cpp, where this build has it: other languages too.
    Whisper {
        /// The model; `None` takes the largest installed one of many languages.
        model: Option<WhisperModel>,
    },
}

/// A model of whisper, as the config names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhisperModel {
    /// The name of an installed model, such as `base`.
    Installed(String),
    /// A ggml file. Absolute.
    File(PathBuf),
}

/// Reads the name of an installed model or the path of a ggml file.
fn parse_whisper_model(text: &str) -> Result<WhisperModel, ValueError> {
    /// Characters of a name at most.
    const NAME_MAX: usize = 64;
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    let is_name = !text.is_empty() && text.len() <= NAME_MAX && text.chars().all(is_fit);
    // A file of this directory was meant, which is another one for each process.
    let is_file =
        Path::new(text).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("bin"))
            || text.starts_with('.');
    if is_name && !is_file {
        return Ok(WhisperModel::Installed(text.to_owned()));
    }
    values::parse_absolute_path(text).map(WhisperModel::File)
}

impl Recogniser {
    /// This build has whisper: the Cargo feature of that name.
    pub const HAS_WHISPER: bool = cfg!(feature = "whisper");

    /// Returns its word in the config.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Auto { .. } => "auto",
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
            speakers: true,
            speakers_key: SpeakersKey::Count,
            progress: true,
            cancels: false,
            deletes: false,
        }
    }

    fn place(&self) -> String {
        "on this machine".to_owned()
    }

    fn models(&self) -> Vec<String> {
        let whisper = |model: &Option<WhisperModel>| match model {
            Some(WhisperModel::Installed(name)) => format!("whisper {name}"),
            Some(WhisperModel::File(path)) => {
                let name = path.file_name().unwrap_or_default();
                format!("whisper {}", printable_path(Path::new(name)))
            }
            None => "whisper".to_owned(),
        };
        match &self.recogniser {
            Recogniser::Whisper { model } => vec![whisper(model)],
            Recogniser::Auto { model } if Recogniser::HAS_WHISPER => {
                vec!["moonshine".to_owned(), whisper(model)]
            }
            Recogniser::Auto { .. } | Recogniser::Moonshine => vec!["moonshine".to_owned()],
        }
    }

    fn is_english_only(&self) -> bool {
        match self.recogniser {
            Recogniser::Auto { .. } => !Recogniser::HAS_WHISPER,
            Recogniser::Moonshine => true,
            Recogniser::Whisper { .. } => false,
        }
    }

    fn language_cure(&self) -> &'static str {
        if Recogniser::HAS_WHISPER {
            "write engine = \"auto\" in its table, or choose another service"
        } else {
            "choose another service, or build minuted with cargo build --release --features whisper"
        }
    }

    fn absence_cure(&self) -> &'static str {
        "minuted engine install"
    }
}

/// Reads the keys of the engine on this machine.
pub(super) fn read_ondevice(table: &Table<'_>) -> Option<Ondevice> {
    let mut keys = OndeviceKeys::from_table(table);
    // An `engine` with a mistake of its own may have meant any.
    let engine = keys.engine.take().map_or(Engine::Auto, Spanned::into_inner);
    let model = keys.model.take().map(Spanned::into_inner);
    let needs_whisper = match engine {
        Engine::Auto => table.key_span("model").filter(|_| model.is_some()),
        Engine::Moonshine => {
            refuse_model(table);
            None
        }
        Engine::Whisper => table.key_span("engine"),
    };
    if let Some(span) = needs_whisper.filter(|_| !Recogniser::HAS_WHISPER) {
        let help = "build it with cargo build --release --features whisper";
        table.diagnostics().add_at(span, "this build has no whisper", help);
        return None;
    }
    keys.into_settings(match engine {
        Engine::Auto => Recogniser::Auto { model },
        Engine::Moonshine => Recogniser::Moonshine,
        Engine::Whisper => Recogniser::Whisper { model },
    })
}

/// Refuses a `model` that nothing would load.
fn refuse_model(table: &Table<'_>) {
    if let Some(span) = table.key_span("model") {
        let help = "write engine = \"auto\", or remove `model`: moonshine has its own (minuted engine install)";
        table.diagnostics().add_at(span, "`model` with `engine = \"moonshine\"`", help);
    }
}
