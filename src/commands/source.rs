//! `minuted source`: what sources have brought, and one recording now.

use std::process::ExitCode;

use super::{
    CommandFailure, act_and_print, parse_answer,
    print::{self, Column, List},
    say_without_daemon,
};
use crate::{
    cli,
    control::{Caller, ControlRequest},
    store::{DeletionState, FetchedState, FetchedView},
    text::one_line,
};

pub(super) async fn run(
    caller: &Caller,
    arguments: cli::SourceCommand,
) -> Result<ExitCode, CommandFailure> {
    match arguments {
        cli::SourceCommand::List(arguments) => list_recordings(caller, arguments).await,
        cli::SourceCommand::Fetch(arguments) => fetch_recording(caller, arguments).await,
    }
}

async fn list_recordings(
    caller: &Caller,
    arguments: cli::SourceList,
) -> Result<ExitCode, CommandFailure> {
    let answer = caller.ask(ControlRequest::SourceList { source: arguments.source }).await?;
    if arguments.output.json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<FetchedView> = parse_answer(answer)?;
    if rows.is_empty() {
        print::message("no recordings of sources are known");
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [
        Column::Short("source", 8),
        Column::Whole("recording"),
        Column::Time("ended"),
        Column::Whole("state"),
        Column::Whole("job"),
    ];
    let mut list = List::new(columns, "what");
    for row in &rows {
        let cells = [
            one_line(&row.source, 16),
            one_line(&row.id, 40),
            row.ended.strftime("%F %H:%MZ").to_string(),
            describe_state(row).to_owned(),
            row.job.map(|job| job.to_string()).unwrap_or_default(),
        ];
        list.add(cells, one_line(&describe_recording(row), 300));
    }
    list.show()?;
    Ok(ExitCode::SUCCESS)
}

async fn fetch_recording(
    caller: &Caller,
    arguments: cli::SourceFetch,
) -> Result<ExitCode, CommandFailure> {
    let request = ControlRequest::SourceFetch { source: arguments.source, id: arguments.bot };
    if arguments.output.json {
        print::json(&caller.ask(request).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    act_and_print(caller, request).await?;
    say_without_daemon(caller);
    Ok(ExitCode::SUCCESS)
}

fn describe_state(row: &FetchedView) -> &'static str {
    match (row.state, row.deletion) {
        (FetchedState::Placed, Some(DeletionState::Done)) => "deleted there",
        (state, _) => state.as_str(),
    }
}

/// Returns the path of a recording, else why it has none, else its title.
fn describe_recording(row: &FetchedView) -> String {
    let title = row.title.as_deref().unwrap_or_default();
    let due = row
        .due
        .map(|due| format!(" (next try in {})", print::format_time_left(due)))
        .unwrap_or_default();
    match (&row.error, &row.path) {
        (Some(error), _) => format!("{error}{due}"),
        (None, Some(path)) => path.rsplit('/').next().unwrap_or_default().to_owned(),
        (None, None) => format!("{title}{due}"),
    }
}
