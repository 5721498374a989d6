//! The pages, and the parts that they share.

pub(super) mod api;
pub(super) mod job;
pub(super) mod jobs;
mod numbers;
pub(super) mod overview;
pub(super) mod sign_in;

pub(super) use overview::encode;

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
};
use jiff::{Timestamp, tz::TimeZone};
use maud::{DOCTYPE, Markup, html};

use crate::{
    control::{ConnectionState, StatusReport},
    job::{HoldReason, JobState},
    store::Scope,
    text::printable,
};

/// The pages that every page links to.
const LINKS: [(&str, &str); 2] = [("/", "Overview"), ("/jobs", "Recordings")];

/// Returns a page of somebody who is signed in. `path` is its own address, which its link marks.
fn show_page(title: &str, path: &str, message: Option<&str>, content: &Markup) -> Response {
    let body = html! {
        header {
            a.brand href="/" { "minuted" }
            nav aria-label="Pages" {
                @for (target, name) in LINKS {
                    a href=(target) aria-current=[(target == path).then_some("page")] { (name) }
                }
            }
            form.leave method="post" action="/leave" { button.plain { "Sign out" } }
        }
        main id="main" {
            @if let Some(message) = message {
                p.message role="status" { (printable(message)) }
            }
            (content)
        }
    };
    Html(document(title, true, &body).into_string()).into_response()
}

fn document(title: &str, is_live: bool, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (printable(title)) " · minuted" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="data:,";
                @if is_live { script src="/script.js" defer {} }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (body)
            }
        }
    }
}

/// Returns the page of somebody who is not signed in.
pub(super) fn show_signed_out() -> Response {
    let body = html! {
        main id="main" {
            h1 { "Signed out" }
            p { "Run this on the machine of minuted, and open the link that it prints:" }
            pre { code { "minuted page" } }
            p { "A link opens the page once, and within five minutes." }
        }
    };
    let page = Html(document("Signed out", false, &body).into_string());
    (StatusCode::UNAUTHORIZED, page).into_response()
}

/// Returns the page that a link of `minuted page` opens: it leads on by itself.
pub(super) fn show_entered() -> Response {
    let body = html! {
        main id="main" {
            meta http-equiv="refresh" content="0; url=/";
            h1 { "Signed in" }
            p { a href="/" { "Go to the overview" } }
        }
    };
    Html(document("Signed in", false, &body).into_string()).into_response()
}

/// Returns a page that says what is wrong, and what to do.
pub(super) fn show_problem(code: StatusCode, what: &str, hint: Option<&str>) -> Response {
    let content = html! {
        h1 { "This did not work" }
        p { (printable(what)) }
        @if let Some(hint) = hint { p.hint { (printable(hint)) } }
        p { a href="/" { "Back to the overview" } }
    };
    (code, show_page("This did not work", "", None, &content)).into_response()
}

/// Returns the page of an address that is none.
pub(super) async fn show_missing() -> Response {
    show_problem(StatusCode::NOT_FOUND, "there is no such page", None)
}

/// Returns a time as a person of this machine's zone reads it.
fn time(at: Timestamp) -> Markup {
    let shown = at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string();
    html! { time datetime=(at.to_string()) { (shown) } }
}

/// Returns the state of a job as a word in its colour.
fn state(state: JobState) -> Markup {
    html! { span class=(format!("state {state}")) { (state) } }
}

/// Returns the kinds of trouble, without names. A folder that a person paused is none, nor is a limit of the day.
pub(super) fn trouble_kinds(status: &StatusReport) -> Vec<&'static str> {
    let is_trouble = |reason: HoldReason| {
        !matches!(
            reason,
            HoldReason::Paused | HoldReason::Budget | HoldReason::Reading | HoldReason::Folder
        )
    };
    let is_held = |state: ConnectionState| match state {
        ConnectionState::Up | ConnectionState::Unknown => false,
        ConnectionState::Held(reason) => is_trouble(reason),
    };
    let folders = status.holds.iter().filter(|hold| hold.scope == Scope::Folder);
    let kinds = [
        ("disk", status.disk_full),
        ("service", status.services.iter().any(|service| is_held(service.state))),
        ("source", status.sources.iter().any(|source| is_held(source.state))),
        ("folder", folders.into_iter().any(|hold| is_trouble(hold.reason))),
        ("mail", status.mail.is_some()),
    ];
    kinds.into_iter().filter(|(_, is_there)| *is_there).map(|(kind, _)| kind).collect()
}
