//! Questions about jobs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::json;

use super::{
    Answer, ControlService, JobName, Refusal,
    daily_limit::Today,
    held::{held_by, not_configured},
    service::{short_answer, to_value},
};
use crate::{
    clock,
    config::{Analysis, Folder},
    delivery::generation_beside,
    job::{HoldReason, JobState, Stage, State, Wait, WaitReason},
    pipeline::{
        analyse::{deadline, is_slow},
        cancel::cancel_remotely,
    },
    runtime::LiveConfig,
    store::{
        AwaitedAnalysis, CommandError, Hold, Job, JobId, JobView, OriginalJob, RetentionOutcome,
        StoreError,
    },
    text::{one_line, printable_path},
};

impl ControlService {
    pub(super) async fn list_jobs(&self, state: Option<JobState>, folder: Option<&str>) -> Answer {
        let folder =
            folder.map(|name| self.find_folder(name)).transpose()?.map(|folder| folder.id.clone());
        let stored = match state {
            None => Vec::new(),
            // A ready job that is held is shown as waiting.
            Some(JobState::Waiting) => vec![JobState::Waiting, JobState::Ready],
            Some(state) => vec![state],
        };
        let holds = self.holds().await?;
        let today = self.today().await?;
        let jobs = self.queue.jobs().list(stored, folder).await?;
        let jobs: Vec<JobView> = jobs
            .into_iter()
            .map(|job| self.describe_job(job, &holds, &today))
            .filter(|job| state.is_none_or(|state| job.state == state))
            .collect();
        to_value(&jobs)
    }

    pub(super) async fn show_job(&self, job: JobName) -> Answer {
        let id = self.find_job(job).await?;
        to_value(&self.job_shown(id).await?)
    }

    pub(super) async fn job_shown(&self, id: JobId) -> Result<JobView, Refusal> {
        let holds = self.holds().await?;
        let today = self.today().await?;
        let job = self.queue.jobs().view(id).await?.ok_or(StoreError::NoSuchJob { job: id })?;
        let mut job = self.describe_job(job, &holds, &today);
        let notes = job.notes.clone();
        let missing = tokio::task::spawn_blocking(move || {
            notes.into_iter().filter(|notes| is_missing(notes)).collect()
        });
        job.notes_missing = missing.await.map_err(|error| Refusal::new(error.to_string()))?;
        let reports = self.queue.stages().read_results(id).await?;
        job.remarks = reports.into_iter().flat_map(|report| report.findings.remarks).collect();
        Ok(job)
    }

    /// Shows a job with its paths on this machine, and with the hold that it waits for.
    pub(super) fn describe_job(&self, mut job: JobView, holds: &[Hold], today: &Today) -> JobView {
        let live = self.live_settings();
        let now = clock::now();
        let folder = live.folders.get(&job.folder);
        if let Some(folder) = folder {
            job.service.get_or_insert_with(|| folder.service.clone());
        }
        let begins = matches!(job.stage, Some(Stage::Create | Stage::Upload));
        let configured = live.settings.folders.iter().any(|folder| folder.id == job.folder);
        if !configured && begins && job.state != JobState::Running
            || folder.is_none() && job.state == JobState::Ready
        {
            let name = folder.map_or(job.folder.as_str(), |folder| folder.name.as_str());
            job.hold = Some(not_configured(&job.folder, name, &live));
            job.state = JobState::Waiting;
            job.waits_for = Some(WaitReason::Folder);
        } else if let Some(hold) = job.apply(holds, now) {
            if waits_for_writer(&job, hold, &live) {
                job.waits_for = Some(WaitReason::Service);
            }
            job.hold = Some(held_by(hold, &live));
        } else {
            today.apply(&mut job, &live);
        }
        tell_hold(&mut job, now);
        job.awaiting = awaiting_analysis(&job, &live, now);
        if let Some(original) = &job.original {
            let place = folder.map_or_else(
                || original.relative.clone(),
                |folder| folder.path.join(&original.relative),
            );
            job.error = Some(as_original(original, &printable_path(&place), &job.notes));
        }
        if let Some(folder) = folder {
            job.locate(&folder.path);
            job.folder.clone_from(&folder.name);
        }
        job
    }

    pub(super) async fn retry_job(&self, job: JobName) -> Answer {
        self.calendars().expire(clock::now());
        let id = self.find_job(job).await?;
        if let Some(taken) = self.retry_beyond(id).await? {
            return Ok(taken);
        }
        let message = self.queue.jobs().retry(id, clock::now()).await?;
        self.wake_daemon();
        Ok(short_answer(id, &message))
    }

    pub(super) async fn retry_failed(&self) -> Answer {
        self.calendars().expire(clock::now());
        let ids = self.queue.jobs().ids_of_state("failed").await?;
        let mut retried = Vec::new();
        for id in ids {
            match self.queue.jobs().retry(id, clock::now()).await {
                Ok(_) => retried.push(id),
                Err(CommandError::Refused { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.wake_daemon();
        let message = match retried.len() {
            0 => "no job has failed".to_owned(),
            1 => "1 job is retried".to_owned(),
            many => format!("{many} jobs are retried"),
        };
        Ok(json!({ "ids": retried, "message": message }))
    }

    pub(super) async fn redo_job(&self, job: JobName) -> Answer {
        self.calendars().expire(clock::now());
        if let JobName::File(path) = &job
            && let Some(new) = self.redo_forgotten(path).await?
        {
            self.wake_daemon();
            return Ok(short_answer(new, "starts again: a new meeting and new notes"));
        }
        let id = self.find_job(job).await?;
        let known = self.queue.jobs().find(id).await?;
        let folder = known
            .as_ref()
            .and_then(|job| self.live_settings().folders.get(&job.key.folder).cloned());
        let beside = match known.zip(folder) {
            Some((job, folder)) => {
                self.expect_recording(id, &folder.path.join(&job.path)).await?;
                last_generation(folder, job.path).await?
            }
            None => 0,
        };
        let new = self.queue.jobs().redo(id, beside, clock::now()).await?;
        self.wake_daemon();
        Ok(
            json!({ "id": new, "message": format!("job {id} is redone as job {new}: a new meeting and new notes") }),
        )
    }

    /// Refuses a job whose recording minuted has deleted, unless somebody has brought it back.
    async fn expect_recording(&self, id: JobId, path: &Path) -> Result<(), Refusal> {
        let view = self.queue.jobs().view(id).await?;
        let outcome = view.and_then(|view| view.retention).and_then(|retention| retention.outcome);
        if outcome != Some(RetentionOutcome::Deleted) || path.exists() {
            return Ok(());
        }
        let message = format!(
            "job {id} has no recording any more: its time was over, and minuted deleted it"
        );
        Err(Refusal::new(message)
            .hint("copy the recording into the folder again, then minuted redo FILE"))
    }

    /// Takes in a file again whose job was removed from the history; `None` for any other file.
    async fn redo_forgotten(&self, path: &Path) -> Result<Option<JobId>, Refusal> {
        let Some((folder, relative)) = self.locate_path(path) else { return Ok(None) };
        if self.queue.jobs().find_forgotten(&folder.id, relative.clone()).await?.is_none() {
            return Ok(None);
        }
        let last = last_generation(Arc::clone(&folder), relative.clone()).await?;
        Ok(self.queue.jobs().redo_forgotten(&folder.id, relative, last, clock::now()).await?)
    }

    pub(super) async fn cancel_job(&self, job: JobName) -> Answer {
        let id = self.find_job(job).await?;
        let before = self.queue.jobs().find(id).await?;
        let message = self.queue.jobs().cancel(id, clock::now()).await?;
        if let Some(worker) = &self.worker {
            worker.activity.cancel(id);
            worker.tidy_converted().await;
        }
        let unfinished = self.queue.maintenance().unfinished_keys().await?;
        for handle in self.live_settings().services.values() {
            handle.service.forget_voice_prints(&unfinished).await;
        }
        let remark = match before {
            Some(job) => self.cancel_remotely(&job).await,
            None => None,
        };
        Ok(short_answer(
            id,
            &remark.map_or_else(|| message.clone(), |remark| format!("{message}; {remark}")),
        ))
    }

    /// Ends the service's work on a job that waits for it, where the service can; returns a note
    /// for the person.
    async fn cancel_remotely(&self, job: &Job) -> Option<String> {
        let State::Waiting { on: Wait::Analysis, .. } = job.state else { return None };
        let live = self.live_settings();
        let handle = live.service_for_job(&job.plan.as_ref()?.service)?;
        if !handle.settings.kind.abilities().cancels {
            return None;
        }
        Some(match cancel_remotely(handle.service.as_ref(), job).await {
            Ok(()) => "the service ends its work on it".to_owned(),
            Err(error) => {
                format!("the service may go on with it: {}", one_line(&error.to_string(), 300))
            }
        })
    }

    pub(super) async fn analyse_job(
        &self,
        job: JobName,
        analyses: Vec<Analysis>,
        mail: bool,
    ) -> Answer {
        let id = self.find_job(job).await?;
        let message = self.queue.jobs().reanalyse(id, analyses, mail, clock::now()).await?;
        self.wake_daemon();
        Ok(short_answer(id, &message))
    }
}

/// Returns whether a job whose transcript is there waits for the service that writes its notes, and
/// not for an analysis that is under way.
fn waits_for_writer(job: &JobView, hold: &Hold, live: &LiveConfig) -> bool {
    let handle = job.service.as_deref().and_then(|name| live.service_for_job(name));
    hold.reason == HoldReason::Down && handle.is_some_and(|handle| handle.settings.notes.is_some())
}

/// Returns the last generation among the notes beside a recording.
async fn last_generation(folder: Arc<Folder>, recording: PathBuf) -> Result<u32, Refusal> {
    let looked = tokio::task::spawn_blocking(move || generation_beside(&folder, &recording)).await;
    looked.map_err(|error| Refusal::new(error.to_string()))
}

/// Copies the hold of a job into its error and its time, which scripts read.
fn tell_hold(job: &mut JobView, now: Timestamp) {
    let Some(hold) = job.hold.as_ref().filter(|_| job.waits_for != Some(WaitReason::Analysis))
    else {
        return;
    };
    job.error.get_or_insert_with(|| hold.detail.clone());
    if let Some(next) = hold.next_try.filter(|_| job.due.is_none_or(|due| due <= now)) {
        job.due = Some(next);
    }
}

/// Returns the progress of the analysis that a job waits for.
fn awaiting_analysis(job: &JobView, live: &LiveConfig, now: Timestamp) -> Option<AwaitedAnalysis> {
    let since = job.awaiting_since.filter(|_| job.waits_for == Some(WaitReason::Analysis))?;
    let poll = live.service_for_job(job.service.as_deref()?)?.settings.poll;
    let until = since.saturating_add(deadline(&poll)).unwrap_or(Timestamp::MAX);
    Some(AwaitedAnalysis { since, slow: is_slow(&poll, since, now), until })
}

/// Describes why a copy was skipped, by the state of the job with its content or its sound.
fn as_original(original: &OriginalJob, path: &str, notes: &[String]) -> String {
    let id = original.id;
    let what =
        if original.by_sound { "it has the same sound as" } else { "its content is that of" };
    match original.state {
        JobState::Done => {
            let done = if original.by_sound {
                format!("it has the same sound as job {id} (`{path}`), which is done")
            } else {
                format!("its content is done already, as job {id} (`{path}`)")
            };
            if notes.is_empty() {
                done
            } else {
                format!("{done}: the notes are {}", notes.join(", "))
            }
        }
        JobState::Failed => {
            format!("{what} job {id} (`{path}`), which has failed: minuted retry {id}")
        }
        JobState::Cancelled => {
            format!("{what} job {id} (`{path}`), which was cancelled: minuted retry {id}")
        }
        JobState::Ready | JobState::Running | JobState::Waiting | JobState::Skipped => {
            format!("{what} job {id} (`{path}`), which is being worked on")
        }
    }
}

/// Returns whether notes are certainly missing. An escaped name cannot be looked up, and the notes
/// were not deleted one by one where their whole directory is missing.
fn is_missing(notes: &str) -> bool {
    let path = std::path::Path::new(notes);
    let is_near = path.parent().is_some_and(std::path::Path::is_dir);
    is_near && !notes.contains('\\') && matches!(path.try_exists(), Ok(false))
}
