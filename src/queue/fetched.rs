//! What sources keep elsewhere: one row a recording, for ever.

use rusqlite::OptionalExtension as _;

use super::{Queue, QueueError};
use crate::job::{Details, Key};

impl Queue {
    /// Returns what a source knows of the recording of this content in this folder, with the name of the source.
    pub async fn source_details(&self, key: &Key) -> Result<Option<(String, Details)>, QueueError> {
        let (content, folder) = (key.content.as_str().to_owned(), key.folder.clone());
        self.read(move |connection| {
            let found: Option<(String, String)> = connection
                .prepare_cached(
                    "SELECT source, details FROM fetched WHERE content = ?1 AND folder = ?2 ORDER BY found_ms LIMIT 1",
                )?
                .query_row([&content, &folder], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            found
                .map(|(source, details)| match serde_json::from_str(&details) {
                    Ok(details) => Ok((source, details)),
                    Err(_) => Err(QueueError::Corrupt { what: "details", value: details }),
                })
                .transpose()
        })
        .await
    }
}
