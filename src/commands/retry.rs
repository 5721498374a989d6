//! `minuted retry`, `redo`, `cancel` and `analyse`: what a person asks of a job.

use std::process::ExitCode;

use super::{Failure, act, job_name, print, say_without_daemon};
use crate::{
    cli,
    config::{Analysis, Environment},
    control::{Caller, Refusal, Request},
    exit,
};

pub(super) async fn retry(caller: &Caller, arguments: cli::Retry) -> Result<ExitCode, Failure> {
    if arguments.failed {
        return change(caller, Request::RetryFailed, false).await;
    }
    let mut failed = false;
    for job in &arguments.jobs {
        if let Err(failure) = change(caller, Request::Retry { job: job_name(job) }, false).await {
            super::tell(&failure, Environment::get());
            failed = true;
        }
    }
    Ok(ExitCode::from(if failed { exit::FAILURE } else { exit::OK }))
}

pub(super) async fn redo(caller: &Caller, arguments: cli::OneJob) -> Result<ExitCode, Failure> {
    change(caller, Request::Redo { job: job_name(&arguments.job) }, arguments.output.json).await
}

pub(super) async fn cancel(caller: &Caller, arguments: cli::OneJob) -> Result<ExitCode, Failure> {
    let request = Request::Cancel { job: job_name(&arguments.job) };
    if arguments.output.json {
        return change(caller, request, true).await;
    }
    act(caller, request).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn analyse(caller: &Caller, arguments: cli::Analyse) -> Result<ExitCode, Failure> {
    let known = || Analysis::ALL.map(Analysis::as_str).join(", ");
    let analyses: Result<Vec<Analysis>, Refusal> = arguments
        .types
        .iter()
        .map(|word| {
            Analysis::parse(word).ok_or_else(|| {
                Refusal::new(format!("`{word}` is not an analysis")).hint(format!("the analyses are: {}", known()))
            })
        })
        .collect();
    let request = Request::Analyse { job: job_name(&arguments.job), analyses: analyses?, mail: arguments.mail };
    change(caller, request, false).await
}

async fn change(caller: &Caller, request: Request, json: bool) -> Result<ExitCode, Failure> {
    if json {
        print::json(&caller.ask(request).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    act(caller, request).await?;
    say_without_daemon(caller);
    Ok(ExitCode::SUCCESS)
}
