//! Keys that the services' lists and the notes on disk name, for a queue that is new or restored.

use super::{
    Maintenance, StoreError,
    sql::{Transaction, params},
};
use crate::{
    effect::Effect,
    job::{Content, Key, Sound},
};

/// Notes on disk that name their job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundNotes {
    /// The job.
    pub key: Key,
    /// Their path, for display.
    pub path: String,
    /// True if they lack what failed: the job was begun and is not done.
    pub partial: bool,
    /// The name of the recording's sound, where they say it.
    pub sound: Option<Sound>,
}

impl Maintenance<'_> {
    /// Records the keys that a walk of the service's list has found, with their meetings.
    pub async fn take_markers(
        self,
        service: &str,
        markers: Vec<(Key, String)>,
    ) -> Result<(), StoreError> {
        let service = service.to_owned();
        self.0
            .write(Effect::TakeMarkers, move |tx| {
                for (key, meeting) in markers {
                    let key = key.to_string();
                    tx.execute(
                        "INSERT INTO evidence (key, service, meeting_id) VALUES (?1, ?2, ?3) ON CONFLICT (key) \
                     DO UPDATE SET service = ?2, meeting_id = coalesce(evidence.meeting_id, ?3)",
                        params![key, service, meeting],
                    )?;
                    // A recording that was taken in before the list was read: its mails may have
                    // gone out long ago.
                    let sql = "UPDATE job SET mail_held = 1 WHERE key = ?1 AND remote = 'nothing'";
                    tx.execute(sql, params![key])?;
                }
                Ok(())
            })
            .await
    }

    /// Records the keys that notes on disk name, with the paths of the notes.
    pub async fn take_notes(self, notes: Vec<FoundNotes>) -> Result<(), StoreError> {
        self.0
            .write(Effect::TakeNotes, move |tx| {
                for found in notes {
                    let whole = Some(found.path).filter(|_| !found.partial);
                    tx.execute(
                        "INSERT INTO evidence (key, notes, sound) VALUES (?1, ?2, ?3) ON CONFLICT (key) \
                     DO UPDATE SET notes = coalesce(?2, evidence.notes), sound = coalesce(?3, evidence.sound)",
                        params![found.key.to_string(), whole, found.sound],
                    )?;
                }
                Ok(())
            })
            .await
    }

    /// Returns the meeting that a walk of `service`'s list found for `key`.
    pub async fn find_meeting(
        self,
        key: &Key,
        service: &str,
    ) -> Result<Option<String>, StoreError> {
        let key = key.to_string();
        let service = service.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT meeting_id FROM evidence WHERE key = ?1 AND service = ?2";
                Ok(tx.find_value::<Option<String>>(sql, params![key, service])?.flatten())
            })
            .await
    }
}

/// Returns the highest generation of a content that is known from outside, with the place of its
/// notes.
pub(super) fn find_evidence(
    tx: &Transaction<'_>,
    content: &Content,
    folder: &str,
) -> Result<Option<(Key, Option<String>)>, StoreError> {
    let first = format!("{content}.{folder}.");
    let last = format!("{first}{}", char::MAX);
    let sql = "SELECT key, notes FROM evidence WHERE key >= ?1 AND key < ?2";
    let found = tx.query_rows(sql, params![first, last], |row| {
        Ok((row.get::<String>("key")?, row.get::<Option<String>>("notes")?))
    })?;
    Ok(found
        .into_iter()
        .filter_map(|(key, notes)| Some((key.parse::<Key>().ok()?, notes)))
        .filter(|(key, _)| key.folder == folder && key.is_believable())
        .max_by_key(|(key, _)| key.generation))
}

/// Returns where the notes of a sound lie that were found on disk.
pub(super) fn find_notes_of_sound(
    tx: &Transaction<'_>,
    sound: &Sound,
    folder: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT key, notes FROM evidence WHERE sound = ?1 AND notes IS NOT NULL ORDER BY key";
    let notes = tx.query_rows(sql, params![sound], |row| {
        Ok((row.get::<Key>("key")?, row.get::<String>("notes")?))
    })?;
    Ok(notes.into_iter().find(|(key, _)| key.folder == folder).map(|(_, notes)| notes))
}
