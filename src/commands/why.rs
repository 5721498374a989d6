//! `minuted why FILE`.

use std::process::ExitCode;

use super::{CommandFailure, absolute_path, parse_answer, print};
use crate::{
    cli,
    control::{Caller, ControlRequest, WhyAnswer},
    text::printable,
};

pub(super) async fn run(caller: &Caller, arguments: cli::Why) -> Result<ExitCode, CommandFailure> {
    let answer = caller.ask(ControlRequest::Why { path: absolute_path(&arguments.file) }).await?;
    if arguments.output.json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let why: WhyAnswer = parse_answer(answer)?;
    print::line(&format!("{}: {}", printable(&why.path), printable(&why.answer)))?;
    if let Some(hint) = &why.hint {
        print::message(&format!("hint: {}", printable(hint)));
    }
    Ok(ExitCode::SUCCESS)
}
