//! Folders and a queue for the tests of watching.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{FolderHandle, FolderQueue, WorkerLink};
use crate::{
    beneath::Stamp,
    config::{
        Backlog, Convert, Folder, Globs, Limits, OnSuccess, OnSuccessRemote, Recipients, Target,
        Transcript, Watch,
    },
    job::{Content, HoldReason},
    last_words::LastWords,
    open_files::OpenFiles,
    store::{FolderRoot, JobView, Settled, Sighting, Store, testing::WriteProbe},
};

/// Globs as the config compiles them.
pub(crate) fn globs(patterns: &[&str]) -> Globs {
    let mut set = globset::GlobSetBuilder::new();
    for pattern in patterns {
        set.add(globset::Glob::new(pattern).expect("a glob"));
    }
    Globs {
        patterns: patterns.iter().map(ToString::to_string).collect(),
        set: set.build().expect("a set"),
    }
}

/// What PAXS takes.
pub(crate) fn accepts() -> Vec<String> {
    [
        "mp3", "wav", "flac", "mpa", "aac", "opus", "m4a", "mpeg", "mpg", "mp4", "flv", "webm",
        "wmv", "3gp",
    ]
    .map(String::from)
    .to_vec()
}

/// A folder with the usual settings and a short time of settling.
pub(crate) fn folder(path: &Path) -> Folder {
    Folder {
        name: "sales".into(),
        id: "sales".into(),
        path: path.to_owned(),
        attendees: Vec::new(),
        calendar: None,
        service: "paxs".into(),
        analyses: Vec::new(),
        instruction: None,
        language: None,
        vocabulary: Vec::new(),
        speakers: crate::config::Speakers::Auto,
        recursive: true,
        include: globs(&["*"]),
        exclude: globs(&[]),
        watch: Watch::Auto,
        settle: Some(Duration::from_millis(100)),
        rescan: Some(Duration::from_secs(60)),
        backlog: Backlog::Process,
        convert: Convert::No,
        title: "{stem}".into(),
        deliver: vec![Target::Beside],
        notes_dir: None::<PathBuf>,
        notes_name: "{stem}.notes".into(),
        links: crate::config::Links::Off,
        tags: Vec::new(),
        email_to: Recipients::Attendees,
        formats: Vec::new(),
        on_success: OnSuccess::Keep,
        delete_recording_after: None,
        transcript: Transcript::Make,
        on_success_remote: OnSuccessRemote::Keep,
        prompt_template: None,
        file_mode: 0o660,
        sidecars: false,
        limits: Limits::default(),
    }
}

/// A queue in a directory of its own, as the only folder of a test uses it.
pub(crate) struct TestQueue {
    pub(crate) queue: Store,
    pub(crate) writes: Arc<WriteProbe>,
    state: tempfile::TempDir,
}

impl TestQueue {
    /// Makes a queue that knows nothing.
    pub(crate) fn new() -> Arc<Self> {
        let state = tempfile::tempdir().expect("a directory");
        let (queue, writes) = Store::open_probed(state.path());
        Arc::new(Self { queue, writes, state })
    }

    /// Makes a queue for a folder that had its first scan long ago.
    pub(crate) async fn with_baseline(root: &Path) -> Arc<Self> {
        let queue = Self::new();
        queue.record_baseline(baseline_of(root)).await;
        queue
    }

    pub(crate) fn of_folder(&self, folder: &Folder) -> FolderQueue {
        let link = WorkerLink {
            announce_jobs: Box::new(|| {}),
            announce_retries: Box::new(|| {}),
            handle_queue_error: Box::new(|_, _| {}),
            unsupported_reason: Box::new(String::new),
        };
        FolderQueue::new(
            self.queue.clone(),
            folder,
            Arc::new(LastWords::new(self.state.path())),
            link,
        )
    }

    pub(crate) async fn record_baseline(&self, root: FolderRoot) {
        self.queue.folders().record_root("sales", root).await.expect("recorded");
    }

    pub(crate) async fn baseline(&self) -> Option<FolderRoot> {
        self.queue.folders().read_root("sales").await.expect("read")
    }

    pub(crate) async fn record(&self, sightings: Vec<Sighting>) {
        self.queue.files().record("sales", sightings).await.expect("recorded");
    }

    pub(crate) async fn sightings(&self) -> Vec<Sighting> {
        self.queue.files().list("sales", Path::new("")).await.expect("read")
    }

    pub(crate) async fn sighting(&self, name: &str) -> Option<Sighting> {
        self.queue.files().find("sales", name.into()).await.expect("read")
    }

    /// Takes files of these stamps in, as recordings that hold their own names.
    pub(crate) async fn take(&self, files: Vec<(PathBuf, Stamp)>) {
        let settled = files.into_iter().map(|(path, stamp)| Settled {
            folder: "sales".into(),
            content: Some(Content::from_hash(&blake3::hash(path.as_os_str().as_encoded_bytes()))),
            path,
            stamp,
            sound: None,
            recorded: jiff::Timestamp::UNIX_EPOCH,
            backlog: false,
            unplayable: None,
            length_max: None,
            length: None,
        });
        self.queue
            .files()
            .take(settled.collect(), String::new(), crate::clock::now())
            .await
            .expect("taken");
    }

    /// Returns the jobs, in the order in which they were taken in.
    pub(crate) async fn jobs(&self) -> Vec<JobView> {
        self.queue.jobs().list(Vec::new(), None).await.expect("read")
    }

    pub(crate) async fn job_count(&self) -> u64 {
        self.queue
            .jobs()
            .count_by_state()
            .await
            .expect("read")
            .into_iter()
            .map(|(_, _, count)| count)
            .sum()
    }

    /// Returns how many jobs are of files that were there before minuted.
    pub(crate) async fn backlog_count(&self) -> usize {
        let mut count = 0;
        for job in self.jobs().await {
            let job = self.queue.jobs().find(job.id).await.expect("read").expect("a job");
            count += usize::from(job.backlog);
        }
        count
    }

    /// Returns the names of the jobs' files, sorted.
    pub(crate) async fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.jobs().await.into_iter().map(|job| job.path).collect();
        names.sort();
        names
    }

    /// Returns why the folder is held.
    pub(crate) async fn hold(&self) -> Option<HoldReason> {
        self.queue.holds().list().await.expect("read").first().map(|hold| hold.reason)
    }
}

/// A folder that is being watched.
pub(crate) struct Watched {
    pub(crate) queue: Arc<TestQueue>,
    pub(crate) handle: FolderHandle,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: JoinSet<anyhow::Result<()>>,
}

impl Watched {
    /// Begins to watch, with room for `hints_max` hints.
    pub(crate) fn begin(folder: Folder, queue: &Arc<TestQueue>, hints_max: usize) -> Self {
        Self::begin_with(folder, queue, hints_max, Arc::default())
    }

    /// As [`Self::begin`], with what is known of open files.
    pub(crate) fn begin_with(
        folder: Folder,
        queue: &Arc<TestQueue>,
        hints_max: usize,
        open_files: Arc<OpenFiles>,
    ) -> Self {
        let (handle, end) = crate::watch::open_folder_channel();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let memory = queue.of_folder(&folder);
        tasks.spawn(crate::watch::task::run_with(
            folder,
            accepts(),
            memory,
            end,
            stop.clone(),
            open_files,
            hints_max,
        ));
        Self { queue: Arc::clone(queue), handle, stop, tasks }
    }

    /// Begins to watch a folder that was met before, and waits for the first scan.
    pub(crate) async fn begin_known(folder: Folder) -> Self {
        let queue = TestQueue::with_baseline(&folder.path).await;
        let watched = Self::begin(folder, &queue, 4096);
        watched.handle.view().wait_quiet().await;
        watched
    }

    pub(crate) async fn until_jobs(&self, count: u64) {
        until(async || self.queue.job_count().await >= count).await;
    }

    pub(crate) async fn until_held(&self, reason: Option<HoldReason>) {
        until(async || self.queue.hold().await == reason).await;
    }

    /// Stops, and says that it went well.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no panic").expect("no error");
        }
    }
}

/// Where a folder lies that minuted has met long ago.
pub(crate) fn baseline_of(path: &Path) -> FolderRoot {
    let place = crate::beneath::Dir::open(path).expect("opened").place().expect("asked");
    FolderRoot::new(place, path, jiff::Timestamp::UNIX_EPOCH)
}

/// Waits for a condition, and fails when it takes far too long.
pub(crate) async fn until(condition: impl AsyncFn() -> bool) {
    for _ in 0..6000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("what was waited for never came");
}
