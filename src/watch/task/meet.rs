//! A folder that minuted meets: what lies there already is backlog, and a person may decide about it.

use std::path::{Path, PathBuf};

use super::{ROWS, Task};
use crate::{
    beneath::Stamp,
    config::Backlog,
    queue::{Root, Sighting, Verdict},
    text::ShellCommand,
    watch::{
        eyes::Scanned,
        handle::Decision,
        settle::{Moment, Observation},
    },
};

/// How many old files `ask` takes without asking: as many as a person may have put there to try it out.
const ASK_TAKES: u64 = 20;

/// Returns what becomes of `media` files that lie in a folder when it is met.
fn verdict(backlog: Backlog, media: u64) -> Verdict {
    match backlog {
        Backlog::Skip => Verdict::Ignored,
        Backlog::Ask if media > ASK_TAKES => Verdict::Backlog,
        Backlog::Ask | Backlog::Process => Verdict::Settling,
    }
}

/// Returns what becomes of the files about which a person has decided.
fn of_decision(decision: Decision) -> Verdict {
    match decision {
        Decision::Process => Verdict::Settling,
        Decision::Skip => Verdict::Ignored,
    }
}

impl Task {
    /// Meets the folder. The last step records it: interrupted before, all of this happens again.
    pub(super) async fn meet(&mut self, scanned: &Scanned, scan: u64) -> anyhow::Result<()> {
        let now = self.clocks.now();
        let verdict = match self.decided {
            Some(decision) => of_decision(decision),
            None => verdict(self.folder.backlog, scanned.seen.media),
        };
        let old = scanned.seen.fresh.iter().filter(|(_, stamp)| stamp.size > 0);
        let sightings: Vec<Sighting> =
            old.map(|(path, stamp)| self.first_sighting(path, *stamp, verdict, now)).collect();
        for rows in sightings.chunks(ROWS) {
            self.queue.record_sightings(rows.to_vec()).await?;
        }
        let files = u64::try_from(sightings.len()).unwrap_or(u64::MAX);
        if verdict == Verdict::Settling {
            self.settle(&sightings, scan, now);
        } else {
            self.leave(sightings).await?;
        }
        self.view().state().backlog = if verdict == Verdict::Backlog { files } else { 0 };
        let root = Root::new(scanned.ground.place, &self.folder.path, now.wall);
        self.queue.record_baseline(root.clone()).await?;
        self.root = Some(root);
        self.say_met(verdict, files);
        Ok(())
    }

    /// What is recorded of a file that lies there; what was seen of it in a meeting that was interrupted still counts.
    fn first_sighting(&self, path: &Path, stamp: Stamp, verdict: Verdict, now: Moment) -> Sighting {
        let state = self.view().state();
        let seen = state.pool.get(path).map(|entry| &entry.seen).filter(|seen| seen.stamp == stamp);
        let fresh = Observation::begin(stamp, now);
        Sighting { verdict, ..seen.unwrap_or(&fresh).sighting(path.to_owned()) }
    }

    fn settle(&self, sightings: &[Sighting], scan: u64, now: Moment) {
        let mut state = self.view().state();
        for sighting in sightings {
            state.pool.resume(sighting, true, now, scan);
        }
    }

    async fn leave(&self, sightings: Vec<Sighting>) -> anyhow::Result<()> {
        {
            let mut state = self.view().state();
            for sighting in &sightings {
                state.pool.remove(&sighting.path);
            }
        }
        self.know(sightings.into_iter().map(|sighting| (sighting.path, sighting.stamp)).collect()).await
    }

    fn say_met(&self, verdict: Verdict, files: u64) {
        let folder = &self.folder.name;
        match verdict {
            Verdict::Backlog => tracing::warn!(
                folder,
                "{files} old recordings lie in folder `{folder}` and wait: `{}` or `skip`",
                ShellCommand::new("minuted backlog").word(folder).then("process")
            ),
            Verdict::Ignored => tracing::info!(folder, "{files} old recordings in folder `{folder}` are left alone"),
            Verdict::Settling | Verdict::Taken { .. } => {
                tracing::info!(folder, "met folder `{folder}` with {files} recordings");
            }
        }
    }

    /// Remembers that a folder that is in use lies elsewhere than before.
    pub(super) async fn follow(&mut self, scanned: &Scanned) {
        let Some(old) = &self.root else { return };
        let root = Root::new(scanned.ground.place, &self.folder.path, old.met);
        if root == *old || scanned.seen.media == 0 && old.is_elsewhere(scanned.ground.place) {
            return;
        }
        match self.queue.record_baseline(root.clone()).await {
            Ok(()) => self.root = Some(root),
            Err(error) => self.ledger_failed(&error),
        }
    }

    /// Carries out what a person has decided about the backlog; returns how many files it concerned.
    pub(super) async fn decide(&mut self, decision: Decision) -> anyhow::Result<u64> {
        if self.lies_elsewhere() {
            return self.accept(decision).await;
        }
        let verdict = of_decision(decision);
        let (mut count, mut after) = (0, PathBuf::new());
        loop {
            let mut page = self.queue.read_sightings(&after).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.path);
            page.retain(|sighting| sighting.verdict == Verdict::Backlog);
            for sighting in &mut page {
                sighting.verdict = verdict;
            }
            for rows in page.chunks(ROWS) {
                self.queue.record_sightings(rows.to_vec()).await?;
                if verdict == Verdict::Settling {
                    self.settle(rows, self.scans, self.clocks.now());
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
        assert_eq!(verdict(Backlog::Ask, 20), Verdict::Settling);
        assert_eq!(verdict(Backlog::Ask, 21), Verdict::Backlog);
        assert_eq!(verdict(Backlog::Process, 1_000_000), Verdict::Settling);
        assert_eq!(verdict(Backlog::Skip, 1), Verdict::Ignored);
    }
}
