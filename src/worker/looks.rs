//! The looks at results: timers in memory, one for each job that waits for its analysis. A look that finds nothing new
//! writes nothing.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::anyhow;
use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};

use super::{Live, ServiceHandle, Worker};
use crate::{
    clock::{self, elapsed},
    config::Folder,
    job::{Remote, Setback, State, Wait},
    pipeline::analyse::{self, Look, interval},
    queue::{Job, JobId, Scope},
    services::{
        CallError,
        breaker::{Admission, Call},
    },
};

/// Looks under way at once: enough to use the allowed requests a second at a service that answers slowly.
const LOOKS_MAX: usize = 16;

/// Looks under way at once at jobs of one folder, where there are several folders. Those under way wait in the line of the
/// service's pacer, where folders do not take turns any more: a short line is soon over.
const LOOKS_OF_FOLDER_MAX: usize = 4;

/// A job whose service or folder is held, or not configured any more, is thought of again when that may have changed;
/// should nobody say so, after this.
const HELD_EVERY: Duration = Duration::from_secs(60);

/// A job that is due while it is still being looked at is thought of again after this.
const BUSY_AGAIN: Duration = Duration::from_secs(1);

/// The timers. A look costs one request, so they are spread by the service's pacer, which serves them in this order.
#[derive(Debug, Default)]
pub struct Timers {
    heap: Mutex<Heap>,
    changed: Notify,
    /// Counts the nudges, so that none is missed between finding a job held and setting its timer.
    nudges: AtomicU64,
}

/// One timer a job: setting another one replaces it. What is replaced stays in the heap until its time.
#[derive(Debug, Default)]
struct Heap {
    /// The timers of each folder. Folders take turns: one with thousands of recordings delays no other.
    folders: BTreeMap<Arc<str>, BinaryHeap<Reverse<Timer>>>,
    /// The folder whose turn was last.
    last_folder: Option<Arc<str>>,
    /// The timer that counts for each job.
    serials: HashMap<JobId, u64>,
    /// The jobs that are being looked at, with their folders: nobody looks at the same job twice at once.
    under_way: HashMap<JobId, Arc<str>>,
    last: u64,
}

impl Heap {
    fn push(&mut self, timer: Timer) {
        self.last += 1;
        self.serials.insert(timer.job, self.last);
        let timers = self.folders.entry(Arc::clone(&timer.folder)).or_default();
        timers.push(Reverse(Timer { serial: self.last, ..timer }));
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

    /// Returns the next time of each folder that has less than `of_folder_max` looks under way.
    fn dues(&self, of_folder_max: usize) -> impl Iterator<Item = (&Arc<str>, Instant)> {
        let looks = |folder: &Arc<str>| self.under_way.values().filter(|other| *other == folder).count();
        let may_look = move |folder: &Arc<str>| looks(folder) < of_folder_max;
        let folders = self.folders.iter().filter(move |(folder, _)| may_look(folder));
        folders.filter_map(|(folder, timers)| Some((folder, timers.peek()?.0.due)))
    }

    /// Takes the next timer that is due, of the folder that comes after the one whose turn was last.
    fn pop(&mut self, now: Instant, of_folder_max: usize) -> Option<Timer> {
        self.drop_replaced();
        let dues = self.dues(of_folder_max);
        let due: Vec<&Arc<str>> = dues.filter(|(_, due)| *due <= now).map(|(folder, _)| folder).collect();
        let later = due.iter().find(|folder| self.last_folder.as_ref().is_none_or(|last| ***folder > *last));
        let folder = Arc::clone(later.or_else(|| due.first())?);
        let Reverse(timer) = self.folders.get_mut(&folder)?.pop()?;
        self.last_folder = Some(folder);
        Some(timer)
    }
}

/// When a job is looked at, and how often it was before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    due: Instant,
    job: JobId,
    folder: Arc<str>,
    looks: u32,
    /// It waits for something that is held, and only falls back on its time.
    held: bool,
    /// Which timer of its job it is.
    serial: u64,
}

/// When a job that still waits is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// After this.
    After(Duration),
    /// When what holds it may be over.
    WhenFree,
}

impl Timers {
    /// Begins looking at a job of a folder, the first time after `first`.
    pub fn add(&self, job: JobId, folder: &str, first: Duration) {
        self.push(Timer { due: Instant::now() + first, job, folder: folder.into(), looks: 1, held: false, serial: 0 });
    }

    /// Returns how many jobs wait for their analysis.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap().serials.len()
    }

    /// Returns whether no job waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap().serials.is_empty()
    }

    /// Something changed: what was held is looked at now.
    pub(super) fn nudge(&self) {
        self.nudges.fetch_add(1, Ordering::SeqCst);
        let mut heap = self.heap();
        let due = Instant::now();
        let freed = |timer: Timer| if timer.held { Timer { due, held: false, ..timer } } else { timer };
        for timers in heap.folders.values_mut().filter(|timers| timers.iter().any(|Reverse(timer)| timer.held)) {
            *timers = std::mem::take(timers).into_iter().map(|Reverse(timer)| Reverse(freed(timer))).collect();
        }
        drop(heap);
        self.changed.notify_one();
    }

    fn nudges(&self) -> u64 {
        self.nudges.load(Ordering::SeqCst)
    }

    /// Sets the timer of a job that was found held when there had been `nudges`.
    fn push_held(&self, timer: Timer, nudges: u64) {
        let mut heap = self.heap();
        let held = self.nudges() == nudges;
        let due = Instant::now() + if held { HELD_EVERY } else { Duration::ZERO };
        heap.push(Timer { due, held, ..timer });
        drop(heap);
        self.changed.notify_one();
    }

    fn push(&self, timer: Timer) {
        self.heap().push(timer);
        self.changed.notify_one();
    }

    fn next_due(&self, of_folder_max: usize) -> Option<Instant> {
        let mut heap = self.heap();
        heap.drop_replaced();
        heap.dues(of_folder_max).map(|(_, due)| due).min()
    }

    /// Takes the next timer that is due; its job counts as being looked at until [`Timers::looked`].
    fn pop_due(&self, now: Instant, of_folder_max: usize) -> Option<Timer> {
        let mut heap = self.heap();
        loop {
            let timer = heap.pop(now, of_folder_max)?;
            if let Entry::Vacant(place) = heap.under_way.entry(timer.job) {
                place.insert(Arc::clone(&timer.folder));
                heap.serials.remove(&timer.job);
                return Some(timer);
            }
            heap.push(Timer { due: now + BUSY_AGAIN, ..timer });
        }
    }

    fn looked(&self, job: JobId) {
        self.heap().under_way.remove(&job);
        self.changed.notify_one();
    }

    fn heap(&self) -> MutexGuard<'_, Heap> {
        self.heap.lock().expect("no thread panics while it holds the timers")
    }
}

/// Looks at results until the worker stops. The timers of jobs that waited before the start are made first: the time
/// since their upload is on disk, so a restart begins neither the wait nor the upload anew.
pub async fn run(worker: Arc<Worker>) {
    match worker.queue.waiting_for_analysis().await {
        Ok(waiting) => waiting.iter().for_each(|job| worker.looks.add(job.id, &job.folder, Duration::ZERO)),
        Err(error) => worker.queue_failed("read what waits for analysis", &error),
    }
    let slots = Arc::new(tokio::sync::Semaphore::new(LOOKS_MAX));
    while !worker.stop.is_cancelled() {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let of_folder_max = if worker.live().folders.len() > 1 { LOOKS_OF_FOLDER_MAX } else { LOOKS_MAX };
        if let Some(timer) = worker.looks.pop_due(Instant::now(), of_folder_max) {
            let shared = Arc::clone(&worker);
            worker.tasks.spawn(async move {
                let job = timer.job;
                shared.contain(job, look(&shared, timer)).await;
                shared.looks.looked(job);
                drop(slot);
            });
        } else {
            drop(slot);
            pause(&worker, of_folder_max).await;
        }
    }
}

async fn pause(worker: &Worker, of_folder_max: usize) {
    let due = worker.looks.next_due(of_folder_max);
    let wait = async {
        match due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = worker.stop.cancelled() => {}
        () = worker.looks.changed.notified() => {}
        () = wait => {}
    }
}

async fn look(worker: &Arc<Worker>, timer: Timer) {
    let nudges = worker.looks.nudges();
    if let Err(error) = worker.follow_clock().await {
        worker.queue_failed("follow the clock", &error);
    }
    let job = match worker.queue.job(timer.job).await {
        Ok(Some(job)) => job,
        Ok(None) => return,
        Err(error) => {
            worker.queue_failed("read a job", &error);
            // Its timer is all that a waiting job has.
            return worker.looks.push(Timer { due: Instant::now() + BUSY_AGAIN, ..timer });
        }
    };
    if !matches!(job.state, State::Waiting { on: Wait::Analysis, .. }) {
        // It may have been the last to want a call that is held.
        worker.claims.notify_one();
        return;
    }
    let live = worker.live();
    let again = match parts(&live, &job) {
        Some((handle, folder)) if !is_held(worker, &handle).await => {
            tokio::select! {
                again = look_at(worker, &handle, &folder, &job, timer.looks) => again,
                () = worker.stop.cancelled() => None,
            }
        }
        Some(_) | None => Some(Again::WhenFree),
    };
    let next = Timer { looks: timer.looks.saturating_add(1), held: false, ..timer };
    match again {
        Some(Again::After(after)) => worker.looks.push(Timer { due: Instant::now() + after, ..next }),
        Some(Again::WhenFree) => worker.looks.push_held(next, nudges),
        None => {}
    }
}

fn parts(live: &Live, job: &Job) -> Option<(Arc<ServiceHandle>, Arc<Folder>)> {
    let handle = live.serving(&job.plan.as_ref()?.service)?;
    let folder = live.folders.get(&job.key.folder)?;
    Some((Arc::clone(handle), Arc::clone(folder)))
}

async fn is_held(worker: &Worker, handle: &ServiceHandle) -> bool {
    let holds = worker.queue.holds().await.unwrap_or_default();
    holds.iter().any(|hold| {
        hold.scope == Scope::Service && hold.name == handle.service.name() && hold.reason.blocks_known_meetings()
    })
}

/// Looks once; returns when to look again, `None` when the job does not wait for its analysis any more.
async fn look_at(
    worker: &Arc<Worker>,
    handle: &Arc<ServiceHandle>,
    folder: &Arc<Folder>,
    job: &Job,
    looks: u32,
) -> Option<Again> {
    match admits(worker, handle, job, Call::Look) {
        Admission::Go => {}
        Admission::Wait { until } => return Some(not_before(handle, until)),
        Admission::Probe => {
            if let Some(again) = cheap_read(worker, handle, job).await {
                return Some(again);
            }
        }
    }
    let context = worker.context(handle, folder);
    match analyse::look(&context, job).await {
        Ok(look) => {
            worker.succeeded(handle, job, Call::Look).await;
            looked(worker, handle, folder, job, look, looks).await
        }
        Err(setback) => failed(worker, handle, folder, job, Call::Look, setback).await,
    }
}

fn admits(worker: &Worker, handle: &ServiceHandle, job: &Job, call: Call) -> Admission {
    let others = !worker.looks.is_empty();
    handle.breakers().of(call).admits(job.id.0, others, clock::now())
}

/// The wait until a time; never shorter than between two looks, so that a clock that jumps makes no busy loop.
fn not_before(handle: &ServiceHandle, until: Timestamp) -> Again {
    Again::After(elapsed(clock::now(), until).max(handle.settings.poll.every))
}

/// Before a probe a cheap read must succeed; returns when to look again where it did not.
async fn cheap_read(worker: &Worker, handle: &ServiceHandle, job: &Job) -> Option<Again> {
    let error = handle.service.profile().await.err()?;
    let signed_out = matches!(error, CallError::SignedOut { .. });
    match error {
        CallError::Unavailable { after, .. } => {
            let again = handle.breakers().of(Call::Look).read_failed(job.id.0, clock::now(), after, clock::jitter());
            Some(not_before(handle, again.unwrap_or_else(clock::now)))
        }
        CallError::SignedOut { .. } | CallError::Forbidden { .. } => {
            handle.breakers().of(Call::Look).released(job.id.0);
            worker.service_refused(handle, signed_out, &error.into()).await;
            Some(Again::WhenFree)
        }
        CallError::Refused { .. } | CallError::File(_) => None,
    }
}

async fn looked(
    worker: &Arc<Worker>,
    handle: &Arc<ServiceHandle>,
    folder: &Arc<Folder>,
    job: &Job,
    look: Look,
    looks: u32,
) -> Option<Again> {
    let poll = &handle.settings.poll;
    match look {
        Look::Pending => Some(Again::After(interval(poll, looks, waited(job)))),
        Look::Ask(wanted) => {
            // What works while it is asked would keep the looks at all others waiting.
            let turn = handle.asks.as_ref().map(|asks| asks.try_acquire());
            if let Some(Err(_)) = turn {
                return Some(Again::After(poll.every));
            }
            // The look that came before is the cheap read of a probe.
            if let Admission::Wait { until } = admits(worker, handle, job, Call::Request) {
                return Some(not_before(handle, until));
            }
            let analyses: Vec<_> = wanted.iter().map(|(analysis, _)| *analysis).collect();
            let context = worker.context(handle, folder);
            if let Err(setback) = analyse::ask(&context, job, wanted).await {
                return failed(worker, handle, folder, job, Call::Request, setback).await;
            }
            worker.succeeded(handle, job, Call::Request).await;
            match worker.persist(|| worker.queue.requested(job, analyses.clone(), clock::now())).await {
                Ok(_) => Some(Again::After(poll.first)),
                Err(error) => {
                    worker.queue_failed("record a request", &error);
                    Some(Again::After(poll.every))
                }
            }
        }
        Look::Complete(reports) => {
            worker.arrived(handle, job).await;
            if let Some(plan) = &job.plan {
                worker.complete(handle, folder, job, plan, super::outcome::completed(reports)).await;
            }
            None
        }
        Look::Failed { from, error, complete } => {
            worker.arrived(handle, job).await;
            worker.own_failure(folder, job, from, &anyhow!(error), Some(complete)).await;
            None
        }
    }
}

/// Records why a look did not work out; returns when to look again where the job still waits.
async fn failed(
    worker: &Arc<Worker>,
    handle: &Arc<ServiceHandle>,
    folder: &Arc<Folder>,
    job: &Job,
    call: Call,
    setback: Setback,
) -> Option<Again> {
    worker.set_back(handle, folder, job, call, setback).await;
    let until = handle.breakers().of(call).until();
    let stays = match worker.queue.job(job.id).await {
        Ok(found) => found.is_some_and(|job| matches!(job.state, State::Waiting { on: Wait::Analysis, .. })),
        Err(error) => {
            worker.queue_failed("read a job", &error);
            true
        }
    };
    if !stays {
        // It may have been the last to want a call that is held.
        worker.claims.notify_one();
    }
    stays.then(|| until.map_or(Again::WhenFree, |until| not_before(handle, until)))
}

fn waited(job: &Job) -> Duration {
    match &job.remote {
        Remote::Uploaded { since, .. } => elapsed(*since, clock::now()),
        Remote::Nothing | Remote::Creating { .. } | Remote::Meeting { .. } => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId(1);

    fn due(timers: &Timers, seconds: u64) -> Option<u32> {
        timers.pop_due(Instant::now() + Duration::from_secs(seconds), LOOKS_MAX).map(|timer| timer.looks)
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_has_one_timer_and_the_last_one_set_counts() {
        let timers = Timers::default();
        timers.add(JOB, "a", Duration::from_secs(100));
        timers.add(JOB, "a", Duration::from_secs(5));
        assert_eq!(timers.len(), 1);
        assert_eq!(due(&timers, 4), None);
        assert_eq!(due(&timers, 5), Some(1));
        timers.looked(JOB);
        assert_eq!((due(&timers, 1000), timers.next_due(LOOKS_MAX)), (None, None), "the first one was replaced");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_not_looked_at_twice_at_once() {
        let timers = Timers::default();
        timers.add(JOB, "a", Duration::ZERO);
        assert_eq!(due(&timers, 0), Some(1));
        timers.add(JOB, "a", Duration::ZERO);
        timers.add(JobId(2), "a", Duration::ZERO);
        assert_eq!(timers.pop_due(Instant::now(), LOOKS_MAX).map(|timer| timer.job), Some(JobId(2)), "others go on");
        assert_eq!(due(&timers, 0), None);
        timers.looked(JOB);
        assert_eq!(due(&timers, 1), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn folders_take_turns_however_many_jobs_of_one_are_due() {
        let timers = Timers::default();
        (0..100).for_each(|job| timers.add(JobId(job), "flood", Duration::ZERO));
        timers.add(JobId(1000), "board", Duration::from_secs(1));
        timers.add(JobId(1001), "calls", Duration::from_secs(1));
        let now = Instant::now() + Duration::from_secs(1);
        let next = || timers.pop_due(now, 4).map(|timer| timer.job.0);
        assert_eq!([next(), next(), next(), next()], [1000, 1001, 0, 1].map(Some));
        timers.add(JobId(1002), "board", Duration::ZERO);
        assert_eq!([next(), next()], [1002, 2].map(Some));
        // A folder has no more than its part under way, and nobody wakes up for it until one of them is over.
        assert_eq!([next(), next()], [Some(3), None]);
        assert_eq!(timers.next_due(4), None);
        timers.looked(JobId(0));
        assert_eq!([next(), next()], [Some(4), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_nudge_frees_what_is_held_and_nothing_else() {
        let timers = Timers::default();
        timers.add(JOB, "a", Duration::from_secs(100));
        timers.add(JobId(2), "a", Duration::ZERO);
        let timer = timers.pop_due(Instant::now(), LOOKS_MAX).expect("due");
        timers.looked(timer.job);
        timers.push_held(timer, timers.nudges());
        assert_eq!(due(&timers, 0), None);
        timers.nudge();
        assert_eq!(timers.pop_due(Instant::now(), LOOKS_MAX).map(|timer| timer.job), Some(JobId(2)));
    }
}
