//! `minuted status`: services, folders, counts, and what runs now.

use std::{process::ExitCode, sync::Arc, time::Duration};

use super::{
    CommandFailure, parse_answer,
    print::{self, Column, List},
};
use crate::{
    cli,
    config::Settings,
    control::{
        Caller, ConnectionState, ControlRequest, MailStatus, NotifierStatus, RunningStatus,
        ServiceStatus, SourceStatus, StatusReport,
    },
    job::{HoldReason, JobState},
    progress::Unit,
    text::{ShellCommand, format_count, one_line, printable},
};

/// The interval of `--watch`.
const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(
    settings: &Arc<Settings>,
    mut caller: Caller,
    arguments: cli::StatusArgs,
) -> Result<ExitCode, CommandFailure> {
    loop {
        let answer = caller.ask(ControlRequest::Status).await?;
        // Without a daemon the caller holds the state directory's lock: between looks a daemon must be able to start.
        drop(caller);
        if arguments.output.json {
            print::json(&answer)?;
        } else {
            let status: StatusReport = parse_answer(answer)?;
            if arguments.watch && print::is_shown() {
                print::raw("\u{1b}[H\u{1b}[2J")?;
            }
            print_status(&status)?;
        }
        if !arguments.watch {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(EVERY).await;
        caller = Caller::connect(Arc::clone(settings)).await?.with_delay_notice(print::message);
    }
}

fn print_status(status: &StatusReport) -> Result<(), CommandFailure> {
    if status.daemon {
        print::line(&format!("minuted {} runs (pid {})", status.version, status.pid))?;
    } else {
        print::line(
            "no daemon runs: nothing is watched (minuted run, or systemctl start minuted)",
        )?;
    }
    for service in &status.services {
        print::line(&printable(&service_line(service)))?;
    }
    for source in &status.sources {
        print::line(&printable(&source_line(source)))?;
    }
    if status.disk_full {
        let dir = &status.state_dir;
        print::line(&format!(
            "the disk of the queue ({dir}) is full: nothing new is begun; free some space"
        ))?;
    }
    if let Some(mail) = &status.mail {
        print::line(&printable(&mail_line(mail)))?;
    }
    for notifier in &status.notifiers {
        print::line(&printable(&notifier_line(notifier)))?;
    }
    show_folders(status)?;
    show_running(status)
}

fn describe_state(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Up => "up",
        ConnectionState::Unknown => "not asked",
        ConnectionState::Held(HoldReason::SignedOut) => "signed out",
        ConnectionState::Held(HoldReason::Reading) => "being read",
        ConnectionState::Held(HoldReason::Budget) => "at its daily limit",
        ConnectionState::Held(HoldReason::Folder) => "waiting for its folder",
        ConnectionState::Held(reason) => reason.as_str(),
    }
}

fn service_line(service: &ServiceStatus) -> String {
    let state = describe_state(service.state);
    let detail = match (&service.detail, service.signed_in_until) {
        (Some(detail), _) => format!(": {detail}"),
        (None, Some(until)) => format!(", signed in until {}", until.strftime("%F")),
        (None, None) => String::new(),
    };
    let next = service
        .next_try
        .map(|at| format!("; next try in {}", print::format_time_left(at)))
        .unwrap_or_default();
    format!(
        "service {} ({}) is {state}{detail}{next}",
        service.name,
        service.base_url.trim_end_matches('/')
    )
}

fn source_line(source: &SourceStatus) -> String {
    let state = describe_state(source.state);
    let detail = source.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let next = source.next.filter(|_| source.detail.is_some());
    let next =
        next.map(|at| format!("; next try in {}", print::format_time_left(at))).unwrap_or_default();
    let fetching = source.fetching.as_ref().map(|fetching| {
        let percent = fetching.bytes.saturating_mul(100).checked_div(fetching.total);
        let part = percent
            .map_or_else(|| print::format_size(fetching.bytes), |percent| format!("{percent}%"));
        format!("; fetches {} ({part})", one_line(&fetching.id, 40))
    });
    let brought =
        format!("{} brought, {} awaited, {} failed", source.placed, source.found, source.failed);
    let place = source.base_url.trim_end_matches('/');
    let fetching = fetching.unwrap_or_default();
    format!(
        "source {} ({place}, into {}) is {state}{detail}{next}; {brought}{fetching}",
        source.name, source.into
    )
}

fn mail_line(mail: &MailStatus) -> String {
    let next = mail
        .next_try
        .map(|at| format!("; next try in {}", print::format_time_left(at)))
        .unwrap_or_default();
    format!("mail by {} is down: {}{next}", mail.host, mail.detail)
}

fn notifier_line(notifier: &NotifierStatus) -> String {
    let mut parts = Vec::new();
    if notifier.waiting > 0 {
        parts.push(format!("{} waiting", format_count(notifier.waiting, "notification")));
    }
    if notifier.failed > 0 {
        parts.push(format!("{} given up", format_count(notifier.failed, "notification")));
    }
    if let Some(last) = notifier.last_sent.filter(|_| parts.is_empty()) {
        parts.push(format!("told last of what happened {}", print::format_age(last)));
    }
    if let Some(error) = &notifier.error {
        let next = notifier.next_try.map(print::format_time_left);
        let next = next.map(|next| format!("; next try in {next}")).unwrap_or_default();
        parts.push(format!("{}{next}", one_line(error, 200)));
    }
    if parts.is_empty() {
        parts.push("nothing to tell yet".to_owned());
    }
    format!("notifier {} ({}): {}", notifier.name, notifier.kind, parts.join(", "))
}

fn show_folders(status: &StatusReport) -> Result<(), CommandFailure> {
    if status.folders.is_empty() {
        print::line("no folder is configured")?;
        return Ok(());
    }
    print::line("")?;
    let columns = [
        Column::Short("folder", 8),
        Column::Whole("settling"),
        Column::Whole("ready"),
        Column::Whole("working"),
        Column::Whole("done"),
        Column::Whole("failed"),
    ];
    let mut list = List::new(columns, "watch");
    for folder in &status.folders {
        let jobs = |states: &[JobState]| {
            states.iter().filter_map(|state| folder.jobs.get(state)).sum::<u64>().to_string()
        };
        let cells = [
            one_line(&folder.name, 24),
            folder.settling.to_string(),
            jobs(&[JobState::Ready]),
            jobs(&[JobState::Running, JobState::Waiting]),
            jobs(&[JobState::Done]),
            jobs(&[JobState::Failed]),
        ];
        list.add(cells, folder.watch.clone().unwrap_or_else(|| "-".to_owned()));
    }
    list.show()?;
    for folder in &status.folders {
        if let Some(trouble) = &folder.trouble {
            print::line(&printable(&format!("folder {}: {trouble}", folder.name)))?;
        }
        if folder.backlog > 0 {
            let name = &folder.name;
            let old = format_count(folder.backlog, "recording");
            let decide =
                ShellCommand::new("minuted backlog").add_word(name).add_words("process|skip");
            print::line(&format!("folder {name}: {old} from before minuted; {decide}"))?;
        }
    }
    Ok(())
}

fn show_running(status: &StatusReport) -> Result<(), CommandFailure> {
    for running in &status.running {
        print::line(&running_line(running))?;
    }
    if status.waiting_for_analysis > 0 {
        let slow = if status.slow > 0 {
            format!(", {} of them longer than usual", status.slow)
        } else {
            String::new()
        };
        print::line(&format!(
            "{} wait for the service's analysis{slow}",
            status.waiting_for_analysis
        ))?;
    }
    Ok(())
}

fn running_line(running: &RunningStatus) -> String {
    let file = one_line(running.path.rsplit('/').next().unwrap_or_default(), 40);
    let percent = running.sent.saturating_mul(100).checked_div(running.total);
    let of = || match running.unit {
        Unit::Bytes => format!(" of {}", print::format_size(running.total)),
        Unit::Milliseconds => format!(" of {}", print::format_clock(running.total / 1000)),
        Unit::Percent => String::new(),
    };
    let progress = percent.map_or_else(String::new, |percent| format!(" {percent}%{}", of()));
    let ends = running
        .ends
        .map(|at| format!(", ends in about {}", print::format_time_left(at)))
        .unwrap_or_default();
    let doing = match running.unit {
        Unit::Milliseconds | Unit::Percent => "transcribe",
        Unit::Bytes => running.stage.as_str(),
    };
    format!(
        "job {} {doing} {file}{progress} ({}{ends})",
        running.id,
        print::format_age(running.since)
    )
}
