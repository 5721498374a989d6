//! The validated settings, as the rest of minuted uses them.
//!
//! Every value here has been checked: durations are positive, addresses parse, folders do not
//! overlap. A type that a caller could misuse as plain text (a secret, a mailbox, a URL) is not
//! text.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    calendars::CalendarSettings, diagnostic::ValueError, durations::DurationBounds, email::Email,
    folder::Folder, http_server::HttpServer, notifiers::Notifier, ping::Ping, reader::parse_word,
    services::Service, sources::Source, table_keys::table_keys, values, webhook::Webhook,
};

/// The whole configuration, as it is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The file these settings were read from.
    pub file: PathBuf,
    /// The directory of the queue, the tokens and the control socket.
    pub state_dir: PathBuf,
    /// Time that finished jobs are kept. The hashes of their contents are kept for ever.
    pub history: Duration,
    /// The services by their configured names. Never empty: without a table the on-device engine
    /// serves.
    pub services: BTreeMap<String, Service>,
    /// Retries of a recording's own failures.
    pub retry: Retry,
    /// Limits of parallel work.
    pub workers: Workers,
    /// Mail, when any is sent.
    pub email: Option<Email>,
    /// Destination and form of the log.
    pub log: Log,
    /// The folders in the order of the file. Names and ids are unique.
    pub folders: Vec<Folder>,
    /// Sources that recordings are fetched from. Their names are unique, among the services too.
    pub sources: Vec<Source>,
    /// Calendars that folders name. Their names are unique.
    pub calendars: Vec<CalendarSettings>,
    /// Listener for the sources' webhooks, if configured.
    pub webhook: Option<Webhook>,
    /// The server of the page and the API, if configured.
    pub http: Option<HttpServer>,
    /// Who is told of events. Their names are unique.
    pub notifiers: Vec<Notifier>,
    /// The dead man's switch, if configured.
    pub ping: Option<Ping>,
}

impl Settings {
    /// Returns the source of that name, if it is configured.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// Returns the calendar of a folder, if it has one.
    #[must_use]
    pub(crate) fn calendar_of(&self, folder: &Folder) -> Option<&CalendarSettings> {
        let name = folder.calendar.as_ref()?;
        self.calendars.iter().find(|calendar| calendar.name == *name)
    }

    /// Returns the service of the recordings of a source whose own transcripts are reused. Their
    /// notes are written by the service that writes those of the folder's service, if there is one.
    #[must_use]
    pub(crate) fn transcripts_of(&self, source: &Source) -> Service {
        let given = Service::of_source(&source.name);
        let folder = self.folder(&source.into);
        match folder.and_then(|folder| self.services.get(&folder.service)) {
            Some(Service { notes: Some(notes), poll, .. }) => {
                Service { notes: Some(notes.clone()), poll: *poll, ..given }
            }
            Some(_) | None => given,
        }
    }

    /// Returns the notifier of that name, if it is configured.
    #[must_use]
    pub fn notifier(&self, name: &str) -> Option<&Notifier> {
        self.notifiers.iter().find(|notifier| notifier.name == name)
    }

    /// Returns the folder of that id, if it is configured.
    #[must_use]
    pub fn folder(&self, id: &str) -> Option<&Folder> {
        self.folders.iter().find(|folder| folder.id == id)
    }
}

/// Delays between the attempts of one recording.
const DELAY: DurationBounds = DurationBounds::from_ms(10, 86_400_000);

table_keys! {
    /// Retries of a recording's own failures.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Retry from RetryKeys {
        /// Failures in all before a recording is failed; at least 1.
        attempts: u32 = read_number(1..=100), default 3;
        /// The first delay; it grows fivefold, with jitter.
        delay: Duration = read_duration(DELAY), default Duration::from_secs(60);
        /// The longest delay, also the slowest probe of a service that is down.
        delay_max: Duration = read_duration(DELAY), default Duration::from_secs(900);
    }
}

table_keys! {
    /// Limits of parallel work.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Workers from WorkersKeys {
        /// Uploads at once, 1 to 64.
        uploads: usize = read_number(1..=64), default 2;
        /// Calls a second to each service, 1 to 1,000.
        requests_per_second: u32 = read_number(1..=1_000), default 10;
    }
}

const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

table_keys! {
    /// Destination and form of the log.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Log from LogKeys {
        /// The least level that is written: a `tracing` filter.
        level: String = read_text(parse_level), default "info".to_owned();
        /// Text for people or JSON for machines.
        format: LogFormat = read_word(FORMATS), default LogFormat::Text;
        /// The directory of the daily files; `None` writes to standard error alone.
        dir: PathBuf = read_text(values::parse_absolute_path);
        /// Number of daily files to keep.
        keep: usize = read_number(1..=1_000), default 14;
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text, a line for each event.
    Text,
    /// JSON, an object for each event.
    Json,
}

fn parse_level(text: &str) -> Result<String, ValueError> {
    const LEVELS: &[(&str, ())] =
        &[("error", ()), ("warn", ()), ("info", ()), ("debug", ()), ("trace", ())];
    parse_word("level", text, LEVELS).map(|()| text.to_owned())
}
