//! `minuted status`: services, folders, counts, and what runs now.

use std::{process::ExitCode, time::Duration};

use super::{Failure, print, typed};
use crate::{
    cli,
    control::{Caller, Request, RunningStatus, Status},
    text::{one_line, printable},
};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(caller: &Caller, arguments: cli::Status) -> Result<ExitCode, Failure> {
    loop {
        let answer = caller.ask(Request::Status).await?;
        if arguments.output.json {
            print::json(&answer)?;
        } else {
            let status: Status = typed(answer)?;
            if arguments.watch && print::is_watched() {
                print::raw("\u{1b}[H\u{1b}[2J")?;
            }
            show(&status)?;
        }
        if !arguments.watch {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn show(status: &Status) -> Result<(), Failure> {
    if status.daemon {
        print::line(&format!("minuted {} runs (pid {})", status.version, status.pid))?;
    } else {
        print::line("no daemon runs: nothing is watched (minuted run, or systemctl start minuted)")?;
    }
    for service in &status.services {
        let detail = service.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        let next = service.next_try.map(|at| format!("; next try in {}", print::until(at))).unwrap_or_default();
        let line = format!("service {} ({}) is {}{detail}{next}", service.name, service.base_url, service.state);
        print::line(&printable(&line))?;
    }
    if status.disk_full {
        print::line("the disk of the queue is full: nothing new is begun until there is room")?;
    }
    show_folders(status)?;
    show_running(status)
}

fn show_folders(status: &Status) -> Result<(), Failure> {
    if status.folders.is_empty() {
        print::line("no folder is configured")?;
        return Ok(());
    }
    print::line("")?;
    let mut table = print::table(&["folder", "settling", "ready", "working", "done", "failed", "watch"]);
    for folder in &status.folders {
        let count =
            |states: &[&str]| states.iter().filter_map(|state| folder.jobs.get(*state)).sum::<u64>().to_string();
        table.add_row([
            folder.name.clone(),
            folder.settling.to_string(),
            count(&["ready"]),
            count(&["running", "waiting"]),
            count(&["done"]),
            count(&["failed"]),
            folder.watch.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    print::show(&table)?;
    for folder in &status.folders {
        if let Some(trouble) = &folder.trouble {
            print::line(&printable(&format!("folder {}: {trouble}", folder.name)))?;
        }
        if folder.backlog > 0 {
            let (name, count) = (&folder.name, folder.backlog);
            print::line(&format!(
                "folder {name}: {count} recordings were there before; minuted backlog {name} process|skip"
            ))?;
        }
    }
    Ok(())
}

fn show_running(status: &Status) -> Result<(), Failure> {
    for running in &status.running {
        print::line(&running_line(running))?;
    }
    if status.waiting_for_analysis > 0 {
        let slow = if status.slow > 0 { format!(", {} of them longer than usual", status.slow) } else { String::new() };
        print::line(&format!("{} wait for the service's analysis{slow}", status.waiting_for_analysis))?;
    }
    Ok(())
}

fn running_line(running: &RunningStatus) -> String {
    let file = one_line(running.path.rsplit('/').next().unwrap_or_default(), 40);
    let percent = running.sent.saturating_mul(100).checked_div(running.total);
    let progress = percent.map_or_else(String::new, |percent| format!(" {percent}% of {}", print::size(running.total)));
    format!("job {} {} {file}{progress} ({})", running.id, running.stage, print::ago(running.since))
}
