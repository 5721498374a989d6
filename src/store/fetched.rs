//! The recordings that sources keep elsewhere: one row each, for ever.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{
    Sources, StoreError,
    holds::insert_notice,
    placing::is_known,
    row::{to_json, words_in_columns},
    sql::{Row, Transaction, params},
};
use crate::{
    effect::Effect,
    job::{Content, Details, Key},
    words::words,
};

words! {
    /// The state of a recording that a source keeps.
    pub enum FetchedState {
        /// It is tried when it is due.
        Found = "found",
        /// It was fetched, and its file may or may not have its name.
        Placing = "placing",
        /// It is done, whatever becomes of the file.
        Placed = "placed",
        /// It waits for a person, because the vendor has nothing to give.
        Failed = "failed",
    }
}

words_in_columns!(FetchedState);

/// A source, as the queue knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceState {
    /// The time at which minuted first used it.
    pub met: Timestamp,
    /// The last walk over its whole list: when that began, and since when it had listed what ended.
    pub walked: Option<(Timestamp, Timestamp)>,
}

/// A recording that is to be fetched, or is being placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetching {
    /// The vendor's id.
    pub id: String,
    /// The end of its meeting.
    pub ended: Timestamp,
    /// Failures of its own so far.
    pub attempts: u32,
    /// True if a person asked for it.
    pub wanted: bool,
    /// The file that is being placed, once there is one.
    pub placing: Option<FetchedFile>,
}

/// A file that was fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedFile {
    /// The folder's id.
    pub folder: String,
    /// The file, relative to the folder.
    pub path: PathBuf,
    /// Its content.
    pub content: Content,
    /// Its bytes.
    pub size: u64,
}

/// The record that is written before a file gets its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// The file.
    pub file: FetchedFile,
    /// The metadata that the source has of the meeting.
    pub details: Details,
    /// The end of the meeting, where the vendor names it.
    pub ended: Option<Timestamp>,
    /// True if the vendor's transcript makes its notes.
    pub reuse: bool,
}

/// The reason for which a recording is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Later {
    /// Not there yet, or not its own failure; not counted as an attempt.
    Uncounted(Option<String>),
    /// Its own failure; the operator is told, where there is something to tell.
    Counted {
        /// The failure.
        error: String,
        /// The text for the operator.
        notice: Option<String>,
    },
}

impl Sources<'_> {
    /// Returns the state of a source, and whether it is new: then it is recorded now.
    pub async fn find_or_add(
        self,
        name: &str,
        now: Timestamp,
    ) -> Result<(SourceState, bool), StoreError> {
        let source = name.to_owned();
        let known = self.0.read(move |tx| {
            let sql = "SELECT met_ms, walked_ms, floor_ms FROM source WHERE name = ?1";
            tx.query_row(sql, params![source], read_met)
        });
        if let Some(met) = known.await? {
            return Ok((met, false));
        }
        let source = name.to_owned();
        self.0
            .write(Effect::MeetSource, move |tx| {
                tx.execute(
                    "INSERT INTO source (name, met_ms) VALUES (?1, ?2)",
                    params![source, now],
                )?;
                Ok((SourceState { met: now, walked: None }, true))
            })
            .await
    }

    /// Records that the list of a source was read to its end: the walk began at `began` and listed
    /// what ended since `floor`.
    pub async fn record_walk(
        self,
        source: &str,
        began: Timestamp,
        floor: Timestamp,
    ) -> Result<(), StoreError> {
        let source = source.to_owned();
        self.0
            .write(Effect::WalkSource, move |tx| {
                let sql = "UPDATE source SET walked_ms = ?2, floor_ms = ?3 WHERE name = ?1";
                tx.execute(sql, params![source, began, floor]).map(drop)
            })
            .await
    }

    /// Records what a list shows; returns how many were not known. Those that are known stay as
    /// they are.
    pub async fn add_found(
        self,
        source: &str,
        found: Vec<(String, Timestamp)>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let name = source.to_owned();
        let unknown = self.0.read(move |tx| {
            let mut unknown = Vec::new();
            for (id, ended) in found {
                if !tx.exists(
                    "SELECT 1 FROM fetched WHERE source = ?1 AND remote_id = ?2",
                    params![name, id],
                )? {
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
        self.0
            .write(Effect::FindRecordings, move |tx| {
                let mut new = 0;
                for (id, ended) in &unknown {
                    new += insert(tx, &source, id, *ended, false, now)?;
                }
                Ok(new)
            })
            .await
    }

    /// Records that a person wants a recording, also one that failed, and one that the source has
    /// not listed. One that was placed and whose content the folder does not know is wanted again.
    ///
    /// Returns where it lies when there is nothing to fetch.
    pub async fn request(
        self,
        source: &str,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<FetchedFile>, StoreError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.0
            .write(Effect::WantRecording, move |tx| {
                let sql = format!("SELECT {COLUMNS} FROM fetched WHERE source = ?1 AND remote_id = ?2");
                let known = tx.query_row(&sql, params![source, id], read_fetching)?;
                if let Some(file) = known.as_ref().and_then(|known| known.placing.clone())
                    && is_known(tx, &file)?
                {
                    return Ok(Some(file));
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

    /// Lets recordings that are not there yet be looked at now; returns those of `ids` that are not
    /// known at all.
    pub async fn hasten(
        self,
        source: &str,
        ids: Vec<String>,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let name = source.to_owned();
        let (unknown, late) = self
            .0
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
            self.0
                .write(Effect::HastenRecordings, move |tx| {
                    for id in &late {
                        let sql =
                            "UPDATE fetched SET due_ms = ?3 WHERE source = ?1 AND remote_id = ?2 AND state = 'found'";
                        tx.execute(sql, params![source, id, now])?;
                    }
                    Ok(())
                })
                .await?;
        }
        Ok(unknown)
    }

    /// Returns the recording that is to be fetched next, if one is due.
    pub async fn next(self, source: &str, now: Timestamp) -> Result<Option<Fetching>, StoreError> {
        let source = source.to_owned();
        self.0
            .read(move |tx| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM fetched WHERE source = ?1 AND due_ms <= ?2 \
                 ORDER BY wanted DESC, due_ms, remote_id LIMIT 1"
                );
                tx.query_row(&sql, params![source, now], read_fetching)
            })
            .await
    }

    /// Returns one recording, if it is known.
    pub async fn find(self, source: &str, id: &str) -> Result<Option<Fetching>, StoreError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.0
            .read(move |tx| {
                let sql =
                    format!("SELECT {COLUMNS} FROM fetched WHERE source = ?1 AND remote_id = ?2");
                tx.query_row(&sql, params![source, id], read_fetching)
            })
            .await
    }

    /// Returns when the next recording of a source is due after `now`.
    pub async fn next_due(
        self,
        source: &str,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let source = source.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT min(due_ms) FROM fetched WHERE source = ?1 AND due_ms > ?2";
                tx.query_value(sql, params![source, now])
            })
            .await
    }

    /// Returns how many recordings of a source failed by themselves and are tried again soon: fewer
    /// than `attempts` times so far.
    pub async fn count_failing(self, source: &str, attempts: u32) -> Result<u64, StoreError> {
        let source = source.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT count(*) FROM fetched WHERE source = ?1 AND due_ms IS NOT NULL AND attempts > 0 \
                 AND attempts < ?2";
                tx.query_value(sql, params![source, attempts])
            })
            .await
    }

    /// Returns how many recordings of sources failed since a time, or were told of since then
    /// because they fail.
    pub async fn count_failures(self, since: Timestamp) -> Result<u64, StoreError> {
        self.0
            .read(move |tx| {
                let sql = "SELECT count(*) FROM fetched WHERE updated_ms >= ?1 \
                 AND (state = 'failed' OR state = 'found' AND attempts > 0)";
                tx.query_value(sql, params![since])
            })
            .await
    }

    /// Records that a recording is tried again at `due`.
    pub async fn retry_later(
        self,
        source: &str,
        id: &str,
        due: Timestamp,
        why: Later,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let source = source.to_owned();
        let id = id.to_owned();
        self.0
            .write(Effect::FetchLater, move |tx| {
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
    pub async fn record_failure(
        self,
        source: &str,
        id: &str,
        (why, details): (&str, &Details),
        notice: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let source = source.to_owned();
        let id = id.to_owned();
        let why = why.to_owned();
        let details = to_json(details);
        self.0
            .write(Effect::FetchFailed, move |tx| {
                let failed = tx.execute(
                    "UPDATE fetched SET state = 'failed', due_ms = NULL, error = ?3, details = ?4, updated_ms = ?5 \
                 WHERE source = ?1 AND remote_id = ?2 AND state = 'found'",
                    params![source, id, why, details, now],
                )?;
                if failed > 0 { insert_notice(tx, &notice, now) } else { Ok(()) }
            })
            .await
    }

    /// Returns what a source knows of the recording of this content in this folder, with the name
    /// of the source.
    pub async fn find_details(self, key: &Key) -> Result<Option<(String, Details)>, StoreError> {
        let content = key.content.clone();
        let folder = key.folder.clone();
        self.0
            .read(move |tx| {
                let sql =
                    "SELECT source, details FROM fetched WHERE content = ?1 AND folder = ?2 ORDER BY found_ms LIMIT 1";
                tx.query_row(sql, params![content, folder], |row| Ok((row.get("source")?, row.get("details")?)))
            })
            .await
    }
}

/// The columns of [`Fetching`].
pub(super) const COLUMNS: &str =
    "remote_id, ended_ms, attempts, wanted, folder, path, content, size";

pub(super) fn read_fetching(row: &Row<'_>) -> Result<Fetching, StoreError> {
    let folder: Option<String> = row.get("folder")?;
    let placing = match folder {
        None => None,
        Some(folder) => Some(FetchedFile {
            folder,
            path: row.get("path")?,
            content: row.get("content")?,
            size: row.get("size")?,
        }),
    };
    Ok(Fetching {
        id: row.get("remote_id")?,
        ended: row.get("ended_ms")?,
        attempts: row.get("attempts")?,
        wanted: row.get("wanted")?,
        placing,
    })
}

fn read_met(row: &Row<'_>) -> Result<SourceState, StoreError> {
    let walked: Option<Timestamp> = row.get("walked_ms")?;
    let floor: Option<Timestamp> = row.get("floor_ms")?;
    Ok(SourceState { met: row.get("met_ms")?, walked: walked.zip(floor) })
}

fn insert(
    tx: &Transaction<'_>,
    source: &str,
    id: &str,
    ended: Timestamp,
    wanted: bool,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let sql = "INSERT INTO fetched (source, remote_id, state, wanted, ended_ms, due_ms, details, found_ms, updated_ms) \
         VALUES (?1, ?2, 'found', ?3, ?4, ?5, '{}', ?5, ?5) ON CONFLICT (source, remote_id) DO NOTHING";
    tx.execute(sql, params![source, id, wanted, ended, now])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{Placing, Store},
        *,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("in range")
    }

    fn intent(bytes: &[u8]) -> Intent {
        let content = Content::from_hash(&blake3::hash(bytes));
        let file = FetchedFile {
            folder: "sales".into(),
            path: "a.flac".into(),
            content,
            size: bytes.len() as u64,
        };
        let details = Details { title: Some("Weekly".into()), ..Details::default() };
        Intent { file, details, ended: None, reuse: false }
    }

    #[tokio::test]
    async fn what_is_found_twice_is_one_and_what_is_placed_is_never_due_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = Store::open(dir.path()).expect("opened");
        let found = || vec![("a".to_owned(), at(0)), ("b".to_owned(), at(1))];
        assert_eq!(queue.sources().add_found("calls", found(), at(10)).await.expect("written"), 2);
        assert_eq!(queue.sources().add_found("calls", found(), at(11)).await.expect("written"), 0);
        assert_eq!(
            queue.sources().add_found("other", found(), at(11)).await.expect("written"),
            2,
            "each source has its own"
        );
        assert_eq!(
            queue
                .sources()
                .intend_place("calls", "a", intent(b"a"), at(12))
                .await
                .expect("written"),
            Placing::Go
        );
        let key = Key { content: intent(b"a").file.content, folder: "sales".into(), generation: 1 };
        let details = queue
            .sources()
            .find_details(&key)
            .await
            .expect("read")
            .expect("there before the file is");
        assert_eq!((details.0.as_str(), details.1.title.as_deref()), ("calls", Some("Weekly")));
        assert_eq!(queue.sources().list_placing("calls").await.expect("read").len(), 1);
        queue.sources().record_placed("calls", "a", at(13)).await.expect("written");
        assert_eq!(queue.sources().add_found("calls", found(), at(14)).await.expect("written"), 0);
        let due = queue.sources().next("calls", at(1000)).await.expect("read").expect("one");
        assert_eq!(due.id, "b");
        queue
            .sources()
            .record_failure("calls", "b", ("gone", &Details::default()), "told".into(), at(15))
            .await
            .expect("written");
        assert_eq!(queue.sources().next("calls", at(1000)).await.expect("read"), None);
        assert_eq!(
            queue.sources().request("calls", "b", at(16)).await.expect("written"),
            None,
            "a person may want it again"
        );
        assert_eq!(
            queue
                .sources()
                .next("calls", at(1000))
                .await
                .expect("read")
                .map(|row| row.id)
                .as_deref(),
            Some("b")
        );
    }

    #[tokio::test]
    async fn a_nudge_hurries_what_is_awaited_and_nothing_that_fails() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = Store::open(dir.path()).expect("opened");
        let found = ["a", "b"].map(|id| (id.to_owned(), at(0))).to_vec();
        queue.sources().add_found("calls", found, at(0)).await.expect("written");
        queue
            .sources()
            .retry_later("calls", "a", at(500), Later::Uncounted(None), at(1))
            .await
            .expect("written");
        let failed = Later::Counted { error: "cut".into(), notice: None };
        queue.sources().retry_later("calls", "b", at(500), failed, at(1)).await.expect("written");
        let ids = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(queue.sources().hasten("calls", ids, at(2)).await.expect("written"), ["c"]);
        assert_eq!(
            queue.sources().next("calls", at(3)).await.expect("read").map(|row| row.id).as_deref(),
            Some("a")
        );
        queue.sources().intend_place("calls", "a", intent(b"a"), at(4)).await.expect("written");
        assert_eq!(
            queue.sources().next("calls", at(400)).await.expect("read"),
            None,
            "it failed, and waits its time"
        );
    }

    #[tokio::test]
    async fn a_source_is_met_once_and_its_watermark_is_on_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = Store::open(dir.path()).expect("opened");
        assert_eq!(
            queue.sources().find_or_add("calls", at(0)).await.expect("met"),
            (SourceState { met: at(0), walked: None }, true)
        );
        queue.sources().record_walk("calls", at(60), at(0)).await.expect("written");
        let known = SourceState { met: at(0), walked: Some((at(60), at(0))) };
        assert_eq!(
            queue.sources().find_or_add("calls", at(99)).await.expect("known"),
            (known, false)
        );
    }

    #[tokio::test]
    async fn deletions_are_counted_by_what_was_asked_for_and_nothing_is_deleted_before_its_notes() {
        let dir = tempfile::tempdir().expect("a directory");
        let queue = Store::open(dir.path()).expect("opened");
        queue
            .sources()
            .add_found("calls", vec![("a".to_owned(), at(0))], at(0))
            .await
            .expect("written");
        queue.sources().intend_place("calls", "a", intent(b"a"), at(1)).await.expect("written");
        queue.sources().record_placed("calls", "a", at(2)).await.expect("written");
        assert_eq!(
            queue.sources().list_deletable("calls", at(9)).await.expect("read"),
            Vec::new(),
            "no notes"
        );
        queue.sources().intend_deletion("calls", "a", at(10)).await.expect("written");
        let asked = |now| queue.sources().list_deletions("calls", Duration::from_secs(60), now);
        assert_eq!(asked(at(11)).await.expect("read"), [at(10)]);
        assert_eq!(asked(at(71)).await.expect("read"), Vec::new());
    }
}
