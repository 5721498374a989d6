//! Jobs whose title, date or attendees are invalid: they go on soon after these are corrected.
//!
//! The files are read again now and then, as everything is here that no event tells of: a sidecar may lie where events
//! do not come from, and a reload or another job may be the cure as well.

use std::{sync::Arc, time::Duration};

use super::{Worker, outcome::error_text};
use crate::{
    clock,
    job::Setback,
    pipeline::details,
    store::{Job, JobId, StoreError},
};

/// Interval between two rounds: short, because a person who corrects a file waits for the effect.
const EVERY: Duration = Duration::from_secs(5);

/// Jobs that are looked at in one round; the next ones follow in the next. Each costs a few small files.
const ROUND_MAX: usize = 100;

/// Lets jobs go on until the worker stops.
pub(crate) async fn run(worker: Arc<Worker>) {
    let mut live = worker.runtime.live.clone();
    // What waited before the start is found by the first round.
    let mut last = JobId(0);
    let mut any = true;
    loop {
        // Without such a job there is nothing to look at, and nobody is woken for that.
        let pause = async {
            if any {
                tokio::time::sleep(EVERY).await;
            } else {
                worker.invalid_metadata.notified().await;
            }
        };
        tokio::select! {
            () = worker.runtime.stop.cancelled() => return,
            () = pause => {}
            // The settings may be the cure; without them there is nothing left to do but to stop.
            changed = live.changed() => if changed.is_err() { return worker.runtime.stop.cancelled().await },
        }
        match check_waiting_jobs(&worker, last).await {
            Ok(next) => {
                any = next != JobId(0) || last != JobId(0);
                last = next;
            }
            Err(error) => {
                worker.runtime.queue_failed("read the jobs whose metadata is invalid", &error);
            }
        }
    }
}

/// Looks at some jobs; returns the number of the last one, or 0 to begin with the first again.
async fn check_waiting_jobs(worker: &Worker, after: JobId) -> Result<JobId, StoreError> {
    let jobs = worker
        .runtime
        .queue
        .jobs()
        .list_with_invalid_metadata(after, ROUND_MAX, clock::now())
        .await?;
    let last = jobs.last().map_or(JobId(0), |job| job.id);
    let mut woken = Vec::new();
    for job in jobs {
        if worker.runtime.stop.is_cancelled() {
            return Ok(last);
        }
        if !is_still_invalid(worker, &job).await? {
            woken.push(job.id);
        }
    }
    if !woken.is_empty()
        && worker.runtime.queue.jobs().wake_with_invalid_metadata(Some(woken), clock::now()).await?
            > 0
    {
        worker.runtime.claims.notify_one();
    }
    Ok(last)
}

/// Returns whether a job would wait for the very same reason.
async fn is_still_invalid(worker: &Worker, job: &Job) -> Result<bool, StoreError> {
    let live = worker.runtime.live();
    // A folder that is not configured any more begins nothing.
    let Some(folder) = live.folders.get(&job.key.folder) else { return Ok(true) };
    let Some(handle) = live.services.get(&folder.service) else { return Ok(true) };
    match details::plan_job(&worker.context(handle, folder), job).await {
        Err(Setback::InvalidMetadata { error }) => {
            Ok(job.error.as_deref() == Some(&*error_text(&error)))
        }
        Err(Setback::Snooze { .. }) => Ok(true),
        Err(Setback::Queue(error)) => match error.downcast() {
            Ok(error) => Err(error),
            Err(_) => Ok(true),
        },
        Ok(_)
        | Err(
            Setback::FileLost { .. }
            | Setback::FileChanged { .. }
            | Setback::Own { .. }
            | Setback::Lacking { .. }
            | Setback::CalendarUnreadable { .. }
            | Setback::Unavailable { .. }
            | Setback::ServiceRefused { .. }
            | Setback::FolderRefused { .. }
            | Setback::NoSound
            | Setback::Beyond(_)
            | Setback::GiveUp { .. },
        ) => Ok(false),
    }
}
