//! The ledger of notifications: what is still to be told, what was told, what was given up.
//!
//! No job waits for a row of it. A notifier has at most [`WAITING_MAX`](super::announce::WAITING_MAX) rows that are due
//! and [`ENDED_MAX`] that are not.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    DeliveryState, EventFacts, JobId, Notifications, StoreError,
    holds::insert_notice,
    sql::{FromValue, Row, Transaction, Value, params},
};
use crate::{
    config::{NotifyEvent, NotifyKind},
    effect::Effect,
};

/// Ended notifications that are kept of each notifier.
const ENDED_MAX: usize = 5000;

/// The reason why the notifications of a notifier end that is not configured any more.
const REMOVED: &str = "the notifier is not configured any more";

/// A notification that is due.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notification {
    /// Its number.
    pub id: i64,
    /// The id that the receiver sees.
    pub message: String,
    /// The notifier.
    pub notifier: String,
    /// The event.
    pub event: NotifyEvent,
    /// The facts.
    pub facts: EventFacts,
    /// The time of the event.
    pub at: Timestamp,
    /// Tries so far.
    pub attempts: u32,
}

/// A notification of a job, as people and scripts see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationView {
    /// The kind of its notifier.
    pub kind: NotifyKind,
    /// The name of its notifier.
    pub target: String,
    /// The event.
    pub event: NotifyEvent,
    /// Its state, in the words of deliveries.
    pub state: DeliveryState,
    /// Tries that failed.
    pub attempts: u32,
    /// The last failure, or why it ended.
    pub error: Option<String>,
}

/// How a notifier stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NotifierTally {
    /// Notifications that wait.
    pub waiting: u64,
    /// Notifications that were given up and are still known.
    pub failed: u64,
    /// The last failure of those that wait.
    pub error: Option<String>,
    /// The next try of those that failed before.
    pub next_try: Option<Timestamp>,
    /// The time of the last event that was passed on.
    pub last_sent: Option<Timestamp>,
}

impl Notifications<'_> {
    /// Returns the notification of a notifier that is due first.
    pub(crate) async fn next_due_of(
        self,
        notifier: &str,
        now: Timestamp,
    ) -> Result<Option<Notification>, StoreError> {
        let notifier = notifier.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT id, message, notifier, event, facts, at_ms, attempts FROM notification \
                           WHERE notifier = ?1 AND due_ms <= ?2 ORDER BY id LIMIT 1";
                tx.query_row(sql, params![notifier, now], read_notification)
            })
            .await
    }

    /// Returns when the next notification becomes due after `now`.
    pub(crate) async fn next_due(self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.0
            .read(move |tx| {
                let sql = "SELECT min(due_ms) FROM notification WHERE due_ms > ?1";
                tx.query_value(sql, params![now])
            })
            .await
    }

    /// Returns whether a notification is due that was never tried.
    pub(crate) async fn has_untried(self, now: Timestamp) -> Result<bool, StoreError> {
        self.0
            .read(move |tx| {
                let sql = "SELECT 1 FROM notification WHERE due_ms <= ?1 AND attempts = 0 LIMIT 1";
                tx.exists(sql, params![now])
            })
            .await
    }

    /// Records that a notification was passed on.
    pub(crate) async fn record_sent(self, id: i64) -> Result<(), StoreError> {
        self.0
            .write(Effect::NotificationSent, move |tx| {
                let sql = "UPDATE notification SET state = 'done', due_ms = NULL, error = NULL \
                           WHERE id = ?1 AND state = 'due'";
                tx.execute(sql, params![id]).map(drop)
            })
            .await
    }

    /// Records that a notification is tried again after `due`. With `until` nothing of its notifier is sent before that
    /// time: the receiver has asked for it.
    pub(crate) async fn retry_later(
        self,
        notification: &Notification,
        due: Timestamp,
        until: Option<Timestamp>,
        error: &str,
    ) -> Result<(), StoreError> {
        let id = notification.id;
        let notifier = notification.notifier.clone();
        let error = error.to_owned();
        self.0
            .write(Effect::NotifyLater, move |tx| {
                let sql = "UPDATE notification SET due_ms = ?2, pause_ms = ?3, error = ?4, attempts = attempts + 1 \
                           WHERE id = ?1 AND state = 'due'";
                tx.execute(sql, params![id, due, until, error])?;
                if let Some(until) = until {
                    let sql = "UPDATE notification SET due_ms = ?2 WHERE notifier = ?1 AND due_ms < ?2";
                    tx.execute(sql, params![notifier, until])?;
                }
                Ok(())
            })
            .await
    }

    /// Records that a notification is given up. The operator gets `notice` once since `since`.
    pub(crate) async fn record_failed(
        self,
        id: i64,
        error: &str,
        notice: String,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let error = error.to_owned();
        self.0
            .write(Effect::NotificationFailed, move |tx| {
                let sql = "UPDATE notification SET state = 'failed', due_ms = NULL, error = ?2, \
                           attempts = attempts + 1 WHERE id = ?1 AND state = 'due'";
                if tx.execute(sql, params![id, error])? == 1 {
                    tell_once(tx, &notice, since, now)?;
                }
                Ok(())
            })
            .await
    }

    /// Ends all that waits for a notifier whose receiver wants nothing more. The operator gets `notice` once since
    /// `since`. Returns how many ended.
    pub(crate) async fn stop_notifier(
        self,
        notifier: &str,
        error: &str,
        notice: String,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let notifier = notifier.to_owned();
        let error = error.to_owned();
        self.0
            .write(Effect::StopNotifier, move |tx| {
                let sql = "UPDATE notification SET state = 'failed', due_ms = NULL, error = ?2 \
                           WHERE notifier = ?1 AND state = 'due'";
                let ended = tx.execute(sql, params![notifier, error])?;
                if ended > 0 {
                    tell_once(tx, &notice, since, now)?;
                }
                Ok(ended)
            })
            .await
    }

    /// Ends what waits for notifiers other than these. Returns how many ended; where none waits nothing is written.
    pub(crate) async fn end_removed(self, configured: Vec<String>) -> Result<usize, StoreError> {
        let waiting: Vec<String> = self
            .0
            .read(|tx| {
                let sql = "SELECT DISTINCT notifier FROM notification WHERE due_ms IS NOT NULL";
                tx.query_values(sql, params![])
            })
            .await?;
        let removed: Vec<String> =
            waiting.into_iter().filter(|name| !configured.contains(name)).collect();
        if removed.is_empty() {
            return Ok(0);
        }
        self.0
            .write(Effect::EndNotifications, move |tx| {
                let mut ended = 0;
                for name in &removed {
                    let sql = "UPDATE notification SET state = 'cancelled', due_ms = NULL, error = ?2 \
                               WHERE notifier = ?1 AND state = 'due'";
                    ended += tx.execute(sql, params![name, REMOVED])?;
                }
                Ok(ended)
            })
            .await
    }

    /// Returns how a notifier stands.
    pub(crate) async fn tally(self, notifier: &str) -> Result<NotifierTally, StoreError> {
        let notifier = notifier.to_owned();
        self.0
            .read(move |tx| {
                let count = |state: &str| {
                    let sql = "SELECT count(*) FROM notification WHERE notifier = ?1 AND state = ?2";
                    tx.query_value::<u64>(sql, params![notifier, state])
                };
                let late = "FROM notification WHERE notifier = ?1 AND due_ms IS NOT NULL AND error IS NOT NULL";
                let error = format!("SELECT error {late} ORDER BY due_ms LIMIT 1");
                let next_try = format!("SELECT min(due_ms) {late}");
                let sent = "SELECT max(at_ms) FROM notification WHERE notifier = ?1 AND state = 'done'";
                Ok(NotifierTally {
                    waiting: count("due")?,
                    failed: count("failed")?,
                    error: tx.find_value(&error, params![notifier])?,
                    next_try: tx.query_value(&next_try, params![notifier])?,
                    last_sent: tx.query_value(sent, params![notifier])?,
                })
            })
            .await
    }
}

/// Records a notice, unless one with its first line has been recorded since `since`.
fn tell_once(
    tx: &Transaction<'_>,
    notice: &str,
    since: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let subject = notice.lines().next().unwrap_or_default();
    let sql = "SELECT 1 FROM notice WHERE at_ms >= ?1 AND substr(text, 1, length(?2)) = ?2";
    if tx.exists(sql, params![since, subject])? {
        return Ok(());
    }
    insert_notice(tx, notice, now)
}

/// Makes the notifications of a job due again that were given up.
pub(super) fn retry_notifications(
    tx: &Transaction<'_>,
    id: JobId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "UPDATE notification SET state = 'due', due_ms = ?2, pause_ms = NULL, attempts = 0, error = NULL \
               WHERE job_id = ?1 AND state = 'failed'";
    let retried = tx.execute(sql, params![id, now])?;
    if retried > 0 {
        tx.mark_announced();
    }
    Ok(retried)
}

/// Returns the notifications of a job as people and scripts see them.
pub(super) fn notifications_of(
    tx: &Transaction<'_>,
    id: JobId,
) -> Result<Vec<NotificationView>, StoreError> {
    let sql = "SELECT kind, notifier, event, state, attempts, error FROM notification WHERE job_id = ?1 ORDER BY id";
    tx.query_rows(sql, params![id], |row| {
        Ok(NotificationView {
            kind: row.get("kind")?,
            target: row.get("notifier")?,
            event: row.get("event")?,
            state: row.get("state")?,
            attempts: row.get("attempts")?,
            error: row.get("error")?,
        })
    })
}

/// Forgets ended notifications: those from before `before`, and of each notifier those beyond [`ENDED_MAX`].
pub(super) fn forget_ended(tx: &Transaction<'_>, before: Timestamp) -> Result<(), StoreError> {
    let sql = "DELETE FROM notification WHERE due_ms IS NULL AND at_ms < ?1";
    tx.execute(sql, params![before])?;
    let notifiers: Vec<String> = tx.query_values(
        "SELECT DISTINCT notifier FROM notification WHERE due_ms IS NULL",
        params![],
    )?;
    for notifier in notifiers {
        let sql = "DELETE FROM notification WHERE due_ms IS NULL AND notifier = ?1 AND id <= (SELECT id FROM notification \
                   WHERE due_ms IS NULL AND notifier = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
        tx.execute(sql, params![notifier, ENDED_MAX])?;
    }
    Ok(())
}

impl FromValue for EventFacts {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { serde_json::from_str(text).ok() } else { None }
    }
}

fn read_notification(row: &Row<'_>) -> Result<Notification, StoreError> {
    Ok(Notification {
        id: row.get("id")?,
        message: row.get("message")?,
        notifier: row.get("notifier")?,
        event: row.get("event")?,
        facts: row.get("facts")?,
        at: row.get("at_ms")?,
        attempts: row.get("attempts")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        job::HoldReason,
        store::{
            Hold, Scope, Store, Subscriber,
            announce::{WAITING_MAX, announce_hold, announce_release},
        },
    };

    fn open(dir: &tempfile::TempDir) -> Store {
        let queue = Store::open(dir.path()).expect("opened");
        queue.set_subscribers(vec![Subscriber {
            name: "n8n".to_owned(),
            kind: NotifyKind::Webhook,
            events: vec![NotifyEvent::ServiceDown, NotifyEvent::ServiceUp],
            folders: None,
        }]);
        queue
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn hold(scope: Scope, name: &str, reason: HoldReason, second: i64) -> Hold {
        Hold { scope, name: name.to_owned(), reason, detail: "503".to_owned(), since: at(second) }
    }

    /// The states and events of all, in their order.
    async fn ledger(queue: &Store) -> Vec<String> {
        let sql = "SELECT state || ' ' || event AS line FROM notification ORDER BY id";
        queue.read(move |tx| tx.query_values(sql, params![])).await.expect("read")
    }

    #[tokio::test]
    async fn a_hold_is_told_once_and_its_end_when_nothing_else_holds() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = open(&dir);
        for (reason, second) in
            [(HoldReason::Down, 1), (HoldReason::Down, 2), (HoldReason::Forbidden, 3)]
        {
            let hold = hold(Scope::Service, "paxs", reason, second);
            queue.holds().add(hold, None).await.expect("held");
        }
        let reading = hold(Scope::Service, "paxs", HoldReason::Reading, 4);
        queue.holds().add(reading, None).await.expect("held");
        let folder = hold(Scope::Folder, "sales", HoldReason::Paused, 5);
        queue.holds().add(folder, None).await.expect("held");
        let down = ["due service.down", "due service.down"];
        assert_eq!(ledger(&queue).await, down, "no one asked for folders");
        queue.holds().release(Scope::Service, "paxs", &[HoldReason::Down]).await.expect("released");
        assert_eq!(ledger(&queue).await, down, "it is forbidden still");
        let all = [HoldReason::Forbidden];
        queue.holds().release(Scope::Service, "paxs", &all).await.expect("released");
        queue.holds().release(Scope::Service, "paxs", &all).await.expect("nothing was held");
        assert_eq!(ledger(&queue).await[2..], ["due service.up"]);
    }

    #[tokio::test]
    async fn a_dead_receiver_keeps_the_latest_and_what_ended_is_bounded() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = open(&dir);
        let announced = queue.write(Effect::Hold, |tx| {
            for second in 0..=i64::try_from(WAITING_MAX).expect("small") + 4 {
                announce_hold(tx, &hold(Scope::Service, "paxs", HoldReason::Down, second))?;
            }
            Ok(())
        });
        announced.await.expect("written");
        let lines = ledger(&queue).await;
        let failed = lines.iter().take_while(|line| line.starts_with("failed")).count();
        assert_eq!((failed, lines.len()), (5, WAITING_MAX + 5));
        let tally = queue.notifications().tally("n8n").await.expect("read");
        assert_eq!((tally.waiting, tally.failed), (1000, 5));
        let ended = queue.write(Effect::Hold, |tx| {
            tx.batch(
                "UPDATE notification SET state = 'done', due_ms = NULL;
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500)
                 INSERT INTO notification (message, notifier, kind, event, facts, at_ms, state)
                     SELECT 'm', 'n8n', 'webhook', 'service.up', '{}', 10000000000000, 'done' FROM n",
            )
        });
        ended.await.expect("written");
        queue.maintenance().prune(at(0)).await.expect("pruned");
        assert_eq!(ledger(&queue).await.len(), ENDED_MAX);
        queue.maintenance().prune(at(1_000_000_000)).await.expect("pruned");
        assert_eq!(ledger(&queue).await.len(), 4500, "the history reaches no further");
    }

    #[tokio::test]
    async fn a_pause_holds_for_what_happens_meanwhile_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = open(&dir);
        let down = hold(Scope::Service, "paxs", HoldReason::Down, 1);
        queue.holds().add(down, None).await.expect("held");
        let first = queue.notifications().next_due_of("n8n", at(1)).await.expect("read");
        let first = first.expect("it is due");
        let ledger = queue.notifications();
        ledger.retry_later(&first, at(100), Some(at(100)), "429").await.expect("written");
        let up = queue.write(Effect::Hold, |tx| {
            announce_release(tx, Scope::Service, "smtp", &[HoldReason::Down], at(2))
        });
        up.await.expect("written");
        assert_eq!(queue.notifications().next_due_of("n8n", at(99)).await.expect("read"), None);
        assert_eq!(queue.notifications().next_due(at(2)).await.expect("read"), Some(at(100)));
        let again = queue.notifications().next_due_of("n8n", at(100)).await.expect("read");
        assert_eq!(again.map(|next| (next.message, next.attempts)), Some((first.message, 1)));
    }

    #[tokio::test]
    async fn without_subscribers_nothing_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = open(&dir);
        queue.set_subscribers(Vec::new());
        let down = hold(Scope::Service, "paxs", HoldReason::Down, 1);
        queue.holds().add(down, None).await.expect("held");
        assert_eq!(ledger(&queue).await, Vec::<String>::new());
    }
}
