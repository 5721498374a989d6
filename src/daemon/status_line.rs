//! The line that `systemctl status` shows has one owner, the keeper. Others only leave here what it has to tell.

use std::sync::Mutex;

use tokio::sync::Notify;

/// Facts for the line that are not in the queue.
#[derive(Debug, Default)]
pub(super) struct StatusLine {
    /// The reason why the configuration on disk is not in force; `None` where it is.
    refusal: Mutex<Option<String>>,
    changed: Notify,
}

impl StatusLine {
    /// Records the outcome of reading the configuration again: why it is not taken, or that it is in force.
    pub(super) fn config_was_reloaded(&self, outcome: Result<(), String>) {
        *self.refusal.lock().expect("no thread panics while it holds the refusal") = outcome.err();
        self.changed.notify_one();
    }

    /// Returns why the configuration on disk is not the one in force.
    pub(super) fn config_refusal(&self) -> Option<String> {
        self.refusal.lock().expect("no thread panics while it holds the refusal").clone()
    }

    /// Waits until there is something else to tell.
    pub(super) async fn wait_for_change(&self) {
        self.changed.notified().await;
    }
}
