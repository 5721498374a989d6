//! What happens at the service to what it keeps of a recording, when everything else is where it belongs.
//!
//! It is asked again and again until the service has done it; the notes are there, and wait for nothing of this.

use std::time::Duration;

use super::outcome::{ERROR_MAX, delivered, give_up, later};
use crate::{
    clock,
    config::{Folder, OnSuccessRemote},
    effect::Effect,
    job::retry::backoff,
    queue::{Delivery, Hold, Job, QueueError, Scope},
    runtime::Runtime,
    services::{CallError, NotesService},
    text::{error_chain, one_line, printable_path},
};

/// Tries at a service that answers and will not: then the delivery has failed, and the operator is told.
const TRIES: u32 = 3;

/// What is not configured any more may be again after this.
const UNCONFIGURED: Duration = Duration::from_secs(3600);

/// Makes one of these deliveries.
pub(super) async fn deliver_remotely(runtime: &Runtime, delivery: &Delivery) -> Result<(), QueueError> {
    let Some(job) = runtime.queue.job(delivery.job).await? else { return Ok(()) };
    let live = runtime.live();
    let Some(folder) = live.folders.get(&job.key.folder) else {
        return later(runtime, delivery, UNCONFIGURED, "its folder is not in the configuration any more").await;
    };
    if folder.on_success_remote == OnSuccessRemote::Keep {
        // The folder has changed its mind.
        return delivered(runtime, delivery, folder, None).await;
    }
    let service = job.plan.as_ref().map_or(folder.service.as_str(), |plan| plan.service.as_str());
    let Some(handle) = live.services.get(service) else {
        return later(runtime, delivery, UNCONFIGURED, "its service is not in the configuration any more").await;
    };
    let retry = live.settings.retry;
    let wait = backoff(retry.delay, retry.delay_max, delivery.attempts + 1, clock::jitter());
    let holds = runtime.queue.holds().await?;
    // One that is down for other calls may well delete; one that waits for a person does not.
    let holds_it =
        |hold: &&Hold| hold.scope == Scope::Service && hold.name == service && hold.reason.blocks_known_meetings();
    if let Some(hold) = holds.iter().find(holds_it) {
        return later(runtime, delivery, wait, &one_line(&hold.detail, ERROR_MAX)).await;
    }
    let Err(error) = dispose_remotely(handle.service.as_ref(), &job, folder.on_success_remote).await else {
        return delivered(runtime, delivery, folder, None).await;
    };
    let told = one_line(&error_chain(&error), ERROR_MAX);
    if delivery.attempts == 0 {
        tracing::warn!(job.id = job.id.0, "job {}: what the service keeps of it is not deleted yet: {told}", job.id);
    }
    match error {
        CallError::Unavailable { after, .. } => {
            later(runtime, delivery, wait.max(after.unwrap_or_default()), &told).await
        }
        CallError::SignedOut { .. } => {
            runtime.service_refused(handle, true, &error.into()).await;
            later(runtime, delivery, wait, &told).await
        }
        // It is still at work on it.
        CallError::Refused { status: 409, .. } => later(runtime, delivery, wait, &told).await,
        CallError::Forbidden { .. } | CallError::Refused { .. } | CallError::File(_) => {
            refused(runtime, delivery, folder, &printable_path(&job.path), wait, &told).await
        }
    }
}

async fn refused(
    runtime: &Runtime,
    delivery: &Delivery,
    folder: &Folder,
    recording: &str,
    wait: Duration,
    told: &str,
) -> Result<(), QueueError> {
    if delivery.attempts + 1 < TRIES {
        return later(runtime, delivery, wait, told).await;
    }
    give_up(runtime, delivery, folder, recording, told).await
}

/// Has the service delete or purge what it keeps of a job; nothing of one that it never had.
///
/// # Errors
/// What the service says, of what it has not deleted.
async fn dispose_remotely(service: &dyn NotesService, job: &Job, how: OnSuccessRemote) -> Result<(), CallError> {
    let (Some(meeting), Some(recording)) = (job.remote.meeting(), job.remote.recording()) else { return Ok(()) };
    Effect::CallDispose.during_async(service.dispose_recording(meeting, recording, how)).await
}
