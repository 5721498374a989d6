//! Reports of a folder's task to its view, to the queue and to the log, each once.

use super::FolderTask;
use crate::{
    job::HoldReason,
    text::printable_path,
    watch::{
        scanner::{FolderScan, FolderTrouble, WatchMode},
        settle::SettlePolicy,
        view::LastScan,
    },
};

/// The state of the folder as the queue was told last.
#[derive(Debug, Default)]
pub(super) struct ReportedTrouble {
    reason: Option<HoldReason>,
    /// True once the queue was told at all.
    is_reported: bool,
}

impl ReportedTrouble {
    fn is_news(&self, reason: Option<HoldReason>) -> bool {
        !self.is_reported || self.reason != reason
    }
}

impl FolderTask {
    pub(super) fn set_mode(&self, mode: WatchMode) {
        let mut state = self.view().state();
        if state.mode.as_ref() == Some(&mode) {
            return;
        }
        state.policy = SettlePolicy::new(self.folder.settle_time(mode.is_polled()));
        let folder = &self.folder.name;
        match &mode {
            WatchMode::Native => {
                tracing::info!(folder, "watching `{}`", printable_path(&self.folder.path));
            }
            WatchMode::Polled(why) => {
                tracing::info!(folder, "polling `{}`: {why}", printable_path(&self.folder.path));
            }
            WatchMode::Unwatched(why) => {
                tracing::warn!(folder, "polling `{}`: {why}", printable_path(&self.folder.path));
            }
        }
        state.mode = Some(mode);
    }

    /// Shows a scan; returns whether a directory below could be read that could not be before.
    pub(super) fn show_scan(&self, scanned: &FolderScan) -> bool {
        let tally = &scanned.findings.tally;
        let scan = LastScan {
            at: crate::clock::now(),
            took: scanned.took,
            media: scanned.findings.media,
            directories: tally.directories,
            unreadable: tally.unreadable.clone(),
            beyond: tally.beyond.clone(),
        };
        let before = self.view().state().scan.replace(scan);
        let was_beyond = before.as_ref().is_some_and(|scan| scan.beyond.describe().is_some());
        if let Some(beyond) = tally.beyond.describe().filter(|_| !was_beyond) {
            let folder = &self.folder.name;
            let shown = printable_path(&self.folder.path);
            tracing::warn!(
                folder,
                "folder `{folder}`: {beyond}; recordings there are not read (`{shown}`)"
            );
        }
        let was_unreadable = before.map(|scan| scan.unreadable).unwrap_or_default();
        for (path, why) in tally.unreadable.iter().filter(|now| !was_unreadable.contains(now)) {
            tracing::warn!(
                folder = self.folder.name,
                "cannot read `{}`: {why}",
                printable_path(path)
            );
        }
        was_unreadable.iter().any(|(path, _)| tally.covers(path))
    }

    /// Lets jobs and deliveries that wait for a directory below try again.
    pub(super) async fn wake_for_readable(&mut self) {
        tracing::info!(folder = self.folder.name, "what could not be read can be read again");
        if let Err(error) = self.queue.wake_waiting().await {
            self.record_queue_failure(&error);
        }
    }

    pub(super) fn show_quiet(&self) {
        let is_quiet = {
            let state = self.view().state();
            let is_idle = self.batches.is_idle() && !self.schedule.are_hints_lost;
            let is_settled = || !state.settling.iter().any(|(_, entry)| entry.can_settle());
            self.schedule.scans > 0 && (state.is_held() || is_idle && is_settled())
        };
        self.view().set_quiet(is_quiet);
    }

    /// Reports the trouble of a folder, or that there is none, when that is news.
    pub(super) async fn report(&mut self, trouble: Option<FolderTrouble>) {
        let reason = trouble.as_ref().map(|trouble| trouble.kind);
        self.view().state().trouble.clone_from(&trouble);
        if !self.reported.is_news(reason) {
            return;
        }
        match self.record_trouble(trouble.as_ref()).await {
            Ok(()) => self.reported = ReportedTrouble { reason, is_reported: true },
            Err(error) => self.record_queue_failure(&error),
        }
    }

    async fn record_trouble(&self, trouble: Option<&FolderTrouble>) -> anyhow::Result<()> {
        let folder = &self.folder.name;
        let was_in_trouble = self.reported.reason.is_some();
        if trouble.is_none() || was_in_trouble {
            self.queue.release_folder().await?;
        }
        if let Some(trouble) = trouble {
            tracing::warn!(
                folder,
                trouble = trouble.kind.as_str(),
                "folder `{folder}`: {}",
                trouble.detail
            );
            return self.queue.hold_folder(trouble.kind, &trouble.detail).await;
        }
        if was_in_trouble {
            tracing::info!(folder, "folder `{folder}` is fine again");
        }
        Ok(())
    }

    /// Puts the next try of the queue off, and logs its first failure.
    pub(super) fn record_queue_failure(&mut self, error: &anyhow::Error) {
        if self.retry.record_failure(self.clocks.now().running) {
            tracing::warn!(
                folder = self.folder.name,
                "failed to record what the scan found: {error:#}"
            );
        }
    }
}

/// Returns the trouble of a folder that is polled for want of watches.
pub(super) fn lack_of_watches(mode: &WatchMode) -> Option<FolderTrouble> {
    match mode {
        WatchMode::Unwatched(why) => {
            Some(FolderTrouble { kind: HoldReason::WatchLimit, detail: format!("polled: {why}") })
        }
        WatchMode::Native | WatchMode::Polled(_) => None,
    }
}
