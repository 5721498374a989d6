//! The durable queue: the only user of rusqlite.
//!
//! One `SQLite` file in WAL mode with `synchronous=FULL`: what a call of this module has returned is on disk. One
//! connection writes, on a thread of its own; another one reads. A function here is one transaction, and the names of
//! the functions are the protocol of the queue.

mod backup;
mod claim;
mod clock;
mod command;
mod crash;
mod creations;
mod delivery;
mod delivery_end;
mod erase;
mod fetched;
mod folder;
mod forgotten;
mod history;
mod hold;
mod intake;
mod lock;
mod maintain;
#[cfg(test)]
mod model;
mod owner;
mod place;
mod put_off;
mod record;
mod request;
mod row;
mod schema;
mod sighting;
mod skip;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod thread;
mod view;
mod waits;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rusqlite::{OpenFlags, TransactionBehavior};

pub use backup::CopyPlace;
pub use claim::{AwaitedJob, JobFilter};
pub use clock::STEP_MIN;
pub use command::CommandError;
pub use crash::CRASHES_MAX;
pub use delivery::{Delivery, DeliveryKind, DeliveryState, Endings, Lane, NewDelivery, Written};
pub use erase::{Deletable, Deleted, FetchedView};
pub use fetched::{Fetching, Intent, Later, Met, Placing, Spot as FetchedSpot};
pub use folder::{LOST_AFTER, Root, Spot};
pub use forgotten::Forgotten;
pub use history::EventView;
pub use hold::{Hold, Notice, Scope};
pub use intake::Taken;
pub use lock::{LockError, READ_ONLY, StateLock};
pub use maintain::{FoundNotes, Unfinished};
pub use owner::{as_user, owner_of, sudo, user_name};
pub use put_off::PutOff;
pub use record::{Analysed, Because, Failure};
pub use request::{Asked, Wanted};
pub use row::{Job, JobId};
pub use sighting::{Settled, Sighting, Unplayable, Verdict};
pub use skip::SkipReason;
pub use view::{DeliveryView, JobView};
pub use waits::{Awaiting, HeldBy, Original};

use clock::Clock;
use creations::Creations;
use place::Place;
use thread::{Broken, Thread};

use crate::{effect::Effect, text::printable_path};

/// The name of the queue's file in the state directory.
pub const FILE: &str = "queue.sqlite";

/// The queue. Cheap to clone; every clone is the same queue.
#[derive(Debug, Clone)]
pub struct Queue {
    writer: Thread,
    reader: Thread,
    place: Arc<Place>,
    clock: Arc<Clock>,
    creations: Arc<Creations>,
    broken: Arc<Broken>,
    full: Arc<AtomicBool>,
}

/// Why the queue did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The file cannot be opened or is not a queue of this version.
    #[error("failed to open the queue `{path}`: {reason}")]
    Open {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        reason: String,
        /// Whether it stays so until a person acts: it is damaged, newer or not ours.
        lasts: bool,
    },
    /// A copy of the queue cannot be written.
    #[error("failed to copy the queue to `{path}`: {reason}")]
    Copy {
        /// Where to.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A recording has a job of the last generation that can be counted; nothing was written.
    #[error(
        "the recording cannot be redone: `{key}` is of the last generation that can be counted\nhint: copy it with another \
         tag or title, which makes it a recording of its own"
    )]
    Generations {
        /// The key of that job.
        key: String,
    },
    /// There is no room on the disk of the state directory.
    #[error("the disk of the queue is full")]
    Full,
    /// Another program holds the file locked; nothing was written.
    #[error("another program holds the queue's file locked")]
    Locked,
    /// The file was removed or replaced while it was in use: what is written there now is lost with the process.
    #[error(
        "the queue `{path}` was removed or replaced while it was in use\nhint: start minuted again: it looks first at \
         what the service and the notes on disk tell, and does nothing twice"
    )]
    Lost {
        /// The file.
        path: String,
    },
    /// The disk failed a read or a write: what is durable is not known any more, and only a restart can tell.
    #[error("the disk of the queue failed")]
    Disk(#[source] rusqlite::Error),
    /// Another state was expected: somebody else (a person's command) changed the job meanwhile.
    #[error("job {job} was changed by someone else meanwhile")]
    Moved {
        /// The job.
        job: JobId,
    },
    /// There is no such job.
    #[error("there is no job {job}")]
    NoSuchJob {
        /// The job.
        job: JobId,
    },
    /// The job's state does not allow it.
    #[error(transparent)]
    Illegal(#[from] crate::job::IllegalTransition),
    /// A row holds what this program never wrote.
    #[error("the queue holds an invalid {what}: `{value}`")]
    Corrupt {
        /// Which column.
        what: &'static str,
        /// Its value.
        value: String,
    },
    /// The queue's thread has ended.
    #[error("the queue is closed")]
    Closed,
    /// Anything else that `SQLite` says: a bug.
    #[error("the queue refused a statement")]
    Sql(#[source] rusqlite::Error),
}

impl QueueError {
    /// Returns whether a start fails on it again and again until a person acts.
    #[must_use]
    pub fn lasts(&self) -> bool {
        matches!(self, Self::Open { lasts: true, .. })
    }

    /// Returns whether the process must end and recover: going on could build on what is not durable.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Disk(_) | Self::Lost { .. } | Self::Closed | Self::Sql(_) | Self::Corrupt { .. } => true,
            Self::Open { .. }
            | Self::Copy { .. }
            | Self::Generations { .. }
            | Self::Full
            | Self::Locked
            | Self::Moved { .. }
            | Self::NoSuchJob { .. }
            | Self::Illegal(_) => false,
        }
    }

    /// Returns whether nothing was written, and the same may be tried again in a while.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full | Self::Locked)
    }

    /// Returns whether the queue itself is not to be trusted any more, whoever met the error: after a failed fsync the
    /// next one may succeed although the pages are gone.
    fn breaks(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Lost { .. })
    }

    /// Tells what broke the queue, with its cause and the cure.
    fn broken(&self) -> String {
        let cure = "hint: see what the kernel's log says of the disk; a new start finds out what is durable, and does \
                    nothing twice";
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}\n{cure}"),
            None => self.to_string(),
        }
    }
}

impl From<rusqlite::Error> for QueueError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        // The index of the write-ahead log is mapped into memory; that it cannot grow has a code of its own.
        let is_index = |error: &rusqlite::Error| {
            error.sqlite_error().is_some_and(|told| told.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::SystemIoFailure) if is_index(&error) => Self::Full,
            Some(ErrorCode::DatabaseBusy) => Self::Locked,
            Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Disk(error)
            }
            Some(_) | None => Self::Sql(error),
        }
    }
}

impl Queue {
    /// Opens the queue in `state_dir`, makes it when it is missing, and brings it to this version.
    ///
    /// # Errors
    /// [`QueueError::Open`] when the file is damaged, of a newer version, or cannot be opened; it is left as it is.
    pub fn open(state_dir: &Path) -> Result<Self, QueueError> {
        let path = state_dir.join(FILE);
        let open = || -> Result<Self, QueueError> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let length = std::fs::metadata(&path).map_or(0, |file| file.len());
            if length > 0 {
                schema::check_length(length)?;
                let connection = rusqlite::Connection::open_with_flags(&path, flags)?;
                schema::prepare_reader(&connection)?;
                schema::check(&connection)?;
            }
            Effect::Make.before();
            make_private(&path).map_err(|error| QueueError::Open {
                path: String::new(),
                reason: error.to_string(),
                lasts: false,
            })?;
            Effect::Make.after();
            let mut connection = rusqlite::Connection::open(&path)?;
            schema::prepare(&connection)?;
            schema::migrate(&mut connection)?;
            let broken = Arc::<Broken>::default();
            let place = Arc::new(Place::of(&path)?);
            let writer = Thread::start("queue-writer", connection, Arc::clone(&broken))?;
            let connection = rusqlite::Connection::open_with_flags(&path, flags)?;
            schema::prepare_reader(&connection)?;
            let reader = Thread::start("queue-reader", connection, Arc::clone(&broken))?;
            let creations = Arc::new(Creations::beside(state_dir));
            let full = Arc::default();
            Ok(Self { writer, reader, place, clock: Arc::default(), creations, broken, full })
        };
        let told = |reason: String, lasts| QueueError::Open { path: printable_path(&path), reason, lasts };
        open().map_err(|error| match error {
            QueueError::Open { reason, lasts, .. } => told(reason, lasts),
            QueueError::Disk(error) if place::is_failed_write(&error) && place::has_no_room(&path) => {
                told("its quota is used up\nhint: make room there and start again".into(), false)
            }
            QueueError::Disk(error) if schema::is_unreadable(&error) => {
                told(format!("{error}\n{}", schema::UNREADABLE), false)
            }
            QueueError::Disk(error) => told(format!("{error}\n{}", schema::DAMAGED), true),
            QueueError::Full => told("no space left on its disk\nhint: make room there and start again".into(), false),
            QueueError::Locked => {
                told("another program holds it locked\nhint: close that program, which `fuser -v` names".into(), false)
            }
            QueueError::Sql(error) => told(format!("{error}\n{}", schema::UNOPENED), false),
            other @ (QueueError::Copy { .. }
            | QueueError::Generations { .. }
            | QueueError::Lost { .. }
            | QueueError::Moved { .. }
            | QueueError::NoSuchJob { .. }
            | QueueError::Illegal(_)
            | QueueError::Corrupt { .. }
            | QueueError::Closed) => other,
        })
    }

    /// Runs `work` in one transaction on the writer's thread and commits it.
    async fn write<T: Send + 'static>(
        &self,
        effect: Effect,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let (place, clock) = (Arc::clone(&self.place), Arc::clone(&self.clock));
        let written = self
            .writer
            .call(move |connection| {
                place.check()?;
                let write = |connection: &mut rusqlite::Connection| {
                    clock.follow(connection)?;
                    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                    let result = work(&transaction)?;
                    effect.before();
                    transaction.commit()?;
                    effect.after();
                    Ok(result)
                };
                write(connection).map_err(|error| place.told(error))
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

    /// Returns what says that a commit found no room. Whoever sees that there is room again takes it back.
    #[must_use]
    pub fn full(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.full)
    }

    /// Opens one more connection that only reads, to the file that this queue has open.
    async fn another_reader(&self) -> Result<rusqlite::Connection, QueueError> {
        self.read(|connection| {
            let path = connection.path().unwrap_or_default().to_owned();
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let another = rusqlite::Connection::open_with_flags(path, flags)?;
            schema::prepare_reader(&another)?;
            Ok(another)
        })
        .await
    }

    /// Waits until the queue is not to be trusted any more, and returns why: only a new process can tell what is
    /// durable.
    pub async fn broken(&self) -> String {
        self.broken.wait().await
    }

    /// Runs `work` on the reader's thread: it sees what is committed.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.reader.call(move |connection| work(connection)).await
    }
}

/// Makes the file, if it is missing, readable by its owner alone; what SQLite puts beside it gets the same permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::File::options().append(true).create(true).mode(0o600).open(path).map(drop)
}
