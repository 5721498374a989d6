//! Inspection of an installation by the pins.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{Package, PinnedFile, Sha256};
use crate::beneath::Dir;

/// The state of an installation directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installation {
    /// The directory.
    pub dir: PathBuf,
    /// Each pinned file, in the order of [`Package::files`].
    pub files: Vec<(PinnedFile, FileState)>,
}

/// The state of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FileState {
    /// The file has the pinned hash.
    Ok,
    /// The file has another hash, or cannot be read.
    Damaged,
    /// The file is missing.
    Missing,
}

impl FileState {
    /// Returns the word for it.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
        }
    }
}

impl Installation {
    /// Reads every file of the installation in `dir`; for the whole model that takes a tenth of a
    /// second.
    #[must_use]
    pub(crate) fn inspect(package: &Package, dir: &Path) -> Self {
        let opened = Dir::open(dir).ok();
        let files = package.files().into_iter().map(|pinned| {
            let state =
                opened.as_ref().map_or(FileState::Missing, |opened| inspect_file(opened, pinned));
            (*pinned, state)
        });
        Self { dir: dir.to_owned(), files: files.collect() }
    }

    /// Returns whether every file is what it must be.
    #[must_use]
    pub(crate) fn is_intact(&self) -> bool {
        self.files.iter().all(|(_, state)| *state == FileState::Ok)
    }

    /// Returns whether it transcribes, with or without speakers.
    #[must_use]
    pub(crate) fn is_usable(&self, package: &Package) -> bool {
        self.are_ok(&package.recogniser_files())
    }

    /// Returns whether it tells voices apart.
    #[must_use]
    pub(crate) fn has_voices(&self, package: &Package) -> bool {
        self.are_ok(&package.voice_files())
    }

    fn are_ok(&self, wanted: &[&PinnedFile]) -> bool {
        let is_ok = |name| {
            self.files.iter().any(|(pinned, state)| pinned.name == name && *state == FileState::Ok)
        };
        wanted.iter().all(|pinned| is_ok(pinned.name))
    }

    /// Returns the bytes that its files take on the disk.
    #[must_use]
    pub(crate) fn size(&self) -> u64 {
        let sizes =
            self.files.iter().map(|(pinned, _)| self.dir.join(pinned.name).symlink_metadata());
        sizes.flatten().map(|metadata| metadata.len()).sum()
    }
}

fn inspect_file(dir: &Dir, pinned: &PinnedFile) -> FileState {
    match dir.open_file(Path::new(pinned.name)) {
        Ok(file) => match Sha256::of_reader(file.take(pinned.size + 1)) {
            Ok(found) if found == (pinned.sha256, pinned.size) => FileState::Ok,
            Ok(_) | Err(_) => FileState::Damaged,
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileState::Missing,
        Err(_) => FileState::Damaged,
    }
}
