//! minuted: parse, dispatch, print one error, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use minuted::{cli::Cli, commands, config::Environment, exit, memory};

fn main() -> ExitCode {
    if let Err(error) = memory::seal() {
        let failure = anyhow::Error::new(error).context("failed to keep this process's memory to itself").into();
        commands::print_failure(&failure, Environment::get());
        return ExitCode::from(exit::FAILURE);
    }
    let cli = Cli::parse();
    #[cfg(debug_assertions)]
    if let Some(death) = &Environment::get().die {
        minuted::effect::arm(death);
    }
    #[cfg(debug_assertions)]
    if let Some(file) = &Environment::get().clock {
        minuted::clock::set_by_file(file);
    }
    match commands::run(cli) {
        Ok(code) => code,
        Err(failure) => {
            commands::print_failure(&failure, Environment::get());
            ExitCode::from(failure.code())
        }
    }
}
