//! The composition root: builds the parts, starts the tasks, drains.
//!
//! `watch` and `worker` meet only here: folders put jobs into the queue, and a nudge tells the worker to look there.

mod crashes;
mod folders;
mod once;
mod orphaned_jobs;
mod page;
mod ping;
mod reconcile;
mod removed_folders;
mod sources;
mod status_line;
mod upkeep;
mod webhook;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access, clock,
    config::{self, ConfigError, Kind, Settings},
    control::{self, ControlService, Folders},
    delivery::{DeliveryRunner, notifications},
    hint::Hinted,
    last_words::LastWords,
    runtime::{LiveConfig, Runtime},
    service_manager as systemd,
    signals::{Signal, Signals},
    sources::SourcesHandle,
    store::{StateLock, Store, StoreError},
    worker::{Worker, claims, invalid_metadata, result_poller},
};

pub(crate) use once::Tally;

/// Work that cannot be interrupted is waited for so long; the unit's `TimeoutStopSec` is longer.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(18);

/// A command that works on the state directory without a daemon holds the lock for a moment.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// The way in which the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A signal stopped it, and it drained.
    Stopped,
    /// No work was left (`run --once`).
    Finished(Tally),
}

/// The parts, as the tasks share them.
#[derive(Debug, Clone)]
struct Parts {
    runtime: Arc<Runtime>,
    worker: Arc<Worker>,
    delivery: Arc<DeliveryRunner>,
    folders: Folders,
    /// The record of what is being parsed, for the next process.
    last_words: Arc<LastWords>,
    /// Each running folder's own stop, and the settings it runs with.
    running: Arc<tokio::sync::Mutex<folders::Running>>,
    /// The handle of the running sources.
    sources: SourcesHandle,
    /// Each running source's own stop, and the settings it runs with.
    fetching: Arc<tokio::sync::Mutex<sources::Running>>,
    /// The port for webhooks.
    listening: Arc<tokio::sync::Mutex<Option<webhook::Listening>>>,
    /// The page that is served.
    page: Arc<tokio::sync::Mutex<Option<page::ServedPage>>>,
    /// What answers commands, and the page.
    desk: Arc<ControlService>,
    live: watch::Sender<Arc<LiveConfig>>,
    /// Messages for the service manager.
    status_line: Arc<status_line::StatusLine>,
    stop: CancellationToken,
    fatal: CancellationToken,
    /// The tasks that live as long as the daemon. One that returns early ends it: half a daemon is worse than none.
    loops: TaskTracker,
}

/// Runs minuted until a signal stops it, or with `once` until nothing is left to do.
///
/// # Errors
/// When it cannot start, or a part of it ended early.
pub(crate) async fn run(
    settings: Settings,
    mut signals: Signals,
    once: bool,
) -> anyhow::Result<Ended> {
    let _lock = StateLock::acquire(&settings.state_dir, LOCK_PATIENCE).await?;
    let parts = start_daemon(settings).await.map_err(with_cure)?;
    let ended = tokio::select! {
        biased;
        why = parts.runtime.queue.broken() => {
            tracing::error!("minuted ends: {}", crate::text::one_line(&format!("{why}; hint: {}", why.hint()), 1000));
            Err(why.into())
        }
        () = handle_signals(&parts, &mut signals) => Ok(Ended::Stopped),
        () = parts.fatal.cancelled() => Err(anyhow!("a part of minuted ended early; the log says why")),
        tally = once::wait_until_finished(&parts), if once => Ok(Ended::Finished(tally)),
    };
    drain_work(&parts, ended.is_ok()).await;
    ended
}

async fn start_daemon(settings: Settings) -> anyhow::Result<Parts> {
    let settings = Arc::new(settings);
    let state_dir = settings.state_dir.clone();
    let queue = tokio::task::spawn_blocking(move || Store::open(&state_dir)).await??;
    queue.set_subscribers(notifications::subscribers(&settings));
    let recovered = queue.jobs().recover(Vec::new(), jiff::Timestamp::MAX, clock::now()).await?;
    if recovered > 0 {
        tracing::info!(
            "interrupted by a crash: {}; work goes on, and this is not counted as an attempt",
            crate::text::format_count(recovered as u64, "job")
        );
    }
    let last_words = Arc::new(LastWords::new(&settings.state_dir));
    crashes::charge_crash(&queue, &last_words).await?;
    let stop = CancellationToken::new();
    let fatal = CancellationToken::new();
    let loops = TaskTracker::new();
    let former = removed_folders::watch_former_folders(&queue, &settings).await?;
    let live = LiveConfig::build(Arc::clone(&settings), &loops, None)?.with_former(former);
    let (live, receiver) = watch::channel(Arc::new(live));
    let runtime = Arc::new(Runtime::new(queue, receiver, stop.clone(), fatal.clone()));
    let worker = Arc::new(Worker::new(Arc::clone(&runtime)));
    let delivery = Arc::new(DeliveryRunner::new(Arc::clone(&runtime)));
    runtime.follow_clock().await?;
    worker.remove_unfinished_conversions().await;
    let folders = Folders::default();
    let running = Arc::default();
    let sources = SourcesHandle::default();
    let fetching = Arc::default();
    let listening = Arc::default();
    let desk = ControlService::of_daemon(
        Arc::clone(&worker),
        Arc::clone(&folders),
        Arc::clone(&last_words),
    );
    let desk = Arc::new(desk.with_sources(sources.clone()));
    let status_line = Arc::default();
    let parts = Parts {
        runtime,
        worker,
        delivery,
        folders,
        last_words,
        running,
        sources,
        fetching,
        listening,
        page: Arc::default(),
        desk,
        live,
        status_line,
        stop,
        fatal,
        loops,
    };
    reconcile::find_earlier_work(&parts)
        .await
        .context("failed to compare the queue with the notes on disk")?;
    orphaned_jobs::settle_orphan(&parts).await;
    spawn_loops(&parts);
    folders::reconcile_folders(&parts).await;
    // Commands are answered from here on: they find the folders there.
    spawn_control(&parts, &settings.state_dir);
    sources::reconcile_sources(&parts).await;
    webhook::reconcile_listener(&parts).await;
    page::reconcile_page(&parts).await;
    systemd::ready();
    tracing::info!(
        "minuted {} watches {} with {}",
        env!("CARGO_PKG_VERSION"),
        crate::text::format_count(settings.folders.len() as u64, "folder"),
        crate::text::printable_path(&settings.file)
    );
    for service in
        settings.services.values().filter(|service| matches!(service.kind, Kind::Ondevice(_)))
    {
        tracing::info!(
            "service `{}` is the engine on this machine: its recordings stay here",
            service.name
        );
    }
    Ok(parts)
}

/// Says what to do about a state directory that cannot be written at the start; systemd tries again by itself.
fn with_cure(error: anyhow::Error) -> anyhow::Error {
    let is_full = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(StoreError::Full))
            || cause.downcast_ref().is_some_and(access::is_full)
    };
    let is_locked = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(StoreError::Locked))
    };
    if error.chain().any(is_full) {
        Hinted::new(
            format!("{error:#}"),
            "make room on the disk of the state directory and start again",
        )
        .into()
    } else if error.chain().any(is_locked) {
        Hinted::new(
            format!("{error:#}"),
            "close that program, which `fuser -v` names, and start again",
        )
        .into()
    } else {
        error
    }
}

fn spawn_loops(parts: &Parts) {
    let worker = &parts.worker;
    spawn_loop(parts, "claims", claims::run(Arc::clone(worker)));
    spawn_loop(parts, "result poller", result_poller::run(Arc::clone(worker)));
    spawn_loop(parts, "deliveries", Arc::clone(&parts.delivery).run());
    let notifier = notifications::NotificationRunner::new(Arc::clone(&parts.runtime));
    spawn_loop(parts, "notifications", Arc::new(notifier).run());
    spawn_loop(parts, "invalid metadata", invalid_metadata::run(Arc::clone(worker)));
    spawn_loop(parts, "keeper", upkeep::run_upkeep(parts.clone()));
    spawn_loop(parts, "reconcile", reconcile::read_missing_lists(parts.clone()));
}

/// Starts to answer commands.
fn spawn_control(parts: &Parts, state_dir: &Path) {
    let desk = Arc::clone(&parts.desk);
    let stop = parts.stop.clone();
    let dir: PathBuf = state_dir.to_owned();
    spawn_loop(parts, "control", async move {
        if let Err(error) = control::serve(desk, &dir, stop).await {
            tracing::error!("failed to listen on the control socket: {error}");
        }
    });
}

/// Starts a task that lives as long as the daemon.
fn spawn_loop(parts: &Parts, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    let stop = parts.stop.clone();
    let fatal = parts.fatal.clone();
    let guard = FatalUnlessStopped { name, stop, fatal };
    parts.loops.spawn(async move {
        let _guard = guard;
        task.await;
    });
}

/// Ends the daemon when a task returns or panics before it was told to stop.
struct FatalUnlessStopped {
    name: &'static str,
    stop: CancellationToken,
    fatal: CancellationToken,
}

impl Drop for FatalUnlessStopped {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            tracing::error!("the task `{}` ended early: minuted ends with it", self.name);
            self.fatal.cancel();
        }
    }
}

/// Follows signals until one stops the daemon.
async fn handle_signals(parts: &Parts, signals: &mut Signals) {
    loop {
        match signals.next().await {
            Signal::Stop => return,
            Signal::Reload => {
                systemd::reloading();
                let outcome = reload_config(parts).await;
                parts.runtime.config_refused.store(outcome.is_err(), Ordering::Relaxed);
                parts.status_line.config_was_reloaded(outcome);
                systemd::ready();
            }
        }
    }
}

/// The reason why a new configuration is not taken.
const NOT_TAKEN: &str = "the new configuration is not taken, the old one stays in force";

/// Reads the configuration again. A bad one changes nothing: the error is what the status line says of it.
async fn reload_config(parts: &Parts) -> Result<(), String> {
    let before = parts.runtime.live();
    let file = before.settings.file.clone();
    let loaded = tokio::task::spawn_blocking(move || config::load(&file)).await;
    let settings = match loaded {
        Ok(Ok(settings)) => settings,
        Ok(Err(error)) => return Err(refuse_config(&error)),
        Err(error) => return Err(report_refused_config(&error.into())),
    };
    if settings.state_dir != before.settings.state_dir || settings.log != before.settings.log {
        tracing::warn!("`state_dir` and `[log]` only change with a restart");
    }
    let former = match removed_folders::watch_former_folders(&parts.runtime.queue, &settings).await
    {
        Ok(former) => former,
        Err(error) => return Err(report_refused_config(&error)),
    };
    match LiveConfig::build(Arc::new(settings), &parts.loops, Some(&before))
        .map(|live| live.with_former(former))
    {
        Ok(live) => {
            parts.runtime.queue.set_subscribers(notifications::subscribers(&live.settings));
            parts.live.send_replace(Arc::new(live));
            parts.runtime.forget_refusals();
            if let Err(error) = parts.runtime.queue.jobs().wake_deferred(clock::now()).await {
                parts.runtime.queue_failed("wake the jobs that wait for this machine", &error);
            }
            folders::reconcile_folders(parts).await;
            sources::reconcile_sources(parts).await;
            webhook::reconcile_listener(parts).await;
            page::reconcile_page(parts).await;
            parts.runtime.nudge();
            tracing::info!("the configuration is read again and in force");
            Ok(())
        }
        Err(error) => Err(report_refused_config(&error)),
    }
}

/// Logs why a configuration without a mistake is not taken; returns it for the status line.
fn report_refused_config(error: &anyhow::Error) -> String {
    let told = format!("{NOT_TAKEN}: {error:#}");
    tracing::error!("{told}");
    told
}

/// Logs the mistakes of a configuration, each on a line, and what shows them whole; returns the first for the status
/// line.
fn refuse_config(error: &ConfigError) -> String {
    let mistakes: Vec<String> = match error {
        ConfigError::Invalid { report } => report.lines().collect(),
        ConfigError::NotFound { .. }
        | ConfigError::Missing { .. }
        | ConfigError::Unreadable { .. }
        | ConfigError::NotUtf8 { .. }
        | ConfigError::TooLarge { .. } => vec![error.render_line()],
    };
    for mistake in &mistakes {
        tracing::error!("{mistake}");
    }
    tracing::error!("{NOT_TAKEN}; `minuted check` shows what is wrong");
    format!("{NOT_TAKEN}: {}", mistakes.first().map_or("", String::as_str))
}

/// Stops everything: nothing new is begun, uploads are abandoned unless all bytes are sent, what is short is finished.
async fn drain_work(parts: &Parts, orderly: bool) {
    systemd::stopping();
    if orderly {
        tracing::info!("stopping");
    }
    parts.stop.cancel();
    parts.runtime.tasks.close();
    parts.loops.close();
    let all = async {
        parts.runtime.tasks.wait().await;
        parts.loops.wait().await;
    };
    if tokio::time::timeout(DRAIN_MAX, all).await.is_err() {
        tracing::warn!("some work did not end in time; it goes on after the next start");
    }
    // What ended since they were forgotten last: `run --once` may not start again.
    upkeep::forget_voice_prints(parts).await;
    if let Err(error) = reconcile::renew_mark(parts).await {
        tracing::debug!("failed to mark the queue at the stop: {error:#}");
    }
    if let Err(error) = parts.last_words.clear() {
        tracing::debug!("failed to take back marks at the stop: {error}");
    }
    if let Err(error) = parts.runtime.queue.checkpoint().await {
        tracing::debug!("failed to tidy the queue at the stop: {error}");
    }
}
