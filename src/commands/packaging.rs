//! `minuted completions` and `minuted man`, for packagers.

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::{Failure, print};
use crate::cli::Cli;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "minuted", &mut script);
    print::raw(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man() -> Result<ExitCode, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print::raw(&String::from_utf8_lossy(&page))?;
    Ok(ExitCode::SUCCESS)
}
