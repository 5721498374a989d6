//! Sidecars: files beside a recording (`talk.wav.toml`) or in a sub-folder (`.minuted.toml`) that
//! override the folder's settings.
//!
//! Everyone who can drop recordings can write sidecars: they hold six keys and no other, and each
//! is bounded.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    attendee::Attendee,
    diagnostic::{Diagnostic, DiagnosticReport, Diagnostics, ValueError},
    document::syntax_error,
    folders::{refuse_instruction, refuse_language, refuse_speakers},
    reader::{FileContext, Table, TableKeys as _},
    services::Service,
    speakers::Speakers,
    table_keys::table_keys,
    tables::TABLES,
    values,
    words::in_backticks,
};
use crate::text;

/// Bytes of a sidecar: an instruction at its longest and a few hundred people.
pub(crate) const SIDECAR_BYTES_MAX: u64 = 64 * 1024;

/// Suffix of a sidecar's name after that of its recording.
const SUFFIX: &str = ".toml";

/// The name of the sidecar of a directory.
pub(crate) const SIDECAR_OF_DIRECTORY: &str = ".minuted.toml";

/// People at one meeting: each may get a mail, and every service has a limit that is lower.
const ATTENDEES_MAX: usize = 500;

/// Years that a recording may be of, as of dates in names.
const YEARS: std::ops::RangeInclusive<i16> = 1990..=2100;

table_keys! {
    /// Contents of a sidecar; missing keys fall back to the next source.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub(crate) struct Sidecar from SidecarKeys {
        /// The title of the meeting, on one line; nothing in it turns the direction of text.
        title: String = read_text(parse_visible_line);
        /// Date of the meeting.
        date: MeetingDate = read_date();
        /// People at the meeting; an empty list means no attendees.
        attendees: Vec<Attendee> = read_visible_attendees();
        /// Instruction for the note; an empty one asks for the automatic note.
        instruction: String = read_text(parse_instruction);
        /// The language that is spoken, ISO 639-1.
        language: String = read_text(values::parse_language);
        /// The number of speakers.
        speakers: Speakers = read_speakers();
    }
}

/// Date of a meeting, as a person writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MeetingDate {
    /// At this moment.
    At(Timestamp),
    /// At this time, by the clocks of this machine.
    Local(DateTime),
    /// On this day.
    On(Date),
}

/// Returns where the sidecar of a recording lies.
#[must_use]
pub(crate) fn sidecar_of(recording: &Path) -> PathBuf {
    let mut name = recording.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// Returns the recording whose sidecar a file is by its name.
#[must_use]
pub(crate) fn recording_of(sidecar: &Path) -> Option<PathBuf> {
    let name = sidecar.as_os_str().as_bytes().strip_suffix(SUFFIX.as_bytes())?;
    let recording = Path::new(OsStr::from_bytes(name));
    (!name.ends_with(b"/") && !name.is_empty()).then(|| recording.to_owned())
}

/// Reads a sidecar for a folder with this service. `name` is what messages call it.
///
/// # Errors
/// Everything that is wrong with it, each with its line and its cure.
pub(crate) fn read_sidecar(
    bytes: &[u8],
    name: &Path,
    service: &Service,
) -> Result<Sidecar, DiagnosticReport> {
    let source = match std::str::from_utf8(bytes) {
        Ok(source) => source,
        Err(error) => {
            let diagnostics = Diagnostics::default();
            let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            diagnostics.add(Diagnostic::of_file(
                format!("not UTF-8: see line {line}"),
                "save it as UTF-8",
            ));
            return Err(diagnostics.into_report(name, ""));
        }
    };
    // What editors of another system put before a text.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let (document, errors) = DeTable::parse_recoverable(source);
    let diagnostics = Diagnostics::default();
    let context = FileContext { source, directory: PathBuf::new(), tables: &*TABLES, diagnostics };
    let sidecar = if errors.is_empty() {
        read(&Table::of_document(&document, "in a sidecar", SidecarKeys::KNOWN, &context), service)
    } else {
        for error in &errors {
            context.diagnostics.add(syntax_error(error, source));
        }
        None
    };
    match sidecar.filter(|_| context.diagnostics.is_empty()) {
        Some(sidecar) => Ok(sidecar),
        None => Err(context.diagnostics.into_report(name, source)),
    }
}

fn read(table: &Table<'_>, service: &Service) -> Option<Sidecar> {
    let keys = SidecarKeys::from_table(table);
    if let Some(instruction) = &keys.instruction {
        refuse_instruction(instruction.span(), service, table.diagnostics());
    }
    if let Some(language) = &keys.language {
        refuse_language(language, &service.kind, table.diagnostics());
    }
    if let Some(speakers) = &keys.speakers {
        refuse_speakers(speakers, &service.kind, table.diagnostics());
    }
    keys.into_settings()
}

fn parse_instruction(text: &str) -> Result<String, ValueError> {
    values::parse_instruction(text).map(Option::unwrap_or_default)
}

/// A line for people, cleaned of what turns the direction of text: it stands among other people's
/// words.
fn parse_visible_line(text: &str) -> Result<String, ValueError> {
    let cleaned = text::strip_to_line(&values::parse_line(text)?);
    if cleaned.is_empty() {
        return Err(ValueError::new("nothing that can be seen", "write a text that is not empty"));
    }
    Ok(cleaned)
}

impl Table<'_> {
    /// Returns the people of a list, their names cleaned as by [`parse_visible_line`].
    fn read_visible_attendees(&self, key: &'static str) -> Option<Spanned<Vec<Attendee>>> {
        let attendees = self.read_attendees(key)?;
        let span = attendees.span();
        let written = self
            .find_item(key)
            .and_then(|item| item.list_elements())
            .map_or(0, |elements| elements.len());
        if written > ATTENDEES_MAX {
            let help = format!("name at most {ATTENDEES_MAX}");
            self.diagnostics().add_at(span, format!("{written} attendees"), help);
            return None;
        }
        let mut cleaned = Vec::new();
        for person in attendees.into_inner() {
            match parse_visible_line(&person.name) {
                Ok(name) => {
                    cleaned.push(Attendee {
                        name,
                        role: person.role.map(|role| text::strip_to_line(&role)),
                        ..person
                    });
                }
                Err(error) => {
                    let what =
                        format!("in the name of {}: {}", in_backticks(&person.email), error.what);
                    self.diagnostics().add_at(span.clone(), what, error.help);
                }
            }
        }
        Some(Spanned::new(span, cleaned))
    }

    /// Returns a date, in quotes or as TOML has it.
    fn read_date(&self, key: &'static str) -> Option<Spanned<MeetingDate>> {
        let item = self.find_item(key)?;
        let example = "write date = 2026-11-22T09:00:00+01:00, or date = 2026-11-22";
        let text = match item.value.get_ref() {
            DeValue::Datetime(date) => date.to_string(),
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                return item.note_wrong_type("a date", example.to_owned());
            }
        };
        match parse_when(text.trim()) {
            Some((when, year)) if YEARS.contains(&year) => Some(Spanned::new(item.span(), when)),
            Some(_) => item.note_error(ValueError::new(
                format!("{} is no date of a recording", in_backticks(&text)),
                example,
            )),
            None => item.note_error(ValueError::new(
                format!("{} is not a date", in_backticks(&text)),
                example,
            )),
        }
    }
}

/// A date as RFC 3339 has it, without its offset for the clocks of this machine, or a day alone;
/// and its year.
fn parse_when(text: &str) -> Option<(MeetingDate, i16)> {
    /// `2026-11-22`
    const DAY: usize = 10;
    if text.len() == DAY {
        return text.parse().ok().map(|date: Date| (MeetingDate::On(date), date.year()));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some((MeetingDate::At(at), jiff::tz::TimeZone::UTC.to_datetime(at).year()));
    }
    text.parse().ok().map(|local: DateTime| (MeetingDate::Local(local), local.year()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    /// Returns a service that follows all keys, and one that follows none.
    fn services() -> (Service, Service) {
        let text = r#"
            [services.paxs]
            kind = "paxs"
            [services.local]
            kind = "ondevice"
            [[folder]]
            path = "/srv/sales"
            service = "local"
        "#;
        let env = Environment::default();
        let settings = parse(text, Path::new("/etc/minuted/config.toml"), &env).expect("sound");
        let service = |name: &str| settings.services[name].clone();
        (service("paxs"), service("local"))
    }

    fn read(text: &str) -> Result<Sidecar, String> {
        of(text.as_bytes(), &services().0)
    }

    fn of(bytes: &[u8], service: &Service) -> Result<Sidecar, String> {
        let name = Path::new("a/talk.wav.toml");
        read_sidecar(bytes, name, service)
            .map_err(|report| report.lines_in_full().collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn a_sidecar_says_five_things_and_each_may_be_absent() {
        assert_eq!(read(""), Ok(Sidecar::default()));
        let whole = read(
            "\u{feff}title = \"Weekly  sales\u{202e}\"\ndate = 2026-11-22T09:00:00+01:00\ninstruction = \"\"\nlanguage = \"he\"\n\
             attendees = [{ name = \"Ann\u{202e} Lee\", email = \"ann@example.com\", role = \"host\" }]\n",
        );
        let ann = Attendee {
            name: "Ann Lee".into(),
            email: "ann@example.com".into(),
            role: Some("host".into()),
        };
        let expected = Sidecar {
            title: Some("Weekly sales".into()),
            date: Some(MeetingDate::At("2026-11-22T08:00:00Z".parse().expect("a time"))),
            attendees: Some(vec![ann]),
            instruction: Some(String::new()),
            language: Some("he".into()),
            speakers: None,
        };
        assert_eq!(whole, Ok(expected));
        assert_eq!(read("attendees = []").map(|sidecar| sidecar.attendees), Ok(Some(Vec::new())));
    }

    #[test]
    fn a_date_may_be_written_as_toml_has_it_or_in_quotes() {
        let date = |text: &str| {
            read(&format!("date = {text}")).map(|sidecar| sidecar.date.expect("a date"))
        };
        let local = MeetingDate::Local(jiff::civil::datetime(2026, 11, 22, 9, 0, 0, 0));
        let day = MeetingDate::On(jiff::civil::date(2026, 11, 22));
        assert_eq!(
            (date("2026-11-22T09:00:00"), date("\"2026-11-22 09:00\"")),
            (Ok(local), Ok(local))
        );
        assert_eq!((date("2026-11-22"), date("\"2026-11-22\"")), (Ok(day), Ok(day)));
        for wrong in [
            "09:00:00",
            "\"tomorrow\"",
            "1795338000",
            "0001-01-01",
            "\"9999-12-31T23:59:59Z\"",
            "\"\"",
            "[]",
        ] {
            assert!(date(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_line_and_its_cure() {
        let told = read(
            "title = \"\\u202e\"\natendees = []\non_success = \"delete\"\ndate = 7\nlanguage = \"Hebrew\"\n\
             attendees = [{ name = \"\\u200f\", email = \"ann@example.com\" }, { email = \"x\" }]\n",
        );
        insta::assert_snapshot!(told.expect_err("mistakes"), @r#"
        a/talk.wav.toml:1: nothing that can be seen; write a text that is not empty
        a/talk.wav.toml:2: unknown key `atendees` in a sidecar; did you mean `attendees`?
        a/talk.wav.toml:3: unknown key `on_success` in a sidecar; `on_success` belongs to `[[folder]]`
        a/talk.wav.toml:4: `date` must be a date, not a whole number; write date = 2026-11-22T09:00:00+01:00, or date = 2026-11-22
        a/talk.wav.toml:5: `Hebrew` is not a language code; write two or three small letters, such as "en" or "he"
        a/talk.wav.toml:6: in the name of `ann@example.com`: nothing that can be seen; write a text that is not empty
        a/talk.wav.toml:6: `name` is missing in an attendee; write { name = "Ann Lee", email = "ann@example.com" }
        a/talk.wav.toml:6: `x` is not a mail address; write an address such as "ann@example.com"
        "#);
        insta::assert_snapshot!(read("title = \"a\ndate = x").expect_err("mistakes"), @r#"
        a/talk.wav.toml:1: not TOML: invalid basic string; expected `"`
        a/talk.wav.toml:2: not TOML: string values must be quoted; write it in quotes: "x"
        "#);
        let told = of(b"a = 1\n\xff", &services().0).expect_err("mistakes");
        insta::assert_snapshot!(told, @"a/talk.wav.toml: not UTF-8: see line 2; save it as UTF-8");
    }

    #[cfg(not(feature = "whisper"))]
    #[test]
    fn what_the_service_cannot_follow_is_a_mistake() {
        let told = of(b"language = \"he\"\ninstruction = \"List decisions.\"\n", &services().1)
            .expect_err("mistakes");
        insta::assert_snapshot!(told, @r#"
        a/talk.wav.toml:1: the folder's service understands English only, not `he`; choose another service, or build minuted with cargo build --release --features whisper
        a/talk.wav.toml:2: a service of kind `ondevice` follows no instruction; remove it, or choose a service that does
        "#);
        assert!(of(b"language = \"en\"\n", &services().1).is_ok());
    }

    #[test]
    fn what_is_bounded_is_refused_beyond() {
        let people = |count: usize| {
            let all: Vec<_> = (0..count)
                .map(|n| format!("{{ name = \"A\", email = \"a{n}@example.com\" }}"))
                .collect();
            format!("attendees = [{}]", all.join(", "))
        };
        assert!(read(&people(ATTENDEES_MAX)).is_ok());
        assert!(
            read(&people(ATTENDEES_MAX + 1))
                .expect_err("too many")
                .contains("501 attendees; name at most 500")
        );
        assert!(read(&format!("instruction = \"{}\"", "x".repeat(8_193))).is_err());
        assert!(read(&format!("title = \"{}\"", "x".repeat(257))).is_err());
    }

    #[test]
    fn no_nesting_and_no_garbage_brings_it_down() {
        let most = usize::try_from(SIDECAR_BYTES_MAX).expect("small");
        for text in [
            "[".repeat(most),
            format!("a = {}", "[".repeat(most)),
            format!("a = {}", "{a=".repeat(most / 3)),
            "a.".repeat(most / 2),
            format!("[{}a]", "a.".repeat(most / 2)),
            format!("{}a = 1", "a.".repeat(most / 2)),
            "a = 1\n".repeat(most / 6),
            (0..most / 8).map(|n| format!("k{n:x}=1")).collect::<Vec<_>>().join("\n"),
        ] {
            assert!(read(&text).is_err(), "{}", &text[..20]);
        }
    }
}
