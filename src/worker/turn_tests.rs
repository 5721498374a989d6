//! Folders take turns at work on this machine: a real queue and real files, an engine that is played, time that is paused.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Worker, claims, slots::TURN};
use crate::{
    beneath::Stamp,
    clock, config,
    job::{Content, Report},
    progress::Unit,
    runtime::{LiveConfig, Runtime, ServiceHandle},
    services::{AnalysisRequest, Attachment, CallError, NotesService, Upload},
    store::{Settled, Store},
};

/// How much sooner what was heard before is heard again: some four seconds for an hour of sound.
const AGAIN: u64 = 20;

/// What an engine did: the name of the recording, when it began and when it ended, and whether it was done then.
type Run = (String, Instant, Option<Instant>);

/// An engine that needs a second for a second of sound, and finds again what it had heard when it was interrupted.
#[derive(Debug, Default)]
struct PlayedEngine {
    heard: Mutex<BTreeMap<String, u64>>,
    runs: Mutex<Vec<Run>>,
    done: Notify,
}

impl PlayedEngine {
    fn runs(&self) -> MutexGuard<'_, Vec<Run>> {
        self.runs.lock().expect("no call panics")
    }

    /// Returns when the runs of a recording began and ended.
    fn runs_of(&self, name: &str) -> Vec<(Instant, Option<Instant>)> {
        self.runs()
            .iter()
            .filter(|(of, ..)| of == name)
            .map(|(_, begun, ended)| (*begun, *ended))
            .collect()
    }

    async fn until_done(&self, name: &str) -> Instant {
        loop {
            let done = self.runs().iter().find_map(|(of, _, ended)| ended.filter(|_| of == name));
            if let Some(done) = done {
                return done;
            }
            self.done.notified().await;
        }
    }
}

#[async_trait]
impl NotesService for PlayedEngine {
    fn name(&self) -> &'static str {
        "local"
    }

    fn accepted_extensions(&self) -> &'static [&'static str] {
        &["mp3"]
    }

    async fn read_profile(&self) -> Result<Value, CallError> {
        Ok(Value::Null)
    }

    /// The name of a recording says how many seconds it lasts: `a-7200.mp3`.
    async fn upload_recording(&self, meeting: &str, upload: Upload) -> Result<String, CallError> {
        let name = upload.name.clone();
        let seconds: u64 = name
            .trim_end_matches(".mp3")
            .rsplit('-')
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a length");
        let run = {
            let mut runs = self.runs();
            runs.push((name.clone(), Instant::now(), None));
            runs.len() - 1
        };
        let before = self.heard.lock().expect("no call panics").get(&name).copied().unwrap_or(0);
        let mut second = 0;
        let mut busy_ms = 0;
        upload.progress.begin(0, seconds * 1000, Unit::Milliseconds);
        while second < seconds {
            let step = if second < before { AGAIN } else { 1 };
            tokio::time::sleep(Duration::from_secs(1)).await;
            (second, busy_ms) = ((second + step).min(seconds), busy_ms + 1000);
            upload.progress.reach(second * 1000, seconds * 1000);
            upload.progress.keep_busy(second * 1000, busy_ms);
            let mut heard = self.heard.lock().expect("no call panics");
            heard.insert(name.clone(), second.max(before));
        }
        self.runs()[run].2 = Some(Instant::now());
        self.done.notify_one();
        Ok(meeting.to_owned())
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

/// A worker whose engine is played, with these folders.
struct Workshop {
    worker: Arc<Worker>,
    engine: Arc<PlayedEngine>,
    /// Held for its lifetime: without a sender there are no settings.
    _live: watch::Sender<Arc<LiveConfig>>,
    dir: tempfile::TempDir,
}

impl Workshop {
    fn open(folders: &[&str], at_once: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = settings(dir.path(), folders, at_once);
        let queue = Store::open(&settings.state_dir).expect("opened");
        let mut live =
            LiveConfig::build(Arc::new(settings), &TaskTracker::new(), None).expect("built");
        let engine = Arc::<PlayedEngine>::default();
        let played: Arc<dyn NotesService> = Arc::clone(&engine) as Arc<dyn NotesService>;
        let handle = ServiceHandle::new(
            played,
            None,
            live.settings.services["local"].clone(),
            live.settings.retry,
        );
        live.services.insert("local".to_owned(), Arc::new(handle));
        let (live, receiver) = watch::channel(Arc::new(live));
        let worker = Arc::new(Worker::new(Arc::new(Runtime::new(
            queue,
            receiver,
            CancellationToken::new(),
            CancellationToken::new(),
        ))));
        worker.runtime.tasks.spawn(claims::run(Arc::clone(&worker)));
        Self { worker, engine, _live: live, dir }
    }

    async fn drop_recording(&self, folder: &str, name: &str) {
        let path = self.dir.path().join(folder).join(name);
        fs::write(&path, name).expect("written");
        let settled = Settled {
            folder: folder.into(),
            path: name.into(),
            stamp: Stamp::of(&File::open(&path).expect("there")).expect("read"),
            content: Some(Content::from_hash(&blake3::hash(name.as_bytes()))),
            recorded: clock::now(),
            backlog: false,
            unplayable: None,
            length_max: None,
            length: None,
            sound: None,
        };
        self.worker
            .runtime
            .queue
            .files()
            .take(vec![settled], "not taken".into(), clock::now())
            .await
            .expect("taken");
        self.worker.runtime.nudge();
    }
}

fn settings(dir: &Path, folders: &[&str], at_once: usize) -> config::Settings {
    let state = dir.join("state");
    fs::create_dir(&state).expect("made");
    let mut text = format!(
        "state_dir = \"{}\"\n[services.local]\nkind = \"ondevice\"\nat_once = {at_once}\n",
        state.display()
    );
    for name in folders {
        let path = dir.join(name);
        fs::create_dir(&path).expect("made");
        let folder = format!(
            "[[folder]]\nname = \"{name}\"\nservice = \"local\"\npath = \"{}\"\n",
            path.display()
        );
        text.push_str(&folder);
    }
    let file = dir.join("config.toml");
    fs::write(&file, text).expect("written");
    config::load(&file).unwrap_or_else(|error| panic!("{}", error.render(false)))
}

#[tokio::test(start_paused = true)]
async fn a_long_recording_makes_room_after_its_turn_and_goes_on_later() {
    clock::paused::follow_tokio();
    let shop = Workshop::open(&["sales", "board"], 1);
    shop.drop_recording("sales", "day-7200.mp3").await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    shop.drop_recording("board", "talk-60.mp3").await;
    let board = shop.engine.until_done("talk-60.mp3").await;
    let sales = shop.engine.until_done("day-7200.mp3").await;
    assert!(board < sales);
    let runs = shop.engine.runs_of("day-7200.mp3");
    assert_eq!(runs.len(), 2, "{runs:?}");
    let turn = shop.engine.runs_of("talk-60.mp3")[0].0 - runs[0].0;
    assert!((TURN..TURN + Duration::from_secs(10)).contains(&turn), "{turn:?}");
    let rest = sales - runs[1].0;
    assert!(rest < Duration::from_secs(7200 - 600 + 40), "it went on where it was: {rest:?}");
}

#[tokio::test(start_paused = true)]
async fn each_turn_brings_a_recording_further_however_many_others_wait() {
    clock::paused::follow_tokio();
    let shop = Workshop::open(&["sales", "board", "lab"], 1);
    shop.drop_recording("sales", "day-3000.mp3").await;
    for number in 0..8 {
        shop.drop_recording("board", &format!("b{number}-1200.mp3")).await;
        shop.drop_recording("lab", &format!("l{number}-30.mp3")).await;
    }
    let begun = Instant::now();
    let lab = shop.engine.until_done("l0-30.mp3").await;
    assert!(
        lab - begun < TURN * 2 + Duration::from_secs(60),
        "two turns of others at most: {:?}",
        lab - begun
    );
    shop.engine.until_done("day-3000.mp3").await;
    let runs = shop.engine.runs_of("day-3000.mp3").len();
    assert!((4..=6).contains(&runs), "{runs} turns for 50 minutes of sound");
}

#[tokio::test(start_paused = true)]
async fn nobody_makes_room_for_his_own_folder_nor_where_a_slot_is_kept_for_the_others() {
    clock::paused::follow_tokio();
    let shop = Workshop::open(&["sales", "board"], 1);
    shop.drop_recording("sales", "day-7200.mp3").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    shop.drop_recording("sales", "next-60.mp3").await;
    shop.engine.until_done("next-60.mp3").await;
    assert_eq!(shop.engine.runs_of("day-7200.mp3").len(), 1);

    let shop = Workshop::open(&["sales", "board"], 2);
    for name in ["a-7200.mp3", "b-7200.mp3"] {
        shop.drop_recording("sales", name).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(shop.engine.runs().len(), 1, "one of two slots is kept");
    let dropped = Instant::now();
    shop.drop_recording("board", "talk-60.mp3").await;
    let done = shop.engine.until_done("talk-60.mp3").await;
    assert!(done - dropped < Duration::from_secs(70), "{:?}", done - dropped);
    assert_eq!(shop.engine.runs().len(), 2);
}
