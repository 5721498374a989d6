//! The front matter of notes: YAML 1.2 that no title can break, and the key that proves whose notes they are.

use std::fmt::Write as _;

use crate::job::Key;

/// How much of a file is read to find a key: DESIGN promises the first 4 KiB.
pub(super) const HEAD_BYTES: usize = 4096;

/// What opens and closes front matter.
const FENCE: &str = "---";

/// The field that carries the key.
const KEY_FIELD: &str = "minuted";

/// One field: its name and its value, already YAML.
pub(super) type Field = (&'static str, String);

/// Returns the whole block, with `key` as its last field, or as its first where long fields would push it out of reach.
pub(super) fn block(fields: &[Field], key: &Key) -> String {
    let others = fields.iter().map(|(name, value)| [name, ": ", value, "\n"].concat()).collect::<Vec<_>>().concat();
    let proof = format!("{KEY_FIELD}: {}\n", scalar(&key.to_string()));
    let (first, second) =
        if FENCE.len() + 1 + others.len() + proof.len() <= HEAD_BYTES { (others, proof) } else { (proof, others) };
    format!("{FENCE}\n{first}{second}{FENCE}\n")
}

/// Returns the key in the front matter of a file whose first bytes are `head`: `None` for what minuted did not write.
#[must_use]
pub fn key_of(head: &[u8]) -> Option<Key> {
    let head = &head[..head.len().min(HEAD_BYTES)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut lines = head.split_inclusive(|byte| *byte == b'\n').map_while(whole_line);
    if lines.next()? != FENCE {
        return None;
    }
    lines
        .take_while(|line| *line != FENCE)
        .find_map(|line| line.strip_prefix(KEY_FIELD)?.strip_prefix(':'))
        .and_then(|value| read_scalar(value.trim())?.parse().ok())
}

/// A line that is ended, and text: a key that the end of the head cuts off is no key.
fn whole_line(line: &[u8]) -> Option<&str> {
    let line = line.strip_suffix(b"\n")?;
    Some(std::str::from_utf8(line).unwrap_or_default().trim_end())
}

fn read_scalar(value: &str) -> Option<String> {
    if value.starts_with('"') {
        // What `quoted` writes is JSON too.
        return serde_json::from_str(value).ok();
    }
    value.split_whitespace().next().map(str::to_owned)
}

/// Returns `text` as a double-quoted scalar on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            character if needs_escape(character) => {
                write!(out, "\\u{:04x}", u32::from(character)).expect("a String takes what is written");
            }
            character => out.push(character),
        }
    }
    out.push('"');
    out
}

/// What YAML does not call printable, what ends a line for it, and what turns text around. All below U+10000.
fn needs_escape(character: char) -> bool {
    character.is_control()
        || super::markdown::is_bidi(character)
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

/// Returns `text` plain where every reader of YAML takes it for that text, else quoted.
pub(super) fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Words that YAML 1.1 or 1.2 take for something else than text.
const RESERVED: [&str; 12] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"];

fn is_plain(text: &str) -> bool {
    let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let named = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    let uuid = text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4 && !text.contains('.');
    word && (named || uuid) && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use saphyr::LoadableYamlNode as _;

    use super::*;
    use crate::job::Content;

    fn key(folder: &str) -> Key {
        Key { content: Content::from_hash(&blake3::hash(b"talk")), folder: folder.into(), generation: 1 }
    }

    #[test]
    fn what_others_take_for_a_number_a_date_or_a_truth_is_quoted() {
        for text in ["1", "1e5", "2026-11-22", "true", "No", "~", "", "a: b", "-", "0x1f", "12:30", ".inf"] {
            assert_eq!(scalar(text), format!("\"{text}\""));
        }
        for text in ["talk.wav", "sales", "93ac7e2d-0000-4000-8000-000000000000"] {
            assert_eq!(scalar(text), text);
        }
    }

    #[test]
    fn a_key_outside_the_front_matter_is_no_proof() {
        let line = format!("minuted: {}\n", key("sales"));
        assert_eq!(key_of(format!("# Notes\n{line}").as_bytes()), None);
        assert_eq!(key_of(format!("---\ntitle: x\n---\n{line}").as_bytes()), None);
        assert_eq!(key_of(format!("---\nother-{line}---\n").as_bytes()), None);
        assert_eq!(key_of(format!("---\r\n{}\r\n---\r\n", line.trim()).as_bytes()), Some(key("sales")));
        assert_eq!(key_of(b"---\nminuted: b3-00000000000000000000000000000000.sales.1"), None, "cut off");
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn any_text_is_one_yaml_string_on_one_line(text in any::<String>()) {
            for written in [quoted(&text), scalar(&text)] {
                prop_assert!(!written.contains(['\n', '\r']));
                let read = saphyr::Yaml::load_from_str(&format!("title: {written}\n")).expect("YAML");
                prop_assert_eq!(read[0]["title"].as_str(), Some(text.as_str()), "{}", written);
            }
        }

        #[test]
        fn the_key_reads_back_whatever_stands_before_it(title in ".{0,3000}", folder in "[^\\x00-\\x1f]{1,40}") {
            let key = key(&folder);
            let block = block(&[("title", quoted(&title)), ("attendees", format!("[{}]", quoted(&title)))], &key);
            prop_assert_eq!(key_of(block.as_bytes()), Some(key));
        }
    }
}
