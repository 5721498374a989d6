//! `kind = "saled"`: SaLED, a server on one's own machine that transcribes and sums up.

use toml::Spanned;
use url::Url;

use super::abilities::{Abilities, ENGLISH_MODEL, Notes, ServiceProfile, SpeakersKey};
use crate::config::{
    analysis::Analysis,
    reader::{Table, TableKeys as _},
    table_keys::table_keys,
    values,
};

table_keys! {
    /// Settings of a SaLED.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Saled from SaledKeys {
        /// The part of every call's address before `/api`.
        base_url: Url = read_url(values::parse_url_before_api),
            default Url::parse("http://localhost:8000").expect("a constant URL");
        + insecure: bool = read_flag();
        /// The model that transcribes.
        model: String = read_text(values::parse_line), default "tiny.en".to_owned();
        /// Distinguishes speakers.
        diarize: bool = read_flag(), default true;
        /// Takes video, too.
        video: bool = read_flag(), default false;
        + summary_model: String = read_text(values::parse_line);
        + summary_format: SummaryFormat = read_word(FORMATS);
        + max_length: u32 = read_number(10..=100_000);
        /// The model that follows an instruction.
        chat_model: String = read_text(values::parse_line);
    } and {
        /// Settings of its summary; without them and without a model for the chat minuted extracts
        /// the notes.
        summary: Option<Summary>,
    }
}

/// Settings of a SaLED's summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The model.
    pub model: String,
    /// The form.
    pub format: SummaryFormat,
    /// The server's own limit of a summary's length, in its own unit.
    pub length_max: u32,
}

/// The form of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryFormat {
    /// A text.
    Paragraph,
    /// A list.
    BulletPoints,
    /// A list of what matters most.
    KeyPoints,
}

impl SummaryFormat {
    /// Returns SaLED's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paragraph => "paragraph",
            Self::BulletPoints => "bullet_points",
            Self::KeyPoints => "key_points",
        }
    }
}

/// The words for the form of a summary, which are SaLED's.
const FORMATS: &[(&str, SummaryFormat)] = &[
    ("paragraph", SummaryFormat::Paragraph),
    ("bullet_points", SummaryFormat::BulletPoints),
    ("key_points", SummaryFormat::KeyPoints),
];

/// Long enough for the minutes of an hour, whether the server counts words or tokens: its documents
/// do not say.
const LENGTH_MAX: u32 = 500;

impl ServiceProfile for Saled {
    fn config_word(&self) -> &'static str {
        "saled"
    }

    fn abilities(&self) -> Abilities {
        let writes = self.summary.is_some() || self.chat_model.is_some();
        Abilities {
            needs_attendees: false,
            follows_instruction: writes,
            notes: if writes { Notes::WhenAsked } else { Notes::Extracted },
            analyses: &[Analysis::MeetingNote, Analysis::Transcription],
            signs_in: false,
            transcribes_at_once: true,
            speakers: self.diarize,
            speakers_key: SpeakersKey::Switch,
            progress: true,
            cancels: false,
            deletes: false,
            // It runs on a small machine; two at once take as long together.
            at_once: Some(1),
        }
    }

    fn place(&self) -> String {
        self.base_url.to_string()
    }

    fn models(&self) -> Vec<String> {
        let summary = self.summary.as_ref().map(|summary| &summary.model);
        std::iter::once(&self.model).chain(summary).chain(&self.chat_model).cloned().collect()
    }

    fn is_english_only(&self) -> bool {
        self.model.ends_with(ENGLISH_MODEL)
    }

    fn language_cure(&self) -> &'static str {
        "write a `model` in its table that knows it, such as \"base\": `.en` is English alone"
    }

    fn instruction_cure(&self) -> &'static str {
        "add chat_model = \"…\" to the service, or remove it"
    }

    fn absence_cure(&self) -> &'static str {
        "start SaLED, or check base_url"
    }
}

/// Reads the keys of a SaLED.
pub(super) fn read_saled(table: &Table<'_>) -> Option<Saled> {
    let mut keys = SaledKeys::from_table(table);
    refuse_idle(table);
    let summary = keys.summary_model.take().map(|model| Summary {
        model: model.into_inner(),
        format: keys.summary_format.take().map_or(SummaryFormat::Paragraph, Spanned::into_inner),
        length_max: keys.max_length.take().map_or(LENGTH_MAX, Spanned::into_inner),
    });
    keys.into_settings(summary)
}

/// Refuses keys that have no effect without another.
fn refuse_idle(table: &Table<'_>) {
    for key in ["summary_format", "max_length"] {
        if let Some(span) = table.key_span(key).filter(|_| !table.is_present("summary_model")) {
            let help = "add summary_model = \"…\", the model that sums up, or remove it";
            table.diagnostics().add_at(span, format!("`{key}` without `summary_model`"), help);
        }
    }
    let writes = ["summary_model", "chat_model", "notes"].iter().any(|key| table.is_present(key));
    if let Some(span) = table.key_span("instruction").filter(|_| !writes) {
        let help = "add chat_model = \"…\", the model that follows it, or remove it";
        table.diagnostics().add_at(span, "`instruction` without `chat_model`", help);
    }
}
