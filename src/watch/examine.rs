//! A quiet file, looked into: its head, its date and the hash of its bytes, between two looks at its stamp.

use std::{
    fs::File,
    io::{self, Read, Seek as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use super::{
    date, holes,
    media::{
        self, Head, Length,
        estimate::{by_name, estimate},
        sound::SoundHasher,
    },
    names::{FileFilter, FileKind},
};
use crate::{
    access::{grant_reading, is_denied},
    beneath::{Dir, Entry, Stamp},
    config::{Folder, Limits},
    job::{Bound, Content, Sound},
    last_words::Mark,
    store::{Settled, Unplayable},
    text::printable_path,
};

/// Bytes read at a time: with fewer, the calls begin to cost as much as the hashing.
const BUFFER: usize = 256 * 1024;

/// Bytes of a slice. After each the file is asked whether it is still the same (a huge one that grows is not read to its
/// end), and others may read.
const SLICE_BYTES: u64 = 64 * 1024 * 1024;

/// The time for which one reader has a slow disk before others may read.
const SLICE_TIME: Duration = Duration::from_millis(200);

/// A file that has been quiet for long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuietFile {
    /// Its path, relative to the folder.
    pub path: PathBuf,
    /// The fingerprint that it had all the while.
    pub stamp: Stamp,
    /// True if it was quiet for so long that it is taken although it looks unfinished.
    pub is_abandoned: bool,
    /// True if minuted crashed too often while parsing it: then its head is not parsed again.
    pub is_set_aside: bool,
}

/// The result of a look into a quiet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inspection {
    /// The file is complete, or abandoned.
    Whole {
        /// Its bytes; `None` for media that the service does not take, which is not read.
        content: Option<Content>,
        /// Its sound, where that has a name.
        sound: Option<Sound>,
        /// Its length, as its container says or as estimated.
        length: Duration,
        /// The time at which it was made.
        recorded: jiff::Timestamp,
        /// A remark about its head, which did not stop it.
        incomplete: Option<&'static str>,
    },
    /// The file exceeds a bound of its folder.
    Beyond {
        /// The bound.
        bound: Bound,
        /// Its bytes, where it may be that of a job which exists; else it is not read.
        content: Option<Content>,
        /// The time at which it was made.
        recorded: jiff::Timestamp,
    },
    /// The file is complete, or abandoned, and holds no sound.
    Soundless {
        /// Its bytes.
        content: Content,
        /// The time at which it was made.
        recorded: jiff::Timestamp,
    },
    /// Its head says that it is still being written.
    Unfinished(&'static str),
    /// The file was replaced, or changed while it was read.
    Changed(Stamp),
    /// The file is no recording, although its name could be one's.
    Lookalike,
    /// The file is gone, or no regular file any more.
    Gone,
    /// The file cannot be read.
    Unreadable(String),
    /// The stop signal came first.
    Stopped,
}

/// Marks that a file is being parsed, until the mark is dropped.
pub(crate) type Marker<'a> = dyn Fn(&Path, Stamp) -> Option<Mark> + Sync + 'a;

/// Looks into the quiet files of a folder.
pub(crate) struct Examiner<'a> {
    /// The folder's directory.
    pub root: &'a Dir,
    /// Its names.
    pub filter: &'a FileFilter,
    /// The time zone of this machine: names carry local time.
    pub zone: &'a TimeZone,
    /// Marks what is being parsed.
    pub mark: &'a Marker<'a>,
    /// Ends the reading of a long file.
    pub stop: &'a CancellationToken,
    /// Counts the files that were opened.
    pub opened: &'a AtomicU64,
    /// The bounds of length and size.
    pub limits: Limits,
    /// Says whether a job of the folder may be of a file of this size: bounds do not hold for what exists.
    pub has_job_of_size: &'a (dyn Fn(u64) -> bool + Sync),
    /// Called after each slice of a file and after each file: lets others read, and may block.
    pub pass_on: &'a (dyn Fn() + Sync),
}

impl Inspection {
    /// Returns the settled recording that was found in `file`; the finding itself where that is none.
    pub(super) fn into_settled(
        self,
        folder: &Folder,
        file: &QuietFile,
        is_backlog: bool,
    ) -> Result<Settled, Self> {
        let mut known = None;
        let (content, sound, recorded, unplayable) = match self {
            Self::Whole { content, sound, length, recorded, .. } => {
                known = Some(length);
                (content, sound, recorded, file.is_set_aside.then_some(Unplayable::Crashes))
            }
            Self::Beyond { bound, content, recorded } => {
                (content, None, recorded, Some(Unplayable::Beyond(bound)))
            }
            Self::Soundless { content, recorded } => {
                (Some(content), None, recorded, Some(Unplayable::NoSound))
            }
            other @ (Self::Unfinished(_)
            | Self::Changed(_)
            | Self::Lookalike
            | Self::Gone
            | Self::Unreadable(_)
            | Self::Stopped) => return Err(other),
        };
        let is_sent = matches!(unplayable, None | Some(Unplayable::Crashes));
        Ok(Settled {
            folder: folder.id.clone(),
            path: file.path.clone(),
            stamp: file.stamp,
            content,
            sound,
            recorded,
            backlog: is_backlog,
            unplayable,
            length_max: is_sent.then_some(folder.limits.max_duration),
            // What is not known to be shorter than the folder's recordings are is as long as these.
            length: known.map(|length| length.max(folder.limits.min_duration)),
        })
    }
}

impl Examiner<'_> {
    /// Looks into files, one after the other, and lets others read after each.
    #[must_use]
    pub(crate) fn examine_all(&self, files: Vec<QuietFile>) -> Vec<(QuietFile, Inspection)> {
        let examine = |file: QuietFile| {
            let finding = self.examine(&file);
            (self.pass_on)();
            (file, finding)
        };
        files.into_iter().map(examine).collect()
    }

    /// Looks into one file. Blocks for as long as it takes to read it.
    #[must_use]
    pub(crate) fn examine(&self, quiet: &QuietFile) -> Inspection {
        let found = match self.filter.classify_by_content(self.root, &quiet.path) {
            FileKind::Recording(_) => self.inspect_recording(quiet),
            FileKind::NotAccepted(_) => self.inspect_unsupported(quiet),
            FileKind::Lookalike(_) => return Inspection::Lookalike,
            FileKind::NotMedia
            | FileKind::Temporary(_)
            | FileKind::Hidden
            | FileKind::Pruned(..)
            | FileKind::Excluded(_)
            | FileKind::NotIncluded
            | FileKind::BelowFlat => return Inspection::Gone,
        };
        found.unwrap_or_else(|error| {
            if is_gone(&error) {
                return Inspection::Gone;
            }
            Inspection::Unreadable(describe_read_error(&error, &self.root.path().join(&quiet.path)))
        })
    }

    /// Media that no one will read: its stamp and its name are all that matters.
    fn inspect_unsupported(&self, quiet: &QuietFile) -> io::Result<Inspection> {
        Ok(match self.root.entry(&quiet.path)? {
            Some(Entry::File(stamp)) if stamp == quiet.stamp => {
                let recorded = self.recording_date(quiet, Head::default());
                let length = by_name(&quiet.path, stamp.size);
                Inspection::Whole { content: None, sound: None, length, recorded, incomplete: None }
            }
            Some(Entry::File(stamp)) => Inspection::Changed(stamp),
            Some(Entry::Directory | Entry::Other) | None => Inspection::Gone,
        })
    }

    fn inspect_recording(&self, quiet: &QuietFile) -> io::Result<Inspection> {
        let mut file = self.root.open_file(&quiet.path)?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        let before = Stamp::of(&file)?;
        if before != quiet.stamp {
            return Ok(Inspection::Changed(before));
        }
        let head = self.read_head(quiet, &mut file)?;
        if let Some(why) = head.unfinished.filter(|_| !quiet.is_abandoned) {
            return Ok(Inspection::Unfinished(why));
        }
        let length = self.read_length(quiet, &mut file)?;
        let bound = find_exceeded_bound(&self.limits, before.size, &file, length);
        if let Some(bound) = bound.filter(|_| !(self.has_job_of_size)(before.size)) {
            let recorded = self.recording_date(quiet, head);
            return Ok(Inspection::Beyond { bound, content: None, recorded });
        }
        let sound = if quiet.is_set_aside {
            None
        } else {
            open_sound_hasher(&quiet.path, &file, before.size)
        };
        let Some((hash, sound)) = self.hash_file(quiet, &file, before, sound)? else {
            return Ok(Inspection::Stopped);
        };
        let after = Stamp::of(&file)?;
        if after != before {
            return Ok(Inspection::Changed(after));
        }
        let content = Content::from_hash(&hash);
        let recorded = self.recording_date(quiet, head);
        if let Some(bound) = bound {
            return Ok(Inspection::Beyond { bound, content: Some(content), recorded });
        }
        if head.is_soundless {
            return Ok(Inspection::Soundless { content, recorded });
        }
        Ok(Inspection::Whole {
            content: Some(content),
            sound,
            length: length.map_or_else(|| self.estimate_length(quiet, &file), |length| length.most),
            recorded,
            incomplete: head.unfinished,
        })
    }

    /// Reads the length of a file.
    fn read_length(&self, quiet: &QuietFile, file: &mut File) -> io::Result<Option<Length>> {
        if quiet.is_set_aside {
            return Ok(None);
        }
        let _mark = (self.mark)(&quiet.path, quiet.stamp);
        read_length(&quiet.path, file, quiet.stamp.size)
    }

    /// Estimates the length of a file that does not state it.
    fn estimate_length(&self, quiet: &QuietFile, file: &File) -> Duration {
        if quiet.is_set_aside {
            return by_name(&quiet.path, quiet.stamp.size);
        }
        let _mark = (self.mark)(&quiet.path, quiet.stamp);
        estimate_length(&quiet.path, file, quiet.stamp.size)
    }

    /// Reads the head of a file.
    fn read_head(&self, quiet: &QuietFile, file: &mut File) -> io::Result<Head> {
        if quiet.is_set_aside {
            return Ok(Head::default());
        }
        let _mark = (self.mark)(&quiet.path, quiet.stamp);
        parse_head(&quiet.path, || media::look(file, quiet.stamp.size))
    }

    /// The hash of the whole file and the name of its sound, or of its beginning when it turns out not to be `before` any
    /// more; `None` when the stop signal came.
    fn hash_file(
        &self,
        quiet: &QuietFile,
        file: &File,
        before: Stamp,
        sound: Option<SoundHasher<'_>>,
    ) -> io::Result<Option<(blake3::Hash, Option<Sound>)>> {
        let mut reader = file;
        reader.rewind()?;
        let mut sound = sound;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER];
        let mut ask_at = SLICE_BYTES;
        let mut slice = Instant::now();
        while !self.stop.is_cancelled() {
            let count = match reader.read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if let Some(listening) = sound.take() {
                let at = hasher.count();
                let bytes = &buffer[..count];
                sound = catch_bug(&quiet.path, || listening.pass(at, bytes));
            }
            hasher.update(&buffer[..count]);
            let is_due = hasher.count() >= ask_at;
            if count == 0 || is_due && Stamp::of(file)? != before {
                let sound = sound.and_then(|hasher| catch_bug(&quiet.path, || hasher.finish()));
                return Ok(Some((hasher.finalize(), sound)));
            }
            if is_due || slice.elapsed() >= SLICE_TIME {
                ask_at = hasher.count() + SLICE_BYTES;
                (self.pass_on)();
                slice = Instant::now();
            }
        }
        Ok(None)
    }

    fn recording_date(&self, quiet: &QuietFile, head: Head) -> jiff::Timestamp {
        let path: &Path = &quiet.path;
        date::recorded(head.made, path, quiet.stamp.mtime_ns, self.zone)
    }
}

/// Reads the length of a file of so many bytes; `None` where nothing but all of it tells.
pub(super) fn read_length(path: &Path, file: &mut File, bytes: u64) -> io::Result<Option<Length>> {
    catch_bug(path, || media::length(file, bytes).transpose()).transpose()
}

/// Estimates the length of a file of so many bytes that does not state it.
pub(super) fn estimate_length(path: &Path, file: &File, bytes: u64) -> Duration {
    catch_bug(path, || Some(estimate(path, file, bytes))).unwrap_or_default()
}

/// Returns the first bound of its folder that a file exceeds. A length that is not known exceeds none.
pub(super) fn find_exceeded_bound(
    limits: &Limits,
    bytes: u64,
    file: &File,
    length: Option<Length>,
) -> Option<Bound> {
    if bytes > limits.max_size {
        return Some(Bound::Size { bytes, max: limits.max_size });
    }
    if let Some(written) = holes::hollow(file, bytes) {
        return Some(Bound::Hollow { bytes, written });
    }
    let length = length?;
    let is_long = length.most > limits.max_duration;
    let is_short = length.stated < limits.min_duration;
    let long =
        is_long.then_some(Bound::Long { length: Some(length.most), max: limits.max_duration });
    long.or(is_short.then_some(Bound::Short { length: length.stated, min: limits.min_duration }))
}

/// Parses a head. One that makes the parser panic is not understood, and that is no objection to the recording.
fn parse_head(path: &Path, parse: impl FnOnce() -> io::Result<Head>) -> io::Result<Head> {
    catch_unwind(AssertUnwindSafe(parse)).unwrap_or_else(|_| {
        tracing::error!(
            "a bug: the head of `{}` cannot be parsed; it is taken as it is",
            printable_path(path)
        );
        Ok(Head::default())
    })
}

/// Finds out how the sound lies in a file of `len` bytes.
fn open_sound_hasher<'f>(path: &Path, file: &'f File, len: u64) -> Option<SoundHasher<'f>> {
    catch_bug(path, || SoundHasher::open(file, len))
}

/// Runs what reads the sound of a file. A panic is a bug, and no reason to lose a recording.
fn catch_bug<T>(path: &Path, work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let shown = printable_path(path);
        tracing::error!(
            "a bug: the sound of `{shown}` cannot be parsed; its content alone is its name"
        );
        None
    })
}

/// Returns the reason for which a file cannot be read, with the cure where there is one.
pub(super) fn describe_read_error(error: &io::Error, file: &Path) -> String {
    if is_denied(error) {
        format!("permission denied; {}", grant_reading(file).join("; "))
    } else {
        error.to_string()
    }
}

/// Returns whether an error says that no regular file is there: nothing, a directory, a link, or a link on the way.
fn is_gone(error: &io::Error) -> bool {
    let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    let absent =
        [io::ErrorKind::NotFound, io::ErrorKind::InvalidInput, io::ErrorKind::NotADirectory];
    is_link || absent.contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::watch::testing::{accepts, folder};

    fn examine(root: &Path, name: &str, is_abandoned: bool) -> (Inspection, u64) {
        examine_within(root, name, is_abandoned, Limits::default(), false)
    }

    fn examine_within(
        root: &Path,
        name: &str,
        is_abandoned: bool,
        limits: Limits,
        has_job: bool,
    ) -> (Inspection, u64) {
        let dir = Dir::open(root).expect("opened");
        let filter = FileFilter::new(&folder(root), &accepts());
        let stamp = match dir.entry(Path::new(name)).expect("asked") {
            Some(Entry::File(stamp)) => stamp,
            Some(Entry::Directory | Entry::Other) | None => {
                Stamp { size: 1, mtime_ns: 0, inode: 0 }
            }
        };
        let (stop, opened) = (CancellationToken::new(), AtomicU64::new(0));
        let examiner = Examiner {
            root: &dir,
            filter: &filter,
            zone: &TimeZone::UTC,
            stop: &stop,
            opened: &opened,
            mark: &|_, _| None,
            limits,
            has_job_of_size: &|_| has_job,
            pass_on: &|| {},
        };
        let quiet = QuietFile { path: name.into(), stamp, is_abandoned, is_set_aside: false };
        let finding = examiner.examine(&quiet);
        (finding, opened.into_inner())
    }

    #[test]
    fn a_recording_is_hashed_and_dated_and_other_media_is_never_opened() {
        let tree = tempfile::tempdir().expect("a directory");
        fs::write(tree.path().join("2026-11-22 09.00.mp3"), "sound").expect("written");
        fs::write(tree.path().join("2026-11-22 09.00.mkv"), "sound").expect("written");
        let recorded = "2026-11-22T09:00:00Z".parse().expect("a time");
        let content = Some(Content::from_hash(&blake3::hash(b"sound")));
        let length = Duration::ZERO;
        let whole = |content| Inspection::Whole {
            content,
            sound: None,
            length,
            recorded,
            incomplete: None,
        };
        assert_eq!(examine(tree.path(), "2026-11-22 09.00.mp3", false), (whole(content), 1));
        assert_eq!(examine(tree.path(), "2026-11-22 09.00.mkv", false), (whole(None), 0));
    }

    #[test]
    fn an_unfinished_one_is_read_only_when_it_is_abandoned() {
        let tree = tempfile::tempdir().expect("a directory");
        fs::write(tree.path().join("a.mp4"), b"\0\0\0\x08ftyp\0\0\0\x08mdat").expect("written");
        assert_eq!(
            examine(tree.path(), "a.mp4", false).0,
            Inspection::Unfinished("it has no `moov` box yet")
        );
        let (finding, _) = examine(tree.path(), "a.mp4", true);
        assert!(matches!(finding, Inspection::Whole { incomplete: Some(_), .. }), "{finding:?}");
    }

    #[test]
    fn a_head_that_makes_the_parser_panic_is_no_objection() {
        let head = parse_head(Path::new("talk.wav"), || panic!("a bug"));
        assert_eq!(head.expect("understood"), Head::default());
    }

    /// A WAV of 8 kHz and 8 bit that says it is so long, and is as long.
    fn wav(seconds: u32) -> Vec<u8> {
        let size = (seconds * 8000).to_le_bytes();
        let format = [
            &[16, 0, 0, 0, 1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0, 1, 0, 8, 0][..],
            b"data",
        ]
        .concat();
        let head = [b"RIFF", &(36 + seconds * 8000).to_le_bytes()[..], b"WAVEfmt ", &format, &size]
            .concat();
        [head, vec![0x80; seconds as usize * 8000]].concat()
    }

    #[test]
    fn what_exceeds_a_bound_is_not_read_unless_it_may_be_a_jobs() {
        let tree = tempfile::tempdir().expect("a directory");
        fs::write(tree.path().join("talk.wav"), wav(10)).expect("written");
        let seconds = Duration::from_secs;
        let usual = Limits::default();
        let length = seconds(10);
        let cases = [
            (
                Limits { max_size: 80_043, ..usual },
                Some(Bound::Size { bytes: 80_044, max: 80_043 }),
            ),
            (Limits { max_size: 80_044, ..usual }, None),
            (
                Limits { max_duration: seconds(9), ..usual },
                Some(Bound::Long { length: Some(length), max: seconds(9) }),
            ),
            (Limits { max_duration: length, min_duration: length, ..usual }, None),
            (
                Limits { min_duration: seconds(11), ..usual },
                Some(Bound::Short { length, min: seconds(11) }),
            ),
        ];
        for (limits, expected) in cases {
            for has_job in [false, true] {
                match (examine_within(tree.path(), "talk.wav", false, limits, has_job).0, expected)
                {
                    (Inspection::Beyond { bound, content, .. }, Some(expected)) => {
                        assert_eq!((bound, content.is_some()), (expected, has_job));
                    }
                    (Inspection::Whole { content: Some(_), .. }, None) => {}
                    (finding, _) => panic!("{limits:?}: {finding:?}"),
                }
            }
        }
    }

    #[test]
    fn what_became_a_link_or_another_file_is_not_read() {
        let tree = tempfile::tempdir().expect("a directory");
        fs::write(tree.path().join("a.mp3"), "sound").expect("written");
        std::os::unix::fs::symlink("a.mp3", tree.path().join("b.mp3")).expect("linked");
        fs::create_dir(tree.path().join("c.mp3")).expect("made");
        assert_eq!(examine(tree.path(), "b.mp3", false), (Inspection::Gone, 0));
        assert_eq!(examine(tree.path(), "c.mp3", false), (Inspection::Gone, 0));
        assert_eq!(examine(tree.path(), "d.mp3", false), (Inspection::Gone, 0));
    }
}
