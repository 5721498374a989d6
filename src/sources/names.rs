//! File names for fetched recordings. Pure. A meeting's title is hostile input.

use jiff::{Timestamp, tz::TimeZone};

use crate::{job::Details, text};

/// Characters of a title in a name: what a file manager shows of it.
const TITLE_CHARS_MAX: usize = 80;

/// Bytes of a title in a name: with date, id and extension it stays below the 255 that file systems take, and leaves
/// room for what notes are called.
const TITLE_BYTES_MAX: usize = 120;

/// The title in the name of an untitled meeting.
const UNTITLED: &str = "meeting";

/// Characters of an id that tell one recording from another of the same day and title.
const SHORT: usize = 8;

/// The names for a recording, the first one first: `2026-11-22 Weekly sales 93ac7e2d.flac`, and with the whole id where
/// that is taken. The same recording has the same names each time; the date is local, as the people of the meeting saw
/// it, and stands first, so that no title makes a hidden or a temporary name.
pub(super) fn file_names(
    id: &str,
    details: &Details,
    ended: Timestamp,
    extension: &str,
) -> [String; 2] {
    let began = details.date.unwrap_or(ended);
    let day = began.to_zoned(TimeZone::system()).strftime("%F").to_string();
    let title = file_title(details.title.as_deref().unwrap_or_default());
    let id: String =
        id.chars().map(|character| if is_plain(character) { character } else { '_' }).collect();
    let short: String = id.chars().filter(char::is_ascii_alphanumeric).take(SHORT).collect();
    let whole: String = id.chars().take(TITLE_CHARS_MAX).collect();
    [short, whole].map(|id| format!("{day} {title} {id}.{extension}"))
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-'
}

/// Makes a title fit for a name on every file system that folders are synced to.
fn file_title(text: &str) -> String {
    // What is longer by far than any title is cut before it is looked at.
    let head: String = text.chars().take(10 * TITLE_CHARS_MAX).collect();
    let forbidden = |character: char| {
        matches!(character, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '\0')
    };
    let plain =
        text::strip_to_line(&head).replace(forbidden, "-").replace(text::is_unprintable, "");
    let mut title = String::new();
    for character in plain.chars().take(TITLE_CHARS_MAX) {
        if title.len() + character.len_utf8() > TITLE_BYTES_MAX {
            break;
        }
        title.push(character);
    }
    let title = title.trim_matches(|character: char| character.is_whitespace() || character == '.');
    if title.chars().any(char::is_alphanumeric) { title.to_owned() } else { UNTITLED.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn name(title: Option<&str>) -> String {
        let details = Details { title: title.map(str::to_owned), ..Details::default() };
        let ended = "2026-11-22T12:00:00Z".parse().expect("a time");
        let [name, _] = file_names("93ac7e2d-1f0c-4a", &details, ended, "flac");
        name
    }

    #[test]
    fn a_title_names_the_file_and_none_is_none() {
        assert_eq!(
            name(Some("Weekly sales: Q3/Q4?")),
            "2026-11-22 Weekly sales- Q3-Q4- 93ac7e2d.flac"
        );
        assert_eq!(name(None), "2026-11-22 meeting 93ac7e2d.flac");
        assert_eq!(name(Some("../../etc/passwd")), "2026-11-22 -..-etc-passwd 93ac7e2d.flac");
        assert_eq!(name(Some("a\u{202e}b\u{1b}[31m\r\nc")), "2026-11-22 ab[31m c 93ac7e2d.flac");
        assert_eq!(name(Some(" ... ")), "2026-11-22 meeting 93ac7e2d.flac");
        assert_eq!(name(Some("Übung 会議")), "2026-11-22 Übung 会議 93ac7e2d.flac");
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn whatever_a_meeting_is_called_its_file_lies_in_the_folder_and_is_seen(title in any::<String>(), id in ".{0,200}") {
            let details = Details { title: Some(title), ..Details::default() };
            for name in file_names(&id, &details, Timestamp::UNIX_EPOCH, "mp4") {
                prop_assert_eq!(Path::new(&name).file_name(), Some(std::ffi::OsStr::new(&name)));
                prop_assert!(name.len() <= 255 && name.starts_with("19"), "{:?}", name);
                prop_assert_eq!(Path::new(&name).extension(), Some(std::ffi::OsStr::new("mp4")));
                prop_assert!(!name.contains(text::is_unprintable) && !name.contains(['/', '\\', ':']), "{:?}", name);
            }
        }
    }
}
