//! The event of a recording, from the calendar of its folder.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::StageContext;
use crate::{
    calendar::{RecordedFile, RecordingSpan, UnreadableCalendar, choose_event},
    clock,
    job::{CalendarAnswer, CalendarMatch, Setback},
    store::Job,
};

/// A calendar that cannot be read is waited for as long as so many of the longest delays between two attempts: an hour
/// where `delay_max` is a quarter of one. Then the recording goes on without it.
const PATIENCE_DELAYS: u32 = 4;

/// Asks the calendar of the job's folder; `None` where the folder has none. `told` is the date that a sidecar or a source
/// gives.
///
/// # Errors
/// [`Setback::CalendarUnreadable`] while a calendar that cannot be read is waited for.
pub(super) async fn find_event(
    context: &StageContext,
    job: &Job,
    told: Option<Timestamp>,
) -> Result<Option<CalendarMatch>, Setback> {
    let Some(calendar) = &context.calendar else { return Ok(None) };
    let file = recorded_file(job);
    let recording = RecordingSpan::of_file(&file, told, &TimeZone::system());
    let now = clock::now();
    let read = context.calendars.list_events(calendar, recording.window(), file.ended(now), now);
    let name = calendar.name.clone();
    match read.await {
        Ok(excerpt) => {
            let people = context.folder.attendees.iter().map(|person| person.email.clone());
            let choice = choose_event(&recording, &excerpt, &people.collect::<Vec<_>>());
            Ok(Some(CalendarMatch {
                calendar: name,
                answer: choice.answer,
                candidates: choice.candidates,
            }))
        }
        Err(unreadable) if is_waited_for(&unreadable, context, now) => {
            let UnreadableCalendar { error, hint, .. } = unreadable;
            let error = anyhow::anyhow!(
                "the calendar `{name}` of its folder cannot be read: {error}; {hint}; it goes on without the calendar when \
                 that lasts"
            );
            Err(Setback::CalendarUnreadable { error })
        }
        Err(UnreadableCalendar { error, .. }) => Ok(Some(CalendarMatch {
            calendar: name,
            answer: CalendarAnswer::Unreadable { error },
            candidates: Vec::new(),
        })),
    }
}

/// Returns the facts of a job's file.
pub(crate) fn recorded_file(job: &Job) -> RecordedFile<'_> {
    RecordedFile {
        path: &job.path,
        recorded: job.recorded,
        written_ns: job.stamp.mtime_ns,
        length: job.length,
    }
}

fn is_waited_for(unreadable: &UnreadableCalendar, context: &StageContext, now: Timestamp) -> bool {
    let patience = context.delay_max.saturating_mul(PATIENCE_DELAYS);
    let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
    now.duration_since(unreadable.since) < patience
}

/// Returns the remark of notes that had to do without the calendar.
pub(super) fn remark_on(found: &CalendarMatch) -> Option<String> {
    match &found.answer {
        CalendarAnswer::Unreadable { error } => Some(format!(
            "the calendar `{}` could not be read ({error}): title and attendees were taken without it",
            found.calendar
        )),
        CalendarAnswer::Taken { .. } | CalendarAnswer::None { .. } => None,
    }
}
