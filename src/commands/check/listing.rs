//! The listing of a folder, read to its end as a scan reads it, and the recordings in it that are closed to minuted.

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, AtFlags, FileType};

use super::Finding;
use crate::{
    access::{is_denied, setfacl_commands},
    beneath::Dir,
    config::Folder,
    text::{format_count, printable_path},
    watch::{DEPTH_MAX, mounts, names::FileFilter},
};

/// Entries that are looked at; a walk over more takes too long for a check.
const ENTRIES_MAX: usize = 100_000;

/// Lists a folder to its end.
pub(super) fn try_listing(subject: &str, folder: &Folder, root: &Dir) -> Finding {
    let shown = printable_path(&folder.path);
    if let Err(error) = read_entries(root) {
        return unlisted_directory(subject, &folder.path, &error);
    }
    match mounts::detect_eventless(root) {
        Ok(Some(kind)) => Finding::ok(subject, format!("{shown} lies on {kind}: it is polled")),
        Ok(None) | Err(_) => Finding::ok(subject, shown),
    }
}

/// Looks for directories below that cannot be listed, and for recordings that cannot be opened.
pub(super) fn find_closed(subject: &str, folder: &Folder, root: &Dir) -> Vec<Finding> {
    let mut walk = Walk {
        filter: FileFilter::new(folder, &[]),
        seen: 0,
        closed: Vec::new(),
        failed: None,
        deep: None,
    };
    walk.visit_directory(root, Path::new(""), 0);
    let failed = walk.failed.map(|(dir, error)| {
        let found = unlisted_directory(subject, &folder.path.join(dir), &error);
        // What one may not enter is often somebody else's on purpose.
        if is_denied(&error) { Finding { level: super::Level::Warning, ..found } } else { found }
    });
    let first = walk.closed.first().map(|first| {
        let number = format_count(walk.closed.len() as u64, "recording");
        let example = printable_path(&folder.path.join(first));
        let message = format!("{number} cannot be read, such as {example}: its writer keeps others out");
        let lasting = "have the writer leave the group's permissions (umask 007, install -m 0660, cp without -p, rsync \
                       without -p), else each of its files needs that line again";
        Finding::warning(subject, message, format!("{}\n{lasting}", setfacl_commands(&folder.path).join("\n")))
    });
    let deep = walk.deep.map(|top| {
        let shown = printable_path(&folder.path.join(top));
        let message =
            format!("directories below {shown} lie more than {DEPTH_MAX} deep: recordings there are not read");
        Finding::warning(subject, message, "move the recordings further up, or remove the directories")
    });
    failed.into_iter().chain(first).chain(deep).collect()
}

/// Says which directory cannot be listed, and why.
fn unlisted_directory(subject: &str, dir: &Path, error: &io::Error) -> Finding {
    let message = format!("{} cannot be listed: {error}", printable_path(dir));
    let hint = if is_denied(error) {
        setfacl_commands(dir).join("\n")
    } else {
        "nothing in it is seen until that works: check the mount and its server".to_owned()
    };
    Finding::error(subject, message, hint)
}

/// Returns the names in a directory, with their kinds.
fn read_entries(dir: &Dir) -> io::Result<Vec<(PathBuf, FileType)>> {
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir.fd())? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            found.push((PathBuf::from(name), entry.file_type()));
        }
    }
    Ok(found)
}

/// A walk over a folder.
struct Walk {
    filter: FileFilter,
    seen: usize,
    /// The recordings that cannot be opened, below the folder.
    closed: Vec<PathBuf>,
    /// The first directory below the folder that could not be listed.
    failed: Option<(PathBuf, io::Error)>,
    /// The directory of the folder itself below which the first one lies that is too deep.
    deep: Option<PathBuf>,
}

impl Walk {
    fn visit_directory(&mut self, dir: &Dir, below: &Path, depth: usize) {
        let entries = match read_entries(dir) {
            Ok(entries) => entries,
            // That of the folder itself is told already.
            Err(_) if depth == 0 => return,
            Err(error) => return self.record_failure(below, error),
        };
        for (name, kind) in entries {
            self.seen += 1;
            if self.seen > ENTRIES_MAX {
                return;
            }
            let relative = below.join(&name);
            if kind == FileType::Directory {
                if !self.filter.is_recursive() || self.filter.prune_reason(&relative).is_some() {
                    continue;
                }
                if depth == DEPTH_MAX {
                    let top = || relative.components().take(1).collect();
                    self.deep.get_or_insert_with(top);
                } else {
                    match dir.descend(&name) {
                        Ok(inner) => self.visit_directory(&inner, &relative, depth + 1),
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => self.record_failure(&relative, error),
                    }
                }
            } else if kind == FileType::RegularFile
                && self.filter.classify_file(&relative).is_media()
            {
                let denied =
                    rustix::fs::accessat(dir.fd(), &name, Access::READ_OK, AtFlags::empty());
                if denied.is_err_and(|error| is_denied(&error.into())) {
                    self.closed.push(relative);
                }
            }
        }
    }

    fn record_failure(&mut self, dir: &Path, error: io::Error) {
        self.failed.get_or_insert_with(|| (dir.to_owned(), error));
    }
}
