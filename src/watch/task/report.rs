//! What a folder's task says: to the view, to the queue, to the log. Each thing once.

use super::{LEDGER_RETRY, Task};
use crate::{
    job::HoldReason,
    text::printable_path,
    watch::{
        eyes::{Mode, Scanned, Trouble},
        settle::Patience,
        view::LastScan,
    },
};

impl Task {
    pub(super) fn set_mode(&mut self, mode: Mode) {
        let mut state = self.view().state();
        if state.mode.as_ref() == Some(&mode) {
            return;
        }
        state.patience = Patience::new(self.folder.settle_time(mode.is_polled()));
        let folder = &self.folder.name;
        match &mode {
            Mode::Native => tracing::info!(folder, "watching `{}`", printable_path(&self.folder.path)),
            Mode::Polled(why) => tracing::info!(folder, "polling `{}`: {why}", printable_path(&self.folder.path)),
            Mode::Unwatched(why) => tracing::warn!(folder, "polling `{}`: {why}", printable_path(&self.folder.path)),
        }
        state.mode = Some(mode);
    }

    /// Shows a scan; returns whether something below could be read that could not be before.
    pub(super) fn show(&self, scanned: &Scanned) -> bool {
        let tally = &scanned.seen.tally;
        let (media, directories, unreadable) = (scanned.seen.media, tally.directories, tally.unreadable.clone());
        let beyond = tally.beyond.clone();
        let scan = LastScan { at: crate::clock::now(), took: scanned.took, media, directories, unreadable, beyond };
        let mut state = self.view().state();
        let before = state.scan.replace(scan);
        let told_before = before.as_ref().and_then(|scan| scan.beyond.told());
        if let Some(told) = tally.beyond.told().filter(|_| told_before.is_none()) {
            let (folder, shown) = (&self.folder.name, printable_path(&self.folder.path));
            tracing::warn!(folder, "folder `{folder}`: {told}; recordings there are not taken (`{shown}`)");
        }
        let was = before.map(|scan| scan.unreadable).unwrap_or_default();
        for (path, why) in tally.unreadable.iter().filter(|now| !was.contains(now)) {
            tracing::warn!(folder = self.folder.name, "cannot read `{}`: {why}", printable_path(path));
        }
        was.iter().any(|(path, _)| tally.covers(path))
    }

    /// Lets what waits for a directory below try again.
    pub(super) async fn tell_readable(&mut self) {
        tracing::info!(folder = self.folder.name, "what could not be read can be read again");
        if let Err(error) = self.queue.wake_waiting().await {
            self.ledger_failed(&error);
        }
    }

    /// Has the queue remember the mounts below the folder, where they are others than before.
    pub(super) async fn keep_mounts(&mut self, scanned: &Scanned) {
        if scanned.mounts == self.mounts {
            return;
        }
        match self.queue.record_mounts(scanned.mounts.clone()).await {
            Ok(()) => self.mounts.clone_from(&scanned.mounts),
            Err(error) => self.ledger_failed(&error),
        }
    }

    pub(super) fn show_quiet(&self) {
        let is_quiet = {
            let state = self.view().state();
            let is_held = state.trouble.as_ref().is_some_and(|trouble| trouble.kind.blocks_stages());
            let is_idle = self.examining.is_empty() && self.settled.is_empty() && !self.is_lost;
            self.scans > 0 && (is_held || is_idle && !state.pool.iter().any(|(_, entry)| entry.is_under_way()))
        };
        self.view().set_quiet(is_quiet);
    }

    /// Tells what is wrong with the folder, or that nothing is, when that is news.
    pub(super) async fn report(&mut self, trouble: Option<Trouble>) {
        let kind = trouble.as_ref().map(|trouble| trouble.kind);
        self.view().state().trouble.clone_from(&trouble);
        if self.is_told && self.told == kind {
            return;
        }
        match self.tell(trouble.as_ref()).await {
            Ok(()) => (self.told, self.is_told) = (kind, true),
            Err(error) => self.ledger_failed(&error),
        }
    }

    async fn tell(&self, trouble: Option<&Trouble>) -> anyhow::Result<()> {
        let folder = &self.folder.name;
        let was = self.told;
        if trouble.is_none() || was.is_some() {
            self.queue.release_folder().await?;
        }
        if let Some(trouble) = trouble {
            tracing::warn!(folder, trouble = trouble.kind.as_str(), "folder `{folder}`: {}", trouble.detail);
            return self.queue.hold_folder(trouble.kind, &trouble.detail).await;
        }
        if was.is_some() {
            tracing::info!(folder, "folder `{folder}` is fine again");
        }
        Ok(())
    }

    /// Says once that the queue cannot write; it is tried again a little later.
    pub(super) fn ledger_failed(&mut self, error: &anyhow::Error) {
        self.ledger_from = self.clocks.now().running + LEDGER_RETRY;
        if !std::mem::replace(&mut self.is_ledger_failing, true) {
            tracing::warn!(folder = self.folder.name, "the queue did not take in what was seen: {error:#}");
        }
    }
}

/// What the operator should know of a folder that is polled for want of watches.
pub(super) fn limit(mode: &Mode) -> Option<Trouble> {
    match mode {
        Mode::Unwatched(why) => Some(Trouble { kind: HoldReason::WatchLimit, detail: format!("polled: {why}") }),
        Mode::Native | Mode::Polled(_) => None,
    }
}
