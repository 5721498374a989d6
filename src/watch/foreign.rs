//! Names that belong to other programs: files that are not finished or not recordings, and directories that hold copies
//! of what was deleted or changed. Each table grows by a line.
//!
//! A pattern is compared without regard to case. Without `*` it is the end of a name; else `*` stands for anything and
//! `%` for one digit, and the pattern fits the whole name. Patterns are as narrow as their programs allow: a folder of a
//! person's own must never fit one by accident.

/// A name of another program, with what it says of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ForeignName {
    /// The pattern that it fits.
    pub pattern: &'static str,
    /// The kind of such a file.
    pub meaning: &'static str,
}

const fn name(pattern: &'static str, meaning: &'static str) -> ForeignName {
    ForeignName { pattern, meaning }
}

/// Names of files and directories that a program uses while it writes, or for its own ends.
const TEMPORARY: &[ForeignName] = &[
    // Downloads: browsers, download managers, torrents.
    name(".part", "a download or copy that is not finished"), // Firefox, curl, KDE, Nextcloud, yt-dlp, Transmission
    name(".partial", "a download or copy that is not finished"), // rclone, Edge, wget
    name(".crdownload", "a download of Chrome that is not finished"), // and Edge, Brave, Vivaldi
    name(".download", "a download of Safari that is not finished"),
    name(".opdownload", "a download of Opera that is not finished"),
    name(".ucdownload", "a download of UC Browser that is not finished"),
    name(".fdmdownload", "a download of Free Download Manager that is not finished"),
    name(".aria2", "the notes of aria2 about a download"),
    name(".ytdl", "the notes of yt-dlp about a download"),
    name(".!ut", "a download of uTorrent that is not finished"),
    name(".!qb", "a download of qBittorrent that is not finished"),
    name(".bc!", "a download of BitComet that is not finished"),
    name(".xltd", "a download of Xunlei that is not finished"),
    name(".dctmp", "a download of DC++ that is not finished"),
    // Copies: file servers, FTP, rsync.
    name(".filepart", "an upload of WinSCP that is not finished"),
    name(".in.*", "an upload by FTP that is not finished"), // ProFTPD HiddenStores, lftp
    name(".pureftpd-*", "an upload by FTP that is not finished"), // Pure-FTPd
    name(".~tmp~*", "copies of rsync that are not finished"), // --delay-updates
    name(".rsync-*", "copies of rsync that are not finished"), // --partial-dir
    name(".unison.*", "a copy of Unison that is not finished"),
    name("*.sb-????????-??????", "a document that macOS is saving"),
    name(".smbdelete*", "a file that was deleted while it was open"),
    name(".afpdeleted*", "a file that was deleted while it was open"),
    name(".nfs0000*", "a file that was deleted while it was open"),
    name(".fuse_hidden*", "a file that was deleted while it was open"),
    // Sync tools.
    name(".syncthing.*", "a copy of Syncthing that is not finished"),
    name("~syncthing~*", "a copy of Syncthing that is not finished"),
    name(".!sync", "a copy of Resilio Sync that is not finished"),
    name(".dropbox*", "a file of Dropbox's own"),
    name(".nextcloudsync*", "a file of Nextcloud's own"),
    name(".owncloudsync*", "a file of ownCloud's own"),
    name(".sync_*", "a file of Nextcloud's own"),
    name("._sync_*", "a file of Nextcloud's own"),
    name(".nextcloud", "a placeholder of Nextcloud: the file itself is not on this machine"),
    name(".owncloud", "a placeholder of ownCloud: the file itself is not on this machine"),
    name(".*.icloud", "a placeholder of iCloud: the file itself is not on this machine"),
    name(".cloudf", "a placeholder of a cloud: the file itself is not on this machine"),
    name(".driveupload", "an upload of Google Drive that is not finished"),
    name(".drivedownload", "a download of Google Drive that is not finished"),
    name(".getxfer.*", "a copy of MEGA that is not finished"),
    name(".megatmp.*", "a copy of MEGA that is not finished"),
    // Android's media store.
    name(".pending-%*", "a recording that Android has not finished"),
    name(".trashed-%*", "a recording that was put into the bin of Android"),
    // Editors and desktops.
    name("~$*", "a lock of Microsoft Office"),
    name(".~lock*", "a lock of LibreOffice"),
    name(".goutputstream-*", "a file that GNOME is saving"),
    name("._*", "what macOS keeps about a file beside it"),
    name(".#*", "a lock of Emacs"),
    name(".ds_store*", "what macOS keeps about a directory"),
    name(".minuted-*", "a file that minuted is writing"),
    name(".tmp", "a file that a program is writing"),
];

/// Names of files alone: a directory may be called so by a person.
const TEMPORARY_FILES: &[ForeignName] = &[
    name(".temp", "a file that a program is writing"),
    name("*.tmp.*", "a file that a program is writing"), // converters that keep the extension
    name("*.temp.*", "a file that a program is writing"), // yt-dlp
    name(".unfinished", "a file that a program is writing"),
    name(".incomplete", "a file that a program is writing"),
    name(".inprogress", "a file that a program is writing"), // Unmanic
    name(".downloading", "a download that is not finished"),
    name(".uploading", "an upload that is not finished"),
    name("~", "an editor's copy of an older state"),
    name(".zoom", "a recording that Zoom has not converted yet; open it with Zoom"),
    name(
        "double_click_to_convert*",
        "a recording that Zoom has not converted yet; open it with Zoom",
    ),
];

/// Directories that belong to a file server, a sync tool or a system. A pattern fits the whole name here, with or without `*`.
const DIRECTORIES: &[ForeignName] = &[
    // Snapshots: what lies in them was deleted or changed since.
    name("#snapshot", "snapshots of a file server"), // Synology
    name("~snapshot", "snapshots of a file server"), // NetApp over SMB
    name(".snapshot", "snapshots of a file server"), // NetApp over NFS, Isilon
    name(".snapshots", "snapshots of a file server"), // snapper, IBM
    name("_snapshot", "snapshots of a file server"),
    name("@recently-snapshot", "snapshots of a QNAP"),
    name("@snapshot", "snapshots of a file server"),
    name("@gmt-%%%%.*", "a snapshot of Samba or Windows"), // @GMT-2021.01.05-10.30.00
    name(".zfs", "snapshots of ZFS"),
    name("~latest", "snapshots of a file server"), // Hitachi
    name(".latest", "snapshots of a file server"), // Hitachi
    name(".ckpt", "checkpoints of a file server"), // Dell VNX, Unity
    name(".snap", "snapshots of the file system"), // FreeBSD, Ceph
    name("timeshift-btrfs", "snapshots of Timeshift"),
    // Bins.
    name("#recycle", "the recycle bin of a Synology"),
    name("@recycle", "the recycle bin of a QNAP"),
    name("@sharebin", "the recycle bin of a file server"), // Synology C2, EonStor
    name("$recycle.bin", "the recycle bin of Windows"),
    name("recycler", "the recycle bin of Windows"), // up to XP
    name("recycled", "the recycle bin of Windows"), // FAT
    name(".recycle", "the recycle bin of a file server"), // Samba's vfs_recycle
    name("network recycle bin*", "the recycle bin of a file server"), // Netgear, LaCie
    name("network trash folder", "the recycle bin of a file server"), // AFP
    name("trashbox", "the recycle bin of a Buffalo"),
    name(".trash", "the recycle bin of a desktop"),
    name(".trash-%*", "the recycle bin of a desktop"), // .Trash-1000
    name(".trashes", "the recycle bin of a desktop"),
    name(".trashcan", "the recycle bin of a file server"), // GlusterFS
    name("files_trashbin", "the recycle bin of a Nextcloud"),
    name(".debris", "the recycle bin of MEGA"),
    // Older versions and working directories of sync tools.
    name(".stversions", "old versions kept by Syncthing"),
    name(".stfolder*", "the marker of Syncthing"),
    name(".sync", "old versions kept by Resilio Sync"),
    name("files_versions", "old versions kept by a Nextcloud"),
    name(".dropbox.cache", "old versions kept by Dropbox"),
    name(".tmp.driveupload", "uploads of Google Drive that are not finished"),
    name(".tmp.drivedownload", "downloads of Google Drive that are not finished"),
    name("dfsrprivate", "conflicts and deleted files of Windows DFS"),
    name(".glusterfs", "a directory of GlusterFS"),
    // Thumbnails and indexes.
    name("@eadir", "thumbnails of a Synology"),
    name("@synoeastream", "a directory of a Synology"),
    name("@synoresource", "a directory of a Synology"),
    name("@tmp", "a directory of a file server"),
    name(".@__thumb", "thumbnails of a QNAP"),
    name(".@upload_cache", "uploads to a QNAP that are not finished"),
    name("@transcode", "films that a QNAP has converted"),
    name(".appledouble", "what a Mac keeps about files beside them"),
    name(".appledb", "an index of Netatalk"),
    name(".appledesktop", "a directory of Netatalk"),
    name(".spotlight-v100", "an index of macOS"),
    name(".fseventsd", "a directory of macOS"),
    name(".documentrevisions-v100", "old versions kept by macOS"),
    name(".temporaryitems", "files that macOS is saving"),
    name("temporary items", "files that macOS is saving"),
    name("thevolumesettingsfolder", "a directory of macOS"),
    // Systems.
    name("system volume information", "a directory of Windows"),
    name("found.%%%", "pieces of files that Windows has found"),
    name("lost+found", "a directory of the file system"),
];

/// Returns the name of another program that a file's `name` is.
#[must_use]
pub(super) fn temporary_file(name: &[u8]) -> Option<&'static ForeignName> {
    temporary(name).or_else(|| TEMPORARY_FILES.iter().find(|foreign| fits(name, foreign.pattern)))
}

/// Returns the name of another program that the `name` of a file or of a directory is.
#[must_use]
pub(super) fn temporary(name: &[u8]) -> Option<&'static ForeignName> {
    static OF_RSYNC: ForeignName =
        self::name(".name.ext.XXXXXX of rsync", "a copy that is not finished");
    let known = TEMPORARY.iter().find(|foreign| fits(name, foreign.pattern));
    known.or_else(|| is_of_rsync(name).then_some(&OF_RSYNC))
}

/// Returns what a directory is that belongs to another program.
#[must_use]
pub(super) fn directory(name: &[u8]) -> Option<&'static str> {
    DIRECTORIES
        .iter()
        .find(|foreign| fits_whole(name, foreign.pattern.as_bytes()))
        .map(|foreign| foreign.meaning)
}

/// rsync writes `talk.mp3` as `.talk.mp3.AbC123` and renames it at the end.
fn is_of_rsync(name: &[u8]) -> bool {
    let Some(before) =
        name.strip_prefix(b".").and_then(|name| name.get(..name.len().checked_sub(7)?))
    else {
        return false;
    };
    let random = &name[name.len() - 7..];
    let has_extension = before
        .iter()
        .rposition(|byte| *byte == b'.')
        .is_some_and(|dot| dot > 0 && dot + 1 < before.len());
    has_extension && random[0] == b'.' && random[1..].iter().all(u8::is_ascii_alphanumeric)
}

/// Returns whether a name fits a pattern.
fn fits(name: &[u8], pattern: &str) -> bool {
    let pattern = pattern.as_bytes();
    if pattern.contains(&b'*') {
        return fits_whole(name, pattern);
    }
    let start = name.len().checked_sub(pattern.len()).filter(|start| *start > 0);
    start.is_some_and(|start| name[start..].eq_ignore_ascii_case(pattern))
}

/// Returns whether a whole name fits a pattern with `*`, `?` and `%`. A mismatch goes back to the last `*` alone, which is
/// enough and keeps the time linear in both.
fn fits_whole(name: &[u8], pattern: &[u8]) -> bool {
    let fits_one = |byte: u8, expected: u8| match expected {
        b'?' => true,
        b'%' => byte.is_ascii_digit(),
        expected => byte.eq_ignore_ascii_case(&expected),
    };
    let mut at = 0;
    let mut in_pattern = 0;
    let mut last_star = None;
    while at < name.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                last_star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(expected) if fits_one(name[at], *expected) => {
                at += 1;
                in_pattern += 1;
            }
            Some(_) | None => {
                let Some((star, began)) = last_star else { return false };
                last_star = Some((star, began + 1));
                at = began + 1;
                in_pattern = star + 1;
            }
        }
    }
    pattern[in_pattern..].iter().all(|rest| *rest == b'*')
}
