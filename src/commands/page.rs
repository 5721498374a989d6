//! `minuted page`: the link that opens the page, or the token of the API.

use std::process::ExitCode;

use super::{CommandFailure, parse_answer, print};
use crate::{
    cli,
    control::{ApiToken, Caller, ControlRequest, PageLink},
};

pub(super) async fn show_link(
    caller: &Caller,
    arguments: cli::Page,
) -> Result<ExitCode, CommandFailure> {
    if arguments.api_token {
        return show_api_token(caller, &arguments).await;
    }
    let answer = caller.ask(ControlRequest::Page { new_token: arguments.new_token }).await?;
    if arguments.output.json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let link: PageLink = parse_answer(answer)?;
    if link.sessions_ended {
        print::message("everybody is signed out");
    }
    print::line(&link.link)?;
    print::message("the link opens the page once, within five minutes");
    Ok(ExitCode::SUCCESS)
}

async fn show_api_token(
    caller: &Caller,
    arguments: &cli::Page,
) -> Result<ExitCode, CommandFailure> {
    let answer = caller.ask(ControlRequest::ApiToken { new_token: arguments.new_token }).await?;
    if arguments.output.json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let ApiToken { token, url } = parse_answer(answer)?;
    print::line(&token)?;
    print::message(&format!("send it as `Authorization: Bearer TOKEN` with each request to {url}"));
    Ok(ExitCode::SUCCESS)
}
