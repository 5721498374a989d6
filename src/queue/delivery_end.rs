//! The rows of deliveries that ended without a failure: made, or withheld.

use jiff::Timestamp;
use rusqlite::{Transaction, named_params};

use super::{Delivery, QueueError, Written, delivery::one, history::log, row::path_bytes};
use crate::{job::EventKind, job::Stage};

/// How a delivery ends that has not failed.
pub(super) enum DeliveryEnd {
    /// It was made; `kept` says why it was not after all.
    Done { written: Option<Written>, kept: Option<&'static str> },
    /// It is not to be made.
    Withheld { reason: String },
}

impl DeliveryEnd {
    /// Records the end in the ledger and in the history of the job.
    pub(super) fn record(&self, tx: &Transaction<'_>, delivery: &Delivery, now: Timestamp) -> Result<(), QueueError> {
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
) -> Result<(), QueueError> {
    let base = written.map(|written| path_bytes(&written.base));
    let path = written.map(|written| path_bytes(&written.path));
    let digest = written.map(|written| &written.digest);
    tx.prepare_cached(
        "UPDATE delivery SET state = 'done', due_ms = NULL, error = :kept, base = :base, path = :path, \
         digest = :digest WHERE id = :id AND state IN ('due', 'cancelled')",
    )?
    .execute(named_params! {
        ":id": delivery.id, ":kept": kept, ":base": base, ":path": path, ":digest": digest,
    })
    .map(|rows| one(rows, delivery))??;
    let (kind, detail) = match kept {
        Some(kept) => (EventKind::RemoteCopyKept, format!("{} at the service: {kept}", delivery.target)),
        None => (EventKind::DeliveryMade, format!("{} {}", delivery.kind, delivery.target)),
    };
    log(tx, delivery.job, Some(Stage::Deliver), kind.with(detail.trim_end()), None, now)
}

fn record_withheld(tx: &Transaction<'_>, delivery: &Delivery, reason: &str, now: Timestamp) -> Result<(), QueueError> {
    tx.prepare_cached(
        "UPDATE delivery SET state = 'withheld', due_ms = NULL, error = ?2 WHERE id = ?1 AND state = 'due'",
    )?
    .execute(rusqlite::params![delivery.id, reason])
    .map(|rows| one(rows, delivery))??;
    let which = format!("{} {}", delivery.kind, delivery.target);
    let event = EventKind::DeliveryWithheld.with(&which);
    log(tx, delivery.job, Some(Stage::Deliver), event, Some(reason), now)
}
