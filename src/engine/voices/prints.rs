//! Voice prints on disk while a job is at work: `voices.bin` beside its pieces.
//!
//! They are kept only so that a kill costs no second hearing: the file is emptied when the
//! transcript is finished, and removed when the job ends in any other way
//! ([`forget_prints`]). It holds a head that names the recording and the models, and a record of
//! one size for each part, in the order of time. Like the file of pieces it is synced once a
//! minute of sound; a record that is torn, or is not the part that comes next, is cut off with all
//! behind it.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::{
    embedding::{VALUES, VoicePrint},
    parts::PartSpan,
};
use crate::engine::RATE;

/// The file's name.
const NAME: &str = "voices.bin";

/// The version of the file, and of everything that makes the prints in it.
const VERSION: &[u8] = b"voices 1";

/// Bytes of the head: a hash.
const HEAD: usize = 32;

/// Bytes of a record: two times, the number of speakers, whether there is a print, and it.
const RECORD: usize = 8 + 8 + 1 + 1 + VALUES;

/// Bytes that are read at most: a hundred hours of parts of a second.
const BYTES_MAX: u64 = 360_000 * RECORD as u64;

/// Samples after which written records are synced: a minute.
const SYNCED_EVERY: u64 = 60 * RATE as u64;

/// A part of the recording with the print of its voice; `None` where it is too short for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VoicePart {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The number of speakers that are active in it.
    pub(super) speakers: u8,
    pub(super) print: Option<VoicePrint>,
}

impl VoicePart {
    /// Returns its samples.
    pub(super) fn length(&self) -> u64 {
        self.end - self.start
    }

    fn to_record(&self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(&self.start.to_le_bytes());
        record[8..16].copy_from_slice(&self.end.to_le_bytes());
        record[16] = self.speakers;
        if let Some(VoicePrint(values)) = &self.print {
            record[17] = 1;
            record[18..]
                .iter_mut()
                .zip(values)
                .for_each(|(byte, value)| *byte = value.to_le_bytes()[0]);
        }
        record
    }

    fn from_record(record: &[u8; RECORD]) -> Self {
        let time = |at: usize| record[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let mut values = [0; VALUES];
        values
            .iter_mut()
            .zip(&record[18..])
            .for_each(|(value, byte)| *value = i8::from_le_bytes([*byte]));
        let print = (record[17] == 1).then_some(VoicePrint(values));
        Self { start: time(0), end: time(8), speakers: record[16], print }
    }
}

/// The open file of a job, before it is known which models make its prints.
#[derive(Debug)]
pub(in crate::engine) struct PrintsFile(File);

impl PrintsFile {
    /// Opens the file in the directory of the job's pieces, which is there and locked.
    ///
    /// # Errors
    /// When the file system fails.
    pub(in crate::engine) fn open(directory: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0));
        options.open(directory.join(NAME)).map(Self)
    }

    /// Takes up the prints of a recording; those of another one, or of other models, are thrown
    /// away.
    ///
    /// # Errors
    /// When the file system fails.
    pub(super) fn take_up(self, models: &str, content: &str) -> io::Result<VoicePrints> {
        let mut hasher = blake3::Hasher::new();
        for part in [VERSION, models.as_bytes(), content.as_bytes()] {
            hasher.update(part).update(b"\n");
        }
        let head = *hasher.finalize().as_bytes();
        let mut prints =
            VoicePrints { file: self.0, head, kept: VecDeque::new(), parts: Vec::new(), synced: 0 };
        prints.read_kept()?;
        Ok(prints)
    }
}

/// The prints of one recording, open for more.
#[derive(Debug)]
pub(super) struct VoicePrints {
    file: File,
    head: [u8; HEAD],
    /// Parts of an earlier run that were not matched yet.
    kept: VecDeque<VoicePart>,
    /// The parts so far.
    parts: Vec<VoicePart>,
    /// The sample up to which everything is synced.
    synced: u64,
}

impl VoicePrints {
    /// Returns the parts so far.
    pub(super) fn parts(&self) -> &[VoicePart] {
        &self.parts
    }

    /// Starts over with the first part: those that come out the same are kept.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.kept.clear();
        self.parts.clear();
        self.read_kept()
    }

    /// Adds the next part; `print` makes its print where no earlier run has left one.
    pub(super) fn add_part<E: From<io::Error>>(
        &mut self,
        span: PartSpan,
        print: impl FnOnce() -> Result<Option<VoicePrint>, E>,
    ) -> Result<(), E> {
        let PartSpan { start, end, speakers } = span;
        match self.kept.pop_front() {
            Some(part) if (part.start, part.end, part.speakers) == (start, end, speakers) => {
                self.parts.push(part);
                return Ok(());
            }
            Some(_) => {
                tracing::debug!(start, "voices are cut differently now");
                self.kept.clear();
                self.truncate_after(self.parts.len())?;
            }
            None => {}
        }
        let part = VoicePart { start, end, speakers, print: print()? };
        self.file.write_all(&part.to_record())?;
        if end >= self.synced + SYNCED_EVERY {
            self.file.sync_data()?;
            self.synced = end;
        }
        self.parts.push(part);
        Ok(())
    }

    /// Forgets all prints: here and on disk.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.kept.clear();
        self.parts.clear();
        self.file.set_len(0)?;
        self.file.sync_data()
    }

    fn read_kept(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        (&self.file).take(BYTES_MAX).read_to_end(&mut bytes)?;
        match bytes.split_at_checked(HEAD) {
            Some((head, records)) if head == self.head => {
                let (records, _torn) = records.as_chunks::<RECORD>();
                self.kept = records.iter().map(VoicePart::from_record).collect();
                self.truncate_after(self.kept.len())
            }
            Some(_) | None => {
                self.file.set_len(0)?;
                self.file.rewind()?;
                self.file.write_all(&self.head)
            }
        }
    }

    fn truncate_after(&mut self, records: usize) -> io::Result<()> {
        let length = (HEAD + records * RECORD) as u64;
        self.file.set_len(length)?;
        self.file.seek(io::SeekFrom::Start(length)).map(drop)
    }
}

/// Removes the voice prints in the directory of a job, which may have none.
///
/// # Errors
/// When the file system fails.
pub(crate) fn forget_prints(directory: &Path) -> io::Result<()> {
    match std::fs::remove_file(directory.join(NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn span(number: u64) -> PartSpan {
        PartSpan { start: number * 100, end: number * 100 + 90, speakers: 1 }
    }

    fn print(number: u64) -> Option<VoicePrint> {
        (number != 2).then(|| VoicePrint([i8::try_from(number).expect("small") - 3; VALUES]))
    }

    fn opened(directory: &Path, models: &str, content: &str) -> VoicePrints {
        PrintsFile::open(directory).and_then(|file| file.take_up(models, content)).expect("opened")
    }

    /// Adds parts; returns how many had to be heard.
    fn add(prints: &mut VoicePrints, numbers: std::ops::Range<u64>) -> usize {
        let mut heard = 0;
        for number in numbers {
            let hear = || {
                heard += 1;
                Ok::<_, io::Error>(print(number))
            };
            prints.add_part(span(number), hear).expect("added");
        }
        heard
    }

    #[test]
    fn a_kill_at_any_byte_costs_only_what_was_not_written_and_changes_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(NAME);
        let mut prints = opened(directory.path(), "models", "content");
        assert_eq!(add(&mut prints, 0..5), 5);
        let parts = prints.parts().to_vec();
        drop(prints);
        let whole = fs::read(&path).expect("read");
        for length in (0..=whole.len()).step_by(7) {
            fs::write(&path, &whole[..length]).expect("written");
            let mut prints = opened(directory.path(), "models", "content");
            let kept = length.saturating_sub(HEAD) / RECORD;
            assert_eq!(add(&mut prints, 0..5), 5 - kept, "cut to {length} bytes");
            assert_eq!(prints.parts(), parts);
            assert_eq!(fs::read(&path).expect("read"), whole);
        }
    }

    #[test]
    fn prints_of_another_recording_or_model_or_cut_are_heard_again() {
        let directory = tempfile::tempdir().expect("a directory");
        add(&mut opened(directory.path(), "models", "content"), 0..3);
        assert_eq!(add(&mut opened(directory.path(), "models", "other"), 0..3), 3);
        assert_eq!(add(&mut opened(directory.path(), "others", "other"), 0..3), 3);
        let mut prints = opened(directory.path(), "others", "other");
        assert_eq!(add(&mut prints, 1..3), 2);
        prints.restart().expect("read again");
        assert_eq!(add(&mut prints, 1..3), 0);
    }

    #[test]
    fn forgotten_prints_are_gone_from_the_disk() {
        let directory = tempfile::tempdir().expect("a directory");
        forget_prints(directory.path()).expect("there are none");
        let mut prints = opened(directory.path(), "models", "content");
        add(&mut prints, 0..3);
        prints.forget().expect("forgotten");
        assert_eq!(fs::metadata(directory.path().join(NAME)).expect("there").len(), 0);
        add(&mut opened(directory.path(), "models", "content"), 0..3);
        forget_prints(directory.path()).expect("removed");
        assert!(!directory.path().join(NAME).exists());
    }
}
