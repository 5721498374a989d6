//! One recording: where it is, its notes, its transcript to read and to listen to, its deliveries and its story.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use maud::{Markup, PreEscaped, html};

use super::{
    overview::{MessageQuery, file_name},
    show_page, show_problem, state, time,
};
use crate::{
    control::{ControlRequest, JobFacts, JobName, SpeakerView, SpeakersAnswer},
    delivery::{Minutes, Paragraph},
    job::JobState,
    store::{JobId, JobView},
    text::{format_clock, format_size, printable},
    web::Web,
};

pub(in crate::web) async fn show(
    State(web): State<Arc<Web>>,
    Path(id): Path<i64>,
    Query(query): Query<MessageQuery>,
) -> Response {
    let id = JobId(id);
    let facts = match web.service.job_facts(id).await {
        Ok(Some(facts)) => facts,
        Ok(None) => {
            let what = format!("there is no recording with the number {id}");
            return show_problem(StatusCode::NOT_FOUND, &what, None);
        }
        Err(refusal) => {
            let hint = refusal.hint.as_deref();
            return show_problem(StatusCode::SERVICE_UNAVAILABLE, &refusal.message, hint);
        }
    };
    let speakers = list_speakers(&web, id).await;
    let content = page(&facts, &speakers);
    let title = facts.job.title.clone().unwrap_or_else(|| file_name(&facts.job.path).to_owned());
    let message = query.message.as_deref().and_then(|name| web.messages.take(name));
    show_page(&title, "", message.as_deref(), &content)
}

/// Returns the speakers of a transcript; none where it has none.
async fn list_speakers(web: &Web, id: JobId) -> Vec<SpeakerView> {
    let request = ControlRequest::Speakers { job: JobName::Id(id), names: Vec::new() };
    let Ok(answer) = web.service.answer(request).await else { return Vec::new() };
    serde_json::from_value::<SpeakersAnswer>(answer)
        .map(|answer| answer.speakers)
        .unwrap_or_default()
}

fn page(facts: &JobFacts, speakers: &[SpeakerView]) -> Markup {
    let job = &facts.job;
    let notes = facts.minutes.as_ref().map(Minutes::sections_html).unwrap_or_default();
    let turns = facts.minutes.as_ref().map(Minutes::paragraphs).unwrap_or_default();
    let title = job.title.as_deref().unwrap_or_else(|| file_name(&job.path));
    html! {
        h1 { (printable(title)) }
        section #state data-live aria-label="State" {
            p { (state(job.state)) " " (printable(&facts.explanation)) }
            @if let Some(hint) = &facts.hint { p.hint { (printable(hint)) } }
        }
        (actions(job))
        (details(job))
        section #notes data-live aria-labelledby="notes-title" {
            @if !notes.trim().is_empty() {
                h2 #notes-title { "Notes" }
                div.notes { (PreEscaped(notes)) }
            }
        }
        @if !turns.is_empty() {
            section aria-labelledby="transcript-title" {
                h2 #transcript-title { "Transcript" }
                audio #player controls preload="none" src=(recording_address(job.id)) {}
                (transcript(job.id, &turns))
            }
        }
        (name_speakers(job.id, speakers))
        section #deliveries data-live aria-labelledby="deliveries-title" { (deliveries(job)) }
        section #story data-live aria-labelledby="story-title" { (story(job)) }
    }
}

fn recording_address(id: JobId) -> String {
    format!("/jobs/{id}/recording")
}

/// What can be done about it now.
fn actions(job: &JobView) -> Markup {
    let address = |act: &str| format!("/jobs/{}/{act}", job.id);
    html! {
        section #actions data-live aria-label="Actions" {
            @match job.state {
                JobState::Failed | JobState::Cancelled | JobState::Skipped => {
                    form method="post" action=(address("retry")) { button { "Retry" } }
                }
                JobState::Done => {
                    @if job.partial {
                        form method="post" action=(address("retry")) { button { "Retry what failed" } }
                    }
                    details {
                        summary { "Make everything again…" }
                        p { "The recording is transcribed again, and new notes are made beside those that are there." }
                        form method="post" action=(address("redo")) { button { "Make it again" } }
                    }
                }
                JobState::Ready | JobState::Running | JobState::Waiting => {
                    @if job.state == JobState::Waiting {
                        form method="post" action=(address("retry")) { button.plain { "Try now" } }
                    }
                    details {
                        summary { "Cancel…" }
                        p { "No notes are made of it. The recording stays." }
                        form method="post" action=(address("cancel")) { button { "Cancel it" } }
                    }
                }
            }
        }
    }
}

fn details(job: &JobView) -> Markup {
    html! {
        dl.details {
            div { dt { "Recording" } dd { code { (printable(&job.path)) } ", " (format_size(job.size)) } }
            div { dt { "Folder" } dd { (printable(&job.folder)) } }
            @if let Some(service) = &job.service { div { dt { "Service" } dd { (printable(service)) } } }
            div { dt { "Taken" } dd { (time(job.created)) } }
            @if !job.notes.is_empty() {
                div { dt { "Notes" } dd { @for notes in &job.notes { code { (printable(notes)) } " " } } }
            }
            @if let Some(key) = &job.key { div { dt { "Key" } dd { code { (printable(key)) } } } }
        }
    }
}

fn transcript(id: JobId, turns: &[Paragraph]) -> Markup {
    html! {
        div.transcript {
            @for turn in turns {
                p {
                    @if let Some(speaker) = &turn.speaker { strong { (printable(speaker)) } " " }
                    @if let Some((at, shown)) = turn.start.and_then(|at| Some((at, format_clock(at)?))) {
                        a.at href=(format!("{}#t={at:.1}", recording_address(id))) data-at=(format!("{at:.1}")) { (shown) }
                        " "
                    }
                    span dir="auto" { (printable(&turn.text)) }
                }
            }
        }
    }
}

fn name_speakers(id: JobId, speakers: &[SpeakerView]) -> Markup {
    html! {
        @if !speakers.is_empty() {
            section aria-labelledby="speakers-title" {
                h2 #speakers-title { "Speakers" }
                @for speaker in speakers {
                    form.speaker method="post" action=(format!("/jobs/{id}/speakers")) {
                        input type="hidden" name="label" value=(speaker.label);
                        label {
                            (printable(&speaker.label))
                            input name="name" value=(speaker.name.as_deref().unwrap_or_default()) maxlength="120"
                                placeholder="name";
                        }
                        button { "Name" }
                        p.quiet dir="auto" { (printable(&speaker.first)) }
                    }
                }
            }
        }
    }
}

fn deliveries(job: &JobView) -> Markup {
    html! {
        @if !job.deliveries.is_empty() {
            h2 #deliveries-title { "Deliveries" }
            ul {
                @for delivery in &job.deliveries {
                    li {
                        (delivery.kind.as_str()) " " (printable(&delivery.target)) ": " (delivery.state.as_str())
                        @if let Some(error) = &delivery.error { ", " (printable(error)) }
                    }
                }
            }
        }
    }
}

fn story(job: &JobView) -> Markup {
    html! {
        @if let Some(history) = &job.history {
            h2 #story-title { "Story" }
            ol.story {
                @for event in history {
                    li {
                        (time(event.at)) " " (printable(&event.event))
                        @if let Some(error) = &event.error { ": " (printable(error)) }
                    }
                }
            }
        }
    }
}
