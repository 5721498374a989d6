//! The files of a calendar: fetched from its address, or read from this machine.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use secrecy::ExposeSecret as _;
use url::Url;

use super::occurrences::is_calendar;
use crate::{
    beneath::{Dir, open_configured},
    config::{SecretFileError, is_loopback, read_secret},
    http::{DocumentError, DocumentTag, FetchedDocument, fetch_document},
    text::printable_path,
};

/// Bytes of one file: ten thousand events with their texts.
const FILE_BYTES_MAX: usize = 8 << 20;

/// Bytes of all files of a directory.
const DIRECTORY_BYTES_MAX: usize = 32 << 20;

/// Files of a directory: one for each event, as vdirsyncer writes them.
const FILES_MAX: usize = 50_000;

/// The longest time that fetching a calendar takes.
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

/// The reason why a calendar cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CalendarError {
    /// The file with the address cannot be read.
    #[error("its address: {0}")]
    Secret(#[from] SecretFileError),
    /// The file holds no address that is fetched.
    #[error("its address: `{0}` does not hold an https address")]
    NoAddress(String),
    /// No document came.
    #[error(transparent)]
    Fetch(#[from] DocumentError),
    /// The server refuses it.
    #[error("`{host}` answers {status}")]
    Refused {
        /// The host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// The pause that it asks for.
        after: Option<Duration>,
    },
    /// The document is something else.
    #[error("`{0}` is no iCalendar file")]
    NotCalendar(String),
    /// A file cannot be read.
    #[error("`{file}` cannot be read: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// The error of the system.
        error: io::Error,
    },
    /// There is more than is read.
    #[error("`{0}` holds more than is read: 8 MiB a file, 32 MiB and 50000 files a directory")]
    TooLarge(String),
    /// The reader of calendars has a bug.
    #[error("a bug: reading it ended early")]
    Bug,
}

impl CalendarError {
    /// Returns the remedy.
    #[must_use]
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Secret(_) => {
                "write the calendar's iCalendar address into that file, and let minuted read it"
            }
            Self::NoAddress(_) => {
                "copy the secret address in iCal format from the calendar's settings into that file: https://…"
            }
            Self::Fetch(DocumentError::Elsewhere { .. } | DocumentError::Redirects(_)) => {
                "write the address that it leads to into url_file"
            }
            Self::Fetch(DocumentError::TooLarge { .. }) | Self::TooLarge(_) => {
                "share a smaller calendar, or only its recent part"
            }
            Self::Fetch(DocumentError::Build(_) | DocumentError::Transport(_)) => {
                "check the network"
            }
            Self::Refused { status: 408 | 429 | 500..=599, .. } => "wait: its server has trouble",
            Self::Refused { .. } => {
                "copy the calendar's secret address anew into url_file: it may have been reset"
            }
            Self::NotCalendar(_) => {
                "copy the address in iCal format, not that of the calendar's page"
            }
            Self::Unreadable { .. } => {
                "let the user that runs minuted read it (chmod, chgrp or setfacl)"
            }
            Self::Bug => "report it",
        }
    }

    /// Returns the pause that the server asks for.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Refused { after, .. } => *after,
            Self::Secret(_)
            | Self::NoAddress(_)
            | Self::Fetch(_)
            | Self::NotCalendar(_)
            | Self::Unreadable { .. }
            | Self::TooLarge(_)
            | Self::Bug => None,
        }
    }
}

/// The version of a calendar that was fetched. Its mark means something at its own address alone.
#[derive(Debug)]
pub(super) struct FetchedVersion {
    tag: Option<DocumentTag>,
    address: blake3::Hash,
}

/// Fetches a calendar, unless it is the version that is `known`; then `None`.
pub(super) async fn fetch(
    url_file: &Path,
    known: Option<&FetchedVersion>,
) -> Result<Option<(Bytes, FetchedVersion)>, CalendarError> {
    let file = url_file.to_owned();
    let secret = tokio::task::spawn_blocking(move || read_secret(&file))
        .await
        .map_err(|_| CalendarError::Bug)??;
    let url = parse_address(secret.expose_secret())
        .ok_or_else(|| CalendarError::NoAddress(printable_path(url_file)))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let address = blake3::hash(url.as_str().as_bytes());
    let known = known.filter(|known| known.address == address);
    let tag = known.and_then(|known| known.tag.as_ref());
    match fetch_document(&url, tag, FILE_BYTES_MAX, FETCH_TIMEOUT).await? {
        FetchedDocument::Unchanged => Ok(None),
        FetchedDocument::New(text, _) if !is_calendar(&text) => {
            Err(CalendarError::NotCalendar(host))
        }
        FetchedDocument::New(text, tag) => Ok(Some((text, FetchedVersion { tag, address }))),
        FetchedDocument::Refused(answer) => {
            Err(CalendarError::Refused { host, status: answer.status, after: answer.retry_after })
        }
    }
}

/// Reads the address of a calendar. `webcal` is what some vendors write for https; http goes to this machine alone.
fn parse_address(text: &str) -> Option<Url> {
    let text = text.trim();
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())?;
    let url = match scheme.as_str() {
        "webcal" | "webcals" => Url::parse(&format!("https{}", &text[scheme.len()..])).ok()?,
        _ => Url::parse(text).ok()?,
    };
    let host = url.host_str()?;
    let is_fit = url.scheme() == "https" || url.scheme() == "http" && is_loopback(host);
    is_fit.then_some(url)
}

/// Reads a file, or the `.ics` files of a directory. Blocks.
pub(super) fn read_path(path: &Path) -> Result<Vec<Bytes>, CalendarError> {
    let unreadable = |error| CalendarError::Unreadable { file: printable_path(path), error };
    if !path.is_dir() {
        let file = open_configured(path).map_err(unreadable)?;
        let text = read_file(file, path)?;
        return if is_calendar(&text) {
            Ok(vec![text])
        } else {
            Err(CalendarError::NotCalendar(printable_path(path)))
        };
    }
    let root = Dir::open(path).map_err(unreadable)?;
    let mut files = Vec::new();
    let mut bytes = 0;
    for (number, entry) in std::fs::read_dir(path).map_err(unreadable)?.enumerate() {
        let name = entry.map_err(unreadable)?.file_name();
        let is_ics = Path::new(&name)
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("ics"));
        if !is_ics {
            continue;
        }
        // A link is not followed, and a file that is gone meanwhile is none.
        let Ok(file) = root.open_file(Path::new(&name)) else { continue };
        let text = read_file(file, path)?;
        bytes += text.len();
        if bytes > DIRECTORY_BYTES_MAX || number >= FILES_MAX {
            return Err(CalendarError::TooLarge(printable_path(path)));
        }
        if is_calendar(&text) {
            files.push(text);
        }
    }
    Ok(files)
}

fn read_file(file: File, path: &Path) -> Result<Bytes, CalendarError> {
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|error| CalendarError::Unreadable { file: printable_path(path), error })?;
    if text.len() > FILE_BYTES_MAX {
        return Err(CalendarError::TooLarge(printable_path(path)));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_of_this_machine() {
        for (text, expected) in [
            (
                "https://calendar.example/private-1/basic.ics\n",
                "https://calendar.example/private-1/basic.ics",
            ),
            ("webcal://calendar.example/x", "https://calendar.example/x"),
            ("WEBCALS://calendar.example/x", "https://calendar.example/x"),
            ("http://127.0.0.1:5232/ann/work.ics", "http://127.0.0.1:5232/ann/work.ics"),
        ] {
            assert_eq!(parse_address(text).map(String::from).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "work",
            "http://calendar.example/x",
            "file:///etc/passwd",
            "https://",
            "javascript:1",
        ] {
            assert_eq!(parse_address(text), None, "{text}");
        }
    }

    #[test]
    fn a_directory_has_its_ics_files_alone_and_follows_no_link() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect("written");
        };
        write("one.ics", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
        write("two.ICS", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
        write("three.ics", "<html>");
        write("displayname", "Work");
        write("outside", "BEGIN:VCALENDAR\r\nX:secret\r\nEND:VCALENDAR\r\n");
        std::os::unix::fs::symlink("outside", directory.path().join("link.ics")).expect("linked");
        assert_eq!(read_path(directory.path()).expect("read").len(), 2);
        assert_eq!(read_path(&directory.path().join("one.ics")).expect("read").len(), 1);
        let none = read_path(&directory.path().join("three.ics")).expect_err("no calendar");
        assert!(matches!(none, CalendarError::NotCalendar(_)), "{none}");
        let none = read_path(&directory.path().join("missing")).expect_err("no file");
        assert!(matches!(none, CalendarError::Unreadable { .. }), "{none}");
        write("large.ics", &"BEGIN:VCALENDAR\r\n".repeat((FILE_BYTES_MAX / 16) + 1));
        let large = read_path(directory.path()).expect_err("too large");
        assert!(matches!(large, CalendarError::TooLarge(_)), "{large}");
    }
}
