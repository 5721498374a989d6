//! Copies of the file that are made while it is in use.

use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, backup::Backup};

use super::schema;

/// Pages that are copied at once; between them others may read and write. 4 MiB of the usual pages.
const PAGES_AT_ONCE: i32 = 1024;

/// Writes a copy that is one file, and marked: a daemon that starts on it looks first at what the
/// service and the notes on disk tell.
pub(super) fn copy(from: &Connection, to: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut copy = Connection::open_with_flags(to, flags)?;
    let backup = Backup::new(from, &mut copy)?;
    backup.run_to_completion(PAGES_AT_ONCE, Duration::ZERO, None)?;
    drop(backup);
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    copy.execute("DELETE FROM meta WHERE name IN ('mark', 'reconciled')", [])?;
    copy.close().map_err(|(_, error)| error)
}

/// Reads a copy through as a start would; the error says what is wrong with it.
pub(in crate::store) fn check_copy(copy: &Path) -> Result<(), String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let flags = flags | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = Connection::open_with_flags(still_address(copy), flags)
        .map_err(|error| error.to_string())?;
    schema::check(&opened).map_err(|error| error.to_string())
}

/// Returns the address of a file that nobody writes to: `SQLite` then needs no lock, which network
/// file systems lack.
fn still_address(path: &Path) -> String {
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            address.push(char::from(*byte));
        } else {
            write!(address, "%{byte:02X}").expect("a String takes what is written");
        }
    }
    address + "?immutable=1"
}
