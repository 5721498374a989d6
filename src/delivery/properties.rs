//! What holds for whatever a service says and whatever lies in a folder, for any bytes. Each function panics where it
//! does not; the tests and `fuzz/` feed them.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use pulldown_cmark::{Event, Parser, Tag};

use super::{
    files::names::{add_number, failed_name_within, notes_name},
    mail::{Letter, message, message_id, recipient_mailbox},
    render::{
        Minutes, front, html, key_of,
        markdown::{is_safe_target, parser_options, section_content},
        plain,
    },
};
use crate::{
    config::{Analysis, Attendee, Format},
    job::{Content, Findings, Key, Report},
    text::is_bidi,
};

/// What one byte of Markdown may become at most, in any of its forms.
const GROWTH: usize = 64;

/// What the parser adds by itself whatever the text: the cells that a table's rows leave out, and a link's address once
/// for each mention.
const ADDED: usize = 16 * 1024 * 1024;

/// A service's Markdown runs nothing, hides nothing and stays small, as a section, as a page and as plain text.
pub(crate) fn markdown(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for (heading, floor) in [("Weekly", 2), ("Key points", 3)] {
        let made = section_content(&text, heading, floor);
        assert!(
            made.len() <= GROWTH * text.len() + 64,
            "{} bytes became {}",
            text.len(),
            made.len()
        );
        assert!(!made.chars().any(is_hidden), "{made:?}");
        assert!(!has_danger(&made), "{made:?}");
    }
    for source in [text.as_ref(), &section_content(&text, "Weekly", 2)] {
        let page = html::html_fragment(source);
        assert!(
            page.len() <= GROWTH * source.len() + ADDED,
            "{} bytes became {}",
            source.len(),
            page.len()
        );
        harmless(&page);
        let letter = plain::plain_text(source);
        assert!(
            letter.len() <= GROWTH * source.len() + ADDED,
            "{} bytes became {}",
            source.len(),
            letter.len()
        );
    }
}

/// Notes are what DESIGN says in every format, whatever was found. The bytes are the findings as JSON.
pub(crate) fn notes(bytes: &[u8]) {
    let Ok(found) = serde_json::from_slice::<Findings>(bytes) else { return };
    let reports = Analysis::ALL.map(|analysis| Report {
        analysis,
        status: crate::job::Status::Completed,
        id: None,
        findings: found.clone(),
        error: None,
        raw: String::new(),
    });
    rendered(reports.to_vec(), found.summary.as_deref().unwrap_or("Talk"));
}

/// Notes of these reports, of a meeting with this title.
pub(crate) fn rendered(reports: Vec<Report>, title: &str) {
    let key = Key {
        content: Content::from_hash(&blake3::hash(b"talk")),
        folder: "sales".into(),
        generation: 1,
    };
    let person = Attendee { name: title.into(), email: "ann@example.com".into(), role: None };
    let minutes = Minutes {
        key,
        sound: None,
        title: title.into(),
        recorded: jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC),
        recording: title.into(),
        folder: "sales".into(),
        attendees: vec![person],
        attendees_from: None,
        language: Some(title.into()),
        service: "paxs".into(),
        meeting: Some(title.into()),
        warning: Some(title.into()),
        vault: None,
        reports: reports.into(),
    };
    let input_bytes: usize =
        minutes.reports.iter().map(|report| size_of_findings(&report.findings)).sum();
    let most = GROWTH * (input_bytes + 8 * title.len() + 1024) + ADDED;
    for format in [Format::Md, Format::Txt, Format::Srt, Format::Vtt] {
        let text = minutes.render(format);
        assert!(text.len() <= most, "{format:?}: {} bytes", text.len());
        assert!(!text.chars().any(is_hidden), "{format:?}: {text:?}");
    }
    let text = minutes.render(Format::Md);
    assert_eq!(key_of(text.as_bytes()).as_ref(), Some(&minutes.key), "{text}");
    serde_json::from_str::<serde_json::Value>(&minutes.render(Format::Json)).expect("JSON");
    cues(&minutes.render(Format::Srt), ',');
    cues(&minutes.render(Format::Vtt), '.');
    let letter =
        Letter::from_minutes(&minutes, "<id@example.com>".into(), "talk.notes.md".as_ref());
    let (_, page) = letter.html.split_once("<main").expect("a page");
    assert!(!page.contains("<script"), "{page}");
    assert!(
        !letter.subject.chars().any(|c| is_hidden(c) || c == '\n' || c == '\t'),
        "{:?}",
        letter.subject
    );
    assert!(letter.subject.chars().count() <= 220, "{:?}", letter.subject);
}

/// The head of any file carries a key or none, and a key reads back as it is written.
pub(crate) fn head(bytes: &[u8]) {
    for key in [key_of(bytes), super::render::failed::key_of(bytes)].into_iter().flatten() {
        assert_eq!(key.to_string().parse::<Key>().as_ref(), Ok(&key));
        assert!(!key.folder.contains('\n'), "{key:?}");
    }
    let text = String::from_utf8_lossy(bytes);
    let written = front::quote_scalar(&text);
    assert!(!written.chars().any(char::is_control), "{written:?}");
    assert_eq!(
        serde_json::from_str::<String>(&written).ok().as_deref(),
        Some(text.as_ref()),
        "{written:?}"
    );
}

/// Notes of a recording of any name have names that a directory can hold, other ones for other recordings. The bytes are
/// two names, parted by a slash.
pub(crate) fn file_names(bytes: &[u8]) {
    const FORMATS: [Format; 5] = [Format::Md, Format::Txt, Format::Srt, Format::Vtt, Format::Json];
    let parts = bytes.split(|byte| *byte == b'/').map(|part| &part[..part.len().min(255)]);
    let recordings: Vec<&Path> = parts
        .filter(|part| {
            !part.contains(&0) && Path::new(OsStr::from_bytes(part)).file_name().is_some()
        })
        .map(|part| Path::new(OsStr::from_bytes(part)))
        .take(2)
        .collect();
    for recording in &recordings {
        for keep in [false, true] {
            let made = FORMATS.map(|format| notes_name(recording, "{stem}.notes", format, keep));
            for name in made.iter().chain([&failed_name_within(
                recording,
                keep,
                crate::beneath::NAME_BYTES_MAX,
            )]) {
                let longest = add_number(name, 999);
                assert!(longest.len() <= 255 && longest != *name, "{}", longest.display());
                assert!(
                    !name.as_bytes().contains(&b'/') && Path::new(name).file_name() == Some(name),
                    "{}",
                    name.display()
                );
            }
            assert!((1..5).all(|at| !made[..at].contains(&made[at])), "{made:?}");
        }
    }
    if let [one, other] = recordings[..] {
        let differ = |keep| {
            notes_name(one, "{stem}", Format::Md, keep)
                != notes_name(other, "{stem}", Format::Md, keep)
        };
        assert!(
            one.file_name() == other.file_name() || differ(true),
            "{} {}",
            one.display(),
            other.display()
        );
        assert!(
            one.file_stem() == other.file_stem() || differ(false),
            "{} {}",
            one.display(),
            other.display()
        );
    }
}

/// No name, address or subject adds a line to the head of a mail. The bytes are the three, a line each.
pub(crate) fn mail_head(bytes: &[u8]) {
    const FIELDS: [&str; 7] = [
        "Date: ",
        "Message-ID: ",
        "From: ",
        "To: ",
        "Subject: ",
        "Auto-Submitted: ",
        "Content-Type: ",
    ];
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(3, '\n');
    let mut part = || parts.next().unwrap_or("ann@example.com");
    let address = part();
    let name = part();
    let subject = part();
    let Some(to) = recipient_mailbox(name, address) else { return };
    let key = Key {
        content: Content::from_hash(&blake3::hash(bytes)),
        folder: "sales".into(),
        generation: 1,
    };
    let id = message_id(&key, 1, address, &to);
    assert!(
        id.is_ascii() && !id.contains(char::is_whitespace) && id.matches(['<', '>']).count() == 2,
        "{id}"
    );
    let Some(head) = message::head(&to, subject) else { return };
    for line in head.split("\r\n") {
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
        let known = line.starts_with([' ', '\t'])
            || line == "MIME-Version: 1.0"
            || FIELDS.iter().any(|f| line.starts_with(f));
        assert!(known, "{line:?} in {head}");
    }
    for field in FIELDS {
        assert!(head.matches(&format!("\r\n{field}")).count() <= 1, "{head}");
    }
}

fn size_of_findings(found: &Findings) -> usize {
    let texts =
        [&found.markdown, &found.summary].into_iter().flatten().map(String::len).sum::<usize>();
    let segment_bytes = |segment: &crate::job::Segment| {
        segment.text.len()
            + segment.speaker.as_deref().map_or(0, str::len)
            + "00:00:00,000 --> 00:00:00,000".len()
    };
    texts + found.segments.iter().map(segment_bytes).sum::<usize>()
}

/// What neither a file nor a mail may hold.
fn is_hidden(character: char) -> bool {
    (character.is_control() && character != '\n' && character != '\t') || is_bidi(character)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's enum, not ours: what is not named is harmless"
)]
fn has_danger(markdown: &str) -> bool {
    Parser::new_ext(markdown, parser_options()).any(|event| match event {
        Event::Html(_) | Event::InlineHtml(_) => true,
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            !is_safe_target(&dest_url, true)
        }
        _ => false,
    })
}

/// Every time of a subtitle ends after it begins, and nothing but a time line holds an arrow.
fn cues(subtitles: &str, before_millis: char) {
    for line in subtitles.lines().filter(|line| line.contains("-->")) {
        let (from, to) = line.split_once(" --> ").expect("a time line");
        for time in [from, to] {
            let plain = time.chars().all(|c| c.is_ascii_digit() || c == ':' || c == before_millis);
            assert!(plain && time.contains(before_millis), "{line}");
        }
        assert!((from.len(), from) < (to.len(), to), "{line}");
    }
}

/// The tags that a page may hold. Each may have the attributes of [`ATTRIBUTES`].
const TAGS: [&str; 27] = [
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "input",
    "li",
    "ol",
    "p",
    "pre",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
    "div",
];

/// The attributes that a tag may have.
const ATTRIBUTES: [&str; 8] =
    ["href", "title", "class", "start", "style", "type", "disabled", "checked"];

/// Every tag of an HTML fragment is on the list, and so are its attributes, its links and its styles.
fn harmless(page: &str) {
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        let tag = &rest[open + 1..];
        let (name, end) = tag_at(tag);
        assert!(TAGS.contains(&name), "`{name}` in {page}");
        rest = &tag[end..];
    }
}

/// The name of a tag that begins after its `<`, and where it ends; its attributes are checked.
fn tag_at(tag: &str) -> (&str, usize) {
    let name_start = usize::from(tag.starts_with('/'));
    let name_end = tag.find(|c: char| !c.is_ascii_alphanumeric() && c != '/').expect("a tag ends");
    let name = tag[name_start..name_end].trim_end_matches('/');
    let mut at = name_end;
    loop {
        let more = tag[at..].trim_start_matches([' ', '\n', '/']);
        at = tag.len() - more.len();
        if more.starts_with('>') {
            return (name, at + 1);
        }
        let length = more.find(|c: char| !c.is_ascii_lowercase()).expect("a tag ends");
        let attribute = &more[..length];
        assert!(ATTRIBUTES.contains(&attribute), "`{attribute}` in <{tag}");
        at += length;
        if let Some(value) = more[length..].strip_prefix("=\"") {
            let end = value.find('"').expect("a value ends");
            fits(attribute, &value[..end]);
            at += 2 + end + 1;
        }
    }
}

fn fits(attribute: &str, value: &str) {
    assert!(!value.contains(['<', '>']), "{attribute} = {value}");
    match attribute {
        "href" => assert!(is_safe_target(&value.replace("&amp;", "&"), false), "{value}"),
        "style" => assert!(value.starts_with("text-align: "), "{value}"),
        "class" => assert!(value.starts_with("language-"), "{value}"),
        "type" => assert_eq!(value, "checkbox"),
        "start" => assert!(value.bytes().all(|byte| byte.is_ascii_digit()), "{value}"),
        _ => {}
    }
}
