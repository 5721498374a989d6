//! A connection to a mail server that hands on so many bytes and no more.
//!
//! lettre reads a line to its end before it looks how long it is, and the first lines come before TLS: whoever is on the way
//! could send one without an end. The limit lies below TLS and is of the whole conversation, so that nothing the server does
//! in it (a renewed key, a line broken in parts) starts the count again.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
};

#[expect(
    deprecated,
    reason = "nothing else in lettre begins with TLS on a stream that it did not open"
)]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::{
    self,
    client::{AsyncTokioStream, TlsParameters},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

/// Bytes that a mail server may send in one conversation: about fifteen answers of a few hundred bytes, and the certificates
/// of TLS. One mail is one conversation.
const CONVERSATION_BYTES_MAX: u64 = 1 << 18;

/// Lines that it may send in one: three lists of what it can do, of some thirty lines each, and a few more. lettre reads an
/// answer from its beginning with each of its lines, so that thousands of short ones would cost it minutes. What comes after
/// STARTTLS has no lines here; its sender has proved its name.
const CONVERSATION_LINES_MAX: usize = 1_000;

/// A connection whose other side may send so many bytes.
#[derive(Debug)]
pub(super) struct Limited<S> {
    stream: S,
    peer: Option<SocketAddr>,
    bytes_left: u64,
    lines_left: usize,
    /// True while the server's answers are read as text.
    is_plain: bool,
}

impl<S> Limited<S> {
    /// Limits a connection to `peer`.
    fn new(stream: S, peer: Option<SocketAddr>, is_plain: bool) -> Self {
        Self {
            stream,
            peer,
            bytes_left: CONVERSATION_BYTES_MAX,
            lines_left: CONVERSATION_LINES_MAX,
            is_plain,
        }
    }
}

/// Returns the error of a server that sends more; it ends the conversation.
fn too_much() -> io::Error {
    let bounds = format!("{CONVERSATION_BYTES_MAX} bytes or {CONVERSATION_LINES_MAX} lines");
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it sent more than {bounds} in one conversation: no mail server does"),
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes_left == 0 || self.lines_left == 0 {
            return Poll::Ready(Err(too_much()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let new = &buffer.filled()[before..];
        self.bytes_left = self.bytes_left.saturating_sub(new.len() as u64);
        if self.is_plain {
            let lines = new.split(|byte| *byte == b'\n').count() - 1;
            self.lines_left = self.lines_left.saturating_sub(lines);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_plain &= !bytes.starts_with(b"STARTTLS");
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> AsyncTokioStream
    for Limited<S>
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)))
    }
}

/// Connects to a mail server, with TLS from the first byte where `tls` is given.
///
/// # Errors
/// The connection is refused, or TLS fails.
pub(super) async fn connect(
    host: &str,
    port: u16,
    tls: Option<TlsParameters>,
) -> Result<Box<dyn AsyncTokioStream>, ConnectError> {
    let stream = TcpStream::connect((host, port)).await.map_err(ConnectError::Network)?;
    let peer = stream.peer_addr().ok();
    let limited = Box::new(Limited::new(stream, peer, tls.is_none()));
    match tls {
        Some(tls) => Ok(Box::new(Limited::new(
            encrypt_stream(limited, tls).await.map_err(ConnectError::Tls)?,
            peer,
            true,
        ))),
        None => Ok(limited),
    }
}

#[expect(
    deprecated,
    reason = "nothing else in lettre begins with TLS on a stream that it did not open"
)]
async fn encrypt_stream(
    stream: Box<dyn AsyncTokioStream>,
    tls: TlsParameters,
) -> Result<Compat<AsyncNetworkStream>, smtp::Error> {
    let mut stream = AsyncNetworkStream::use_existing_tokio1(stream);
    stream.upgrade_tls(tls).await?;
    Ok(stream.compat())
}

/// The reason why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// The connection failed.
    Network(io::Error),
    /// TLS failed.
    Tls(smtp::Error),
}
