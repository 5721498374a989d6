//! A panic in the work of one job is a failure of that job, and of nobody else.

use std::{panic::AssertUnwindSafe, sync::Arc};

use anyhow::anyhow;
use futures_util::FutureExt as _;

use super::Worker;
use crate::{
    job::{Stage, State, Wait},
    store::JobId,
    text::panic_message,
};

impl Worker {
    /// Does the work of a job. When that panics, the job has failed once, where the queue says that it stands.
    pub(super) async fn catch_panic(self: &Arc<Self>, job: JobId, work: impl Future<Output = ()>) {
        if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
            let error = anyhow!("a bug: minuted panicked: {}", panic_message(panic.as_ref()));
            tracing::error!(job.id = job.0, "job {job}: {error}");
            for handle in self.runtime.live().services.values() {
                // A probe that told nothing of its call leaves it to another job.
                handle.health.release_probes(job.0);
            }
            self.fail_after_panic(job, &error).await;
        }
    }

    async fn fail_after_panic(self: &Arc<Self>, id: JobId, error: &anyhow::Error) {
        let job = match self.runtime.queue.jobs().find(id).await {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(error) => return self.runtime.queue_failed("read a job", &error),
        };
        let from = match &job.state {
            State::Running { stage } => *stage,
            State::Waiting { on: Wait::Analysis, .. } => Stage::Analyse,
            State::Ready { .. }
            | State::Waiting { .. }
            | State::Done
            | State::Failed
            | State::Skipped
            | State::Cancelled => return,
        };
        if let Some(folder) = self.runtime.live().folders.get(&job.key.folder) {
            self.count_failure(folder, &job, from, error, None).await;
        }
    }
}
