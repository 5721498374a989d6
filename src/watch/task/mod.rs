//! The task of a folder: hints, scans and time come in, settled recordings go out.

mod batches;
mod first_scan;
mod identity;
mod missing;
mod report;
mod schedule;
mod silence;
mod start;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use self::{
    batches::Batches,
    identity::FolderIdentity,
    missing::MissingFiles,
    report::ReportedTrouble,
    schedule::{QueueRetry, Schedule, rest_after},
};
use super::{
    folder_queue::FolderQueue,
    handle::{FolderCommand, FolderEnd},
    scanner::hints::{Hints, PENDING_MAX},
    scanner::{BlockingScanner, FolderScan, FolderScanner, FolderTrouble, WatchMode},
    settle::files::SettlingFile,
    view::{FolderView, TaskClocks},
};
use crate::{beneath::Stamp, config::Folder, open_files::OpenFiles};

/// Rows written with one commit, where there may be any number of them.
const ROWS: usize = 1000;

/// Watches a folder until `stop`; the queue gets each recording that settles in it.
///
/// `accepts` holds the extensions that the folder's service takes, lower case; `open_files` is what the whole process
/// knows of files that are being written.
///
/// # Errors
/// When the queue cannot be read at the start, or a look at the file system panics.
pub(crate) async fn run(
    folder: Folder,
    accepts: Vec<String>,
    queue: FolderQueue,
    end: FolderEnd,
    stop: CancellationToken,
    open_files: Arc<OpenFiles>,
) -> anyhow::Result<()> {
    run_with(folder, accepts, queue, end, stop, open_files, PENDING_MAX).await
}

/// As [`run`], with room for `hints_max` hints.
///
/// # Errors
/// As [`run`].
pub(crate) async fn run_with(
    folder: Folder,
    accepts: Vec<String>,
    queue: FolderQueue,
    end: FolderEnd,
    stop: CancellationToken,
    open_files: Arc<OpenFiles>,
    hints_max: usize,
) -> anyhow::Result<()> {
    let watching = async {
        let mut task =
            FolderTask::start(folder, &accepts, queue, end, stop.clone(), open_files, hints_max)
                .await?;
        loop {
            task.step().await?;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = watching => ended,
    }
}

/// The state of a folder's task.
struct FolderTask {
    folder: Folder,
    queue: FolderQueue,
    end: FolderEnd,
    clocks: TaskClocks,
    hints: Arc<Hints>,
    scanner: BlockingScanner,
    identity: FolderIdentity,
    schedule: Schedule,
    retry: QueueRetry,
    batches: Batches,
    missing: MissingFiles,
    reported: ReportedTrouble,
}

impl FolderTask {
    fn view(&self) -> &Arc<FolderView> {
        &self.end.view
    }

    /// Waits for the next thing to do and does it.
    async fn step(&mut self) -> anyhow::Result<()> {
        let wake = self.clocks.instant_at(self.next_wake());
        let look_from = self.clocks.instant_at(self.schedule.next_look());
        let hinted = async {
            self.hints.wait_pending().await;
            sleep_until(look_from).await;
        };
        tokio::select! {
            Some(done) = self.batches.running.join_next() => {
                self.finish_batch(done.context("looking into files failed")?).await?;
            }
            Some(command) = self.end.commands.recv() => self.handle_command(command).await?,
            () = hinted => self.look_at_hints().await?,
            () = sleep_until(wake) => {}
        }
        self.do_what_is_due().await?;
        self.show_quiet();
        Ok(())
    }

    /// Returns the next time at which something is to be done although nothing happens.
    fn next_wake(&self) -> Duration {
        let state = self.view().state();
        let examine = if self.may_examine(&state) {
            state.settling.next_due(&state.policy, self.batches.may_begin_large())
        } else {
            None
        };
        let keep = state.settling.next_record().map(|at| at.max(self.retry.not_before));
        let take = self.batches.has_settled().then_some(self.retry.not_before);
        let confirm = self.next_confirmation(&state.policy);
        [examine, keep, take, confirm]
            .into_iter()
            .flatten()
            .fold(self.schedule.next_scan(), Duration::min)
    }

    async fn do_what_is_due(&mut self) -> anyhow::Result<()> {
        if self.schedule.next_scan() <= self.clocks.now().running {
            self.scan().await?;
        }
        self.note_written();
        self.examine_due();
        self.take_settled().await?;
        self.record_settling().await;
        self.confirm_removed().await
    }

    async fn handle_command(&mut self, command: FolderCommand) -> anyhow::Result<()> {
        match command {
            FolderCommand::Scan { done } => {
                self.view().state().settling.retry_unreadable();
                self.scan().await?;
                // The sender may wait for quiet next: what was found counts from now on.
                self.show_quiet();
                if done.send(()).is_err() {
                    tracing::debug!("the answer to a scan is not waited for any more");
                }
            }
            FolderCommand::Reconsider { paths } => self.reconsider(paths).await?,
            FolderCommand::Backlog { decision, done } => {
                let answer = self.decide_backlog(decision).await;
                if done.send(answer).is_err() {
                    tracing::debug!(
                        "the answer to a decision on the backlog is not waited for any more"
                    );
                }
            }
        }
        Ok(())
    }

    /// Forgets what is known of files, so that the next look takes them for new ones.
    async fn reconsider(&self, paths: BTreeSet<PathBuf>) -> anyhow::Result<()> {
        let hinted = paths.clone();
        let forget = move |scanner: &mut FolderScanner| {
            for path in &paths {
                scanner.known.remove(scanner.known.hash_path(path));
            }
        };
        self.scanner.run(forget).await?;
        for path in hinted {
            self.hints.add_path(path);
        }
        Ok(())
    }

    async fn look_at_hints(&mut self) -> anyhow::Result<()> {
        let pending = self.hints.take_pending();
        if self.hints.take_awaited_close()
            && let Err(error) = self.queue.wake_waiting().await
        {
            self.record_queue_failure(&error);
        }
        if pending.lost {
            self.schedule.are_hints_lost = true;
            return Ok(());
        }
        let open = self.view().state().settling.select_open(&pending.paths);
        let paths = pending.paths.into_iter().collect();
        let baseline = self.baseline_here();
        let is_settling = self.is_settling();
        let look = move |scanner: &mut FolderScanner| {
            (scanner.look_at_paths(paths, baseline.as_ref(), is_settling), scanner.mode.clone())
        };
        let (seen, mode) = self.await_answer(self.scanner.run(look)).await?;
        self.set_mode(mode);
        let mut busy = Duration::ZERO;
        match seen {
            Ok(seen) => {
                busy = seen.busy;
                self.observe(&seen.fresh, self.schedule.scans);
                for path in &open {
                    self.view().state().settling.check_close_soon(path);
                }
                self.mark_missing(seen.vanished).await?;
            }
            // What is wrong is known already, and looked at again in a while.
            Err(_) if self.is_held() => {}
            Err(_) => self.schedule.scan_at_once(),
        }
        self.schedule.plan_look(self.clocks.now().running, busy, Folder::RESCAN);
        Ok(())
    }

    /// Scans the whole folder and takes in what it finds.
    async fn scan(&mut self) -> anyhow::Result<()> {
        let baseline = self.baseline_here();
        let is_settling = self.is_settling();
        let is_lost = self.schedule.are_hints_lost;
        let scan = move |scanner: &mut FolderScanner| {
            (scanner.scan_folder(baseline.as_ref(), is_settling, is_lost), scanner.mode.clone())
        };
        let (scanned, mode) = self.await_answer(self.scanner.run(scan)).await?;
        self.set_mode(mode.clone());
        self.schedule.are_hints_lost = false;
        self.view().count_scan();
        match scanned {
            Ok(scanned) if scanned.findings.tally.stopped => return Ok(()),
            Ok(scanned) => {
                self.plan_scan(scanned.took.max(rest_after(scanned.findings.busy)));
                if let Some(trouble) = self.detect_another_directory(&scanned) {
                    self.report_failed_scan(trouble).await;
                } else {
                    self.report(report::lack_of_watches(&mode)).await;
                    if !self.take_in_scan(scanned).await? {
                        return Ok(());
                    }
                }
            }
            Err(trouble) => {
                self.plan_scan(Duration::ZERO);
                self.report_failed_scan(trouble).await;
            }
        }
        self.schedule.scans += 1;
        Ok(())
    }

    async fn report_failed_scan(&mut self, trouble: FolderTrouble) {
        self.schedule.scan_trouble_again(self.clocks.now().running);
        self.report(Some(trouble)).await;
    }

    /// Plans the scan that comes after one that asks for `rest`.
    fn plan_scan(&mut self, rest: Duration) {
        let is_polled = self.view().state().mode.as_ref().is_some_and(WatchMode::is_polled);
        let interval = self.folder.rescan_interval(is_polled);
        self.schedule.plan_scan(self.clocks.now().running, interval, rest);
    }

    /// Takes in a scan; returns whether the folder has a baseline: no file is examined before.
    async fn take_in_scan(&mut self, scanned: FolderScan) -> anyhow::Result<bool> {
        if self.show_scan(&scanned) {
            self.wake_for_readable().await;
        }
        self.set_scanned_place(scanned.location.place).await?;
        self.record_mounts(&scanned).await;
        let scan = self.schedule.scans + 1;
        if self.has_baseline(&scanned).await? {
            self.update_baseline(&scanned).await;
            self.observe(&scanned.findings.fresh, scan);
        } else if let Err(error) = self.take_in_first_scan(&scanned, scan).await {
            self.record_queue_failure(&error);
            self.schedule.repeat_first_scan(self.clocks.now().running);
            return Ok(false);
        }
        self.warn_of_slow();
        self.find_missing(&scanned.findings.tally, scan).await?;
        Ok(true)
    }

    /// Takes in the stamps of files that are not known to be unchanged.
    fn observe(&self, fresh: &[(PathBuf, Stamp)], scan: u64) {
        let now = self.clocks.now();
        let mut state = self.view().state();
        let policy = state.policy;
        for (path, stamp) in fresh {
            let is_another = |entry: &SettlingFile| entry.seen.stamp.inode != stamp.inode;
            if state.settling.get(path).is_some_and(is_another) {
                // What was known before events were lost is of the file that was there.
                self.batches.open_files.written.end_doubt(&self.folder.path.join(path));
            }
            state.settling.observe(path, *stamp, now, scan, &policy);
        }
    }

    /// Takes in which files were written to and not closed, by events: the queue remembers it.
    fn note_written(&self) {
        let written = self.hints.written().into_iter().collect();
        self.view().state().settling.note_written(written);
    }

    fn is_held(&self) -> bool {
        self.view().state().is_held()
    }

    fn is_settling(&self) -> bool {
        !self.view().state().settling.is_empty()
    }
}
