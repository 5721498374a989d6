//! `[[calendar]]`: calendars whose events name the meetings of folders.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use toml::Spanned;

use super::{
    diagnostic::{Diagnostic, Diagnostics, Span},
    durations::DurationBounds,
    reader::{Table, TableKeys as _},
    table_keys::table_keys,
    values,
    words::{in_backticks, join_alternatives, suggest_word},
};

/// Most calendars of one configuration.
const CALENDARS_MAX: usize = 100;

/// Range of the age at which what was fetched is fetched again: the least is for tests, and a day is what vendors need to
/// publish a change at the latest.
const EVERY: DurationBounds = DurationBounds::from_ms(100, 86_400_000);

table_keys! {
    /// A calendar.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct CalendarSettings from CalendarKeys {
        + name: String = read_text(values::parse_name);
        + url_file: PathBuf = read_file();
        + path: PathBuf = read_text(values::parse_absolute_path);
        /// The age at which what was fetched is fetched again for the next recording.
        every: Duration = read_duration(EVERY), default Duration::from_secs(900);
    } and {
        /// Its name in messages, logs and folders.
        name: String,
        /// Where it is.
        location: CalendarLocation,
    }
}

/// Place of a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalendarLocation {
    /// An address in the web, which is a secret: the file that has it.
    Address(PathBuf),
    /// An iCalendar file, or a directory of such files.
    Path(PathBuf),
}

/// Reads all calendars; `None` in the place of one with a mistake.
pub(super) fn read_calendars(
    root: &Table<'_>,
    diagnostics: &Diagnostics,
) -> Vec<Option<CalendarSettings>> {
    let Some(tables) = root.read_tables("calendar", "in `[[calendar]]`", CalendarKeys::KNOWN)
    else {
        return Vec::new();
    };
    if tables.get_ref().len() > CALENDARS_MAX {
        let what =
            format!("{} calendars, and at most {CALENDARS_MAX} are read", tables.get_ref().len());
        diagnostics.add_at(tables.span(), what, "remove some");
    }
    let mut names = BTreeMap::new();
    let tables = tables.into_inner().into_iter().take(CALENDARS_MAX);
    tables.map(|table| read_calendar(&table?, &mut names)).collect()
}

fn read_calendar(
    table: &Table<'_>,
    names: &mut BTreeMap<String, Span>,
) -> Option<CalendarSettings> {
    table.require_key("name", "write name = \"…\": what folders call it");
    let mut keys = CalendarKeys::from_table(table);
    let name = keys.name.take()?;
    if let Some(first) = names.insert(name.get_ref().clone(), name.span()) {
        let what = format!("two calendars are called {}", in_backticks(name.get_ref()));
        let help = "write another name = \"…\" for one of them";
        let twice = Diagnostic::at_span(name.span(), what, help);
        table.diagnostics().add(twice.with_second_place(first, "first here"));
        return None;
    }
    let location = choose_location(table, keys.url_file.take(), keys.path.take())?;
    if let Some(span) = table.key_span("every")
        && matches!(location, CalendarLocation::Path(_))
    {
        let help = "remove it: files are read for each recording";
        table.diagnostics().add_at(span, "`every` with `path`", help);
    }
    keys.into_settings(name.into_inner(), location)
}

fn choose_location(
    table: &Table<'_>,
    url_file: Option<Spanned<PathBuf>>,
    path: Option<Spanned<PathBuf>>,
) -> Option<CalendarLocation> {
    match (url_file, path) {
        (Some(file), None) => Some(CalendarLocation::Address(file.into_inner())),
        (None, Some(path)) => Some(CalendarLocation::Path(path.into_inner())),
        (Some(_), Some(path)) => {
            let help = "remove one of them: a calendar is at one place";
            table.diagnostics().add_at(path.span(), "`path` and `url_file`", help);
            None
        }
        (None, None) => {
            // A value with a mistake is reported already, and so is a key that is misspelt.
            if !table.is_present("url_file")
                && !table.is_present("path")
                && !table.is_present("url")
            {
                let what = "this calendar has neither `url_file` nor `path`";
                let help = "write url_file = \"…\": the file with its address; or path = \"/…\": \
                            an .ics file or a directory of them";
                table.diagnostics().add_at(table.span(), what, help);
            }
            None
        }
    }
}

/// Refuses the names that folders give where no calendar is called so. `calendars` are all, with or without mistakes; a
/// name in `[defaults]` is reported once.
pub(super) fn check_names<'a>(
    named: impl Iterator<Item = &'a Spanned<String>>,
    calendars: &[Option<CalendarSettings>],
    diagnostics: &Diagnostics,
) {
    let mut seen = BTreeSet::new();
    for name in named {
        if seen.insert(name.span().start) {
            refuse_unknown_calendar(name, calendars, diagnostics);
        }
    }
}

fn refuse_unknown_calendar(
    named: &Spanned<String>,
    calendars: &[Option<CalendarSettings>],
    diagnostics: &Diagnostics,
) {
    let name = named.get_ref();
    let is_known =
        calendars.iter().any(|known| known.as_ref().is_none_or(|known| known.name == *name));
    if is_known {
        return;
    }
    let names: Vec<&str> = calendars.iter().flatten().map(|known| known.name.as_str()).collect();
    let help = suggest_word(name, names.iter().copied(), || match names.as_slice() {
        [] => format!("add a [[calendar]] with name = \"{name}\""),
        _some => format!(
            "write {}, or add a [[calendar]] of that name",
            join_alternatives(names.iter().copied().take(10))
        ),
    });
    diagnostics.add_at(named.span(), format!("there is no calendar {}", in_backticks(name)), help);
}
