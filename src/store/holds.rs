//! Holds, which keep work back, and notices to the operator. A hold is written when it begins and
//! when it ends.

use jiff::Timestamp;

use super::{
    Holds, StoreError,
    announce::{announce_hold, announce_release},
    row::words_in_columns,
    sql::{Transaction, params},
};
use crate::{clock, effect::Effect, job::HoldReason, words::words};

words! {
    /// The kind of thing that a hold is about.
    pub enum Scope {
        /// All jobs of a service.
        Service = "service",
        /// All jobs of a folder.
        Folder = "folder",
        /// The disk: of the folder of that id, or of everything, for [`Hold::QUEUE`].
        Disk = "disk",
        /// A source: nothing is asked of it, or nothing that it gives can be placed.
        Source = "source",
    }
}

words_in_columns!(Scope);

/// A hold: a condition that keeps work back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hold {
    /// The kind of thing that is held.
    pub scope: Scope,
    /// The thing that is held.
    pub name: String,
    /// The reason.
    pub reason: HoldReason,
    /// The reason in words.
    pub detail: String,
    /// The time at which it began.
    pub since: Timestamp,
}

/// A notice that the operator gets by mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number.
    pub id: i64,
    /// The time of the event.
    pub at: Timestamp,
    /// The event, and what to do.
    pub text: String,
}

impl Hold {
    /// The name of a hold of the queue's own disk. Made up where the queue is shown: a full disk
    /// records nothing.
    pub const QUEUE: &str = "";

    /// Returns whether nothing can be written into the folder that is held.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.scope == Scope::Folder && self.reason.is_unreachable()
    }
}

impl Holds<'_> {
    /// Records a hold. Returns whether it is new; only then `notice` is kept for the operator.
    pub async fn add(self, hold: Hold, notice: Option<String>) -> Result<bool, StoreError> {
        self.0
            .write(Effect::Hold, move |tx| {
                let Hold { scope, name, reason, detail, since } = &hold;
                let sql = "SELECT 1 FROM hold WHERE scope = ?1 AND name = ?2 AND reason = ?3";
                let is_new = !tx.exists(sql, params![scope, name, reason])?;
                tx.execute(
                    "INSERT INTO hold (scope, name, reason, detail, since_ms) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (scope, name, reason) DO UPDATE SET detail = ?4",
                    params![scope, name, reason, detail, since],
                )?;
                if let Some(notice) = notice.filter(|_| is_new) {
                    insert_notice(tx, &notice, *since)?;
                }
                if is_new {
                    announce_hold(tx, &hold)?;
                }
                Ok(is_new)
            })
            .await
    }

    /// Records that nothing holds this any more for one of `reasons`. Returns whether something
    /// had.
    pub async fn release(
        self,
        scope: Scope,
        name: &str,
        reasons: &[HoldReason],
    ) -> Result<bool, StoreError> {
        let name = name.to_owned();
        let reasons = reasons.to_vec();
        let now = clock::now();
        self.0
            .write(Effect::Release, move |tx| {
                let mut released = Vec::new();
                for reason in reasons {
                    let sql = "DELETE FROM hold WHERE scope = ?1 AND name = ?2 AND reason = ?3";
                    if tx.execute(sql, params![scope, name, reason])? > 0 {
                        released.push(reason);
                    }
                }
                announce_release(tx, scope, &name, &released, now)?;
                Ok(!released.is_empty())
            })
            .await
    }

    /// Returns all holds, the oldest first; those that end without help come last, because a person
    /// has to see to the rest.
    pub async fn list(self) -> Result<Vec<Hold>, StoreError> {
        self.0
            .read(|tx| {
                let sql = "SELECT scope, name, reason, detail, since_ms FROM hold \
                 ORDER BY reason IN ('down', 'reading'), since_ms";
                tx.query_rows(sql, params![], |row| {
                    Ok(Hold {
                        scope: row.get("scope")?,
                        name: row.get("name")?,
                        reason: row.get("reason")?,
                        detail: row.get("detail")?,
                        since: row.get("since_ms")?,
                    })
                })
            })
            .await
    }

    /// Records a notice about a hold that has lasted since before `since`, once for each time that
    /// it begins.
    pub async fn notify_once(
        self,
        scope: Scope,
        name: &str,
        reason: HoldReason,
        since: Timestamp,
        notice: String,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.0
            .write(Effect::TellHold, move |tx| {
                let subject = notice.split(':').next().unwrap_or_default();
                let lasts = tx.exists(
                "SELECT 1 FROM hold WHERE scope = ?1 AND name = ?2 AND reason = ?3 AND since_ms <= ?4 AND NOT EXISTS \
                 (SELECT 1 FROM notice WHERE at_ms >= hold.since_ms AND substr(text, 1, length(?5)) = ?5)",
                params![scope, name, reason, since, subject],
            )?;
                if lasts {
                    insert_notice(tx, &notice, now)?;
                }
                Ok(lasts)
            })
            .await
    }

    /// Returns up to `limit` notices that were not mailed yet, and when the last mail went out.
    pub async fn list_unsent_notices(
        self,
        limit: usize,
    ) -> Result<(Vec<Notice>, Option<Timestamp>), StoreError> {
        self.0
            .read(move |tx| {
                let sql =
                    "SELECT id, at_ms, text FROM notice WHERE sent_ms IS NULL ORDER BY id LIMIT ?1";
                let notices = tx.query_rows(sql, params![limit], |row| {
                    Ok(Notice { id: row.get("id")?, at: row.get("at_ms")?, text: row.get("text")? })
                })?;
                let last = tx.query_value("SELECT max(sent_ms) FROM notice", params![])?;
                Ok((notices, last))
            })
            .await
    }

    /// Records that the notices up to `last` were mailed (or have nobody to go to).
    pub async fn mark_notices_sent(self, last: i64, now: Timestamp) -> Result<(), StoreError> {
        self.0
            .write(Effect::NoticesSent, move |tx| {
                let sql = "UPDATE notice SET sent_ms = ?2 WHERE id <= ?1 AND sent_ms IS NULL";
                tx.execute(sql, params![last, now]).map(drop)
            })
            .await
    }
}

/// Records a notice, which is mailed to the operator later.
pub(super) fn insert_notice(
    tx: &Transaction<'_>,
    text: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute("INSERT INTO notice (at_ms, text) VALUES (?1, ?2)", params![now, text]).map(drop)
}
