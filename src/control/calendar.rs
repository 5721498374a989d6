//! Questions about calendars: which event a recording would take, and whether a calendar can be read.

use std::{path::Path, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime::Handle;

use super::{Answer, ControlService, Refusal, service::to_value};
use crate::{
    calendar::{
        CalendarShelf, EventChoice, RecordedFile, RecordingSpan, TimeWindow, UnreadableReason,
        choose_event,
    },
    clock::{self, local_minute},
    config::{CalendarSettings, Folder},
    job::{CalendarAnswer, CalendarMatch, EventCandidate},
    pipeline::event::recorded_file,
    store::{JobView, Settled},
    text::{one_line, printable_path},
    watch,
};

/// Candidates that a sentence names.
const NAMED_MAX: usize = 3;

/// The answer to `calendar preview`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventPreview {
    /// The file.
    pub path: String,
    /// The folder it lies in, by name.
    pub folder: String,
    /// The start of the recording that events are compared with.
    pub start: Timestamp,
    /// Its length in seconds; `None` where that is not known.
    pub length_seconds: Option<i64>,
    /// True if its start is certain and it is no part of a longer one: else an event must fit more closely.
    pub is_certain: bool,
    /// The event, or the reason why there is none, and the candidates.
    #[serde(flatten)]
    pub found: CalendarMatch,
    /// Events at that time that are not considered.
    pub dropped: Vec<DroppedView>,
}

/// An event that is not considered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DroppedView {
    /// Its title.
    pub title: String,
    /// Its start, where that is known.
    pub start: Option<Timestamp>,
    /// The reason.
    pub reason: String,
}

impl ControlService {
    /// Tells which event the recording at `path` would take, and why.
    pub(super) async fn preview_event(&self, path: &Path) -> Answer {
        let live = self.live_settings();
        let (folder, relative) = self.locate_path(path).ok_or_else(|| {
            Refusal::unknown(format!("`{}` lies in no watched folder", printable_path(path)))
        })?;
        let calendar = live.settings.calendar_of(&folder).ok_or_else(|| {
            Refusal::new(format!("folder `{}` has no calendar", folder.name))
                .hint("add a [[calendar]], and calendar = \"…\" to the folder")
        })?;
        let now = clock::now();
        let (recording, ended) = self.find_span(&folder, &relative, now).await?;
        let calendars = self.calendars();
        calendars.expire(now);
        let read = calendars.list_events(calendar, recording.window(), ended, now).await;
        let excerpt = read.map_err(|unreadable| {
            let message =
                format!("calendar `{}` cannot be read: {}", calendar.name, unreadable.error);
            Refusal::new(message).hint(unreadable.hint)
        })?;
        let people: Vec<String> =
            folder.attendees.iter().map(|person| person.email.clone()).collect();
        let EventChoice { answer, candidates, dropped } =
            choose_event(&recording, &excerpt, &people);
        let dropped = dropped.into_iter().map(|event| DroppedView {
            title: event.title,
            start: Some(event.start),
            reason: event.reason.as_str().to_owned(),
        });
        let unreadable = excerpt.unreadable.into_iter().map(|event| DroppedView {
            title: event.title,
            start: None,
            reason: describe_unreadable(&event.reason),
        });
        to_value(&EventPreview {
            path: printable_path(path),
            folder: folder.name.clone(),
            start: recording.start,
            length_seconds: recording.length.map(|length| length.as_secs()),
            is_certain: recording.is_certain,
            found: CalendarMatch { calendar: calendar.name.clone(), answer, candidates },
            dropped: dropped.chain(unreadable).collect(),
        })
    }

    /// Returns the span of a recording and when it had ended: of its job, else of the file as an intake would find it.
    async fn find_span(
        &self,
        folder: &Arc<Folder>,
        relative: &Path,
        now: Timestamp,
    ) -> Result<(RecordingSpan, Timestamp), Refusal> {
        let zone = TimeZone::system();
        let id = self.queue.jobs().find_at_path(&folder.id, relative.to_owned()).await?;
        let job = match id {
            Some(id) => self.queue.jobs().find(id).await?,
            None => None,
        };
        if let Some(job) = job {
            let told = self.queue.sources().find_details(&job.key).await?;
            let told = told.and_then(|(_, details)| details.date);
            let file = recorded_file(&job);
            return Ok((RecordingSpan::of_file(&file, told, &zone), file.ended(now)));
        }
        let settled = self.look_into(folder, relative).await?;
        let file = RecordedFile {
            path: &settled.path,
            recorded: settled.recorded,
            written_ns: settled.stamp.mtime_ns,
            length: settled.length,
        };
        Ok((RecordingSpan::of_file(&file, None, &zone), file.ended(now)))
    }

    /// Reads a file that has no job as an intake would.
    async fn look_into(&self, folder: &Arc<Folder>, relative: &Path) -> Result<Settled, Refusal> {
        let accepts = self.accepted_extensions(folder);
        let last_words = Arc::clone(&self.last_words);
        let queue = self.queue.clone();
        let folder = Arc::clone(folder);
        let relative = relative.to_owned();
        let settled = tokio::task::spawn_blocking(move || {
            watch::settle_now(
                &folder,
                &accepts,
                relative,
                &|path: &Path, stamp| last_words.mark_or_go_on(&folder.id, path, stamp),
                &|size| {
                    Handle::current()
                        .block_on(queue.jobs().has_size(&folder.id, size))
                        .unwrap_or(true)
                },
            )
        });
        settled
            .await
            .map_err(|error| Refusal::new(error.to_string()))?
            .map_err(|error| Refusal::new(one_line(&format!("{error:#}"), 500)))
    }

    /// Returns the calendars that the daemon has read; none without one.
    pub(super) fn calendars(&self) -> Arc<CalendarShelf> {
        self.worker.as_ref().map(|worker| Arc::clone(&worker.runtime.calendars)).unwrap_or_default()
    }
}

fn describe_unreadable(reason: &UnreadableReason) -> String {
    match reason {
        UnreadableReason::UnknownZone(zone) => format!("its time zone `{zone}` is not known"),
        UnreadableReason::RepeatsTooOften => "it repeats too often to be followed".to_owned(),
    }
}

/// Reads a calendar, and counts its events.
///
/// # Errors
/// The [`Refusal`], with what to do.
pub(crate) async fn try_calendar(calendar: &CalendarSettings) -> Answer {
    let now = clock::now();
    let window = TimeWindow { from: now, to: now };
    match CalendarShelf::default().list_events(calendar, window, now, now).await {
        Ok(excerpt) => Ok(json!({ "events": excerpt.events, "meetings": excerpt.meetings })),
        Err(unreadable) => Err(Refusal::new(unreadable.error).hint(unreadable.hint)),
    }
}

/// Describes what the calendar said of a job's recording.
pub(super) fn describe_match(job: &JobView) -> String {
    let Some(found) = &job.calendar else { return String::new() };
    let calendar = &found.calendar;
    match &found.answer {
        CalendarAnswer::Taken { event } => {
            let title = one_line(&event.title, 100);
            let start = local_minute(event.start);
            format!("; the event `{title}` of {start} in calendar `{calendar}` was taken")
        }
        CalendarAnswer::None { reason } => {
            let candidates = describe_candidates(&found.candidates);
            let reason = reason.as_str();
            format!("; no event of calendar `{calendar}` was taken: {reason}{candidates}")
        }
        CalendarAnswer::Unreadable { error } => {
            let error = one_line(error, 200);
            format!(
                "; it was taken without calendar `{calendar}`, which could not be read: {error}"
            )
        }
    }
}

fn describe_candidates(candidates: &[EventCandidate]) -> String {
    let named: Vec<String> = candidates
        .iter()
        .take(NAMED_MAX)
        .map(|event| {
            let start = local_minute(event.start);
            format!(
                "`{}` of {start} shares {} %",
                one_line(&event.title, 60),
                event.overlap_percent
            )
        })
        .collect();
    if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) }
}
