//! `run --once`: until nothing is left to do.

use std::time::Duration;

use super::Parts;
use crate::{clock, queue::Scope};

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Recordings that failed, or whose delivery did.
    pub failed: u64,
    /// Jobs that wait for a person: to sign in, to mend a folder, to decide.
    pub held: u64,
}

/// How often it is looked whether anything is left to do.
const EVERY: Duration = Duration::from_millis(200);

/// Waits until every folder is quiet and no job can go on by itself.
pub(super) async fn finished(parts: &Parts) -> Tally {
    let begun = clock::now();
    let views: Vec<_> = {
        let folders = parts.folders.read().expect("no thread panics while it holds the folders");
        folders.values().map(|handle| std::sync::Arc::clone(handle.view())).collect()
    };
    loop {
        for view in &views {
            view.wait_quiet().await;
        }
        match parts.worker.queue.unfinished(begun).await {
            Ok(left) => {
                let held = held(parts).await;
                let blocked: u64 =
                    left.by_folder.iter().filter(|(folder, _)| held.contains(folder)).map(|(_, count)| count).sum();
                let open: u64 = left.by_folder.iter().map(|(_, count)| count).sum();
                if parts.worker.activity.is_empty() && left.deliveries == 0 && open == blocked {
                    return Tally { failed: left.failed, held: blocked };
                }
            }
            Err(error) => parts.worker.queue_failed("count what is left to do", &error),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The folders whose jobs wait for a person.
async fn held(parts: &Parts) -> Vec<String> {
    let live = parts.worker.live();
    let holds = parts.worker.queue.holds().await.unwrap_or_default();
    let waits = |scope, name: &str| {
        holds.iter().any(|hold| {
            hold.scope == scope
                && hold.name == name
                && !matches!(hold.reason.as_str(), "down" | "reading" | "notes" | "watch limit")
        })
    };
    let held = live
        .settings
        .folders
        .iter()
        .filter(|folder| waits(Scope::Folder, &folder.id) || waits(Scope::Service, &folder.service));
    held.map(|folder| folder.id.clone()).collect()
}
