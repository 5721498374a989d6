//! The claims over a long outage: a real queue and real files, a service that is played, time that is paused.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Worker, claims};
use crate::{
    beneath::Stamp,
    clock, config,
    job::{Content, Key, Report, Suspect},
    runtime::{LiveConfig, Runtime, ServiceHandle},
    services::{
        AnalysisRequest, Attachment, CallError, NewMeeting, NotesService, Upload, pacer::Pacer,
        paxs::PaxsService,
    },
    store::{Scope, Settled, Store},
};

const HOUR: Duration = Duration::from_secs(3600);

/// How long a call takes; short against every delay.
const CALL: Duration = Duration::from_secs(1);

/// What is out for an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    Nothing,
    Everything,
    /// The cheap read works: only a probe finds out.
    Creating,
    /// The first recording alone breaks the call, for ever.
    First,
}

#[derive(Debug, Default)]
struct Seen {
    /// The dear calls of the outage and the first after it: when each began and ended, and for which job.
    creates: Vec<(Instant, Instant, String)>,
    reads: usize,
    at_once: usize,
    at_once_max: usize,
    uploaded: usize,
}

/// A service that is out for an hour from its beginning.
#[derive(Debug)]
struct Played {
    name: &'static str,
    out: Out,
    until: Instant,
    wanted: usize,
    seen: Mutex<Seen>,
    all_uploaded: Notify,
}

impl Played {
    fn new(name: &'static str, out: Out, wanted: usize) -> Arc<Self> {
        let until = Instant::now() + HOUR;
        let seen = Mutex::default();
        let all_uploaded = Notify::new();
        Arc::new(Self { name, out, until, wanted, seen, all_uploaded })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no call panics")
    }

    fn works(&self, out: &[Out]) -> Result<(), CallError> {
        if out.contains(&self.out) && Instant::now() < self.until {
            return Err(CallError::Unavailable {
                message: "out".into(),
                after: None,
                uncertain: false,
                suspect: Suspect::Either,
            });
        }
        Ok(())
    }

    /// Takes its time, and counts who else does.
    async fn busy(&self) {
        {
            let mut seen = self.seen();
            seen.at_once += 1;
            seen.at_once_max = seen.at_once_max.max(seen.at_once);
        }
        tokio::time::sleep(CALL).await;
        self.seen().at_once -= 1;
    }
}

#[async_trait]
impl NotesService for Played {
    fn name(&self) -> &str {
        self.name
    }

    fn accepted_extensions(&self) -> &'static [&'static str] {
        &["mp3"]
    }

    async fn read_profile(&self) -> Result<Value, CallError> {
        self.seen().reads += 1;
        self.works(&[Out::Everything]).map(|()| Value::Null)
    }

    async fn create_meeting(&self, meeting: &NewMeeting) -> Result<String, CallError> {
        let begun = Instant::now();
        let mut works = self.works(&[Out::Everything, Out::Creating]);
        let is_first =
            self.seen().creates.first().is_none_or(|(.., first)| *first == meeting.key.to_string());
        if self.out == Out::First && is_first {
            let message = "what is this".into();
            let suspect = Suspect::Either;
            works = Err(CallError::Unavailable { message, after: None, uncertain: false, suspect });
        }
        self.busy().await;
        self.seen().creates.push((begun, Instant::now(), meeting.key.to_string()));
        works.map(|()| meeting.key.to_string())
    }

    async fn upload_recording(&self, meeting: &str, _: Upload) -> Result<String, CallError> {
        self.busy().await;
        let mut seen = self.seen();
        seen.uploaded += 1;
        if seen.uploaded == self.wanted {
            self.all_uploaded.notify_one();
        }
        Ok(meeting.to_owned())
    }

    async fn find_meeting(
        &self,
        _: &Key,
        _: &str,
        _: Timestamp,
    ) -> Result<Option<String>, CallError> {
        Ok(None)
    }

    async fn list_markers(&self) -> Result<Vec<(Key, String)>, CallError> {
        Ok(Vec::new())
    }

    async fn list_attachments(&self, _: &str) -> Result<Vec<Attachment>, CallError> {
        Ok(Vec::new())
    }

    async fn read_reports(&self, _: &str, _: &str) -> Result<Vec<Report>, CallError> {
        Ok(Vec::new())
    }

    async fn request_analyses(&self, _: &AnalysisRequest<'_>) -> Result<(), CallError> {
        Ok(())
    }

    async fn list_meetings(&self, _: u32) -> Result<Vec<Value>, CallError> {
        Ok(Vec::new())
    }

    async fn read_meeting(&self, _: &str) -> Result<Value, CallError> {
        Ok(Value::Null)
    }
}

/// A worker whose services are played, each with a folder of its name and so many recordings.
struct Stage {
    worker: Arc<Worker>,
    /// Held for its lifetime: without a sender there are no settings.
    _live: watch::Sender<Arc<LiveConfig>>,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn set(services: &[&Arc<Played>]) -> Self {
        // A thousand jobs are thousands of commits: where there is a file system in memory they go there.
        let shm = Path::new("/dev/shm");
        let dir = tempfile::tempdir_in(if shm.is_dir() { shm } else { Path::new("/tmp") })
            .expect("a directory");
        let settings = settings(dir.path(), services);
        let queue = Store::open(&settings.state_dir).expect("opened");
        let tasks = TaskTracker::new();
        let mut live = LiveConfig::build(Arc::new(settings), &tasks, None).expect("built");
        let mut handles = BTreeMap::new();
        for service in services {
            let settings = live.settings.services[service.name].clone();
            let pacer = Arc::new(Pacer::new(std::num::NonZeroU32::MIN));
            let account = {
                let config::Kind::Paxs(paxs) = &settings.kind else { panic!("not PAXS") };
                PaxsService::new(&settings, paxs, &live.settings.state_dir, pacer, tasks.clone())
                    .expect("built")
            };
            let played: Arc<dyn NotesService> = Arc::clone(service) as Arc<dyn NotesService>;
            let handle = ServiceHandle::new(played, Some(account), settings, live.settings.retry);
            handles.insert(service.name.to_owned(), Arc::new(handle));
            drop_recordings(&queue, dir.path(), service).await;
        }
        live.services = handles;
        let (live, receiver) = watch::channel(Arc::new(live));
        let worker = Arc::new(Worker::new(Arc::new(Runtime::new(
            queue,
            receiver,
            CancellationToken::new(),
            CancellationToken::new(),
        ))));
        worker.runtime.tasks.spawn(claims::run(Arc::clone(&worker)));
        Self { worker, _live: live, dir }
    }

    async fn is_held(&self) -> bool {
        !self.worker.runtime.queue.holds().list().await.expect("read").is_empty()
    }

    async fn notices(&self) -> Vec<String> {
        let (notices, _) =
            self.worker.runtime.queue.holds().list_unsent_notices(100).await.expect("read");
        notices.into_iter().map(|notice| notice.text).collect()
    }
}

fn settings(dir: &Path, services: &[&Arc<Played>]) -> config::Settings {
    let mut text =
        format!("state_dir = \"{}\"\n[workers]\nuploads = 4\n", dir.join("state").display());
    let mut folders = String::new();
    fs::create_dir(dir.join("state")).expect("made");
    for name in services.iter().map(|service| service.name) {
        let path = dir.join(name);
        fs::create_dir(&path).expect("made");
        writeln!(text, "[services.{name}]\nkind = \"paxs\"\nbase_url = \"http://127.0.0.1:9\"")
            .expect("a string takes all");
        writeln!(
            folders,
            "[[folder]]\nname = \"{name}\"\nservice = \"{name}\"\npath = \"{}\"\n\
             attendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}]",
            path.display()
        )
        .expect("a string takes all");
    }
    let file = dir.join("config.toml");
    fs::write(&file, text + &folders).expect("written");
    config::load(&file).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

async fn drop_recordings(queue: &Store, dir: &Path, service: &Played) {
    drop_some(queue, dir, service, 0..service.wanted).await;
}

async fn drop_some(queue: &Store, dir: &Path, service: &Played, numbers: std::ops::Range<usize>) {
    let recordings = numbers.map(|number| {
        let name = format!("r{number:04}.mp3");
        let bytes = format!("{} {number}", service.name);
        let path = dir.join(service.name).join(&name);
        fs::write(&path, &bytes).expect("written");
        Settled {
            folder: service.name.into(),
            path: name.into(),
            stamp: Stamp::of(&File::open(&path).expect("there")).expect("read"),
            content: Some(Content::from_hash(&blake3::hash(bytes.as_bytes()))),
            recorded: clock::now(),
            backlog: false,
            unplayable: None,
            length_max: None,
            length: None,
            sound: None,
        }
    });
    queue
        .files()
        .take(recordings.collect(), "not taken".into(), clock::now())
        .await
        .expect("taken");
}

/// The nominal gaps of DESIGN § 5: 1 min, growing fivefold up to 15 min, with a fifth of jitter to either side.
fn assert_backs_off(begun: &[Instant]) {
    let nominal = [60, 300].into_iter().chain(std::iter::repeat(900));
    for (gap, nominal) in begun.windows(2).map(|pair| pair[1] - pair[0]).zip(nominal) {
        let least = nominal * 8 / 10;
        let most = nominal * 12 / 10 + 10;
        assert!(
            (least..=most).contains(&gap.as_secs()),
            "{gap:?} where {nominal} s are due: {begun:?}"
        );
    }
}

/// One probe at a time while it lasts, one call alone when it is over, and then no more at once than allowed.
fn assert_in_line(service: &Played, out: Out, jobs: usize) {
    let seen = service.seen();
    let (during, after): (Vec<_>, Vec<_>) =
        seen.creates.iter().partition(|(begun, ..)| *begun < service.until);
    // What was under way when the first failed (with one that may have begun in that moment, to be compared with it),
    // then one at a time; none where even a cheap read fails.
    let begun: Vec<_> = during.iter().map(|(begun, ..)| *begun).collect();
    let under_way = begun.iter().filter(|begun| **begun <= during[0].1).count();
    assert!((4..=5).contains(&under_way), "{during:?}");
    let probes = &during[under_way..];
    if out == Out::Creating {
        assert!((4..=8).contains(&probes.len()), "{probes:?}");
        assert_backs_off(&begun[under_way - 1..]);
        assert!(
            probes.windows(2).all(|pair| pair[0].2 != pair[1].2),
            "each probe is another job: {probes:?}"
        );
        let spread = begun.windows(2).skip(5).map(|pair| (pair[1] - pair[0]).as_millis());
        let spread: std::collections::BTreeSet<_> = spread.collect();
        assert!(spread.len() > 1, "without jitter they would come together: {spread:?}");
    } else {
        assert!(probes.is_empty(), "{probes:?}");
    }
    assert!(seen.reads <= 12, "{} cheap reads in an hour", seen.reads);
    // The first to get through goes alone; then so many as the configuration allows.
    assert!(after[0].1 <= after[1].0, "{:?} {:?}", after[0], after[1]);
    assert!(
        after[0].0 - service.until <= Duration::from_secs(1100),
        "it was found at the next probe"
    );
    assert_eq!((after.len(), seen.uploaded, seen.at_once_max), (jobs, jobs, 4));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_jobs_sit_out_an_hour_and_come_back_in_line() {
    clock::paused::follow_tokio();
    let jobs = crate::budget::budget(250);
    for out in [Out::Creating, Out::Everything] {
        let jobs = usize::try_from(jobs).expect("small");
        let service = Played::new("paxs", out, jobs);
        let stage = Stage::set(&[&service]).await;
        service.all_uploaded.notified().await;
        assert_in_line(&service, out, jobs);
        let told = stage.notices().await;
        assert!(told.len() == 1 && told[0].contains("does not work"), "{told:?}");
        for id in 1..=jobs {
            let id = crate::store::JobId(i64::try_from(id).expect("small"));
            assert_eq!(
                stage
                    .worker
                    .runtime
                    .queue
                    .jobs()
                    .find(id)
                    .await
                    .expect("read")
                    .expect("there")
                    .attempts,
                0
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_out_touches_no_other() {
    clock::paused::follow_tokio();
    let out = Played::new("out", Out::Everything, 40);
    let fine = Played::new("fine", Out::Nothing, 40);
    let stage = Stage::set(&[&out, &fine]).await;
    fine.all_uploaded.notified().await;
    assert!(Instant::now() < fine.until, "long before the other comes back");
    let (creates, reads) = {
        let seen = fine.seen();
        (seen.creates.len(), seen.reads)
    };
    assert_eq!((creates, reads, out.seen().uploaded), (40, 0, 0));
    let holds = stage.worker.runtime.queue.holds().list().await.expect("read");
    assert_eq!(
        holds.iter().map(|hold| (hold.scope, hold.name.as_str())).collect::<Vec<_>>(),
        [(Scope::Service, "out")]
    );
    out.all_uploaded.notified().await;
    assert_eq!(stage.notices().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_whose_last_failed_job_is_cancelled_is_found_to_work_by_a_cheap_read() {
    clock::paused::follow_tokio();
    let service = Played::new("paxs", Out::Creating, 1);
    let stage = Stage::set(&[&service]).await;
    while !stage.is_held().await || !stage.worker.activity.is_empty() {
        tokio::time::sleep(CALL).await;
    }
    stage
        .worker
        .runtime
        .queue
        .jobs()
        .cancel(crate::store::JobId(1), clock::now())
        .await
        .expect("cancelled");
    while stage.is_held().await {
        tokio::time::sleep(CALL).await;
    }
    assert!(Instant::now() < service.until);
    assert_eq!(service.seen().creates.len(), 1);
    assert_eq!(stage.notices().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_alone_breaks_its_call_ends_within_hours_and_holds_no_other() {
    clock::paused::follow_tokio();
    let service = Played::new("paxs", Out::First, 1);
    let stage = Stage::set(&[&service]).await;
    let begun = Instant::now();
    let job = |id| {
        let queue = stage.worker.runtime.queue.clone();
        async move { queue.jobs().find(crate::store::JobId(id)).await.expect("read").expect("there") }
    };
    // Long after it has failed for the first time, when it is tried at its slowest pace, another one comes.
    while service.seen().creates.len() < 4 {
        tokio::time::sleep(CALL).await;
    }
    assert_eq!(job(1).await.attempts, 0, "it may be the service");
    drop_some(&stage.worker.runtime.queue, stage.dir.path(), &service, 1..2).await;
    let dropped = Instant::now();
    stage.worker.runtime.nudge();
    service.all_uploaded.notified().await;
    assert!(dropped.elapsed() < CALL * 10, "it waited for {:?}", dropped.elapsed());
    assert!(!stage.is_held().await);
    // From here on it is compared.
    while job(1).await.state != crate::job::State::Failed {
        tokio::time::sleep(CALL).await;
        assert!(begun.elapsed() < HOUR * 12, "it ends");
    }
    let failed = job(1).await;
    assert_eq!(failed.attempts, 3);
    let told = failed.error.expect("told");
    assert!(
        told.contains("the server answers, but not to this file") && told.contains("what is this"),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_recording_with_nothing_to_compare_it_with_ends_after_three_failures_an_hour_apart() {
    clock::paused::follow_tokio();
    let service = Played::new("paxs", Out::First, 1);
    let stage = Stage::set(&[&service]).await;
    let begun = Instant::now();
    let job = || stage.worker.runtime.queue.jobs().find(crate::store::JobId(1));
    while job().await.expect("read").expect("there").state != crate::job::State::Failed {
        tokio::time::sleep(CALL).await;
        assert!(begun.elapsed() < HOUR * 6, "it ends");
    }
    assert!(begun.elapsed() > HOUR * 2, "a service that is down for an hour is not its fault");
    assert!(service.seen().creates.len() <= 10, "{} copies", service.seen().creates.len());
    assert!(!stage.is_held().await, "the service is not down");
    assert_eq!(
        stage.notices().await.iter().filter(|told| told.contains("does not work")).count(),
        1
    );
}
