//! `minuted why FILE`.

use std::process::ExitCode;

use super::{Failure, absolute, print, typed};
use crate::{
    cli,
    control::{Caller, Request, Why},
    text::printable,
};

pub(super) async fn run(caller: &Caller, arguments: cli::Why) -> Result<ExitCode, Failure> {
    let answer = caller.ask(Request::Why { path: absolute(&arguments.file) }).await?;
    if arguments.output.json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let why: Why = typed(answer)?;
    print::line(&format!("{}: {}", printable(&why.path), printable(&why.answer)))?;
    if let Some(hint) = &why.hint {
        print::say(&format!("hint: {}", printable(hint)));
    }
    Ok(ExitCode::SUCCESS)
}
