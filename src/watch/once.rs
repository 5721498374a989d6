//! What a command asks of a folder that nobody watches: take one file as it is, say what a scan would take.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::atomic::AtomicU64,
};

use anyhow::{Context as _, bail};
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use super::{
    examine::{Candidate, Examiner, Finding, Marker},
    names::{Kind, Rules},
    scanner::walk::{Opened, Visitor, walk},
};
use crate::{
    beneath::{Dir, Entry, Stamp},
    config::Folder,
    queue::{Settled, Sighting, Verdict},
    text::printable_path,
};

/// Reads a file that was put into the folder whole; it need not settle. Blocks for as long as it takes to read it.
///
/// # Errors
/// When it is not a recording that can be read as a whole.
pub fn settle_now(
    folder: &Folder,
    accepts: &[String],
    relative: PathBuf,
    mark: &Marker<'_>,
    has_job_of_size: &(dyn Fn(u64) -> bool + Sync),
) -> anyhow::Result<Settled> {
    let shown = printable_path(&relative);
    let root = Dir::open(&folder.path).with_context(|| format!("failed to open folder `{}`", folder.name))?;
    let Some(Entry::File(stamp)) = root.entry(&relative).with_context(|| format!("failed to look at `{shown}`"))?
    else {
        bail!("`{shown}` is not a file");
    };
    let rules = Rules::new(folder, accepts);
    let kind = rules.kind_by_look(&root, &relative);
    if !kind.is_media() {
        bail!("`{shown}` is left alone: {kind}");
    }
    let (zone, stop, opened) = (TimeZone::system(), CancellationToken::new(), AtomicU64::new(0));
    let examiner = Examiner {
        root: &root,
        rules: &rules,
        zone: &zone,
        mark,
        stop: &stop,
        opened: &opened,
        limits: folder.limits,
        has_job_of_size,
        pass_on: &|| {},
    };
    let candidate = Candidate { path: relative, stamp, is_abandoned: false, is_set_aside: false };
    match examiner.examine(&candidate).into_settled(folder, &candidate, false) {
        Ok(settled) => Ok(settled),
        Err(finding) => bail!("`{shown}` {}", refusal(finding)),
    }
}

/// Returns why a file of which a look has found this is not taken.
fn refusal(finding: Finding) -> String {
    match finding {
        Finding::Lookalike => "is not a recording".to_owned(),
        Finding::Unfinished(why) => format!("is not complete: {why}"),
        Finding::Unreadable(why) => format!("cannot be read: {why}"),
        Finding::Changed(_)
        | Finding::Gone
        | Finding::Stopped
        | Finding::Whole { .. }
        | Finding::Soundless { .. }
        | Finding::Beyond { .. } => "changed while it was read".to_owned(),
    }
}

/// A file that a scan would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// Its path, relative to the folder.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// What would happen to it.
    pub why: String,
}

/// Returns the files of a folder that `known` does not have as they are. Changes nothing.
///
/// # Errors
/// When the folder cannot be opened, or a directory in it cannot be read.
pub fn survey(folder: &Folder, accepts: &[String], known: &[Sighting]) -> anyhow::Result<Vec<New>> {
    let root = Dir::open(&folder.path).with_context(|| format!("failed to open `{}`", printable_path(&folder.path)))?;
    let rules = Rules::new(folder, accepts);
    let known = known.iter().map(|sighting| (sighting.path.as_path(), sighting)).collect();
    let mut surveyor = Surveyor { root: &root, rules: &rules, known, new: Vec::new() };
    let tally = walk(&root, Path::new(""), &rules, &mut surveyor);
    if let Some((directory, why)) = tally.unreadable.first() {
        bail!("`{}` cannot be read: {why}", printable_path(&folder.path.join(directory)));
    }
    Ok(surveyor.new)
}

struct Surveyor<'a> {
    root: &'a Dir,
    rules: &'a Rules,
    known: HashMap<&'a Path, &'a Sighting>,
    new: Vec<New>,
}

impl Visitor for Surveyor<'_> {
    fn directories(&mut self, _: &[Opened]) {}

    fn file(&mut self, relative: &Path, stamp: Stamp) {
        let kind = self.rules.kind(relative);
        let seen = self.known.get(relative).filter(|sighting| sighting.stamp == stamp);
        let why = match (seen.map(|sighting| sighting.verdict), &kind) {
            (Some(Verdict::Taken { .. } | Verdict::Ignored), _) => return,
            (Some(Verdict::Backlog), _) => "waits for `minuted backlog`".to_owned(),
            (Some(Verdict::Settling), _) => "is settling".to_owned(),
            (None, _) if self.rules.is_lookalike(self.root, relative) => return,
            (None, _) if stamp.size == 0 => "is empty so far".to_owned(),
            (None, Kind::Recording(_)) => "is taken once it is quiet and complete".to_owned(),
            (None, _) => kind.to_string(),
        };
        self.new.push(New { path: relative.to_owned(), size: stamp.size, why });
    }

    fn stop(&self) -> bool {
        false
    }
}
