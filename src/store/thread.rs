//! A connection on a thread of its own.

use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{StoreError, sql::Database};
use crate::hint::Hinted;

/// A call that runs on the thread.
pub(super) type Work = Box<dyn FnOnce(&dyn Database) + Send>;

/// Calls that may wait for the thread. Each caller waits for its answer, so this bounds callers,
/// not work.
const WAITING_MAX: usize = 256;

/// A handle on the thread; the thread ends, and closes its connection, when the last handle is
/// dropped.
#[derive(Debug, Clone)]
pub(super) struct Thread {
    pub(super) calls: mpsc::Sender<Work>,
    pub(super) broken: Arc<Broken>,
}

/// The error after which the threads of the queue do nothing more, once there is one.
#[derive(Debug, Default)]
pub(super) struct Broken {
    signal: CancellationToken,
    why: OnceLock<Hinted>,
}

impl Broken {
    /// Waits until the queue is broken, and returns why.
    pub(super) async fn wait(&self) -> Hinted {
        self.signal.cancelled().await;
        self.why.get().cloned().expect("the reason is kept before the signal is given")
    }

    fn check(&self, error: &StoreError) {
        if error.breaks() {
            self.why.get_or_init(|| error.breakage());
            self.signal.cancel();
        }
    }
}

impl Thread {
    pub(super) fn start(
        name: &str,
        database: Box<dyn Database>,
        broken: Arc<Broken>,
    ) -> Result<Self, StoreError> {
        let (calls, mut waiting) = mpsc::channel::<Work>(WAITING_MAX);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Some(work) = waiting.blocking_recv() {
                    work(&*database);
                }
            })
            .map_err(|error| StoreError::Open {
                path: String::new(),
                reason: error.to_string(),
                hint: None,
                lasts: false,
            })?;
        Ok(Self { calls, broken })
    }

    /// Runs `work` on the thread. Once begun it ends, even when the caller goes away.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let broken = Arc::clone(&self.broken);
        let work: Work = Box::new(move |database| {
            let done =
                if broken.signal.is_cancelled() { Err(StoreError::Closed) } else { work(database) };
            if let Err(error) = &done {
                broken.check(error);
            }
            // A caller that has gone away wants no answer.
            drop(answer.send(done));
        });
        self.calls.send(work).await.map_err(|_| StoreError::Closed)?;
        // Paused time runs on whenever a runtime is idle, unless it waits for a thread of its own.
        #[cfg(test)]
        let answered = async {
            tokio::task::spawn_blocking(|| answered.blocking_recv())
                .await
                .expect("it only waits for an answer")
        };
        answered.await.map_err(|_| StoreError::Closed)?
    }
}
