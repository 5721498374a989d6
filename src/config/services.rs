//! `[services.NAME]`: the services that make notes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use toml::Spanned;

use super::{
    analysis::Analysis,
    diagnostic::{Diagnostic, Diagnostics},
    durations::DurationBounds,
    folder::{DAILY_LIMIT, ON_THIS_MACHINE},
    kinds::{self, Abilities, Kind, NamedKind},
    notes_by::{self, NOTES_ELSE, NotesBy, NotesElse, WrittenNotes},
    reader::{Table, TableKeys as _},
    table_keys::{join_keys, table_keys},
    values,
    words::join_alternatives,
};

/// From a busy loop's edge to the length of a break.
const POLL_INTERVAL: DurationBounds = DurationBounds::from_ms(10, 3_600_000);
/// Range of the time after which a service is called slow.
const POLL_TIMEOUT: DurationBounds = DurationBounds::from_ms(10, 86_400_000);
/// Range of the patience with a slow service; a month is longer than any outage that ends without
/// help.
const POLL_PATIENCE: DurationBounds = DurationBounds::from_ms(10, 30 * 86_400_000).or_zero();
/// Range of the limit of a small call; no proxy keeps a connection for more than ten minutes.
const REQUEST_TIMEOUT: DurationBounds = DurationBounds::from_ms(100, 600_000);

table_keys! {
    /// A service.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Service from ServiceKeys {
        + kind: &'static NamedKind = read_text(kinds::parse_kind);
        /// The analyses that notes are made of, in the order of the config.
        analyses: Vec<Analysis> = read_distinct(values::parse_analysis),
            default Analysis::USUAL.to_vec();
        /// The instruction for the meeting note; `None` takes the service's automatic note.
        instruction: Option<String> = read_text(values::parse_instruction), default None;
        + notes: String = read_text(values::parse_name);
        + notes_else: NotesElse = read_word(NOTES_ELSE);
        + poll: PollKeys = read_keys();
        /// The limit of one call that is not an upload.
        request_timeout: Duration = read_duration(REQUEST_TIMEOUT), default Duration::from_secs(30);
        /// Recordings in its hands at once, from their meeting to the end of their upload; `None`
        /// shares the slots of [`Workers::uploads`](super::Workers::uploads) with the others.
        at_once: usize = read_number(1..=64);
        /// Audio that is begun for all its folders together on one day; zero for no limit.
        daily_limit: Duration = read_duration(DAILY_LIMIT), default Duration::ZERO;
    } and {
        /// The name of its table in the config.
        name: String,
        /// Its protocol, with the settings that this alone has.
        kind: Kind,
        /// Schedule of polling for results.
        poll: Poll,
        /// The service that writes its notes, where that is another one.
        notes: Option<NotesBy>,
    }
}

table_keys! {
    /// Schedule of polling a service for results. The defaults are the rhythm of PAXS's documents,
    /// but for `patience`: they are written for a person who waits.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Poll from PollKeys {
        /// From the end of the upload to the first look.
        first: Duration = read_duration(POLL_INTERVAL), default Duration::from_secs(5);
        /// From one look to the next.
        every: Duration = read_duration(POLL_INTERVAL), default Duration::from_secs(5);
        /// After this the service is called slow and the interval doubles up to 2 min.
        timeout: Duration = read_duration(POLL_TIMEOUT), default Duration::from_secs(300);
        /// After this, counted from the end of the upload, an attempt is spent.
        patience: Duration = read_duration(POLL_PATIENCE), default Duration::from_secs(86_400);
    }
}

/// The keys of `[services.NAME]`: what every kind has, then what some have.
pub(super) static SERVICE: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let of_kinds = join_keys(&kinds::KINDS.each_ref().map(|kind| kind.keys));
    join_keys(&[ServiceKeys::KNOWN, &of_kinds])
});

/// The services as the file has them.
pub(super) struct Services {
    /// Services without a mistake.
    pub(super) complete: BTreeMap<String, Service>,
    /// All names, including services with mistakes, so that a mistake is reported once.
    pub(super) names: Vec<String>,
    /// The names that other services have in `notes`.
    writers: BTreeSet<String>,
}

impl Services {
    /// Returns the names of the services that a folder without a `service` of its own may mean:
    /// one that only writes the notes of others is none of them, unless a folder names it.
    pub(super) fn candidates<'s>(&'s self, named: &BTreeSet<String>) -> Vec<&'s str> {
        let is_candidate = |name: &&String| !self.writers.contains(*name) || named.contains(*name);
        self.names.iter().filter(is_candidate).map(String::as_str).collect()
    }

    /// Returns the services without a mistake. One that only writes the notes of others is sent no
    /// recordings.
    pub(super) fn into_complete(mut self, named: &BTreeSet<String>) -> BTreeMap<String, Service> {
        for name in self.writers.iter().filter(|name| !named.contains(*name)) {
            if let Some(service) = self.complete.get_mut(name) {
                service.kind.refuse_recordings();
            }
        }
        self.complete
    }
}

/// Reads all services. Without a table the on-device engine serves.
pub(super) fn read_services(root: &Table<'_>, diagnostics: &Diagnostics) -> Services {
    let mut services =
        Services { complete: BTreeMap::new(), names: Vec::new(), writers: BTreeSet::new() };
    let mut written = Vec::new();
    let Some(tables) = root.read_named_tables("services", &SERVICE) else { return services };
    if tables.is_empty() && !root.is_present("services") {
        services.names.push(ON_THIS_MACHINE.to_owned());
        services.complete.insert(
            ON_THIS_MACHINE.to_owned(),
            Service::of_kind(ON_THIS_MACHINE, Kind::on_this_machine()),
        );
    } else if tables.is_empty() && root.has_key("services") {
        let help = "write `[services.paxs]`, below it `kind = \"paxs\"`; without `services` the on-device engine serves";
        diagnostics.add(Diagnostic::of_file("`services` is empty", help));
    }
    for (name, table) in tables {
        services.names.push(name.get_ref().clone());
        if let Err(error) = values::parse_name(name.get_ref()) {
            diagnostics.add_error(name.span(), error);
        }
        if let Some(service) =
            table.and_then(|table| read_service(&name, &table, &mut written, diagnostics))
        {
            services.complete.insert(name.into_inner(), service);
        }
    }
    services.writers = written.iter().map(|notes| notes.by.get_ref().clone()).collect();
    notes_by::connect_writers(&mut services.complete, &services.names, written, diagnostics);
    services
}

impl Service {
    /// Returns a service of this kind with every other key at its default.
    pub(super) fn of_kind(name: &str, kind: Kind) -> Self {
        complete_service(ServiceKeys::default(), name, kind)
    }

    /// Returns its abilities, together with those of the service that writes its notes.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        abilities_of(&self.kind, self.notes.is_some())
    }
}

fn abilities_of(kind: &Kind, has_writer: bool) -> Abilities {
    let own = kind.abilities();
    if has_writer { own.with_chat_notes() } else { own }
}

/// Reads a service. The name in its `notes` is left in `written`: the other table may follow.
fn read_service(
    name: &Spanned<String>,
    table: &Table<'_>,
    written: &mut Vec<WrittenNotes>,
    diagnostics: &Diagnostics,
) -> Option<Service> {
    let help = "write kind = \"paxs\", \"saled\", \"koldan\" or \"openai\", or \"ondevice\" for the engine on this machine";
    table.require_key("kind", help);
    let keys = ServiceKeys::from_table(table);
    notes_by::refuse_two_writers(table);
    if let Some(by) = &keys.notes {
        let otherwise =
            keys.notes_else.as_ref().map_or(NotesElse::Wait, |otherwise| *otherwise.get_ref());
        written.push(WrittenNotes { of: name.get_ref().clone(), by: by.clone(), otherwise });
    }
    let kind = keys.kind.as_ref().and_then(|named| named.get_ref().read(table));
    if let Some(poll) = &keys.poll {
        refuse_short_patience(poll.get_ref(), diagnostics);
    }
    let kind = kind?;
    if let Some(analyses) = &keys.analyses {
        refuse_analyses(
            kind.as_str(),
            abilities_of(&kind, keys.notes.is_some()),
            analyses,
            diagnostics,
        );
    }
    Some(complete_service(keys, name.get_ref(), kind))
}

/// Combines the keys of a service with its kind, on which some defaults depend.
fn complete_service(mut keys: ServiceKeys, name: &str, kind: Kind) -> Service {
    let abilities = kind.abilities();
    let mut poll = keys.poll.take().map(Spanned::into_inner).unwrap_or_default();
    if abilities.transcribes_at_once {
        // The results are there when the upload ends.
        poll.first.get_or_insert(Spanned::new(0..0, Duration::from_millis(10)));
    }
    let poll = poll.into_settings().expect("no key is required");
    let service =
        keys.into_settings(name.to_owned(), kind, poll, None).expect("no key is required");
    Service { at_once: service.at_once.or(abilities.at_once), ..service }
}

/// Refuses analyses that a service of this kind does not give.
pub(super) fn refuse_analyses(
    kind: &str,
    abilities: Abilities,
    analyses: &Spanned<Vec<Analysis>>,
    diagnostics: &Diagnostics,
) {
    let possible = abilities.analyses;
    if let Some(analysis) = analyses.get_ref().iter().find(|analysis| !possible.contains(analysis))
    {
        let what = format!("a service of kind `{kind}` gives no `{}`", analysis.as_str());
        let help = format!(
            "it gives {}",
            join_alternatives(possible.iter().map(|analysis| analysis.as_str()))
        );
        diagnostics.add_at(analyses.span(), what, help);
    }
}

/// Refuses a patience that is over before the service is called slow.
fn refuse_short_patience(keys: &PollKeys, diagnostics: &Diagnostics) {
    let poll = keys.clone().into_settings().expect("no key is required");
    let is_short = !poll.patience.is_zero() && poll.patience < poll.timeout;
    if let Some(patience) = keys.patience.as_ref().filter(|_| is_short) {
        let help = "write at least the `timeout`, or 0 to give up right after it";
        diagnostics.add_at(patience.span(), "`patience` is shorter than `timeout`", help);
    }
}
