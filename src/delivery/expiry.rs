//! Recordings whose time is over: each is looked at once more, and deleted where nothing speaks against it.
//!
//! What decides is in [`decide`]. The settings in force count, not those of the day on which the notes were made.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    context::{DeliveryContext, gather_recording},
    files::{ExpiredRecording, NotesFileState, expire_recording, find_notes_state},
    outcome::ERROR_MAX,
    runner::DeliveryRunner,
};
use crate::{
    clock,
    runtime::Runtime,
    store::{ExpiringRecording, JobId, RetentionFacts, RetentionOutcome, StoreError},
    text::{error_chain, one_line},
};

/// Recordings that are looked at in one hour: more than a day brings. The others have their turn in the next.
const BATCH: usize = 1000;

/// A recording that cannot be deleted now is looked at again after this.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// A recording that lacks its notes is looked at again after this: only a person can bring them back.
const LOOK_AGAIN_LATER: SignedDuration = SignedDuration::from_hours(24);

/// The reason why a recording without notes stays.
const NO_NOTES: &str = "its notes are not where they were written";

/// What is done with a recording whose time may be over.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It is deleted.
    Delete,
    /// Its time is over at another moment.
    Wait(Timestamp),
    /// It stays for now, for this reason.
    Stay(&'static str, SignedDuration),
    /// It stays: this job deletes it no more.
    Forget,
}

/// Decides about a recording. `after` is what its folder says now, and `has_notes` whether a file of its notes is there.
fn decide(
    since: Timestamp,
    after: Option<Duration>,
    facts: &RetentionFacts,
    has_notes: bool,
    now: Timestamp,
) -> Verdict {
    let Some(after) = after else { return Verdict::Forget };
    if !facts.is_owner {
        return Verdict::Forget;
    }
    let end = since.checked_add(after).unwrap_or(Timestamp::MAX);
    if end > now {
        return Verdict::Wait(end);
    }
    if facts.has_open_deliveries {
        return Verdict::Stay("not everything is delivered", LOOK_AGAIN);
    }
    if !has_notes && !facts.was_mailed {
        return Verdict::Stay(NO_NOTES, LOOK_AGAIN_LATER);
    }
    Verdict::Delete
}

impl DeliveryRunner {
    /// Brings the times of all recordings in line with the settings in force.
    pub(crate) async fn schedule_deletions(&self) {
        let runtime = &self.runtime;
        for folder in &runtime.live().settings.folders {
            loop {
                let retention = runtime.queue.retention();
                let after = folder.delete_recording_after;
                match retention.schedule(&folder.id, after, clock::now()).await {
                    Ok(0) => break,
                    Ok(count) => tracing::info!(
                        "{count} recordings of folder `{}` that were done before get the time at which they are \
                         deleted; `minuted why` tells it",
                        folder.name
                    ),
                    Err(error) => {
                        return runtime.queue_failed("schedule the deletion of recordings", &error);
                    }
                }
            }
        }
    }

    /// Deletes the recordings whose time is over; folders do not wait for each other.
    pub(crate) async fn delete_expired(self: &Arc<Self>) {
        let due = self.runtime.queue.retention().list_due(clock::now(), BATCH).await;
        let due = match due {
            Ok(due) => due,
            Err(error) => {
                return self.runtime.queue_failed("list recordings whose time is over", &error);
            }
        };
        let mut by_folder: BTreeMap<String, Vec<ExpiringRecording>> = BTreeMap::new();
        for recording in due {
            by_folder.entry(recording.folder.clone()).or_default().push(recording);
        }
        for (folder, recordings) in by_folder {
            // A folder whose disk does not answer keeps its turn.
            if self.expiring().insert(folder.clone()) {
                let runner = Arc::clone(self);
                self.runtime.tasks.spawn(async move {
                    runner.delete_expired_in(&folder, recordings).await;
                });
            }
        }
    }

    async fn delete_expired_in(self: &Arc<Self>, folder: &str, recordings: Vec<ExpiringRecording>) {
        for recording in recordings {
            if self.runtime.stop.is_cancelled() {
                break;
            }
            if let Err(error) = see_to(&self.runtime, &recording).await {
                self.runtime.queue_failed("record that a recording was deleted", &error);
                break;
            }
        }
        self.expiring().remove(folder);
    }

    fn expiring(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.expiring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides about a recording, and does it.
async fn see_to(runtime: &Runtime, recording: &ExpiringRecording) -> Result<(), StoreError> {
    let job = recording.job;
    let Some(context) = gather_recording(runtime, job).await? else {
        return put_off(runtime, job, "its folder is not in the configuration", LOOK_AGAIN_LATER)
            .await;
    };
    let holds = runtime.queue.holds().list().await?;
    let hold = holds.iter().find(|hold| hold.is_unreachable() && hold.name == context.folder.id);
    if let Some(hold) = hold {
        return put_off(runtime, job, &hold.detail, LOOK_AGAIN).await;
    }
    let retention = runtime.queue.retention();
    let facts = retention.read_facts(job).await?;
    let after = context.folder.delete_recording_after;
    let has_notes = match has_notes(&facts).await {
        Ok(has_notes) => has_notes,
        Err(reason) => return put_off(runtime, job, &reason, LOOK_AGAIN).await,
    };
    match decide(recording.since, after, &facts, has_notes, clock::now()) {
        Verdict::Delete => delete(runtime, context).await,
        Verdict::Wait(until) => retention.put_off(job, Some(until), None).await,
        Verdict::Stay(reason, wait) => put_off(runtime, job, reason, wait).await,
        Verdict::Forget => retention.put_off(job, None, None).await,
    }
}

/// Returns whether a file of the notes is there, edited or not; an error where that cannot be known.
async fn has_notes(facts: &RetentionFacts) -> Result<bool, String> {
    let notes = facts.notes.clone();
    let look = move || {
        for written in &notes {
            match find_notes_state(written, &[]) {
                Ok(NotesFileState::Deleted) => {}
                Ok(NotesFileState::Unchanged | NotesFileState::Edited) => return Ok(true),
                Err(error) => return Err(one_line(&error_chain(&error), ERROR_MAX)),
            }
        }
        Ok(false)
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| Err(error.to_string()))
}

async fn delete(runtime: &Runtime, context: DeliveryContext) -> Result<(), StoreError> {
    let job = context.job.id;
    let name = context.recording_name();
    let folder = context.folder.name.clone();
    let retention = runtime.queue.retention();
    let outcome = match expire_recording(runtime, context).await? {
        Ok(ExpiredRecording::Deleted) => {
            tracing::info!(
                job.id = job.0,
                "job {job}: `{name}` of folder `{folder}` is deleted: its time was over"
            );
            RetentionOutcome::Deleted
        }
        Ok(ExpiredRecording::Changed) => RetentionOutcome::Changed,
        Ok(ExpiredRecording::Gone) => RetentionOutcome::Gone,
        Err(error) => {
            let reason = one_line(&error_chain(&error), ERROR_MAX);
            tracing::warn!(
                job.id = job.0,
                "job {job}: `{name}` of folder `{folder}` is not deleted yet: {reason}"
            );
            return put_off(runtime, job, &reason, LOOK_AGAIN).await;
        }
    };
    runtime.persist_commit(|| retention.record_end(job, outcome, clock::now())).await
}

async fn put_off(
    runtime: &Runtime,
    job: JobId,
    reason: &str,
    wait: SignedDuration,
) -> Result<(), StoreError> {
    let until = clock::now().checked_add(wait).unwrap_or(Timestamp::MAX);
    runtime.queue.retention().put_off(job, Some(until), Some(reason)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn delivered() -> RetentionFacts {
        RetentionFacts {
            is_owner: true,
            has_open_deliveries: false,
            was_mailed: false,
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_recording_goes_only_when_its_time_is_over_and_its_notes_are_there() {
        let since = at("2026-11-01T12:00:00Z");
        let now = at("2026-12-01T12:00:00Z");
        let decide_at = |after, facts: &RetentionFacts, has_notes, now| {
            decide(since, after, facts, has_notes, now)
        };
        let month = Some(30 * DAY);
        assert_eq!(decide_at(month, &delivered(), true, now), Verdict::Delete);
        let early = at("2026-12-01T11:59:59Z");
        assert_eq!(decide_at(month, &delivered(), true, early), Verdict::Wait(now));
        let year = decide_at(Some(365 * DAY), &delivered(), true, now);
        assert_eq!(year, Verdict::Wait(at("2027-11-01T12:00:00Z")), "the settings of today count");
        assert_eq!(decide_at(None, &delivered(), true, now), Verdict::Forget);
        let stay = Verdict::Stay(NO_NOTES, LOOK_AGAIN_LATER);
        assert_eq!(decide_at(month, &delivered(), false, now), stay);
        let mailed = RetentionFacts { was_mailed: true, ..delivered() };
        assert_eq!(decide_at(month, &mailed, false, now), Verdict::Delete);
        let open = RetentionFacts { has_open_deliveries: true, ..delivered() };
        assert!(matches!(decide_at(month, &open, true, now), Verdict::Stay(..)));
        let superseded = RetentionFacts { is_owner: false, ..delivered() };
        assert_eq!(decide_at(month, &superseded, true, now), Verdict::Forget);
    }
}
