//! The dead man's switch: the monitor is called while the queue works, and told what needs a person.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::Parts;
use crate::delivery::notifications::{Beat, Monitor};

/// How the calls of the monitor go.
#[derive(Debug, Default)]
pub(super) struct PingState {
    /// True while one is under way.
    is_busy: AtomicBool,
    /// True if the last one failed: that is logged once.
    is_failing: AtomicBool,
}

/// Calls the monitor, where one is configured, if the queue can be written; else it hears nothing, and raises the alarm.
/// The call itself holds up nobody.
pub(super) async fn call_monitor(parts: &Parts, state: &Arc<PingState>) {
    if parts.runtime.live().settings.ping.is_none() {
        return;
    }
    if let Err(error) = parts.runtime.queue.maintenance().prove_alive().await {
        return parts.runtime.queue_failed("prove that the queue works", &error);
    }
    if state.is_busy.swap(true, Ordering::Relaxed) {
        return;
    }
    let (parts, state) = (parts.clone(), Arc::clone(state));
    let runtime = Arc::clone(&parts.runtime);
    runtime.tasks.spawn(async move {
        tokio::select! {
            () = parts.stop.cancelled() => {}
            () = call_once(&parts, &state) => {}
        }
        state.is_busy.store(false, Ordering::Relaxed);
    });
}

async fn call_once(parts: &Parts, state: &PingState) {
    let live = parts.runtime.live();
    let Some(ping) = &live.settings.ping else { return };
    let beat = match parts.desk.list_attention().await {
        Ok(lines) if lines.is_empty() => Beat::Fine,
        Ok(lines) => Beat::Attention(lines),
        Err(refusal) => {
            tracing::debug!("the monitor is not called: {refusal}");
            return;
        }
    };
    match Monitor(ping).call(&beat).await {
        Ok(origin) => {
            if state.is_failing.swap(false, Ordering::Relaxed) {
                tracing::info!("the monitor at `{origin}` is called again");
            }
        }
        Err(error) => {
            if !state.is_failing.swap(true, Ordering::Relaxed) {
                tracing::warn!("the monitor of [ping] was not called: {error}; minuted check");
            }
        }
    }
}
