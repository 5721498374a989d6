//! Questions about jobs.

use serde_json::json;

use super::{
    Answer, Desk, JobName, Refusal,
    desk::{done, to_value},
};
use crate::{
    clock,
    config::Analysis,
    queue::{CommandError, Hold, JobId, JobView, QueueError},
};

/// The words of `jobs --state`, and the stored states that may be shown so.
const STATES: [(&str, &[&str]); 7] = [
    ("ready", &["ready"]),
    ("running", &["running"]),
    ("waiting", &["waiting", "ready"]),
    ("done", &["done"]),
    ("failed", &["failed"]),
    ("skipped", &["skipped"]),
    ("cancelled", &["cancelled"]),
];

impl Desk {
    pub(super) async fn jobs(&self, state: Option<&str>, folder: Option<&str>) -> Answer {
        let folder = folder.map(|name| self.folder(name)).transpose()?.map(|folder| folder.id.clone());
        let stored = match state {
            None => Vec::new(),
            Some(word) => {
                let known = STATES.iter().find(|(known, _)| *known == word);
                known.ok_or_else(|| Refusal::new(format!("`{word}` is not a state")))?.1.to_vec()
            }
        };
        let holds = self.queue.holds().await?;
        let jobs = self.queue.jobs(stored, folder).await?;
        let jobs: Vec<JobView> = jobs
            .into_iter()
            .map(|job| self.shown(job, &holds))
            .filter(|job| state.is_none_or(|state| job.state == state))
            .collect();
        to_value(&jobs)
    }

    pub(super) async fn job(&self, job: JobName) -> Answer {
        let id = self.id(job).await?;
        to_value(&self.job_shown(id).await?)
    }

    pub(super) async fn job_shown(&self, id: JobId) -> Result<JobView, Refusal> {
        let holds = self.queue.holds().await?;
        let job = self.queue.job_view(id).await?.ok_or(QueueError::NoSuchJob { job: id })?;
        Ok(self.shown(job, &holds))
    }

    /// Shows a job by its place on this machine, and what it waits for given what is held.
    fn shown(&self, mut job: JobView, holds: &[Hold]) -> JobView {
        let live = self.live();
        if let Some(folder) = live.folders.get(&job.folder) {
            job.service.get_or_insert_with(|| folder.service.clone());
            job.apply(holds, clock::now());
            job.locate(&folder.path);
            job.folder.clone_from(&folder.name);
        } else {
            job.apply(holds, clock::now());
            if job.state == "ready" && job.stage.as_deref() != Some("deliver") {
                job.state = "waiting".into();
                job.waits_for = Some("folder".into());
            }
        }
        job
    }

    pub(super) async fn retry(&self, job: JobName) -> Answer {
        let id = self.id(job).await?;
        let message = self.queue.retry(id, clock::now()).await?;
        self.nudge();
        Ok(done(id, &message))
    }

    pub(super) async fn retry_failed(&self) -> Answer {
        let ids = self.queue.jobs_of_state("failed").await?;
        let mut retried = Vec::new();
        for id in ids {
            match self.queue.retry(id, clock::now()).await {
                Ok(_) => retried.push(id),
                Err(CommandError::Refused { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.nudge();
        let message = match retried.len() {
            0 => "no job has failed".to_owned(),
            1 => "1 job is retried".to_owned(),
            many => format!("{many} jobs are retried"),
        };
        Ok(json!({ "ids": retried, "message": message }))
    }

    pub(super) async fn redo(&self, job: JobName) -> Answer {
        let id = self.id(job).await?;
        let new = self.queue.redo(id, clock::now()).await?;
        self.nudge();
        Ok(json!({ "id": new, "message": format!("job {id} is redone as job {new}: a new meeting and new notes") }))
    }

    pub(super) async fn cancel(&self, job: JobName) -> Answer {
        let id = self.id(job).await?;
        let message = self.queue.cancel(id, clock::now()).await?;
        if let Some(worker) = &self.worker {
            worker.activity.cancel(id);
        }
        Ok(done(id, &message))
    }

    pub(super) async fn analyse(&self, job: JobName, analyses: Vec<Analysis>, mail: bool) -> Answer {
        let id = self.id(job).await?;
        let message = self.queue.reanalyse(id, analyses, mail, clock::now()).await?;
        self.nudge();
        Ok(done(id, &message))
    }
}
