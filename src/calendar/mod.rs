//! Calendars: from the events of a folder's calendar to the title and the attendees of a recording.
//!
//! An iCalendar text is read line by line (`lines`), and each of its events by itself (`event`): the text of an event, its
//! links and its telephone numbers are never parsed. Series are followed within the window of one recording alone
//! (`recurrence`, `occurrences`), in zones by the names that vendors use (`zone`). `matching` chooses the event, or none.

mod event;
mod lines;
mod matching;
mod occurrences;
mod recurrence;
#[cfg(test)]
mod tests;
mod zone;

pub(crate) use matching::{DropReason, EventChoice, RecordingSpan, choose_event, is_split_part};
pub(crate) use occurrences::{
    CalendarExcerpt, TimeWindow, UnreadableReason, is_calendar, list_occurrences,
};
