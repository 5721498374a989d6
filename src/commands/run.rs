//! `minuted run`: the daemon, in the foreground.

use std::process::ExitCode;

use anyhow::Context as _;

use super::{Failure, print};
use crate::{
    cli,
    config::{Environment, Settings},
    daemon::{self, Ended},
    exit, logging, signals,
    text::count,
};

pub(super) fn run(settings: Settings, arguments: &cli::Run) -> Result<ExitCode, Failure> {
    let environment = Environment::get();
    let mut stderr = logging::Stderr::of(environment.journal_stream.as_deref());
    stderr.terminal &= !environment.no_color;
    let guard = logging::start(&settings.log, environment.rust_log.as_deref(), stderr)
        .map_err(|error| anyhow::anyhow!(crate::worker::chain(&error)))?;
    let signals = signals::start().context("failed to listen to signals")?;
    let runtime = super::runtime()?;
    let drops = guard.drops();
    runtime.spawn(async move { drops.report_hourly().await });
    let ended = runtime.block_on(daemon::run(settings, signals, arguments.once));
    // A read from a network file system may hang for ever; it is not waited for.
    runtime.shutdown_background();
    let code = match ended? {
        Ended::Stopped => exit::OK,
        Ended::Finished(tally) if tally.failed == 0 && tally.held == 0 => exit::OK,
        Ended::Finished(tally) => {
            print::say(&format!(
                "minuted: {} failed, {} held until a person acts\nhint: minuted status; minuted jobs --state failed",
                count(tally.failed, "recording"),
                tally.held
            ));
            exit::FAILURE
        }
    };
    drop(guard);
    Ok(ExitCode::from(code))
}
