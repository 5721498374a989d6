//! The front matter of notes: YAML 1.2 that no title can break, and the key that proves whose notes they are.

use std::fmt::Write as _;

use super::seal;
use crate::job::{Key, Sound};

/// Bytes of a file that are read to find a key: the first 4 KiB are promised.
pub(in crate::delivery) const HEAD_BYTES: usize = 4096;

/// The line that opens and closes front matter.
const FENCE: &str = "---";

/// The field that carries the key.
const KEY_FIELD: &str = "minuted";

/// The field that carries the name of the recording's sound.
const SOUND_FIELD: &str = "sound";

/// The field of notes that lack what failed, and the field of their seal, which whole notes do not need.
const PARTIAL_FIELD: &str = "partial";
const SEAL_FIELD: &str = "digest";

/// The proof in the front matter of notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The job whose notes they are.
    pub key: Key,
    /// True if results that failed are missing: then the job is not done.
    pub partial: bool,
}

/// A field: its name and its value, already YAML.
pub(in crate::delivery) type Field = (&'static str, String);

/// Returns the whole front matter, with its proof as the last fields, or as the first where long
/// fields would push it out of reach. That of partial notes has a blank for their seal.
///
/// The name of the sound goes with the proof: it is looked for in the same bytes.
pub(in crate::delivery) fn front_matter(
    fields: &[Field],
    proof: &Proof,
    sound: Option<&Sound>,
) -> String {
    let others = fields
        .iter()
        .map(|(name, value)| [name, ": ", value, "\n"].concat())
        .collect::<Vec<_>>()
        .concat();
    let partial = format!("{PARTIAL_FIELD}: true\n{SEAL_FIELD}: {}\n", seal::BLANK);
    let partial = if proof.partial { partial.as_str() } else { "" };
    let sound = sound.map_or_else(String::new, |sound| format!("{SOUND_FIELD}: {sound}\n"));
    let proof = format!("{partial}{sound}{KEY_FIELD}: {}\n", yaml_scalar(&proof.key.to_string()));
    let (first, second) = if FENCE.len() + 1 + others.len() + proof.len() <= HEAD_BYTES {
        (others, proof)
    } else {
        (proof, others)
    };
    format!("{FENCE}\n{first}{second}{FENCE}\n")
}

/// Returns what the front matter of a file whose first bytes are `head` proves: `None` for what minuted did not write.
#[must_use]
pub(crate) fn proof_of(head: &[u8]) -> Option<Proof> {
    let key =
        find_field(head, KEY_FIELD).and_then(|value| read_scalar(value.trim())?.parse().ok())?;
    let partial = find_field(head, PARTIAL_FIELD).is_some_and(|value| value.trim() == "true");
    Some(Proof { key, partial })
}

/// Returns the name of the recording's sound in the front matter of a file whose first bytes are `head`.
#[must_use]
pub(crate) fn sound_of(head: &[u8]) -> Option<Sound> {
    find_field(head, SOUND_FIELD).and_then(|value| read_scalar(value.trim())?.parse().ok())
}

/// Returns the key in the front matter of a file whose first bytes are `head`.
#[must_use]
pub(crate) fn key_of(head: &[u8]) -> Option<Key> {
    proof_of(head).map(|proof| proof.key)
}

/// Seals partial notes.
pub(in crate::delivery) fn seal_partial(text: String) -> String {
    match seal_at(text.as_bytes()) {
        Some(at) => seal::insert_seal(text, at),
        None => text,
    }
}

/// Returns whether these are partial notes as they were written.
pub(in crate::delivery) fn is_sealed(text: &[u8]) -> bool {
    seal_at(text).is_some_and(|at| seal::is_whole(text, at))
}

/// Returns the position of the seal. No value before it holds a line of its own.
fn seal_at(text: &[u8]) -> Option<usize> {
    let line = format!("\n{SEAL_FIELD}: ");
    let head = &text[..text.len().min(HEAD_BYTES)];
    Some(head.windows(line.len()).position(|window| window == line.as_bytes())? + line.len())
}

fn find_field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let head = &head[..head.len().min(HEAD_BYTES)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut lines = head.split_inclusive(|byte| *byte == b'\n').map_while(whole_line);
    if lines.next()? != FENCE {
        return None;
    }
    lines
        .take_while(|line| *line != FENCE)
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// A line that is ended, and text: a key that the end of the head cuts off is no key.
fn whole_line(line: &[u8]) -> Option<&str> {
    let line = line.strip_suffix(b"\n")?;
    Some(std::str::from_utf8(line).unwrap_or_default().trim_end())
}

fn read_scalar(value: &str) -> Option<String> {
    if value.starts_with('"') {
        // What `quote_scalar` writes is JSON too, escapes included.
        return serde_json::from_str(value).ok();
    }
    value.split_whitespace().next().map(str::to_owned)
}

/// Marks that viewers fill in or run wherever they stand in a file, front matter included:
/// Templater and its kind, Jinja, Liquid and Hugo, code that Dataview reads, embedded notes,
/// JavaScript.
const MARKS: [&str; 6] = ["<%", "{{", "{%", "`", "[[", "${"];

/// Returns `text` as a double-quoted scalar on one line. The first character of a mark is an escape: a reader of YAML gets
/// the text, and what reads the file as it is finds no mark.
pub(in crate::delivery) fn quote_scalar(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for (at, character) in text.char_indices() {
        let is_marked = MARKS.iter().any(|mark| text[at..].starts_with(mark));
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            character if is_marked || needs_escape(character) => {
                write!(out, "\\u{:04x}", u32::from(character))
                    .expect("a String takes what is written");
            }
            character => out.push(character),
        }
    }
    out.push('"');
    out
}

/// Characters that YAML does not call printable, that end a line for it, or that turn text around. All below U+10000.
fn needs_escape(character: char) -> bool {
    character.is_control()
        || crate::text::is_bidi(character)
        || matches!(
            character,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'
                ..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// Returns `text` plain where every reader of YAML takes it for that text, else quoted.
pub(in crate::delivery) fn yaml_scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quote_scalar(text) }
}

/// Words that YAML 1.1 or 1.2 take for something else than text.
const RESERVED: [&str; 12] =
    ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"];

fn is_plain(text: &str) -> bool {
    let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let named = text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    let uuid = text.len() == 36
        && text.bytes().filter(|byte| *byte == b'-').count() == 4
        && !text.contains('.');
    word && (named || uuid) && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use saphyr::LoadableYamlNode as _;

    use super::*;
    use crate::job::Content;

    fn key(folder: &str) -> Key {
        Key {
            content: Content::from_hash(&blake3::hash(b"talk")),
            folder: folder.into(),
            generation: 1,
        }
    }

    #[test]
    fn what_others_take_for_a_number_a_date_or_a_truth_is_quoted() {
        for text in
            ["1", "1e5", "2026-11-22", "true", "No", "~", "", "a: b", "-", "0x1f", "12:30", ".inf"]
        {
            assert_eq!(yaml_scalar(text), format!("\"{text}\""));
        }
        for text in ["talk.wav", "sales", "93ac7e2d-0000-4000-8000-000000000000"] {
            assert_eq!(yaml_scalar(text), text);
        }
    }

    #[test]
    fn no_mark_that_a_viewer_runs_stands_in_a_value() {
        let text = "<%* tp.user.x() %> {{q}} {{{x}}} {% y %} `$= a` [[z]] ![[[w]] ${b} $${c}";
        let written = quote_scalar(text);
        assert!(MARKS.iter().all(|mark| !written.contains(mark)), "{written}");
        assert_eq!(read_scalar(&written).as_deref(), Some(text));
        assert_eq!(
            quote_scalar("[a] <b> {c} $d 5 %"),
            "\"[a] <b> {c} $d 5 %\"",
            "what is no mark stays"
        );
    }

    #[test]
    fn a_key_outside_the_front_matter_is_no_proof() {
        let line = format!("minuted: {}\n", key("sales"));
        assert_eq!(key_of(format!("# Notes\n{line}").as_bytes()), None);
        assert_eq!(key_of(format!("---\ntitle: x\n---\n{line}").as_bytes()), None);
        assert_eq!(key_of(format!("---\nother-{line}---\n").as_bytes()), None);
        assert_eq!(
            key_of(format!("---\r\n{}\r\n---\r\n", line.trim()).as_bytes()),
            Some(key("sales"))
        );
        assert_eq!(
            key_of(b"---\nminuted: b3-00000000000000000000000000000000.sales.1"),
            None,
            "cut off"
        );
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn any_text_is_one_yaml_string_on_one_line(text in any::<String>()) {
            for written in [quote_scalar(&text), yaml_scalar(&text)] {
                prop_assert!(!written.contains(['\n', '\r']));
                prop_assert!(MARKS.iter().all(|mark| !written.contains(mark)), "{}", written);
                let read = saphyr::Yaml::load_from_str(&format!("title: {written}\n")).expect("YAML");
                prop_assert_eq!(read[0]["title"].as_str(), Some(text.as_str()), "{}", written);
            }
        }

        #[test]
        fn the_key_reads_back_whatever_stands_before_it(title in ".{0,3000}", folder in "[^\\x00-\\x1f]{1,40}") {
            let key = key(&folder);
            for partial in [false, true] {
                let proof = Proof { key: key.clone(), partial };
                let fields = [("title", quote_scalar(&title)), ("attendees", format!("[{}]", quote_scalar(&title)))];
                let sound = partial.then(|| Sound::from_hash(&blake3::hash(title.as_bytes())));
                let block = front_matter(&fields, &proof, sound.as_ref());
                prop_assert_eq!(proof_of(block.as_bytes()), Some(proof));
                prop_assert_eq!(sound_of(block.as_bytes()), sound);
                let sealed = seal_partial(format!("{block}# Notes\n"));
                prop_assert_eq!(is_sealed(sealed.as_bytes()), partial);
                prop_assert!(!is_sealed(sealed.replace("# Notes", "# My notes").as_bytes()));
            }
        }
    }
}
