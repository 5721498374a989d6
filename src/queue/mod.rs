//! The durable queue.
//!
//! What a call of this module has returned is on disk. One
//! connection writes, on a thread of its own; another one reads. A function here is one transaction, and the names of
//! the functions are the protocol of the queue.

mod backup;
mod claim;
mod clock;
mod command;
mod crash;
mod creations;
mod deliveries;
mod delivery_end;
mod erase;
mod error;
mod evidence;
mod fetched;
mod finished;
mod folders;
mod forgotten;
mod history;
mod holds;
mod intake;
mod job_id;
mod jobs;
mod lock;
mod maintain;
mod meta;
#[cfg(test)]
mod model;
mod owner;
mod put_off;
mod record;
mod reports;
mod requests;
mod row;
mod settled;
mod sightings;
mod skip;
mod sql;
mod sqlite;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod thread;
mod transition;
mod view;
mod waits;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub use backup::CopyPlace;
pub use claim::{AwaitedJob, JobFilter};
pub use clock::STEP_MIN;
pub use crash::CRASHES_MAX;
pub use deliveries::{Delivery, DeliveryKind, DeliveryState, Endings, Lane, NewDelivery, Written};
pub use erase::{Deletable, Deleted, FetchedView};
pub use error::{CommandError, QueueError};
pub use evidence::FoundNotes;
pub use fetched::{Fetching, Intent, Later, Met, Placing, Spot as FetchedSpot};
pub use folders::{LOST_AFTER, Root, Spot};
pub use forgotten::Forgotten;
pub use history::EventView;
pub use holds::{Hold, Notice, Scope};
pub use intake::Taken;
pub use job_id::JobId;
pub use jobs::Job;
pub use lock::{LockError, READ_ONLY, StateLock};
pub use maintain::Unfinished;
pub use owner::{as_user, owner_of, sudo, user_name};
pub use put_off::PutOff;
pub use record::{Analysed, Because, Failure};
pub use requests::{Asked, Wanted};
pub use settled::{Settled, Unplayable};
pub use sightings::{Sighting, Verdict};
pub use skip::SkipReason;
pub use view::{DeliveryView, JobView};
pub use waits::{Awaiting, HeldBy, Original};

use clock::Clock;
use creations::Creations;
use sql::{Database, Transaction};
use thread::{Broken, Thread};

use crate::effect::Effect;

/// The name of the queue's file in the state directory.
pub const FILE: &str = "queue.sqlite";

/// The queue. Cheap to clone; every clone is the same queue.
#[derive(Debug, Clone)]
pub struct Queue {
    writer: Thread,
    reader: Thread,
    clock: Arc<Clock>,
    creations: Arc<Creations>,
    broken: Arc<Broken>,
    full: Arc<AtomicBool>,
}

impl Queue {
    /// Opens the queue in `state_dir`, makes it when it is missing, and brings it to this version.
    ///
    /// # Errors
    /// [`QueueError::Open`] when the file is damaged, of a newer version, or cannot be opened; it is left as it is.
    pub fn open(state_dir: &Path) -> Result<Self, QueueError> {
        let connections = sqlite::open(&state_dir.join(FILE))?;
        let broken = Arc::<Broken>::default();
        Ok(Self {
            writer: Thread::start("queue-writer", connections.writer, Arc::clone(&broken))?,
            reader: Thread::start("queue-reader", connections.reader, Arc::clone(&broken))?,
            clock: Arc::default(),
            creations: Arc::new(Creations::beside(state_dir)),
            broken,
            full: Arc::default(),
        })
    }

    /// Runs `work` in one transaction on the writer's thread and commits it.
    async fn write<T: Send + 'static>(
        &self,
        effect: Effect,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let clock = Arc::clone(&self.clock);
        let written = self
            .writer
            .call(move |database| {
                clock.follow(database)?;
                let transaction = Transaction::begin_write(database)?;
                let result = work(&transaction)?;
                effect.before();
                transaction.commit()?;
                effect.after();
                Ok(result)
            })
            .await;
        if let Err(error) = &written
            && error.is_passing()
            && !self.full.swap(true, Ordering::Relaxed)
        {
            tracing::error!("{error}: new work stops until it can be written");
        }
        written
    }

    /// Runs `work` on the reader's thread: it sees what is committed.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.reader.call(move |database| work(&Transaction::begin_read(database)?)).await
    }

    /// Opens one more connection that only reads.
    async fn open_reader(&self) -> Result<Box<dyn Database>, QueueError> {
        self.reader.call(|database| database.open_reader()).await
    }

    /// Returns the flag which says that a commit found no room. Whoever sees that there is room again takes it back.
    #[must_use]
    pub fn full(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.full)
    }

    /// Waits until the queue is not to be trusted any more, and returns why: only a new process can tell what is
    /// durable.
    pub async fn broken(&self) -> String {
        self.broken.wait().await
    }
}
