//! The port: few connections, one call each, and none for long.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::calls::WebhookCalls;
use crate::{
    config::Source,
    sources::SourcesHandle,
    tcp_listener::{accept_connections, bind_with_retries},
};

/// Connections at once; more wait in the listen queue. A proxy in front makes one a call, and each holds a body at most.
const CONNECTIONS_MAX: usize = 32;

/// A caller sends its headers within this time.
const HEADERS_MAX: Duration = Duration::from_secs(5);

/// A caller sends everything within this time: the body is a few KiB on a local line.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(15);

/// Bytes of the headers; the vendor sends a few hundred.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Takes calls for `sources` at `listen` until `stop`, and tells `handle`. While the port is taken by another program it
/// is tried again, which is said once: recordings come without webhooks, too.
pub(crate) async fn serve_webhooks(
    listen: SocketAddr,
    sources: Vec<Source>,
    handle: SourcesHandle,
    stop: CancellationToken,
) {
    let calls = Arc::new(WebhookCalls::new(sources, handle));
    let serve = async {
        let listener = bind_with_retries(listen, |error| {
            let cure = "minuted keeps trying; sources are asked all the same. `ss -ltnp` shows who has the port";
            tracing::error!("webhooks cannot be accepted at `{listen}`: {error}; {cure}");
        })
        .await;
        tracing::info!("webhooks are accepted at http://{listen}");
        let serve = |stream| serve_connection(stream, Arc::clone(&calls));
        accept_connections(&listener, CONNECTIONS_MAX, serve).await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = serve => {}
    }
}

async fn serve_connection(stream: TcpStream, calls: Arc<WebhookCalls>) {
    let service = service_fn(move |request| {
        let calls = Arc::clone(&calls);
        async move { calls.answer_call(request).await }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(false);
    match tokio::time::timeout(CALL_MAX, server.serve_connection(TokioIo::new(stream), service))
        .await
    {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a webhook broke off: {error}"),
        Err(_) => tracing::debug!("a webhook took too long"),
    }
}
