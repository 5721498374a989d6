//! Daily limits as people see them: what waits for the next day, and why.

use std::collections::BTreeMap;

use super::{ControlService, held::held_by};
use crate::{
    clock::{self, LocalDay, local_day, local_minute},
    job::{HoldReason, JobState, WaitReason},
    runtime::LiveConfig,
    store::{DailyLimits, DayUsage, HeldBy, Hold, JobView, Scope, StoreError},
    text::{format_audio, format_count},
    worker::{limits_of, list_limited},
};

/// The audio that was begun today.
pub(super) struct Today {
    day: LocalDay,
    usage: DayUsage,
}

impl ControlService {
    /// Returns what was begun today.
    pub(super) async fn today(&self) -> Result<Today, StoreError> {
        let day = local_day(clock::now());
        Ok(Today { day, usage: self.queue.jobs().read_usage(day.date).await? })
    }

    /// Returns the daily limits that keep recordings waiting, as holds. The queue records none: they follow from what was
    /// begun today.
    pub(super) async fn reached_limits(&self) -> Result<Vec<Hold>, StoreError> {
        let live = self.live_settings();
        let limited = list_limited(&self.queue, &live, clock::now()).await?;
        let mut waiting: BTreeMap<(&str, &str), (&DailyLimits, u64)> = BTreeMap::new();
        for one in &limited {
            let of_folder = (Scope::Folder, one.folder.as_str(), one.jobs.by_folder);
            let of_service = (Scope::Service, one.limits.service.as_str(), one.jobs.by_service);
            for (scope, name, jobs) in [of_folder, of_service] {
                waiting.entry((scope.as_str(), name)).or_insert((&one.limits, 0)).1 += jobs;
            }
        }
        let today = self.today().await?;
        let held = waiting.into_iter().filter(|(_, (_, jobs))| *jobs > 0);
        let held = held.filter_map(|((scope, name), (limits, jobs))| {
            let scope = Scope::parse(scope)?;
            let wait = if jobs == 1 { "waits" } else { "wait" };
            let detail = format!(
                "{}; {} {wait} until {}",
                today.describe_use(scope, name, limits, &live),
                format_count(jobs, "recording"),
                local_minute(today.day.end)
            );
            Some(limit_as_hold(scope, name, detail))
        });
        Ok(held.collect())
    }
}

impl Today {
    /// Has a job that could run wait for the next day, where a daily limit keeps it back.
    pub(super) fn apply(&self, job: &mut JobView, live: &LiveConfig) {
        let now = clock::now();
        let is_due = job.due.is_none_or(|due| due <= now);
        let could_run = job.state == JobState::Ready || job.waits_for == Some(WaitReason::Retry);
        if !could_run || !is_due {
            return;
        }
        if let Some(held) = self.hold_of(job, live) {
            job.state = JobState::Waiting;
            job.waits_for = Some(WaitReason::Budget);
            job.hold = Some(held);
        }
    }

    fn hold_of(&self, job: &JobView, live: &LiveConfig) -> Option<HeldBy> {
        let folder = live.folders.get(&job.folder)?;
        let handle = live.services.get(&folder.service)?;
        if job.service.as_ref().is_some_and(|name| live.source_transcripts.contains_key(name)) {
            return None;
        }
        let limits = limits_of(folder, handle, self.day);
        let scope = self.usage.find_reached(job, &limits)?;
        let name = if scope == Scope::Folder { &job.folder } else { &limits.service };
        let detail = format!(
            "{}, and this recording has {}",
            self.describe_use(scope, name, &limits, live),
            format_audio(job.unbegun.unwrap_or_default())
        );
        let hold = limit_as_hold(scope, name, detail);
        Some(HeldBy { next_try: Some(self.day.end), ..held_by(&hold, live) })
    }

    /// Describes a limit and how much of it is used.
    fn describe_use(
        &self,
        scope: Scope,
        name: &str,
        limits: &DailyLimits,
        live: &LiveConfig,
    ) -> String {
        let (max, shown) = if scope == Scope::Folder {
            let folder = live.folders.get(name).map_or(name, |folder| folder.name.as_str());
            (limits.folder_max, format!("folder `{folder}`"))
        } else {
            (limits.service_max, format!("service `{name}`"))
        };
        format!(
            "the daily limit of {shown} is {}, {} were begun today",
            format_audio(max.unwrap_or_default()),
            format_audio(self.usage.used(scope, name).unwrap_or_default())
        )
    }
}

fn limit_as_hold(scope: Scope, name: &str, detail: String) -> Hold {
    let name = name.to_owned();
    Hold { scope, name, reason: HoldReason::Budget, detail, since: clock::now() }
}
