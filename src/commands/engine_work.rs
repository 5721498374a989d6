//! `minuted engine-work`: the child process of the engine. Not for people.

use std::process::ExitCode;

use super::{CommandFailure, print, print_failure};
use crate::{
    cli::EngineWork,
    config::Environment,
    engine::{child, ffmpeg_child, hook_child, lender, trial},
    exit,
};

/// Works, and tells its parent how it went: nothing is printed for a person.
pub(super) fn run(arguments: &EngineWork) -> Result<ExitCode, CommandFailure> {
    if let Some(program) = &arguments.ffmpeg {
        let error = ffmpeg_child::become_ffmpeg(
            program,
            &arguments.arguments,
            arguments.parent,
            arguments.writes,
        );
        print_failure(&error.into(), Environment::get());
        return Ok(ExitCode::from(ffmpeg_child::NEVER_BEGAN));
    }
    if let Some(program) = &arguments.hook {
        let error = hook_child::become_hook(program, arguments.parent, arguments.network);
        print_failure(&error.into(), Environment::get());
        return Ok(ExitCode::from(hook_child::NEVER_BEGAN));
    }
    if let Some(program) = &arguments.lend {
        lender::lend(program, arguments.parent)?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.trial {
        print::json(&serde_json::json!(trial::confine_for_trial()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let work = child::request(arguments.request.as_deref().unwrap_or_default())?;
    Ok(if child::work(&work)? { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILURE) })
}
