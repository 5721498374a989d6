//! `[services.NAME]`: what makes notes.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use toml::Spanned;
use url::Url;

use super::{
    diagnostic::{Flaw, Mistake, Mistakes},
    durations::Bounds,
    environment::Environment,
    keys,
    kinds::{Kind, Ondevice, Openai, Paxs, Recogniser},
    reader::Table,
    secret_file::beside,
    settings::{Analysis, MeetingType, Poll, Service},
    values,
    words::{meant, one_of, quoted},
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

/// From a busy loop's edge to the length of a break.
const POLL_INTERVAL: Bounds = Bounds::ms(10, 3_600_000);
/// How long a service may take before it is called slow.
const POLL_TIMEOUT: Bounds = Bounds::ms(10, 86_400_000);
/// How long it may be slow; a month is longer than any outage that heals by itself.
const POLL_PATIENCE: Bounds = Bounds::ms(10, 30 * 86_400_000).or_zero();
/// One small call; longer than ten minutes no proxy keeps a connection.
const REQUEST_TIMEOUT: Bounds = Bounds::ms(100, 600_000);

/// The services as the file has them.
pub(super) struct Services {
    /// Those without a mistake.
    pub(super) complete: BTreeMap<String, Service>,
    /// All names, also of those with mistakes, so that one mistake is not told twice.
    pub(super) names: Vec<String>,
}

/// The name of the service that serves where none is configured.
const ON_THIS_MACHINE: &str = "ondevice";

/// Reads all services. Without a table the on-device engine serves.
pub(super) fn read(root: &Table<'_>, file: &Path, env: &Environment, mistakes: &Mistakes) -> Services {
    let mut services = Services { complete: BTreeMap::new(), names: Vec::new() };
    let Some(tables) = root.named_tables("services", keys::SERVICE) else { return services };
    if tables.is_empty() && !root.means("services") {
        services.names.push(ON_THIS_MACHINE.to_owned());
        services.complete.insert(ON_THIS_MACHINE.to_owned(), on_this_machine());
    } else if tables.is_empty() && root.has("services") {
        let help =
            "write `[services.paxs]`, below it `kind = \"paxs\"`; without `services` the on-device engine serves";
        mistakes.add(Mistake::of_file("`services` is empty", help));
    }
    for (name, table) in tables {
        services.names.push(name.get_ref().clone());
        if let Err(flaw) = values::name(name.get_ref()) {
            mistakes.flaw(name.span(), flaw);
        }
        if let Some(service) = table.and_then(|table| service(name.get_ref(), &table, (file, env), mistakes)) {
            services.complete.insert(name.into_inner(), service);
        }
    }
    services
}

/// The engine as it is without a table of its own.
fn on_this_machine() -> Service {
    let kind = Kind::Ondevice(Ondevice { threads: NonZeroU32::MIN, recogniser: Recogniser::Moonshine });
    Service {
        name: ON_THIS_MACHINE.to_owned(),
        analyses: USUAL.to_vec(),
        instruction: None,
        poll: NO_WAIT,
        request_timeout: REQUEST,
        at_once: kind.abilities().at_once,
        kind,
    }
}

/// The analyses that notes are made of where nothing is said.
const USUAL: [Analysis; 2] = [Analysis::Transcription, Analysis::MeetingNote];

/// The limit of a call where nothing is said.
const REQUEST: Duration = Duration::from_secs(30);

fn service(name: &str, table: &Table<'_>, from: (&Path, &Environment), mistakes: &Mistakes) -> Option<Service> {
    table.require("kind", "write kind = \"paxs\" or \"openai\", or \"ondevice\" for the engine on this machine");
    let word = table.text("kind", word);
    let word = word.as_ref().map(|word| *word.get_ref());
    refuse_foreign(word, table, mistakes);
    let kind = word.and_then(|word| match word {
        Word::Paxs => Some(Kind::Paxs(paxs(table))),
        Word::Openai => openai(table, from, mistakes).map(Kind::Openai),
        Word::Ondevice => ondevice(table, mistakes).map(Kind::Ondevice),
    });
    let analyses = table.some("analyses", values::analysis);
    if let (Some(kind), Some(analyses)) = (&kind, &analyses) {
        refuse_analyses(kind, analyses, mistakes);
    }
    let instruction = table.text("instruction", values::instruction);
    let usual = if matches!(word, Some(Word::Openai | Word::Ondevice)) { NO_WAIT } else { POLL };
    let poll = poll(&table.table("poll", keys::POLL), &usual, mistakes);
    let request_timeout = table.duration("request_timeout", REQUEST_TIMEOUT);
    let at_once = table.number("at_once", 1..=64).map(Spanned::into_inner);
    let kind = kind?;
    Some(Service {
        name: name.to_owned(),
        analyses: analyses.map_or_else(|| USUAL.to_vec(), Spanned::into_inner),
        instruction: instruction.and_then(Spanned::into_inner),
        poll,
        request_timeout: request_timeout.map_or(REQUEST, Spanned::into_inner),
        at_once: at_once.and_then(|at_once| usize::try_from(at_once).ok()).or(kind.abilities().at_once),
        kind,
    })
}

/// A kind, as the file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Paxs,
    Openai,
    Ondevice,
}

const WORDS: &[(&str, Word)] = &[("paxs", Word::Paxs), ("openai", Word::Openai), ("ondevice", Word::Ondevice)];

fn word(text: &str) -> Result<Word, Flaw> {
    const LATER: [&str; 2] = ["saled", "koldan"];
    if let Some((_, word)) = WORDS.iter().find(|(known, _)| *known == text) {
        return Ok(*word);
    }
    let words = || WORDS.iter().map(|(word, _)| *word);
    if LATER.contains(&text) {
        let help = format!("write kind = {}", one_of(words()).replace('`', "\""));
        return Err(Flaw::new(format!("this build has no service of kind `{text}` yet"), help));
    }
    let help = match meant(text, words()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("write kind = {}", one_of(words()).replace('`', "\"")),
    };
    Err(Flaw::new(format!("unknown kind {}", quoted(text)), help))
}

/// Refuses the keys that mean something for another kind alone.
fn refuse_foreign(word: Option<Word>, table: &Table<'_>, mistakes: &Mistakes) {
    let Some((kind, _)) = WORDS.iter().find(|(_, known)| Some(*known) == word) else { return };
    let own = keys::OF_KINDS.iter().find(|(of, _)| of == kind).map_or(&[][..], |(_, keys)| keys);
    let foreign = keys::OF_KINDS.iter().flat_map(|(_, keys)| *keys).filter(|key| !own.contains(key));
    let mut told = Vec::new();
    for key in foreign {
        if let Some(span) = table.key_span(key).filter(|_| !told.contains(key)) {
            told.push(key);
            let what = format!("a service of kind `{kind}` has no `{key}`");
            mistakes.add(Mistake::at(span, what, "remove it"));
        }
    }
}

/// Refuses analyses that a kind does not give.
pub(super) fn refuse_analyses(kind: &Kind, analyses: &Spanned<Vec<Analysis>>, mistakes: &Mistakes) {
    let given = kind.abilities().analyses;
    if let Some(analysis) = analyses.get_ref().iter().find(|analysis| !given.contains(analysis)) {
        let what = format!("a service of kind `{}` gives no `{}`", kind.as_str(), analysis.as_str());
        let help = format!("it gives {}", one_of(given.iter().map(|analysis| analysis.as_str())));
        mistakes.add(Mistake::at(analyses.span(), what, help));
    }
}

/// The window of the model that writes notes, in tokens: what the smallest models of today have, and hosts give.
const CONTEXT: u32 = 8192;

fn openai(table: &Table<'_>, (file, env): (&Path, &Environment), mistakes: &Mistakes) -> Option<Openai> {
    table.require("base_url", "write base_url = \"https://api.openai.com\", or where your own server is");
    let insecure = is_insecure(table);
    let base_url = table.text("base_url", |text| values::base(text, insecure)).map(Spanned::into_inner);
    let api_key_file = table.text("api_key_file", values::file);
    let model = table.text("model", values::line).map(Spanned::into_inner);
    let notes_model = table.text("notes_model", values::line).map(Spanned::into_inner);
    let context = table.number("context", 1024..=2_000_000).map(Spanned::into_inner);
    for key in ["instruction", "context"] {
        if let Some(span) = table.key_span(key).filter(|_| !table.means("notes_model")) {
            let help = "add notes_model = \"…\", the model that writes the notes, or remove it";
            mistakes.add(Mistake::at(span, format!("`{key}` without `notes_model`"), help));
        }
    }
    Some(Openai {
        base_url: base_url?,
        api_key_file: api_key_file.map(|path| beside(path.into_inner(), file, env)),
        model: model.unwrap_or_else(|| "whisper-1".to_owned()),
        notes_model,
        context: context.unwrap_or(CONTEXT),
    })
}

/// The words for what turns sound into words.
const ENGINES: &[(&str, bool)] = &[("moonshine", false), ("whisper", true)];

fn ondevice(table: &Table<'_>, mistakes: &Mistakes) -> Option<Ondevice> {
    let threads = table.number("threads", 1..=64).and_then(|threads| NonZeroU32::new(threads.into_inner()));
    let is_whisper = table.word("engine", ENGINES);
    let model = table.text("model", values::absolute_path).map(Spanned::into_inner);
    let recogniser = if is_whisper.as_ref().is_some_and(|is_whisper| *is_whisper.get_ref()) {
        whisper(table, model, mistakes)
    } else {
        refuse_model(table, is_whisper.is_some(), mistakes);
        Some(Recogniser::Moonshine)
    };
    Some(Ondevice { threads: threads.unwrap_or(NonZeroU32::MIN), recogniser: recogniser? })
}

fn whisper(table: &Table<'_>, model: Option<PathBuf>, mistakes: &Mistakes) -> Option<Recogniser> {
    let span = table.key_span("engine")?;
    if !Recogniser::HAS_WHISPER {
        let help = "build it with cargo build --release --features whisper";
        mistakes.add(Mistake::at(span, "this build has no whisper", help));
        return None;
    }
    if !table.means("model") {
        let help = "write model = \"/…/ggml-base.bin\": a model of whisper.cpp, which minuted does not fetch";
        mistakes.add(Mistake::at(span, "`engine = \"whisper\"` without `model`", help));
    }
    Some(Recogniser::Whisper { model: model? })
}

/// Refuses a `model` that nothing would load. An `engine` with a mistake of its own may have meant whisper.
fn refuse_model(table: &Table<'_>, is_moonshine: bool, mistakes: &Mistakes) {
    if let Some(span) = table.key_span("model").filter(|_| is_moonshine || !table.means("engine")) {
        let help = "add engine = \"whisper\", or remove `model`: moonshine has its own (minuted engine install)";
        mistakes.add(Mistake::at(span, "`model` without `engine = \"whisper\"`", help));
    }
}

/// Whether recordings and secrets may go to another machine in the clear.
fn is_insecure(table: &Table<'_>) -> bool {
    table.flag("insecure").is_some_and(Spanned::into_inner)
}

fn paxs(table: &Table<'_>) -> Paxs {
    let insecure = is_insecure(table);
    let base_url = table.text("base_url", |text| values::origin(text, insecure)).map(Spanned::into_inner);
    let meeting_type = table.word("meeting_type", MEETING_TYPES).map(Spanned::into_inner);
    Paxs {
        base_url: base_url.unwrap_or_else(|| Url::parse("https://dzd.paxs.ai").expect("a constant URL")),
        meeting_type: meeting_type.unwrap_or(MeetingType::Group),
    }
}

/// The rhythm of PAXS's documents, but for `patience`: they are written for a person who waits.
const POLL: Poll = Poll {
    first: Duration::from_secs(5),
    every: Duration::from_secs(5),
    timeout: Duration::from_secs(300),
    patience: Duration::from_secs(86_400),
};

/// The rhythm of a service whose results are there when the upload ends.
const NO_WAIT: Poll = Poll { first: Duration::from_millis(10), ..POLL };

fn poll(table: &Table<'_>, usual: &Poll, mistakes: &Mistakes) -> Poll {
    let patience = table.duration("patience", POLL_PATIENCE);
    let patience_span = patience.as_ref().map(Spanned::span);
    let poll = Poll {
        first: table.duration("first", POLL_INTERVAL).map_or(usual.first, Spanned::into_inner),
        every: table.duration("every", POLL_INTERVAL).map_or(usual.every, Spanned::into_inner),
        timeout: table.duration("timeout", POLL_TIMEOUT).map_or(usual.timeout, Spanned::into_inner),
        patience: patience.map_or(usual.patience, Spanned::into_inner),
    };
    if let Some(span) = patience_span.filter(|_| !poll.patience.is_zero() && poll.patience < poll.timeout) {
        let help = "write at least the `timeout`, or 0 to give up right after it";
        mistakes.add(Mistake::at(span, "`patience` is shorter than `timeout`", help));
    }
    poll
}
