//! File and environment → typed, validated settings.
//!
//! [`locate()`] finds the file, [`load`] reads it. The text is parsed into a tree with places
//! (`document`). Each table has its keys as rows (`table_keys`) beside the settings that they make:
//! `folder`, `services`, `kinds`, `email`, `sources`, `calendars`, `webhook`, `notifiers`, `ping`, `settings`, `sidecar`. A row names
//! the method of `reader` that reads its key, and most values are parsed by a pure function (`values`,
//! `durations`, `sizes`). A mistake is noted (`diagnostic`) and the reading goes on, so that a person
//! sees every mistake at once, each with its line and its cure. A file with a mistake makes no settings.
//!
//! A new key is one row, the line that uses it, and its line in `config.example.toml`, which a test
//! (`example`) compares with the rows.

mod analysis;
mod attendee;
mod calendars;
mod diagnostic;
mod document;
mod durations;
mod email;
mod environment;
mod error;
#[cfg(test)]
mod example;
mod folder;
mod folders;
mod globs;
mod http_server;
mod item;
mod kinds;
mod locate;
mod notes_by;
mod notifiers;
mod notify_event;
mod ping;
mod places;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod reader;
mod secret_file;
mod secrets;
mod services;
mod settings;
mod sidecar;
mod sizes;
mod sources;
mod speakers;
mod table_keys;
mod tables;
#[cfg(test)]
mod tests;
mod values;
mod webhook;
mod words;

pub use analysis::Analysis;
pub use attendee::Attendee;
pub(crate) use attendee::parse_visible_line;
pub(crate) use calendars::{CalendarLocation, CalendarSettings};
pub use email::{Allow, Email, Smtp, Tls};
pub(crate) use environment::Environment;
pub(crate) use error::ConfigError;
pub use folder::Format;
pub(crate) use folder::{
    Backlog, Convert, Folder, Limits, Links, OnSuccess, OnSuccessRemote, Recipients, Target,
    Transcript, Watch,
};
pub(crate) use globs::Globs;
pub(crate) use http_server::HttpServer;
pub(crate) use kinds::{
    Abilities, ApiKey, Kind, Koldan, MeetingType, Notes, Ondevice, Openai, Paxs, Recogniser, Saled,
    Summary, WhisperModel,
};
pub(crate) use locate::{load, load_with_text, locate, own_file, parse, system_file};
pub(crate) use notes_by::{NotesBy, NotesElse};
pub(crate) use notifiers::{
    HookAddress, HookCommand, Notifier, NotifyWay, NtfyTarget, NtfyTopic, WebhookTarget,
    read_hook_address, read_topic_name,
};
pub(crate) use notify_event::{NotifyEvent, NotifyKind};
pub(crate) use ping::Ping;
pub(crate) use secret_file::SecretFileError;
pub use secret_file::read_secret;
pub(crate) use services::{Poll, Service};
pub(crate) use settings::{Log, LogFormat, Retry, Settings, Workers};
pub(crate) use sidecar::{
    MeetingDate, SIDECAR_BYTES_MAX, SIDECAR_OF_DIRECTORY, Sidecar, read_sidecar, recording_of,
    sidecar_of,
};
pub use sources::Source;
pub use sources::SourceApi;
pub use speakers::Speakers;
pub(crate) use values::{ENGLISH, is_loopback};
