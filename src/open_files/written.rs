//! Files that were written to and not closed since, as the kernel's events tell.
//!
//! A write after which no close was seen means a writer at work. A close is that of one writer, never the last: the next
//! write says that another one is left. That a file was made, linked or renamed says nothing (`ln`, `mv` and
//! `O_TMPFILE` bring files that nobody closes under that name).

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

/// Files that are known to be written at the same time. Of more than these nothing is known, and their being quiet has
/// to do: it takes as many open files, or someone who writes and renames directories in turn, to get there.
const WRITTEN_MAX: usize = 4096;

/// A write after which no close was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnclosedWrite {
    /// The last known write, by minuted's clock.
    pub last: Timestamp,
    /// True if a close would have been seen: no event was lost since.
    pub is_certain: bool,
}

/// The files that were written to and not closed since, by their whole paths.
#[derive(Debug, Default)]
pub(crate) struct WrittenFiles {
    files: Mutex<HashMap<PathBuf, UnclosedWrite>>,
}

impl WrittenFiles {
    /// Takes in a write. Called for each, on the thread that hears the kernel's events.
    pub(crate) fn write(&self, path: &Path, now: Timestamp) {
        self.put(path, UnclosedWrite { last: now, is_certain: true });
    }

    /// Takes in that a file was being written when minuted ended, in this boot of the machine. A close may have been
    /// missed since.
    pub(crate) fn resume(&self, path: &Path, last: Timestamp) {
        self.put(path, UnclosedWrite { last, is_certain: false });
    }

    fn put(&self, path: &Path, written: UnclosedWrite) {
        let mut files = self.files();
        if let Some(known) = files.get_mut(path) {
            *known = written;
        } else if files.len() < WRITTEN_MAX {
            files.insert(path.to_owned(), written);
        }
    }

    /// Takes in that a writer has closed a file.
    pub(crate) fn closed(&self, path: &Path) {
        self.forget(path);
    }

    /// Forgets what is known of a path: another file lies there, or none.
    pub(crate) fn forget(&self, path: &Path) {
        self.files().remove(path);
    }

    /// Forgets what may be out of date of a path: nothing has happened there for long enough.
    pub(crate) fn end_doubt(&self, path: &Path) {
        let mut files = self.files();
        if files.get(path).is_some_and(|written| !written.is_certain) {
            files.remove(path);
        }
    }

    /// Follows a file to its new name.
    pub(crate) fn rename(&self, from: &Path, to: &Path) {
        let mut files = self.files();
        if let Some(written) = files.remove(from) {
            files.insert(to.to_owned(), written);
        }
    }

    /// Takes in that events below `root` may have been lost: a close may be missed of all that is written there.
    pub(crate) fn doubt(&self, root: &Path) {
        for (_, written) in self.files().iter_mut().filter(|(path, _)| path.starts_with(root)) {
            written.is_certain = false;
        }
    }

    /// Returns what is known of a file.
    #[must_use]
    pub(crate) fn get(&self, path: &Path) -> Option<UnclosedWrite> {
        self.files().get(path).copied()
    }

    /// Returns the files below `root`, relative to it.
    #[must_use]
    pub(crate) fn below(&self, root: &Path) -> Vec<PathBuf> {
        let files = self.files();
        files.keys().filter_map(|path| path.strip_prefix(root).ok()).map(Path::to_owned).collect()
    }

    fn files(&self) -> MutexGuard<'_, HashMap<PathBuf, UnclosedWrite>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_close_ends_it_and_the_next_write_says_that_another_writer_is_left() {
        let (files, path) = (WrittenFiles::default(), Path::new("/srv/sales/a.mp3"));
        files.write(path, at(1));
        files.closed(path);
        assert_eq!(files.get(path), None);
        files.write(path, at(2));
        assert_eq!(files.get(path), Some(UnclosedWrite { last: at(2), is_certain: true }));
    }

    #[test]
    fn lost_events_put_in_doubt_what_lies_below_and_a_write_makes_it_certain_again() {
        let files = WrittenFiles::default();
        let paths =
            ["/srv/sales/a.mp3", "/srv/sales/sub/b.mp3", "/srv/sales2/c.mp3"].map(Path::new);
        for path in paths {
            files.write(path, at(1));
        }
        files.doubt(Path::new("/srv/sales"));
        let certain = || paths.map(|path| files.get(path).map(|written| written.is_certain));
        assert_eq!(certain(), [Some(false), Some(false), Some(true)]);
        files.write(paths[0], at(2));
        assert_eq!(certain(), [Some(true), Some(false), Some(true)]);
        for path in paths {
            files.end_doubt(path);
        }
        assert_eq!(certain(), [Some(true), None, Some(true)]);
    }

    #[test]
    fn a_file_is_followed_to_its_new_name() {
        let files = WrittenFiles::default();
        files.write(Path::new("/srv/a.mp3"), at(1));
        files.rename(Path::new("/srv/a.mp3"), Path::new("/srv/sub/b.mp3"));
        files.rename(Path::new("/srv/unknown.mp3"), Path::new("/srv/c.mp3"));
        assert_eq!(files.below(Path::new("/srv")), [PathBuf::from("sub/b.mp3")]);
    }

    #[test]
    fn it_is_bounded_and_what_is_known_goes_on() {
        let files = WrittenFiles::default();
        for number in 0..WRITTEN_MAX + 10 {
            files.write(Path::new(&format!("/srv/{number}.mp3")), at(1));
        }
        assert_eq!(files.below(Path::new("/srv")).len(), WRITTEN_MAX);
        files.write(Path::new("/srv/0.mp3"), at(2));
        assert_eq!(files.get(Path::new("/srv/0.mp3")).map(|written| written.last), Some(at(2)));
    }
}
