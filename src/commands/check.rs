//! `minuted check`: everything is tried for real, without leaving a trace; each finding says what to do.

mod calendars;
mod confinement;
mod disk;
mod engine;
mod folders;
mod gives;
mod holds;
mod koldan;
mod listing;
mod notifiers;
mod outside;
mod readers;
mod room;
mod sources;
mod unit;
mod webhook;

use std::{path::Path, process::ExitCode, sync::Arc};

use serde::Serialize;
use serde_json::json;

use super::{CommandFailure, print};
use crate::{
    cli,
    config::{Environment, Settings},
    exit, store,
    text::{ShellCommand, printable, printable_path},
};

/// The grade of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// The thing works.
    Ok,
    /// Good to know; nothing is wrong.
    Note,
    /// Works now, but something may go wrong later.
    Warning,
    /// The thing does not work.
    Error,
}

/// A finding about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    /// The thing that was tried.
    subject: String,
    /// The result.
    message: String,
    /// The cure.
    hint: Option<String>,
}

impl Finding {
    fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject: subject.into(), message: message.into(), hint: None }
    }

    fn note(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Note, subject: subject.into(), message: message.into(), hint: None }
    }

    fn warning(
        subject: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let hint = Some(hint.into());
        Self { level: Level::Warning, subject: subject.into(), message: message.into(), hint }
    }

    fn error(
        subject: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let hint = Some(hint.into());
        Self { level: Level::Error, subject: subject.into(), message: message.into(), hint }
    }
}

/// The findings so far. A person sees each finding as it comes; JSON is one array at the end.
struct CheckFindings {
    is_json: bool,
    /// The start of each command of minuted in a hint, where the person who types is not its user.
    sudo: Option<ShellCommand>,
    all: Vec<Finding>,
}

impl CheckFindings {
    fn add(&mut self, mut finding: Finding) -> Result<(), CommandFailure> {
        if let (Some(sudo), Some(hint)) = (&self.sudo, &mut finding.hint) {
            *hint = with_sudo(sudo, hint);
        }
        if !self.is_json {
            print_finding(&finding)?;
        }
        self.all.push(finding);
        Ok(())
    }

    /// Adds what blocking work finds.
    async fn blocking<I>(
        &mut self,
        work: impl FnOnce() -> I + Send + 'static,
    ) -> Result<(), CommandFailure>
    where
        I: IntoIterator<Item = Finding> + Send + 'static,
    {
        let found = tokio::task::spawn_blocking(work).await.map_err(anyhow::Error::from)?;
        found.into_iter().try_for_each(|finding| self.add(finding))
    }
}

pub(super) async fn run(
    settings: Arc<Settings>,
    text: String,
    arguments: cli::Check,
) -> Result<ExitCode, CommandFailure> {
    let sudo = sudo_for_hints(&settings.state_dir, Environment::get());
    let mut findings = CheckFindings { is_json: arguments.output.json, sudo, all: Vec::new() };
    findings.add(Finding::ok(
        "configuration",
        format!("{} is valid", printable_path(&settings.file)),
    ))?;
    let tried = Arc::clone(&settings);
    findings.blocking(move || disk::try_state_directory(&tried)).await?;
    let tried = Arc::clone(&settings);
    findings.blocking(move || disk::try_log_directory(&tried)).await?;
    for folder in settings.folders.clone() {
        findings.blocking(move || folders::try_folder(&folder)).await?;
    }
    let tried = Arc::clone(&settings);
    findings.blocking(move || folders::compare_watches(&tried)).await?;
    let tried = Arc::clone(&settings);
    findings.blocking(move || folders::find_converter(&tried, Environment::get())).await?;
    folders::count_withheld(&settings).into_iter().try_for_each(|finding| findings.add(finding))?;
    let tried = Arc::clone(&settings);
    findings.blocking(move || engine::check_models(&tried, Environment::get())).await?;
    let asked = outside::find_answerer(&settings, text, &mut findings).await?;
    outside::check_services(&settings, asked.as_ref(), &mut findings).await?;
    gives::list_abilities(&settings, &mut findings)?;
    sources::check_sources(&settings, &mut findings).await?;
    let daemon = asked.as_ref().and_then(outside::Asked::daemon);
    calendars::check_calendars(&settings, daemon, &mut findings).await?;
    let is_in_force = daemon.map(outside::Asked::is_in_force);
    let tried = Arc::clone(&settings);
    findings.blocking(move || webhook::check_webhook(&tried, is_in_force)).await?;
    outside::check_mail(&settings, daemon, arguments.mail.as_deref(), &mut findings).await?;
    notifiers::check_notifiers(&settings, daemon, &mut findings).await?;
    let pid = match daemon {
        Some(daemon) => holds::add_holds(&settings, daemon, &mut findings).await?,
        None => None,
    };
    let tried = Arc::clone(&settings);
    findings
        .blocking(move || {
            let units = unit::read_installed_unit(&tried, pid);
            let units = units.as_deref();
            let mut found = confinement::try_confinement(&tried, units);
            found.extend(room::memory_room(&tried, pid, units));
            found.extend(units.map(|units| unit::compare_directories(&tried, units)));
            found
        })
        .await?;
    let failed = findings.all.iter().any(|finding| finding.level == Level::Error);
    if findings.is_json {
        print::json(&json!(findings.all))?;
    }
    Ok(ExitCode::from(if failed { exit::FAILURE } else { exit::OK }))
}

/// Returns the start of a command line that becomes the user whose minuted it is (`sudo -u minuted`), where somebody else
/// types: a person who asked by `sudo -u minuted minuted check` pastes the hint into a shell of their own.
fn sudo_for_hints(state_dir: &Path, env: &Environment) -> Option<ShellCommand> {
    let me = rustix::process::geteuid().as_raw();
    // Before the first start there is no state directory, and root says nothing of whose it will be.
    let owner = store::owner_of(state_dir).or_else(|| (me != 0).then_some(me))?;
    (owner != env.sudo_uid.unwrap_or(me)).then(|| store::sudo(owner))
}

/// Returns a hint with `sudo` before each line that is a command of minuted.
fn with_sudo(sudo: &ShellCommand, hint: &str) -> String {
    let command = |line: &str| {
        if line.starts_with("minuted ") { format!("{sudo} {line}") } else { line.to_owned() }
    };
    hint.lines().map(command).collect::<Vec<_>>().join("\n")
}

fn print_finding(finding: &Finding) -> Result<(), CommandFailure> {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "ERROR",
    };
    print::line(&printable(&format!("{level:<8} {}: {}", finding.subject, finding.message)))?;
    for hint in finding.hint.iter().flat_map(|hint| hint.lines()) {
        print::line(&printable(&format!("         hint: {hint}")))?;
    }
    Ok(())
}
