//! The daemon's socket for commands: `control.sock`, mode 0600, one question a line.

use std::{io, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Answer, ControlRequest, ControlService, Refusal, SOCKET, backup};
use crate::effect::Effect;

/// Bytes of the longest question; a path has at most 4 KiB.
const REQUEST_MAX: u64 = 1 << 20;

/// Commands that are answered at once.
const CALLERS_MAX: usize = 16;

/// Time limit of a question: a silent caller must not hold a slot.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers commands until `stop`. The caller holds the lock of the state directory, so an existing
/// socket is a dead one.
///
/// # Errors
/// When the socket cannot be made.
pub(crate) async fn serve(
    service: Arc<ControlService>,
    state_dir: &Path,
    stop: CancellationToken,
) -> io::Result<()> {
    let path = state_dir.join(SOCKET);
    let listener = open_socket(&path)?;
    let slots = Arc::new(Semaphore::new(CALLERS_MAX));
    let tasks = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("failed to accept a command: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                }
            },
        };
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let service = Arc::clone(&service);
        tasks.spawn(async move {
            if let Err(error) = answer_caller(&service, stream).await {
                tracing::debug!("a command went away: {error}");
            }
            drop(slot);
        });
    }
    tasks.close();
    tasks.wait().await;
    Effect::Hush.during(|| remove_socket(&path))
}

fn open_socket(path: &Path) -> io::Result<UnixListener> {
    Effect::Listen.during(|| {
        remove_socket(path)?;
        // The directory is 0700: nobody else can reach the socket between these two calls.
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    })
}

fn remove_socket(socket: &Path) -> io::Result<()> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn answer_caller(service: &ControlService, stream: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(REQUEST_MAX));
    tokio::time::timeout(REQUEST_TIMEOUT, reader.read_line(&mut line)).await??;
    if line.is_empty() {
        return Ok(());
    }
    let answer: Answer = match serde_json::from_str::<ControlRequest>(&line) {
        Ok(request) => {
            tracing::debug!("asked for `{}`", request.name());
            if request == ControlRequest::CopyQueue {
                return backup::hand_over(service, &mut writer).await;
            }
            service.answer(request).await
        }
        Err(error) => Err(Refusal::new(format!("the question is not understood: {error}"))
            .hint("the daemon is of another version: restart it")),
    };
    backup::write_answer(&mut writer, &answer).await
}
