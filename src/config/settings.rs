//! The validated settings: what the rest of minuted sees of the configuration.
//!
//! Every value here has been checked: durations are positive, addresses parse, folders do not overlap. A type
//! that a caller could misuse as plain text (a secret, a mailbox, a URL) is not text.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use lettre::message::Mailbox;
use secrecy::SecretString;

use super::kinds::Kind;

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

/// What becomes of recordings that a folder's service does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convert {
    /// They are skipped.
    No,
    /// Those that ffmpeg can read are converted.
    Ffmpeg,
}

/// A watched folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// What it is called everywhere.
    pub name: String,
    /// Its part of the job key; by default its name.
    pub id: String,
    /// The directory. Absolute.
    pub path: PathBuf,
    /// Who is at its meetings. Never empty for a service that needs them, unless a sidecar or a source may tell.
    pub attendees: Vec<Attendee>,
    /// The name of its service.
    pub service: String,
    /// The analyses, from the folder, else from the service.
    pub analyses: Vec<Analysis>,
    /// The instruction, from the folder, else from the service.
    pub instruction: Option<String>,
    /// The template of its notes, by name or id, where its service has templates; `None` takes the service's.
    pub prompt_template: Option<String>,
    /// The language spoken, ISO 639-1, where a service wants to know.
    pub language: Option<String>,
    /// Whether sub-folders are watched too.
    pub recursive: bool,
    /// Globs on the relative path that are taken.
    pub include: Globs,
    /// Globs on the relative path that are not, besides the built-in names.
    pub exclude: Globs,
    /// How changes are learned of.
    pub watch: Watch,
    /// How long a file must be quiet; `None` is 30 s, on polled mounts 2 min.
    pub settle: Option<Duration>,
    /// How often everything is scanned; `None` is 1 min, on polled mounts 5 min.
    pub rescan: Option<Duration>,
    /// What happens to files that lie there when minuted first meets the folder.
    pub backlog: Backlog,
    /// What becomes of recordings that the service does not take.
    pub convert: Convert,
    /// The template of a meeting's title: `{stem} {folder} {date} {time} {parent}`.
    pub title: String,
    /// Where notes go.
    pub deliver: Vec<Target>,
    /// Where notes beside go instead: the folder's tree is mirrored there. Absolute.
    pub notes_dir: Option<PathBuf>,
    /// The name of notes, without the extension: `{stem}.notes`.
    pub notes_name: String,
    /// Who gets mail.
    pub email_to: Recipients,
    /// The forms of the notes beside, besides Markdown.
    pub formats: Vec<Format>,
    /// What happens to a recording whose notes are delivered.
    pub on_success: OnSuccess,
    /// Whether a transcript that a source has is taken.
    pub transcript: Transcript,
    /// What happens at the service to what it keeps of such a recording.
    pub on_success_remote: OnSuccessRemote,
    /// The permissions of what minuted writes, less its umask.
    pub file_mode: u32,
    /// Whether files beside its recordings may know better than the folder: who was there, title, date, instruction
    /// and language.
    pub sidecars: bool,
}

impl Folder {
    /// How long a file must be quiet where events come.
    pub const SETTLE: Duration = Duration::from_secs(30);
    /// How long a file must be quiet on polled mounts: their servers write late.
    pub const SETTLE_POLLED: Duration = Duration::from_secs(120);
    /// How often everything is scanned where events come.
    pub const RESCAN: Duration = Duration::from_secs(60);
    /// How often everything is scanned on polled mounts, where each look crosses the network.
    pub const RESCAN_POLLED: Duration = Duration::from_secs(300);
}

/// A set of globs together with their text.
#[derive(Clone)]
pub struct Globs {
    /// As written in the config.
    pub patterns: Vec<String>,
    /// Compiled.
    pub set: globset::GlobSet,
}

impl std::fmt::Debug for Globs {
    // The compiled set says the same in a thousand lines.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.patterns).finish()
    }
}

/// How changes in a folder are learned of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Events where the file system has them, else polling.
    Auto,
    /// Events.
    Native,
    /// Polling.
    Poll,
}

/// What happens to old files of a new folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// They are recordings like any other.
    Process,
    /// They are remembered and left alone.
    Skip,
    /// Up to 20 are taken; more wait for `minuted backlog`.
    Ask,
}

/// Where notes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Files beside the recording, or in `notes_dir`.
    Beside,
    /// Mail.
    Email,
}

/// Who gets mail.
#[derive(Debug, Clone, PartialEq)]
pub enum Recipients {
    /// The attendees of the job.
    Attendees,
    /// These.
    List(Vec<Mailbox>),
}

/// A form of the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Markdown with front matter: `talk.notes.md`.
    Md,
    /// The transcript as text: `talk.transcript.txt`.
    Txt,
    /// The transcript as `SubRip`: `talk.transcript.srt`.
    Srt,
    /// The transcript as `WebVTT`: `talk.transcript.vtt`.
    Vtt,
    /// Everything, for programs: `talk.notes.json`.
    Json,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::Md, Self::Txt, Self::Srt, Self::Vtt, Self::Json];

    /// Returns the word used in the config, in the queue and as the file's extension.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md => "md",
            Self::Txt => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Json => "json",
        }
    }
}

/// What happens to a recording whose notes are delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnSuccess {
    /// It stays.
    Keep,
    /// It moves to this directory below the folder, with its notes. Relative, never scanned.
    Move(PathBuf),
    /// It is deleted.
    Delete,
}

/// Where the transcript of a recording comes from that a source has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transcript {
    /// The folder's service makes it.
    Make,
    /// The source's own is taken, where it has one: nothing is sent anywhere.
    Reuse,
}

/// What happens at the service to what it keeps of a recording whose notes are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSuccessRemote {
    /// It stays.
    Keep,
    /// It is deleted, as the service understands that: it may keep it for a while.
    Delete,
    /// It is deleted for good.
    Purge,
}

impl OnSuccessRemote {
    /// Returns the word used in the config and in the queue.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Delete => "delete",
            Self::Purge => "purge",
        }
    }
}

/// Returns whether `host` of a URL or a server is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A secret that was read from a file.
pub type Secret = SecretString;
