//! The upkeep of the queue: history, and what is known of a queue that is new or restored.

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;

use super::{Endings, JobId, Queue, QueueError, delivery::settle, put_off::AWAITS_METADATA};
use crate::{
    effect::Effect,
    job::{Key, Sound},
};

/// What is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Jobs that are not final, by folder, but for those of `invalid_metadata`.
    pub by_folder: Vec<(String, u64)>,
    /// Jobs that wait until their title, date or attendees are given as they have to be.
    pub invalid_metadata: u64,
    /// Files that are due, also of jobs that are final.
    pub deliveries: u64,
    /// Jobs not counted above that wait for nothing but a service to delete what it keeps, and it was asked in vain so
    /// many times that it is down for now.
    pub undeleted: u64,
    /// Jobs that failed since a time.
    pub failed: u64,
}

/// Notes on disk that name their job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundNotes {
    /// The job.
    pub key: Key,
    /// Where they lie, for display.
    pub path: String,
    /// Whether they lack what failed: then the job was begun, and is not done.
    pub partial: bool,
    /// The name of the recording's sound, where they say it.
    pub sound: Option<Sound>,
}

/// Whether all that is due of a job is a deletion that was tried in vain, twice or more, and is put off since `?3`.
const WAITS_TO_DELETE: &str = "(stage = 'deliver' \
     AND EXISTS (SELECT 1 FROM delivery WHERE job_id = job.id AND state = 'due' AND kind = 'remote' AND attempts >= 2 \
     AND due_ms > ?2) \
     AND NOT EXISTS (SELECT 1 FROM delivery WHERE job_id = job.id AND state = 'due' AND kind <> 'remote'))";

/// Jobs forgotten in one commit, so that the writer is never held for long.
const PRUNE_BATCH: i64 = 500;

impl Queue {
    /// Forgets up to one batch of jobs that have been final since before `before`. Returns how many.
    ///
    /// That their content was done stays, with the place of the notes, and so do the sightings of their files, and the
    /// meetings of those that were not finished: the same content finds its meeting again.
    pub async fn prune(&self, before: Timestamp) -> Result<usize, QueueError> {
        self.write(Effect::Prune, move |tx| {
            tx.execute("DELETE FROM notice WHERE sent_ms < ?", [before.as_millisecond()])?;
            let old = "SELECT id FROM job WHERE stage IS NULL AND updated_ms < ?1 AND (state = 'cancelled' \
                 OR NOT EXISTS (SELECT 1 FROM delivery WHERE job_id = job.id AND state IN ('due', 'held'))) ORDER BY updated_ms, id LIMIT ?2";
            let batch = [before.as_millisecond(), PRUNE_BATCH];
            tx.execute(
                &format!(
                    "INSERT INTO evidence (key, service, meeting_id) SELECT key, json_extract(plan, '$.service'), \
                     meeting_id FROM job WHERE id IN ({old}) AND state IN ('failed', 'cancelled') \
                     AND meeting_id IS NOT NULL ON CONFLICT (key) DO NOTHING"
                ),
                batch,
            )?;
            super::forgotten::leave_traces(tx, old, batch)?;
            Ok(tx.execute(&format!("DELETE FROM job WHERE id IN ({old})"), batch)?)
        })
        .await
    }

    /// Records that the queue is new or restored: the services' lists are read again, and no mail goes out for jobs
    /// that were under way in this copy, because it may have gone out since the copy was made.
    pub async fn mark_restored(&self, now: Timestamp) -> Result<(), QueueError> {
        self.write(Effect::MarkRestored, move |tx| {
            tx.execute("DELETE FROM meta WHERE name = 'reconciled'", [])?;
            tx.execute("UPDATE job SET mail_held = 1, updated_ms = ? WHERE stage IS NOT NULL", [now.as_millisecond()])?;
            tx.execute("UPDATE delivery SET state = 'held', due_ms = NULL WHERE state = 'due' AND kind = 'mail'", [])?;
            let delivering = tx
                .prepare("SELECT id FROM job WHERE stage = 'deliver'")?
                .query_map([], |row| Ok(JobId(row.get(0)?)))?
                .collect::<Result<Vec<_>, _>>()?;
            // Where only mails were left, nothing is left that would bring the job to its end.
            delivering.into_iter().try_for_each(|id| settle(tx, id, Endings::default(), now).map(drop))
        })
        .await
    }

    /// Counts what `run --once` still waits for.
    pub async fn unfinished(&self, begun: Timestamp) -> Result<Unfinished, QueueError> {
        self.read(move |connection| {
            let (since, now) = (begun.as_millisecond(), crate::clock::now().as_millisecond());
            let mut statement = connection.prepare_cached(&format!(
                "SELECT folder, count(*) FROM job WHERE stage IS NOT NULL AND NOT ({AWAITS_METADATA}) \
                 AND NOT {WAITS_TO_DELETE} GROUP BY folder"
            ))?;
            let by_folder = statement
                .query_map(rusqlite::params![now, since], |row| {
                    Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
                })?
                .collect::<Result<_, _>>()?;
            let invalid_metadata = connection
                .prepare_cached(&format!("SELECT count(*) FROM job WHERE {AWAITS_METADATA}"))?
                .query_row([now], |row| row.get::<_, i64>(0))?
                .cast_unsigned();
            let count = |sql: &str, since: i64| -> Result<u64, QueueError> {
                Ok(connection.prepare_cached(sql)?.query_row([since], |row| row.get::<_, i64>(0))?.cast_unsigned())
            };
            let deliveries =
                count("SELECT count(*) FROM delivery WHERE due_ms > ? AND kind NOT IN ('mail', 'remote')", 0)?;
            let undeleted = connection
                .prepare_cached(&format!("SELECT count(*) FROM job WHERE {WAITS_TO_DELETE}"))?
                .query_row(rusqlite::params![now, since], |row| row.get::<_, i64>(0))?
                .cast_unsigned();
            let failed = count("SELECT count(*) FROM job WHERE state = 'failed' AND updated_ms >= ?", since)?;
            Ok(Unfinished { by_folder, invalid_metadata, deliveries, undeleted, failed })
        })
        .await
    }

    /// Returns a remembered value.
    pub async fn remembered(&self, name: &'static str) -> Result<Option<String>, QueueError> {
        self.read(move |connection| {
            Ok(connection.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Remembers a value.
    pub async fn remember(&self, name: impl Into<String>, value: String) -> Result<(), QueueError> {
        let name = name.into();
        self.write(Effect::Remember, move |tx| {
            tx.execute(
                "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
                [&name, &value],
            )?;
            Ok(())
        })
        .await
    }

    /// Takes in what a walk of the service's list told: keys and the meetings that carry them.
    pub async fn take_markers(&self, service: &str, markers: Vec<(Key, String)>) -> Result<(), QueueError> {
        let service = service.to_owned();
        self.write(Effect::TakeMarkers, move |tx| {
            for (key, meeting) in markers {
                tx.prepare_cached(
                    "INSERT INTO evidence (key, service, meeting_id) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (key) DO UPDATE SET service = ?2, meeting_id = coalesce(meeting_id, ?3)",
                )?
                .execute(rusqlite::params![key.to_string(), service, meeting])?;
                // A recording that was taken in before the list was read: its mails may have gone out long ago.
                tx.prepare_cached("UPDATE job SET mail_held = 1 WHERE key = ? AND remote = 'nothing'")?
                    .execute([key.to_string()])?;
            }
            Ok(())
        })
        .await
    }

    /// Takes in what the notes on disk told: keys and where their notes lie.
    pub async fn take_notes(&self, notes: Vec<FoundNotes>) -> Result<(), QueueError> {
        self.write(Effect::TakeNotes, move |tx| {
            for found in notes {
                let whole = Some(found.path).filter(|_| !found.partial);
                tx.prepare_cached(
                    "INSERT INTO evidence (key, notes, sound) VALUES (?1, ?2, ?3) ON CONFLICT (key) \
                     DO UPDATE SET notes = coalesce(?2, notes), sound = coalesce(?3, sound)",
                )?
                .execute(rusqlite::params![
                    found.key.to_string(),
                    whole,
                    found.sound.as_ref().map(Sound::as_str)
                ])?;
            }
            Ok(())
        })
        .await
    }

    /// Returns the meeting that a walk of `service`'s list found for `key`.
    pub async fn known_meeting(&self, key: &Key, service: &str) -> Result<Option<String>, QueueError> {
        let (key, service) = (key.to_string(), service.to_owned());
        self.read(move |connection| {
            let found: Option<Option<String>> = connection
                .query_row("SELECT meeting_id FROM evidence WHERE key = ?1 AND service = ?2", [key, service], |row| {
                    row.get(0)
                })
                .optional()?;
            Ok(found.flatten())
        })
        .await
    }

    /// Moves what is in the write-ahead log into the file itself, so that a stopped queue is one file.
    pub async fn checkpoint(&self) -> Result<(), QueueError> {
        let truncate = |connection: &mut rusqlite::Connection| {
            Effect::Checkpoint.before();
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            Effect::Checkpoint.after();
            Ok(())
        };
        self.writer.call(truncate).await
    }

    /// Proves that the queue works by an empty commit, and returns whether it holds anything that is seen to now and then:
    /// holds, mails to the operator, jobs that run, deliver or wait for their file. An idle daemon asks nothing more.
    pub async fn has_chores(&self) -> Result<bool, QueueError> {
        self.write(Effect::Alive, |_| Ok(())).await?;
        self.read(|connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM hold) OR EXISTS (SELECT 1 FROM notice WHERE sent_ms IS NULL) \
                       OR EXISTS (SELECT 1 FROM job WHERE state = 'running') \
                       OR EXISTS (SELECT 1 FROM job WHERE stage = 'deliver') \
                       OR EXISTS (SELECT 1 FROM job WHERE waits_for = 'file')";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
        })
        .await
    }

    /// Proves that both threads of the queue answer.
    pub async fn alive(&self) -> Result<(), QueueError> {
        self.has_chores().await.map(drop)
    }
}
