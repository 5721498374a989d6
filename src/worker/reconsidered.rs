//! The files that are to be looked at again although their stamps are known.
//!
//! The queue has forgotten them before they come here, so that a process which dies in between looks at them when it
//! starts again.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

use tokio::sync::Notify;

/// Files by the ids of their folders, until the watch on the folder has taken them.
#[derive(Debug, Default)]
pub(crate) struct ReconsideredFiles {
    files: Mutex<BTreeMap<String, BTreeSet<PathBuf>>>,
    bell: Notify,
}

impl ReconsideredFiles {
    /// Adds a file of a folder.
    pub(crate) fn add(&self, folder: &str, path: &Path) {
        self.lock().entry(folder.to_owned()).or_default().insert(path.to_owned());
        self.bell.notify_one();
    }

    /// Waits until something was added. Loses nothing when it is dropped.
    pub(crate) async fn added(&self) {
        self.bell.notified().await;
    }

    /// Takes all files, by the ids of their folders.
    #[must_use]
    pub(crate) fn take_all(&self) -> BTreeMap<String, BTreeSet<PathBuf>> {
        std::mem::take(&mut *self.lock())
    }

    /// Puts files back that a folder could not take now: they are offered again with the next.
    pub(crate) fn put_back(&self, folder: String, files: BTreeSet<PathBuf>) {
        self.lock().entry(folder).or_default().extend(files);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<PathBuf>>> {
        self.files.lock().expect("no thread panics while it holds them")
    }
}
