//! `minuted pause`, `resume` and `backlog`: what a person decides about a folder.

use std::process::ExitCode;

use super::{CommandFailure, act_and_print, print, survey};
use crate::{
    cli::{self, Decision},
    control::{Caller, ControlRequest},
};

pub(super) async fn pause_folder(
    caller: &Caller,
    arguments: cli::OfFolder,
) -> Result<ExitCode, CommandFailure> {
    act_and_print(caller, ControlRequest::Pause { folder: arguments.folder }).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn resume_folder(
    caller: &Caller,
    arguments: cli::OfFolder,
) -> Result<ExitCode, CommandFailure> {
    act_and_print(caller, ControlRequest::Resume { folder: arguments.folder }).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn run_backlog(
    caller: &Caller,
    arguments: cli::BacklogArgs,
) -> Result<ExitCode, CommandFailure> {
    let cli::BacklogArgs { folder, decision, output } = arguments;
    let Some(decision) = decision else {
        let found = caller.ask(ControlRequest::ShowBacklog { folder: folder.clone() }).await?;
        let none = format!("no recording of folder `{folder}` waits for a decision");
        return survey::show(found, output.json, &none);
    };
    let process = match decision {
        Decision::Process => true,
        Decision::Skip => false,
    };
    let request = ControlRequest::Backlog { folder, process };
    if output.json {
        print::json(&caller.ask(request).await?)?;
    } else {
        act_and_print(caller, request).await?;
    }
    Ok(ExitCode::SUCCESS)
}
