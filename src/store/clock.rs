//! Times of the queue move with the clock when that is set: a wait of a minute stays a minute.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::{
    StoreError, meta,
    sql::{Database, Transaction, params},
};
use crate::{clock, effect::Effect};

/// Steps below this are not worth a commit: no wait is that exact.
pub(crate) const STEP_MIN: SignedDuration = SignedDuration::from_secs(2);

const ZERO: SignedDuration = SignedDuration::ZERO;

/// The times of what is not finished. Those of what is are history, and stay as they were told.
const TIMES: [&str; 10] = [
    "UPDATE job SET due_ms = due_ms + ?1, remote_ms = remote_ms + ?1, updated_ms = updated_ms + ?1 \
     WHERE stage IS NOT NULL",
    "UPDATE delivery SET due_ms = due_ms + ?1, since_ms = since_ms + ?1 WHERE state IN ('due', 'held')",
    "UPDATE notification SET due_ms = due_ms + ?1, pause_ms = pause_ms + ?1 WHERE due_ms IS NOT NULL",
    "UPDATE request SET asked_ms = asked_ms + ?1",
    "UPDATE sighting SET first_ms = first_ms + ?1, since_ms = since_ms + ?1 WHERE verdict = 'settling'",
    "UPDATE folder SET met_ms = met_ms + ?1",
    "UPDATE fetched SET due_ms = due_ms + ?1 WHERE due_ms IS NOT NULL",
    "UPDATE source SET met_ms = met_ms + ?1, walked_ms = walked_ms + ?1, floor_ms = floor_ms + ?1",
    "UPDATE retention SET since_ms = since_ms + ?1, due_ms = due_ms + ?1 WHERE due_ms IS NOT NULL",
    "UPDATE notice SET sent_ms = sent_ms + ?1 WHERE sent_ms IS NOT NULL",
];

/// The name under which the clock is remembered.
const CLOCK: &str = "clock";

/// The lead of the clock at the last write, once there was one.
#[derive(Debug, Default)]
pub(super) struct Clock(Mutex<Option<SignedDuration>>);

impl Clock {
    /// Moves the times that jobs and deliveries wait for by as much as the clock was set since the
    /// last write, also across a restart. Called before each write with the clock's lead when that was
    /// asked for, so that its times are of the same clock as those in the queue: the next write moves
    /// them all.
    ///
    /// After a reboot a forward jump cannot be detected; a backward one leaves times in the future.
    pub(super) fn follow(
        &self,
        database: &dyn Database,
        lead: SignedDuration,
    ) -> Result<(), StoreError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some_and(|known| (lead - known).abs() < STEP_MIN) {
            return Ok(());
        }
        let transaction = Transaction::begin_write(database)?;
        let step = follow(&transaction, &clock::boot(), lead)?;
        Effect::FollowClock.before();
        transaction.commit()?;
        Effect::FollowClock.after();
        *known = Some(lead);
        if !step.is_zero() {
            let seconds = step.as_secs();
            tracing::warn!(
                "the clock was set by {seconds} s; what waits for a time waits no longer and no shorter"
            );
        }
        Ok(())
    }
}

fn follow(
    tx: &Transaction<'_>,
    boot: &str,
    lead: SignedDuration,
) -> Result<SignedDuration, StoreError> {
    let known = remembered(tx)?.filter(|(known, _)| known == boot).map(|(_, lead)| lead);
    let step = match known {
        Some(before) => lead - SignedDuration::from_millis(before),
        None => newest(tx)?.map_or(ZERO, |newest| clock::now().duration_since(newest).min(ZERO)),
    };
    let is_step = step.abs() >= STEP_MIN;
    if is_step {
        let by = i64::try_from(step.as_millis()).unwrap_or_default();
        TIMES.iter().try_for_each(|sql| tx.execute(sql, params![by]).map(drop))?;
    }
    if is_step || known.is_none() {
        meta::remember(tx, CLOCK, &format!("{boot} {}", lead.as_millis()))?;
    }
    Ok(if is_step { step } else { ZERO })
}

/// Returns the start of the machine and the clock's lead that were written down last.
fn remembered(tx: &Transaction<'_>) -> Result<Option<(String, i64)>, StoreError> {
    Ok(meta::recall(tx, CLOCK)?.and_then(|text| {
        let (boot, lead) = text.split_once(' ')?;
        Some((boot.to_owned(), lead.parse().ok()?))
    }))
}

/// Returns when the last thing happened, as the clock stood then.
fn newest(tx: &Transaction<'_>) -> Result<Option<Timestamp>, StoreError> {
    tx.find_value("SELECT at_ms FROM event ORDER BY id DESC LIMIT 1", params![])
}
