//! Holds in words: one source for `status`, `why` and `job`.

use std::sync::atomic::Ordering;

use super::ControlService;
use crate::{
    clock,
    config::Settings,
    job::HoldReason,
    runtime::LiveConfig,
    store::{HeldBy, Hold, Scope, StoreError},
    text::{ShellCommand, printable_path},
};

/// The name under which the mail server is held.
pub(super) const MAIL: &str = "smtp";

impl ControlService {
    /// Returns all holds, with the queue's own full disk, which no queue can record.
    pub(super) async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        let mut holds = self.queue.holds().list().await?;
        holds.extend(self.disk_full());
        Ok(holds)
    }

    /// Returns the hold of the queue's own disk, when that is full.
    pub(super) fn disk_full(&self) -> Option<Hold> {
        let is_full = self
            .worker
            .as_ref()
            .is_some_and(|worker| worker.runtime.disk_full.load(Ordering::Relaxed));
        is_full.then(|| Hold {
            scope: Scope::Disk,
            name: Hold::QUEUE.to_owned(),
            reason: HoldReason::Full,
            detail: format!(
                "no room for the queue in `{}`",
                printable_path(&self.live_settings().settings.state_dir)
            ),
            since: clock::now(),
        })
    }
}

/// Describes a hold for people and scripts.
pub(super) fn held_by(hold: &Hold, live: &LiveConfig) -> HeldBy {
    let next_try = match hold.scope {
        Scope::Service => {
            live.service_for_job(&hold.name).and_then(|handle| handle.health.next_try())
        }
        Scope::Folder | Scope::Disk | Scope::Source => None,
    };
    HeldBy {
        reason: hold.reason,
        detail: hold.detail.clone(),
        since: hold.since,
        heals: hold.reason.heals_itself(),
        next_try,
        cure: remedy_of_hold(hold, &live.settings),
    }
}

/// Returns the hold of a job whose folder is not configured any more.
pub(super) fn not_configured(folder: &str, name: &str, live: &LiveConfig) -> HeldBy {
    let hold = Hold {
        scope: Scope::Folder,
        name: folder.to_owned(),
        reason: HoldReason::NotConfigured,
        detail: format!("folder `{name}` is not in the configuration any more"),
        since: clock::now(),
    };
    held_by(&hold, live)
}

/// Returns what a person can do about a hold, `None` where it ends by itself.
#[must_use]
pub(crate) fn remedy_of_hold(hold: &Hold, settings: &Settings) -> Option<String> {
    let name = hold.name.as_str();
    let folder = settings.folder(name).map_or(name, |folder| folder.name.as_str());
    match (hold.reason, hold.scope) {
        (HoldReason::SignedOut | HoldReason::Forbidden, Scope::Source) => {
            Some("correct its key (`api_key_file` is read again without a restart), or its rights at the vendor".into())
        }
        (HoldReason::SignedOut | HoldReason::Forbidden, _) => {
            Some(settings.services.get(name).map_or_else(
                || ShellCommand::new("minuted login").add_word(name).into(),
                |service| service.kind.sign_in_cure(name),
            ))
        }
        (HoldReason::Paused, _) => Some(ShellCommand::new("minuted resume").add_word(folder).into()),
        (HoldReason::Full, _) => Some("free some space".into()),
        (HoldReason::Budget, Scope::Service) => {
            Some(format!("raise `daily_limit` in [services.{name}], then systemctl reload minuted"))
        }
        (HoldReason::Budget, _) => {
            Some(format!("raise `daily_limit` of folder `{folder}`, then systemctl reload minuted"))
        }
        (HoldReason::WatchLimit, _) => Some("see `watches` of `minuted check`".into()),
        (HoldReason::NotConfigured, _) => Some(format!(
            "put the folder with the id `{name}` back into the configuration, then systemctl reload minuted"
        )),
        (
            HoldReason::Down
            | HoldReason::Reading
            | HoldReason::Absent
            | HoldReason::Unreadable
            | HoldReason::EmptyMountPoint
            | HoldReason::AnotherPlace
            | HoldReason::Silent
            | HoldReason::Notes
            | HoldReason::Folder
            // The cure is in the detail, because it depends on the kind of service.
            | HoldReason::Refused,
            _,
        ) => None,
    }
}

/// Adds the cure to a message that does not contain it already.
pub(super) fn with_cure(message: &str, cure: Option<&str>) -> String {
    match cure.filter(|cure| !message.contains(cure)) {
        Some(cure) => format!("{message}; {cure}"),
        None => message.to_owned(),
    }
}
