//! The port: a bounded number of connections, and none that stands still.

use std::{
    future::Future as _,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;

use crate::tcp_listener::{accept_connections, bind_with_retries};

/// Connections at once; more wait in the listen queue. A browser opens six and keeps them.
const CONNECTIONS_MAX: usize = 256;

/// A browser sends its headers within this time; an idle connection is closed after it, too.
const HEADERS_MAX: Duration = Duration::from_secs(30);

/// Bytes of the headers: a cookie and what a browser says of itself.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// A client that takes nothing of an answer for so long is cut off.
const WRITE_STALL_MAX: Duration = Duration::from_secs(60);

/// Answers requests at `listen` until `stop`.
pub(super) async fn serve(listen: SocketAddr, routes: Router, stop: CancellationToken) {
    let serve = async {
        let listener = bind_with_retries(listen, |error| {
            tracing::error!(
                "the page cannot be served at `{listen}`: {error}; minuted keeps trying, and everything else \
                 works. `ss -ltnp` shows who has the port"
            );
        })
        .await;
        tracing::info!("the page is served at http://{listen}; `minuted page` opens it");
        let serve = |stream| serve_connection(stream, routes.clone());
        accept_connections(&listener, CONNECTIONS_MAX, serve).await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = serve => {}
    }
}

async fn serve_connection(stream: TcpStream, routes: Router) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADERS_MAX).max_buf_size(HEADER_BYTES_MAX);
    let stream = TokioIo::new(GuardedStream::new(stream));
    if let Err(error) =
        pin!(server.serve_connection(stream, TowerToHyperService::new(routes))).await
    {
        tracing::debug!("a request broke off: {error}");
    }
}

/// A connection that fails once its client has taken nothing for [`WRITE_STALL_MAX`].
struct GuardedStream {
    stream: TcpStream,
    /// The time limit of the write that waits.
    limit: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl GuardedStream {
    fn new(stream: TcpStream) -> Self {
        let limit = Box::pin(tokio::time::sleep(WRITE_STALL_MAX));
        Self { stream, limit, is_waiting: false }
    }

    /// Passes on the outcome of a write, or fails where it has waited for too long.
    fn limit_wait<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.is_waiting = false;
            return outcome;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.limit.as_mut().reset(Instant::now() + WRITE_STALL_MAX);
        }
        ready!(self.limit.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limit_wait(context, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.limit_wait(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
