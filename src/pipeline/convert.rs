//! Conversion with ffmpeg of recordings that the service does not take, where the folder asks for it.
//!
//! The converted recording lies below the state directory under the job's key until its upload is recorded: an upload
//! whose answer was lost is known again by its name and size. The recording itself is only read.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, anyhow};

use super::{StageContext, confirm_content, open_closed_recording};
use crate::{
    beneath::Stamp,
    clock,
    config::{Convert, Environment},
    effect::Effect,
    engine::audio::{
        convert::{ConvertError, Form, convert},
        ffmpeg,
    },
    job::{Key, Setback, Stage},
    media_types,
    services::{conversion_form, convertible_extensions},
    store::{Job, Store},
};

/// What a crash, or a job that nobody asks for any more, left behind goes after this time: it is made again in minutes.
const LEFT_BEHIND: Duration = Duration::from_secs(7 * 86_400);

/// Bytes of all converted recordings together, with those that are being written: twice the largest. They lie on the disk of
/// the queue, and one folder must not fill that.
const ALL_BYTES_MAX: u64 = 8 << 30;

/// The command that installs a missing ffmpeg.
pub(crate) const FFMPEG_CURE: &str = "apt install ffmpeg";

/// Converts recordings, and keeps them until they are sent.
#[derive(Debug, Clone)]
pub(crate) struct Converter {
    dir: PathBuf,
    /// The search path for programs: ffmpeg may be installed at any time.
    path: OsString,
}

/// A converted recording.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) file: File,
    pub(super) stamp: Stamp,
    pub(super) extension: &'static str,
    pub(super) mime: &'static str,
}

impl Converter {
    /// Returns the converter of a state directory.
    #[must_use]
    pub(crate) fn new(state_dir: &Path, env: &Environment) -> Self {
        Self { dir: state_dir.join("converted"), path: env.path.clone().unwrap_or_default() }
    }

    /// Removes what was converted for a job, and what was left behind long ago.
    pub(crate) async fn forget(&self, key: &Key) {
        let dir = self.dir.clone();
        let key = key.to_string();
        let removed = tokio::task::spawn_blocking(move || {
            for form in Form::ALL {
                remove(&dir.join(name(&key, form)))?;
            }
            sweep(&dir)
        });
        report(removed.await.map_err(io::Error::other).and_then(|removed| removed));
    }

    /// Removes what was converted for jobs that send nothing any more: they ended, or their file has other content.
    pub(crate) async fn tidy(&self, queue: &Store) {
        report(self.remove_unneeded(queue).await);
    }

    async fn remove_unneeded(&self, queue: &Store) -> io::Result<()> {
        let dir = self.dir.clone();
        let converted =
            tokio::task::spawn_blocking(move || list(&dir)).await.map_err(io::Error::other)??;
        let converted = converted.into_iter().filter(|path| !is_draft(path));
        let keyed = converted
            .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path.clone())));
        let keyed: Vec<(String, PathBuf)> = keyed.collect();
        if keyed.is_empty() {
            return Ok(());
        }
        let keys = keyed.iter().map(|(key, _)| key.clone()).collect();
        let unsent = queue.jobs().keys_to_send(keys).await.map_err(io::Error::other)?;
        let unneeded: Vec<PathBuf> = keyed
            .into_iter()
            .filter(|(key, _)| !unsent.contains(key))
            .map(|(_, path)| path)
            .collect();
        let removed =
            tokio::task::spawn_blocking(move || unneeded.iter().try_for_each(|path| remove(path)));
        removed.await.map_err(io::Error::other)?
    }

    /// Removes what a process before left unfinished. To be called before anything is converted.
    pub(crate) async fn remove_drafts(&self) {
        let dir = self.dir.clone();
        let removed = tokio::task::spawn_blocking(move || {
            list(&dir)?.iter().filter(|path| is_draft(path)).try_for_each(|path| remove(path))
        });
        report(removed.await.map_err(io::Error::other).and_then(|removed| removed));
    }
}

/// Logs that a file could not be removed: the next conversion tries again.
fn report(removed: io::Result<()>) {
    if let Err(error) = removed {
        tracing::debug!("a converted recording stays for now: {error}");
    }
}

/// Returns the recording of a job as its service takes it; `None` where it is none of those that are converted.
pub(super) async fn converted(
    context: &StageContext,
    job: &Job,
) -> Result<Option<Converted>, Setback> {
    let service = context.service.as_ref();
    let extension = job.path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_wanted = context.folder.convert == Convert::Ffmpeg
        && convertible_extensions(service).contains(&&*extension);
    let Some((form, mime)) = conversion_form(service).filter(|_| is_wanted) else {
        return Ok(None);
    };
    let source = open_closed_recording(context, job).await?;
    let path = context.converter.dir.join(name(&job.key.to_string(), form));
    if let Some(file) = opened(&path).await? {
        let (file, stamp) = file;
        return Ok(Some(Converted { file, stamp, extension: form.extension(), mime }));
    }
    let Some(program) = ffmpeg::find(&context.converter.path) else {
        let error = anyhow!("it is converted by ffmpeg, which is not installed: {FFMPEG_CURE}");
        return Err(Setback::Lacking { error });
    };
    let begun = tokio::time::Instant::now();
    let draft = drafted(&path).await?;
    let headerless = media_types::headerless_kind(&extension);
    convert(source, headerless, &program, &draft.file, form)
        .await
        .map_err(|error| conversion_setback(&error))?;
    // What was read of a file that changed is of no recording that there ever was, or of another one.
    confirm_content(context, job).await?;
    let to = path.clone();
    on_disk(move || draft.file.sync_all().and_then(|()| place(&draft.path, &to))).await?;
    let elapsed_ms = begun.elapsed().as_millis();
    tracing::info!(
        job.id = job.id.0,
        elapsed_ms,
        "job {}: converted to {}",
        job.id,
        form.extension()
    );
    let (file, stamp) =
        opened(&path).await?.ok_or_else(|| lacking(anyhow!("the converted recording is gone")))?;
    Ok(Some(Converted { file, stamp, extension: form.extension(), mime }))
}

fn name(key: &str, form: Form) -> String {
    format!("{}.{}", key.replace('/', "_"), form.extension())
}

/// Opens a recording that was converted before.
async fn opened(path: &Path) -> Result<Option<(File, Stamp)>, Setback> {
    let path = path.to_owned();
    on_disk(move || match File::open(path) {
        Ok(file) => Stamp::of(&file).map(|stamp| Some((file, stamp))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    })
    .await
}

/// A file that is converted into. However the conversion ends, the file goes with this value, unless it was placed.
#[derive(Debug)]
struct Draft {
    path: PathBuf,
    file: File,
}

/// The number of conversions that this process has begun: each writes a file of its own, which no other removes.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

impl Draft {
    /// Opens the file that becomes the one at `path`.
    fn begin(dir: &Path, path: &Path) -> io::Result<Self> {
        let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
        let path = path.with_extension(format!("{number}.{DRAFT_EXTENSION}"));
        Ok(Self { file: draft(dir, &path)?, path })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        report(remove(&self.path));
    }
}

/// The extension of what is not finished.
const DRAFT_EXTENSION: &str = "tmp";

fn is_draft(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == DRAFT_EXTENSION)
}

/// Begins a draft, and makes room by what was left behind, and by the oldest where all take too much.
async fn drafted(path: &Path) -> Result<Draft, Setback> {
    let path = path.to_owned();
    on_disk(move || {
        let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        sweep(dir)?;
        make_room(dir, ALL_BYTES_MAX)?;
        Draft::begin(dir, &path)
    })
    .await
}

/// Creates a new file; a leftover ffmpeg writes to the unlinked old one.
fn draft(dir: &Path, path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _gone => {}
    }
    File::options().read(true).write(true).create_new(true).mode(0o600).open(path)
}

fn place(from: &Path, to: &Path) -> io::Result<()> {
    let dir = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
    Effect::PlaceConverted.during(|| {
        std::fs::rename(from, to)?;
        File::open(dir)?.sync_all()
    })
}

/// Returns the files of the directory, none where it was never made.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Returns when each file of the directory was written, and its size, the oldest first. One that goes meanwhile is none.
fn written(dir: &Path) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
    let mut files = Vec::new();
    for path in list(dir)? {
        match std::fs::metadata(&path) {
            Ok(metadata) => files.push((metadata.modified()?, metadata.len(), path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    files.sort();
    Ok(files)
}

fn sweep(dir: &Path) -> io::Result<()> {
    let now = clock::now();
    for (touched, _, path) in written(dir)? {
        let touched = jiff::Timestamp::try_from(touched).unwrap_or(now);
        if clock::elapsed(touched, now) > LEFT_BEHIND {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes the oldest that are finished until all take no more than `bytes_max`. What sends one has it open; another is
/// converted again. What is being written counts, and stays.
fn make_room(dir: &Path, bytes_max: u64) -> io::Result<()> {
    let files = written(dir)?;
    let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, size, path) in files.iter().filter(|(_, _, path)| !is_draft(path)) {
        if bytes <= bytes_max {
            break;
        }
        remove(path)?;
        bytes = bytes.saturating_sub(*size);
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    match Effect::ForgetConverted.during(|| std::fs::remove_file(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _gone => Ok(()),
    }
}

/// Runs what waits for the disk of the state directory: when it is full or broken this job waits, and the others need
/// not, for they are sent as they are.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Setback> {
    let done =
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other).and_then(|done| done);
    done.context("the converted recording cannot be written to the state directory")
        .map_err(lacking)
}

fn lacking(error: anyhow::Error) -> Setback {
    Setback::Lacking { error }
}

/// Returns the setback of a conversion that failed.
fn conversion_setback(error: &ConvertError) -> Setback {
    match error {
        ConvertError::Undecodable { .. } => {
            Setback::GiveUp { error: anyhow!("the recording {error}") }
        }
        ConvertError::NoSound => Setback::NoSound,
        ConvertError::Died { .. } => {
            Setback::Own { from: Stage::Upload, error: anyhow!("the recording {error}") }
        }
        ConvertError::Ffmpeg { .. } => lacking(anyhow!("{error}: {FFMPEG_CURE}, or mend it")),
        ConvertError::NoMemory => lacking(anyhow!("{error}")),
        ConvertError::Disk { .. } => lacking(anyhow!("{error}; make room in the state directory")),
        ConvertError::Source(_) => Setback::FileLost { error: anyhow!("{error}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_a_week_ago_goes_and_what_is_young_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["old.m4a", "young.m4a", "young.tmp"] {
            draft(dir.path(), &dir.path().join(name)).expect("made");
        }
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::open(dir.path().join("old.m4a"))
            .and_then(|file| file.set_modified(old))
            .expect("aged");
        sweep(dir.path()).expect("swept");
        let mut left: Vec<_> = std::fs::read_dir(dir.path())
            .expect("read")
            .map(|e| e.expect("one").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["young.m4a", "young.tmp"]);
        sweep(&dir.path().join("nothing")).expect("nothing to sweep");
    }

    #[test]
    fn the_oldest_go_where_all_take_too_much() {
        let dir = tempfile::tempdir().expect("a directory");
        for (age, name) in
            ["new.m4a", "middle.m4a", "old.m4a", "oldest.tmp"].into_iter().enumerate()
        {
            let file = draft(dir.path(), &dir.path().join(name)).expect("made");
            file.set_len(100).expect("long");
            let at =
                std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age as u64);
            file.set_modified(at).expect("aged");
        }
        make_room(dir.path(), 250).expect("room");
        let left = |name: &str| dir.path().join(name).exists();
        assert_eq!(
            ["new.m4a", "middle.m4a", "old.m4a", "oldest.tmp"].map(left),
            [true, false, false, true]
        );
    }

    #[test]
    fn however_a_conversion_ends_its_file_goes_with_it_unless_it_was_placed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("b3-00.sales.1.m4a");
        let left = || list(&dir.path().join(".")).expect("read").len();
        let first = Draft::begin(dir.path(), &path).expect("begun");
        let second = Draft::begin(dir.path(), &path).expect("begun");
        assert!(is_draft(&first.path) && first.path != second.path, "{first:?} {second:?}");
        assert_eq!(left(), 2);
        drop(first);
        assert_eq!(left(), 1);
        place(&second.path, &path).expect("placed");
        drop(second);
        assert_eq!(list(dir.path()).expect("read"), [path]);
    }

    #[test]
    fn a_failed_conversion_is_whose_it_is() {
        let reason = String::from("x");
        assert!(matches!(
            conversion_setback(&ConvertError::Undecodable { reason: reason.clone() }),
            Setback::GiveUp { .. }
        ));
        assert!(matches!(
            conversion_setback(&ConvertError::Died { how: reason.clone() }),
            Setback::Own { .. }
        ));
        assert!(matches!(
            conversion_setback(&ConvertError::Disk { reason: reason.clone() }),
            Setback::Lacking { .. }
        ));
        let Setback::Lacking { error } = conversion_setback(&ConvertError::Ffmpeg { reason })
        else {
            panic!("not lacking")
        };
        assert_eq!(error.to_string(), "ffmpeg does not work: x: apt install ffmpeg, or mend it");
        assert!(matches!(
            conversion_setback(&ConvertError::Source(io::ErrorKind::NotFound.into())),
            Setback::FileLost { .. }
        ));
    }
}
