//! The last days as a small picture: a bar for the recordings of each day.

use maud::{Markup, html};

use crate::{
    control::{DayNumbers, RecentNumbers},
    text::{format_count, format_duration},
};

/// The size of the picture, in its own units.
const HEIGHT: u32 = 60;
const BAR: u32 = 10;

/// Returns the section with the numbers.
pub(super) fn section(numbers: &RecentNumbers) -> Markup {
    let sum = |of: fn(&DayNumbers) -> u32| -> u64 {
        numbers.days.iter().map(|day| u64::from(of(day))).sum()
    };
    let (done, failed) = (sum(|day| day.done), sum(|day| day.failed));
    let length = numbers.days.iter().map(|day| day.length).sum();
    html! {
        h2 #numbers-title { "The last " (numbers.days.len()) " days" }
        dl.counts {
            div { dt { "notes made" } dd { (done) } }
            div { dt { "of recordings of" } dd { (format_duration(length)) } }
            div { dt { "failed" } dd { (failed) } }
            @if let Some(time) = numbers.median_time {
                div { dt { "usual time to the notes" } dd { (format_duration(time)) } }
            }
        }
        @if done + failed > 0 { (picture(&numbers.days)) }
    }
}

fn picture(days: &[DayNumbers]) -> Markup {
    let highest = days.iter().map(|day| day.done + day.failed).max().unwrap_or(0).max(1);
    let scale = |count: u32| (count * (HEIGHT - 1)).div_ceil(highest);
    let width = BAR * u32::try_from(days.len()).unwrap_or(0);
    html! {
        svg.days viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" role="img"
            aria-label=(format!("Recordings of each day, at most {highest}")) {
            @for (at, day) in (0_u32..).zip(days) {
                @let (done, failed) = (scale(day.done), scale(day.failed));
                g {
                    title { (describe(day)) }
                    rect.empty x=(at * BAR) y="0" width=(BAR - 1) height=(HEIGHT) {}
                    rect.done x=(at * BAR) y=(HEIGHT.saturating_sub(done)) width=(BAR - 1) height=(done) {}
                    rect.failed x=(at * BAR) y=(HEIGHT.saturating_sub(done + failed)) width=(BAR - 1) height=(failed) {}
                }
            }
        }
    }
}

fn describe(day: &DayNumbers) -> String {
    let done = format_count(u64::from(day.done), "recording");
    let failed = if day.failed == 0 { String::new() } else { format!(", {} failed", day.failed) };
    format!("{}: {done} of {}{failed}", day.date, format_duration(day.length))
}
