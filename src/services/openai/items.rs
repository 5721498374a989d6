//! Segments → items and a summary that are in the transcript: the model proposes, `verify` checks.
//!
//! The transcript goes to the model as numbered lines. Parts of a long one are asked about one after
//! the other, and their items are joined by their lines, without another question; the summaries
//! alone are merged by the model.

use std::ops::RangeInclusive;

use jiff::tz::TimeZone;

use super::{
    chat::{ChatWriter, Question, QuestionError},
    cut::escape_frames,
    notes::{answer_tokens, bytes_per_part},
    prompts::{ItemPart, Prompt, Prompts},
};
use crate::{
    config::Analysis,
    job::Segment,
    services::{
        AnalysisRequest, CallError,
        result_cache::{JobCache, ModelOutput},
    },
    text::{escape_markdown, escape_start, format_count},
    verify::{
        Checked, ItemSchema, Meeting, NumberedLine, NumberedLines, Proposals, SummaryPoint,
        check_proposals, parse_proposals,
    },
};

/// Sentences of a summary; more than these of several parts are merged by the model.
const SUMMARY_MAX: usize = 8;

/// The remark on an answer that ended in the middle.
const CUT_OFF: &str =
    "the model's answer was cut off at its limit: the end of these notes may be missing";

/// The remark on a part of a long recording about which the model gave no items.
const UNREAD_PART: &str =
    "the model's answer about a part of this recording cannot be read: its items are missing";

/// The writer of the items of one job.
struct ItemWriter<'a> {
    chat: &'a ChatWriter,
    model: &'a str,
    cache: &'a JobCache,
    prompts: Prompts,
    limit: usize,
    /// The summary is asked for.
    has_summary: bool,
}

/// The answers about all parts.
struct Proposed {
    proposals: Vec<Proposals>,
    remarks: Vec<String>,
}

impl ChatWriter {
    /// Has the model propose items and returns those that are in the transcript, with a summary
    /// where no person has a form of his own; `None` where its answer has another form.
    pub(super) async fn write_items(
        &self,
        model: &str,
        request: &AnalysisRequest<'_>,
        segments: &[Segment],
        cache: &JobCache,
    ) -> Result<Option<ModelOutput>, CallError> {
        let lines = NumberedLines::from_segments(segments);
        if lines.count() == 0 {
            return Ok(None);
        }
        let context = self.server.settings.context;
        let prompts = Prompts::new(Analysis::MeetingNote, request);
        let mut room = bytes_per_part(context, prompts.item_overhead_bytes());
        let limit = answer_tokens(context);
        let has_summary = request.instruction.is_none();
        let writer = ItemWriter { chat: self, model, cache, prompts, limit, has_summary };
        let bytes: usize = lines.as_slice().iter().map(|line| line.text.len()).sum();
        let proposed = loop {
            match writer.propose(&lines, room).await {
                Ok(proposed) => break proposed,
                Err(QuestionError::TooLong(message)) => {
                    room = self.smaller_room(model, room.min(bytes), &message)?;
                }
                Err(error) => return Err(error.into_call_error()),
            }
        };
        let Some(Proposed { proposals, mut remarks }) = proposed else { return Ok(None) };
        let today = request.recorded.to_zoned(TimeZone::system()).date();
        let meeting = Meeting { lines: &lines, attendees: request.attendees, today };
        let Checked { items, summary, dropped } = check_proposals(&proposals, &meeting);
        let summary = if proposals.len() > 1 && summary.len() > SUMMARY_MAX {
            writer.merge_summary(summary, &meeting, room).await?
        } else {
            summary
        };
        remarks.extend(describe_dropped(dropped));
        if items.is_empty() && summary.is_empty() {
            remarks.push(NOTHING_NAMED.to_owned());
        }
        Ok(Some(ModelOutput { text: summary_markdown(&summary), remarks, items, notes_by: None }))
    }
}

impl ItemWriter<'_> {
    /// Asks about each part of the lines; `None` where the first answer has another form.
    async fn propose(
        &self,
        lines: &NumberedLines,
        room: usize,
    ) -> Result<Option<Proposed>, QuestionError> {
        let parts = pack_lines(lines.as_slice(), room);
        let mut proposed =
            Proposed { proposals: Vec::with_capacity(parts.len()), remarks: Vec::new() };
        for (number, part) in (1..).zip(&parts) {
            let schema = ItemSchema {
                first: *part.start(),
                last: *part.end(),
                has_items: true,
                has_summary: self.has_summary,
            };
            let numbered = &lines.as_slice()[part.start() - 1..*part.end()];
            let text = number_lines(numbered, *part.start());
            let part = ItemPart { text: &text, number, count: parts.len(), schema };
            let output = self.ask(&self.prompts.item_prompt(&part), schema).await?;
            push_new(&mut proposed.remarks, output.remarks);
            match parse_proposals(&output.text) {
                Some(proposals) => {
                    if proposals.is_cut {
                        push_new(&mut proposed.remarks, vec![CUT_OFF.to_owned()]);
                    }
                    proposed.proposals.push(proposals);
                }
                None if number == 1 => return Ok(None),
                None => push_new(&mut proposed.remarks, vec![UNREAD_PART.to_owned()]),
            }
        }
        Ok(Some(proposed))
    }

    /// Has the model merge the summaries of parts. What it makes of them is checked like they were;
    /// where nothing is left of it, or it does not fit, they stand one after another.
    async fn merge_summary(
        &self,
        points: Vec<SummaryPoint>,
        meeting: &Meeting<'_>,
        room: usize,
    ) -> Result<Vec<SummaryPoint>, CallError> {
        let text = number_points(&points);
        if text.len() > room {
            return Ok(points);
        }
        let schema = ItemSchema {
            first: 1,
            last: meeting.lines.count(),
            has_items: false,
            has_summary: true,
        };
        let output = match self.ask(&self.prompts.summary_prompt(&text), schema).await {
            Ok(output) => output,
            Err(QuestionError::TooLong(_)) => return Ok(points),
            Err(error) => return Err(error.into_call_error()),
        };
        let merged =
            parse_proposals(&output.text).map(|merged| check_proposals(&[merged], meeting).summary);
        Ok(merged.filter(|merged| !merged.is_empty()).unwrap_or(points))
    }

    async fn ask(&self, prompt: &Prompt, schema: ItemSchema) -> Result<ModelOutput, QuestionError> {
        let schema = schema.to_json();
        let question =
            Question { model: self.model, prompt, schema: Some(&schema), limit: self.limit };
        self.chat.ask_model(&question, self.cache).await
    }
}

/// The remark on notes that would say nothing at all.
const NOTHING_NAMED: &str = "the model named no decision, task or open question that the transcript holds, and wrote no summary";

/// Returns the remark on proposals that were dropped.
fn describe_dropped(dropped: usize) -> Option<String> {
    match dropped {
        0 => None,
        1 => Some(
            "1 item that the model named is not in the transcript, and was left out".to_owned(),
        ),
        _ => {
            let items = format_count(dropped as u64, "item");
            Some(format!(
                "{items} that the model named are not in the transcript, and were left out"
            ))
        }
    }
}

/// Returns the summary as a section; an empty text without sentences.
fn summary_markdown(points: &[SummaryPoint]) -> String {
    if points.is_empty() {
        return String::new();
    }
    let line = |point: &SummaryPoint| {
        let check = if point.check { " (check)" } else { "" };
        format!("- {}{check}", escape_start(&escape_markdown(&point.text)))
    };
    format!("## Summary\n\n{}", points.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Adds remarks that are not there yet.
fn push_new(remarks: &mut Vec<String>, more: Vec<String>) {
    for remark in more {
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
}

/// Returns the numbers of the lines of each part: as many lines as fit into `room` bytes, at least
/// one.
fn pack_lines(lines: &[NumberedLine], room: usize) -> Vec<RangeInclusive<usize>> {
    let mut parts: Vec<RangeInclusive<usize>> = Vec::new();
    let mut bytes = 0;
    for (number, line) in (1..).zip(lines) {
        let more = number_line(line, number).len() + 1;
        match parts.last_mut() {
            Some(part) if bytes + more <= room => *part = *part.start()..=number,
            Some(_) | None => {
                parts.push(number..=number);
                bytes = 0;
            }
        }
        bytes += more;
    }
    parts
}

/// Returns lines as the model reads them: number, speaker, words.
fn number_lines(lines: &[NumberedLine], first: usize) -> String {
    (first..)
        .zip(lines)
        .map(|(number, line)| number_line(line, number))
        .collect::<Vec<_>>()
        .join("\n")
}

fn number_line(line: &NumberedLine, number: usize) -> String {
    let speaker = line
        .speaker
        .as_deref()
        .map(|name| format!("{}: ", escape_frames(name)))
        .unwrap_or_default();
    format!("{number} {speaker}{}", escape_frames(&line.text))
}

/// Returns sentences with the numbers of their lines.
fn number_points(points: &[SummaryPoint]) -> String {
    let line = |point: &SummaryPoint| {
        let numbers: Vec<String> = point.lines.iter().map(ToString::to_string).collect();
        format!("[{}] {}", numbers.join(", "), escape_frames(&point.text))
    };
    points.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> NumberedLines {
        let segment = |number: usize| Segment {
            text: format!("this is sentence number {number} </transcript> of the talk"),
            ..Segment::default()
        };
        NumberedLines::from_segments(&(1..=count).map(segment).collect::<Vec<_>>())
    }

    #[test]
    fn every_line_is_in_exactly_one_part_and_parts_fit() {
        let lines = lines(40);
        let parts = pack_lines(lines.as_slice(), 300);
        let numbers: Vec<usize> = parts.iter().cloned().flatten().collect();
        assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
        for part in &parts {
            let text =
                number_lines(&lines.as_slice()[part.start() - 1..*part.end()], *part.start());
            assert!(text.len() <= 300 && text.starts_with(&format!("{} ", part.start())), "{text}");
            assert!(!text.contains("</transcript>"), "{text}");
        }
        assert_eq!(pack_lines(lines.as_slice(), 1).len(), 40, "a line that is too long by itself");
    }

    #[test]
    fn a_summary_shows_its_sentences_as_they_are() {
        let point =
            |text: &str, check| SummaryPoint { text: text.to_owned(), check, lines: vec![1, 2] };
        let points = [point("1. *We* met.", false), point("# Ann left.", true)];
        insta::assert_snapshot!(summary_markdown(&points), @r"
        ## Summary

        - 1\. \*We\* met.
        - \# Ann left. (check)
        ");
        assert_eq!(number_points(&points[1..]), "[1, 2] # Ann left.");
        assert_eq!(
            describe_dropped(3).as_deref(),
            Some("3 items that the model named are not in the transcript, and were left out")
        );
    }
}
