//! The interface of services that keep meetings: meetings are made, recordings sent, results
//! requested and read.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{AnalysisRequest, Attachment, CallError, NewMeeting, Upload, breaker::Call};
use crate::{
    config::OnSuccessRemote,
    job::{Key, Report},
    media_types,
};

/// A service that keeps meetings and makes notes of their recordings.
#[async_trait]
pub(crate) trait NotesService: Send + Sync + std::fmt::Debug {
    /// Returns the name of its table in the config.
    fn name(&self) -> &str;

    /// Returns the extensions that it takes, in lower case.
    fn accepted_extensions(&self) -> &'static [&'static str];

    /// Returns the MIME type that it wants for an extension.
    fn mime_type(&self, extension: &str) -> &'static str {
        media_types::mime_type(extension)
    }

    /// Returns whether it hears all sound tracks of a recording. Nothing is known of servers.
    fn hears_all_tracks(&self) -> bool {
        false
    }

    /// Reads the account's profile, as the service sends it: a cheap call that proves the service
    /// and the sign-in.
    async fn read_profile(&self) -> Result<serde_json::Value, CallError>;

    /// As [`Self::read_profile`], for the part of the service that makes this call: its notes may be
    /// written elsewhere.
    async fn read_profile_for(&self, _call: Call) -> Result<serde_json::Value, CallError> {
        self.read_profile().await
    }

    /// Has the model of another service that writes its notes answer one sentence; `None` where it
    /// has no such service.
    async fn try_writer(&self) -> Result<Option<String>, CallError> {
        Ok(None)
    }

    /// Makes a meeting and returns its id. A service without meetings returns the job's key, and
    /// finds the meeting by it.
    async fn create_meeting(&self, meeting: &NewMeeting) -> Result<String, CallError> {
        Ok(meeting.key.to_string())
    }

    /// Looks for the meeting that carries the marker of `key`, newest first.
    ///
    /// The walk ends where times prove that nothing older than a day before `_since` follows, else
    /// at the end of the list. An incomplete walk is an error: it proves nothing.
    async fn find_meeting(
        &self,
        key: &Key,
        _title: &str,
        _since: Timestamp,
    ) -> Result<Option<String>, CallError> {
        Ok(Some(key.to_string()))
    }

    /// Returns whether it has a list of meetings that may hold markers. No list is read before work
    /// begins where this is false.
    fn has_markers(&self) -> bool {
        false
    }

    /// Walks the whole list and returns every marker with the id of its meeting.
    async fn list_markers(&self) -> Result<Vec<(Key, String)>, CallError> {
        Ok(Vec::new())
    }

    /// Returns the recordings attached to a meeting.
    async fn list_attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError>;

    /// Sends a recording, replacing the one before, and returns its id.
    async fn upload_recording(&self, meeting: &str, upload: Upload) -> Result<String, CallError>;

    /// Returns the results so far. An empty list means that there are none yet.
    async fn read_reports(&self, meeting: &str, recording: &str) -> Result<Vec<Report>, CallError>;

    /// Asks for results, again or for the first time.
    async fn request_analyses(&self, request: &AnalysisRequest<'_>) -> Result<(), CallError>;

    /// Returns a page of the service's own list, as JSON objects. `page` starts at 1; an empty page
    /// is past the end.
    async fn list_meetings(&self, page: u32) -> Result<Vec<serde_json::Value>, CallError>;

    /// Returns the service's own details of a meeting.
    async fn read_meeting(&self, id: &str) -> Result<serde_json::Value, CallError>;

    /// Returns whether a service that waits for a person may be called again, as far as this
    /// machine can tell: its key has been replaced. A sign-in by `minuted login` is reported by
    /// that command instead.
    async fn may_be_mended(&self) -> bool {
        false
    }

    /// Removes the results of a meeting that the service keeps on this machine. Called once they
    /// are in the queue.
    async fn forget_results(&self, _meeting: &str) {}

    /// Removes voice prints that it keeps on this machine, but for those of these meetings, whose
    /// jobs are not finished.
    async fn forget_voice_prints(&self, _unfinished: &BTreeSet<String>) {}

    /// Deletes or purges a job's recording and results at the service. Called once the notes are
    /// delivered, and only of a service that can delete. A recording that is already gone is no
    /// error.
    async fn dispose_recording(
        &self,
        _meeting: &str,
        _recording: &str,
        _how: OnSuccessRemote,
    ) -> Result<(), CallError> {
        Ok(())
    }

    /// Ends the service's unfinished work on a job that a person has cancelled. Called only of a
    /// service that can do so; no other step depends on it.
    async fn cancel_analyses(&self, _meeting: &str, _recording: &str) -> Result<(), CallError> {
        Ok(())
    }
}
