//! `on_success = "move"`: a recording whose notes are delivered goes to another directory, and is never lost on the way.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

use rustix::{
    fs::{Mode, Timespec, Timestamps},
    io::Errno,
};

use super::{
    FileError,
    names::add_number,
    place::NUMBERS_MAX,
    temporary::{Temporary, missing_is_fine},
};
use crate::beneath::{Dir, Entry, Stamp};

/// Moves the recording `name` from one directory to another without replacing anything; returns its name there.
///
/// `stamp` is what the recording was when its notes were made: one that changed since stays. Repeated after a crash at
/// any point, it finds its own work and finishes it. Across file systems the bytes are copied, made durable and read
/// back before the original goes.
///
/// `is_closed` is asked right before the recording leaves its place, and its error is the answer.
///
/// # Errors
/// [`FileError::Changed`], [`FileError::Deleted`] when the recording is in neither place, the error of `is_closed`, or
/// that of the file system.
pub(crate) fn move_recording(
    from: &Dir,
    name: &OsStr,
    to: &Dir,
    stamp: Stamp,
    is_closed: &IsClosed<'_>,
) -> Result<OsString, FileError> {
    let source = LeavingRecording { dir: from, name, stamp, is_closed };
    source.relocate_to(to, name)
}

/// A check that fails while a program writes to the recording.
pub(super) type IsClosed<'a> = dyn Fn() -> Result<(), FileError> + 'a;

/// A recording that is to be moved.
struct LeavingRecording<'a> {
    dir: &'a Dir,
    name: &'a OsStr,
    stamp: Stamp,
    is_closed: &'a IsClosed<'a>,
}

/// As [`move_recording`], with another name at the destination; returns the name that it got.
///
/// # Errors
/// As [`move_recording`].
pub(crate) fn relocate_as(
    from: &Dir,
    name: &OsStr,
    to: &Dir,
    wanted: &OsStr,
    stamp: Stamp,
) -> Result<OsString, FileError> {
    LeavingRecording { dir: from, name, stamp, is_closed: &|| Ok(()) }.relocate_to(to, wanted)
}

/// Looks for a recording that a run before the crash has moved. A move keeps size and time, a copy is given them.
pub(super) fn find_moved(
    to: &Dir,
    name: &OsStr,
    stamp: Stamp,
) -> Result<Option<OsString>, FileError> {
    for number in 1..=NUMBERS_MAX {
        let candidate = add_number(name, number);
        match to
            .entry(Path::new(&candidate))
            .map_err(|error| FileError::for_entry(to, &candidate, error))?
        {
            Some(Entry::File(is)) if is_same_age(is, stamp) => return Ok(Some(candidate)),
            Some(Entry::File(_) | Entry::Directory | Entry::Other) => {}
            None => return Ok(None),
        }
    }
    Ok(None)
}

impl LeavingRecording<'_> {
    fn relocate_to(&self, to: &Dir, wanted: &OsStr) -> Result<OsString, FileError> {
        let name = self.name;
        match self.dir.entry(Path::new(name)).map_err(|error| self.file_error(error))? {
            None => find_moved(to, wanted, self.stamp)?
                .ok_or_else(|| FileError::Deleted { name: name.to_owned() }),
            Some(Entry::File(is)) if is == self.stamp => self.move_away(to, wanted),
            Some(Entry::File(_) | Entry::Directory | Entry::Other) => {
                Err(FileError::Changed { name: name.to_owned() })
            }
        }
    }

    fn move_away(&self, to: &Dir, wanted: &OsStr) -> Result<OsString, FileError> {
        let from = self.dir;
        let name = self.name;
        let stamp = self.stamp;
        (self.is_closed)()?;
        let mut copy: Option<Temporary<'_>> = None;
        for number in 1..=NUMBERS_MAX {
            let candidate = add_number(wanted, number);
            let there = |error| FileError::for_entry(to, &candidate, error);
            match to.entry(Path::new(&candidate)).map_err(there)? {
                None => {}
                Some(Entry::File(is))
                    if is_same_age(is, stamp) && is_same_content(from, name, to, &candidate)? =>
                {
                    // The copy of a run that was killed before it removed the original.
                    return self.remove_original(to, candidate);
                }
                Some(Entry::File(_) | Entry::Directory | Entry::Other) => continue,
            }
            let renamed = match &mut copy {
                Some(copy) => copy.rename_new(&candidate),
                None => from.rename_new(name, to, &candidate),
            };
            match renamed {
                Ok(()) if copy.is_some() => return self.remove_original(to, candidate),
                Ok(()) => {
                    to.sync().map_err(there)?;
                    from.sync().map_err(|error| self.file_error(error))?;
                    return Ok(candidate);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if is_across(&error) && copy.is_none() => {
                    let mut made = copy_to_temporary(from, name, to, stamp)?;
                    match made.rename_new(&candidate) {
                        Ok(()) => return self.remove_original(to, candidate),
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                            copy = Some(made);
                        }
                        Err(error) => return Err(there(error)),
                    }
                }
                Err(error) => return Err(there(error)),
            }
        }
        Err(FileError::for_entry(to, name, io::ErrorKind::AlreadyExists.into()))
    }

    /// Removes the original once its copy is in place and durable, if it is still the one that was
    /// copied.
    fn remove_original(&self, to: &Dir, there: OsString) -> Result<OsString, FileError> {
        let from = self.dir;
        let name = self.name;
        to.sync().map_err(|error| FileError::for_entry(to, &there, error))?;
        if from.entry(Path::new(name)).map_err(|error| self.file_error(error))?
            != Some(Entry::File(self.stamp))
        {
            return Err(FileError::Changed { name: name.to_owned() });
        }
        (self.is_closed)()?;
        from.unlink(name).or_else(missing_is_fine).map_err(|error| self.file_error(error))?;
        from.sync().map_err(|error| self.file_error(error))?;
        Ok(there)
    }

    fn file_error(&self, error: io::Error) -> FileError {
        FileError::for_entry(self.dir, self.name, error)
    }
}

fn is_across(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::XDEV.raw_os_error())
}

fn is_same_age(is: Stamp, was: Stamp) -> bool {
    // Some file systems keep whole seconds, or every other one.
    is.size == was.size && is.mtime_ns.abs_diff(was.mtime_ns) < 2_000_000_000
}

fn is_same_content(from: &Dir, name: &OsStr, to: &Dir, there: &OsStr) -> Result<bool, FileError> {
    let hash = |dir: &Dir, name: &OsStr| {
        let file = dir
            .open_file(Path::new(name))
            .map_err(|error| FileError::for_entry(dir, name, error))?;
        hash_of(&file).map_err(|error| FileError::for_entry(dir, name, error))
    };
    Ok(hash(from, name)? == hash(to, there)?)
}

pub(super) fn hash_of(file: &File) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(hasher.finalize())
}

/// Copies the recording into a temporary file at its destination: durable, with its time, read back and compared.
fn copy_to_temporary<'a>(
    from: &Dir,
    name: &OsStr,
    to: &'a Dir,
    stamp: Stamp,
) -> Result<Temporary<'a>, FileError> {
    let here = |error| FileError::for_entry(from, name, error);
    let there = |error| FileError::for_entry(to, name, error);
    let source = from.open_file(Path::new(name)).map_err(here)?;
    let mode = rustix::fs::fstat(&source).map_err(|error| here(error.into()))?.st_mode;
    let (temporary, target) =
        Temporary::create_in(to, Mode::from_raw_mode(mode).as_raw_mode() & 0o777).map_err(there)?;
    let hash = copy_bytes(&source, &target, stamp.size).map_err(there)?;
    if Stamp::of(&source).map_err(here)? != stamp {
        return Err(FileError::Changed { name: name.to_owned() });
    }
    keep_time(&target, stamp).and_then(|()| target.sync_all()).map_err(there)?;
    let copied = temporary.open().and_then(|file| hash_of(&file)).map_err(there)?;
    if copied == hash {
        Ok(temporary)
    } else {
        Err(there(io::Error::other("the copy differs from the recording")))
    }
}

/// Bytes that are read and written at once: enough for a network file system, little beside the memory goal.
const COPY_BYTES: usize = 256 * 1024;

fn copy_bytes(source: &File, mut target: &File, size: u64) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; COPY_BYTES];
    let mut source = source.take(size);
    source.get_mut().rewind()?;
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finalize());
        }
        hasher.update(&buffer[..count]);
        target.write_all(&buffer[..count])?;
    }
}

fn keep_time(file: &File, stamp: Stamp) -> io::Result<()> {
    let time = Timespec {
        tv_sec: stamp.mtime_ns.div_euclid(1_000_000_000),
        tv_nsec: stamp.mtime_ns.rem_euclid(1_000_000_000),
    };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::futimens(file, &times)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Relocates a recording that no program has open.
    fn relocate_quiet(
        from: &Dir,
        name: &OsStr,
        to: &Dir,
        stamp: Stamp,
    ) -> Result<OsString, FileError> {
        move_recording(from, name, to, stamp, &|| Ok(()))
    }

    struct Folder {
        root: tempfile::TempDir,
        dir: Dir,
    }

    impl Folder {
        fn new() -> Self {
            Self::of(tempfile::tempdir().expect("a directory"))
        }

        fn of(root: tempfile::TempDir) -> Self {
            let dir = Dir::open(root.path()).expect("opened");
            Self { root, dir }
        }

        fn with(text: &str) -> (Self, Stamp) {
            let folder = Self::new();
            fs::write(folder.root.path().join("talk.wav"), text).expect("written");
            let stamp = folder.stamp("talk.wav").expect("there");
            (folder, stamp)
        }

        fn stamp(&self, name: &str) -> Option<Stamp> {
            match self.dir.entry(Path::new(name)).expect("looked at") {
                Some(Entry::File(stamp)) => Some(stamp),
                Some(Entry::Directory | Entry::Other) | None => None,
            }
        }

        fn read(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.root.path().join(name)).ok()
        }

        fn count(&self) -> usize {
            fs::read_dir(self.root.path()).expect("listed").count()
        }
    }

    fn talk() -> &'static OsStr {
        OsStr::new("talk.wav")
    }

    #[test]
    fn a_recording_moves_without_replacing_and_a_second_run_finds_it() {
        let (from, stamp) = Folder::with("sound");
        let to = Folder::new();
        fs::write(to.root.path().join("talk.wav"), "another meeting").expect("written");
        for run in ["first", "after a crash"] {
            assert_eq!(
                relocate_quiet(&from.dir, talk(), &to.dir, stamp).expect(run),
                "talk.2.wav",
                "{run}"
            );
        }
        assert_eq!(
            (to.read("talk.wav"), to.read("talk.2.wav")),
            (Some("another meeting".into()), Some("sound".into()))
        );
        assert_eq!((from.count(), to.count()), (0, 2));
    }

    #[test]
    fn a_file_may_get_another_name_on_its_way() {
        let (from, stamp) = Folder::with("sound");
        let to = Folder::new();
        for run in ["first", "after a crash"] {
            let there = relocate_as(&from.dir, talk(), &to.dir, OsStr::new("talk.2.wav"), stamp);
            assert_eq!(there.expect(run), "talk.2.wav", "{run}");
        }
        assert_eq!((from.count(), to.read("talk.2.wav")), (0, Some("sound".into())));
    }

    #[test]
    fn a_recording_that_changed_or_is_gone_is_left_alone() {
        let (from, stamp) = Folder::with("sound");
        let to = Folder::new();
        fs::write(from.root.path().join("talk.wav"), "another sound").expect("written");
        assert!(matches!(
            relocate_quiet(&from.dir, talk(), &to.dir, stamp),
            Err(FileError::Changed { .. })
        ));
        fs::remove_file(from.root.path().join("talk.wav")).expect("removed");
        assert!(matches!(
            relocate_quiet(&from.dir, talk(), &to.dir, stamp),
            Err(FileError::Deleted { .. })
        ));
        assert_eq!(to.count(), 0);
    }

    #[test]
    fn a_copy_that_was_placed_before_a_crash_is_finished() {
        let (from, stamp) = Folder::with("sound");
        let to = Folder::new();
        let mut copy = copy_to_temporary(&from.dir, talk(), &to.dir, stamp).expect("copied");
        copy.rename_new(talk()).expect("placed");
        assert_eq!(
            (from.read("talk.wav"), to.read("talk.wav")),
            (Some("sound".into()), Some("sound".into()))
        );
        assert_eq!(
            relocate_quiet(&from.dir, talk(), &to.dir, stamp).expect("finished"),
            "talk.wav"
        );
        assert_eq!((from.count(), to.count()), (0, 1));
        assert_eq!(
            relocate_quiet(&from.dir, talk(), &to.dir, stamp).expect("known again"),
            "talk.wav"
        );
    }

    #[test]
    fn a_file_of_the_same_size_and_time_is_no_copy() {
        let (from, stamp) = Folder::with("sound");
        let to = Folder::new();
        fs::write(to.root.path().join("talk.wav"), "noise").expect("written");
        assert_eq!(relocate_quiet(&from.dir, talk(), &to.dir, stamp).expect("moved"), "talk.2.wav");
        assert_eq!(
            (to.read("talk.wav"), to.read("talk.2.wav")),
            (Some("noise".into()), Some("sound".into()))
        );
    }

    #[test]
    fn a_recording_crosses_file_systems_whole() {
        // On Linux this is a file system of its own; where there is none, there is nothing to cross to.
        let Ok(root) = tempfile::tempdir_in("/dev/shm") else { return };
        let to = Folder::of(root);
        let (from, stamp) = Folder::with(&"sound".repeat(200_000));
        fs::write(to.root.path().join("talk.wav"), "another meeting").expect("written");
        assert_eq!(relocate_quiet(&from.dir, talk(), &to.dir, stamp).expect("moved"), "talk.2.wav");
        assert_eq!(to.read("talk.2.wav"), Some("sound".repeat(200_000)));
        assert_eq!(to.stamp("talk.2.wav").map(|is| is.mtime_ns), Some(stamp.mtime_ns));
        assert_eq!((from.count(), to.count()), (0, 2));
    }
}
