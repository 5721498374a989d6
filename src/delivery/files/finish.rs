//! The recording after everything else is delivered: moved, deleted or left where it is, with its sidecar. All of it
//! blocks.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use super::{
    FileError, digest_of,
    existing::read_head,
    paths::{DIRECTORY_MODE, nearest_existing, open_folder, parent_dir, parent_of, sweep_quietly},
    relocate::{move_recording, relocate_as},
};
use crate::{
    beneath::{Dir, Entry, Stamp},
    clock,
    config::{OnSuccess, SIDECAR_BYTES_MAX, sidecar_of},
    delivery::context::DeliveryContext,
    effect::Effect,
};

/// Moves or deletes the recording, as the folder says; a recording that changed since stays where it is, and one
/// that somebody writes to stays until that is over.
///
/// # Errors
/// [`FileError`], by what the caller does next.
pub(super) fn finish_recording(context: &DeliveryContext) -> Result<(), FileError> {
    Effect::Dispose.during(|| dispose_of(context))
}

fn dispose_of(context: &DeliveryContext) -> Result<(), FileError> {
    let root = open_folder(context)?;
    let at = |error| FileError::for_entry(&root, context.job.path.as_os_str(), error);
    let Some((from, name)) = parent_of(&root, &context.job.path).map_err(at)? else {
        return Ok(());
    };
    match &context.folder.on_success {
        OnSuccess::Keep => Ok(()),
        OnSuccess::Move(to) => {
            let to = to.join(parent_dir(&context.job.path));
            let made = root.descend_or_make(&to, DIRECTORY_MODE);
            let to = made.map_err(|error| {
                FileError::for_directory(&nearest_existing(&context.folder.path, &to), error)
            })?;
            sweep_quietly(&to);
            let is_closed = || expect_closed(context, &root, &context.job.path);
            let there = move_recording(&from, &name, &to, context.job.stamp, &is_closed)?;
            move_sidecar(context, &from, &name, &to, &there)
        }
        OnSuccess::Delete => match from.entry(Path::new(&name)).map_err(at)? {
            None => delete_sidecar(context, &from, &name),
            Some(Entry::File(stamp)) if stamp == context.job.stamp => {
                expect_closed(context, &root, &context.job.path)?;
                from.unlink(&name).and_then(|()| from.sync()).map_err(at)?;
                delete_sidecar(context, &from, &name)
            }
            Some(Entry::File(_) | Entry::Directory | Entry::Other) => {
                Err(FileError::Changed { name })
            }
        },
    }
}

/// Fails while somebody writes to the recording: it must not be taken away from under a recorder.
pub(super) fn expect_closed(
    context: &DeliveryContext,
    root: &Dir,
    path: &Path,
) -> Result<(), FileError> {
    match context.open_files.in_use_now(root, path, clock::now()) {
        Some(in_use) => {
            let name = path.file_name().unwrap_or_default().to_owned();
            Err(FileError::InUse { name, by: in_use.to_string() })
        }
        None => Ok(()),
    }
}

/// Moves the sidecar after its recording, to the name that goes with the recording's there.
fn move_sidecar(
    context: &DeliveryContext,
    from: &Dir,
    recording: &OsStr,
    to: &Dir,
    there: &OsStr,
) -> Result<(), FileError> {
    let Some((name, stamp)) = find_sidecar(context, from, recording)? else { return Ok(()) };
    let wanted = sidecar_of(Path::new(there));
    match relocate_as(from, &name, to, wanted.as_os_str(), stamp) {
        // Somebody wrote it anew at this very moment, or took it away: it is his.
        Ok(_) | Err(FileError::Changed { .. } | FileError::Deleted { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn delete_sidecar(
    context: &DeliveryContext,
    dir: &Dir,
    recording: &OsStr,
) -> Result<(), FileError> {
    let Some((name, stamp)) = find_sidecar(context, dir, recording)? else { return Ok(()) };
    let at = |error| FileError::for_entry(dir, &name, error);
    match dir.entry(Path::new(&name)).map_err(at)? {
        Some(Entry::File(is)) if is == stamp => {
            dir.unlink(&name).and_then(|()| dir.sync()).map_err(at)
        }
        Some(Entry::File(_) | Entry::Directory | Entry::Other) | None => Ok(()),
    }
}

/// Returns the sidecar of a recording that is disposed of, if it is the one that was read: another one is that of the
/// next recording of the same name, or a person's that was never taken.
fn find_sidecar(
    context: &DeliveryContext,
    dir: &Dir,
    recording: &OsStr,
) -> Result<Option<(OsString, Stamp)>, FileError> {
    let Some(digest) =
        context.job.plan.as_ref().and_then(|plan| plan.details_source.sidecar.as_ref())
    else {
        return Ok(None);
    };
    let name = sidecar_of(Path::new(recording)).into_os_string();
    match dir.entry(Path::new(&name)).map_err(|error| FileError::for_entry(dir, &name, error))? {
        Some(Entry::File(stamp)) if stamp.size <= SIDECAR_BYTES_MAX => {
            let bytes = read_head(dir, &name, SIDECAR_BYTES_MAX).unwrap_or_default();
            Ok((digest_of(&bytes) == *digest).then_some((name, stamp)))
        }
        Some(Entry::File(_) | Entry::Directory | Entry::Other) | None => Ok(None),
    }
}
