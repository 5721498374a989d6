//! Daily limits as the claims keep to them: which hold for a claim, whose turn a new day begins with, and the notice about
//! one that is used up.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::Worker;
use crate::{
    clock::{LocalDay, local_day, local_minute},
    config::Folder,
    job::Stage,
    runtime::{LiveConfig, ServiceHandle},
    store::{ClaimRequest, DailyLimits, JobFilter, LimitedJobs, Scope, Store, StoreError},
    text::{format_audio, one_line},
};

/// Characters of a notice that are logged.
const LOGGED_MAX: usize = 500;

/// Returns the limits on what the service gets from the folder on a day.
pub(crate) fn limits_of(folder: &Folder, handle: &ServiceHandle, day: LocalDay) -> DailyLimits {
    DailyLimits {
        day: day.date,
        service: handle.service.name().to_owned(),
        folder_max: as_limit(folder.limits.daily_limit),
        service_max: as_limit(handle.settings.daily_limit),
    }
}

/// Returns a limit as the configuration has it; zero is none.
fn as_limit(limit: Duration) -> Option<Duration> {
    (!limit.is_zero()).then_some(limit)
}

/// Returns the folder that has the first turn of the day at its service, because its recording is longer than a day's limit.
pub(super) async fn find_oversize(
    worker: &Worker,
    live: &LiveConfig,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    for handle in live.services.values().filter(|handle| !handle.settings.daily_limit.is_zero()) {
        let service = handle.service.name();
        let folders = live.folders.values().filter(|folder| folder.service == service);
        let folders = folders.map(|folder| folder.id.clone()).collect();
        let limits = DailyLimits {
            day: local_day(now).date,
            service: service.to_owned(),
            folder_max: None,
            service_max: as_limit(handle.settings.daily_limit),
        };
        let first = worker.runtime.queue.jobs().find_oversize(limits, folders, now).await?;
        if first.is_some() {
            return Ok(first);
        }
    }
    Ok(None)
}

/// Tells the operator, once a day, that a limit keeps recordings of the folder waiting.
pub(super) async fn report_reached(
    worker: &Worker,
    folder: &Arc<Folder>,
    request: ClaimRequest,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(limits) = request.limits.clone().filter(DailyLimits::has_any) else { return Ok(()) };
    let jobs = worker.runtime.queue.jobs();
    let Some(scope) = jobs.find_limited(request, now).await? else { return Ok(()) };
    let (name, shown, max) = if scope == Scope::Folder {
        (&folder.id, format!("folder `{}`", folder.name), limits.folder_max)
    } else {
        (&limits.service, format!("service `{}`", limits.service), limits.service_max)
    };
    let max = max.unwrap_or_default();
    let notice = format!(
        "{shown} has used up its daily limit of {}: further recordings wait until {}\nnothing is lost; raise \
         `daily_limit` of {shown}, then systemctl reload minuted, to go on at once",
        format_audio(max),
        local_minute(local_day(now).end),
    );
    let logged = one_line(&notice.replace('\n', "; "), LOGGED_MAX);
    if jobs.report_limit(limits.day, scope, name, max, notice, now).await? {
        tracing::warn!("{logged}");
        worker.runtime.changed.notify_one();
    }
    Ok(())
}

/// A folder with recordings that wait for the next day.
#[derive(Debug)]
pub(crate) struct LimitedFolder {
    /// The id of the folder.
    pub folder: String,
    /// The limits.
    pub limits: DailyLimits,
    /// The number of its recordings that wait.
    pub jobs: LimitedJobs,
}

/// Returns the folders with recordings that wait for the next day.
///
/// # Errors
/// When the queue cannot be read.
pub(crate) async fn list_limited(
    queue: &Store,
    live: &LiveConfig,
    now: Timestamp,
) -> Result<Vec<LimitedFolder>, StoreError> {
    let mut limited = Vec::new();
    for folder in &live.settings.folders {
        let Some(handle) = live.services.get(&folder.service) else { continue };
        let limits = limits_of(folder, handle, local_day(now));
        if !limits.has_any() {
            continue;
        }
        let request = ClaimRequest {
            folder: folder.id.clone(),
            stages: vec![Stage::Create, Stage::Upload],
            except: None,
            filter: JobFilter::NotFromSources(live.source_transcripts.keys().cloned().collect()),
            limits: Some(limits.clone()),
        };
        let jobs = queue.jobs().count_limited(request, now).await?;
        if jobs != LimitedJobs::default() {
            limited.push(LimitedFolder { folder: folder.id.clone(), limits, jobs });
        }
    }
    Ok(limited)
}

/// Returns when the next day begins, where a limit is in force.
pub(super) fn next_day(live: &LiveConfig, now: Timestamp) -> Option<Timestamp> {
    let folders = live.folders.values().map(|folder| folder.limits.daily_limit);
    let services = live.services.values().map(|handle| handle.settings.daily_limit);
    let is_limited = folders.chain(services).any(|limit| !limit.is_zero());
    is_limited.then(|| local_day(now).end)
}
