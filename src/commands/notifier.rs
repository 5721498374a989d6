//! `minuted notify test`: whether a notifier takes what it is told.

use std::process::ExitCode;

use super::{CommandFailure, parse_answer, print};
use crate::{
    cli::{NotifyCommand, NotifyTestArgs},
    control::{Caller, ControlRequest, NotifyTest},
    exit,
    hint::with_hint,
    text::printable,
};

pub(super) async fn run(
    caller: &Caller,
    command: NotifyCommand,
) -> Result<ExitCode, CommandFailure> {
    match command {
        NotifyCommand::Test(arguments) => send_test(caller, arguments).await,
    }
}

async fn send_test(caller: &Caller, arguments: NotifyTestArgs) -> Result<ExitCode, CommandFailure> {
    let answer = caller.ask(ControlRequest::TestNotifier { notifier: arguments.name }).await?;
    let test: NotifyTest = parse_answer(answer.clone())?;
    let code = ExitCode::from(if test.ok { exit::OK } else { exit::FAILURE });
    if arguments.output.json {
        print::json(&answer)?;
    } else if test.ok {
        print::line(&printable(&format!("notifier {}: {}", test.notifier, test.message)))?;
    } else {
        let message = format!("notifier {} was not told: {}", test.notifier, test.message);
        let message = printable(&message).into_owned();
        print::message(&with_hint(&message, test.hint.as_deref().map(printable).as_deref()));
    }
    Ok(code)
}
