//! What happens at the service to what it keeps of a recording, when everything else is where it belongs.
//!
//! It is asked again and again until the service has done it; the notes are there, and wait for nothing of this.

use std::{sync::Arc, time::Duration};

use super::{
    Worker, chain,
    deliveries::{delivered, give_up, later},
};
use crate::{
    clock,
    config::{Folder, OnSuccessRemote},
    job::retry::backoff,
    pipeline::deliver::dispose_remotely,
    queue::{Delivery, Hold, QueueError, Scope},
    services::CallError,
    text::{one_line, printable_path},
};

/// Tries at a service that answers and will not: then the delivery has failed, and the operator is told.
const TRIES: u32 = 3;

/// What is not configured any more may be again after this.
const UNCONFIGURED: Duration = Duration::from_secs(3600);

/// Characters of an error that are kept.
const ERROR_MAX: usize = 500;

/// Makes one of these deliveries.
pub(super) async fn make(worker: &Arc<Worker>, delivery: &Delivery) -> Result<(), QueueError> {
    let Some(job) = worker.queue.job(delivery.job).await? else { return Ok(()) };
    let live = worker.live();
    let Some(folder) = live.folders.get(&job.key.folder) else {
        return later(worker, delivery, UNCONFIGURED, "its folder is not in the configuration any more").await;
    };
    if folder.on_success_remote == OnSuccessRemote::Keep {
        // The folder has changed its mind.
        return delivered(worker, delivery, folder, None).await;
    }
    let service = job.plan.as_ref().map_or(folder.service.as_str(), |plan| plan.service.as_str());
    let Some(handle) = live.services.get(service) else {
        return later(worker, delivery, UNCONFIGURED, "its service is not in the configuration any more").await;
    };
    let retry = live.settings.retry;
    let wait = backoff(retry.delay, retry.delay_max, delivery.attempts + 1, clock::jitter());
    let holds = worker.queue.holds().await?;
    // One that is down for other calls may well delete; one that waits for a person does not.
    let holds_it =
        |hold: &&Hold| hold.scope == Scope::Service && hold.name == service && hold.reason.blocks_known_meetings();
    if let Some(hold) = holds.iter().find(holds_it) {
        return later(worker, delivery, wait, &one_line(&hold.detail, ERROR_MAX)).await;
    }
    let Err(error) = dispose_remotely(handle.service.as_ref(), &job, folder.on_success_remote).await else {
        return delivered(worker, delivery, folder, None).await;
    };
    let told = one_line(&chain(&error), ERROR_MAX);
    if delivery.attempts == 0 {
        tracing::warn!(job.id = job.id.0, "job {}: what the service keeps of it is not deleted yet: {told}", job.id);
    }
    match error {
        CallError::Unavailable { after, .. } => {
            later(worker, delivery, wait.max(after.unwrap_or_default()), &told).await
        }
        CallError::SignedOut { .. } => {
            worker.service_refused(handle, true, &error.into()).await;
            later(worker, delivery, wait, &told).await
        }
        // It is still at work on it.
        CallError::Refused { status: 409, .. } => later(worker, delivery, wait, &told).await,
        CallError::Forbidden { .. } | CallError::Refused { .. } | CallError::File(_) => {
            refused(worker, delivery, folder, &printable_path(&job.path), wait, &told).await
        }
    }
}

async fn refused(
    worker: &Arc<Worker>,
    delivery: &Delivery,
    folder: &Folder,
    recording: &str,
    wait: Duration,
    told: &str,
) -> Result<(), QueueError> {
    if delivery.attempts + 1 < TRIES {
        return later(worker, delivery, wait, told).await;
    }
    give_up(worker, delivery, folder, recording, told).await
}
