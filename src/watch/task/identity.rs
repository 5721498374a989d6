//! The directory that a folder is: a missing mount, or another path, is another directory.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::FolderTask;
use crate::{
    beneath::Place,
    job::HoldReason,
    store::FolderRoot,
    text::{ShellCommand, format_count},
    watch::{
        handle::BacklogDecision,
        scanner::{FolderScan, FolderTrouble},
    },
};

/// The directory of a folder, as the queue remembers it and as scans found it.
#[derive(Debug)]
pub(super) struct FolderIdentity {
    /// The directory at the first scan; `None` before that.
    pub(super) baseline: Option<FolderRoot>,
    /// The directory at the last scan that was taken in.
    scanned: Option<Place>,
    /// The mounts below it, as the queue knows them.
    mounts: Vec<PathBuf>,
    /// A person's decision about the files of the first scan; else the configuration decides.
    pub(super) decision: Option<BacklogDecision>,
}

impl FolderIdentity {
    /// Returns the identity that the queue remembers.
    pub(super) fn new(baseline: Option<FolderRoot>, mounts: Vec<PathBuf>) -> Self {
        Self { baseline, scanned: None, mounts, decision: None }
    }

    /// Returns the baseline, if the folder's path is still the same.
    fn baseline_at(&self, path: &Path) -> Option<&FolderRoot> {
        self.baseline
            .as_ref()
            .filter(|root| root.spot.as_ref().is_none_or(|spot| spot.path == path))
    }
}

impl FolderTask {
    /// Returns the baseline, if the folder's path is still the same.
    pub(super) fn baseline_here(&self) -> Option<FolderRoot> {
        self.identity.baseline_at(&self.folder.path).cloned()
    }

    /// Detects an unmounted folder: the directory is another one, and all known files are missing.
    ///
    /// A mount point is rarely quite empty, and the files that are not in it were not removed.
    pub(super) fn detect_another_directory(&self, scanned: &FolderScan) -> Option<FolderTrouble> {
        let root = self.identity.baseline_at(&self.folder.path)?;
        let known = self.count_known(scanned);
        if known == 0
            || scanned.findings.known > 0
            || !root.is_elsewhere(scanned.location.place)
            || self.has_settling_file(scanned)
        {
            return None;
        }
        let known = format_count(known, "recording");
        let process =
            ShellCommand::new("minuted backlog").add_word(&self.folder.name).add_words("process");
        let detail = format!(
            "it is not the directory that it was, and none of its {known} is there: is a mount missing? It resumes by \
             itself when that is back; if this is its place from now on: `{process}` or `skip`"
        );
        Some(FolderTrouble { kind: HoldReason::AnotherPlace, detail })
    }

    fn count_known(&self, scanned: &FolderScan) -> u64 {
        u64::try_from(scanned.known + self.view().state().settling.len()).unwrap_or(u64::MAX)
    }

    fn has_settling_file(&self, scanned: &FolderScan) -> bool {
        let state = self.view().state();
        scanned.findings.fresh.iter().any(|(path, _)| state.settling.get(path).is_some())
    }

    /// Returns whether the scanned directory had its first scan. One that came under the name of another, with nothing
    /// of that in it, had none.
    pub(super) async fn has_baseline(&self, scanned: &FolderScan) -> anyhow::Result<bool> {
        let Some(root) = &self.identity.baseline else { return Ok(false) };
        if root.is_other_path(&self.folder.path, scanned.location.place)
            && scanned.findings.unchanged == 0
        {
            return Ok(false);
        }
        Ok(!(scanned.location.is_newly_mounted(root.device) && self.is_unused().await?))
    }

    /// Returns whether no file of the folder is remembered.
    async fn is_unused(&self) -> anyhow::Result<bool> {
        Ok(!self.is_settling() && self.scanner.run(|scanner| scanner.known.is_empty()).await?)
    }

    /// Takes the scanned directory for the folder's: hints about it count from now on.
    pub(super) async fn set_scanned_place(&mut self, place: Place) -> anyhow::Result<()> {
        if self.identity.scanned != Some(place) {
            self.scanner.run(move |scanner| scanner.place = Some(place)).await?;
            self.identity.scanned = Some(place);
        }
        Ok(())
    }

    /// Has the queue remember the mounts below the folder, where they are others than before.
    pub(super) async fn record_mounts(&mut self, scanned: &FolderScan) {
        if scanned.mounts == self.identity.mounts {
            return;
        }
        match self.queue.record_mounts(scanned.mounts.clone()).await {
            Ok(()) => self.identity.mounts.clone_from(&scanned.mounts),
            Err(error) => self.record_queue_failure(&error),
        }
    }

    /// Has the queue remember that a folder in use lies elsewhere than before.
    pub(super) async fn update_baseline(&mut self, scanned: &FolderScan) {
        let Some(old) = &self.identity.baseline else { return };
        let root = FolderRoot::new(scanned.location.place, &self.folder.path, old.met);
        if root == *old || scanned.findings.media == 0 && old.is_elsewhere(scanned.location.place) {
            return;
        }
        match self.queue.record_baseline(root.clone()).await {
            Ok(()) => self.identity.baseline = Some(root),
            Err(error) => self.record_queue_failure(&error),
        }
    }

    /// Returns whether the folder is held because it is another directory than before.
    pub(super) fn is_another_directory(&self) -> bool {
        let state = self.view().state();
        state.trouble.as_ref().is_some_and(|trouble| {
            matches!(trouble.kind, HoldReason::AnotherPlace | HoldReason::EmptyMountPoint)
        })
    }

    /// Repeats the first scan in the directory that the folder is now, as a person decided; returns how many files lie
    /// there. Known files that are not there count as removed.
    pub(super) async fn accept_directory(
        &mut self,
        decision: BacklogDecision,
    ) -> anyhow::Result<u64> {
        let baseline = self.identity.baseline.take();
        self.identity.decision = Some(decision);
        let scanned = self.scan().await;
        self.identity.decision = None;
        scanned?;
        if self.identity.baseline.is_none() {
            self.identity.baseline = baseline;
            bail!("the folder cannot be scanned now; the log says why");
        }
        Ok(self.view().state().scan.as_ref().map_or(0, |scan| scan.media))
    }
}
