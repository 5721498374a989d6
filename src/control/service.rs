//! The answers to questions, in the daemon and without one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{Answer, ApiAccess, ControlError, ControlRequest, JobName, PageAccess, Refusal};
use crate::{
    clock,
    config::{Folder, Kind, Settings},
    delivery::notifications,
    job::HoldReason,
    last_words::LastWords,
    runtime::{LiveConfig, ServiceHandle},
    sources::SourcesHandle,
    store::{CommandError, Hold, JobId, Scope, StateLock, Store, StoreError},
    text::{self, ShellCommand, printable_path},
    watch::{BacklogDecision, FolderHandle},
    worker::Worker,
};

/// The folders that are being watched, by id.
pub(crate) type Folders = Arc<RwLock<BTreeMap<String, FolderHandle>>>;

/// The answers to all questions, with the state that they need.
#[derive(Debug)]
pub(crate) struct ControlService {
    pub(super) queue: Store,
    live: watch::Receiver<Arc<LiveConfig>>,
    /// The daemon's worker; `None` when no daemon runs.
    pub(super) worker: Option<Arc<Worker>>,
    pub(super) folders: Folders,
    pub(super) last_words: Arc<LastWords>,
    /// The sources that run; none without a daemon.
    pub(super) sources: SourcesHandle,
    /// Who may see the page.
    pub(super) page_access: Arc<PageAccess>,
    /// Who may use the API.
    pub(super) api_access: Arc<ApiAccess>,
    _lock: Option<StateLock>,
}

impl ControlService {
    /// Returns the service of a daemon.
    #[must_use]
    pub(crate) fn of_daemon(
        worker: Arc<Worker>,
        folders: Folders,
        last_words: Arc<LastWords>,
    ) -> Self {
        let queue = worker.runtime.queue.clone();
        let live = worker.runtime.live.clone();
        let state_dir = worker.runtime.live().settings.state_dir.clone();
        let page_access = Arc::new(PageAccess::new(&state_dir));
        let api_access = Arc::new(ApiAccess::new(&state_dir));
        Self {
            queue,
            live,
            worker: Some(worker),
            folders,
            last_words,
            sources: SourcesHandle::default(),
            page_access,
            api_access,
            _lock: None,
        }
    }

    /// Returns a service for one command, where no daemon runs.
    pub(super) async fn for_one_command(
        settings: Arc<Settings>,
        lock: StateLock,
    ) -> Result<Self, ControlError> {
        let state_dir = settings.state_dir.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&state_dir)).await;
        let last_words = Arc::new(LastWords::new(&settings.state_dir));
        let queue = opened.map_err(|error| anyhow::anyhow!(error))??;
        queue.set_subscribers(notifications::subscribers(&settings));
        let page_access = Arc::new(PageAccess::new(&settings.state_dir));
        let api_access = Arc::new(ApiAccess::new(&settings.state_dir));
        let live = LiveConfig::build(settings, &TaskTracker::new(), None)?;
        let (_, live) = watch::channel(Arc::new(live));
        Ok(Self {
            queue,
            live,
            worker: None,
            folders: Folders::default(),
            last_words,
            sources: SourcesHandle::default(),
            page_access,
            api_access,
            _lock: Some(lock),
        })
    }

    /// Answers one question.
    pub(crate) async fn answer(&self, request: ControlRequest) -> Answer {
        match request {
            ControlRequest::Status => self.show_status().await,
            ControlRequest::Jobs { state, folder } => {
                self.list_jobs(state, folder.as_deref()).await
            }
            ControlRequest::Job { job } => self.show_job(job).await,
            ControlRequest::Why { path } => self.explain_path(&path).await,
            ControlRequest::PreviewEvent { path } => self.preview_event(&path).await,
            ControlRequest::Retry { job } => self.retry_job(job).await,
            ControlRequest::RetryFailed => self.retry_failed().await,
            ControlRequest::Redo { job } => self.redo_job(job).await,
            ControlRequest::Cancel { job } => self.cancel_job(job).await,
            ControlRequest::Analyse { job, analyses, mail } => {
                self.analyse_job(job, analyses, mail).await
            }
            ControlRequest::Speakers { job, names } => self.name_speakers(job, names).await,
            ControlRequest::Take { folder, path } => self.take_file(&folder, &path).await,
            ControlRequest::Scan { dry_run } => self.scan_folders(dry_run).await,
            ControlRequest::ModelInstalled => self.hasten_engine().await,
            ControlRequest::Pause { folder } => self.pause_folder(&folder).await,
            ControlRequest::Resume { folder } => self.resume_folder(&folder).await,
            ControlRequest::ShowBacklog { folder } => self.show_backlog(&folder).await,
            ControlRequest::Backlog { folder, process } => {
                self.decide_backlog(&folder, process).await
            }
            ControlRequest::CopyQueue => {
                Err(Refusal::new("a copy of the queue is handed over on the socket alone"))
            }
            ControlRequest::Try { file, config, what } => {
                self.try_configuration(&file, &config, what).await
            }
            ControlRequest::TestNotifier { notifier } => self.test_notifier(&notifier).await,
            ControlRequest::Whoami { service } => self.show_profile(service.as_deref()).await,
            ControlRequest::SignIn { service, code, redirect_uri } => {
                self.sign_in(&service, code, redirect_uri).await
            }
            ControlRequest::SignOut { service } => self.sign_out(service.as_deref()).await,
            ControlRequest::Page { new_token } => self.make_page_link(new_token),
            ControlRequest::ApiToken { new_token } => self.show_api_token(new_token),
            ControlRequest::Meetings { service, page } => {
                self.list_meetings(service.as_deref(), page).await
            }
            ControlRequest::SourceList { source } => self.source_list(source.as_deref()).await,
            ControlRequest::SourceFetch { source, id } => {
                self.source_fetch(source.as_deref(), &id).await
            }
            ControlRequest::Meeting { service, id } => {
                self.show_meeting(service.as_deref(), &id).await
            }
        }
    }

    /// Returns the settings in force.
    pub(super) fn live_settings(&self) -> Arc<LiveConfig> {
        Arc::clone(&self.live.borrow())
    }

    /// Wakes the daemon's loops, where there is a daemon.
    pub(super) fn wake_daemon(&self) {
        if let Some(worker) = &self.worker {
            worker.runtime.nudge();
        }
    }

    /// Finds a folder by its name.
    pub(crate) fn find_folder(&self, name: &str) -> Result<Arc<Folder>, Refusal> {
        let live = self.live_settings();
        let found = live.settings.folders.iter().find(|folder| folder.name == name);
        found.and_then(|folder| live.folders.get(&folder.id).cloned()).ok_or_else(|| {
            let names = live.settings.folders.iter().map(|folder| folder.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            Refusal::unknown(format!("there is no folder `{name}`"))
                .hint(format!("the folders are: {names}"))
        })
    }

    /// Finds a service by its name; the only one where none is named.
    pub(super) fn find_service(&self, name: Option<&str>) -> Result<Arc<ServiceHandle>, Refusal> {
        Self::service_of(&self.live_settings(), name)
    }

    /// Finds a service of these settings, as [`Self::find_service`] does.
    pub(super) fn service_of(
        live: &LiveConfig,
        name: Option<&str>,
    ) -> Result<Arc<ServiceHandle>, Refusal> {
        let found = match name {
            Some(name) => live.services.get(name),
            None if live.services.len() == 1 => live.services.values().next(),
            None => None,
        };
        found.cloned().ok_or_else(|| {
            let message = match name {
                Some(name) => format!("there is no service `{name}`"),
                None => "there are several services: name one".to_owned(),
            };
            let names = live.services.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Refusal::unknown(message).hint(format!("the services are: {names}"))
        })
    }

    /// Finds the folder that a path lies in, and the path below it.
    pub(super) fn locate_path(&self, path: &Path) -> Option<(Arc<Folder>, PathBuf)> {
        let live = self.live_settings();
        let real = path
            .parent()
            .and_then(|parent| Some(std::fs::canonicalize(parent).ok()?.join(path.file_name()?)));
        live.settings.folders.iter().find_map(|folder| {
            let root = std::fs::canonicalize(&folder.path).ok();
            let below = path
                .strip_prefix(&folder.path)
                .ok()
                .or_else(|| real.as_deref()?.strip_prefix(root.as_deref()?).ok())?
                .to_owned();
            Some((live.folders.get(&folder.id)?.clone(), below))
        })
    }

    /// Finds the number of a job that a person has named.
    pub(super) async fn find_job(&self, job: JobName) -> Result<JobId, Refusal> {
        match job {
            JobName::Id(id) => Ok(id),
            JobName::Key(key) => {
                let found = self.queue.jobs().find_by_key(key.clone()).await?;
                found.ok_or_else(|| {
                    Refusal::unknown(format!("there is no job `{}`", text::one_line(&key, 120)))
                        .hint("minuted jobs lists them")
                })
            }
            JobName::File(path) => {
                let found = match self.locate_path(&path) {
                    Some((folder, relative)) => {
                        self.queue.jobs().find_at_path(&folder.id, relative).await?
                    }
                    None => None,
                };
                found.ok_or_else(|| {
                    Refusal::unknown(format!("there is no job of `{}`", printable_path(&path)))
                        .hint(ShellCommand::new("minuted why").add_path(&path))
                })
            }
        }
    }

    /// Has what waits for the engine on this machine tried at once.
    async fn hasten_engine(&self) -> Answer {
        let live = self.live_settings();
        let now = clock::now();
        let mut folders = Vec::new();
        for (name, handle) in &live.services {
            if matches!(handle.settings.kind, Kind::Ondevice(_)) {
                handle.health.hasten_probes(now);
                let of_it = live.settings.folders.iter().filter(|folder| folder.service == *name);
                folders.extend(of_it.map(|folder| folder.id.clone()));
            }
        }
        let woken = self.queue.jobs().wake_folders(folders, now).await?;
        self.wake_daemon();
        Ok(json!({ "jobs": woken }))
    }

    async fn pause_folder(&self, name: &str) -> Answer {
        let folder = self.find_folder(name)?;
        let hold = Hold {
            scope: Scope::Folder,
            name: folder.id.clone(),
            reason: HoldReason::Paused,
            detail: "a person paused it".into(),
            since: clock::now(),
        };
        let new = self.queue.holds().add(hold, None).await?;
        let outcome =
            if new { "is paused: nothing new is begun there" } else { "is paused already" };
        Ok(json!({ "folder": name, "message": format!("folder `{name}` {outcome}") }))
    }

    async fn resume_folder(&self, name: &str) -> Answer {
        let folder = self.find_folder(name)?;
        let was =
            self.queue.holds().release(Scope::Folder, &folder.id, &[HoldReason::Paused]).await?;
        self.wake_daemon();
        let outcome = if was { "goes on" } else { "was not paused" };
        Ok(json!({ "folder": name, "message": format!("folder `{name}` {outcome}") }))
    }

    async fn decide_backlog(&self, name: &str, process: bool) -> Answer {
        let folder = self.find_folder(name)?;
        let count = match self.watch_of(&folder.id) {
            Some(handle) => {
                let decision =
                    if process { BacklogDecision::Process } else { BacklogDecision::Skip };
                let decided = handle.backlog(decision).await;
                decided.map_err(|error| match error.downcast::<StoreError>() {
                    Ok(error) => error.into(),
                    Err(error) => Refusal::new(text::one_line(&format!("{error:#}"), 500)),
                })?
            }
            None => u64::try_from(self.queue.files().decide_backlog(&folder.id, process).await?)
                .unwrap_or(u64::MAX),
        };
        let what = match (count, process) {
            (1, true) => "is queued",
            (1, false) => "is left alone",
            (_, true) => "are queued",
            (_, false) => "are left alone",
        };
        let none = count == 0 && process;
        let add = ShellCommand::new("minuted add FILE --folder").add_word(name);
        let more = if none { format!("; one that was skipped: {add}") } else { String::new() };
        let message =
            format!("{} of folder `{name}` {what}{more}", text::format_count(count, "recording"));
        Ok(json!({ "folder": name, "count": count, "message": message }))
    }

    /// Returns the watch on a folder, where a daemon has one.
    pub(super) fn watch_of(&self, folder: &str) -> Option<FolderHandle> {
        self.folders
            .read()
            .expect("no thread panics while it holds the folders")
            .get(folder)
            .cloned()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        // An error with a hint has no causes.
        let refusal = match error.hint() {
            Some(hint) => Self::new(error.to_string()).hint(hint),
            None => Self::new(crate::text::error_chain(&error)),
        };
        match error {
            StoreError::NoSuchJob { .. } => {
                Self { is_unknown: true, ..refusal.hint("minuted jobs lists them") }
            }
            StoreError::Open { .. }
            | StoreError::Copy { .. }
            | StoreError::Generations { .. }
            | StoreError::Full
            | StoreError::Locked
            | StoreError::Lost { .. }
            | StoreError::Disk(_)
            | StoreError::Moved { .. }
            | StoreError::Illegal(_)
            | StoreError::Corrupt { .. }
            | StoreError::Closed
            | StoreError::Sql(_) => refusal,
        }
    }
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Store(error) => error.into(),
            CommandError::Refused { job, why, hint } => {
                Self { hint, ..Self::new(format!("job {job} {why}")) }
            }
        }
    }
}

/// Serialises a value that always has a JSON form.
pub(super) fn to_value<T: serde::Serialize>(value: &T) -> Answer {
    serde_json::to_value(value).map_err(|error| Refusal::new(format!("a bug: {error}")))
}

/// Returns a short answer about a job.
pub(super) fn short_answer(id: JobId, message: &str) -> Value {
    json!({ "id": id, "message": format!("job {id} {message}") })
}
