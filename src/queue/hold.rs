//! What holds work back, and what the operator is told. Written when something begins and when it ends, never between.

use jiff::Timestamp;
use rusqlite::Transaction;

use super::{Queue, QueueError, row};
use crate::{effect::Effect, job::HoldReason, words::words};

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

/// Something that holds work back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hold {
    /// What is held.
    pub scope: Scope,
    /// Which one.
    pub name: String,
    /// Why.
    pub reason: HoldReason,
    /// Why, for a person.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
}

/// Something the operator is told by mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened and what to do.
    pub text: String,
}

impl Hold {
    /// The name of a hold of the queue's own disk. Made up where the queue is shown: a full disk records nothing.
    pub const QUEUE: &str = "";

    /// Returns whether nothing can be written into the folder that is held.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.scope == Scope::Folder && self.reason.is_unreachable()
    }
}

impl Queue {
    /// Records that work is held. Returns whether that is new; only then `notice` is kept for the operator.
    pub async fn hold(&self, hold: Hold, notice: Option<String>) -> Result<bool, QueueError> {
        self.write(Effect::Hold, move |tx| {
            let new = tx
                .prepare_cached("SELECT 1 FROM hold WHERE scope = ?1 AND name = ?2 AND reason = ?3")?
                .query([hold.scope.as_str(), &hold.name, hold.reason.as_str()])?
                .next()?
                .is_none();
            tx.prepare_cached(
                "INSERT INTO hold (scope, name, reason, detail, since_ms) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (scope, name, reason) DO UPDATE SET detail = ?4",
            )?
            .execute(rusqlite::params![
                hold.scope.as_str(),
                hold.name,
                hold.reason.as_str(),
                hold.detail,
                hold.since.as_millisecond()
            ])?;
            if let Some(notice) = notice.filter(|_| new) {
                insert_notice(tx, &notice, hold.since)?;
            }
            Ok(new)
        })
        .await
    }

    /// Records that nothing holds this any more for one of `reasons`. Returns whether something had.
    pub async fn release(&self, scope: Scope, name: &str, reasons: &[HoldReason]) -> Result<bool, QueueError> {
        let (name, reasons) = (name.to_owned(), reasons.to_vec());
        self.write(Effect::Release, move |tx| {
            let mut released = 0;
            for reason in reasons {
                released += tx
                    .prepare_cached("DELETE FROM hold WHERE scope = ?1 AND name = ?2 AND reason = ?3")?
                    .execute([scope.as_str(), &name, reason.as_str()])?;
            }
            Ok(released > 0)
        })
        .await
    }

    /// Returns everything that is held now, the oldest first; what heals by itself comes last, because a person has to
    /// see to the rest.
    pub async fn holds(&self) -> Result<Vec<Hold>, QueueError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT scope, name, reason, detail, since_ms FROM hold ORDER BY reason IN ('down', 'reading'), since_ms",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Hold {
                    scope: row::word(row, "scope", Scope::parse)?,
                    name: row.get("name")?,
                    reason: row::word(row, "reason", HoldReason::parse)?,
                    detail: row.get("detail")?,
                    since: row::time(row, "since_ms")?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Returns up to `limit` notices that were not mailed yet, and when the last mail went out.
    pub async fn unsent_notices(&self, limit: usize) -> Result<(Vec<Notice>, Option<Timestamp>), QueueError> {
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT id, at_ms, text FROM notice WHERE sent_ms IS NULL ORDER BY id LIMIT ?")?;
            let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                Ok(Notice { id: row.get("id")?, at: row::time(row, "at_ms")?, text: row.get("text")? })
            })?;
            let notices = rows.collect::<Result<_, _>>()?;
            let last: Option<i64> = connection.query_row("SELECT max(sent_ms) FROM notice", [], |row| row.get(0))?;
            Ok((notices, last.and_then(|last| Timestamp::from_millisecond(last).ok())))
        })
        .await
    }

    /// Records that the notices up to `last` were mailed (or have nobody to go to).
    pub async fn notices_sent(&self, last: i64, now: Timestamp) -> Result<(), QueueError> {
        self.write(Effect::NoticesSent, move |tx| {
            tx.execute(
                "UPDATE notice SET sent_ms = ?2 WHERE id <= ?1 AND sent_ms IS NULL",
                [last, now.as_millisecond()],
            )?;
            Ok(())
        })
        .await
    }
}

pub(super) fn insert_notice(tx: &Transaction<'_>, text: &str, now: Timestamp) -> Result<(), QueueError> {
    tx.prepare_cached("INSERT INTO notice (at_ms, text) VALUES (?1, ?2)")?
        .execute(rusqlite::params![now.as_millisecond(), text])?;
    Ok(())
}
