//! Whether an installation is what the pins say.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{Hash, Package, Pinned};
use crate::beneath::Dir;

/// What was found in an installation directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The directory.
    pub dir: PathBuf,
    /// Each pinned file, in the order of [`Package::files`].
    pub files: Vec<(Pinned, FileState)>,
}

/// How a file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// It has the pinned hash.
    Ok,
    /// It has not, or cannot be read.
    Damaged,
    /// It is not there.
    Missing,
}

impl FileState {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
        }
    }
}

impl Installation {
    /// Reads every file of the installation in `dir`; for the whole model that takes a tenth of a second.
    #[must_use]
    pub fn inspect(package: &Package, dir: &Path) -> Self {
        let opened = Dir::open(dir).ok();
        let look = |pinned: &&Pinned| {
            let state = opened.as_ref().map_or(FileState::Missing, |opened| look(opened, pinned));
            (**pinned, state)
        };
        Self { dir: dir.to_owned(), files: package.files().iter().map(look).collect() }
    }

    /// Returns whether every file is what it must be.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.files.iter().all(|(_, state)| *state == FileState::Ok)
    }

    /// Returns the bytes that its files take on the disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        let sizes = self.files.iter().map(|(pinned, _)| self.dir.join(pinned.name).symlink_metadata());
        sizes.flatten().map(|metadata| metadata.len()).sum()
    }
}

fn look(dir: &Dir, pinned: &Pinned) -> FileState {
    match dir.open_file(Path::new(pinned.name)) {
        Ok(file) => match Hash::of(file.take(pinned.size + 1)) {
            Ok(found) if found == (pinned.sha256, pinned.size) => FileState::Ok,
            Ok(_) | Err(_) => FileState::Damaged,
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileState::Missing,
        Err(_) => FileState::Damaged,
    }
}
