//! The state directory and its disk.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use super::Finding;
use crate::{commands::print::size, config::Settings, text::printable_path};

/// Below this the queue may soon be unable to grow: a job takes some KiB, a transcript some hundred.
const QUEUE_ROOM: u64 = 200_000_000;

/// Tries the state directory.
pub(super) fn state(settings: &Settings) -> Vec<Finding> {
    let dir = &settings.state_dir;
    let subject = "state directory";
    let shown = printable_path(dir);
    let metadata = match fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return vec![missing(dir)],
        Err(error) => {
            let hint = "check the permissions of the directories above it";
            return vec![Finding::error(subject, format!("{shown} cannot be read: {error}"), hint)];
        }
    };
    let mut findings = Vec::new();
    let (mode, owner) = (metadata.permissions().mode() & 0o7777, metadata.uid());
    if owner != rustix::process::geteuid().as_raw() {
        let hint = format!("run this as its user: sudo -u '#{owner}' minuted check");
        findings.push(Finding::error(subject, format!("{shown} belongs to another user (uid {owner})"), hint));
    } else if mode & 0o077 != 0 {
        let message = format!("{shown} is open to other users (mode {mode:04o}); it holds tokens");
        findings.push(Finding::error(subject, message, format!("chmod 0700 '{shown}'")));
    } else {
        findings.push(Finding::ok(subject, shown));
    }
    findings.extend(room(subject, dir, QUEUE_ROOM));
    findings
}

/// The daemon makes it; here it is only said whether it can.
fn missing(dir: &Path) -> Finding {
    let shown = printable_path(dir);
    let parent = dir.ancestors().find(|parent| parent.is_dir());
    let writable = parent.is_some_and(|parent| {
        rustix::fs::access(parent, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
    });
    if writable {
        Finding::ok("state directory", format!("{shown} is made at the first start"))
    } else {
        let hint = format!("sudo install -d -m 0700 -o \"$(id -un)\" '{shown}'; the systemd unit makes its own");
        Finding::error("state directory", format!("{shown} is missing and cannot be made"), hint)
    }
}

/// Says how much room there is on the disk of `dir`, when it is little.
pub(super) fn room(subject: &str, dir: &Path, wanted: u64) -> Option<Finding> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    (free < wanted).then(|| {
        let message = format!("only {} are free on the disk of {}", size(free), printable_path(dir));
        Finding::warning(subject, message, "free some space: without room new work stops until there is some")
    })
}
