//! A job at the server: its id is kept before anything else, its status is polled until it ends, and a server that
//! restarted has forgotten it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Saled, calls::accepted, wire};
use crate::{
    clock::{self, elapsed},
    http::{ANALYSES_BYTES_MAX, Request},
    job::Suspect,
    progress::{Progress, Unit},
    services::{CallError, answers, pacer::Priority, result_cache::JobCache},
};

/// A kind of work at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Transcription,
    Summary,
}

impl Work {
    /// Returns the server's word for it, which stands in its addresses.
    fn as_str(self) -> &'static str {
        match self {
            Self::Transcription => "transcribe",
            Self::Summary => "summary",
        }
    }

    /// Returns the file that keeps which job does it.
    fn file(self) -> &'static str {
        match self {
            Self::Transcription => "job.json",
            Self::Summary => "summary.json",
        }
    }
}

/// A job that was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Submitted {
    /// The server's name for it.
    pub(super) id: String,
    /// When it was kept.
    since: Timestamp,
    /// The fingerprint of what was asked; empty where that is the recording.
    pub(super) asked: String,
}

/// What is kept of the work on one recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Jobs {
    /// The job that counts.
    pub(super) now: Option<Submitted>,
    /// Those that failed, which the server may list for ever.
    pub(super) failed: Vec<String>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its result is there.
    Completed,
    /// It failed, or stood still for too long: why.
    Failed(String),
    /// The server restarted, and knows nothing of it.
    Forgotten,
}

impl Saled {
    /// Returns what is kept of some work.
    pub(super) async fn jobs(&self, cache: &JobCache, work: Work) -> Result<Jobs, CallError> {
        Ok(cache.read(work.file()).await?.unwrap_or_default())
    }

    /// Keeps the job that counts from now on.
    pub(super) async fn keep_job(
        &self,
        cache: &JobCache,
        work: Work,
        id: String,
        asked: &str,
    ) -> Result<Submitted, CallError> {
        let submitted = Submitted { id, since: clock::now(), asked: asked.to_owned() };
        let jobs = Jobs { now: Some(submitted.clone()), ..self.jobs(cache, work).await? };
        cache.write(work.file(), &jobs).await?;
        Ok(submitted)
    }

    /// The job counts no more: the next attempt submits another one.
    pub(super) async fn drop_job(&self, cache: &JobCache, work: Work, how: &Ended) -> Result<(), CallError> {
        let mut jobs = self.jobs(cache, work).await?;
        let dropped = jobs.now.take().map(|job| job.id);
        if matches!(how, Ended::Failed(_)) {
            jobs.failed.extend(dropped);
        }
        cache.write(work.file(), &jobs).await
    }

    /// Polls a job until it ends. One that gets on is never given up.
    pub(super) async fn follow(
        &self,
        work: Work,
        job: &Submitted,
        progress: Option<&Progress>,
    ) -> Result<Ended, CallError> {
        let (mut reached, mut moved, mut wait) = (0, job.since, self.poll.first);
        if let Some(progress) = progress {
            progress.begin(0, 100, Unit::Percent);
        }
        loop {
            tokio::time::sleep(wait).await;
            wait = self.poll.every;
            let now = clock::now();
            match self.status(work, &job.id).await? {
                wire::Status::Completed => return Ok(Ended::Completed),
                wire::Status::Failed(reason) => return Ok(Ended::Failed(reason)),
                wire::Status::Unknown => return Ok(Ended::Forgotten),
                wire::Status::Working(percent) if percent > reached => {
                    (reached, moved) = (percent, now);
                    if let Some(progress) = progress {
                        progress.reach(percent, 100);
                    }
                }
                // A clock that was set back makes it wait for longer, never for less.
                wire::Status::Working(_) if elapsed(moved, now) >= self.patience => {
                    return Ok(Ended::Failed("it does not get on with it".to_owned()));
                }
                wire::Status::Working(_) => {}
            }
        }
    }

    async fn status(&self, work: Work, id: &str) -> Result<wire::Status, CallError> {
        let path = ["api", work.as_str(), "status", id];
        let answer = self.call(Request::get(&path), Priority::Low).await?;
        // A job that is not known is 404 here and 200 there, by the documents; an id that is refused is known to nobody.
        if matches!(answer.status, 400 | 404 | 410 | 422) {
            return Ok(wire::Status::Unknown);
        }
        let answer = answers::json(accepted(answer)?).map_err(answers::mark_not_executed)?;
        wire::status(&answer).ok_or_else(|| answers::mark_not_executed(answers::unexpected("no status of a job")))
    }

    /// Looks for a transcription that carries `mark`: its answer was lost, or this machine lost its id. A list that
    /// cannot be read holds none: to send again costs the server's time and nothing else.
    pub(super) async fn find(&self, mark: &str, not: &[String]) -> Result<Option<String>, CallError> {
        let request = Request::get(&["api", "transcribe", "jobs"]).bytes_max(ANALYSES_BYTES_MAX);
        let answer = self.call(request, Priority::High).await?;
        Ok(answers::json(answer).ok().and_then(|list| wire::find_job(&list, mark, not)))
    }
}

/// The error of a server that forgets what it is given, again and again.
pub(super) fn forgetful() -> CallError {
    let message = "the server forgot what it was given twice in a row: it restarts, perhaps for want of memory";
    CallError::Unavailable { message: message.to_owned(), after: None, uncertain: false, suspect: Suspect::Either }
}
