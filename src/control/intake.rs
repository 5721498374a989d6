//! Questions about the folders' files: take one in, look through all.

use std::{path::Path, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime::Handle;

use super::{Answer, ControlService, Refusal, service::to_value};
use crate::{
    clock,
    config::{Convert, Folder},
    job::HoldReason,
    services::{accepted_extensions, convertible_extensions, forecast},
    store::{JobId, Settled, Sighting},
    text::{format_count, one_line, printable_path},
    watch::{self, FolderView},
};

impl ControlService {
    /// Takes in a file that was put into a folder whole, without waiting for it to settle.
    pub(super) async fn take_file(&self, name: &str, path: &Path) -> Answer {
        let folder = self.find_folder(name)?;
        let located = self.locate_path(path).filter(|(found, _)| found.id == folder.id);
        let (found, relative) = located.ok_or_else(|| {
            Refusal::new(format!("`{}` does not lie in folder `{name}`", printable_path(path)))
        })?;
        let accepts = self.accepted_extensions(&folder);
        let last_words = Arc::clone(&self.last_words);
        let queue = self.queue.clone();
        let settled = tokio::task::spawn_blocking(move || {
            watch::settle_now(
                &found,
                &accepts,
                relative,
                &|path: &Path, stamp| last_words.mark_or_go_on(&found.id, path, stamp),
                &|size| {
                    Handle::current()
                        .block_on(queue.jobs().has_size(&found.id, size))
                        .unwrap_or(true)
                },
            )
        });
        let settled: Settled = settled
            .await
            .map_err(|error| Refusal::new(error.to_string()))?
            .map_err(|error| Refusal::new(one_line(&format!("{error:#}"), 500)))?;
        let reason = self.unsupported(&folder);
        let taken = self.queue.files().take(vec![settled], reason, clock::now()).await?;
        self.wake_daemon();
        let taken =
            taken.into_iter().next().ok_or_else(|| Refusal::new("a bug: nothing was taken"))?;
        let job = taken.job;
        let message = match &taken.skipped {
            Some(why) => format!("job {job} is skipped: {why}"),
            None => format!("queued as job {job}"),
        };
        Ok(json!({ "id": job, "path": printable_path(path), "message": message }))
    }

    /// Takes in a file again that exceeded a limit of its folder; `None` for any other job.
    pub(super) async fn retry_beyond(
        &self,
        id: JobId,
    ) -> Result<Option<serde_json::Value>, Refusal> {
        let Some((folder, path)) = self.queue.jobs().find_beyond_limits(id).await? else {
            return Ok(None);
        };
        let Some(folder) = self.live_settings().settings.folder(&folder).cloned() else {
            return Ok(None);
        };
        let taken = self.take_file(&folder.name, &folder.path.join(path)).await?;
        Ok(Some(taken))
    }

    /// Returns the extensions that the service of a folder accepts.
    pub(crate) fn accepted_extensions(&self, folder: &Folder) -> Vec<String> {
        let live = self.live_settings();
        live.services
            .get(&folder.service)
            .map(|handle| accepted_extensions(folder, handle.service.as_ref()))
            .unwrap_or_default()
    }

    /// Returns the reason that is recorded for a file that the folder's service does not accept.
    pub(super) fn unsupported(&self, folder: &Folder) -> String {
        let live = self.live_settings();
        let handle = live.services.get(&folder.service);
        handle.map(|handle| unsupported(folder, handle.service.as_ref())).unwrap_or_default()
    }

    /// Scans all folders now, or lists the files that a scan would take in.
    pub(super) async fn scan_folders(&self, dry_run: bool) -> Answer {
        if dry_run {
            return self.survey_folders().await;
        }
        if self.worker.is_none() {
            return Err(Refusal::new("no daemon runs, so nothing takes what a scan finds")
                .hint("minuted run --once scans, works until nothing is left to do, and exits"));
        }
        let folders: Vec<_> = self
            .folders
            .read()
            .expect("no thread panics while it holds the folders")
            .values()
            .cloned()
            .collect();
        // Sidecars beside recordings are read again, too.
        self.queue.jobs().wake_with_invalid_metadata(None, clock::now()).await?;
        self.wake_daemon();
        let mut scanned = 0_u64;
        let mut troubles = Vec::new();
        for folder in folders {
            tokio::select! {
                scanned = folder.scan() => scanned.map_err(|error| Refusal::new(error.to_string()))?,
                () = wait_for_silence(folder.view()) => {}
            }
            match folder.view().status().trouble.filter(|trouble| trouble.kind.blocks_stages()) {
                Some(trouble) => troubles.push(one_line(&trouble.detail, 300)),
                None => scanned += 1,
            }
        }
        let outcome = format!("scanned {}", format_count(scanned, "folder"));
        if troubles.is_empty() {
            return Ok(json!({ "folders": scanned, "message": outcome }));
        }
        let lost = format_count(troubles.len() as u64, "folder");
        let refusal =
            Refusal::new(format!("{outcome}; {lost} cannot be scanned: {}", troubles.join("; ")));
        Err(refusal.hint("minuted check; a folder in trouble is tried again every few seconds"))
    }

    /// Returns all files that were seen in a folder.
    async fn known_files(&self, folder: &str) -> Result<Vec<Sighting>, Refusal> {
        let mut known: Vec<Sighting> = Vec::new();
        loop {
            let after = known.last().map(|sighting| sighting.path.clone()).unwrap_or_default();
            let page = self.queue.files().list(folder, &after).await?;
            if page.is_empty() {
                return Ok(known);
            }
            known.extend(page);
        }
    }

    async fn survey_folders(&self) -> Answer {
        let mut found = Vec::new();
        for folder in &self.live_settings().settings.folders {
            found.extend(self.survey(folder).await?);
        }
        to_value(&found)
    }

    /// Lists the recordings of a folder that wait for `minuted backlog`.
    pub(super) async fn show_backlog(&self, name: &str) -> Answer {
        let folder = self.find_folder(name)?;
        let mut found = self.survey(&folder).await?;
        found.retain(|file| file.is_backlog);
        to_value(&found)
    }

    /// Returns the files of a folder that are not taken in, and what its service takes for each.
    async fn survey(&self, folder: &Folder) -> Result<Vec<SurveyedFile>, Refusal> {
        let known = self.known_files(&folder.id).await?;
        let accepts = self.accepted_extensions(folder);
        let last_words = Arc::clone(&self.last_words);
        let surveyed = folder.clone();
        let new = tokio::task::spawn_blocking(move || {
            let mark = |path: &Path, stamp| last_words.mark_or_go_on(&surveyed.id, path, stamp);
            watch::survey_folder(&surveyed, &accepts, &known, &mark)
        })
        .await;
        let new = new.map_err(|error| Refusal::new(error.to_string()))?.map_err(|error| {
            Refusal::new(format!("folder `{}`: {error:#}", folder.name)).hint("minuted check")
        })?;
        let live = self.live_settings();
        let service = live.services.get(&folder.service);
        let shown = new.into_iter().map(|file| {
            let length = file.length.map(|length| length.length);
            let taken = service
                .zip(length)
                .map(|(handle, length)| forecast(&handle.settings, folder, length));
            SurveyedFile {
                folder: folder.name.clone(),
                path: printable_path(&file.path),
                size: file.size,
                why: file.why,
                seconds: length.map(|length| length.as_secs_f64()),
                estimated: file.length.is_some_and(|length| length.is_estimated),
                service: folder.service.clone(),
                work_seconds: taken.and_then(|taken| Some(taken.work?.as_secs_f64())),
                calls: taken.map_or(0, |taken| taken.calls),
                is_backlog: file.is_backlog,
            }
        });
        Ok(shown.collect())
    }
}

/// A file that is not taken in, as `scan --dry-run` and `backlog` show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SurveyedFile {
    /// The name of its folder.
    pub folder: String,
    /// Its path below the folder.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// The fate that it would have.
    pub why: String,
    /// The length of a recording that would be sent, in seconds; `None` for other files.
    pub seconds: Option<f64>,
    /// True if the length is estimated from size and bit rate.
    pub estimated: bool,
    /// The name of its service.
    pub service: String,
    /// Processor time on this machine, in seconds, where that is known.
    pub work_seconds: Option<f64>,
    /// Recordings that are sent to the service: one, or none on this machine.
    pub calls: u64,
    /// True if it waits for a person's decision.
    #[serde(skip)]
    is_backlog: bool,
}

/// Waits until a folder's file system is known not to answer, because its scan would never end.
async fn wait_for_silence(view: &FolderView) {
    while view.status().trouble.is_none_or(|trouble| trouble.kind != HoldReason::Silent) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Returns the reason that is recorded for a file that a folder's service does not accept.
#[must_use]
pub(crate) fn unsupported(folder: &Folder, service: &dyn crate::services::NotesService) -> String {
    let list = accepted_extensions(folder, service).join(" ");
    let more =
        if folder.convert == Convert::No { convertible_extensions(service) } else { Vec::new() };
    let hint = match more.as_slice() {
        [] => String::new(),
        more => format!("; with convert = \"ffmpeg\" in the folder also: {}", more.join(" ")),
    };
    format!("service `{}` does not take this kind of file; it takes: {list}{hint}", service.name())
}
