//! One task a folder: hints, scans and time come in, settled recordings go out.

mod begin;
mod gone;
mod meet;
mod place;
mod report;
mod silence;
mod take;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{task::JoinSet, time::sleep_until};
use tokio_util::sync::CancellationToken;

use self::take::Examined;
use super::{
    eyes::{Eyes, Lent, Mode, Scanned, Trouble},
    folder_queue::FolderQueue,
    handle::{Command, Decision, FolderEnd},
    hints::{Hints, PENDING_MAX},
    names::Rules,
    pool::Entry,
    turns::FolderLine,
    view::{Clocks, FolderView},
};
use crate::{
    beneath::{Place, Stamp},
    config::Folder,
    job::HoldReason,
    open_files::OpenFiles,
    queue::{Root, Settled},
};

/// How often a folder in trouble is looked at: to open a directory costs next to nothing.
const TROUBLE_RESCAN: Duration = Duration::from_secs(10);

/// From one look at hints to the next, so that a burst makes few looks and few commits.
const HINT_GAP: Duration = Duration::from_millis(100);

/// From a scan to the next one that lost hints ask for, together with four times what a scan takes: a storm of events
/// must not make minuted scan without end.
const LOST_GAP: Duration = Duration::from_secs(1);

/// From one look or scan to the next, in times of what the last one kept a processor busy: a tree that is large or
/// changes without end takes a quarter of one processor at most, and its folder alone waits for that.
const REST: u32 = 3;

/// How soon the queue is tried again when it could not write.
const LEDGER_RETRY: Duration = Duration::from_secs(10);

/// Rows written with one commit, where there may be any number of them.
const ROWS: usize = 1000;

/// Watches a folder until `stop`: whatever settles in it is given to `queue`.
///
/// `accepts` holds the extensions that the folder's service takes, lower case; `open_files` is what the whole process
/// knows of files that are being written.
///
/// # Errors
/// When the queue cannot be read at the start, or a look at the file system panics.
pub async fn run(
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
pub async fn run_with(
    folder: Folder,
    accepts: Vec<String>,
    queue: FolderQueue,
    end: FolderEnd,
    stop: CancellationToken,
    open_files: Arc<OpenFiles>,
    hints_max: usize,
) -> anyhow::Result<()> {
    let watching = async {
        let mut task = Task::begin(folder, &accepts, queue, end, stop.clone(), open_files, hints_max).await?;
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
struct Task {
    folder: Folder,
    rules: Arc<Rules>,
    queue: FolderQueue,
    end: FolderEnd,
    stop: CancellationToken,
    hints: Arc<Hints>,
    /// Who has which file open.
    open_files: Arc<OpenFiles>,
    eyes: Lent,
    clocks: Clocks,
    root: Option<Root>,
    /// Where the folder lay at the last scan that was taken in.
    place: Option<Place>,
    /// Grows as long as the file system answers.
    pulse: Arc<AtomicU64>,
    /// What becomes of what lies there, where a person has said so: else it is as the configuration says.
    decided: Option<Decision>,
    examining: JoinSet<Examined>,
    /// How many of the batches that are looked into are a large file.
    large: usize,
    /// Where its batches wait for their turn to read.
    line: FolderLine,
    /// Hashed, and not yet taken by the queue.
    settled: Vec<Settled>,
    /// What minuted died of too often, as it was: it is not parsed again.
    set_aside: HashMap<PathBuf, Stamp>,
    /// What is not there any more, with when that was noticed: told after what may have come instead.
    gone: BTreeMap<PathBuf, Duration>,
    scans: u64,
    scan_at: Duration,
    hints_from: Duration,
    /// Lost hints ask for a scan no earlier than this.
    lost_from: Duration,
    is_lost: bool,
    ledger_from: Duration,
    /// What the queue was told last of the folder's trouble, once it was told at all.
    told: Option<HoldReason>,
    is_told: bool,
    is_ledger_failing: bool,
    /// Known files that a scan could neither meet nor miss, because a directory could not be read.
    unresolved: usize,
    /// The mounts below, as the queue knows them.
    mounts: Vec<PathBuf>,
}

impl Task {
    fn view(&self) -> &Arc<FolderView> {
        &self.end.view
    }

    /// Waits for the next thing to do and does it.
    async fn step(&mut self) -> anyhow::Result<()> {
        let wake = self.clocks.at(self.next_wake());
        let hints_from = self.clocks.at(self.hints_from);
        let hinted = async {
            self.hints.wait().await;
            sleep_until(hints_from).await;
        };
        tokio::select! {
            Some(done) = self.examining.join_next() => self.examined(done.context("looking into files failed")?).await?,
            Some(command) = self.end.commands.recv() => self.obey(command).await?,
            () = hinted => self.look().await?,
            () = sleep_until(wake) => {}
        }
        self.tick().await?;
        self.show_quiet();
        Ok(())
    }

    /// The next moment at which time alone gives something to do.
    fn next_wake(&self) -> Duration {
        let state = self.view().state();
        let due = if self.may_examine(&state) {
            state.pool.next_due(&state.patience, self.may_examine_large())
        } else {
            None
        };
        let keep = state.pool.next_keep().map(|at| at.max(self.ledger_from));
        let take = (!self.settled.is_empty()).then_some(self.ledger_from);
        let lost = self.is_lost.then_some(self.lost_from);
        [due, keep, take, lost, self.next_gone(&state.patience)].into_iter().flatten().fold(self.scan_at, Duration::min)
    }

    /// Does what is due.
    async fn tick(&mut self) -> anyhow::Result<()> {
        let now = self.clocks.now().running;
        if self.scan_at <= now || self.is_lost && self.lost_from <= now {
            self.scan().await?;
        }
        self.note_written();
        self.examine_due();
        self.take().await?;
        self.keep().await;
        self.tell_gone().await
    }

    async fn obey(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Scan { done } => {
                self.view().state().pool.retry_unreadable();
                self.scan().await?;
                // Whoever asked may wait for quiet next: what was found counts from now on.
                self.show_quiet();
                if done.send(()).is_err() {
                    tracing::debug!("whoever asked for the scan has gone");
                }
            }
            Command::Reconsider { paths } => self.reconsider(paths).await?,
            Command::Backlog { decision, done } => {
                let answer = self.decide(decision).await;
                if done.send(answer).is_err() {
                    tracing::debug!("whoever decided about the backlog has gone");
                }
            }
        }
        Ok(())
    }

    /// Forgets what is known of files, so that the next look meets them as new.
    async fn reconsider(&self, paths: BTreeSet<PathBuf>) -> anyhow::Result<()> {
        let hinted = paths.clone();
        let forget = move |eyes: &mut Eyes| {
            for path in &paths {
                eyes.known.remove(eyes.known.path(path));
            }
        };
        self.eyes.run(forget).await?;
        for path in hinted {
            self.hints.put(path);
        }
        Ok(())
    }

    /// Looks at what was hinted at.
    async fn look(&mut self) -> anyhow::Result<()> {
        let pending = self.hints.take();
        if self.hints.take_awaited_close()
            && let Err(error) = self.queue.wake_waiting().await
        {
            self.ledger_failed(&error);
        }
        if pending.lost {
            self.is_lost = true;
            return Ok(());
        }
        let open = self.view().state().pool.open_among(&pending.paths);
        let (paths, met, is_settling) = (pending.paths.into_iter().collect(), self.met_here(), self.is_settling());
        let look = move |eyes: &mut Eyes| {
            let is_used = is_settling || !eyes.known.is_empty();
            (eyes.look(paths, met.as_ref(), is_used), eyes.mode.clone())
        };
        let (seen, mode) = self.answer(self.eyes.run(look)).await?;
        self.set_mode(mode);
        let mut rest = HINT_GAP;
        match seen {
            Ok(seen) => {
                rest = seen.busy.saturating_mul(REST).min(Folder::RESCAN);
                self.observe(&seen.fresh, self.scans);
                for path in &open {
                    self.view().state().pool.ask_again(path);
                }
                self.vanish(seen.vanished).await?;
            }
            // What is wrong is known already, and looked at again in a while.
            Err(_) if self.is_held() => {}
            Err(_) => self.scan_at = Duration::ZERO,
        }
        self.hints_from = self.clocks.now().running + rest.max(HINT_GAP);
        Ok(())
    }

    /// Scans everything and takes in what it finds.
    async fn scan(&mut self) -> anyhow::Result<()> {
        let (met, is_settling, is_lost) = (self.met_here(), self.is_settling(), self.is_lost);
        let scan = move |eyes: &mut Eyes| {
            let is_used = is_settling || !eyes.known.is_empty();
            (eyes.scan(met.as_ref(), is_used, is_lost), eyes.mode.clone())
        };
        let (scanned, mode) = self.answer(self.eyes.run(scan)).await?;
        self.set_mode(mode.clone());
        self.is_lost = false;
        self.view().count_scan();
        match scanned {
            Ok(scanned) if scanned.seen.tally.stopped => return Ok(()),
            Ok(scanned) => {
                self.schedule(scanned.took.max(scanned.seen.busy.saturating_mul(REST)));
                if let Some(trouble) = self.another_place(&scanned) {
                    self.troubled(trouble).await;
                } else {
                    self.report(report::limit(&mode)).await;
                    if !self.take_in(scanned).await? {
                        return Ok(());
                    }
                }
            }
            Err(trouble) => {
                self.schedule(Duration::ZERO);
                self.troubled(trouble).await;
            }
        }
        self.scans += 1;
        Ok(())
    }

    async fn troubled(&mut self, trouble: Trouble) {
        self.scan_at = self.scan_at.min(self.clocks.now().running + TROUBLE_RESCAN);
        self.report(Some(trouble)).await;
    }

    /// Says when the next scan comes after one that asks for `rest`.
    fn schedule(&mut self, rest: Duration) {
        let now = self.clocks.now().running;
        let is_polled = self.view().state().mode.as_ref().is_some_and(Mode::is_polled);
        // A scan that takes longer than its turn leaves as much time to what it found.
        self.scan_at = now + self.folder.rescan_interval(is_polled).max(rest);
        self.lost_from = now + LOST_GAP + rest.saturating_mul(4);
    }

    /// Returns whether the folder is met: nothing is looked into before.
    async fn take_in(&mut self, scanned: Scanned) -> anyhow::Result<bool> {
        if self.show(&scanned) {
            self.tell_readable().await;
        }
        self.settle_place(scanned.ground.place).await?;
        self.keep_mounts(&scanned).await;
        let scan = self.scans + 1;
        if self.is_met(&scanned).await? {
            self.follow(&scanned).await;
            self.observe(&scanned.seen.fresh, scan);
        } else if let Err(error) = self.meet(&scanned, scan).await {
            self.ledger_failed(&error);
            self.scan_at = self.clocks.now().running + LEDGER_RETRY;
            return Ok(false);
        }
        self.warn_of_slow();
        self.miss(&scanned.seen.tally, scan).await?;
        Ok(true)
    }

    /// Takes in looks at files that are not known to be unchanged.
    fn observe(&self, fresh: &[(PathBuf, crate::beneath::Stamp)], scan: u64) {
        let now = self.clocks.now();
        let mut state = self.view().state();
        let patience = state.patience;
        for (path, stamp) in fresh {
            let is_another = |entry: &Entry| entry.seen.stamp.inode != stamp.inode;
            if state.pool.get(path).is_some_and(is_another) {
                // What was known before events were lost is of the file that was there.
                self.open_files.written.end_doubt(&self.folder.path.join(path));
            }
            state.pool.observe(path, *stamp, now, scan, &patience);
        }
    }

    /// Takes in which files were written to and not closed, as events tell: the queue remembers it.
    fn note_written(&self) {
        let written = self.hints.written().into_iter().collect();
        self.view().state().pool.note_written(written);
    }

    fn is_held(&self) -> bool {
        self.view().state().trouble.as_ref().is_some_and(|trouble| trouble.kind.blocks_stages())
    }

    fn is_settling(&self) -> bool {
        !self.view().state().pool.is_empty()
    }

    /// Whether nothing at all is remembered of the folder.
    async fn is_unused(&self) -> anyhow::Result<bool> {
        Ok(!self.is_settling() && self.eyes.run(|eyes| eyes.known.is_empty()).await?)
    }
}
