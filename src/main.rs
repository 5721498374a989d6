//! minuted: parse, dispatch, print one error, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use minuted::{cli::Cli, commands, config::Environment};

fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(debug_assertions)]
    if let Some(death) = &Environment::get().die {
        minuted::effect::arm(death);
    }
    match commands::run(cli) {
        Ok(code) => code,
        Err(failure) => {
            commands::tell(&failure, Environment::get());
            ExitCode::from(failure.code())
        }
    }
}
