//! Files that minuted died of: how often, and which are set aside.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction};

use super::{
    Queue, QueueError,
    row::{self, path_bytes},
};
use crate::{beneath::Stamp, effect::Effect, last_words::Parsed};

/// After so many crashes a file is not parsed again.
pub const CRASHES_MAX: u32 = 3;

impl Queue {
    /// Charges a file with the death of a process that was parsing it; returns how often it has done so. A mark is
    /// charged once, however often this is repeated; a file that has changed since begins anew.
    pub async fn charge(&self, parsed: &Parsed, now: Timestamp) -> Result<u32, QueueError> {
        let parsed = parsed.clone();
        self.write(Effect::Charge, move |tx| {
            let Parsed { mark, folder, path, stamp } = &parsed;
            let before = times(tx, folder, path, *stamp)?;
            if let Some((times, charged)) = &before
                && charged == mark
            {
                return Ok(*times);
            }
            let times = before.map_or(0, |(times, _)| times).saturating_add(1);
            tx.execute(
                "INSERT OR REPLACE INTO crash (folder, path, size, mtime_ns, inode, times, mark, at_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                rusqlite::params![
                    folder,
                    path_bytes(path),
                    stamp.size.cast_signed(),
                    stamp.mtime_ns,
                    stamp.inode.cast_signed(),
                    times,
                    mark,
                    now.as_millisecond()
                ],
            )?;
            Ok(times)
        })
        .await
    }

    /// Returns the files of a folder that are not to be parsed again, as they were.
    pub async fn set_aside(&self, folder: &str) -> Result<Vec<(PathBuf, Stamp)>, QueueError> {
        let folder = folder.to_owned();
        self.read(move |connection| {
            let mut statement = connection
                .prepare("SELECT path, size, mtime_ns, inode FROM crash WHERE folder = ?1 AND times >= ?2")?;
            let rows = statement.query_map(rusqlite::params![folder, CRASHES_MAX], |row| {
                Ok((row::path(row, "path")?, row::stamp(row)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn times(tx: &Transaction<'_>, folder: &str, path: &Path, stamp: Stamp) -> Result<Option<(u32, String)>, QueueError> {
    let found = tx
        .query_row(
            "SELECT times, mark FROM crash WHERE folder = ?1 AND path = ?2 AND size = ?3 AND mtime_ns = ?4 \
             AND inode = ?5",
            rusqlite::params![
                folder,
                path_bytes(path),
                stamp.size.cast_signed(),
                stamp.mtime_ns,
                stamp.inode.cast_signed()
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    Ok(found)
}

/// A file that was looked into to its end, or is gone, is charged with nothing any more.
pub(super) fn acquit(tx: &Transaction<'_>, folder: &str, path: &Path) -> Result<(), QueueError> {
    tx.prepare_cached("DELETE FROM crash WHERE folder = ?1 AND path = ?2")?
        .execute(rusqlite::params![folder, path_bytes(path)])?;
    Ok(())
}
