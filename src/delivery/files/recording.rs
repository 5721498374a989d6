//! The recording of a delivery: where the queue has it, or where it was moved since.

use std::path::PathBuf;

use super::{FileError, panic_error, paths::open_folder};
use crate::{
    beneath::Entry, delivery::context::DeliveryContext, runtime::Runtime, store::StoreError,
};

/// The place of a job's recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordingPlace {
    /// At its path in the queue.
    InPlace,
    /// Another file lies there.
    Replaced,
    /// No file lies there.
    Gone,
}

/// Lets the context follow its recording, which may have been renamed or moved within the folder since it was taken.
///
/// A recording that is not found at the first try is looked for once more before it counts as gone.
pub(super) async fn find_recording(
    runtime: &Runtime,
    is_first_try: bool,
    context: DeliveryContext,
) -> Result<Result<DeliveryContext, FileError>, StoreError> {
    let folder = context.folder.path.clone();
    let look = move || (recording_place(&context), context);
    let (place, mut context) = match tokio::task::spawn_blocking(look).await {
        Ok(looked) => looked,
        Err(error) => return Ok(Err(panic_error(folder, error))),
    };
    if place == RecordingPlace::InPlace {
        return Ok(Ok(context));
    }
    let paths = runtime.queue.files().find_by_stamp(&context.folder.id, context.job.stamp).await?;
    let (is_found, context) =
        match tokio::task::spawn_blocking(move || (follow_recording(&mut context, paths), context))
            .await
        {
            Ok(looked) => looked,
            Err(error) => return Ok(Err(panic_error(folder, error))),
        };
    if place == RecordingPlace::Gone && !is_found && context.is_seen && is_first_try {
        let name = context.job.path.file_name().unwrap_or_default().to_owned();
        return Ok(Err(FileError::Moved { name }));
    }
    Ok(Ok(context))
}

/// Returns whether the recording lies where the queue has it; where that cannot be known, it does.
fn recording_place(context: &DeliveryContext) -> RecordingPlace {
    let Ok(root) = open_folder(context) else { return RecordingPlace::InPlace };
    match root.entry(&context.job.path) {
        Ok(Some(Entry::File(stamp))) if stamp != context.job.stamp => RecordingPlace::Replaced,
        Ok(Some(Entry::File(_))) | Err(_) => RecordingPlace::InPlace,
        Ok(Some(Entry::Directory | Entry::Other) | None) => RecordingPlace::Gone,
    }
}

/// Takes the recording for one that lies at the first of these paths where its very file is; returns whether it is at
/// one of them. A rename changes neither inode nor size nor time.
fn follow_recording(context: &mut DeliveryContext, paths: Vec<PathBuf>) -> bool {
    let Ok(root) = open_folder(context) else { return false };
    let is_it = |path: &PathBuf| matches!(root.entry(path), Ok(Some(Entry::File(is))) if is == context.job.stamp);
    let Some(path) = paths.into_iter().find(is_it) else { return false };
    context.job.path = path;
    true
}
