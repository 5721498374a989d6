//! File and environment → typed, validated settings.
//!
//! [`locate()`] finds the file, [`load`] reads it. The text is parsed into a tree with places (`document`), walked
//! table by table (`reader`, `item`; `services`, `email`, `rules`, `folders`), and each value is read by a pure function
//! (`values`, `durations`). Whatever is wrong is noted (`diagnostic`) and the reading goes on, so that a person sees
//! every mistake at once, each with its line and what to write instead. A file with a mistake makes no settings.

mod attendee;
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
mod item;
mod keys;
mod kinds;
mod locate;
mod places;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod reader;
mod rules;
mod secret_file;
mod secrets;
mod services;
mod settings;
mod sidecar;
mod sizes;
mod sources;
#[cfg(test)]
mod tests;
mod values;
mod webhook;
mod words;

pub use diagnostic::Report;
pub use environment::Environment;
pub use error::ConfigError;
pub use folder::*;
pub use kinds::{
    Abilities, ApiKey, Kind, Koldan, Notes, Ondevice, Openai, Paxs, Recogniser, Saled, Summary, SummaryFormat,
};
pub use locate::{load, load_with_text, locate, parse};
pub use secret_file::{SecretFileError, read_secret};
pub use settings::*;
pub use sidecar::{SIDECAR_BYTES_MAX, SIDECAR_OF_DIRECTORY, Sidecar, When, read_sidecar, recording_of, sidecar_of};
