//! Promises about any calendar, for `fuzz/` and for the tests.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{
    matching::{RecordingSpan, choose_event},
    occurrences::list_occurrences,
};
use crate::{job::CalendarAnswer, text::is_unprintable};

/// Reads a calendar, and chooses the event of a recording: whatever is taken can be shown, and names people.
pub(crate) fn calendar(bytes: &[u8]) {
    let recording = RecordingSpan {
        start: Timestamp::from_second(1_796_029_200).expect("in range"),
        length: Some(SignedDuration::from_mins(30)),
        is_certain: true,
        name: "talk".to_owned(),
    };
    let found = list_occurrences(&[bytes], recording.window(), &TimeZone::UTC);
    let choice = choose_event(&recording, &found, &[]);
    if let CalendarAnswer::Taken { event } = choice.answer {
        assert!(!event.title.contains(is_unprintable), "{:?}", event.title);
        assert!(!event.attendees.is_empty() && event.attendees.len() <= 501);
        assert!(event.start < event.end);
    }
    for event in &choice.candidates {
        assert!(!event.title.contains(is_unprintable), "{:?}", event.title);
    }
}
