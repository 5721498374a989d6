//! The whole file: text → settings, or everything that is wrong with it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use toml::{Spanned, de::DeTable};

use super::{
    calendars,
    diagnostic::{Diagnostic, DiagnosticReport, Diagnostics, Span},
    durations::DurationBounds,
    email,
    environment::Environment,
    folders, http_server, notifiers, ping, places,
    reader::{FileContext, Table, TableKeys as _},
    secrets, services,
    settings::{LogKeys, Retry, RetryKeys, Settings, WorkersKeys},
    sources,
    tables::{ROOT, TABLES},
    values, webhook,
    words::fit_for_message,
};

/// Ten years: nobody looks for an older job.
const HISTORY: DurationBounds = DurationBounds::from_ms(3_600_000, 3_650 * 86_400_000);
/// The state directory of a system service, where systemd makes it (`StateDirectory=minuted`).
const SYSTEM_STATE_DIR: &str = "/var/lib/minuted";

/// Reads and checks the whole file.
pub(super) fn read_document(
    source: &str,
    file: &Path,
    env: &Environment,
) -> Result<Settings, DiagnosticReport> {
    let (document, errors) = DeTable::parse_recoverable(source);
    let shown = secrets::mask_secrets(source, document.get_ref());
    let directory = directory_of_secrets(file, env);
    let context = FileContext {
        source: &shown,
        directory,
        tables: &*TABLES,
        diagnostics: Diagnostics::default(),
    };
    if !errors.is_empty() {
        // Half a file is not worth checking: what it lacks may stand behind the error.
        for error in &errors {
            context.diagnostics.add(syntax_error(error, &shown));
        }
        return Err(context.diagnostics.into_report(file, &shown));
    }
    let root = Table::of_document(&document, "at the top of the file", ROOT, &context);
    let settings = read_settings(&root, file, env, &context.diagnostics);
    if context.diagnostics.is_empty() {
        Ok(settings.expect("a file without mistakes makes settings"))
    } else {
        Err(context.diagnostics.into_report(file, &shown))
    }
}

/// Returns where a relative file lies: among systemd's credentials where there are any, else beside
/// the config file.
fn directory_of_secrets(file: &Path, env: &Environment) -> PathBuf {
    match &env.credentials_directory {
        Some(directory) => directory.clone(),
        None => file.parent().map(Path::to_owned).unwrap_or_default(),
    }
}

/// Returns what the parser does not understand.
pub(super) fn syntax_error(error: &toml::de::Error, shown: &str) -> Diagnostic {
    let message = error.message().trim();
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let written = error.span().and_then(|span| shown.get(span)).unwrap_or_default();
    let help = if what.contains("must be quoted") && !written.is_empty() {
        format!("write it in quotes: \"{}\"", fit_for_message(written))
    } else if expected.is_empty() {
        "see https://toml.io for how it is written".to_owned()
    } else {
        format!("expected {expected}")
    };
    let what = format!("not TOML: {what}");
    match error.span() {
        Some(span) => Diagnostic::at_span(span, what, help),
        None => Diagnostic::of_file(what, help),
    }
}

/// Returns the settings, or `None` when a mistake was found that leaves a hole in them.
fn read_settings(
    root: &Table<'_>,
    file: &Path,
    env: &Environment,
    diagnostics: &Diagnostics,
) -> Option<Settings> {
    let history = root.read_duration("history", HISTORY);
    let (state_dir, state_span) = choose_state_dir(root, file, env, diagnostics);
    let services = services::read_services(root, diagnostics);
    let email = email::read_email(root);
    let retry = read_retry(root, diagnostics);
    let workers = root.read_table_keys::<WorkersKeys>("workers").into_settings();
    let log = root.read_table_keys::<LogKeys>("log").into_settings();
    let webhook = webhook::read_webhook(root);
    let http = http_server::read_http_server(root, diagnostics);
    let raw = folders::read_folders(root, diagnostics);
    places::check_places(&raw, &state_dir, state_span.as_ref(), diagnostics);
    let places: Vec<_> = raw.iter().filter_map(folders::RawFolder::name_and_id).collect();
    let sources = sources::read_sources(root, &services, &places, diagnostics);
    let notifiers = notifiers::read_notifiers(root, &places, diagnostics);
    let ping = ping::read_ping(root);
    let fed: Vec<&str> = sources.iter().flatten().map(|source| source.into.as_str()).collect();
    let calendars = calendars::read_calendars(root, diagnostics);
    let named = raw.iter().filter_map(|folder| folder.keys.calendar.as_ref());
    calendars::check_names(named, &calendars, diagnostics);
    // All of them are completed before the first hole counts, so that every mistake is found.
    let named = raw.iter().filter_map(|folder| folder.service_name().cloned()).collect();
    let candidates = services.candidates(&named);
    let mut folders = Vec::new();
    for folder in raw {
        let has_email = root.is_present("email");
        let email = email.as_ref();
        folders.push(folders::complete_folder(
            folder,
            &services,
            &candidates,
            email,
            has_email,
            &fed,
            diagnostics,
        ));
    }
    let folders: Vec<_> = folders.into_iter().collect::<Option<_>>()?;
    let mut services = services.into_complete(&named);
    for folder in &folders {
        if let Some(service) = services.get_mut(&folder.service) {
            service.kind.add_folder(folder);
        }
    }
    Some(Settings {
        file: file.to_owned(),
        state_dir,
        history: history.map_or(Duration::from_secs(180 * 86_400), Spanned::into_inner),
        folders,
        sources: sources.into_iter().collect::<Option<_>>()?,
        calendars: calendars.into_iter().collect::<Option<_>>()?,
        webhook,
        http,
        notifiers: notifiers.into_iter().collect::<Option<_>>()?,
        ping,
        services,
        retry: retry?,
        workers: workers?,
        email,
        log: log?,
    })
}

/// Returns the state directory, and where the file gives it.
fn choose_state_dir(
    root: &Table<'_>,
    file: &Path,
    env: &Environment,
    diagnostics: &Diagnostics,
) -> (PathBuf, Option<Span>) {
    if let Some(written) = root.read_text("state_dir", values::parse_absolute_path) {
        let span = written.span();
        return (written.into_inner(), Some(span));
    }
    if file.starts_with("/etc") || root.has_key("state_dir") {
        return (PathBuf::from(SYSTEM_STATE_DIR), None);
    }
    let state_home = env.state_home().unwrap_or_else(|| {
        let what = "no `state_dir`, and without $HOME there is no usual place for it";
        diagnostics
            .add(Diagnostic::of_file(what, "write state_dir = \"/var/lib/minuted\", or set $HOME"));
        PathBuf::from(SYSTEM_STATE_DIR)
    });
    (state_home.join("minuted"), None)
}

fn read_retry(root: &Table<'_>, diagnostics: &Diagnostics) -> Option<Retry> {
    let table = root.read_table("retry", RetryKeys::KNOWN);
    let retry = RetryKeys::from_table(&table).into_settings()?;
    let key = if table.has_key("delay_max") { "delay_max" } else { "delay" };
    if let Some(item) = table.find_item(key).filter(|_| retry.delay > retry.delay_max) {
        let help = "write at least `delay` for `delay_max`, which is \"15m\" where it is absent";
        diagnostics.add_at(item.span(), "`delay` is longer than `delay_max`", help);
    }
    Some(retry)
}
