//! `[services.NAME]`: what makes notes.

use std::{collections::BTreeMap, path::Path, time::Duration};

use toml::Spanned;

use super::{
    diagnostic::{Mistake, Mistakes},
    durations::Bounds,
    environment::Environment,
    keys,
    kinds::{From, Kind},
    reader::Table,
    settings::{Analysis, Poll, Service},
    values,
    words::one_of,
};

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
        if let Some(service) = table.and_then(|table| service(name.get_ref(), &table, From { file, env }, mistakes)) {
            services.complete.insert(name.into_inner(), service);
        }
    }
    services
}

/// The engine as it is without a table of its own.
fn on_this_machine() -> Service {
    let kind = Kind::on_this_machine();
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

fn service(name: &str, table: &Table<'_>, from: From<'_>, mistakes: &Mistakes) -> Option<Service> {
    let kind = Kind::read(table, from, mistakes);
    let analyses = table.some("analyses", values::analysis);
    if let (Some(kind), Some(analyses)) = (&kind, &analyses) {
        refuse_analyses(kind, analyses, mistakes);
    }
    let instruction = table.text("instruction", values::instruction);
    let is_at_once = kind.as_ref().is_some_and(|kind| kind.abilities().transcribes_at_once);
    let usual = if is_at_once { NO_WAIT } else { POLL };
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

/// Refuses analyses that a kind does not give.
pub(super) fn refuse_analyses(kind: &Kind, analyses: &Spanned<Vec<Analysis>>, mistakes: &Mistakes) {
    let given = kind.abilities().analyses;
    if let Some(analysis) = analyses.get_ref().iter().find(|analysis| !given.contains(analysis)) {
        let what = format!("a service of kind `{}` gives no `{}`", kind.as_str(), analysis.as_str());
        let help = format!("it gives {}", one_of(given.iter().map(|analysis| analysis.as_str())));
        mistakes.add(Mistake::at(analyses.span(), what, help));
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
