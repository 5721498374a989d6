//! Values that are remembered under a name.

use super::{
    Maintenance, StoreError,
    sql::{Transaction, params},
};
use crate::effect::Effect;

impl Maintenance<'_> {
    /// Returns a remembered value.
    pub async fn recall(self, name: &'static str) -> Result<Option<String>, StoreError> {
        self.0.read(move |tx| recall(tx, name)).await
    }

    /// Remembers a value.
    pub async fn remember(self, name: impl Into<String>, value: String) -> Result<(), StoreError> {
        let name = name.into();
        self.0.write(Effect::Remember, move |tx| remember(tx, &name, &value)).await
    }
}

/// Reads the value of a name.
pub(super) fn recall(tx: &Transaction<'_>, name: &str) -> Result<Option<String>, StoreError> {
    tx.find_value("SELECT value FROM meta WHERE name = ?1", params![name])
}

/// Writes the value of a name.
pub(super) fn remember(tx: &Transaction<'_>, name: &str, value: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
    tx.execute(sql, params![name, value]).map(drop)
}
