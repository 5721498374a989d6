//! What the daemon has found out already: what it holds now, and why.

use super::{Failure, Finding, Findings, outside::Asked};
use crate::{
    commands::{print, typed},
    config::Settings,
    control::{Request, Status},
    queue::{Hold, Scope},
    text::ShellCommand,
    worker::deliveries,
};

/// Adds what the daemon holds, each with its cure. Returns the daemon's process.
pub(super) async fn of(settings: &Settings, daemon: &Asked, findings: &mut Findings) -> Result<Option<u32>, Failure> {
    let status: Status = match daemon.ask(Request::Status).await {
        Ok(answer) => typed(answer)?,
        Err(refusal) => {
            findings.add(Finding::error("daemon", refusal.message, refusal.hint.unwrap_or_default()))?;
            return Ok(None);
        }
    };
    if status.disk_full {
        let message = format!("the disk of {} is full: new work stops", status.state_dir);
        findings.add(Finding::error("state directory", message, "free some space; it goes on by itself"))?;
    }
    for hold in &status.holds {
        findings.add(finding(settings, &status, hold))?;
    }
    Ok(Some(status.pid))
}

/// Returns whether a hold ends with the configuration that is checked, which does not have what is held.
fn ends_with(settings: &Settings, hold: &Hold) -> bool {
    match hold.scope {
        Scope::Service => {
            let is_mail = hold.name == deliveries::SMTP && settings.email.is_some();
            let is_given = settings.source(&hold.name).is_some();
            !settings.services.contains_key(&hold.name) && !is_mail && !is_given
        }
        Scope::Folder => settings.folder(&hold.name).is_none(),
        Scope::Source => settings.source(&hold.name).is_none(),
        Scope::Disk => false,
    }
}

fn finding(settings: &Settings, status: &Status, hold: &Hold) -> Finding {
    let named = settings.folders.iter().find(|folder| folder.id == hold.name);
    let name = named.filter(|_| hold.scope == Scope::Folder).map_or(hold.name.as_str(), |folder| folder.name.as_str());
    let subject = match hold.scope {
        Scope::Service => format!("service {name}, now"),
        Scope::Folder => format!("folder {name}, now"),
        Scope::Disk => "disk, now".to_owned(),
        Scope::Source => format!("source {name}, now"),
    };
    let message = format!("{} for {}: {}", hold.reason.replace('_', " "), print::ago(hold.since), hold.detail);
    if ends_with(settings, hold) {
        return Finding::note(subject, format!("{message}; this configuration does not have it"));
    }
    match hold.reason.as_str() {
        "paused" => Finding::warning(subject, message, ShellCommand::new("minuted resume").word(name)),
        "reading" => Finding::note(subject, message),
        "watch limit" => Finding::warning(subject, message, "see `watches` above"),
        _ => Finding::error(subject, message, cure(settings, status, hold)),
    }
}

fn cure(settings: &Settings, status: &Status, hold: &Hold) -> String {
    let name = &hold.name;
    let service = settings.services.get(name);
    let sign_in = || {
        service.map_or_else(|| ShellCommand::new("minuted login").word(name).into(), |it| it.kind.sign_in_cure(name))
    };
    match (hold.scope, hold.reason.as_str()) {
        (Scope::Service, "signed_out") => sign_in(),
        (Scope::Service, "forbidden") => {
            format!("give the account its rights at the service, then: {}", sign_in())
        }
        (Scope::Service, _) => {
            let next =
                status.services.iter().find(|service| service.name == *name).and_then(|service| service.next_try);
            let next = next.map(|next| format!(", next in {}", print::until(next))).unwrap_or_default();
            format!("it is tried again by itself{next}; nothing counts and nothing is lost")
        }
        (Scope::Folder, "refused") => {
            "check the folder's attendees and the service's base_url, then: systemctl reload minuted".to_owned()
        }
        (Scope::Source, "signed_out" | "forbidden") => {
            "mend its key (`api_key_file` is read again by itself), or its rights at the vendor".to_owned()
        }
        (Scope::Source, _) => "it is tried again by itself; nothing counts and nothing is lost".to_owned(),
        (Scope::Folder | Scope::Disk, _) => "mend that; it is tried again by itself".to_owned(),
    }
}
