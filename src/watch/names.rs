//! What a name says before anything is opened: recording, other media, temporary, hidden, excluded.
//!
//! Pure. Names are bytes: nothing here needs them to be UTF-8.

use std::{
    ffi::OsStr,
    fmt,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::{
    config::{Folder, Globs, OnSuccess},
    text::{printable, printable_path},
};

/// What minuted makes of a path, by its names alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A recording that the folder's service takes; its extension, lower case.
    Recording(String),
    /// Audio or video that the folder's service does not take; its extension, lower case.
    NotAccepted(String),
    /// Neither audio nor video.
    NotMedia,
    /// A name that a program uses while it writes or for its own ends; the pattern it fits.
    Temporary(&'static str),
    /// It begins with a dot.
    Hidden,
    /// It lies in a directory that is left alone as a whole; that directory, and why.
    Pruned(PathBuf, &'static str),
    /// A glob of `exclude` matches it.
    Excluded(String),
    /// No glob of `include` matches it.
    NotIncluded,
    /// It lies in a sub-folder and `recursive` is false.
    BelowFlat,
}

impl Kind {
    /// Returns whether a file of this kind gets a row in the queue.
    #[must_use]
    pub fn is_media(&self) -> bool {
        match self {
            Self::Recording(_) | Self::NotAccepted(_) => true,
            Self::NotMedia
            | Self::Temporary(_)
            | Self::Hidden
            | Self::Pruned(..)
            | Self::Excluded(_)
            | Self::NotIncluded
            | Self::BelowFlat => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recording(extension) => write!(f, "a recording (`.{}`)", printable(extension)),
            Self::NotAccepted(extension) => {
                write!(f, "the service of this folder does not take `.{}`", printable(extension))
            }
            Self::NotMedia => f.write_str("not an audio or video file by its name"),
            Self::Temporary(pattern) => write!(f, "a temporary or foreign name (`{pattern}`)"),
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

/// Media that people record or export; what a folder's service takes of it is the service's to say.
///
/// `.ts` is missing on purpose: far more often it is a program's source.
const MEDIA: [&str; 50] = [
    "mp3", "wav", "flac", "mpa", "aac", "opus", "m4a", "mpeg", "mpg", "mp4", "flv", "webm", "wmv", "3gp", "3g2", "ac3",
    "aif", "aifc", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "dss", "ds2", "dts", "f4v", "gsm", "m2ts", "m4b",
    "m4v", "mka", "mkv", "mov", "mp2", "mts", "mxf", "oga", "ogg", "ogm", "ogv", "ra", "rm", "spx", "vob", "w64",
    "wma", "wv",
];

/// Ends of names of unfinished files: browsers, download tools, `WinSCP`, editors.
const TEMPORARY_ENDS: [&str; 11] = [
    ".part",
    ".partial",
    ".crdownload",
    ".tmp",
    ".download",
    ".opdownload",
    ".filepart",
    ".aria2",
    ".ytdl",
    ".!ut",
    ".!sync",
];

/// Beginnings of names of programs' own files: office locks, `GLib`, sync tools, macOS, Emacs.
const TEMPORARY_STARTS: [(&str, &str); 13] = [
    ("~$", "~$*"),
    (".~lock", ".~lock*"),
    (".goutputstream-", ".goutputstream-*"),
    (".minuted-", ".minuted-*"),
    (".syncthing.", ".syncthing.*.tmp"),
    ("~syncthing~", "~syncthing~*"),
    (".dropbox", ".dropbox*"),
    (".nextcloudsync", ".nextcloudsync*"),
    (".owncloudsync", ".owncloudsync*"),
    (".sync_", ".sync_*"),
    ("._", "._*"),
    (".#", ".#*"),
    (".ds_store", ".DS_Store"),
];

/// Directories that belong to a sync tool, a file server or the file system.
const FOREIGN_DIRECTORIES: [(&str, &str); 9] = [
    (".stversions", "old versions kept by Syncthing"),
    (".stfolder", "the marker of Syncthing"),
    ("@eadir", "thumbnails of a Synology"),
    ("#recycle", "the recycle bin of a Synology"),
    ("#snapshot", "snapshots of a file server"),
    ("@recycle", "the recycle bin of a QNAP"),
    ("$recycle.bin", "the recycle bin of Windows"),
    ("system volume information", "a directory of Windows"),
    ("lost+found", "a directory of the file system"),
];

/// The names of a folder: its globs, its service's extensions, and what lies below it that is minuted's own.
#[derive(Debug)]
pub struct Rules {
    recursive: bool,
    include: Option<Globs>,
    exclude: Globs,
    move_to: Option<PathBuf>,
    accepts: Vec<String>,
    media: Vec<u64>,
}

impl Rules {
    /// Returns the rules of a folder whose service takes the extensions `accepts`, lower case, without a dot.
    #[must_use]
    pub fn new(folder: &Folder, accepts: &[String]) -> Self {
        let all = MEDIA.iter().copied().chain(accepts.iter().map(String::as_str));
        let mut media: Vec<u64> = all.filter_map(|extension| packed(extension.as_bytes())).collect();
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
        }
    }

    /// Returns the extensions that the folder's service takes.
    #[must_use]
    pub fn accepts(&self) -> &[String] {
        &self.accepts
    }

    /// Returns what a path relative to the folder is.
    #[must_use]
    pub fn kind(&self, relative: &Path) -> Kind {
        let parents = relative.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        if let Some((directory, why)) = parents.filter_map(|p| Some((p, self.prunes(p)?))).last() {
            return Kind::Pruned(directory.to_owned(), why);
        }
        if !self.recursive && relative.parent().is_some_and(|parent| !parent.as_os_str().is_empty()) {
            return Kind::BelowFlat;
        }
        self.kind_of_file(relative)
    }

    /// As [`Self::kind`] for a path in a directory that is known to be scanned.
    #[must_use]
    pub fn kind_of_file(&self, relative: &Path) -> Kind {
        let name = relative.file_name().unwrap_or_default().as_bytes();
        if let Some(pattern) = temporary(name) {
            return Kind::Temporary(pattern);
        }
        if name.starts_with(b".") {
            return Kind::Hidden;
        }
        if !self.may_be_media(name) {
            return Kind::NotMedia;
        }
        if let Some(glob) = self.excluded(relative) {
            return Kind::Excluded(glob);
        }
        if self.include.as_ref().is_some_and(|include| !include.set.is_match(relative)) {
            return Kind::NotIncluded;
        }
        let extension = String::from_utf8_lossy(extension(name)).to_ascii_lowercase();
        if self.accepts.contains(&extension) { Kind::Recording(extension) } else { Kind::NotAccepted(extension) }
    }

    /// Returns whether the extension of `name` is one of audio or video. Fast: a scan asks it for every name.
    #[must_use]
    pub fn may_be_media(&self, name: &[u8]) -> bool {
        packed(extension(name)).is_some_and(|packed| self.media.binary_search(&packed).is_ok())
    }

    /// Returns whether sub-folders are scanned at all.
    #[must_use]
    pub fn recursive(&self) -> bool {
        self.recursive
    }

    /// Returns why the directory at `relative` is left alone with all that is in it, `None` when it is scanned.
    #[must_use]
    pub fn prunes(&self, relative: &Path) -> Option<&'static str> {
        let name = relative.file_name().unwrap_or_default().as_bytes();
        let foreign = FOREIGN_DIRECTORIES.iter().find(|(foreign, _)| name.eq_ignore_ascii_case(foreign.as_bytes()));
        if let Some((_, why)) = foreign {
            return Some(why);
        }
        if temporary(name).is_some() {
            return Some("a temporary or foreign name");
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
    fn excluded(&self, relative: &Path) -> Option<String> {
        let index = *self.exclude.set.matches(relative).first()?;
        Some(self.exclude.patterns.get(index).cloned().unwrap_or_default())
    }
}

/// Returns whether minuted itself or any program writes such documents: a change of one is no news here.
#[must_use]
pub fn is_document(name: &OsStr) -> bool {
    let documents: [&[u8]; 5] = [b"md", b"txt", b"srt", b"vtt", b"json"];
    documents.iter().any(|document| extension(name.as_bytes()).eq_ignore_ascii_case(document))
}

/// Returns whether a path can be of no interest whatever it is: hidden, temporary or below such a directory.
#[must_use]
pub fn is_noise(relative: &Path) -> bool {
    relative.iter().any(|name| name.as_bytes().starts_with(b".") || temporary(name.as_bytes()).is_some())
}

/// The pattern of temporary or foreign names that `name` fits.
fn temporary(name: &[u8]) -> Option<&'static str> {
    if let Some((_, pattern)) = TEMPORARY_STARTS.iter().find(|(start, _)| starts_with(name, start)) {
        return Some(pattern);
    }
    if let Some(end) = TEMPORARY_ENDS.iter().find(|end| ends_with(name, end)) {
        return Some(end);
    }
    is_rsync(name).then_some(".name.ext.XXXXXX of rsync")
}

/// rsync writes `talk.mp3` as `.talk.mp3.AbC123` and renames it at the end.
fn is_rsync(name: &[u8]) -> bool {
    let suffix = extension(name);
    let before = &name[..name.len().saturating_sub(suffix.len() + 1)];
    name.starts_with(b".")
        && suffix.len() == 6
        && suffix.iter().all(u8::is_ascii_alphanumeric)
        && !extension(before).is_empty()
}

/// What follows the last dot of a name; empty when there is none, or only a leading one.
fn extension(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => &name[dot + 1..],
        Some(_) | None => &[],
    }
}

/// An extension in lower case as one number; `None` when it is empty or longer than any that is known.
fn packed(extension: &[u8]) -> Option<u64> {
    let fits = !extension.is_empty() && extension.len() <= 8;
    fits.then(|| extension.iter().fold(0, |number, byte| number << 8 | u64::from(byte.to_ascii_lowercase())))
}

fn starts_with(name: &[u8], start: &str) -> bool {
    name.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

fn ends_with(name: &[u8], end: &str) -> bool {
    name.len() > end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::testing::{accepts, folder, globs};

    fn kind(path: &str) -> Kind {
        Rules::new(&folder(Path::new("/srv/sales")), &accepts()).kind(Path::new(path))
    }

    #[test]
    fn recordings_are_known_by_their_extension_in_any_case() {
        assert_eq!(kind("a/Talk.WAV"), Kind::Recording("wav".into()));
        assert_eq!(kind("a/talk.mkv"), Kind::NotAccepted("mkv".into()));
        assert_eq!(kind("talk.notes.md"), Kind::NotMedia);
        assert_eq!(kind("wav"), Kind::NotMedia);
        assert_eq!(
            Rules::new(&folder(Path::new("/f")), &accepts()).kind(Path::new(OsStr::from_bytes(b"\xff.mp3"))),
            Kind::Recording("mp3".into())
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
            assert!(matches!(kind(name), Kind::Temporary(_)), "{name}: {:?}", kind(name));
        }
        assert_eq!(kind(".talk.mp3"), Kind::Hidden);
    }

    #[test]
    fn foreign_directories_are_left_alone_with_all_that_is_in_them() {
        for directory in
            [".stversions", ".stfolder", "@eaDir", "#recycle", ".hidden", "Talk.mp4.download", ".dropbox.cache"]
        {
            let path = format!("a/{directory}/b/talk.mp3");
            assert!(matches!(kind(&path), Kind::Pruned(..)), "{path}: {:?}", kind(&path));
        }
    }

    #[test]
    fn globs_decide_and_are_named() {
        let mut folder = folder(Path::new("/srv/sales"));
        folder.exclude = globs(&["private", "*-draft.*"]);
        folder.include = globs(&["calls/*"]);
        folder.on_success = OnSuccess::Move("calls/done".into());
        let rules = Rules::new(&folder, &accepts());
        assert_eq!(rules.kind(Path::new("calls/a-draft.mp3")), Kind::Excluded("*-draft.*".into()));
        assert_eq!(rules.kind(Path::new("private/a.mp3")), Kind::Pruned("private".into(), "`exclude` names it"));
        assert_eq!(rules.kind(Path::new("other/a.mp3")), Kind::NotIncluded);
        assert!(matches!(rules.kind(Path::new("calls/done/x/a.mp3")), Kind::Pruned(..)));
        assert_eq!(rules.kind(Path::new("calls/a.mp3")), Kind::Recording("mp3".into()));
    }

    #[test]
    fn a_flat_folder_ends_at_its_sub_folders() {
        let mut folder = folder(Path::new("/srv/sales"));
        folder.recursive = false;
        let rules = Rules::new(&folder, &accepts());
        assert_eq!(rules.kind(Path::new("a/talk.mp3")), Kind::BelowFlat);
        assert!(rules.kind(Path::new("talk.mp3")).is_media());
    }

    #[test]
    fn each_reason_reads_as_a_sentence_part() {
        let shown =
            ["a.mkv", "a.doc", "a.part", ".a.mp3", "@eaDir/a.mp3"].map(|path| kind(path).to_string()).join("\n");
        insta::assert_snapshot!(shown, @r"
        the service of this folder does not take `.mkv`
        not an audio or video file by its name
        a temporary or foreign name (`.part`)
        a hidden name: it begins with a dot
        it lies in `@eaDir`, which is left alone: thumbnails of a Synology
        ");
    }

    proptest::proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn what_a_scan_passes_over_by_extension_is_never_media(name in proptest::collection::vec(1u8..=255, 1..20)) {
            let name: Vec<u8> = name.into_iter().filter(|byte| *byte != b'/').collect();
            let rules = Rules::new(&folder(Path::new("/f")), &accepts());
            let kind = rules.kind(Path::new(OsStr::from_bytes(&name)));
            proptest::prop_assert!(!kind.is_media() || rules.may_be_media(&name));
        }
    }
}
