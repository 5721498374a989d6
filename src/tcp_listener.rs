//! A port that waits for callers: taken as soon as it is free, with a bounded number of connections.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A port that is taken is tried again so often.
const BIND_RETRY_AFTER: Duration = Duration::from_secs(10);

/// The pause of the accept loop when file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes a port. While another program has it, `report` is told of the error once, and the port is tried again.
pub(crate) async fn bind_with_retries(
    listen: SocketAddr,
    report: impl Fn(&std::io::Error),
) -> TcpListener {
    let mut is_reported = false;
    loop {
        match TcpListener::bind(listen).await {
            Ok(listener) => return listener,
            Err(error) if !is_reported => {
                report(&error);
                is_reported = true;
            }
            Err(error) => tracing::debug!("`{listen}` still cannot be used: {error}"),
        }
        tokio::time::sleep(BIND_RETRY_AFTER).await;
    }
}

/// Accepts until it is dropped, `connections_max` callers at once; connections end with it.
pub(crate) async fn accept_connections<S>(
    listener: &TcpListener,
    connections_max: usize,
    serve: impl Fn(TcpStream) -> S,
) where
    S: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < connections_max => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream));
                }
                Err(error) => {
                    tracing::debug!("a caller was not accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
