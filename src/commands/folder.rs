//! `minuted pause`, `resume` and `backlog`: what a person decides about a folder.

use std::process::ExitCode;

use super::{CommandFailure, act_and_print};
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

pub(super) async fn decide_backlog(
    caller: &Caller,
    arguments: cli::BacklogArgs,
) -> Result<ExitCode, CommandFailure> {
    let process = match arguments.decision {
        Decision::Process => true,
        Decision::Skip => false,
    };
    act_and_print(caller, ControlRequest::Backlog { folder: arguments.folder, process }).await?;
    Ok(ExitCode::SUCCESS)
}
