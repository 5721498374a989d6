//! The deletion of a recording at its service, after all other deliveries.
//!
//! The service is asked again until it has deleted it; the notes do not wait for that.

use std::time::Duration;

use super::outcome::{ERROR_MAX, give_up, record_delivered, try_later};
use crate::{
    clock,
    config::{Folder, OnSuccessRemote},
    effect::Effect,
    job::retry::backoff_delay,
    runtime::Runtime,
    services::{CallError, NotesService},
    store::{Delivery, Hold, Job, Scope, StoreError},
    text::{error_chain, one_line, printable_path},
};

/// Tries at a service that answers and will not: then the delivery has failed, and the operator is told.
const TRIES: u32 = 3;

/// A service or a folder that left the configuration is looked for again after this.
const UNCONFIGURED: Duration = Duration::from_secs(3600);

/// Makes one of these deliveries.
pub(super) async fn deliver_remotely(
    runtime: &Runtime,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let Some(job) = runtime.queue.jobs().find(delivery.job).await? else { return Ok(()) };
    let live = runtime.live();
    let Some(folder) = live.folders.get(&job.key.folder) else {
        return try_later(
            runtime,
            delivery,
            UNCONFIGURED,
            "its folder is not in the configuration any more",
        )
        .await;
    };
    if folder.on_success_remote == OnSuccessRemote::Keep {
        // The folder has changed its mind.
        return record_delivered(runtime, delivery, folder, None).await;
    }
    let service = job.plan.as_ref().map_or(folder.service.as_str(), |plan| plan.service.as_str());
    let Some(handle) = live.services.get(service) else {
        return try_later(
            runtime,
            delivery,
            UNCONFIGURED,
            "its service is not in the configuration any more",
        )
        .await;
    };
    let retry = live.settings.retry;
    let wait = backoff_delay(retry.delay, retry.delay_max, delivery.attempts + 1, clock::jitter());
    let holds = runtime.queue.holds().list().await?;
    // One that is down for other calls may well delete; one that waits for a person does not.
    let holds_it = |hold: &&Hold| {
        hold.scope == Scope::Service && hold.name == service && hold.reason.blocks_known_meetings()
    };
    if let Some(hold) = holds.iter().find(holds_it) {
        return try_later(runtime, delivery, wait, &one_line(&hold.detail, ERROR_MAX)).await;
    }
    let Err(error) =
        dispose_remotely(handle.service.as_ref(), &job, folder.on_success_remote).await
    else {
        return record_delivered(runtime, delivery, folder, None).await;
    };
    let reason = one_line(&error_chain(&error), ERROR_MAX);
    if delivery.attempts == 0 {
        tracing::warn!(
            job.id = job.id.0,
            "job {}: its recording at the service is not deleted yet: {reason}",
            job.id
        );
    }
    match error {
        CallError::Unavailable { after, .. } => {
            try_later(runtime, delivery, wait.max(after.unwrap_or_default()), &reason).await
        }
        CallError::SignedOut { .. } => {
            runtime.service_refused(handle, true, &error.into()).await;
            try_later(runtime, delivery, wait, &reason).await
        }
        // It is still at work on it.
        CallError::Refused { status: 409, .. } => try_later(runtime, delivery, wait, &reason).await,
        CallError::Forbidden { .. } | CallError::Refused { .. } | CallError::File(_) => {
            handle_refusal(runtime, delivery, folder, &printable_path(&job.path), wait, &reason)
                .await
        }
    }
}

async fn handle_refusal(
    runtime: &Runtime,
    delivery: &Delivery,
    folder: &Folder,
    recording: &str,
    wait: Duration,
    reason: &str,
) -> Result<(), StoreError> {
    if delivery.attempts + 1 < TRIES {
        return try_later(runtime, delivery, wait, reason).await;
    }
    give_up(runtime, delivery, folder, recording, reason).await
}

/// Asks the service to delete or purge the recording of a job; does nothing where it never had one.
///
/// # Errors
/// The error of the service, which has not deleted it.
async fn dispose_remotely(
    service: &dyn NotesService,
    job: &Job,
    how: OnSuccessRemote,
) -> Result<(), CallError> {
    let (Some(meeting), Some(recording)) = (job.remote.meeting_id(), job.remote.recording_id())
    else {
        return Ok(());
    };
    Effect::CallDispose.during_async(service.dispose_recording(meeting, recording, how)).await
}
