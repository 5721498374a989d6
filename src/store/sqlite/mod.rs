//! The database in one `SQLite` file: the only user of rusqlite.
//!
//! The file is in WAL mode with `synchronous=FULL`: what is committed is on disk.

mod copy;
mod file;
mod schema;

use std::{ops::ControlFlow, path::Path, time::Duration};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, ToSql, ffi,
    types::{ToSqlOutput, ValueRef},
};

pub(super) use copy::check_copy;
#[cfg(test)]
pub(super) use schema::MIGRATIONS;

use self::file::{OpenedFile, has_no_room};
use super::{
    StoreError,
    error::Cause,
    sql::{Columns, Database, Each, Row, Value},
};
use crate::{effect::Effect, text::printable_path};

/// The longest that a statement waits for another program that holds the file locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements that a connection keeps: more than the daemon runs again and again.
const STATEMENTS_KEPT: usize = 64;

/// The connections to one file.
pub(super) struct Connections {
    /// The connection that writes.
    pub(super) writer: Box<dyn Database>,
    /// A connection that only reads.
    pub(super) reader: Box<dyn Database>,
}

/// Opens the file, makes it when it is missing, and brings it to this version.
///
/// # Errors
/// [`StoreError::Open`] when it is damaged, of a newer version, or cannot be opened; it is left as it is.
pub(super) fn open(path: &Path) -> Result<Connections, StoreError> {
    open_file(path).map_err(|error| explain_unopened(path, error))
}

fn open_file(path: &Path) -> Result<Connections, StoreError> {
    match check_file(path) {
        Err(error) if is_unfinished(&error) => {
            take_back_unfinished(path)?;
            check_file(path)?;
        }
        checked => checked?,
    }
    Effect::Make.before();
    make_private(path).map_err(|error| unopened(error.to_string()))?;
    Effect::Make.after();
    let connection = Connection::open(path).map_err(classify)?;
    schema::prepare(&connection)?;
    let mut writer = SqliteDatabase { connection, file: None };
    schema::migrate(&writer)?;
    let opened = OpenedFile::new(path).map_err(|error| unopened(error.to_string()))?;
    writer.file = Some(opened);
    let reader = SqliteDatabase { connection: open_reader(path)?, file: None };
    Ok(Connections { writer: Box::new(writer), reader: Box::new(reader) })
}

/// Checks a file that is there and not empty, without changing it.
fn check_file(path: &Path) -> Result<(), StoreError> {
    let length = std::fs::metadata(path).map_or(0, |file| file.len());
    if length > 0 {
        schema::check_length(length)?;
        schema::check(&open_reader(path)?)?;
    }
    Ok(())
}

/// Returns whether a process ended within a transaction that was not in the write-ahead log, as the
/// first ones of a new file are: a connection that only reads cannot take it back.
fn is_unfinished(error: &StoreError) -> bool {
    let StoreError::Sql(cause) = error else { return false };
    let error = cause.downcast_ref::<rusqlite::Error>();
    error.and_then(extended_code) == Some(ffi::SQLITE_READONLY_ROLLBACK)
}

/// Takes back the transaction within which a process ended.
fn take_back_unfinished(path: &Path) -> Result<(), StoreError> {
    let connection = Connection::open(path).map_err(classify)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(classify)
}

/// Opens a connection that only reads.
fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(classify)?;
    schema::prepare_reader(&connection)?;
    Ok(connection)
}

/// Returns the error of a file that cannot be opened for now.
fn unopened(reason: String) -> StoreError {
    StoreError::Open { path: String::new(), reason, hint: None, lasts: false }
}

/// Returns why a file is not opened, with its path and what a person can do.
fn explain_unopened(path: &Path, error: StoreError) -> StoreError {
    let open = |reason: String, hint, lasts| StoreError::Open {
        path: printable_path(path),
        reason,
        hint,
        lasts,
    };
    let make_room = Some("make room there and start again");
    match error {
        StoreError::Open { reason, hint, lasts, .. } => open(reason, hint, lasts),
        StoreError::Disk(cause) if is_failed_write(&cause) && has_no_room(path) => {
            open("its quota is used up".into(), make_room, false)
        }
        StoreError::Disk(cause) if is_unreadable(&cause) => {
            open(cause.to_string(), Some(schema::UNREADABLE), false)
        }
        StoreError::Disk(cause) => open(cause.to_string(), Some(schema::DAMAGED), true),
        StoreError::Full => open("no space left on its disk".into(), make_room, false),
        StoreError::Locked => open(
            "another program holds it locked".into(),
            Some("close that program, which `fuser -v` names"),
            false,
        ),
        StoreError::Sql(cause) => open(cause.to_string(), Some(schema::UNOPENED), false),
        other @ (StoreError::Copy { .. }
        | StoreError::Generations { .. }
        | StoreError::Lost { .. }
        | StoreError::Moved { .. }
        | StoreError::NoSuchJob { .. }
        | StoreError::Illegal(_)
        | StoreError::Corrupt { .. }
        | StoreError::Closed) => other,
    }
}

/// Makes the file, if it is missing, readable by its owner alone; what `SQLite` puts beside it gets
/// the same permissions.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::File::options().append(true).create(true).mode(0o600).open(path).map(drop)
}

/// A connection to the file.
struct SqliteDatabase {
    connection: Connection,
    /// The file that was opened; only where the connection writes.
    file: Option<OpenedFile>,
}

impl SqliteDatabase {
    /// Returns an error as the queue knows it. `SQLite` knows a full disk, but takes a quota that
    /// is used up for a disk that fails: a file beside the queue finds out which.
    fn explain(&self, error: rusqlite::Error) -> StoreError {
        match (classify(error), &self.file) {
            (StoreError::Disk(cause), Some(file))
                if is_failed_write(&cause) && file.has_no_room() =>
            {
                StoreError::Full
            }
            (error, _) => error,
        }
    }
}

impl Database for SqliteDatabase {
    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        let changed = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(rusqlite::params_from_iter(values)));
        changed.map_err(|error| self.explain(error))
    }

    fn query(&self, sql: &str, values: &[Value<'_>], each: Each<'_>) -> Result<(), StoreError> {
        let mut run = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(rusqlite::params_from_iter(values))?;
            while let Some(row) = rows.next()? {
                if each(&Row::new(row)).is_break() {
                    break;
                }
            }
            Ok(())
        };
        run().map_err(|error| self.explain(error))
    }

    fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(|error| self.explain(error))
    }

    fn begin_read(&self) -> Result<(), StoreError> {
        self.execute("BEGIN DEFERRED", &[]).map(drop)
    }

    fn begin_write(&self) -> Result<(), StoreError> {
        if let Some(file) = &self.file {
            file.check()?;
        }
        self.execute("BEGIN IMMEDIATE", &[]).map(drop)
    }

    fn commit(&self) -> Result<(), StoreError> {
        self.execute("COMMIT", &[]).map(drop)
    }

    fn rollback(&self) {
        // Some errors have ended the transaction already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::debug!(%error, "failed to take back a transaction");
        }
    }

    fn checkpoint(&self) -> Result<(), StoreError> {
        self.query("PRAGMA wal_checkpoint(TRUNCATE)", &[], &mut |_| ControlFlow::Continue(()))
    }

    fn open_reader(&self) -> Result<Box<dyn Database>, StoreError> {
        let path = self.connection.path().unwrap_or_default();
        let connection = open_reader(Path::new(path))?;
        Ok(Box::new(Self { connection, file: None }))
    }

    fn copy_to(&self, file: &Path) -> Result<(), Cause> {
        copy::copy(&self.connection, file).map_err(Cause::from)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Columns for rusqlite::Row<'_> {
    fn index_of(&self, name: &str) -> Option<usize> {
        self.as_ref().column_index(name).ok()
    }

    fn value_at(&self, index: usize) -> Option<Value<'_>> {
        match self.get_ref(index).ok()? {
            ValueRef::Null => Some(Value::Null),
            ValueRef::Integer(number) => Some(Value::Integer(number)),
            // No column of the queue holds one.
            ValueRef::Real(_) => None,
            ValueRef::Text(text) => std::str::from_utf8(text).ok().map(Value::Text),
            ValueRef::Blob(bytes) => Some(Value::Blob(bytes)),
        }
    }
}

/// Returns the error of the queue for one of `SQLite`, by what a caller can do about it.
fn classify(error: rusqlite::Error) -> StoreError {
    // The index of the write-ahead log is mapped into memory; that it cannot grow has a code of its
    // own.
    let is_index = extended_code(&error) == Some(ffi::SQLITE_IOERR_SHMSIZE);
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::SystemIoFailure) if is_index => StoreError::Full,
        Some(ErrorCode::DatabaseBusy) => StoreError::Locked,
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Disk(error.into())
        }
        Some(_) | None => StoreError::Sql(error.into()),
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

/// Returns whether a write failed, and nothing else: after a failed sync nothing is known of what
/// is on the disk.
fn is_failed_write(cause: &Cause) -> bool {
    let error = cause.downcast_ref::<rusqlite::Error>();
    error.and_then(extended_code) == Some(ffi::SQLITE_IOERR_WRITE)
}

/// Returns whether an error is of the disk, not of what is on it. A file that is shorter than it
/// should be is damaged.
fn is_unreadable(cause: &Cause) -> bool {
    cause.downcast_ref::<rusqlite::Error>().is_some_and(|error| {
        error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
            && extended_code(error) != Some(ffi::SQLITE_IOERR_SHORT_READ)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies a file, with its journal, out of a transaction that is under way: what a kill leaves.
    fn copy_unfinished(from: &Path, to: &Path) {
        let journal = |path: &Path| path.with_extension("sqlite-journal");
        std::fs::copy(from, to).expect("copied");
        std::fs::copy(journal(from), journal(to)).expect("there is a journal");
        assert!(std::fs::metadata(to).expect("there").len() > 0);
        let refused = check_file(to).expect_err("a reader cannot take it back");
        assert!(is_unfinished(&refused), "{refused}");
    }

    #[test]
    fn a_kill_before_the_write_ahead_log_leaves_a_queue_that_opens() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("queue.sqlite");
        let killed = directory.path().join("killed.sqlite");

        // While the file is made: nothing of it is there before.
        let making = Connection::open(&path).expect("opened");
        let fill = "PRAGMA cache_size = 2; BEGIN EXCLUSIVE; CREATE TABLE t (x);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
            INSERT INTO t SELECT randomblob(2000) FROM n";
        making.execute_batch(fill).expect("under way");
        copy_unfinished(&path, &killed);
        drop(open(&killed).expect("it is made once more"));
        drop(making);

        // A queue that is there.
        let path = directory.path().join("other.sqlite");
        drop(open(&path).expect("made"));
        let writing = Connection::open(&path).expect("opened");
        writing.execute_batch("PRAGMA journal_mode = DELETE").expect("set");
        writing.execute_batch(fill).expect("under way");
        let killed = directory.path().join("killed-2.sqlite");
        copy_unfinished(&path, &killed);
        let opened = open(&killed).expect("what was begun is taken back");
        let is_there = "SELECT 1 FROM sqlite_schema WHERE name = 't'";
        let mut tables = 0;
        let count = &mut |_: &Row<'_>| {
            tables += 1;
            ControlFlow::Continue(())
        };
        opened.reader.query(is_there, &[], count).expect("read");
        assert_eq!(tables, 0);
    }
}
