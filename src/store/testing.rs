//! A queue for the tests of other modules: its writes are counted, and can be made to fail.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::mpsc;

use super::{
    Store,
    thread::{Thread, Work},
};

/// The writes of one queue.
#[derive(Debug, Default)]
pub(crate) struct WriteProbe {
    count: AtomicUsize,
    failures: AtomicUsize,
}

impl WriteProbe {
    /// Returns how many writes have reached the queue.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Has the next `failures` writes fail.
    pub(crate) fn fail_next(&self, failures: usize) {
        self.failures.store(failures, Ordering::SeqCst);
    }

    /// Returns how many writes are still to fail.
    pub(crate) fn failures_left(&self) -> usize {
        self.failures.load(Ordering::SeqCst)
    }

    /// Returns whether a write fails; only the thread of the probe calls it.
    fn takes_failure(&self) -> bool {
        let left = self.failures_left();
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
        }
        left > 0
    }
}

impl Store {
    /// Opens the queue in `state_dir`, with a probe on its writes.
    pub(crate) fn open_probed(state_dir: &Path) -> (Self, Arc<WriteProbe>) {
        let queue = Self::open(state_dir).expect("opened");
        let probe = Arc::<WriteProbe>::default();
        let passes = Arc::clone(&probe);
        let (calls, mut arriving) = mpsc::channel::<Work>(1);
        let broken = Arc::clone(&queue.broken);
        let writer = queue.writer.calls.clone();
        std::thread::spawn(move || {
            while let Some(work) = arriving.blocking_recv() {
                // A call that is dropped is answered with an error.
                if !passes.takes_failure() {
                    passes.count.fetch_add(1, Ordering::SeqCst);
                    writer.blocking_send(work).expect("the writer is there");
                }
            }
        });
        (Self { writer: Thread { calls, broken }, ..queue }, probe)
    }
}
