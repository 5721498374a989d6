//! JSON from a server, read as a stream under a bound on the memory that it takes.
//!
//! A short text can become a large value: an object of one number takes eight bytes in transit and
//! several hundred in memory. The memory of an answer is therefore counted while it is read, and
//! reading stops before the limit is exceeded.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::job::{Findings, Segment};

/// Bytes of memory that one answer may take. A day of talk in segments of five seconds, each with
/// twenty fields, takes a third of it.
const VALUE_BYTES_MAX: usize = 128 << 20;

/// Bytes of the words of one transcript, with the names of the speakers. A day of talk has 1.5 MB,
/// and the results made of the words take many times their memory.
pub(crate) const TRANSCRIPT_BYTES_MAX: usize = 8 << 20;

/// Bytes of all texts of an answer that holds a transcript: most servers give its words twice, as a
/// whole and in segments.
const TEXTS_BYTES_MAX: usize = 3 * TRANSCRIPT_BYTES_MAX;

/// Bytes of the notes of one kind that are made of a recording. Minutes of a day have a tenth of a
/// megabyte.
pub(crate) const NOTE_BYTES_MAX: usize = 4 << 20;

/// Bytes of a value without its heap memory.
const VALUE_BYTES: usize = size_of::<Value>();

/// Bytes of an object with its first fields: the map's nodes have room for eleven.
const OBJECT_BYTES: usize = 11 * (size_of::<String>() + VALUE_BYTES) + 32;

/// Bytes of one more field, by the same count, where every second place is in use.
const FIELD_BYTES: usize = 2 * (size_of::<String>() + VALUE_BYTES);

/// Bytes of the smallest allocation.
const ALLOCATION_BYTES: usize = 32;

/// Fields that make up most of a transcription and are read by nobody here: a time for every word,
/// the numbers of tokens.
const WORD_TIMES: &[&str] = &["tokens", "word_segments", "words"];

/// Reads the JSON of an answer.
///
/// # Errors
/// When it is none, or takes too much memory.
pub(super) fn parse_value(json: &[u8]) -> serde_json::Result<Value> {
    parse_within(json, &[], VALUE_BYTES_MAX)
}

/// Reads the JSON of an answer that holds a transcription, without [`WORD_TIMES`].
///
/// # Errors
/// When it is none, takes too much memory, or holds more text than any transcript has.
pub(super) fn parse_transcription(json: &[u8]) -> serde_json::Result<Value> {
    parse_within(json, WORD_TIMES, TEXTS_BYTES_MAX)
}

fn parse_within(
    json: &[u8],
    ignored: &'static [&'static str],
    texts_max: usize,
) -> serde_json::Result<Value> {
    let left = Cell::new(VALUE_BYTES_MAX);
    let texts_left = Cell::new(texts_max);
    let mut reader = serde_json::Deserializer::from_slice(json);
    let bounded = Bounded { left: &left, texts_left: &texts_left, ignored };
    let value = bounded.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Returns the error of results that are larger than a person can have said or written; `None`
/// where they are not. It is checked before any work on the words.
pub(crate) fn oversize_error(findings: &Findings) -> Option<String> {
    let texts = [&findings.markdown, &findings.summary].into_iter().flatten();
    if texts.map(String::len).max().is_some_and(|bytes| bytes > NOTE_BYTES_MAX) {
        return Some(format!(
            "its notes have too much text: more than {} MiB",
            NOTE_BYTES_MAX >> 20
        ));
    }
    let speakers: usize = findings.speakers.iter().map(String::len).sum();
    (speakers > TRANSCRIPT_BYTES_MAX || count_word_bytes(&findings.segments) > TRANSCRIPT_BYTES_MAX)
        .then(too_many_words)
}

/// Returns the error of a transcript with more words than a person can have said.
pub(crate) fn too_many_words() -> String {
    format!("its transcript has too much text: more than {} MiB", TRANSCRIPT_BYTES_MAX >> 20)
}

/// Returns the bytes of a transcript's words, with the names of the speakers.
pub(crate) fn count_word_bytes(segments: &[Segment]) -> usize {
    segments
        .iter()
        .map(|segment| segment.text.len() + segment.speaker.as_ref().map_or(0, String::len))
        .sum()
}

#[derive(Clone, Copy)]
struct Bounded<'a> {
    left: &'a Cell<usize>,
    texts_left: &'a Cell<usize>,
    ignored: &'static [&'static str],
}

impl Bounded<'_> {
    fn charge_bytes<E: Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(bytes).ok_or_else(|| {
            let limit = VALUE_BYTES_MAX >> 20;
            E::custom(format_args!("it holds too much: more than {limit} MiB once it is read"))
        })?;
        self.left.set(left);
        Ok(())
    }

    fn charge_text<E: Error>(self, text: &str) -> Result<String, E> {
        self.charge_bytes(text.len().max(ALLOCATION_BYTES))?;
        let left = self.texts_left.get().checked_sub(text.len()).ok_or_else(|| {
            let limit = TEXTS_BYTES_MAX >> 20;
            E::custom(format_args!("it holds too much text: more than {limit} MiB"))
        })?;
        self.texts_left.set(left);
        Ok(text.to_owned())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.charge_text(text).map(Value::String)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        self.charge_bytes(ALLOCATION_BYTES)?;
        // A list that grows has room for twice what it holds.
        while let Some(item) = items.next_element_seed(self)? {
            self.charge_bytes(2 * VALUE_BYTES)?;
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut is_empty = true;
        while let Some(name) = fields.next_key_seed(FieldName(self))? {
            if self.ignored.contains(&name.as_str()) {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            self.charge_bytes(if is_empty { OBJECT_BYTES } else { FIELD_BYTES })?;
            is_empty = false;
            let value = fields.next_value_seed(self)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// The name of a field.
struct FieldName<'a>(Bounded<'a>);

impl<'de> DeserializeSeed<'de> for FieldName<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName<'_> {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        self.0.charge_text(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_is_what_was_written_less_what_nothing_reads() {
        let written = json!({"a": [1, -1, 1.5, true, null, "ä", {"b": {}}], "": ""});
        assert_eq!(parse_transcription(written.to_string().as_bytes()).expect("JSON"), written);
        let words = json!({"text": "a", "words": [{"word": "a"}], "segments": [{"tokens": [1], "text": "a"}]});
        let kept = json!({"text": "a", "segments": [{"text": "a"}]});
        assert_eq!(parse_transcription(words.to_string().as_bytes()).expect("JSON"), kept);
        assert_eq!(
            parse_value(words.to_string().as_bytes()).expect("JSON"),
            words,
            "who reads them gets them"
        );
        for none in ["", "{", "{} {}", "[1,]", "nul"] {
            assert!(parse_transcription(none.as_bytes()).is_err(), "{none}");
        }
    }

    #[test]
    fn an_answer_that_would_take_too_much_memory_is_given_up() {
        let list = |item: &str, times: usize| format!("[{}]", vec![item; times].join(","));
        let rows = [
            format!("{{\"segments\":{}}}", list("{\"start\":1,\"end\":2,\"text\":\"a\"}", 900_000)),
            list("{\"a\":0}", 2_000_000),
            list("0", 4_000_000),
            list("[]", 4_000_000),
            list("\"a\"", 4_000_000),
            format!(
                "{{{}}}",
                (0..2_000_000).map(|at| format!("\"{at}\":0")).collect::<Vec<_>>().join(",")
            ),
        ];
        for json in &rows {
            let error = parse_transcription(json.as_bytes()).expect_err("too much").to_string();
            assert!(error.contains("more than 128 MiB once it is read"), "{error}");
        }
        // A day of talk, with a time for every word and the numbers of tokens.
        let words = list("{\"word\":\"a\",\"start\":1.5,\"end\":2.5,\"probability\":0.5}", 12);
        let tokens = list("50364", 30);
        let segment = format!(
            "{{\"id\":1,\"seek\":0,\"start\":1.5,\"end\":2.5,\"text\":\"{}\",\"tokens\":{tokens},\"temperature\":0.0,\
             \"avg_logprob\":-0.3,\"compression_ratio\":1.2,\"no_speech_prob\":0.1,\"words\":{words}}}",
            "a word or two ".repeat(5)
        );
        let day = format!(
            "{{\"text\":\"{}\",\"segments\":{}}}",
            "a word ".repeat(216_000),
            list(&segment, 17_280)
        );
        assert!(
            day.len() < crate::http::ANALYSES_BYTES_MAX
                && parse_transcription(day.as_bytes()).is_ok()
        );
    }

    #[test]
    fn more_text_than_a_transcript_has_is_refused_before_it_is_held() {
        let text =
            |bytes: usize| json!({"text": "word ".repeat(bytes / 5), "segments": []}).to_string();
        assert!(parse_transcription(text(TRANSCRIPT_BYTES_MAX).as_bytes()).is_ok());
        let error =
            parse_transcription(text(40_000_000).as_bytes()).expect_err("too much").to_string();
        assert!(error.contains("too much text: more than 24 MiB"), "{error}");
        assert!(
            parse_value(text(40_000_000).as_bytes()).is_ok(),
            "a report that holds one as a text has more besides"
        );
    }

    #[test]
    fn what_nobody_can_have_said_or_written_is_no_finding() {
        let half = || "x".repeat(TRANSCRIPT_BYTES_MAX / 2);
        let said = |texts: Vec<String>| Findings {
            segments: texts
                .into_iter()
                .map(|text| Segment { text, ..Segment::default() })
                .collect(),
            ..Findings::default()
        };
        assert_eq!(oversize_error(&said(vec![half(), half()])), None);
        let more = oversize_error(&said(vec![half(), half(), "x".into()])).expect("too much");
        assert!(more.contains("more than 8 MiB"), "{more}");
        let named = Segment { speaker: Some(half()), text: half() + "x", ..Segment::default() };
        assert!(
            oversize_error(&Findings { segments: vec![named], ..Findings::default() }).is_some()
        );
        assert!(
            oversize_error(&Findings {
                speakers: vec![half(), half(), half()],
                ..Findings::default()
            })
            .is_some()
        );
        let written = |text| Findings { markdown: Some(text), ..Findings::default() };
        assert_eq!(oversize_error(&written(half())), None);
        assert!(
            oversize_error(&written(half() + "x")).expect("too much").contains("more than 4 MiB")
        );
    }
}
