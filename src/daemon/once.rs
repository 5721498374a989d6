//! `run --once`: until nothing is left to do, or what is left waits for what stays away.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::Parts;
use crate::{
    clock,
    config::Target,
    queue::{Hold, Scope},
    watch::FolderHandle,
    worker::deliveries::{FULL, NOTES, SMTP},
};

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Recordings that failed, or whose delivery did.
    pub failed: u64,
    /// Jobs that wait for a person: to sign in, to mend a folder, to decide.
    pub held: u64,
    /// Jobs that wait for what is down (the service, the mail server, a disk) and was given time to come back.
    pub waiting: u64,
    /// Folders that could not be looked through.
    pub unscanned: u64,
}

/// How often it is looked whether anything is left to do.
const EVERY: Duration = Duration::from_millis(200);

/// What stays down for so many of the longest delays has been tried once more at the least.
const PROBES: u32 = 2;

/// Waits until every folder is quiet and no job can go on by itself.
pub(super) async fn finished(parts: &Parts) -> Tally {
    let begun = clock::now();
    let handles: Vec<FolderHandle> = {
        let folders = parts.folders.read().expect("no thread panics while it holds the folders");
        folders.values().cloned().collect()
    };
    let mut stuck: Option<Instant> = None;
    loop {
        for handle in &handles {
            handle.view().wait_quiet().await;
        }
        match parts.worker.queue.unfinished(begun).await {
            Ok(left) => {
                let blocks = Blocks::of(parts).await;
                let open = |by: &dyn Fn(&String) -> bool| -> u64 {
                    left.by_folder.iter().filter(|(folder, _)| by(folder)).map(|(_, count)| count).sum()
                };
                let all = open(&|_| true);
                let held = open(&|folder| blocks.held.contains(folder));
                let blocked = open(&|folder| blocks.held.contains(folder) || blocks.down.contains(folder));
                let tally = Tally { failed: left.failed, held, waiting: all - held, unscanned: unscanned(&handles) };
                let is_idle = parts.worker.activity.is_empty();
                if is_idle && left.deliveries == 0 && all == held {
                    return tally;
                }
                let is_stuck = all == blocked && (left.deliveries == 0 || blocks.files);
                let since = *stuck.get_or_insert_with(Instant::now);
                if !is_stuck {
                    stuck = None;
                } else if is_idle && since.elapsed() >= parts.worker.live().settings.retry.delay_max * PROBES {
                    return tally;
                }
            }
            Err(error) => parts.worker.queue_failed("count what is left to do", &error),
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn unscanned(handles: &[FolderHandle]) -> u64 {
    let troubles = handles.iter().filter_map(|handle| handle.view().status().trouble);
    troubles.filter(|trouble| trouble.kind.holds_jobs()).count() as u64
}

/// The folders whose jobs cannot go on now.
#[derive(Debug, Default)]
struct Blocks {
    /// They wait for a person.
    held: BTreeSet<String>,
    /// They wait for what may come back by itself.
    down: BTreeSet<String>,
    /// Files cannot be written somewhere.
    files: bool,
}

impl Blocks {
    async fn of(parts: &Parts) -> Self {
        let live = parts.worker.live();
        let holds = parts.worker.queue.holds().await.unwrap_or_default();
        let mut blocks = Self::default();
        for folder in live.folders.values() {
            let mails = folder.deliver.contains(&Target::Email);
            let concerns = |hold: &&Hold| match hold.scope {
                Scope::Folder => hold.name == folder.id && hold.reason != "watch limit",
                Scope::Service => hold.name == folder.service || mails && hold.name == SMTP,
                Scope::Disk => true,
                // What a source brings is waited for by itself.
                Scope::Source => false,
            };
            for hold in holds.iter().filter(concerns) {
                let is_passing = matches!(hold.reason.as_str(), "down" | "reading" | FULL | NOTES);
                let of_it = if is_passing { &mut blocks.down } else { &mut blocks.held };
                of_it.insert(folder.id.clone());
                blocks.files |= hold.reason == FULL || hold.reason == NOTES;
            }
        }
        blocks
    }
}
