//! Values of this program in columns: how each is written and read.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::{
    JobId, StoreError,
    sql::{FromValue, IntoValue, Row, Value},
};
use crate::{
    beneath::Stamp,
    config::Analysis,
    job::{
        Content, Details, EventKind, Findings, HoldReason, JobState, Key, Plan, Sound,
        SpeakerNames, Stage, WaitReason,
    },
};

/// Times are milliseconds since 1970, UTC.
impl IntoValue for Timestamp {
    fn value(&self) -> Value<'_> {
        Value::Integer(self.as_millisecond())
    }
}

impl FromValue for Timestamp {
    fn from_value(value: Value<'_>) -> Option<Self> {
        Self::from_millisecond(i64::from_value(value)?).ok()
    }
}

impl IntoValue for JobId {
    fn value(&self) -> Value<'_> {
        Value::Integer(self.0)
    }
}

impl FromValue for JobId {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(JobId)
    }
}

/// Paths are bytes, and not always UTF-8.
impl IntoValue for Path {
    fn value(&self) -> Value<'_> {
        Value::Blob(self.as_os_str().as_bytes())
    }
}

impl IntoValue for PathBuf {
    fn value(&self) -> Value<'_> {
        self.as_path().value()
    }
}

impl FromValue for PathBuf {
    fn from_value(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(bytes) = value {
            Some(OsString::from_vec(bytes.to_vec()).into())
        } else {
            None
        }
    }
}

/// Writes and reads values that have one word each.
macro_rules! words_in_columns {
    ($($name:ty),+) => { $(
        impl $crate::store::sql::IntoValue for $name {
            fn value(&self) -> $crate::store::sql::Value<'_> {
                $crate::store::sql::Value::Text(self.as_str())
            }
        }

        impl $crate::store::sql::FromValue for $name {
            fn from_value(value: $crate::store::sql::Value<'_>) -> Option<Self> {
                if let $crate::store::sql::Value::Text(word) = value { Self::parse(word) } else { None }
            }
        }
    )+ };
}
pub(super) use words_in_columns;

words_in_columns!(Analysis, EventKind, HoldReason, JobState, Stage, WaitReason);

/// Reads values that have a text form.
macro_rules! texts_in_columns {
    ($($name:ty),+) => { $(
        impl FromValue for $name {
            fn from_value(value: Value<'_>) -> Option<Self> {
                if let Value::Text(text) = value { text.parse().ok() } else { None }
            }
        }
    )+ };
}
texts_in_columns!(Content, Key, Sound);

impl IntoValue for Content {
    fn value(&self) -> Value<'_> {
        Value::Text(self.as_str())
    }
}

impl IntoValue for Sound {
    fn value(&self) -> Value<'_> {
        Value::Text(self.as_str())
    }
}

/// Reads values that are stored as JSON.
macro_rules! json_in_columns {
    ($($name:ty),+) => { $(
        impl FromValue for $name {
            fn from_value(value: Value<'_>) -> Option<Self> {
                if let Value::Text(text) = value { serde_json::from_str(text).ok() } else { None }
            }
        }
    )+ };
}
json_in_columns!(Details, Findings, Plan, SpeakerNames);

/// Returns a value as JSON, for a column.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Reads the three columns of a stamp.
pub(super) fn read_stamp(row: &Row<'_>) -> Result<Stamp, StoreError> {
    Ok(Stamp { size: row.get("size")?, mtime_ns: row.get("mtime_ns")?, inode: row.get("inode")? })
}
