//! The bytes of a multipart upload: some fields, then one file, of a length that is known before.
//!
//! Written out here and not taken from reqwest, whose ready-made file part is several times slower,
//! passes line ends of a name into the headers, and sends a file that shrinks without noticing.

use std::{
    fmt::Write as _,
    fs::File,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream};
use rustix::{buffer::spare_capacity, io::Errno};
use tokio::sync::{mpsc, oneshot};

use super::flow::{BodyFault, UploadFlow};
use crate::beneath::Stamp;

/// Bytes read and handed to the socket at once: 256 KiB is as fast as curl, and more is no faster.
const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks read ahead of the socket, and of the hasher. With one in the reader's hand and one in
/// that of each, an upload of any size holds less than 2 MiB.
const CHUNKS_AHEAD: usize = 2;

/// A step of the reader thread. A closed channel is no end: only `End` is.
enum BodyPiece {
    Chunk(Bytes),
    End,
    Fault(BodyFault),
}

/// The file to send, as it was when it was chosen.
pub(super) struct ExpectedFile {
    pub(super) file: File,
    pub(super) stamp: Stamp,
    /// The name of its content, where that is known.
    pub(super) content: Option<String>,
}

impl ExpectedFile {
    /// Returns whether a hash is that of the content.
    fn is_content(&self, hash: &blake3::Hash) -> bool {
        let hex = self.content.as_deref().map(|content| content.trim_start_matches("b3-"));
        hex.is_none_or(|hex| hash.to_hex().starts_with(hex))
    }
}

/// The parts of the body before and after the file.
pub(super) struct MultipartFrame {
    /// Fields and the headers of the file part.
    pub(super) head: Bytes,
    /// The closing boundary.
    pub(super) tail: Bytes,
    /// The value of `Content-Type`.
    pub(super) content_type: String,
}

/// The reason that writing into a text cannot fail.
const TAKES: &str = "a String takes what is written";

impl MultipartFrame {
    /// Returns the frame for `fields` and a file part named `file`. `boundary` must not occur in
    /// what is sent.
    pub(super) fn new(boundary: &str, fields: &[(&str, &str)], name: &str, mime: &str) -> Self {
        let mut head = String::new();
        for (field, value) in fields {
            let field = quote_parameter(field);
            write!(head, "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n")
                .expect(TAKES);
        }
        let name = quote_parameter(name);
        let mime = quote_parameter(mime);
        write!(
            head,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n"
        )
        .expect(TAKES);
        write!(head, "Content-Type: {mime}\r\n\r\n").expect(TAKES);
        Self {
            head: head.into(),
            tail: format!("\r\n--{boundary}--\r\n").into(),
            content_type: format!("multipart/form-data; boundary={boundary}"),
        }
    }

    /// Returns the length of the whole body around a file of `file_bytes`.
    pub(super) fn total_bytes(&self, file_bytes: u64) -> u64 {
        self.head.len() as u64 + file_bytes + self.tail.len() as u64
    }
}

/// A name fit for a quoted header parameter. The caller has cleaned it; this makes sure that it
/// cannot break out.
fn quote_parameter(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || matches!(c, '"' | '\\') { '_' } else { c }).collect()
}

/// The body as hyper pulls it.
pub(super) struct UploadBody {
    head: Option<Bytes>,
    tail: Option<Bytes>,
    pieces: mpsc::Receiver<BodyPiece>,
    /// Resolves when the upload is abandoned: hyper would go on sending to a server that has
    /// answered.
    abandoned: oneshot::Receiver<()>,
    flow: Arc<UploadFlow>,
}

impl UploadBody {
    /// Starts reading the file on a thread of its own. Dropping the sender of `abandoned` ends it.
    pub(super) fn start_reading(
        meant: ExpectedFile,
        frame: MultipartFrame,
        flow: Arc<UploadFlow>,
        abandoned: oneshot::Receiver<()>,
    ) -> Self {
        let (to_socket, pieces) = mpsc::channel(CHUNKS_AHEAD);
        tokio::task::spawn_blocking(move || read_file(&meant, &to_socket));
        Self { head: Some(frame.head), tail: Some(frame.tail), pieces, abandoned, flow }
    }

    fn fail_body(&self, fault: BodyFault) -> Poll<Option<Result<Bytes, BodyFault>>> {
        self.flow.record_fault(fault.clone());
        Poll::Ready(Some(Err(fault)))
    }
}

impl Stream for UploadBody {
    type Item = Result<Bytes, BodyFault>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.abandoned.poll_unpin(context).is_ready() {
            return Poll::Ready(Some(Err(BodyFault::Abandoned)));
        }
        if let Some(head) = self.head.take() {
            self.flow.chunk_taken(0);
            return Poll::Ready(Some(Ok(head)));
        }
        if self.tail.is_none() {
            return Poll::Ready(None);
        }
        self.flow.chunk_wanted();
        match std::task::ready!(self.pieces.poll_recv(context)) {
            Some(BodyPiece::Chunk(chunk)) => {
                self.flow.chunk_taken(chunk.len() as u64);
                Poll::Ready(Some(Ok(chunk)))
            }
            Some(BodyPiece::End) => {
                self.flow.mark_complete();
                Poll::Ready(self.tail.take().map(Ok))
            }
            Some(BodyPiece::Fault(fault)) => self.fail_body(fault),
            None => self.fail_body(BodyFault::Unreadable("reading it ended early".into())),
        }
    }
}

/// Checks that an open file is unchanged.
pub(super) fn check_unchanged(file: &File, stamp: Stamp) -> Result<(), BodyFault> {
    match Stamp::of(file) {
        Ok(found) if found == stamp => Ok(()),
        Ok(_) => Err(BodyFault::Changed),
        Err(error) => Err(BodyFault::Unreadable(error.to_string())),
    }
}

/// Reads exactly the promised bytes, and then looks once more whether it was the same file all
/// along.
fn read_file(meant: &ExpectedFile, to_socket: &mpsc::Sender<BodyPiece>) {
    let last = match read_chunks(meant, to_socket) {
        Ok(true) => BodyPiece::End,
        Ok(false) => return,
        Err(fault) => BodyPiece::Fault(fault),
    };
    // A closed channel means that the upload was abandoned.
    drop(to_socket.blocking_send(last));
}

/// Hands all chunks of the file to the socket, and a copy of the handle of each to a thread that
/// hashes them: hashing takes as long as reading and writing together. Returns whether everything
/// was handed over; `false` means that the receiver is gone.
fn read_chunks(
    meant: &ExpectedFile,
    to_socket: &mpsc::Sender<BodyPiece>,
) -> Result<bool, BodyFault> {
    if meant.content.is_none() {
        return send_chunks(meant, to_socket, None);
    }
    std::thread::scope(|threads| {
        let (to_hasher, chunks) = std::sync::mpsc::sync_channel(CHUNKS_AHEAD);
        let hasher = std::thread::Builder::new().name("upload-hash".into());
        let hasher = hasher
            .spawn_scoped(threads, move || hash_chunks(&chunks))
            .map_err(|error| BodyFault::Unreadable(format!("no thread to hash it: {error}")))?;
        let is_sent = send_chunks(meant, to_socket, Some(&to_hasher));
        drop(to_hasher);
        let hash =
            hasher.join().map_err(|_| BodyFault::Unreadable("hashing it ended early".into()))?;
        let is_sent = is_sent?;
        if is_sent && !meant.is_content(&hash) { Err(BodyFault::Changed) } else { Ok(is_sent) }
    })
}

fn hash_chunks(chunks: &std::sync::mpsc::Receiver<Bytes>) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for chunk in chunks {
        hasher.update(&chunk);
    }
    hasher.finalize()
}

/// Reads the file at places of its own: its position is shared with the reader of an upload that
/// was answered early and begins again. Returns whether the socket took every chunk.
fn send_chunks(
    ExpectedFile { file, stamp, .. }: &ExpectedFile,
    to_socket: &mpsc::Sender<BodyPiece>,
    to_hasher: Option<&std::sync::mpsc::SyncSender<Bytes>>,
) -> Result<bool, BodyFault> {
    let mut offset = 0;
    while offset < stamp.size {
        let chunk = read_chunk(file, offset, stamp.size - offset)?;
        offset += chunk.len() as u64;
        if let Some(to_hasher) = to_hasher {
            let sent = to_hasher.send(chunk.clone());
            sent.map_err(|_| BodyFault::Unreadable("hashing it ended early".into()))?;
        }
        if to_socket.blocking_send(BodyPiece::Chunk(chunk)).is_err() {
            return Ok(false);
        }
    }
    check_unchanged(file, *stamp).map(|()| true)
}

/// Reads up to [`CHUNK_BYTES`] of the `left` bytes that the file still has at `offset`.
fn read_chunk(file: &File, offset: u64, left: u64) -> Result<Bytes, BodyFault> {
    let wanted = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
    let mut chunk = Vec::with_capacity(wanted);
    while chunk.len() < wanted {
        let next = offset + chunk.len() as u64;
        // The spare capacity is memory that is not zeroed first.
        match rustix::io::pread(file, spare_capacity(&mut chunk), next) {
            Ok(0) => return Err(BodyFault::Changed),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(BodyFault::Unreadable(io::Error::from(error).to_string())),
        }
    }
    chunk.truncate(wanted);
    Ok(chunk.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_header() {
        let frame = MultipartFrame::new(
            "B",
            &[("session_id", "7")],
            "a\"\r\nX-Evil: 1\r\n\r\n.wav",
            "audio/wav",
        );
        insta::assert_snapshot!(String::from_utf8_lossy(&frame.head).replace("\r\n", "⏎\n"), @r#"
        --B⏎
        Content-Disposition: form-data; name="session_id"⏎
        ⏎
        7⏎
        --B⏎
        Content-Disposition: form-data; name="file"; filename="a___X-Evil: 1____.wav"⏎
        Content-Type: audio/wav⏎
        ⏎
        "#);
    }
}
