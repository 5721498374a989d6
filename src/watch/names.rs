//! The classes of names, before anything is opened: recording, other media, temporary, hidden, excluded.
//!
//! Pure. Names are bytes: nothing here needs them to be UTF-8.

use std::{
    ffi::OsStr,
    fmt,
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::foreign::{self, ForeignName};
use crate::{
    beneath::Dir,
    config::{Folder, Globs, OnSuccess},
    media_types,
    text::{printable, printable_path},
};

/// The class of a path, by its names alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A recording that the folder's service takes; its extension, lower case.
    Recording(String),
    /// Audio or video that the folder's service does not take; its extension, lower case.
    NotAccepted(String),
    /// Neither audio nor video.
    NotMedia,
    /// A name of audio or video that other files have as well, and by its first bytes it is one of those; the extension,
    /// lower case.
    Lookalike(String),
    /// A name that a program uses while it writes or for its own ends.
    Temporary(&'static ForeignName),
    /// The name begins with a dot.
    Hidden,
    /// A directory above is left alone as a whole; that directory, and why.
    Pruned(PathBuf, &'static str),
    /// A glob of `exclude` matches it.
    Excluded(String),
    /// No glob of `include` matches it.
    NotIncluded,
    /// The file lies in a sub-folder, and `recursive` is false.
    BelowFlat,
}

impl FileKind {
    /// Returns whether a file of this kind gets a row in the queue.
    #[must_use]
    pub(crate) fn is_media(&self) -> bool {
        match self {
            Self::Recording(_) | Self::NotAccepted(_) => true,
            Self::NotMedia
            | Self::Lookalike(_)
            | Self::Temporary(_)
            | Self::Hidden
            | Self::Pruned(..)
            | Self::Excluded(_)
            | Self::NotIncluded
            | Self::BelowFlat => false,
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recording(extension) => write!(f, "a recording (`.{}`)", printable(extension)),
            Self::NotAccepted(extension) => {
                write!(f, "the service of this folder does not take `.{}`", printable(extension))
            }
            Self::NotMedia => f.write_str("not an audio or video file by its name"),
            Self::Lookalike(extension) => write!(
                f,
                "`.{}` is the name of other files as well, and its first bytes are not those of a recording",
                printable(extension)
            ),
            Self::Temporary(name) => {
                write!(f, "a temporary or foreign name (`{}`): {}", name.pattern, name.meaning)
            }
            Self::Hidden => f.write_str("a hidden name: it begins with a dot"),
            Self::Pruned(directory, why) => {
                write!(f, "it lies in `{}`, which is left alone: {why}", printable_path(directory))
            }
            Self::Excluded(glob) => write!(f, "`exclude` names it: `{}`", printable(glob)),
            Self::NotIncluded => f.write_str("no glob of `include` matches it"),
            Self::BelowFlat => f.write_str("it lies in a sub-folder and `recursive` is false"),
        }
    }
}

/// The names of a folder: its globs, its service's extensions, and what lies below it that is minuted's own.
#[derive(Debug)]
pub(crate) struct FileFilter {
    recursive: bool,
    include: Option<Globs>,
    exclude: Globs,
    move_to: Option<PathBuf>,
    accepts: Vec<String>,
    media: Vec<u64>,
    /// The extensions that `include` names: a person has said that these are media.
    included: Vec<u64>,
}

impl FileFilter {
    /// Returns the filter of a folder whose service takes the extensions `accepts`, lower case, without a dot.
    #[must_use]
    pub(crate) fn new(folder: &Folder, accepts: &[String]) -> Self {
        let named = folder.include.patterns.iter().flat_map(|pattern| extensions_of(pattern));
        let included: Vec<u64> =
            named.filter_map(|extension| pack_extension(extension.as_bytes())).collect();
        let known =
            media_types::extensions().filter_map(|extension| pack_extension(extension.as_bytes()));
        let taken = accepts.iter().filter_map(|extension| pack_extension(extension.as_bytes()));
        let mut media: Vec<u64> = known.chain(taken).chain(included.iter().copied()).collect();
        media.sort_unstable();
        media.dedup();
        Self {
            recursive: folder.recursive,
            include: (folder.include.patterns != ["*"]).then(|| folder.include.clone()),
            exclude: folder.exclude.clone(),
            move_to: match &folder.on_success {
                OnSuccess::Move(below) => Some(below.clone()),
                OnSuccess::Keep | OnSuccess::Delete => None,
            },
            accepts: accepts.to_vec(),
            media,
            included,
        }
    }

    /// Returns what a path relative to the folder is.
    #[must_use]
    pub(crate) fn classify(&self, relative: &Path) -> FileKind {
        let parents = relative.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        if let Some((directory, why)) =
            parents.filter_map(|p| Some((p, self.prune_reason(p)?))).last()
        {
            return FileKind::Pruned(directory.to_owned(), why);
        }
        if !self.recursive && relative.parent().is_some_and(|parent| !parent.as_os_str().is_empty())
        {
            return FileKind::BelowFlat;
        }
        self.classify_file(relative)
    }

    /// As [`Self::classify`] for a path in a directory that is known to be scanned.
    #[must_use]
    pub(crate) fn classify_file(&self, relative: &Path) -> FileKind {
        let name = relative.file_name().unwrap_or_default().as_bytes();
        if let Some(foreign) = foreign::temporary_file(name) {
            return FileKind::Temporary(foreign);
        }
        if name.starts_with(b".") {
            return FileKind::Hidden;
        }
        if !self.may_be_media(name) {
            return FileKind::NotMedia;
        }
        if let Some(glob) = self.excluding_glob(relative) {
            return FileKind::Excluded(glob);
        }
        if self.include.as_ref().is_some_and(|include| !include.set.is_match(relative)) {
            return FileKind::NotIncluded;
        }
        let extension = String::from_utf8_lossy(extension_of(name)).to_ascii_lowercase();
        if self.accepts.contains(&extension) {
            FileKind::Recording(extension)
        } else {
            FileKind::NotAccepted(extension)
        }
    }

    /// As [`Self::classify`], with a look into a file whose name alone does not tell. A file that cannot be read is what its
    /// name says.
    #[must_use]
    pub(crate) fn classify_by_content(&self, root: &Dir, relative: &Path) -> FileKind {
        let kind = self.classify(relative);
        if kind.is_media() && self.is_lookalike(root, relative) {
            let name = relative.file_name().unwrap_or_default().as_bytes();
            return FileKind::Lookalike(
                String::from_utf8_lossy(extension_of(name)).to_ascii_lowercase(),
            );
        }
        kind
    }

    /// Returns whether the name of a file does not tell a recording from other files, so that it is looked into.
    #[must_use]
    pub(crate) fn is_ambiguous(&self, relative: &Path) -> bool {
        let extension = extension_of(relative.file_name().unwrap_or_default().as_bytes());
        media_types::is_ambiguous(extension)
            && !pack_extension(extension).is_some_and(|packed| self.included.contains(&packed))
    }

    /// Returns whether a file with a name of media is another one by its first bytes.
    #[must_use]
    pub(crate) fn is_lookalike(&self, root: &Dir, relative: &Path) -> bool {
        if !self.is_ambiguous(relative) {
            return false;
        }
        let mut head = Vec::new();
        let limit = u64::try_from(media_types::LOOK_BYTES).unwrap_or(u64::MAX);
        let read =
            root.open_file(relative).and_then(|file| file.take(limit).read_to_end(&mut head));
        let extension = extension_of(relative.file_name().unwrap_or_default().as_bytes());
        read.is_ok() && !media_types::looks_like(extension, &head)
    }

    /// Returns whether the extension of `name` is one of audio or video. Fast: a scan asks it for every name.
    #[must_use]
    pub(crate) fn may_be_media(&self, name: &[u8]) -> bool {
        pack_extension(extension_of(name))
            .is_some_and(|packed| self.media.binary_search(&packed).is_ok())
    }

    /// Returns whether sub-folders are scanned at all.
    #[must_use]
    pub(crate) fn is_recursive(&self) -> bool {
        self.recursive
    }

    /// Returns why the directory at `relative` is left alone with all that is in it, `None` when it is scanned.
    #[must_use]
    pub(crate) fn prune_reason(&self, relative: &Path) -> Option<&'static str> {
        let name = relative.file_name().unwrap_or_default().as_bytes();
        if let Some(why) = foreign::directory(name) {
            return Some(why);
        }
        if let Some(foreign) = foreign::temporary(name) {
            return Some(foreign.meaning);
        }
        if name.starts_with(b".") {
            return Some("a hidden name");
        }
        if self.move_to.as_deref() == Some(relative) {
            return Some("finished recordings are moved there");
        }
        self.exclude.set.is_match(relative).then_some("`exclude` names it")
    }

    /// The glob of `exclude` that matches, when one does.
    fn excluding_glob(&self, relative: &Path) -> Option<String> {
        let index = *self.exclude.set.matches(relative).first()?;
        Some(self.exclude.patterns.get(index).cloned().unwrap_or_default())
    }
}

/// Returns whether minuted itself or any program writes such documents: a change of one is no news here.
#[must_use]
pub(crate) fn is_document(name: &OsStr) -> bool {
    let documents: [&[u8]; 5] = [b"md", b"txt", b"srt", b"vtt", b"json"];
    documents.iter().any(|document| extension_of(name.as_bytes()).eq_ignore_ascii_case(document))
}

/// Returns whether a path can be of no interest whatever it is: hidden, temporary or below such a directory.
#[must_use]
pub(crate) fn is_noise(relative: &Path) -> bool {
    relative.iter().any(|name| {
        name.as_bytes().starts_with(b".") || foreign::temporary(name.as_bytes()).is_some()
    })
}

/// Returns the extensions, in lower case, that a glob names in full: `*.ts`, `calls/*.{ts,xyz}`, `*.[tT][sS]`. Documents
/// are none: minuted writes such files beside recordings itself.
fn extensions_of(pattern: &str) -> Vec<String> {
    let alternatives = match (pattern.rfind('{'), pattern.ends_with('}')) {
        (Some(open), true) => {
            let inner = pattern[open + 1..pattern.len() - 1].split(',');
            inner.map(|end| format!("{}{end}", &pattern[..open])).collect()
        }
        (Some(_) | None, _) => vec![pattern.to_owned()],
    };
    let named = alternatives.iter().filter_map(|pattern| literal_extension(pattern));
    named.filter(|extension| !is_document(OsStr::new(&format!("x.{extension}")))).collect()
}

/// Returns what follows the last dot of a pattern, in lower case, where that is one extension and no other.
fn literal_extension(pattern: &str) -> Option<String> {
    let after_dot = pattern.rsplit('/').next()?.rsplit_once('.')?.1;
    let mut rest = after_dot.chars();
    let mut extension = String::new();
    while let Some(character) = rest.next() {
        let literal = match character {
            // A class of one letter in both cases.
            '[' => {
                let class: Vec<char> = rest.by_ref().take_while(|inner| *inner != ']').collect();
                let first = class.first()?.to_ascii_lowercase();
                class.iter().all(|inner| inner.to_ascii_lowercase() == first).then_some(first)?
            }
            letter if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_') => {
                letter.to_ascii_lowercase()
            }
            _ => return None,
        };
        extension.push(literal);
    }
    Some(extension).filter(|extension| !extension.is_empty())
}

/// Returns the part of a name behind its last dot; empty when there is none, or only a leading one.
fn extension_of(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => &name[dot + 1..],
        Some(_) | None => &[],
    }
}

/// An extension in lower case as one number; `None` when it is empty or longer than any that is known.
fn pack_extension(extension: &[u8]) -> Option<u64> {
    let fits = !extension.is_empty() && extension.len() <= 8;
    fits.then(|| {
        extension.iter().fold(0, |number, byte| number << 8 | u64::from(byte.to_ascii_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::testing::{accepts, folder, globs};

    fn kind(path: &str) -> FileKind {
        FileFilter::new(&folder(Path::new("/srv/sales")), &accepts()).classify(Path::new(path))
    }

    #[test]
    fn recordings_are_known_by_their_extension_in_any_case() {
        assert_eq!(kind("a/Talk.WAV"), FileKind::Recording("wav".into()));
        assert_eq!(kind("a/talk.mkv"), FileKind::NotAccepted("mkv".into()));
        assert_eq!(kind("talk.notes.md"), FileKind::NotMedia);
        assert_eq!(kind("wav"), FileKind::NotMedia);
        assert_eq!(
            FileFilter::new(&folder(Path::new("/f")), &accepts())
                .classify(Path::new(OsStr::from_bytes(b"\xff.mp3"))),
            FileKind::Recording("mp3".into())
        );
    }

    #[test]
    fn temporary_and_foreign_names_are_never_recordings() {
        for name in [
            "talk.mp4.part",
            "talk.mp4.partial",
            "talk.mp4.crdownload",
            "talk.mp4.tmp",
            "talk.mp4.download",
            "~$talk.mp3",
            ".~lock.talk.mp3#",
            ".goutputstream-AB12C3",
            ".syncthing.talk.mp3.tmp",
            "~syncthing~talk.mp3",
            ".dropbox.mp3",
            ".nextcloudsync.mp3",
            "._talk.mp3",
            ".DS_Store",
            ".#talk.mp3",
            ".talk.mp3.aB3dEf",
            ".minuted-1.tmp",
        ] {
            assert!(matches!(kind(name), FileKind::Temporary(_)), "{name}: {:?}", kind(name));
        }
        assert_eq!(kind(".talk.mp3"), FileKind::Hidden);
    }

    #[test]
    fn foreign_directories_are_left_alone_with_all_that_is_in_them() {
        for directory in [
            ".stversions",
            ".stfolder",
            "@eaDir",
            "#recycle",
            ".hidden",
            "Talk.mp4.download",
            ".dropbox.cache",
        ] {
            let path = format!("a/{directory}/b/talk.mp3");
            assert!(matches!(kind(&path), FileKind::Pruned(..)), "{path}: {:?}", kind(&path));
        }
    }

    #[test]
    fn names_of_other_programs_are_left_alone_and_their_like_is_not() {
        for name in [
            "talk.mp3.!qB",
            "talk.mp4.fdmdownload",
            ".in.talk.mp3.",
            ".pureftpd-upload.5f3a.15.12ab.cd",
            ".talk.mp3.icloud",
            "talk.mp3.nextcloud",
            ".pending-1700000000-VID_20210105_103000.mp4",
            ".trashed-1700000000-talk.mp4",
            ".smbdeleteAAA1b2c.4",
            ".nfs00000000004b2ad500000001",
            ".fuse_hidden0000001200000001",
            "talk.tmp.mp4",
            "talk.temp.m4a",
            "double_click_to_convert_01.zoom",
            "double_click_to_convert_01.mp4",
            "talk.mp3~",
            "talk.mp3.sb-1a2b3c4d-AbCdEf",
        ] {
            assert!(matches!(kind(name), FileKind::Temporary(_)), "{name}: {:?}", kind(name));
        }
        for name in [
            "temp.mp3",
            "part 2.mp3",
            "double click.mp3",
            "Download.mp4",
            "tmp.mp3",
            "zoom.mp4",
            "in.talk.mp3",
        ] {
            assert!(kind(name).is_media(), "{name}: {:?}", kind(name));
        }
        for directory in [
            "@Recently-Snapshot",
            "~snapshot",
            "@GMT-2021.01.05-10.30.00",
            "#snapshot",
            "@Recycle",
            "#Recycle",
            "@eaDir",
            "@sharebin",
            "@Snapshot",
            ".snapshot",
            ".snapshots",
            ".zfs",
            "$RECYCLE.BIN",
            "RECYCLER",
            "System Volume Information",
            "FOUND.000",
            "lost+found",
            ".Trash-1000",
            ".Trashes",
            "Network Trash Folder",
            "Network Recycle Bin 1",
            ".stversions",
            ".sync",
            ".dropbox.cache",
            ".tmp.driveupload",
            ".TemporaryItems",
            "Temporary Items",
            ".Spotlight-V100",
            ".AppleDouble",
            ".@__thumb",
            "DfsrPrivate",
            "files_trashbin",
            "files_versions",
            "Talk.mp3.sb-1a2b3c4d-AbCdEf",
        ] {
            let found = kind(&format!("a/{directory}/b/talk.mp3"));
            let is_named = |why: &str| !why.contains("hidden name");
            assert!(
                matches!(&found, FileKind::Pruned(_, why) if is_named(why)),
                "{directory}: {found:?}"
            );
        }
        for directory in [
            "snapshot",
            "Snapshots",
            "Recycled materials",
            "recycle",
            "Recently",
            "GMT-7 team",
            "@home",
            "#sales",
            "tmp",
            "temp",
            "Trash talk",
            "found",
            "old~",
            "Meetings.temp",
            "2021.01.05",
            "sync",
        ] {
            assert!(kind(&format!("{directory}/talk.mp3")).is_media(), "{directory}");
        }
    }

    #[test]
    fn what_the_field_records_is_media() {
        for name in [
            "a.qta", "a.TS", "a.weba", "a.mpga", "a.m4r", "a.mp1", "a.tta", "a.voc", "a.awb",
            "a.sln16", "a.ulaw",
        ] {
            assert!(kind(name).is_media(), "{name}");
        }
        for name in ["a.txt", "a.toml", "a.aup3", "a.m3u8", "a.srt", "a.lrv"] {
            assert_eq!(kind(name), FileKind::NotMedia, "{name}");
        }
    }

    #[test]
    fn what_include_names_is_media() {
        for (pattern, extensions) in [
            ("*.ts", "ts"),
            ("calls/*.TS", "ts"),
            ("*.[tT][sS]", "ts"),
            ("*.{xyz,abc}", "xyz abc"),
            ("{a/*.xyz,b/*.abc}", "xyz abc"),
            ("call.dat", "dat"),
            ("*", ""),
            ("calls/*", ""),
            ("*.*", ""),
            ("*.m?3", ""),
            ("*.[ab]c", ""),
            ("*.md", ""),
            ("*.", ""),
        ] {
            assert_eq!(extensions_of(pattern).join(" "), extensions, "{pattern}");
        }
        let included =
            Folder { include: globs(&["*.xyz", "*.ts"]), ..folder(Path::new("/srv/sales")) };
        let filter = FileFilter::new(&included, &accepts());
        assert_eq!(
            filter.classify(Path::new("a/call.XYZ")),
            FileKind::NotIncluded,
            "a glob tells the cases apart"
        );
        assert_eq!(filter.classify(Path::new("a/call.xyz")), FileKind::NotAccepted("xyz".into()));
        assert_eq!(
            filter.classify(Path::new("a/call.xyz.part")),
            FileKind::Temporary(foreign::temporary(b"x.part").expect("one"))
        );
        assert!(!filter.is_ambiguous(Path::new("a/call.ts")), "a person has said what it is");
        assert!(
            FileFilter::new(&folder(Path::new("/f")), &accepts())
                .is_ambiguous(Path::new("a/call.ts"))
        );
    }

    #[test]
    fn a_name_that_other_files_have_too_is_looked_into() {
        let tree = tempfile::tempdir().expect("a directory");
        let packets: Vec<u8> =
            (0..1880).map(|at| if at % 188 == 0 { 0x47 } else { 0xff }).collect();
        std::fs::write(tree.path().join("a.ts"), packets).expect("written");
        std::fs::write(tree.path().join("b.ts"), "export const G = 1;\n").expect("written");
        let root = Dir::open(tree.path()).expect("opened");
        let filter = FileFilter::new(&folder(tree.path()), &accepts());
        let kind = |name: &str| filter.classify_by_content(&root, Path::new(name));
        assert_eq!(kind("a.ts"), FileKind::NotAccepted("ts".into()));
        insta::assert_snapshot!(kind("b.ts"), @"`.ts` is the name of other files as well, and its first bytes are not those of a recording");
        assert_eq!(kind("none.ts"), FileKind::NotAccepted("ts".into()));
    }

    #[test]
    fn globs_decide_and_are_named() {
        let mut folder = folder(Path::new("/srv/sales"));
        folder.exclude = globs(&["private", "*-draft.*"]);
        folder.include = globs(&["calls/*"]);
        folder.on_success = OnSuccess::Move("calls/done".into());
        let filter = FileFilter::new(&folder, &accepts());
        assert_eq!(
            filter.classify(Path::new("calls/a-draft.mp3")),
            FileKind::Excluded("*-draft.*".into())
        );
        assert_eq!(
            filter.classify(Path::new("private/a.mp3")),
            FileKind::Pruned("private".into(), "`exclude` names it")
        );
        assert_eq!(filter.classify(Path::new("other/a.mp3")), FileKind::NotIncluded);
        assert!(matches!(filter.classify(Path::new("calls/done/x/a.mp3")), FileKind::Pruned(..)));
        assert_eq!(filter.classify(Path::new("calls/a.mp3")), FileKind::Recording("mp3".into()));
    }

    #[test]
    fn a_flat_folder_ends_at_its_sub_folders() {
        let mut folder = folder(Path::new("/srv/sales"));
        folder.recursive = false;
        let filter = FileFilter::new(&folder, &accepts());
        assert_eq!(filter.classify(Path::new("a/talk.mp3")), FileKind::BelowFlat);
        assert!(filter.classify(Path::new("talk.mp3")).is_media());
    }

    #[test]
    fn each_reason_reads_as_a_sentence_part() {
        let shown = ["a.mkv", "a.doc", "a.part", ".a.mp3", "@eaDir/a.mp3"]
            .map(|path| kind(path).to_string())
            .join("\n");
        insta::assert_snapshot!(shown, @r"
        the service of this folder does not take `.mkv`
        not an audio or video file by its name
        a temporary or foreign name (`.part`): a download or copy that is not finished
        a hidden name: it begins with a dot
        it lies in `@eaDir`, which is left alone: thumbnails of a Synology
        ");
    }

    proptest::proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn what_a_scan_passes_over_by_extension_is_never_media(name in proptest::collection::vec(1u8..=255, 1..20)) {
            let name: Vec<u8> = name.into_iter().filter(|byte| *byte != b'/').collect();
            let filter = FileFilter::new(&folder(Path::new("/f")), &accepts());
            let kind = filter.classify(Path::new(OsStr::from_bytes(&name)));
            proptest::prop_assert!(!kind.is_media() || filter.may_be_media(&name));
        }
    }
}
