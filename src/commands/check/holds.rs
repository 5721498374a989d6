//! The holds that the daemon has set already, and why.

use super::{CheckFindings, CommandFailure, Finding, outside::Asked};
use crate::{
    commands::{parse_answer, print},
    config::Settings,
    control::{ControlRequest, StatusReport, remedy_of_hold},
    delivery::SMTP,
    job::HoldReason,
    store::{Hold, Scope},
};

/// Adds what the daemon holds, each with its cure. Returns the daemon's process.
pub(super) async fn add_holds(
    settings: &Settings,
    daemon: &Asked,
    findings: &mut CheckFindings,
) -> Result<Option<u32>, CommandFailure> {
    let status: StatusReport = match daemon.ask(ControlRequest::Status).await {
        Ok(answer) => parse_answer(answer)?,
        Err(refusal) => {
            findings.add(Finding::error(
                "daemon",
                refusal.message,
                refusal.hint.unwrap_or_default(),
            ))?;
            return Ok(None);
        }
    };
    if status.disk_full {
        let message = format!("the disk of {} is full: new work stops", status.state_dir);
        findings.add(Finding::error(
            "state directory",
            message,
            "free some space; it resumes without help",
        ))?;
    }
    for hold in &status.holds {
        findings.add(describe_hold(settings, &status, hold))?;
    }
    Ok(Some(status.pid))
}

/// Returns whether a hold ends with the configuration that is checked, which does not have what is held.
fn ends_with(settings: &Settings, hold: &Hold) -> bool {
    match hold.scope {
        Scope::Service => {
            let is_mail = hold.name == SMTP && settings.email.is_some();
            let is_source = settings.source(&hold.name).is_some();
            !settings.services.contains_key(&hold.name) && !is_mail && !is_source
        }
        Scope::Folder => settings.folder(&hold.name).is_none(),
        Scope::Source => settings.source(&hold.name).is_none(),
        Scope::Disk => false,
    }
}

fn describe_hold(settings: &Settings, status: &StatusReport, hold: &Hold) -> Finding {
    let named = settings.folders.iter().find(|folder| folder.id == hold.name);
    let name = named
        .filter(|_| hold.scope == Scope::Folder)
        .map_or(hold.name.as_str(), |folder| folder.name.as_str());
    let subject = match hold.scope {
        Scope::Service => format!("service {name}, now"),
        Scope::Folder => format!("folder {name}, now"),
        Scope::Disk => "disk, now".to_owned(),
        Scope::Source => format!("source {name}, now"),
    };
    let message = format!(
        "{} for {}: {}",
        hold.reason.as_str().replace('_', " "),
        print::format_age(hold.since),
        hold.detail
    );
    if ends_with(settings, hold) {
        return Finding::note(subject, format!("{message}; this configuration does not have it"));
    }
    match hold.reason {
        HoldReason::Paused | HoldReason::WatchLimit => {
            Finding::warning(subject, message, remedy_of_hold(hold, settings).unwrap_or_default())
        }
        HoldReason::Reading => Finding::note(subject, message),
        HoldReason::Budget => {
            Finding { hint: remedy_of_hold(hold, settings), ..Finding::note(subject, message) }
        }
        HoldReason::Down
        | HoldReason::SignedOut
        | HoldReason::Forbidden
        | HoldReason::Absent
        | HoldReason::Unreadable
        | HoldReason::EmptyMountPoint
        | HoldReason::AnotherPlace
        | HoldReason::Silent
        | HoldReason::Refused
        | HoldReason::Notes
        | HoldReason::Full
        | HoldReason::Folder
        | HoldReason::NotConfigured => {
            let cure =
                remedy_of_hold(hold, settings).unwrap_or_else(|| waits_by_itself(status, hold));
            Finding::error(subject, message, cure)
        }
    }
}

/// Returns what becomes of a hold about which nobody has to do anything.
fn waits_by_itself(status: &StatusReport, hold: &Hold) -> String {
    match hold.scope {
        Scope::Service | Scope::Source => {
            let service = status.services.iter().find(|service| service.name == hold.name);
            let next = service
                .filter(|_| hold.scope == Scope::Service)
                .and_then(|service| service.next_try);
            let next = next
                .map(|next| format!(", next in {}", print::format_time_left(next)))
                .unwrap_or_default();
            format!(
                "minuted keeps trying{next}; this is not counted as an attempt, and nothing is lost"
            )
        }
        Scope::Folder | Scope::Disk => "mend that; minuted keeps trying".to_owned(),
    }
}
