//! The caller's side: it asks the daemon when one runs, else it answers itself.

use std::{
    io,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time::timeout,
};

use super::{Answer, ControlRequest, ControlService, Refusal, SOCKET};
use crate::{
    config::Settings,
    store::{LockError, StateLock, as_user, owner_of, user_name},
    text::{format_duration, printable_path},
};

/// Bytes of the largest answer: a hundred thousand jobs are about 100 MB.
const ANSWER_MAX: u64 = 1 << 30;

/// Time for which the lock and the socket are tried again: another command may hold the lock for a
/// moment, and a daemon that starts may not listen yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time without an answer after which a waiting person is told whom the command waits for. A
/// healthy daemon answers sooner.
const SILENCE: Duration = Duration::from_secs(5);

/// Time limit of a quick question: the slowest of its answers is a list of all jobs.
const QUICK: Duration = Duration::from_secs(60);

/// The cure for a daemon that does not answer.
const RESTART: &str =
    "restart it: systemctl restart minuted, or end it and start `minuted run` again";

/// The party that answers.
#[derive(Debug)]
pub(crate) enum Caller {
    /// The daemon, over its socket.
    Daemon {
        /// Its socket.
        socket: PathBuf,
        /// Reports to a waiting person that it does not answer yet.
        tell: fn(&str),
    },
    /// This process, which holds the state directory's lock.
    Local(Arc<ControlService>),
}

/// The error of finding someone who answers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The state directory cannot be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(#[from] crate::store::StoreError),
    /// The socket is another user's.
    #[error("you may not ask this minuted: it belongs to user {name}", name = user_name(*owner))]
    NotYours {
        /// Its owner.
        owner: u32,
    },
    /// Something holds the state directory and cannot be asked.
    #[error("a minuted uses the state directory `{dir}`, but its socket `{SOCKET}` is not there")]
    Deaf {
        /// The directory.
        dir: String,
    },
    /// The daemon runs but does not answer.
    #[error("the daemon does not answer on `{socket}`: {error}")]
    Silent {
        /// Its socket.
        socket: String,
        /// The cause.
        error: io::Error,
    },
    /// A service cannot be set up.
    #[error(transparent)]
    Setup(#[from] anyhow::Error),
}

impl ControlError {
    /// Returns the cure, where it is known.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NotYours { owner } => Some(as_user(*owner)),
            Self::Deaf { .. } => {
                Some(format!("if it is the daemon, {RESTART}; another command ends by itself"))
            }
            Self::Lock(error) => Some(error.hint()),
            Self::Queue(error) => error.hint().map(str::to_owned),
            Self::Silent { .. } | Self::Setup(_) => None,
        }
    }
}

impl Caller {
    /// Finds the party that answers: the daemon if one runs, else this process.
    ///
    /// # Errors
    /// [`ControlError`] when neither can.
    pub(crate) async fn connect(settings: Arc<Settings>) -> Result<Self, ControlError> {
        let dir = &settings.state_dir;
        let socket = dir.join(SOCKET);
        let begun = tokio::time::Instant::now();
        loop {
            match UnixStream::connect(&socket).await {
                Ok(_) => return Ok(Self::of_daemon(socket)),
                Err(error) if nobody_listens(&error) => {}
                Err(error) => return Err(unanswered_socket(dir, &socket, error)),
            }
            match StateLock::acquire(dir, Duration::ZERO).await {
                Ok(lock) => {
                    return Ok(Self::Local(Arc::new(
                        ControlService::for_one_command(settings, lock).await?,
                    )));
                }
                // A starting daemon, or another command: one of the two ways opens soon.
                Err(LockError::Held { .. }) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(LockError::Held { dir }) => return Err(ControlError::Deaf { dir }),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns a caller of the daemon behind this socket.
    #[must_use]
    pub(crate) fn of_daemon(socket: PathBuf) -> Self {
        Self::Daemon { socket, tell: |_| {} }
    }

    /// Reports by `tell` when the daemon takes long to answer.
    #[must_use]
    pub(crate) fn with_delay_notice(self, tell: fn(&str)) -> Self {
        match self {
            Self::Daemon { socket, .. } => Self::Daemon { socket, tell },
            Self::Local(service) => Self::Local(service),
        }
    }

    /// Returns whether the daemon answers.
    #[must_use]
    pub(crate) fn is_daemon(&self) -> bool {
        matches!(self, Self::Daemon { .. })
    }

    /// Asks a question.
    ///
    /// # Errors
    /// The [`Refusal`], also when the daemon goes away.
    pub(crate) async fn ask(&self, request: ControlRequest) -> Answer {
        match self {
            Self::Local(service) => service.answer(request).await,
            Self::Daemon { socket, tell } => over_socket(socket, &request, *tell)
                .await
                .unwrap_or_else(|error| Err(unanswered_refusal(socket, &error))),
        }
    }
}

/// Returns whether no daemon listens: the file is missing, or a daemon that died has left it. A
/// directory of another kind is reported by the lock.
fn nobody_listens(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | ConnectionRefused | NotADirectory)
}

fn unanswered_socket(dir: &Path, socket: &Path, error: io::Error) -> ControlError {
    let me = rustix::process::geteuid().as_raw();
    match owner_of(dir)
        .filter(|owner| error.kind() == io::ErrorKind::PermissionDenied && *owner != me)
    {
        Some(owner) => ControlError::NotYours { owner },
        None => ControlError::Silent { socket: printable_path(socket), error },
    }
}

async fn over_socket(
    socket: &Path,
    request: &ControlRequest,
    tell: fn(&str),
) -> io::Result<Answer> {
    open(socket, request, tell).await.map(|(answer, _)| answer)
}

/// Asks, and returns the answer with what may follow it on the socket.
pub(super) async fn open(
    socket: &Path,
    request: &ControlRequest,
    tell: fn(&str),
) -> io::Result<(Answer, BufReader<UnixStream>)> {
    let mut stream = BufReader::new(UnixStream::connect(socket).await?);
    let pid = stream.get_ref().peer_cred().ok().and_then(|peer| peer.pid());
    let daemon =
        pid.map_or_else(|| "the daemon".to_owned(), |pid| format!("the daemon (pid {pid})"));
    let answer = {
        let mut conversation = pin!(exchange_lines(&mut stream, request));
        if let Ok(answer) = timeout(SILENCE, &mut conversation).await {
            answer?
        } else if request.takes_long() {
            tell(&format!("{daemon} has not answered yet; this may take a while"));
            conversation.await?
        } else {
            tell(&format!(
                "{daemon} does not answer yet; waiting {} more",
                format_duration(QUICK.saturating_sub(SILENCE))
            ));
            timeout(QUICK.saturating_sub(SILENCE), conversation).await.unwrap_or_else(|_| {
                Ok(Err(Refusal::new(format!(
                    "{daemon} has not answered for {}",
                    format_duration(QUICK)
                ))
                .hint(RESTART)))
            })?
        }
    };
    Ok((answer, stream))
}

async fn exchange_lines(
    stream: &mut BufReader<UnixStream>,
    request: &ControlRequest,
) -> io::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_line(&mut answer).await?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}

/// Returns the error of a daemon that ended during a question.
pub(super) fn unanswered_refusal(socket: &Path, error: &io::Error) -> Refusal {
    Refusal::new(format!("the daemon does not answer on `{}`: {error}", printable_path(socket)))
        .hint("see `systemctl status minuted`, or the log of `minuted run`")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_never_answers_is_told_of_and_given_up() {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join(SOCKET);
        let _silent = tokio::net::UnixListener::bind(&socket).expect("bound");
        let caller = Caller::of_daemon(socket)
            .with_delay_notice(|text| TOLD.with_borrow_mut(|told| told.push(text.to_owned())));
        let refusal = caller.ask(ControlRequest::Status).await.expect_err("nobody answers");
        let shown = format!(
            "{}\n{}\n{}",
            TOLD.take().join("\n"),
            refusal.message,
            refusal.hint.unwrap_or_default()
        );
        insta::assert_snapshot!(shown.replace(&std::process::id().to_string(), "7"), @r"
        the daemon (pid 7) does not answer yet; waiting 55s more
        the daemon (pid 7) has not answered for 60s
        restart it: systemctl restart minuted, or end it and start `minuted run` again
        ");
    }
}
