//! The transcript as text for people and everything as JSON for programs.

use serde::Serialize;

use super::{
    notes::{Minutes, attendee_line},
    turns::each_paragraph,
};
use crate::{
    config::{Analysis, Attendee},
    job::{Item, Segment, Status},
    text::{format_clock, printable_json, strip_controls, strip_to_line},
};

/// Returns the transcript with a short head: title, time, people.
pub(in crate::delivery) fn render_text(minutes: &Minutes) -> String {
    let mut head = vec![strip_to_line(&minutes.title), minutes.meeting_date()];
    if !minutes.attendees.is_empty() {
        head.push(minutes.attendees.iter().map(attendee_line).collect::<Vec<_>>().join(", "));
    }
    head.extend(
        minutes.warning.as_deref().map(|warning| format!("Incomplete: {}", strip_to_line(warning))),
    );
    let mut out = head.join("\n");
    each_paragraph(minutes.segments(), |paragraph| {
        let time = paragraph.start.and_then(format_clock).map(|time| format!("[{time}]"));
        let speaker = paragraph.speaker.as_deref().map(|name| format!("{name}:"));
        out.push_str("\n\n");
        let parts = [time, speaker, Some(paragraph.text.clone())];
        out.push_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(" "));
    });
    if minutes.segments().is_empty() {
        let whole = minutes
            .findings_of(Analysis::Transcription)
            .and_then(|found| found.markdown.as_deref());
        out.push_str("\n\n");
        out.push_str(
            &whole.map_or("(no transcript)".to_owned(), |text| {
                strip_controls(text).trim().to_owned()
            }),
        );
    }
    out.push('\n');
    out
}

/// The JSON document; its field names are an interface.
#[derive(Serialize)]
struct Document<'a> {
    key: String,
    title: &'a str,
    date: String,
    duration: Option<f64>,
    language: Option<String>,
    recording: &'a str,
    folder: &'a str,
    attendees: &'a [Attendee],
    #[serde(skip_serializing_if = "Option::is_none")]
    attendees_from: Option<&'a str>,
    service: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes_by: Option<&'a str>,
    meeting: Option<&'a str>,
    warning: Option<&'a str>,
    analyses: Vec<Part<'a>>,
}

#[derive(Serialize)]
struct Part<'a> {
    r#type: Analysis,
    markdown: Option<&'a str>,
    summary: Option<&'a str>,
    speakers: &'a [String],
    segments: &'a [Segment],
    #[serde(skip_serializing_if = "<[Item]>::is_empty")]
    items: &'a [Item],
}

/// Returns everything, as the service gave it: what reads JSON decides itself what it shows. The file itself holds
/// nothing that a terminal obeys.
pub(in crate::delivery) fn render_json(minutes: &Minutes) -> String {
    let completed = minutes.reports.iter().filter(|report| report.status == Status::Completed);
    let analyses = completed.map(|report| Part {
        r#type: report.analysis,
        markdown: report.findings.markdown.as_deref(),
        summary: report.findings.summary.as_deref(),
        speakers: &report.findings.speakers,
        segments: &report.findings.segments,
        items: &report.findings.items,
    });
    let document = Document {
        key: minutes.key.to_string(),
        title: &minutes.title,
        date: minutes.meeting_date(),
        duration: minutes.findings_of(Analysis::Transcription).and_then(|found| found.duration),
        language: minutes.language(),
        recording: &minutes.recording,
        folder: &minutes.folder,
        attendees: &minutes.attendees,
        attendees_from: minutes.attendees_from.as_deref(),
        service: &minutes.service,
        notes_by: minutes.notes_by(),
        meeting: minutes.meeting.as_deref(),
        warning: minutes.warning.as_deref(),
        analyses: analyses.collect(),
    };
    let text = serde_json::to_string_pretty(&document).expect("text, numbers and lists are JSON");
    format!("{}\n", printable_json(&text))
}
