//! What sources keep elsewhere: one row a recording, for ever.
//!
//! *found* is tried when it is due; *placing* has been fetched, and its file may or may not have its name; *placed* is
//! done, whatever becomes of the file; *failed* waits for a person, because the vendor has nothing to give.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{
    Queue, QueueError,
    holds::insert_notice,
    row::to_json,
    sql::{Row, Transaction, params},
};
use crate::{
    effect::Effect,
    job::{Content, Details, Key},
};

/// A source, as the queue knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// When minuted first met it.
    pub met: Timestamp,
    /// The last walk over its whole list: when that began, and since when it had listed what ended.
    pub walked: Option<(Timestamp, Timestamp)>,
}

/// A recording that is to be fetched, or is being placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetching {
    /// The vendor's id.
    pub id: String,
    /// When its meeting ended.
    pub ended: Timestamp,
    /// Failures of its own so far.
    pub attempts: u32,
    /// Whether a person asked for it.
    pub wanted: bool,
    /// Where it is being placed, once it is.
    pub placing: Option<Spot>,
}

/// A file that was fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Spot {
    /// The folder's id.
    pub folder: String,
    /// The file, relative to the folder.
    pub path: PathBuf,
    /// Its content.
    pub content: Content,
    /// Its bytes.
    pub size: u64,
}

/// What is recorded before a file gets its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// The file.
    pub spot: Spot,
    /// What the source knows of the meeting.
    pub details: Details,
    /// When it ended, where the vendor says.
    pub ended: Option<Timestamp>,
    /// Whether the vendor's transcript makes its notes.
    pub reuse: bool,
}

/// What becomes of a file that is about to get its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placing {
    /// It gets the name.
    Go,
    /// The folder has (or had) this content already: the row is placed, and the file is not needed.
    Known,
}

/// Why a recording is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Later {
    /// It is not there yet, or somebody else was to blame; nothing counts.
    Uncounted(Option<String>),
    /// Its own failure; the operator is told, where there is something to tell.
    Counted {
        /// What went wrong.
        error: String,
        /// What the operator is told.
        notice: Option<String>,
    },
}

impl Queue {
    /// Returns what is known of a source; one that was never met is met now.
    pub async fn meet_source(&self, name: &str, now: Timestamp) -> Result<(Met, bool), QueueError> {
        let source = name.to_owned();
        let known = self.read(move |tx| {
            let sql = "SELECT met_ms, walked_ms, floor_ms FROM source WHERE name = ?1";
            tx.query_row(sql, params![source], read_met)
        });
        if let Some(met) = known.await? {
            return Ok((met, false));
        }
        let source = name.to_owned();
        self.write(Effect::MeetSource, move |tx| {
            tx.execute("INSERT INTO source (name, met_ms) VALUES (?1, ?2)", params![source, now])?;
            Ok((Met { met: now, walked: None }, true))
        })
        .await
    }

    /// Records that the list of a source was read to its end: the walk began at `began` and listed what ended since
    /// `floor`.
    pub async fn walked(&self, source: &str, began: Timestamp, floor: Timestamp) -> Result<(), QueueError> {
        let source = source.to_owned();
        self.write(Effect::WalkSource, move |tx| {
            let sql = "UPDATE source SET walked_ms = ?2, floor_ms = ?3 WHERE name = ?1";
            tx.execute(sql, params![source, began, floor]).map(drop)
        })
        .await
    }

    /// Records what a list shows; returns how many were not known. Those that are known stay as they are.
    pub async fn find(
        &self,
        source: &str,
        found: Vec<(String, Timestamp)>,
        now: Timestamp,
    ) -> Result<usize, QueueError> {
        let name = source.to_owned();
        let unknown = self.read(move |tx| {
            let mut unknown = Vec::new();
            for (id, ended) in found {
                if !tx.exists("SELECT 1 FROM fetched WHERE source = ?1 AND remote_id = ?2", params![name, id])? {
                    unknown.push((id, ended));
                }
            }
            Ok(unknown)
        });
        let unknown = unknown.await?;
        if unknown.is_empty() {
            return Ok(0);
        }
        let source = source.to_owned();
        self.write(Effect::FindRecordings, move |tx| {
            let mut new = 0;
            for (id, ended) in &unknown {
                new += insert(tx, &source, id, *ended, false, now)?;
            }
            Ok(new)
        })
        .await
    }

    /// Records that a person wants a recording, also one that failed, and one that the source has not listed. One that
    /// was placed and whose content the folder does not know is wanted again.
    ///
    /// Returns where it lies when there is nothing to fetch.
    pub async fn want(&self, source: &str, id: &str, now: Timestamp) -> Result<Option<Spot>, QueueError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.write(Effect::WantRecording, move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM fetched WHERE source = ?1 AND remote_id = ?2");
            let known = tx.query_row(&sql, params![source, id], read_fetching)?;
            if let Some(spot) = known.as_ref().and_then(|known| known.placing.clone())
                && is_known(tx, &spot)?
            {
                return Ok(Some(spot));
            }
            if known.is_none() {
                insert(tx, &source, &id, now, true, now)?;
            }
            tx.execute(
                "UPDATE fetched SET state = 'found', wanted = 1, due_ms = ?3, attempts = 0, error = NULL, \
                 folder = NULL, path = NULL, content = NULL, size = NULL, reuse = 0, deletion = NULL, updated_ms = ?3 \
                 WHERE source = ?1 AND remote_id = ?2 AND state <> 'placing'",
                params![source, id, now],
            )?;
            Ok(None)
        })
        .await
    }

    /// Lets recordings that are not there yet be looked at now; returns those of `ids` that are not known at all.
    pub async fn hasten(&self, source: &str, ids: Vec<String>, now: Timestamp) -> Result<Vec<String>, QueueError> {
        let name = source.to_owned();
        let (unknown, late) = self
            .read(move |tx| {
                let mut unknown = Vec::new();
                let mut late = Vec::new();
                for id in ids {
                    let sql = "SELECT due_ms > ?3 AND attempts = 0 FROM fetched WHERE source = ?1 AND remote_id = ?2";
                    match tx.find_value::<Option<bool>>(sql, params![name, id, now])? {
                        None => unknown.push(id),
                        Some(Some(true)) => late.push(id),
                        Some(Some(false) | None) => {}
                    }
                }
                Ok((unknown, late))
            })
            .await?;
        if !late.is_empty() {
            let source = source.to_owned();
            self.write(Effect::HastenRecordings, move |tx| {
                for id in &late {
                    let sql = "UPDATE fetched SET due_ms = ?3 WHERE source = ?1 AND remote_id = ?2 AND state = 'found'";
                    tx.execute(sql, params![source, id, now])?;
                }
                Ok(())
            })
            .await?;
        }
        Ok(unknown)
    }

    /// Returns the recording that is to be fetched next, if one is due.
    pub async fn next_fetch(&self, source: &str, now: Timestamp) -> Result<Option<Fetching>, QueueError> {
        let source = source.to_owned();
        self.read(move |tx| {
            let sql = format!(
                "SELECT {COLUMNS} FROM fetched WHERE source = ?1 AND due_ms <= ?2 \
                 ORDER BY wanted DESC, due_ms, remote_id LIMIT 1"
            );
            tx.query_row(&sql, params![source, now], read_fetching)
        })
        .await
    }

    /// Returns one recording, if it is known.
    pub async fn fetch_of(&self, source: &str, id: &str) -> Result<Option<Fetching>, QueueError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.read(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM fetched WHERE source = ?1 AND remote_id = ?2");
            tx.query_row(&sql, params![source, id], read_fetching)
        })
        .await
    }

    /// Returns when the next recording of a source is due after `now`.
    pub async fn next_fetch_due(&self, source: &str, now: Timestamp) -> Result<Option<Timestamp>, QueueError> {
        let source = source.to_owned();
        self.read(move |tx| {
            let sql = "SELECT min(due_ms) FROM fetched WHERE source = ?1 AND due_ms > ?2";
            tx.query_value(sql, params![source, now])
        })
        .await
    }

    /// Returns how many recordings of a source failed by themselves and are tried again soon: fewer than `attempts`
    /// times so far.
    pub async fn failing(&self, source: &str, attempts: u32) -> Result<u64, QueueError> {
        let source = source.to_owned();
        self.read(move |tx| {
            let sql = "SELECT count(*) FROM fetched WHERE source = ?1 AND due_ms IS NOT NULL AND attempts > 0 \
                 AND attempts < ?2";
            tx.query_value(sql, params![source, attempts])
        })
        .await
    }

    /// Returns how many recordings of sources failed since a time, or were told of since then because they fail.
    pub async fn fetch_failures(&self, since: Timestamp) -> Result<u64, QueueError> {
        self.read(move |tx| {
            let sql = "SELECT count(*) FROM fetched WHERE updated_ms >= ?1 \
                 AND (state = 'failed' OR state = 'found' AND attempts > 0)";
            tx.query_value(sql, params![since])
        })
        .await
    }

    /// Returns what was being placed when the process ended.
    pub async fn placing(&self, source: &str) -> Result<Vec<Fetching>, QueueError> {
        let source = source.to_owned();
        self.read(move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM fetched WHERE source = ?1 AND state = 'placing'");
            tx.query_rows(&sql, params![source], read_fetching)
        })
        .await
    }

    /// Records that a recording is tried again at `due`.
    pub async fn fetch_later(
        &self,
        source: &str,
        id: &str,
        due: Timestamp,
        why: Later,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.write(Effect::FetchLater, move |tx| {
            let (counted, error, notice): (u32, _, _) = match why {
                Later::Uncounted(error) => (0, error, None),
                Later::Counted { error, notice } => (1, Some(error), notice),
            };
            tx.execute(
                "UPDATE fetched SET state = 'found', due_ms = ?3, attempts = attempts + ?4, \
                 error = coalesce(?5, error), folder = NULL, path = NULL, content = NULL, size = NULL, reuse = 0, \
                 updated_ms = ?6 WHERE source = ?1 AND remote_id = ?2 AND state IN ('found', 'placing')",
                params![source, id, due, counted, error, now],
            )?;
            notice.map_or(Ok(()), |notice| insert_notice(tx, &notice, now))
        })
        .await
    }

    /// Records that a recording cannot be had, and tells the operator.
    pub async fn fetch_failed(
        &self,
        source: &str,
        id: &str,
        (why, details): (&str, &Details),
        notice: String,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        let source = source.to_owned();
        let id = id.to_owned();
        let why = why.to_owned();
        let details = to_json(details);
        self.write(Effect::FetchFailed, move |tx| {
            let failed = tx.execute(
                "UPDATE fetched SET state = 'failed', due_ms = NULL, error = ?3, details = ?4, updated_ms = ?5 \
                 WHERE source = ?1 AND remote_id = ?2 AND state = 'found'",
                params![source, id, why, details, now],
            )?;
            if failed > 0 { insert_notice(tx, &notice, now) } else { Ok(()) }
        })
        .await
    }

    /// Records where a file that was fetched is about to lie, with all that travels with it.
    pub async fn intend_place(
        &self,
        source: &str,
        id: &str,
        intent: Intent,
        now: Timestamp,
    ) -> Result<Placing, QueueError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.write(Effect::IntendPlace, move |tx| {
            let is_known = is_known(tx, &intent.spot)?;
            let Intent { spot, details, ended, reuse } = intent;
            tx.execute(
                "UPDATE fetched SET state = ?3, due_ms = NULL, error = NULL, details = ?4, folder = ?5, path = ?6, \
                 content = ?7, size = ?8, reuse = ?9, ended_ms = coalesce(?10, ended_ms), updated_ms = ?11 \
                 WHERE source = ?1 AND remote_id = ?2 AND state IN ('found', 'placing')",
                params![
                    source,
                    id,
                    if is_known { "placed" } else { "placing" },
                    to_json(&details),
                    spot.folder,
                    spot.path,
                    spot.content,
                    spot.size,
                    reuse,
                    ended,
                    now,
                ],
            )?;
            Ok(if is_known { Placing::Known } else { Placing::Go })
        })
        .await
    }

    /// Records that a file has its name.
    pub async fn placed(&self, source: &str, id: &str, now: Timestamp) -> Result<(), QueueError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.write(Effect::PlaceFetched, move |tx| {
            let sql = "UPDATE fetched SET state = 'placed', updated_ms = ?3 \
                 WHERE source = ?1 AND remote_id = ?2 AND state = 'placing'";
            tx.execute(sql, params![source, id, now]).map(drop)
        })
        .await
    }

    /// Returns whether the folder has (or had) a content: a job of it, or the word that it was done.
    pub async fn knows(&self, spot: Spot) -> Result<bool, QueueError> {
        self.read(move |tx| is_known(tx, &spot)).await
    }

    /// Returns what a source knows of the recording of this content in this folder, with the name of the source.
    pub async fn source_details(&self, key: &Key) -> Result<Option<(String, Details)>, QueueError> {
        let content = key.content.clone();
        let folder = key.folder.clone();
        self.read(move |tx| {
            let sql =
                "SELECT source, details FROM fetched WHERE content = ?1 AND folder = ?2 ORDER BY found_ms LIMIT 1";
            tx.query_row(sql, params![content, folder], |row| Ok((row.get("source")?, row.get("details")?)))
        })
        .await
    }
}

/// The columns of [`Fetching`].
const COLUMNS: &str = "remote_id, ended_ms, attempts, wanted, folder, path, content, size";

fn read_fetching(row: &Row<'_>) -> Result<Fetching, QueueError> {
    let folder: Option<String> = row.get("folder")?;
    let placing = match folder {
        None => None,
        Some(folder) => {
            Some(Spot { folder, path: row.get("path")?, content: row.get("content")?, size: row.get("size")? })
        }
    };
    Ok(Fetching {
        id: row.get("remote_id")?,
        ended: row.get("ended_ms")?,
        attempts: row.get("attempts")?,
        wanted: row.get("wanted")?,
        placing,
    })
}

fn read_met(row: &Row<'_>) -> Result<Met, QueueError> {
    let walked: Option<Timestamp> = row.get("walked_ms")?;
    let floor: Option<Timestamp> = row.get("floor_ms")?;
    Ok(Met { met: row.get("met_ms")?, walked: walked.zip(floor) })
}

fn insert(
    tx: &Transaction<'_>,
    source: &str,
    id: &str,
    ended: Timestamp,
    wanted: bool,
    now: Timestamp,
) -> Result<usize, QueueError> {
    let sql = "INSERT INTO fetched (source, remote_id, state, wanted, ended_ms, due_ms, details, found_ms, updated_ms) \
         VALUES (?1, ?2, 'found', ?3, ?4, ?5, '{}', ?5, ?5) ON CONFLICT (source, remote_id) DO NOTHING";
    tx.execute(sql, params![source, id, wanted, ended, now])
}

/// Returns whether the folder has a job of this content, or had one that was done.
fn is_known(tx: &Transaction<'_>, spot: &Spot) -> Result<bool, QueueError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM job WHERE content = ?1 AND folder = ?2 AND state <> 'skipped') \
         OR EXISTS (SELECT 1 FROM finished WHERE content = ?1 AND folder = ?2)";
    tx.query_value(sql, params![spot.content, spot.folder])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("in range")
    }

    fn intent(bytes: &[u8]) -> Intent {
        let content = Content::from_hash(&blake3::hash(bytes));
        let spot = Spot { folder: "sales".into(), path: "a.flac".into(), content, size: bytes.len() as u64 };
        let details = Details { title: Some("Weekly".into()), ..Details::default() };
        Intent { spot, details, ended: None, reuse: false }
    }

    #[tokio::test]
    async fn what_is_found_twice_is_one_and_what_is_placed_is_never_due_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = Queue::open(dir.path()).expect("opened");
        let found = || vec![("a".to_owned(), at(0)), ("b".to_owned(), at(1))];
        assert_eq!(queue.find("calls", found(), at(10)).await.expect("written"), 2);
        assert_eq!(queue.find("calls", found(), at(11)).await.expect("written"), 0);
        assert_eq!(queue.find("other", found(), at(11)).await.expect("written"), 2, "each source has its own");
        assert_eq!(queue.intend_place("calls", "a", intent(b"a"), at(12)).await.expect("written"), Placing::Go);
        let key = Key { content: intent(b"a").spot.content, folder: "sales".into(), generation: 1 };
        let details = queue.source_details(&key).await.expect("read").expect("there before the file is");
        assert_eq!((details.0.as_str(), details.1.title.as_deref()), ("calls", Some("Weekly")));
        assert_eq!(queue.placing("calls").await.expect("read").len(), 1);
        queue.placed("calls", "a", at(13)).await.expect("written");
        assert_eq!(queue.find("calls", found(), at(14)).await.expect("written"), 0);
        let due = queue.next_fetch("calls", at(1000)).await.expect("read").expect("one");
        assert_eq!(due.id, "b");
        queue.fetch_failed("calls", "b", ("gone", &Details::default()), "told".into(), at(15)).await.expect("written");
        assert_eq!(queue.next_fetch("calls", at(1000)).await.expect("read"), None);
        assert_eq!(queue.want("calls", "b", at(16)).await.expect("written"), None, "a person may want it again");
        assert_eq!(queue.next_fetch("calls", at(1000)).await.expect("read").map(|row| row.id).as_deref(), Some("b"));
    }

    #[tokio::test]
    async fn a_nudge_hurries_what_is_awaited_and_nothing_that_fails() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = Queue::open(dir.path()).expect("opened");
        let found = ["a", "b"].map(|id| (id.to_owned(), at(0))).to_vec();
        queue.find("calls", found, at(0)).await.expect("written");
        queue.fetch_later("calls", "a", at(500), Later::Uncounted(None), at(1)).await.expect("written");
        let failed = Later::Counted { error: "cut".into(), notice: None };
        queue.fetch_later("calls", "b", at(500), failed, at(1)).await.expect("written");
        let ids = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(queue.hasten("calls", ids, at(2)).await.expect("written"), ["c"]);
        assert_eq!(queue.next_fetch("calls", at(3)).await.expect("read").map(|row| row.id).as_deref(), Some("a"));
        queue.intend_place("calls", "a", intent(b"a"), at(4)).await.expect("written");
        assert_eq!(queue.next_fetch("calls", at(400)).await.expect("read"), None, "it failed, and waits its time");
    }

    #[tokio::test]
    async fn a_source_is_met_once_and_its_watermark_is_on_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = Queue::open(dir.path()).expect("opened");
        assert_eq!(queue.meet_source("calls", at(0)).await.expect("met"), (Met { met: at(0), walked: None }, true));
        queue.walked("calls", at(60), at(0)).await.expect("written");
        let known = Met { met: at(0), walked: Some((at(60), at(0))) };
        assert_eq!(queue.meet_source("calls", at(99)).await.expect("known"), (known, false));
    }

    #[tokio::test]
    async fn deletions_are_counted_by_what_was_asked_for_and_nothing_is_deleted_before_its_notes() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = Queue::open(dir.path()).expect("opened");
        queue.find("calls", vec![("a".to_owned(), at(0))], at(0)).await.expect("written");
        queue.intend_place("calls", "a", intent(b"a"), at(1)).await.expect("written");
        queue.placed("calls", "a", at(2)).await.expect("written");
        assert_eq!(queue.deletable("calls", at(9)).await.expect("read"), Vec::new(), "no notes");
        queue.intend_deletion("calls", "a", at(10)).await.expect("written");
        let asked = |now| queue.deletions("calls", Duration::from_secs(60), now);
        assert_eq!(asked(at(11)).await.expect("read"), [at(10)]);
        assert_eq!(asked(at(71)).await.expect("read"), Vec::new());
    }
}
