//! `minuted calendar`: what is to come, and which bots go there.

use std::process::ExitCode;

use serde_json::json;

use super::{
    CommandFailure,
    bot::format_minute,
    event_preview,
    print::{self, Column, List},
    vendor::Vendor,
};
use crate::{
    cli,
    config::Settings,
    sources::meetingbaas::BotSchedule,
    text::{one_line, printable},
};

/// The command that lists events, and which of them have a bot.
const LOOK: &str = "minuted calendar events shows what is to come, and which of it has a bot";

/// The command that lists the calendars.
const CALENDARS: &str = "minuted calendar list shows the calendars that there are";

pub(super) async fn run(
    settings: &Settings,
    command: cli::CalendarCommand,
) -> Result<ExitCode, CommandFailure> {
    match command {
        cli::CalendarCommand::List(arguments) => list_calendars(settings, &arguments).await?,
        cli::CalendarCommand::Preview(arguments) => {
            return event_preview::run(settings, arguments).await;
        }
        cli::CalendarCommand::Events(arguments) => list_events(settings, &arguments).await?,
        cli::CalendarCommand::Schedule(arguments) => {
            let vendor = Vendor::named(settings, arguments.of.source.as_deref())?;
            let name = arguments.sent.name.as_str();
            let transcribe = arguments.sent.transcribe;
            let plan = BotSchedule { name, transcribe, whole_series: arguments.series };
            let done = vendor.baas.schedule_bot(&arguments.event, &plan).await;
            done.map_err(|error| {
                vendor.undone_request(&error, "a bot may have been planned", LOOK)
            })?;
            print_outcome(&arguments.event, arguments.series, "has a bot", &arguments.of.output)?;
        }
        cli::CalendarCommand::Unschedule(arguments) => {
            let vendor = Vendor::named(settings, arguments.of.source.as_deref())?;
            let done = vendor.baas.unschedule_bot(&arguments.event, arguments.series).await;
            done.map_err(|error| {
                vendor.undone_request(&error, "the bot may have been taken away", LOOK)
            })?;
            print_outcome(&arguments.event, arguments.series, "has no bot", &arguments.of.output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list_calendars(
    settings: &Settings,
    arguments: &cli::OfSource,
) -> Result<(), CommandFailure> {
    let is_own_alone =
        settings.sources.is_empty() && !settings.calendars.is_empty() && arguments.source.is_none();
    let calendars = if is_own_alone {
        Vec::new()
    } else {
        let vendor = Vendor::named(settings, arguments.source.as_deref())?;
        let listed = vendor.baas.list_calendars().await;
        listed.map_err(|error| vendor.unanswered_question(&error, CALENDARS))?
    };
    if arguments.output.json {
        let mut all = event_preview::calendars_json(settings);
        all.extend(calendars.iter().map(|calendar| json!(calendar)));
        return Ok(print::json(&json!(all))?);
    }
    event_preview::print_calendars(settings)?;
    if is_own_alone {
        return Ok(());
    }
    if calendars.is_empty() {
        print::message("no calendar is connected to the account; the vendor's own pages do that");
        return Ok(());
    }
    let columns = [Column::Whole("id"), Column::Short("email", 16), Column::Short("status", 8)];
    let mut list = List::new(columns, "name");
    for calendar in calendars {
        let [email, status, name] = [calendar.email, calendar.status, calendar.name]
            .map(|text| one_line(&text.unwrap_or_default(), 80));
        list.add([calendar.id, email, status], name);
    }
    list.show()?;
    Ok(())
}

async fn list_events(
    settings: &Settings,
    arguments: &cli::CalendarEvents,
) -> Result<(), CommandFailure> {
    let vendor = Vendor::named(settings, arguments.of.source.as_deref())?;
    let events = vendor.baas.list_events(arguments.calendar.as_deref()).await;
    let events = events.map_err(|error| vendor.unanswered_question(&error, CALENDARS))?;
    if arguments.of.output.json {
        return Ok(print::json(&json!(events))?);
    }
    if events.is_empty() {
        print::message("nothing is to come");
        return Ok(());
    }
    for event in events {
        let bot = if event.bot { "  has a bot" } else { "" };
        let starts = event.starts.map(format_minute).unwrap_or_default();
        print::line(printable(&format!("{}  {starts}{bot}", event.id)).trim_end())?;
        print::line(&printable(&format!(
            "    {}",
            one_line(event.title.as_deref().unwrap_or("(no title)"), 200)
        )))?;
    }
    Ok(())
}

/// Tells how an event stands.
fn print_outcome(
    event: &str,
    series: bool,
    what: &str,
    output: &cli::Output,
) -> Result<(), CommandFailure> {
    let of = if series { "the series of event" } else { "event" };
    let message = format!("{of} {} {what}", one_line(event, 80));
    if output.json {
        print::json(&json!({ "event": event, "message": message }))?;
    } else {
        print::line(&printable(&message))?;
    }
    Ok(())
}
