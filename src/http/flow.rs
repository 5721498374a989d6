//! How an upload flows: who waits for whom since when, and the watchdog over it.
//!
//! A total limit would kill a healthy upload over a slow line, and a read timeout counts while nothing can be read. So
//! the stream itself says when the socket takes something, and the watchdog only looks at that.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Duration, Instant};

use super::Limits;
use crate::progress::Progress;

/// A server gets a second more to answer for each so many bytes that it may have to pass on.
const BYTES_A_SECOND: u64 = 10 * 1024 * 1024;

/// Why the body of an upload ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The file is not the one that was meant.
    #[error("the file changed")]
    Changed,
    /// The file cannot be read.
    #[error("the file could not be read: {0}")]
    Unreadable(String),
    /// Nobody waits for the upload.
    #[error("the upload was abandoned")]
    Abandoned,
}

/// Who is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The socket, to take what was read.
    Socket,
    /// The file, to be read.
    File,
    /// The server, to answer.
    Answer,
}

/// The state of one upload, shared by its body and its watchdog.
#[derive(Debug)]
pub(super) struct Flow {
    state: Mutex<State>,
    progress: Arc<Progress>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    fault: Option<Fault>,
}

impl Flow {
    pub(super) fn new(progress: Arc<Progress>, bytes: u64) -> Self {
        progress.start(bytes);
        let state = State { phase: Phase::Socket, since: Instant::now(), fault: None };
        Self { state: Mutex::new(state), progress }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket took a piece with so many bytes of the file.
    pub(super) fn taken(&self, bytes: u64) {
        self.progress.add(bytes);
        self.enter(Phase::Socket);
    }

    /// The socket wants a piece.
    pub(super) fn asked(&self) {
        if self.state().phase == Phase::Socket {
            self.enter(Phase::File);
        }
    }

    /// The socket took the last piece.
    pub(super) fn complete(&self) {
        self.enter(Phase::Answer);
    }

    /// The body ends here, by the fault of the file.
    pub(super) fn faulted(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        state.since = Instant::now();
    }

    /// Returns what was wrong with the file, if that ended the body.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.state().fault.clone()
    }

    /// Returns whether the socket has everything, so that the service may too.
    pub(super) fn is_complete(&self) -> bool {
        self.state().phase == Phase::Answer
    }

    /// Waits until the upload has stood still for longer than it may, and returns who is to blame.
    pub(super) async fn stalled(&self, limits: Limits) -> Stall {
        let answer = limits.answer + Duration::from_secs(self.progress.read().1 / BYTES_A_SECOND);
        loop {
            let (phase, since) = {
                let state = self.state();
                (state.phase, state.since)
            };
            let (limit, stall) = match phase {
                Phase::Socket => (limits.stall, Stall::Socket(limits.stall)),
                Phase::File => (limits.stall, Stall::File(limits.stall)),
                Phase::Answer => (answer, Stall::Answer(answer)),
            };
            let deadline = since + limit;
            if Instant::now() >= deadline {
                return stall;
            }
            // The next phase may have a shorter limit than this one.
            tokio::time::sleep_until(deadline.min(Instant::now() + limits.stall.min(answer))).await;
        }
    }
}

/// Who stood still, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stall {
    /// The way to the server.
    Socket(Duration),
    /// The disk.
    File(Duration),
    /// The server, after the last byte.
    Answer(Duration),
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { request: Duration::from_secs(30), stall: Duration::from_secs(60), answer: Duration::from_secs(120) };

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_moves_is_never_stalled_however_long_it_takes() {
        let flow = Flow::new(Arc::default(), 0);
        let hours = async {
            for _ in 0..600 {
                tokio::time::sleep(Duration::from_secs(59)).await;
                flow.taken(1);
            }
        };
        tokio::select! {
            stall = flow.stalled(LIMITS) => panic!("{stall:?}"),
            () = hours => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_names_who_stood_still() {
        let flow = Flow::new(Arc::default(), 20 * BYTES_A_SECOND);
        assert_eq!(flow.stalled(LIMITS).await, Stall::Socket(LIMITS.stall));
        flow.taken(1);
        flow.asked();
        assert_eq!(flow.stalled(LIMITS).await, Stall::File(LIMITS.stall));
        flow.complete();
        assert_eq!(flow.stalled(LIMITS).await, Stall::Answer(Duration::from_secs(140)));
    }
}
