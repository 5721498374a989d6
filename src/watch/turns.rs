//! Turns at reading: the files of all folders are read in slices, and folders take turns.
//!
//! A recording may be a terabyte, and a file system may not answer. So nobody reads to the end of a file while others
//! wait: after a slice a reader goes to the end of the line. A folder reads one slice at a time, so that one whose file
//! system hangs leaves the other reader to the rest.

use std::{
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Slices that the whole process reads at once: two fill the disk, and leave the machine to others.
static READERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// A slice that takes longer than this gives its turn back: a file system that does not answer holds up nobody.
const SLICE_MAX: Duration = Duration::from_secs(60);

/// The line of one folder: one slice at a time.
#[derive(Debug, Clone)]
pub(super) struct FolderLine {
    own: Arc<Semaphore>,
    /// The line of all folders.
    shared: Arc<Semaphore>,
}

impl FolderLine {
    /// Returns the line of a folder among those that share these readers.
    fn among(shared: &Arc<Semaphore>) -> Self {
        Self { own: Arc::new(Semaphore::new(1)), shared: Arc::clone(shared) }
    }
}

impl Default for FolderLine {
    fn default() -> Self {
        Self::among(&READERS)
    }
}

/// The turn of one batch of files.
#[derive(Debug)]
pub(super) struct ReadingTurn {
    line: FolderLine,
    stop: CancellationToken,
    held: Mutex<Option<ReadingPermit>>,
}

/// The right to read a slice.
#[derive(Debug)]
struct ReadingPermit {
    since: Instant,
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

impl ReadingTurn {
    /// Waits for the first slice.
    pub(super) async fn begin(line: FolderLine, stop: CancellationToken) -> Arc<Self> {
        let turn = Self { line, stop, held: Mutex::default() };
        turn.wait_turn().await;
        Arc::new(turn)
    }

    /// Lets others read, and waits for the next slice. For a thread that may block.
    pub(super) fn pass_on(&self) {
        self.give_back();
        Handle::current().block_on(self.wait_turn());
    }

    /// Ends the turn, whatever its reader does.
    pub(super) fn give_back(&self) {
        drop(self.permit().take());
    }

    /// Returns when the slice has taken too long.
    pub(super) async fn wait_overdue(&self) {
        loop {
            let age = self.permit().as_ref().map_or(Duration::ZERO, |held| held.since.elapsed());
            if age >= SLICE_MAX {
                return;
            }
            tokio::time::sleep(SLICE_MAX.saturating_sub(age)).await;
        }
    }

    /// Waits in the folder's line, then in that of all; not at all once there is nothing to wait for.
    async fn wait_turn(&self) {
        let held = async {
            let own = Arc::clone(&self.line.own).acquire_owned().await.ok()?;
            let shared = Arc::clone(&self.line.shared).acquire_owned().await.ok()?;
            Some(ReadingPermit { since: Instant::now(), _own: own, _shared: shared })
        };
        tokio::select! {
            held = held => *self.permit() = held,
            () = self.stop.cancelled() => {}
        }
    }

    fn permit(&self) -> MutexGuard<'_, Option<ReadingPermit>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the lines of two folders; each test has readers of its own, for its time is its own.
    fn two_lines() -> [FolderLine; 2] {
        let shared = Arc::new(Semaphore::new(2));
        [FolderLine::among(&shared), FolderLine::among(&shared)]
    }

    /// Reads `slices` slices of a folder's file, and notes each.
    async fn read(name: char, slices: usize, line: &FolderLine, order: &Arc<Mutex<String>>) {
        let turn = ReadingTurn::begin(line.clone(), CancellationToken::new()).await;
        for _ in 0..slices {
            order.lock().expect("no panic").push(name);
            tokio::time::sleep(Duration::from_secs(1)).await;
            turn.give_back();
            turn.wait_turn().await;
        }
        turn.give_back();
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_file_is_read_between_the_slices_of_large_ones() {
        let order = Arc::new(Mutex::default());
        let [a, b] = two_lines();
        let large = async {
            tokio::join!(
                read('a', 50, &a, &order),
                read('A', 50, &a, &order),
                read('x', 50, &a, &order)
            )
        };
        let small = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            read('b', 1, &b, &order).await;
            order.lock().expect("no panic").len()
        };
        let read_until_small = tokio::select! {
            _ = large => panic!("a large file was read to its end first"),
            read = small => read,
        };
        assert!(read_until_small <= 8, "{order:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_folder_whose_file_system_hangs_leaves_a_reader_to_the_others_and_its_turn_ends() {
        let [hung, other] = two_lines();
        let order = Arc::new(Mutex::default());
        let begun = Instant::now();
        let first = ReadingTurn::begin(hung.clone(), CancellationToken::new()).await;
        tokio::time::timeout(Duration::from_secs(10), read('b', 3, &other, &order))
            .await
            .expect("not held up");
        let second = ReadingTurn::begin(hung, CancellationToken::new());
        let give_back = async {
            first.wait_overdue().await;
            first.give_back();
        };
        tokio::join!(second, give_back);
        assert!(begun.elapsed() < SLICE_MAX + Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait() {
        let [line, _] = two_lines();
        let stop = CancellationToken::new();
        let _first = ReadingTurn::begin(line.clone(), CancellationToken::new()).await;
        stop.cancel();
        drop(ReadingTurn::begin(line, stop).await);
    }
}
