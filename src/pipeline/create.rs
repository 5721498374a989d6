//! A meeting is made at the service, or the one that is there already is found.

use std::{path::Path, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use super::{Context, deliver, details, open_closed_recording, setback};
use crate::{
    clock,
    effect::Effect,
    job::{Plan, Remote, Setback, Stage, Suspect},
    queue::Job,
    services::{CallError, NewMeeting},
    text::one_line,
};

/// Where a job stands after this stage.
#[derive(Debug, PartialEq, Eq)]
pub enum Created {
    /// The meeting exists, under this id; the word tells how it came about.
    Meeting {
        /// Its id.
        id: String,
        /// For the history.
        how: &'static str,
        /// The settings that it was made with.
        plan: Box<Plan>,
        /// Whether the service was asked to tell.
        called: bool,
    },
    /// Its notes exist already, at this place: there is nothing to do.
    NotesExist(String),
}

/// After an answer was lost, the meeting may take a moment to show up in the list. A guess: the service documents
/// nothing here.
const LIST_DELAY: Duration = Duration::from_secs(3);

/// Characters of a title; what a service's own pages show at most on a line or two.
pub(super) const TITLE_MAX: usize = 200;

/// Makes the meeting of a job.
pub async fn run(context: &Context, job: &Job) -> Result<Created, Setback> {
    drop(open_closed_recording(context, job).await?);
    if let Some(notes) = deliver::existing_notes(&context.folder, job).await? {
        return Ok(Created::NotesExist(notes));
    }
    let plan = Box::new(match &job.plan {
        Some(plan) => plan.clone(),
        None => details::plan(context, job).await?,
    });
    if let Some(id) = context.queue.known_meeting(&job.key, context.service.name()).await? {
        return Ok(Created::Meeting { id, how: "found the meeting in the service's list", plan, called: false });
    }
    if let Some(id) = find_uncertain(context, job, &plan).await? {
        return Ok(Created::Meeting { id, how: "found the meeting whose answer was lost", plan, called: true });
    }
    context.queue.intend_create(job, &plan, clock::now()).await?;
    let meeting = NewMeeting {
        title: plan.title.clone(),
        description: format!("Recording: {}", one_line(&job.path.to_string_lossy(), TITLE_MAX)),
        key: job.key.clone(),
        attendees: plan.attendees.clone(),
    };
    Effect::CallCreate.before();
    let created = context.service.create(&meeting).await;
    Effect::CallCreate.after();
    match created {
        Ok(id) => Ok(Created::Meeting { id, how: "created the meeting", plan, called: true }),
        Err(error) => Err(refused(context, job, &plan, error).await?),
    }
}

/// Looks for the meeting of an intent whose outcome is not known.
async fn find_uncertain(context: &Context, job: &Job, plan: &Plan) -> Result<Option<String>, Setback> {
    let Remote::Creating { since } = job.remote else { return Ok(None) };
    let (now, visible) = (clock::now(), since + LIST_DELAY);
    // A clock that was set back must not make it wait for the time it showed before.
    if since <= now && now < visible {
        return Err(Setback::Snooze { until: visible });
    }
    Effect::CallFind.before();
    let found = context.service.find(&job.key, &plan.title, since.min(now)).await;
    Effect::CallFind.after();
    match found {
        Ok(found) => Ok(found),
        Err(error) => Err(setback(context.service.as_ref(), Stage::Create, error, |_, error| Setback::Unavailable {
            error: error.context("the list of meetings cannot be read"),
            after: None,
            suspect: Suspect::Service,
        })
        .await),
    }
}

/// Says what a failed creation means. Where it is sure that no meeting was made, the intent is taken back.
///
/// What a sidecar or a source has named is not the folder's: whoever can write one holds up nobody else by it.
async fn refused(context: &Context, job: &Job, plan: &Plan, error: CallError) -> Result<Setback, Setback> {
    if error.is_certain() {
        context.queue.uncreate(job).await?;
    }
    let is_folders = plan.told.attendees_from.is_none() && plan.told.sidecar.is_none();
    Ok(setback(context.service.as_ref(), Stage::Create, error, |status, error| match status {
        400 | 422 if !is_folders => Setback::Own { from: Stage::Create, error },
        400 | 404 | 405 | 422 => Setback::FolderRefused { error },
        _ => Setback::Own { from: Stage::Create, error },
    })
    .await)
}

/// Fills the title's template; dates are local, as the people at the meeting saw them.
pub(super) fn title(template: &str, folder: &str, recording: &Path, recorded: Timestamp) -> String {
    let local = recorded.to_zoned(TimeZone::system());
    let part =
        |name: Option<&std::ffi::OsStr>| name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parent = part(recording.parent().and_then(Path::file_name));
    // One pass: what a file name holds is never taken for a placeholder.
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let close = rest.find('}').map_or(rest.len(), |close| close + 1);
        match &rest[..close] {
            "{stem}" => filled.push_str(&part(recording.file_stem())),
            "{folder}" => filled.push_str(folder),
            "{date}" => filled.push_str(&local.strftime("%F").to_string()),
            "{time}" => filled.push_str(&local.strftime("%H:%M").to_string()),
            "{parent}" => filled.push_str(if parent.is_empty() { folder } else { &parent }),
            other => filled.push_str(other),
        }
        rest = &rest[close..];
    }
    filled.push_str(rest);
    let filled = one_line(&filled, TITLE_MAX);
    if filled.is_empty() { folder.to_owned() } else { filled }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn whatever_a_recording_is_called_its_title_is_one_line_that_says_something(
            name in prop::collection::vec(1_u8..=255, 1..300), second in -2_000_000_000_i64..8_000_000_000,
            template in "(\\{stem\\}|\\{parent\\}|\\{date\\}|\\{time\\}|\\{folder\\}| ){1,4}",
        ) {
            let recorded = Timestamp::from_second(second).expect("in range");
            let title = title(&template, "sales", Path::new(OsStr::from_bytes(&name)), recorded);
            prop_assert!(!title.trim().is_empty() && title.chars().count() <= TITLE_MAX, "{:?}", title);
            prop_assert!(!title.contains(crate::text::is_unprintable), "{:?}", title);
        }
    }

    #[test]
    fn a_name_is_not_taken_for_a_template() {
        let recorded = Timestamp::UNIX_EPOCH;
        assert_eq!(
            title("{stem} of {folder}", "sales", Path::new("a/{folder}{stem}.wav"), recorded),
            "{folder}{stem} of sales"
        );
    }
}
