//! The ends of deliveries, and what follows for their jobs.

use jiff::Timestamp;

use super::{
    Deliveries, Delivery, DeliveryKind, DeliveryState, Endings, JobId, NewDelivery, StoreError,
    Written,
    announce::{announce_job, announce_notes},
    deliveries::{insert_one, is_begun, is_delivered, update_one},
    finished::finish,
    history::log,
    holds::insert_notice,
    jobs::load,
    retention::begin_retention,
    sql::{Transaction, params},
    transition::transition,
};
use crate::{
    config::NotifyEvent,
    effect::Effect,
    job::{Event, EventKind, Stage, State},
};

/// The remark on a deletion that was not made after all.
const KEPT: &str = "the folder keeps it now";

impl Deliveries<'_> {
    /// Records a delivery as done. The last one finishes the job, or leads to its endings. What the
    /// service keeps is left there where no ending wants it gone any more, which is told in place
    /// of an error.
    pub async fn record_done(
        self,
        delivery: &Delivery,
        written: Option<Written>,
        endings: Endings,
        now: Timestamp,
    ) -> Result<Option<State>, StoreError> {
        let kept =
            (delivery.kind == DeliveryKind::Remote && endings.remote.is_none()).then_some(KEPT);
        self.end_delivery(delivery, DeliveryEnd::Done { written, kept }, endings, now).await
    }

    /// Records that a mail is not sent, because the configuration does not allow its recipient.
    /// That is no failure: the job goes on as if it were sent, but the recording stays where
    /// nothing else was delivered.
    pub async fn withhold(
        self,
        delivery: &Delivery,
        reason: &str,
        endings: Endings,
        now: Timestamp,
    ) -> Result<Option<State>, StoreError> {
        self.end_delivery(
            delivery,
            DeliveryEnd::Withheld { reason: reason.to_owned() },
            endings,
            now,
        )
        .await
    }

    async fn end_delivery(
        self,
        delivery: &Delivery,
        end: DeliveryEnd,
        endings: Endings,
        now: Timestamp,
    ) -> Result<Option<State>, StoreError> {
        let delivery = delivery.clone();
        self.0
            .write(Effect::Delivered, move |tx| {
                end.record(tx, &delivery, now)?;
                if delivery.kind == DeliveryKind::Notes {
                    announce_notes(tx, delivery.job, now)?;
                }
                settle(tx, delivery.job, endings, now)
            })
            .await
    }

    /// Records that a delivery is tried again after `due`.
    pub async fn retry_later(
        self,
        delivery: &Delivery,
        due: Timestamp,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.put_off_delivery(delivery, due, error, 1, now).await
    }

    /// Records that a delivery has to wait, without counting that as a try: nothing was tried.
    pub async fn postpone(
        self,
        delivery: &Delivery,
        due: Timestamp,
        error: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.put_off_delivery(delivery, due, error, 0, now).await
    }

    async fn put_off_delivery(
        self,
        delivery: &Delivery,
        due: Timestamp,
        error: &str,
        tries: u32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let delivery = delivery.clone();
        let error = error.to_owned();
        self.0
            .write(Effect::DeliverLater, move |tx| {
                let sql = "SELECT error FROM delivery WHERE id = ?1";
                let before = tx.find_value::<Option<String>>(sql, params![delivery.id])?.flatten();
                let sql = "UPDATE delivery SET due_ms = ?2, error = ?3, attempts = attempts + ?4 \
                 WHERE id = ?1 AND state = 'due'";
                update_one(tx, &delivery, sql, params![delivery.id, due, error, tries])?;
                if before.as_deref() != Some(error.as_str()) {
                    let which = format!("{} to {}", delivery.kind, delivery.target);
                    let event = EventKind::DeliveryWaits.with_detail(&which);
                    log(tx, delivery.job, Some(Stage::Deliver), event, Some(&error), now)?;
                }
                Ok(())
            })
            .await
    }

    /// Returns the jobs in `deliver` with no due delivery whose state was not advanced, with their
    /// folders.
    pub async fn list_idle(self) -> Result<Vec<(JobId, String)>, StoreError> {
        self.0
            .read(|tx| {
                let sql = "SELECT id, folder FROM job WHERE stage = 'deliver' AND NOT EXISTS (SELECT 1 FROM delivery \
                 WHERE job_id = job.id AND state = 'due')";
                tx.query_rows(sql, params![], |row| Ok((row.get("id")?, row.get("folder")?)))
            })
            .await
    }

    /// Advances a job that is in `deliver` and has no due delivery.
    pub async fn settle_job(
        self,
        id: JobId,
        endings: Endings,
        now: Timestamp,
    ) -> Result<Option<State>, StoreError> {
        self.0.write(Effect::Settle, move |tx| settle(tx, id, endings, now)).await
    }

    /// Records that a delivery has failed for good, and what the operator is told.
    pub async fn record_failure(
        self,
        delivery: &Delivery,
        error: &str,
        notice: String,
        endings: Endings,
        now: Timestamp,
    ) -> Result<Option<State>, StoreError> {
        let delivery = delivery.clone();
        let error = error.to_owned();
        self.0
            .write(Effect::DeliveryFailed, move |tx| {
                let sql = "UPDATE delivery SET state = 'failed', due_ms = NULL, error = ?2, attempts = attempts + 1 \
                 WHERE id = ?1 AND state = 'due'";
                update_one(tx, &delivery, sql, params![delivery.id, error])?;
                let which = format!("{} to {}", delivery.kind, delivery.target);
                let event = EventKind::DeliveryFailed.with_detail(&which);
                log(tx, delivery.job, Some(Stage::Deliver), event, Some(&error), now)?;
                insert_notice(tx, &notice, now)?;
                tx.execute("UPDATE job SET error = ?2 WHERE id = ?1", params![delivery.job, error])?;
                settle(tx, delivery.job, endings, now)
            })
            .await
    }
}

/// Moves a job that delivers on when nothing is due any more: to its last delivery, to done, or to
/// failed.
pub(super) fn settle(
    tx: &Transaction<'_>,
    id: JobId,
    endings: Endings,
    now: Timestamp,
) -> Result<Option<State>, StoreError> {
    let Some(job) = load(tx, id)? else { return Ok(None) };
    if !matches!(job.state, State::Ready { stage: Stage::Deliver, .. }) {
        return Ok(None);
    }
    let states: Vec<(DeliveryState, u32)> = tx.query_rows(
        "SELECT state, version FROM delivery WHERE job_id = ?1 AND state IN ('due', 'failed', 'held')",
        params![id],
        |row| Ok((row.get("state")?, row.get("version")?)),
    )?;
    if states.iter().any(|(state, _)| *state == DeliveryState::Due) {
        return Ok(None);
    }
    if states.contains(&(DeliveryState::Failed, job.version)) {
        let next = transition(tx, id, &job.state, &Event::Fail, now)?;
        log(tx, id, Some(Stage::Deliver), EventKind::DeliveriesIncomplete, None, now)?;
        let why = "not every delivery could be made";
        announce_job(tx, NotifyEvent::RecordingFailed, id, Some(why), now)?;
        return Ok(Some(next));
    }
    let is_held = states.iter().any(|(state, _)| *state == DeliveryState::Held);
    let has_readers = !is_held && is_delivered(tx, id)?;
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
    begin_retention(tx, id, endings.delete_after.filter(|_| has_readers), now)?;
    log(tx, id, Some(Stage::Deliver), EventKind::Done, None, now)?;
    Ok(Some(next))
}

/// An end of a delivery other than a failure.
enum DeliveryEnd {
    /// Made; `kept` is the reason where nothing had to be done after all.
    Done { written: Option<Written>, kept: Option<&'static str> },
    /// Not to be made.
    Withheld { reason: String },
}

impl DeliveryEnd {
    /// Records the end in the ledger and in the history of the job.
    fn record(
        &self,
        tx: &Transaction<'_>,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match self {
            Self::Done { written, kept } => record_done(tx, delivery, written.as_ref(), *kept, now),
            Self::Withheld { reason } => record_withheld(tx, delivery, reason, now),
        }
    }
}

fn record_done(
    tx: &Transaction<'_>,
    delivery: &Delivery,
    written: Option<&Written>,
    kept: Option<&'static str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let base = written.map(|written| &written.base);
    let path = written.map(|written| &written.path);
    let digest = written.map(|written| &written.digest);
    // Notes whose speakers were named meanwhile are due since then, and made once more. What a person has deleted is not
    // made again, and it stays known where it lay.
    let sql = "UPDATE delivery SET state = 'done', due_ms = NULL, error = ?2, base = coalesce(?3, base), \
         path = coalesce(?4, path), digest = coalesce(?5, digest), intended = NULL \
         WHERE id = ?1 AND state IN ('due', 'cancelled') AND (kind <> 'notes' OR since_ms = ?6)";
    update_one(tx, delivery, sql, params![delivery.id, kept, base, path, digest, delivery.since])?;
    let (kind, detail) = match kept {
        Some(kept) => {
            (EventKind::RemoteCopyKept, format!("{} at the service: {kept}", delivery.target))
        }
        None => (EventKind::DeliveryMade, format!("{} {}", delivery.kind, delivery.target)),
    };
    log(tx, delivery.job, Some(Stage::Deliver), kind.with_detail(detail.trim_end()), None, now)
}

fn record_withheld(
    tx: &Transaction<'_>,
    delivery: &Delivery,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE delivery SET state = 'withheld', due_ms = NULL, error = ?2 WHERE id = ?1 AND state = 'due'";
    update_one(tx, delivery, sql, params![delivery.id, reason])?;
    let which = format!("{} {}", delivery.kind, delivery.target);
    let event = EventKind::DeliveryWithheld.with_detail(&which);
    log(tx, delivery.job, Some(Stage::Deliver), event, Some(reason), now)
}
