//! `minuted pause`, `resume` and `backlog`: what a person decides about a folder.

use std::process::ExitCode;

use super::{Failure, act};
use crate::{
    cli::{self, Decision},
    control::{Caller, Request},
};

pub(super) async fn pause(caller: &Caller, arguments: cli::OfFolder) -> Result<ExitCode, Failure> {
    act(caller, Request::Pause { folder: arguments.folder }).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn resume(caller: &Caller, arguments: cli::OfFolder) -> Result<ExitCode, Failure> {
    act(caller, Request::Resume { folder: arguments.folder }).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn backlog(caller: &Caller, arguments: cli::Backlog) -> Result<ExitCode, Failure> {
    let process = match arguments.decision {
        Decision::Process => true,
        Decision::Skip => false,
    };
    act(caller, Request::Backlog { folder: arguments.folder, process }).await?;
    Ok(ExitCode::SUCCESS)
}
