//! `minuted scan`: look through the folders now.

use std::process::ExitCode;

use super::{CommandFailure, act_and_print, print, survey};
use crate::{
    cli,
    control::{Caller, ControlRequest},
};

pub(super) async fn run(caller: &Caller, arguments: cli::Scan) -> Result<ExitCode, CommandFailure> {
    let request = ControlRequest::Scan { dry_run: arguments.dry_run };
    if arguments.dry_run {
        let found = caller.ask(request).await?;
        return survey::show(found, arguments.output.json, "nothing new lies in the folders");
    }
    if arguments.output.json {
        print::json(&caller.ask(request).await?)?;
    } else {
        act_and_print(caller, request).await?;
    }
    Ok(ExitCode::SUCCESS)
}
