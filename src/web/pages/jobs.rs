//! The list of recordings: search, filter, the newest first.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    overview::{encode, file_name},
    show_page, show_problem, state, time,
};
use crate::{
    job::JobState,
    store::{JobId, JobQuery, JobView},
    text::printable,
    web::Web,
};

/// Recordings of one page.
const PAGE: u32 = 50;

/// The states that a person chooses from.
const GROUPS: [(&str, &str, &[JobState]); 5] = [
    ("working", "in work", &[JobState::Ready, JobState::Running, JobState::Waiting]),
    ("done", "done", &[JobState::Done]),
    ("failed", "failed", &[JobState::Failed]),
    ("skipped", "skipped", &[JobState::Skipped]),
    ("cancelled", "cancelled", &[JobState::Cancelled]),
];

/// The query of the list. Fields of a form that were left empty come as empty texts.
#[derive(Deserialize)]
pub(in crate::web) struct ListQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    folder: String,
    #[serde(default)]
    q: String,
    before: Option<i64>,
}

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    Query(query): Query<ListQuery>,
) -> Response {
    let group = GROUPS.iter().find(|(word, _, _)| *word == query.state);
    let wanted = JobQuery {
        states: group.map(|(_, _, states)| states.to_vec()).unwrap_or_default(),
        folder: Some(query.folder.clone()).filter(|folder| !folder.is_empty()),
        search: Some(query.q.trim().to_owned()).filter(|search| !search.is_empty()),
        before: query.before.map(JobId),
        limit: PAGE,
    };
    let jobs = match web.service.latest_jobs(wanted).await {
        Ok(jobs) => jobs,
        Err(refusal) => {
            let hint = refusal.hint.as_deref();
            return show_problem(StatusCode::NOT_FOUND, &refusal.message, hint);
        }
    };
    let settings = web.service.settings();
    let names: Vec<&str> = settings.folders.iter().map(|folder| folder.name.as_str()).collect();
    let content = html! {
        h1 { "Recordings" }
        (search_form(&query, &names))
        section #jobs data-live aria-label="Recordings" { (list(&jobs, &query)) }
    };
    show_page("Recordings", "/jobs", None, &content)
}

fn search_form(query: &ListQuery, folders: &[&str]) -> Markup {
    html! {
        form.search method="get" action="/jobs" role="search" {
            label { "Search" input type="search" name="q" value=(query.q) placeholder="name or title"; }
            label {
                "State"
                select name="state" {
                    option value="" { "any" }
                    @for (word, shown, _) in GROUPS {
                        option value=(word) selected[query.state == word] { (shown) }
                    }
                }
            }
            label {
                "Folder"
                select name="folder" {
                    option value="" { "any" }
                    @for name in folders {
                        option value=(name) selected[query.folder == *name] { (printable(name)) }
                    }
                }
            }
            button { "Show" }
        }
    }
}

fn list(jobs: &[JobView], query: &ListQuery) -> Markup {
    let last = jobs.last().filter(|_| jobs.len() == PAGE as usize);
    html! {
        @if jobs.is_empty() { p.quiet { "No recording matches." } }
        @else {
            div.wide {
                table {
                    thead { tr {
                        th scope="col" { "Recording" } th scope="col" { "Folder" } th scope="col" { "State" }
                        th scope="col" { "Taken" }
                    } }
                    tbody { @for job in jobs { (row(job)) } }
                }
            }
        }
        @if let Some(last) = last {
            p { a href=(next_page(query, last.id)) { "Older recordings" } }
        }
    }
}

fn row(job: &JobView) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href=(format!("/jobs/{}", job.id)) { (printable(file_name(&job.path))) }
                @if let Some(title) = &job.title { div.quiet { (printable(title)) } }
            }
            td { (printable(&job.folder)) }
            td {
                (state(job.state))
                @if let Some(waits) = job.waits_for { " " span.quiet { (waits) } }
                @if job.partial { " " span.quiet { "incomplete" } }
                @if let Some(error) = &job.error { div.quiet { (printable(error)) } }
            }
            td { (time(job.created)) }
        }
    }
}

fn next_page(query: &ListQuery, before: JobId) -> String {
    let ListQuery { state, folder, q, .. } = query;
    format!(
        "/jobs?state={}&folder={}&q={}&before={before}",
        encode(state),
        encode(folder),
        encode(q)
    )
}
