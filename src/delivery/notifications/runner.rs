//! The loop that tells notifiers. Each has one notification under way, so that a slow receiver stops no other one, and
//! events arrive in their order while all goes well.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    schedule::delay_after,
    send::{SendError, compose, send_message},
};
use crate::{
    clock,
    config::{Format, Notifier, NotifyEvent},
    delivery::read_minutes,
    runtime::{DISK_RETRY, LiveConfig, Runtime, sleep_until},
    store::{JobId, Notification, StoreError},
    text::one_line,
};

/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 500;

/// Tells notifiers what is due.
#[derive(Debug)]
pub(crate) struct NotificationRunner {
    runtime: Arc<Runtime>,
    standing: Mutex<Standing>,
}

/// How the notifiers stand, in memory.
#[derive(Debug, Default)]
struct Standing {
    /// Those that have a notification under way.
    busy: HashSet<String>,
    /// Those whose last try failed: that is logged once.
    failing: HashSet<String>,
    /// Those whose receiver wants nothing more, until the configuration is read again.
    stopped: HashSet<String>,
    /// The time since which the configuration of `stopped` is in force.
    read: Option<Timestamp>,
}

impl NotificationRunner {
    /// Returns a runner that tells nobody yet.
    #[must_use]
    pub(crate) fn new(runtime: Arc<Runtime>) -> Self {
        Self { runtime, standing: Mutex::default() }
    }

    /// Tells notifiers until the daemon stops.
    pub(crate) async fn run(self: Arc<Self>) {
        let runtime = &self.runtime;
        while !runtime.stop.is_cancelled() {
            let wake = match self.start_due().await {
                Ok(wake) => wake,
                Err(error) => {
                    runtime.queue_failed("read what notifiers are told", &error);
                    Some(clock::now() + Duration::from_secs(5))
                }
            };
            tokio::select! {
                () = runtime.stop.cancelled() => {}
                () = runtime.queue.announced().notified() => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Starts what is due for each notifier that has nothing under way; returns when the next becomes due.
    async fn start_due(self: &Arc<Self>) -> Result<Option<Timestamp>, StoreError> {
        let runtime = &self.runtime;
        runtime.follow_clock().await?;
        let begun = clock::now();
        if runtime.disk_full.load(Ordering::Relaxed) {
            // What cannot be recorded would be sent again and again.
            return Ok(Some(begun + DISK_RETRY));
        }
        let live = runtime.live();
        self.forget_stopped(live.read);
        let names = live.settings.notifiers.iter().map(|notifier| notifier.name.clone()).collect();
        let ended = runtime.queue.notifications().end_removed(names).await?;
        if ended > 0 {
            tracing::info!(
                "{ended} notifications end: their notifiers are not configured any more"
            );
        }
        for notifier in &live.settings.notifiers {
            if !self.lock().busy.insert(notifier.name.clone()) {
                continue;
            }
            match runtime.queue.notifications().next_due_of(&notifier.name, begun).await {
                Ok(Some(notification)) => self.start(&live, notifier, notification),
                Ok(None) => drop(self.lock().busy.remove(&notifier.name)),
                Err(error) => {
                    self.lock().busy.remove(&notifier.name);
                    return Err(error);
                }
            }
        }
        runtime.queue.notifications().next_due(begun).await
    }

    fn start(
        self: &Arc<Self>,
        live: &Arc<LiveConfig>,
        notifier: &Notifier,
        notification: Notification,
    ) {
        let runner = Arc::clone(self);
        let live = Arc::clone(live);
        let notifier = notifier.clone();
        self.runtime.tasks.spawn(async move {
            let runtime = &runner.runtime;
            let told = tokio::select! {
                told = runner.tell(&live, &notifier, &notification) => told,
                // It is sent again, under the same id.
                () = runtime.stop.cancelled() => Ok(()),
            };
            if let Err(error) = told {
                runtime.queue_failed("record a notification", &error);
            }
            runner.lock().busy.remove(&notifier.name);
            runtime.queue.announced().notify_one();
        });
    }

    /// Tells a notifier once, and records what came of it.
    async fn tell(
        &self,
        live: &LiveConfig,
        notifier: &Notifier,
        notification: &Notification,
    ) -> Result<(), StoreError> {
        let runtime = &self.runtime;
        if self.lock().stopped.contains(&notifier.name) {
            return self.stop(live, notifier, "its receiver wants no more notifications").await;
        }
        let notes = match notification.facts.job {
            Some(job) if notifier.includes_notes && has_notes(notification.event) => {
                self.read_notes(live, JobId(job)).await?
            }
            Some(_) | None => None,
        };
        let Notification { message, event, facts, at, .. } = notification.clone();
        let (message, wording) = compose(&live.settings, message, event, facts, at, notes);
        let error = match send_message(notifier, &message, &wording).await {
            Ok(answer) => {
                runtime
                    .persist_commit(|| runtime.queue.notifications().record_sent(notification.id))
                    .await?;
                tracing::debug!("notifier `{}`: {event}: {answer}", notifier.name);
                if self.lock().failing.remove(&notifier.name) {
                    tracing::info!("notifier `{}` works again", notifier.name);
                }
                return Ok(());
            }
            Err(error) => error,
        };
        let reason = one_line(&error.to_string(), ERROR_CHARS_MAX);
        if let SendError::Gone(_) = error {
            self.lock().stopped.insert(notifier.name.clone());
            return self.stop(live, notifier, &reason).await;
        }
        self.record_failure(live, notifier, notification, &error, &reason).await
    }

    /// Records that a try failed: it is made again later, or was the last one.
    async fn record_failure(
        &self,
        live: &LiveConfig,
        notifier: &Notifier,
        notification: &Notification,
        error: &SendError,
        reason: &str,
    ) -> Result<(), StoreError> {
        let runtime = &self.runtime;
        let name = &notifier.name;
        let now = clock::now();
        let later = |wait: Duration| now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        if self.lock().failing.insert(name.clone()) {
            tracing::warn!("notifier `{name}` was not told, and is again: {reason}");
        }
        if let Some(delay) = delay_after(notification.attempts + 1, clock::jitter()) {
            let until = error.pause().map(later);
            let due = later(delay).max(until.unwrap_or(Timestamp::MIN));
            let ledger =
                || runtime.queue.notifications().retry_later(notification, due, until, reason);
            return runtime.persist_commit(ledger).await;
        }
        let notice = format!(
            "notifications to `{name}` fail: {reason}\nminuted notify test {name} tries it at once"
        );
        let ledger = || {
            let (queue, notice) = (runtime.queue.notifications(), notice.clone());
            queue.record_failed(notification.id, reason, notice, live.read, clock::now())
        };
        runtime.persist_commit(ledger).await?;
        let event = notification.event;
        tracing::error!("notifier `{name}` could not be told of {event}: {reason}");
        Ok(())
    }

    /// Ends all that waits for a notifier whose receiver wants nothing more.
    async fn stop(
        &self,
        live: &LiveConfig,
        notifier: &Notifier,
        reason: &str,
    ) -> Result<(), StoreError> {
        let runtime = &self.runtime;
        let name = &notifier.name;
        let notice = format!(
            "notifier `{name}` is stopped: {reason}\nmend or remove it in the configuration, then: \
             systemctl reload minuted"
        );
        let ledger = || {
            let (queue, notice) = (runtime.queue.notifications(), notice.clone());
            queue.stop_notifier(name, reason, notice, live.read, clock::now())
        };
        let ended = runtime.persist_commit(ledger).await?;
        tracing::warn!("notifier `{name}` is stopped ({ended} notifications end): {reason}");
        Ok(())
    }

    /// Returns the notes of a job as they would be written now; `None` for a job that is forgotten.
    async fn read_notes(&self, live: &LiveConfig, id: JobId) -> Result<Option<String>, StoreError> {
        let queue = &self.runtime.queue;
        let Some(job) = queue.jobs().find(id).await? else { return Ok(None) };
        let folder = live.folders.get(&job.key.folder);
        let name = folder.map_or(job.key.folder.as_str(), |folder| folder.name.as_str());
        let minutes = read_minutes(queue, &job, name).await?;
        let rendered = tokio::task::spawn_blocking(move || {
            super::super::context::one_at_a_time(|| minutes.render(Format::Md))
        });
        Ok(rendered.await.ok())
    }

    /// Forgets who is stopped once the configuration was read again.
    fn forget_stopped(&self, read: Timestamp) {
        let mut standing = self.lock();
        if standing.read != Some(read) {
            standing.read = Some(read);
            standing.stopped.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether an event tells of notes.
fn has_notes(event: NotifyEvent) -> bool {
    matches!(event, NotifyEvent::NotesReady | NotifyEvent::NotesPartial)
}
