//! The notifiers and the dead man's switch: secrets, addresses, programs. Nothing is sent.

use super::{CheckFindings, CommandFailure, Finding, outside::Asked};
use crate::{
    config::{NotifyWay, Settings},
    control::{ConfigTrial, try_notifier},
};

/// Checks each notifier, by the daemon where one runs: it alone may see the credentials of its unit.
pub(super) async fn check_notifiers(
    settings: &Settings,
    daemon: Option<&Asked>,
    findings: &mut CheckFindings,
) -> Result<(), CommandFailure> {
    let names = settings.notifiers.iter().map(|notifier| Some(notifier.name.as_str()));
    for name in names.chain(settings.ping.iter().map(|_| None)) {
        let trial = match name {
            Some(name) => ConfigTrial::Notifier(name.to_owned()),
            None => ConfigTrial::Ping,
        };
        let answer = match daemon {
            Some(daemon) => daemon.attempt(settings, trial).await,
            None => try_notifier(settings, name).await,
        };
        let subject = name.map_or_else(|| "ping".to_owned(), |name| format!("notifier {name}"));
        findings.add(match answer {
            Ok(answer) => Finding::ok(subject, answer["message"].as_str().unwrap_or_default()),
            Err(refusal) => {
                let hint = refusal.hint.unwrap_or_else(|| "see docs/notifications.md".to_owned());
                Finding::error(subject, refusal.message, hint)
            }
        })?;
    }
    Ok(())
}

/// Returns whether a program is run for events, which must be confined.
pub(super) fn runs_programs(settings: &Settings) -> bool {
    settings.notifiers.iter().any(|notifier| matches!(notifier.way, NotifyWay::Command(_)))
}
