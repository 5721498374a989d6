//! Answers for the page and the API alone: jobs by the page, one job with its notes, its recording, who may.

use std::{ffi::OsStr, fs::File, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Answer, ApiAccess, ControlService, ExplainContext, PageAccess, Refusal, explain_job,
    service::to_value,
};
use crate::{
    beneath::open_below,
    clock,
    config::{HttpServer, Settings},
    delivery::{Minutes, read_minutes},
    media_types::mime_type,
    store::{JobId, JobQuery, JobView},
};

/// The answer to `page`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageLink {
    /// The address that opens the page, once.
    pub link: String,
    /// The end of the link.
    pub expires: Timestamp,
    /// True where all sessions were ended.
    pub sessions_ended: bool,
}

/// The answer to `page --api-token`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ApiToken {
    /// The token, which stands in `Authorization: Bearer TOKEN`.
    pub token: String,
    /// The address of the API.
    pub url: String,
}

/// One job, as its page shows it.
#[derive(Debug)]
pub(crate) struct JobFacts {
    /// The job with its history.
    pub job: JobView,
    /// Where it is, in words.
    pub explanation: String,
    /// What a person can type.
    pub hint: Option<String>,
    /// Its notes, as they would be written now.
    pub minutes: Option<Minutes>,
}

impl ControlService {
    /// Returns who may see the page.
    #[must_use]
    pub(crate) fn page_access(&self) -> &Arc<PageAccess> {
        &self.page_access
    }

    /// Returns who may use the API.
    #[must_use]
    pub(crate) fn api_access(&self) -> &Arc<ApiAccess> {
        &self.api_access
    }

    /// Returns the settings in force.
    #[must_use]
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.live_settings().settings)
    }

    /// Returns how many times the queue was written: where it is the same, nothing has changed.
    #[must_use]
    pub(crate) fn queue_version(&self) -> u64 {
        self.queue.version()
    }

    /// Returns how far the jobs that run now are, in per cent; nothing is read for it.
    #[must_use]
    pub(crate) fn running_percent(&self) -> Vec<(JobId, u64)> {
        let Some(worker) = &self.worker else { return Vec::new() };
        let running = worker.activity.snapshot();
        running
            .into_iter()
            .map(|(id, active)| {
                let (done, total) = active.progress.read();
                (id, done.saturating_mul(100).checked_div(total).unwrap_or(0).min(100))
            })
            .collect()
    }

    pub(super) fn make_page_link(&self, new_token: bool) -> Answer {
        let settings = self.settings();
        let http = find_http(&settings)?;
        if self.worker.is_none() {
            return Err(Refusal::new("no daemon runs, so there is no page")
                .hint("start it: minuted run, or systemctl start minuted"));
        }
        let failed =
            |error: std::io::Error| Refusal::new(format!("failed to make a link: {error}"));
        if new_token {
            self.page_access.end_sessions().map_err(failed)?;
        }
        let code = self.page_access.make_code().map_err(failed)?;
        let expires =
            clock::now().saturating_add(super::page_access::CODE_LIFE).unwrap_or(Timestamp::MAX);
        let link = format!("{}/enter?code={code}", http.origin());
        to_value(&PageLink { link, expires, sessions_ended: new_token })
    }

    pub(super) fn show_api_token(&self, new_token: bool) -> Answer {
        let settings = self.settings();
        let http = find_http(&settings)?;
        let access = &self.api_access;
        let token = if new_token { access.make_token() } else { access.read_or_make_token() };
        let token =
            token.map_err(|error| Refusal::new(format!("failed to keep the token: {error}")))?;
        to_value(&ApiToken { token, url: format!("{}/api/v1", http.origin()) })
    }

    /// Returns the latest jobs that match; the query names a folder by its name.
    ///
    /// # Errors
    /// When the queue cannot be read, or there is no such folder.
    pub(crate) async fn latest_jobs(&self, query: JobQuery) -> Result<Vec<JobView>, Refusal> {
        let folder = query.folder.as_deref().map(|name| self.find_folder(name)).transpose()?;
        let query = JobQuery { folder: folder.map(|folder| folder.id.clone()), ..query };
        let holds = self.holds().await?;
        let today = self.today().await?;
        let jobs = self.queue.jobs().list_latest(query).await?;
        Ok(jobs.into_iter().map(|job| self.describe_job(job, &holds, &today)).collect())
    }

    /// Returns what the page of a job shows; `None` where there is no such job.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn job_facts(&self, id: JobId) -> Result<Option<JobFacts>, Refusal> {
        let Some(stored) = self.queue.jobs().view(id).await? else { return Ok(None) };
        let job = self.job_shown(stored.id).await?;
        let context = ExplainContext { daemon: true, is_gone: false, now: clock::now() };
        let (explanation, hint) = explain_job(&job, context);
        let minutes = match self.queue.jobs().find(id).await {
            Ok(Some(record)) => Some(read_minutes(&self.queue, &record, &job.folder).await?),
            Ok(None) | Err(_) => None,
        };
        Ok(Some(JobFacts { job, explanation, hint, minutes }))
    }

    /// Opens the recording of a job, with its media type; `None` where it is not there. No link is followed.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn open_recording(
        &self,
        id: JobId,
    ) -> Result<Option<(File, &'static str)>, Refusal> {
        let Some(job) = self.queue.jobs().view(id).await? else { return Ok(None) };
        let Some(folder) = self.live_settings().folders.get(&job.folder).cloned() else {
            return Ok(None);
        };
        let extension = job.relative.extension().and_then(OsStr::to_str).unwrap_or_default();
        let media_type = mime_type(&extension.to_ascii_lowercase());
        let opened = tokio::task::spawn_blocking(move || {
            open_below(&folder.path, &folder.path.join(&job.relative))
        });
        match opened.await {
            Ok(Ok(Some(file))) => Ok(Some((file, media_type))),
            Ok(Ok(None) | Err(_)) | Err(_) => Ok(None),
        }
    }
}

fn find_http(settings: &Settings) -> Result<&HttpServer, Refusal> {
    settings.http.as_ref().ok_or_else(|| {
        Refusal::new("there is no page: the configuration has no `[http]`")
            .hint("write [http] and listen = \"127.0.0.1:8765\" into it, and reload the daemon")
    })
}
