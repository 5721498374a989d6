//! The notes of a recording: what a service found, as one document. Pure and deterministic: the same minutes give the
//! same bytes, so that notes that are there already are recognised after a crash.

use jiff::Timestamp;

pub use super::front::key_of;
use super::{
    formats, front,
    markdown::{escaped, line, section},
    subtitles,
};
use crate::{
    config::{Analysis, Attendee, Format},
    job::{Findings, Key, Report, Segment, Status},
};

/// Everything that notes say.
#[derive(Debug, Clone, PartialEq)]
pub struct Minutes {
    /// The job.
    pub key: Key,
    /// The title of the meeting.
    pub title: String,
    /// When the meeting was.
    pub recorded: Timestamp,
    /// The recording's file name, fit to be shown.
    pub recording: String,
    /// The folder's name.
    pub folder: String,
    /// Who was there.
    pub attendees: Vec<Attendee>,
    /// The service's name in the config.
    pub service: String,
    /// The service's id of the meeting.
    pub meeting: Option<String>,
    /// What is missing, for notes that are not complete.
    pub warning: Option<String>,
    /// The results; those that are not completed are left out.
    pub reports: Vec<Report>,
}

impl Minutes {
    /// Returns the content of the file of that format.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Md => format!("{}{}", self.front_matter(), self.body()),
            Format::Txt => formats::text(self),
            Format::Srt => subtitles::srt(self.segments()),
            Format::Vtt => subtitles::vtt(self.segments(), &self.key),
            Format::Json => formats::json(self),
        }
    }

    /// Returns the Markdown below the front matter: title, warning and sections, in the order of [`Analysis::ALL`].
    pub(super) fn body(&self) -> String {
        let title = line(&self.title);
        let mut parts = vec![format!("# {}", escaped(&title))];
        parts.extend(self.warning.as_deref().map(|warning| format!("> **Incomplete:** {}", escaped(warning))));
        for analysis in Analysis::ALL {
            if let Some(found) = self.findings(analysis) {
                parts.extend(sections(analysis, found, &title));
            }
        }
        format!("{}\n", parts.join("\n\n"))
    }

    /// Returns what was found by an analysis, if it completed; the last report wins.
    pub(super) fn findings(&self, analysis: Analysis) -> Option<&Findings> {
        let completed = |report: &&Report| report.analysis == analysis && report.status == Status::Completed;
        self.reports.iter().rev().find(completed).map(|report| &report.findings)
    }

    /// Returns what was said, empty when the service does not tell.
    pub(super) fn segments(&self) -> &[Segment] {
        self.findings(Analysis::Transcription).map_or(&[], |found| &found.segments)
    }

    /// Returns the time of the meeting to the second, RFC 3339, UTC.
    pub(super) fn date(&self) -> String {
        self.recorded.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn front_matter(&self) -> String {
        let attendees: Vec<String> = self.attendees.iter().map(|person| front::quoted(&mailbox(person))).collect();
        let mut fields = vec![
            ("title", front::quoted(&line(&self.title))),
            ("date", self.date()),
            ("recording", front::scalar(&line(&self.recording))),
            ("folder", front::scalar(&line(&self.folder))),
            ("attendees", format!("[{}]", attendees.join(", "))),
            ("service", front::scalar(&line(&self.service))),
        ];
        fields.extend(self.meeting.as_deref().map(|meeting| ("meeting", front::scalar(&line(meeting)))));
        front::block(&fields, &self.key)
    }
}

/// Returns an attendee as a person reads it: `Ann Lee <ann@example.com>`.
pub(super) fn mailbox(person: &Attendee) -> String {
    line(&format!("{} <{}>", person.name, person.email))
}

/// The level of headings inside our own sections; the meeting note stands directly below the title.
const IN_SECTION: usize = 3;
const IN_NOTE: usize = 2;

/// The sections of one analysis, each with its heading. `title` is the heading that a note need not repeat.
fn sections(analysis: Analysis, found: &Findings, title: &str) -> Vec<String> {
    let text = found.markdown.as_deref().or(found.summary.as_deref()).unwrap_or_default();
    match analysis {
        Analysis::MeetingNote => non_empty(section(text, title, IN_NOTE)).into_iter().collect(),
        Analysis::KeyPoints => headed("Key points", text).into_iter().collect(),
        Analysis::Sentiment => headed("Sentiment", text).into_iter().collect(),
        Analysis::Transcription => {
            let summary = headed("Summary", found.summary.as_deref().unwrap_or_default());
            summary.into_iter().chain(transcript(found)).collect()
        }
    }
}

fn headed(heading: &str, markdown: &str) -> Option<String> {
    non_empty(section(markdown, heading, IN_SECTION)).map(|content| format!("## {heading}\n\n{content}"))
}

fn transcript(found: &Findings) -> Option<String> {
    let paragraphs = paragraphs(&found.segments);
    if paragraphs.is_empty() {
        return headed("Transcript", found.markdown.as_deref().unwrap_or_default());
    }
    let shown: Vec<String> = paragraphs.iter().map(Paragraph::to_markdown).collect();
    Some(format!("## Transcript\n\n{}", shown.join("\n\n")))
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.trim().is_empty())
}

/// What one speaker says in a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Paragraph {
    /// Who, on one line; `None` when the service does not know.
    pub speaker: Option<String>,
    /// From when, in seconds.
    pub start: Option<f64>,
    /// The words, on one line.
    pub text: String,
}

impl Paragraph {
    fn to_markdown(&self) -> String {
        let speaker = self.speaker.as_deref().map(|name| format!("**{}**", escaped(name)));
        let time = self.start.and_then(subtitles::clock).map(|time| format!("[{time}]"));
        let parts = [speaker, time, Some(escaped(&self.text))];
        let joined = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        // Without speaker and time, the text's own first character could begin a list, a quote or a heading.
        if joined.starts_with(['#', '>', '-', '+', '=', '|']) { format!("\\{joined}") } else { joined }
    }
}

/// A paragraph longer than this begins anew at the next segment, so that times stay useful; about a minute of speech.
const PARAGRAPH_BYTES: usize = 900;

/// A pause after which the same speaker begins a new paragraph, in seconds.
const PAUSE_SECONDS: f64 = 15.0;

/// Joins the segments of one speaker in a row. Segments without words are left out.
pub(super) fn paragraphs(segments: &[Segment]) -> Vec<Paragraph> {
    let mut paragraphs: Vec<Paragraph> = Vec::new();
    let mut ended: Option<f64> = None;
    for segment in segments {
        let text = line(&segment.text);
        if text.is_empty() {
            continue;
        }
        let speaker = segment.speaker.as_deref().map(line).filter(|name| !name.is_empty());
        let paused = ended.zip(segment.start).is_some_and(|(end, start)| start - end > PAUSE_SECONDS);
        match paragraphs.last_mut() {
            Some(last) if last.speaker == speaker && last.text.len() < PARAGRAPH_BYTES && !paused => {
                last.text.push(' ');
                last.text.push_str(&text);
            }
            Some(_) | None => paragraphs.push(Paragraph { speaker, start: segment.start, text }),
        }
        ended = segment.end.or(segment.start);
    }
    paragraphs
}
