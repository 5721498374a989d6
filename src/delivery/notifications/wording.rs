//! The words of an event for a person with a phone: a title, a line, and how urgent it is.

use crate::{config::NotifyEvent, store::EventFacts, text::one_line};

/// Characters of a title: what a phone shows of it.
const TITLE_CHARS_MAX: usize = 120;

/// Characters of a line; ntfy takes 4096 bytes.
const LINE_CHARS_MAX: usize = 700;

/// The words of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventWording {
    /// The title.
    pub title: String,
    /// The line below it.
    pub line: String,
    /// The priority of ntfy, 1 to 5: 3 is the usual one, 5 rings.
    pub priority: u8,
    /// The tag of ntfy, the name of an emoji.
    pub tag: &'static str,
}

/// Returns the words of an event. Names and titles are data: they are cut, and stand behind our own words.
#[must_use]
pub(super) fn word_event(event: NotifyEvent, facts: &EventFacts) -> EventWording {
    let unnamed = || "a recording".to_owned();
    let recording =
        || facts.title.clone().or_else(|| facts.recording.clone()).unwrap_or_else(unnamed);
    let service = facts.service.as_deref().unwrap_or("a service");
    let folder = facts.folder.as_deref().unwrap_or("a folder");
    let (title, priority, tag) = match event {
        NotifyEvent::RecordingTaken => {
            (format!("Recording taken: {}", recording()), 2, "inbox_tray")
        }
        NotifyEvent::NotesReady => (format!("Notes ready: {}", recording()), 3, "memo"),
        NotifyEvent::NotesPartial => (format!("Notes incomplete: {}", recording()), 3, "memo"),
        NotifyEvent::RecordingFailed => {
            (format!("Recording failed: {}", recording()), 4, "warning")
        }
        NotifyEvent::RecordingSkipped => {
            (format!("Recording skipped: {}", recording()), 2, "fast_forward")
        }
        NotifyEvent::ServiceDown => (format!("Service down: {service}"), 4, "warning"),
        NotifyEvent::ServiceUp => {
            (format!("Service works again: {service}"), 3, "white_check_mark")
        }
        NotifyEvent::ServiceSignedOut => (format!("Sign in at {service}"), 5, "key"),
        NotifyEvent::FolderHeld => (format!("Folder held: {folder}"), 4, "pause_button"),
        NotifyEvent::FolderReleased => (format!("Folder goes on: {folder}"), 2, "arrow_forward"),
    };
    let mut parts = Vec::new();
    if facts.job.is_some() {
        parts.push(format!("folder {folder}"));
        parts.extend(facts.title.as_ref().and(facts.recording.clone()));
    }
    parts.extend(facts.detail.clone());
    let line = if parts.is_empty() { title.clone() } else { parts.join(": ") };
    EventWording {
        title: one_line(&title, TITLE_CHARS_MAX),
        line: one_line(&line, LINE_CHARS_MAX),
        priority,
        tag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_words_and_a_priority_that_ntfy_takes() {
        let facts = EventFacts {
            job: Some(3),
            folder: Some("sales".to_owned()),
            recording: Some("talk.wav".to_owned()),
            service: Some("paxs".to_owned()),
            detail: Some("the server said 503".to_owned()),
            ..EventFacts::default()
        };
        let lines = NotifyEvent::ALL.iter().map(|event| {
            let EventWording { title, line, priority, tag } = word_event(*event, &facts);
            assert!((1..=5).contains(&priority));
            format!("{priority} {tag}: {title} / {line}")
        });
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
        2 inbox_tray: Recording taken: talk.wav / folder sales: the server said 503
        3 memo: Notes ready: talk.wav / folder sales: the server said 503
        3 memo: Notes incomplete: talk.wav / folder sales: the server said 503
        4 warning: Recording failed: talk.wav / folder sales: the server said 503
        2 fast_forward: Recording skipped: talk.wav / folder sales: the server said 503
        4 warning: Service down: paxs / folder sales: the server said 503
        3 white_check_mark: Service works again: paxs / folder sales: the server said 503
        5 key: Sign in at paxs / folder sales: the server said 503
        4 pause_button: Folder held: sales / folder sales: the server said 503
        2 arrow_forward: Folder goes on: sales / folder sales: the server said 503
        ");
    }

    #[test]
    fn hostile_names_are_cut_and_stay_on_one_line() {
        let title = format!("\u{202e}x\nPriority: 5\n{}", "é".repeat(5000));
        let facts = EventFacts {
            title: Some(title.clone()),
            recording: Some(title.clone()),
            detail: Some(title),
            job: Some(1),
            ..EventFacts::default()
        };
        let words = word_event(NotifyEvent::NotesReady, &facts);
        for text in [&words.title, &words.line] {
            assert!(!text.contains(['\n', '\u{202e}']), "{text}");
        }
        assert!(words.title.chars().count() <= TITLE_CHARS_MAX);
        assert!(words.line.len() <= 4096, "{}", words.line.len());
    }
}
