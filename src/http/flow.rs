//! The progress of an upload: which side waits for the other since when, and the watchdog over it.
//!
//! A total limit would kill a healthy upload over a slow line, and a read timeout counts while
//! nothing can be read. So the stream itself says when the socket takes something, and the watchdog
//! only looks at that.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Duration, Instant};

use super::CallLimits;
use crate::progress::Progress;

/// A server gets a second more to answer for each so many bytes that it may have to pass on.
const BYTES_A_SECOND: u64 = 10 * 1024 * 1024;

/// The reason that the body of an upload ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyFault {
    /// The file is not the one that was to be sent.
    #[error("the file changed")]
    Changed,
    /// The file cannot be read.
    #[error("the file could not be read: {0}")]
    Unreadable(String),
    /// The upload was abandoned.
    #[error("the upload was abandoned")]
    Abandoned,
}

/// The side that the upload waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UploadPhase {
    /// The socket, to take the read bytes.
    Socket,
    /// The file, to be read.
    File,
    /// The server, to answer.
    Answer,
}

/// The state of one upload, shared by its body and its watchdog.
#[derive(Debug)]
pub(super) struct UploadFlow {
    state: Mutex<FlowState>,
    progress: Arc<Progress>,
}

#[derive(Debug)]
struct FlowState {
    phase: UploadPhase,
    since: Instant,
    fault: Option<BodyFault>,
}

impl UploadFlow {
    pub(super) fn new(progress: Arc<Progress>, bytes: u64) -> Self {
        progress.start(bytes);
        let state = FlowState { phase: UploadPhase::Socket, since: Instant::now(), fault: None };
        Self { state: Mutex::new(state), progress }
    }

    fn lock_state(&self) -> std::sync::MutexGuard<'_, FlowState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the socket took a piece with `bytes` of the file.
    pub(super) fn chunk_taken(&self, bytes: u64) {
        self.progress.add(bytes);
        self.enter_phase(UploadPhase::Socket);
    }

    /// Records that the socket wants a piece.
    pub(super) fn chunk_wanted(&self) {
        if self.lock_state().phase == UploadPhase::Socket {
            self.enter_phase(UploadPhase::File);
        }
    }

    /// Records that the socket took the last piece.
    pub(super) fn mark_complete(&self) {
        self.enter_phase(UploadPhase::Answer);
    }

    /// Records the fault of the file that ends the body.
    pub(super) fn record_fault(&self, fault: BodyFault) {
        self.lock_state().fault = Some(fault);
    }

    fn enter_phase(&self, phase: UploadPhase) {
        let mut state = self.lock_state();
        state.phase = phase;
        state.since = Instant::now();
    }

    /// Returns the fault of the file, if that ended the body.
    pub(super) fn recorded_fault(&self) -> Option<BodyFault> {
        self.lock_state().fault.clone()
    }

    /// Returns whether the socket has everything, so that the service may too.
    pub(super) fn is_complete(&self) -> bool {
        self.lock_state().phase == UploadPhase::Answer
    }

    /// Waits until the upload has stalled for longer than allowed, and returns the side that
    /// stalled.
    pub(super) async fn wait_for_stall(&self, limits: CallLimits) -> UploadStall {
        let answer = limits.answer + Duration::from_secs(self.progress.read().1 / BYTES_A_SECOND);
        loop {
            let (phase, since) = {
                let state = self.lock_state();
                (state.phase, state.since)
            };
            let (limit, stall) = match phase {
                UploadPhase::Socket => (limits.stall, UploadStall::Socket(limits.stall)),
                UploadPhase::File => (limits.stall, UploadStall::File(limits.stall)),
                UploadPhase::Answer => (answer, UploadStall::Answer(answer)),
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

/// The side that stalled, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadStall {
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

    const LIMITS: CallLimits = CallLimits {
        request: Duration::from_secs(30),
        stall: Duration::from_secs(60),
        answer: Duration::from_secs(120),
    };

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_moves_is_never_stalled_however_long_it_takes() {
        let flow = UploadFlow::new(Arc::default(), 0);
        let hours = async {
            for _ in 0..600 {
                tokio::time::sleep(Duration::from_secs(59)).await;
                flow.chunk_taken(1);
            }
        };
        tokio::select! {
            stall = flow.wait_for_stall(LIMITS) => panic!("{stall:?}"),
            () = hours => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_names_who_stood_still() {
        let flow = UploadFlow::new(Arc::default(), 20 * BYTES_A_SECOND);
        assert_eq!(flow.wait_for_stall(LIMITS).await, UploadStall::Socket(LIMITS.stall));
        flow.chunk_taken(1);
        flow.chunk_wanted();
        assert_eq!(flow.wait_for_stall(LIMITS).await, UploadStall::File(LIMITS.stall));
        flow.mark_complete();
        assert_eq!(
            flow.wait_for_stall(LIMITS).await,
            UploadStall::Answer(Duration::from_secs(140))
        );
    }
}
