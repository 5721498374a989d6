//! The outcome of a delivery in the queue: made, tried again later, or given up.

use std::time::Duration;

use jiff::Timestamp;

use super::plan::post_delivery_actions;
use crate::{
    clock,
    config::Folder,
    job::State,
    runtime::Runtime,
    store::{Delivery, DeliveryKind, StoreError, Written},
};

/// Characters of an error that are kept.
pub(super) const ERROR_MAX: usize = 500;

pub(super) async fn record_delivered(
    runtime: &Runtime,
    delivery: &Delivery,
    folder: &Folder,
    written: Option<Written>,
) -> Result<(), StoreError> {
    let endings = post_delivery_actions(folder);
    let state = runtime
        .persist_commit(|| {
            runtime.queue.deliveries().record_done(delivery, written.clone(), endings, clock::now())
        })
        .await?;
    tracing::debug!(
        job.id = delivery.job.0,
        "job {}: delivered {}",
        delivery.job,
        delivery.kind.as_str()
    );
    if state == Some(State::Done) {
        tracing::info!(job.id = delivery.job.0, "job {} is done", delivery.job);
    }
    Ok(())
}

pub(super) async fn give_up(
    runtime: &Runtime,
    delivery: &Delivery,
    folder: &Folder,
    recording: &str,
    error: &str,
) -> Result<(), StoreError> {
    let what = match delivery.kind {
        DeliveryKind::Mail => {
            format!("the notes of {recording} could not be delivered to {}", delivery.target)
        }
        DeliveryKind::Remote => {
            format!("what the service keeps of {recording} could not be deleted there")
        }
        DeliveryKind::Notes
        | DeliveryKind::Failure
        | DeliveryKind::Clear
        | DeliveryKind::Dispose => {
            format!("the notes of {recording} could not be delivered beside it")
        }
    };
    let notice = format!(
        "{what} (folder `{}`): {error}\nminuted job {}; minuted retry {}",
        folder.name, delivery.job, delivery.job
    );
    let endings = post_delivery_actions(folder);
    runtime
        .persist_commit(|| {
            runtime.queue.deliveries().record_failure(
                delivery,
                error,
                notice.clone(),
                endings,
                clock::now(),
            )
        })
        .await?;
    tracing::error!(
        job.id = delivery.job.0,
        "a delivery of job {} has failed: {error}",
        delivery.job
    );
    Ok(())
}

pub(super) async fn try_later(
    runtime: &Runtime,
    delivery: &Delivery,
    wait: Duration,
    error: &str,
) -> Result<(), StoreError> {
    let now = clock::now();
    let due = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
    runtime
        .persist_commit(|| runtime.queue.deliveries().retry_later(delivery, due, error, now))
        .await
}
