//! Answers that servers of several kinds have in common, read leniently: transcripts and the text
//! of a model.

use serde_json::Value;

use super::{
    CallError, answers,
    bounded::{TRANSCRIPT_BYTES_MAX, count_word_bytes, too_many_words},
};
use crate::job::{Segment, confidence_from_log, is_silence, spoken_words};

/// The transcript of a server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ServerTranscript {
    /// The segments, in order.
    pub(super) segments: Vec<Segment>,
    /// The length of the recording in seconds, where the server tells it.
    pub(super) duration: Option<f64>,
    /// The language, in the server's words: a code or an English name.
    pub(super) language: Option<String>,
}

/// Returns the transcript of an answer; `None` where the answer is none.
///
/// # Errors
/// When there are more words than a person can have said.
pub(super) fn parse_transcript(answer: &Value) -> Result<Option<ServerTranscript>, CallError> {
    let Some(segments) = parse_segments(answer) else { return Ok(None) };
    if count_word_bytes(&segments) > TRANSCRIPT_BYTES_MAX {
        return Err(answers::unexpected_answer(&too_many_words()));
    }
    let duration = time_field(answer, "duration").filter(|seconds| *seconds > 0.0);
    Ok(Some(ServerTranscript { segments, duration, language: parse_language(answer) }))
}

/// The length of the longest name of a language, in bytes; what is longer is none.
const LANGUAGE_BYTES_MAX: usize = 40;

fn parse_language(answer: &Value) -> Option<String> {
    let language = answer.get("language")?.as_str()?.trim().to_lowercase();
    (!language.is_empty() && language.len() <= LANGUAGE_BYTES_MAX).then_some(language)
}

/// Returns the segments of an answer. A text without segments is one segment without times.
fn parse_segments(answer: &Value) -> Option<Vec<Segment>> {
    let answer = answer.as_object()?;
    let all = answer.get("segments").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (silent, spoken): (Vec<_>, Vec<_>) = all.iter().partition(|segment| is_silent(segment));
    let segments: Vec<Segment> = spoken.into_iter().filter_map(parse_segment).collect();
    // Where all were silent, the text of the whole is what was made of that.
    if !segments.is_empty() || !silent.is_empty() {
        return Some(segments);
    }
    let text = spoken_words(answer.get("text")?.as_str()?).map(str::to_owned);
    Some(text.map(|text| Segment { text, ..Segment::default() }).into_iter().collect())
}

/// Returns whether nobody speaks in a segment, by what the server tells of it.
fn is_silent(segment: &Value) -> bool {
    let number = |name: &str| segment.get(name).and_then(Value::as_f64);
    let text = segment.get("text").and_then(Value::as_str).unwrap_or_default();
    is_silence(text, number("no_speech_prob"), number("avg_logprob"))
}

fn parse_segment(value: &Value) -> Option<Segment> {
    let text = spoken_words(value.get("text")?.as_str()?)?.to_owned();
    let start = time_field(value, "start");
    let end = time_field(value, "end").filter(|end| start.is_none_or(|start| *end >= start));
    let speaker = match value.get("speaker") {
        Some(Value::String(name)) if !name.trim().is_empty() => Some(name.trim().to_owned()),
        Some(Value::Number(number)) => Some(format!("Speaker {number}")),
        Some(_) | None => None,
    };
    // The mean of Whisper's tokens: a natural logarithm.
    let confidence = value.get("avg_logprob").and_then(Value::as_f64).and_then(confidence_from_log);
    Some(Segment { start, end, speaker, text, confidence })
}

fn time_field(segment: &Value, name: &str) -> Option<f64> {
    segment.get(name)?.as_f64().filter(|time| time.is_finite() && *time >= 0.0)
}

/// Returns the text of a model without its reasoning, and without a fence around the whole.
pub(super) fn strip_markup(text: &str) -> &str {
    let answer = strip_thoughts(text);
    inside_fence(answer).unwrap_or(answer).trim()
}

/// Returns the text after the reasoning of a model. Some templates open the reasoning before the
/// answer begins.
fn strip_thoughts(text: &str) -> &str {
    const OPEN: &str = "<think>";
    const CLOSE: &str = "</think>";
    let begins = text.trim_start().starts_with(OPEN);
    match text.split_once(CLOSE) {
        Some((thoughts, answer)) if begins || !thoughts.contains(OPEN) => answer,
        None if begins => "",
        Some(_) | None => text,
    }
}

/// Returns the inside of a code fence around the whole text; `None` where there is none.
fn inside_fence(text: &str) -> Option<&str> {
    let (info, rest) = text.trim().strip_prefix("```")?.split_once('\n')?;
    let inside = rest.strip_suffix("```")?;
    let is_markdown = matches!(info.trim().to_ascii_lowercase().as_str(), "" | "md" | "markdown");
    // A fence that ends the first inner one opened none: the text is two blocks with words
    // between them.
    let is_whole =
        inside.split_once("```").is_none_or(|(_, after)| !after.starts_with(['\r', '\n']));
    (is_markdown && is_whole && inside.matches("```").count() % 2 == 0).then_some(inside)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn segments_are_read_whatever_else_a_server_adds_or_leaves_out() {
        let answer = json!({"task": "transcribe", "text": "all", "segments": [
            {"id": 0, "start": 0, "end": 1.5, "text": " Good morning. ", "tokens": [1, 2]},
            {"start": -1, "end": "x", "text": "No times.", "speaker": "A"},
            {"start": 5, "end": 4, "text": "An end before its start.", "speaker": 1},
            {"start": 6, "end": 7, "text": " "}, {"start": 6}, 7,
        ]});
        let read = parse_transcript(&answer).expect("few words").expect("a transcription");
        let shown: Vec<_> = read
            .segments
            .iter()
            .map(|s| (s.start, s.end, s.speaker.as_deref(), s.text.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (Some(0.0), Some(1.5), None, "Good morning."),
                (None, None, Some("A"), "No times."),
                (Some(5.0), None, Some("Speaker 1"), "An end before its start."),
            ]
        );
    }

    #[test]
    fn segments_say_how_sure_their_server_is_and_those_without_speech_are_left_out() {
        let segment = |text: &str, no_speech: f64, mean: f64| json!({"start": 0, "end": 2, "text": text, "no_speech_prob": no_speech, "avg_logprob": mean});
        let read = |segments: &[Value]| {
            let answer = json!({"text": "Thank you for watching.", "segments": segments});
            let read =
                parse_transcript(&answer).expect("few words").expect("a transcription").segments;
            read.into_iter().map(|segment| (segment.text, segment.confidence)).collect::<Vec<_>>()
        };
        let spoken = segment("Good morning.", 0.1, -0.2231);
        let silent = [
            segment("So long, and so on.", 0.7, -1.2),
            segment(" Thank you for watching.", 0.9, -0.1),
        ];
        let all = [silent[0].clone(), spoken, silent[1].clone(), segment("No number.", 0.1, 1.5)];
        assert_eq!(
            read(&all),
            [("Good morning.".to_owned(), Some(0.8)), ("No number.".to_owned(), None)]
        );
        assert_eq!(read(&silent), [], "nor is the text of the whole");
    }

    #[test]
    fn the_length_and_the_language_of_a_recording_are_read_where_they_make_sense() {
        let read = |answer: Value| {
            let transcript =
                parse_transcript(&answer).expect("few words").expect("a transcription");
            (transcript.duration, transcript.language)
        };
        let german = json!({"text": "Guten Tag.", "duration": 12.5, "language": " German "});
        assert_eq!(read(german), (Some(12.5), Some("german".to_owned())));
        for (duration, language) in
            [(json!(-1), json!("")), (json!("x"), json!(7)), (json!(0), json!("x".repeat(41)))]
        {
            let answer = json!({"text": "Guten Tag.", "duration": duration, "language": language});
            assert_eq!(read(answer), (None, None));
        }
    }

    #[test]
    fn a_text_alone_is_one_segment_and_silence_is_none() {
        let read = |answer: Value| {
            parse_transcript(&answer).expect("few words").map(|read| read.segments.len())
        };
        assert_eq!(read(json!({"text": " Good morning. "})), Some(1));
        assert_eq!(read(json!({"text": "", "segments": []})), Some(0));
        assert_eq!(
            read(
                json!({"text": " [BLANK_AUDIO]", "segments": [{"text": " [BLANK_AUDIO]"}, {"text": ". . ."}]})
            ),
            Some(0)
        );
        for answer in
            [json!({}), json!([]), json!("text"), json!({"error": "x"}), json!({"text": null})]
        {
            assert_eq!(read(answer.clone()), None, "{answer}");
        }
    }

    #[test]
    fn more_words_than_anyone_can_say_are_no_transcription() {
        let answer = json!({"segments": [{"text": "word ".repeat(TRANSCRIPT_BYTES_MAX / 5)}, {"text": "and more"}]});
        let error = parse_transcript(&answer).expect_err("too many").to_string();
        assert!(error.contains("too much text: more than 8 MiB"), "{error}");
    }

    #[test]
    fn thoughts_and_a_fence_around_the_whole_are_taken_off_and_nothing_else() {
        for (said, meant) in [
            ("# Notes", "# Notes"),
            ("<think>Hm.\n</think>\n\n# Notes", "# Notes"),
            ("Hm.</think>\n# Notes", "# Notes"),
            ("<think>never closed", ""),
            ("```markdown\n# Notes\n```\n", "# Notes"),
            ("```\n# Notes\n```", "# Notes"),
            ("```md\n# Notes\n```sh\nls\n```\nb\n```", "# Notes\n```sh\nls\n```\nb"),
            ("```md\na\n```\nb\n```\nc\n```", "```md\na\n```\nb\n```\nc\n```"),
            ("```rust\nfn\n```", "```rust\nfn\n```"),
            ("a <think>b</think> c", "a <think>b</think> c"),
        ] {
            assert_eq!(strip_markup(said), meant, "{said}");
        }
    }
}
