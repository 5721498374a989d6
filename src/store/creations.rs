//! The number of meetings that were asked for: in the queue, and in a file beside it that is
//! written after the queue and before the call.
//!
//! A queue that lost its last transactions (a copy that was put back, a log that was cut off) knows
//! of fewer than the file. Then it is treated as one that was restored, and looks for what was done
//! before it creates anything.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Maintenance, StoreError, meta,
    sql::{Database, Transaction},
};
use crate::{effect::Effect, text::printable_path};

/// The file in the state directory.
const FILE: &str = "creations";

/// Its length: any number in as many digits, so that it is always overwritten as a whole, within
/// one sector.
const DIGITS: usize = 20;

/// The name of the number in the queue.
const COUNT: &str = "creations";

/// The file beside the queue.
#[derive(Debug)]
pub(super) struct Creations {
    path: PathBuf,
}

impl Creations {
    pub(super) fn beside(state_dir: &Path) -> Self {
        Self { path: state_dir.join(FILE) }
    }

    /// The number in the file; 0 where it is missing or holds none: it proves nothing then.
    fn read(&self) -> u64 {
        std::fs::read_to_string(&self.path)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or_default()
    }
}

impl Maintenance<'_> {
    /// Returns whether the queue has lost what it knew of a meeting that was asked for.
    pub async fn lacks_creations(self) -> Result<bool, StoreError> {
        let creations = Arc::clone(&self.0.creations);
        self.0.read(move |tx| Ok(creations.read() > count(tx)?)).await
    }

    /// Begins to count where the queue and the file agree.
    pub async fn agree_on_creations(self) -> Result<(), StoreError> {
        let creations = Arc::clone(&self.0.creations);
        let known = self.0.read(move |tx| Ok(count(tx)?.max(creations.read()))).await?;
        self.remember(COUNT, known.to_string()).await?;
        self.counted(known).await
    }

    /// Writes the number beside the queue. Where it cannot be written nothing is wrong but that a
    /// loss would not show.
    pub(super) async fn counted(self, count: u64) -> Result<(), StoreError> {
        let path = self.0.creations.path.clone();
        let write = move |path: &Path| -> io::Result<()> {
            let is_new = !path.exists();
            let file =
                File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
            Effect::CountCreation.before();
            file.write_all_at(format!("{count:0DIGITS$}\n").as_bytes(), 0)?;
            file.sync_data()?;
            if is_new && let Some(dir) = path.parent() {
                File::open(dir)?.sync_all()?;
            }
            Effect::CountCreation.after();
            Ok(())
        };
        let on_its_turn = move |_: &dyn Database| {
            if let Err(error) = write(&path) {
                tracing::warn!("failed to write `{}`: {error}", printable_path(&path));
            }
            Ok(())
        };
        self.0.writer.call(on_its_turn).await
    }
}

/// Counts one more, in the transaction of the intent.
pub(super) fn count_one(tx: &Transaction<'_>) -> Result<u64, StoreError> {
    let count = count(tx)? + 1;
    meta::remember(tx, COUNT, &count.to_string())?;
    Ok(count)
}

fn count(tx: &Transaction<'_>) -> Result<u64, StoreError> {
    Ok(meta::recall(tx, COUNT)?.and_then(|text| text.parse().ok()).unwrap_or_default())
}
