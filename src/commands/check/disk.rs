//! The state directory and its disk.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::Access;

use super::Finding;
use crate::{
    commands::print::format_size,
    config::Settings,
    logging::LoggingError,
    store::{self, READ_ONLY, StateLock},
    text::{ShellCommand, printable_path},
};

/// Below this the queue may soon be unable to grow: a job takes some KiB, a transcript some hundred.
const QUEUE_ROOM: u64 = 200_000_000;

/// Tries the state directory.
pub(super) fn try_state_directory(settings: &Settings) -> Vec<Finding> {
    let dir = &settings.state_dir;
    let subject = "state directory";
    let shown = printable_path(dir);
    let metadata = match fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![missing_directory(dir)];
        }
        Err(error) => {
            let hint = "check the permissions of the directories above it";
            return vec![Finding::error(subject, format!("{shown} cannot be read: {error}"), hint)];
        }
    };
    let mut findings = Vec::new();
    let mode = metadata.permissions().mode() & 0o7777;
    let owner = metadata.uid();
    if owner != rustix::process::geteuid().as_raw() {
        let hint =
            format!("run this as its user: {}", store::sudo(owner).add_words("minuted check"));
        findings.push(Finding::error(
            subject,
            format!("{shown} belongs to another user (uid {owner})"),
            hint,
        ));
    } else if mode & 0o077 != 0 {
        let message = format!("{shown} is open to other users (mode {mode:04o}); it holds tokens");
        findings.push(Finding::error(
            subject,
            message,
            ShellCommand::new("chmod 0700").add_path(dir),
        ));
    } else if let Err(error) = rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK) {
        let error = std::io::Error::from(error);
        let hint = if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem {
            READ_ONLY.to_owned()
        } else {
            ShellCommand::new("chmod 0700").add_path(dir).into()
        };
        findings.push(Finding::error(subject, format!("{shown} cannot be written: {error}"), hint));
    } else {
        findings.push(Finding::ok(subject, shown));
    }
    findings.extend(little_room(subject, dir, QUEUE_ROOM));
    findings
}

/// Tries the directory of the log files, where there is one.
pub(super) fn try_log_directory(settings: &Settings) -> Option<Finding> {
    let dir = settings.log.dir.as_ref()?;
    let shown = printable_path(dir);
    let there = dir.ancestors().find(|there| there.exists())?;
    let is_writable =
        there.is_dir() && rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if is_writable {
        return Some(Finding::ok("log", shown));
    }
    let failed = LoggingError::Directory {
        path: dir.clone(),
        source: std::io::ErrorKind::PermissionDenied.into(),
    };
    let place = printable_path(there);
    let message = format!(
        "log files cannot be written in {shown}: `{place}` is no directory that minuted may write in"
    );
    Some(Finding::error("log", message, failed.cure()))
}

/// The daemon makes it; here it is only said whether it can.
fn missing_directory(dir: &Path) -> Finding {
    let shown = printable_path(dir);
    let parent = dir.ancestors().find(|parent| parent.is_dir());
    let writable = parent.is_some_and(|parent| {
        rustix::fs::access(parent, Access::WRITE_OK | Access::EXEC_OK).is_ok() && may_make(dir)
    });
    if writable {
        Finding::ok("state directory", format!("{shown} is made at the first start"))
    } else {
        let hint = StateLock::make_it(dir);
        Finding::error("state directory", format!("{shown} is missing and cannot be made"), hint)
    }
}

/// Returns whether nothing but directories stands where one is to be made.
fn may_make(dir: &Path) -> bool {
    dir.ancestors().find(|there| there.exists()).is_some_and(Path::is_dir)
}

/// Says how much room there is on the disk of `dir`, when it is little.
pub(super) fn little_room(subject: &str, dir: &Path, wanted: u64) -> Option<Finding> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    (free < wanted).then(|| {
        let shown = printable_path(dir);
        if free == 0 {
            let message = format!("the disk of {shown} is full");
            return Finding::error(
                subject,
                message,
                "free some space: nothing new is begun there until there is some",
            );
        }
        let message = format!("only {} are free on the disk of {shown}", format_size(free));
        Finding::warning(
            subject,
            message,
            "free some space: without room new work stops until there is some",
        )
    })
}
