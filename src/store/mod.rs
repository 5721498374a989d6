//! The store: the database of the durable queue.
//!
//! A result that a call of this module has returned is on disk. One connection writes, on a thread
//! of its own; another one reads. A function here is one transaction, and the names of the
//! functions are the protocol of the queue.

mod announce;
mod backup;
mod claim;
mod clock;
mod command;
mod crash;
mod creations;
mod daily_limits;
mod deferred;
mod deletions;
mod deliveries;
mod delivery_end;
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
mod maintenance;
mod meta;
#[cfg(test)]
mod model;
mod notifications;
mod original;
mod owner;
mod placing;
mod record;
mod reports;
mod requests;
mod retention;
mod row;
mod settled;
mod sightings;
mod skip;
mod speakers;
mod sql;
mod sqlite;
mod tally;
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
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

pub(crate) use announce::{EventFacts, Subscriber};
pub(crate) use backup::CopyPlace;
pub(crate) use claim::{ClaimRequest, JobFilter};
pub(crate) use clock::STEP_MIN;
pub(crate) use crash::CRASHES_MAX;
pub(crate) use daily_limits::{DailyLimits, DayUsage, LimitedJobs};
pub(crate) use deferred::DeferredJobs;
pub(crate) use deletions::{Deletable, Deleted, DeletionState, FetchedView};
pub(crate) use deliveries::{
    Delivery, DeliveryKind, DeliveryState, Endings, Lane, NewDelivery, PostDelivery, RemoteCleanup,
    Written,
};
pub(crate) use error::{CommandError, StoreError};
pub(crate) use evidence::FoundNotes;
pub(crate) use fetched::{FetchedFile, FetchedState, Fetching, Intent, Later, SourceState};
pub(crate) use folders::{FolderRoot, LOST_AFTER};
pub(crate) use forgotten::Forgotten;
pub(crate) use holds::{Hold, Scope};
pub(crate) use job_id::JobId;
pub(crate) use jobs::Job;
pub(crate) use lock::{LockError, READ_ONLY, StateLock};
pub(crate) use notifications::Notification;
pub(crate) use original::OriginalJob;
pub use owner::user_name;
pub(crate) use owner::{as_user, owner_of, sudo};
pub(crate) use placing::Placing;
pub(crate) use record::{Analysed, DeferReason, Failure};
pub(crate) use requests::{ResultRequest, WantedResults};
pub(crate) use retention::{ExpiringRecording, RetentionFacts, RetentionOutcome};
pub(crate) use settled::{Settled, Unplayable};
pub(crate) use sightings::{FileVerdict, Sighting};
pub(crate) use skip::SkipReason;
pub(crate) use speakers::{GivenNames, WrittenNotes};
pub(crate) use tally::{EndedJob, EndedStage, RecentEnd, Tally};
pub(crate) use view::{AwaitedAnalysis, DeliveryView, HeldBy, JobQuery, JobView};

use announce::Subscribers;
use clock::Clock;
use creations::Creations;
use prometheus_client::metrics::histogram::Histogram;
use sql::{Database, Transaction};
use thread::{Broken, Thread};
use tokio::sync::Notify;

use crate::{effect::Effect, hint::Hinted};

/// The name of the queue's file in the state directory.
pub(crate) const FILE: &str = "queue.sqlite";

/// The queue. Cheap to clone; every clone is the same queue.
#[derive(Debug, Clone)]
pub struct Store {
    writer: Thread,
    reader: Thread,
    clock: Arc<Clock>,
    creations: Arc<Creations>,
    broken: Arc<Broken>,
    full: Arc<AtomicBool>,
    subscribers: Arc<Subscribers>,
    /// Signals that a notification is due.
    announced: Arc<Notify>,
    /// How many transactions this process has committed.
    version: Arc<AtomicU64>,
    /// How long commits take, in seconds.
    commit_seconds: Histogram,
}

/// The bounds of the histogram of commits, in seconds: a memory card takes a hundred times as long as an SSD.
const COMMIT_BOUNDS: [f64; 7] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];

impl Store {
    /// Opens the queue in `state_dir`, makes it when it is missing, and brings it to this version.
    ///
    /// # Errors
    /// [`StoreError::Open`] when the file is damaged, of a newer version, or cannot be opened; it is left as it is.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        let connections = sqlite::open(&state_dir.join(FILE))?;
        let broken = Arc::<Broken>::default();
        Ok(Self {
            writer: Thread::start("queue-writer", connections.writer, Arc::clone(&broken))?,
            reader: Thread::start("queue-reader", connections.reader, Arc::clone(&broken))?,
            clock: Arc::default(),
            creations: Arc::new(Creations::beside(state_dir)),
            broken,
            full: Arc::default(),
            subscribers: Arc::default(),
            announced: Arc::default(),
            version: Arc::default(),
            commit_seconds: Histogram::new(COMMIT_BOUNDS),
        })
    }

    /// The jobs: views, the claim, and the commands of people.
    #[must_use]
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(self)
    }

    /// The records of the stages of a job: intents, results and failures.
    #[must_use]
    pub fn stages(&self) -> Stages<'_> {
        Stages(self)
    }

    /// The files in folders: how they were seen, and how they become jobs.
    #[must_use]
    pub fn files(&self) -> Files<'_> {
        Files(self)
    }

    /// The folders themselves, and what waits for them.
    #[must_use]
    pub fn folders(&self) -> Folders<'_> {
        Folders(self)
    }

    /// The deliveries of jobs.
    #[must_use]
    pub fn deliveries(&self) -> Deliveries<'_> {
        Deliveries(self)
    }

    /// The recordings that are deleted a while after their notes were delivered.
    #[must_use]
    pub fn retention(&self) -> Retention<'_> {
        Retention(self)
    }

    /// The holds, which keep work back, and the notices to the operator.
    #[must_use]
    pub fn holds(&self) -> Holds<'_> {
        Holds(self)
    }

    /// The recordings that sources keep elsewhere.
    #[must_use]
    pub fn sources(&self) -> Sources<'_> {
        Sources(self)
    }

    /// The notifications.
    #[must_use]
    pub fn notifications(&self) -> Notifications<'_> {
        Notifications(self)
    }

    /// Has these notifiers told of what happens from now on.
    pub(crate) fn set_subscribers(&self, subscribers: Vec<Subscriber>) {
        self.subscribers.replace(subscribers);
    }

    /// Returns the signal that a notification is due.
    #[must_use]
    pub(crate) fn announced(&self) -> &Notify {
        &self.announced
    }

    /// The upkeep of the queue, and the evidence for one that is new or restored.
    #[must_use]
    pub fn maintenance(&self) -> Maintenance<'_> {
        Maintenance(self)
    }

    /// Runs `work` in one transaction on the writer's thread and commits it.
    async fn write<T: Send + 'static>(
        &self,
        effect: Effect,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let clock = Arc::clone(&self.clock);
        // The times that `work` carries are of the clock as it stands now, though the thread may get to it after it was set.
        let lead = crate::clock::lead();
        let commit_seconds = self.commit_seconds.clone();
        let subscribers = self.subscribers.current();
        let written = self
            .writer
            .call(move |database| {
                clock.follow(database, lead)?;
                let transaction = Transaction::begin_write(database)?.with_subscribers(subscribers);
                let result = work(&transaction)?;
                let is_announced = transaction.is_announced();
                effect.before();
                let begun = Instant::now();
                transaction.commit()?;
                commit_seconds.observe(begun.elapsed().as_secs_f64());
                effect.after();
                Ok((result, is_announced))
            })
            .await
            .map(|(result, is_announced)| {
                self.version.fetch_add(1, Ordering::Relaxed);
                if is_announced {
                    self.announced.notify_one();
                }
                result
            });
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
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reader.call(move |database| work(&Transaction::begin_read(database)?)).await
    }

    /// Opens one more connection that only reads.
    async fn open_reader(&self) -> Result<Box<dyn Database>, StoreError> {
        self.reader.call(|database| database.open_reader()).await
    }

    /// Moves what is in the write-ahead log into the file itself, so that a stopped queue is one
    /// file.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        let checkpoint = |database: &dyn Database| {
            Effect::Checkpoint.before();
            database.checkpoint()?;
            Effect::Checkpoint.after();
            Ok(())
        };
        self.writer.call(checkpoint).await
    }

    /// Returns the flag which says that a commit found no room. Whoever sees that there is room
    /// again takes it back.
    #[must_use]
    pub fn full(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.full)
    }

    /// Returns how many times this process has written the queue.
    #[must_use]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Returns how long commits of this process took, in seconds.
    #[must_use]
    pub(crate) fn commit_seconds(&self) -> Histogram {
        self.commit_seconds.clone()
    }

    /// Waits until the queue is not to be trusted any more, and returns why: only a new process can
    /// tell what is durable.
    pub(crate) async fn broken(&self) -> Hinted {
        self.broken.wait().await
    }
}

/// The jobs: views, the claim, and the commands of people.
#[derive(Debug, Clone, Copy)]
pub struct Jobs<'q>(&'q Store);

/// The records of the stages of a job: intents, results and failures.
#[derive(Debug, Clone, Copy)]
pub struct Stages<'q>(&'q Store);

/// The files in folders: how they were seen, and how they become jobs.
#[derive(Debug, Clone, Copy)]
pub struct Files<'q>(&'q Store);

/// The folders themselves, and what waits for them.
#[derive(Debug, Clone, Copy)]
pub struct Folders<'q>(&'q Store);

/// The deliveries of jobs.
#[derive(Debug, Clone, Copy)]
pub struct Deliveries<'q>(&'q Store);

/// The recordings that are deleted a while after their notes were delivered.
#[derive(Debug, Clone, Copy)]
pub struct Retention<'q>(&'q Store);

/// The holds, which keep work back, and the notices to the operator.
#[derive(Debug, Clone, Copy)]
pub struct Holds<'q>(&'q Store);

/// The notifications: what notifiers are told.
#[derive(Debug, Clone, Copy)]
pub struct Notifications<'q>(&'q Store);

/// The recordings that sources keep elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'q>(&'q Store);

/// The upkeep of the queue, and the evidence for one that is new or restored.
#[derive(Debug, Clone, Copy)]
pub struct Maintenance<'q>(&'q Store);
