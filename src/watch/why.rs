//! The answer to "where is my recording" for a file that has no job.

use std::{
    fmt,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustix::io::Errno;

use super::{
    FolderView,
    examine::describe_read_error,
    names::{FileFilter, FileKind},
    scanner::FolderTrouble,
    scanner::walk::{DEPTH_MAX, is_too_deep},
    view::SettlingFileView,
};
use crate::{
    beneath::{Dir, Entry, Stamp},
    config::{Folder, SIDECAR_OF_DIRECTORY, recording_of},
    open_files::{DOUBT_MAX, InUse, OpenFiles, UnclosedWrite},
    store::{FileVerdict, Sighting},
    text::{ShellCommand, printable, printable_path},
};

/// The reason for which a path in a folder has no job, or the job that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileExplanation {
    /// The folder itself is in trouble.
    Trouble(FolderTrouble),
    /// There is nothing.
    Absent,
    /// The path is a directory.
    Directory,
    /// The path is a link, a FIFO, a socket or a device.
    NotAFile,
    /// A part of the way to it is a link, or no directory.
    BehindLink,
    /// The file cannot be looked at.
    Unreadable(String),
    /// Its name says that it is no recording.
    Name(FileKind),
    /// By its name it is what people write beside a recording, or into a directory.
    Sidecar(SidecarScope),
    /// The file has no bytes yet.
    Empty,
    /// The file is settling.
    Settling(SettlingFileView),
    /// Part of the backlog, which waits for a decision. The folder's name.
    Backlog(String),
    /// Part of the backlog, left alone as was decided.
    Ignored,
    /// The file has a job.
    Taken(i64),
    /// The file was settling when minuted ended, which goes on at the start.
    Interrupted {
        /// The time at which it was first seen.
        first: Timestamp,
        /// Since when it has not changed.
        since: Timestamp,
    },
    /// The file was not yet seen in its present state.
    Unseen,
    /// The file lies deeper below the folder than directories are read.
    TooDeep,
}

/// The recordings for which a sidecar counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SidecarScope {
    /// Of the recording of this name.
    Recording(PathBuf),
    /// Of the recordings in its directory and below.
    Directory,
    /// Of nobody: it lies in the folder's own directory.
    Root,
    /// Of nobody: the folder of this name takes none.
    Off(String),
}

impl fmt::Display for SidecarScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recording(recording) => {
                let recording = printable_path(recording);
                write!(f, "it is the sidecar of `{recording}`: it overrides what the folder says of the meeting")
            }
            Self::Directory => {
                f.write_str("it is the sidecar of its directory: it overrides the folder for everything below")
            }
            Self::Root => f.write_str(
                "left alone: what holds for the whole folder is in the configuration; a file of this name counts in a \
                 sub-folder",
            ),
            Self::Off(folder) => {
                let folder = printable(folder);
                write!(f, "left alone: folder `{folder}` reads no sidecars without `sidecars = true`")
            }
        }
    }
}

/// Returns the recordings for which the file at `relative` is a sidecar, by its name.
fn find_sidecar_scope(
    folder: &Folder,
    filter: &FileFilter,
    relative: &Path,
) -> Option<SidecarScope> {
    let name = Path::new(relative.file_name()?);
    let is_of_directory = name.as_os_str() == SIDECAR_OF_DIRECTORY;
    let recording = recording_of(name)
        .filter(|recording| filter.may_be_media(recording.as_os_str().as_bytes()));
    if !is_of_directory && recording.is_none() {
        return None;
    }
    Some(match recording {
        _ if !folder.sidecars => SidecarScope::Off(folder.name.clone()),
        Some(recording) => SidecarScope::Recording(recording),
        None if relative.parent().is_some_and(|parent| parent.as_os_str().is_empty()) => {
            SidecarScope::Root
        }
        None => SidecarScope::Directory,
    })
}

/// Returns why there is no job for `relative`, a path below the folder. Blocks on the file system.
///
/// `view` is that of the running folder, `sighting` what the queue knows of the path; each when there is one.
#[must_use]
pub(crate) fn explain(
    folder: &Folder,
    accepts: &[String],
    relative: &Path,
    view: Option<&FolderView>,
    sighting: Option<&Sighting>,
) -> FileExplanation {
    let trouble =
        view.and_then(|view| view.status().trouble).filter(|trouble| trouble.kind.blocks_stages());
    if let Some(trouble) = trouble {
        return FileExplanation::Trouble(trouble);
    }
    if relative.as_os_str().is_empty() {
        return FileExplanation::Directory;
    }
    let looked =
        Dir::open(&folder.path).and_then(|root| root.entry(relative).map(|entry| (root, entry)));
    let (root, stamp) = match looked {
        Ok((root, Some(Entry::File(stamp)))) => (root, stamp),
        Ok((_, Some(Entry::Directory))) => return FileExplanation::Directory,
        Ok((_, Some(Entry::Other))) => return FileExplanation::NotAFile,
        Ok((_, None)) => return FileExplanation::Absent,
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOTDIR | Errno::LOOP)) => {
            return FileExplanation::BehindLink;
        }
        Err(error) => {
            return FileExplanation::Unreadable(describe_read_error(
                &error,
                &folder.path.join(relative),
            ));
        }
    };
    let filter = FileFilter::new(folder, accepts);
    let kind = filter.classify(relative);
    if let FileKind::NotMedia | FileKind::Hidden = kind
        && let Some(sidecar) = find_sidecar_scope(folder, &filter, relative)
    {
        return FileExplanation::Sidecar(sidecar);
    }
    if !kind.is_media() {
        return FileExplanation::Name(kind);
    }
    let is_taken = sighting.is_some_and(|seen| {
        seen.stamp == stamp && matches!(seen.verdict, FileVerdict::Taken { .. })
    });
    if is_too_deep(relative) && !is_taken {
        return FileExplanation::TooDeep;
    }
    if stamp.size > 0 && filter.is_lookalike(&root, relative) {
        return FileExplanation::Name(filter.classify_by_content(&root, relative));
    }
    let settling = view.and_then(|view| view.settling_file(relative));
    settling.map_or_else(|| explain_media(folder, stamp, sighting), FileExplanation::Settling)
}

impl FileExplanation {
    /// Returns the answer with who has the file open now, where it is settling. Blocks on `/proc`.
    #[must_use]
    pub(crate) fn with_use(self, open_files: &OpenFiles, folder: &Folder, relative: &Path) -> Self {
        let Self::Settling(mut file) = self else { return self };
        let root = Dir::open(&folder.path);
        file.in_use =
            root.ok().and_then(|root| open_files.in_use(&root, &[relative]).pop().flatten());
        Self::Settling(file)
    }
}

/// The answer for a file of media that is not settling.
fn explain_media(folder: &Folder, stamp: Stamp, sighting: Option<&Sighting>) -> FileExplanation {
    let Some(seen) = sighting.filter(|sighting| sighting.stamp == stamp) else {
        return if stamp.size == 0 { FileExplanation::Empty } else { FileExplanation::Unseen };
    };
    match seen.verdict {
        FileVerdict::Taken { job } => FileExplanation::Taken(job),
        FileVerdict::Backlog => FileExplanation::Backlog(folder.name.clone()),
        FileVerdict::Ignored => FileExplanation::Ignored,
        FileVerdict::Settling if stamp.size == 0 => FileExplanation::Empty,
        FileVerdict::Settling => {
            FileExplanation::Interrupted { first: seen.first, since: seen.since }
        }
    }
}

impl fmt::Display for FileExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trouble(trouble) => {
                write!(f, "the folder is in trouble: {}; it resumes when that is over", trouble.detail)
            }
            Self::Absent => f.write_str("there is no such file"),
            Self::Directory => f.write_str("it is a directory"),
            Self::NotAFile => f.write_str("it is a link or a special file, and these are never opened"),
            Self::BehindLink => {
                f.write_str("the way to it goes through a link or what is no directory, and links are never followed")
            }
            Self::Unreadable(why) => write!(f, "it cannot be looked at: {}", printable(why)),
            Self::Name(kind) => write!(f, "left alone: {kind}"),
            Self::Sidecar(sidecar) => sidecar.fmt(f),
            Self::Empty => f.write_str("it is empty; it is queued once it has content and is quiet"),
            Self::Settling(file) => fmt_settling(f, file),
            Self::Backlog(folder) => {
                let process = ShellCommand::new("minuted backlog").add_word(folder).add_words("process");
                write!(f, "it was there before minuted and waits: `{process}` or `skip`")
            }
            Self::Ignored => f.write_str("it was there before minuted and is left alone, as was decided"),
            Self::Taken(job) => write!(f, "job {job}"),
            Self::Interrupted { first, since } => write!(
                f,
                "it was settling when minuted last ran: first seen {first:.0}, unchanged since {since:.0}; it goes on \
                 from there"
            ),
            Self::Unseen => f.write_str("not seen yet as it is now; the next scan will"),
            Self::TooDeep => {
                write!(f, "left alone: it lies more than {DEPTH_MAX} directories deep, and no deeper ones are read")
            }
        }
    }
}

fn fmt_settling(f: &mut fmt::Formatter<'_>, file: &SettlingFileView) -> fmt::Result {
    if let Some(why) = &file.unreadable {
        return write!(f, "it cannot be read: {}", printable(why));
    }
    let since = file.since;
    let until = file.until;
    if let Some(in_use) = &file.in_use {
        write!(f, "{in_use}; ")?;
        match in_use {
            InUse::Process(_) | InUse::Written(UnclosedWrite { is_certain: true, .. }) => {
                f.write_str("it is queued once the writer has closed it and it stays as it is")?;
            }
            InUse::Written(UnclosedWrite { is_certain: false, .. }) => {
                let at = since.checked_add(DOUBT_MAX).unwrap_or(Timestamp::MAX);
                write!(
                    f,
                    "it is queued once the writer has closed it, or at {at:.0} if it stays as it is"
                )?;
            }
        }
        write!(f, "; unchanged since {since:.0}, first seen {:.0}", file.first)?;
        return if file.is_slow {
            f.write_str("; that is longer than usual, and it is waited for")
        } else {
            Ok(())
        };
    }
    if let Some(why) = file.unfinished {
        return write!(
            f,
            "it looks unfinished: {why}; unchanged since {since:.0}, queued as it is at {until:.0}"
        );
    }
    write!(
        f,
        "it is settling: unchanged since {since:.0}, queued at {until:.0} if it stays so; first seen {:.0}",
        file.first
    )?;
    if file.is_slow {
        f.write_str("; it still changes after hours, and is waited for")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::File, os::unix::fs::symlink};

    use super::*;
    use crate::{
        open_files::WritingProcess,
        watch::testing::{accepts, folder},
    };

    #[test]
    fn every_file_has_an_answer() {
        let tree = tempfile::tempdir().expect("a directory");
        let root = tree.path();
        fs::create_dir_all(root.join("@eaDir")).expect("made");
        for name in ["a.mp3", "b.doc", "c.mp3.part", "@eaDir/d.mp3", "kept.mp3"] {
            fs::write(root.join(name), "x").expect("written");
        }
        File::create(root.join("empty.mp3")).expect("made");
        symlink("a.mp3", root.join("link.mp3")).expect("linked");
        let stamp = Stamp::of(&File::open(root.join("kept.mp3")).expect("there")).expect("asked");
        let now = jiff::Timestamp::UNIX_EPOCH;
        let (path, verdict) = ("kept.mp3".into(), FileVerdict::Backlog);
        let kept = Sighting { path, stamp, first: now, since: now, verdict, written_boot: None };
        let begun = Sighting { verdict: FileVerdict::Settling, ..kept.clone() };
        let begun = explain(&folder(root), &accepts(), Path::new("kept.mp3"), None, Some(&begun));
        assert_eq!(begun, FileExplanation::Interrupted { first: now, since: now });
        let names = [
            "a.mp3",
            "b.doc",
            "c.mp3.part",
            "@eaDir/d.mp3",
            "@eaDir",
            "empty.mp3",
            "link.mp3",
            "none.mp3",
            "kept.mp3",
        ];
        let shown = names.map(|name| {
            let sighting = (name == "kept.mp3").then_some(&kept);
            format!(
                "{name}: {}",
                explain(&folder(root), &accepts(), Path::new(name), None, sighting)
            )
        });
        insta::assert_snapshot!(shown.join("\n"), @r"
        a.mp3: not seen yet as it is now; the next scan will
        b.doc: left alone: not an audio or video file by its name
        c.mp3.part: left alone: a temporary or foreign name (`.part`): a download or copy that is not finished
        @eaDir/d.mp3: left alone: it lies in `@eaDir`, which is left alone: thumbnails of a Synology
        @eaDir: it is a directory
        empty.mp3: it is empty; it is queued once it has content and is quiet
        link.mp3: it is a link or a special file, and these are never opened
        none.mp3: there is no such file
        kept.mp3: it was there before minuted and waits: `minuted backlog sales process` or `skip`
        ");
    }

    #[test]
    fn a_file_that_lies_too_deep_has_an_answer_too() {
        let tree = tempfile::tempdir().expect("a directory");
        let levels = |count: usize| ["d/"; 100][..count].concat();
        fs::create_dir_all(tree.path().join(levels(DEPTH_MAX + 1))).expect("made");
        let shown = [DEPTH_MAX, DEPTH_MAX + 1].map(|count| {
            let name = levels(count) + "talk.mp3";
            fs::write(tree.path().join(&name), "x").expect("written");
            explain(&folder(tree.path()), &accepts(), Path::new(&name), None, None).to_string()
        });
        assert_eq!(
            shown,
            [
                "not seen yet as it is now; the next scan will",
                "left alone: it lies more than 64 directories deep, and no deeper ones are read"
            ]
        );
    }

    #[test]
    fn a_sidecar_says_whose_it_is_and_whether_it_counts() {
        let tree = tempfile::tempdir().expect("a directory");
        let root = tree.path();
        fs::create_dir_all(root.join("a")).expect("made");
        let names = [
            "a/talk.mp3.toml",
            "talk.mp3.toml",
            ".minuted.toml",
            "a/.minuted.toml",
            "Cargo.toml",
            ".toml",
        ];
        for name in names {
            fs::write(root.join(name), "").expect("written");
        }
        let shown = [true, false].map(|sidecars| {
            let folder = Folder { sidecars, ..folder(root) };
            let of = |name: &str| {
                format!("{name}: {}", explain(&folder, &accepts(), Path::new(name), None, None))
            };
            names.map(of).join("\n")
        });
        insta::assert_snapshot!(shown.join("\n\n"), @r"
        a/talk.mp3.toml: it is the sidecar of `talk.mp3`: it overrides what the folder says of the meeting
        talk.mp3.toml: it is the sidecar of `talk.mp3`: it overrides what the folder says of the meeting
        .minuted.toml: left alone: what holds for the whole folder is in the configuration; a file of this name counts in a sub-folder
        a/.minuted.toml: it is the sidecar of its directory: it overrides the folder for everything below
        Cargo.toml: left alone: not an audio or video file by its name
        .toml: left alone: a hidden name: it begins with a dot

        a/talk.mp3.toml: left alone: folder `sales` reads no sidecars without `sidecars = true`
        talk.mp3.toml: left alone: folder `sales` reads no sidecars without `sidecars = true`
        .minuted.toml: left alone: folder `sales` reads no sidecars without `sidecars = true`
        a/.minuted.toml: left alone: folder `sales` reads no sidecars without `sidecars = true`
        Cargo.toml: left alone: not an audio or video file by its name
        .toml: left alone: a hidden name: it begins with a dot
        ");
    }

    #[test]
    fn what_is_settling_says_since_when_and_until_when() {
        let at =
            |seconds: i64| jiff::Timestamp::from_second(1_795_338_000 + seconds).expect("in range");
        let (first, since, until) = (at(0), at(60), at(90));
        let file = SettlingFileView {
            path: "a.wav".into(),
            size: 1,
            first,
            since,
            until,
            unfinished: None,
            unreadable: None,
            in_use: None,
            is_slow: false,
        };
        let process = InUse::Process(WritingProcess { program: "recorder".into(), process: 812 });
        let written = |is_certain| InUse::Written(UnclosedWrite { last: since, is_certain });
        let open = [(process, true), (written(true), false), (written(false), false)].map(
            |(in_use, is_slow)| {
                FileExplanation::Settling(SettlingFileView {
                    in_use: Some(in_use),
                    is_slow,
                    ..file.clone()
                })
                .to_string()
            },
        );
        insta::assert_snapshot!(open.join("\n"), @r"
        `recorder` (process 812) has it open; it is queued once the writer has closed it and it stays as it is; unchanged since 2026-11-22T09:01:00Z, first seen 2026-11-22T09:00:00Z; that is longer than usual, and it is waited for
        it changed since its writer last closed it: it is still being written; it is queued once the writer has closed it and it stays as it is; unchanged since 2026-11-22T09:01:00Z, first seen 2026-11-22T09:00:00Z
        it was being written when minuted last saw its writer, and that writer may still have it open; it is queued once the writer has closed it, or at 2026-11-22T10:01:00Z if it stays as it is; unchanged since 2026-11-22T09:01:00Z, first seen 2026-11-22T09:00:00Z
        ");
        let unfinished =
            SettlingFileView { unfinished: Some("its header says 0 bytes"), ..file.clone() };
        let unreadable =
            SettlingFileView { unreadable: Some("Permission denied".into()), ..file.clone() };
        let shown = [file, unfinished, unreadable]
            .map(|file| FileExplanation::Settling(file).to_string())
            .join("\n");
        insta::assert_snapshot!(shown, @r"
        it is settling: unchanged since 2026-11-22T09:01:00Z, queued at 2026-11-22T09:01:30Z if it stays so; first seen 2026-11-22T09:00:00Z
        it looks unfinished: its header says 0 bytes; unchanged since 2026-11-22T09:01:00Z, queued as it is at 2026-11-22T09:01:30Z
        it cannot be read: Permission denied
        ");
    }
}
