//! The file system of a folder: changes without events, and mount points with nothing mounted.

use std::{io, path::Path};

use crate::beneath::{Dir, Place};

/// File systems that polls are needed for, by the magic number of `statfs(2)`; numbers from `linux/magic.h`.
const WITHOUT_EVENTS: [(u64, &str); 14] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x0bd0_0bd0, "Lustre"),
    (0x786f_4256, "VirtualBox shared folder"),
    (0xbacb_acbc, "VMware shared folder"),
];

/// Returns the name of the file system when changes on it may come without events, `None` when they come.
///
/// # Errors
/// When the directory cannot be asked.
pub(crate) fn detect_eventless(dir: &Dir) -> io::Result<Option<&'static str>> {
    let magic = rustix::fs::fstatfs(dir.fd())?.f_type;
    // Its type differs between architectures, and some kernels sign-extend the 32-bit number.
    let magic = i128::from(magic) & 0xffff_ffff;
    Ok(WITHOUT_EVENTS
        .iter()
        .find(|(number, _)| i128::from(*number) == magic)
        .map(|(_, name)| *name))
}

/// The location of a folder's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FolderLocation {
    /// Its directory.
    pub place: Place,
    /// The device of the directory above; another one when the folder is a mount point.
    pub parent: u64,
}

impl FolderLocation {
    /// Returns where an open directory lies.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(crate) fn from_directory(dir: &Dir) -> io::Result<Self> {
        let place = dir.place()?;
        let above = rustix::fs::statat(dir.fd(), "..", rustix::fs::AtFlags::empty());
        Ok(Self { place, parent: above.map_or(place.device, |stat| stat.st_dev) })
    }

    /// Returns whether the folder, met as a plain directory on `met_device`, now has something mounted over it.
    ///
    /// A folder that is configured before its share is mounted is met for good when the share comes. A mount whose
    /// number changed with a restart is not taken for that: its parent is where it was.
    #[must_use]
    pub(crate) fn is_newly_mounted(self, met_device: u64) -> bool {
        self.place.device != met_device && self.parent == met_device
    }
}

/// Returns whether nothing is mounted at `relative` below a folder any more, where something was: the directory is
/// empty, or went with the mount. With anything in it, it is a directory like any other.
#[must_use]
pub(crate) fn is_away(root: &Dir, relative: &Path) -> bool {
    match root.descend(relative) {
        Ok(dir) => {
            let above = rustix::fs::statat(dir.fd(), "..", rustix::fs::AtFlags::empty());
            let here = rustix::fs::fstat(dir.fd());
            let is_mounted =
                matches!((above, here), (Ok(above), Ok(here)) if above.st_dev != here.st_dev);
            !is_mounted && dir.is_empty().unwrap_or(true)
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Opens a folder's directory by its path again, to see what lies there now.
///
/// # Errors
/// As [`Dir::open`].
pub(crate) fn open_folder(path: &Path) -> io::Result<(Dir, FolderLocation)> {
    let dir = Dir::open(path)?;
    let location = FolderLocation::from_directory(&dir)?;
    Ok((dir, location))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_directory_has_events_and_proc_is_a_mount() {
        let tree = tempfile::tempdir().expect("a directory");
        let (dir, _) = open_folder(tree.path()).expect("opened");
        assert_eq!(detect_eventless(&dir).expect("asked"), None);
        let (_, location) = open_folder(Path::new("/proc")).expect("opened");
        assert!(location.place.is_mount);
        assert_ne!(location.place.device, location.parent);
        assert!(location.is_newly_mounted(location.parent));
        assert!(!location.is_newly_mounted(location.place.device));
    }

    #[test]
    fn a_directory_with_a_hidden_file_is_not_empty() {
        let tree = tempfile::tempdir().expect("a directory");
        let (dir, _) = open_folder(tree.path()).expect("opened");
        assert!(dir.is_empty().expect("listed"));
        std::fs::write(tree.path().join(".x"), "").expect("written");
        assert!(!dir.is_empty().expect("listed"));
    }
}
