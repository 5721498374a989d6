//! The facts behind `/metrics`.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;

use super::{ControlRequest, ControlService, Refusal, StatusReport};
use crate::{
    job::JobState,
    services::breaker::Call,
    store::{DeliveryKind, DeliveryState, StoreError, Tally},
};

/// What is measured when somebody asks.
#[derive(Debug)]
pub(crate) struct MetricFacts {
    /// Everything at a glance.
    pub status: StatusReport,
    /// The names of the folders, by id.
    pub folders: BTreeMap<String, String>,
    /// Jobs by folder id and state.
    pub jobs: Vec<(String, JobState, u64)>,
    /// The intake of the oldest job that is not over, by folder id.
    pub oldest: Vec<(String, Timestamp)>,
    /// Deliveries by kind and state.
    pub deliveries: Vec<(DeliveryKind, DeliveryState, u64)>,
    /// Calls by service and outcome.
    pub calls: Vec<(String, Call, &'static str, u64)>,
    /// How long commits take, in seconds.
    pub commit_seconds: Histogram,
    /// True if the configuration on disk was refused.
    pub is_config_refused: bool,
}

impl ControlService {
    /// Returns what is measured.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn metric_facts(&self) -> Result<MetricFacts, Refusal> {
        let status = self.answer(ControlRequest::Status).await?;
        let status = serde_json::from_value(status)
            .map_err(|error| Refusal::new(format!("a bug: {error}")))?;
        let live = self.live_settings();
        let folders = live.folders.iter();
        let folders = folders.map(|(id, folder)| (id.clone(), folder.name.clone())).collect();
        let mut calls = Vec::new();
        for (name, handle) in &live.services {
            for (call, outcome, count) in handle.health.count_calls() {
                calls.push((name.clone(), call, outcome, count));
            }
        }
        Ok(MetricFacts {
            status,
            folders,
            jobs: self.queue.jobs().count_by_state().await?,
            oldest: self.queue.jobs().oldest_unfinished().await?,
            deliveries: self.queue.jobs().count_deliveries().await?,
            calls,
            commit_seconds: self.queue.commit_seconds(),
            is_config_refused: self
                .worker
                .as_ref()
                .is_some_and(|worker| worker.runtime.config_refused.load(Ordering::Relaxed)),
        })
    }

    /// Returns the number of the last event in the history of the jobs.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn last_event(&self) -> Result<i64, StoreError> {
        self.queue.jobs().last_event().await
    }

    /// Returns what has ended since the event of this number.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn tally(&self, since: i64) -> Result<Tally, StoreError> {
        self.queue.jobs().tally(since).await
    }
}
