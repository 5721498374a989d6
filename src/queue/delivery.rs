//! The ledger of deliveries: one row a file or mail, with its own tries.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, named_params};

use super::{
    Job, JobId, Queue, QueueError,
    claim::load,
    delivery_end::DeliveryEnd,
    history::log,
    hold::insert_notice,
    record::{finish, transition},
    row,
};
use crate::{
    effect::Effect,
    job::{Event, EventKind, Report, Stage, State},
    words::words,
};

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
        /// The fate of the recording after all else; the target says whether it is moved or deleted.
        Dispose = "dispose",
        /// The fate of the copy at the service, after that; the target says whether it is deleted or purged.
        Remote = "remote",
    }
}

words! {
    /// The state of a delivery.
    pub enum DeliveryState {
        /// It is tried, now or later.
        Due = "due",
        /// It was made.
        Done = "done",
        /// It was given up.
        Failed = "failed",
        /// It waits for `minuted retry`: the queue was lost, and nobody shall get a mail twice.
        Held = "held",
        /// Its job was given up, or has newer notes.
        Cancelled = "cancelled",
        /// `email.allow` does not permit its address.
        Withheld = "withheld",
    }
}

/// What is told of a deletion that was not made after all.
const KEPT: &str = "the folder keeps it now";

/// Deliveries that share their slots: what one of them waits for holds up no other lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// What is done in the file system.
    Files,
    /// Mails.
    Mails,
    /// What is asked of the services.
    Remote,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 3] = [Self::Files, Self::Mails, Self::Remote];

    /// Returns what holds of its rows, in SQL; the files are all that is nothing else.
    pub(super) fn is_of(self) -> &'static str {
        match self {
            Self::Files => "kind NOT IN ('mail', 'remote')",
            Self::Mails => "kind = 'mail'",
            Self::Remote => "kind = 'remote'",
        }
    }
}

/// What comes after all other deliveries of a job, in this order; each is a delivery too, and `None` is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Endings {
    /// What happens to the recording.
    pub recording: Option<&'static str>,
    /// What happens at the service.
    pub remote: Option<&'static str>,
}

impl Endings {
    fn in_order(self) -> [(DeliveryKind, Option<&'static str>); 2] {
        [(DeliveryKind::Dispose, self.recording), (DeliveryKind::Remote, self.remote)]
    }
}

/// A delivery to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// What.
    pub kind: DeliveryKind,
    /// Where to.
    pub target: String,
    /// Whether it waits for `minuted retry`.
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
    /// What.
    pub kind: DeliveryKind,
    /// Where to.
    pub target: String,
    /// Tries so far.
    pub attempts: u32,
    /// Since when it is tried.
    pub since: Timestamp,
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

impl Queue {
    /// Returns up to `limit` deliveries of a lane that are due.
    pub async fn due_deliveries(&self, lane: Lane, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, QueueError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT * FROM delivery WHERE due_ms <= ?1 AND {} ORDER BY due_ms, id LIMIT ?2",
                lane.is_of()
            ))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(rusqlite::params![now.as_millisecond(), limit], delivery)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Returns when the next delivery becomes due after `now`.
    pub async fn next_delivery_due(&self, now: Timestamp) -> Result<Option<Timestamp>, QueueError> {
        self.read(move |connection| {
            let due: Option<i64> = connection
                .prepare_cached("SELECT min(due_ms) FROM delivery WHERE due_ms > ?")?
                .query_row([now.as_millisecond()], |row| row.get(0))?;
            Ok(due.and_then(|due| Timestamp::from_millisecond(due).ok()))
        })
        .await
    }

    /// Returns the completed results of a job, as far as notes are made of them: without what the service answered.
    pub async fn findings(&self, id: JobId) -> Result<Vec<Report>, QueueError> {
        self.read(move |connection| super::record::reports(connection, id)).await
    }

    /// Returns what was written for a job under a kind and target, the latest version.
    pub async fn written(&self, job: JobId, kind: DeliveryKind, target: &str) -> Result<Option<Written>, QueueError> {
        let target = target.to_owned();
        self.read(move |connection| written(connection, job, kind, &target)).await
    }

    /// Records a delivery as done. The last one finishes the job, or leads to its endings. What the service keeps is left
    /// there where no ending wants it gone any more, which is told in place of an error.
    pub async fn delivered(
        &self,
        delivery: &Delivery,
        written: Option<Written>,
        endings: Endings,
        now: Timestamp,
    ) -> Result<Option<State>, QueueError> {
        let kept = (delivery.kind == DeliveryKind::Remote && endings.remote.is_none()).then_some(KEPT);
        self.end_delivery(delivery, DeliveryEnd::Done { written, kept }, endings, now).await
    }

    /// Records that a mail is not sent, because the configuration does not allow its recipient. That is no failure: the
    /// job goes on as if it were sent, but the recording stays where nothing else was delivered.
    pub async fn withhold(
        &self,
        delivery: &Delivery,
        reason: &str,
        endings: Endings,
        now: Timestamp,
    ) -> Result<Option<State>, QueueError> {
        self.end_delivery(delivery, DeliveryEnd::Withheld { reason: reason.to_owned() }, endings, now).await
    }

    async fn end_delivery(
        &self,
        delivery: &Delivery,
        end: DeliveryEnd,
        endings: Endings,
        now: Timestamp,
    ) -> Result<Option<State>, QueueError> {
        let delivery = delivery.clone();
        self.write(Effect::Delivered, move |tx| {
            end.record(tx, &delivery, now)?;
            settle(tx, delivery.job, endings, now)
        })
        .await
    }

    /// Records that a delivery is tried again after `due`.
    pub async fn deliver_later(
        &self,
        delivery: &Delivery,
        due: Timestamp,
        error: &str,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        self.put_off_delivery(delivery, due, error, 1, now).await
    }

    /// Records that a delivery has to wait, without counting that as a try: nothing was tried.
    pub async fn delivery_waits(
        &self,
        delivery: &Delivery,
        due: Timestamp,
        error: &str,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        self.put_off_delivery(delivery, due, error, 0, now).await
    }

    async fn put_off_delivery(
        &self,
        delivery: &Delivery,
        due: Timestamp,
        error: &str,
        tries: u32,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        let (delivery, error) = (delivery.clone(), error.to_owned());
        self.write(Effect::DeliverLater, move |tx| {
            let before: Option<String> = tx
                .query_row("SELECT error FROM delivery WHERE id = ?", [delivery.id], |row| row.get(0))
                .optional()?
                .flatten();
            tx.prepare_cached(
                "UPDATE delivery SET due_ms = ?2, error = ?3, attempts = attempts + ?4 WHERE id = ?1 AND state = 'due'",
            )?
            .execute(rusqlite::params![delivery.id, due.as_millisecond(), error, tries])
            .map(|rows| one(rows, &delivery))??;
            if before.as_deref() != Some(error.as_str()) {
                let which = format!("{} to {}", delivery.kind, delivery.target);
                let event = EventKind::DeliveryWaits.with(&which);
                log(tx, delivery.job, Some(Stage::Deliver), event, Some(&error), now)?;
            }
            Ok(())
        })
        .await
    }

    /// Returns the jobs that deliver although nothing is due, with their folders: what was due is done, held or given
    /// up, and nobody has drawn the conclusion.
    pub async fn idle_deliveries(&self) -> Result<Vec<(JobId, String)>, QueueError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, folder FROM job WHERE stage = 'deliver' AND NOT EXISTS (SELECT 1 FROM delivery \
                 WHERE job_id = job.id AND state = 'due')",
            )?;
            let rows = statement.query_map([], |row| Ok((JobId(row.get(0)?), row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Draws the conclusion for a job that delivers although nothing is due.
    pub async fn settle(&self, id: JobId, endings: Endings, now: Timestamp) -> Result<Option<State>, QueueError> {
        self.write(Effect::Settle, move |tx| settle(tx, id, endings, now)).await
    }

    /// Records that a delivery has failed for good, and what the operator is told.
    pub async fn delivery_failed(
        &self,
        delivery: &Delivery,
        error: &str,
        notice: String,
        endings: Endings,
        now: Timestamp,
    ) -> Result<Option<State>, QueueError> {
        let (delivery, error) = (delivery.clone(), error.to_owned());
        self.write(Effect::DeliveryFailed, move |tx| {
            tx.prepare_cached(
                "UPDATE delivery SET state = 'failed', due_ms = NULL, error = ?2, attempts = attempts + 1 \
                 WHERE id = ?1 AND state = 'due'",
            )?
            .execute(rusqlite::params![delivery.id, error])
            .map(|rows| one(rows, &delivery))??;
            let which = format!("{} to {}", delivery.kind, delivery.target);
            let event = EventKind::DeliveryFailed.with(&which);
            log(tx, delivery.job, Some(Stage::Deliver), event, Some(&error), now)?;
            insert_notice(tx, &notice, now)?;
            tx.execute("UPDATE job SET error = ?2 WHERE id = ?1", rusqlite::params![delivery.job.0, error])?;
            settle(tx, delivery.job, endings, now)
        })
        .await
    }
}

/// Exactly one row was to change: none means that a person or another version came in between.
pub(super) fn one(rows: usize, delivery: &Delivery) -> Result<(), QueueError> {
    if rows == 1 { Ok(()) } else { Err(QueueError::Moved { job: delivery.job }) }
}

/// Makes what is not delivered yet due again: what failed, waits, was given up or withheld. Files that tell of a failure, and the
/// endings, come anew when it is time for them. Held mails stay held unless `release`.
pub(super) fn reopen(tx: &Transaction<'_>, id: JobId, release: bool, now: Timestamp) -> Result<(), QueueError> {
    tx.execute(
        "UPDATE delivery SET state = 'cancelled', due_ms = NULL WHERE job_id = ? AND state IN ('due', 'failed') \
         AND kind IN ('failure', 'dispose', 'remote')",
        [id.0],
    )?;
    tx.execute(
        "UPDATE delivery SET state = 'due', due_ms = :now, attempts = 0, error = NULL WHERE job_id = :id \
         AND kind NOT IN ('failure', 'dispose', 'remote') AND (state IN ('due', 'failed', 'cancelled', 'withheld') \
         OR state = 'held' AND :release) AND version = (SELECT version FROM job WHERE id = :id)",
        named_params! { ":id": id.0, ":now": now.as_millisecond(), ":release": release },
    )?;
    Ok(())
}

/// Gives up what is due of a job.
pub(super) fn give_up(tx: &Transaction<'_>, id: JobId) -> Result<(), QueueError> {
    tx.execute("UPDATE delivery SET state = 'cancelled', due_ms = NULL WHERE job_id = ? AND state = 'due'", [id.0])?;
    Ok(())
}

/// Moves a job that delivers on when nothing is due any more: to its last delivery, to done, or to failed.
pub(super) fn settle(
    tx: &Transaction<'_>,
    id: JobId,
    endings: Endings,
    now: Timestamp,
) -> Result<Option<State>, QueueError> {
    let Some(job) = load(tx, id)? else { return Ok(None) };
    if !matches!(job.state, State::Ready { stage: Stage::Deliver, .. }) {
        return Ok(None);
    }
    let (due, failed): (i64, i64) = tx
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE state = 'due'), count(*) FILTER (WHERE state = 'failed' AND version = ?2) \
             FROM delivery WHERE job_id = ?1",
        )?
        .query_row([id.0, i64::from(job.version)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let held: bool = tx.prepare_cached("SELECT 1 FROM delivery WHERE job_id = ? AND state = 'held'")?.exists([id.0])?;
    if due > 0 {
        return Ok(None);
    }
    if failed > 0 {
        let next = transition(tx, id, &job.state, &Event::Fail, now)?;
        log(tx, id, Some(Stage::Deliver), EventKind::DeliveriesIncomplete, None, now)?;
        return Ok(Some(next));
    }
    let has_readers = !held && is_delivered(tx, id)?;
    for (kind, what) in endings.in_order().into_iter().filter(|_| has_readers) {
        if let Some(what) = what
            && !is_begun(tx, &job, kind)?
        {
            insert_one(tx, &job, &NewDelivery { kind, target: what.to_owned(), held: false }, now)?;
            return Ok(None);
        }
    }
    let next = transition(tx, id, &job.state, &Event::Advance, now)?;
    finish(tx, id, now)?;
    log(tx, id, Some(Stage::Deliver), EventKind::Done, None, now)?;
    Ok(Some(next))
}

/// Returns whether the notes of a job lie in a file or were mailed to anyone: else nothing that they were made of may go.
fn is_delivered(tx: &Transaction<'_>, id: JobId) -> Result<bool, QueueError> {
    let sql = "SELECT 1 FROM delivery WHERE job_id = ? AND kind IN ('notes', 'mail') AND state = 'done'";
    Ok(tx.prepare_cached(sql)?.exists([id.0])?)
}

/// Whether a delivery of this kind was recorded for the current version of a job, and not given up.
fn is_begun(tx: &Transaction<'_>, job: &Job, kind: DeliveryKind) -> Result<bool, QueueError> {
    let sql = "SELECT 1 FROM delivery WHERE job_id = ?1 AND version = ?2 AND kind = ?3 AND state <> 'cancelled'";
    Ok(tx.prepare_cached(sql)?.exists(rusqlite::params![job.id.0, job.version, kind.as_str()])?)
}

/// Whether the service was told to delete what it kept of a job.
pub(super) fn is_deleted_remotely(tx: &Transaction<'_>, id: JobId) -> Result<bool, QueueError> {
    let sql = "SELECT 1 FROM delivery WHERE job_id = ? AND kind = 'remote' AND state = 'done' AND error IS NULL";
    Ok(tx.prepare_cached(sql)?.exists([id.0])?)
}

/// Records deliveries of the job's current version, and the removal of a failure file that may lie there: that it was
/// written is not always known, nor of a job that was begun before the queue was lost.
pub(super) fn insert_deliveries(
    tx: &Transaction<'_>,
    id: JobId,
    deliveries: &[NewDelivery],
    now: Timestamp,
) -> Result<(), QueueError> {
    let Some(job) = load(tx, id)? else { return Err(QueueError::NoSuchJob { job: id }) };
    for delivery in deliveries {
        insert_one(tx, &job, delivery, now)?;
    }
    let told = "SELECT 1 FROM delivery WHERE job_id = ?1 AND kind = 'failure' \
                UNION ALL SELECT 1 FROM evidence WHERE key = ?2";
    let told = tx.prepare_cached(told)?.exists(rusqlite::params![id.0, job.key.to_string()])?;
    if told && !deliveries.iter().any(|delivery| delivery.kind == DeliveryKind::Failure) {
        insert_one(tx, &job, &NewDelivery { kind: DeliveryKind::Clear, target: String::new(), held: false }, now)?;
    }
    Ok(())
}

fn insert_one(tx: &Transaction<'_>, job: &Job, delivery: &NewDelivery, now: Timestamp) -> Result<(), QueueError> {
    let (state, due) = if delivery.held { ("held", None) } else { ("due", Some(now.as_millisecond())) };
    tx.prepare_cached(
        "INSERT INTO delivery (job_id, version, kind, target, state, due_ms, since_ms) \
         VALUES (:job, :version, :kind, :target, :state, :due, :now) \
         ON CONFLICT (job_id, version, kind, target) DO UPDATE SET state = excluded.state, due_ms = excluded.due_ms, \
         attempts = 0, error = NULL WHERE state = 'cancelled'",
    )?
    .execute(named_params! {
        ":job": job.id.0, ":version": job.version, ":kind": delivery.kind.as_str(), ":target": delivery.target,
        ":state": state, ":due": due, ":now": now.as_millisecond(),
    })?;
    Ok(())
}

fn written(
    connection: &Connection,
    job: JobId,
    kind: DeliveryKind,
    target: &str,
) -> Result<Option<Written>, QueueError> {
    let found = connection
        .prepare_cached(
            "SELECT base, path, digest FROM delivery WHERE job_id = ?1 AND kind = ?2 AND target = ?3 \
             AND state = 'done' AND digest IS NOT NULL ORDER BY version DESC LIMIT 1",
        )?
        .query_row(rusqlite::params![job.0, kind.as_str(), target], |row| {
            Ok(Written { base: row::path(row, "base")?, path: row::path(row, "path")?, digest: row.get("digest")? })
        })
        .optional()?;
    Ok(found)
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: row.get("id")?,
        job: JobId(row.get("job_id")?),
        version: row.get("version")?,
        kind: row::word(row, "kind", DeliveryKind::parse)?,
        target: row.get("target")?,
        attempts: row.get("attempts")?,
        since: row::time(row, "since_ms")?,
    })
}

/// Returns the paths of the notes that lie there for a job.
pub(super) fn notes_paths(connection: &Connection, job: JobId) -> Result<Vec<PathBuf>, QueueError> {
    let mut statement = connection.prepare_cached(
        "SELECT base, path FROM delivery AS d WHERE job_id = ?1 AND kind = 'notes' AND path IS NOT NULL \
         AND version = (SELECT max(version) FROM delivery WHERE job_id = ?1 AND kind = 'notes' AND target = d.target \
         AND path IS NOT NULL) ORDER BY id",
    )?;
    let rows =
        statement.query_map([job.0], |row| Ok(Path::new(&row::path(row, "base")?).join(row::path(row, "path")?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
