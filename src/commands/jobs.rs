//! `minuted jobs` and `minuted job`: the queue, and one job with its history.

use std::process::ExitCode;

use super::{
    CommandFailure, job_name, parse_answer,
    print::{self, Column, List},
};
use crate::{
    cli, clock,
    control::{Caller, ControlRequest, ExplainContext, explain_job},
    job::Stage,
    store::JobView,
    text::{one_line, printable},
};

pub(super) async fn list_jobs(
    caller: &Caller,
    arguments: cli::JobsArgs,
) -> Result<ExitCode, CommandFailure> {
    let state = arguments.state;
    let answer = caller.ask(ControlRequest::Jobs { state, folder: arguments.folder }).await?;
    if arguments.output.json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let jobs: Vec<JobView> = parse_answer(answer)?;
    if jobs.is_empty() {
        print::message("no jobs");
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [
        Column::Whole("id"),
        Column::Whole("state"),
        Column::Whole("stage"),
        Column::Whole("try"),
        Column::Whole("age"),
        Column::Short("folder", 8),
    ];
    let mut list = List::new(columns, "file");
    for job in &jobs {
        let state =
            job.waits_for.map_or_else(|| job.state.to_string(), |waits| format!("waits: {waits}"));
        let file = job.path.rsplit('/').next().unwrap_or_default();
        let tries = if job.attempts == 0 { String::new() } else { job.attempts.to_string() };
        let stage = job.stage.map_or("", Stage::as_str).to_owned();
        let cells = [
            job.id.to_string(),
            state,
            stage,
            tries,
            print::format_age(job.created),
            one_line(&job.folder, 16),
        ];
        list.add(cells, one_line(file, 200));
    }
    list.show()?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn show_job(
    caller: &Caller,
    arguments: cli::OneJob,
) -> Result<ExitCode, CommandFailure> {
    let answer = caller.ask(ControlRequest::Job { job: job_name(&arguments.job) }).await?;
    if arguments.output.json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let job: JobView = parse_answer(answer)?;
    let scene = ExplainContext { daemon: caller.is_daemon(), is_gone: false, now: clock::now() };
    let (answer, hint) = explain_job(&job, scene);
    print::line(&printable(&answer))?;
    collect_facts(&job).into_iter().try_for_each(|(name, value)| {
        print::line(&format!("  {name:<10} {}", printable(&value)))
    })?;
    for delivery in &job.deliveries {
        let error = delivery.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        let what = format!("{} {}", delivery.kind, delivery.target);
        let line = format!("  {:<10} {}: {}{error}", "delivery", what.trim_end(), delivery.state);
        print::line(&printable(&line))?;
    }
    for event in job.history.iter().flatten() {
        let stage = event.stage.map_or("-", Stage::as_str);
        let error = event.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        let line = format!("  {}  {stage:<8} {}{error}", event.at.strftime("%F %TZ"), event.event);
        print::line(&printable(&line))?;
    }
    if let Some(hint) = hint {
        print::message(&format!("hint: {}", printable(&hint)));
    }
    Ok(ExitCode::SUCCESS)
}

fn collect_facts(job: &JobView) -> Vec<(&'static str, String)> {
    let mut facts = vec![("recording", job.path.clone()), ("folder", job.folder.clone())];
    let optional = [
        ("title", &job.title),
        ("service", &job.service),
        ("meeting", &job.meeting_id),
        ("upload", &job.recording_id),
        ("key", &job.key),
    ];
    facts.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    facts.extend(job.notes.iter().map(|notes| ("notes", notes.clone())));
    facts
}
