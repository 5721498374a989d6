//! The transcript as subtitles: `SubRip` and `WebVTT`.

use std::{fmt::Write as _, time::Duration};

use crate::{
    job::{Key, Segment},
    text::{strip_to_line, time_from_seconds},
};

/// A subtitle.
struct Cue {
    from: Duration,
    to: Duration,
    speaker: Option<String>,
    text: String,
}

/// The time that a subtitle stands when neither its own end nor the next beginning is known.
const STANDING: Duration = Duration::from_secs(2);

/// Returns the transcript as `SubRip`. Without one the file is empty, which is valid; the format has no comments.
pub(in crate::delivery) fn render_srt(segments: &[Segment]) -> String {
    let mut out = String::new();
    for (number, cue) in build_cues(segments).iter().enumerate() {
        let speaker = cue.speaker.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        let from = format_stamp(cue.from, ',');
        let to = format_stamp(cue.to, ',');
        write!(out, "{}\n{from} --> {to}\n{speaker}{}\n\n", number + 1, cue.text)
            .expect(INTO_A_STRING);
    }
    out
}

/// Returns the transcript as `WebVTT`, with the job's key in a comment.
pub(in crate::delivery) fn render_vtt(segments: &[Segment], key: &Key) -> String {
    let cues = build_cues(segments);
    let mut out =
        format!("WEBVTT\n\nNOTE minuted:{}\n\n", no_arrow(&strip_to_line(&key.to_string())));
    if cues.is_empty() {
        out.push_str("NOTE no transcript\n\n");
    }
    for cue in cues {
        let speaker =
            cue.speaker.map(|name| format!("<v {}>", escape_entities(&name))).unwrap_or_default();
        let from = format_stamp(cue.from, '.');
        let to = format_stamp(cue.to, '.');
        write!(out, "{from} --> {to}\n{speaker}{}\n\n", escape_entities(&cue.text))
            .expect(INTO_A_STRING);
    }
    out
}

const INTO_A_STRING: &str = "a String takes what is written";

fn build_cues(segments: &[Segment]) -> Vec<Cue> {
    let mut cues: Vec<Cue> = Vec::with_capacity(segments.len());
    for (segment, next) in segments.iter().zip(next_starts(segments)) {
        let text = no_arrow(&strip_to_line(&segment.text));
        if text.is_empty() {
            continue;
        }
        let from = segment
            .start
            .and_then(time_from_seconds)
            .or(cues.last().map(|cue| cue.to))
            .unwrap_or_default();
        let to = [segment.end.and_then(time_from_seconds), next]
            .into_iter()
            .flatten()
            .find(|to| *to > from);
        let speaker = segment
            .speaker
            .as_deref()
            .map(|name| no_arrow(&strip_to_line(name)))
            .filter(|name| !name.is_empty());
        cues.push(Cue { from, to: to.unwrap_or(from + STANDING), speaker, text });
    }
    cues
}

/// Returns for each segment when the next one that tells its time begins. In one pass: a service may tell none.
fn next_starts(segments: &[Segment]) -> Vec<Option<Duration>> {
    let mut starts = vec![None; segments.len()];
    let mut next = None;
    for (start, segment) in starts.iter_mut().zip(segments).rev() {
        *start = next;
        next = segment.start.and_then(time_from_seconds).or(next);
    }
    starts
}

/// An arrow inside a text would begin another cue.
fn no_arrow(text: &str) -> String {
    text.replace("-->", "→")
}

fn escape_entities(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn format_stamp(time: Duration, before_millis: char) -> String {
    let seconds = time.as_secs();
    let hours = seconds / 3600;
    let minutes = seconds / 60 % 60;
    format!("{hours:02}:{minutes:02}:{:02}{before_millis}{:03}", seconds % 60, time.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Content;

    fn key() -> Key {
        Key {
            content: Content::from_hash(&blake3::hash(b"talk")),
            folder: "sales --> x".into(),
            generation: 1,
        }
    }

    fn segment(start: Option<f64>, end: Option<f64>, speaker: Option<&str>, text: &str) -> Segment {
        Segment {
            start,
            end,
            speaker: speaker.map(Into::into),
            text: text.into(),
            ..Segment::default()
        }
    }

    fn talk() -> Vec<Segment> {
        vec![
            segment(Some(0.0), Some(1.25), Some("Ann"), "Good\nmorning."),
            segment(Some(2.0), None, Some("Bo <b>"), "1 < 2 & 00:00 --> 00:01"),
            segment(Some(3.5), Some(1.0), None, "backwards"),
            segment(None, None, None, "no time"),
            segment(Some(9.0), None, None, "   "),
            segment(Some(f64::NAN), Some(-1.0), None, "no number"),
            segment(Some(3661.5), None, None, "last"),
        ]
    }

    #[test]
    fn missing_times_are_filled_in_and_arrows_do_not_break_out() {
        insta::assert_snapshot!(render_srt(&talk()), @"
        1
        00:00:00,000 --> 00:00:01,250
        Ann: Good morning.

        2
        00:00:02,000 --> 00:00:03,500
        Bo <b>: 1 < 2 & 00:00 → 00:01

        3
        00:00:03,500 --> 00:00:09,000
        backwards

        4
        00:00:09,000 --> 00:00:11,000
        no time

        5
        00:00:11,000 --> 01:01:01,500
        no number

        6
        01:01:01,500 --> 01:01:03,500
        last
        ");
        insta::assert_snapshot!(render_vtt(&talk(), &key()), @"
        WEBVTT

        NOTE minuted:b3-5c692b042adac8b0aa0b284e07a6e7d0.sales → x.1

        00:00:00.000 --> 00:00:01.250
        <v Ann>Good morning.

        00:00:02.000 --> 00:00:03.500
        <v Bo &lt;b&gt;>1 &lt; 2 &amp; 00:00 → 00:01

        00:00:03.500 --> 00:00:09.000
        backwards

        00:00:09.000 --> 00:00:11.000
        no time

        00:00:11.000 --> 01:01:01.500
        no number

        01:01:01.500 --> 01:01:03.500
        last
        ");
    }

    #[test]
    fn a_day_of_segments_without_times_takes_no_day() {
        let segments = vec![segment(None, None, None, "x"); 50_000];
        assert_eq!(render_srt(&segments).matches(" --> ").count(), 50_000);
    }

    #[test]
    fn without_a_transcript_the_files_are_valid_and_empty() {
        assert_eq!(render_srt(&[]), "");
        insta::assert_snapshot!(render_vtt(&[], &key()), @"
        WEBVTT

        NOTE minuted:b3-5c692b042adac8b0aa0b284e07a6e7d0.sales → x.1

        NOTE no transcript
        ");
    }
}
