//! A transcription of PAXS: segments with speakers and times, in every spelling that is known.

use serde_json::{Map, Value};

use super::wire;
use crate::job::{Findings, Segment};

/// Segments that are kept apart: a day of talk in pieces of half a second has fewer. The words of
/// further segments are appended to the last one.
const SEGMENTS_MAX: usize = 200_000;

/// Speakers that are kept.
const SPEAKERS_MAX: usize = 1_000;

const SEGMENTS_FIELDS: [&str; 5] = ["segments", "utterances", "transcript", "sentences", "chunks"];
const SPEAKER_FIELDS: [&str; 6] =
    ["speaker", "speaker_name", "speaker_label", "speakerName", "speaker_id", "speakerLabel"];
const TEXT_FIELDS: [&str; 4] = ["text", "content", "transcript", "sentence"];

/// Reads a transcription: under `content.transcription`, `transcription`, `content`, or at the top.
pub(super) fn parse_transcript(content: &Value) -> Findings {
    if let Value::Array(items) = content {
        return Findings { segments: parse_segments(items), ..Findings::default() };
    }
    if let Value::String(text) = content {
        return Findings { segments: vec![untimed_segment(text)], ..Findings::default() };
    }
    let Some(fields) = content.as_object() else { return Findings::default() };
    let content = object_field(fields, "content").unwrap_or(fields);
    let inner = object_field(content, "transcription")
        .or_else(|| object_field(fields, "transcription"))
        .unwrap_or(content);
    let segments = SEGMENTS_FIELDS
        .iter()
        .find_map(|name| {
            [inner, content, fields].iter().find_map(|place| place.get(*name)?.as_array())
        })
        .map(|items| parse_segments(items))
        .unwrap_or_default();
    let segments = if segments.is_empty() {
        let text = wire::first_text(inner, &TEXT_FIELDS);
        let text = text.or_else(|| content.get("transcription")?.as_str());
        text.map(untimed_segment).into_iter().collect()
    } else {
        segments
    };
    Findings {
        markdown: wire::first_text(inner, &["markdown"]).map(str::to_owned),
        summary: [inner, content]
            .iter()
            .find_map(|place| wire::first_text(place, &["summary"]))
            .map(str::to_owned),
        speakers: inner.get("speakers").map(parse_speakers).unwrap_or_default(),
        segments,
        ..Findings::default()
    }
}

fn object_field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Map<String, Value>> {
    fields.get(name)?.as_object()
}

/// Returns a text without times as one segment.
fn untimed_segment(text: &str) -> Segment {
    Segment { text: text.to_owned(), ..Segment::default() }
}

fn parse_segments(items: &[Value]) -> Vec<Segment> {
    let mut found = items.iter().filter_map(parse_segment);
    let mut kept: Vec<Segment> = found.by_ref().take(SEGMENTS_MAX).collect();
    if let Some(last) = kept.last_mut() {
        for more in found {
            last.text.extend([" ", &more.text]);
            last.end = more.end.or(last.end);
        }
    }
    kept
}

fn parse_segment(item: &Value) -> Option<Segment> {
    let fields = match item {
        Value::Object(fields) => fields,
        Value::String(text) => return Some(untimed_segment(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    Some(Segment {
        start: parse_moment(
            fields,
            &["start", "start_time", "startTime", "from"],
            &["start_ms", "startMs"],
        ),
        end: parse_moment(fields, &["end", "end_time", "endTime", "to"], &["end_ms", "endMs"]),
        speaker: wire::first_field(fields, &SPEAKER_FIELDS).and_then(speaker_name),
        text: wire::first_text(fields, &TEXT_FIELDS)?.to_owned(),
        ..Segment::default()
    })
}

fn parse_moment(
    fields: &Map<String, Value>,
    seconds: &[&str],
    milliseconds: &[&str],
) -> Option<f64> {
    let found = wire::first_field(fields, seconds).and_then(as_seconds);
    found
        .or_else(|| Some(as_seconds(wire::first_field(fields, milliseconds)?)? / 1000.0))
        .filter(|at| at.is_finite() && *at >= 0.0)
}

/// Reads seconds: a number, a number as text, or `[HH:]MM:SS[.mmm]`.
fn as_seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => clock_time(text.trim().trim_end_matches('s')),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn clock_time(text: &str) -> Option<f64> {
    let parts: Vec<f64> = text
        .split(':')
        .map(|part| part.trim().replace(',', ".").parse().ok())
        .collect::<Option<_>>()?;
    (parts.len() <= 3).then(|| parts.iter().fold(0.0, |sum, part| sum * 60.0 + part))
}

fn parse_speakers(value: &Value) -> Vec<String> {
    let mut names: Vec<String> = match value {
        Value::Array(items) => items.iter().take(SPEAKERS_MAX).filter_map(speaker_name).collect(),
        Value::Object(fields) => fields
            .iter()
            .take(SPEAKERS_MAX)
            .map(|(label, value)| speaker_name(value).unwrap_or_else(|| label.clone()))
            .collect(),
        Value::String(_) => speaker_name(value).into_iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => vec![],
    };
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// Reads a speaker: a name, a number, or an object with a name.
fn speaker_name(value: &Value) -> Option<String> {
    match value {
        Value::String(name) => Some(name.trim().to_owned()).filter(|name| !name.is_empty()),
        Value::Number(number) => Some(format!("Speaker {number}")),
        Value::Object(fields) => wire::first_text(
            fields,
            &["name", "display_name", "displayName", "speaker_name", "label", "speaker", "id"],
        )
        .map(|name| name.trim().to_owned()),
        Value::Null | Value::Bool(_) | Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::wire::tests::any_json, *};

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn no_transcription_panics_and_times_are_numbers(content in any_json()) {
            for segment in parse_transcript(&content).segments {
                for at in [segment.start, segment.end].into_iter().flatten() {
                    prop_assert!(at.is_finite() && at >= 0.0);
                }
            }
        }
    }

    #[test]
    fn a_transcription_is_found_wherever_it_lies() {
        let transcription = json!({
            "summary": "Short.", "speakers": ["Ann", {"name": "Bo"}, "Ann"],
            "segments": [{"start": 1.5, "end": 2, "speaker": "Ann", "text": "Hello"}],
        });
        for content in [
            json!({"content": {"transcription": transcription}}),
            json!({"transcription": transcription}),
            json!({"content": transcription}),
            transcription.clone(),
        ] {
            let findings = parse_transcript(&content);
            assert_eq!(findings.summary.as_deref(), Some("Short."), "{content}");
            assert_eq!(findings.speakers, ["Ann", "Bo"]);
            let segment = Segment {
                start: Some(1.5),
                end: Some(2.0),
                speaker: Some("Ann".into()),
                text: "Hello".into(),
                ..Segment::default()
            };
            assert_eq!(findings.segments, [segment]);
        }
    }

    #[test]
    fn times_are_read_as_seconds_clock_times_and_milliseconds() {
        let start =
            |segment: Value| parse_transcript(&json!({"segments": [segment]})).segments[0].start;
        assert_eq!(start(json!({"text": "x", "start": 61.5})), Some(61.5));
        assert_eq!(start(json!({"text": "x", "start": "01:01:01.5"})), Some(3661.5));
        assert_eq!(start(json!({"text": "x", "start_time": "01:01"})), Some(61.0));
        assert_eq!(start(json!({"text": "x", "start": "61.5"})), Some(61.5));
        assert_eq!(start(json!({"text": "x", "start_ms": 61500})), Some(61.5));
        assert_eq!(start(json!({"text": "x", "start": "soon"})), None);
        assert_eq!(start(json!({"text": "x", "start": -1})), None);
        assert_eq!(start(json!({"text": "x", "start": "NaN"})), None);
    }

    #[test]
    fn a_text_without_segments_is_one_segment_and_segments_without_text_are_none() {
        assert_eq!(
            parse_transcript(&json!({"content": {"transcription": {"text": "Hello"}}})).segments,
            [untimed_segment("Hello")]
        );
        assert_eq!(
            parse_transcript(&json!({"transcription": "Hello"})).segments,
            [untimed_segment("Hello")]
        );
        assert_eq!(parse_transcript(&json!({"segments": [{"start": 1}, 7, null]})).segments, []);
    }

    #[test]
    fn segments_are_bounded() {
        let content = json!({"segments": vec![json!({"text": "x"}); SEGMENTS_MAX + 1]});
        assert_eq!(parse_transcript(&content).segments.len(), SEGMENTS_MAX);
    }
}
