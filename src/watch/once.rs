//! Operations on a folder that is not watched: take one file as it is, say what a scan would take.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::atomic::AtomicU64,
    time::Duration,
};

use anyhow::{Context as _, bail};
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use super::{
    examine::{
        Examiner, Inspection, Marker, QuietFile, estimate_length, find_exceeded_bound, read_length,
    },
    names::{FileFilter, FileKind},
    scanner::walk::{OpenedDirectory, WalkVisitor, walk_folder},
};
use crate::{
    beneath::{Dir, Entry, Stamp},
    config::{Folder, Limits},
    job::Bound,
    store::{FileVerdict, Settled, Sighting},
    text::printable_path,
};

/// Reads a file that was put into the folder whole; it need not settle. Blocks for as long as it takes to read it.
///
/// # Errors
/// When it is not a recording that can be read as a whole.
pub(crate) fn settle_now(
    folder: &Folder,
    accepts: &[String],
    relative: PathBuf,
    mark: &Marker<'_>,
    has_job_of_size: &(dyn Fn(u64) -> bool + Sync),
) -> anyhow::Result<Settled> {
    let shown = printable_path(&relative);
    let root = Dir::open(&folder.path)
        .with_context(|| format!("failed to open folder `{}`", folder.name))?;
    let Some(Entry::File(stamp)) =
        root.entry(&relative).with_context(|| format!("failed to look at `{shown}`"))?
    else {
        bail!("`{shown}` is not a file");
    };
    let filter = FileFilter::new(folder, accepts);
    let kind = filter.classify_by_content(&root, &relative);
    if !kind.is_media() {
        bail!("`{shown}` is left alone: {kind}");
    }
    let zone = TimeZone::system();
    let stop = CancellationToken::new();
    let opened = AtomicU64::new(0);
    let examiner = Examiner {
        root: &root,
        filter: &filter,
        zone: &zone,
        mark,
        stop: &stop,
        opened: &opened,
        limits: folder.limits,
        has_job_of_size,
        pass_on: &|| {},
    };
    let file = QuietFile { path: relative, stamp, is_abandoned: false, is_set_aside: false };
    match examiner.examine(&file).into_settled(folder, &file, false) {
        Ok(settled) => Ok(settled),
        Err(finding) => bail!("`{shown}` {}", refusal(finding)),
    }
}

/// Returns why a file of which a look has found this is not taken.
fn refusal(finding: Inspection) -> String {
    match finding {
        Inspection::Lookalike => "is not a recording".to_owned(),
        Inspection::Unfinished(why) => format!("is not complete: {why}"),
        Inspection::Unreadable(why) => format!("cannot be read: {why}"),
        Inspection::Changed(_)
        | Inspection::Gone
        | Inspection::Stopped
        | Inspection::Whole { .. }
        | Inspection::Soundless { .. }
        | Inspection::Beyond { .. } => "changed while it was read".to_owned(),
    }
}

/// A file that a scan would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UntakenFile {
    /// Its path, relative to the folder.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// The fate that it would have.
    pub why: String,
    /// The length of a recording that would be sent; `None` for other files.
    pub length: Option<SurveyedLength>,
    /// True if it waits for a person's decision, because it was there before minuted.
    pub is_backlog: bool,
}

/// The length of a recording that nobody has taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SurveyedLength {
    /// The length.
    pub length: Duration,
    /// True if it is estimated from its size and bit rate.
    pub is_estimated: bool,
}

/// Returns the files of a folder that `known` does not have as they are. Changes nothing.
///
/// # Errors
/// When the folder cannot be opened, or a directory in it cannot be read.
pub(crate) fn survey_folder(
    folder: &Folder,
    accepts: &[String],
    known: &[Sighting],
    mark: &Marker<'_>,
) -> anyhow::Result<Vec<UntakenFile>> {
    let root = Dir::open(&folder.path)
        .with_context(|| format!("failed to open `{}`", printable_path(&folder.path)))?;
    let filter = FileFilter::new(folder, accepts);
    let known = known.iter().map(|sighting| (sighting.path.as_path(), sighting)).collect();
    let limits = folder.limits;
    let mut surveyor =
        SurveyVisitor { root: &root, filter: &filter, known, mark, limits, new: Vec::new() };
    let tally = walk_folder(&root, Path::new(""), &filter, &mut surveyor);
    if let Some((directory, why)) = tally.unreadable.first() {
        bail!("`{}` cannot be read: {why}", printable_path(&folder.path.join(directory)));
    }
    Ok(surveyor.new)
}

struct SurveyVisitor<'a> {
    root: &'a Dir,
    filter: &'a FileFilter,
    known: HashMap<&'a Path, &'a Sighting>,
    mark: &'a Marker<'a>,
    limits: Limits,
    new: Vec<UntakenFile>,
}

impl SurveyVisitor<'_> {
    /// Returns the length of a recording, or the bound of its folder that it exceeds.
    fn measure(&self, path: &Path, stamp: Stamp) -> io::Result<Result<SurveyedLength, Bound>> {
        let mut file = self.root.open_file(path)?;
        let bytes = stamp.size;
        let _mark = (self.mark)(path, stamp);
        let stated = read_length(path, &mut file, bytes)?;
        if let Some(bound) = find_exceeded_bound(&self.limits, bytes, &file, stated) {
            return Ok(Err(bound));
        }
        let length = stated.map_or_else(
            || estimate_length(path, &file, bytes).max(self.limits.min_duration),
            |length| length.most,
        );
        Ok(Ok(SurveyedLength { length, is_estimated: stated.is_none() }))
    }
}

impl WalkVisitor for SurveyVisitor<'_> {
    fn enter_directories(&mut self, _: &[OpenedDirectory]) {}

    fn visit_file(&mut self, relative: &Path, stamp: Stamp) {
        let kind = self.filter.classify(relative);
        let seen = self.known.get(relative).filter(|sighting| sighting.stamp == stamp);
        let verdict = seen.map(|sighting| sighting.verdict);
        let mut why = match (verdict, &kind) {
            (Some(FileVerdict::Taken { .. } | FileVerdict::Ignored), _) => return,
            (Some(FileVerdict::Backlog), _) => "waits for `minuted backlog`".to_owned(),
            (Some(FileVerdict::Settling), _) => "is settling".to_owned(),
            (None, _) if self.filter.is_lookalike(self.root, relative) => return,
            (None, _) if stamp.size == 0 => "is empty so far".to_owned(),
            (None, FileKind::Recording(_)) => "is queued once it is quiet and complete".to_owned(),
            (None, _) => kind.to_string(),
        };
        let is_sent = matches!(kind, FileKind::Recording(_)) && stamp.size > 0;
        let length = match is_sent.then(|| self.measure(relative, stamp)) {
            Some(Ok(Ok(length))) => Some(length),
            Some(Ok(Err(bound))) => {
                why = format!("is skipped: {bound}");
                None
            }
            // What cannot be read is told when it is taken in.
            Some(Err(_)) | None => None,
        };
        let is_backlog = verdict == Some(FileVerdict::Backlog);
        let path = relative.to_owned();
        self.new.push(UntakenFile { path, size: stamp.size, why, length, is_backlog });
    }

    fn should_stop(&self) -> bool {
        false
    }
}
