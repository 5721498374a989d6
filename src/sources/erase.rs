//! The vendor's copy of what is done is deleted, where that is wanted: never before its notes are durable.

use std::time::Duration;

use jiff::Timestamp;

use super::{SourceEngine, engine::SourceFailure};
use crate::{
    clock,
    effect::Effect,
    job::retry::backoff_delay,
    services::CallError,
    store::{Deletable, Deleted},
    text::one_line,
};

/// Meeting BaaS allows 5 deletions a minute.
const DELETIONS_MAX: usize = 5;

/// The time over which deletions are counted: a little more than a minute, for the vendor's clock and ours.
const DELETIONS_WINDOW: Duration = Duration::from_secs(62);

/// A vendor that refuses so often does so for good.
const TRIES_MAX: u32 = 5;

/// The longest time between two tries of one deletion.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(6 * 3600);

impl SourceEngine {
    /// Asks the vendor to delete what is not needed any more, as fast as it may be asked; returns when there is more
    /// to ask. What was asked for is on disk before each call, so that a crash neither forgets nor hurries.
    pub(super) async fn delete_finished(&mut self) -> Result<Option<Timestamp>, SourceFailure> {
        if !self.parts.settings.delete_after {
            return Ok(None);
        }
        for copy in self.parts.queue.sources().list_deletable(self.name(), clock::now()).await? {
            let now = clock::now();
            let asked = self
                .parts
                .queue
                .sources()
                .list_deletions(self.name(), DELETIONS_WINDOW, now)
                .await?;
            if asked.len() >= DELETIONS_MAX {
                let oldest = asked[asked.len() - DELETIONS_MAX];
                return Ok(oldest.checked_add(DELETIONS_WINDOW).ok());
            }
            if !self.delete_copy(&copy).await? {
                break;
            }
        }
        Ok(None)
    }

    /// Returns whether the next one may be asked for, too.
    async fn delete_copy(&mut self, copy: &Deletable) -> Result<bool, SourceFailure> {
        let name = self.name().to_owned();
        let id = &copy.id;
        self.parts.queue.sources().intend_deletion(&name, id, clock::now()).await?;
        let deleted =
            Effect::CallDeletion.during_async(self.parts.source.delete_recording(id)).await;
        let now = clock::now();
        let (said, goes_on) = match deleted {
            Ok(()) | Err(CallError::Refused { status: 404 | 410, .. }) => {
                tracing::info!(
                    "recording `{id}` is deleted at source `{name}`: its notes are done"
                );
                (Deleted::Done, true)
            }
            Err(
                error @ (CallError::Refused { .. }
                | CallError::Forbidden { .. }
                | CallError::File(_)),
            ) => (self.record_refusal(copy, &error), true),
            // Whether the vendor works the list tells; a deletion can wait, and holds up nothing.
            Err(error @ (CallError::Unavailable { .. } | CallError::SignedOut { .. })) => {
                let asked =
                    if let CallError::Unavailable { after, .. } = &error { *after } else { None };
                let wait = self.retry_wait(copy).max(asked.unwrap_or_default());
                tracing::debug!("source `{name}` does not delete recording `{id}` now: {error}");
                let due = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
                (Deleted::Later(due, one_line(&error.to_string(), 500)), false)
            }
        };
        self.parts.queue.sources().record_deletion(&name, id, said, now).await?;
        Ok(goes_on)
    }

    fn record_refusal(&self, copy: &Deletable, error: &CallError) -> Deleted {
        let now = clock::now();
        let error = one_line(&error.to_string(), 500);
        let tries = copy.tries + 1;
        if tries >= TRIES_MAX {
            let name = self.name();
            let id = &copy.id;
            let told =
                format!("source `{name}` does not delete its copy of recording `{id}`: {error}");
            tracing::error!("{told}");
            return Deleted::Refused(format!("{told}\ndelete it at the vendor"));
        }
        Deleted::Later(now.saturating_add(self.retry_wait(copy)).unwrap_or(Timestamp::MAX), error)
    }

    fn retry_wait(&self, copy: &Deletable) -> Duration {
        backoff_delay(
            self.parts.retry.delay,
            RETRY_WAIT_MAX,
            copy.tries.saturating_add(1),
            clock::jitter(),
        )
    }
}
