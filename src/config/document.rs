//! The whole file: text → settings, or everything that is wrong with it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use toml::{Spanned, de::DeTable};

use super::{
    diagnostic::{Mistake, Mistakes, Report, Span},
    durations::Bounds,
    email,
    environment::Environment,
    folders, places,
    reader::{FileContext, Table, TableKeys as _},
    secrets, services,
    settings::{LogKeys, Retry, RetryKeys, Settings, WorkersKeys},
    sources,
    tables::{ROOT, TABLES},
    values, webhook,
    words::unquoted,
};

/// Ten years: nobody looks for an older job.
const HISTORY: Bounds = Bounds::ms(3_600_000, 3_650 * 86_400_000);
/// Reads and checks the whole file.
pub(super) fn read(source: &str, file: &Path, env: &Environment) -> Result<Settings, Report> {
    let (document, errors) = DeTable::parse_recoverable(source);
    let shown = secrets::masked(source, document.get_ref());
    let directory = directory_of_secrets(file, env);
    let context = FileContext { source: &shown, directory, tables: &*TABLES, mistakes: Mistakes::default() };
    if !errors.is_empty() {
        // Half a file is not worth checking: what it lacks may stand behind the error.
        for error in &errors {
            context.mistakes.add(syntax(error, &shown));
        }
        return Err(context.mistakes.into_report(file, &shown));
    }
    let root = Table::root(&document, "at the top of the file", ROOT, &context);
    let settings = settings(&root, file, env, &context.mistakes);
    if context.mistakes.is_empty() {
        Ok(settings.expect("a file without mistakes makes settings"))
    } else {
        Err(context.mistakes.into_report(file, &shown))
    }
}

/// Returns where a relative file lies: among systemd's credentials where there are any, else beside the config file.
fn directory_of_secrets(file: &Path, env: &Environment) -> PathBuf {
    let beside_config = || file.parent().map(Path::to_owned).unwrap_or_default();
    env.credentials_directory.clone().unwrap_or_else(beside_config)
}

/// Returns what the parser does not understand.
pub(super) fn syntax(error: &toml::de::Error, shown: &str) -> Mistake {
    let message = error.message().trim();
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let written = error.span().and_then(|span| shown.get(span)).unwrap_or_default();
    let help = if what.contains("must be quoted") && !written.is_empty() {
        format!("write it in quotes: \"{}\"", unquoted(written))
    } else if expected.is_empty() {
        "see https://toml.io for how it is written".to_owned()
    } else {
        format!("expected {expected}")
    };
    let what = format!("not TOML: {what}");
    match error.span() {
        Some(span) => Mistake::at(span, what, help),
        None => Mistake::of_file(what, help),
    }
}

/// Returns the settings, or `None` when a mistake was found that leaves a hole in them.
fn settings(root: &Table<'_>, file: &Path, env: &Environment, mistakes: &Mistakes) -> Option<Settings> {
    let history = root.duration("history", HISTORY);
    let (state_dir, state_span) = state_dir(root, file, env, mistakes);
    let services = services::read(root, mistakes);
    let email = email::read(root);
    let retry = retry(root, mistakes);
    let workers = root.keys::<WorkersKeys>("workers").map(Spanned::into_inner).unwrap_or_default().settings();
    let log = root.keys::<LogKeys>("log").map(Spanned::into_inner).unwrap_or_default().settings();
    let webhook = webhook::read(root);
    let raw = folders::read(root, mistakes);
    places::check(&raw, &state_dir, state_span.as_ref(), mistakes);
    let places: Vec<_> = raw.iter().filter_map(folders::RawFolder::place).collect();
    let sources = sources::read(root, &services, &places, mistakes);
    let fed: Vec<&str> = sources.iter().flatten().map(|source| source.into.as_str()).collect();
    let complete = |raw| folders::complete(raw, &services, email.as_ref(), root.means("email"), &fed, mistakes);
    // All of them are completed before the first hole counts, so that every mistake is found.
    let folders: Vec<_> = raw.into_iter().map(complete).collect();
    let folders: Vec<_> = folders.into_iter().collect::<Option<_>>()?;
    let mut services = services.complete;
    for folder in &folders {
        if let Some(service) = services.get_mut(&folder.service) {
            service.kind.serve(folder);
        }
    }
    Some(Settings {
        file: file.to_owned(),
        state_dir,
        history: history.map_or(Duration::from_secs(180 * 86_400), Spanned::into_inner),
        folders,
        sources: sources.into_iter().collect::<Option<_>>()?,
        webhook,
        services,
        retry: retry?,
        workers: workers?,
        email,
        log: log?,
    })
}

/// Returns the state directory, and where the file gives it.
fn state_dir(root: &Table<'_>, file: &Path, env: &Environment, mistakes: &Mistakes) -> (PathBuf, Option<Span>) {
    let system = || PathBuf::from("/var/lib/minuted");
    if let Some(given) = root.text("state_dir", values::absolute_path) {
        let span = given.span();
        return (given.into_inner(), Some(span));
    }
    if file.starts_with("/etc") || root.has("state_dir") {
        return (system(), None);
    }
    let state_home = env.state_home().unwrap_or_else(|| {
        let what = "no `state_dir`, and without $HOME there is no usual place for it";
        mistakes.add(Mistake::of_file(what, "write state_dir = \"/var/lib/minuted\", or set $HOME"));
        system()
    });
    (state_home.join("minuted"), None)
}

fn retry(root: &Table<'_>, mistakes: &Mistakes) -> Option<Retry> {
    let table = root.table("retry", RetryKeys::KNOWN);
    let retry = RetryKeys::read(&table).settings()?;
    let key = if table.has("delay_max") { "delay_max" } else { "delay" };
    if let Some(item) = table.item(key).filter(|_| retry.delay > retry.delay_max) {
        let help = "write at least `delay` for `delay_max`, which is \"15m\" where it is absent";
        mistakes.add(Mistake::at(item.span(), "`delay` is longer than `delay_max`", help));
    }
    Some(retry)
}
