//! The commands that a watched folder takes.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use super::view::FolderView;

/// Commands that wait. A person types them; more than these at once is a script gone wrong, and waits its turn.
const COMMANDS_MAX: usize = 8;

/// A person's decision about the files that lay there before minuted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BacklogDecision {
    /// Taken like any other recordings.
    Process,
    /// Left alone.
    Skip,
}

/// A command to a folder's task.
#[derive(Debug)]
pub(crate) enum FolderCommand {
    /// Scan now.
    Scan {
        /// Answered when the scan is complete.
        done: oneshot::Sender<()>,
    },
    /// Forget what is known of some files, and look at them.
    Reconsider {
        /// The files, relative to the folder.
        paths: BTreeSet<PathBuf>,
    },
    /// Decide about the backlog.
    Backlog {
        /// The decision.
        decision: BacklogDecision,
        /// Answered with the number of files it concerned.
        done: oneshot::Sender<anyhow::Result<u64>>,
    },
}

/// The way to a folder's task. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct FolderHandle {
    commands: mpsc::Sender<FolderCommand>,
    view: Arc<FolderView>,
}

/// The other end of a [`FolderHandle`], for [`super::run`].
#[derive(Debug)]
pub(crate) struct FolderEnd {
    pub(super) commands: mpsc::Receiver<FolderCommand>,
    pub(super) view: Arc<FolderView>,
}

/// Returns a handle and its other end.
#[must_use]
pub(crate) fn open_folder_channel() -> (FolderHandle, FolderEnd) {
    let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
    let view = Arc::new(FolderView::default());
    (
        FolderHandle { commands: sender, view: Arc::clone(&view) },
        FolderEnd { commands: receiver, view },
    )
}

/// The folder's task has ended: minuted is stopping, or the folder left the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the folder is not watched any more")]
pub(crate) struct NotWatched;

impl FolderHandle {
    /// Scans the folder; returns when the scan is over.
    ///
    /// # Errors
    /// When the folder is not watched any more.
    pub(crate) async fn scan(&self) -> Result<(), NotWatched> {
        let (done, answer) = oneshot::channel();
        self.commands.send(FolderCommand::Scan { done }).await.map_err(|_| NotWatched)?;
        answer.await.map_err(|_| NotWatched)
    }

    /// Has files looked at again whose stamps are known. Never waits: a folder that does not answer gives them back.
    ///
    /// # Errors
    /// The files, when the folder has too much to do to take them now.
    pub(crate) fn reconsider(&self, paths: BTreeSet<PathBuf>) -> Result<(), BTreeSet<PathBuf>> {
        match self.commands.try_send(FolderCommand::Reconsider { paths }) {
            Err(mpsc::error::TrySendError::Full(FolderCommand::Reconsider { paths })) => Err(paths),
            // Whoever watches the folder next reads what the queue knows of it.
            Ok(())
            | Err(mpsc::error::TrySendError::Full(_) | mpsc::error::TrySendError::Closed(_)) => {
                Ok(())
            }
        }
    }

    /// Decides about the files that wait for `minuted backlog`; returns how many there were.
    ///
    /// # Errors
    /// When the folder is not watched any more, or the queue cannot be written.
    pub(crate) async fn backlog(&self, decision: BacklogDecision) -> anyhow::Result<u64> {
        let (done, answer) = oneshot::channel();
        self.commands
            .send(FolderCommand::Backlog { decision, done })
            .await
            .map_err(|_| NotWatched)?;
        answer.await.map_err(|_| NotWatched)?
    }

    /// Returns what the folder shows of itself.
    #[must_use]
    pub(crate) fn view(&self) -> &Arc<FolderView> {
        &self.view
    }
}
