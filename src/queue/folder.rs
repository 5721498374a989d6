//! What the queue remembers of the folders themselves, and of the files that were seen in them.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, named_params};

use super::{
    Job, JobId, Lane, Queue, QueueError, Sighting, Verdict,
    history::log,
    record::transition,
    row::{self, path_bytes},
    skip::LIMIT,
};
use crate::{
    beneath::{Place, Stamp},
    effect::Effect,
    job::{Event, EventKind, Stage},
};

/// A file that is gone for longer is gone for good: longer than a sync tool takes to move a folder.
pub const LOST_AFTER: Duration = Duration::from_secs(3600);

/// Sightings in one answer of the queue.
const SIGHTINGS_MAX: u32 = 5000;

impl Queue {
    /// Returns up to `SIGHTINGS_MAX` sightings of a folder by the bytes of their paths, those behind `after`: a folder
    /// may have a million, and an empty answer is the end.
    pub async fn sightings(&self, folder: &str, after: &Path) -> Result<Vec<Sighting>, QueueError> {
        let (folder, after) = (folder.to_owned(), after.to_owned());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT path, size, mtime_ns, inode, first_ms, since_ms, verdict, job_id, written_boot FROM sighting \
                 WHERE folder = ?1 AND path > ?2 ORDER BY path LIMIT ?3",
            )?;
            let rows = statement.query_map(rusqlite::params![folder, path_bytes(&after), SIGHTINGS_MAX], sighting)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Returns where in a folder files of this very stamp were seen: where a file that was renamed lies now.
    pub async fn paths_of_stamp(&self, folder: &str, stamp: Stamp) -> Result<Vec<PathBuf>, QueueError> {
        let folder = folder.to_owned();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT path FROM sighting WHERE folder = ?1 AND size = ?2 AND mtime_ns = ?3 AND inode = ?4 ORDER BY path",
            )?;
            let wanted =
                rusqlite::params![folder, stamp.size.cast_signed(), stamp.mtime_ns, stamp.inode.cast_signed()];
            let rows = statement.query_map(wanted, |row| row::path(row, "path"))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Records files as they were seen, in one commit.
    pub async fn see(&self, folder: &str, seen: Vec<Sighting>) -> Result<(), QueueError> {
        let folder = folder.to_owned();
        self.write(Effect::See, move |tx| seen.iter().try_for_each(|sighting| put_sighting(tx, &folder, sighting)))
            .await
    }

    /// Lets the jobs of `folder` that wait for a file which is there (unreadable until now) try again.
    ///
    /// Only those that have waited since before `before`, so that a file which stays unreadable costs little.
    pub async fn wake_files(&self, folder: &str, before: Timestamp, now: Timestamp) -> Result<usize, QueueError> {
        let folder = folder.to_owned();
        self.write(Effect::WakeFiles, move |tx| {
            let waiting = tx
                .prepare_cached(
                    "SELECT job.id, state, stage, waits_for, due_ms, updated_ms FROM job JOIN sighting \
                     ON sighting.folder = job.folder AND sighting.path = job.path AND sighting.job_id = job.id \
                     AND sighting.verdict = 'taken' WHERE waits_for = 'file' AND job.folder = ?1 \
                     AND updated_ms <= ?2",
                )?
                .query_map(rusqlite::params![folder, before.as_millisecond()], |row| {
                    Ok((JobId(row.get(0)?), row::state(row)?))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            for (id, state) in &waiting {
                let from = state.stage().unwrap_or(Stage::Create);
                transition(tx, *id, state, &Event::Resume { from, due: now }, now)?;
            }
            Ok(waiting.len())
        })
        .await
    }

    /// Lets everything in `folder` try again that could not be read or written: the folder is back. Returns how many.
    pub async fn wake_folder(&self, folder: &str, now: Timestamp) -> Result<usize, QueueError> {
        let deliveries = self.wake_deliveries(Lane::Files, Some(folder.to_owned()), now).await?;
        Ok(deliveries + self.wake_files(folder, now, now).await?)
    }

    /// Returns the directories below a folder on which something was mounted.
    pub async fn mounts(&self, folder: &str) -> Result<Vec<PathBuf>, QueueError> {
        let name = mounts_of(folder);
        self.read(move |connection| {
            let text: Option<String> =
                connection.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| row.get(0)).optional()?;
            let paths: Vec<Vec<u8>> = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            Ok(paths.into_iter().map(|path| OsString::from_vec(path).into()).collect())
        })
        .await
    }

    /// Records the directories below a folder on which something is mounted, or was.
    pub async fn remember_mounts(&self, folder: &str, mounts: Vec<PathBuf>) -> Result<(), QueueError> {
        let name = mounts_of(folder);
        let paths: Vec<&[u8]> = mounts.iter().map(|path| path.as_os_str().as_bytes()).collect();
        self.remember(name, serde_json::to_string(&paths).unwrap_or_default()).await
    }

    /// Returns whether a job of `folder` is of a file of this size.
    pub async fn has_job_of_size(&self, folder: &str, size: u64) -> Result<bool, QueueError> {
        let folder = folder.to_owned();
        self.read(move |connection| {
            let sql = "SELECT 1 FROM job WHERE folder = ?1 AND size = ?2 AND state <> 'skipped' LIMIT 1";
            Ok(connection.prepare_cached(sql)?.exists(rusqlite::params![folder, size.cast_signed()])?)
        })
        .await
    }

    /// Forgets that files of `folder` exceeded its bounds, where these are not the bounds of `limits` any more: they are
    /// looked at again. Returns how many.
    pub async fn reconsider_limits(&self, folder: &str, limits: String) -> Result<usize, QueueError> {
        let (folder, name) = (folder.to_owned(), format!("limits of {folder}"));
        self.write_reconsidered(move |tx| {
            let before: Option<String> =
                tx.query_row("SELECT value FROM meta WHERE name = ?", [&name], |row| row.get(0)).optional()?;
            if before.as_ref() == Some(&limits) {
                return Ok(0);
            }
            tx.execute(
                "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
                [&name, &limits],
            )?;
            let of_limits = "SELECT id FROM job WHERE folder = ?1 AND state = 'skipped' AND skip = ?2";
            let sql = format!("DELETE FROM sighting WHERE job_id IN ({of_limits})");
            Ok(tx.execute(&sql, [&folder, LIMIT])?)
        })
        .await
    }

    /// Returns whether any job of `folder` waits for its file.
    pub async fn waits_for_file(&self, folder: &str) -> Result<bool, QueueError> {
        let folder = folder.to_owned();
        self.read(move |connection| {
            Ok(connection
                .prepare_cached("SELECT 1 FROM job WHERE waits_for = 'file' AND folder = ? LIMIT 1")?
                .exists([folder])?)
        })
        .await
    }

    /// Returns those of these keys whose recording is still to be sent.
    pub async fn keys_to_send(&self, keys: Vec<String>) -> Result<BTreeSet<String>, QueueError> {
        self.read(move |connection| {
            let sql = "SELECT 1 FROM job WHERE key = ? AND stage IN ('create', 'upload') LIMIT 1";
            let mut statement = connection.prepare_cached(sql)?;
            let mut unsent = BTreeSet::new();
            for key in keys {
                if statement.exists([&key])? {
                    unsent.insert(key);
                }
            }
            Ok(unsent)
        })
        .await
    }

    /// Cancels the jobs whose file has been gone from a folder since before `before`. Returns how many.
    pub async fn cancel_lost(&self, folder: &str, before: Timestamp, now: Timestamp) -> Result<usize, QueueError> {
        let folder = folder.to_owned();
        self.write(Effect::CancelLost, move |tx| {
            let lost = tx
                .prepare_cached(
                    "SELECT id, state, stage, waits_for, due_ms, updated_ms FROM job WHERE waits_for = 'file' \
                     AND folder = ?1 AND updated_ms < ?2 AND NOT EXISTS (SELECT 1 FROM sighting \
                     WHERE sighting.folder = job.folder AND sighting.path = job.path \
                     AND (sighting.job_id IS NULL OR sighting.job_id = job.id))",
                )?
                .query_map(rusqlite::params![folder, before.as_millisecond()], |row| {
                    Ok((JobId(row.get(0)?), row::state(row)?))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            for (id, state) in &lost {
                transition(tx, *id, state, &Event::Cancel, now)?;
                log(tx, *id, state.stage(), EventKind::CancelledFileGone, None, now)?;
            }
            Ok(lost.len())
        })
        .await
    }

    /// Runs what has files looked at again, in one transaction.
    async fn write_reconsidered(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<usize, QueueError> + Send + 'static,
    ) -> Result<usize, QueueError> {
        self.write(Effect::Reconsider, work).await
    }

    /// Forgets that the file of a job was seen as it is now: its bytes are others than those that were taken in, although
    /// its stamp is the same. Returns how many sightings are forgotten: none where the file was looked at meanwhile.
    pub async fn reconsider_file(&self, job: &Job) -> Result<usize, QueueError> {
        let (id, folder, path, stamp) = (job.id, job.key.folder.clone(), job.path.clone(), job.stamp);
        self.write_reconsidered(move |tx| {
            let sql = "DELETE FROM sighting WHERE folder = ?1 AND path = ?2 AND job_id = ?3 AND size = ?4 \
                       AND mtime_ns = ?5 AND inode = ?6";
            let seen = rusqlite::params![
                folder,
                path_bytes(&path),
                id.0,
                stamp.size.cast_signed(),
                stamp.mtime_ns,
                stamp.inode.cast_signed()
            ];
            Ok(tx.execute(sql, seen)?)
        })
        .await
    }

    /// Forgets that these files were seen as unsupported, so that a service that takes them now gets them.
    pub async fn reconsider(&self, folder: &str, extensions: Vec<String>) -> Result<usize, QueueError> {
        let folder = folder.to_owned();
        self.write_reconsidered(move |tx| {
            let skipped = tx
                .prepare("SELECT id, path FROM job WHERE folder = ? AND state = 'skipped' AND key IS NULL AND skip IS NOT 'limit'")?
                .query_map([&folder], |row| Ok((row.get::<_, i64>(0)?, row::path(row, "path")?)))?
                .collect::<Result<Vec<_>, _>>()?;
            let mut reconsidered = 0;
            for (id, path) in skipped {
                let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
                if extension.is_some_and(|extension| extensions.contains(&extension)) {
                    tx.execute("DELETE FROM sighting WHERE job_id = ?", [id])?;
                    tx.execute("DELETE FROM job WHERE id = ?", [id])?;
                    reconsidered += 1;
                }
            }
            Ok(reconsidered)
        })
        .await
    }

    /// Keeps the configuration of folders that leave it while jobs of theirs are under way, and forgets those that came
    /// back or have nothing left to do. `left` and `here` are ids.
    pub async fn keep_former(&self, left: Vec<String>, here: Vec<String>, config: String) -> Result<(), QueueError> {
        self.write(Effect::KeepFormer, move |tx| {
            for id in left {
                tx.execute(
                    "INSERT INTO former_folder (id, config) SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM job \
                     WHERE folder = ?1 AND stage IS NOT NULL OR id IN (SELECT job_id FROM delivery \
                     WHERE state = 'due') AND folder = ?1) ON CONFLICT (id) DO NOTHING",
                    [&id, &config],
                )?;
            }
            for id in here {
                tx.execute("DELETE FROM former_folder WHERE id = ?", [id])?;
            }
            tx.execute(
                "DELETE FROM former_folder WHERE NOT EXISTS (SELECT 1 FROM job WHERE folder = former_folder.id \
                 AND (stage IS NOT NULL OR id IN (SELECT job_id FROM delivery WHERE state = 'due')))",
                [],
            )?;
            Ok(())
        })
        .await
    }

    /// Returns the folders that left the configuration with work under way: id and last configuration.
    pub async fn former(&self) -> Result<Vec<(String, String)>, QueueError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT id, config FROM former_folder")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Returns what a folder's directory was when minuted met it, `None` when it never did.
    pub async fn folder_root(&self, folder: &str) -> Result<Option<Root>, QueueError> {
        let folder = folder.to_owned();
        self.read(move |connection| {
            let met = connection
                .query_row("SELECT device, met_ms FROM folder WHERE id = ?", [&folder], |row| {
                    Ok((row.get::<_, i64>(0)?.cast_unsigned(), row::time(row, "met_ms")?))
                })
                .optional()?;
            let Some((device, met)) = met else { return Ok(None) };
            let spot: Option<String> = connection
                .query_row("SELECT value FROM meta WHERE name = ?", [root_of(&folder)], |row| row.get(0))
                .optional()?;
            // An older minuted remembered no more than the device.
            let spot = spot.and_then(|text| serde_json::from_str(&text).ok()).map(|(inode, is_mount, path)| Spot {
                inode,
                is_mount,
                path: OsString::from_vec(path).into(),
            });
            Ok(Some(Root { device, met, spot }))
        })
        .await
    }

    /// Records that minuted has met a folder, or where it lies now.
    pub async fn meet(&self, folder: &str, root: Root) -> Result<(), QueueError> {
        let folder = folder.to_owned();
        self.write(Effect::Meet, move |tx| {
            tx.execute(
                "INSERT INTO folder (id, device, met_ms) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (id) DO UPDATE SET device = ?2, met_ms = ?3",
                rusqlite::params![folder, root.device.cast_signed(), root.met.as_millisecond()],
            )?;
            if let Some(spot) = root.spot {
                let told = (spot.inode, spot.is_mount, spot.path.as_os_str().as_bytes());
                tx.execute(
                    "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
                    [root_of(&folder), serde_json::to_string(&told).unwrap_or_default()],
                )?;
            }
            Ok(())
        })
        .await
    }
}

/// The directory of a folder as minuted has met it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The device it lies on: another one means mounted or unmounted.
    pub device: u64,
    /// When it was met: files first seen until then are backlog.
    pub met: Timestamp,
    /// What else is known of it; nothing where an older minuted has met it.
    pub spot: Option<Spot>,
}

/// Which directory a folder was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Its inode.
    pub inode: u64,
    /// Whether something was mounted there.
    pub is_mount: bool,
    /// Its path.
    pub path: PathBuf,
}

impl Root {
    /// Returns what is remembered of a directory that was met at this time.
    #[must_use]
    pub fn new(place: Place, path: &Path, met: Timestamp) -> Self {
        let Place { device, inode, is_mount } = place;
        Self { device, met, spot: Some(Spot { inode, is_mount, path: path.to_owned() }) }
    }

    /// Returns whether something else lies there than was met, as far as its numbers tell: a mount went or came.
    ///
    /// A directory that a person has made anew where nothing was mounted is no other place, nor is one whose file
    /// system got another number with a restart. The root of a file system has the same inode as that of any other.
    #[must_use]
    pub fn is_elsewhere(&self, now: Place) -> bool {
        let other_device = self.device != now.device;
        match &self.spot {
            Some(spot) if spot.inode == now.inode => other_device && (spot.is_mount || now.is_mount),
            Some(spot) => other_device || spot.is_mount,
            None => other_device,
        }
    }

    /// Returns whether the folder's path in the configuration is another one than when it was met, and leads to another
    /// directory.
    #[must_use]
    pub fn is_other_path(&self, path: &Path, now: Place) -> bool {
        let spot = self.spot.as_ref().filter(|spot| spot.path != path);
        spot.is_some_and(|spot| self.device != now.device || spot.inode != now.inode)
    }
}

/// The name under which a folder's directory is remembered.
fn root_of(folder: &str) -> String {
    format!("root {folder}")
}

/// The name under which the mounts of a folder are remembered.
fn mounts_of(folder: &str) -> String {
    format!("mounts {folder}")
}

pub(super) fn put_sighting(tx: &Transaction<'_>, folder: &str, sighting: &Sighting) -> Result<(), QueueError> {
    let (verdict, job) = match sighting.verdict {
        Verdict::Settling => ("settling", None),
        Verdict::Taken { job } => ("taken", Some(job)),
        Verdict::Backlog => ("backlog", None),
        Verdict::Ignored => ("ignored", None),
    };
    tx.prepare_cached(
        "INSERT INTO sighting (folder, path, size, mtime_ns, inode, first_ms, since_ms, verdict, job_id, written_boot) \
         VALUES (:folder, :path, :size, :mtime, :inode, :first, :since, :verdict, :job, :boot) \
         ON CONFLICT (folder, path) DO UPDATE SET size = :size, mtime_ns = :mtime, inode = :inode, \
         since_ms = :since, verdict = :verdict, job_id = :job, written_boot = :boot",
    )?
    .execute(named_params! {
        ":folder": folder, ":path": path_bytes(&sighting.path), ":size": sighting.stamp.size.cast_signed(),
        ":mtime": sighting.stamp.mtime_ns, ":inode": sighting.stamp.inode.cast_signed(),
        ":first": sighting.first.as_millisecond(), ":since": sighting.since.as_millisecond(),
        ":verdict": verdict, ":job": job, ":boot": sighting.written_boot,
    })?;
    Ok(())
}

pub(super) fn sighting(row: &rusqlite::Row<'_>) -> rusqlite::Result<Sighting> {
    let word: String = row.get("verdict")?;
    let verdict = match word.as_str() {
        "settling" => Verdict::Settling,
        // A job that was pruned leaves its sighting: the file is still known.
        "taken" => Verdict::Taken { job: row.get::<_, Option<i64>>("job_id")?.unwrap_or_default() },
        "backlog" => Verdict::Backlog,
        "ignored" => Verdict::Ignored,
        _ => return Err(row::invalid("verdict", word)),
    };
    Ok(Sighting {
        path: row::path(row, "path")?,
        stamp: row::stamp(row)?,
        first: row::time(row, "first_ms")?,
        since: row::time(row, "since_ms")?,
        verdict,
        written_boot: row.get("written_boot")?,
    })
}
