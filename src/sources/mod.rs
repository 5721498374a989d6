//! Recordings that come from elsewhere: one trait, one folder a kind of source.
//!
//! A source keeps recordings of meetings that somebody else made (a bot that sat in). minuted lists what has ended,
//! brings each recording into a folder once, and from there it goes the way of all recordings.

mod draft;
mod engine;
mod erase;
mod fetch;
mod handle;
mod listing;
pub(crate) mod meetingbaas;
mod names;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use crate::{
    config,
    http::BuildError,
    job::{Details, Segment},
    services::{CallError, pacer::Pacer},
};

pub(crate) use engine::{FolderReady, SourceContext, SourceEngine};
pub(crate) use handle::{SourcesHandle, is_id};

/// The limit of one call of a vendor.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A vendor that keeps recordings of meetings. A call makes one attempt; its caller knows when to try again.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug {
    /// Returns its name in the config.
    fn name(&self) -> &str;

    /// Reads something cheap that proves the vendor and the key.
    async fn check_access(&self) -> Result<Value, CallError>;

    /// Returns a page of what ended at `since` or later; `cursor` is that of the page before.
    async fn list_ended(
        &self,
        since: Timestamp,
        cursor: Option<&str>,
    ) -> Result<RecordingPage, CallError>;

    /// Returns one recording, with addresses that are fresh.
    async fn get_recording(&self, id: &str) -> Result<Recording, CallError>;

    /// Has the vendor delete its copy; one that is deleted already is no error.
    async fn delete_recording(&self, id: &str) -> Result<(), CallError>;
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingPage {
    /// The recordings of the page, in the vendor's order.
    pub found: Vec<ListedRecording>,
    /// The cursor of the next page, where there is one.
    pub next: Option<String>,
}

/// A recording in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRecording {
    /// The vendor's id of it.
    pub id: String,
    /// The end of its meeting.
    pub ended: Timestamp,
}

/// A recording, as the vendor shows it now.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The vendor's id of it.
    pub id: String,
    /// Its files, or why there are none.
    pub availability: Availability,
    /// The end of its meeting, where the vendor gives one.
    pub ended: Option<Timestamp>,
    /// The details of its meeting: from the calendar, else from the bot.
    pub details: Details,
    /// The vendor's transcript, where there is one.
    pub transcript: Option<Vec<Segment>>,
}

/// Returns the vendor of a configured source.
///
/// # Errors
/// When its HTTP client cannot be built.
pub(crate) fn connect_source(
    source: &config::Source,
    workers: config::Workers,
) -> Result<Arc<dyn Source>, BuildError> {
    let pace = NonZeroU32::new(workers.requests_per_second).unwrap_or(NonZeroU32::MIN);
    let vendor =
        meetingbaas::MeetingBaas::new(source, REQUEST_TIMEOUT, Arc::new(Pacer::new(pace)))?;
    Ok(Arc::new(vendor))
}

/// The availability of a recording's files.
#[derive(Debug, Clone, PartialEq)]
pub enum Availability {
    /// The meeting goes on, or the vendor still works on its files.
    NotYet,
    /// Its files can be fetched: those that there are, the best first (audio, then video).
    Ready(Vec<RemoteFile>),
    /// There is none and never will be: the bot failed, or the vendor has deleted its files. Why.
    Lost(String),
}

/// A file at a vendor's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its address. The address itself is the permission, so no key is sent there.
    pub url: Url,
    /// The extension that its name gets, lower case.
    pub extension: &'static str,
}
