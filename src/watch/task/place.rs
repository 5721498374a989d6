//! Whether a folder is the directory that it was: a mount that is missing, or another path, is another directory.

use anyhow::bail;

use super::Task;
use crate::{
    beneath::Place,
    job::HoldReason,
    queue::Root,
    text::{ShellCommand, count},
    watch::{
        eyes::{Eyes, Scanned, Trouble},
        handle::Decision,
    },
};

impl Task {
    /// Returns where the folder was met, if its path is still the same.
    pub(super) fn met_here(&self) -> Option<Root> {
        let is_here = |root: &&Root| root.spot.as_ref().is_none_or(|spot| spot.path == self.folder.path);
        self.root.as_ref().filter(is_here).cloned()
    }

    /// Returns what is wrong when something else lies there than what was met, and nothing that was there: a mount
    /// point is rarely quite empty, and what is not in it is not gone.
    pub(super) fn another_place(&self, scanned: &Scanned) -> Option<Trouble> {
        let root = self.met_here()?;
        let known = self.files_known(scanned);
        if known == 0
            || scanned.seen.met > 0
            || !root.is_elsewhere(scanned.ground.place)
            || self.meets_settling(scanned)
        {
            return None;
        }
        let known = count(known, "recording");
        let process = ShellCommand::new("minuted backlog").word(&self.folder.name).then("process");
        let detail = format!(
            "it is not the directory that it was, and of its {known} none is there: is a mount missing? It goes on by \
             itself when that is back; if this is its place from now on: `{process}` or `skip`"
        );
        Some(Trouble { kind: HoldReason::AnotherPlace, detail })
    }

    fn files_known(&self, scanned: &Scanned) -> u64 {
        u64::try_from(scanned.known + self.view().state().pool.len()).unwrap_or(u64::MAX)
    }

    fn meets_settling(&self, scanned: &Scanned) -> bool {
        let state = self.view().state();
        scanned.seen.fresh.iter().any(|(path, _)| state.pool.get(path).is_some())
    }

    /// Returns whether the folder was met, as the directory that it is now. One that came under the name of another,
    /// with nothing of that in it, was not.
    pub(super) async fn is_met(&self, scanned: &Scanned) -> anyhow::Result<bool> {
        let Some(root) = &self.root else { return Ok(false) };
        if root.is_other_path(&self.folder.path, scanned.ground.place) && scanned.seen.same == 0 {
            return Ok(false);
        }
        Ok(!(scanned.ground.is_newly_mounted(root.device) && self.is_unused().await?))
    }

    /// Takes what lies there for the folder: what hints tell of it counts from now on.
    pub(super) async fn settle_place(&mut self, place: Place) -> anyhow::Result<()> {
        if self.place != Some(place) {
            self.eyes.run(move |eyes: &mut Eyes| eyes.place = Some(place)).await?;
            self.place = Some(place);
        }
        Ok(())
    }

    /// Returns whether the folder is held because it is another directory than before.
    pub(super) fn lies_elsewhere(&self) -> bool {
        let state = self.view().state();
        state
            .trouble
            .as_ref()
            .is_some_and(|trouble| matches!(trouble.kind, HoldReason::AnotherPlace | HoldReason::EmptyMountPoint))
    }

    /// Meets the folder anew, where it lies now, as a person has decided; returns how many files lie there. What was
    /// known of it is gone when it is not there.
    pub(super) async fn accept(&mut self, decision: Decision) -> anyhow::Result<u64> {
        let root = self.root.take();
        self.decided = Some(decision);
        let scanned = self.scan().await;
        self.decided = None;
        scanned?;
        if self.root.is_none() {
            self.root = root;
            bail!("the folder cannot be met now; the log says why");
        }
        Ok(self.view().state().scan.as_ref().map_or(0, |scan| scan.media))
    }
}
