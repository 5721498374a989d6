//! `minuted calendar preview FILE`, and the calendars of the configuration in `minuted calendar list`.

use std::{process::ExitCode, sync::Arc};

use serde_json::{Value, json};

use super::{CommandFailure, absolute_path, parse_answer, print};
use crate::{
    cli,
    clock::local_minute,
    config::{CalendarLocation, CalendarSettings, Settings},
    control::{Caller, ControlRequest, EventPreview},
    job::{CalendarAnswer, EventSnapshot},
    text::{format_count, format_duration, one_line, printable, printable_path},
};

/// People that are named.
const PEOPLE_MAX: usize = 20;

pub(super) async fn run(
    settings: &Settings,
    arguments: cli::calendar::CalendarPreview,
) -> Result<ExitCode, CommandFailure> {
    let caller = Caller::connect(Arc::new(settings.clone())).await?;
    let caller = caller.with_delay_notice(print::message);
    let path = absolute_path(&arguments.file);
    let answer = caller.ask(ControlRequest::PreviewEvent { path }).await?;
    if arguments.output.json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let preview: EventPreview = parse_answer(answer)?;
    for line in describe(&preview) {
        print::line(&printable(&line))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the lines of a preview.
fn describe(preview: &EventPreview) -> Vec<String> {
    let length = match preview.length_seconds.and_then(|seconds| u64::try_from(seconds).ok()) {
        Some(seconds) => format_duration(std::time::Duration::from_secs(seconds)),
        None => "of unknown length".to_owned(),
    };
    let certainty = if preview.is_certain { "" } else { " (not certain)" };
    let calendar = &preview.found.calendar;
    let outcome = match &preview.found.answer {
        CalendarAnswer::Taken { event } => describe_event(event),
        CalendarAnswer::None { reason } => format!("it takes no event: {}", reason.as_str()),
        CalendarAnswer::Unreadable { error } => format!("the calendar cannot be read: {error}"),
    };
    let mut lines = vec![
        format!(
            "{}: from {}{certainty}, {length}; calendar `{calendar}`",
            preview.path,
            local_minute(preview.start)
        ),
        outcome,
    ];
    lines.extend(preview.found.candidates.iter().map(|event| {
        let title = one_line(&event.title, 100);
        format!("  {:>3} %  {}  {title}", event.overlap_percent, local_minute(event.start))
    }));
    lines.extend(preview.dropped.iter().map(|event| {
        let start = event.start.map(local_minute).unwrap_or_default();
        format!("  not considered: {start}  {}: {}", one_line(&event.title, 100), event.reason)
    }));
    lines
}

fn describe_event(event: &EventSnapshot) -> String {
    let people: Vec<String> = event
        .attendees
        .iter()
        .take(PEOPLE_MAX)
        .map(|person| {
            if person.name == person.email {
                person.email.clone()
            } else {
                format!("{} <{}>", person.name, person.email)
            }
        })
        .collect();
    let more = event.attendees.len().saturating_sub(PEOPLE_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let title = one_line(&event.title, 200);
    format!("it takes `{title}`, with {}{more}", people.join(", "))
}

/// Returns the calendars of the configuration for `calendar list --json`.
pub(super) fn calendars_json(settings: &Settings) -> Vec<Value> {
    let row = |calendar: &CalendarSettings| {
        let (kind, place) = place_of(calendar);
        json!({
            "name": calendar.name,
            "kind": kind,
            "place": place,
            "folders": folders_of(settings, calendar),
        })
    };
    settings.calendars.iter().map(row).collect()
}

/// Prints the calendars of the configuration, a line each.
pub(super) fn print_calendars(settings: &Settings) -> Result<(), CommandFailure> {
    for calendar in &settings.calendars {
        let (_, place) = place_of(calendar);
        let folders = folders_of(settings, calendar);
        let of = match folders.as_slice() {
            [] => "no folder names it".to_owned(),
            names => {
                format!("{}: {}", format_count(names.len() as u64, "folder"), names.join(", "))
            }
        };
        print::line(&printable(&format!("{}  {place}  {of}", calendar.name)))?;
    }
    Ok(())
}

/// Returns the kind of a calendar, and the file in which it, or its address, lies.
fn place_of(calendar: &CalendarSettings) -> (&'static str, String) {
    match &calendar.location {
        CalendarLocation::Address(file) => ("address", printable_path(file)),
        CalendarLocation::Path(path) => ("path", printable_path(path)),
    }
}

fn folders_of<'a>(settings: &'a Settings, calendar: &CalendarSettings) -> Vec<&'a str> {
    let names_it =
        settings.folders.iter().filter(|folder| folder.calendar.as_ref() == Some(&calendar.name));
    names_it.map(|folder| folder.name.as_str()).collect()
}
