//! The port: few connections, one call each, and none for long.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::calls::WebhookCalls;
use crate::{config::Source, sources::SourcesHandle};

/// Connections at once; more wait in the listen queue. A proxy in front makes one a call, and each holds a body at most.
const CONNECTIONS_MAX: usize = 32;

/// A caller sends its headers within this time.
const HEADERS_MAX: Duration = Duration::from_secs(5);

/// A caller sends everything within this time: the body is a few KiB on a local line.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(15);

/// Bytes of the headers; the vendor sends a few hundred.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// A port that is taken is tried again so often.
const BIND_RETRY_AFTER: Duration = Duration::from_secs(10);

/// The pause of the accept loop when file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes calls for `sources` at `listen` until `stop`, and tells `handle`. While the port is taken by another program it
/// is tried again, which is said once: recordings come without webhooks, too.
pub(crate) async fn serve_webhooks(
    listen: SocketAddr,
    sources: Vec<Source>,
    handle: SourcesHandle,
    stop: CancellationToken,
) {
    let calls = Arc::new(WebhookCalls::new(sources, handle));
    tokio::select! {
        () = stop.cancelled() => {}
        () = async { accept_calls(&bind_with_retries(listen).await, &calls).await } => {}
    }
}

async fn bind_with_retries(listen: SocketAddr) -> TcpListener {
    let mut is_said = false;
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => {
                tracing::info!("webhooks are accepted at http://{listen}");
                return listener;
            }
            Err(error) if !is_said => {
                let cure = "minuted keeps trying; sources are asked all the same. `ss -ltnp` shows who has the port";
                tracing::error!("webhooks cannot be accepted at `{listen}`: {error}; {cure}");
                is_said = true;
            }
            Err(error) => {
                tracing::debug!("webhooks still cannot be accepted at `{listen}`: {error}");
            }
        }
        tokio::time::sleep(BIND_RETRY_AFTER).await;
    }
}

/// Accepts until it is dropped; connections end with it.
async fn accept_calls(listener: &TcpListener, calls: &Arc<WebhookCalls>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, Arc::clone(calls)));
                }
                Err(error) => {
                    tracing::debug!("a webhook was not accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
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
