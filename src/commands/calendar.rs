//! `minuted calendar`: what is to come, and which bots go there.

use std::process::ExitCode;

use serde_json::json;

use super::{
    CommandFailure, event_preview,
    print::{self, Column, List},
};
use crate::{
    cli,
    config::Settings,
    control::{EventBotOrder, VendorAccount, format_minute},
    text::{one_line, printable},
};

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
            let account = VendorAccount::find(settings, arguments.of.source.as_deref())?;
            let order = EventBotOrder {
                event: &arguments.event,
                name: Some(&arguments.sent.name),
                transcribe: arguments.sent.transcribe,
                whole_series: arguments.series,
            };
            let scheduled = account.schedule_bot(&order).await?;
            print::outcome(&scheduled, &arguments.of.output)?;
        }
        cli::CalendarCommand::Unschedule(arguments) => {
            let account = VendorAccount::find(settings, arguments.of.source.as_deref())?;
            let unscheduled = account.unschedule_bot(&arguments.event, arguments.series).await?;
            print::outcome(&unscheduled, &arguments.of.output)?;
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
        VendorAccount::find(settings, arguments.source.as_deref())?.list_calendars().await?
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
    let account = VendorAccount::find(settings, arguments.of.source.as_deref())?;
    let events = account.list_events(arguments.calendar.as_deref()).await?;
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
