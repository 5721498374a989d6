//! Koldan of Dixilang, in its cloud or on one's own network, as a service.
//!
//! No meeting is made: the job's key stands for it. The *upload* sends the file and begins its
//! transcription, whose id is that of the recording. Each carries the job's marker, so that an
//! upload whose answer was lost is found by the hash of its bytes and recognised as this job's. A
//! *request* begins a summary by a template, which a person has made at Koldan; its text is the
//! meeting note.
//!
//! Undocumented parts of the interface are read in every plausible form. Each assumption is marked
//! (unknown) or (guess) where it is made.
//!
//! | file | task |
//! |---|---|
//! | `session` | calls and the mapping of their answers; lists, page by page |
//! | `upload` | a recording → a transcription, new or found |
//! | `results` | the results of a poll: transcription and summary |
//! | `summary` | summaries: found, begun and read |
//! | `templates` | templates by name or id |
//! | `quotas` | the account's limits |
//! | `dispose` | deletion once the notes are durable |
//! | `wire` | the forms of the answers |
//! | `plain` | plain text as Markdown |

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

use self::templates::CachedTemplates;
pub(crate) use self::{quotas::describe_quotas, session::FORBIDDEN, templates::missing_template};
use super::{
    AnalysisRequest, Attachment, CallError, NewMeeting, NotesService, Upload,
    http_service::{Credentials, HttpService, KeyHeader},
    pacer::{Pacer, Priority},
    result_cache::ResultCache,
};
use crate::{
    config::{self, Analysis, OnSuccessRemote},
    http::{BuildError, CallLimits, Request},
    job::{Key, Report},
};

/// Extensions that are sent. (unknown): no document lists the formats, so these are those that such
/// services commonly read. A format that Koldan does not take is refused in the answer to the
/// upload.
const ACCEPTS: [&str; 20] = [
    "3gp", "aac", "amr", "avi", "flac", "m4a", "mkv", "mov", "mp3", "mp4", "mpeg", "mpga", "oga",
    "ogg", "opus", "wav", "weba", "webm", "wma", "wmv",
];

/// Entries on one page of `minuted meetings`.
const MEETINGS_A_PAGE: &str = "50";

/// Koldan, by one table of the config.
#[derive(Debug)]
pub(crate) struct KoldanService {
    name: String,
    settings: config::Koldan,
    http: HttpService,
    /// The templates of unfinished summaries, which may differ from the present config.
    cache: ResultCache,
    /// The templates as they were read last.
    known: Mutex<Option<CachedTemplates>>,
}

impl KoldanService {
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
        let limits = CallLimits::new(service.request_timeout);
        Ok(Self {
            name: service.name.clone(),
            settings: settings.clone(),
            http: HttpService::new(&settings.base_url, limits, pacer, Some(credentials))?,
            cache,
            known: Mutex::default(),
        })
    }

    /// Returns the template of a job's notes, as the config has it.
    fn template_of(&self, meeting: &str) -> Option<&str> {
        self.settings.template(&folder_of(meeting))
    }

    /// Returns whether the folder of a job wants summaries, as the config has it.
    fn wants_summary(&self, meeting: &str) -> bool {
        self.settings.folders.contains_key(&folder_of(meeting))
    }
}

/// Returns the folder of a job, from its key.
fn folder_of(meeting: &str) -> String {
    meeting.parse::<Key>().map(|key| key.folder).unwrap_or_default()
}

#[async_trait]
impl NotesService for KoldanService {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepted_extensions(&self) -> &'static [&'static str] {
        &ACCEPTS
    }

    async fn read_profile(&self) -> Result<Value, CallError> {
        self.prove_key().await?;
        let templates = if self.settings.folders.is_empty() {
            Vec::new()
        } else {
            self.read_templates().await?.to_vec()
        };
        let may_write = self.may_write().await?;
        let quotas = self.read_quotas().await?;
        Ok(json!({ "templates": templates, "quotas": quotas, "may_write": may_write }))
    }

    /// Makes nothing, but checks the template of the folder: a missing one shows before hours of
    /// sound are sent for notes that cannot be written.
    async fn create_meeting(&self, meeting: &NewMeeting) -> Result<String, CallError> {
        if self.settings.folders.contains_key(&meeting.key.folder) {
            let wanted = self.settings.template(&meeting.key.folder);
            if let Err(message) = self.choose_template(wanted).await? {
                return Err(CallError::Refused { status: 404, message });
            }
        }
        Ok(meeting.key.to_string())
    }

    /// Lists nothing: an earlier upload is found by the hash of the file, which only the upload
    /// itself has.
    async fn list_attachments(&self, _meeting: &str) -> Result<Vec<Attachment>, CallError> {
        Ok(Vec::new())
    }

    async fn upload_recording(&self, meeting: &str, upload: Upload) -> Result<String, CallError> {
        let hash = upload::hash_recording(&upload).await?;
        if let Some(transcription) = self.find_uploaded(&hash, meeting, &upload.given_up).await? {
            return Ok(transcription);
        }
        self.require_quota().await?;
        self.send_recording(meeting, &upload).await
    }

    async fn read_reports(&self, meeting: &str, recording: &str) -> Result<Vec<Report>, CallError> {
        self.read_results(meeting, recording).await
    }

    async fn request_analyses(&self, request: &AnalysisRequest<'_>) -> Result<(), CallError> {
        if request.analyses.contains(&Analysis::MeetingNote) {
            self.begin_summary(request.meeting, request.recording).await?;
        }
        Ok(())
    }

    async fn list_meetings(&self, page: u32) -> Result<Vec<Value>, CallError> {
        let page = page.saturating_sub(1).to_string();
        let request = Request::get(&session::TRANSCRIPTIONS)
            .query("page", &page)
            .query("size", MEETINGS_A_PAGE);
        Ok(wire::page_entries(&self.read_json(request, Priority::High).await?)?.0)
    }

    async fn read_meeting(&self, id: &str) -> Result<Value, CallError> {
        if id.parse::<Key>().is_ok() {
            // The meeting is its key alone, and cannot be lost.
            return Ok(json!({ "id": id }));
        }
        self.read_json(Request::get(&session::transcription_path(id)), Priority::High).await
    }

    async fn may_be_mended(&self) -> bool {
        self.has_another_key_or_rights().await
    }

    async fn forget_results(&self, meeting: &str) {
        self.cache.forget_job(meeting).await;
    }

    async fn cancel_analyses(&self, _meeting: &str, recording: &str) -> Result<(), CallError> {
        self.cancel_summaries(recording).await
    }

    async fn dispose_recording(
        &self,
        _meeting: &str,
        recording: &str,
        how: OnSuccessRemote,
    ) -> Result<(), CallError> {
        self.delete_all(recording, how).await
    }
}
