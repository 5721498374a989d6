//! `[[source]]`: accounts whose recordings are fetched, and the folder that they go to.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use jiff::{Timestamp, civil, tz::TimeZone};
use toml::{Spanned, de::DeValue};
use url::Url;

use super::{
    diagnostic::{Diagnostic, Diagnostics, Span, ValueError},
    durations::DurationBounds,
    kinds::Kind,
    reader::{Table, TableKeys as _},
    services::{Service, Services},
    table_keys::table_keys,
    values,
    words::{in_backticks, join_alternatives, suggest_word},
};

/// Most sources of one configuration; each is polled by a task of its own.
const SOURCES_MAX: usize = 100;

/// Range of the interval of asking a source: the least is for tests; after the most, its recordings
/// may be gone.
const EVERY: DurationBounds = DurationBounds::from_ms(100, 86_400_000);

/// Address of Meeting BaaS (`servers` of its documents).
const MEETING_BAAS: &str = "https://api.meetingbaas.com";

/// Default name of a source.
const USUAL_NAME: &str = "meetingbaas";

const KINDS: &[(&str, ())] = &[("meetingbaas", ())];

const APIS: &[(&str, SourceApi)] = &[("v1", SourceApi::V1), ("v2", SourceApi::V2)];

table_keys! {
    /// A vendor's account whose recordings are fetched into a folder.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Source from SourceKeys {
        + kind: () = read_word(KINDS);
        + name: String = read_text(values::parse_name);
        /// The origin of every call that carries the key, without a trailing slash.
        base_url: Url = read_url(parse_origin),
            default MEETING_BAAS.parse().expect("a constant address");
        + insecure: bool = read_flag();
        /// File with the key; read at each start of work, so that it may be changed.
        api_key_file: PathBuf = read_file(),
            required "write api_key_file = \"…\": the file with the key of your account";
        /// The version of its protocol.
        api: SourceApi = read_word(APIS), default SourceApi::V2;
        + into: String = read_text(accept_text);
        /// Interval of asking for meetings that have ended.
        every: Duration = read_duration(EVERY), default Duration::from_secs(300);
        /// Meetings that ended before this are ignored; `None` begins with the first contact.
        since: Timestamp = read_moment();
        /// Has the vendor delete its copy once the notes are durable.
        delete_after: bool = read_flag(), default false;
        /// File with the secret of its webhooks (v2 alone; v1 proves itself by the key).
        webhook_secret_file: PathBuf = read_file();
    } and {
        /// Name in messages, logs and commands.
        name: String,
        /// The id of the folder that its recordings go to.
        into: String,
    }
}

/// The protocols of Meeting BaaS. An account and what it keeps belong to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceApi {
    /// Version 1.
    V1,
    /// Version 2.
    V2,
}

impl SourceApi {
    /// Returns its word in the config.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

impl Service {
    /// Returns the service that makes notes of the transcripts of the source `name`. It has the
    /// source's name.
    #[must_use]
    pub fn of_source(name: &str) -> Self {
        Self::of_kind(name, Kind::SourceTranscript)
    }
}

/// Reads all sources; `None` in the place of one with a mistake. `folders` are those that are
/// configured, with or without mistakes: their names and ids.
pub(super) fn read_sources(
    root: &Table<'_>,
    services: &Services,
    folders: &[(String, String)],
    diagnostics: &Diagnostics,
) -> Vec<Option<Source>> {
    let Some(tables) = root.read_tables("source", "in `[[source]]`", SourceKeys::KNOWN) else {
        return Vec::new();
    };
    if tables.get_ref().len() > SOURCES_MAX {
        let what =
            format!("{} sources, and at most {SOURCES_MAX} are asked", tables.get_ref().len());
        diagnostics.add_at(tables.span(), what, "remove some");
    }
    let mut names = BTreeMap::new();
    let mut sources = Vec::new();
    for table in tables.into_inner().into_iter().take(SOURCES_MAX) {
        sources.push(table.and_then(|table| read_source(&table, services, folders, &mut names)));
    }
    sources
}

fn read_source(
    table: &Table<'_>,
    services: &Services,
    folders: &[(String, String)],
    names: &mut BTreeMap<String, Span>,
) -> Option<Source> {
    table.require_key("kind", "write kind = \"meetingbaas\"");
    let mut keys = SourceKeys::from_table(table);
    table.require_key(
        "into",
        "write into = \"…\": the name of the folder that its recordings go to",
    );
    let name = source_name(table, keys.name.take(), services, names);
    let into = keys.into.take().and_then(|into| match folder_id(into.get_ref(), folders) {
        Ok(id) => Some(id),
        Err(error) => {
            table.diagnostics().add_error(into.span(), error);
            None
        }
    });
    let is_v1 = keys.api.as_ref().is_some_and(|api| *api.get_ref() == SourceApi::V1);
    if let Some(span) = table.key_span("webhook_secret_file").filter(|_| is_v1) {
        let help = "remove it: what version 1 sends proves itself by the account's own key";
        table.diagnostics().add_at(span, "`webhook_secret_file` with api = \"v1\"", help);
    }
    keys.kind.take()?;
    keys.into_settings(name?, into?)
}

/// Returns the name of a source, which no service and no other source may have.
fn source_name(
    table: &Table<'_>,
    written: Option<Spanned<String>>,
    services: &Services,
    names: &mut BTreeMap<String, Span>,
) -> Option<String> {
    if written.is_none() && table.is_present("name") {
        return None;
    }
    let span = written.as_ref().map_or_else(|| table.span(), Spanned::span);
    let name = written.map_or_else(|| USUAL_NAME.to_owned(), Spanned::into_inner);
    if services.names.contains(&name) {
        let what = format!("a service is called {} already", in_backticks(&name));
        table.diagnostics().add_at(span, what, "write another name = \"…\" for the source");
        return None;
    }
    if let Some(first) = names.insert(name.clone(), span.clone()) {
        let what = format!("two sources are called {}", in_backticks(&name));
        let help = "write another name = \"…\" for one of them";
        table
            .diagnostics()
            .add(Diagnostic::at_span(span, what, help).with_second_place(first, "first here"));
        return None;
    }
    Some(name)
}

/// Reads the origin of Meeting BaaS.
fn parse_origin(text: &str, insecure: bool) -> Result<Url, ValueError> {
    values::parse_origin_like(text, MEETING_BAAS, insecure)
}

/// Accepts any name of a folder: [`folder_id`] looks it up.
#[expect(
    clippy::unnecessary_wraps,
    reason = "a reader of a value may refuse it; this one does not"
)]
fn accept_text(text: &str) -> Result<String, ValueError> {
    Ok(text.to_owned())
}

/// Returns the id of the folder of that name.
fn folder_id(name: &str, folders: &[(String, String)]) -> Result<String, ValueError> {
    if let Some((_, id)) = folders.iter().find(|(known, _)| known == name) {
        return Ok(id.clone());
    }
    let names = folders.iter().map(|(name, _)| name.as_str());
    let help = suggest_word(name, names.clone(), || match folders {
        [] => "add a [[folder]], and write its name".to_owned(),
        _some => {
            format!("write {}, or add a [[folder]] of that name", join_alternatives(names.take(10)))
        }
    });
    Err(ValueError::new(format!("there is no folder {}", in_backticks(name)), help))
}

impl Table<'_> {
    /// Returns a date or a time, in quotes or as TOML has them.
    fn read_moment(&self, key: &'static str) -> Option<Spanned<Timestamp>> {
        let item = self.find_item(key)?;
        let DeValue::Datetime(written) = item.value.get_ref() else {
            return item.read_text(parse_moment);
        };
        match parse_moment(&written.to_string()) {
            Ok(moment) => Some(Spanned::new(item.span(), moment)),
            Err(error) => item.note_error(error),
        }
    }
}

/// Reads a time; one without a zone is UTC, a date is its first moment.
fn parse_moment(text: &str) -> Result<Timestamp, ValueError> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let local = text.parse::<civil::DateTime>();
    let local = local.or_else(|_| text.parse::<civil::Date>().map(|date| date.at(0, 0, 0, 0)));
    let zoned = local.and_then(|local| local.to_zoned(TimeZone::UTC));
    zoned.map(|zoned| zoned.timestamp()).map_err(|_| {
        let help =
            "write a date such as \"2026-11-01\", or a time such as \"2026-11-01T09:00:00Z\"";
        ValueError::new(format!("{} is not a date", in_backticks(text)), help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_the_first_of_its_date() {
        let at = |text: &str| parse_moment(text).map(|at| at.to_string());
        assert_eq!(at("2026-11-01").as_deref(), Ok("2026-11-01T00:00:00Z"));
        assert_eq!(at("2026-11-01T09:00:00+02:00").as_deref(), Ok("2026-11-01T07:00:00Z"));
        assert_eq!(at("2026-11-01T09:00:00").as_deref(), Ok("2026-11-01T09:00:00Z"));
        for text in ["", "yesterday", "09:00:00", "2026-13-01", "1770000000"] {
            assert!(parse_moment(text).is_err(), "{text}");
        }
    }
}
