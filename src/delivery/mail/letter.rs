//! The content of mails.

use std::ffi::OsStr;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    config::Format,
    delivery::render::{
        Minutes, html,
        notes::attendee_line,
        plain,
        templates::{Template, fill_template},
    },
    text::{one_line, printable_path, strip_to_line},
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
    /// The file name of the attached Markdown.
    pub attachment: String,
    /// The parts that are sent.
    pub form: LetterForm,
}

/// The parts of the notes that a mail carries: a server may accept only small ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterForm {
    /// Plain text, a page, and an attached file.
    Whole,
    /// Without the file.
    WithoutFile,
    /// Plain text alone.
    TextAlone,
}

impl LetterForm {
    /// All forms, the largest first.
    pub const ALL: [Self; 3] = [Self::Whole, Self::WithoutFile, Self::TextAlone];
}

/// The place of the notes file, for the reader of a mail that does not carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Beside the recording.
    Beside,
    /// In a directory for notes.
    InItsDirectory,
    /// Nowhere: notes are only mailed.
    Nowhere,
}

/// The longest subject in characters. RFC 5322 allows a header line 998 bytes; people read far less.
const SUBJECT_CHARS: usize = 200;

/// The values of the template of a mail.
#[derive(Serialize)]
struct LetterValues {
    title: String,
    is_right_to_left: bool,
    body: String,
    date: String,
    recording: String,
    attendees: String,
    attached: &'static str,
}

impl Letter {
    /// Returns the letter of these minutes. `attachment` is the name of the notes' file.
    #[must_use]
    pub fn from_minutes(minutes: &Minutes, message_id: String, attachment: &OsStr) -> Self {
        Self::in_form(minutes, message_id, attachment, LetterForm::Whole, Kept::Nowhere)
    }

    /// Returns the letter of these minutes in a form; `kept` tells its reader where the file is that is not attached.
    #[must_use]
    pub fn in_form(
        minutes: &Minutes,
        message_id: String,
        attachment: &OsStr,
        form: LetterForm,
        kept: Kept,
    ) -> Self {
        let markdown = minutes.render(Format::Md);
        let body = minutes.markdown_body();
        let is_right_to_left = minutes.is_right_to_left();
        let values = |body: String| LetterValues {
            title: strip_to_line(&minutes.title),
            is_right_to_left,
            body,
            date: minutes.recorded.strftime("%Y-%m-%d %H:%M %:z").to_string(),
            recording: strip_to_line(&minutes.recording),
            attendees: minutes.attendees.iter().map(attendee_line).collect::<Vec<_>>().join(", "),
            attached: attachment_sentence(form, kept),
        };
        let html = fill_template(Template::MailHtml, values(html_page(&body, is_right_to_left)));
        let text = fill_template(
            Template::MailText,
            values(plain::plain_text(&body).trim_end().to_owned()),
        );
        let title = one_line(&strip_to_line(&minutes.title), SUBJECT_CHARS);
        let partial = if minutes.warning.is_some() { " (incomplete)" } else { "" };
        Self {
            message_id,
            subject: format!("{title}{partial}"),
            markdown,
            html,
            text,
            attachment: printable_path(attachment.as_ref()).replace(['/', '\\', '"'], "_"),
            form,
        }
    }
}

/// Returns the sentence of a mail about the notes file.
fn attachment_sentence(form: LetterForm, kept: Kept) -> &'static str {
    match (form, kept) {
        (LetterForm::Whole, _) => "The notes are attached as Markdown.",
        (LetterForm::WithoutFile | LetterForm::TextAlone, Kept::Beside) => {
            "The notes file is not attached, because the mail server takes only smaller mails: it is beside the recording."
        }
        (LetterForm::WithoutFile | LetterForm::TextAlone, Kept::InItsDirectory) => {
            "The notes file is not attached, because the mail server takes only smaller mails: it is in the directory of \
             the notes."
        }
        (LetterForm::WithoutFile | LetterForm::TextAlone, Kept::Nowhere) => {
            "The notes file is not attached, because the mail server takes only smaller mails."
        }
    }
}

/// Returns the notes as HTML. In a page that reads from right to left the title, which is often Latin, finds its own way.
fn html_page(body: &str, is_right_to_left: bool) -> String {
    let html = html::html_fragment(body);
    if is_right_to_left { html.replacen("<h1>", "<h1 dir=\"auto\">", 1) } else { html }
}

/// A notice for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestEntry {
    /// The start of the stage.
    pub at: Timestamp,
    /// The event and the cure; lines are kept.
    pub text: String,
}

/// Notices that one digest spells out; the rest is a number. A broken folder may fail a thousand recordings.
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
pub(super) fn render_digest(notices: &[DigestEntry]) -> (String, String) {
    let subject = match notices.len() {
        1 => "minuted: 1 thing needs attention".to_owned(),
        count => format!("minuted: {count} things need attention"),
    };
    let line = |notice: &DigestEntry| DigestLine {
        at: notice.at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        text: notice
            .text
            .lines()
            .map(|line| one_line(line, NOTICE_CHARS))
            .collect::<Vec<_>>()
            .join("\n  "),
    };
    let values = Digest {
        notices: notices.iter().take(NOTICES_MAX).map(line).collect(),
        more: notices.len().saturating_sub(NOTICES_MAX),
    };
    (subject, format!("{}\n", fill_template(Template::Digest, values).trim_end()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        config::{Analysis, Attendee},
        job::{Content, Findings, Key, Report, Status},
    };

    fn letter(title: &str, warning: Option<&str>) -> Letter {
        letter_of(
            "- **ship** it\n- call <b>Bo</b>\n\nSee [the plan](https://example.com/plan?a=1&b=2).\n",
            title,
            warning,
        )
    }

    fn letter_of(note: &str, title: &str, warning: Option<&str>) -> Letter {
        let findings = Findings { markdown: Some(note.into()), ..Findings::default() };
        let minutes = Minutes {
            key: Key {
                content: Content::from_hash(&blake3::hash(b"talk")),
                folder: "sales".into(),
                generation: 1,
            },
            sound: None,
            title: title.into(),
            recorded: "2026-11-22T10:00:00+01:00[Europe/Berlin]".parse().expect("a time"),
            recording: "talk.wav".into(),
            folder: "sales".into(),
            attendees: vec![Attendee {
                name: "Ann <Lee>".into(),
                email: "ann@example.com".into(),
                role: None,
            }],
            attendees_from: None,
            language: None,
            service: "paxs".into(),
            meeting: None,
            warning: warning.map(Into::into),
            vault: None,
            reports: Arc::new([Report {
                analysis: Analysis::MeetingNote,
                status: Status::Completed,
                id: None,
                findings,
                error: None,
                raw: String::new(),
            }]),
        };
        Letter::from_minutes(&minutes, "<id@example.com>".into(), OsStr::new("talk.notes.md"))
    }

    #[test]
    fn the_text_reads_like_a_letter() {
        insta::assert_snapshot!(letter("Weekly sales", Some("no transcript")).text, @"
        Weekly sales
        ============

        > Incomplete: no transcript

        - ship it
        - call <b>Bo</b>

        See the plan (https://example.com/plan?a=1&b=2).

        -- 
        2026-11-22 10:00 +01:00 · talk.wav · Ann <Lee> <ann@example.com>

        Sent by minuted. The notes are attached as Markdown.
        ");
    }

    #[test]
    fn the_page_shows_the_notes_and_runs_nothing() {
        let letter = letter("<script>alert(1)</script>", None);
        let (_, page) = letter.html.split_once("</style>").expect("a style");
        insta::assert_snapshot!(page.trim(), @r#"
        </head>
        <body>
        <main dir="auto" style="max-width:44rem;margin:0 auto;font-family:sans-serif;line-height:1.5">
        <h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>
        <ul>
        <li><strong>ship</strong> it</li>
        <li>call &lt;b&gt;Bo&lt;/b&gt;</li>
        </ul>
        <p>See <a href="https://example.com/plan?a=1&amp;b=2">the plan</a>.</p>

        <footer>
        <p>2026-11-22 10:00 +01:00 · <span dir="auto">talk.wav</span> · <span dir="auto">Ann &lt;Lee&gt; &lt;ann@example.com&gt;</span></p>
        <p>Sent by minuted. The notes are attached as Markdown.</p>
        </footer>
        </main>
        </body>
        </html>
        "#);
        assert!(
            letter.html.starts_with("<!doctype html>")
                && letter.html.contains("<title>&lt;script&gt;")
        );
    }

    #[test]
    fn notes_in_hebrew_are_a_page_that_reads_from_right_to_left() {
        let letter = letter_of("החלטנו לשלוח את Acme ביום שישי.\n", "Weekly sales", None);
        let (_, page) = letter.html.split_once("</style>").expect("a style");
        insta::assert_snapshot!(page.trim(), @r#"
        </head>
        <body dir="rtl">
        <main dir="rtl" style="max-width:44rem;margin:0 auto;font-family:sans-serif;line-height:1.5">
        <h1 dir="auto">Weekly sales</h1>
        <p>החלטנו לשלוח את Acme ביום שישי.</p>

        <footer dir="ltr">
        <p>2026-11-22 10:00 +01:00 · <span dir="auto">talk.wav</span> · <span dir="auto">Ann &lt;Lee&gt; &lt;ann@example.com&gt;</span></p>
        <p>Sent by minuted. The notes are attached as Markdown.</p>
        </footer>
        </main>
        </body>
        </html>
        "#);
        let plain = letter_of("We ship Acme on Friday (שישי).\n", "מכירות", None);
        assert!(!plain.html.contains("rtl") && !plain.markdown.contains("dir:"), "{}", plain.html);
        assert!(letter.markdown.contains("\ndir: rtl\nminuted: "), "{}", letter.markdown);
        assert!(
            !letter.text.contains("rtl") && letter.text.contains("ביום שישי"),
            "{}",
            letter.text
        );
    }

    #[test]
    fn incomplete_notes_say_so_in_the_subject() {
        assert_eq!(letter("Weekly\r\nBcc: x", None).subject, "Weekly Bcc: x");
        assert_eq!(letter("Weekly", Some("no transcript")).subject, "Weekly (incomplete)");
    }

    #[test]
    fn a_long_digest_counts_what_it_does_not_spell_out() {
        let at = "2026-11-22T09:00:00Z".parse().expect("a time");
        let notices: Vec<DigestEntry> =
            (0..53).map(|n| DigestEntry { at, text: format!("talk-{n}.wav failed") }).collect();
        let (subject, text) = render_digest(&notices);
        assert_eq!(subject, "minuted: 53 things need attention");
        assert!(
            text.contains("talk-49.wav")
                && !text.contains("talk-50.wav")
                && text.contains("… and 3 more."),
            "{text}"
        );
    }
}
