//! The table of deliveries: one row a file or mail, with its own tries.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;

use super::{
    Deliveries, Job, JobId, StoreError,
    jobs::load,
    row::words_in_columns,
    speakers::read_intended,
    sql::{Row, Transaction, Value, params},
};
use crate::{effect::Effect, words::words};

words! {
    /// The kind of a delivery.
    pub enum DeliveryKind {
        /// A file of the notes; the target is its format.
        Notes = "notes",
        /// A mail; the target is the address.
        Mail = "mail",
        /// The file that tells of the failure beside the recording.
        Failure = "failure",
        /// The removal of that file, after success.
        Clear = "clear",
        /// The fate of the recording after all else; the target says whether it is moved or
        /// deleted.
        Dispose = "dispose",
        /// The fate of the copy at the service, after that; the target says whether it is deleted
        /// or purged.
        Remote = "remote",
    }
}

words! {
    /// The state of a delivery.
    pub enum DeliveryState {
        /// Tried now or later.
        Due = "due",
        /// Made.
        Done = "done",
        /// Given up after a failure.
        Failed = "failed",
        /// Waits for `minuted retry`: the queue was lost, and no mail may go out twice.
        Held = "held",
        /// Dropped: the job was cancelled, or has newer notes.
        Cancelled = "cancelled",
        /// `email.allow` does not permit its address.
        Withheld = "withheld",
    }
}

words! {
    /// The fate of a recording whose notes are delivered; a folder that keeps it has none.
    pub enum PostDelivery {
        /// It is moved to another directory of its folder.
        Move = "move",
        /// It is deleted.
        Delete = "delete",
    }
}

words! {
    /// The fate of the copy at the service; a folder that keeps it has none.
    pub enum RemoteCleanup {
        /// It is deleted, as the service understands that: it may keep it for a while.
        Delete = "delete",
        /// It is deleted for good.
        Purge = "purge",
    }
}

words_in_columns!(DeliveryKind, DeliveryState);

/// A group of deliveries that share their slots: a wait in one lane holds up no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Files in folders.
    Files,
    /// Mails.
    Mails,
    /// Requests to the services.
    Remote,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 3] = [Self::Files, Self::Mails, Self::Remote];

    /// Returns the condition of its rows, in SQL; the files are all that is nothing else.
    fn condition(self) -> &'static str {
        match self {
            Self::Files => "kind NOT IN ('mail', 'remote')",
            Self::Mails => "kind = 'mail'",
            Self::Remote => "kind = 'remote'",
        }
    }
}

/// The last deliveries of a job, in this order, and what becomes of its recording later; `None` is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Endings {
    /// The fate of the recording.
    pub recording: Option<PostDelivery>,
    /// The fate of the copy at the service.
    pub remote: Option<RemoteCleanup>,
    /// The time after which the recording is deleted.
    pub delete_after: Option<Duration>,
}

impl Endings {
    /// Returns these deliveries with their targets, in their order.
    pub(super) fn in_order(self) -> [(DeliveryKind, Option<&'static str>); 2] {
        [
            (DeliveryKind::Dispose, self.recording.map(PostDelivery::as_str)),
            (DeliveryKind::Remote, self.remote.map(RemoteCleanup::as_str)),
        ]
    }
}

/// A delivery to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its kind.
    pub kind: DeliveryKind,
    /// A format, an address, or what is done with the recording.
    pub target: String,
    /// True for a mail that waits for `minuted retry`.
    pub held: bool,
}

/// A delivery that is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// Its job.
    pub job: JobId,
    /// The version of the notes.
    pub version: u32,
    /// Its kind.
    pub kind: DeliveryKind,
    /// A format, an address, or what is done with the recording.
    pub target: String,
    /// Tries so far.
    pub attempts: u32,
    /// Since when it is tried.
    pub since: Timestamp,
    /// BLAKE3 of each text that an earlier try was about to write in place of a file.
    pub intended: Vec<String>,
}

/// A file that was written for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The directory that `path` is relative to.
    pub base: PathBuf,
    /// The file, relative to `base`.
    pub path: PathBuf,
    /// BLAKE3 of its bytes.
    pub digest: String,
}

impl Deliveries<'_> {
    /// Returns up to `limit` deliveries of a lane that are due.
    pub async fn list_due(
        self,
        lane: Lane,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.0
            .read(move |tx| {
                let condition = lane.condition();
                let sql =
                    format!("SELECT * FROM delivery WHERE due_ms <= ?1 AND {condition} ORDER BY due_ms, id LIMIT ?2");
                tx.query_rows(&sql, params![now, limit], read_delivery)
            })
            .await
    }

    /// Returns when the next delivery becomes due after `now`.
    pub async fn next_due(self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.0
            .read(move |tx| {
                tx.query_value("SELECT min(due_ms) FROM delivery WHERE due_ms > ?1", params![now])
            })
            .await
    }

    /// Returns when a delivery that failed is tried again: the next mail, or the next file of a
    /// folder.
    pub async fn next_retry(self, folder: Option<String>) -> Result<Option<Timestamp>, StoreError> {
        self.0
            .read(move |tx| {
                tx.query_value(
                    "SELECT min(delivery.due_ms) FROM delivery JOIN job ON job.id = delivery.job_id \
                 WHERE delivery.due_ms IS NOT NULL AND delivery.error IS NOT NULL \
                 AND CASE WHEN ?1 IS NULL THEN kind = 'mail' ELSE kind <> 'mail' AND job.folder = ?1 END",
                    params![folder],
                )
            })
            .await
    }

    /// Returns whether anything of a lane is still to be delivered: for a folder, or for all.
    pub async fn is_any_due(self, lane: Lane, folder: Option<String>) -> Result<bool, StoreError> {
        self.0
            .read(move |tx| {
                let sql = format!(
                    "SELECT 1 FROM delivery WHERE due_ms IS NOT NULL AND {} \
                 AND (?1 IS NULL OR job_id IN (SELECT id FROM job WHERE folder = ?1)) LIMIT 1",
                    lane.condition()
                );
                tx.exists(&sql, params![folder])
            })
            .await
    }

    /// Makes the deliveries of a lane that were put off due now: those of a folder, or all.
    pub async fn wake(
        self,
        lane: Lane,
        folder: Option<String>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        self.0
            .write(Effect::WakeDeliveries, move |tx| {
                let sql = format!(
                    "UPDATE delivery SET due_ms = ?2 WHERE due_ms > ?2 AND {} \
                 AND (?1 IS NULL OR job_id IN (SELECT id FROM job WHERE folder = ?1))",
                    lane.condition()
                );
                tx.execute(&sql, params![folder, now])
            })
            .await
    }

    /// Returns what was written for a job under a kind and target, the latest version.
    pub async fn find_written(
        self,
        job: JobId,
        kind: DeliveryKind,
        target: &str,
    ) -> Result<Option<Written>, StoreError> {
        let target = target.to_owned();
        self.0
            .read(move |tx| {
                tx.query_row(
                    "SELECT base, path, digest FROM delivery WHERE job_id = ?1 AND kind = ?2 AND target = ?3 \
                 AND digest IS NOT NULL ORDER BY version DESC LIMIT 1",
                    params![job, kind, target],
                    |row| Ok(Written { base: row.get("base")?, path: row.get("path")?, digest: row.get("digest")? }),
                )
            })
            .await
    }
}

/// Changes the row of a delivery. That none is changed means that a person or another version came
/// in between.
pub(super) fn update_one(
    tx: &Transaction<'_>,
    delivery: &Delivery,
    sql: &str,
    values: &[Value<'_>],
) -> Result<(), StoreError> {
    let rows = tx.execute(sql, values)?;
    if rows == 1 { Ok(()) } else { Err(StoreError::Moved { job: delivery.job }) }
}

/// Makes the deliveries of a job due again that were not made. Failure files and the endings are
/// recorded again when it is time for them. Held mails stay held unless `release`.
pub(super) fn reopen(
    tx: &Transaction<'_>,
    id: JobId,
    release: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE delivery SET state = 'cancelled', due_ms = NULL WHERE job_id = ?1 AND state IN ('due', 'failed') \
         AND kind IN ('failure', 'dispose', 'remote')",
        params![id],
    )?;
    tx.execute(
        "UPDATE delivery SET state = 'due', due_ms = ?2, attempts = 0, error = NULL WHERE job_id = ?1 \
         AND kind NOT IN ('failure', 'dispose', 'remote') AND (state IN ('due', 'failed', 'cancelled', 'withheld') \
         OR state = 'held' AND ?3 = 1) AND version = (SELECT version FROM job WHERE id = ?1)",
        params![id, now, release],
    )
    .map(drop)
}

/// Cancels the due deliveries of a job.
pub(super) fn give_up(tx: &Transaction<'_>, id: JobId) -> Result<(), StoreError> {
    let sql = "UPDATE delivery SET state = 'cancelled', due_ms = NULL WHERE job_id = ?1 AND state = 'due'";
    tx.execute(sql, params![id]).map(drop)
}

/// Makes the held mails of a job due; returns how many.
pub(super) fn release_held(
    tx: &Transaction<'_>,
    id: JobId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "UPDATE delivery SET state = 'due', due_ms = ?2 WHERE job_id = ?1 AND state = 'held'";
    tx.execute(sql, params![id, now])
}

/// Makes the withheld mails of the latest notes of a job due; returns how many. An older one would
/// be a second mail to the same person.
pub(super) fn release_withheld(
    tx: &Transaction<'_>,
    id: JobId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    tx.execute(
        "UPDATE delivery SET state = 'due', due_ms = ?2, error = NULL WHERE job_id = ?1 AND state = 'withheld' \
         AND NOT EXISTS (SELECT 1 FROM delivery AS later WHERE later.job_id = delivery.job_id \
         AND later.kind = delivery.kind AND later.target = delivery.target AND later.version > delivery.version)",
        params![id, now],
    )
}

/// Returns whether the notes of a job lie in a file or were mailed to anyone: else nothing that
/// they were made of may go.
pub(super) fn is_delivered(tx: &Transaction<'_>, id: JobId) -> Result<bool, StoreError> {
    let sql =
        "SELECT 1 FROM delivery WHERE job_id = ?1 AND kind IN ('notes', 'mail') AND state = 'done'";
    tx.exists(sql, params![id])
}

/// Returns whether a delivery of this kind was recorded for the current version of a job, and not
/// given up.
pub(super) fn is_begun(
    tx: &Transaction<'_>,
    job: &Job,
    kind: DeliveryKind,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM delivery WHERE job_id = ?1 AND version = ?2 AND kind = ?3 AND state <> 'cancelled'";
    tx.exists(sql, params![job.id, job.version, kind])
}

/// Returns whether the service has deleted what it kept of a job.
pub(super) fn is_deleted_remotely(tx: &Transaction<'_>, id: JobId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM delivery WHERE job_id = ?1 AND kind = 'remote' AND state = 'done' AND error IS NULL";
    tx.exists(sql, params![id])
}

/// Records deliveries of the job's current version, and the removal of a failure file that may lie
/// there: that it was written is not always known, nor of a job that was begun before the queue was
/// lost.
pub(super) fn insert_deliveries(
    tx: &Transaction<'_>,
    id: JobId,
    deliveries: &[NewDelivery],
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(job) = load(tx, id)? else { return Err(StoreError::NoSuchJob { job: id }) };
    for delivery in deliveries {
        insert_one(tx, &job, delivery, now)?;
    }
    let sql = "SELECT 1 FROM delivery WHERE job_id = ?1 AND kind = 'failure' \
         UNION ALL SELECT 1 FROM evidence WHERE key = ?2";
    let may_lie_there = tx.exists(sql, params![id, job.key.to_string()])?;
    if may_lie_there && !deliveries.iter().any(|delivery| delivery.kind == DeliveryKind::Failure) {
        insert_one(
            tx,
            &job,
            &NewDelivery { kind: DeliveryKind::Clear, target: String::new(), held: false },
            now,
        )?;
    }
    Ok(())
}

pub(super) fn insert_one(
    tx: &Transaction<'_>,
    job: &Job,
    delivery: &NewDelivery,
    now: Timestamp,
) -> Result<(), StoreError> {
    let state = if delivery.held { DeliveryState::Held } else { DeliveryState::Due };
    let due = (!delivery.held).then_some(now);
    tx.execute(
        "INSERT INTO delivery (job_id, version, kind, target, state, due_ms, since_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         ON CONFLICT (job_id, version, kind, target) DO UPDATE SET state = excluded.state, due_ms = excluded.due_ms, \
         attempts = 0, error = NULL WHERE delivery.state = 'cancelled'",
        params![job.id, job.version, delivery.kind, delivery.target, state, due, now],
    )
    .map(drop)
}

fn read_delivery(row: &Row<'_>) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: row.get("id")?,
        job: row.get("job_id")?,
        version: row.get("version")?,
        kind: row.get("kind")?,
        target: row.get("target")?,
        attempts: row.get("attempts")?,
        since: row.get("since_ms")?,
        intended: read_intended(row)?,
    })
}

/// Returns the paths of the notes that lie there for a job.
pub(super) fn notes_paths(tx: &Transaction<'_>, job: JobId) -> Result<Vec<PathBuf>, StoreError> {
    tx.query_rows(
        "SELECT base, path FROM delivery AS d WHERE job_id = ?1 AND kind = 'notes' AND path IS NOT NULL \
         AND version = (SELECT max(version) FROM delivery WHERE job_id = ?1 AND kind = 'notes' AND target = d.target \
         AND path IS NOT NULL) ORDER BY id",
        params![job],
        |row| Ok(row.get::<PathBuf>("base")?.join(row.get::<PathBuf>("path")?)),
    )
}
