//! What is mailed, before any mail server is asked.

use std::ffi::OsStr;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    html,
    markdown::line,
    notes::{Minutes, mailbox},
    plain,
    templates::{Template, fill},
};
use crate::{
    config::Format,
    text::{one_line, printable_path},
};

/// A mail with notes, to anyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its `Message-ID`, in angle brackets; see [`super::message_id`].
    pub message_id: String,
    /// Its subject, on one line.
    pub subject: String,
    /// The notes, byte for byte as beside the recording.
    pub markdown: String,
    /// The notes as a whole HTML page.
    pub html: String,
    /// The notes as plain text.
    pub text: String,
    /// What the attached Markdown is called.
    pub attachment: String,
}

/// The longest subject in characters. RFC 5322 allows a header line 998 bytes; people read far less.
const SUBJECT_CHARS: usize = 200;

/// What the page of a letter is filled with.
#[derive(Serialize)]
struct Values {
    title: String,
    body: String,
    date: String,
    recording: String,
    attendees: String,
}

impl Letter {
    /// Returns the letter of these minutes. `attachment` is the name of the notes' file.
    #[must_use]
    pub fn of(minutes: &Minutes, message_id: String, attachment: &OsStr) -> Self {
        let markdown = minutes.render(Format::Md);
        let body = minutes.body();
        let values = |body: String| Values {
            title: line(&minutes.title),
            body,
            date: minutes.recorded.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            recording: line(&minutes.recording),
            attendees: minutes.attendees.iter().map(mailbox).collect::<Vec<_>>().join(", "),
        };
        let html = fill(Template::MailHtml, values(html::fragment(&body)));
        let text = fill(Template::MailText, values(plain::text(&body).trim_end().to_owned()));
        let title = one_line(&line(&minutes.title), SUBJECT_CHARS);
        let partial = if minutes.warning.is_some() { " (incomplete)" } else { "" };
        Self {
            message_id,
            subject: format!("{title}{partial}"),
            markdown,
            html,
            text,
            attachment: printable_path(attachment.as_ref()).replace(['/', '\\', '"'], "_"),
        }
    }
}

/// One thing that the operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Since when.
    pub at: Timestamp,
    /// What, and what to do about it; lines are kept.
    pub text: String,
}

/// How many notices one digest spells out; the rest is a number. A broken folder may fail a thousand recordings.
const NOTICES_MAX: usize = 50;

/// The longest notice in a digest, in characters.
const NOTICE_CHARS: usize = 1000;

#[derive(Serialize)]
struct DigestLine {
    at: String,
    text: String,
}

#[derive(Serialize)]
struct Digest {
    notices: Vec<DigestLine>,
    more: usize,
}

/// Returns subject and text of a digest.
pub(super) fn digest(notices: &[Notice]) -> (String, String) {
    let subject = match notices.len() {
        1 => "minuted: 1 thing needs attention".to_owned(),
        count => format!("minuted: {count} things need attention"),
    };
    let line = |notice: &Notice| DigestLine {
        at: notice.at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        text: notice.text.lines().map(|line| one_line(line, NOTICE_CHARS)).collect::<Vec<_>>().join("\n  "),
    };
    let values = Digest {
        notices: notices.iter().take(NOTICES_MAX).map(line).collect(),
        more: notices.len().saturating_sub(NOTICES_MAX),
    };
    (subject, format!("{}\n", fill(Template::Digest, values).trim_end()))
}
