//! `[services.NAME]`: what makes notes.

use std::{collections::BTreeMap, time::Duration};

use toml::Spanned;
use url::Url;

use super::{
    diagnostic::{Flaw, Mistake, Mistakes},
    durations::Bounds,
    keys,
    reader::Table,
    settings::{Analysis, Kind, MeetingType, Poll, Service},
    values,
    words::{meant, quoted},
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

/// Reads all services.
pub(super) fn read(root: &Table<'_>, mistakes: &Mistakes) -> Services {
    let mut services = Services { complete: BTreeMap::new(), names: Vec::new() };
    let Some(tables) = root.named_tables("services", keys::SERVICE) else { return services };
    if tables.is_empty() && (root.has("services") || !root.means("services")) {
        let help = "write `[services.paxs]`, below it `kind = \"paxs\"`, and sign in with `minuted login`";
        mistakes.add(Mistake::of_file("no service is configured, so nothing can make notes", help));
    }
    for (name, table) in tables {
        services.names.push(name.get_ref().clone());
        if let Err(flaw) = values::name(name.get_ref()) {
            mistakes.flaw(name.span(), flaw);
        }
        if let Some(service) = table.and_then(|table| service(name.get_ref(), &table, mistakes)) {
            services.complete.insert(name.into_inner(), service);
        }
    }
    services
}

fn service(name: &str, table: &Table<'_>, mistakes: &Mistakes) -> Option<Service> {
    table.require("kind", "write kind = \"paxs\"");
    let base_url = table.text("base_url", values::origin);
    let analyses = table.some("analyses", values::analysis);
    let instruction = table.text("instruction", values::instruction);
    let meeting_type = table.word("meeting_type", MEETING_TYPES);
    let poll = poll(&table.table("poll", keys::POLL), mistakes);
    let request_timeout = table.duration("request_timeout", REQUEST_TIMEOUT);
    Some(Service {
        name: name.to_owned(),
        kind: table.text("kind", kind)?.into_inner(),
        base_url: base_url.map_or_else(paxs, Spanned::into_inner),
        analyses: analyses.map_or_else(|| vec![Analysis::Transcription, Analysis::MeetingNote], Spanned::into_inner),
        instruction: instruction.and_then(Spanned::into_inner),
        meeting_type: meeting_type.map_or(MeetingType::Group, Spanned::into_inner),
        poll,
        request_timeout: request_timeout.map_or(Duration::from_secs(30), Spanned::into_inner),
    })
}

/// The origin of PAXS, from its documents.
fn paxs() -> Url {
    Url::parse("https://dzd.paxs.ai").expect("a constant URL")
}

fn kind(text: &str) -> Result<Kind, Flaw> {
    const LATER: [&str; 4] = ["saled", "koldan", "openai", "ondevice"];
    if text == "paxs" {
        return Ok(Kind::Paxs);
    }
    if LATER.contains(&text) {
        return Err(Flaw::new(format!("this build has no service of kind `{text}` yet"), "write kind = \"paxs\""));
    }
    let help = match meant(text, ["paxs"]) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "write kind = \"paxs\"".to_owned(),
    };
    Err(Flaw::new(format!("unknown kind {}", quoted(text)), help))
}

/// The defaults are those of PAXS's documents, but for `patience`: they are written for a person who waits.
fn poll(table: &Table<'_>, mistakes: &Mistakes) -> Poll {
    let or =
        |value: Option<Spanned<Duration>>, seconds| value.map_or(Duration::from_secs(seconds), Spanned::into_inner);
    let patience = table.duration("patience", POLL_PATIENCE);
    let patience_span = patience.as_ref().map(Spanned::span);
    let poll = Poll {
        first: or(table.duration("first", POLL_INTERVAL), 5),
        every: or(table.duration("every", POLL_INTERVAL), 5),
        timeout: or(table.duration("timeout", POLL_TIMEOUT), 300),
        patience: or(patience, 86_400),
    };
    if let Some(span) = patience_span.filter(|_| !poll.patience.is_zero() && poll.patience < poll.timeout) {
        let help = "write at least the `timeout`, or 0 to give up right after it";
        mistakes.add(Mistake::at(span, "`patience` is shorter than `timeout`", help));
    }
    poll
}
