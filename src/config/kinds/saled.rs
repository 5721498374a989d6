//! `kind = "saled"`: SaLED, a server on one's own machine that transcribes and sums up.

use toml::Spanned;
use url::Url;

use super::{Abilities, Notes, Speaks, is_insecure};
use crate::config::{
    diagnostic::{Mistake, Mistakes},
    reader::Table,
    settings::Analysis,
    values,
};

/// The keys of its table that mean something for it, besides those of every kind.
pub(super) const KEYS: &[&str] = &[
    "base_url",
    "insecure",
    "model",
    "diarize",
    "video",
    "summary_model",
    "summary_format",
    "max_length",
    "chat_model",
    "request_timeout",
    "instruction",
];

/// What a SaLED is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saled {
    /// What stands before `/api` in the address of every call.
    pub base_url: Url,
    /// The model that transcribes.
    pub model: String,
    /// Whether it finds out who speaks.
    pub diarize: bool,
    /// Whether it takes video too.
    pub video: bool,
    /// How it sums up; without this and without a model for the chat minuted extracts the notes.
    pub summary: Option<Summary>,
    /// The model that follows an instruction.
    pub chat_model: Option<String>,
}

/// How a SaLED sums up.
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
    /// One text.
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

/// Long enough for the minutes of an hour, whether the server counts words or tokens: its documents do not say.
const LENGTH_MAX: u32 = 500;

/// The ending of the names of whisper's models that know English alone.
const ENGLISH: &str = ".en";

impl Speaks for Saled {
    fn word(&self) -> &'static str {
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

    fn is_english_only(&self) -> bool {
        self.model.ends_with(ENGLISH)
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

pub(super) fn read(table: &Table<'_>, mistakes: &Mistakes) -> Saled {
    let insecure = is_insecure(table);
    let base_url = table.text("base_url", |text| values::before_api(text, insecure)).map(Spanned::into_inner);
    let model = table.text("model", values::line).map(Spanned::into_inner);
    let flag = |key| table.flag(key).map(Spanned::into_inner);
    let (diarize, video) = (flag("diarize"), flag("video"));
    let summary_model = table.text("summary_model", values::line).map(Spanned::into_inner);
    let format = table.word("summary_format", FORMATS).map(Spanned::into_inner);
    let length_max = table.number("max_length", 10..=100_000).map(Spanned::into_inner);
    let chat_model = table.text("chat_model", values::line).map(Spanned::into_inner);
    refuse_idle(table, mistakes);
    Saled {
        base_url: base_url.unwrap_or_else(|| Url::parse("http://localhost:8000").expect("a constant URL")),
        model: model.unwrap_or_else(|| "tiny.en".to_owned()),
        diarize: diarize.unwrap_or(true),
        video: video.unwrap_or(false),
        summary: summary_model.map(|model| Summary {
            model,
            format: format.unwrap_or(SummaryFormat::Paragraph),
            length_max: length_max.unwrap_or(LENGTH_MAX),
        }),
        chat_model,
    }
}

/// Refuses what nothing would obey.
fn refuse_idle(table: &Table<'_>, mistakes: &Mistakes) {
    for key in ["summary_format", "max_length"] {
        if let Some(span) = table.key_span(key).filter(|_| !table.means("summary_model")) {
            let help = "add summary_model = \"…\", the model that sums up, or remove it";
            mistakes.add(Mistake::at(span, format!("`{key}` without `summary_model`"), help));
        }
    }
    let writes = table.means("summary_model") || table.means("chat_model");
    if let Some(span) = table.key_span("instruction").filter(|_| !writes) {
        let help = "add chat_model = \"…\", the model that follows it, or remove it";
        mistakes.add(Mistake::at(span, "`instruction` without `chat_model`", help));
    }
}
