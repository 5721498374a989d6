//! The durable queue: the only user of rusqlite.
//!
//! One `SQLite` file in WAL mode with `synchronous=FULL`: what a call of this module has returned is on disk. One
//! connection writes, on a thread of its own; another one reads. A function here is one transaction, and the names of
//! the functions are the protocol of the queue.

mod claim;
mod command;
mod crash;
mod delivery;
mod folder;
mod hold;
mod intake;
mod lock;
mod maintain;
#[cfg(test)]
mod model;
mod record;
mod request;
mod row;
mod schema;
mod sighting;
#[cfg(test)]
mod tests;
mod thread;
mod view;

use std::path::Path;

use rusqlite::{OpenFlags, TransactionBehavior};

pub use command::CommandError;
pub use crash::CRASHES_MAX;
pub use delivery::{Delivery, DeliveryKind, NewDelivery, Written};
pub use hold::{Hold, Notice, Scope};
pub use intake::Taken;
pub use lock::{LockError, StateLock};
pub use maintain::Unfinished;
pub use record::{Analysed, Failure};
pub use request::Asked;
pub use row::{Job, JobId};
pub use sighting::{Settled, Sighting, Unplayable, Verdict};
pub use view::{DeliveryView, EventView, JobView};

use thread::Thread;

use crate::effect::Effect;

/// The name of the queue's file in the state directory.
pub const FILE: &str = "queue.sqlite";

/// The queue. Cheap to clone; every clone is the same queue.
#[derive(Debug, Clone)]
pub struct Queue {
    writer: Thread,
    reader: Thread,
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
    },
    /// A copy of the queue cannot be written.
    #[error("failed to copy the queue to `{path}`: {reason}")]
    Copy {
        /// Where to.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no room on the disk of the state directory.
    #[error("the disk of the queue is full")]
    Full,
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
    /// Returns whether the process must end and recover: going on could build on what is not durable.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Disk(_) | Self::Closed | Self::Sql(_) | Self::Corrupt { .. } => true,
            Self::Open { .. }
            | Self::Copy { .. }
            | Self::Full
            | Self::Moved { .. }
            | Self::NoSuchJob { .. }
            | Self::Illegal(_) => false,
        }
    }
}

impl From<rusqlite::Error> for QueueError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
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
            if std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
                let connection = rusqlite::Connection::open_with_flags(&path, flags)?;
                schema::prepare_reader(&connection)?;
                schema::check(&connection)?;
            }
            Effect::Make.before();
            make_private(&path).map_err(|error| QueueError::Open { path: String::new(), reason: error.to_string() })?;
            Effect::Make.after();
            let mut connection = rusqlite::Connection::open(&path)?;
            schema::prepare(&connection)?;
            schema::migrate(&mut connection)?;
            let writer = Thread::start("queue-writer", connection)?;
            let connection = rusqlite::Connection::open_with_flags(&path, flags)?;
            schema::prepare_reader(&connection)?;
            let reader = Thread::start("queue-reader", connection)?;
            Ok(Self { writer, reader })
        };
        let told = |reason: String| QueueError::Open { path: path.display().to_string(), reason };
        open().map_err(|error| match error {
            QueueError::Open { reason, .. } => told(reason),
            QueueError::Disk(error) => told(format!("{error}\n{}", schema::DAMAGED)),
            QueueError::Full => told("no space left on its disk".into()),
            QueueError::Sql(error) => told(error.to_string()),
            other @ (QueueError::Copy { .. }
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
        self.writer
            .call(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let result = work(&transaction)?;
                effect.before();
                transaction.commit()?;
                effect.after();
                Ok(result)
            })
            .await
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
