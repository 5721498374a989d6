//! The timers of the jobs that wait for results, in memory. Folders take turns.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::store::JobId;

/// Fallback interval between looks at a job whose service or folder is held, or not configured any more. A nudge that
/// the hold has ended comes sooner.
const HELD_EVERY: Duration = Duration::from_secs(60);

/// Delay for a job that is due while it is still being looked at.
const BUSY_AGAIN: Duration = Duration::from_secs(1);

/// The timers. A look costs one request, so they are spread by the service's pacer, which serves them in this order.
#[derive(Debug, Default)]
pub(crate) struct PollSchedule {
    heap: Mutex<TimerHeap>,
    changed: Notify,
    /// Counts the nudges, so that none is missed between finding a job held and setting its timer.
    nudges: AtomicU64,
}

/// The timers, one for each job: another one replaces it. A replaced timer stays in the heap until its time.
#[derive(Debug, Default)]
struct TimerHeap {
    /// The timers of each folder. Folders take turns: one with thousands of recordings delays no other.
    folders: BTreeMap<Arc<str>, BinaryHeap<Reverse<PollTimer>>>,
    /// The folder whose turn was last.
    last_folder: Option<Arc<str>>,
    /// The timer that counts for each job.
    serials: HashMap<JobId, u64>,
    /// The jobs that are being looked at, with their folders: nobody looks at the same job twice at once.
    in_progress: HashMap<JobId, Arc<str>>,
    last: u64,
}

impl TimerHeap {
    fn push_timer(&mut self, timer: PollTimer) {
        self.last += 1;
        self.serials.insert(timer.job, self.last);
        let timers = self.folders.entry(Arc::clone(&timer.folder)).or_default();
        timers.push(Reverse(PollTimer { serial: self.last, ..timer }));
    }

    fn drop_replaced(&mut self) {
        for timers in self.folders.values_mut() {
            while let Some(Reverse(timer)) = timers.peek()
                && self.serials.get(&timer.job) != Some(&timer.serial)
            {
                timers.pop();
            }
        }
        self.folders.retain(|_, timers| !timers.is_empty());
    }

    /// Returns the next time of each folder that has fewer than `of_folder_max` polls in progress.
    fn due_folders(&self, of_folder_max: usize) -> impl Iterator<Item = (&Arc<str>, Instant)> {
        let looks =
            |folder: &Arc<str>| self.in_progress.values().filter(|other| *other == folder).count();
        let may_look = move |folder: &Arc<str>| looks(folder) < of_folder_max;
        let folders = self.folders.iter().filter(move |(folder, _)| may_look(folder));
        folders.filter_map(|(folder, timers)| Some((folder, timers.peek()?.0.due)))
    }

    /// Takes the next timer that is due, of the folder that comes after the one whose turn was last.
    fn pop_due(&mut self, now: Instant, of_folder_max: usize) -> Option<PollTimer> {
        self.drop_replaced();
        let dues = self.due_folders(of_folder_max);
        let due: Vec<&Arc<str>> =
            dues.filter(|(_, due)| *due <= now).map(|(folder, _)| folder).collect();
        let later = due
            .iter()
            .find(|folder| self.last_folder.as_ref().is_none_or(|last| ***folder > *last));
        let folder = Arc::clone(later.or_else(|| due.first())?);
        let Reverse(timer) = self.folders.get_mut(&folder)?.pop()?;
        self.last_folder = Some(folder);
        Some(timer)
    }
}

/// The next look at a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PollTimer {
    due: Instant,
    /// The job.
    pub job: JobId,
    folder: Arc<str>,
    /// The number of this look; 1 is the first after the upload.
    pub looks: u32,
    /// True if it waits for a hold to end, and its time is only the fallback.
    held: bool,
    /// The number of this timer among those of its job: only the last one counts.
    serial: u64,
}

impl PollSchedule {
    /// Starts polling for a job of a folder, the first time after `first`.
    pub(crate) fn add_job(&self, job: JobId, folder: &str, first: Duration) {
        self.push_timer(PollTimer {
            due: Instant::now() + first,
            job,
            folder: folder.into(),
            looks: 1,
            held: false,
            serial: 0,
        });
    }

    /// Returns how many jobs wait for their analysis.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.lock_heap().serials.len()
    }

    /// Returns whether no job waits.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock_heap().serials.is_empty()
    }

    /// Makes the timers of held jobs due now: a hold may have ended.
    pub(crate) fn wake_held(&self) {
        self.nudges.fetch_add(1, Ordering::SeqCst);
        let mut heap = self.lock_heap();
        let due = Instant::now();
        let freed = |timer: PollTimer| {
            if timer.held { PollTimer { due, held: false, ..timer } } else { timer }
        };
        for timers in heap
            .folders
            .values_mut()
            .filter(|timers| timers.iter().any(|Reverse(timer)| timer.held))
        {
            *timers = std::mem::take(timers)
                .into_iter()
                .map(|Reverse(timer)| Reverse(freed(timer)))
                .collect();
        }
        drop(heap);
        self.changed.notify_one();
    }

    /// Returns how many nudges there were.
    pub(crate) fn count_nudges(&self) -> u64 {
        self.nudges.load(Ordering::SeqCst)
    }

    /// Sets the timer of a job that was found held when there had been `nudges`.
    pub(crate) fn add_held(&self, timer: PollTimer, nudges: u64) {
        let mut heap = self.lock_heap();
        let held = self.count_nudges() == nudges;
        let due = Instant::now() + if held { HELD_EVERY } else { Duration::ZERO };
        heap.push_timer(PollTimer { due, held, looks: timer.looks.saturating_add(1), ..timer });
        drop(heap);
        self.changed.notify_one();
    }

    /// Sets the timer of a job that was looked at and still waits.
    pub(crate) fn add_again(&self, timer: PollTimer, after: Duration) {
        let looks = timer.looks.saturating_add(1);
        self.push_timer(PollTimer { due: Instant::now() + after, looks, held: false, ..timer });
    }

    /// Sets the timer of a job again that could not be looked at: it is all that a waiting job has.
    pub(crate) fn add_soon(&self, timer: PollTimer) {
        self.push_timer(PollTimer { due: Instant::now() + BUSY_AGAIN, ..timer });
    }

    /// Waits until a timer was set or a look is over. Loses nothing when it is dropped.
    pub(crate) async fn wait_for_change(&self) {
        self.changed.notified().await;
    }

    fn push_timer(&self, timer: PollTimer) {
        self.lock_heap().push_timer(timer);
        self.changed.notify_one();
    }

    /// Returns when the next timer is due, of the folders with less than `of_folder_max` looks under way.
    pub(crate) fn next_due(&self, of_folder_max: usize) -> Option<Instant> {
        let mut heap = self.lock_heap();
        heap.drop_replaced();
        heap.due_folders(of_folder_max).map(|(_, due)| due).min()
    }

    /// Takes the next timer that is due; its job counts as being looked at until [`PollSchedule::finish_poll`].
    pub(crate) fn take_due(&self, now: Instant, of_folder_max: usize) -> Option<PollTimer> {
        let mut heap = self.lock_heap();
        loop {
            let timer = heap.pop_due(now, of_folder_max)?;
            if let Entry::Vacant(place) = heap.in_progress.entry(timer.job) {
                place.insert(Arc::clone(&timer.folder));
                heap.serials.remove(&timer.job);
                return Some(timer);
            }
            heap.push_timer(PollTimer { due: now + BUSY_AGAIN, ..timer });
        }
    }

    /// Notes that the look at a job is over.
    pub(crate) fn finish_poll(&self, job: JobId) {
        self.lock_heap().in_progress.remove(&job);
        self.changed.notify_one();
    }

    fn lock_heap(&self) -> MutexGuard<'_, TimerHeap> {
        self.heap.lock().expect("no thread panics while it holds the timers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId(1);

    const LOOKS_MAX: usize = 16;

    fn due(timers: &PollSchedule, seconds: u64) -> Option<u32> {
        timers
            .take_due(Instant::now() + Duration::from_secs(seconds), LOOKS_MAX)
            .map(|timer| timer.looks)
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_has_one_timer_and_the_last_one_set_counts() {
        let timers = PollSchedule::default();
        timers.add_job(JOB, "a", Duration::from_secs(100));
        timers.add_job(JOB, "a", Duration::from_secs(5));
        assert_eq!(timers.len(), 1);
        assert_eq!(due(&timers, 4), None);
        assert_eq!(due(&timers, 5), Some(1));
        timers.finish_poll(JOB);
        assert_eq!(
            (due(&timers, 1000), timers.next_due(LOOKS_MAX)),
            (None, None),
            "the first one was replaced"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_not_looked_at_twice_at_once() {
        let timers = PollSchedule::default();
        timers.add_job(JOB, "a", Duration::ZERO);
        assert_eq!(due(&timers, 0), Some(1));
        timers.add_job(JOB, "a", Duration::ZERO);
        timers.add_job(JobId(2), "a", Duration::ZERO);
        assert_eq!(
            timers.take_due(Instant::now(), LOOKS_MAX).map(|timer| timer.job),
            Some(JobId(2)),
            "others go on"
        );
        assert_eq!(due(&timers, 0), None);
        timers.finish_poll(JOB);
        assert_eq!(due(&timers, 1), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn folders_take_turns_however_many_jobs_of_one_are_due() {
        let timers = PollSchedule::default();
        (0..100).for_each(|job| timers.add_job(JobId(job), "flood", Duration::ZERO));
        timers.add_job(JobId(1000), "board", Duration::from_secs(1));
        timers.add_job(JobId(1001), "calls", Duration::from_secs(1));
        let now = Instant::now() + Duration::from_secs(1);
        let next = || timers.take_due(now, 4).map(|timer| timer.job.0);
        assert_eq!([next(), next(), next(), next()], [1000, 1001, 0, 1].map(Some));
        timers.add_job(JobId(1002), "board", Duration::ZERO);
        assert_eq!([next(), next()], [1002, 2].map(Some));
        // A folder has no more than its part under way, and nobody wakes up for it until one of them is over.
        assert_eq!([next(), next()], [Some(3), None]);
        assert_eq!(timers.next_due(4), None);
        timers.finish_poll(JobId(0));
        assert_eq!([next(), next()], [Some(4), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_nudge_frees_what_is_held_and_nothing_else() {
        let timers = PollSchedule::default();
        timers.add_job(JOB, "a", Duration::from_secs(100));
        timers.add_job(JobId(2), "a", Duration::ZERO);
        let timer = timers.take_due(Instant::now(), LOOKS_MAX).expect("due");
        timers.finish_poll(timer.job);
        timers.add_held(timer, timers.count_nudges());
        assert_eq!(due(&timers, 0), None);
        timers.wake_held();
        assert_eq!(
            timers.take_due(Instant::now(), LOOKS_MAX).map(|timer| timer.job),
            Some(JobId(2))
        );
    }
}
