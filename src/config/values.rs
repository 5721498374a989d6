//! Single values: each function takes a text of the file and returns its value, or the mistake in
//! it.

use std::{
    net::IpAddr,
    path::{Component, Path, PathBuf},
};

use lettre::{Address, message::Mailbox};
use url::{Host, Url};

use super::{
    analysis::Analysis,
    diagnostic::ValueError,
    words::{did_you_mean, in_backticks, join_alternatives, suggest_word},
};

/// Bytes of a name or an id: it becomes part of every job key, and of file names in logs and mails.
const NAME_BYTES_MAX: usize = 64;

/// Bytes of a line that is shown to people: a person's name, a title. Mail folds at 998.
const LINE_BYTES_MAX: usize = 256;

/// Bytes of an instruction: every job remembers its own.
const INSTRUCTION_BYTES_MAX: usize = 8_192;

/// Bytes of an absolute path: Linux's `PATH_MAX`, less the closing zero.
const PATH_BYTES_MAX: usize = 4_095;

/// A name or an id of a folder or a service.
pub(super) fn parse_name(text: &str) -> Result<String, ValueError> {
    let help =
        "write 1 to 64 bytes of letters, digits, `.`, `_` and `-`, a letter or a digit first";
    if !text.starts_with(char::is_alphanumeric) {
        return Err(ValueError::new(
            format!("{} does not begin with a letter or a digit", in_backticks(text)),
            help,
        ));
    }
    if let Some(foreign) =
        text.chars().find(|c| !c.is_alphanumeric() && !matches!(c, '.' | '_' | '-'))
    {
        let foreign = if foreign.is_whitespace() {
            "white space".to_owned()
        } else {
            in_backticks(&foreign.to_string())
        };
        return Err(ValueError::new(
            format!("{foreign} in {}, which is a name", in_backticks(text)),
            help,
        ));
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(ValueError::new(
            format!("{} is too long for a name: {} bytes", in_backticks(text), text.len()),
            help,
        ));
    }
    Ok(text.to_owned())
}

/// A line for people: not blank, without control characters.
pub(super) fn parse_line(text: &str) -> Result<String, ValueError> {
    if text.trim().is_empty() {
        return Err(ValueError::new("nothing but white space", "write a text that is not empty"));
    }
    refuse_controls(text)?;
    if text.len() > LINE_BYTES_MAX {
        let what = format!("{} is too long: {} bytes", in_backticks(text), text.len());
        return Err(ValueError::new(what, format!("write at most {LINE_BYTES_MAX} bytes")));
    }
    Ok(text.trim().to_owned())
}

fn refuse_controls(text: &str) -> Result<(), ValueError> {
    if text.chars().any(char::is_control) {
        let what = format!("a line end or another control character in {}", in_backticks(text));
        return Err(ValueError::new(what, "write one line of plain text"));
    }
    Ok(())
}

/// An instruction of any number of lines; `None` for a blank one.
pub(super) fn parse_instruction(text: &str) -> Result<Option<String>, ValueError> {
    let text = text.trim();
    if text.len() > INSTRUCTION_BYTES_MAX {
        let what = format!("an instruction of {} bytes", text.len());
        return Err(ValueError::new(what, format!("write at most {INSTRUCTION_BYTES_MAX} bytes")));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// An absolute path, without `.`, double slashes and a slash at its end.
pub(super) fn parse_absolute_path(text: &str) -> Result<PathBuf, ValueError> {
    refuse_controls(text)?;
    let path = Path::new(text);
    if text.starts_with('~') || text.starts_with('$') {
        let what = format!(
            "{} is not an absolute path: `~` and `$…` are not expanded",
            in_backticks(text)
        );
        return Err(ValueError::new(what, "write the whole path, beginning with `/`"));
    }
    if !path.is_absolute() {
        let what = format!("{} is not an absolute path", in_backticks(text));
        return Err(ValueError::new(what, "write the whole path, beginning with `/`"));
    }
    if path.components().any(|component| component == Component::ParentDir) {
        // Where it leads depends on links, so that overlaps could not be found.
        return Err(ValueError::new(
            format!("`..` in {}", in_backticks(text)),
            "write the path that it leads to",
        ));
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(ValueError::new(
            "the path is too long",
            format!("write at most {PATH_BYTES_MAX} bytes"),
        ));
    }
    Ok(path.components().collect())
}

/// A directory below a folder.
pub(super) fn parse_path_below(text: &str) -> Result<PathBuf, ValueError> {
    refuse_controls(text)?;
    let path = Path::new(text);
    let clean: PathBuf =
        path.components().filter(|component| *component != Component::CurDir).collect();
    // After `.` is taken out, what remains must be plain names.
    if clean.as_os_str().is_empty()
        || !clean.components().all(|component| matches!(component, Component::Normal(_)))
    {
        let what = format!("{} does not lie below the folder", in_backticks(text));
        return Err(ValueError::new(what, "write a relative path without `..`, such as \"done\""));
    }
    Ok(clean)
}

/// A path to a file that may be relative.
pub(super) fn parse_file_path(text: &str) -> Result<PathBuf, ValueError> {
    refuse_controls(text)?;
    if text.is_empty() || text.starts_with('~') || text.starts_with('$') {
        let what =
            format!("{} does not name a file: `~` and `$…` are not expanded", in_backticks(text));
        return Err(ValueError::new(
            what,
            "write a whole path, or a name in $CREDENTIALS_DIRECTORY or beside this file",
        ));
    }
    Ok(PathBuf::from(text))
}

/// A mail address, alone.
pub(super) fn parse_address(text: &str) -> Result<Address, ValueError> {
    refuse_controls(text)?;
    text.parse().map_err(|_| {
        let help = match text.split_once('<') {
            Some((_, rest)) => {
                format!("write the address alone: \"{}\"", rest.trim_end_matches('>'))
            }
            None => "write an address such as \"ann@example.com\"".to_owned(),
        };
        ValueError::new(format!("{} is not a mail address", in_backticks(text)), help)
    })
}

/// A mail address, with or without a name: `Ann Lee <ann@example.com>`.
///
/// lettre's own reading of this takes the start of a text and drops the rest, so the name is parted
/// here.
pub(super) fn parse_mailbox(text: &str) -> Result<Mailbox, ValueError> {
    refuse_controls(text)?;
    let Some((name, rest)) = text.trim().rsplit_once('<') else {
        return Ok(Mailbox::new(None, parse_address(text.trim())?));
    };
    let help = "write \"ann@example.com\" or \"Ann Lee <ann@example.com>\"";
    let refused = || ValueError::new(format!("{} is not a mail address", in_backticks(text)), help);
    let address = rest
        .strip_suffix('>')
        .and_then(|address| address.trim().parse().ok())
        .ok_or_else(refused)?;
    let name = name.trim().trim_matches('"').trim();
    if name.contains(['<', '>', '"']) {
        return Err(refused());
    }
    Ok(Mailbox::new((!name.is_empty()).then(|| name.to_owned()), address))
}

/// The origin of a service: https, or http to this machine, or to any where that is `insecure` on
/// purpose.
pub(super) fn parse_origin(text: &str, insecure: bool) -> Result<Url, ValueError> {
    parse_origin_like(text, "https://dzd.paxs.ai", insecure)
}

/// As [`parse_origin`], with the example that a message shows.
pub(super) fn parse_origin_like(
    text: &str,
    example: &str,
    insecure: bool,
) -> Result<Url, ValueError> {
    let url = parse_web_address(text, example, insecure)?;
    if url.path() != "/" {
        let help = format!("write \"{}\"", url.origin().ascii_serialization());
        return Err(ValueError::new("a path in the base URL", help));
    }
    Ok(url)
}

/// Reads the part of a service's addresses before `/v1`, with or without that.
pub(super) fn parse_base_url(text: &str, insecure: bool) -> Result<Url, ValueError> {
    let mut url = parse_web_address(text, "https://api.openai.com", insecure)?;
    let mut path = url.path();
    while let Some(shorter) = path.strip_suffix('/').or_else(|| path.strip_suffix("/v1")) {
        path = shorter;
    }
    let path = path.to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Reads the part of a service's addresses before `/api`, with or without that.
pub(super) fn parse_url_before_api(text: &str, insecure: bool) -> Result<Url, ValueError> {
    let mut url = parse_web_address(text, "https://saled.example.com", insecure)?;
    let mut path = url.path();
    while let Some(shorter) = path.strip_suffix('/').or_else(|| path.strip_suffix("/api")) {
        path = shorter;
    }
    let path = path.to_owned();
    url.set_path(&path);
    Ok(url)
}

/// An address without a secret in it, that sends none in the clear unless that is wanted.
fn parse_web_address(text: &str, example: &str, insecure: bool) -> Result<Url, ValueError> {
    let help = format!("write \"https://\" and the host, such as \"{example}\"");
    refuse_controls(text)?;
    // What stands before an `@` may be a password: such a text is not repeated.
    let shown = if text.contains('@') { "the base URL".to_owned() } else { in_backticks(text) };
    let url = Url::parse(text)
        .map_err(|error| ValueError::new(format!("{shown} is not a URL: {error}"), &*help))?;
    match url.scheme() {
        "https" => {}
        "http" if insecure || url.host_str().is_some_and(is_loopback) => {}
        "http" => {
            let what = format!("{shown} would send recordings and tokens in the clear");
            return Err(ValueError::new(
                what,
                "write \"https://…\"; http is for this machine, or for a network that is trusted: insecure = true",
            ));
        }
        _other => return Err(ValueError::new(format!("{shown} is not an https URL"), help)),
    }
    let extras = [
        (!url.username().is_empty() || url.password().is_some(), "a user or a password"),
        (url.query().is_some(), "a query"),
        (url.fragment().is_some(), "a fragment"),
    ];
    match extras.iter().find(|(found, _)| *found) {
        Some((_, extra)) => {
            let help = format!("write \"{}\"", url.origin().ascii_serialization());
            Err(ValueError::new(format!("{extra} in the base URL"), help))
        }
        None => Ok(url),
    }
}

/// Returns whether `host` of a URL or a server is this machine.
#[must_use]
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The name or the address of a server.
pub(super) fn parse_host(text: &str) -> Result<String, ValueError> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let is_ip = bare.parse::<IpAddr>().is_ok();
    let is_name = !text.contains(':') && Host::parse(text).is_ok() && !text.is_empty();
    if is_ip || is_name {
        return Ok(bare.to_owned());
    }
    let what = format!("{} is not the name of a server", in_backticks(text));
    Err(ValueError::new(
        what,
        "write its name alone, such as \"smtp.example.com\"; the port is `port`",
    ))
}

/// An analysis in the words of the services.
pub(super) fn parse_analysis(text: &str) -> Result<Analysis, ValueError> {
    Analysis::parse(text).ok_or_else(|| {
        let words = Analysis::ALL.map(Analysis::as_str);
        let help = suggest_word(text, words, || format!("write {}", join_alternatives(words)));
        ValueError::new(format!("unknown analysis {}", in_backticks(text)), help)
    })
}

/// The language that every engine understands.
pub(crate) const ENGLISH: &str = "en";

/// A language: ISO 639-1, or 639-3 where there is no shorter code.
pub(super) fn parse_language(text: &str) -> Result<String, ValueError> {
    if (2..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Ok(text.to_owned());
    }
    let what = format!("{} is not a language code", in_backticks(text));
    Err(ValueError::new(what, "write two or three small letters, such as \"en\" or \"he\""))
}

/// A text with `{…}` of these words in it.
pub(super) fn parse_template(text: &str, words: &[&str]) -> Result<String, ValueError> {
    let text = parse_line(text)?;
    let known = || words.iter().map(|word| format!("{{{word}}}")).collect::<Vec<_>>().join(" ");
    let mut rest = text.as_str();
    while let Some(brace) = rest.find(['{', '}']) {
        let inner = rest[brace..].strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let Some((word, after)) = inner else {
            let what = format!("a brace in {} has no partner", in_backticks(&text));
            return Err(ValueError::new(what, format!("known are {}", known())));
        };
        if !words.contains(&word) {
            let help = match did_you_mean(word, words.iter().copied()) {
                Some(meant) => format!("did you mean `{{{meant}}}`?"),
                None => format!("known are {}", known()),
            };
            return Err(ValueError::new(
                format!(
                    "unknown {} in {}",
                    in_backticks(&format!("{{{word}}}")),
                    in_backticks(&text)
                ),
                help,
            ));
        }
        rest = after;
    }
    Ok(text)
}

/// The title of meetings.
pub(super) fn parse_title(text: &str) -> Result<String, ValueError> {
    parse_template(text, &["stem", "folder", "date", "time", "parent"])
}

/// Bytes of `notes_name` besides the recording's name: of the 255 that Linux allows, most are left
/// to that.
pub(super) const NOTES_NAME_BYTES_MAX: usize = 100;

/// The name of notes. It holds the recording's once, so that two recordings never share their
/// notes.
pub(super) fn parse_notes_name(text: &str) -> Result<String, ValueError> {
    let text = parse_template(text, &["stem"])?;
    if text.contains('/') {
        return Err(ValueError::new(
            format!("`/` in {}", in_backticks(&text)),
            "write a file name; `notes_dir` is the place",
        ));
    }
    if !text.contains("{stem}") {
        let what = format!("all notes would be called {}", in_backticks(&text));
        return Err(ValueError::new(
            what,
            "write `{stem}` for the name of the recording, as in \"{stem}.notes\"",
        ));
    }
    let own = text.replacen("{stem}", "", 1);
    if own.contains("{stem}") {
        return Err(ValueError::new(
            format!("`{{stem}}` twice in {}", in_backticks(&text)),
            "write it once",
        ));
    }
    if own.len() > NOTES_NAME_BYTES_MAX {
        let what = format!(
            "{} leaves too little of a name to the recording: {} bytes",
            in_backticks(&text),
            own.len()
        );
        return Err(ValueError::new(
            what,
            format!("write at most {NOTES_NAME_BYTES_MAX} bytes besides `{{stem}}`"),
        ));
    }
    Ok(text)
}

/// A tag of notes, as Obsidian knows them.
pub(super) fn parse_tag(text: &str) -> Result<String, ValueError> {
    let help = "write letters, digits, `_`, `-` and `/`, not digits alone, such as \"meeting\"";
    let is_tag_character = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/');
    let is_sound = !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && text.chars().all(is_tag_character)
        && !text.bytes().all(|byte| byte.is_ascii_digit())
        && text.split('/').all(|part| !part.is_empty());
    if is_sound {
        return Ok(text.to_owned());
    }
    let bare = text.trim_start_matches('#');
    let help = if bare != text && parse_tag(bare).is_ok() {
        format!("write it without `#`: \"{bare}\"")
    } else {
        help.to_owned()
    };
    Err(ValueError::new(format!("{} is not a tag", in_backticks(text)), help))
}

/// Permissions of files, in octal.
pub(super) fn parse_file_mode(text: &str) -> Result<u32, ValueError> {
    let help =
        "write octal digits for reading and writing, from \"0600\" to \"0666\", such as \"0660\"";
    let error = |what: &str| ValueError::new(format!("{} {what}", in_backticks(text)), help);
    let is_octal =
        (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8)
        .ok()
        .filter(|_| is_octal)
        .ok_or_else(|| error("is not a file mode"))?;
    if mode & !0o666 != 0 {
        return Err(error("permits more than reading and writing"));
    }
    if mode & 0o600 != 0o600 {
        return Err(error("keeps minuted from its own files"));
    }
    Ok(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_read_whole_or_not_at_all() {
        let cases = [
            ("ann@example.com", (None, "ann@example.com")),
            ("Ann Lee <ann@example.com>", (Some("Ann Lee"), "ann@example.com")),
            ("\"Lee, Ann\" <ann@example.com>", (Some("Lee, Ann"), "ann@example.com")),
            (" <ann@example.com> ", (None, "ann@example.com")),
        ];
        for (text, (name, address)) in cases {
            let mailbox = parse_mailbox(text).expect(text);
            assert_eq!(
                (mailbox.name.as_deref(), mailbox.email.to_string().as_str()),
                (name, address)
            );
        }
        for text in [
            "",
            "ann",
            "ann@example.com, bo@example.com",
            "ann@example.com>",
            "<ann@example.com",
            "A <a@b.c> x",
        ] {
            assert!(parse_mailbox(text).is_err(), "{text}");
        }
        assert!(parse_mailbox("Ann\r\nBcc: eve@example.com <ann@example.com>").is_err());
        assert!(parse_mailbox("A <x> <ann@example.com>").is_err());
    }

    #[test]
    fn paths_are_absolute_and_clean_or_stay_below() {
        assert_eq!(parse_absolute_path("/srv//a/./b/"), Ok(PathBuf::from("/srv/a/b")));
        for text in ["", "a", "./a", "~/a", "$HOME/a", "/a/../b", "/a\nb", "/a\0"] {
            assert!(parse_absolute_path(text).is_err(), "{text:?}");
        }
        assert_eq!(parse_path_below("./done/2026/"), Ok(PathBuf::from("done/2026")));
        for text in ["", ".", "..", "a/../..", "/done", "a\0b"] {
            assert!(parse_path_below(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn templates_hold_known_words_alone() {
        assert!(parse_title("{folder} {date}: {stem}").is_ok());
        for text in ["", " ", "{", "}", "{stem", "stem}", "{{stem}}", "{name}", "a\nb"] {
            assert!(parse_title(text).is_err(), "{text:?}");
        }
        assert!(parse_notes_name("{stem}.minutes").is_ok());
        for text in ["notes", "a/{stem}", "{stem} {date}"] {
            assert!(parse_notes_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_mode_lets_minuted_read_and_write_and_nobody_run() {
        assert_eq!(
            (parse_file_mode("0660"), parse_file_mode("600"), parse_file_mode("0644")),
            (Ok(0o660), Ok(0o600), Ok(0o644))
        );
        for text in ["", "0", "66", "0o660", "+660", "0760", "0060", "4660", "0688", "00660"] {
            assert!(parse_file_mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_server_is_a_name_or_an_address_alone() {
        assert_eq!(parse_host("[::1]").as_deref(), Ok("::1"));
        assert_eq!(parse_host("smtp.example.com").as_deref(), Ok("smtp.example.com"));
        for text in ["", "smtp.example.com:25", "smtps://smtp.example.com", "a b", "a/b"] {
            assert!(parse_host(text).is_err(), "{text}");
        }
    }
}
