//! The transitions of a job: compare-and-set on its state.

use jiff::Timestamp;

use super::{
    JobId, StoreError,
    jobs::StateColumns,
    sql::{Transaction, params},
};
use crate::job::{Event, State};

/// Moves a job from `from` by `event`, if it still is in `from`.
pub(super) fn transition(
    tx: &Transaction<'_>,
    id: JobId,
    from: &State,
    event: &Event,
    now: Timestamp,
) -> Result<State, StoreError> {
    expect(tx, id, from)?;
    let to = from.apply(event)?;
    set_state(tx, id, &to, now)?;
    Ok(to)
}

/// Returns an error unless the job is in `state`.
pub(super) fn expect(tx: &Transaction<'_>, id: JobId, state: &State) -> Result<(), StoreError> {
    let columns = StateColumns::new(state);
    let found = tx.exists(
        "SELECT 1 FROM job WHERE id = ?1 AND state = ?2 AND stage IS NOT DISTINCT FROM ?3 \
         AND waits_for IS NOT DISTINCT FROM ?4 AND due_ms IS NOT DISTINCT FROM ?5",
        params![id, columns.state, columns.stage, columns.waits_for, columns.due],
    )?;
    if found { Ok(()) } else { Err(StoreError::Moved { job: id }) }
}

/// Writes a state.
pub(super) fn set_state(
    tx: &Transaction<'_>,
    id: JobId,
    to: &State,
    now: Timestamp,
) -> Result<(), StoreError> {
    let columns = StateColumns::new(to);
    tx.execute(
        "UPDATE job SET state = ?2, stage = ?3, waits_for = ?4, due_ms = ?5, updated_ms = ?6 WHERE id = ?1",
        params![id, columns.state, columns.stage, columns.waits_for, columns.due, now],
    )
    .map(drop)
}
