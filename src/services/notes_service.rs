//! A notes service: meetings are made, recordings sent, results asked for and looked at.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{AnalysisRequest, Attachment, CallError, NewMeeting, Upload};
use crate::{
    config::OnSuccessRemote,
    job::{Key, Report},
    media_types,
};

/// A service that keeps meetings and makes notes of their recordings.
#[async_trait]
pub trait NotesService: Send + Sync + std::fmt::Debug {
    /// Returns the name of its table in the config.
    fn name(&self) -> &str;

    /// Returns the extensions that it takes, in lower case.
    fn accepts(&self) -> &'static [&'static str];

    /// Returns the MIME type that it wants for an extension.
    fn mime_type(&self, extension: &str) -> &'static str {
        media_types::mime_type(extension)
    }

    /// Returns whether it hears all sound tracks of what it is sent. Nobody knows that of a server.
    fn hears_all_tracks(&self) -> bool {
        false
    }

    /// Reads something cheap that proves the service and the sign-in: the profile, as the service gave it.
    async fn profile(&self) -> Result<serde_json::Value, CallError>;

    /// Makes a meeting and returns its id. Where there is none to make, the job's key stands for it, which is found
    /// again by itself.
    async fn create(&self, meeting: &NewMeeting) -> Result<String, CallError> {
        Ok(meeting.key.to_string())
    }

    /// Looks for the meeting that carries the marker of `key`, newest first.
    ///
    /// The walk ends where times prove that nothing older than a day before `_since` follows, else at the end of the
    /// list. An incomplete walk is an error: it proves nothing.
    async fn find(&self, key: &Key, _title: &str, _since: Timestamp) -> Result<Option<String>, CallError> {
        Ok(Some(key.to_string()))
    }

    /// Returns whether it has a list of meetings that may hold markers. Where it has none, nothing is read from it
    /// before work begins.
    fn has_markers(&self) -> bool {
        false
    }

    /// Walks the whole list and returns every marker with the id of its meeting.
    async fn markers(&self) -> Result<Vec<(Key, String)>, CallError> {
        Ok(Vec::new())
    }

    /// Returns the recordings attached to a meeting.
    async fn attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError>;

    /// Sends a recording, replacing the one before, and returns its id.
    async fn upload(&self, meeting: &str, upload: Upload) -> Result<String, CallError>;

    /// Returns the results that there are; an empty list is "not yet".
    async fn look(&self, meeting: &str, recording: &str) -> Result<Vec<Report>, CallError>;

    /// Asks for results, again or for the first time.
    async fn request(&self, request: &AnalysisRequest<'_>) -> Result<(), CallError>;

    /// Returns a page of the service's own list, as JSON objects. `page` starts at 1; an empty page is past the end.
    async fn meetings(&self, page: u32) -> Result<Vec<serde_json::Value>, CallError>;

    /// Returns the service's own details of a meeting.
    async fn meeting(&self, id: &str) -> Result<serde_json::Value, CallError>;

    /// Returns whether a service that waits for a person may be asked again, as far as that shows on this machine: its
    /// key is another one. Where a person signs in by a command, that command says so.
    async fn may_be_mended(&self) -> bool {
        false
    }

    /// The results of a meeting are in the queue: what the service keeps on this machine for it may go. One that keeps
    /// nothing here has nothing to do.
    async fn forget(&self, _meeting: &str) {}

    /// The notes of a job are where they belong: what the service itself keeps of it is deleted or purged. What is gone
    /// already is no error. Asked only of a service that can.
    async fn dispose(&self, _meeting: &str, _recording: &str, _how: OnSuccessRemote) -> Result<(), CallError> {
        Ok(())
    }

    /// A person has given a job up: what the service still works on for it may end. Nothing depends on whether it does.
    /// Asked only of a service that can.
    async fn cancel(&self, _meeting: &str, _recording: &str) -> Result<(), CallError> {
        Ok(())
    }
}
