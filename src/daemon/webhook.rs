//! The port for webhooks: that of the settings in force, for their sources. It comes, goes and moves without a restart.

use std::net::SocketAddr;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::{config::Source, webhook};

/// A port that is listened at, or tried.
#[derive(Debug)]
pub(super) struct Listening {
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// The settings that it was started with, for a reload to compare.
    at: (SocketAddr, Vec<Source>),
}

/// Makes what is listened at what the settings say.
pub(super) async fn reconcile_listener(parts: &Parts) {
    let live = parts.runtime.live();
    let wanted = live
        .settings
        .webhook
        .as_ref()
        .map(|webhook| (webhook.listen, live.settings.sources.clone()));
    let mut listening = parts.listening.lock().await;
    if listening.as_ref().map(|listening| &listening.at) == wanted.as_ref() {
        return;
    }
    if let Some(before) = listening.take() {
        before.stop.cancel();
        // Its port is free when it has ended.
        if before.task.await.is_err() {
            tracing::error!("the receiver of webhooks panicked");
        }
    }
    *listening = wanted.map(|at| {
        let stop = parts.stop.child_token();
        let ended = stop.clone();
        let fatal = parts.fatal.clone();
        let serving =
            webhook::serve_webhooks(at.0, at.1.clone(), parts.sources.clone(), stop.clone());
        let task = parts.loops.spawn(async move {
            serving.await;
            if !ended.is_cancelled() {
                fatal.cancel();
            }
        });
        Listening { stop, task, at }
    });
}
