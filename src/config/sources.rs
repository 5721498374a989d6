//! `[[source]]`: who keeps recordings elsewhere, and the folder that they go to.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use jiff::{Timestamp, civil, tz::TimeZone};
use toml::{Spanned, de::DeValue};
use url::Url;

use super::{
    diagnostic::{Flaw, Mistake, Mistakes, Span},
    durations::Bounds,
    kinds::Kind,
    reader::{Table, TableKeys as _},
    services::{Service, Services},
    table_keys::table_keys,
    values,
    words::{meant, one_of, quoted, unquoted},
};

/// Sources of one minuted; each is asked by itself.
const SOURCES_MAX: usize = 100;

/// How often a source is asked: below the least, tests alone; above the most, what it keeps may be gone.
const EVERY: Bounds = Bounds::ms(100, 86_400_000);

/// Where Meeting BaaS is (`servers` of its documents).
const MEETING_BAAS: &str = "https://api.meetingbaas.com";

/// What a source without a name is called.
const USUAL_NAME: &str = "meetingbaas";

const KINDS: &[(&str, ())] = &[("meetingbaas", ())];

const APIS: &[(&str, SourceApi)] = &[("v1", SourceApi::V1), ("v2", SourceApi::V2)];

table_keys! {
    /// A source: who keeps recordings of meetings, and where they go.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Source from SourceKeys {
        + kind: () = word(KINDS);
        + name: String = text(values::name);
        /// The origin of every call that carries the key, without a trailing slash.
        base_url: Url = address(origin), default MEETING_BAAS.parse().expect("a constant address");
        + insecure: bool = flag();
        /// Where the key lies; read at each start of work, so that it may be changed.
        api_key_file: PathBuf = file(), required "write api_key_file = \"…\": the file with the key of your account";
        /// The version of its protocol.
        api: SourceApi = word(APIS), default SourceApi::V2;
        + into: String = text(any_text);
        /// How often it is asked what has ended.
        every: Duration = duration(EVERY), default Duration::from_secs(300);
        /// What ended before this is left alone; `None` begins when minuted first meets the source.
        since: Timestamp = moment();
        /// Whether the vendor deletes its copy once the notes are durable.
        delete_after: bool = flag(), default false;
        /// Where the secret of its webhooks lies (v2 alone; v1 proves itself by the key).
        webhook_secret_file: PathBuf = file();
    } and {
        /// What it is called everywhere.
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
    /// Returns the service that makes notes of the transcripts that this source gives. It has the source's name.
    #[must_use]
    pub fn given(source: &Source) -> Self {
        Self::of_kind(&source.name, Kind::Given)
    }
}

/// Reads all sources; `None` in the place of one with a mistake. `folders` are those that are configured, with or
/// without mistakes: their names and ids.
pub(super) fn read(
    root: &Table<'_>,
    services: &Services,
    folders: &[(String, String)],
    mistakes: &Mistakes,
) -> Vec<Option<Source>> {
    let Some(tables) = root.tables("source", "in `[[source]]`", SourceKeys::KNOWN) else { return Vec::new() };
    if tables.get_ref().len() > SOURCES_MAX {
        let what = format!("{} sources, and at most {SOURCES_MAX} are asked", tables.get_ref().len());
        mistakes.add(Mistake::at(tables.span(), what, "remove some"));
    }
    let mut names = BTreeMap::new();
    let mut sources = Vec::new();
    for table in tables.into_inner().into_iter().take(SOURCES_MAX) {
        sources.push(table.and_then(|table| source(&table, services, folders, &mut names)));
    }
    sources
}

fn source(
    table: &Table<'_>,
    services: &Services,
    folders: &[(String, String)],
    names: &mut BTreeMap<String, Span>,
) -> Option<Source> {
    table.require("kind", "write kind = \"meetingbaas\"");
    let mut keys = SourceKeys::read(table);
    table.require("into", "write into = \"…\": the name of the folder that its recordings go to");
    let name = name(table, keys.name.take(), services, names);
    let into = keys.into.take().and_then(|into| match folder(into.get_ref(), folders) {
        Ok(id) => Some(id),
        Err(flaw) => {
            table.mistakes().flaw(into.span(), flaw);
            None
        }
    });
    let is_v1 = keys.api.as_ref().is_some_and(|api| *api.get_ref() == SourceApi::V1);
    if let Some(span) = table.key_span("webhook_secret_file").filter(|_| is_v1) {
        let help = "remove it: what version 1 sends proves itself by the account's own key";
        table.mistakes().add(Mistake::at(span, "`webhook_secret_file` with api = \"v1\"", help));
    }
    keys.kind.take()?;
    keys.settings(name?, into?)
}

/// Returns what it is called; nothing else may be called so.
fn name(
    table: &Table<'_>,
    written: Option<Spanned<String>>,
    services: &Services,
    names: &mut BTreeMap<String, Span>,
) -> Option<String> {
    if written.is_none() && table.means("name") {
        return None;
    }
    let span = written.as_ref().map_or_else(|| table.span(), Spanned::span);
    let name = written.map_or_else(|| USUAL_NAME.to_owned(), Spanned::into_inner);
    if services.names.contains(&name) {
        let what = format!("a service is called {} already", quoted(&name));
        table.mistakes().add(Mistake::at(span, what, "write another name = \"…\" for the source"));
        return None;
    }
    if let Some(first) = names.insert(name.clone(), span.clone()) {
        let what = format!("two sources are called {}", quoted(&name));
        let help = "write another name = \"…\" for one of them";
        table.mistakes().add(Mistake::at(span, what, help).also(first, "first here"));
        return None;
    }
    Some(name)
}

/// Reads the origin of Meeting BaaS.
fn origin(text: &str, insecure: bool) -> Result<Url, Flaw> {
    values::origin_like(text, MEETING_BAAS, insecure)
}

/// Takes the name of a folder as it is: whether there is one is asked when all folders are known.
#[expect(clippy::unnecessary_wraps, reason = "a reader of a value may refuse it; this one does not")]
fn any_text(text: &str) -> Result<String, Flaw> {
    Ok(text.to_owned())
}

/// Returns the id of the folder of that name.
fn folder(name: &str, folders: &[(String, String)]) -> Result<String, Flaw> {
    if let Some((_, id)) = folders.iter().find(|(known, _)| known == name) {
        return Ok(id.clone());
    }
    let names = || folders.iter().map(|(name, _)| name.as_str());
    let help = match meant(name, names()) {
        Some(meant) => format!("did you mean `{}`?", unquoted(meant)),
        None if folders.is_empty() => "add a [[folder]], and write its name".to_owned(),
        None => format!("write {}, or add a [[folder]] of that name", one_of(names().take(10))),
    };
    Err(Flaw::new(format!("there is no folder {}", quoted(name)), help))
}

impl Table<'_> {
    /// Returns a date or a time, in quotes or as TOML has them.
    fn moment(&self, key: &'static str) -> Option<Spanned<Timestamp>> {
        let item = self.item(key)?;
        let DeValue::Datetime(written) = item.value.get_ref() else { return item.text(moment) };
        match moment(&written.to_string()) {
            Ok(moment) => Some(Spanned::new(item.span(), moment)),
            Err(flaw) => item.flaw(flaw),
        }
    }
}

/// Reads a time; one without a zone is UTC, a date is its first moment.
fn moment(text: &str) -> Result<Timestamp, Flaw> {
    let utc = |time: civil::DateTime| time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let read = text.parse::<Timestamp>().ok();
    let read = read.or_else(|| utc(text.parse::<civil::DateTime>().ok()?));
    let read = read.or_else(|| utc(text.parse::<civil::Date>().ok()?.at(0, 0, 0, 0)));
    read.ok_or_else(|| {
        let help = "write a date such as \"2026-11-01\", or a time such as \"2026-11-01T09:00:00Z\"";
        Flaw::new(format!("{} is not a date", quoted(text)), help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_the_first_of_its_date() {
        let at = |text: &str| moment(text).map(|at| at.to_string());
        assert_eq!(at("2026-11-01").as_deref(), Ok("2026-11-01T00:00:00Z"));
        assert_eq!(at("2026-11-01T09:00:00+02:00").as_deref(), Ok("2026-11-01T07:00:00Z"));
        assert_eq!(at("2026-11-01T09:00:00").as_deref(), Ok("2026-11-01T09:00:00Z"));
        for text in ["", "yesterday", "09:00:00", "2026-13-01", "1770000000"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
