//! `/metrics`: numbers for a monitoring system, in the text format of `OpenMetrics`.
//!
//! Labels are names of folders and services, states and kinds: never the name of a file, a title or a person. Most numbers
//! are read when somebody asks; the counters are brought up to date then from the history of the jobs.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::sync::Mutex;

use super::Web;
use crate::{
    control::{ControlService, MetricFacts, Refusal},
    store::{EndedJob, EndedStage, Scope, StoreError, Tally},
};

/// The media type of the text.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The bounds of the histogram of stages, in seconds: from a file that is copied to a day that is transcribed.
const STAGE_BOUNDS: [f64; 10] =
    [0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0];

/// The folder of a job whose folder has left the configuration.
const REMOVED: &str = "(removed)";

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type FloatCounters = Family<Labels, Counter<f64, AtomicU64>>;
type Gauges = Family<Labels, Gauge>;
type FloatGauges = Family<Labels, Gauge<f64, AtomicU64>>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// The numbers that only grow. They begin at 0 with the daemon.
#[derive(Debug)]
pub(super) struct Metrics {
    finished: Counters,
    recording_seconds: FloatCounters,
    stage_seconds: Histograms,
    /// The number of the last event that was counted.
    last_event: Mutex<i64>,
}

impl Metrics {
    /// Returns the numbers of a daemon that counts what happens from now on.
    pub(super) async fn begin(service: &ControlService) -> Result<Self, StoreError> {
        Ok(Self {
            finished: Family::default(),
            recording_seconds: Family::default(),
            stage_seconds: Family::new_with_constructor(|| Histogram::new(STAGE_BOUNDS)),
            last_event: Mutex::new(service.last_event().await?),
        })
    }

    /// Counts what has happened since the last time.
    async fn catch_up(
        &self,
        service: &ControlService,
        folders: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        let mut last = self.last_event.lock().await;
        loop {
            let tally = service.tally(*last).await?;
            if tally.last == *last {
                return Ok(());
            }
            *last = tally.last;
            self.count(&tally, folders);
        }
    }

    fn count(&self, tally: &Tally, folders: &BTreeMap<String, String>) {
        for EndedJob { folder, service, outcome, length } in &tally.ended {
            let folder = name_of(folders, folder);
            let labels = vec![("folder", folder.clone()), ("outcome", outcome.to_string())];
            self.finished.get_or_create(&labels).inc();
            if let (Some(service), Some(length)) = (service, length) {
                let labels = vec![("folder", folder), ("service", service.clone())];
                self.recording_seconds.get_or_create(&labels).inc_by(length.as_secs_f64());
            }
        }
        for EndedStage { stage, service, took } in &tally.stages {
            let service = service.clone().unwrap_or_default();
            let labels = vec![("stage", stage.to_string()), ("service", service)];
            self.stage_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        }
    }
}

fn name_of(folders: &BTreeMap<String, String>, id: &str) -> String {
    folders.get(id).map_or(REMOVED, String::as_str).to_owned()
}

/// Answers a scrape.
pub(super) async fn show(State(web): State<Arc<Web>>) -> Response {
    let text = match read(&web).await {
        Ok(text) => text,
        Err(refusal) => {
            return (StatusCode::SERVICE_UNAVAILABLE, refusal.message).into_response();
        }
    };
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
}

async fn read(web: &Web) -> Result<String, Refusal> {
    let facts = web.service.metric_facts().await?;
    web.metrics.catch_up(&web.service, &facts.folders).await?;
    let mut registry = Registry::with_prefix("minuted");
    register_daemon(&mut registry, &facts);
    register_jobs(&mut registry, &facts);
    register_services(&mut registry, &facts);
    register_counters(&mut registry, &web.metrics);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Refusal::new(error.to_string()))?;
    Ok(text)
}

fn register_daemon(registry: &mut Registry, facts: &MetricFacts) {
    let build = Gauges::default();
    build.get_or_create(&vec![("version", facts.status.version.clone())]).set(1);
    registry.register("build_info", "The version that runs; always 1", build);
    let reload: Gauge = Gauge::default();
    reload.set(i64::from(!facts.is_config_refused));
    registry.register(
        "config_last_reload_successful",
        "1 if the configuration on disk is in force, 0 if it was refused",
        reload,
    );
    registry.register_with_unit(
        "queue_commit",
        "Time that a commit to the queue takes",
        Unit::Seconds,
        facts.commit_seconds.clone(),
    );
    let held = Gauges::default();
    for hold in &facts.status.holds {
        let name = match hold.scope {
            Scope::Folder => name_of(&facts.folders, &hold.name),
            Scope::Service | Scope::Disk | Scope::Source => hold.name.clone(),
        };
        let labels = vec![
            ("scope", hold.scope.to_string()),
            ("name", name),
            ("reason", hold.reason.to_string()),
        ];
        held.get_or_create(&labels).set(1);
    }
    registry.register("held", "1 for all that is held back, with the reason", held);
    let scans = FloatGauges::default();
    for folder in &facts.status.folders {
        if let Some(at) = folder.scanned {
            let labels = vec![("folder", folder.name.clone())];
            scans.get_or_create(&labels).set(at.as_duration().as_secs_f64());
        }
    }
    registry.register_with_unit(
        "scan_last_success_timestamp",
        "Time of the last complete scan of a folder",
        Unit::Seconds,
        scans,
    );
}

fn register_jobs(registry: &mut Registry, facts: &MetricFacts) {
    let jobs = Gauges::default();
    for (folder, state, count) in &facts.jobs {
        let labels =
            vec![("folder", name_of(&facts.folders, folder)), ("state", state.to_string())];
        jobs.get_or_create(&labels).inc_by(i64::try_from(*count).unwrap_or(i64::MAX));
    }
    registry.register("jobs", "Jobs in the queue and its history", jobs);
    let oldest = FloatGauges::default();
    for (folder, since) in &facts.oldest {
        let labels = vec![("folder", name_of(&facts.folders, folder))];
        oldest.get_or_create(&labels).set(since.as_duration().as_secs_f64());
    }
    registry.register_with_unit(
        "oldest_unfinished_timestamp",
        "Time at which the oldest job was taken in that is not over",
        Unit::Seconds,
        oldest,
    );
    let deliveries = Gauges::default();
    for (kind, state, count) in &facts.deliveries {
        let labels = vec![("kind", kind.to_string()), ("state", state.to_string())];
        deliveries.get_or_create(&labels).set(i64::try_from(*count).unwrap_or(i64::MAX));
    }
    registry.register("deliveries", "Notes, mails and other deliveries", deliveries);
}

fn register_services(registry: &mut Registry, facts: &MetricFacts) {
    let calls = Counters::default();
    for (service, call, outcome, count) in &facts.calls {
        let labels = vec![
            ("service", service.clone()),
            ("call", call.as_str().to_owned()),
            ("outcome", (*outcome).to_owned()),
        ];
        calls.get_or_create(&labels).inc_by(*count);
    }
    registry.register("service_calls", "Calls of services for jobs", calls);
    let expiries = FloatGauges::default();
    for service in &facts.status.services {
        if let Some(until) = service.signed_in_until {
            let labels = vec![("service", service.name.clone())];
            expiries.get_or_create(&labels).set(until.as_duration().as_secs_f64());
        }
    }
    registry.register_with_unit(
        "signin_expires_timestamp",
        "Time at which the sign-in ends if nothing refreshes it",
        Unit::Seconds,
        expiries,
    );
}

fn register_counters(registry: &mut Registry, metrics: &Metrics) {
    registry.register("jobs_finished", "Jobs that came to an end", metrics.finished.clone());
    registry.register_with_unit(
        "recording",
        "Length of the recordings whose jobs came to an end",
        Unit::Seconds,
        metrics.recording_seconds.clone(),
    );
    registry.register_with_unit(
        "stage_duration",
        "Time from the event before in a job's history to the end of its stage, waiting included",
        Unit::Seconds,
        metrics.stage_seconds.clone(),
    );
}
