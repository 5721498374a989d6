//! Real folders, real events, a real queue.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    BacklogDecision,
    handle::NotWatched,
    scanner::WatchMode,
    testing::{TestQueue, Watched, baseline_of, folder, until},
};
use crate::{
    beneath::Stamp,
    config::{Backlog, Watch},
    job::{Content, HoldReason},
    store::{FileVerdict, FolderRoot, Sighting},
};

fn content(bytes: &[u8]) -> String {
    Content::from_hash(&blake3::hash(bytes)).to_string()
}

fn stamp(root: &Path, name: &str) -> Stamp {
    Stamp::of(&File::open(root.join(name)).expect("there")).expect("asked")
}

/// A file as it was seen when `hours` ago it was new.
fn sighting(root: &Path, name: &str, verdict: FileVerdict, hours: i64) -> Sighting {
    let stamp = stamp(root, name);
    let since = crate::clock::now() - jiff::SignedDuration::from_hours(hours);
    Sighting { path: name.into(), stamp, first: since, since, verdict, written_boot: None }
}

#[tokio::test]
async fn a_file_renamed_into_place_is_taken_once() {
    let tree = tempfile::tempdir().expect("a directory");
    let watched = Watched::begin_known(folder(tree.path())).await;
    fs::write(tree.path().join("talk.mp3.part"), "sound").expect("written");
    fs::rename(tree.path().join("talk.mp3.part"), tree.path().join("talk.mp3")).expect("renamed");
    watched.until_jobs(1).await;
    assert_eq!(watched.queue.names().await, ["talk.mp3"]);
    assert_eq!(watched.queue.jobs().await[0].hash, Some(content(b"sound")));
    assert_eq!(watched.queue.backlog_count().await, 0);
    watched.handle.scan().await.expect("watched");
    watched.handle.view().wait_quiet().await;
    assert_eq!(watched.queue.job_count().await, 1);
    watched.end().await;
}

#[tokio::test]
async fn slow_and_pausing_writers_are_waited_for() {
    let tree = tempfile::tempdir().expect("a directory");
    let mut settings = folder(tree.path());
    settings.settle = Some(Duration::from_millis(400));
    let watched = Watched::begin_known(settings).await;
    let mut all = Vec::new();
    let mut held_open = File::create(tree.path().join("a.mp3")).expect("made");
    for step in 0..40u8 {
        // One writer keeps its file open, the other closes it each time; each pause is far shorter than settling.
        held_open.write_all(&[step; 100]).expect("written");
        let mut closed = File::options()
            .create(true)
            .append(true)
            .open(tree.path().join("b.mp3"))
            .expect("opened");
        closed.write_all(&[step; 100]).expect("written");
        all.extend([step; 100]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(held_open);
    watched.until_jobs(2).await;
    for job in watched.queue.jobs().await {
        assert_eq!(job.hash, Some(content(&all)), "{}", job.path);
    }
    watched.end().await;
}

#[tokio::test]
async fn a_tree_that_is_moved_in_is_found_with_all_that_is_in_it() {
    let tree = tempfile::tempdir().expect("a directory");
    let outside = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(outside.path().join("a/b/c")).expect("made");
    fs::write(outside.path().join("a/b/c/talk.mp3"), "x").expect("written");
    fs::write(outside.path().join("a/talk.flac"), "y").expect("written");
    let watched = Watched::begin_known(folder(tree.path())).await;
    fs::rename(outside.path().join("a"), tree.path().join("a")).expect("moved");
    watched.until_jobs(2).await;
    fs::write(tree.path().join("a/b/c/late.mp3"), "z").expect("written");
    watched.until_jobs(3).await;
    assert_eq!(watched.queue.names().await, ["a/b/c/late.mp3", "a/b/c/talk.mp3", "a/talk.flac"]);
    assert_eq!(watched.handle.view().scans.load(Ordering::Relaxed), 1, "hints alone have done it");
    watched.end().await;
}

#[tokio::test]
async fn a_directory_that_is_removed_and_made_again_is_watched_again() {
    let tree = tempfile::tempdir().expect("a directory");
    let watched = Watched::begin_known(folder(tree.path())).await;
    for round in 1..=10 {
        fs::create_dir_all(tree.path().join("a/b")).expect("made");
        fs::write(tree.path().join("a/b/talk.mp3"), round.to_string()).expect("written");
        watched.until_jobs(round).await;
        fs::write(tree.path().join("a/b/talk.md"), "notes").expect("written");
        fs::remove_dir_all(tree.path().join("a")).expect("removed");
    }
    assert_eq!(watched.handle.view().scans.load(Ordering::Relaxed), 1, "hints alone have done it");
    watched.end().await;
}

#[tokio::test]
async fn none_of_a_thousand_new_trees_is_missed() {
    let tree = tempfile::tempdir().expect("a directory");
    let watched = Watched::begin_known(folder(tree.path())).await;
    let root = tree.path().to_owned();
    let writing = tokio::task::spawn_blocking(move || {
        for number in 0..1000 {
            let directory = root.join(format!("{number}/b/c"));
            fs::create_dir_all(&directory).expect("made");
            fs::write(directory.join("talk.mp3"), number.to_string()).expect("written");
        }
    });
    writing.await.expect("written");
    watched.until_jobs(1000).await;
    assert_eq!(watched.queue.job_count().await, 1000);
    watched.end().await;
}

#[tokio::test]
async fn a_burst_is_taken_whole_in_few_commits() {
    let tree = tempfile::tempdir().expect("a directory");
    let watched = Watched::begin_known(folder(tree.path())).await;
    let before = watched.queue.writes.count();
    for number in 0..500 {
        fs::write(tree.path().join(format!("{number}.mp3")), number.to_string()).expect("written");
    }
    watched.until_jobs(500).await;
    watched.handle.view().wait_quiet().await;
    assert_eq!(watched.queue.job_count().await, 500);
    let commits = watched.queue.writes.count() - before;
    assert!(commits < 100, "{commits} commits");
    watched.end().await;
}

#[tokio::test]
async fn when_hints_overflow_a_scan_finds_everything() {
    let tree = tempfile::tempdir().expect("a directory");
    let queue = TestQueue::with_baseline(tree.path()).await;
    let watched = Watched::begin(folder(tree.path()), &queue, 2);
    watched.handle.view().wait_quiet().await;
    for number in 0..300 {
        let directory = tree.path().join(format!("{}", number % 7));
        fs::create_dir_all(&directory).expect("made");
        fs::write(directory.join(format!("{number}.mp3")), number.to_string()).expect("written");
    }
    watched.until_jobs(300).await;
    // The watches were set anew: a single event is a hint again.
    watched.handle.view().wait_quiet().await;
    fs::write(tree.path().join("3/last.mp3"), "last").expect("written");
    watched.until_jobs(301).await;
    let scans = watched.handle.view().scans.load(Ordering::Relaxed);
    assert!(scans < 20, "{scans} scans");
    watched.end().await;
}

#[tokio::test]
async fn scans_of_a_watched_tree_cause_no_scans() {
    let tree = tempfile::tempdir().expect("a directory");
    for number in 0..50 {
        fs::create_dir_all(tree.path().join(format!("{number}"))).expect("made");
        fs::write(tree.path().join(format!("{number}/a.mp3")), "x").expect("written");
    }
    let watched = Watched::begin_known(folder(tree.path())).await;
    for _ in 0..20 {
        watched.handle.scan().await.expect("watched");
    }
    fs::write(tree.path().join("7/new.mp3"), "new").expect("written");
    watched.until_jobs(51).await;
    assert_eq!(watched.handle.view().scans.load(Ordering::Relaxed), 21);
    watched.end().await;
}

#[tokio::test]
async fn a_restart_keeps_what_was_observed() {
    let tree = tempfile::tempdir().expect("a directory");
    fs::write(tree.path().join("seen.mp3"), "x").expect("written");
    fs::write(tree.path().join("new.mp3"), "y").expect("written");
    let queue = TestQueue::with_baseline(tree.path()).await;
    queue.record(vec![sighting(tree.path(), "seen.mp3", FileVerdict::Settling, 2)]).await;
    let mut settings = folder(tree.path());
    settings.settle = Some(Duration::from_secs(3600));
    let watched = Watched::begin(settings, &queue, 100);
    watched.until_jobs(1).await;
    assert_eq!(watched.queue.names().await, ["seen.mp3"]);
    let view = Arc::clone(watched.handle.view());
    until(async || view.settling_file(Path::new("new.mp3")).is_some()).await;
    assert!(!view.is_quiet());
    watched.end().await;
}

#[tokio::test]
async fn a_folder_that_is_removed_is_held_and_one_made_again_is_watched_again() {
    let tree = tempfile::tempdir().expect("a directory");
    let root = tree.path().join("sales");
    fs::create_dir(&root).expect("made");
    fs::write(root.join("old.mp3"), "x").expect("written");
    let watched = Watched::begin_known(folder(&root)).await;
    assert_eq!(watched.queue.names().await, ["old.mp3"]);
    fs::remove_dir_all(&root).expect("removed");
    watched.until_held(Some(HoldReason::Absent)).await;
    assert!(watched.queue.sighting("old.mp3").await.is_some(), "nothing is concluded");
    fs::create_dir(&root).expect("made");
    watched.handle.scan().await.expect("watched");
    watched.until_held(None).await;
    let scans = watched.handle.view().scans.load(Ordering::Relaxed);
    fs::write(root.join("new.mp3"), "y").expect("written");
    watched.until_jobs(2).await;
    assert_eq!(watched.queue.names().await, ["new.mp3", "old.mp3"]);
    assert!(
        watched.handle.view().scans.load(Ordering::Relaxed) <= scans + 1,
        "an event told of it"
    );
    watched.end().await;
}

#[tokio::test]
async fn an_unfinished_wav_waits_until_its_header_is_right() {
    let tree = tempfile::tempdir().expect("a directory");
    let mut wav =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0".to_vec();
    wav.extend([7; 100]);
    let watched = Watched::begin_known(folder(tree.path())).await;
    fs::write(tree.path().join("talk.wav"), &wav).expect("written");
    let view = Arc::clone(watched.handle.view());
    until(async || {
        view.settling_file(Path::new("talk.wav")).is_some_and(|file| file.unfinished.is_some())
    })
    .await;
    assert_eq!(watched.queue.job_count().await, 0);
    wav[4..8].copy_from_slice(&136u32.to_le_bytes());
    wav[40..44].copy_from_slice(&100u32.to_le_bytes());
    fs::write(tree.path().join("talk.wav"), &wav).expect("written");
    watched.until_jobs(1).await;
    assert_eq!(watched.queue.jobs().await[0].hash, Some(content(&wav)));
    watched.end().await;
}

#[tokio::test]
async fn odd_names_are_taken_and_links_fifos_and_empty_files_are_not() {
    let tree = tempfile::tempdir().expect("a directory");
    let watched = Watched::begin_known(folder(tree.path())).await;
    let root = tree.path();
    symlink("/etc/passwd", root.join("link.mp3")).expect("linked");
    let fifo = root.join("pipe.mp3");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).expect("made");
    File::create(root.join("empty.mp3")).expect("made");
    fs::write(root.join("clip.mkv"), "film").expect("written");
    fs::write(root.join(OsStr::from_bytes(b"\xff\n.mp3")), "odd").expect("written");
    watched.until_jobs(2).await;
    watched.handle.scan().await.expect("watched");
    watched.handle.view().wait_quiet().await;
    assert_eq!(watched.queue.names().await, ["\\xff\\u{a}.mp3", "clip.mkv"]);
    assert_eq!(
        watched.handle.view().opened.load(Ordering::Relaxed),
        1,
        "the clip was not opened either"
    );
    let jobs = watched.queue.jobs().await;
    assert!(jobs.iter().any(|job| job.hash.is_none() && job.path == "clip.mkv"));
    watched.end().await;
}

#[tokio::test]
async fn a_scan_of_known_files_opens_none_and_writes_nothing() {
    let tree = tempfile::tempdir().expect("a directory");
    let queue = TestQueue::with_baseline(tree.path()).await;
    let mut known = Vec::new();
    for number in 0..2000 {
        let name = format!("{number}.mp3");
        fs::write(tree.path().join(&name), "x").expect("written");
        known.push((name.clone().into(), stamp(tree.path(), &name)));
    }
    queue.take(known).await;
    let before = queue.writes.count();
    let watched = Watched::begin(folder(tree.path()), &queue, 100);
    watched.handle.scan().await.expect("watched");
    watched.handle.view().wait_quiet().await;
    assert_eq!(watched.handle.view().opened.load(Ordering::Relaxed), 0);
    assert_eq!(queue.writes.count() - before, 1, "that the folder is fine is said once");
    assert_eq!(watched.handle.view().status().scan.expect("scanned").media, 2000);
    watched.end().await;
}

#[tokio::test]
async fn a_polled_folder_is_found_out_by_scans_alone() {
    let tree = tempfile::tempdir().expect("a directory");
    let mut settings = folder(tree.path());
    settings.watch = Watch::Poll;
    settings.rescan = Some(Duration::from_millis(50));
    let watched = Watched::begin_known(settings).await;
    fs::create_dir(tree.path().join("a")).expect("made");
    fs::write(tree.path().join("a/talk.mp3"), "x").expect("written");
    watched.until_jobs(1).await;
    assert_eq!(
        watched.handle.view().status().mode,
        Some(WatchMode::Polled("as configured".into()))
    );
    let handle = watched.handle.clone();
    watched.end().await;
    assert_eq!(handle.scan().await, Err(NotWatched));
}

#[tokio::test]
async fn what_a_scan_found_is_waited_for_when_it_is_over() {
    let tree = tempfile::tempdir().expect("a directory");
    let mut settings = folder(tree.path());
    settings.watch = Watch::Poll;
    let watched = Watched::begin_known(settings).await;
    fs::write(tree.path().join("talk.mp3"), "x").expect("written");
    watched.handle.scan().await.expect("watched");
    assert!(!watched.handle.view().is_quiet());
    watched.handle.view().wait_quiet().await;
    assert_eq!(watched.queue.names().await, ["talk.mp3"]);
    watched.end().await;
}

#[tokio::test]
async fn a_rename_is_told_as_taken_before_gone() {
    let tree = tempfile::tempdir().expect("a directory");
    let watched = Watched::begin_known(folder(tree.path())).await;
    fs::write(tree.path().join("a.mp3"), "x").expect("written");
    watched.until_jobs(1).await;
    fs::rename(tree.path().join("a.mp3"), tree.path().join("b.mp3")).expect("renamed");
    until(async || watched.queue.sighting("a.mp3").await.is_none()).await;
    assert_eq!(watched.queue.names().await, ["b.mp3"]);
    let id = watched.queue.jobs().await[0].id;
    let job = watched.queue.queue.jobs().view(id).await.expect("read").expect("a job");
    let events: Vec<String> =
        job.history.expect("asked for").into_iter().map(|event| event.event).collect();
    assert_eq!(events, ["taken in", "its file was renamed"]);
    watched.end().await;
}

#[tokio::test]
async fn what_went_while_minuted_was_down_is_gone_and_what_changed_is_new() {
    let tree = tempfile::tempdir().expect("a directory");
    let queue = TestQueue::with_baseline(tree.path()).await;
    for name in ["gone.mp3", "settling.mp3", "changed.mp3", "same.mp3"] {
        fs::write(tree.path().join(name), "x").expect("written");
        if name == "settling.mp3" {
            queue.record(vec![sighting(tree.path(), name, FileVerdict::Settling, 1)]).await;
        } else {
            queue.take(vec![(name.into(), stamp(tree.path(), name))]).await;
        }
    }
    fs::remove_file(tree.path().join("gone.mp3")).expect("removed");
    fs::remove_file(tree.path().join("settling.mp3")).expect("removed");
    fs::write(tree.path().join("changed.mp3"), "longer").expect("written");
    let watched = Watched::begin(folder(tree.path()), &queue, 100);
    until(async || queue.sightings().await.len() == 2).await;
    watched.until_jobs(4).await;
    assert_eq!(watched.queue.names().await, ["changed.mp3", "changed.mp3", "gone.mp3", "same.mp3"]);
    watched.end().await;
}

#[tokio::test]
async fn a_backlog_of_more_than_twenty_waits_for_a_decision() {
    let tree = tempfile::tempdir().expect("a directory");
    for number in 0..21 {
        fs::write(tree.path().join(format!("{number}.mp3")), number.to_string()).expect("written");
    }
    let mut settings = folder(tree.path());
    settings.backlog = Backlog::Ask;
    let queue = TestQueue::new();
    let watched = Watched::begin(settings.clone(), &queue, 100);
    watched.handle.view().wait_quiet().await;
    assert_eq!(watched.handle.view().status().backlog, 21);
    fs::write(tree.path().join("new.mp3"), "new").expect("written");
    fs::write(tree.path().join("3.mp3"), "changed").expect("written");
    watched.until_jobs(2).await;
    assert_eq!(watched.queue.names().await, ["3.mp3", "new.mp3"]);
    watched.end().await;
    let watched = Watched::begin(settings, &queue, 100);
    watched.handle.view().wait_quiet().await;
    assert_eq!(watched.handle.view().status().backlog, 20);
    assert_eq!(watched.handle.backlog(BacklogDecision::Process).await.expect("decided"), 20);
    watched.until_jobs(22).await;
    assert_eq!(watched.queue.backlog_count().await, 20);
    watched.end().await;
}

#[tokio::test]
async fn a_backlog_that_is_skipped_is_left_alone_until_it_changes() {
    let tree = tempfile::tempdir().expect("a directory");
    fs::write(tree.path().join("a.mp3"), "x").expect("written");
    fs::write(tree.path().join("b.mp3"), "x").expect("written");
    let mut settings = folder(tree.path());
    settings.backlog = Backlog::Skip;
    let queue = TestQueue::new();
    let watched = Watched::begin(settings, &queue, 100);
    watched.handle.view().wait_quiet().await;
    assert_eq!(queue.writes.count(), 3, "the folder is fine, both files, the baseline");
    fs::write(tree.path().join("b.mp3"), "changed").expect("written");
    watched.until_jobs(1).await;
    assert_eq!(watched.queue.names().await, ["b.mp3"]);
    assert_eq!(
        watched.queue.sighting("a.mp3").await.map(|seen| seen.verdict),
        Some(FileVerdict::Ignored)
    );
    watched.end().await;
}

#[tokio::test]
async fn a_meeting_that_was_interrupted_happens_again() {
    let tree = tempfile::tempdir().expect("a directory");
    let queue = TestQueue::new();
    for (name, verdict) in [
        ("a.mp3", FileVerdict::Ignored),
        ("b.mp3", FileVerdict::Backlog),
        ("c.mp3", FileVerdict::Settling),
    ] {
        fs::write(tree.path().join(name), name).expect("written");
        queue.record(vec![sighting(tree.path(), name, verdict, 1)]).await;
    }
    let watched = Watched::begin(folder(tree.path()), &queue, 100);
    watched.until_jobs(3).await;
    assert_eq!(watched.queue.backlog_count().await, 3);
    watched.end().await;
}

#[tokio::test]
async fn a_share_that_is_mounted_after_the_folder_was_met_is_met_again() {
    let tree = tempfile::tempdir().expect("a directory");
    fs::write(tree.path().join("a.mp3"), "x").expect("written");
    let mut settings = folder(tree.path());
    settings.backlog = Backlog::Skip;
    let queue = TestQueue::new();
    // On another device, which is not that of the directory above: a mount whose number changed. No new meeting.
    queue
        .record_baseline(FolderRoot { device: u64::MAX, spot: None, ..baseline_of(tree.path()) })
        .await;
    let watched = Watched::begin(settings, &queue, 100);
    watched.until_jobs(1).await;
    assert_eq!(
        queue.baseline().await.map(|root| root.device),
        Some(baseline_of(tree.path()).device)
    );
    watched.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_is_not_quiet_before_it_is_met() {
    let tree = tempfile::tempdir().expect("a directory");
    fs::write(tree.path().join("a.mp3"), "x").expect("written");
    let queue = TestQueue::new();
    queue.writes.fail_next(2);
    let watched = Watched::begin(folder(tree.path()), &queue, 100);
    watched.handle.view().wait_quiet().await;
    assert_eq!(queue.writes.failures_left(), 0);
    assert_eq!(watched.queue.names().await, ["a.mp3"]);
    watched.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_write_is_tried_again_and_loses_nothing() {
    let tree = tempfile::tempdir().expect("a directory");
    fs::write(tree.path().join("a.mp3"), "x").expect("written");
    let queue = TestQueue::with_baseline(tree.path()).await;
    queue.writes.fail_next(2);
    let watched = Watched::begin(folder(tree.path()), &queue, 100);
    watched.until_jobs(1).await;
    assert_eq!(queue.writes.failures_left(), 0);
    watched.end().await;
}

/// A queue that has met the folder where something else was mounted, with one recording in it.
async fn known_elsewhere(root: &Path) -> Arc<TestQueue> {
    let queue = TestQueue::new();
    fs::write(root.join("old.mp3"), "x").expect("written");
    queue.take(vec![("old.mp3".into(), stamp(root, "old.mp3"))]).await;
    let mut met = baseline_of(root);
    met.device = u64::MAX;
    met.spot.as_mut().expect("known").inode = u64::MAX;
    queue.record_baseline(met).await;
    queue
}

#[tokio::test]
async fn a_mount_point_that_is_not_quite_empty_is_held_and_heals() {
    let tree = tempfile::tempdir().expect("a directory");
    let root = tree.path().join("sales");
    let aside = tree.path().join("aside");
    fs::create_dir(&root).expect("made");
    let queue = known_elsewhere(&root).await;
    fs::rename(root.join("old.mp3"), &aside).expect("moved");
    fs::write(root.join(".keep"), "").expect("written");
    fs::write(root.join("stray.mp3"), "y").expect("written");
    let before = queue.writes.count();
    let watched = Watched::begin(folder(&root), &queue, 100);
    watched.until_held(Some(HoldReason::AnotherPlace)).await;
    let told = watched.handle.view().status().trouble.expect("told").detail;
    assert!(told.contains("`minuted backlog sales process` or `skip`"), "{told}");
    watched.handle.scan().await.expect("watched");
    assert_eq!(queue.writes.count() - before, 2, "it is held instead of what held it before, once");
    assert_eq!(queue.names().await, ["old.mp3"], "nothing is taken in");
    assert_eq!(queue.sightings().await.len(), 1, "nothing is gone");
    fs::rename(&aside, root.join("old.mp3")).expect("moved back");
    watched.handle.scan().await.expect("watched");
    watched.until_jobs(2).await;
    assert_eq!(watched.queue.names().await, ["old.mp3", "stray.mp3"]);
    assert_eq!(queue.hold().await, None);
    assert_eq!(
        queue.baseline().await,
        Some(FolderRoot { met: jiff::Timestamp::UNIX_EPOCH, ..baseline_of(&root) })
    );
    watched.end().await;
}

#[tokio::test]
async fn a_person_makes_another_directory_the_folder_s_own() {
    let tree = tempfile::tempdir().expect("a directory");
    for (decision, taken) in [(BacklogDecision::Process, 1), (BacklogDecision::Skip, 0)] {
        let queue = known_elsewhere(tree.path()).await;
        fs::remove_file(tree.path().join("old.mp3")).expect("removed");
        fs::write(tree.path().join("stray.mp3"), "y").expect("written");
        let watched = Watched::begin(folder(tree.path()), &queue, 100);
        until(async || queue.hold().await.is_some()).await;
        assert_eq!(watched.handle.backlog(decision).await.expect("decided"), 1);
        until(async || queue.sighting("old.mp3").await.is_none()).await;
        watched.handle.view().wait_quiet().await;
        assert_eq!(queue.job_count().await, 1 + taken, "{decision:?}");
        assert_eq!(queue.hold().await, None, "{decision:?}");
        watched.end().await;
    }
}

#[tokio::test]
async fn another_directory_under_the_name_of_a_folder_is_met_for_the_first_time() {
    let tree = tempfile::tempdir().expect("a directory");
    let old = tree.path().join("old");
    let new = tree.path().join("new");
    fs::create_dir(&old).expect("made");
    fs::create_dir(&new).expect("made");
    let queue = known_elsewhere(&old).await;
    queue.record_baseline(baseline_of(&old)).await;
    for number in 0..21 {
        fs::write(new.join(format!("{number}.mp3")), number.to_string()).expect("written");
    }
    let mut settings = folder(&new);
    settings.backlog = Backlog::Ask;
    let watched = Watched::begin(settings, &queue, 100);
    until(async || queue.sightings().await.len() == 21).await;
    assert_eq!(watched.handle.view().status().backlog, 21);
    assert_eq!(queue.names().await, ["old.mp3"]);
    assert_eq!(queue.hold().await, None);
    watched.end().await;
}

#[tokio::test]
async fn a_folder_that_moved_with_its_recordings_goes_on_where_it_is() {
    let tree = tempfile::tempdir().expect("a directory");
    let old = tree.path().join("old");
    let new = tree.path().join("new");
    fs::create_dir(&old).expect("made");
    let queue = known_elsewhere(&old).await;
    queue.record_baseline(baseline_of(&old)).await;
    fs::rename(&old, &new).expect("moved");
    fs::write(new.join("new.mp3"), "y").expect("written");
    let mut settings = folder(&new);
    settings.backlog = Backlog::Skip;
    let watched = Watched::begin(settings, &queue, 100);
    watched.until_jobs(2).await;
    assert_eq!(watched.queue.names().await, ["new.mp3", "old.mp3"]);
    assert_eq!(queue.baseline().await, Some(baseline_of(&new)));
    watched.end().await;
}
