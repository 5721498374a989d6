//! Files that minuted died of: how often, and which are set aside.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{
    Files, StoreError,
    row::read_stamp,
    sql::{Transaction, params},
};
use crate::{beneath::Stamp, effect::Effect, last_words::Parsed};

/// After so many crashes a file is not parsed again.
pub(crate) const CRASHES_MAX: u32 = 3;

impl Files<'_> {
    /// Charges a file with the death of a process that was parsing it; returns how often it has
    /// done so. A mark is charged once, however often this is repeated; a file that has changed
    /// since begins anew.
    pub async fn count_crash(self, parsed: &Parsed, now: Timestamp) -> Result<u32, StoreError> {
        let parsed = parsed.clone();
        self.0
            .write(Effect::Charge, move |tx| {
                let Parsed { mark, folder, path, stamp } = &parsed;
                let before = read_times(tx, folder, path, *stamp)?;
                if let Some((times, charged)) = &before
                    && charged == mark
                {
                    return Ok(*times);
                }
                let times = before.map_or(0, |(times, _)| times).saturating_add(1);
                tx.execute(
                    "INSERT INTO crash (folder, path, size, mtime_ns, inode, times, mark, at_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (folder, path) DO UPDATE SET size = ?3, \
                 mtime_ns = ?4, inode = ?5, times = ?6, mark = ?7, at_ms = ?8",
                    params![folder, path, stamp.size, stamp.mtime_ns, stamp.inode, times, mark, now],
                )?;
                Ok(times)
            })
            .await
    }

    /// Returns the files of a folder that are not to be parsed again, as they were.
    pub async fn list_crashing(self, folder: &str) -> Result<Vec<(PathBuf, Stamp)>, StoreError> {
        let folder = folder.to_owned();
        self.0
            .read(move |tx| {
                let sql = "SELECT path, size, mtime_ns, inode FROM crash WHERE folder = ?1 AND times >= ?2";
                tx.query_rows(sql, params![folder, CRASHES_MAX], |row| Ok((row.get("path")?, read_stamp(row)?)))
            })
            .await
    }
}

/// Returns how often this very file has crashed minuted, and the mark that was charged last.
fn read_times(
    tx: &Transaction<'_>,
    folder: &str,
    path: &Path,
    stamp: Stamp,
) -> Result<Option<(u32, String)>, StoreError> {
    tx.query_row(
        "SELECT times, mark FROM crash WHERE folder = ?1 AND path = ?2 AND size = ?3 AND mtime_ns = ?4 AND inode = ?5",
        params![folder, path, stamp.size, stamp.mtime_ns, stamp.inode],
        |row| Ok((row.get("times")?, row.get("mark")?)),
    )
}

/// A file that was looked into to its end, or is gone, is charged with nothing any more.
pub(super) fn clear_crashes(
    tx: &Transaction<'_>,
    folder: &str,
    path: &Path,
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM crash WHERE folder = ?1 AND path = ?2", params![folder, path]).map(drop)
}
