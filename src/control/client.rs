//! Asking: the daemon when it runs, else ourselves.

use std::{io, path::Path, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

use super::{Answer, Desk, Refusal, Request, SOCKET};
use crate::{
    config::Settings,
    queue::{LockError, StateLock},
};

/// Bytes of an answer: a hundred thousand jobs are about 100 MB.
const ANSWER_MAX: u64 = 1 << 30;

/// Another command may hold the lock for a moment, and a daemon that starts may not listen yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who answers.
#[derive(Debug)]
pub enum Caller {
    /// The daemon, over its socket.
    Daemon(std::path::PathBuf),
    /// This process, which holds the state directory's lock.
    Local(Arc<Desk>),
}

/// Why nobody answers.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The state directory is not ours to use.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(#[from] crate::queue::QueueError),
    /// The daemon runs but does not answer.
    #[error("the daemon does not answer on `{socket}`: {error}")]
    Silent {
        /// Its socket.
        socket: String,
        /// Why.
        error: io::Error,
    },
    /// A service cannot be set up.
    #[error(transparent)]
    Setup(#[from] anyhow::Error),
}

impl Caller {
    /// Finds who answers: the daemon if one runs, else this process.
    ///
    /// # Errors
    /// [`ControlError`] when neither can.
    pub async fn connect(settings: Arc<Settings>) -> Result<Self, ControlError> {
        let socket = settings.state_dir.join(SOCKET);
        let begun = tokio::time::Instant::now();
        loop {
            match UnixStream::connect(&socket).await {
                Ok(_) => return Ok(Self::Daemon(socket)),
                // Nobody listens: the file is missing, or a daemon that died has left it.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
                Err(error) => return Err(ControlError::Silent { socket: shown(&socket), error }),
            }
            match StateLock::acquire(&settings.state_dir, Duration::ZERO).await {
                Ok(lock) => return Ok(Self::Local(Arc::new(Desk::local(settings, lock).await?))),
                // A daemon that starts, or another command: one of the two ways opens soon.
                Err(LockError::Held { .. }) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns whether the daemon answers.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        matches!(self, Self::Daemon(_))
    }

    /// Asks.
    ///
    /// # Errors
    /// The [`Refusal`], also when the daemon goes away.
    pub async fn ask(&self, request: Request) -> Answer {
        match self {
            Self::Local(desk) => desk.answer(request).await,
            Self::Daemon(socket) => over_socket(socket, &request).await.unwrap_or_else(|error| {
                Err(Refusal::new(format!("the daemon does not answer on `{}`: {error}", shown(socket)))
                    .hint("see `systemctl status minuted`, or the log of `minuted run`"))
            }),
        }
    }
}

async fn over_socket(socket: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket).await?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_MAX)).read_line(&mut answer).await?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}

fn shown(path: &Path) -> String {
    crate::text::printable_path(path)
}
