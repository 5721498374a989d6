//! Deliveries to the file system: the notes, the file that tells of a failure, the recording itself.
//!
//! A file is placed whole or not at all, never through a link, never over what a person wrote.

mod existing;
mod file_error;
mod finish;
pub mod names;
mod paths;
mod place;
mod relocate;
mod temporary;
mod write;

use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};

use jiff::Timestamp;

pub use existing::{find_notes, generation_beside, head_proof, head_sound};
pub use file_error::FileError;
pub use place::{Existing, Placed, digest_of, place, remove_ours};
pub use relocate::{relocate, relocate_as, relocate_closed};
pub use temporary::{Temporary, is_temporary, sweep, try_out};

use self::{
    finish::finish_recording,
    paths::open_folder,
    write::{clear_failure, write_failure, write_notes},
};
use super::{
    context::{DeliveryContext, gather_context},
    in_flight::InFlightDeliveries,
    outcome::{ERROR_MAX, delivered, give_up, later},
    render::failed,
};
use crate::{
    beneath::Entry,
    clock,
    config::{Folder, Format},
    job::{EndedBy, HoldReason, retry::backoff},
    queue::{Delivery, DeliveryKind, Lane, QueueError, Scope, Written},
    runtime::Runtime,
    text::{error_chain, one_line, panic_message},
};

/// Notes are written in moments; a file system that takes longer gets no more of them, and holds up no other folder. A
/// recording that is copied to another file system takes its time.
const WRITE_MAX: Duration = Duration::from_secs(60);
const DISPOSE_MAX: Duration = Duration::from_secs(1800);

/// What is told of such a file system.
const SILENT: &str = "their file system does not answer";

/// A file that could not be written is tried again after this, so that a folder that came back is noticed soon.
const FILE_RETRY: Duration = Duration::from_secs(30);

/// A recording that is not where it was is looked for again after this: a rename that the kernel tells of is in the queue
/// by then.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Tries of a file whose trouble is its own (a name too long): then the delivery has failed.
const FILE_TRIES: u32 = 3;

/// Where the recording of a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingPlace {
    /// Where the queue has it.
    InPlace,
    /// Another file lies there.
    Replaced,
    /// No file lies there.
    Gone,
}

pub(super) async fn deliver_file(
    runtime: &Runtime,
    in_flight: &InFlightDeliveries,
    delivery: &Delivery,
) -> Result<(), QueueError> {
    let Some(context) = gather_context(runtime, delivery).await? else {
        return later(runtime, delivery, FILE_RETRY, "its folder is not in the configuration any more").await;
    };
    let folder = Arc::clone(&context.folder);
    let holds = runtime.queue.holds().await?;
    let unreachable = holds.iter().find(|hold| hold.is_unreachable() && hold.name == folder.id);
    if let Some(hold) = unreachable {
        return later(runtime, delivery, FILE_RETRY, &hold.detail).await;
    }
    if in_flight.is_late(&folder.id) {
        return later(runtime, delivery, FILE_RETRY, SILENT).await;
    }
    let recording = context.recording();
    let mut writing = pin!(write(runtime, delivery, context));
    let limit = if delivery.kind == DeliveryKind::Dispose { DISPOSE_MAX } else { WRITE_MAX };
    let in_time = tokio::time::timeout(limit, &mut writing).await;
    let written = if let Ok(written) = in_time {
        written?
    } else {
        in_flight.late((Lane::Files, delivery.id), &folder.id);
        runtime.deliveries.notify_one();
        silent(runtime, &folder).await;
        writing.await?
    };
    match written {
        Ok(written) => {
            runtime.release(Scope::Folder, &folder.id, &HoldReason::ended_by(EndedBy::Delivery)).await;
            delivered(runtime, delivery, &folder, written).await
        }
        Err(error) => file_failed(runtime, delivery, &folder, &recording, error).await,
    }
}

/// The place of a folder's notes does not answer: said once.
async fn silent(runtime: &Runtime, folder: &Folder) {
    let text = format!(
        "the notes of folder `{}` cannot be written: {SILENT}\nthe notes are kept and written when it answers",
        folder.name
    );
    runtime.hold(Scope::Folder, &folder.id, HoldReason::Notes, SILENT.to_owned(), text).await;
}

/// Makes a file delivery; the inner error is the file system's.
async fn write(
    runtime: &Runtime,
    delivery: &Delivery,
    context: DeliveryContext,
) -> Result<Result<Option<Written>, FileError>, QueueError> {
    let before = match delivery.kind {
        DeliveryKind::Clear => runtime.queue.written(delivery.job, DeliveryKind::Failure, "").await?,
        DeliveryKind::Notes | DeliveryKind::Failure => {
            runtime.queue.written(delivery.job, delivery.kind, &delivery.target).await?
        }
        DeliveryKind::Mail | DeliveryKind::Dispose | DeliveryKind::Remote => None,
    };
    let story = match delivery.kind {
        DeliveryKind::Failure => failure_text(runtime, &context).await?,
        DeliveryKind::Notes
        | DeliveryKind::Mail
        | DeliveryKind::Clear
        | DeliveryKind::Dispose
        | DeliveryKind::Remote => String::new(),
    };
    let (kind, target) = (delivery.kind, delivery.target.clone());
    let folder = context.folder.path.clone();
    let mut context = match find_recording(runtime, delivery, context).await? {
        Ok(context) => context,
        Err(error) => return Ok(Err(error)),
    };
    let work = move || match kind {
        DeliveryKind::Notes => {
            let format = Format::ALL.into_iter().find(|format| format.as_str() == target).unwrap_or(Format::Md);
            write_notes(&mut context, format, before.as_ref()).map(Some)
        }
        DeliveryKind::Failure => write_failure(&context, &story, before.as_ref()).map(Some),
        DeliveryKind::Clear => clear_failure(&context, before.as_ref()).map(|()| None),
        DeliveryKind::Dispose => finish_recording(&context).map(|()| None),
        DeliveryKind::Mail | DeliveryKind::Remote => Ok(None),
    };
    match tokio::task::spawn_blocking(work).await {
        // What a person has deleted is not made again: the delivery is done.
        Ok(Err(FileError::Deleted { .. })) => Ok(Ok(None)),
        // Nobody looks for the word of a failure where neither the recording nor its directory is.
        Ok(Err(FileError::PlaceGone { .. })) if kind == DeliveryKind::Failure => Ok(Ok(None)),
        Ok(done) => Ok(done),
        Err(error) => Ok(Err(panicked(folder, error))),
    }
}

/// Lets a context follow its recording, which may have been renamed or moved within the folder since it was taken.
///
/// One that is not where it was and not seen elsewhere yet is looked for once more before it counts as gone.
async fn find_recording(
    runtime: &Runtime,
    delivery: &Delivery,
    context: DeliveryContext,
) -> Result<Result<DeliveryContext, FileError>, QueueError> {
    let folder = context.folder.path.clone();
    let look = move || (recording_place(&context), context);
    let (place, mut context) = match tokio::task::spawn_blocking(look).await {
        Ok(looked) => looked,
        Err(error) => return Ok(Err(panicked(folder, error))),
    };
    if place == RecordingPlace::InPlace {
        return Ok(Ok(context));
    }
    let paths = runtime.queue.paths_of_stamp(&context.folder.id, context.job.stamp).await?;
    let (is_found, context) =
        match tokio::task::spawn_blocking(move || (follow_recording(&mut context, paths), context)).await {
            Ok(looked) => looked,
            Err(error) => return Ok(Err(panicked(folder, error))),
        };
    if place == RecordingPlace::Gone && !is_found && context.is_seen && delivery.attempts == 0 {
        let name = context.job.path.file_name().unwrap_or_default().to_owned();
        return Ok(Err(FileError::Moved { name }));
    }
    Ok(Ok(context))
}

/// A delivery that panicked has not happened: it is tried again, and has failed in the end.
fn panicked(folder: PathBuf, error: tokio::task::JoinError) -> FileError {
    let said = match error.try_into_panic() {
        Ok(panic) => format!("a bug: minuted panicked: {}", panic_message(panic.as_ref())),
        Err(error) => error.to_string(),
    };
    FileError::Other { dir: folder, name: ".".into(), source: std::io::Error::other(said) }
}

async fn failure_text(runtime: &Runtime, context: &DeliveryContext) -> Result<String, QueueError> {
    let job = &context.job;
    let history = runtime.queue.job_view(job.id).await?.and_then(|view| view.history).unwrap_or_default();
    let tried: Vec<failed::Attempt> = history
        .into_iter()
        .filter(|event| event.kind.is_failure())
        .filter_map(|event| {
            let stage = event.stage?;
            Some(failed::Attempt { at: event.at, stage, error: event.error? })
        })
        .collect();
    Ok(failed::text(&failed::Failure {
        key: &job.key,
        job: job.id.0,
        recording: &context.recording(),
        folder: &context.folder.name,
        error: job.error.as_deref().unwrap_or_default(),
        tried: &tried,
        partial: job.partial,
    }))
}

async fn file_failed(
    runtime: &Runtime,
    delivery: &Delivery,
    folder: &Folder,
    recording: &str,
    error: FileError,
) -> Result<(), QueueError> {
    let told = one_line(&error_chain(&error), ERROR_MAX);
    let wait = backoff(FILE_RETRY, runtime.live().settings.retry.delay_max, delivery.attempts + 1, clock::jitter());
    match error {
        FileError::NoSpace { .. } => {
            let text = format!(
                "no room for the notes of folder `{}`: {told}\nfree some space; nothing new is begun in that folder until \
                 then, and it goes on by itself within half a minute",
                folder.name
            );
            runtime.hold(Scope::Folder, &folder.id, HoldReason::Full, told.clone(), text).await;
            later(runtime, delivery, wait.min(FILE_RETRY), &told).await
        }
        FileError::Moved { .. } => later(runtime, delivery, LOOK_AGAIN, &told).await,
        // It is this recording's place alone: nothing holds the folder.
        FileError::PlaceGone { .. } => later(runtime, delivery, wait.min(FILE_RETRY * 10), &told).await,
        FileError::DirectoryGone { .. }
        | FileError::ReadOnly { .. }
        | FileError::Denied { .. }
        | FileError::Failing { .. } => {
            let text = format!(
                "the notes of folder `{}` cannot be written: {told}\nthe notes are kept and written when they can be",
                folder.name
            );
            runtime.hold(Scope::Folder, &folder.id, HoldReason::Notes, told.clone(), text).await;
            later(runtime, delivery, wait.min(FILE_RETRY * 10), &told).await
        }
        FileError::InUse { .. } => {
            tracing::debug!(job.id = delivery.job.0, "job {} waits: {told}", delivery.job);
            let now = clock::now();
            let due = now.saturating_add(FILE_RETRY).unwrap_or(Timestamp::MAX);
            runtime.persist(|| runtime.queue.delivery_waits(delivery, due, &told, now)).await
        }
        FileError::Changed { .. } if delivery.kind == DeliveryKind::Dispose => {
            tracing::warn!(
                job.id = delivery.job.0,
                "`{recording}` changed since its notes were made and stays where it is"
            );
            delivered(runtime, delivery, folder, None).await
        }
        FileError::Changed { .. }
        | FileError::Deleted { .. }
        | FileError::NameTooLong { .. }
        | FileError::Other { .. } => {
            if delivery.attempts + 1 < FILE_TRIES {
                return later(runtime, delivery, wait, &told).await;
            }
            give_up(runtime, delivery, folder, recording, &told).await
        }
    }
}

/// Returns whether the recording lies where the queue has it; where that cannot be known, it does.
#[must_use]
pub(super) fn recording_place(context: &DeliveryContext) -> RecordingPlace {
    let Ok(root) = open_folder(context) else { return RecordingPlace::InPlace };
    match root.entry(&context.job.path) {
        Ok(Some(Entry::File(stamp))) if stamp != context.job.stamp => RecordingPlace::Replaced,
        Ok(Some(Entry::File(_))) | Err(_) => RecordingPlace::InPlace,
        Ok(Some(Entry::Directory | Entry::Other) | None) => RecordingPlace::Gone,
    }
}

/// Takes the recording for one that lies at the first of these paths where its very file is; returns whether it is at
/// one of them. A rename changes neither inode nor size nor time.
pub(super) fn follow_recording(context: &mut DeliveryContext, paths: Vec<PathBuf>) -> bool {
    let Ok(root) = open_folder(context) else { return false };
    let is_it = |path: &PathBuf| matches!(root.entry(path), Ok(Some(Entry::File(is))) if is == context.job.stamp);
    let Some(path) = paths.into_iter().find(is_it) else { return false };
    context.job.path = path;
    true
}
