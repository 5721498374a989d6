//! The first page: what needs attention, what runs, the folders and the services.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{numbers, show_page, show_problem, time};
use crate::{
    control::{
        ConnectionState, FolderDetails, FolderStatus, Overview, Refusal, RunningStatus,
        ServiceDetails, ServiceStatus, StatusReport,
    },
    job::{HoldReason, JobState},
    store::{JobQuery, JobView},
    text::{format_count, printable},
    web::Web,
};

/// Failed recordings that are named; the rest is a link.
const FAILED_MAX: u32 = 5;

/// The query of a page that shows a message once.
#[derive(Deserialize)]
pub(in crate::web) struct MessageQuery {
    /// The name of the message.
    pub message: Option<String>,
}

/// The first page as it was made last, for all who wait for it at that moment.
#[derive(Debug, Default)]
pub(in crate::web) struct SharedOverview(Mutex<Option<(Instant, Markup)>>);

impl SharedOverview {
    /// Returns the page as it is now, or as somebody else has made it since this was asked: however many browsers look,
    /// it is made once at a time.
    async fn read(&self, web: &Web) -> Result<Markup, Refusal> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((begun, content)) = last.as_ref()
            && *begun >= asked
        {
            return Ok(content.clone());
        }
        let begun = Instant::now();
        let content = make_content(web).await?;
        *last = Some((begun, content.clone()));
        Ok(content)
    }
}

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    Query(query): Query<MessageQuery>,
) -> Response {
    let content = match web.overview.read(&web).await {
        Ok(content) => content,
        Err(refusal) => {
            let hint = refusal.hint.as_deref();
            return show_problem(StatusCode::SERVICE_UNAVAILABLE, &refusal.message, hint);
        }
    };
    let message = query.message.as_deref().and_then(|name| web.messages.take(name));
    show_page("Overview", "/", message.as_deref(), &content)
}

async fn make_content(web: &Web) -> Result<Markup, Refusal> {
    let failed =
        JobQuery { states: vec![JobState::Failed], limit: FAILED_MAX, ..JobQuery::default() };
    let failed = web.service.latest_jobs(failed).await?;
    let status = web.status().await?;
    let details = web.service.overview().await?;
    let recent = web.service.recent_numbers().await?;
    Ok(html! {
        h1 { "Overview" }
        section #attention data-live aria-label="Attention" { (attention(&status, &failed, &details)) }
        section #running data-live aria-labelledby="running-title" { (running(&status)) }
        section #folders data-live aria-labelledby="folders-title" { (folders(&status, &details)) }
        section #services data-live aria-labelledby="services-title" { (services(&status, &details)) }
        section #numbers data-live aria-labelledby="numbers-title" { (numbers::section(&recent)) }
        p.quiet {
            "minuted " (status.version) ", configuration " code { (printable(&status.config)) }
            ", state in " code { (printable(&status.state_dir)) } ", " a href="/api" { "API for programs" }
        }
    })
}

/// What needs somebody, first.
fn attention(status: &StatusReport, failed: &[JobView], details: &Overview) -> Markup {
    let held = status.services.iter().filter(|service| is_held(service.state));
    let held: Vec<_> = held.collect();
    let sources: Vec<_> = status.sources.iter().filter(|source| is_held(source.state)).collect();
    let folders: Vec<_> = status
        .folders
        .iter()
        .filter_map(|folder| Some((folder, folder.trouble.as_ref()?)))
        .collect();
    let failures: u64 =
        status.folders.iter().filter_map(|folder| folder.jobs.get(&JobState::Failed)).sum();
    let backlog: Vec<_> = status.folders.iter().filter(|folder| folder.backlog > 0).collect();
    let is_calm = held.is_empty()
        && sources.is_empty()
        && folders.is_empty()
        && backlog.is_empty()
        && failures == 0
        && status.mail.is_none()
        && !status.disk_full;
    html! {
        @if is_calm { p.calm { "Nothing needs attention." } }
        @if status.disk_full {
            div.alert {
                h2 { "The disk is full" }
                p { "The disk of " code { (printable(&status.state_dir)) } " is full: nothing new is begun. Free some space." }
            }
        }
        @for service in held { (held_service(service, details)) }
        @for source in sources {
            div.alert {
                h2 { "Source " (printable(&source.name)) ": " (connection_word(source.state)) }
                p { (printable(source.detail.as_deref().unwrap_or("nothing is fetched"))) }
            }
        }
        @if let Some(mail) = &status.mail {
            div.alert {
                h2 { "Mail waits" }
                p { (printable(&mail.host)) ": " (printable(&mail.detail)) }
                @if let Some(next) = mail.next_try { p { "The next try is at " (time(next)) "." } }
            }
        }
        @for (folder, trouble) in folders {
            div.alert {
                h2 { "Folder " (printable(&folder.name)) }
                p { (printable(trouble)) }
            }
        }
        @for folder in backlog { (undecided_backlog(folder)) }
        @if failures > 0 { (failed_recordings(failures, failed)) }
    }
}

fn held_service(service: &ServiceStatus, details: &Overview) -> Markup {
    let has_sign_in =
        details.services.get(&service.name).is_some_and(|details| details.has_sign_in);
    html! {
        div.alert {
            h2 { "Service " (printable(&service.name)) ": " (connection_word(service.state)) }
            p { (printable(service.detail.as_deref().unwrap_or("nothing new is sent to it"))) }
            @if let Some(next) = service.next_try { p { "The next try is at " (time(next)) "." } }
            @if service.state == ConnectionState::Held(HoldReason::SignedOut) && has_sign_in {
                (sign_in_form(&service.name))
            }
        }
    }
}

fn undecided_backlog(folder: &FolderStatus) -> Markup {
    html! {
        div.alert {
            h2 { "Folder " (printable(&folder.name)) ": old recordings" }
            p { (format_count(folder.backlog, "recording")) " lay there before minuted came. Shall notes be made of them?" }
            form method="post" action=(folder_action(&folder.name, "backlog")) {
                button name="process" value="true" { "Make notes" }
                button.plain name="process" value="false" { "Leave them alone" }
            }
        }
    }
}

fn failed_recordings(count: u64, latest: &[JobView]) -> Markup {
    html! {
        div.alert {
            h2 { (format_count(count, "recording")) " failed" }
            ul {
                @for job in latest {
                    li {
                        a href=(format!("/jobs/{}", job.id)) { (printable(file_name(&job.path))) }
                        ": " (printable(job.error.as_deref().unwrap_or("no reason is known")))
                    }
                }
            }
            form method="post" action="/retry-failed" {
                button { "Retry all" }
                " " a href="/jobs?state=failed" { "Show all" }
            }
        }
    }
}

fn running(status: &StatusReport) -> Markup {
    html! {
        h2 #running-title { "Now" }
        @if status.running.is_empty() && status.waiting_for_analysis == 0 { p.quiet { "Nothing runs." } }
        @for job in &status.running { (running_job(job)) }
        @if status.waiting_for_analysis > 0 {
            p {
                (format_count(status.waiting_for_analysis as u64, "recording")) " at a service"
                @if status.slow > 0 { ", " (status.slow) " of them longer than usual" }
                "."
            }
        }
    }
}

fn running_job(job: &RunningStatus) -> Markup {
    let percent = job.sent.saturating_mul(100).checked_div(job.total);
    html! {
        div.running data-job=(job.id) {
            a href=(format!("/jobs/{}", job.id)) { (printable(file_name(&job.path))) }
            span.quiet { " " (printable(&job.folder)) ", " (job.stage.as_str()) }
            @if let Some(percent) = percent {
                progress max="100" value=(percent) aria-label=(format!("Progress of job {}", job.id)) { (percent) " %" }
            }
        }
    }
}

fn sign_in_form(service: &str) -> Markup {
    html! {
        form method="post" action=(format!("/services/{}/sign-in", encode(service))) { button { "Sign in" } }
    }
}

fn folders(status: &StatusReport, details: &Overview) -> Markup {
    html! {
        h2 #folders-title { "Folders" }
        @for folder in &status.folders { (show_folder(folder, details.folders.get(&folder.name))) }
        form method="post" action="/scan" { button.plain { "Scan all folders now" } }
    }
}

fn show_folder(folder: &FolderStatus, details: Option<&FolderDetails>) -> Markup {
    let count = |states: &[JobState]| -> u64 {
        states.iter().filter_map(|state| folder.jobs.get(state)).sum()
    };
    let counts = [
        ("settling", folder.settling),
        ("waiting", count(&[JobState::Ready, JobState::Waiting])),
        ("running", count(&[JobState::Running])),
        ("done", count(&[JobState::Done])),
        ("failed", count(&[JobState::Failed])),
    ];
    let is_paused = folder.trouble.as_deref().is_some_and(|trouble| trouble.starts_with("paused"));
    let (act, word) = if is_paused { ("resume", "Resume") } else { ("pause", "Pause") };
    html! {
        article.folder {
            h3 { a href=(format!("/jobs?folder={}", encode(&folder.name))) { (printable(&folder.name)) } }
            p.quiet {
                code { (printable(&folder.path)) }
                @if let Some(watch) = &folder.watch { ", watched by " (printable(watch)) }
                @if let Some(at) = folder.scanned { ", scanned " (time(at)) }
                @if let Some(at) = details.and_then(|details| details.last_taken) {
                    ", last recording " (time(at))
                }
            }
            dl.counts {
                @for (word, number) in counts { div { dt { (word) } dd { (number) } } }
            }
            @if let Some(details) = details { (settling(&folder.name, folder.settling, details)) }
            form.drop method="post" enctype="multipart/form-data" action=(folder_action(&folder.name, "recordings")) {
                label {
                    "Add recordings to " (printable(&folder.name))
                    input type="file" name="recording" multiple required;
                }
                button { "Add" }
                progress hidden max="100" value="0" aria-label="Progress of the upload" {}
            }
            form method="post" action=(folder_action(&folder.name, act)) { button.plain { (word) } }
        }
    }
}

/// The files that are settling, with the reason why they are not taken yet.
fn settling(folder: &str, count: u64, details: &FolderDetails) -> Markup {
    let more = count.saturating_sub(details.settling.len() as u64);
    html! {
        @if !details.settling.is_empty() {
            ul aria-label=(format!("Settling files of {}", printable(folder))) {
                @for (path, reason) in &details.settling {
                    li { (printable(path)) ": " span.quiet { (printable(reason)) } }
                }
                @if more > 0 { li.quiet { "and " (format_count(more, "file")) " more" } }
            }
        }
    }
}

fn services(status: &StatusReport, details: &Overview) -> Markup {
    html! {
        h2 #services-title { "Services" }
        div.wide {
            table {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Where" } th scope="col" { "State" }
                    th scope="col" { "Waiting" } } }
                tbody {
                    @for service in &status.services {
                        (service_row(service, details.services.get(&service.name), status))
                    }
                    @for source in &status.sources {
                        tr {
                            th scope="row" { (printable(&source.name)) }
                            td { (printable(&source.base_url)) ", into " (printable(&source.into)) }
                            td { (connection_word(source.state)) }
                            td { (source.found) }
                        }
                    }
                }
            }
        }
    }
}

fn service_row(
    service: &ServiceStatus,
    details: Option<&ServiceDetails>,
    status: &StatusReport,
) -> Markup {
    let models =
        details.map(|details| details.models.join(", ")).filter(|models| !models.is_empty());
    let is_of_it = |name: &String| details.is_some_and(|details| details.folders.contains(name));
    let folders = status.folders.iter().filter(|folder| is_of_it(&folder.name));
    let waiting = folders.flat_map(|folder| {
        [JobState::Ready, JobState::Waiting, JobState::Running].map(|state| folder.jobs.get(&state))
    });
    let waiting: u64 = waiting.flatten().sum();
    html! {
        tr {
            th scope="row" { (printable(&service.name)) }
            td {
                (printable(&service.base_url))
                @if let Some(models) = models { div.quiet { (printable(&models)) } }
            }
            td {
                (connection_word(service.state))
                @if let Some(until) = service.signed_in_until { ", signed in until " (time(until)) }
            }
            td { (waiting) }
        }
    }
}

fn is_held(state: ConnectionState) -> bool {
    matches!(state, ConnectionState::Held(_))
}

fn connection_word(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Up => "works",
        ConnectionState::Unknown => "not asked",
        ConnectionState::Held(HoldReason::SignedOut) => "signed out",
        ConnectionState::Held(reason) => reason.as_str(),
    }
}

/// Returns the last part of a path that is shown.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn folder_action(name: &str, act: &str) -> String {
    format!("/folders/{}/{act}", encode(name))
}

/// Returns a name as a part of an address.
pub(in crate::web) fn encode(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}
