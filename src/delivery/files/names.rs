//! The names of files. Pure; names are bytes and stay the bytes they were.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::Path,
};

use crate::{beneath::NAME_BYTES_MAX, config::Format};

/// Room in a name for a number (`.999`).
const NUMBER_BYTES: usize = 4;

/// Lengths that are tried, the longest first, where a file system takes only shorter names than it tells: those of
/// eCryptfs, and what is left of them under other layers.
const SHORTER: [usize; 3] = [143, 100, 64];

/// The placeholder for the recording's name in a template.
const STEM: &str = "{stem}";

/// The usual end of a notes name; the transcript's name has its own word there.
const NOTES: &str = ".notes";

/// Returns the name of the notes of `recording` in that format.
///
/// `template` is `notes_name` of the config. With `keep_extension` the recording's extension stays in the name, for two
/// recordings that differ in nothing else.
#[must_use]
pub(crate) fn notes_name(
    recording: &Path,
    template: &str,
    format: Format,
    keep_extension: bool,
) -> OsString {
    notes_name_within(recording, template, format, keep_extension, NAME_BYTES_MAX)
}

/// As [`notes_name`], for a file system whose names have at most so many bytes.
#[must_use]
pub(crate) fn notes_name_within(
    recording: &Path,
    template: &str,
    format: Format,
    keep_extension: bool,
    bytes_max: usize,
) -> OsString {
    let (prefix, rest) = template.split_once(STEM).unwrap_or(("", template));
    let base = rest.strip_suffix(NOTES).unwrap_or(rest);
    let suffix = match format {
        Format::Md => format!("{rest}.md"),
        Format::Json => format!("{rest}.json"),
        Format::Txt => format!("{base}.transcript.txt"),
        Format::Srt => format!("{base}.transcript.srt"),
        Format::Vtt => format!("{base}.transcript.vtt"),
    };
    join_within(prefix, recording_stem(recording, keep_extension), &suffix, bytes_max)
}

/// Returns the name of the file that tells of a failure, `talk.failed.txt`, in at most `bytes_max` bytes.
#[must_use]
pub(crate) fn failed_name_within(
    recording: &Path,
    keep_extension: bool,
    bytes_max: usize,
) -> OsString {
    join_within("", recording_stem(recording, keep_extension), ".failed.txt", bytes_max)
}

/// Returns the names that `name_within` makes for a file system that tells of `bytes_max`, each once, the longest first:
/// the first that it takes is the name.
#[must_use]
pub(crate) fn fitting_names(
    bytes_max: usize,
    name_within: impl Fn(usize) -> OsString,
) -> Vec<OsString> {
    let lengths = std::iter::once(bytes_max)
        .chain(SHORTER.into_iter().filter(|shorter| *shorter < bytes_max));
    let mut names: Vec<OsString> = lengths.map(name_within).collect();
    names.dedup();
    names
}

/// Returns `name` with a number before its extension: `talk.notes.2.md`. 1 is the name itself.
#[must_use]
pub(crate) fn add_number(name: &OsStr, number: u32) -> OsString {
    if number <= 1 {
        return name.to_owned();
    }
    let path = Path::new(name);
    let mut numbered = path.file_stem().unwrap_or(name).to_owned();
    numbered.push(format!(".{number}"));
    if let Some(extension) = path.extension() {
        numbered.push(".");
        numbered.push(extension);
    }
    numbered
}

fn recording_stem(recording: &Path, keep_extension: bool) -> &[u8] {
    let stem = if keep_extension { recording.file_name() } else { recording.file_stem() };
    stem.unwrap_or_default().as_bytes()
}

/// Joins the parts; a stem that makes the name too long is cut and gets a hash of all of it, so that two long names
/// that differ only in their ends stay two.
fn join_within(prefix: &str, stem: &[u8], suffix: &str, bytes_max: usize) -> OsString {
    let room = bytes_max.saturating_sub(NUMBER_BYTES + prefix.len() + suffix.len());
    let short;
    let stem = if stem.len() <= room {
        stem
    } else {
        let hash = blake3::hash(stem).to_hex();
        let mark = format!("~{}", &hash[..HASH_HEX]);
        short =
            [&stem[..cut_length(stem, room.saturating_sub(mark.len()))], mark.as_bytes()].concat();
        &short
    };
    OsString::from_vec([prefix.as_bytes(), stem, suffix.as_bytes()].concat())
}

/// Hex digits in a shortened name: 32 bits tell apart the few long names of one directory.
const HASH_HEX: usize = 8;

/// Returns the longest length up to `most` that does not cut through a character.
fn cut_length(bytes: &[u8], most: usize) -> usize {
    let continues = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    // A character has four bytes at most; what continues for longer is not UTF-8 and has no boundary.
    (most.saturating_sub(3)..=most).rev().find(|at| !continues(*at)).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "{stem}.notes";

    fn md(recording: &str) -> String {
        notes_name(Path::new(recording), TEMPLATE, Format::Md, false).into_string().expect("UTF-8")
    }

    #[test]
    fn each_format_has_the_name_that_the_design_promises() {
        let name = |format| {
            notes_name(Path::new("2026/talk.wav"), TEMPLATE, format, false)
                .into_string()
                .expect("UTF-8")
        };
        let all = [Format::Md, Format::Txt, Format::Srt, Format::Vtt, Format::Json].map(name);
        insta::assert_snapshot!(all.join("\n"), @r"
        talk.notes.md
        talk.transcript.txt
        talk.transcript.srt
        talk.transcript.vtt
        talk.notes.json
        ");
        assert_eq!(
            failed_name_within(Path::new("talk.wav"), false, NAME_BYTES_MAX),
            "talk.failed.txt"
        );
        assert_eq!(
            notes_name(Path::new("talk.mp3"), TEMPLATE, Format::Md, true),
            "talk.mp3.notes.md"
        );
        assert_eq!(
            notes_name(Path::new("talk.mp3"), "minutes of {stem}", Format::Txt, false),
            "minutes of talk.transcript.txt"
        );
    }

    #[test]
    fn a_name_that_is_not_utf8_keeps_its_bytes() {
        let name =
            notes_name(Path::new(OsStr::from_bytes(b"a\xff.wav")), TEMPLATE, Format::Md, false);
        assert_eq!(name.as_bytes(), b"a\xff.notes.md");
    }

    #[test]
    fn long_names_are_cut_between_characters_and_stay_apart() {
        let (one, two) =
            (md(&format!("{}1.wav", "ü".repeat(125))), md(&format!("{}2.wav", "ü".repeat(125))));
        assert_ne!(one, two);
        assert!(
            one.starts_with("üüü")
                && one.ends_with(".notes.md")
                && one.len() <= NAME_BYTES_MAX - NUMBER_BYTES,
            "{one}"
        );
        assert!(add_number(OsStr::new(&one), 999).len() <= 255);
    }

    #[test]
    fn a_file_system_that_takes_only_short_names_gets_them_and_others_keep_theirs() {
        let (long, short) = (format!("{}.wav", "n".repeat(180)), "talk.wav");
        let names = |recording: &str, bytes_max| {
            fitting_names(bytes_max, |most| {
                notes_name_within(Path::new(recording), TEMPLATE, Format::Md, false, most)
            })
        };
        assert_eq!(names(short, 255), ["talk.notes.md"]);
        assert_eq!(names(short, 143), ["talk.notes.md"]);
        assert_eq!(
            names(&long, 255).iter().map(|name| name.len()).collect::<Vec<_>>(),
            [189, 139, 96, 60]
        );
        for name in names(&long, 143) {
            assert!(add_number(&name, 999).len() <= 143, "{}", name.display());
        }
    }

    #[test]
    fn a_number_stands_before_the_extension() {
        assert_eq!(add_number(OsStr::new("talk.notes.md"), 1), "talk.notes.md");
        assert_eq!(add_number(OsStr::new("talk.notes.md"), 2), "talk.notes.2.md");
        assert_eq!(add_number(OsStr::new("talk"), 3), "talk.3");
    }
}
