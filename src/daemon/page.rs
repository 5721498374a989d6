//! The port of the page: as the settings in force say. It comes, goes and moves without a restart.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::{
    config::{HttpServer, Source},
    web,
    webhook::WebhookCalls,
};

/// A page that is served, or whose port is tried.
#[derive(Debug)]
pub(super) struct ServedPage {
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// The settings that it was started with, for a reload to compare.
    settings: (HttpServer, Vec<Source>),
}

/// Makes what is served what the settings say.
pub(super) async fn reconcile_page(parts: &Parts) {
    let live = parts.runtime.live();
    let wanted = live.settings.http.clone().map(|http| (http, live.settings.sources.clone()));
    let mut served = parts.page.lock().await;
    if served.as_ref().map(|page| &page.settings) == wanted.as_ref() {
        return;
    }
    if let Some(before) = served.take() {
        before.stop.cancel();
        // Its port is free when it has ended.
        if before.task.await.is_err() {
            tracing::error!("the page panicked");
        }
    }
    *served = wanted.map(|settings| {
        let stop = parts.stop.child_token();
        let ended = stop.clone();
        let fatal = parts.fatal.clone();
        let (http, sources) = settings.clone();
        let webhooks = WebhookCalls::new(sources, parts.sources.clone());
        let serving = web::serve_page(Arc::clone(&parts.desk), http, webhooks, stop.clone());
        let task = parts.loops.spawn(async move {
            serving.await;
            if !ended.is_cancelled() {
                fatal.cancel();
            }
        });
        ServedPage { stop, task, settings }
    });
}
