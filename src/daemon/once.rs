//! `run --once`: until nothing is left to do, or what is left waits for what stays away.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::Parts;
use crate::{
    clock,
    config::Target,
    delivery::SMTP,
    job::{EndedBy, HoldReason},
    store::{Hold, Lane, Scope},
    watch::FolderHandle,
    worker::list_limited,
};

/// The outcome of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Recordings that failed, or whose delivery did.
    pub failed: u64,
    /// Jobs that wait for a person: to sign in, to mend a folder or a sidecar, to decide.
    pub held: u64,
    /// Jobs that wait for what is down (the service, the mail server, a disk) and was given time to come back.
    pub waiting: u64,
    /// Jobs that wait for the next day, because a daily limit is used up. That is no failure.
    pub limited: u64,
    /// Folders that could not be looked through.
    pub unscanned: u64,
    /// Sources that could not be asked, or whose recordings could not be placed.
    pub sources: u64,
}

/// The interval between looks for work that is left.
const EVERY: Duration = Duration::from_millis(200);

/// Notifications are waited for so long: two receivers that do not answer, one after the other.
const NOTIFY_MAX: Duration = Duration::from_secs(60);

/// What stays down for so many of the longest delays has been tried once more at the least.
const PROBES: u32 = 2;

/// Waits until the sources have brought what they have, every folder is quiet and no job can go on by itself.
pub(super) async fn wait_until_finished(parts: &Parts) -> Tally {
    let begun = clock::now();
    // A deletion that a service refused before is asked for again, or this run would end without a try.
    match parts.runtime.queue.deliveries().wake(Lane::Remote, None, begun).await {
        Ok(_) => parts.runtime.deliveries.notify_one(),
        Err(error) => parts.runtime.queue_failed("wake what is to be deleted", &error),
    }
    let handles: Vec<FolderHandle> = {
        let folders = parts.folders.read().expect("no thread panics while it holds the folders");
        folders.values().cloned().collect()
    };
    let mut sources = sources_are_idle(parts).await;
    // No event need come for what they brought.
    for handle in handles.iter().filter(|_| !parts.runtime.live().settings.sources.is_empty()) {
        if handle.view().status().trouble.is_none() && handle.scan().await.is_err() {
            tracing::debug!("a folder is not watched any more");
        }
    }
    let tally = work_is_done(parts, &handles, begun).await;
    if parts.runtime.live().settings.sources.iter().any(|source| source.delete_after) {
        parts.sources.nudge_all();
        sources = sources_are_idle(parts).await;
    }
    try_notifications(parts).await;
    let lost = parts.runtime.queue.sources().count_failures(begun).await.unwrap_or_default();
    Tally { failed: tally.failed + lost, sources, ..tally }
}

/// Gives each notification one try, within [`NOTIFY_MAX`]: what is refused is tried again by the next run.
async fn try_notifications(parts: &Parts) {
    let begun = Instant::now();
    while begun.elapsed() < NOTIFY_MAX {
        match parts.runtime.queue.notifications().has_untried(clock::now()).await {
            Ok(true) => tokio::time::sleep(EVERY).await,
            Ok(false) => return,
            Err(error) => {
                return parts.runtime.queue_failed("read what notifiers are told", &error);
            }
        }
    }
}

/// Waits until each source has brought what it has now; returns how many could not.
async fn sources_are_idle(parts: &Parts) -> u64 {
    let live = parts.runtime.live();
    let mut stuck: Option<Instant> = None;
    loop {
        let holds = parts.runtime.queue.holds().list().await.unwrap_or_default();
        let mut busy = false;
        let mut down = 0;
        let mut held = 0;
        for source in &live.settings.sources {
            let mut of_it =
                holds.iter().filter(|hold| hold.scope == Scope::Source && hold.name == source.name);
            let view = parts.sources.view(&source.name);
            let is_idle = view.as_ref().is_none_or(|view| view.idle && view.listed.is_some());
            busy |= view.is_some_and(|view| view.next.is_none());
            match of_it.next() {
                Some(hold) if hold.reason.is_ended_by(EndedBy::SignIn) => held += 1,
                Some(_) => down += 1,
                None => busy |= !is_idle,
            }
        }
        let since = *stuck.get_or_insert_with(Instant::now);
        if busy || down == 0 {
            stuck = None;
        }
        let is_over = down == 0 || since.elapsed() >= live.settings.retry.delay_max * PROBES;
        if !busy && is_over {
            return down + held;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Waits until every folder is quiet and no job can go on by itself.
async fn work_is_done(parts: &Parts, handles: &[FolderHandle], begun: jiff::Timestamp) -> Tally {
    let mut stuck: Option<Instant> = None;
    loop {
        for handle in handles {
            handle.view().wait_quiet().await;
        }
        match parts.runtime.queue.maintenance().count_unfinished(begun).await {
            Ok(left) => {
                let blocks = BlockedFolders::of(parts).await;
                let open = |by: &dyn Fn(&String) -> bool| -> u64 {
                    left.by_folder
                        .iter()
                        .filter(|(folder, _)| by(folder))
                        .map(|(_, count)| count)
                        .sum()
                };
                let held = open(&|folder| blocks.held.contains(folder));
                let is_blocked =
                    |folder: &String| blocks.held.contains(folder) || blocks.down.contains(folder);
                let blocked = open(&is_blocked);
                let limited = count_limited(parts, is_blocked).await;
                let all = open(&|_| true).saturating_sub(limited);
                let tally = Tally {
                    failed: left.failed,
                    held: held + left.invalid_metadata,
                    waiting: all.saturating_sub(held) + left.undeleted,
                    limited,
                    unscanned: unscanned_folders(handles),
                    sources: 0,
                };
                let is_idle = parts.worker.activity.is_empty();
                if is_idle && left.deliveries == 0 && all == held {
                    return tally;
                }
                let is_stuck = all == blocked && (left.deliveries == 0 || blocks.files);
                let since = *stuck.get_or_insert_with(Instant::now);
                if !is_stuck {
                    stuck = None;
                } else if is_idle
                    && since.elapsed() >= parts.runtime.live().settings.retry.delay_max * PROBES
                {
                    return tally;
                }
            }
            Err(error) => parts.runtime.queue_failed("count what is left to do", &error),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Counts the jobs that wait for the next day in folders that nothing else blocks.
async fn count_limited(parts: &Parts, is_blocked: impl Fn(&String) -> bool) -> u64 {
    let live = parts.runtime.live();
    let limited = list_limited(&parts.runtime.queue, &live, clock::now()).await;
    let open = limited.unwrap_or_default().into_iter().filter(|one| !is_blocked(&one.folder));
    open.map(|one| one.jobs.by_folder + one.jobs.by_service).sum()
}

fn unscanned_folders(handles: &[FolderHandle]) -> u64 {
    let troubles = handles.iter().filter_map(|handle| handle.view().status().trouble);
    troubles.filter(|trouble| trouble.kind.blocks_stages()).count() as u64
}

/// The folders whose jobs cannot go on now.
#[derive(Debug, Default)]
struct BlockedFolders {
    /// Jobs that wait for a person.
    held: BTreeSet<String>,
    /// Jobs that wait for something that may recover without help.
    down: BTreeSet<String>,
    /// Files cannot be written somewhere.
    files: bool,
}

impl BlockedFolders {
    async fn of(parts: &Parts) -> Self {
        let live = parts.runtime.live();
        let holds = parts.runtime.queue.holds().list().await.unwrap_or_default();
        let mut blocks = Self::default();
        for folder in live.folders.values() {
            let mails = folder.deliver.contains(&Target::Email);
            let concerns = |hold: &&Hold| match hold.scope {
                Scope::Folder => hold.name == folder.id && hold.reason != HoldReason::WatchLimit,
                Scope::Service => hold.name == folder.service || mails && hold.name == SMTP,
                Scope::Disk => true,
                // What a source brings is waited for by itself.
                Scope::Source => false,
            };
            for hold in holds.iter().filter(concerns) {
                let is_passing = matches!(hold.reason, HoldReason::Down | HoldReason::Reading)
                    || hold.reason.is_ended_by(EndedBy::Delivery);
                let of_it = if is_passing { &mut blocks.down } else { &mut blocks.held };
                of_it.insert(folder.id.clone());
                blocks.files |= hold.reason.is_ended_by(EndedBy::Delivery);
            }
        }
        blocks
    }
}
