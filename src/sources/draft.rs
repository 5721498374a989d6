//! A file that is being fetched into a folder: written and hashed by a thread of its own, under a name that no scan
//! takes, until it gets its own.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::{
    beneath::Dir,
    delivery::{Temporary, remove_leftovers},
    effect::Effect,
    job::Content,
};

/// Pieces on their way to the disk: of some tens of KiB each, so that a disk that is slow holds up the network and not
/// the memory.
const PIECES_MAX: usize = 16;

/// A file system that takes nothing for so long does not answer.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// Room that is left on a disk: a recording that just fits leaves none for its notes.
const FREE_BYTES_MIN: u64 = 16 << 20;

/// A command for the writing thread.
enum DraftCommand {
    Piece(Bytes),
    /// All is there: makes it durable and tells what it is.
    End(oneshot::Sender<io::Result<FileDigest>>),
    /// Gives it this name.
    Name(OsString, oneshot::Sender<io::Result<()>>),
}

/// Content hash and size of a written file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileDigest {
    pub(super) content: Content,
    pub(super) size: u64,
}

/// A file on its way. Dropped before it has its name, it goes away.
#[derive(Debug)]
pub(super) struct FileDraft {
    orders: mpsc::Sender<DraftCommand>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl FileDraft {
    /// Begins a file in `folder`; `bytes` is how long it will be, where that is known.
    pub(super) fn create(folder: PathBuf, mode: u32, bytes: Option<u64>) -> Self {
        let (orders, receiver) = mpsc::channel(PIECES_MAX);
        let (end, ended) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            // Nobody may wait for it any more.
            drop(end.send(write_file(&folder, mode, bytes, receiver)));
        });
        Self { orders, ended }
    }

    /// Writes a piece.
    pub(super) async fn write(&mut self, piece: Bytes) -> io::Result<()> {
        self.send_command(DraftCommand::Piece(piece)).await
    }

    /// Makes what was written durable, and returns what it is.
    pub(super) async fn finish(&mut self) -> io::Result<FileDigest> {
        let (reply, answer) = oneshot::channel();
        self.send_command(DraftCommand::End(reply)).await?;
        self.await_reply(answer).await
    }

    /// Gives it a name; `AlreadyExists` leaves it for another one.
    pub(super) async fn rename_to(&mut self, name: &str) -> io::Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send_command(DraftCommand::Name(OsString::from(name), reply)).await?;
        self.await_reply(answer).await
    }

    async fn send_command(&mut self, order: DraftCommand) -> io::Result<()> {
        match tokio::time::timeout(REPLY_TIMEOUT, self.orders.send(order)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.end_error().await),
            Err(_) => Err(timeout_error()),
        }
    }

    async fn await_reply<T>(&mut self, answer: oneshot::Receiver<io::Result<T>>) -> io::Result<T> {
        match tokio::time::timeout(REPLY_TIMEOUT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(self.end_error().await),
            Err(_) => Err(timeout_error()),
        }
    }

    /// Returns the error with which the writing thread ended.
    async fn end_error(&mut self) -> io::Error {
        match (&mut self.ended).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => io::Error::other("the file was abandoned"),
        }
    }
}

fn timeout_error() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "its file system does not answer")
}

/// The life of one file. An end without a name removes it.
fn write_file(
    folder: &Path,
    mode: u32,
    bytes: Option<u64>,
    mut orders: mpsc::Receiver<DraftCommand>,
) -> io::Result<()> {
    let dir = Dir::open(folder)?;
    has_room(&dir, bytes)?;
    let (mut temporary, mut file) = Temporary::create_in(&dir, mode)?;
    let mut hasher = blake3::Hasher::new();
    let mut size = 0_u64;
    while let Some(order) = orders.blocking_recv() {
        match order {
            DraftCommand::Piece(piece) => {
                file.write_all(&piece)?;
                hasher.update(&piece);
                size += piece.len() as u64;
            }
            DraftCommand::End(reply) => {
                file.sync_all()?;
                // Nobody may wait for it any more; then the orders end, too.
                drop(reply.send(Ok(FileDigest {
                    content: Content::from_hash(&hasher.finalize()),
                    size,
                })));
            }
            DraftCommand::Name(name, reply) => {
                let named = Effect::PlaceRecording.during(|| temporary.rename_new(&name));
                let is_named = named.is_ok();
                drop(reply.send(named));
                if is_named {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn has_room(dir: &Dir, bytes: Option<u64>) -> io::Result<()> {
    let (Some(bytes), Ok(stat)) = (bytes, rustix::fs::fstatvfs(dir.fd())) else { return Ok(()) };
    // Some network file systems tell nothing.
    let room = stat.f_bavail.saturating_mul(stat.f_frsize);
    if stat.f_blocks > 0 && room < bytes.saturating_add(FREE_BYTES_MIN) {
        return Err(io::Error::from(io::ErrorKind::StorageFull));
    }
    Ok(())
}

/// Removes what earlier processes have left of files that they fetched; returns how many.
pub(super) async fn remove_temporaries(folder: PathBuf) -> io::Result<usize> {
    tokio::task::spawn_blocking(move || remove_leftovers(&Dir::open(&folder)?))
        .await
        .map_err(io::Error::other)?
}

/// Returns what the file at `path` in `folder` is, `None` where there is none.
pub(super) async fn digest_of_file(
    folder: PathBuf,
    path: PathBuf,
) -> io::Result<Option<FileDigest>> {
    let sum = move || match Dir::open(&folder)?.open_file(&path) {
        Ok(file) => digest_file(file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    tokio::task::spawn_blocking(sum).await.map_err(io::Error::other)?
}

fn digest_file(mut file: File) -> io::Result<FileDigest> {
    let mut hasher = blake3::Hasher::new();
    let mut size = 0_u64;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => {
                return Ok(FileDigest { content: Content::from_hash(&hasher.finalize()), size });
            }
            Ok(bytes) => {
                hasher.update(&buffer[..bytes]);
                size += bytes as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).expect("a directory");
        entries
            .map(|entry| entry.expect("read").file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[tokio::test]
    async fn a_file_has_no_name_before_it_is_whole_and_replaces_none() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("a.flac"), "theirs").expect("written");
        let mut draft = FileDraft::create(dir.path().to_owned(), 0o660, Some(4));
        draft.write(Bytes::from_static(b"ta")).await.expect("written");
        draft.write(Bytes::from_static(b"lk")).await.expect("written");
        let sum = draft.finish().await.expect("durable");
        assert_eq!(
            sum,
            FileDigest { content: Content::from_hash(&blake3::hash(b"talk")), size: 4 }
        );
        assert_eq!(
            draft.rename_to("a.flac").await.expect_err("taken").kind(),
            io::ErrorKind::AlreadyExists
        );
        draft.rename_to("b.flac").await.expect("free");
        assert_eq!(
            digest_of_file(dir.path().to_owned(), "b.flac".into()).await.expect("read"),
            Some(sum)
        );
        assert_eq!(std::fs::read(dir.path().join("a.flac")).expect("read"), b"theirs");
        assert_eq!(files(dir.path()).len(), 2);
    }

    #[tokio::test]
    async fn a_file_that_is_abandoned_goes_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut draft = FileDraft::create(dir.path().to_owned(), 0o660, None);
        draft.write(Bytes::from_static(b"ta")).await.expect("written");
        let FileDraft { orders, ended } = draft;
        drop(orders);
        ended.await.expect("ended").expect("no failure");
        assert_eq!(files(dir.path()), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_cannot_lie_there_says_why() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut absent = FileDraft::create(dir.path().join("absent"), 0o660, None);
        assert_eq!(absent.finish().await.expect_err("absent").kind(), io::ErrorKind::NotFound);
        let mut vast = FileDraft::create(dir.path().to_owned(), 0o660, Some(u64::MAX / 2));
        assert_eq!(vast.finish().await.expect_err("vast").kind(), io::ErrorKind::StorageFull);
    }
}
