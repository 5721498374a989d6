//! Jobs at the server: the id is stored before anything else, the status is polled until the job
//! ends, and a server that restarted has lost it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{SaledTranscriber, calls::check_answer, wire};
use crate::{
    clock::{self, elapsed},
    http::{ANALYSES_BYTES_MAX, Request},
    job::Suspect,
    progress::{Progress, Unit},
    services::{CallError, answers, pacer::Priority, result_cache::JobCache},
};

/// A kind of work at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SaledWork {
    Transcription,
    Summary,
}

impl SaledWork {
    /// Returns the server's word for it, a part of its paths.
    fn as_str(self) -> &'static str {
        match self {
            Self::Transcription => "transcribe",
            Self::Summary => "summary",
        }
    }

    /// Returns the name of the file that holds its jobs.
    fn file_name(self) -> &'static str {
        match self {
            Self::Transcription => "job.json",
            Self::Summary => "summary.json",
        }
    }
}

/// A job that was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SubmittedJob {
    /// The id at the server.
    pub(super) id: String,
    /// The time at which it was stored.
    since: Timestamp,
    /// The fingerprint of the request; empty for a transcription.
    pub(super) asked: String,
}

/// The stored jobs of one recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SaledJobs {
    /// The present job.
    pub(super) now: Option<SubmittedJob>,
    /// Failed jobs, which the server may go on listing.
    pub(super) failed: Vec<String>,
}

/// The end of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SaledJobEnd {
    /// Its result is there.
    Completed,
    /// The job failed, or made no progress for too long, with the reason.
    Failed(String),
    /// The server restarted, and has lost it.
    Forgotten,
}

impl SaledTranscriber {
    /// Returns the stored jobs of a kind of work.
    pub(super) async fn read_jobs(
        &self,
        cache: &JobCache,
        work: SaledWork,
    ) -> Result<SaledJobs, CallError> {
        Ok(cache.read_file(work.file_name()).await?.unwrap_or_default())
    }

    /// Stores the present job.
    pub(super) async fn keep_job(
        &self,
        cache: &JobCache,
        work: SaledWork,
        id: String,
        asked: &str,
    ) -> Result<SubmittedJob, CallError> {
        let submitted = SubmittedJob { id, since: clock::now(), asked: asked.to_owned() };
        let jobs = SaledJobs { now: Some(submitted.clone()), ..self.read_jobs(cache, work).await? };
        cache.write_file(work.file_name(), &jobs).await?;
        Ok(submitted)
    }

    /// Drops the present job: the next attempt submits another one.
    pub(super) async fn drop_job(
        &self,
        cache: &JobCache,
        work: SaledWork,
        how: &SaledJobEnd,
    ) -> Result<(), CallError> {
        let mut jobs = self.read_jobs(cache, work).await?;
        let dropped = jobs.now.take().map(|job| job.id);
        if matches!(how, SaledJobEnd::Failed(_)) {
            jobs.failed.extend(dropped);
        }
        cache.write_file(work.file_name(), &jobs).await
    }

    /// Polls a job until it ends. A job that makes progress is never given up.
    pub(super) async fn poll_job(
        &self,
        work: SaledWork,
        job: &SubmittedJob,
        progress: Option<&Progress>,
    ) -> Result<SaledJobEnd, CallError> {
        let mut reached = 0;
        let mut moved = job.since;
        let mut wait = self.poll.first;
        if let Some(progress) = progress {
            progress.begin(0, 100, Unit::Percent);
        }
        loop {
            tokio::time::sleep(wait).await;
            wait = self.poll.every;
            let now = clock::now();
            match self.read_status(work, &job.id).await? {
                wire::SaledJobStatus::Completed => return Ok(SaledJobEnd::Completed),
                wire::SaledJobStatus::Failed(reason) => return Ok(SaledJobEnd::Failed(reason)),
                wire::SaledJobStatus::Unknown => return Ok(SaledJobEnd::Forgotten),
                wire::SaledJobStatus::Working(percent) if percent > reached => {
                    reached = percent;
                    moved = now;
                    if let Some(progress) = progress {
                        progress.reach(percent, 100);
                    }
                }
                // A clock that was set back makes the wait longer, never shorter.
                wire::SaledJobStatus::Working(_) if elapsed(moved, now) >= self.patience => {
                    return Ok(SaledJobEnd::Failed("it does not get on with it".to_owned()));
                }
                wire::SaledJobStatus::Working(_) => {}
            }
        }
    }

    async fn read_status(
        &self,
        work: SaledWork,
        id: &str,
    ) -> Result<wire::SaledJobStatus, CallError> {
        let path = ["api", work.as_str(), "status", id];
        let answer = self.call(Request::get(&path), Priority::Low).await?;
        // By the documents an unknown job is 404 here and 200 there; a refused id counts as
        // unknown, too.
        if matches!(answer.status, 400 | 404 | 410 | 422) {
            return Ok(wire::SaledJobStatus::Unknown);
        }
        let answer =
            answers::read_json(check_answer(answer)?).map_err(answers::mark_not_executed)?;
        wire::parse_status(&answer).ok_or_else(|| {
            answers::mark_not_executed(answers::unexpected_answer("no status of a job"))
        })
    }

    /// Looks for a transcription that carries `mark`, where an answer was lost or this machine lost
    /// the id. An unreadable list counts as empty: sending again costs the server's time and
    /// nothing else.
    pub(super) async fn find_transcription(
        &self,
        mark: &str,
        not: &[String],
    ) -> Result<Option<String>, CallError> {
        let request = Request::get(&["api", "transcribe", "jobs"]).bytes_max(ANALYSES_BYTES_MAX);
        let answer = self.call(request, Priority::High).await?;
        Ok(answers::read_json(answer).ok().and_then(|list| wire::find_job(&list, mark, not)))
    }
}

/// Returns the error of a server that lost a job twice in a row.
pub(super) fn forgotten_twice() -> CallError {
    let message = "the server lost its jobs twice in a row: it restarts, perhaps because it runs out of memory";
    CallError::Unavailable {
        message: message.to_owned(),
        after: None,
        uncertain: false,
        suspect: Suspect::Either,
    }
}
