//! `minuted systemd-drop-in`.

use std::process::ExitCode;

use super::{CommandFailure, print};
use crate::{config::Settings, dropin::drop_in};

pub(super) fn run(settings: &Settings) -> Result<ExitCode, CommandFailure> {
    print::raw(&drop_in(settings))?;
    Ok(ExitCode::SUCCESS)
}
