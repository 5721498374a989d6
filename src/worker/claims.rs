//! The loop that claims jobs: folders take turns, at most `uploads` jobs run at once (a service with slots of its own has
//! as many besides), one folder never holds all slots while another may come, a service that is down gets one probe at a time.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::{ActiveJob, Worker, activity::WorkerTurn, daily_limit, slots::SlotPool};
use crate::{
    clock::{self, local_day},
    config::Folder,
    job::{HoldReason, Stage},
    runtime::{LiveConfig, ServiceHandle, sleep_until},
    services::{
        breaker::{Admission, Call, NOBODY},
        health::{CallOutcome, StageProbe},
    },
    store::{ClaimRequest, Hold, Job, JobFilter, JobId, Scope, StoreError},
};

/// A folder whose settings were refused is tried again so often, should the service have changed its mind.
const REFUSED_EVERY: Duration = Duration::from_secs(3600);

/// Claims jobs until the worker stops.
pub(crate) async fn run(worker: Arc<Worker>) {
    let mut turn = 0;
    while !worker.runtime.stop.is_cancelled() {
        let wake = match start_claimable(&worker, &mut turn).await {
            Ok(wake) => wake,
            Err(error) => {
                worker.runtime.queue_failed("claim a job", &error);
                Some(clock::now() + Duration::from_secs(5))
            }
        };
        tokio::select! {
            () = worker.runtime.stop.cancelled() => {}
            () = worker.runtime.claims.notified() => {}
            () = sleep_until(wake) => {}
        }
    }
}

/// A job that may run, and whether it is the probe of a service that is down.
struct ClaimedJob {
    job: Job,
    handle: Arc<ServiceHandle>,
    folder: Arc<Folder>,
    probe: Option<Call>,
    slot: ServiceSlot,
}

/// Starts as many jobs as may run now; returns when to look again without a nudge.
async fn start_claimable(
    worker: &Arc<Worker>,
    turn: &mut usize,
) -> Result<Option<Timestamp>, StoreError> {
    worker.runtime.follow_clock().await?;
    // What comes due while jobs are claimed is not seen by them: it wakes the loop again.
    let begun = clock::now();
    let live = worker.runtime.live();
    let holds = worker.runtime.queue.holds().list().await?;
    if worker.runtime.disk_full.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let folders = folder_turns(&live);
    if let Some(first) = daily_limit::find_oversize(worker, &live, begun).await? {
        *turn = folders.iter().position(|folder| *folder == first).unwrap_or(*turn);
    }
    let mut starving = BTreeSet::new();
    let mut idle = 0;
    while idle < folders.len() && !worker.runtime.stop.is_cancelled() {
        let folder = folders[*turn % folders.len()];
        *turn = (*turn + 1) % folders.len();
        match claim_for_folder(worker, &live, folder, &holds, &mut starving).await? {
            Some(claimed) => {
                idle = 0;
                start_job(worker, claimed);
            }
            None => idle += 1,
        }
    }
    for handle in live.services.values().filter(|handle| handle.can_resume()) {
        worker
            .activity
            .ask_for_room(slot_pool_of(handle), starving.contains(handle.service.name()));
    }
    let wake = next_wake(worker, &live, begun).await?;
    probe_unwanted_services(worker, &live).await?;
    Ok(wake)
}

/// Lets the cheap read alone prove a service whose held calls no job wants any more: with the last job that failed
/// cancelled, nobody else would find out that it works again.
async fn probe_unwanted_services(
    worker: &Arc<Worker>,
    live: &LiveConfig,
) -> Result<(), StoreError> {
    let now = clock::now();
    for handle in live.services_and_sources() {
        let Some(call) = handle.health.due_probe(now) else { continue };
        if !worker.activity.is_empty()
            || !worker.runtime.polls.is_empty()
            || is_wanted(worker, live, handle).await?
        {
            continue;
        }
        if handle.health.admit(NOBODY, call, false) == Admission::Probe {
            let worker = Arc::clone(worker);
            let handle = Arc::clone(handle);
            let shared = Arc::clone(&worker);
            worker.runtime.tasks.spawn(async move { shared.probe_for_nobody(&handle, call).await });
        }
    }
    Ok(())
}

/// Returns whether a job of one of the service's folders may run, now or later.
async fn is_wanted(
    worker: &Worker,
    live: &LiveConfig,
    handle: &ServiceHandle,
) -> Result<bool, StoreError> {
    for folder in live.folders.values().filter(|folder| folder.service == handle.service.name()) {
        if worker.runtime.queue.jobs().next_due(folder.id.clone(), Timestamp::MIN).await?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The folders that take turns, by id: those that are configured, then those that left with work under way.
fn folder_turns(live: &LiveConfig) -> Vec<&str> {
    let configured = live.settings.folders.iter().map(|folder| folder.id.as_str());
    let former = live.folders.keys().map(String::as_str).filter(|id| is_former(live, id));
    configured.chain(former).collect()
}

/// Returns whether a folder has left the configuration: jobs past their upload are finished, none is begun.
fn is_former(live: &LiveConfig, id: &str) -> bool {
    !live.settings.folders.iter().any(|folder| folder.id == id)
}

/// Claims a job of a folder: one of its own service, else one whose transcript a source has given.
async fn claim_for_folder(
    worker: &Arc<Worker>,
    live: &LiveConfig,
    folder: &str,
    holds: &[Hold],
    starving: &mut BTreeSet<String>,
) -> Result<Option<ClaimedJob>, StoreError> {
    let Some(folder) = live.folders.get(folder) else { return Ok(None) };
    if let Some(handle) = live.services.get(&folder.service) {
        let filter = JobFilter::NotFromSources(live.source_transcripts.keys().cloned().collect());
        let claimed =
            claim_for_service(worker, live, folder, handle, filter, holds, starving).await?;
        if claimed.is_some() {
            return Ok(claimed);
        }
    }
    for (source, handle) in &live.source_transcripts {
        let filter = JobFilter::FromSource(source.clone());
        let claimed =
            claim_for_service(worker, live, folder, handle, filter, holds, starving).await?;
        if claimed.is_some() {
            return Ok(claimed);
        }
    }
    Ok(None)
}

/// Claims a job that this service has to work on; adds the service to `starving` where the folder waits for a slot of it
/// and has none.
async fn claim_for_service(
    worker: &Arc<Worker>,
    live: &LiveConfig,
    folder: &Arc<Folder>,
    handle: &Arc<ServiceHandle>,
    filter: JobFilter,
    holds: &[Hold],
    starving: &mut BTreeSet<String>,
) -> Result<Option<ClaimedJob>, StoreError> {
    let now = clock::now();
    let held = |scope, name: &str| {
        holds
            .iter()
            .any(|hold| hold.scope == scope && hold.name == name && hold.reason.blocks_claims())
    };
    if held(Scope::Folder, &folder.id) || held(Scope::Service, handle.service.name()) {
        return Ok(None);
    }
    // Of a transcript that a source gives, nothing is sent or heard.
    let limits = matches!(filter, JobFilter::NotFromSources(_))
        .then(|| daily_limit::limits_of(folder, handle, local_day(now)));
    let Some(slot) = take_slot(worker, live, handle, &folder.id) else {
        // Only work on this machine makes room, so that nobody else need be asked.
        let stages = handle.health.admit_stages(worker.runtime.polls.is_empty(), now).0;
        if handle.can_resume() && is_starved(worker, live, handle, &folder.id) {
            let folder = folder.id.clone();
            let request = ClaimRequest { folder, stages, except: None, filter, limits };
            let waits = worker.runtime.queue.jobs().has_claimable(request, now).await?;
            starving.extend(waits.then(|| handle.service.name().to_owned()));
        }
        return Ok(None);
    };
    let refused =
        holds.iter().any(|hold| hold.name == folder.id && hold.reason == HoldReason::Refused);
    if refused && !retry_refused(worker, &folder.id, now) {
        return Ok(None);
    }
    let (mut stages, mut probe) = handle.health.admit_stages(worker.runtime.polls.is_empty(), now);
    if is_former(live, &folder.id) {
        stages.retain(|stage| *stage == Stage::Analyse);
        probe = probe.filter(|probe| probe.stages.contains(&Stage::Analyse));
    }
    let request = |stages, except| ClaimRequest {
        folder: folder.id.clone(),
        stages,
        except,
        filter: filter.clone(),
        limits: limits.clone(),
    };
    let claim = |stages, except| worker.runtime.queue.jobs().claim(request(stages, except), now);
    if let Some(job) = claim(stages.clone(), None).await? {
        let handle = Arc::clone(handle);
        let folder = Arc::clone(folder);
        return Ok(Some(ClaimedJob { job, handle, folder, probe: None, slot }));
    }
    daily_limit::report_reached(worker, folder, request(stages, None), now).await?;
    let Some(StageProbe { call, stages, except, is_due }) = probe else { return Ok(None) };
    let other = claim(stages.clone(), except.map(JobId)).await?;
    let job = match other {
        Some(job) => Some(job),
        None if except.is_some() && is_due => claim(stages, None).await?,
        None => None,
    };
    let Some(job) = job else { return Ok(None) };
    let admitted = handle.health.admit(job.id.0, call, false);
    // A look may have taken the probe meanwhile; then this job is one call too many, and tells as much.
    let probe = (admitted == Admission::Probe).then_some(call);
    Ok(Some(ClaimedJob {
        job,
        handle: Arc::clone(handle),
        folder: Arc::clone(folder),
        probe,
        slot,
    }))
}

/// A place at a service: one of its own, held as long as this lives, or (`None`) one of those that the others share.
type ServiceSlot = Option<OwnedSemaphorePermit>;

/// Returns a place at the service, if there is one for this folder.
fn take_slot(
    worker: &Worker,
    live: &LiveConfig,
    handle: &ServiceHandle,
    folder: &str,
) -> Option<ServiceSlot> {
    if !inspect_pool(worker, live, handle, |pool| pool.admits(folder)) {
        return None;
    }
    match &handle.slots {
        Some(slots) => Arc::clone(slots).try_acquire_owned().ok().map(Some),
        None => Some(None),
    }
}

/// Returns whether the folder waits for a slot of the service and holds none.
fn is_starved(worker: &Worker, live: &LiveConfig, handle: &ServiceHandle, folder: &str) -> bool {
    inspect_pool(worker, live, handle, |pool| pool.starves(folder))
}

/// Looks at the slots from which a service takes its own.
fn inspect_pool<T>(
    worker: &Worker,
    live: &LiveConfig,
    handle: &ServiceHandle,
    look: impl FnOnce(SlotPool<'_>) -> T,
) -> T {
    let own = slot_pool_of(handle);
    let held = worker.activity.held_slots(own);
    let is_of_pool = |service: &str| match own {
        Some(own) => service == own,
        None => live.services.get(service).is_none_or(|other| slot_pool_of(other).is_none()),
    };
    let folders = live.settings.folders.iter().filter(|folder| is_of_pool(&folder.service));
    let folders: Vec<&str> = folders.map(|folder| folder.id.as_str()).collect();
    let size = handle.settings.at_once.unwrap_or(live.settings.workers.uploads);
    look(SlotPool { size, folders: &folders, held: &held })
}

/// The name of the service whose own slots these are; `None` for those that services share.
fn slot_pool_of(handle: &ServiceHandle) -> Option<&str> {
    handle.slots.is_some().then(|| handle.service.name())
}

/// Returns whether the hour of a refused folder has passed; the next one begins then.
fn retry_refused(worker: &Worker, folder: &str, now: Timestamp) -> bool {
    let mut refused = worker.runtime.refused_folders();
    match refused.get(folder) {
        Some(tried) if *tried <= now && *tried + REFUSED_EVERY > now => false,
        Some(_) | None => {
            refused.insert(folder.to_owned(), now);
            true
        }
    }
}

fn start_job(worker: &Arc<Worker>, claimed: ClaimedJob) {
    let ClaimedJob { job, handle, folder, probe, slot } = claimed;
    let progress = Arc::default();
    let cancel = CancellationToken::new();
    let (stage, pool, turn) = (
        job.state.stage().unwrap_or(Stage::Create),
        slot_pool_of(&handle),
        Arc::<WorkerTurn>::default(),
    );
    let active = ActiveJob::new(stage, &progress, &cancel, &folder.id, pool, &turn);
    worker.activity.enter(job.id, active);
    let shared = Arc::clone(worker);
    worker.runtime.tasks.spawn(async move {
        let id = job.id;
        let probed = probe.map(|call| (call, Arc::clone(&handle)));
        let running = super::job_run::JobRun {
            worker: Arc::clone(&shared),
            handle,
            folder,
            progress,
            cancel,
            turn,
            probe,
        };
        shared.catch_panic(id, running.run(job)).await;
        // However it ended: a probe that told nothing of its call leaves it to another job.
        if let Some((call, handle)) = probed {
            handle.health.report(id.0, call, CallOutcome::Untold);
        }
        shared.activity.leave(id);
        drop(slot);
        shared.runtime.claims.notify_one();
        // A job that has ended keeps no voice print, and no slot in the status line.
        shared.runtime.changed.notify_one();
    });
}

/// Returns the next time after `now` at which something that waits for time may run.
async fn next_wake(
    worker: &Worker,
    live: &LiveConfig,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut times: HashSet<Timestamp> = HashSet::new();
    for folder in live.folders.keys() {
        times.extend(worker.runtime.queue.jobs().next_due(folder.clone(), now).await?);
    }
    for handle in live.services_and_sources() {
        times.extend(handle.health.next_probes());
    }
    times.extend(worker.runtime.refused_folders().values().map(|tried| *tried + REFUSED_EVERY));
    times.extend(daily_limit::next_day(live, now));
    Ok(times.into_iter().filter(|time| *time > now).min())
}
