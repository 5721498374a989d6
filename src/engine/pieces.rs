//! Finished pieces on disk: `pieces.jsonl` in the directory of the job.
//!
//! A line for each piece, in the order in which they are finished. The first line says what they are pieces of; with
//! another recording, another model or another version of the engine they are begun anew. Each line is written at once,
//! so that a kill loses nothing that was finished, and synced once a minute of sound, so that a power cut loses no more
//! than that. A last line says that all is done.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{RATE, audio::Side};
use crate::effect::Effect;

/// The file's name.
const NAME: &str = "pieces.jsonl";

/// The version of what makes pieces: raised when the same sound would be cut or read differently.
const ENGINE: u32 = 2;

/// Bytes of a line at most: 15 s of speech have a few hundred.
const LINE_MAX: u64 = 64 * 1024;

/// Bytes of the file at most: a day of speech has some 5 MiB.
pub const FILE_MAX: u64 = 256 * 1024 * 1024;

/// Samples after which what was written is synced: a minute.
const SYNCED_EVERY: u64 = 60 * RATE as u64;

/// A finished piece. Times are samples of 16 kHz.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Whose, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// The first sample.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// The words; may be none.
    pub text: String,
}

/// What stands behind the last piece.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How long the recording is.
    pub samples: u64,
    /// What a reader should know of it.
    pub remarks: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    engine: u32,
    model: String,
    content: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Pieces(Header),
    Piece(Piece),
    End(End),
}

/// The pieces of one recording, open for more.
#[derive(Debug)]
pub struct Pieces {
    file: File,
    /// Those that are there, which are yet to be met again, each with the place of its line.
    kept: std::collections::VecDeque<(u64, Piece)>,
    /// The place of the last line, when that says that all is done.
    end: Option<(u64, End)>,
    /// Up to which sample everything is synced.
    synced: u64,
    /// Pieces with words.
    spoken: u64,
    header: Header,
}

/// The open file of pieces of a job, before anybody knows which model makes more of them.
#[derive(Debug)]
pub struct PiecesFile(File);

impl PiecesFile {
    /// Opens the file in `directory`, which is made when it is not there. Waits for another process that has it open.
    /// The recogniser does so before it is confined: afterwards it could reach neither.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(directory: &Path) -> io::Result<Self> {
        Effect::BeginPieces.before();
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0));
        let file = options.open(directory.join(NAME))?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
        File::open(directory)?.sync_all()?;
        Effect::BeginPieces.after();
        Ok(Self(file))
    }

    /// Takes up the pieces of a recording. What is torn is cut off, and what belongs to another recording or another
    /// model is thrown away.
    ///
    /// # Errors
    /// What the file system says.
    pub fn take_up(self, model: &str, content: &str) -> io::Result<Pieces> {
        let header = Header { engine: ENGINE, model: model.to_owned(), content: content.to_owned() };
        let mut pieces = Pieces { file: self.0, kept: [].into(), end: None, synced: 0, spoken: 0, header };
        pieces.take_up()?;
        Ok(pieces)
    }
}

impl Pieces {
    /// Begins again with the first piece, for the recording is decoded in another way from its start: pieces that come
    /// out the same are met again.
    ///
    /// # Errors
    /// What the file system says.
    pub fn restart(&mut self) -> io::Result<()> {
        self.file.rewind()?;
        self.kept.clear();
        self.spoken = 0;
        self.take_up()
    }

    /// Returns what stands behind the last piece, when all is done.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref().map(|(_, end)| end)
    }

    /// Returns how many pieces with words there are.
    pub fn spoken(&self) -> u64 {
        self.spoken
    }

    /// Says that a piece is next; returns whether it is there already. When another one is there, all that is left is
    /// thrown away: the sound is cut differently now.
    ///
    /// # Errors
    /// What the file system says.
    pub fn meet(&mut self, side: Option<Side>, start: u64, end: u64) -> io::Result<bool> {
        let Some((place, piece)) = self.kept.pop_front() else { return Ok(false) };
        if (piece.side, piece.start, piece.end) == (side, start, end) {
            self.spoken += u64::from(!piece.text.is_empty());
            return Ok(true);
        }
        tracing::debug!(place, "pieces are cut differently now");
        self.kept.clear();
        self.cut(place)?;
        Ok(false)
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// What the file system says.
    pub fn push(&mut self, piece: Piece) -> io::Result<()> {
        self.spoken += u64::from(!piece.text.is_empty());
        let end = piece.end;
        self.write(&Line::Piece(piece))?;
        if end >= self.synced + SYNCED_EVERY {
            self.sync()?;
            self.synced = end;
        }
        Ok(())
    }

    /// Says that all is done. What is left from before is thrown away.
    ///
    /// # Errors
    /// What the file system says.
    pub fn finish(&mut self, end: End) -> io::Result<()> {
        if let Some((place, _)) = self.kept.pop_front() {
            self.kept.clear();
            self.cut(place)?;
        }
        self.write(&Line::End(end))?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        Effect::KeepPieces.before();
        self.file.sync_data()?;
        Effect::KeepPieces.after();
        Ok(())
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)
    }

    fn cut(&mut self, place: u64) -> io::Result<()> {
        self.file.set_len(place)?;
        self.file.seek(io::SeekFrom::Start(place))?;
        Ok(())
    }

    fn take_up(&mut self) -> io::Result<()> {
        let mut lines = Lines::new(&self.file);
        let is_ours = matches!(lines.next()?, Some((_, Line::Pieces(found))) if found == self.header);
        if !is_ours {
            self.cut(0)?;
            self.write(&Line::Pieces(self.header.clone()))?;
            return self.file.sync_all();
        }
        let mut good = lines.place;
        while let Some((place, line)) = lines.next()? {
            match line {
                Line::Piece(piece) => self.kept.push_back((place, piece)),
                Line::End(end) => self.end = Some((place, end)),
                Line::Pieces(_) => break,
            }
            good = lines.place;
            if self.end.is_some() {
                break;
            }
        }
        if self.end.is_some() {
            self.spoken = self.kept.iter().filter(|(_, piece)| !piece.text.is_empty()).count() as u64;
        }
        self.synced = self.kept.back().map_or(0, |(_, piece)| piece.end);
        self.cut(good)
    }
}

/// The lines of a file, as far as they are whole.
struct Lines<R> {
    reader: io::Take<BufReader<R>>,
    place: u64,
}

impl<R: io::Read> Lines<R> {
    fn new(source: R) -> Self {
        Self { reader: BufReader::new(source).take(FILE_MAX), place: 0 }
    }

    /// Returns the next line with its place; `None` at the end, and where one is torn or means nothing.
    fn next(&mut self) -> io::Result<Option<(u64, Line)>> {
        let mut text = Vec::new();
        let read = self.reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut text)? as u64;
        if text.last() != Some(&b'\n') {
            return Ok(None);
        }
        let place = self.place;
        let line = serde_json::from_slice(&text).ok();
        self.place += if line.is_some() { read } else { 0 };
        Ok(line.map(|line| (place, line)))
    }
}

/// Removes the file of pieces where there are none, and its directory where nothing else lies in it: a recording that
/// failed before its first piece leaves nothing. The child itself cannot, for it is confined by then.
pub fn forget_empty(directory: &Path) {
    let path = directory.join(NAME);
    if std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
        let removed = std::fs::remove_file(&path).and_then(|()| std::fs::remove_dir(directory));
        // It is of no use and does no harm: what stays goes with the job.
        if let Err(error) = removed {
            tracing::debug!("an empty file of pieces stays for now: {error}");
        }
    }
}

/// Reads the finished pieces in `directory`.
///
/// # Errors
/// `UnexpectedEof` when they are not finished, or what the file system says.
pub fn read(directory: &Path) -> io::Result<(Vec<Piece>, End)> {
    let mut lines = Lines::new(File::open(directory.join(NAME))?);
    let mut pieces = Vec::new();
    while let Some((_, line)) = lines.next()? {
        match line {
            Line::Pieces(_) => {}
            Line::Piece(piece) => pieces.push(piece),
            Line::End(end) => return Ok((pieces, end)),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn piece(start: u64, text: &str) -> Piece {
        Piece { side: None, start, end: start + 10, text: text.to_owned() }
    }

    fn opened(directory: &Path, model: &str, content: &str) -> io::Result<Pieces> {
        PiecesFile::open(directory)?.take_up(model, content)
    }

    fn begun(directory: &Path) -> Pieces {
        let mut pieces = opened(directory, "model", "content").expect("opened");
        pieces.push(piece(0, "one")).expect("written");
        pieces.push(piece(20, "")).expect("written");
        pieces
    }

    #[test]
    fn what_was_finished_is_met_again_and_the_rest_is_made() {
        let state = tempfile::tempdir().expect("a directory");
        let directory = state.path().join("engine/job");
        drop(begun(&directory));
        let mut pieces = opened(&directory, "model", "content").expect("opened");
        assert!(pieces.meet(None, 0, 10).expect("met") && pieces.meet(None, 20, 30).expect("met"));
        assert!(!pieces.meet(None, 40, 50).expect("not met"));
        pieces.push(piece(40, "three")).expect("written");
        let end = End { samples: 60, remarks: vec!["short".to_owned()] };
        pieces.finish(end.clone()).expect("finished");
        assert_eq!(pieces.spoken(), 2);
        drop(pieces);
        assert_eq!(
            read(&directory).expect("read"),
            (vec![piece(0, "one"), piece(20, ""), piece(40, "three")], end.clone())
        );
        let again = opened(&directory, "model", "content").expect("opened");
        assert_eq!((again.end(), again.spoken()), (Some(&end), 2));
    }

    #[test]
    fn a_torn_line_is_cut_off_wherever_it_is_torn() {
        let state = tempfile::tempdir().expect("a directory");
        drop(begun(state.path()));
        let path = state.path().join(NAME);
        let whole = fs::read(&path).expect("read");
        let ends: Vec<usize> = (1..=whole.len()).filter(|end| whole[end - 1] == b'\n').collect();
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).expect("written");
            let mut pieces = opened(state.path(), "model", "content").expect("opened");
            let left = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
            assert_eq!(pieces.kept.len(), left, "cut to {length} bytes");
            for at in 0..2 {
                if !pieces.meet(None, at * 20, at * 20 + 10).expect("met or not") {
                    pieces.push(piece(at * 20, ["one", ""][usize::from(at == 1)])).expect("written");
                }
            }
            assert_eq!(fs::read(&path).expect("read"), whole, "cut to {length} bytes");
        }
    }

    #[test]
    fn pieces_of_another_recording_or_model_or_cut_are_thrown_away() {
        let state = tempfile::tempdir().expect("a directory");
        for (model, content) in [("other", "content"), ("model", "other")] {
            drop(begun(state.path()));
            let mut pieces = opened(state.path(), model, content).expect("opened");
            assert!(!pieces.meet(None, 0, 10).expect("not met"));
        }
        fs::remove_file(state.path().join(NAME)).expect("forgotten");
        drop(begun(state.path()));
        let mut pieces = opened(state.path(), "model", "content").expect("opened");
        assert!(pieces.meet(None, 0, 10).expect("met"));
        assert!(!pieces.meet(Some(Side::Left), 20, 30).expect("not met"));
        pieces.finish(End::default()).expect("finished");
        assert_eq!(read(state.path()).expect("read").0, [piece(0, "one")]);
    }

    #[test]
    fn only_an_empty_file_is_forgotten() {
        let state = tempfile::tempdir().expect("a directory");
        let directory = state.path().join("job");
        forget_empty(&directory);
        drop(PiecesFile::open(&directory).expect("opened"));
        forget_empty(&directory);
        assert!(!directory.exists());
        drop(begun(&directory));
        forget_empty(&directory);
        assert!(directory.join(NAME).exists());
    }

    #[test]
    fn nobody_else_reads_them() {
        let state = tempfile::tempdir().expect("a directory");
        let directory = state.path().join("job");
        drop(begun(&directory));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&directory.join(NAME))), (0o700, 0o600));
        assert!(read(&directory).is_err(), "they are not finished");
    }
}
