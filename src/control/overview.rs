//! What the first page shows beyond `status`: files that are settling, models, queues, and the last 30 days.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use super::{ConnectionState, ControlService, Refusal, StatusReport};
use crate::{
    clock,
    job::{HoldReason, JobState},
    store::RecentEnd,
    text::{format_count, printable_path},
    watch::why::FileExplanation,
};

/// Files of one folder that are settling and shown.
const SETTLING_MAX: usize = 20;

/// Days of the numbers.
pub(crate) const RECENT_DAYS: i32 = 30;

/// What the first page shows beyond `status`.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    /// By the name of the folder.
    pub folders: BTreeMap<String, FolderDetails>,
    /// By the name of the service.
    pub services: BTreeMap<String, ServiceDetails>,
}

/// A folder.
#[derive(Debug, Default)]
pub(crate) struct FolderDetails {
    /// Files that are settling, with the reason: the first ones by name.
    pub settling: Vec<(String, String)>,
    /// When the last recording was taken in.
    pub last_taken: Option<Timestamp>,
}

/// A service.
#[derive(Debug, Default)]
pub(crate) struct ServiceDetails {
    /// Its models, for a person.
    pub models: Vec<String>,
    /// The folders that send their recordings there.
    pub folders: Vec<String>,
    /// True if a person signs in there.
    pub has_sign_in: bool,
}

/// The numbers of one day.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct DayNumbers {
    /// The day, in this machine's time zone.
    pub date: Date,
    /// Recordings that got their notes.
    pub done: u32,
    /// Recordings that failed.
    pub failed: u32,
    /// The length of those that got their notes.
    pub length: Duration,
}

/// The numbers of the last days.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RecentNumbers {
    /// The days, the last of which is today.
    pub days: Vec<DayNumbers>,
    /// The time from the intake to the notes that half of the recordings kept; `None` without any.
    pub median_time: Option<Duration>,
}

impl ControlService {
    /// Returns what the first page shows beyond `status`.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn overview(&self) -> Result<Overview, Refusal> {
        let live = self.live_settings();
        let mut last_taken: BTreeMap<_, _> =
            self.queue.jobs().last_taken().await?.into_iter().collect();
        let folders = live.settings.folders.iter().map(|folder| {
            let files = self
                .watch_of(&folder.id)
                .map(|handle| handle.view().settling_files(SETTLING_MAX))
                .unwrap_or_default();
            let settling = files.into_iter().map(|file| {
                (printable_path(&file.path), FileExplanation::Settling(file).to_string())
            });
            let settling = settling.collect();
            let last_taken = last_taken.remove(&folder.id);
            (folder.name.clone(), FolderDetails { settling, last_taken })
        });
        let services = live.services.iter().map(|(name, handle)| {
            let of_it = live.settings.folders.iter().filter(|folder| folder.service == *name);
            let details = ServiceDetails {
                models: handle.settings.kind.models(),
                folders: of_it.map(|folder| folder.name.clone()).collect(),
                has_sign_in: handle.account.is_some(),
            };
            (name.clone(), details)
        });
        Ok(Overview { folders: folders.collect(), services: services.collect() })
    }

    /// Returns what needs a person, a line each.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn list_attention(&self) -> Result<Vec<String>, Refusal> {
        Ok(describe_attention(&self.status_report().await?))
    }

    /// Returns the numbers of the last [`RECENT_DAYS`] days.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn recent_numbers(&self) -> Result<RecentNumbers, Refusal> {
        let now = clock::now();
        let span = SignedDuration::from_hours(24 * i64::from(RECENT_DAYS));
        let since = now.saturating_sub(span).unwrap_or(Timestamp::MIN);
        let ends = self.queue.jobs().ended_since(since).await?;
        Ok(count_days(&ends, now, &TimeZone::system()))
    }
}

/// Returns what of a status needs a person, a line each; the page shows the same.
fn describe_attention(status: &StatusReport) -> Vec<String> {
    let mut lines = Vec::new();
    if status.disk_full {
        lines.push(format!("the disk of {} is full: nothing new is begun", status.state_dir));
    }
    for service in &status.services {
        lines.extend(describe_held(
            "service",
            &service.name,
            service.state,
            service.detail.as_deref(),
        ));
    }
    for source in &status.sources {
        lines.extend(describe_held("source", &source.name, source.state, source.detail.as_deref()));
    }
    if let Some(mail) = &status.mail {
        lines.push(format!("mail by {} is down: {}", mail.host, mail.detail));
    }
    for folder in &status.folders {
        let trouble = folder.trouble.iter();
        lines.extend(trouble.map(|trouble| format!("folder {}: {trouble}", folder.name)));
        if folder.backlog > 0 {
            let old = format_count(folder.backlog, "recording");
            lines.push(format!("folder {}: {old} from before minuted", folder.name));
        }
        let failed = folder.jobs.get(&JobState::Failed).copied().unwrap_or_default();
        if failed > 0 {
            let failed = format_count(failed, "recording");
            lines.push(format!(
                "folder {}: {failed} failed; minuted jobs --state failed",
                folder.name
            ));
        }
    }
    lines
}

fn describe_held(
    what: &str,
    name: &str,
    state: ConnectionState,
    detail: Option<&str>,
) -> Option<String> {
    let reason = match state {
        ConnectionState::Up
        | ConnectionState::Unknown
        // They end without help, and are nobody's fault.
        | ConnectionState::Held(HoldReason::Reading | HoldReason::Budget) => return None,
        ConnectionState::Held(reason) => reason,
    };
    let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
    Some(format!("{what} {name} is {reason}{detail}"))
}

/// Counts what ended on each day up to today.
fn count_days(ends: &[RecentEnd], now: Timestamp, zone: &TimeZone) -> RecentNumbers {
    let date_of = |at: Timestamp| at.to_zoned(zone.clone()).date();
    let today = date_of(now);
    let dates = (0..RECENT_DAYS).rev();
    let dates = dates
        .filter_map(|ago| today.checked_sub(SignedDuration::from_hours(24 * i64::from(ago))).ok());
    let mut days: Vec<DayNumbers> =
        dates.map(|date| DayNumbers { date, ..DayNumbers::default() }).collect();
    let mut times = Vec::new();
    for end in ends {
        let date = date_of(end.at);
        let Some(day) = days.iter_mut().find(|day| day.date == date) else { continue };
        if end.outcome == JobState::Done {
            day.done += 1;
            day.length += end.length.unwrap_or_default();
            times.push(clock::elapsed(end.taken, end.at));
        } else {
            day.failed += 1;
        }
    }
    times.sort_unstable();
    RecentNumbers { days, median_time: times.get(times.len() / 2).copied() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(taken: &str, at: &str, outcome: JobState, minutes: u64) -> RecentEnd {
        RecentEnd {
            taken: taken.parse().expect("a time"),
            at: at.parse().expect("a time"),
            outcome,
            length: Some(Duration::from_secs(60 * minutes)),
        }
    }

    #[test]
    fn days_are_those_of_the_zone_and_what_is_older_is_left_out() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = "2026-03-10T12:00:00Z".parse().expect("a time");
        let ends = [
            // At 22:30 UTC it is the next day there.
            end("2026-03-08T22:00:00Z", "2026-03-08T22:30:00Z", JobState::Done, 30),
            end("2026-03-09T08:00:00Z", "2026-03-09T08:10:00Z", JobState::Done, 20),
            end("2026-03-10T08:00:00Z", "2026-03-10T09:00:00Z", JobState::Done, 60),
            end("2026-03-10T08:00:00Z", "2026-03-10T09:00:00Z", JobState::Failed, 60),
            end("2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z", JobState::Done, 60),
        ];
        let numbers = count_days(&ends, now, &zone);
        assert_eq!(numbers.days.len(), 30);
        assert_eq!(numbers.days[0].date, jiff::civil::date(2026, 2, 9));
        let [.., yesterday, today] = numbers.days.as_slice() else { unreachable!() };
        assert_eq!((yesterday.done, yesterday.failed), (2, 0));
        assert_eq!(yesterday.length, Duration::from_secs(50 * 60));
        assert_eq!((today.done, today.failed), (1, 1));
        assert_eq!(today.length, Duration::from_secs(60 * 60), "what failed has no notes");
        assert_eq!(numbers.median_time, Some(Duration::from_secs(30 * 60)));
        assert_eq!(count_days(&[], now, &zone).median_time, None);
    }
}
