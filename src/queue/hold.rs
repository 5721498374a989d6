//! What holds work back, and what the operator is told. Written when something begins and when it ends, never between.

use jiff::Timestamp;
use rusqlite::Transaction;

use super::{Queue, QueueError, row};

/// What a hold holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All jobs of a service.
    Service,
    /// All jobs of a folder.
    Folder,
    /// What is written: the notes of the folder of that id, or everything, for [`Hold::QUEUE`].
    Disk,
    /// A source: nothing is asked of it, or nothing that it gives can be placed.
    Source,
}

impl Scope {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Folder => "folder",
            Self::Disk => "disk",
            Self::Source => "source",
        }
    }
}

/// Something that holds work back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hold {
    /// What is held.
    pub scope: Scope,
    /// Which one.
    pub name: String,
    /// Why, in a word: `down`, `signed_out`, `forbidden`, `absent`, `refused`, `paused`, …
    pub reason: String,
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
use crate::effect::Effect;

/// Reasons for which nothing can be written into a folder, nor read from it.
const UNREACHABLE: [&str; 5] = ["absent", "unreadable", "empty mount point", "another place", "silent"];

impl Hold {
    /// The name of a hold of the queue's own disk. Made up where the queue is shown: a full disk records nothing.
    pub const QUEUE: &str = "";

    /// Returns whether nothing can be written into the folder that is held.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        self.scope == Scope::Folder && UNREACHABLE.contains(&self.reason.as_str())
    }

    /// Returns whether a folder's hold concerns its deliveries, or the work before them.
    pub(super) fn holds(&self, deliveries: bool) -> bool {
        let full = self.reason == "full";
        if deliveries { full || self.reason == "notes" || self.is_unreachable() } else { self.reason != "notes" }
    }
}

impl Queue {
    /// Records that work is held. Returns whether that is new; only then `notice` is kept for the operator.
    pub async fn hold(&self, hold: Hold, notice: Option<String>) -> Result<bool, QueueError> {
        self.write(Effect::Hold, move |tx| {
            let new = tx
                .prepare_cached("SELECT 1 FROM hold WHERE scope = ?1 AND name = ?2 AND reason = ?3")?
                .query([hold.scope.as_str(), &hold.name, &hold.reason])?
                .next()?
                .is_none();
            tx.prepare_cached(
                "INSERT INTO hold (scope, name, reason, detail, since_ms) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (scope, name, reason) DO UPDATE SET detail = ?4",
            )?
            .execute(rusqlite::params![
                hold.scope.as_str(),
                hold.name,
                hold.reason,
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
    pub async fn release(
        &self,
        scope: Scope,
        name: &str,
        reasons: &'static [&'static str],
    ) -> Result<bool, QueueError> {
        let name = name.to_owned();
        self.write(Effect::Release, move |tx| {
            let mut released = 0;
            for reason in reasons {
                released += tx
                    .prepare_cached("DELETE FROM hold WHERE scope = ?1 AND name = ?2 AND reason = ?3")?
                    .execute([scope.as_str(), &name, reason])?;
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
                let scope: String = row.get("scope")?;
                Ok(Hold {
                    scope: match scope.as_str() {
                        "service" => Scope::Service,
                        "folder" => Scope::Folder,
                        "disk" => Scope::Disk,
                        "source" => Scope::Source,
                        _ => return Err(row::invalid("scope", scope)),
                    },
                    name: row.get("name")?,
                    reason: row.get("reason")?,
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
