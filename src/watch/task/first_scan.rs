//! The first scan of a folder: the files that it finds are the backlog, about which a person may decide.

use std::path::{Path, PathBuf};

use super::{FolderTask, ROWS};
use crate::{
    beneath::Stamp,
    config::Backlog,
    store::{FileVerdict, FolderRoot, Sighting},
    text::{ShellCommand, format_count},
    watch::{
        handle::BacklogDecision,
        scanner::FolderScan,
        settle::{Now, Stability},
    },
};

/// Old files that `ask` takes without asking: as many as a person may have put there to try it out.
const ASK_TAKES: u64 = 20;

/// Returns the verdict on `media` files that lie in a folder at its first scan.
fn verdict_on_old(backlog: Backlog, media: u64) -> FileVerdict {
    match backlog {
        Backlog::Skip => FileVerdict::Ignored,
        Backlog::Ask if media > ASK_TAKES => FileVerdict::Backlog,
        Backlog::Ask | Backlog::Process => FileVerdict::Settling,
    }
}

/// Returns the verdict on the files about which a person has decided.
fn verdict_of_decision(decision: BacklogDecision) -> FileVerdict {
    match decision {
        BacklogDecision::Process => FileVerdict::Settling,
        BacklogDecision::Skip => FileVerdict::Ignored,
    }
}

impl FolderTask {
    /// Takes in the first scan. The last step records the baseline: interrupted before, the first scan is repeated.
    pub(super) async fn take_in_first_scan(
        &mut self,
        scanned: &FolderScan,
        scan: u64,
    ) -> anyhow::Result<()> {
        let now = self.clocks.now();
        let verdict = match self.identity.decision {
            Some(decision) => verdict_of_decision(decision),
            None => verdict_on_old(self.folder.backlog, scanned.findings.media),
        };
        let old = scanned.findings.fresh.iter().filter(|(_, stamp)| stamp.size > 0);
        let sightings: Vec<Sighting> =
            old.map(|(path, stamp)| self.first_sighting(path, *stamp, verdict, now)).collect();
        for rows in sightings.chunks(ROWS) {
            self.queue.record_sightings(rows.to_vec()).await?;
        }
        let files = u64::try_from(sightings.len()).unwrap_or(u64::MAX);
        if verdict == FileVerdict::Settling {
            self.settle_backlog(&sightings, scan, now);
        } else {
            self.leave_backlog(sightings).await?;
        }
        self.view().state().backlog = if verdict == FileVerdict::Backlog { files } else { 0 };
        let baseline = FolderRoot::new(scanned.location.place, &self.folder.path, now.wall);
        self.queue.record_baseline(baseline.clone()).await?;
        self.identity.baseline = Some(baseline);
        self.log_first_scan(verdict, files);
        Ok(())
    }

    /// Returns the first sighting of a file; what an interrupted first scan saw of it still counts.
    fn first_sighting(
        &self,
        path: &Path,
        stamp: Stamp,
        verdict: FileVerdict,
        now: Now,
    ) -> Sighting {
        let state = self.view().state();
        let seen =
            state.settling.get(path).map(|entry| &entry.seen).filter(|seen| seen.stamp == stamp);
        let fresh = Stability::begin(stamp, now);
        Sighting { verdict, ..seen.unwrap_or(&fresh).sighting(path.to_owned()) }
    }

    fn settle_backlog(&self, sightings: &[Sighting], scan: u64, now: Now) {
        let mut state = self.view().state();
        for sighting in sightings {
            state.settling.resume(sighting, true, now, scan);
        }
    }

    async fn leave_backlog(&self, sightings: Vec<Sighting>) -> anyhow::Result<()> {
        {
            let mut state = self.view().state();
            for sighting in &sightings {
                state.settling.remove(&sighting.path);
            }
        }
        self.mark_unchanged(
            sightings.into_iter().map(|sighting| (sighting.path, sighting.stamp)).collect(),
        )
        .await
    }

    fn log_first_scan(&self, verdict: FileVerdict, files: u64) {
        let folder = &self.folder.name;
        match verdict {
            FileVerdict::Backlog => tracing::warn!(
                folder,
                "folder `{folder}` has {files} old recordings, which wait: `{}` or `skip`",
                ShellCommand::new("minuted backlog").add_word(folder).add_words("process")
            ),
            FileVerdict::Ignored => {
                tracing::info!(
                    folder,
                    "{files} old recordings in folder `{folder}` are left alone"
                );
            }
            FileVerdict::Settling | FileVerdict::Taken { .. } => {
                let found = format_count(files, "recording");
                tracing::info!(folder, "the first scan of folder `{folder}` found {found}");
            }
        }
    }

    /// Carries out a person's decision about the backlog; returns how many files it concerned.
    pub(super) async fn decide_backlog(
        &mut self,
        decision: BacklogDecision,
    ) -> anyhow::Result<u64> {
        if self.is_another_directory() {
            return self.accept_directory(decision).await;
        }
        let verdict = verdict_of_decision(decision);
        let mut count = 0;
        let mut after = PathBuf::new();
        loop {
            let mut page = self.queue.read_sightings(&after).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.path);
            page.retain(|sighting| sighting.verdict == FileVerdict::Backlog);
            for sighting in &mut page {
                sighting.verdict = verdict;
            }
            for rows in page.chunks(ROWS) {
                self.queue.record_sightings(rows.to_vec()).await?;
                if verdict == FileVerdict::Settling {
                    self.settle_backlog(rows, self.schedule.scans, self.clocks.now());
                }
            }
            count += page.len();
        }
        self.view().state().backlog = 0;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ask_takes_twenty_and_waits_with_more() {
        assert_eq!(verdict_on_old(Backlog::Ask, 20), FileVerdict::Settling);
        assert_eq!(verdict_on_old(Backlog::Ask, 21), FileVerdict::Backlog);
        assert_eq!(verdict_on_old(Backlog::Process, 1_000_000), FileVerdict::Settling);
        assert_eq!(verdict_on_old(Backlog::Skip, 1), FileVerdict::Ignored);
    }
}
