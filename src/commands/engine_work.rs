//! `minuted engine-work`: the child process of the engine. Not for people.

use std::process::ExitCode;

use super::Failure;
use crate::{cli::EngineWork, engine::child, exit};

/// Works, and tells its parent how it went: nothing is printed for a person.
pub(super) fn run(arguments: &EngineWork) -> Result<ExitCode, Failure> {
    if let Some(program) = &arguments.ffmpeg {
        let (parent, bytes_max) = (arguments.parent, arguments.writes);
        return Err(child::become_ffmpeg(program, &arguments.arguments, parent, bytes_max).into());
    }
    let work = child::request(arguments.request.as_deref().unwrap_or_default())?;
    Ok(if child::work(&work)? { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILURE) })
}
