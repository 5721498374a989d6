//! `minuted systemd-drop-in`.

use std::process::ExitCode;

use super::{Failure, print};
use crate::{config::Settings, dropin::drop_in};

pub(super) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    print::raw(&drop_in(settings))?;
    Ok(ExitCode::SUCCESS)
}
