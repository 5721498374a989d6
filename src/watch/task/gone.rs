//! What is not there any more. A rename is a file that is gone and another that has come: the queue hears of the one
//! that has come first, so that it knows its content.

use std::{path::PathBuf, time::Duration};

use super::{ROWS, Task};
use crate::watch::{eyes::Eyes, scan::Tally, settle::Patience};

/// Times of settling that pass before a file counts as gone: one for what came instead to settle, one to be read.
const GRACE: u32 = 2;

/// What is added to it: the two halves of a rename may be noticed one look apart, and a busy machine is late.
const SLACK: Duration = Duration::from_secs(1);

/// Times of settling after which it counts as gone although others are still being read.
const GRACE_MAX: u32 = 20;

impl Task {
    /// Takes in that nothing lies at these paths. Those that were never anything are passed over.
    pub(super) async fn vanish(&mut self, paths: Vec<PathBuf>) -> anyhow::Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        for path in &paths {
            self.hints.forget_written(path);
        }
        let settling: Vec<bool> = {
            let mut state = self.view().state();
            paths.iter().map(|path| state.pool.remove(path)).collect()
        };
        let forget = move |eyes: &mut Eyes| {
            let known = paths.iter().map(|path| eyes.known.remove(eyes.known.path(path))).collect::<Vec<bool>>();
            let was_there = known.into_iter().zip(settling).map(|(known, settling)| known || settling);
            paths.into_iter().zip(was_there).filter_map(|(path, was)| was.then_some(path)).collect::<Vec<_>>()
        };
        let gone = self.eyes.run(forget).await?;
        let now = self.clocks.now().running;
        self.gone.extend(gone.into_iter().map(|path| (path, now)));
        Ok(())
    }

    /// Takes in what a scan has not met. Below what it could not read, nothing is concluded.
    pub(super) async fn miss(&mut self, tally: &Tally, scan: u64) -> anyhow::Result<()> {
        let mut unmet = self.view().state().pool.unmet(scan);
        unmet.retain(|path| tally.covers(path));
        self.vanish(unmet).await?;
        let unmarked = self.eyes.run(|eyes| eyes.known.unmarked()).await?;
        if unmarked == 0 || unmarked == self.unresolved && !tally.is_complete() {
            return Ok(());
        }
        // In memory a known file has no name: the queue has it.
        let mut after = PathBuf::new();
        loop {
            let page = match self.queue.read_sightings(&after).await {
                Ok(page) => page,
                Err(error) => {
                    self.ledger_failed(&error);
                    return Ok(());
                }
            };
            let Some(last) = page.last() else { break };
            after.clone_from(&last.path);
            let names = page.into_iter().map(|sighting| sighting.path);
            self.miss_known(names.filter(|path| tally.covers(path)).collect()).await?;
        }
        let is_complete = tally.is_complete();
        let settle = move |eyes: &mut Eyes| {
            if is_complete {
                eyes.known.retain_marked();
            }
            eyes.known.unmarked()
        };
        self.unresolved = self.eyes.run(settle).await?;
        Ok(())
    }

    async fn miss_known(&mut self, names: Vec<PathBuf>) -> anyhow::Result<()> {
        let missing = move |eyes: &mut Eyes| {
            let unmarked = |path: &PathBuf| eyes.known.is_unmarked(eyes.known.path(path));
            names.into_iter().filter(unmarked).collect::<Vec<_>>()
        };
        self.vanish(self.eyes.run(missing).await?).await
    }

    /// The moment at which the next file counts as gone.
    pub(super) fn next_gone(&self, patience: &Patience) -> Option<Duration> {
        let wait = self.grace(patience);
        self.gone.values().min().map(|noticed| noticed.saturating_add(wait).max(self.ledger_from))
    }

    fn grace(&self, patience: &Patience) -> Duration {
        let is_idle = self.examining.is_empty() && self.settled.is_empty();
        patience.settle.saturating_mul(if is_idle { GRACE } else { GRACE_MAX }).saturating_add(SLACK)
    }

    /// Tells the queue of what is gone, when nothing can come any more that it should know before.
    pub(super) async fn tell_gone(&mut self) -> anyhow::Result<()> {
        let now = self.clocks.now().running;
        let (patience, is_held) = {
            let state = self.view().state();
            (state.patience, state.trouble.as_ref().is_some_and(|trouble| trouble.kind.blocks_stages()))
        };
        if self.ledger_from > now || self.next_gone(&patience).is_none_or(|at| at > now) {
            return Ok(());
        }
        let wait = self.grace(&patience);
        let is_due = |noticed: &Duration| noticed.saturating_add(wait) <= now;
        let due: Vec<PathBuf> = self.gone.iter().filter(|(_, at)| is_due(at)).map(|(path, _)| path.clone()).collect();
        self.gone.retain(|_, noticed| !is_due(noticed));
        let asked = due.clone();
        let absent = if is_held { None } else { self.answer(self.eyes.run(move |eyes| eyes.absent(asked))).await? };
        let Some(absent) = absent else {
            // Nothing can be known of the folder now.
            self.gone.extend(due.into_iter().map(|path| (path, now)));
            return Ok(());
        };
        for rows in absent.chunks(ROWS) {
            if let Err(error) = self.queue.record_removed(rows.to_vec()).await {
                self.ledger_failed(&error);
                self.gone.extend(rows.iter().map(|path| (path.clone(), now)));
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
        queue::{Sighting, Verdict},
        watch::{
            handle,
            testing::{TestQueue, accepts, folder},
        },
    };

    /// A task that knows these files, none of which is there.
    async fn knowing(root: &Path, names: &[&str]) -> (Task, Arc<TestQueue>) {
        let queue = TestQueue::with_baseline(root).await;
        for name in names {
            let stamp = Stamp { size: 1, mtime_ns: 1, inode: 1 };
            if name.contains("settling") {
                let at = jiff::Timestamp::UNIX_EPOCH;
                let verdict = Verdict::Settling;
                let sighting = Sighting { path: name.into(), stamp, first: at, since: at, verdict, written_boot: None };
                queue.record(vec![sighting]).await;
            } else {
                queue.take(vec![(name.into(), stamp)]).await;
            }
        }
        let (_, end) = handle::handle();
        let settings = folder(root);
        let memory = queue.of_folder(&settings);
        let stop = CancellationToken::new();
        let begun = Task::begin(settings, &accepts(), memory, end, stop, Arc::default(), 10).await;
        let mut task = begun.expect("begun");
        task.eyes.run(|eyes| eyes.known.unmark_all()).await.expect("no panic");
        let place = crate::beneath::Dir::open(root).expect("opened").place().expect("asked");
        task.settle_place(place).await.expect("no panic");
        (task, queue)
    }

    #[tokio::test]
    async fn below_an_unreadable_directory_nothing_is_gone() {
        let tree = tempfile::tempdir().expect("a directory");
        let names = ["sub/a.mp3", "sub/settling.mp3", "b.mp3", "settling.mp3"];
        let (mut task, _queue) = knowing(tree.path(), &names).await;
        let unreadable = vec![("sub".into(), "an I/O error".to_owned())];
        task.miss(&Tally { unreadable, ..Tally::default() }, 1).await.expect("no panic");
        assert_eq!(task.gone.keys().collect::<Vec<_>>(), [Path::new("b.mp3"), Path::new("settling.mp3")]);
        assert_eq!(task.unresolved, 1, "one known file may be there or not");
        task.miss(&Tally::default(), 1).await.expect("no panic");
        assert_eq!(task.gone.len(), 4, "it could be read again, and they were not there");
        assert_eq!(task.unresolved, 0);
    }

    #[tokio::test]
    async fn a_file_that_came_back_is_not_told_as_gone() {
        let tree = tempfile::tempdir().expect("a directory");
        let (mut task, _queue) = knowing(tree.path(), &["a.mp3", "b.mp3"]).await;
        std::fs::write(tree.path().join("a.mp3"), "x").expect("written");
        task.miss(&Tally::default(), 1).await.expect("no panic");
        for noticed in task.gone.values_mut() {
            *noticed = Duration::ZERO;
        }
        let patience = task.view().state().patience;
        let wait = task.grace(&patience);
        tokio::time::pause();
        tokio::time::advance(wait).await;
        tokio::time::resume();
        task.tell_gone().await.expect("no panic");
        assert!(task.gone.is_empty());
        let left = task.queue.read_sightings(Path::new("")).await.expect("read");
        assert_eq!(left.iter().map(|sighting| sighting.path.as_path()).collect::<Vec<_>>(), [Path::new("a.mp3")]);
    }
}
