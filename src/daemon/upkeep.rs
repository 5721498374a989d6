//! Regular upkeep: the sign-in, the operator's mail, the history, the watchdog.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, MissedTickBehavior};

use super::{Parts, folders::reconsider_files, orphaned_jobs, ping::call_monitor, reconcile};
use crate::{
    clock,
    clock::elapsed,
    config,
    delivery::{DigestEntry, SMTP, mail_works},
    job::{EndedBy, HoldReason, retry::backoff_delay},
    runtime::{DISK_RETRY, ServiceHandle},
    service_manager as systemd,
    services::paxs::Freshness,
    store::{LOST_AFTER, Lane, Scope},
    text::{format_count, one_line},
};

/// The interval between looks at notices, lost files and holds that ended.
const EVERY: Duration = Duration::from_secs(20);

/// The delay of the status line after a change, so that a burst shows once.
const STATUS_DELAY: Duration = Duration::from_secs(1);

/// The interval between looks at the sign-ins, the history and the mark of the queue.
const HOURLY: Duration = Duration::from_secs(3600);

/// The interval between calls of the monitor: healthchecks.io takes five in a minute.
const PING_EVERY: Duration = Duration::from_secs(300);

/// The operator gets at most one mail in this time; what happens meanwhile is in the next.
const DIGEST_EVERY: Duration = Duration::from_secs(15 * 60);

/// Notices in one mail.
const DIGEST_MAX: usize = 200;

/// A file that could not be read is tried again so often: permissions show in no event.
const UNREADABLE_EVERY: Duration = Duration::from_secs(120);

/// Runs until the daemon stops.
pub(super) async fn run_upkeep(parts: Parts) {
    let mut often = tokio::time::interval(EVERY);
    let mut hourly = tokio::time::interval_at(Instant::now() + HOURLY, HOURLY);
    let watchdog_every = systemd::watchdog_interval();
    let mut watchdog = tokio::time::interval(watchdog_every.unwrap_or(HOURLY));
    let mut room = tokio::time::interval(DISK_RETRY);
    let mut ping = tokio::time::interval(PING_EVERY);
    let ping_state = Arc::default();
    for timer in [&mut often, &mut hourly, &mut watchdog, &mut room, &mut ping] {
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut line = String::new();
    let mut is_idle = false;
    let mut post = Post::default();
    let mut next_telling = None;
    // A machine that is never on for an hour forgets and deletes, too.
    prune_history(&parts).await;
    forget_voice_prints(&parts).await;
    let mut live = parts.runtime.live.clone();
    live.mark_unchanged();
    parts.delivery.schedule_deletions().await;
    parts.delivery.delete_expired().await;
    loop {
        tokio::select! {
            () = parts.stop.cancelled() => return,
            Ok(()) = live.changed() => parts.delivery.schedule_deletions().await,
            _ = room.tick(), if parts.runtime.disk_full.load(Ordering::Relaxed) => check_disk(&parts).await,
            () = parts.status_line.wait_for_change() => report_status(&parts, &mut line).await,
            () = parts.runtime.changed.notified() => {
                next_telling.get_or_insert_with(|| Box::pin(tokio::time::sleep(STATUS_DELAY)));
            }
            () = async { next_telling.as_mut().expect("the arm is on").await }, if next_telling.is_some() => {
                next_telling = None;
                report_status(&parts, &mut line).await;
                forget_voice_prints(&parts).await;
            }
            () = parts.worker.reconsidered.added() => reconsider_files(&parts),
            _ = often.tick() => {
                reconsider_files(&parts);
                let has_chores = check_queue(&parts).await;
                if !has_chores && is_idle {
                    continue;
                }
                // What is over is told once more.
                is_idle = !has_chores;
                report_status(&parts, &mut line).await;
                orphaned_jobs::recover_orphans(&parts).await;
                orphaned_jobs::settle_orphan(&parts).await;
                check_lost_files(&parts).await;
                release_deliveries(&parts).await;
                check_keys(&parts).await;
                send_digest(&parts, &mut post).await;
                forget_voice_prints(&parts).await;
            }
            _ = hourly.tick() => {
                for handle in parts.runtime.live().services.values() {
                    keep_signed_in(&parts, handle).await;
                }
                prune_history(&parts).await;
                parts.delivery.delete_expired().await;
                if let Err(error) = reconcile::renew_mark(&parts).await {
                    tracing::warn!("failed to mark the queue: {error:#}");
                }
            }
            _ = ping.tick() => call_monitor(&parts, &ping_state).await,
            _ = watchdog.tick(), if watchdog_every.is_some() => {
                // Only a check that went through the runtime and the queue's thread proves life.
                match parts.runtime.queue.maintenance().prove_alive().await {
                    Ok(()) => systemd::feed_watchdog(),
                    Err(error) if error.is_passing() => systemd::feed_watchdog(),
                    Err(error) => parts.runtime.queue_failed("prove that the queue works", &error),
                }
            }
        }
    }
}

/// Lets jobs whose file is readable again try, and gives up those whose file is gone for good.
async fn check_lost_files(parts: &Parts) {
    let queue = &parts.runtime.queue;
    let now = clock::now();
    let held: Vec<_> = queue.holds().list().await.unwrap_or_default();
    for folder in &parts.runtime.live().settings.folders {
        if held.iter().any(|hold| {
            hold.scope == Scope::Folder && hold.name == folder.id && hold.reason.blocks_stages()
        }) {
            continue;
        }
        let seen_to = async {
            if queue.jobs().any_waits_for_file(&folder.id).await? {
                let woken = queue
                    .folders()
                    .wake_files(&folder.id, time_before(now, UNREADABLE_EVERY), now)
                    .await?;
                let cancelled = queue
                    .folders()
                    .cancel_lost(&folder.id, time_before(now, LOST_AFTER), now)
                    .await?;
                if cancelled > 0 {
                    parts.worker.tidy_converted().await;
                    tracing::info!(
                        "{cancelled} jobs of folder `{}` are cancelled: their files are gone",
                        folder.name
                    );
                }
                if woken > 0 {
                    parts.runtime.nudge();
                }
            }
            Ok(())
        };
        if let Err(error) = seen_to.await {
            parts.runtime.queue_failed("see to lost files", &error);
        }
    }
}

/// Returns the time `span` before `now`.
fn time_before(now: Timestamp, span: Duration) -> Timestamp {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    now.saturating_sub(span).unwrap_or(Timestamp::MIN)
}

/// Looks whether the queue is where it was, and the clock as it was; an idle minuted would learn of neither. Returns
/// whether the queue holds anything else to see to, or cannot say so.
async fn check_queue(parts: &Parts) -> bool {
    let seen_to = async {
        let has_chores = parts.runtime.queue.maintenance().has_chores().await?;
        parts.runtime.follow_clock().await?;
        Ok(has_chores)
    };
    seen_to.await.unwrap_or_else(|error| {
        parts.runtime.queue_failed("see to the queue", &error);
        true
    })
}

/// Looks whether a full disk of the queue has room again.
async fn check_disk(parts: &Parts) {
    if parts.runtime.disk_full.load(Ordering::Relaxed) && reconcile::renew_mark(parts).await.is_ok()
    {
        parts.runtime.has_room();
    }
}

/// A hold that a delivery ends by its success is over too when nothing is to be delivered any more.
async fn release_deliveries(parts: &Parts) {
    let runtime = &parts.runtime;
    let seen_to = async {
        for hold in runtime.queue.holds().list().await? {
            match hold.scope {
                Scope::Folder if hold.reason.is_ended_by(EndedBy::Delivery) => {
                    if !runtime
                        .queue
                        .deliveries()
                        .is_any_due(Lane::Files, Some(hold.name.clone()))
                        .await?
                    {
                        runtime
                            .end_hold(
                                Scope::Folder,
                                &hold.name,
                                &HoldReason::ended_by(EndedBy::Delivery),
                            )
                            .await;
                    }
                }
                Scope::Service
                    if hold.name == SMTP
                        && !runtime.queue.deliveries().is_any_due(Lane::Mails, None).await? =>
                {
                    mail_works(runtime).await?;
                }
                Scope::Folder | Scope::Service | Scope::Disk | Scope::Source => {}
            }
        }
        Ok(())
    };
    if let Err(error) = seen_to.await {
        runtime.queue_failed("see to what holds deliveries", &error);
    }
}

/// A service that waits for another key is asked again once there is one.
async fn check_keys(parts: &Parts) {
    let runtime = &parts.runtime;
    let live = runtime.live();
    let holds = runtime.queue.holds().list().await.unwrap_or_default();
    for hold in holds
        .iter()
        .filter(|hold| hold.scope == Scope::Service && hold.reason == HoldReason::SignedOut)
    {
        let Some(handle) = live.services.get(&hold.name) else { continue };
        if handle.service.may_be_mended().await {
            runtime.end_hold(Scope::Service, &hold.name, &[HoldReason::SignedOut]).await;
        }
    }
}

/// How the operator's mail goes: a server that is down is left alone for longer and longer, and told of once.
#[derive(Debug, Default)]
struct Post {
    failures: u32,
    not_before: Option<Timestamp>,
}

impl Post {
    fn record_failure(&mut self, error: &str, retry: &config::Retry, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        let wait =
            backoff_delay(retry.delay, retry.delay_max, self.failures, clock::jitter()).max(EVERY);
        self.not_before = now.checked_add(wait).ok();
        if self.failures == 1 {
            tracing::warn!(
                "the operator's mail waits, and is tried again until it goes: {error}; minuted check"
            );
        }
    }

    fn record_success(&mut self) {
        if std::mem::take(self).failures > 0 {
            tracing::info!("the operator's mail goes again");
        }
    }
}

/// Mails what the operator should know, at most once in a quarter of an hour.
async fn send_digest(parts: &Parts, post: &mut Post) {
    let queue = &parts.runtime.queue;
    let (notices, last) = match queue.holds().list_unsent_notices(DIGEST_MAX).await {
        Ok(found) => found,
        Err(error) => {
            return parts.runtime.queue_failed("read what the operator should know", &error);
        }
    };
    let Some(newest) = notices.last().map(|notice| notice.id) else { return };
    let now = clock::now();
    // One that was sent in the future was sent by a clock that has been set back since.
    let is_early = last.is_some_and(|last| last <= now && elapsed(last, now) < DIGEST_EVERY);
    if is_early || post.not_before.is_some_and(|until| now < until) {
        return;
    }
    let live = parts.runtime.live();
    let wanted = live.settings.email.as_ref().is_some_and(|email| !email.failures_to.is_empty());
    if let Some(mailer) = parts.delivery.current_mailer(&live.settings).filter(|_| wanted) {
        let notices: Vec<DigestEntry> = notices
            .into_iter()
            .map(|notice| DigestEntry { at: notice.at, text: notice.text })
            .collect();
        if let Err(error) = mailer.send_digest(&notices).await {
            return post.record_failure(
                &one_line(&error.to_string(), 300),
                &live.settings.retry,
                now,
            );
        }
        post.record_success();
    }
    if let Err(error) = queue.holds().mark_notices_sent(newest, now).await {
        parts.runtime.queue_failed("record the operator's mail", &error);
    }
}

/// Keeps the sign-in of an idle daemon alive, and notices when a service that waited for a person works again.
async fn keep_signed_in(parts: &Parts, handle: &ServiceHandle) {
    let name = handle.service.name();
    let Some(account) = &handle.account else { return };
    match account.keep_fresh(clock::now()).await {
        Freshness::Fine { .. } => {
            if handle.service.read_profile().await.is_ok() {
                parts
                    .runtime
                    .end_hold(Scope::Service, name, &HoldReason::ended_by(EndedBy::SignIn))
                    .await;
            }
        }
        Freshness::Failing { days_left, message } => {
            tracing::warn!(
                "the sign-in at `{name}` could not be refreshed ({days_left} days left): {message}"
            );
        }
        Freshness::SignedOut { reason } => {
            parts.runtime.service_refused(handle, true, &anyhow::anyhow!(reason)).await;
        }
    }
}

/// Forgets jobs that ended longer ago than the history reaches.
async fn prune_history(parts: &Parts) {
    let forgotten = time_before(clock::now(), parts.runtime.live().settings.history);
    loop {
        match parts.runtime.queue.maintenance().prune(forgotten).await {
            Ok(0) => return,
            Ok(count) => tracing::debug!("{count} jobs are forgotten"),
            Err(error) => return parts.runtime.queue_failed("forget old jobs", &error),
        }
    }
}

/// Forgets the voice prints of jobs that have ended in any way.
pub(super) async fn forget_voice_prints(parts: &Parts) {
    match parts.runtime.queue.maintenance().unfinished_keys().await {
        Ok(unfinished) => {
            for handle in parts.runtime.live().services.values() {
                handle.service.forget_voice_prints(&unfinished).await;
            }
        }
        Err(error) => parts.runtime.queue_failed("list unfinished jobs", &error),
    }
}

/// Tells systemd what `systemctl status` shows, when it changed.
async fn report_status(parts: &Parts, told: &mut String) {
    let runtime = &parts.runtime;
    let held = runtime.queue.holds().list().await.unwrap_or_default();
    let mut line = format!(
        "{}; {} running, {} waiting for analysis",
        format_count(runtime.live().settings.folders.len() as u64, "folder"),
        parts.worker.activity.snapshot().len(),
        runtime.polls.len()
    );
    if let Some(hold) = held.first() {
        line = format!("{line}; {} {}: {}", hold.name, hold.reason, one_line(&hold.detail, 120));
    }
    // It stays until a good configuration is read, whatever else happens meanwhile.
    if let Some(refusal) = parts.status_line.config_refusal() {
        line = refusal;
    }
    if *told != line {
        systemd::status(&line);
        *told = line;
    }
}
