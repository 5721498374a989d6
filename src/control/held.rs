//! What is held, in words: one source for `status`, `why` and `job`.

use std::sync::atomic::Ordering;

use super::Desk;
use crate::{
    clock,
    queue::{HeldBy, Hold, QueueError, Scope},
    text::{ShellCommand, printable_path},
    worker::Live,
};

/// The name under which the mail server is held.
pub(super) const MAIL: &str = "smtp";

impl Desk {
    /// Returns all that is held; the queue's own full disk too, which no queue can record.
    pub(super) async fn holds(&self) -> Result<Vec<Hold>, QueueError> {
        let mut holds = self.queue.holds().await?;
        holds.extend(self.disk_full());
        Ok(holds)
    }

    /// Returns the hold of the queue's own disk, when that is full.
    pub(super) fn disk_full(&self) -> Option<Hold> {
        let is_full = self.worker.as_ref().is_some_and(|worker| worker.disk_full.load(Ordering::Relaxed));
        is_full.then(|| Hold {
            scope: Scope::Disk,
            name: Hold::QUEUE.to_owned(),
            reason: "full".into(),
            detail: format!("no room for the queue in `{}`", printable_path(&self.live().settings.state_dir)),
            since: clock::now(),
        })
    }
}

/// Tells a hold for a person and a script.
pub(super) fn held_by(hold: &Hold, live: &Live) -> HeldBy {
    let next_try = match hold.scope {
        Scope::Service => live.serving(&hold.name).and_then(|handle| handle.next_try()),
        Scope::Folder | Scope::Disk | Scope::Source => None,
    };
    HeldBy {
        reason: hold.reason.clone(),
        detail: hold.detail.clone(),
        since: hold.since,
        heals: !matches!(hold.reason.as_str(), "paused" | "signed_out"),
        next_try,
        cure: cure(hold, live),
    }
}

/// Why a job waits whose folder is not configured any more.
pub(super) fn unconfigured(folder: &str, name: &str) -> HeldBy {
    HeldBy {
        reason: "not configured".into(),
        detail: format!("folder `{name}` is not in the configuration any more"),
        since: clock::now(),
        heals: false,
        next_try: None,
        cure: Some(format!(
            "put the folder with the id `{folder}` back into the configuration, then systemctl reload minuted"
        )),
    }
}

/// What a person can do about a hold.
fn cure(hold: &Hold, live: &Live) -> Option<String> {
    let folder = live.folders.get(&hold.name).map_or(hold.name.as_str(), |folder| folder.name.as_str());
    match hold.reason.as_str() {
        "paused" => Some(ShellCommand::new("minuted resume").word(folder).into()),
        "signed_out" | "forbidden" => {
            let handle = live.services.get(&hold.name);
            Some(handle.map_or_else(
                || ShellCommand::new("minuted login").word(&hold.name).into(),
                |handle| handle.settings.kind.sign_in_cure(&hold.name),
            ))
        }
        "full" => Some("free some space".to_owned()),
        _ => None,
    }
}

/// Adds the cure to what is wrong, where that does not name it already.
pub(super) fn with_cure(told: &str, cure: Option<&str>) -> String {
    match cure.filter(|cure| !told.contains(cure)) {
        Some(cure) => format!("{told}; {cure}"),
        None => told.to_owned(),
    }
}
