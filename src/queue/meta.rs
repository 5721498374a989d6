//! Values that are remembered under a name.

use super::{
    Queue, QueueError,
    sql::{Transaction, params},
};
use crate::effect::Effect;

impl Queue {
    /// Returns a remembered value.
    pub async fn remembered(&self, name: &'static str) -> Result<Option<String>, QueueError> {
        self.read(move |tx| recall(tx, name)).await
    }

    /// Remembers a value.
    pub async fn remember(&self, name: impl Into<String>, value: String) -> Result<(), QueueError> {
        let name = name.into();
        self.write(Effect::Remember, move |tx| store(tx, &name, &value)).await
    }
}

/// Reads the value of a name.
pub(super) fn recall(tx: &Transaction<'_>, name: &str) -> Result<Option<String>, QueueError> {
    tx.find_value("SELECT value FROM meta WHERE name = ?1", params![name])
}

/// Writes the value of a name.
pub(super) fn store(tx: &Transaction<'_>, name: &str, value: &str) -> Result<(), QueueError> {
    let sql = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    tx.execute(sql, params![name, value]).map(drop)
}
