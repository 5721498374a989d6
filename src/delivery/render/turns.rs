//! The transcript by turns: the words of one speaker in a row, cut into paragraphs.

use super::vault::{Vault, person_markdown};
use crate::{
    job::{Segment, UNCLEAR},
    text::{escape_markdown, format_clock, strip_to_line},
};

/// A part of a turn: words of one speaker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Paragraph {
    /// The speaker, on one line; `None` when the service does not know.
    pub speaker: Option<String>,
    /// The start, in seconds.
    pub start: Option<f64>,
    /// The words, on one line.
    pub text: String,
}

impl Paragraph {
    /// Returns it as a paragraph of Markdown.
    pub(super) fn to_markdown(&self, vault: Option<&Vault>) -> String {
        let speaker =
            self.speaker.as_deref().map(|name| format!("**{}**", person_markdown(name, vault)));
        let time = self.start.and_then(format_clock).map(|time| format!("[{time}]"));
        let parts = [speaker, time, Some(escape_markdown(&self.text))];
        let joined = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        // Without speaker and time, the text's own first character could begin a list, a quote or a heading.
        if joined.starts_with(['#', '>', '-', '+', '=', '|']) {
            format!("\\{joined}")
        } else {
            joined
        }
    }

    /// Returns whether a segment that begins at `start` belongs to the next paragraph of the turn.
    fn is_full(&self, start: Option<f64>) -> bool {
        let Some(length) = self.start.zip(start).map(|(begun, start)| start - begun) else {
            return self.text.len() >= PARAGRAPH_BYTES;
        };
        length >= PARAGRAPH_SECONDS_MAX
            || (length >= PARAGRAPH_SECONDS && ends_sentence(&self.text))
    }
}

/// The length from which a paragraph ends with its sentence, in seconds: times stay useful.
const PARAGRAPH_SECONDS: f64 = 30.0;

/// The length from which a paragraph ends in the middle of a sentence, in seconds: some servers give no punctuation.
const PARAGRAPH_SECONDS_MAX: f64 = 60.0;

/// The length from which a paragraph without times ends, in bytes: about a minute of speech.
const PARAGRAPH_BYTES: usize = 900;

/// A pause after which the same speaker begins a new paragraph, in seconds.
const PAUSE_SECONDS: f64 = 15.0;

/// Returns whether a text ends where a sentence may end, also inside quotation marks or brackets.
fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['"', '\'', '”', '’', '»', '«', ')', ']']);
    text.ends_with(['.', '!', '?', '…', '。', '！', '？', '؟', '।'])
}

/// Calls `each` with the paragraphs of a transcript, one after the other: the segments of one speaker in a row, cut
/// between sentences about every half minute. Segments without words are left out.
pub(in crate::delivery) fn each_paragraph(segments: &[Segment], mut each: impl FnMut(&Paragraph)) {
    let mut open: Option<Paragraph> = None;
    let mut ended: Option<f64> = None;
    for segment in segments {
        let text = strip_to_line(&segment.text);
        if text.is_empty() {
            continue;
        }
        let speaker = segment.speaker.as_deref().map(strip_to_line).filter(|name| !name.is_empty());
        let has_paused =
            ended.zip(segment.start).is_some_and(|(end, start)| start - end > PAUSE_SECONDS);
        match &mut open {
            Some(open)
                if open.speaker == speaker && !open.is_full(segment.start) && !has_paused =>
            {
                // A long stretch that was not understood is marked once.
                if !(segment.is_unclear() && open.text.ends_with(UNCLEAR)) {
                    open.text.push(' ');
                    open.text.push_str(&text);
                }
            }
            Some(_) | None => {
                let before = open.replace(Paragraph { speaker, start: segment.start, text });
                before.iter().for_each(&mut each);
            }
        }
        ended = segment.end.or(segment.start);
    }
    open.iter().for_each(each);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the starts and the texts of the paragraphs of a talk of one person.
    fn paragraphs(segments: &[(Option<f64>, &str)]) -> Vec<(Option<f64>, String)> {
        let segments: Vec<Segment> = segments
            .iter()
            .map(|(start, text)| Segment {
                start: *start,
                end: start.map(|start| start + 5.0),
                speaker: Some("Ann".to_owned()),
                text: (*text).to_owned(),
                ..Segment::default()
            })
            .collect();
        let mut found = Vec::new();
        each_paragraph(&segments, |paragraph| {
            found.push((paragraph.start, paragraph.text.clone()));
        });
        found
    }

    #[test]
    fn a_long_turn_is_cut_behind_the_sentence_that_ends_after_half_a_minute() {
        let talk: Vec<(Option<f64>, &str)> = (0..12)
            .map(|number| {
                (
                    Some(f64::from(number) * 6.0),
                    if number % 3 == 2 { "and so on." } else { "so we said" },
                )
            })
            .collect();
        let starts: Vec<Option<f64>> =
            paragraphs(&talk).into_iter().map(|(start, _)| start).collect();
        assert_eq!(starts, [Some(0.0), Some(36.0)]);
    }

    #[test]
    fn a_turn_without_punctuation_is_cut_every_minute_and_one_without_times_by_its_length() {
        let talk: Vec<(Option<f64>, &str)> =
            (0..30).map(|number| (Some(f64::from(number) * 5.0), "and")).collect();
        let starts: Vec<Option<f64>> =
            paragraphs(&talk).into_iter().map(|(start, _)| start).collect();
        assert_eq!(starts, [Some(0.0), Some(60.0), Some(120.0)]);
        let words = "word ".repeat(100);
        let talk: Vec<(Option<f64>, &str)> = (0..5).map(|_| (None, words.as_str())).collect();
        assert_eq!(paragraphs(&talk).len(), 3);
    }

    #[test]
    fn words_that_were_not_understood_are_marked_once_in_a_row() {
        let talk =
            [(Some(0.0), "Yes."), (Some(5.0), UNCLEAR), (Some(10.0), UNCLEAR), (Some(15.0), "No.")];
        assert_eq!(paragraphs(&talk), [(Some(0.0), "Yes. [unclear] No.".to_owned())]);
    }

    #[test]
    fn a_pause_or_another_speaker_begins_a_paragraph() {
        assert_eq!(
            paragraphs(&[(Some(0.0), "Yes."), (Some(5.0), "No."), (Some(26.0), "Well.")]).len(),
            2
        );
        let said = |speaker: &str| Segment {
            speaker: Some(speaker.into()),
            text: "Yes.".into(),
            ..Segment::default()
        };
        let mut speakers = Vec::new();
        each_paragraph(&[said("Ann"), said("Bo"), said("Bo"), said("Ann")], |one| {
            speakers.push(one.speaker.clone());
        });
        assert_eq!(speakers.iter().flatten().collect::<Vec<_>>(), ["Ann", "Bo", "Ann"]);
    }

    #[test]
    fn a_sentence_ends_in_any_script_and_inside_quotation_marks() {
        for text in ["Yes.", "Really?\"", "(so.)", "好。", "…and then…"] {
            assert!(ends_sentence(text), "{text}");
        }
        for text in ["so", "", "well,", "\"so"] {
            assert!(!ends_sentence(text), "{text}");
        }
    }
}
