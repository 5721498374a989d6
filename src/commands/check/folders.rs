//! The watched folders: can minuted see, write and rename there, and learn of changes?

use std::{io, path::Path};

use super::{Finding, disk::little_room, listing, readers};
use crate::{
    access::{Permissions, setfacl_commands},
    beneath::Dir,
    config::{Convert, Email, Environment, Folder, OnSuccess, Recipients, Settings, Target, Watch},
    delivery,
    engine::audio::ffmpeg,
    pipeline::convert::FFMPEG_CURE,
    text::{ShellCommand, format_count, printable_path},
};

/// Below this a folder is about to be full: a day of recordings of one room is about a gigabyte.
const FOLDER_ROOM: u64 = 100_000_000;

/// Directories that are counted for the watch limit; a walk of more takes too long for a check.
const COUNTED_MAX: u64 = 200_000;

/// Tries a folder.
pub(super) fn try_folder(folder: &Folder) -> Vec<Finding> {
    let subject = format!("folder {}", folder.name);
    let root = match Dir::open(&folder.path) {
        Ok(root) => root,
        Err(error) => return vec![unreachable_folder(&subject, &folder.path, &error)],
    };
    let mut findings = vec![listing::try_listing(&subject, folder, &root)];
    findings.extend(listing::find_closed(&subject, folder, &root));
    let beside = folder.deliver.contains(&Target::Beside);
    let writes = beside && folder.notes_dir.is_none()
        || folder.on_success != OnSuccess::Keep
        || folder.delete_recording_after.is_some();
    if writes {
        findings.extend(try_writing(&subject, &folder.path, folder.file_mode));
    }
    if let Some(dir) = folder.notes_dir.as_ref().filter(|_| beside) {
        findings.extend(try_writing(&format!("{subject}, notes_dir"), dir, folder.file_mode));
    }
    findings.extend(little_room(&subject, &folder.path, FOLDER_ROOM));
    findings
}

/// Looks for what converts recordings, where a folder wants that.
pub(super) fn find_converter(settings: &Settings, env: &Environment) -> Option<Finding> {
    let wants = |folder: &&Folder| folder.convert == Convert::Ffmpeg;
    let names: Vec<&str> =
        settings.folders.iter().filter(wants).map(|folder| folder.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    let subject = "convert";
    let names = names.join(", ");
    Some(match ffmpeg::find(env.path.as_deref().unwrap_or_default()) {
        Some(program) => Finding::ok(
            subject,
            format!("{} converts recordings of {names}", printable_path(&program)),
        ),
        None => Finding::error(
            subject,
            format!("ffmpeg is not installed; recordings of {names} wait for it"),
            FFMPEG_CURE,
        ),
    })
}

/// Tells of each folder that mails its attendees how many of them `email.allow` keeps out.
pub(super) fn count_withheld(settings: &Settings) -> Vec<Finding> {
    let Some(email) = &settings.email else { return Vec::new() };
    let mails = |folder: &&Folder| {
        folder.deliver.contains(&Target::Email) && matches!(folder.email_to, Recipients::Attendees)
    };
    settings.folders.iter().filter(mails).filter_map(|folder| kept_out(folder, email)).collect()
}

fn kept_out(folder: &Folder, email: &Email) -> Option<Finding> {
    let outside = folder.attendees.iter().filter(|person| !email.permits(&person.email)).count();
    let subject = format!("folder {}", folder.name);
    let (are, get) = if outside == 1 { ("is", "gets") } else { ("are", "get") };
    let message = format!(
        "{} {are} outside `allow` and {get} no mail",
        format_count(outside as u64, "attendee")
    );
    match outside {
        0 => None,
        all if all == folder.attendees.len() && !folder.deliver.contains(&Target::Beside) => {
            let message = format!(
                "{message}: notes reach nobody unless a recording names others, and it stays where it is"
            );
            let hint =
                "add addresses or their domains to `allow` in [email], or \"beside\" to `deliver`";
            Some(Finding::warning(subject, message, hint))
        }
        _ => Some(Finding::note(subject, message)),
    }
}

/// Says which parent directory stands in the way, and how to open it.
fn unreachable_folder(subject: &str, path: &Path, error: &io::Error) -> Finding {
    let shown = printable_path(path);
    let message = format!("{shown} cannot be opened: {error}");
    let hint = if error.kind() == io::ErrorKind::NotFound {
        format!("{}, or mount what belongs there", ShellCommand::new("mkdir -p").add_path(path))
    } else if error.kind() == io::ErrorKind::NotADirectory {
        "`path` must name a directory".to_owned()
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        setfacl_commands(path).join("\n")
    } else {
        "check the mount".to_owned()
    };
    Finding::error(subject, message, hint)
}

/// Creates, renames and removes a file, as delivering notes does, and looks who could read it.
fn try_writing(subject: &str, path: &Path, mode: u32) -> Vec<Finding> {
    let tried = Dir::open(path)
        .and_then(|dir| Ok((delivery::try_out(&dir, mode)?, Permissions::read_from(dir.fd())?)));
    let shown = printable_path(path);
    let error = match tried {
        Ok((notes, dir)) => {
            let works = Finding::ok(subject, format!("notes can be written in {shown}"));
            return [works]
                .into_iter()
                .chain(readers::find_shut_out_readers(subject, path, mode, &notes, &dir))
                .collect();
        }
        Err(error) => error,
    };
    let message = format!("notes cannot be written in {shown}: {error}");
    let hint = match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::ROFS) => {
            "under systemd, regenerate the drop-in and restart: minuted systemd-drop-in | sudo tee \
             /etc/systemd/system/minuted.service.d/folders.conf; else the file system is mounted read-only"
                .to_owned()
        }
        Some(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => setfacl_commands(path).join("\n"),
        Some(rustix::io::Errno::NOENT) => {
            format!("{}, or mount what belongs there", ShellCommand::new("mkdir -p").add_path(path))
        }
        Some(rustix::io::Errno::NOTDIR) => "a file is in the way: name a directory".to_owned(),
        Some(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => "free some space".to_owned(),
        Some(_) | None => "check the mount".to_owned(),
    };
    vec![Finding::error(subject, message, hint)]
}

/// Compares the directories to watch with the kernel's limit.
pub(super) fn compare_watches(settings: &Settings) -> Option<Finding> {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches")
        .ok()?
        .trim()
        .parse::<u64>()
        .ok()?;
    let watched = settings.folders.iter().filter(|folder| folder.watch != Watch::Poll);
    let needed: u64 = watched
        .map(|folder| if folder.recursive { count_directories(&folder.path) } else { 1 })
        .sum();
    if needed * 2 < limit {
        return Some(Finding::ok("watches", format!("{needed} of {limit} are needed")));
    }
    let hint = format!(
        "echo fs.inotify.max_user_watches={} | sudo tee /etc/sysctl.d/60-minuted.conf && sudo sysctl --system",
        (needed * 4).max(524_288)
    );
    let message = format!(
        "{needed} directories to watch, the limit of {limit} is shared by all programs of this user"
    );
    Some(Finding::warning("watches", message, hint))
}

fn count_directories(path: &Path) -> u64 {
    let mut waiting = vec![path.to_owned()];
    let mut count = 0;
    while let Some(next) = waiting.pop() {
        count += 1;
        if count >= COUNTED_MAX {
            break;
        }
        let entries = std::fs::read_dir(&next).into_iter().flatten().flatten();
        waiting.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    count
}
