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
    pipeline::analyse::{self, PollOutcome, poll_interval},
    runtime::{LiveConfig, PollTimer, ServiceHandle},
    services::{
        breaker::{Admission, Call},
        health::{CallOutcome, ProbeRead},
    },
    store::{Job, Scope},
};

/// Looks in progress at once: enough to use the allowed requests a second at a service that answers slowly.
const LOOKS_MAX: usize = 16;

/// Looks under way at once at jobs of one folder, where there are several folders. Those under way wait in the line of the
/// service's pacer, where folders do not take turns any more: a short line is soon over.
const LOOKS_OF_FOLDER_MAX: usize = 4;

/// The next look at a job that still waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextPoll {
    /// After this.
    After(Duration),
    /// When the hold may be over.
    WhenFree,
}

/// Looks at results until the worker stops. The timers of jobs that waited before the start are made first: the time
/// since their upload is on disk, so a restart begins neither the wait nor the upload anew.
pub(crate) async fn run(worker: Arc<Worker>) {
    match worker.runtime.queue.jobs().awaiting_analysis().await {
        Ok(waiting) => waiting
            .iter()
            .for_each(|job| worker.runtime.polls.add_job(job.id, &job.folder, Duration::ZERO)),
        Err(error) => worker.runtime.queue_failed("read what waits for analysis", &error),
    }
    let slots = Arc::new(tokio::sync::Semaphore::new(LOOKS_MAX));
    while !worker.runtime.stop.is_cancelled() {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let of_folder_max =
            if worker.runtime.live().folders.len() > 1 { LOOKS_OF_FOLDER_MAX } else { LOOKS_MAX };
        if let Some(timer) = worker.runtime.polls.take_due(Instant::now(), of_folder_max) {
            let shared = Arc::clone(&worker);
            worker.runtime.tasks.spawn(async move {
                let job = timer.job;
                shared.catch_panic(job, poll_timer(&shared, timer)).await;
                shared.runtime.polls.finish_poll(job);
                drop(slot);
            });
        } else {
            drop(slot);
            pause_until_due(&worker, of_folder_max).await;
        }
    }
}

async fn pause_until_due(worker: &Worker, of_folder_max: usize) {
    let due = worker.runtime.polls.next_due(of_folder_max);
    let wait = async {
        match due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = worker.runtime.stop.cancelled() => {}
        () = worker.runtime.polls.wait_for_change() => {}
        () = wait => {}
    }
}

async fn poll_timer(worker: &Arc<Worker>, timer: PollTimer) {
    let nudges = worker.runtime.polls.count_nudges();
    if let Err(error) = worker.runtime.follow_clock().await {
        worker.runtime.queue_failed("follow the clock", &error);
    }
    let job = match worker.runtime.queue.jobs().find(timer.job).await {
        Ok(Some(job)) => job,
        Ok(None) => return,
        Err(error) => {
            worker.runtime.queue_failed("read a job", &error);
            return worker.runtime.polls.add_soon(timer);
        }
    };
    if !matches!(job.state, State::Waiting { on: Wait::Analysis, .. }) {
        // It may have been the last to want a call that is held.
        worker.runtime.claims.notify_one();
        return;
    }
    let live = worker.runtime.live();
    let again = match service_and_folder(&live, &job) {
        Some((handle, folder)) if !is_service_held(worker, &handle).await => {
            tokio::select! {
                again = poll_job(worker, &handle, &folder, &job, timer.looks) => again,
                () = worker.runtime.stop.cancelled() => None,
            }
        }
        Some(_) | None => Some(NextPoll::WhenFree),
    };
    match again {
        Some(NextPoll::After(after)) => worker.runtime.polls.add_again(timer, after),
        Some(NextPoll::WhenFree) => worker.runtime.polls.add_held(timer, nudges),
        None => {}
    }
}

fn service_and_folder(live: &LiveConfig, job: &Job) -> Option<(Arc<ServiceHandle>, Arc<Folder>)> {
    let handle = live.service_for_job(&job.plan.as_ref()?.service)?;
    let folder = live.folders.get(&job.key.folder)?;
    Some((Arc::clone(handle), Arc::clone(folder)))
}

async fn is_service_held(worker: &Worker, handle: &ServiceHandle) -> bool {
    let holds = worker.runtime.queue.holds().list().await.unwrap_or_default();
    holds.iter().any(|hold| {
        hold.scope == Scope::Service
            && hold.name == handle.service.name()
            && hold.reason.blocks_known_meetings()
    })
}

/// Looks once; returns when to look again, `None` when the job does not wait for its analysis any more.
async fn poll_job(
    worker: &Arc<Worker>,
    handle: &Arc<ServiceHandle>,
    folder: &Arc<Folder>,
    job: &Job,
    looks: u32,
) -> Option<NextPoll> {
    match admit_call(worker, handle, job, Call::Look) {
        Admission::Go => {}
        Admission::Wait { until } => return Some(next_poll_at(handle, until)),
        Admission::Probe => {
            if let Some(again) = read_before_probe(worker, handle, job).await {
                return Some(again);
            }
        }
    }
    let context = worker.context(handle, folder);
    match analyse::poll_results(&context, job).await {
        Ok(look) => {
            worker.record_success(handle, job, Call::Look).await;
            handle_look(worker, handle, folder, job, look, looks).await
        }
        Err(setback) => handle_failure(worker, handle, folder, job, Call::Look, setback).await,
    }
}

fn admit_call(worker: &Worker, handle: &ServiceHandle, job: &Job, call: Call) -> Admission {
    let others = !worker.runtime.polls.is_empty();
    handle.health.admit(job.id.0, call, others)
}

/// The wait until a time; never shorter than between two looks, so that a clock that jumps makes no busy loop.
fn next_poll_at(handle: &ServiceHandle, until: Timestamp) -> NextPoll {
    NextPoll::After(elapsed(clock::now(), until).max(handle.settings.poll.every))
}

/// Makes the cheap read before a probe; returns the next look where it did not succeed.
async fn read_before_probe(worker: &Worker, handle: &ServiceHandle, job: &Job) -> Option<NextPoll> {
    match handle.health.read_before_probe(handle.service.as_ref(), job.id.0, Call::Look).await {
        ProbeRead::Answered | ProbeRead::Refused => None,
        ProbeRead::Down { until, .. } => Some(next_poll_at(handle, until)),
        ProbeRead::NeedsPerson { signed_out, error } => {
            handle.health.report(job.id.0, Call::Look, CallOutcome::Untold);
            worker.runtime.service_refused(handle, signed_out, &error.into()).await;
            Some(NextPoll::WhenFree)
        }
    }
}

async fn handle_look(
    worker: &Arc<Worker>,
    handle: &Arc<ServiceHandle>,
    folder: &Arc<Folder>,
    job: &Job,
    look: PollOutcome,
    looks: u32,
) -> Option<NextPoll> {
    let poll = &handle.settings.poll;
    match look {
        PollOutcome::Pending => {
            Some(NextPoll::After(poll_interval(poll, looks, waiting_time(job))))
        }
        PollOutcome::Ask(wanted) => {
            // What works while it is asked would keep the looks at all others waiting.
            let turn = handle.asks.as_ref().map(|asks| asks.try_acquire());
            if let Some(Err(_)) = turn {
                return Some(NextPoll::After(poll.every));
            }
            // The look that came before is the cheap read of a probe.
            if let Admission::Wait { until } = admit_call(worker, handle, job, Call::Request) {
                if worker.complete_without_writer(handle, folder, job, Call::Request).await {
                    return None;
                }
                return Some(next_poll_at(handle, until));
            }
            let analyses: Vec<_> = wanted.iter().map(|(analysis, _)| *analysis).collect();
            let context = worker.context(handle, folder);
            if let Err(setback) = analyse::request_analyses(&context, job, wanted).await {
                return handle_failure(worker, handle, folder, job, Call::Request, setback).await;
            }
            worker.record_success(handle, job, Call::Request).await;
            match worker
                .runtime
                .persist_commit(|| {
                    worker.runtime.queue.stages().record_request(
                        job,
                        analyses.clone(),
                        clock::now(),
                    )
                })
                .await
            {
                Ok(_) => Some(NextPoll::After(poll.first)),
                Err(error) => {
                    worker.runtime.queue_failed("record a request", &error);
                    Some(NextPoll::After(poll.every))
                }
            }
        }
        PollOutcome::Complete(reports) => {
            worker.record_arrival(handle, job).await;
            if let Some(plan) = &job.plan {
                worker.complete_job(handle, folder, job, plan, reports).await;
            }
            None
        }
        PollOutcome::Failed { from, error, complete } => {
            worker.record_arrival(handle, job).await;
            worker.count_failure(folder, job, from, &anyhow!(error), Some(complete)).await;
            None
        }
    }
}

/// Records why a look did not work out; returns when to look again where the job still waits.
async fn handle_failure(
    worker: &Arc<Worker>,
    handle: &Arc<ServiceHandle>,
    folder: &Arc<Folder>,
    job: &Job,
    call: Call,
    setback: Setback,
) -> Option<NextPoll> {
    worker.handle_setback(handle, folder, job, call, setback).await;
    let until = handle.health.held_until(call);
    let stays = match worker.runtime.queue.jobs().find(job.id).await {
        Ok(found) => {
            found.is_some_and(|job| matches!(job.state, State::Waiting { on: Wait::Analysis, .. }))
        }
        Err(error) => {
            worker.runtime.queue_failed("read a job", &error);
            true
        }
    };
    if !stays {
        // It may have been the last to want a call that is held.
        worker.runtime.claims.notify_one();
    }
    stays.then(|| until.map_or(NextPoll::WhenFree, |until| next_poll_at(handle, until)))
}

fn waiting_time(job: &Job) -> Duration {
    match &job.remote {
        Remote::Uploaded { since, .. } => elapsed(*since, clock::now()),
        Remote::Nothing | Remote::Creating { .. } | Remote::Meeting { .. } => Duration::ZERO,
    }
}
