//! Backups of the queue: the daemon hands the copy over, and the command alone opens the target.
//!
//! The daemon may have a `/tmp` of its own and no access to homes (`PrivateTmp=`, `ProtectHome=`),
//! so a path of the command means nothing there.

use std::{io, path::PathBuf};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Answer, Caller, ControlRequest, ControlService, Refusal, client};
use crate::{
    store::{CopyPlace, StoreError},
    text::printable_path,
};

impl Caller {
    /// Copies the queue to `target`, an absolute path at which nothing may lie. Returns the bytes
    /// of the copy, which is durable and was read through.
    ///
    /// # Errors
    /// The [`Refusal`]; there is no file at `target` then.
    pub(crate) async fn back_up(&self, target: PathBuf) -> Result<u64, Refusal> {
        match self {
            Self::Local(service) => Ok(service.queue.backup(target).await?),
            Self::Daemon { socket, tell } => {
                // An unusable target is reported before the daemon makes a copy in vain.
                let place = run_blocking(move || CopyPlace::open(&target)).await?;
                let opened = client::open(socket, &ControlRequest::CopyQueue, *tell).await;
                let (answer, rest) =
                    opened.map_err(|error| client::unanswered_refusal(socket, &error))?;
                let bytes = answer?["bytes"].as_u64().ok_or_else(|| {
                    Refusal::new("the daemon sends no copy")
                        .hint("it is of another version: restart it")
                })?;
                let place = receive_copy(place, rest.take(bytes), bytes).await?;
                run_blocking(move || place.place()).await
            }
        }
    }
}

/// Takes all bytes of a copy to its place.
async fn receive_copy(
    place: CopyPlace,
    mut from: impl AsyncRead + Unpin,
    bytes: u64,
) -> Result<CopyPlace, Refusal> {
    let mut file = tokio::fs::File::from_std(place.file()?);
    let mut taken = 0;
    let mut buffer = vec![0; 1 << 16];
    while taken < bytes {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if read == 0 {
            let message =
                format!("the daemon stopped after {taken} of the {bytes} bytes of the copy");
            return Err(Refusal::new(message).hint("see the log of the daemon, and try again"));
        }
        file.write_all(&buffer[..read]).await.map_err(|error| place.unwritten(&error))?;
        taken += read as u64;
    }
    file.flush().await.map_err(|error| place.unwritten(&error))?;
    Ok(place)
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.unwrap_or(Err(StoreError::Closed))?)
}

impl ControlService {
    /// Makes a copy of the queue that has no name and is gone when it is closed. Returns it with its bytes.
    ///
    /// # Errors
    /// When the copy cannot be made: the disk of the state directory is full, for example.
    pub(crate) async fn copy_queue(&self) -> Result<(std::fs::File, u64), Refusal> {
        let state_dir = self.live_settings().settings.state_dir.clone();
        let copy = self.queue.copy_aside(state_dir).await?;
        let opened = copy.reopen().and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = opened.map_err(|error| {
            Refusal::new(format!(
                "failed to read the copy `{}`: {error}",
                printable_path(copy.path())
            ))
        })?;
        Ok((file, bytes))
    }
}

/// Hands over a copy of the queue: an answer with its `bytes`, then these.
pub(super) async fn hand_over(
    service: &ControlService,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    match service.copy_queue().await {
        Ok((file, bytes)) => {
            write_answer(&mut to, &Ok(serde_json::json!({ "bytes": bytes }))).await?;
            tokio::io::copy(&mut tokio::fs::File::from_std(file).take(bytes), &mut to).await?;
            to.flush().await
        }
        Err(refusal) => write_answer(&mut to, &Err(refusal)).await,
    }
}

/// Writes an answer on its line.
pub(super) async fn write_answer(
    to: &mut (impl AsyncWrite + Unpin),
    answer: &Answer,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    to.write_all(&line).await
}
