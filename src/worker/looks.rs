//! The looks at results: timers in memory, one for each job that waits for its analysis. A look that finds nothing new
//! writes nothing.

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use jiff::Timestamp;
use tokio::time::Instant;

use super::Worker;
use crate::{
    clock::{self, elapsed},
    config::Folder,
    job::{Remote, Setback, State, Wait},
    pipeline::analyse::{self, Look, interval},
    queue::{Job, Scope},
    runtime::{Live, PollTimer, ServiceHandle},
    services::{
        breaker::{Admission, Call},
        health::{CallOutcome, ProbeRead},
    },
};

/// Looks under way at once: enough to use the allowed requests a second at a service that answers slowly.
const LOOKS_MAX: usize = 16;

/// Looks under way at once at jobs of one folder, where there are several folders. Those under way wait in the line of the
/// service's pacer, where folders do not take turns any more: a short line is soon over.
const LOOKS_OF_FOLDER_MAX: usize = 4;

/// When a job that still waits is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// After this.
    After(Duration),
    /// When what holds it may be over.
    WhenFree,
}

/// Looks at results until the worker stops. The timers of jobs that waited before the start are made first: the time
/// since their upload is on disk, so a restart begins neither the wait nor the upload anew.
pub async fn run(worker: Arc<Worker>) {
    match worker.runtime.queue.waiting_for_analysis().await {
        Ok(waiting) => waiting.iter().for_each(|job| worker.runtime.polls.add(job.id, &job.folder, Duration::ZERO)),
        Err(error) => worker.runtime.queue_failed("read what waits for analysis", &error),
    }
    let slots = Arc::new(tokio::sync::Semaphore::new(LOOKS_MAX));
    while !worker.runtime.stop.is_cancelled() {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let of_folder_max = if worker.runtime.live().folders.len() > 1 { LOOKS_OF_FOLDER_MAX } else { LOOKS_MAX };
        if let Some(timer) = worker.runtime.polls.pop_due(Instant::now(), of_folder_max) {
            let shared = Arc::clone(&worker);
            worker.runtime.tasks.spawn(async move {
                let job = timer.job;
                shared.contain(job, look(&shared, timer)).await;
                shared.runtime.polls.looked(job);
                drop(slot);
            });
        } else {
            drop(slot);
            pause(&worker, of_folder_max).await;
        }
    }
}

async fn pause(worker: &Worker, of_folder_max: usize) {
    let due = worker.runtime.polls.next_due(of_folder_max);
    let wait = async {
        match due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = worker.runtime.stop.cancelled() => {}
        () = worker.runtime.polls.changed() => {}
        () = wait => {}
    }
}

async fn look(worker: &Arc<Worker>, timer: PollTimer) {
    let nudges = worker.runtime.polls.nudges();
    if let Err(error) = worker.runtime.follow_clock().await {
        worker.runtime.queue_failed("follow the clock", &error);
    }
    let job = match worker.runtime.queue.job(timer.job).await {
        Ok(Some(job)) => job,
        Ok(None) => return,
        Err(error) => {
            worker.runtime.queue_failed("read a job", &error);
            return worker.runtime.polls.push_soon(timer);
        }
    };
    if !matches!(job.state, State::Waiting { on: Wait::Analysis, .. }) {
        // It may have been the last to want a call that is held.
        worker.runtime.claims.notify_one();
        return;
    }
    let live = worker.runtime.live();
    let again = match parts(&live, &job) {
        Some((handle, folder)) if !is_held(worker, &handle).await => {
            tokio::select! {
                again = look_at(worker, &handle, &folder, &job, timer.looks) => again,
                () = worker.runtime.stop.cancelled() => None,
            }
        }
        Some(_) | None => Some(Again::WhenFree),
    };
    match again {
        Some(Again::After(after)) => worker.runtime.polls.push_again(timer, after),
        Some(Again::WhenFree) => worker.runtime.polls.push_held(timer, nudges),
        None => {}
    }
}

fn parts(live: &Live, job: &Job) -> Option<(Arc<ServiceHandle>, Arc<Folder>)> {
    let handle = live.serving(&job.plan.as_ref()?.service)?;
    let folder = live.folders.get(&job.key.folder)?;
    Some((Arc::clone(handle), Arc::clone(folder)))
}

async fn is_held(worker: &Worker, handle: &ServiceHandle) -> bool {
    let holds = worker.runtime.queue.holds().await.unwrap_or_default();
    holds.iter().any(|hold| {
        hold.scope == Scope::Service && hold.name == handle.service.name() && hold.reason.blocks_known_meetings()
    })
}

/// Looks once; returns when to look again, `None` when the job does not wait for its analysis any more.
async fn look_at(
    worker: &Arc<Worker>,
    handle: &Arc<ServiceHandle>,
    folder: &Arc<Folder>,
    job: &Job,
    looks: u32,
) -> Option<Again> {
    match admits(worker, handle, job, Call::Look) {
        Admission::Go => {}
        Admission::Wait { until } => return Some(not_before(handle, until)),
        Admission::Probe => {
            if let Some(again) = cheap_read(worker, handle, job).await {
                return Some(again);
            }
        }
    }
    let context = worker.context(handle, folder);
    match analyse::look(&context, job).await {
        Ok(look) => {
            worker.succeeded(handle, job, Call::Look).await;
            looked(worker, handle, folder, job, look, looks).await
        }
        Err(setback) => failed(worker, handle, folder, job, Call::Look, setback).await,
    }
}

fn admits(worker: &Worker, handle: &ServiceHandle, job: &Job, call: Call) -> Admission {
    let others = !worker.runtime.polls.is_empty();
    handle.health.admit(job.id.0, call, others)
}

/// The wait until a time; never shorter than between two looks, so that a clock that jumps makes no busy loop.
fn not_before(handle: &ServiceHandle, until: Timestamp) -> Again {
    Again::After(elapsed(clock::now(), until).max(handle.settings.poll.every))
}

/// Before a probe a cheap read must succeed; returns when to look again where it did not.
async fn cheap_read(worker: &Worker, handle: &ServiceHandle, job: &Job) -> Option<Again> {
    match handle.health.read_before_probe(handle.service.as_ref(), job.id.0, Call::Look).await {
        ProbeRead::Answered | ProbeRead::Refused => None,
        ProbeRead::Down { until, .. } => Some(not_before(handle, until)),
        ProbeRead::NeedsPerson { signed_out, error } => {
            handle.health.report(job.id.0, Call::Look, CallOutcome::Untold);
            worker.runtime.service_refused(handle, signed_out, &error.into()).await;
            Some(Again::WhenFree)
        }
    }
}

async fn looked(
    worker: &Arc<Worker>,
    handle: &Arc<ServiceHandle>,
    folder: &Arc<Folder>,
    job: &Job,
    look: Look,
    looks: u32,
) -> Option<Again> {
    let poll = &handle.settings.poll;
    match look {
        Look::Pending => Some(Again::After(interval(poll, looks, waited(job)))),
        Look::Ask(wanted) => {
            // What works while it is asked would keep the looks at all others waiting.
            let turn = handle.asks.as_ref().map(|asks| asks.try_acquire());
            if let Some(Err(_)) = turn {
                return Some(Again::After(poll.every));
            }
            // The look that came before is the cheap read of a probe.
            if let Admission::Wait { until } = admits(worker, handle, job, Call::Request) {
                return Some(not_before(handle, until));
            }
            let analyses: Vec<_> = wanted.iter().map(|(analysis, _)| *analysis).collect();
            let context = worker.context(handle, folder);
            if let Err(setback) = analyse::ask(&context, job, wanted).await {
                return failed(worker, handle, folder, job, Call::Request, setback).await;
            }
            worker.succeeded(handle, job, Call::Request).await;
            match worker.runtime.persist(|| worker.runtime.queue.requested(job, analyses.clone(), clock::now())).await {
                Ok(_) => Some(Again::After(poll.first)),
                Err(error) => {
                    worker.runtime.queue_failed("record a request", &error);
                    Some(Again::After(poll.every))
                }
            }
        }
        Look::Complete(reports) => {
            worker.arrived(handle, job).await;
            if let Some(plan) = &job.plan {
                worker.complete(handle, folder, job, plan, super::outcome::completed(reports)).await;
            }
            None
        }
        Look::Failed { from, error, complete } => {
            worker.arrived(handle, job).await;
            worker.own_failure(folder, job, from, &anyhow!(error), Some(complete)).await;
            None
        }
    }
}

/// Records why a look did not work out; returns when to look again where the job still waits.
async fn failed(
    worker: &Arc<Worker>,
    handle: &Arc<ServiceHandle>,
    folder: &Arc<Folder>,
    job: &Job,
    call: Call,
    setback: Setback,
) -> Option<Again> {
    worker.set_back(handle, folder, job, call, setback).await;
    let until = handle.health.held_until(call);
    let stays = match worker.runtime.queue.job(job.id).await {
        Ok(found) => found.is_some_and(|job| matches!(job.state, State::Waiting { on: Wait::Analysis, .. })),
        Err(error) => {
            worker.runtime.queue_failed("read a job", &error);
            true
        }
    };
    if !stays {
        // It may have been the last to want a call that is held.
        worker.runtime.claims.notify_one();
    }
    stays.then(|| until.map_or(Again::WhenFree, |until| not_before(handle, until)))
}

fn waited(job: &Job) -> Duration {
    match &job.remote {
        Remote::Uploaded { since, .. } => elapsed(*since, clock::now()),
        Remote::Nothing | Remote::Creating { .. } | Remote::Meeting { .. } => Duration::ZERO,
    }
}
