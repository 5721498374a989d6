//! Notes and the file that tells of a failure: rendered, placed, and removed again.
//!
//! Each function is one delivery, and repeatable: after a crash it finds what it did before. All of them block.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Existing, FileError, Placed, digest_of,
    existing::{NUMBERS_LOOKED_AT, read_head},
    names::{add_number, failed_name_within, fitting_names, notes_name_within},
    paths::{open_dir, open_notes_directory, open_notes_root, parent_dir, place_of, sweep_quietly},
    place::{NotesFileState, notes_file_state},
    place_bytes, remove_ours,
};
use crate::{
    config::Format,
    delivery::{
        context::{DeliveryContext, one_at_a_time},
        render::failed,
    },
    job::Key,
    store::Written,
};

/// The word of a failure is far shorter.
const WORD_BYTES_MAX: u64 = 1 << 20;

/// Returns the notes in one format; the context needs its results no longer.
pub(super) fn render_notes(context: &mut DeliveryContext, format: Format) -> String {
    let text = one_at_a_time(|| context.build_minutes().render(format));
    context.reports = Arc::default();
    text
}

/// The notes in one format on their way to their file.
pub(super) struct RenderedNotes {
    /// Their format.
    pub(super) format: Format,
    /// Their text.
    pub(super) text: String,
    /// The file that an earlier try or version has written.
    pub(super) before: Option<Written>,
    /// The digests of what earlier tries were about to write in place of that.
    pub(super) intended: Vec<String>,
}

impl RenderedNotes {
    /// Writes the notes.
    ///
    /// # Errors
    /// [`FileError`], by what the caller does next.
    pub(super) fn place(&self, context: &DeliveryContext) -> Result<Written, FileError> {
        let keep = has_sibling(context);
        let name = |most| {
            notes_name_within(
                &context.job.path,
                &context.folder.notes_name,
                self.format,
                keep,
                most,
            )
        };
        let key = (self.format == Format::Md).then_some(&context.job.key);
        let before = self.before.as_ref().map(|before| (before, self.intended.as_slice()));
        place_file(context, &name, self.text.as_bytes(), key, before)
    }
}

/// Returns the file of notes that minuted wrote, as it is now.
///
/// # Errors
/// [`FileError`] where its directory cannot be looked at.
pub(crate) fn find_notes_state(
    written: &Written,
    intended: &[String],
) -> Result<NotesFileState, FileError> {
    match place_of(written)? {
        Some((dir, name)) => notes_file_state(&dir, &name, &written.digest, intended),
        None => Ok(NotesFileState::Deleted),
    }
}

/// Writes the file that tells of the failure.
///
/// # Errors
/// [`FileError`], by what the caller does next.
pub(super) fn write_failure(
    context: &DeliveryContext,
    text: &str,
    before: Option<&Written>,
) -> Result<Written, FileError> {
    let keep = has_sibling(context);
    let name = |most| failed_name_within(&context.job.path, keep, most);
    place_file(context, &name, text.as_bytes(), None, before.map(|before| (before, [].as_slice())))
}

/// Removes the file that told of a failure, unless a person has edited it. Where the ledger does not know it, it was
/// written right before a crash, or before the ledger was lost.
///
/// # Errors
/// [`FileError`], by what the caller does next.
pub(super) fn clear_failure(
    context: &DeliveryContext,
    written: Option<&Written>,
) -> Result<(), FileError> {
    match written {
        Some(written) => clear_recorded(written),
        None => clear_unrecorded(context),
    }
}

fn clear_unrecorded(context: &DeliveryContext) -> Result<(), FileError> {
    let (root, _, inner) = open_notes_root(context)?;
    let Ok(dir) = root.descend(&inner) else { return Ok(()) };
    let most = dir.name_bytes_max();
    let plain: Vec<OsString> = [false, true]
        .into_iter()
        .flat_map(|keep| {
            fitting_names(most, |most| failed_name_within(&context.job.path, keep, most))
        })
        .collect();
    for name in
        plain.iter().flat_map(|name| (1..=NUMBERS_LOOKED_AT).map(|number| add_number(name, number)))
    {
        let text = read_head(&dir, &name, WORD_BYTES_MAX).unwrap_or_default();
        if failed::is_failure_of(&text, &context.job.key) {
            remove_ours(&dir, &name, &digest_of(&text))?;
        }
    }
    Ok(())
}

fn place_file(
    context: &DeliveryContext,
    name_within: &dyn Fn(usize) -> OsString,
    bytes: &[u8],
    key: Option<&Key>,
    before: Option<(&Written, &[String])>,
) -> Result<Written, FileError> {
    let (root, base, inner) = open_notes_root(context)?;
    let before =
        before.filter(|(before, _)| before.base == base && before.path.parent() == Some(&inner));
    let (dir, existing) = if let Some((before, intended)) = before {
        let Some((dir, there)) = place_of(before)? else {
            let name = before.path.file_name().unwrap_or_default().to_owned();
            return Err(FileError::Deleted { name });
        };
        (dir, Some((there, before.digest.as_str(), intended)))
    } else {
        (open_notes_directory(context, &root, &base, &inner)?, None)
    };
    sweep_quietly(&dir);
    let existing = match &existing {
        Some((name, digest, intended)) => Existing::Ours { name, digest, intended },
        None => Existing::None,
    };
    let mut too_long = None;
    for name in fitting_names(dir.name_bytes_max(), name_within) {
        match place_bytes(&dir, &name, bytes, context.folder.file_mode, key, existing) {
            Err(error @ FileError::NameTooLong { .. }) => too_long = Some(error),
            placed => return Ok(written_file(base, &inner, placed?)),
        }
    }
    Err(too_long.unwrap_or_else(|| {
        FileError::for_entry(&dir, OsStr::new("."), rustix::io::Errno::NAMETOOLONG.into())
    }))
}

fn clear_recorded(written: &Written) -> Result<(), FileError> {
    match place_of(written)? {
        Some((dir, name)) => remove_ours(&dir, &name, &written.digest).map(drop),
        None => Ok(()),
    }
}

/// Returns whether another recording differs from this one in its extension alone.
fn has_sibling(context: &DeliveryContext) -> bool {
    let path = &context.job.path;
    let dir =
        open_dir(&context.folder.path).ok().and_then(|root| root.descend(parent_dir(path)).ok());
    let Some(entries) = dir.and_then(|dir| rustix::fs::Dir::read_from(dir.fd()).ok()) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
        let extension =
            name.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        Some(name.as_os_str()) != path.file_name()
            && name.file_stem() == path.file_stem()
            && extension.is_some_and(|extension| context.extensions.contains(&extension))
    })
}

fn written_file(base: PathBuf, inner: &Path, placed: Placed) -> Written {
    Written { base, path: inner.join(placed.name), digest: placed.digest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_failure_went_with_its_directory_but_not_with_all_the_notes() {
        let notes = tempfile::tempdir().expect("a directory");
        let base = notes.path().to_owned();
        let word = Written { base, path: "sub/talk.failed.txt".into(), digest: "none".into() };
        clear_recorded(&word).expect("it is gone");
        std::fs::write(notes.path().join("sub"), "").expect("written");
        clear_recorded(&word).expect("it is gone");
        drop(notes);
        let error = clear_recorded(&word).expect_err("what is not mounted is waited for");
        assert!(matches!(error, FileError::DirectoryGone { .. }), "{error}");
    }
}
