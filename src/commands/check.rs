//! `minuted check`: everything is tried for real, without leaving a trace; each finding says what to do.

mod disk;
mod folders;
mod outside;

use std::{process::ExitCode, sync::Arc};

use serde::Serialize;
use serde_json::json;

use super::{Failure, print};
use crate::{
    cli,
    config::Settings,
    exit,
    text::{printable, printable_path},
};

/// How a thing that was tried stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// It works.
    Ok,
    /// It works now; something may go wrong later.
    Warning,
    /// It does not work.
    Error,
}

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    /// What was tried.
    subject: String,
    /// What was found.
    message: String,
    /// What to do about it.
    hint: Option<String>,
}

impl Finding {
    fn ok(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject: subject.into(), message: message.into(), hint: None }
    }

    fn warning(subject: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { level: Level::Warning, subject: subject.into(), message: message.into(), hint }
    }

    fn error(subject: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { level: Level::Error, subject: subject.into(), message: message.into(), hint }
    }
}

pub(super) async fn run(settings: Arc<Settings>, arguments: cli::Check) -> Result<ExitCode, Failure> {
    let mut findings = vec![Finding::ok("configuration", format!("{} is valid", printable_path(&settings.file)))];
    let tried = Arc::clone(&settings);
    let local = tokio::task::spawn_blocking(move || {
        let mut findings = disk::state(&tried);
        for folder in &tried.folders {
            findings.extend(folders::folder(folder));
        }
        findings.extend(folders::watches(&tried));
        findings
    });
    findings.extend(local.await.map_err(anyhow::Error::from)?);
    let (answers, caller) = outside::services(&settings).await;
    findings.extend(answers);
    findings.extend(outside::mail(&settings, caller.as_ref(), arguments.mail.as_deref()).await);
    let failed = findings.iter().any(|finding| finding.level == Level::Error);
    if arguments.output.json {
        print::json(&json!(findings))?;
    } else {
        findings.iter().try_for_each(show)?;
    }
    Ok(ExitCode::from(if failed { exit::FAILURE } else { exit::OK }))
}

fn show(finding: &Finding) -> Result<(), Failure> {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Error => "ERROR",
    };
    print::line(&printable(&format!("{level:<8} {}: {}", finding.subject, finding.message)))?;
    for hint in finding.hint.iter().flat_map(|hint| hint.lines()) {
        print::line(&printable(&format!("         hint: {hint}")))?;
    }
    Ok(())
}
