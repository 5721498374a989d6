//! `minuted backup`: a consistent copy of the queue.

use std::process::ExitCode;

use super::{CommandFailure, absolute_path, print};
use crate::{cli, control::Caller, text::printable_path};

pub(super) async fn run(
    caller: &Caller,
    arguments: cli::Backup,
) -> Result<ExitCode, CommandFailure> {
    let target = absolute_path(&arguments.file);
    let bytes = caller.back_up(target.clone()).await?;
    let shown = printable_path(&target);
    let size = print::format_size(bytes);
    print::line(&format!(
        "the queue is copied to {shown} ({size}); the copy was read through and is whole"
    ))?;
    Ok(ExitCode::SUCCESS)
}
