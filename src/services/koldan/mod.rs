//! Koldan of Dixilang, in its cloud or in the house, as a service.
//!
//! There is no meeting to make: the job's key stands for it. The *upload* sends the file and begins its transcription,
//! whose id is that of the recording; each carries the job's marker, so that one whose answer was lost is found by the
//! hash of its bytes and recognised as this job's. A *request* begins a summary by a template, which a person has made
//! at Koldan; its text is the meeting note.
//!
//! What nobody outside knows of the interface is read both ways; the assumption stands where it is made.
//!
//! | file | what it does |
//! |---|---|
//! | `session` | one call, and what its answer means; lists, page by page |
//! | `upload` | a recording → a transcription, or the one that is there |
//! | `results` | what a look shows: the transcription and the summary |
//! | `summary` | summaries are found, begun and read |
//! | `templates` | templates by name or id |
//! | `quotas` | what is left of the account's limits |
//! | `dispose` | what is deleted once the notes are durable |
//! | `wire` | what Koldan answers |
//! | `plain` | plain text as Markdown that shows the same |

mod dispose;
mod plain;
mod quotas;
mod results;
mod session;
mod summary;
mod templates;
mod upload;
mod wire;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};

use self::templates::Known;
pub use self::{quotas::told as quotas_told, session::FORBIDDEN, templates::missing as missing_template};
use super::{
    AnalysisRequest, Attachment, CallError, NewMeeting, NotesService, Upload,
    http_service::{Credentials, HttpService, KeyHeader},
    pacer::{Pacer, Priority},
    result_cache::ResultCache,
};
use crate::{
    config::{self, Analysis, OnSuccessRemote},
    http::{BuildError, Limits, Request},
    job::{Key, Report},
};

/// What is sent to it. (unknown): no document lists the formats, so these are those that such services commonly read; one
/// that it does not take is refused by its answer to the upload.
const ACCEPTS: [&str; 20] = [
    "3gp", "aac", "amr", "avi", "flac", "m4a", "mkv", "mov", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "opus", "wav",
    "weba", "webm", "wma", "wmv",
];

/// Entries of a page of `minuted meetings`.
const MEETINGS_A_PAGE: &str = "50";

/// Koldan, by one table of the config.
#[derive(Debug)]
pub(crate) struct Koldan {
    name: String,
    settings: config::Koldan,
    http: HttpService,
    /// The templates that summaries under way were asked for by, whatever the config says since.
    cache: ResultCache,
    /// The templates, as they were a moment ago.
    known: Mutex<Option<Known>>,
}

impl Koldan {
    /// Returns the service of these settings. `pacer` is shared by all its users.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(crate) fn new(
        service: &config::Service,
        settings: &config::Koldan,
        cache: ResultCache,
        pacer: Arc<Pacer>,
    ) -> Result<Self, BuildError> {
        let place = settings.api_key.clone();
        let credentials = Credentials { place, header: KeyHeader::Named(session::KEY_HEADER) };
        let limits = Limits::new(service.request_timeout);
        Ok(Self {
            name: service.name.clone(),
            settings: settings.clone(),
            http: HttpService::new(&settings.base_url, limits, pacer, Some(credentials))?,
            cache,
            known: Mutex::default(),
        })
    }

    /// Returns the template that the notes of a job are made by, as the config has it.
    fn template_of(&self, meeting: &str) -> Option<&str> {
        self.settings.template(&folder_of(meeting))
    }

    /// Returns whether the folder of a job wants summaries, as the config has it.
    fn summarises(&self, meeting: &str) -> bool {
        self.settings.folders.contains_key(&folder_of(meeting))
    }
}

/// The folder of a job, by its key.
fn folder_of(meeting: &str) -> String {
    meeting.parse::<Key>().map(|key| key.folder).unwrap_or_default()
}

#[async_trait]
impl NotesService for Koldan {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> &'static [&'static str] {
        &ACCEPTS
    }

    async fn profile(&self) -> Result<Value, CallError> {
        self.prove().await?;
        let templates =
            if self.settings.folders.is_empty() { Vec::new() } else { self.read_templates().await?.to_vec() };
        let (may_write, quotas) = (self.may_write().await?, self.quotas().await?);
        Ok(json!({ "templates": templates, "quotas": quotas, "may_write": may_write }))
    }

    /// Nothing is made here. But a template that is not there is the folder's matter, and shows before hours of sound are
    /// sent for notes that nobody can write.
    async fn create(&self, meeting: &NewMeeting) -> Result<String, CallError> {
        if self.settings.folders.contains_key(&meeting.key.folder) {
            let wanted = self.settings.template(&meeting.key.folder);
            if let Err(message) = self.template(wanted).await? {
                return Err(CallError::Refused { status: 404, message });
            }
        }
        Ok(meeting.key.to_string())
    }

    /// What an upload has left is found by the hash of the file, which only the upload itself has: nothing is listed here.
    async fn attachments(&self, _meeting: &str) -> Result<Vec<Attachment>, CallError> {
        Ok(Vec::new())
    }

    async fn upload(&self, meeting: &str, upload: Upload) -> Result<String, CallError> {
        let hash = upload::hash(&upload).await?;
        if let Some(transcription) = self.find_uploaded(&hash, meeting, &upload.given_up).await? {
            return Ok(transcription);
        }
        self.require_quota().await?;
        self.send(meeting, &upload).await
    }

    async fn look(&self, meeting: &str, recording: &str) -> Result<Vec<Report>, CallError> {
        self.results(meeting, recording).await
    }

    async fn request(&self, request: &AnalysisRequest<'_>) -> Result<(), CallError> {
        if request.analyses.contains(&Analysis::MeetingNote) {
            self.summarise(request.meeting, request.recording).await?;
        }
        Ok(())
    }

    async fn meetings(&self, page: u32) -> Result<Vec<Value>, CallError> {
        let page = page.saturating_sub(1).to_string();
        let request = Request::get(&session::TRANSCRIPTIONS).query("page", &page).query("size", MEETINGS_A_PAGE);
        Ok(wire::entries(&self.json(request, Priority::High).await?)?.0)
    }

    async fn meeting(&self, id: &str) -> Result<Value, CallError> {
        if id.parse::<Key>().is_ok() {
            // The meeting is nothing but its key, and cannot get lost.
            return Ok(json!({ "id": id }));
        }
        self.json(Request::get(&session::transcription(id)), Priority::High).await
    }

    async fn may_be_mended(&self) -> bool {
        self.has_another_key_or_rights().await
    }

    async fn forget(&self, meeting: &str) {
        self.cache.forget_job(meeting).await;
    }

    async fn cancel(&self, _meeting: &str, recording: &str) -> Result<(), CallError> {
        self.cancel_summaries(recording).await
    }

    async fn dispose(&self, _meeting: &str, recording: &str, how: OnSuccessRemote) -> Result<(), CallError> {
        self.delete_all(recording, how).await
    }
}
