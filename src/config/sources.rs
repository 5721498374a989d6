//! `[[source]]`: who keeps recordings elsewhere, and the folder that they go to.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, civil, tz::TimeZone};
use toml::{Spanned, de::DeValue};

use super::{
    diagnostic::{Flaw, Mistake, Mistakes, Span},
    durations::Bounds,
    keys,
    kinds::From,
    reader::Table,
    secret_file::beside,
    services::Services,
    settings::{Source, SourceApi},
    values,
    words::{meant, one_of, quoted, unquoted},
};

/// Sources of one minuted; each is asked by itself.
const SOURCES_MAX: usize = 100;

/// How often a source is asked: below the least, tests alone; above the most, what it keeps may be gone.
const EVERY: Bounds = Bounds::ms(100, 86_400_000);

/// How often it is asked where nothing is said.
const EVERY_USUAL: Duration = Duration::from_secs(300);

/// Where Meeting BaaS is (`servers` of its documents).
const MEETING_BAAS: &str = "https://api.meetingbaas.com";

/// What a source without a name is called.
const USUAL_NAME: &str = "meetingbaas";

const KINDS: &[(&str, ())] = &[("meetingbaas", ())];

const APIS: &[(&str, SourceApi)] = &[("v1", SourceApi::V1), ("v2", SourceApi::V2)];

/// Reads all sources; `None` in the place of one with a mistake. `folders` are those that are configured, with or
/// without mistakes: their names and ids.
pub(super) fn read(
    root: &Table<'_>,
    services: &Services,
    folders: &[(String, String)],
    from: From<'_>,
    mistakes: &Mistakes,
) -> Vec<Option<Source>> {
    let Some(tables) = root.tables("source", "in `[[source]]`", keys::SOURCE) else { return Vec::new() };
    if tables.get_ref().len() > SOURCES_MAX {
        let what = format!("{} sources, and at most {SOURCES_MAX} are asked", tables.get_ref().len());
        mistakes.add(Mistake::at(tables.span(), what, "remove some"));
    }
    let mut names = BTreeMap::new();
    let read = |table: Option<Table<'_>>| {
        let table = table?;
        let name = name(&table, services, &mut names, mistakes);
        source(&table, name, folders, from, mistakes)
    };
    tables.into_inner().into_iter().take(SOURCES_MAX).map(read).collect()
}

/// Returns what it is called; nothing else may be called so.
fn name(
    table: &Table<'_>,
    services: &Services,
    names: &mut BTreeMap<String, Span>,
    mistakes: &Mistakes,
) -> Option<String> {
    let given = table.text("name", values::name);
    if given.is_none() && table.means("name") {
        return None;
    }
    let span = given.as_ref().map_or_else(|| table.span(), Spanned::span);
    let name = given.map_or_else(|| USUAL_NAME.to_owned(), Spanned::into_inner);
    if services.names.contains(&name) {
        let what = format!("a service is called {} already", quoted(&name));
        mistakes.add(Mistake::at(span, what, "write another name = \"…\" for the source"));
        return None;
    }
    if let Some(first) = names.insert(name.clone(), span.clone()) {
        let what = format!("two sources are called {}", quoted(&name));
        let help = "write another name = \"…\" for one of them";
        mistakes.add(Mistake::at(span, what, help).also(first, "first here"));
        return None;
    }
    Some(name)
}

fn source(
    table: &Table<'_>,
    name: Option<String>,
    folders: &[(String, String)],
    from: From<'_>,
    mistakes: &Mistakes,
) -> Option<Source> {
    table.require("kind", "write kind = \"meetingbaas\"");
    table.require("api_key_file", "write api_key_file = \"…\": the file with the key of your account");
    table.require("into", "write into = \"…\": the name of the folder that its recordings go to");
    let kind = table.word("kind", KINDS);
    let api = table.word("api", APIS);
    let insecure = table.flag("insecure").is_some_and(Spanned::into_inner);
    let base_url = table.text("base_url", |text| values::origin_like(text, MEETING_BAAS, insecure));
    let path = |key| table.text(key, values::file).map(|path| beside(path.into_inner(), from.file, from.env));
    let (api_key_file, webhook_secret_file) = (path("api_key_file"), path("webhook_secret_file"));
    let into = table.text("into", |text| folder(text, folders));
    let every = table.duration("every", EVERY).map_or(EVERY_USUAL, Spanned::into_inner);
    let since = since(table);
    let delete_after = table.flag("delete_after").is_some_and(Spanned::into_inner);
    let api = api.map_or(SourceApi::V2, Spanned::into_inner);
    if let Some(span) = table.key_span("webhook_secret_file").filter(|_| api == SourceApi::V1) {
        let help = "remove it: what version 1 sends proves itself by the account's own key";
        mistakes.add(Mistake::at(span, "`webhook_secret_file` with api = \"v1\"", help));
    }
    kind?;
    let usual = || MEETING_BAAS.parse().expect("a constant address");
    Some(Source {
        name: name?,
        api,
        base_url: base_url.map_or_else(usual, Spanned::into_inner),
        api_key_file: api_key_file?,
        into: into?.into_inner(),
        every,
        since,
        delete_after,
        webhook_secret_file,
    })
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

/// Returns from when on recordings are taken: a date or a time, in quotes or as TOML has them.
fn since(table: &Table<'_>) -> Option<Timestamp> {
    let item = table.item("since")?;
    if let DeValue::Datetime(written) = item.value.get_ref() {
        let read = moment(&written.to_string());
        return read.map_or_else(|flaw| item.flaw(flaw), Some);
    }
    item.text(moment).map(Spanned::into_inner)
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
