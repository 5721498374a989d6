//! A recording whose time is over (`delete_recording_after`) is deleted, with its sidecar, if it is the one that the notes
//! are of.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use super::{
    FileError,
    finish::{delete_sidecar, expect_closed},
    panic_error,
    paths::{nearest_existing, open_folder, parent_dir, parent_of},
    recording::find_recording,
    relocate::{find_moved, hash_of},
};
use crate::{
    beneath::{Dir, Entry},
    config::OnSuccess,
    delivery::context::DeliveryContext,
    effect::Effect,
    job::Content,
    runtime::Runtime,
    store::StoreError,
};

/// What became of a recording whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::delivery) enum ExpiredRecording {
    /// It was deleted.
    Deleted,
    /// Another file lies there, which stays.
    Changed,
    /// It was not there.
    Gone,
}

/// Deletes a recording whose time is over, where it lies or where it was moved to. One that changed since its notes were
/// made stays, and one that somebody writes to stays until that is over.
///
/// # Errors
/// The outer error is the queue's, the inner one the file system's.
pub(in crate::delivery) async fn expire_recording(
    runtime: &Runtime,
    context: DeliveryContext,
) -> Result<Result<ExpiredRecording, FileError>, StoreError> {
    let context = match find_recording(runtime, false, context).await? {
        Ok(context) => context,
        Err(error) => return Ok(Err(error)),
    };
    let folder = context.folder.path.clone();
    let expire = move || Effect::DeleteExpired.during(|| delete_recording(&context));
    Ok(match tokio::task::spawn_blocking(expire).await {
        Ok(expired) => expired,
        Err(error) => Err(panic_error(folder, error)),
    })
}

fn delete_recording(context: &DeliveryContext) -> Result<ExpiredRecording, FileError> {
    let root = open_folder(context)?;
    let path = &context.job.path;
    let at = |error| FileError::for_entry(&root, path.as_os_str(), error);
    let mut is_replaced = false;
    if let Some((dir, name)) = parent_of(&root, path).map_err(at)? {
        match dir.entry(Path::new(&name)).map_err(at)? {
            Some(Entry::File(stamp)) if stamp == context.job.stamp => {
                return delete_file(context, &root, path, &dir, &name);
            }
            Some(Entry::File(_) | Entry::Directory | Entry::Other) => is_replaced = true,
            None => {}
        }
    }
    if let OnSuccess::Move(to) = &context.folder.on_success {
        let below = to.join(parent_dir(path));
        if let Some((dir, name)) = find_where_moved(context, &root, &below)? {
            return delete_file(context, &root, &below.join(&name), &dir, &name);
        }
    }
    Ok(if is_replaced { ExpiredRecording::Changed } else { ExpiredRecording::Gone })
}

/// Finds the recording in the directory that it was moved to: by its name, size and time, and its content.
fn find_where_moved(
    context: &DeliveryContext,
    root: &Dir,
    below: &Path,
) -> Result<Option<(Dir, OsString)>, FileError> {
    let place = || nearest_existing(&context.folder.path, below);
    let dir = match root.descend(below) {
        Ok(dir) => dir,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::for_directory(&place(), error)),
    };
    let wanted = context.job.path.file_name().unwrap_or_default();
    let Some(name) = find_moved(&dir, wanted, context.job.stamp)? else { return Ok(None) };
    let hashed = dir.open_file(Path::new(&name)).and_then(|file| hash_of(&file));
    let hash = hashed.map_err(|error| FileError::for_entry(&dir, &name, error))?;
    let is_it = Content::from_hash(&hash) == context.job.file_content;
    Ok(is_it.then_some((dir, name)))
}

fn delete_file(
    context: &DeliveryContext,
    root: &Dir,
    path: &Path,
    dir: &Dir,
    name: &OsStr,
) -> Result<ExpiredRecording, FileError> {
    expect_closed(context, root, path)?;
    let deleted = dir.unlink(name).and_then(|()| dir.sync());
    deleted.map_err(|error| FileError::for_entry(dir, name, error))?;
    delete_sidecar(context, dir, name)?;
    Ok(ExpiredRecording::Deleted)
}
