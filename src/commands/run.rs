//! `minuted run`: the daemon, in the foreground.

use std::process::ExitCode;

use anyhow::Context as _;

use super::{CommandFailure, print};
use crate::{
    cli,
    config::{Environment, Settings},
    daemon::{self, Ended, Tally},
    exit,
    hint::{Hinted, with_hint},
    logging, signals,
    text::format_count,
};

pub(super) fn run(settings: Settings, arguments: &cli::Run) -> Result<ExitCode, CommandFailure> {
    let environment = Environment::get();
    let mut stderr = logging::Stderr::from_journal_stream(environment.journal_stream.as_deref());
    stderr.terminal &= !environment.no_color;
    let guard = logging::start_logging(&settings.log, environment.rust_log.as_deref(), stderr)
        .map_err(|error| {
            anyhow::Error::from(Hinted::new(crate::text::error_chain(&error), error.cure()))
        })?;
    let signals = signals::start().context("failed to listen to signals")?;
    let runtime = super::build_runtime()?;
    let drops = guard.dropped_lines();
    runtime.spawn(async move { drops.report_hourly().await });
    let ended = runtime.block_on(daemon::run(settings, signals, arguments.once));
    // A read from a network file system may hang for ever; it is not waited for.
    runtime.shutdown_background();
    let code = match ended? {
        Ended::Stopped => exit::OK,
        Ended::Finished(tally) => {
            print_left_undone(tally);
            if (Tally { limited: 0, ..tally }) == Tally::default() {
                exit::OK
            } else {
                exit::FAILURE
            }
        }
    };
    drop(guard);
    Ok(ExitCode::from(code))
}

/// Says what a run left undone, and what to do.
fn print_left_undone(tally: Tally) {
    let lines = [
        (
            tally.failed,
            "recording",
            "failed",
            "minuted jobs --state failed; minuted retry --failed",
        ),
        (tally.held, "recording", "held until a person acts", "minuted status"),
        (
            tally.waiting,
            "recording",
            "waiting for what is down; the next run goes on with them",
            "minuted status",
        ),
        (
            tally.limited,
            "recording",
            "waiting for the next day, by a daily limit; the next run goes on with them",
            "minuted status",
        ),
        (
            tally.sources,
            "source",
            "not asked to the end; the next run asks again",
            "minuted status; minuted source list",
        ),
        (tally.unscanned, "folder", "not looked through", "minuted check"),
    ];
    for (number, what, how, hint) in lines.into_iter().filter(|(number, ..)| *number > 0) {
        print::message(&with_hint(
            &format!("minuted: {} {how}", format_count(number, what)),
            Some(hint),
        ));
    }
}
