//! Finished pieces on disk: `pieces.jsonl` in the directory of the job.
//!
//! Each piece has a line, in the order in which they are finished. The first line names the
//! recording and the model; with another recording, another model or another version of the engine
//! the file starts over. Each line is written at once, so that a kill loses nothing that was
//! finished, and synced once a minute of sound, so that a power cut loses no more than that. A last
//! line says that all is done.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{RATE, audio::Side, confidence::Confidence, voices::prints::forget_prints};
use crate::effect::Effect;

/// The file's name.
const NAME: &str = "pieces.jsonl";

/// The version of the engine: raised when the same sound would be cut or read differently, or more
/// of a piece is kept.
const ENGINE: u32 = 3;

/// Bytes of a line at most: 15 s of speech have a few hundred.
const LINE_MAX: u64 = 64 * 1024;

/// Bytes of the file at most: a day of speech has some 5 MiB.
pub(crate) const FILE_MAX: u64 = 256 * 1024 * 1024;

/// Numbers of speakers in a line: they fit it many times.
const SPEAKERS_IN_LINE: usize = 4096;

/// Samples after which written pieces are synced: a minute.
const SYNCED_EVERY: u64 = 60 * RATE as u64;

/// A finished piece. Times are samples of 16 kHz.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FinishedPiece {
    /// The side it belongs to, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// The first sample.
    pub start: u64,
    /// One past the last sample.
    pub end: u64,
    /// The words; may be none.
    pub text: String,
    /// The likelihood of their tokens.
    #[serde(default, skip_serializing_if = "Confidence::is_empty")]
    pub confidence: Confidence,
    /// The number of its speaker, from 1, as lines of their own tell it at the end.
    #[serde(skip)]
    pub speaker: Option<u16>,
}

/// The facts behind the last piece.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PiecesEnd {
    /// The length of the recording.
    pub samples: u64,
    /// Remarks for the reader of the transcript.
    pub remarks: Vec<String>,
    /// The language that was detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PiecesHeader {
    engine: u32,
    model: String,
    content: String,
    /// The language that was detected before the first piece: another run goes on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PiecesLine {
    Pieces(PiecesHeader),
    Piece(FinishedPiece),
    /// The speakers of the next pieces, in their order; 0 for none.
    Speakers(Vec<u16>),
    End(PiecesEnd),
}

/// A piece in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PieceSpan {
    /// The first sample.
    pub(crate) start: u64,
    /// One past the last sample.
    pub(crate) end: u64,
    /// It has words.
    pub(crate) is_spoken: bool,
}

impl FinishedPiece {
    fn span(&self) -> PieceSpan {
        PieceSpan { start: self.start, end: self.end, is_spoken: !self.text.is_empty() }
    }
}

/// The pieces of one recording, open for more.
#[derive(Debug)]
pub(crate) struct Pieces {
    file: File,
    /// Pieces of an earlier run that were not matched yet, each with the place of its line.
    kept: std::collections::VecDeque<(u64, FinishedPiece)>,
    /// The place of the last line, when that says that all is done.
    end: Option<(u64, PiecesEnd)>,
    /// The sample up to which everything is synced.
    synced: u64,
    /// The first and last sample of each piece so far, and whether it has words.
    spans: Vec<PieceSpan>,
    header: PiecesHeader,
}

/// The open file of pieces of a job, before it is known which model makes more of them.
#[derive(Debug)]
pub(crate) struct PiecesFile(File);

impl PiecesFile {
    /// Opens the file in `directory`, which is made when it is not there. Waits for another process
    /// that has it open. The recogniser does so before it is confined: afterwards it could reach
    /// neither.
    ///
    /// # Errors
    /// When the file system fails.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        Effect::BeginPieces.during(|| {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            options.custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0));
            let file = options.open(directory.join(NAME))?;
            rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
            File::open(directory)?.sync_all()?;
            Ok(Self(file))
        })
    }

    /// Returns the language that an earlier run has detected in this recording.
    ///
    /// # Errors
    /// When the file system fails.
    pub(crate) fn detected_language(&mut self, content: &str) -> io::Result<Option<String>> {
        let first = PiecesLines::new(&self.0).next()?;
        self.0.rewind()?;
        Ok(match first {
            Some((_, PiecesLine::Pieces(header)))
                if header.engine == ENGINE && header.content == content =>
            {
                header.language
            }
            _ => None,
        })
    }

    /// Takes up the pieces of a recording. A torn line is cut off, and pieces of another recording,
    /// another model or another detected language are thrown away.
    ///
    /// # Errors
    /// When the file system fails.
    pub(crate) fn take_up(
        self,
        model: &str,
        content: &str,
        language: Option<String>,
    ) -> io::Result<Pieces> {
        let header = PiecesHeader {
            engine: ENGINE,
            model: model.to_owned(),
            content: content.to_owned(),
            language,
        };
        let mut pieces = Pieces {
            file: self.0,
            kept: [].into(),
            end: None,
            synced: 0,
            spans: Vec::new(),
            header,
        };
        pieces.take_up()?;
        Ok(pieces)
    }
}

impl Pieces {
    /// Starts over with the first piece, for the recording is decoded in another way from its
    /// start: pieces that come out the same are kept.
    ///
    /// # Errors
    /// When the file system fails.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.file.rewind()?;
        self.kept.clear();
        self.spans.clear();
        self.take_up()
    }

    /// Returns the facts behind the last piece, when all is done.
    pub(crate) fn end(&self) -> Option<&PiecesEnd> {
        self.end.as_ref().map(|(_, end)| end)
    }

    /// Returns the language that was detected before the first piece.
    pub(crate) fn language(&self) -> Option<&str> {
        self.header.language.as_deref()
    }

    /// Returns how many pieces with words there are.
    pub(crate) fn spoken_count(&self) -> u64 {
        self.spans.iter().filter(|span| span.is_spoken).count() as u64
    }

    /// Returns all pieces so far, in their order.
    pub(crate) fn spans(&self) -> &[PieceSpan] {
        &self.spans
    }

    /// Matches the next piece with the kept ones; returns whether it is there already. When another
    /// one is there, the rest is thrown away: the sound is cut differently now.
    ///
    /// # Errors
    /// When the file system fails.
    pub(crate) fn match_next(
        &mut self,
        side: Option<&Side>,
        start: u64,
        end: u64,
    ) -> io::Result<bool> {
        let Some((place, piece)) = self.kept.pop_front() else { return Ok(false) };
        if (piece.side.as_ref(), piece.start, piece.end) == (side, start, end) {
            self.spans.push(piece.span());
            return Ok(true);
        }
        tracing::debug!(place, "pieces are cut differently now");
        self.kept.clear();
        self.truncate_at(place)?;
        Ok(false)
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// When the file system fails.
    pub(crate) fn append_piece(&mut self, piece: FinishedPiece) -> io::Result<()> {
        self.spans.push(piece.span());
        let end = piece.end;
        self.write_line(&PiecesLine::Piece(piece))?;
        if end >= self.synced + SYNCED_EVERY {
            self.sync_file()?;
            self.synced = end;
        }
        Ok(())
    }

    /// Writes the speakers of all pieces, which may be none, and the end. Pieces that are left from
    /// an earlier run are thrown away.
    ///
    /// # Errors
    /// When the file system fails.
    pub(crate) fn write_end(&mut self, speakers: &[u16], end: PiecesEnd) -> io::Result<()> {
        if let Some((place, _)) = self.kept.pop_front() {
            self.kept.clear();
            self.truncate_at(place)?;
        }
        for speakers in speakers.chunks(SPEAKERS_IN_LINE) {
            self.write_line(&PiecesLine::Speakers(speakers.to_vec()))?;
        }
        self.write_line(&PiecesLine::End(end))?;
        self.sync_file()
    }

    fn sync_file(&self) -> io::Result<()> {
        Effect::KeepPieces.during(|| self.file.sync_data())
    }

    fn write_line(&mut self, line: &PiecesLine) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)
    }

    fn truncate_at(&mut self, place: u64) -> io::Result<()> {
        self.file.set_len(place)?;
        self.file.seek(io::SeekFrom::Start(place))?;
        Ok(())
    }

    fn take_up(&mut self) -> io::Result<()> {
        let mut lines = PiecesLines::new(&self.file);
        let is_ours =
            matches!(lines.next()?, Some((_, PiecesLine::Pieces(found))) if found == self.header);
        if !is_ours {
            self.truncate_at(0)?;
            self.write_line(&PiecesLine::Pieces(self.header.clone()))?;
            return self.file.sync_all();
        }
        let mut good = lines.place;
        while let Some((place, line)) = lines.next()? {
            match line {
                PiecesLine::Piece(piece) => self.kept.push_back((place, piece)),
                PiecesLine::End(end) => self.end = Some((place, end)),
                // Without an end they are made again.
                PiecesLine::Speakers(_) => continue,
                PiecesLine::Pieces(_) => break,
            }
            good = lines.place;
            if self.end.is_some() {
                break;
            }
        }
        if self.end.is_some() {
            self.spans = self.kept.iter().map(|(_, piece)| piece.span()).collect();
        }
        self.synced = self.kept.back().map_or(0, |(_, piece)| piece.end);
        self.truncate_at(good)
    }
}

/// The lines of a file, as far as they are whole.
struct PiecesLines<R> {
    reader: io::Take<BufReader<R>>,
    place: u64,
}

impl<R: io::Read> PiecesLines<R> {
    fn new(source: R) -> Self {
        Self { reader: BufReader::new(source).take(FILE_MAX), place: 0 }
    }

    /// Returns the next line with its place; `None` at the end, and where one is torn or invalid.
    fn next(&mut self) -> io::Result<Option<(u64, PiecesLine)>> {
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

/// Removes the file of pieces where there are none, and its directory where nothing else lies in
/// it: a recording that failed before its first piece leaves nothing. The child itself cannot, for
/// it is confined by then.
pub(crate) fn forget_empty(directory: &Path) {
    let path = directory.join(NAME);
    if std::fs::symlink_metadata(&path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
    {
        let removed = std::fs::remove_file(&path)
            .and_then(|()| forget_prints(directory))
            .and_then(|()| std::fs::remove_dir(directory));
        // It is of no use and does no harm: it goes with the job.
        if let Err(error) = removed {
            tracing::debug!("an empty file of pieces stays for now: {error}");
        }
    }
}

/// Reads the finished pieces in `directory`.
///
/// # Errors
/// `UnexpectedEof` when they are not finished, or another error of the file system.
pub(crate) fn read_pieces(directory: &Path) -> io::Result<(Vec<FinishedPiece>, PiecesEnd)> {
    let mut lines = PiecesLines::new(File::open(directory.join(NAME))?);
    let mut pieces: Vec<FinishedPiece> = Vec::new();
    let mut speakers = Vec::new();
    while let Some((_, line)) = lines.next()? {
        match line {
            PiecesLine::Pieces(_) => {}
            PiecesLine::Piece(piece) => pieces.push(piece),
            PiecesLine::Speakers(more) => speakers.extend(more),
            PiecesLine::End(end) => {
                for (piece, speaker) in pieces.iter_mut().zip(speakers) {
                    piece.speaker = Some(speaker).filter(|speaker| *speaker > 0);
                }
                return Ok((pieces, end));
            }
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn piece(start: u64, text: &str) -> FinishedPiece {
        let confidence = Confidence { tokens: u32::from(!text.is_empty()), log_probability: 0 };
        FinishedPiece {
            side: None,
            start,
            end: start + 10,
            text: text.to_owned(),
            confidence,
            speaker: None,
        }
    }

    fn opened(directory: &Path, model: &str, content: &str) -> io::Result<Pieces> {
        PiecesFile::open(directory)?.take_up(model, content, None)
    }

    fn begun(directory: &Path) -> Pieces {
        let mut pieces = opened(directory, "model", "content").expect("opened");
        pieces.append_piece(piece(0, "one")).expect("written");
        pieces.append_piece(piece(20, "")).expect("written");
        pieces
    }

    #[test]
    fn what_was_finished_is_met_again_and_the_rest_is_made() {
        let state = tempfile::tempdir().expect("a directory");
        let directory = state.path().join("engine/job");
        drop(begun(&directory));
        let mut pieces = opened(&directory, "model", "content").expect("opened");
        assert!(
            pieces.match_next(None, 0, 10).expect("met")
                && pieces.match_next(None, 20, 30).expect("met")
        );
        assert!(!pieces.match_next(None, 40, 50).expect("not met"));
        pieces.append_piece(piece(40, "three")).expect("written");
        let end = PiecesEnd { samples: 60, remarks: vec!["short".to_owned()], language: None };
        pieces.write_end(&[], end.clone()).expect("finished");
        assert_eq!(pieces.spoken_count(), 2);
        drop(pieces);
        assert_eq!(
            read_pieces(&directory).expect("read"),
            (vec![piece(0, "one"), piece(20, ""), piece(40, "three")], end.clone())
        );
        let again = opened(&directory, "model", "content").expect("opened");
        assert_eq!((again.end(), again.spoken_count()), (Some(&end), 2));
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
                if !pieces.match_next(None, at * 20, at * 20 + 10).expect("met or not") {
                    pieces
                        .append_piece(piece(at * 20, ["one", ""][usize::from(at == 1)]))
                        .expect("written");
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
            assert!(!pieces.match_next(None, 0, 10).expect("not met"));
        }
        fs::remove_file(state.path().join(NAME)).expect("forgotten");
        drop(begun(state.path()));
        let mut pieces = opened(state.path(), "model", "content").expect("opened");
        assert!(pieces.match_next(None, 0, 10).expect("met"));
        assert!(!pieces.match_next(Some(&Side::Left), 20, 30).expect("not met"));
        pieces.write_end(&[], PiecesEnd::default()).expect("finished");
        assert_eq!(read_pieces(state.path()).expect("read").0, [piece(0, "one")]);
    }

    #[test]
    fn speakers_are_told_at_the_end_and_again_where_the_end_is_missing() {
        let state = tempfile::tempdir().expect("a directory");
        let mut pieces = begun(state.path());
        pieces.write_end(&[2, 0], PiecesEnd::default()).expect("finished");
        drop(pieces);
        let speakers = || {
            let pieces = read_pieces(state.path()).expect("read").0;
            pieces.iter().map(|piece| piece.speaker).collect::<Vec<_>>()
        };
        assert_eq!(speakers(), [Some(2), None]);
        let path = state.path().join(NAME);
        let whole = fs::read(&path).expect("read");
        fs::write(&path, &whole[..whole.len() - 3]).expect("torn");
        let mut pieces = opened(state.path(), "model", "content").expect("opened");
        assert!(
            pieces.match_next(None, 0, 10).expect("there")
                && pieces.match_next(None, 20, 30).expect("there")
        );
        assert_eq!(pieces.spans().len(), 2);
        pieces.write_end(&[1, 1], PiecesEnd::default()).expect("finished");
        assert_eq!(speakers(), [Some(1), Some(1)]);
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
        assert!(read_pieces(&directory).is_err(), "they are not finished");
    }
}
