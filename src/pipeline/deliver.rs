//! Notes and the word of a failure are written, the recording is disposed of.
//!
//! Each function is one delivery, and repeatable: after a crash it finds what it did before. All but what is asked of the
//! service block.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{answered, sidecar};
use crate::{
    beneath::{Dir, Entry, Stamp},
    clock,
    config::{Folder, Format, OnSuccess, OnSuccessRemote, SIDECAR_BYTES_MAX, Target, sidecar_of},
    deliver::{
        self, Existing, FileError, Kept, Letter, LetterForm, Minutes, Placed, Proof, failed, failed_name_within,
        fitting_names, names, names_within, numbered, proof_of, sound_of,
    },
    effect::Effect,
    job::{Key, Report, Setback, Sound},
    open_files::OpenFiles,
    queue::{Job, Root, Written},
    services::{CallError, NotesService},
    text::printable_path,
};

/// Permissions of directories that minuted makes for notes, less its umask.
const DIRECTORY_MODE: u32 = 0o777;

/// The front matter that proves whose notes a file holds lies in its first so many bytes.
const HEAD_BYTES: u64 = 4096;

/// Numbered names that are looked at for notes that exist already: a person rarely keeps more versions.
const NUMBERS_LOOKED_AT: u32 = 5;

/// The word of a failure is far shorter.
const WORD_BYTES_MAX: u64 = 1 << 20;

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

/// A job and its results, ready to be delivered.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The job.
    pub job: Job,
    /// What the service found, where notes are made of it.
    pub reports: Arc<[Report]>,
    /// The folder, with its settings of now.
    pub folder: Arc<Folder>,
    /// The folder's directory, as it was met.
    pub root: Option<Root>,
    /// Whether the recording lies in the folder, as far as the queue knows.
    pub is_seen: bool,
    /// The extensions that mark a file as a recording, lower case.
    pub extensions: Vec<String>,
    /// Who has which file open for writing.
    pub open_files: Arc<OpenFiles>,
}

impl Parcel {
    /// Returns the document that all forms of the notes are made of.
    #[must_use]
    pub fn minutes(&self) -> Minutes {
        let plan = self.job.plan.as_ref();
        Minutes {
            key: self.job.key.clone(),
            sound: self.job.sound.clone(),
            title: plan.map_or_else(|| self.recording(), |plan| plan.title.clone()),
            recorded: self.job.date(),
            recording: self.recording(),
            folder: self.folder.name.clone(),
            attendees: plan.map(|plan| plan.attendees.clone()).unwrap_or_default(),
            attendees_from: plan.and_then(|plan| plan.told.attendees_from.clone()),
            service: plan.map(|plan| plan.service.clone()).unwrap_or_default(),
            meeting: self.job.remote.meeting().map(str::to_owned),
            warning: self.job.partial.then(|| {
                let error = self.job.error.as_deref().unwrap_or("the service did not finish");
                format!("these notes lack what failed: {error}. `minuted retry {}` tries again.", self.job.id)
            }),
            reports: Arc::clone(&self.reports),
        }
    }

    /// Returns the recording's file name, fit to be shown.
    #[must_use]
    pub fn recording(&self) -> String {
        printable_path(Path::new(self.job.path.file_name().unwrap_or_default()))
    }

    /// Returns the name of the notes in Markdown.
    #[must_use]
    pub fn attachment(&self) -> OsString {
        names(&self.job.path, &self.folder.notes_name, Format::Md, false)
    }

    /// Returns the mail with the notes, in a form; `id` is its `Message-ID`.
    #[must_use]
    pub fn letter(&self, id: String, form: LetterForm) -> Letter {
        let kept = match &self.folder.notes_dir {
            _ if !self.folder.deliver.contains(&Target::Beside) => Kept::Nowhere,
            Some(_) => Kept::InItsDirectory,
            None => Kept::Beside,
        };
        Letter::in_form(&self.minutes(), id, &self.attachment(), form, kept)
    }

    /// Writes the notes in one format.
    ///
    /// # Errors
    /// [`FileError`], by what the caller does next.
    pub fn write_notes(&mut self, format: Format, before: Option<&Written>) -> Result<Written, FileError> {
        let bytes = one_at_a_time(|| self.minutes().render(format));
        self.reports = Arc::default();
        let keep = self.has_sibling();
        let name = |most| names_within(&self.job.path, &self.folder.notes_name, format, keep, most);
        let key = (format == Format::Md).then_some(&self.job.key);
        self.place(&name, bytes.as_bytes(), key, before)
    }

    /// Writes the file that tells of the failure.
    ///
    /// # Errors
    /// [`FileError`], by what the caller does next.
    pub fn write_failure(&self, text: &str, before: Option<&Written>) -> Result<Written, FileError> {
        let keep = self.has_sibling();
        let name = |most| failed_name_within(&self.job.path, keep, most);
        self.place(&name, text.as_bytes(), None, before)
    }

    /// Removes the file that told of a failure, unless a person has edited it. Where the ledger does not know it, it was
    /// written right before a crash, or before the ledger was lost.
    ///
    /// # Errors
    /// [`FileError`], by what the caller does next.
    pub fn clear_failure(&self, written: Option<&Written>) -> Result<(), FileError> {
        match written {
            Some(written) => clear_recorded(written),
            None => self.clear_unrecorded(),
        }
    }

    fn clear_unrecorded(&self) -> Result<(), FileError> {
        let (root, _, inner) = self.notes_root()?;
        let Ok(dir) = root.descend(&inner) else { return Ok(()) };
        let most = dir.name_bytes_max();
        let plain: Vec<OsString> = [false, true]
            .into_iter()
            .flat_map(|keep| fitting_names(most, |most| failed_name_within(&self.job.path, keep, most)))
            .collect();
        for name in plain.iter().flat_map(|name| (1..=NUMBERS_LOOKED_AT).map(|number| numbered(name, number))) {
            let text = head(&dir, &name, WORD_BYTES_MAX).unwrap_or_default();
            if failed::is_of(&text, &self.job.key) {
                deliver::remove_ours(&dir, &name, &deliver::files::digest_of(&text))?;
            }
        }
        Ok(())
    }

    /// Moves or deletes the recording, as the folder says; a recording that changed since stays where it is, and one
    /// that somebody writes to stays until that is over.
    ///
    /// # Errors
    /// [`FileError`], by what the caller does next.
    pub fn dispose(&self) -> Result<(), FileError> {
        Effect::Dispose.before();
        let disposed = self.dispose_of();
        Effect::Dispose.after();
        disposed
    }

    /// Opens the folder. Another directory than before, which is empty or lacks the recording, is the place where its
    /// disk was mounted: what is written there would be hidden when the disk is back, and what is missing is not gone.
    fn root(&self) -> Result<Dir, FileError> {
        let root = open(&self.folder.path)?;
        let is_away = || {
            let place = root.place()?;
            let is_elsewhere = self.root.as_ref().is_some_and(|met| met.is_elsewhere(place));
            let lacks = |path: &Path| self.is_seen && matches!(root.entry(path), Ok(None));
            Ok(is_elsewhere && (root.is_empty()? || lacks(&self.job.path)))
        };
        match is_away() {
            Ok(false) => Ok(root),
            Ok(true) => Err(FileError::opening(&self.folder.path, rustix::io::Errno::NODEV.into())),
            Err(error) => Err(FileError::opening(&self.folder.path, error)),
        }
    }

    fn dispose_of(&self) -> Result<(), FileError> {
        let root = self.root()?;
        let at = |error| FileError::at(&root, self.job.path.as_os_str(), error);
        let Some((from, name)) = parent_of(&root, &self.job.path).map_err(at)? else { return Ok(()) };
        match &self.folder.on_success {
            OnSuccess::Keep => Ok(()),
            OnSuccess::Move(to) => {
                let to = to.join(parent(&self.job.path));
                let made = root.descend_or_make(&to, DIRECTORY_MODE);
                let to = made.map_err(|error| FileError::opening(&nearest(&self.folder.path, &to), error))?;
                sweep(&to);
                let is_closed = || self.expect_closed(&root, &name);
                let there = deliver::relocate_closed(&from, &name, &to, self.job.stamp, &is_closed)?;
                self.move_sidecar(&from, &name, &to, &there)
            }
            OnSuccess::Delete => match from.entry(Path::new(&name)).map_err(at)? {
                None => self.delete_sidecar(&from, &name),
                Some(Entry::File(stamp)) if stamp == self.job.stamp => {
                    self.expect_closed(&root, &name)?;
                    from.unlink(&name).and_then(|()| from.sync()).map_err(at)?;
                    self.delete_sidecar(&from, &name)
                }
                Some(Entry::File(_) | Entry::Directory | Entry::Other) => Err(FileError::Changed { name }),
            },
        }
    }

    /// Fails while somebody writes to the recording: it must not be taken away from under a recorder.
    fn expect_closed(&self, root: &Dir, name: &OsStr) -> Result<(), FileError> {
        match self.open_files.in_use_now(root, &self.job.path, clock::now()) {
            Some(in_use) => Err(FileError::InUse { name: name.to_owned(), by: in_use.to_string() }),
            None => Ok(()),
        }
    }

    /// Moves the sidecar after its recording, to the name that goes with the recording's there.
    fn move_sidecar(&self, from: &Dir, recording: &OsStr, to: &Dir, there: &OsStr) -> Result<(), FileError> {
        let Some((name, stamp)) = self.sidecar(from, recording)? else { return Ok(()) };
        let wanted = sidecar_of(Path::new(there));
        match deliver::relocate_as(from, &name, to, wanted.as_os_str(), stamp) {
            // Somebody wrote it anew at this very moment, or took it away: it is his.
            Ok(_) | Err(FileError::Changed { .. } | FileError::Deleted { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn delete_sidecar(&self, dir: &Dir, recording: &OsStr) -> Result<(), FileError> {
        let Some((name, stamp)) = self.sidecar(dir, recording)? else { return Ok(()) };
        let at = |error| FileError::at(dir, &name, error);
        match dir.entry(Path::new(&name)).map_err(at)? {
            Some(Entry::File(is)) if is == stamp => dir.unlink(&name).and_then(|()| dir.sync()).map_err(at),
            Some(Entry::File(_) | Entry::Directory | Entry::Other) | None => Ok(()),
        }
    }

    /// Returns the sidecar of a recording that is disposed of, if it is the one that was read: another one is that of the
    /// next recording of the same name, or a person's that was never taken.
    fn sidecar(&self, dir: &Dir, recording: &OsStr) -> Result<Option<(OsString, Stamp)>, FileError> {
        let Some(digest) = self.job.plan.as_ref().and_then(|plan| plan.told.sidecar.as_ref()) else { return Ok(None) };
        let name = sidecar_of(Path::new(recording)).into_os_string();
        match dir.entry(Path::new(&name)).map_err(|error| FileError::at(dir, &name, error))? {
            Some(Entry::File(stamp)) if stamp.size <= SIDECAR_BYTES_MAX => {
                let bytes = head(dir, &name, SIDECAR_BYTES_MAX).unwrap_or_default();
                Ok((sidecar::digest_of(&bytes) == *digest).then_some((name, stamp)))
            }
            Some(Entry::File(_) | Entry::Directory | Entry::Other) | None => Ok(None),
        }
    }

    fn place(
        &self,
        name_within: &dyn Fn(usize) -> OsString,
        bytes: &[u8],
        key: Option<&Key>,
        before: Option<&Written>,
    ) -> Result<Written, FileError> {
        let (root, base, inner) = self.notes_root()?;
        let before = before.filter(|before| before.base == base && before.path.parent() == Some(&inner));
        let (dir, existing) = if let Some(before) = before {
            let Some((dir, there)) = place_of(before)? else {
                let name = before.path.file_name().unwrap_or_default().to_owned();
                return Err(FileError::Deleted { name });
            };
            (dir, Some((there, before.digest.clone())))
        } else {
            (self.notes_dir(&root, &base, &inner)?, None)
        };
        sweep(&dir);
        let existing = match &existing {
            Some((name, digest)) => Existing::Ours { name, digest },
            None => Existing::None,
        };
        let mut too_long = None;
        for name in fitting_names(dir.name_bytes_max(), name_within) {
            match deliver::place(&dir, &name, bytes, self.folder.file_mode, key, existing) {
                Err(error @ FileError::NameTooLong { .. }) => too_long = Some(error),
                placed => return Ok(written(base, &inner, placed?)),
            }
        }
        Err(too_long.unwrap_or_else(|| FileError::at(&dir, OsStr::new("."), rustix::io::Errno::NAMETOOLONG.into())))
    }

    /// Opens the directory of the notes. Directories that minuted keeps itself are made; the one in which a recording lay is
    /// a person's, and is not made again where he took it away.
    fn notes_dir(&self, root: &Dir, base: &Path, inner: &Path) -> Result<Dir, FileError> {
        let at = |error| FileError::opening(&nearest(base, inner), error);
        if self.folder.notes_dir.is_some() || matches!(self.folder.on_success, OnSuccess::Move(_)) {
            return root.descend_or_make(inner, DIRECTORY_MODE).map_err(at);
        }
        let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let gone = || FileError::PlaceGone { dir: base.join(inner) };
        root.descend(inner).map_err(|error| if is_gone(&error) { gone() } else { at(error) })
    }

    /// Returns whether the recording lies where the queue has it; where that cannot be known, it does.
    #[must_use]
    pub fn recording_place(&self) -> RecordingPlace {
        let Ok(root) = self.root() else { return RecordingPlace::InPlace };
        match root.entry(&self.job.path) {
            Ok(Some(Entry::File(stamp))) if stamp != self.job.stamp => RecordingPlace::Replaced,
            Ok(Some(Entry::File(_))) | Err(_) => RecordingPlace::InPlace,
            Ok(Some(Entry::Directory | Entry::Other) | None) => RecordingPlace::Gone,
        }
    }

    /// Takes the recording for one that lies at the first of these paths where its very file is; returns whether it is at
    /// one of them. A rename changes neither inode nor size nor time.
    pub fn follow(&mut self, paths: Vec<PathBuf>) -> bool {
        let Ok(root) = self.root() else { return false };
        let is_it = |path: &PathBuf| matches!(root.entry(path), Ok(Some(Entry::File(is))) if is == self.job.stamp);
        let Some(path) = paths.into_iter().find(is_it) else { return false };
        self.job.path = path;
        true
    }

    /// Opens the directory that the notes' directory lies in, and returns its path and the way below it.
    fn notes_root(&self) -> Result<(Dir, PathBuf, PathBuf), FileError> {
        let (base, inner) = notes_place(&self.folder, &self.job.path);
        let root = if base == self.folder.path { self.root()? } else { open(&base)? };
        Ok((root, base, inner))
    }

    /// Whether another recording differs from this one in its extension alone.
    fn has_sibling(&self) -> bool {
        let path = &self.job.path;
        let dir = open(&self.folder.path).ok().and_then(|root| root.descend(parent(path)).ok());
        let Some(entries) = dir.and_then(|dir| rustix::fs::Dir::read_from(dir.fd()).ok()) else { return false };
        entries.flatten().any(|entry| {
            let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
            let extension = name.extension().map(|extension| extension.to_string_lossy().to_lowercase());
            Some(name.as_os_str()) != path.file_name()
                && name.file_stem() == path.file_stem()
                && extension.is_some_and(|extension| self.extensions.contains(&extension))
        })
    }
}

/// Has the service delete or purge what it keeps of a job; nothing of one that it never had.
///
/// # Errors
/// What the service says, of what it has not deleted.
pub async fn dispose_remotely(service: &dyn NotesService, job: &Job, how: OnSuccessRemote) -> Result<(), CallError> {
    let (Some(meeting), Some(recording)) = (job.remote.meeting(), job.remote.recording()) else { return Ok(()) };
    Effect::CallDispose.before();
    let disposed = service.dispose(meeting, recording, how).await;
    Effect::CallDispose.after();
    disposed
}

/// Renders one document after the other: it takes several times the memory of its text.
pub fn one_at_a_time<T>(render: impl FnOnce() -> T) -> T {
    static RENDERING: Mutex<()> = Mutex::new(());
    let _alone = RENDERING.lock().unwrap_or_else(PoisonError::into_inner);
    render()
}

/// Returns where whole notes with this job's key lie already, if they do: another host, or minuted before its queue was
/// lost, made them.
///
/// # Errors
/// [`Setback::FileLost`] when that cannot be known now.
pub async fn existing_notes(folder: &Arc<Folder>, job: &Job) -> Result<Option<String>, Setback> {
    let (folder, job) = (Arc::clone(folder), job.clone());
    answered(tokio::task::spawn_blocking(move || find_notes(&folder, &job))).await
}

fn find_notes(folder: &Folder, job: &Job) -> Option<String> {
    let wanted = Proof { key: job.key.clone(), partial: false };
    notes_beside(folder, &job.path).into_iter().find_map(|(path, proof)| (proof == wanted).then_some(path))
}

/// Returns the notes that lie in the place of those of a recording, each with what it proves.
fn notes_beside(folder: &Folder, recording: &Path) -> Vec<(String, Proof)> {
    let (base, inner) = notes_place(folder, recording);
    let Ok(dir) = Dir::open(&base).and_then(|base| base.descend(&inner)) else { return Vec::new() };
    let most = dir.name_bytes_max();
    let name = |keep, most| names_within(recording, &folder.notes_name, Format::Md, keep, most);
    let plain: Vec<OsString> =
        [false, true].into_iter().flat_map(|keep| fitting_names(most, |most| name(keep, most))).collect();
    let candidates = plain.iter().flat_map(|name| (1..=NUMBERS_LOOKED_AT).map(|number| numbered(name, number)));
    let shown = |name: OsString| printable_path(&base.join(&inner).join(name));
    candidates.filter_map(|name| head_proof(&dir, &name).map(|proof| (shown(name), proof))).collect()
}

/// Returns the last generation that the notes in the place of those of a recording tell of, of whatever content; 0 where
/// there are none. Blocks.
#[must_use]
pub fn generation_beside(folder: &Folder, recording: &Path) -> u32 {
    let is_of_folder = |key: &Key| key.folder == folder.id && key.is_believable();
    let of_folder = notes_beside(folder, recording).into_iter().filter(|(_, proof)| is_of_folder(&proof.key));
    of_folder.map(|(_, proof)| proof.key.generation).max().unwrap_or_default()
}

/// Returns what the front matter of a file proves, if it has one.
pub fn head_proof(dir: &Dir, name: &OsStr) -> Option<Proof> {
    proof_of(&head(dir, name, HEAD_BYTES)?)
}

/// Returns the name of the recording's sound that the front matter of a file has, if it has one.
pub fn head_sound(dir: &Dir, name: &OsStr) -> Option<Sound> {
    sound_of(&head(dir, name, HEAD_BYTES)?)
}

fn head(dir: &Dir, name: &OsStr, bytes_max: u64) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    dir.open_file(Path::new(name)).ok()?.take(bytes_max).read_to_end(&mut head).ok()?;
    Some(head)
}

/// Returns the directory of the notes of a recording: a base that must exist, and the way below it.
fn notes_place(folder: &Folder, recording: &Path) -> (PathBuf, PathBuf) {
    let inner = parent(recording);
    match (&folder.notes_dir, &folder.on_success) {
        (Some(dir), _) => (dir.clone(), inner.to_owned()),
        (None, OnSuccess::Move(to)) => (folder.path.clone(), to.join(inner)),
        (None, OnSuccess::Keep | OnSuccess::Delete) => (folder.path.clone(), inner.to_owned()),
    }
}

/// The last that is there of the way from `base` down to `inner`: where that way cannot be gone on.
fn nearest(base: &Path, inner: &Path) -> PathBuf {
    // Anew from its parts: a slash at the end would ask for a directory.
    let way: PathBuf = base.join(inner).components().collect();
    way.ancestors().find(|there| there.symlink_metadata().is_ok()).unwrap_or(base).to_owned()
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Removes what a crash has left of files on their way to `dir`; whatever hinders that does not hinder the notes.
fn sweep(dir: &Dir) {
    if let Err(error) = deliver::sweep(dir) {
        tracing::debug!(%error, "failed to look for temporary files that a crash has left");
    }
}

fn open(path: &Path) -> Result<Dir, FileError> {
    Dir::open(path).map_err(|error| FileError::opening(path, error))
}

fn clear_recorded(written: &Written) -> Result<(), FileError> {
    match place_of(written)? {
        Some((dir, name)) => deliver::remove_ours(&dir, &name, &written.digest).map(drop),
        None => Ok(()),
    }
}

/// Opens the directory in which a file was written; `None` when it is gone, and the file with it.
fn place_of(written: &Written) -> Result<Option<(Dir, OsString)>, FileError> {
    let root = open(&written.base)?;
    parent_of(&root, &written.path).map_err(|error| FileError::at(&root, written.path.as_os_str(), error))
}

/// Opens the directory of `path` below `root`, which is there; `None` when the way to it is gone, and what lay at its
/// end with it. To wait for that would be to wait for ever.
fn parent_of(root: &Dir, path: &Path) -> io::Result<Option<(Dir, OsString)>> {
    match root.parent_of(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

fn written(base: PathBuf, inner: &Path, placed: Placed) -> Written {
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
