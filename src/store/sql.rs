//! The seam to the database: statements with numbered parameters (`?1`), and the values of their
//! rows.
//!
//! All of this room but `sqlite/` knows the database by these types alone. Times and numbers come
//! in as parameters, and statements are plain SQL: what only one database can do is a method of
//! [`Database`].

use std::{cell::Cell, ops::ControlFlow, path::Path, sync::Arc};

use super::{StoreError, announce::Subscriber, error::Cause};

/// A value of a parameter or of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'v> {
    Null,
    Integer(i64),
    Text(&'v str),
    Blob(&'v [u8]),
}

impl Value<'_> {
    /// Returns the value as an error shows it.
    fn shown(self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => text.to_owned(),
            Self::Blob(bytes) => format!("{} bytes", bytes.len()),
        }
    }
}

/// A connection to a database. The thread that has it runs one transaction at a time.
pub(super) trait Database: Send {
    /// Runs a statement; returns how many rows it has changed.
    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, StoreError>;

    /// Runs a statement and hands its rows over, until `each` breaks off.
    fn query(&self, sql: &str, values: &[Value<'_>], each: Each<'_>) -> Result<(), StoreError>;

    /// Runs several statements without parameters.
    fn batch(&self, sql: &str) -> Result<(), StoreError>;

    /// Begins a transaction that sees one state of the database, and writes nothing.
    fn begin_read(&self) -> Result<(), StoreError>;

    /// Begins a transaction beside which no other one writes.
    fn begin_write(&self) -> Result<(), StoreError>;

    /// Makes what the transaction has written durable.
    fn commit(&self) -> Result<(), StoreError>;

    /// Takes back what the transaction has written. Nothing is to be done about an error.
    fn rollback(&self);

    /// Moves what is in a log beside the file into the file itself.
    fn checkpoint(&self) -> Result<(), StoreError>;

    /// Opens one more connection, which only reads, to the same database.
    fn open_reader(&self) -> Result<Box<dyn Database>, StoreError>;

    /// Writes a consistent copy into a file that is there and empty.
    fn copy_to(&self, file: &Path) -> Result<(), Cause>;
}

/// The reader of one row after another.
pub(super) type Each<'e> = &'e mut dyn FnMut(&Row<'_>) -> ControlFlow<()>;

/// The columns of a row, as a database has them.
pub(super) trait Columns {
    /// Returns the index of a column.
    fn index_of(&self, name: &str) -> Option<usize>;

    /// Returns a value; `None` for a column that is not there, and for text that is not UTF-8.
    fn value_at(&self, index: usize) -> Option<Value<'_>>;
}

/// A row that a statement has found.
pub(super) struct Row<'r>(&'r dyn Columns);

impl<'r> Row<'r> {
    pub(super) fn new(columns: &'r dyn Columns) -> Self {
        Self(columns)
    }

    /// Reads a column.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a value that this program never wrote.
    pub(super) fn get<T: FromValue>(&self, column: &'static str) -> Result<T, StoreError> {
        self.read(self.0.index_of(column), column)
    }

    fn read<T: FromValue>(
        &self,
        index: Option<usize>,
        what: &'static str,
    ) -> Result<T, StoreError> {
        let value = index.and_then(|index| self.0.value_at(index));
        let read = value.and_then(T::from_value);
        read.ok_or_else(|| StoreError::Corrupt {
            what,
            value: value.map(Value::shown).unwrap_or_default(),
        })
    }
}

/// Reads the only column that a statement asks for.
fn read_only_column<T: FromValue>(row: &Row<'_>) -> Result<T, StoreError> {
    row.read(Some(0), "value")
}

/// A transaction; what it has written is taken back unless it is committed.
pub(super) struct Transaction<'d> {
    database: &'d dyn Database,
    is_open: bool,
    /// Who is told of what happens in it.
    subscribers: Arc<[Subscriber]>,
    /// True once it has written a notification.
    is_announced: Cell<bool>,
}

impl<'d> Transaction<'d> {
    /// Begins a transaction that only reads.
    pub(super) fn begin_read(database: &'d dyn Database) -> Result<Self, StoreError> {
        database.begin_read().map(|()| Self::new(database))
    }

    /// Begins a transaction beside which no other one writes.
    pub(super) fn begin_write(database: &'d dyn Database) -> Result<Self, StoreError> {
        database.begin_write().map(|()| Self::new(database))
    }

    fn new(database: &'d dyn Database) -> Self {
        let subscribers = Arc::default();
        Self { database, is_open: true, subscribers, is_announced: Cell::new(false) }
    }

    /// Has the subscribers told of what happens in it.
    pub(super) fn with_subscribers(mut self, subscribers: Arc<[Subscriber]>) -> Self {
        self.subscribers = subscribers;
        self
    }

    /// Returns who is told of what happens in it.
    pub(super) fn subscribers(&self) -> &[Subscriber] {
        &self.subscribers
    }

    /// Notes that it makes a notification due.
    pub(super) fn mark_announced(&self) {
        self.is_announced.set(true);
    }

    /// Returns whether it makes a notification due.
    pub(super) fn is_announced(&self) -> bool {
        self.is_announced.get()
    }

    /// Ends the transaction; what it has written is on disk.
    pub(super) fn commit(mut self) -> Result<(), StoreError> {
        self.database.commit()?;
        self.is_open = false;
        Ok(())
    }

    /// Runs a statement; returns how many rows it has changed.
    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        self.database.execute(sql, values)
    }

    /// Runs several statements without parameters.
    pub(super) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.database.batch(sql)
    }

    /// Reads the first row that a statement finds.
    pub(super) fn query_row<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut read = Some(read);
        let mut found = None;
        self.database.query(sql, values, &mut |row| {
            found = read.take().map(|read| read(row));
            ControlFlow::Break(())
        })?;
        found.transpose()
    }

    /// Reads all rows that a statement finds.
    pub(super) fn query_rows<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        let mut failed = None;
        self.database.query(sql, values, &mut |row| match read(row) {
            Ok(value) => {
                found.push(value);
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(found), Err)
    }

    /// Reads the value that a statement of one column always finds, such as a count.
    pub(super) fn query_value<T: FromValue>(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<T, StoreError> {
        let missing = || StoreError::Corrupt { what: "answer", value: sql.to_owned() };
        self.query_row(sql, values, read_only_column)?.ok_or_else(missing)
    }

    /// Reads the value of the first row of one column, where there is a row.
    pub(super) fn find_value<T: FromValue>(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        self.query_row(sql, values, read_only_column)
    }

    /// Reads the values of one column.
    pub(super) fn query_values<T: FromValue>(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        self.query_rows(sql, values, read_only_column)
    }

    /// Returns whether a statement finds any row.
    pub(super) fn exists(&self, sql: &str, values: &[Value<'_>]) -> Result<bool, StoreError> {
        Ok(self.query_row(sql, values, |_| Ok(()))?.is_some())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.database.rollback();
        }
    }
}

/// A type of parameters.
pub(super) trait IntoValue {
    /// Returns the value that is written.
    fn value(&self) -> Value<'_>;
}

/// A type of columns.
pub(super) trait FromValue: Sized {
    /// Returns what was written; `None` for a value that cannot have been.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

/// Makes the parameters of a statement, in the order of their numbers.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::sql::IntoValue::value(&$value)),*] };
}
pub(super) use params;

impl<T: IntoValue + ?Sized> IntoValue for &T {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

impl<T: IntoValue> IntoValue for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, IntoValue::value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::from_value(value).map(Some) }
    }
}

impl IntoValue for i64 {
    fn value(&self) -> Value<'_> {
        Value::Integer(*self)
    }
}

impl FromValue for i64 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Integer(number) = value { Some(number) } else { None }
    }
}

impl IntoValue for u32 {
    fn value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl FromValue for u32 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

/// Databases have no unsigned numbers: sizes and inodes keep their bits.
impl IntoValue for u64 {
    fn value(&self) -> Value<'_> {
        Value::Integer(self.cast_signed())
    }
}

impl FromValue for u64 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(i64::cast_unsigned)
    }
}

/// A limit: more than any table has is as good as all.
impl IntoValue for usize {
    fn value(&self) -> Value<'_> {
        Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl IntoValue for bool {
    fn value(&self) -> Value<'_> {
        Value::Integer(i64::from(*self))
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl IntoValue for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl IntoValue for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.to_owned()) } else { None }
    }
}
