//! The calendars: can each be read, and does it name people?

use super::{CheckFindings, CommandFailure, Finding, outside::Asked};
use crate::{
    config::{CalendarSettings, Settings},
    control::{Answer, ConfigTrial, try_calendar},
    text::format_count,
};

/// Reads each calendar, by the daemon where one runs: the address may be a credential that only its unit sees.
pub(super) async fn check_calendars(
    settings: &Settings,
    daemon: Option<&Asked>,
    findings: &mut CheckFindings,
) -> Result<(), CommandFailure> {
    for calendar in &settings.calendars {
        let read = match daemon {
            Some(daemon) => {
                daemon.attempt(settings, ConfigTrial::Calendar(calendar.name.clone())).await
            }
            None => try_calendar(calendar).await,
        };
        findings.add(describe_calendar(settings, calendar, read))?;
    }
    Ok(())
}

fn describe_calendar(settings: &Settings, calendar: &CalendarSettings, read: Answer) -> Finding {
    let subject = format!("calendar {}", calendar.name);
    let answer = match read {
        Ok(answer) => answer,
        Err(refusal) => {
            let hint = refusal.hint.unwrap_or_default();
            return Finding::error(
                subject,
                format!("it cannot be read: {}", refusal.message),
                hint,
            );
        }
    };
    let count = |key: &str| answer[key].as_u64().unwrap_or_default();
    let (events, meetings) = (count("events"), count("meetings"));
    let is_named =
        settings.folders.iter().any(|folder| folder.calendar.as_ref() == Some(&calendar.name));
    let message = format!("{} read, {meetings} of them with people", format_count(events, "event"));
    if events > 0 && meetings == 0 {
        let hint = "an event without people is never taken; some vendors leave them out of a published calendar: choose \
                    full details, or have vdirsyncer fetch it into a directory";
        return Finding::warning(subject, message, hint);
    }
    if !is_named {
        return Finding::note(subject, format!("{message}; no folder names it"));
    }
    Finding::ok(subject, message)
}
