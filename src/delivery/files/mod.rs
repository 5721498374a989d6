//! Deliveries to the file system: the notes, the file that tells of a failure, the recording itself.
//!
//! A file is placed whole or not at all, never through a link, never over what a person wrote.

mod existing;
mod expire;
mod file_error;
mod finish;
pub(crate) mod names;
mod paths;
mod place;
mod recording;
mod relocate;
mod temporary;
mod write;

use std::{
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

pub(crate) use existing::{find_notes, generation_beside, head_proof, head_sound};
pub(super) use expire::{ExpiredRecording, expire_recording};
pub(crate) use file_error::FileError;
pub(crate) use place::{Existing, NotesFileState, Placed, digest_of, place_bytes, remove_ours};
pub use temporary::is_temporary;
pub(crate) use temporary::{Temporary, remove_leftovers, try_out};
pub(crate) use write::find_notes_state;

use self::{
    finish::finish_recording,
    recording::find_recording,
    write::{RenderedNotes, clear_failure, render_notes, write_failure},
};
use super::{
    context::{DeliveryContext, gather_context},
    in_flight::InFlightDeliveries,
    outcome::{ERROR_MAX, give_up, record_delivered, try_later},
    render::failed,
};
use crate::{
    clock,
    config::{Folder, Format},
    job::{EndedBy, HoldReason, retry::backoff_delay},
    runtime::Runtime,
    store::{Delivery, DeliveryKind, Lane, Scope, StoreError, Written},
    text::{error_chain, one_line, panic_message},
};

/// Notes are written in moments; a file system that takes longer gets no more of them, and holds up no other folder. A
/// recording that is copied to another file system takes its time.
const WRITE_MAX: Duration = Duration::from_secs(60);
const DISPOSE_MAX: Duration = Duration::from_secs(1800);

/// The error of a file system that does not answer.
const SILENT: &str = "their file system does not answer";

/// A file that could not be written is tried again after this, so that a folder that came back is noticed soon.
const FILE_RETRY: Duration = Duration::from_secs(30);

/// A recording that is not where it was is looked for again after this: a rename that the kernel tells of is in the queue
/// by then.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Tries of a file whose trouble is its own (a name too long): then the delivery has failed.
const FILE_TRIES: u32 = 3;

pub(super) async fn deliver_file(
    runtime: &Runtime,
    in_flight: &InFlightDeliveries,
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let Some(context) = gather_context(runtime, delivery).await? else {
        return try_later(
            runtime,
            delivery,
            FILE_RETRY,
            "its folder is not in the configuration any more",
        )
        .await;
    };
    let folder = Arc::clone(&context.folder);
    let holds = runtime.queue.holds().list().await?;
    let unreachable = holds.iter().find(|hold| hold.is_unreachable() && hold.name == folder.id);
    if let Some(hold) = unreachable {
        return try_later(runtime, delivery, FILE_RETRY, &hold.detail).await;
    }
    if in_flight.is_stalled(&folder.id) {
        return try_later(runtime, delivery, FILE_RETRY, SILENT).await;
    }
    let recording = context.recording_name();
    let mut writing = pin!(write_file(runtime, delivery, context));
    let limit = if delivery.kind == DeliveryKind::Dispose { DISPOSE_MAX } else { WRITE_MAX };
    let in_time = tokio::time::timeout(limit, &mut writing).await;
    let written = if let Ok(written) = in_time {
        written?
    } else {
        in_flight.mark_stalled((Lane::Files, delivery.id), &folder.id);
        runtime.deliveries.notify_one();
        hold_silent_folder(runtime, &folder).await;
        writing.await?
    };
    match written {
        Ok(written) => {
            runtime
                .end_hold(Scope::Folder, &folder.id, &HoldReason::ended_by(EndedBy::Delivery))
                .await;
            record_delivered(runtime, delivery, &folder, written).await
        }
        Err(error) => file_failed(runtime, delivery, &folder, &recording, error).await,
    }
}

/// Holds a folder whose notes directory does not answer.
async fn hold_silent_folder(runtime: &Runtime, folder: &Folder) {
    let text = format!(
        "the notes of folder `{}` cannot be written: {SILENT}\nthe notes are kept and written when it answers",
        folder.name
    );
    runtime
        .record_hold(Scope::Folder, &folder.id, HoldReason::Notes, SILENT.to_owned(), text)
        .await;
}

/// The work of a file delivery that writes no notes, with the file that an earlier try or version has written.
enum FileWork {
    /// The file that tells of the failure is written.
    Failure { text: String, before: Option<Written> },
    /// The file of the failure is removed.
    Clear { before: Option<Written> },
    /// The recording is moved, deleted or kept.
    Finish,
}

impl FileWork {
    /// Returns the work of a delivery; `None` for one that writes notes or is none of files.
    async fn of_delivery(
        runtime: &Runtime,
        delivery: &Delivery,
        context: &DeliveryContext,
    ) -> Result<Option<Self>, StoreError> {
        let written =
            |kind, target| runtime.queue.deliveries().find_written(delivery.job, kind, target);
        Ok(match delivery.kind {
            DeliveryKind::Failure => {
                let before = written(delivery.kind, &delivery.target).await?;
                Some(Self::Failure { text: failure_text(runtime, context).await?, before })
            }
            DeliveryKind::Clear => {
                Some(Self::Clear { before: written(DeliveryKind::Failure, "").await? })
            }
            DeliveryKind::Dispose => Some(Self::Finish),
            DeliveryKind::Notes | DeliveryKind::Mail | DeliveryKind::Remote => None,
        })
    }

    /// Does the work. Blocks.
    fn run(&self, context: &mut DeliveryContext) -> Result<Option<Written>, FileError> {
        match self {
            Self::Failure { text, before } => match write_failure(context, text, before.as_ref()) {
                // Nobody looks for the word of a failure where neither the recording nor its directory is.
                Err(FileError::PlaceGone { .. }) => Ok(None),
                written => written.map(Some),
            },
            Self::Clear { before } => clear_failure(context, before.as_ref()).map(|()| None),
            Self::Finish => finish_recording(context).map(|()| None),
        }
    }
}

/// Makes a file delivery; the inner error is the file system's.
async fn write_file(
    runtime: &Runtime,
    delivery: &Delivery,
    context: DeliveryContext,
) -> Result<Result<Option<Written>, FileError>, StoreError> {
    let work = FileWork::of_delivery(runtime, delivery, &context).await?;
    let folder = context.folder.path.clone();
    let mut context = match find_recording(runtime, delivery.attempts == 0, context).await? {
        Ok(context) => context,
        Err(error) => return Ok(Err(error)),
    };
    let done = match work {
        Some(work) => run_blocking(&folder, move || work.run(&mut context)).await,
        None if delivery.kind == DeliveryKind::Notes => {
            write_notes(runtime, delivery, context).await?
        }
        None => Ok(None),
    };
    Ok(match done {
        // What a person has deleted is not made again: the delivery is done.
        Err(FileError::Deleted { .. }) => Ok(None),
        done => done,
    })
}

/// Writes notes. What replaces a file is recorded before, so that a file which a crash leaves is known as minuted's own
/// also when other notes are made next: a person may have named speakers.
async fn write_notes(
    runtime: &Runtime,
    delivery: &Delivery,
    mut context: DeliveryContext,
) -> Result<Result<Option<Written>, FileError>, StoreError> {
    let format = Format::ALL
        .into_iter()
        .find(|format| format.as_str() == delivery.target)
        .unwrap_or(Format::Md);
    let before = runtime
        .queue
        .deliveries()
        .find_written(delivery.job, delivery.kind, &delivery.target)
        .await?;
    let folder = context.folder.path.clone();
    let rendered =
        run_blocking(&folder, move || Ok((render_notes(&mut context, format), context))).await;
    let (text, context) = match rendered {
        Ok(rendered) => rendered,
        Err(error) => return Ok(Err(error)),
    };
    let digest = digest_of(text.as_bytes());
    let replaces = before.as_ref().is_some_and(|before| before.digest != digest);
    if replaces && !delivery.intended.contains(&digest) {
        runtime
            .persist_commit(|| runtime.queue.deliveries().intend_rewrite(delivery, &digest))
            .await?;
    }
    let notes = RenderedNotes { format, text, before, intended: delivery.intended.clone() };
    Ok(run_blocking(&folder, move || notes.place(&context).map(Some)).await)
}

/// Runs what blocks on a thread for it; a panic there is an error of the delivery.
async fn run_blocking<T: Send + 'static>(
    folder: &Path,
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(panic_error(folder.to_owned(), error)),
    }
}

/// Returns the error of a delivery that panicked: it has not happened, and is tried again a few times.
fn panic_error(folder: PathBuf, error: tokio::task::JoinError) -> FileError {
    let message = match error.try_into_panic() {
        Ok(panic) => format!("a bug: minuted panicked: {}", panic_message(panic.as_ref())),
        Err(error) => error.to_string(),
    };
    FileError::Other { dir: folder, name: ".".into(), source: std::io::Error::other(message) }
}

async fn failure_text(runtime: &Runtime, context: &DeliveryContext) -> Result<String, StoreError> {
    let job = &context.job;
    let history =
        runtime.queue.jobs().view(job.id).await?.and_then(|view| view.history).unwrap_or_default();
    let tried: Vec<failed::Attempt> = history
        .into_iter()
        .filter(|event| event.kind.is_failure())
        .filter_map(|event| {
            let stage = event.stage?;
            Some(failed::Attempt { at: event.at, stage, error: event.error? })
        })
        .collect();
    Ok(failed::render_failure(&failed::FailureNotice {
        key: &job.key,
        job: job.id.0,
        recording: &context.recording_name(),
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
) -> Result<(), StoreError> {
    let reason = one_line(&error_chain(&error), ERROR_MAX);
    let wait = backoff_delay(
        FILE_RETRY,
        runtime.live().settings.retry.delay_max,
        delivery.attempts + 1,
        clock::jitter(),
    );
    match error {
        FileError::NoSpace { .. } => {
            let text = format!(
                "no room for the notes of folder `{}`: {reason}\nfree some space; nothing new is begun in that folder until \
                 then, and work resumes within half a minute",
                folder.name
            );
            runtime
                .record_hold(Scope::Folder, &folder.id, HoldReason::Full, reason.clone(), text)
                .await;
            try_later(runtime, delivery, wait.min(FILE_RETRY), &reason).await
        }
        FileError::Moved { .. } => try_later(runtime, delivery, LOOK_AGAIN, &reason).await,
        // It is this recording's place alone: nothing holds the folder.
        FileError::PlaceGone { .. } => {
            try_later(runtime, delivery, wait.min(FILE_RETRY * 10), &reason).await
        }
        FileError::DirectoryGone { .. }
        | FileError::ReadOnly { .. }
        | FileError::Denied { .. }
        | FileError::Failing { .. } => {
            let text = format!(
                "the notes of folder `{}` cannot be written: {reason}\nthe notes are kept and written when they can be",
                folder.name
            );
            runtime
                .record_hold(Scope::Folder, &folder.id, HoldReason::Notes, reason.clone(), text)
                .await;
            try_later(runtime, delivery, wait.min(FILE_RETRY * 10), &reason).await
        }
        FileError::InUse { .. } => {
            tracing::debug!(job.id = delivery.job.0, "job {} waits: {reason}", delivery.job);
            let now = clock::now();
            let due = now.saturating_add(FILE_RETRY).unwrap_or(Timestamp::MAX);
            runtime
                .persist_commit(|| runtime.queue.deliveries().postpone(delivery, due, &reason, now))
                .await
        }
        FileError::Changed { .. } if delivery.kind == DeliveryKind::Dispose => {
            tracing::warn!(
                job.id = delivery.job.0,
                "`{recording}` changed since its notes were made and stays where it is"
            );
            record_delivered(runtime, delivery, folder, None).await
        }
        FileError::Changed { .. }
        | FileError::Deleted { .. }
        | FileError::NameTooLong { .. }
        | FileError::Other { .. } => {
            if delivery.attempts + 1 < FILE_TRIES {
                return try_later(runtime, delivery, wait, &reason).await;
            }
            give_up(runtime, delivery, folder, recording, &reason).await
        }
    }
}
