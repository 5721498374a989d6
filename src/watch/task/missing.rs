//! Files that are not there any more. A rename is one missing file and one new file: the queue learns of the new one
//! first, so that it knows its content.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{FolderTask, ROWS};
use crate::watch::{scanner::FolderScanner, scanner::walk::WalkTally, settle::SettlePolicy};

/// Times of settling that pass before a missing file counts as removed: one for the file that may have replaced it to
/// settle, one for that to be read.
const GRACE: u32 = 2;

/// Added to the grace: the two halves of a rename may be noticed one look apart, and a busy machine is late.
const SLACK: Duration = Duration::from_secs(1);

/// Times of settling after which a missing file counts as removed although others are still being read.
const GRACE_MAX: u32 = 20;

/// Files that were noticed to be missing.
#[derive(Debug, Default)]
pub(super) struct MissingFiles {
    /// The time at which each was noticed; reported after a grace period so that renames are seen first.
    noticed: BTreeMap<PathBuf, Duration>,
    /// Known files that the last scan neither found nor missed, because a directory could not be read.
    unresolved: usize,
}

impl MissingFiles {
    fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>, now: Duration) {
        self.noticed.extend(paths.into_iter().map(|path| (path, now)));
    }

    /// Returns when the first of them has been missing for `grace`.
    fn next_due(&self, grace: Duration) -> Option<Duration> {
        self.noticed.values().min().map(|noticed| noticed.saturating_add(grace))
    }

    /// Takes out those that have been missing for `grace`.
    fn take_due(&mut self, grace: Duration, now: Duration) -> Vec<PathBuf> {
        self.noticed
            .extract_if(.., |_, noticed| noticed.saturating_add(grace) <= now)
            .map(|(path, _)| path)
            .collect()
    }
}

impl FolderTask {
    /// Marks files as missing, and forgets what is known of them. Paths that were never a known file are passed over.
    pub(super) async fn mark_missing(&mut self, paths: Vec<PathBuf>) -> anyhow::Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        for path in &paths {
            self.hints.forget_written(path);
        }
        let settling: Vec<bool> = {
            let mut state = self.view().state();
            paths.iter().map(|path| state.settling.remove(path)).collect()
        };
        let forget = move |scanner: &mut FolderScanner| {
            let mut missing = Vec::new();
            for (path, was_settling) in paths.into_iter().zip(settling) {
                let was_known = scanner.known.remove(scanner.known.hash_path(&path));
                if was_known || was_settling {
                    missing.push(path);
                }
            }
            missing
        };
        let missing = self.scanner.run(forget).await?;
        self.missing.add(missing, self.clocks.now().running);
        Ok(())
    }

    /// Marks the files that a scan did not find as missing. Below a directory that it could not read, none is.
    pub(super) async fn find_missing(
        &mut self,
        tally: &WalkTally,
        scan: u64,
    ) -> anyhow::Result<()> {
        let mut unseen = self.view().state().settling.list_unseen(scan);
        unseen.retain(|path| tally.covers(path));
        self.mark_missing(unseen).await?;
        let unmarked = self.scanner.run(|scanner| scanner.known.count_unmarked()).await?;
        if unmarked == 0 || unmarked == self.missing.unresolved && !tally.is_complete() {
            return Ok(());
        }
        // In memory a known file has no name: the queue has it.
        let mut after = PathBuf::new();
        loop {
            let page = match self.queue.read_sightings(&after).await {
                Ok(page) => page,
                Err(error) => {
                    self.record_queue_failure(&error);
                    return Ok(());
                }
            };
            let Some(last) = page.last() else { break };
            after.clone_from(&last.path);
            let names = page.into_iter().map(|sighting| sighting.path);
            self.find_missing_among(names.filter(|path| tally.covers(path)).collect()).await?;
        }
        let is_complete = tally.is_complete();
        let count_unresolved = move |scanner: &mut FolderScanner| {
            if is_complete {
                scanner.known.retain_marked();
            }
            scanner.known.count_unmarked()
        };
        self.missing.unresolved = self.scanner.run(count_unresolved).await?;
        Ok(())
    }

    async fn find_missing_among(&mut self, mut names: Vec<PathBuf>) -> anyhow::Result<()> {
        let select_unmarked = move |scanner: &mut FolderScanner| {
            names.retain(|path| scanner.known.is_unmarked(scanner.known.hash_path(path)));
            names
        };
        self.mark_missing(self.scanner.run(select_unmarked).await?).await
    }

    /// Returns when the next missing file counts as removed.
    pub(super) fn next_confirmation(&self, policy: &SettlePolicy) -> Option<Duration> {
        self.missing.next_due(self.grace(policy)).map(|due| due.max(self.retry.not_before))
    }

    fn grace(&self, policy: &SettlePolicy) -> Duration {
        policy
            .settle
            .saturating_mul(if self.batches.is_idle() { GRACE } else { GRACE_MAX })
            .saturating_add(SLACK)
    }

    /// Has the queue forget removed files, when no file can come any more that it should know before.
    pub(super) async fn confirm_removed(&mut self) -> anyhow::Result<()> {
        let now = self.clocks.now().running;
        let policy = self.view().state().policy;
        if !self.retry.is_due(now) {
            return Ok(());
        }
        let due = self.missing.take_due(self.grace(&policy), now);
        if due.is_empty() {
            return Ok(());
        }
        let asked = due.clone();
        let absent = if self.is_held() {
            None
        } else {
            self.await_answer(self.scanner.run(move |scanner| scanner.select_absent(asked))).await?
        };
        let Some(absent) = absent else {
            // Nothing can be known of the folder now.
            self.missing.add(due, now);
            return Ok(());
        };
        for rows in absent.chunks(ROWS) {
            if let Err(error) = self.queue.record_removed(rows.to_vec()).await {
                self.record_queue_failure(&error);
                self.missing.add(rows.iter().cloned(), now);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        beneath::Stamp,
        store::{FileVerdict, Sighting},
        watch::{
            handle,
            testing::{TestQueue, accepts, folder},
        },
    };

    /// A task that knows these files, none of which is there.
    async fn knowing(root: &Path, names: &[&str]) -> (FolderTask, Arc<TestQueue>) {
        let queue = TestQueue::with_baseline(root).await;
        for name in names {
            let stamp = Stamp { size: 1, mtime_ns: 1, inode: 1 };
            if name.contains("settling") {
                let at = jiff::Timestamp::UNIX_EPOCH;
                let verdict = FileVerdict::Settling;
                let sighting = Sighting {
                    path: name.into(),
                    stamp,
                    first: at,
                    since: at,
                    verdict,
                    written_boot: None,
                };
                queue.record(vec![sighting]).await;
            } else {
                queue.take(vec![(name.into(), stamp)]).await;
            }
        }
        let (_, end) = handle::open_folder_channel();
        let settings = folder(root);
        let memory = queue.of_folder(&settings);
        let stop = CancellationToken::new();
        let begun =
            FolderTask::start(settings, &accepts(), memory, end, stop, Arc::default(), 10).await;
        let mut task = begun.expect("begun");
        task.scanner.run(|scanner| scanner.known.unmark_all()).await.expect("no panic");
        let place = crate::beneath::Dir::open(root).expect("opened").place().expect("asked");
        task.set_scanned_place(place).await.expect("no panic");
        (task, queue)
    }

    #[tokio::test]
    async fn below_an_unreadable_directory_nothing_is_gone() {
        let tree = tempfile::tempdir().expect("a directory");
        let names = ["sub/a.mp3", "sub/settling.mp3", "b.mp3", "settling.mp3"];
        let (mut task, _queue) = knowing(tree.path(), &names).await;
        let unreadable = vec![("sub".into(), "an I/O error".to_owned())];
        task.find_missing(&WalkTally { unreadable, ..WalkTally::default() }, 1)
            .await
            .expect("no panic");
        assert_eq!(
            task.missing.noticed.keys().collect::<Vec<_>>(),
            [Path::new("b.mp3"), Path::new("settling.mp3")]
        );
        assert_eq!(task.missing.unresolved, 1, "one known file may be there or not");
        task.find_missing(&WalkTally::default(), 1).await.expect("no panic");
        assert_eq!(
            task.missing.noticed.len(),
            4,
            "it could be read again, and they were not there"
        );
        assert_eq!(task.missing.unresolved, 0);
    }

    #[tokio::test]
    async fn a_file_that_came_back_is_not_told_as_gone() {
        let tree = tempfile::tempdir().expect("a directory");
        let (mut task, _queue) = knowing(tree.path(), &["a.mp3", "b.mp3"]).await;
        std::fs::write(tree.path().join("a.mp3"), "x").expect("written");
        task.find_missing(&WalkTally::default(), 1).await.expect("no panic");
        for noticed in task.missing.noticed.values_mut() {
            *noticed = Duration::ZERO;
        }
        let policy = task.view().state().policy;
        let wait = task.grace(&policy);
        tokio::time::pause();
        tokio::time::advance(wait).await;
        tokio::time::resume();
        task.confirm_removed().await.expect("no panic");
        assert!(task.missing.noticed.is_empty());
        let left = task.queue.read_sightings(Path::new("")).await.expect("read");
        assert_eq!(
            left.iter().map(|sighting| sighting.path.as_path()).collect::<Vec<_>>(),
            [Path::new("a.mp3")]
        );
    }
}
