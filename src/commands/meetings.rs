//! `minuted meetings`: the service's own list.

use std::process::ExitCode;

use serde_json::Value;

use super::{
    CommandFailure,
    print::{self, Column, List},
};
use crate::{
    cli,
    control::{Caller, ControlRequest},
    text::one_line,
};

pub(super) async fn run(
    caller: &Caller,
    arguments: cli::Meetings,
) -> Result<ExitCode, CommandFailure> {
    let cli::Meetings { id, service, page, output } = arguments;
    if let Some(id) = id {
        let meeting = caller.ask(ControlRequest::Meeting { service, id }).await?;
        // What the service tells of one meeting has no fixed form: it is shown as it came.
        if output.json {
            print::json(&meeting)?;
        } else {
            print::raw(&meeting_details(&meeting))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let meetings = caller.ask(ControlRequest::Meetings { service, page }).await?;
    if output.json {
        print::json(&meetings)?;
        return Ok(ExitCode::SUCCESS);
    }
    let meetings = meetings.as_array().cloned().unwrap_or_default();
    if meetings.is_empty() {
        print::message(if page > 1 {
            "no meetings on this page"
        } else {
            "the service has no meetings"
        });
        return Ok(ExitCode::SUCCESS);
    }
    let mut list = List::new([Column::Whole("id"), Column::Time("created")], "title");
    for meeting in &meetings {
        let field = |names: &[&str]| {
            names.iter().find_map(|name| shown_text(meeting.get(name)?)).unwrap_or_default()
        };
        let cells = [
            field(&["id", "session_id"]),
            format_minute(&field(&["created_at", "createdAt", "date"])),
        ];
        list.add(cells, field(&["title", "name"]));
    }
    list.show()?;
    Ok(ExitCode::SUCCESS)
}

/// Returns a time to the minute, or what the service has in its place.
fn format_minute(text: &str) -> String {
    let at: Option<jiff::Timestamp> = text.parse().ok();
    at.map_or_else(|| one_line(text, 24), |at| at.strftime("%F %H:%MZ").to_string())
}

fn meeting_details(meeting: &Value) -> String {
    let fields = meeting.as_object().into_iter().flatten();
    fields.fold(String::new(), |told, (name, value)| {
        told + &format!("{}: {}\n", one_line(name, 60), one_line(&plain_text(value), 2000))
    })
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

fn shown_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(one_line(text, 200)),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
