//! The folders themselves: their directories, mounts and former configurations.

use std::{
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Folders, Lane, StoreError, history::log, jobs::read_id_and_state, meta, row::to_json,
    sql::params, transition::transition,
};
use crate::{
    beneath::Place,
    effect::Effect,
    job::{Event, EventKind, Stage},
};

/// A file that is gone for longer is gone for good: longer than a sync tool takes to move a folder.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(3600);

impl Folders<'_> {
    /// Lets the jobs of `folder` that wait for a file which is there (unreadable until now) try
    /// again.
    ///
    /// Only those that have waited since before `before`, so that a file which stays unreadable
    /// costs little.
    pub async fn wake_files(
        self,
        folder: &str,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let folder = folder.to_owned();
        self.0
            .write(Effect::WakeFiles, move |tx| {
                let waiting = tx.query_rows(
                    "SELECT job.id, state, stage, waits_for, due_ms, updated_ms FROM job JOIN sighting \
                 ON sighting.folder = job.folder AND sighting.path = job.path AND sighting.job_id = job.id \
                 AND sighting.verdict = 'taken' WHERE waits_for = 'file' AND job.folder = ?1 AND updated_ms <= ?2",
                    params![folder, before],
                    read_id_and_state,
                )?;
                for (id, state) in &waiting {
                    let from = state.stage().unwrap_or(Stage::Create);
                    transition(tx, *id, state, &Event::Resume { from, due: now }, now)?;
                }
                Ok(waiting.len())
            })
            .await
    }

    /// Lets everything in `folder` try again that could not be read or written: the folder is back.
    /// Returns how many.
    pub async fn wake(self, folder: &str, now: Timestamp) -> Result<usize, StoreError> {
        let deliveries =
            self.0.deliveries().wake(Lane::Files, Some(folder.to_owned()), now).await?;
        Ok(deliveries + self.wake_files(folder, now, now).await?)
    }

    /// Cancels the jobs whose file has been gone from a folder since before `before`. Returns how
    /// many.
    pub async fn cancel_lost(
        self,
        folder: &str,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let folder = folder.to_owned();
        self.0
            .write(Effect::CancelLost, move |tx| {
                let lost = tx.query_rows(
                    "SELECT id, state, stage, waits_for, due_ms, updated_ms FROM job WHERE waits_for = 'file' \
                 AND folder = ?1 AND updated_ms < ?2 AND NOT EXISTS (SELECT 1 FROM sighting \
                 WHERE sighting.folder = job.folder AND sighting.path = job.path \
                 AND (sighting.job_id IS NULL OR sighting.job_id = job.id))",
                    params![folder, before],
                    read_id_and_state,
                )?;
                for (id, state) in &lost {
                    transition(tx, *id, state, &Event::Cancel, now)?;
                    log(tx, *id, state.stage(), EventKind::CancelledFileGone, None, now)?;
                }
                Ok(lost.len())
            })
            .await
    }

    /// Returns the directories below a folder on which something was mounted.
    pub async fn read_mounts(self, folder: &str) -> Result<Vec<PathBuf>, StoreError> {
        let name = mounts_of(folder);
        self.0
            .read(move |tx| {
                let text = meta::recall(tx, &name)?;
                let paths: Vec<Vec<u8>> =
                    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                Ok(paths.into_iter().map(|path| OsString::from_vec(path).into()).collect())
            })
            .await
    }

    /// Records the directories below a folder on which something is mounted, or was.
    pub async fn record_mounts(self, folder: &str, mounts: Vec<PathBuf>) -> Result<(), StoreError> {
        let name = mounts_of(folder);
        let paths: Vec<&[u8]> = mounts.iter().map(|path| path.as_os_str().as_bytes()).collect();
        self.0.maintenance().remember(name, to_json(&paths)).await
    }

    /// Keeps the configuration of folders that leave it while jobs of theirs are under way, and
    /// forgets those that came back or have nothing left to do. `left` and `here` are ids.
    pub async fn keep_former(
        self,
        left: Vec<String>,
        here: Vec<String>,
        config: String,
    ) -> Result<(), StoreError> {
        self.0
            .write(Effect::KeepFormer, move |tx| {
                for id in left {
                    tx.execute(
                        "INSERT INTO former_folder (id, config) SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM job \
                     WHERE folder = ?1 AND stage IS NOT NULL OR id IN (SELECT job_id FROM delivery \
                     WHERE state = 'due') AND folder = ?1) ON CONFLICT (id) DO NOTHING",
                        params![id, config],
                    )?;
                }
                for id in here {
                    tx.execute("DELETE FROM former_folder WHERE id = ?1", params![id])?;
                }
                tx.execute(
                    "DELETE FROM former_folder WHERE NOT EXISTS (SELECT 1 FROM job WHERE folder = former_folder.id \
                 AND (stage IS NOT NULL OR id IN (SELECT job_id FROM delivery WHERE state = 'due')))",
                    params![],
                )
                .map(drop)
            })
            .await
    }

    /// Returns the folders that left the configuration with work under way: id and last
    /// configuration.
    pub async fn list_former(self) -> Result<Vec<(String, String)>, StoreError> {
        self.0
            .read(|tx| {
                let sql = "SELECT id, config FROM former_folder";
                tx.query_rows(sql, params![], |row| Ok((row.get("id")?, row.get("config")?)))
            })
            .await
    }

    /// Returns the directory of a folder at its first scan, `None` before that.
    pub async fn read_root(self, folder: &str) -> Result<Option<FolderRoot>, StoreError> {
        let folder = folder.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT device, met_ms FROM folder WHERE id = ?1";
                let read = tx.query_row(sql, params![folder], |row| {
                    Ok((row.get("device")?, row.get("met_ms")?))
                })?;
                let Some((device, met)) = read else { return Ok(None) };
                let spot = meta::recall(tx, &root_of(&folder))?;
                // An older minuted remembered no more than the device.
                let spot = spot.and_then(|text| serde_json::from_str(&text).ok()).map(
                    |(inode, is_mount, path)| DirectoryIdentity {
                        inode,
                        is_mount,
                        path: OsString::from_vec(path).into(),
                    },
                );
                Ok(Some(FolderRoot { device, met, spot }))
            })
            .await
    }

    /// Records the directory of a folder at its first scan, or the one in which it lies now.
    pub async fn record_root(self, folder: &str, root: FolderRoot) -> Result<(), StoreError> {
        let folder = folder.to_owned();
        self.0
            .write(Effect::Meet, move |tx| {
                tx.execute(
                    "INSERT INTO folder (id, device, met_ms) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (id) DO UPDATE SET device = ?2, met_ms = ?3",
                    params![folder, root.device, root.met],
                )?;
                if let Some(spot) = root.spot {
                    let columns = (spot.inode, spot.is_mount, spot.path.as_os_str().as_bytes());
                    meta::remember(tx, &root_of(&folder), &to_json(&columns))?;
                }
                Ok(())
            })
            .await
    }
}

/// The directory of a folder at its first scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderRoot {
    /// The device it lies on: another one means mounted or unmounted.
    pub device: u64,
    /// The time of the first scan: files first seen until then are backlog.
    pub met: Timestamp,
    /// Its identity; `None` where an older minuted recorded it.
    pub spot: Option<DirectoryIdentity>,
}

/// The identity of the directory that a folder was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryIdentity {
    /// Its inode.
    pub inode: u64,
    /// True if something was mounted there.
    pub is_mount: bool,
    /// Its path.
    pub path: PathBuf,
}

impl FolderRoot {
    /// Returns what is remembered of a directory that was met at this time.
    #[must_use]
    pub fn new(place: Place, path: &Path, met: Timestamp) -> Self {
        let Place { device, inode, is_mount } = place;
        Self {
            device,
            met,
            spot: Some(DirectoryIdentity { inode, is_mount, path: path.to_owned() }),
        }
    }

    /// Returns whether something else lies there than was met, as far as its numbers tell: a mount
    /// went or came.
    ///
    /// A directory that a person has made anew where nothing was mounted is no other place, nor is
    /// one whose file system got another number with a restart. The root of a file system has the
    /// same inode as that of any other.
    #[must_use]
    pub fn is_elsewhere(&self, now: Place) -> bool {
        let other_device = self.device != now.device;
        match &self.spot {
            Some(spot) if spot.inode == now.inode => {
                other_device && (spot.is_mount || now.is_mount)
            }
            Some(spot) => other_device || spot.is_mount,
            None => other_device,
        }
    }

    /// Returns whether the folder's path in the configuration is another one than when it was met,
    /// and leads to another directory.
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
