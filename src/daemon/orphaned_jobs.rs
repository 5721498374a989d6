//! Jobs that nobody works on although the queue says so: found now and then, and moved on.

use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::Parts;
use crate::{
    clock,
    delivery::post_delivery_actions,
    store::{JobId, StoreError},
};

/// A job that has run for less may be on its way to the worker's hands.
const RUNS_FOR: Duration = Duration::from_secs(60);

/// Lets jobs go on whose work has ended without a word in the queue, because its disk was full.
pub(super) async fn recover_orphans(parts: &Parts) {
    let at_work: Vec<JobId> = parts.worker.activity.snapshot().into_keys().collect();
    let now = clock::now();
    let before = now
        .saturating_sub(SignedDuration::try_from(RUNS_FOR).unwrap_or_default())
        .unwrap_or(Timestamp::MIN);
    match parts.runtime.queue.jobs().recover(at_work, before, now).await {
        Ok(0) => {}
        Ok(count) => {
            tracing::info!("{count} jobs whose work could not be recorded go on");
            parts.runtime.nudge();
        }
        Err(error) => parts.runtime.queue_failed("look for jobs that nobody works on", &error),
    }
}

/// Finishes jobs that deliver although nothing is due: their last delivery was given up, held, or made by hand.
pub(super) async fn settle_orphan(parts: &Parts) {
    if let Err(error) = settle_orphans(parts).await {
        parts.runtime.queue_failed("finish what is delivered", &error);
    }
}

async fn settle_orphans(parts: &Parts) -> Result<(), StoreError> {
    let live = parts.runtime.live();
    let mut moved = BTreeSet::new();
    for (job, folder) in parts.runtime.queue.deliveries().list_idle().await? {
        if let Some(folder) = live.folders.get(&folder) {
            parts
                .runtime
                .queue
                .deliveries()
                .settle_job(job, post_delivery_actions(folder), clock::now())
                .await?;
            moved.insert(job);
        }
    }
    if !moved.is_empty() {
        parts.runtime.nudge();
    }
    Ok(())
}
