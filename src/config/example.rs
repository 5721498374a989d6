//! Keeps `config.example.toml` true: it parses, it has every key, and each default in it is the
//! code's.

use std::{collections::BTreeSet, path::Path};

use super::{
    Environment, Settings,
    attendee::AttendeeKeys,
    calendars::CalendarKeys,
    email::{EmailKeys, SmtpKeys},
    folders,
    http_server::HttpServerKeys,
    notifiers::NotifyKeys,
    parse,
    ping::PingKeys,
    reader::TableKeys as _,
    services::{self, PollKeys},
    settings::{LogKeys, RetryKeys, WorkersKeys},
    sources::SourceKeys,
    tables::ROOT,
    webhook::WebhookKeys,
};

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// A line `key = value` of the example.
#[derive(Debug, Clone)]
struct ExampleEntry {
    line: usize,
    table: String,
    key: String,
    kind: ExampleKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExampleKind {
    /// Without `#`.
    LiveConfig,
    /// `#key = value`
    Default,
    /// `#key = value   # example`
    Example,
    /// `#[table]`, the head of a table that is not there by default.
    Head,
}

fn entries() -> Vec<ExampleEntry> {
    let mut table = String::new();
    let mut entries = Vec::new();
    for (line, text) in EXAMPLE.lines().enumerate() {
        let (bare, commented) = text.strip_prefix('#').map_or((text, false), |bare| (bare, true));
        if let Some(head) = bare.strip_prefix('[').filter(|_| bare.ends_with(']')) {
            head.trim_matches(['[', ']']).clone_into(&mut table);
            if commented {
                entries.push(ExampleEntry {
                    line,
                    table: table.clone(),
                    key: String::new(),
                    kind: ExampleKind::Head,
                });
            }
        } else if let Some((key, _)) = bare.split_once(" = ").filter(|(key, _)| is_key(key)) {
            let kind = match commented {
                false => ExampleKind::LiveConfig,
                true if bare.ends_with("   # example") => ExampleKind::Example,
                true => ExampleKind::Default,
            };
            entries.push(ExampleEntry { line, table: table.clone(), key: key.to_owned(), kind });
        }
    }
    entries
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The example without the `#` of these lines.
fn uncommented(lines: &BTreeSet<usize>) -> String {
    let line = |(number, text): (usize, &'static str)| {
        if lines.contains(&number) { text.strip_prefix('#').expect("a comment") } else { text }
    };
    EXAMPLE.lines().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// The settings. A folder's `settle` and `rescan` depend on its mount.
fn settings(text: &str) -> Settings {
    let parsed = parse(text, Path::new("/etc/minuted/config.toml"), &Environment::default());
    let mut settings: Settings = parsed.unwrap_or_else(|error| panic!("{error}"));
    for folder in &mut settings.folders {
        folder.settle = Some(folder.settle_time(false));
        folder.rescan = Some(folder.rescan_interval(false));
    }
    settings
}

/// What must be there for a line to mean something: all of its table, where that is not there by
/// default, and PAXS for the keys that not every service takes.
fn surroundings(entry: &ExampleEntry, entries: &[ExampleEntry]) -> BTreeSet<usize> {
    let mut lines = own_table(entry, entries);
    let is_of_folder =
        ["defaults", "folder"].contains(&entry.table.as_str()) && entry.key != "service";
    if is_of_folder || table_of(entry) == "services.paxs" {
        let is_paxs = |other: &&ExampleEntry| {
            other.table == "services.paxs" && ["", "kind"].contains(&other.key.as_str())
        };
        let needed = entries.iter().filter(|other| is_paxs(other) || other.key == "attendees");
        lines.extend(needed.map(|other| other.line));
    }
    if is_of_folder && entry.key == "calendar" {
        // The calendar that the folder names.
        let of_calendar =
            |other: &&ExampleEntry| other.table == "calendar" && other.kind != ExampleKind::Default;
        lines.extend(entries.iter().filter(of_calendar).map(|other| other.line));
    }
    lines
}

/// All of a line's table, where that is not there by default.
fn own_table(entry: &ExampleEntry, entries: &[ExampleEntry]) -> BTreeSet<usize> {
    let of_table = |other: &&ExampleEntry| {
        other.table.starts_with(table_of(entry)) && other.kind != ExampleKind::Default
    };
    let is_head =
        |other: &ExampleEntry| other.table == table_of(entry) && other.kind == ExampleKind::Head;
    if !entries.iter().any(is_head) {
        return BTreeSet::new();
    }
    // The engine on this machine shows a `notes` that names another table.
    let is_writer = |other: &&ExampleEntry| {
        table_of(entry) == "services.local" && is_service(other, "services.ollama")
    };
    entries
        .iter()
        .filter(|other| of_table(other) || is_writer(other))
        .map(|other| other.line)
        .collect()
}

fn is_service(entry: &ExampleEntry, table: &str) -> bool {
    entry.table == table && entry.kind != ExampleKind::Default
}

/// The table that a line needs: `smtp` is nothing without `[email]`, nor is `poll` without its
/// service.
fn table_of(entry: &ExampleEntry) -> &str {
    let outer = ["email", "services.paxs"].into_iter().find(|outer| entry.table.starts_with(outer));
    outer.unwrap_or(&entry.table)
}

#[test]
fn as_it_stands_the_example_is_one_folder_and_the_engine_on_this_machine() {
    let settings = parse(EXAMPLE, Path::new("/etc/minuted/config.toml"), &Environment::default())
        .expect("right");
    assert!(
        settings.services.values().all(|service| matches!(service.kind, super::Kind::Ondevice(_)))
    );
    assert_eq!((settings.services.len(), settings.folders.len()), (1, 1));
    assert!(settings.email.is_none() && settings.sources.is_empty() && settings.webhook.is_none());
    assert!(settings.http.is_none() && settings.notifiers.is_empty() && settings.ping.is_none());
    let live = entries()
        .into_iter()
        .filter(|entry| entry.kind == ExampleKind::LiveConfig)
        .map(|entry| entry.key);
    assert_eq!(live.collect::<Vec<_>>(), ["path"]);
}

#[test]
fn every_default_in_the_example_is_the_codes() {
    let entries = entries();
    let defaults: Vec<_> =
        entries.iter().filter(|entry| entry.kind == ExampleKind::Default).collect();
    assert!(defaults.len() > 35, "{} defaults", defaults.len());
    for entry in defaults {
        let mut lines = surroundings(entry, &entries);
        let without = uncommented(&lines);
        lines.insert(entry.line);
        let with = uncommented(&lines);
        // `move_to` means something only where recordings are moved.
        let moving = |text: &str| text.replace("#on_success = \"keep\"", "on_success = \"move\"");
        let adjust =
            |text: &str| if entry.key == "move_to" { moving(text) } else { text.to_owned() };
        assert_eq!(
            settings(&adjust(&with)),
            settings(&adjust(&without)),
            "`{}` of [{}]",
            entry.key,
            entry.table
        );
    }
}

#[test]
fn what_is_called_an_example_has_no_default() {
    let entries = entries();
    for entry in entries
        .iter()
        .filter(|entry| entry.kind == ExampleKind::Example && own_table(entry, &entries).is_empty())
    {
        let mut lines = surroundings(entry, &entries);
        lines.remove(&entry.line);
        // A service that needs attendees is no service without them.
        let without = if entry.key == "attendees" {
            settings(EXAMPLE)
        } else {
            settings(&uncommented(&lines))
        };
        lines.insert(entry.line);
        assert_ne!(settings(&uncommented(&lines)), without, "`{}`", entry.key);
    }
}

#[test]
fn the_example_has_every_key() {
    let entries = entries();
    let has = |table: &str, key: &str| {
        entries.iter().any(|entry| entry.table == table && entry.key == key)
            || entries.iter().any(|entry| entry.table == format!("{table}.{key}"))
    };
    for key in services::SERVICE.iter() {
        let shown =
            |entry: &ExampleEntry| entry.table.starts_with("services.") && entry.key == *key;
        // Few builds take `model`, and one place of a key is enough, so these stand in a sentence.
        let is_told =
            ["model", "api_key_env"].contains(key) && EXAMPLE.contains(&format!(": {key} = \""));
        assert!(
            is_told || entries.iter().any(shown) || has("services.paxs", key),
            "`{key}` of a service"
        );
    }
    let tables: [(&str, &[&str]); 13] = [
        ("services.paxs.poll", PollKeys::KNOWN),
        ("retry", RetryKeys::KNOWN),
        ("workers", WorkersKeys::KNOWN),
        ("email", EmailKeys::KNOWN),
        ("email.smtp", SmtpKeys::KNOWN),
        ("log", LogKeys::KNOWN),
        ("webhook", WebhookKeys::KNOWN),
        ("http", HttpServerKeys::KNOWN),
        ("source", SourceKeys::KNOWN),
        ("calendar", CalendarKeys::KNOWN),
        ("notify", NotifyKeys::KNOWN),
        ("ping", PingKeys::KNOWN),
        ("", &["state_dir", "history"]),
    ];
    for (table, keys) in tables {
        for key in keys {
            // It excludes `topic`, so it stands in a sentence.
            let is_told = *key == "topic_file" && EXAMPLE.contains(": topic_file = \"");
            assert!(is_told || has(table, key), "`{key}` of [{table}]");
        }
    }
    for key in folders::FOLDER.iter() {
        assert!(has("defaults", key) || has("folder", key), "`{key}` of a folder");
    }
    for key in AttendeeKeys::KNOWN {
        assert!(EXAMPLE.contains(&format!(" {key} = \"")), "`{key}` of an attendee");
    }
    for key in ROOT {
        let is_table = entries.iter().any(|entry| entry.table.split('.').next() == Some(key));
        assert!(has("", key) || is_table, "`{key}`");
    }
}

#[test]
fn no_line_of_the_example_is_wider_than_the_page() {
    for line in EXAMPLE.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}
