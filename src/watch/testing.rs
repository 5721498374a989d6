//! Folders and a queue in memory for the tests of watching.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{FolderHandle, Ledger, Root, Taken};
use crate::{
    beneath::Stamp,
    config::{
        Backlog, Convert, Folder, Globs, Limits, OnSuccess, OnSuccessRemote, Recipients, Target, Transcript, Watch,
    },
    job::HoldReason,
    last_words::Mark,
    open_files::OpenFiles,
    queue::{Settled, Sighting, Verdict},
};

/// Globs as the config compiles them.
pub(crate) fn globs(patterns: &[&str]) -> Globs {
    let mut set = globset::GlobSetBuilder::new();
    for pattern in patterns {
        set.add(globset::Glob::new(pattern).expect("a glob"));
    }
    Globs { patterns: patterns.iter().map(ToString::to_string).collect(), set: set.build().expect("a set") }
}

/// What PAXS takes.
pub(crate) fn accepts() -> Vec<String> {
    ["mp3", "wav", "flac", "mpa", "aac", "opus", "m4a", "mpeg", "mpg", "mp4", "flv", "webm", "wmv", "3gp"]
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
        service: "paxs".into(),
        analyses: Vec::new(),
        instruction: None,
        language: None,
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
        email_to: Recipients::Attendees,
        formats: Vec::new(),
        on_success: OnSuccess::Keep,
        transcript: Transcript::Make,
        on_success_remote: OnSuccessRemote::Keep,
        prompt_template: None,
        file_mode: 0o660,
        sidecars: false,
        limits: Limits::default(),
    }
}

/// A queue in memory: a model of what the durable one does.
#[derive(Debug, Default)]
pub(crate) struct Model {
    state: Mutex<Memory>,
}

/// What the model remembers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) sightings: BTreeMap<PathBuf, Sighting>,
    pub(crate) jobs: Vec<Settled>,
    pub(crate) root: Option<Root>,
    pub(crate) set_aside: Vec<(PathBuf, Stamp)>,
    pub(crate) held: Option<HoldReason>,
    pub(crate) mounts: Vec<PathBuf>,
    /// Each call in short, in order.
    pub(crate) calls: Vec<String>,
    /// The next so many calls that write fail.
    pub(crate) failures: usize,
}

impl Model {
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.state.lock().expect("no test panics with it")
    }

    fn write(&self, call: String) -> anyhow::Result<MutexGuard<'_, Memory>> {
        let mut memory = self.memory();
        if memory.failures > 0 {
            memory.failures -= 1;
            anyhow::bail!("the disk is full");
        }
        memory.calls.push(call);
        Ok(memory)
    }

    /// The names of the jobs' files, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let memory = self.memory();
        let mut names: Vec<_> = memory.jobs.iter().map(|job| crate::text::printable_path(&job.path)).collect();
        names.sort();
        names
    }
}

#[async_trait]
impl Ledger for Model {
    async fn sightings(&self, _: &str, after: &Path) -> anyhow::Result<Vec<Sighting>> {
        let mut all: Vec<Sighting> = self.memory().sightings.values().cloned().collect();
        all.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
        all.retain(|sighting| sighting.path.as_os_str() > after.as_os_str());
        all.truncate(3);
        Ok(all)
    }

    async fn see(&self, _: &str, seen: Vec<Sighting>) -> anyhow::Result<()> {
        let mut memory = self.write(format!("see {}", seen.len()))?;
        memory.sightings.extend(seen.into_iter().map(|sighting| (sighting.path.clone(), sighting)));
        Ok(())
    }

    async fn gone(&self, _: &str, paths: Vec<PathBuf>) -> anyhow::Result<()> {
        let mut memory = self.write(format!("gone {paths:?}"))?;
        memory.sightings.retain(|path, _| !paths.contains(path));
        Ok(())
    }

    async fn take(&self, settled: Vec<Settled>) -> anyhow::Result<Vec<Taken>> {
        let names: Vec<_> = settled.iter().map(|settled| &settled.path).collect();
        let mut memory = self.write(format!("take {names:?}"))?;
        let mut taken = Vec::new();
        for settled in settled {
            let job = i64::try_from(memory.jobs.len()).expect("few");
            let (path, stamp, now) = (settled.path.clone(), settled.stamp, crate::clock::now());
            let (path_seen, verdict) = (path.clone(), Verdict::Taken { job });
            let sighting = Sighting { path: path_seen, stamp, first: now, since: now, verdict, written_boot: None };
            memory.sightings.insert(path.clone(), sighting);
            memory.jobs.push(settled);
            taken.push(Taken { path, job });
        }
        Ok(taken)
    }

    fn mark(&self, _: &str, _: &Path, _: Stamp) -> Option<Mark> {
        None
    }

    async fn has_job_of_size(&self, _: &str, _: u64) -> anyhow::Result<bool> {
        Ok(false)
    }

    async fn set_aside(&self, _: &str) -> anyhow::Result<Vec<(PathBuf, Stamp)>> {
        Ok(self.memory().set_aside.clone())
    }

    async fn folder_root(&self, _: &str) -> anyhow::Result<Option<Root>> {
        Ok(self.memory().root.clone())
    }

    async fn meet(&self, _: &str, root: Root) -> anyhow::Result<()> {
        self.write("meet".into())?.root = Some(root);
        Ok(())
    }

    async fn hold_folder(&self, _: &str, trouble: HoldReason, _: String) -> anyhow::Result<()> {
        self.write(format!("hold {}", trouble.as_str()))?.held = Some(trouble);
        Ok(())
    }

    async fn release_folder(&self, _: &str) -> anyhow::Result<()> {
        self.write("release".into())?.held = None;
        Ok(())
    }

    async fn mounts(&self, _: &str) -> anyhow::Result<Vec<PathBuf>> {
        Ok(self.memory().mounts.clone())
    }

    async fn remember_mounts(&self, _: &str, mounts: Vec<PathBuf>) -> anyhow::Result<()> {
        let mut memory = self.write(format!("mounts {mounts:?}"))?;
        memory.mounts = mounts;
        Ok(())
    }

    async fn wake(&self, _: &str) -> anyhow::Result<()> {
        self.write("wake".into()).map(drop)
    }
}

/// A folder that is being watched.
pub(crate) struct Watched {
    pub(crate) model: Arc<Model>,
    pub(crate) handle: FolderHandle,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: JoinSet<anyhow::Result<()>>,
}

impl Watched {
    /// Begins to watch, with room for `hints_max` hints.
    pub(crate) fn begin(folder: Folder, model: &Arc<Model>, hints_max: usize) -> Self {
        Self::begin_with(folder, model, hints_max, Arc::default())
    }

    /// As [`Self::begin`], with what is known of open files.
    pub(crate) fn begin_with(folder: Folder, model: &Arc<Model>, hints_max: usize, open_files: Arc<OpenFiles>) -> Self {
        let ((handle, end), stop, mut tasks) = (crate::watch::handle(), CancellationToken::new(), JoinSet::new());
        let ledger: Arc<dyn Ledger> = Arc::clone(model) as Arc<dyn Ledger>;
        let task = crate::watch::run_with(folder, accepts(), ledger, end, stop.clone(), open_files, hints_max);
        tasks.spawn(task);
        Self { model: Arc::clone(model), handle, stop, tasks }
    }

    /// Begins to watch a folder that was met before, and waits for the first scan.
    pub(crate) async fn met(folder: Folder) -> Self {
        let model = Arc::new(Model::default());
        model.memory().root = Some(met(&folder.path));
        let watched = Self::begin(folder, &model, 4096);
        watched.handle.view().wait_quiet().await;
        watched
    }

    pub(crate) async fn until(&self, condition: impl Fn(&Memory) -> bool) {
        until(|| condition(&self.model.memory())).await;
    }

    pub(crate) async fn until_jobs(&self, count: usize) {
        self.until(|memory| memory.jobs.len() >= count).await;
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
pub(crate) fn met(path: &Path) -> Root {
    let place = crate::beneath::Dir::open(path).expect("opened").place().expect("asked");
    Root::new(place, path, jiff::Timestamp::UNIX_EPOCH)
}

/// Waits for a condition, and fails when it takes far too long.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("what was waited for never came");
}
