//! Text that came from outside, made fit to be shown.
//!
//! File names, server answers and config values may hold anything. All that a terminal, a log, a
//! header or a page shows of them goes through here first.

mod page;
mod shell;

use std::{borrow::Cow, fmt::Write as _, path::Path, time::Duration};

pub(crate) use shell::ShellCommand;

/// Returns `text` with every control, bidirectional and invisible formatting character escaped as `\u{…}`.
#[must_use]
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unprintable(character) {
            write!(shown, "{}", character.escape_unicode())
                .expect("a String takes what is written");
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Returns `text` without the accents of Latin letters, whether they stand apart (as macOS writes names) or not, so that
/// words of names can be compared.
#[must_use]
pub(crate) fn strip_accents(text: &str) -> String {
    /// Letters with accents behind the letter that they are.
    const LETTERS: [&str; 14] = [
        "aàáâãäåāăą",
        "cçćč",
        "dďđ",
        "eèéêëēėęě",
        "iìíîïī",
        "lł",
        "nñńň",
        "oòóôõöøō",
        "rř",
        "sśšş",
        "tťţ",
        "uùúûüūů",
        "yýÿ",
        "zźżž",
    ];
    let plain = |character: char| {
        let lower = character.to_lowercase().next().unwrap_or(character);
        let row = LETTERS.iter().find(|row| row.contains(lower)).filter(|_| !character.is_ascii());
        let letter = row.and_then(|row| row.chars().next()).unwrap_or(character);
        if character.is_uppercase() { letter.to_ascii_uppercase() } else { letter }
    };
    let is_accent = |character: &char| ('\u{300}'..='\u{36f}').contains(character);
    text.chars().filter(|character| !is_accent(character)).map(plain).collect()
}

/// Returns JSON in which every character that [`printable`] escapes is escaped as JSON has it: a reader gets the same
/// text, and a terminal obeys none of it.
#[must_use]
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    // A line end between two tokens is only white space; inside a text it is escaped already.
    let is_meant = |character: char| is_unprintable(character) && character != '\n';
    if !json.chars().any(is_meant) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 8);
    for character in json.chars() {
        if is_meant(character) {
            // All of them are below U+10000, so that none needs a pair.
            write!(shown, "\\u{:04x}", u32::from(character))
                .expect("a String takes what is written");
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Returns a path fit to be shown: unprintable characters and bytes that are not UTF-8 are escaped.
#[must_use]
pub(crate) fn printable_path(path: &Path) -> String {
    let mut shown = String::new();
    for chunk in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).utf8_chunks() {
        shown.push_str(&printable(chunk.valid()));
        for byte in chunk.invalid() {
            write!(shown, "\\x{byte:02x}").expect("a String takes what is written");
        }
    }
    shown
}

/// Returns `text` on one line: line ends and other white space runs become one space, the rest as [`printable`],
/// cut to `chars_max` characters with an ellipsis.
#[must_use]
pub(crate) fn one_line(text: &str, chars_max: usize) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = printable(&joined);
    if shown.chars().count() <= chars_max {
        return shown.into_owned();
    }
    shown.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

/// Returns a server's answer fit to be shown: as [`one_line`], and of a page of HTML or XML its
/// words alone.
#[must_use]
pub(crate) fn printable_answer(text: &str, chars_max: usize) -> String {
    match page::page_words(text) {
        Some(page_words) => one_line(&page_words, chars_max),
        None => one_line(text, chars_max),
    }
}

/// Returns an error with its causes, on one line; what a cause repeats is left out.
#[must_use]
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !chain.contains(&text) {
            chain.push_str(": ");
            chain.push_str(&text);
        }
        source = cause.source();
    }
    chain
}

/// Returns the message of a panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Returns a number with its noun: `1 folder`, `2 folders`.
#[must_use]
pub(crate) fn format_count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// The units of sizes with their bytes, the largest first.
pub(crate) const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Returns a number of bytes as the config file has it: `64GiB`, or `1.5GiB` where it is not a whole number of them.
#[must_use]
pub(crate) fn format_size(bytes: u64) -> String {
    let (unit, unit_bytes) = SIZES.into_iter().find(|(_, unit)| bytes >= *unit).unwrap_or(("B", 1));
    let whole = bytes / unit_bytes;
    let tenths = bytes % unit_bytes * 10 / unit_bytes;
    if tenths == 0 { format!("{whole}{unit}") } else { format!("{whole}.{tenths}{unit}") }
}

/// Returns a span of time for people: `5s`, `5m`, `3h`, `2d`.
#[must_use]
pub(crate) fn format_duration(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Returns an amount of audio for people, to the second below an hour and to the minute from there: `12s`, `5m 30s`, `3h 20m`.
#[must_use]
pub(crate) fn format_audio(length: Duration) -> String {
    let seconds = length.as_secs();
    let hours = seconds / 3600;
    let minutes = seconds / 60 % 60;
    let rest = seconds % 60;
    match (hours, minutes, rest) {
        (0, 0, _) => format!("{rest}s"),
        (0, _, 0) => format!("{minutes}m"),
        (0, _, _) => format!("{minutes}m {rest}s"),
        (_, 0, _) => format!("{hours}h"),
        (_, _, _) => format!("{hours}h {minutes}m"),
    }
}

/// The latest time that is believed: 1,000 hours. What a service claims beyond it is nonsense.
const LATEST: Duration = Duration::from_secs(3_600_000);

/// Returns a time in seconds as `hh:mm:ss`; `None` for what is no time.
pub(crate) fn format_clock(seconds: f64) -> Option<String> {
    let time = time_from_seconds(seconds)?.as_secs();
    Some(format!("{:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60))
}

/// Returns a time in seconds; `None` for what is no time.
pub(crate) fn time_from_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|time| *time < LATEST)
}

/// Returns whether `character` turns the direction of text.
pub(crate) fn is_bidi(character: char) -> bool {
    matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns `text` with line ends made `\n` and without control and bidirectional characters. Joiners that scripts and
/// emoji need are kept.
pub(crate) fn strip_controls(text: &str) -> String {
    let unified =
        text.replace("\r\n", "\n").replace(['\r', '\u{2028}', '\u{2029}', '\u{85}'], "\n");
    let unwanted = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || is_bidi(c)
            || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    unified.chars().filter(|character| !unwanted(*character)).collect()
}

/// Returns `text` as [`strip_controls`], on one line.
pub(crate) fn strip_to_line(text: &str) -> String {
    strip_controls(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns plain text as Markdown that shows exactly that text, on one line.
pub(crate) fn escape_markdown(text: &str) -> String {
    let line = strip_to_line(text);
    let mut out = String::with_capacity(line.len() + 8);
    let mut before = ' ';
    let mut rest = line.chars().peekable();
    while let Some(character) = rest.next() {
        let within =
            before.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric());
        let special = match character {
            '\\' | '*' | '`' | '[' | ']' | '<' | '~' => true,
            '&' => rest.peek().is_some_and(|next| next.is_ascii_alphanumeric() || *next == '#'),
            '_' => !within,
            // Marks of templates, which some viewers run wherever they stand: `<%`, `{{`, `{%`.
            '{' => before == '{',
            '%' => matches!(before, '{' | '<'),
            '#' => rest.peek().is_none(),
            _ => false,
        };
        if special {
            out.push('\\');
        }
        out.push(character);
        before = character;
    }
    out
}

/// Makes escaped text that begins a line of Markdown begin no list, heading, quote or table there.
pub(crate) fn escape_start(text: &str) -> String {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && text[digits..].starts_with(['.', ')']) {
        return format!("{}\\{}", &text[..digits], &text[digits..]);
    }
    if text.starts_with(['#', '>', '-', '+', '=', '|']) {
        format!("\\{text}")
    } else {
        text.to_owned()
    }
}

/// C0, DEL, C1, bidirectional controls, zero-width and other invisible formatting characters, and the tags of U+E0000,
/// by which a text can say to a program what no person sees.
pub(crate) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use super::*;

    #[test]
    fn control_characters_are_escaped_and_the_rest_is_left_alone() {
        assert_eq!(printable("Übung 会議 🎤.wav"), "Übung 会議 🎤.wav");
        assert_eq!(printable("a\u{1b}[31mb\u{202e}c\n"), "a\\u{1b}[31mb\\u{202e}c\\u{a}");
    }

    #[test]
    fn what_only_a_program_would_read_is_escaped_too() {
        assert_eq!(printable("a\u{ad}b\u{e0041}"), "a\\u{ad}b\\u{e0041}");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_shown_as_bytes() {
        assert_eq!(
            printable_path(Path::new(OsStr::from_bytes(b"a\xffb\x07.wav"))),
            "a\\xffb\\u{7}.wav"
        );
    }

    #[test]
    fn json_means_the_same_and_holds_nothing_that_a_terminal_obeys() {
        let text = "a\u{9b}31m\u{202e}\n\u{7f}\u{feff}\"é🎤";
        let value = serde_json::json!({ text: [text, 1] });
        for json in [value.to_string(), format!("{value:#}")] {
            let shown = printable_json(&json);
            assert!(
                !shown.chars().any(|character| is_unprintable(character) && character != '\n'),
                "{shown}"
            );
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
        }
    }

    #[test]
    fn one_line_is_one_line_and_no_longer_than_asked() {
        assert_eq!(one_line("a\r\n  b", 10), "a b");
        assert_eq!(one_line("abcdef", 4), "abc…");
    }

    #[test]
    fn what_turns_or_hides_text_is_stripped_and_scripts_keep_their_joiners() {
        assert_eq!(strip_controls("a\u{202e}b\u{1b}[31m\u{0}c\r\nd\te\u{feff}"), "ab[31mc\nd\te");
        assert_eq!(strip_controls("👩\u{200d}🚀 می\u{200c}خواهم"), "👩\u{200d}🚀 می\u{200c}خواهم");
    }

    #[test]
    fn what_is_no_time_is_not_shown() {
        assert_eq!(format_clock(3661.9).as_deref(), Some("01:01:01"));
        for nonsense in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(format_clock(nonsense), None, "{nonsense}");
        }
    }
}
