//! The vendor's copy of what is done is deleted, where that is wanted: never before its notes are durable.

use std::time::Duration;

use jiff::Timestamp;

use super::{Engine, engine::Stop};
use crate::{
    clock,
    effect::Effect,
    job::retry::backoff,
    queue::{Deletable, Deleted},
    services::CallError,
    text::one_line,
};

/// Meeting BaaS allows 5 deletions a minute.
const AT_ONCE: usize = 5;

/// The time over which deletions are counted: a little more than a minute, for the vendor's clock and ours.
const SPAN: Duration = Duration::from_secs(62);

/// A vendor that refuses so often does so for good.
const TRIES: u32 = 5;

/// The longest time between two tries of one deletion.
const SLOWEST: Duration = Duration::from_secs(6 * 3600);

impl Engine {
    /// Asks the vendor to delete what is not needed any more, as fast as it may be asked; returns when there is more
    /// to ask. What was asked for is on disk before each call, so that a crash neither forgets nor hurries.
    pub(super) async fn delete_finished(&mut self) -> Result<Option<Timestamp>, Stop> {
        if !self.parts.settings.delete_after {
            return Ok(None);
        }
        for copy in self.parts.queue.deletable(self.name(), clock::now()).await? {
            let now = clock::now();
            let asked = self.parts.queue.deletions(self.name(), SPAN, now).await?;
            if asked.len() >= AT_ONCE {
                let oldest = asked[asked.len() - AT_ONCE];
                return Ok(oldest.checked_add(SPAN).ok());
            }
            self.delete(&copy).await?;
        }
        Ok(None)
    }

    async fn delete(&mut self, copy: &Deletable) -> Result<(), Stop> {
        let (name, id) = (self.name().to_owned(), &copy.id);
        self.parts.queue.intend_deletion(&name, id, clock::now()).await?;
        Effect::CallDeletion.before();
        let deleted = self.parts.source.delete(id).await;
        Effect::CallDeletion.after();
        let said = match deleted {
            Ok(()) | Err(CallError::Refused { status: 404 | 410, .. }) => {
                tracing::info!("recording `{id}` is deleted at source `{name}`: its notes are done");
                Deleted::Done
            }
            Err(error @ (CallError::Refused { .. } | CallError::File(_))) => self.refused(copy, &error),
            // It is asked for again when the vendor works.
            Err(error) => return Err(error.into()),
        };
        Ok(self.parts.queue.deleted(&name, id, said, clock::now()).await?)
    }

    fn refused(&self, copy: &Deletable, error: &CallError) -> Deleted {
        let (now, error, tries) = (clock::now(), one_line(&error.to_string(), 500), copy.tries + 1);
        if tries >= TRIES {
            let (name, id) = (self.name(), &copy.id);
            let told = format!("source `{name}` does not delete its copy of recording `{id}`: {error}");
            tracing::error!("{told}");
            return Deleted::Refused(format!("{told}\ndelete it at the vendor"));
        }
        let wait = backoff(self.parts.retry.delay, SLOWEST, tries, clock::jitter());
        Deleted::Later(now.saturating_add(wait).unwrap_or(Timestamp::MAX), error)
    }
}
