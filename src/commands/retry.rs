//! `minuted retry`, `redo`, `cancel` and `analyse`: what a person asks of a job.

use std::process::ExitCode;

use super::{CommandFailure, act_and_print, job_name, print, say_without_daemon};
use crate::{
    cli,
    config::{Analysis, Environment},
    control::{Caller, ControlRequest, Refusal},
    exit,
};

pub(super) async fn retry_jobs(
    caller: &Caller,
    arguments: cli::RetryArgs,
) -> Result<ExitCode, CommandFailure> {
    if arguments.failed {
        return change_job(caller, ControlRequest::RetryFailed, false).await;
    }
    let mut failed = false;
    for job in &arguments.jobs {
        if let Err(failure) =
            change_job(caller, ControlRequest::Retry { job: job_name(job) }, false).await
        {
            super::print_failure(&failure, Environment::get());
            failed = true;
        }
    }
    Ok(ExitCode::from(if failed { exit::FAILURE } else { exit::OK }))
}

pub(super) async fn redo_job(
    caller: &Caller,
    arguments: cli::OneJob,
) -> Result<ExitCode, CommandFailure> {
    change_job(
        caller,
        ControlRequest::Redo { job: job_name(&arguments.job) },
        arguments.output.json,
    )
    .await
}

pub(super) async fn cancel_job(
    caller: &Caller,
    arguments: cli::OneJob,
) -> Result<ExitCode, CommandFailure> {
    let request = ControlRequest::Cancel { job: job_name(&arguments.job) };
    if arguments.output.json {
        return change_job(caller, request, true).await;
    }
    act_and_print(caller, request).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn analyse_job(
    caller: &Caller,
    arguments: cli::Analyse,
) -> Result<ExitCode, CommandFailure> {
    let known = || Analysis::ALL.map(Analysis::as_str).join(", ");
    let analyses: Result<Vec<Analysis>, Refusal> = arguments
        .types
        .iter()
        .map(|word| {
            Analysis::parse(word).ok_or_else(|| {
                Refusal::new(format!("`{word}` is not an analysis"))
                    .hint(format!("the analyses are: {}", known()))
            })
        })
        .collect();
    let request = ControlRequest::Analyse {
        job: job_name(&arguments.job),
        analyses: analyses?,
        mail: arguments.mail,
    };
    change_job(caller, request, false).await
}

async fn change_job(
    caller: &Caller,
    request: ControlRequest,
    json: bool,
) -> Result<ExitCode, CommandFailure> {
    if json {
        print::json(&caller.ask(request).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    act_and_print(caller, request).await?;
    say_without_daemon(caller);
    Ok(ExitCode::SUCCESS)
}
