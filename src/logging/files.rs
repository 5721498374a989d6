//! The daily files of the log, `minuted.YYYY-MM-DD.log` (UTC).
//!
//! Others may be able to write into the directory. So no link is followed, what is not a regular file of this user alone is
//! not written to, and a new file has its mode whatever the umask.

use std::{
    ffi::OsStr,
    fs::{DirBuilder, File},
    io::{self, Write},
    os::unix::{ffi::OsStrExt as _, fs::DirBuilderExt as _},
    path::{Path, PathBuf},
};

use jiff::{civil::Date, tz::TimeZone};
use rustix::fs::Mode;

use crate::{beneath::Dir, clock};

/// The mode of a log file: its owner writes, its group reads; names of recordings and titles of meetings are in it.
const FILE_MODE: u32 = 0o640;

/// The mode of the directory, where minuted makes it.
const DIRECTORY_MODE: u32 = 0o750;

/// Writes each line to the file of its day.
pub(super) struct DailyFiles {
    directory: PathBuf,
    keep: usize,
    day: Date,
    file: File,
}

impl DailyFiles {
    /// Opens the file of today in a directory that exists, and removes all but the `keep` newest.
    ///
    /// # Errors
    /// When the file cannot be opened, or is not one to write to.
    pub(super) fn open(directory: &Path, keep: usize) -> io::Result<Self> {
        let day = utc_today();
        let keep = keep.max(1);
        let file = open(directory, day, keep)?;
        Ok(Self { directory: directory.to_owned(), keep, day, file })
    }

    /// Switches to the file of today. Where that cannot be opened, lines go into the file that is
    /// open.
    fn roll_over(&mut self) {
        let day = utc_today();
        if day != self.day
            && let Ok(file) = open(&self.directory, day, self.keep)
        {
            self.day = day;
            self.file = file;
        }
    }
}

impl Write for DailyFiles {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.roll_over();
        self.file.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Makes the directory of the log files where it is missing.
pub(super) fn make_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)
}

fn utc_today() -> Date {
    clock::now().to_zoned(TimeZone::UTC).date()
}

fn open(directory: &Path, day: Date, keep: usize) -> io::Result<File> {
    let dir = Dir::open(directory)?;
    let name = format!("minuted.{day}.log");
    match dir.create_new(OsStr::new(&name), FILE_MODE) {
        Ok(file) => rustix::fs::fchmod(&file, Mode::from_raw_mode(FILE_MODE))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // A program that truncates the file (`copytruncate` of logrotate) gets lines at its end, not
    // behind a hole.
    let file = dir.open_own_to_append(OsStr::new(&name))?;
    remove_old(&dir, keep);
    Ok(file)
}

/// Removes the oldest files; one that cannot be removed is in nobody's way.
fn remove_old(dir: &Dir, keep: usize) {
    let Ok(entries) = rustix::fs::Dir::read_from(dir.fd()) else { return };
    let day_of =
        |name: &str| name.strip_prefix("minuted.")?.strip_suffix(".log")?.parse::<Date>().ok();
    let mut files: Vec<(Date, String)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_str()?.to_owned();
            Some((day_of(&name)?, name))
        })
        .collect();
    files.sort_unstable();
    let old = files.len().saturating_sub(keep);
    for (_, name) in &files[..old] {
        drop(dir.unlink(OsStr::new(name)));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    #[test]
    fn nothing_is_written_through_a_link_to_a_fifo_or_to_a_file_of_two_names() {
        let place = tempfile::tempdir().expect("a directory");
        let secret = place.path().join("secret");
        fs::write(&secret, "x").expect("written");
        let log = place.path().join("log");
        make_directory(&log).expect("made");
        let name = log.join(format!("minuted.{}.log", utc_today()));
        let traps: [&dyn Fn(); 3] = [
            &|| symlink(&secret, &name).expect("a link"),
            &|| fs::hard_link(&secret, &name).expect("a second name"),
            &|| {
                rustix::fs::mkfifoat(rustix::fs::CWD, &name, Mode::from_raw_mode(0o600))
                    .expect("a FIFO");
            },
        ];
        for trap in traps {
            trap();
            assert!(DailyFiles::open(&log, 3).is_err());
            fs::remove_file(&name).expect("removed");
        }
        let mut files = DailyFiles::open(&log, 3).expect("opened");
        files.write_all(b"one\n").expect("written");
        let mut again = DailyFiles::open(&log, 3).expect("opened again");
        again.write_all(b"two\n").expect("written");
        files.write_all(b"three\n").expect("written");
        assert_eq!(fs::read_to_string(&name).expect("read"), "one\ntwo\nthree\n");
        File::create(&name).expect("cut short");
        files.write_all(b"four\n").expect("written");
        assert_eq!(fs::read_to_string(&name).expect("read"), "four\n");
        assert_eq!(fs::read_to_string(&secret).expect("read"), "x");
    }

    #[test]
    fn a_new_file_has_its_mode_whatever_the_umask() {
        if !crate::alone::is_child() {
            crate::alone::pass(
                "logging::files::tests::a_new_file_has_its_mode_whatever_the_umask",
                &[],
            );
            return;
        }
        for umask in [0, 0o022, 0o077] {
            rustix::process::umask(Mode::from_raw_mode(umask));
            let place = tempfile::tempdir().expect("a directory");
            drop(DailyFiles::open(place.path(), 3).expect("opened"));
            let file = place.path().join(format!("minuted.{}.log", utc_today()));
            assert_eq!(
                fs::metadata(file).expect("there").permissions().mode() & 0o7777,
                0o640,
                "umask {umask:o}"
            );
        }
    }
}
