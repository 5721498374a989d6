//! A file system that does not answer: a dead file server holds its own folder, and only that.

use std::{pin::pin, time::Duration};

use tokio::time::timeout;

use super::FolderTask;
use crate::{job::HoldReason, watch::scanner::FolderTrouble};

/// Longest time for which a file system may let nothing be looked at. Slow ones answer within seconds.
const SILENT_AFTER: Duration = Duration::from_secs(60);

impl FolderTask {
    /// Waits for a look at the folder, however long it takes. While nothing is answered, the folder is held.
    pub(super) async fn await_answer<T>(
        &mut self,
        look: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let mut look = pin!(look);
        let mut is_silent = false;
        loop {
            let before = self.scanner.pulse();
            match timeout(SILENT_AFTER, &mut look).await {
                Ok(done) => {
                    if is_silent {
                        // Its answer shows whether the folder is well.
                        self.schedule.scan_at_once();
                    }
                    return done;
                }
                Err(_) if self.scanner.pulse() != before => {}
                Err(_) => {
                    is_silent = true;
                    let detail =
                        "its file system has not answered for a minute; it resumes when it does";
                    self.report(Some(FolderTrouble {
                        kind: HoldReason::Silent,
                        detail: detail.to_owned(),
                    }))
                    .await;
                    // A command that waits for the folder need not wait for a dead server.
                    self.view().set_quiet(true);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::watch::{
        handle,
        testing::{TestQueue, accepts, folder},
    };

    #[tokio::test]
    async fn a_file_system_that_does_not_answer_holds_its_folder_and_is_told_once() {
        let tree = tempfile::tempdir().expect("a directory");
        let queue = TestQueue::with_baseline(tree.path()).await;
        let before = queue.writes.count();
        let (handle, end) = handle::open_folder_channel();
        let stop = CancellationToken::new();
        let settings = folder(tree.path());
        let memory = queue.of_folder(&settings);
        let begun =
            FolderTask::start(settings, &accepts(), memory, end, stop, Arc::default(), 10).await;
        let mut task = begun.expect("begun");
        let (answers, hung) = mpsc::channel::<u8>();
        let look = task.scanner.run(move |_| hung.recv());
        tokio::time::pause();
        let watching = async {
            tokio::time::advance(SILENT_AFTER + Duration::from_secs(1)).await;
            // The clock stands still for as long as a thread hangs.
            while !handle.view().is_quiet() {
                tokio::task::yield_now().await;
            }
            assert_eq!(queue.hold().await, Some(HoldReason::Silent));
            for _ in 0..2 {
                tokio::time::advance(SILENT_AFTER).await;
                tokio::task::yield_now().await;
            }
            answers.send(7).expect("somebody waits");
        };
        let (answer, ()) = tokio::join!(task.await_answer(look), watching);
        assert_eq!(answer.expect("no panic"), Ok(7));
        assert_eq!(
            queue.writes.count() - before,
            2,
            "it is held instead of what held it before, once"
        );
        tokio::time::resume();
        task.do_what_is_due().await.expect("scanned");
        assert_eq!(queue.hold().await, None);
    }
}
