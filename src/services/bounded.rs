//! JSON from a server, read as a stream under a bound on the memory that it takes.
//!
//! A short text can become a large value: an object of one number takes eight bytes on the way and several hundred here. So what
//! an answer will take is counted while it is read, and one that takes too much is given up before it does.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Bytes that the value of one answer may take. A day of talk in segments of five seconds, each with twenty fields, takes a third
/// of it.
const VALUE_BYTES_MAX: usize = 128 << 20;

/// Bytes of a value beside what it owns.
const VALUE_BYTES: usize = size_of::<Value>();

/// Bytes of an object with its first fields: the map's nodes have room for eleven.
const OBJECT_BYTES: usize = 11 * (size_of::<String>() + VALUE_BYTES) + 32;

/// Bytes of one more field, by the same count, where every second place is in use.
const FIELD_BYTES: usize = 2 * (size_of::<String>() + VALUE_BYTES);

/// The least that the allocator gives.
const ALLOCATION_BYTES: usize = 32;

/// Fields that make up most of a transcription that has them, and that no reader of one uses: a time for every word, the
/// numbers of tokens.
pub(super) const WORD_TIMES: &[&str] = &["tokens", "word_segments", "words"];

/// Reads the JSON of an answer, and passes over the fields of these names, wherever they are.
///
/// # Errors
/// When it is none, or takes too much memory.
pub(super) fn value(json: &[u8], ignored: &'static [&'static str]) -> serde_json::Result<Value> {
    let left = Cell::new(VALUE_BYTES_MAX);
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = Bounded { left: &left, ignored }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Bounded<'a> {
    left: &'a Cell<usize>,
    ignored: &'static [&'static str],
}

impl Bounded<'_> {
    fn take<E: Error>(self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom(format_args!(
                "it holds too much: more than {} MiB once it is read",
                VALUE_BYTES_MAX >> 20
            ))),
        }
    }

    fn text<E: Error>(self, text: &str) -> Result<String, E> {
        self.take(text.len().max(ALLOCATION_BYTES))?;
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
        self.text(text).map(Value::String)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        self.take(ALLOCATION_BYTES)?;
        // A list that grows has room for twice what it holds.
        while let Some(item) = items.next_element_seed(self)? {
            self.take(2 * VALUE_BYTES)?;
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut is_empty = true;
        while let Some(name) = fields.next_key_seed(Name(self))? {
            if self.ignored.contains(&name.as_str()) {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            self.take(if is_empty { OBJECT_BYTES } else { FIELD_BYTES })?;
            is_empty = false;
            let value = fields.next_value_seed(self)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

/// The name of a field.
struct Name<'a>(Bounded<'a>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        self.0.text(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_is_what_was_written_less_what_nothing_reads() {
        let written = json!({"a": [1, -1, 1.5, true, null, "ä", {"b": {}}], "": ""});
        assert_eq!(value(written.to_string().as_bytes(), WORD_TIMES).expect("JSON"), written);
        let words = json!({"text": "a", "words": [{"word": "a"}], "segments": [{"tokens": [1], "text": "a"}]});
        let kept = json!({"text": "a", "segments": [{"text": "a"}]});
        assert_eq!(value(words.to_string().as_bytes(), WORD_TIMES).expect("JSON"), kept);
        assert_eq!(value(words.to_string().as_bytes(), &[]).expect("JSON"), words, "who reads them gets them");
        for none in ["", "{", "{} {}", "[1,]", "nul"] {
            assert!(value(none.as_bytes(), WORD_TIMES).is_err(), "{none}");
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
            format!("{{{}}}", (0..2_000_000).map(|at| format!("\"{at}\":0")).collect::<Vec<_>>().join(",")),
        ];
        for json in &rows {
            let error = value(json.as_bytes(), WORD_TIMES).expect_err("too much").to_string();
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
        let day = format!("{{\"text\":\"{}\",\"segments\":{}}}", "a word ".repeat(216_000), list(&segment, 17_280));
        assert!(day.len() < crate::http::ANALYSES_BYTES_MAX && value(day.as_bytes(), WORD_TIMES).is_ok());
    }
}
