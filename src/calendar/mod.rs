//! Calendars: from the events of a folder's calendar to the title and the attendees of a recording.
//!
//! An iCalendar text is read line by line (`lines`), and each of its events by itself (`event`): the text of an event, its
//! links and its telephone numbers are never parsed. Series are followed within the window of one recording alone
//! (`recurrence`, `occurrences`), in zones by the names that vendors use (`zone`). `matching` chooses the event, or none. `files`
//! fetches and reads the texts, and `shelf` keeps them in memory for as long as they are new enough.

mod event;
mod files;
mod lines;
mod matching;
mod occurrences;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod recurrence;
mod shelf;
#[cfg(test)]
mod tests;
mod zone;

pub(crate) use matching::{EventChoice, RecordedFile, RecordingSpan, choose_event};
pub(crate) use occurrences::{TimeWindow, UnreadableReason};
pub(crate) use shelf::{CalendarShelf, UnreadableCalendar};
