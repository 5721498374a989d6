//! A meeting is made at the service, or the one that is there already is found.

use std::{fs::File, time::Duration};

use super::{
    StageContext, await_answer, call_setback, details, existing_notes, open_closed_recording,
    title::TITLE_MAX,
};
use crate::{
    clock,
    effect::Effect,
    engine::audio::sound_tracks,
    job::{EventKind, Plan, Remote, Setback, Stage, Suspect},
    services::{CallError, NewMeeting},
    store::Job,
    text::one_line,
};

/// The outcome of the stage.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CreateOutcome {
    /// The meeting exists, under this id.
    Meeting {
        /// Its id.
        id: String,
        /// The event for the job's history.
        how: EventKind,
        /// The settings that it was made with.
        plan: Box<Plan>,
        /// Whether the service was called.
        called: bool,
    },
    /// Its notes exist already, at this place: there is nothing to do.
    NotesExist(String),
}

/// After an answer was lost, the meeting may take a moment to show up in the list. A guess: the service documents
/// nothing here.
const LIST_DELAY: Duration = Duration::from_secs(3);

/// Makes the meeting of a job.
pub(crate) async fn run(context: &StageContext, job: &Job) -> Result<CreateOutcome, Setback> {
    let recording = open_closed_recording(context, job).await?;
    if let Some(notes) = existing_notes(&context.folder, job).await? {
        return Ok(CreateOutcome::NotesExist(notes));
    }
    let plan = if let Some(plan) = &job.plan {
        plan.clone()
    } else {
        let mut plan = details::plan_job(context, job).await?;
        plan.details_source.remarks.extend(unheard_tracks(context, job, recording).await?);
        plan
    };
    let plan = Box::new(plan);
    if let Some(id) =
        context.queue.maintenance().find_meeting(&job.key, context.service.name()).await?
    {
        return Ok(CreateOutcome::Meeting {
            id,
            how: EventKind::MeetingFound,
            plan,
            called: false,
        });
    }
    if let Some(id) = find_uncertain(context, job, &plan).await? {
        return Ok(CreateOutcome::Meeting {
            id,
            how: EventKind::MeetingRecovered,
            plan,
            called: true,
        });
    }
    context.queue.stages().intend_create(job, &plan, clock::now()).await?;
    let meeting = NewMeeting {
        title: plan.title.clone(),
        description: format!("Recording: {}", one_line(&job.path.to_string_lossy(), TITLE_MAX)),
        key: job.key.clone(),
        attendees: plan.attendees.clone(),
    };
    match Effect::CallCreate.during_async(context.service.create_meeting(&meeting)).await {
        Ok(id) => {
            Ok(CreateOutcome::Meeting { id, how: EventKind::MeetingCreated, plan, called: true })
        }
        Err(error) => Err(creation_setback(context, job, &plan, error).await?),
    }
}

/// Returns the remark that a service may not have heard all sound tracks, where the recording has several and is sent as
/// it is. What is converted for it has them mixed.
async fn unheard_tracks(
    context: &StageContext,
    job: &Job,
    recording: File,
) -> Result<Option<String>, Setback> {
    let service = context.service.as_ref();
    let extension = job.path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_sent_as_it_is = service.accepted_extensions().contains(&extension.as_str());
    if service.hears_all_tracks() || !is_sent_as_it_is {
        return Ok(None);
    }
    let counted =
        await_answer(tokio::task::spawn_blocking(move || sound_tracks(&recording))).await?;
    let count = counted
        .map_err(|error| Setback::FileLost { error: error.into() })?
        .filter(|count| *count > 1);
    Ok(count.map(|count| {
        format!(
            "the recording has {count} sound tracks and was sent as it is: the service may have transcribed only the first"
        )
    }))
}

/// Looks for the meeting of an intent whose outcome is not known.
async fn find_uncertain(
    context: &StageContext,
    job: &Job,
    plan: &Plan,
) -> Result<Option<String>, Setback> {
    let Remote::Creating { since } = job.remote else { return Ok(None) };
    let now = clock::now();
    let visible = since + LIST_DELAY;
    // A clock that was set back must not make it wait for the time it showed before.
    if since <= now && now < visible {
        return Err(Setback::Snooze { until: visible });
    }
    let find = context.service.find_meeting(&job.key, &plan.title, since.min(now));
    match Effect::CallFind.during_async(find).await {
        Ok(found) => Ok(found),
        Err(error) => {
            Err(call_setback(context.service.as_ref(), Stage::Create, error, |_, error| {
                Setback::Unavailable {
                    error: error.context("the list of meetings cannot be read"),
                    after: None,
                    suspect: Suspect::Service,
                }
            })
            .await)
        }
    }
}

/// Returns the setback of a failed creation. Where it is certain that no meeting was made, the intent is taken back.
///
/// Metadata from a sidecar or a source is not the folder's: an invalid one blocks only its own recording.
async fn creation_setback(
    context: &StageContext,
    job: &Job,
    plan: &Plan,
    error: CallError,
) -> Result<Setback, Setback> {
    if error.is_certain() {
        context.queue.stages().abort_create(job).await?;
    }
    let is_folders =
        plan.details_source.attendees_from.is_none() && plan.details_source.sidecar.is_none();
    Ok(call_setback(context.service.as_ref(), Stage::Create, error, |status, error| match status {
        400 | 422 if !is_folders => Setback::Own { from: Stage::Create, error },
        400 | 404 | 405 | 422 => Setback::FolderRefused { error },
        _ => Setback::Own { from: Stage::Create, error },
    })
    .await)
}
