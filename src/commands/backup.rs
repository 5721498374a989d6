//! `minuted backup`: a consistent copy of the queue.

use std::process::ExitCode;

use super::{Failure, absolute, act};
use crate::{
    cli,
    control::{Caller, Request},
};

pub(super) async fn run(caller: &Caller, arguments: cli::Backup) -> Result<ExitCode, Failure> {
    act(caller, Request::Backup { path: absolute(&arguments.file) }).await?;
    Ok(ExitCode::SUCCESS)
}
