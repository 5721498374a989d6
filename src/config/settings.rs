//! The validated settings: what the rest of minuted sees of the configuration.
//!
//! Every value here has been checked: durations are positive, addresses parse, folders do not overlap. A type
//! that a caller could misuse as plain text (a secret, a mailbox, a URL) is not text.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use lettre::message::Mailbox;
use secrecy::SecretString;

use super::{folder::Folder, kinds::Kind};

/// The whole configuration, as it is in force.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file these settings were read from.
    pub file: PathBuf,
    /// The directory of the queue, the tokens and the control socket.
    pub state_dir: PathBuf,
    /// How long finished jobs are remembered. That a content was done is never forgotten.
    pub history: Duration,
    /// The services by their configured names. Never empty: without a table the on-device engine serves.
    pub services: BTreeMap<String, Service>,
    /// How a recording's own failures are retried.
    pub retry: Retry,
    /// How much is done at once.
    pub workers: Workers,
    /// Mail, when any is sent.
    pub email: Option<Email>,
    /// Where the log goes.
    pub log: Log,
    /// The folders in the order of the file. Names and ids are unique.
    pub folders: Vec<Folder>,
    /// Where recordings come from besides. Names are unique, among the services too.
    pub sources: Vec<Source>,
    /// Where webhooks of the sources are taken, if they are.
    pub webhook: Option<Webhook>,
}

impl Settings {
    /// Returns the source of that name, if it is configured.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// Returns the folder of that id, if it is configured.
    #[must_use]
    pub fn folder(&self, id: &str) -> Option<&Folder> {
        self.folders.iter().find(|folder| folder.id == id)
    }
}

/// A service.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The name of its table in the config.
    pub name: String,
    /// Its protocol, with the settings that this alone has.
    pub kind: Kind,
    /// The analyses that notes are made of, in the order of the config.
    pub analyses: Vec<Analysis>,
    /// The instruction for the meeting note; `None` takes the service's automatic note.
    pub instruction: Option<String>,
    /// When results are looked for.
    pub poll: Poll,
    /// The limit of one call that is not an upload.
    pub request_timeout: Duration,
    /// Recordings in its hands at once, from their meeting to the end of their upload; `None` shares the slots of
    /// [`Workers::uploads`] with the others.
    pub at_once: Option<usize>,
}

/// Where webhooks are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The address and the port: on this machine alone.
    pub listen: std::net::SocketAddr,
}

/// A source: who keeps recordings of meetings, and where they go.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// What it is called everywhere.
    pub name: String,
    /// The version of its protocol.
    pub api: SourceApi,
    /// The origin of every call that carries the key, without a trailing slash.
    pub base_url: url::Url,
    /// Where the key lies; read at each start of work, so that it may be changed.
    pub api_key_file: PathBuf,
    /// The id of the folder that its recordings go to.
    pub into: String,
    /// How often it is asked what has ended.
    pub every: Duration,
    /// What ended before this is left alone; `None` begins when minuted first meets the source.
    pub since: Option<jiff::Timestamp>,
    /// Whether the vendor deletes its copy once the notes are durable.
    pub delete_after: bool,
    /// Where the secret of its webhooks lies (v2 alone; v1 proves itself by the key).
    pub webhook_secret_file: Option<PathBuf>,
}

/// The protocols of Meeting BaaS. An account and what it keeps belong to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceApi {
    /// Version 1.
    V1,
    /// Version 2.
    V2,
}

impl SourceApi {
    /// Returns its word in the config.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

/// A result of a service, in the words of the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Analysis {
    /// The words that were said, with speakers and times.
    #[serde(rename = "transcription")]
    Transcription,
    /// The minutes as Markdown.
    #[serde(rename = "meeting note")]
    MeetingNote,
    /// The key points.
    #[serde(rename = "key_points")]
    KeyPoints,
    /// The mood of the meeting.
    #[serde(rename = "sentiment")]
    Sentiment,
}

impl Analysis {
    /// All analyses, in the order in which they stand in notes.
    pub const ALL: [Self; 4] = [Self::MeetingNote, Self::KeyPoints, Self::Sentiment, Self::Transcription];

    /// Returns the word used in the config, in the queue and by PAXS.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transcription => "transcription",
            Self::MeetingNote => "meeting note",
            Self::KeyPoints => "key_points",
            Self::Sentiment => "sentiment",
        }
    }

    /// Returns the analysis of that word; `_`, `-` and a space between words are the same.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        Self::ALL.into_iter().find(|analysis| analysis.as_str().replace(' ', "_") == word)
    }
}

/// PAXS's kinds of meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeetingType {
    /// The default.
    Group,
    /// A team's meeting.
    Team,
    /// A department's.
    Department,
    /// Of several departments.
    CrossFunctional,
    /// Of the whole organisation.
    Organization,
    /// Of the whole company.
    Company,
}

/// When a service is asked for results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// From the end of the upload to the first look.
    pub first: Duration,
    /// From one look to the next.
    pub every: Duration,
    /// After this the service is called slow and the interval doubles up to 2 min.
    pub timeout: Duration,
    /// After this, counted from the end of the upload, an attempt is spent.
    pub patience: Duration,
}

/// How a recording's own failures are retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Failures in all before a recording is failed; at least 1.
    pub attempts: u32,
    /// The first delay; it grows fivefold, with jitter.
    pub delay: Duration,
    /// The longest delay, also the slowest probe of a service that is down.
    pub delay_max: Duration,
}

/// How much is done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// Uploads at once, 1 to 64.
    pub uploads: usize,
    /// Calls a second to each service, 1 to 1,000.
    pub requests_per_second: u32,
}

/// How mail is sent.
#[derive(Debug, Clone)]
pub struct Email {
    /// The sender.
    pub from: Mailbox,
    /// Who is told of failures; exempt from `allow`.
    pub failures_to: Vec<Mailbox>,
    /// Who may get notes.
    pub allow: Vec<Allow>,
    /// The server.
    pub smtp: Smtp,
}

/// One entry of the allow list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allow {
    /// `"*"`: anyone.
    Anyone,
    /// `"@example.com"`: exactly that domain, lower case, without the `@`.
    Domain(String),
    /// One address, lower case.
    Address(String),
}

/// The mail server.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name; the certificate must carry it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the conversation is protected.
    pub tls: Tls,
    /// The account, when the server asks for one.
    pub username: Option<String>,
    /// Where its password lies; read at each connection, so that it may be changed.
    pub password_file: Option<PathBuf>,
    /// Permits `tls = "none"` to a host that is not loopback.
    pub insecure: bool,
}

/// The protection of an SMTP conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Begins in the clear, then must upgrade.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None; for loopback.
    None,
}

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least level that is written: a `tracing` filter.
    pub level: String,
    /// Text for people or JSON for machines.
    pub format: LogFormat,
    /// The directory of the daily files; `None` writes to standard error alone.
    pub dir: Option<PathBuf>,
    /// How many daily files are kept.
    pub keep: usize,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// A person of a meeting.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attendee {
    /// The name as shown.
    pub name: String,
    /// The address.
    pub email: String,
    /// The service's word for what they do there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Returns whether `host` of a URL or a server is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A secret that was read from a file.
pub type Secret = SecretString;
