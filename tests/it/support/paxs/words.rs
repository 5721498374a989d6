//! What the stand-in says of a recording. It listens to nothing, and says so.

use serde_json::{Value, json};

use super::{analyses::Analysis, sessions::Attendee};

/// What an analysis is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matter<'a> {
    /// The meeting's title.
    pub(super) title: &'a str,
    /// The recording's file name.
    pub(super) file: &'a str,
    /// The recording's size in bytes.
    pub(super) size: u64,
    /// Who was there; never empty.
    pub(super) attendees: &'a [Attendee],
    /// What the note should hold, when one was asked for.
    pub(super) instruction: Option<&'a str>,
}

/// Returns the content of a report, before it is put into a string.
pub(super) fn report(analysis: Analysis, matter: &Matter<'_>) -> Value {
    match analysis {
        Analysis::Transcription => transcription(matter),
        Analysis::MeetingNote => json!({ "markdown": note(matter) }),
        Analysis::KeyPoints => json!({ "markdown": key_points(matter) }),
        Analysis::Sentiment => json!({ "markdown": sentiment(), "sentiment": "neutral" }),
    }
}

/// The line that every text carries, so that nobody takes it for minutes.
const DISCLAIMER: &str = "These words are the stand-in's: nobody listened to the recording.";

/// How long each segment of a transcript is said to last, in seconds.
const SEGMENT_SECS: f64 = 4.0;

fn transcription(matter: &Matter<'_>) -> Value {
    let first = matter.first();
    let last = matter.attendees.last().map_or(first, |attendee| &attendee.display_name);
    let lines = [
        (first, format!("Let us begin with {}.", matter.title)),
        (last, DISCLAIMER.to_owned()),
        (first, format!("The file {} of {} bytes arrived whole.", matter.file, matter.size)),
    ];
    let segments: Vec<Value> =
        lines.iter().zip(0_u32..).map(|((who, text), n)| segment(who, text, n)).collect();
    let speakers: Vec<&str> =
        matter.attendees.iter().map(|attendee| attendee.display_name.as_str()).collect();
    let summary = format!("{} in three sentences. {DISCLAIMER}", matter.title);
    json!({ "transcription": { "summary": summary, "speakers": speakers, "segments": segments } })
}

fn segment(speaker: &str, text: &str, number: u32) -> Value {
    let start = f64::from(number) * SEGMENT_SECS;
    json!({ "start": start, "end": start + SEGMENT_SECS, "speaker": speaker, "text": text })
}

fn note(matter: &Matter<'_>) -> String {
    let Matter { title, file, size, instruction, .. } = matter;
    let asked = instruction.map(|text| format!("## Asked for\n\n> {text}\n\n")).unwrap_or_default();
    format!(
        "# {title}\n\n{DISCLAIMER}\n\n{asked}## Decisions\n\n- `{file}` ({size} bytes) is kept.\n- The next meeting is in a week.\n\n\
         ## Action items\n\n- [ ] {first}: read these notes.\n",
        first = matter.first(),
    )
}

fn key_points(matter: &Matter<'_>) -> String {
    format!(
        "- {} was held with {} attendees.\n- {DISCLAIMER}\n",
        matter.title,
        matter.attendees.len()
    )
}

fn sentiment() -> String {
    format!("Neutral. {DISCLAIMER}\n")
}

impl Matter<'_> {
    fn first(&self) -> &str {
        self.attendees.first().map_or("everyone", |attendee| &attendee.display_name)
    }
}
mod tests {
    use super::*;

    #[test]
    fn every_text_says_whose_words_it_is() {
        let attendees = [Attendee::new("Ann Lee", "ann@example.com")];
        let matter = Matter {
            title: "Sales",
            file: "talk.wav",
            size: 9,
            attendees: &attendees,
            instruction: Some("Be brief."),
        };
        for analysis in Analysis::ALL {
            assert!(report(analysis, &matter).to_string().contains(DISCLAIMER), "{analysis:?}");
        }
        insta::assert_snapshot!(note(&matter), @r"
        # Sales

        These words are the stand-in's: nobody listened to the recording.

        ## Asked for

        > Be brief.

        ## Decisions

        - `talk.wav` (9 bytes) is kept.
        - The next meeting is in a week.

        ## Action items

        - [ ] Ann Lee: read these notes.
        ");
    }
}
