//! Writers that keep their files open: seen in `/proc`, and by the kernel's events alone.

use std::{
    fs::{self, File},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags};

use super::testing::{TestQueue, Watched, folder, until};
use crate::{
    config::Watch,
    job::Content,
    open_files::{InUse, OpenFiles, Openness, SoughtFile, WriterSource, boot_id},
    store::FileVerdict,
};

/// A `/proc` with this answer about every file: one that sees nothing, or all and no writer.
#[derive(Debug)]
struct SameAnswer(Openness);

impl WriterSource for SameAnswer {
    fn find(&self, files: &[SoughtFile]) -> Vec<Openness> {
        files.iter().map(|_| self.0.clone()).collect()
    }
}

/// What `/proc` shows in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShownProc {
    /// This machine's: the writers of the tests are processes like any other.
    Seen,
    /// Nothing, as under the system unit.
    Blind,
    /// Every process, and no writer.
    NoWriter,
}

impl ShownProc {
    fn open_files(self) -> Arc<OpenFiles> {
        let always = |openness| Arc::new(OpenFiles::new(Box::new(SameAnswer(openness))));
        match self {
            Self::Seen => Arc::default(),
            Self::Blind => always(Openness::Unknown),
            Self::NoWriter => always(Openness::Closed),
        }
    }
}

/// A folder that is watched, and where it lies.
struct RecorderScene {
    tree: tempfile::TempDir,
    queue: Arc<TestQueue>,
    watched: Watched,
}

impl RecorderScene {
    async fn begin(proc: ShownProc, watch: Watch) -> Self {
        let tree = tempfile::tempdir().expect("a directory");
        let queue = TestQueue::with_baseline(tree.path()).await;
        let watched = start(&tree, &queue, proc, watch).await;
        Self { tree, queue, watched }
    }

    async fn restart(self, proc: ShownProc, meanwhile: impl AsyncFnOnce(&TestQueue)) -> Self {
        let Self { tree, queue, watched } = self;
        watched.end().await;
        meanwhile(&queue).await;
        let watched = start(&tree, &queue, proc, Watch::Auto).await;
        Self { tree, queue, watched }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.tree.path().join(name)
    }

    /// Waits until a file was quiet and found open; returns who had it.
    async fn until_open(&self, name: &str) -> InUse {
        let found = || {
            self.watched.handle.view().settling_file(Path::new(name)).and_then(|file| file.in_use)
        };
        until(async || found().is_some()).await;
        found().expect("found")
    }

    async fn jobs(&self) -> u64 {
        self.queue.job_count().await
    }

    /// Waits for the only job that there is to be, and says that it has these bytes.
    async fn expect_one(self, bytes: &[u8]) {
        self.watched.until_jobs(1).await;
        self.watched.handle.scan().await.expect("watched");
        self.watched.handle.view().wait_quiet().await;
        let contents: Vec<_> = self.queue.jobs().await.into_iter().map(|job| job.hash).collect();
        assert_eq!(contents, [Some(content(bytes))]);
        self.watched.end().await;
    }
}

fn content(bytes: &[u8]) -> String {
    Content::from_hash(&blake3::hash(bytes)).to_string()
}

async fn start(
    tree: &tempfile::TempDir,
    queue: &Arc<TestQueue>,
    proc: ShownProc,
    watch: Watch,
) -> Watched {
    let mut settings = folder(tree.path());
    settings.watch = watch;
    if watch == Watch::Poll {
        settings.rescan = Some(Duration::from_millis(50));
    }
    let watched = Watched::begin_with(settings, queue, 4096, proc.open_files());
    let view = Arc::clone(watched.handle.view());
    until(async || view.scans.load(std::sync::atomic::Ordering::Relaxed) >= 1).await;
    watched
}

/// A recording of each kind that a recorder writes.
fn recording(extension: &str) -> Vec<u8> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/audio")
        .join(format!("tiny.{extension}"));
    fs::read(data).expect("a recording of that kind")
}

/// Says in a WAV's header how many bytes there are.
fn keep_header_true(file: &mut File, bytes: usize) {
    let size = |less: usize| u32::try_from(bytes - less).expect("small").to_le_bytes();
    for (at, number) in [(4, size(8)), (40, size(44))] {
        file.seek(SeekFrom::Start(at)).expect("sought");
        file.write_all(&number).expect("written");
    }
    file.seek(SeekFrom::End(0)).expect("sought");
}

/// A WAV of silence with the shortest of headers.
fn plain_wav(bytes: u32) -> Vec<u8> {
    let mut wav = Vec::from(*b"RIFF");
    wav.extend((bytes + 36).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    wav.extend(bytes.to_le_bytes());
    wav.resize(wav.len() + usize::try_from(bytes).expect("small"), 0);
    wav
}

/// A recorder writes in three blocks and pauses after each for longer than settling.
async fn record_with_pauses(proc: ShownProc, name: &str, bytes: &[u8], allocated: usize) {
    let scene = RecorderScene::begin(proc, Watch::Auto).await;
    let mut file = File::create(scene.path(name)).expect("made");
    if allocated > 0 {
        let length = u64::try_from(allocated).expect("small");
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length).expect("allocated");
    }
    for (number, block) in bytes.chunks(bytes.len().div_ceil(3)).enumerate() {
        file.write_all(block).expect("written");
        if name == "plain.wav" {
            let length = file.metadata().expect("asked").len();
            keep_header_true(&mut file, usize::try_from(length).expect("small"));
        }
        // A change may come without a hint; the scan takes it in.
        scene.watched.handle.scan().await.expect("watched");
        let in_use = scene.until_open(name).await;
        assert_eq!(
            matches!(in_use, InUse::Process(_)),
            proc == ShownProc::Seen,
            "{name}, block {number}: {in_use:?}"
        );
        assert_eq!(scene.jobs().await, 0, "{name} is not closed");
    }
    drop(file);
    let whole = fs::read(scene.path(name)).expect("read");
    scene.expect_one(&whole).await;
}

#[tokio::test]
async fn a_recorder_that_pauses_is_waited_for_whatever_it_writes() {
    for proc in [ShownProc::Seen, ShownProc::Blind] {
        for extension in ["mp3", "flac", "wav", "m4a"] {
            record_with_pauses(proc, &format!("talk.{extension}"), &recording(extension), 0).await;
        }
        record_with_pauses(proc, "plain.wav", &plain_wav(3000), 0).await;
        record_with_pauses(proc, "preallocated.mp3", &recording("mp3"), 64 * 1024).await;
    }
}

#[tokio::test]
async fn a_file_that_is_linked_or_moved_in_is_closed() {
    for proc in [ShownProc::Seen, ShownProc::Blind] {
        let outside = tempfile::tempdir().expect("a directory");
        for way in ["ln", "mv", "O_TMPFILE"] {
            let scene = RecorderScene::begin(proc, Watch::Auto).await;
            let bytes = format!("{proc:?} {way}").into_bytes();
            let from = outside.path().join(way);
            let to = scene.path("talk.mp3");
            if way == "O_TMPFILE" {
                let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
                let nameless = rustix::fs::open(scene.tree.path(), flags, Mode::RUSR | Mode::WUSR);
                let mut nameless = File::from(nameless.expect("opened"));
                nameless.write_all(&bytes).expect("written");
                let by_number =
                    format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&nameless));
                let here = rustix::fs::CWD;
                rustix::fs::linkat(here, by_number, here, &to, AtFlags::SYMLINK_FOLLOW)
                    .expect("linked");
            } else {
                fs::write(&from, &bytes).expect("written");
                if way == "ln" { fs::hard_link(&from, &to) } else { fs::rename(&from, &to) }
                    .expect("brought in");
            }
            scene.expect_one(&bytes).await;
        }
    }
}

#[tokio::test]
async fn a_close_is_that_of_one_writer_and_not_the_last() {
    for proc in [ShownProc::Seen, ShownProc::Blind] {
        let scene = RecorderScene::begin(proc, Watch::Auto).await;
        let open = || {
            File::options().create(true).append(true).open(scene.path("talk.mp3")).expect("opened")
        };
        let mut first = open();
        let mut second = open();
        first.write_all(b"first ").expect("written");
        drop(first);
        second.write_all(b"second ").expect("written");
        scene.watched.handle.scan().await.expect("watched");
        scene.until_open("talk.mp3").await;
        assert_eq!(scene.jobs().await, 0, "the second one has it open");
        second.write_all(b"again").expect("written");
        drop(second);
        scene.expect_one(b"first second again").await;
    }
}

#[tokio::test]
async fn a_recorder_that_opens_an_old_recording_again_is_waited_for() {
    for proc in [ShownProc::Seen, ShownProc::Blind] {
        let scene = RecorderScene::begin(proc, Watch::Auto).await;
        fs::write(scene.path("talk.mp3"), "yesterday ").expect("written");
        scene.watched.until_jobs(1).await;
        let mut again = File::options().append(true).open(scene.path("talk.mp3")).expect("opened");
        again.write_all(b"today ").expect("written");
        scene.watched.handle.scan().await.expect("watched");
        scene.until_open("talk.mp3").await;
        assert_eq!(scene.jobs().await, 1, "it is not closed");
        again.write_all(b"and more").expect("written");
        drop(again);
        scene.watched.until_jobs(2).await;
        assert_eq!(scene.queue.jobs().await[1].hash, Some(content(b"yesterday today and more")));
        scene.watched.end().await;
    }
}

#[tokio::test]
async fn a_file_that_is_touched_or_given_a_time_is_closed() {
    let scene = RecorderScene::begin(ShownProc::Blind, Watch::Auto).await;
    let path = scene.path("talk.mp3");
    fs::write(&path, "sound").expect("written");
    let time = rustix::fs::Timespec { tv_sec: 1_700_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(rustix::fs::CWD, &path, &times, AtFlags::empty()).expect("set");
    scene.expect_one(b"sound").await;
}

#[tokio::test]
async fn a_recorder_that_renames_its_file_while_it_writes_is_waited_for() {
    for proc in [ShownProc::Seen, ShownProc::Blind] {
        let scene = RecorderScene::begin(proc, Watch::Auto).await;
        let mut file = File::create(scene.path("rec.mp3")).expect("made");
        file.write_all(b"half ").expect("written");
        fs::rename(scene.path("rec.mp3"), scene.path("weekly.mp3")).expect("renamed");
        scene.until_open("weekly.mp3").await;
        file.write_all(b"whole").expect("written");
        drop(file);
        scene.expect_one(b"half whole").await;
    }
}

#[tokio::test]
async fn a_polled_folder_has_no_events_and_proc_tells_all_the_same() {
    let scene = RecorderScene::begin(ShownProc::Seen, Watch::Poll).await;
    let mut file = File::create(scene.path("talk.mp3")).expect("made");
    file.write_all(b"half ").expect("written");
    assert!(matches!(scene.until_open("talk.mp3").await, InUse::Process(_)));
    assert_eq!(scene.jobs().await, 0);
    drop(file);
    scene.expect_one(b"half ").await;
    let blind = RecorderScene::begin(ShownProc::Blind, Watch::Poll).await;
    let mut file = File::create(blind.path("talk.mp3")).expect("made");
    file.write_all(b"half").expect("written");
    blind.watched.until_jobs(1).await;
    blind.watched.end().await;
}

/// A folder in which a recorder has written and paused, as the queue knows by now.
async fn written_and_kept(proc: ShownProc) -> (RecorderScene, File) {
    let scene = RecorderScene::begin(proc, Watch::Auto).await;
    let mut file = File::create(scene.path("talk.mp3")).expect("made");
    file.write_all(b"half ").expect("written");
    scene.until_open("talk.mp3").await;
    until(async || {
        let sighting = scene.queue.sighting("talk.mp3").await;
        sighting.is_some_and(|sighting| sighting.written_boot.as_deref() == boot_id())
    })
    .await;
    (scene, file)
}

#[tokio::test]
async fn after_a_restart_a_file_that_was_being_written_is_waited_for_until_its_close() {
    for proc in [ShownProc::Seen, ShownProc::Blind] {
        let (scene, mut file) = written_and_kept(proc).await;
        let scene = scene.restart(proc, async |_| {}).await;
        let in_use = scene.until_open("talk.mp3").await;
        assert_eq!(matches!(in_use, InUse::Process(_)), proc == ShownProc::Seen, "{in_use:?}");
        file.write_all(b"whole").expect("written");
        drop(file);
        scene.expect_one(b"half whole").await;
    }
}

#[tokio::test]
async fn a_close_while_minuted_was_down_is_seen_in_proc_and_else_ends_after_a_quiet_hour() {
    let (scene, file) = written_and_kept(ShownProc::Blind).await;
    let scene = scene.restart(ShownProc::NoWriter, async |_| drop(file)).await;
    scene.expect_one(b"half ").await;
    let (scene, file) = written_and_kept(ShownProc::Blind).await;
    let scene = scene.restart(ShownProc::Blind, async |_| drop(file)).await;
    let in_use = scene.until_open("talk.mp3").await;
    assert!(matches!(in_use, InUse::Written(written) if !written.is_certain), "{in_use:?}");
    assert_eq!(scene.jobs().await, 0);
    let hours_ago = async |queue: &TestQueue| {
        let mut sighting = queue.sighting("talk.mp3").await.expect("kept");
        assert_eq!(sighting.verdict, FileVerdict::Settling);
        sighting.since = crate::clock::now() - jiff::SignedDuration::from_hours(2);
        queue.record(vec![sighting]).await;
    };
    scene.restart(ShownProc::Blind, hours_ago).await.expect_one(b"half ").await;
}

#[tokio::test]
async fn nothing_is_open_across_a_reboot() {
    let (scene, file) = written_and_kept(ShownProc::Blind).await;
    let rebooted = async |queue: &TestQueue| {
        drop(file);
        let mut sighting = queue.sighting("talk.mp3").await.expect("kept");
        sighting.written_boot = Some("another boot".into());
        queue.record(vec![sighting]).await;
    };
    scene.restart(ShownProc::Blind, rebooted).await.expect_one(b"half ").await;
}

#[tokio::test]
async fn proc_that_sees_every_process_outweighs_events() {
    let scene = RecorderScene::begin(ShownProc::NoWriter, Watch::Auto).await;
    let mut file = File::create(scene.path("talk.mp3")).expect("made");
    file.write_all(b"sound").expect("written");
    scene.expect_one(b"sound").await;
    drop(file);
}
