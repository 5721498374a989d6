//! The table of sightings: one row a file that the scans have seen, so that an unchanged file is
//! never read again.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{
    Files, Job, JobId, Settled, StoreError,
    jobs::{set_file_content, set_path, set_stamp},
    meta,
    row::read_stamp,
    skip::SkipKind,
    sql::{Row, Transaction, params},
};
use crate::{beneath::Stamp, effect::Effect, job::Content};

/// Sightings in one answer of the queue.
const SIGHTINGS_MAX: u32 = 5000;

/// A file as it was last seen in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Its path, relative to the folder. Bytes, not always UTF-8.
    pub path: PathBuf,
    /// Its stamp then.
    pub stamp: Stamp,
    /// The time at which minuted first saw a file of that name there, by minuted's clock.
    pub first: Timestamp,
    /// Since when minuted has seen exactly this stamp.
    pub since: Timestamp,
    /// The verdict about it.
    pub verdict: FileVerdict,
    /// The boot of the machine in which a writer was seen at work that was not seen to close it;
    /// only while it settles.
    pub written_boot: Option<String>,
}

/// The verdict about a file that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileVerdict {
    /// Watched until it is quiet and complete.
    Settling,
    /// A job (or a skip) is recorded for it.
    Taken {
        /// The job's id.
        job: i64,
    },
    /// Older than the first scan of the folder; waits for `minuted backlog`.
    Backlog,
    /// Older than the first scan of the folder, and left alone as the person decided.
    Ignored,
}

impl FileVerdict {
    /// Returns what `minuted why` says of it.
    #[must_use]
    pub fn explain(self) -> &'static str {
        match self {
            Self::Settling => "it is being watched until it is quiet and complete",
            Self::Taken { .. } => "a job is recorded for it",
            Self::Backlog => {
                "it was there before minuted and waits for `minuted backlog FOLDER process|skip`"
            }
            Self::Ignored => {
                "it was there before minuted and is left alone, as the folder's backlog setting says"
            }
        }
    }
}

/// The columns of [`Sighting`].
const COLUMNS: &str =
    "path, size, mtime_ns, inode, first_ms, since_ms, verdict, job_id, written_boot";

impl Files<'_> {
    /// Returns up to `SIGHTINGS_MAX` sightings of a folder by the bytes of their paths, those
    /// behind `after`: a folder may have a million, and an empty answer is the end.
    pub async fn list(self, folder: &str, after: &Path) -> Result<Vec<Sighting>, StoreError> {
        let folder = folder.to_owned();
        let after = after.to_owned();
        self.0
            .read(move |tx| {
                let sql =
                    format!("SELECT {COLUMNS} FROM sighting WHERE folder = ?1 AND path > ?2 ORDER BY path LIMIT ?3");
                tx.query_rows(&sql, params![folder, after, SIGHTINGS_MAX], read_sighting)
            })
            .await
    }

    /// Returns what the scans know of a path.
    pub async fn find(self, folder: &str, path: PathBuf) -> Result<Option<Sighting>, StoreError> {
        let folder = folder.to_owned();
        self.0
            .read(move |tx| {
                let sql = format!("SELECT {COLUMNS} FROM sighting WHERE folder = ?1 AND path = ?2");
                tx.query_row(&sql, params![folder, path], read_sighting)
            })
            .await
    }

    /// Returns where in a folder files of this very stamp were seen: where a file that was renamed
    /// lies now.
    pub async fn find_by_stamp(
        self,
        folder: &str,
        stamp: Stamp,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let folder = folder.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT path FROM sighting WHERE folder = ?1 AND size = ?2 AND mtime_ns = ?3 AND inode = ?4 \
                 ORDER BY path";
                tx.query_values(sql, params![folder, stamp.size, stamp.mtime_ns, stamp.inode])
            })
            .await
    }

    /// Records files as they were seen, in one commit.
    pub async fn record(self, folder: &str, seen: Vec<Sighting>) -> Result<(), StoreError> {
        let folder = folder.to_owned();
        self.0
            .write(Effect::See, move |tx| {
                seen.iter().try_for_each(|sighting| put_sighting(tx, &folder, sighting))
            })
            .await
    }

    /// Returns how many files of a folder wait for `minuted backlog`.
    pub async fn count_backlog(self, folder: &str) -> Result<u64, StoreError> {
        let folder = folder.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT count(*) FROM sighting WHERE folder = ?1 AND verdict = 'backlog'";
                tx.query_value(sql, params![folder])
            })
            .await
    }

    /// Decides about the files that waited for `minuted backlog`: they settle, or are left alone.
    /// Returns how many.
    pub async fn decide_backlog(self, folder: &str, process: bool) -> Result<usize, StoreError> {
        let folder = folder.to_owned();
        self.0
            .write(Effect::DecideBacklog, move |tx| {
                let sql = if process {
                    "DELETE FROM sighting WHERE folder = ?1 AND verdict = 'backlog'"
                } else {
                    "UPDATE sighting SET verdict = 'ignored' WHERE folder = ?1 AND verdict = 'backlog'"
                };
                tx.execute(sql, params![folder])
            })
            .await
    }

    /// Forgets that files of `folder` exceeded its bounds, where these are not the bounds of
    /// `limits` any more: they are looked at again. Returns how many.
    pub async fn reconsider_limits(
        self,
        folder: &str,
        limits: String,
    ) -> Result<usize, StoreError> {
        let folder = folder.to_owned();
        self.write_reconsidered(move |tx| {
            let name = format!("limits of {folder}");
            if meta::recall(tx, &name)?.as_ref() == Some(&limits) {
                return Ok(0);
            }
            meta::remember(tx, &name, &limits)?;
            let sql = "DELETE FROM sighting WHERE job_id IN (SELECT id FROM job WHERE folder = ?1 \
                 AND state = 'skipped' AND skip = ?2)";
            tx.execute(sql, params![folder, SkipKind::Limit])
        })
        .await
    }

    /// Forgets that the file of a job was seen as it is now: its bytes are others than those that
    /// were taken in, although its stamp is the same. Returns how many sightings are forgotten:
    /// none where the file was looked at meanwhile.
    pub async fn reconsider_file(self, job: &Job) -> Result<usize, StoreError> {
        let id = job.id;
        let folder = job.key.folder.clone();
        let path = job.path.clone();
        let stamp = job.stamp;
        self.write_reconsidered(move |tx| {
            let sql = "DELETE FROM sighting WHERE folder = ?1 AND path = ?2 AND job_id = ?3 AND size = ?4 \
                 AND mtime_ns = ?5 AND inode = ?6";
            tx.execute(sql, params![folder, path, id, stamp.size, stamp.mtime_ns, stamp.inode])
        })
        .await
    }

    /// Forgets that these files were seen as unsupported, so that a service that takes them now
    /// gets them.
    pub async fn reconsider_unsupported(
        self,
        folder: &str,
        extensions: Vec<String>,
    ) -> Result<usize, StoreError> {
        let folder = folder.to_owned();
        self.write_reconsidered(move |tx| {
            let sql = "SELECT id, path FROM job WHERE folder = ?1 AND state = 'skipped' AND key IS NULL \
                 AND skip IS DISTINCT FROM 'limit'";
            let skipped: Vec<(JobId, PathBuf)> =
                tx.query_rows(sql, params![folder], |row| Ok((row.get("id")?, row.get("path")?)))?;
            let mut reconsidered = 0;
            for (id, path) in skipped {
                let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
                if extension.is_some_and(|extension| extensions.contains(&extension)) {
                    tx.execute("DELETE FROM sighting WHERE job_id = ?1", params![id])?;
                    tx.execute("DELETE FROM job WHERE id = ?1", params![id])?;
                    reconsidered += 1;
                }
            }
            Ok(reconsidered)
        })
        .await
    }

    /// Runs what has files looked at again, in one transaction.
    async fn write_reconsidered(
        self,
        work: impl FnOnce(&Transaction<'_>) -> Result<usize, StoreError> + Send + 'static,
    ) -> Result<usize, StoreError> {
        self.0.write(Effect::Reconsider, work).await
    }
}

/// Records a file as it was seen.
pub(super) fn put_sighting(
    tx: &Transaction<'_>,
    folder: &str,
    sighting: &Sighting,
) -> Result<(), StoreError> {
    let (verdict, job) = match sighting.verdict {
        FileVerdict::Settling => ("settling", None),
        FileVerdict::Taken { job } => ("taken", Some(job)),
        FileVerdict::Backlog => ("backlog", None),
        FileVerdict::Ignored => ("ignored", None),
    };
    let Sighting { path, stamp, first, since, written_boot, .. } = sighting;
    tx.execute(
        "INSERT INTO sighting (folder, path, size, mtime_ns, inode, first_ms, since_ms, verdict, job_id, written_boot) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (folder, path) DO UPDATE SET size = ?3, mtime_ns = ?4, inode = ?5, since_ms = ?7, verdict = ?8, \
         job_id = ?9, written_boot = ?10",
        params![folder, path, stamp.size, stamp.mtime_ns, stamp.inode, first, since, verdict, job, written_boot],
    )
    .map(drop)
}

/// Forgets that a file was seen.
pub(super) fn delete_sighting(
    tx: &Transaction<'_>,
    folder: &str,
    path: &Path,
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sighting WHERE folder = ?1 AND path = ?2", params![folder, path])
        .map(drop)
}

/// Returns whether this very file is known as the job's: then it was not dropped again.
pub(super) fn is_seen_as(
    tx: &Transaction<'_>,
    recording: &Settled,
    job: JobId,
) -> Result<bool, StoreError> {
    let Settled { folder, path, stamp, .. } = recording;
    tx.exists(
        "SELECT 1 FROM sighting WHERE folder = ?1 AND path = ?2 AND job_id = ?3 AND size = ?4 AND mtime_ns = ?5 \
         AND inode = ?6",
        params![folder, path, job, stamp.size, stamp.mtime_ns, stamp.inode],
    )
}

/// Returns the other job that has what now lies at a job's path.
pub(super) fn find_successor(tx: &Transaction<'_>, id: JobId) -> Result<Option<JobId>, StoreError> {
    tx.find_value(
        "SELECT sighting.job_id FROM job JOIN sighting ON sighting.folder = job.folder AND sighting.path = job.path \
         WHERE job.id = ?1 AND verdict = 'taken' AND sighting.job_id <> ?1",
        params![id],
    )
}

/// Hands the files of one job over to another one.
pub(super) fn hand_over(tx: &Transaction<'_>, from: JobId, to: JobId) -> Result<(), StoreError> {
    tx.execute("UPDATE sighting SET job_id = ?2 WHERE job_id = ?1", params![from, to]).map(drop)
}

/// Lets a job whose file is gone take a copy that was skipped because of it: that is what a rename
/// looks like.
pub(super) fn adopt_copy(
    tx: &Transaction<'_>,
    id: JobId,
    folder: &str,
    key: &str,
) -> Result<bool, StoreError> {
    let content = key.split('.').next().unwrap_or_default();
    let same_content = find_copy(tx, "job.content = ?1", content, folder)?;
    let sound: Option<String> =
        tx.query_value("SELECT sound FROM job WHERE id = ?1", params![id])?;
    let copy = match (same_content, sound) {
        (None, Some(sound)) => find_copy(tx, "job.sound = ?1", &sound, folder)?,
        (copy, _) => copy,
    };
    let Some(copy) = copy else { return Ok(false) };
    hand_over(tx, copy.id, id)?;
    tx.execute("DELETE FROM job WHERE id = ?1", params![copy.id])?;
    set_path(tx, id, &copy.path)?;
    set_stamp(tx, id, copy.stamp)?;
    set_file_content(tx, id, copy.content.as_ref())?;
    Ok(true)
}

/// A file that was skipped, and lies there.
struct SkippedCopy {
    /// The number of its row.
    id: JobId,
    path: PathBuf,
    stamp: Stamp,
    content: Option<Content>,
}

/// Returns a file that was skipped and lies there; `condition` compares with `name`.
fn find_copy(
    tx: &Transaction<'_>,
    condition: &str,
    name: &str,
    folder: &str,
) -> Result<Option<SkippedCopy>, StoreError> {
    let sql = format!(
        "SELECT job.id AS copy, job.path, job.size, job.mtime_ns, job.inode, job.content FROM job JOIN sighting \
         ON sighting.job_id = job.id WHERE {condition} AND job.folder = ?2 AND job.state = 'skipped' LIMIT 1"
    );
    tx.query_row(&sql, params![name, folder], |row| {
        Ok(SkippedCopy {
            id: row.get("copy")?,
            path: row.get("path")?,
            stamp: read_stamp(row)?,
            content: row.get("content")?,
        })
    })
}

fn read_sighting(row: &Row<'_>) -> Result<Sighting, StoreError> {
    let word: String = row.get("verdict")?;
    let verdict = match word.as_str() {
        "settling" => FileVerdict::Settling,
        // A job that was pruned leaves its sighting: the file is still known.
        "taken" => {
            FileVerdict::Taken { job: row.get::<Option<i64>>("job_id")?.unwrap_or_default() }
        }
        "backlog" => FileVerdict::Backlog,
        "ignored" => FileVerdict::Ignored,
        _ => return Err(StoreError::Corrupt { what: "verdict", value: word }),
    };
    Ok(Sighting {
        path: row.get("path")?,
        stamp: read_stamp(row)?,
        first: row.get("first_ms")?,
        since: row.get("since_ms")?,
        verdict,
        written_boot: row.get("written_boot")?,
    })
}
