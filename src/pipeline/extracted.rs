//! The meeting note of a service that gives a transcription alone: minuted extracts it from that.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    config::{Analysis, Notes},
    extract::{Talk, extract},
    job::{FOREIGN_NOTE, Findings, Plan, Report, Status},
};

/// Adds the extracted note to the results of a job, where one is wanted, the service writes none and the transcription
/// is there. The same transcription gives the same note.
pub(crate) fn add_extracted_note(
    notes: Notes,
    plan: &Plan,
    recorded: Timestamp,
    reports: &mut Vec<Report>,
) {
    if notes != Notes::Extracted || !plan.analyses.contains(&Analysis::MeetingNote) {
        return;
    }
    let is_there = |report: &&Report| {
        report.analysis == Analysis::Transcription && report.status == Status::Completed
    };
    let Some(transcription) = reports.iter().rev().find(is_there) else { return };
    let is_foreign = transcription.findings.is_foreign;
    // Dates are those of the people who spoke, who say "tomorrow" by their own clock.
    let recorded = recorded.to_zoned(TimeZone::system());
    let talk =
        Talk { segments: &transcription.findings.segments, attendees: &plan.attendees, recorded };
    let markdown = if is_foreign { FOREIGN_NOTE.to_owned() } else { extract(&talk).markdown() };
    let notes_by = (!is_foreign).then(|| "extraction".to_owned());
    let note = Report {
        analysis: Analysis::MeetingNote,
        status: Status::Completed,
        id: None,
        raw: markdown.clone(),
        findings: Findings { markdown: Some(markdown), notes_by, ..Findings::default() },
        error: None,
    };
    reports.retain(|report| report.analysis != Analysis::MeetingNote);
    // The results of a job are kept in the order of all analyses.
    reports.push(note);
    reports.sort_by_key(|report| {
        Analysis::ALL.iter().position(|analysis| *analysis == report.analysis)
    });
}

/// Adds the extracted note in place of one whose writer stays down, marked so; `remark` says why.
pub(crate) fn add_substitute_note(
    plan: &Plan,
    recorded: Timestamp,
    remark: String,
    reports: &mut Vec<Report>,
) {
    add_extracted_note(Notes::Extracted, plan, recorded, reports);
    let note = reports.iter_mut().find(|report| report.analysis == Analysis::MeetingNote);
    if let Some(note) = note {
        note.findings.remarks.push(remark);
    }
}
