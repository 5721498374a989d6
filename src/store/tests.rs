//! The queue on real SQLite.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};

use super::{
    Analysed, CommandError, DeferReason, DeferredJobs, Delivery, DeliveryKind, Endings, Failure,
    FileVerdict, FolderRoot, Forgotten, Hold, Job, JobId, Lane, NewDelivery, PostDelivery,
    RemoteCleanup, Scope, Settled, Sighting, Store, StoreError, Unplayable, Written,
};
use crate::{
    beneath::{Place, Stamp},
    config::{Analysis, MeetingType},
    job::{
        Content, DetailsSource, EventKind, Findings, HoldReason, JobState, Plan, Remote, Report,
        Segment, Stage, State, Status, Wait,
    },
    last_words::Parsed,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("in range")
}

fn content(name: &str) -> Content {
    Content::from_hash(&blake3::hash(name.as_bytes()))
}

fn settled(path: &str, bytes: &str) -> Settled {
    let stamp = Stamp { size: bytes.len() as u64, mtime_ns: 5, inode: path.len() as u64 };
    let content = Some(content(bytes));
    Settled {
        folder: "sales".into(),
        path: path.into(),
        stamp,
        content,
        recorded: at(0),
        backlog: false,
        unplayable: None,
        length_max: None,
        length: None,
        sound: None,
    }
}

fn plan() -> Plan {
    Plan {
        service: "paxs".into(),
        title: "Talk".into(),
        attendees: Vec::new(),
        analyses: vec![Analysis::Transcription],
        instruction: None,
        language: None,
        speakers: crate::config::Speakers::Auto,
        meeting_type: MeetingType::Group,
        silent: false,
        details_source: DetailsSource::default(),
        calendar: None,
    }
}

struct Desk {
    queue: Store,
    dir: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { queue: Store::open(dir.path()).expect("opened"), dir }
    }

    async fn take(&self, path: &str, bytes: &str) -> JobId {
        let taken = self
            .queue
            .files()
            .take(vec![settled(path, bytes)], "not taken".into(), at(1))
            .await
            .expect("taken");
        taken[0].job
    }

    async fn job(&self, id: JobId) -> Job {
        self.queue.jobs().find(id).await.expect("read").expect("a job")
    }

    async fn claim(&self) -> Option<Job> {
        self.claim_at(10).await
    }

    async fn claim_at(&self, second: i64) -> Option<Job> {
        let stages = vec![Stage::Create, Stage::Upload, Stage::Analyse];
        self.queue
            .jobs()
            .claim(super::ClaimRequest::of_folder("sales", stages), at(second))
            .await
            .expect("claimed")
    }

    /// A job that waits for its analysis.
    async fn uploaded(&self, path: &str) -> Job {
        let id = self.take(path, path).await;
        let mut job = self.claim().await.expect("a job");
        assert_eq!(job.id, id);
        self.queue.stages().intend_create(&job, &plan(), at(11)).await.expect("recorded");
        job.state = self
            .queue
            .stages()
            .record_meeting(&job, &plan(), "meeting-1", EventKind::MeetingCreated, at(12))
            .await
            .expect("recorded");
        job.state = self
            .queue
            .stages()
            .record_upload(&job, "recording-1", EventKind::RecordingUploaded, at(13))
            .await
            .expect("recorded");
        self.job(id).await
    }
}

fn report(analysis: Analysis) -> Report {
    let findings = Findings { markdown: Some("# Notes".into()), ..Findings::default() };
    Report {
        analysis,
        status: Status::Completed,
        id: None,
        findings,
        error: None,
        raw: "{}".into(),
    }
}

/// The recording is moved after all else.
const MOVES: Endings =
    Endings { recording: Some(PostDelivery::Move), remote: None, delete_after: None };

fn notes() -> NewDelivery {
    NewDelivery { kind: DeliveryKind::Notes, target: "md".into(), held: false }
}

#[tokio::test]
async fn a_job_goes_from_its_file_to_done_and_its_content_is_never_forgotten() {
    let desk = Desk::new();
    let job = desk.uploaded("talk.wav").await;
    assert_eq!(job.state, State::Waiting { stage: Stage::Analyse, on: Wait::Analysis });
    assert!(matches!(job.remote, Remote::Uploaded { .. }));
    let analysed = Analysed {
        reports: vec![report(Analysis::Transcription)],
        deliveries: vec![notes()],
        endings: Endings::default(),
    };
    desk.queue.stages().record_results(&job, analysed, at(20)).await.expect("recorded");
    let due = desk.queue.deliveries().list_due(Lane::Files, at(21), 9).await.expect("read");
    assert_eq!(due.len(), 1);
    let state = desk
        .queue
        .deliveries()
        .record_done(&due[0], None, Endings::default(), at(22))
        .await
        .expect("recorded");
    assert_eq!(state, Some(State::Done));
    let before = at(0) + SignedDuration::from_hours(24 * 400);
    assert_eq!(desk.queue.maintenance().prune(before).await.expect("pruned"), 1);
    let again = desk.take("talk copy.wav", "talk.wav").await;
    let view = desk.queue.jobs().view(again).await.expect("read").expect("a row");
    assert_eq!(view.state, JobState::Skipped);
    assert!(view.error.expect("a reason").contains("was done on"));
}

#[tokio::test]
async fn a_copy_is_skipped_and_takes_the_place_of_a_file_that_goes() {
    let desk = Desk::new();
    let job = desk.take("talk.wav", "talk").await;
    let copy = desk.take("copy.wav", "talk").await;
    assert_ne!(job, copy);
    desk.queue
        .files()
        .record_missing("sales", vec!["talk.wav".into()], at(3))
        .await
        .expect("recorded");
    let job = desk.job(job).await;
    assert_eq!(job.path, Path::new("copy.wav"));
    assert!(matches!(job.state, State::Ready { .. }));
    assert!(desk.queue.jobs().view(copy).await.expect("read").is_none());
}

#[tokio::test]
async fn a_file_that_goes_is_waited_for_and_its_job_cancelled_when_it_stays_away() {
    let desk = Desk::new();
    let id = desk.take("talk.wav", "talk").await;
    desk.queue
        .files()
        .record_missing("sales", vec!["talk.wav".into()], at(3))
        .await
        .expect("recorded");
    assert!(matches!(desk.job(id).await.state, State::Waiting { on: Wait::File { .. }, .. }));
    assert_eq!(desk.queue.folders().cancel_lost("sales", at(3), at(4)).await.expect("ran"), 0);
    assert_eq!(desk.queue.folders().cancel_lost("sales", at(4), at(5)).await.expect("ran"), 1);
    assert_eq!(desk.job(id).await.state, State::Cancelled);
    assert_eq!(desk.take("talk.wav", "talk").await, id);
    assert!(
        matches!(desk.job(id).await.state, State::Ready { stage: Stage::Create, .. }),
        "dropped again: retried"
    );
}

#[tokio::test]
async fn a_file_that_is_only_reported_twice_is_not_retried() {
    let desk = Desk::new();
    let id = desk.take("talk.wav", "talk").await;
    desk.queue.jobs().cancel(id, at(2)).await.expect("cancelled");
    assert_eq!(desk.take("talk.wav", "talk").await, id);
    assert_eq!(desk.job(id).await.state, State::Cancelled);
}

#[tokio::test]
async fn new_content_under_an_old_name_is_another_job_and_cancels_the_one_that_lost_its_file() {
    let desk = Desk::new();
    let first = desk.take("talk.wav", "monday").await;
    let second = desk.take("talk.wav", "tuesday").await;
    assert_ne!(first, second);
    assert_eq!(desk.job(first).await.state, State::Cancelled);
}

#[tokio::test]
async fn an_outcome_for_a_job_that_a_person_cancelled_is_refused() {
    let desk = Desk::new();
    let id = desk.take("talk.wav", "talk").await;
    let job = desk.claim().await.expect("a job");
    desk.queue.jobs().cancel(id, at(11)).await.expect("cancelled");
    let refused = desk
        .queue
        .stages()
        .record_meeting(&job, &plan(), "m", EventKind::MeetingCreated, at(12))
        .await;
    assert!(matches!(refused, Err(StoreError::Moved { job }) if job == id), "{refused:?}");
}

#[tokio::test]
async fn a_crash_counts_nothing() {
    let desk = Desk::new();
    let id = desk.take("talk.wav", "talk").await;
    desk.claim().await.expect("a job");
    assert_eq!(
        desk.queue.jobs().recover(vec![id], at(20), at(20)).await.expect("recovered"),
        0,
        "somebody has it"
    );
    assert_eq!(
        desk.queue.jobs().recover(Vec::new(), at(9), at(20)).await.expect("recovered"),
        0,
        "it has just begun"
    );
    assert_eq!(desk.queue.jobs().recover(Vec::new(), at(20), at(20)).await.expect("recovered"), 1);
    let job = desk.job(id).await;
    assert_eq!((job.attempts, job.state), (0, State::Ready { stage: Stage::Create, due: at(20) }));
}

#[tokio::test]
async fn a_failed_transcription_goes_back_to_the_same_meeting() {
    let desk = Desk::new();
    let job = desk.uploaded("talk.wav").await;
    desk.queue
        .stages()
        .retry_later(&job, Stage::Upload, at(30), "no speech", at(20))
        .await
        .expect("recorded");
    let job = desk.job(job.id).await;
    assert_eq!(job.attempts, 1);
    assert_eq!(job.remote, Remote::Meeting { meeting: "meeting-1".into() });
    assert!(desk.claim_at(29).await.is_none(), "not before it is due");
    let mut job = desk.claim_at(30).await.expect("due");
    // However often an analysis fails, none of its recordings is taken for that of an upload whose answer was lost.
    job.state = desk
        .queue
        .stages()
        .record_upload(&job, "recording-2", EventKind::RecordingUploaded, at(31))
        .await
        .expect("recorded");
    desk.queue
        .stages()
        .retry_later(&job, Stage::Upload, at(40), "no speech", at(35))
        .await
        .expect("recorded");
    assert_eq!(
        desk.queue.stages().discarded_recordings(job.id).await.expect("read"),
        ["recording-1", "recording-2"]
    );
}

#[tokio::test]
async fn what_comes_after_the_last_delivery_waits_for_mails_that_are_held() {
    let desk = Desk::new();
    let job = desk.uploaded("talk.wav").await;
    let mail =
        NewDelivery { kind: DeliveryKind::Mail, target: "ann@example.com".into(), held: true };
    let reports = vec![report(Analysis::Transcription)];
    let analysed = Analysed { reports, deliveries: vec![notes(), mail], endings: MOVES };
    desk.queue.stages().record_results(&job, analysed, at(20)).await.expect("recorded");
    let deliver = async |lane, second| {
        let due = desk.queue.deliveries().list_due(lane, at(second), 9).await.expect("read");
        assert_eq!(due.len(), 1, "{due:?}");
        let state = desk
            .queue
            .deliveries()
            .record_done(&due[0], None, MOVES, at(second))
            .await
            .expect("recorded");
        (due[0].kind, state)
    };
    assert_eq!(
        deliver(Lane::Files, 21).await,
        (DeliveryKind::Notes, Some(State::Done)),
        "its mail waits for a person"
    );
    desk.queue.jobs().retry(job.id, at(30)).await.expect("released");
    assert_eq!(deliver(Lane::Mails, 31).await, (DeliveryKind::Mail, None));
    assert_eq!(deliver(Lane::Files, 32).await, (DeliveryKind::Dispose, Some(State::Done)));
    assert!(
        desk.queue.jobs().retry(job.id, at(40)).await.is_err(),
        "there is nothing left to release"
    );
}

#[tokio::test]
async fn a_queue_that_was_put_back_knows_that_a_meeting_was_asked_for() {
    let desk = Desk::new();
    let copy = desk.dir.path().join("copy.sqlite");
    desk.queue.backup(copy.clone()).await.expect("copied");
    desk.uploaded("talk.wav").await;
    assert!(!desk.queue.maintenance().lacks_creations().await.expect("read"));
    let Desk { queue, dir } = desk;
    drop(queue);
    let kept = Store::open(dir.path()).expect("opened");
    assert!(!kept.maintenance().lacks_creations().await.expect("read"), "a restart loses nothing");
    drop(kept);
    // In a directory of its own: the threads of the queue before may still be closing its files.
    let restored = tempfile::tempdir().expect("a directory");
    for entry in std::fs::read_dir(dir.path()).expect("a directory") {
        let entry = entry.expect("read");
        let name = entry.file_name();
        if !name.to_string_lossy().contains(".sqlite") {
            std::fs::copy(entry.path(), restored.path().join(name)).expect("copied");
        }
    }
    std::fs::rename(copy, restored.path().join("queue.sqlite")).expect("put back");
    let put_back = Store::open(restored.path()).expect("opened");
    assert!(put_back.maintenance().lacks_creations().await.expect("read"));
    put_back.maintenance().agree_on_creations().await.expect("agreed");
    assert!(!put_back.maintenance().lacks_creations().await.expect("read"), "it is told once");
}

#[tokio::test]
async fn a_job_that_was_put_back_before_the_clock_was_set_back_is_due() {
    let desk = Desk::new();
    let job = desk.uploaded("talk.wav").await;
    desk.queue
        .stages()
        .retry_later(&job, Stage::Upload, at(7260), "no speech", at(7200))
        .await
        .expect("recorded");
    assert!(desk.claim_at(7199).await.is_none(), "a clock that is nudged is not set back");
    assert!(desk.claim_at(3600).await.is_some());
    assert!(desk.claim_at(3601).await.is_none(), "once");
}

#[tokio::test]
async fn the_last_failure_leaves_a_word_beside_the_recording_and_one_for_the_operator() {
    let desk = Desk::new();
    let job = desk.uploaded("talk.wav").await;
    let word = NewDelivery { kind: DeliveryKind::Failure, target: String::new(), held: false };
    let failure = Failure {
        error: "no speech".into(),
        from: Stage::Upload,
        reports: Vec::new(),
        deliveries: vec![word],
        notice: "talk.wav failed".into(),
    };
    desk.queue.stages().fail(&job, failure, at(20)).await.expect("recorded");
    assert_eq!(desk.job(job.id).await.state, State::Failed);
    assert_eq!(
        desk.queue.deliveries().list_due(Lane::Files, at(21), 9).await.expect("read").len(),
        1
    );
    let (notices, _) = desk.queue.holds().list_unsent_notices(9).await.expect("read");
    assert_eq!(notices[0].text, "talk.wav failed");
    desk.queue.jobs().retry(job.id, at(30)).await.expect("retried");
    let job = desk.job(job.id).await;
    assert_eq!((job.attempts, job.state.stage()), (0, Some(Stage::Upload)));
}

#[tokio::test]
async fn redo_makes_the_next_generation_and_only_one_at_a_time() {
    let desk = Desk::new();
    let id = desk.take("talk.wav", "talk").await;
    assert!(
        matches!(desk.queue.jobs().redo(id, 0, at(2)).await, Err(CommandError::Refused { .. })),
        "it is not done"
    );
    desk.queue.jobs().cancel(id, at(2)).await.expect("cancelled");
    let new = desk.queue.jobs().redo(id, 0, at(3)).await.expect("redone");
    assert_eq!(desk.job(new).await.key.generation, 2);
    assert!(matches!(
        desk.queue.jobs().redo(id, 0, at(4)).await,
        Err(CommandError::Refused { .. })
    ));
}

#[tokio::test]
async fn redo_is_above_every_generation_that_is_known() {
    let key = |generation: u32| crate::job::Key {
        content: content("talk"),
        folder: "sales".into(),
        generation,
    };
    let desk = Desk::new();
    let id = desk.take("talk.wav", "talk").await;
    desk.queue.jobs().cancel(id, at(2)).await.expect("cancelled");
    desk.queue
        .maintenance()
        .take_markers("paxs", vec![(key(4), "meeting-4".into())])
        .await
        .expect("taken in");
    let new = desk.queue.jobs().redo(id, 0, at(3)).await.expect("redone");
    assert_eq!(desk.job(new).await.key.generation, 5, "the service's list told of the fourth");
    desk.queue.jobs().cancel(new, at(4)).await.expect("cancelled");
    let new = desk.queue.jobs().redo(id, 8, at(5)).await.expect("redone");
    assert_eq!(desk.job(new).await.key.generation, 9, "the notes beside are of the eighth");
}

#[tokio::test]
async fn a_job_that_is_forgotten_says_when_and_where_and_can_be_redone() {
    let desk = Desk::new();
    let job = desk.uploaded("talk.wav").await;
    let analysed = Analysed {
        reports: vec![report(Analysis::Transcription)],
        deliveries: vec![notes()],
        endings: Endings::default(),
    };
    desk.queue.stages().record_results(&job, analysed, at(20)).await.expect("recorded");
    let due = desk.queue.deliveries().list_due(Lane::Files, at(21), 9).await.expect("read");
    let written =
        Written { base: "/srv/sales".into(), path: "talk.notes.md".into(), digest: "d".into() };
    desk.queue
        .deliveries()
        .record_done(&due[0], Some(written), Endings::default(), at(22))
        .await
        .expect("recorded");
    let other = desk.take("other.wav", "other").await;
    desk.queue.jobs().cancel(other, at(23)).await.expect("cancelled");
    let forgotten = async |path: &str| {
        desk.queue.jobs().find_forgotten("sales", path.into()).await.expect("read")
    };
    assert_eq!(forgotten("talk.wav").await, None, "it is not forgotten yet");
    assert_eq!(desk.queue.maintenance().prune(at(100)).await.expect("pruned"), 2);
    let notes = Some("/srv/sales/talk.notes.md".into());
    assert_eq!(forgotten("talk.wav").await, Some(Forgotten { done: Some(at(22)), notes }));
    assert_eq!(forgotten("other.wav").await, Some(Forgotten { done: None, notes: None }));
    assert_eq!(forgotten("none.wav").await, None);
    let again = desk
        .queue
        .jobs()
        .redo_forgotten("sales", "talk.wav".into(), 0, at(110))
        .await
        .expect("asked");
    let again = desk.job(again.expect("redone")).await;
    assert_eq!(
        (again.key.generation, again.recorded, again.path.as_path()),
        (2, at(0), Path::new("talk.wav"))
    );
    assert_eq!(
        desk.queue
            .jobs()
            .redo_forgotten("sales", "talk.wav".into(), 0, at(111))
            .await
            .expect("asked"),
        None
    );
}

#[tokio::test]
async fn fresh_recordings_go_before_backlog_and_folders_are_apart() {
    let desk = Desk::new();
    let old = Settled { backlog: true, ..settled("old.wav", "old") };
    let other = Settled { folder: "board".into(), ..settled("other.wav", "other") };
    desk.queue.files().take(vec![old, other], String::new(), at(1)).await.expect("taken");
    let fresh = desk.take("fresh.wav", "fresh").await;
    assert_eq!(desk.claim().await.expect("a job").id, fresh);
    assert_eq!(desk.claim().await.expect("a job").path, PathBuf::from("old.wav"));
    assert!(desk.claim().await.is_none());
}

#[tokio::test]
async fn what_is_held_is_told_once() {
    let desk = Desk::new();
    let hold = Hold {
        scope: Scope::Service,
        name: "paxs".into(),
        reason: HoldReason::Down,
        detail: "refused".into(),
        since: at(1),
    };
    assert!(desk.queue.holds().add(hold.clone(), Some("down".into())).await.expect("held"));
    assert!(!desk.queue.holds().add(hold, Some("down".into())).await.expect("held"));
    assert_eq!(desk.queue.holds().list_unsent_notices(9).await.expect("read").0.len(), 1);
    assert!(
        desk.queue
            .holds()
            .release(Scope::Service, "paxs", &[HoldReason::Down])
            .await
            .expect("released")
    );
    assert!(desk.queue.holds().list().await.expect("read").is_empty());
}

#[tokio::test]
async fn a_hold_that_lasts_is_told_once_for_each_time_that_it_begins() {
    let desk = Desk::new();
    let tell = async |now: i64| {
        let text = format!("mail cannot be sent: try {now}");
        let told = desk.queue.holds().notify_once(
            Scope::Service,
            "smtp",
            HoldReason::Down,
            at(now - 3600),
            text,
            at(now),
        );
        told.await.expect("asked")
    };
    for begun in [0, 10_000] {
        let name = "smtp".into();
        let reason = HoldReason::Down;
        let detail = "refused".into();
        let hold = Hold { scope: Scope::Service, name, reason, detail, since: at(begun) };
        assert!(desk.queue.holds().add(hold, None).await.expect("held"));
        assert!(!tell(begun + 3599).await);
        assert!(tell(begun + 3600).await);
        assert!(!tell(begun + 7200).await);
        assert!(
            desk.queue
                .holds()
                .release(Scope::Service, "smtp", &[HoldReason::Down])
                .await
                .expect("released")
        );
        assert!(!tell(begun + 7300).await);
    }
}

#[tokio::test]
async fn what_was_put_off_is_known_and_can_be_woken() {
    let desk = Desk::new();
    desk.take("a.wav", "a").await;
    let job = desk.claim().await.expect("a job");
    desk.queue
        .stages()
        .snooze(&job, at(7200), Some(DeferReason::ServiceFailed("busy".into())), at(10))
        .await
        .expect("put off");
    let put_off =
        DeferredJobs { folder: "sales".into(), stage: Some(Stage::Create), until: at(7200) };
    assert_eq!(desk.queue.jobs().list_deferred(at(20)).await.expect("read"), [put_off]);
    assert_eq!(
        desk.queue.jobs().wake_folders(vec!["calls".into()], at(20)).await.expect("woken"),
        0
    );
    assert_eq!(
        desk.queue.jobs().wake_folders(vec!["sales".into()], at(5)).await.expect("woken"),
        1
    );
    assert_eq!(desk.queue.jobs().list_deferred(at(20)).await.expect("read"), []);
    assert_eq!(desk.claim().await.map(|woken| woken.id), Some(job.id));
}

#[tokio::test]
async fn names_that_are_not_utf8_survive() {
    use std::os::unix::ffi::OsStringExt as _;
    let desk = Desk::new();
    let name = PathBuf::from(std::ffi::OsString::from_vec(b"a\xff\n.wav".to_vec()));
    let sighting = Sighting {
        path: name.clone(),
        stamp: Stamp { size: u64::MAX, mtime_ns: -1, inode: u64::MAX },
        first: at(1),
        since: at(2),
        verdict: FileVerdict::Settling,
        written_boot: Some("93ac6c55-e2ad-4eb0-b75a-dd32efb6e383".into()),
    };
    desk.queue.files().record("sales", vec![sighting.clone()]).await.expect("seen");
    assert_eq!(
        desk.queue.files().list("sales", Path::new("")).await.expect("read"),
        vec![sighting]
    );
    assert_eq!(desk.queue.files().list("sales", &name).await.expect("read"), []);
}

#[tokio::test]
async fn a_folder_of_any_size_is_read_in_pages() {
    let desk = Desk::new();
    let seen = |number: u32| Sighting {
        path: format!("{number:05}.wav").into(),
        stamp: Stamp { size: 1, mtime_ns: 1, inode: 1 },
        first: at(1),
        since: at(2),
        verdict: FileVerdict::Ignored,
        written_boot: None,
    };
    let all: Vec<Sighting> = (0..5001).map(seen).collect();
    desk.queue.files().record("sales", all.clone()).await.expect("seen");
    let first = desk.queue.files().list("sales", Path::new("")).await.expect("read");
    let second =
        desk.queue.files().list("sales", &first[first.len() - 1].path).await.expect("read");
    assert_eq!((first.len(), second.len()), (5000, 1));
    assert_eq!([first, second].concat(), all);
}

#[tokio::test]
async fn a_backup_is_a_queue_of_its_own_and_replaces_nothing() {
    let desk = Desk::new();
    let id = desk.take("talk.wav", "talk").await;
    let copy = desk.dir.path().join("copy").join(super::FILE);
    std::fs::create_dir(copy.parent().expect("a parent")).expect("made");
    desk.queue.backup(copy.clone()).await.expect("copied");
    assert!(desk.queue.backup(copy.clone()).await.is_err());
    let restored = Store::open(copy.parent().expect("a parent")).expect("opened");
    assert!(restored.jobs().find(id).await.expect("read").is_some());
}

/// Waits until the threads of a queue that was dropped have closed its files.
fn wait_until_closed(path: &Path) {
    let is_open = || {
        let descriptors = std::fs::read_dir("/proc/self/fd").expect("a directory");
        let mut files =
            descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        files.any(|file| file.to_string_lossy().starts_with(&*path.to_string_lossy()))
    };
    while is_open() {
        std::thread::yield_now();
    }
}

#[test]
fn a_file_that_is_damaged_foreign_or_newer_is_refused_and_left_alone() {
    type Damage = (&'static str, fn(&Path));
    let damage: [Damage; 3] = [
        ("not a database", |path| std::fs::write(path, vec![7; 8192]).expect("written")),
        ("not a queue of minuted", |path| {
            let other = rusqlite::Connection::open(path).expect("opened");
            other.execute_batch("CREATE TABLE other (x)").expect("made");
        }),
        ("newer than", |path| {
            drop(Store::open(path.parent().expect("a parent")).expect("opened"));
            wait_until_closed(path);
            let newer = rusqlite::Connection::open(path).expect("opened");
            newer.pragma_update(None, "user_version", 99).expect("set");
        }),
    ];
    for (told, damage) in damage {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(super::FILE);
        damage(&path);
        let before = std::fs::read(&path).expect("read");
        let error = Store::open(dir.path()).expect_err("refused").to_string();
        assert!(error.contains(told), "{error}");
        assert!(std::fs::read(&path).expect("read") == before, "{told}: the file was changed");
    }
}

#[tokio::test]
async fn a_recording_that_minuted_died_of_fails_with_that_reason() {
    let desk = Desk::new();
    let broken = Settled { unplayable: Some(Unplayable::Crashes), ..settled("talk.mp4", "talk") };
    let taken = desk.queue.files().take(vec![broken], String::new(), at(1)).await.expect("taken");
    let job = desk.job(taken[0].job).await;
    assert_eq!(job.state, State::Failed);
    assert!(job.error.expect("a reason").contains("crashed"));
    assert_eq!(
        desk.queue.deliveries().list_due(Lane::Files, at(2), 9).await.expect("read").len(),
        1
    );
}

#[tokio::test]
async fn the_same_bytes_without_sound_are_skipped_each_with_an_answer_of_its_own() {
    let desk = Desk::new();
    let silent =
        |path| Settled { unplayable: Some(Unplayable::NoSound), ..settled(path, "a header") };
    let taken = desk
        .queue
        .files()
        .take(vec![silent("1.wav"), silent("2.wav"), silent("1.wav")], String::new(), at(1))
        .await;
    let taken = taken.expect("taken");
    assert_eq!((taken[0].job, taken[2].job), (JobId(1), JobId(1)), "the same file has one row");
    for (taken, path) in taken.iter().zip(["1.wav", "2.wav"]) {
        let job = desk.job(taken.job).await;
        assert_eq!(
            (job.state, job.attempts, job.path.as_path()),
            (State::Skipped, 0, Path::new(path))
        );
        assert_eq!(taken.skipped.as_deref(), Some("there is no sound in it"));
    }
    assert_eq!(desk.queue.deliveries().list_due(Lane::Files, at(2), 9).await.expect("read"), []);
    let grown = desk
        .queue
        .files()
        .take(vec![settled("1.wav", "with sound")], String::new(), at(3))
        .await
        .expect("taken");
    assert!(
        matches!(desk.job(grown[0].job).await.state, State::Ready { .. }),
        "what it grows into is heard"
    );
}

#[tokio::test]
async fn a_running_job_without_sound_ends_skipped_and_counts_as_no_attempt() {
    let desk = Desk::new();
    desk.queue
        .files()
        .take(vec![settled("talk.wav", "talk")], String::new(), at(1))
        .await
        .expect("taken");
    let job = desk
        .queue
        .jobs()
        .claim(super::ClaimRequest::of_folder("sales", vec![Stage::Create]), at(2))
        .await
        .expect("asked")
        .expect("claimed");
    assert_eq!(
        desk.queue.stages().skip(&job, super::SkipReason::NoSound, at(3)).await.expect("recorded"),
        State::Skipped
    );
    let skipped = desk.job(job.id).await;
    assert_eq!((skipped.state, skipped.attempts), (State::Skipped, 0));
    assert_eq!(skipped.error.as_deref(), Some("there is no sound in it"));
    assert_eq!(desk.queue.deliveries().list_due(Lane::Files, at(4), 9).await.expect("read"), []);
    assert!(
        desk.queue.stages().skip(&job, super::SkipReason::NoSound, at(5)).await.is_err(),
        "it does not run any more"
    );
}

#[tokio::test]
async fn a_death_is_charged_once_and_to_the_file_as_it_was() {
    let desk = Desk::new();
    let recording = settled("talk.wav", "talk");
    let parsed = |mark: &str, stamp| Parsed {
        mark: mark.into(),
        folder: recording.folder.clone(),
        path: recording.path.clone(),
        stamp,
    };
    let changed = Stamp { size: 9, ..recording.stamp };
    let mut times = Vec::new();
    for (mark, stamp) in
        [("a", recording.stamp), ("a", recording.stamp), ("b", recording.stamp), ("c", changed)]
    {
        times.push(
            desk.queue.files().count_crash(&parsed(mark, stamp), at(1)).await.expect("charged"),
        );
    }
    assert_eq!(times, [1, 1, 2, 1]);
    assert_eq!(desk.queue.files().list_crashing("sales").await.expect("read"), []);
    for mark in ["d", "e"] {
        desk.queue.files().count_crash(&parsed(mark, changed), at(1)).await.expect("charged");
    }
    assert_eq!(
        desk.queue.files().list_crashing("sales").await.expect("read"),
        [(recording.path.clone(), changed)]
    );
    desk.queue.files().take(vec![recording], String::new(), at(1)).await.expect("taken");
    assert_eq!(
        desk.queue.files().list_crashing("sales").await.expect("read"),
        [],
        "what was looked into is charged with nothing"
    );
}

#[test]
fn a_new_queue_is_of_the_newest_version_and_opening_it_again_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let versions = || {
        drop(Store::open(dir.path()).expect("opened"));
        let file = rusqlite::Connection::open(dir.path().join(super::FILE)).expect("opened");
        let version: i64 =
            file.pragma_query_value(None, "user_version", |row| row.get(0)).expect("read");
        let schema: String = file
            .query_row("SELECT group_concat(sql, ';') FROM sqlite_schema", [], |row| row.get(0))
            .expect("read");
        (version, schema)
    };
    let first = versions();
    assert_eq!(usize::try_from(first.0), Ok(super::sqlite::MIGRATIONS.len()));
    assert_eq!(versions(), first);
}

#[tokio::test]
async fn results_that_are_delivered_nowhere_finish_their_job() {
    let desk = Desk::new();
    let job = desk.uploaded("talk.wav").await;
    let analysed =
        Analysed { reports: Vec::new(), deliveries: Vec::new(), endings: Endings::default() };
    assert_eq!(
        desk.queue.stages().record_results(&job, analysed, at(20)).await.expect("recorded"),
        State::Done
    );
}

fn mail() -> NewDelivery {
    NewDelivery { kind: DeliveryKind::Mail, target: "ann@example.com".into(), held: false }
}

impl Desk {
    /// A job whose results are there, with these deliveries due.
    async fn analysed(&self, path: &str, deliveries: Vec<NewDelivery>) -> JobId {
        let job = self.uploaded(path).await;
        let reports = vec![report(Analysis::Transcription)];
        self.queue
            .stages()
            .record_results(
                &job,
                Analysed { reports, deliveries, endings: Endings::default() },
                at(20),
            )
            .await
            .expect("recorded");
        job.id
    }

    async fn due(&self, lane: Lane) -> Vec<Delivery> {
        self.queue.deliveries().list_due(lane, at(1000), 9).await.expect("read")
    }

    /// Fails the mail that is due, and with it the job.
    async fn refuse_mail(&self) {
        let due = self.due(Lane::Mails).await;
        let failed = self
            .queue
            .deliveries()
            .record_failure(&due[0], "550", "refused".into(), Endings::default(), at(22))
            .await;
        assert_eq!(failed.expect("recorded"), Some(State::Failed));
    }
}

/// How the deliveries of a job end, as a table: of its file, of two mails; the state of the job; whether its recording
/// is moved.
const ENDS: [(&str, &str, &str, State, bool); 12] = [
    ("done", "done", "done", State::Done, true),
    ("done", "done", "withheld", State::Done, true),
    ("done", "withheld", "withheld", State::Done, true),
    ("done", "failed", "withheld", State::Failed, false),
    ("failed", "done", "withheld", State::Failed, false),
    ("failed", "withheld", "withheld", State::Failed, false),
    ("", "done", "done", State::Done, true),
    ("", "done", "withheld", State::Done, true),
    ("", "withheld", "withheld", State::Done, false),
    ("", "failed", "withheld", State::Failed, false),
    ("", "withheld", "", State::Done, false),
    ("", "", "", State::Done, false),
];

#[tokio::test]
async fn a_recording_goes_when_everything_is_done_or_withheld_and_somebody_has_its_notes() {
    for (file, first, second, state, moves) in ENDS {
        let desk = Desk::new();
        let to = |address: &str| NewDelivery { target: address.into(), ..mail() };
        let all =
            [(file, notes()), (first, to("ann@example.com")), (second, to("guest@elsewhere.test"))];
        let wanted = all
            .iter()
            .filter(|(end, _)| !end.is_empty())
            .map(|(_, delivery)| delivery.clone())
            .collect();
        let job = desk.uploaded("talk.wav").await;
        let analysed = Analysed {
            reports: vec![report(Analysis::Transcription)],
            deliveries: wanted,
            endings: MOVES,
        };
        desk.queue.stages().record_results(&job, analysed, at(20)).await.expect("recorded");
        for lane in [Lane::Mails, Lane::Files] {
            let due = desk
                .due(lane)
                .await
                .into_iter()
                .filter(|delivery| delivery.kind != DeliveryKind::Dispose);
            for delivery in due {
                let (end, _) = all
                    .iter()
                    .find(|(_, of)| of.target == delivery.target)
                    .expect("it is one of them");
                desk.end(&delivery, end).await;
            }
        }
        let dispose = desk.due(Lane::Files).await;
        assert_eq!(!dispose.is_empty(), moves, "{file} {first} {second}");
        for delivery in dispose {
            assert_eq!(delivery.kind, DeliveryKind::Dispose);
            desk.end(&delivery, "done").await;
        }
        assert_eq!(desk.job(job.id).await.state, state, "{file} {first} {second}");
    }
}

impl Desk {
    /// Ends a delivery, with its recording to be moved after the last.
    async fn end(&self, delivery: &Delivery, end: &str) {
        match end {
            "done" => self.queue.deliveries().record_done(delivery, None, MOVES, at(21)).await,
            "withheld" => {
                self.queue.deliveries().withhold(delivery, "not allowed", MOVES, at(21)).await
            }
            _ => {
                self.queue
                    .deliveries()
                    .record_failure(delivery, "550", "refused".into(), MOVES, at(21))
                    .await
            }
        }
        .expect("recorded");
    }
}

#[tokio::test]
async fn a_withheld_mail_of_the_latest_notes_alone_is_sent_by_a_retry_and_the_recording_goes_after_it()
 {
    let desk = Desk::new();
    let job = desk.analysed("talk.wav", vec![mail()]).await;
    for version in [1, 2] {
        let due = desk.due(Lane::Mails).await;
        assert_eq!(due.iter().map(|delivery| delivery.version).collect::<Vec<_>>(), [version]);
        desk.end(&due[0], "withheld").await;
        assert_eq!(desk.job(job).await.state, State::Done);
        if version == 1 {
            desk.queue
                .jobs()
                .reanalyse(job, vec![Analysis::KeyPoints], true, at(30))
                .await
                .expect("asked");
            let claimed = desk.claim_at(40).await.expect("a job");
            let analysed = Analysed {
                reports: vec![report(Analysis::KeyPoints)],
                deliveries: vec![mail()],
                endings: MOVES,
            };
            desk.queue.stages().record_results(&claimed, analysed, at(41)).await.expect("recorded");
        }
    }
    desk.queue.jobs().retry(job, at(50)).await.expect("retried");
    let due = desk.due(Lane::Mails).await;
    assert_eq!(
        due.iter().map(|delivery| delivery.version).collect::<Vec<_>>(),
        [2],
        "not those before"
    );
    desk.end(&due[0], "done").await;
    assert_eq!(desk.due(Lane::Files).await[0].kind, DeliveryKind::Dispose);
}

#[tokio::test]
async fn a_delivery_that_was_given_up_while_it_was_made_touches_no_other() {
    let desk = Desk::new();
    let first = desk.analysed("one.wav", vec![mail()]).await;
    let under_way = desk.due(Lane::Mails).await.remove(0);
    desk.queue.jobs().cancel(first, at(21)).await.expect("cancelled");
    let second = desk.analysed("two.wav", vec![notes()]).await;
    desk.queue
        .deliveries()
        .record_done(&under_way, None, Endings::default(), at(23))
        .await
        .expect("the mail did go out");
    assert_eq!(desk.due(Lane::Files).await.len(), 1, "the other's notes are not written yet");
    assert!(matches!(desk.job(second).await.state, State::Ready { stage: Stage::Deliver, .. }));
    desk.queue.jobs().retry(first, at(24)).await.expect("retried");
    assert_eq!(desk.due(Lane::Mails).await, [], "what went out is not sent again");
    let again = desk.queue.deliveries().retry_later(&under_way, at(30), "late", at(25)).await;
    assert!(matches!(again, Err(StoreError::Moved { .. })), "{again:?}");
}

#[tokio::test]
async fn a_recording_that_is_dropped_again_gets_the_delivery_that_had_failed() {
    let desk = Desk::new();
    let id = desk.analysed("talk.wav", vec![mail()]).await;
    desk.refuse_mail().await;
    let again = Settled {
        stamp: Stamp { size: 8, mtime_ns: 9, inode: 9 },
        ..settled("talk.wav", "talk.wav")
    };
    desk.queue.files().take(vec![again], String::new(), at(30)).await.expect("taken");
    let due = desk.due(Lane::Mails).await;
    assert_eq!(due.len(), 1);
    assert_eq!(
        desk.queue
            .deliveries()
            .record_done(&due[0], None, Endings::default(), at(31))
            .await
            .expect("recorded"),
        Some(State::Done)
    );
    assert_eq!(desk.job(id).await.state, State::Done);
}

#[tokio::test]
async fn a_job_that_was_cancelled_while_it_delivered_delivers_the_rest_when_it_is_retried() {
    let desk = Desk::new();
    let id = desk.analysed("talk.wav", vec![notes(), mail()]).await;
    let written = desk.due(Lane::Files).await.remove(0);
    desk.queue
        .deliveries()
        .record_done(&written, None, Endings::default(), at(21))
        .await
        .expect("recorded");
    desk.queue.jobs().cancel(id, at(22)).await.expect("cancelled");
    assert_eq!(desk.due(Lane::Mails).await, []);
    desk.queue.jobs().retry(id, at(23)).await.expect("retried");
    assert_eq!((desk.due(Lane::Mails).await.len(), desk.due(Lane::Files).await.len()), (1, 0));
}

#[tokio::test]
async fn a_job_with_nothing_left_to_deliver_is_found_and_finished() {
    let desk = Desk::new();
    let id = desk.analysed("talk.wav", vec![notes(), mail()]).await;
    let written = desk.due(Lane::Files).await.remove(0);
    desk.queue.deliveries().record_done(&written, None, MOVES, at(21)).await.expect("recorded");
    let connection = rusqlite::Connection::open(desk.dir.path().join(super::FILE)).expect("opened");
    connection
        .execute("UPDATE delivery SET state = 'held', due_ms = NULL WHERE kind = 'mail'", [])
        .expect("held");
    assert_eq!(desk.due(Lane::Mails).await, [], "its mails are held");
    assert_eq!(
        desk.queue.deliveries().list_idle().await.expect("read"),
        [(id, "sales".to_owned())]
    );
    assert_eq!(
        desk.queue.deliveries().settle_job(id, MOVES, at(23)).await.expect("settled"),
        Some(State::Done)
    );
    assert_eq!(desk.queue.deliveries().list_idle().await.expect("read"), []);
    desk.queue.jobs().retry(id, at(24)).await.expect("released");
    assert_eq!(desk.due(Lane::Mails).await.len(), 1);
}

#[tokio::test]
async fn what_happens_to_the_recording_comes_anew_after_a_retry() {
    let desk = Desk::new();
    let id = desk.analysed("talk.wav", vec![notes()]).await;
    let written = desk.due(Lane::Files).await.remove(0);
    desk.queue.deliveries().record_done(&written, None, MOVES, at(21)).await.expect("recorded");
    let moving = desk.due(Lane::Files).await.remove(0);
    let failed = desk
        .queue
        .deliveries()
        .record_failure(&moving, "no way", "failed".into(), MOVES, at(22))
        .await;
    assert_eq!(failed.expect("recorded"), Some(State::Failed));
    desk.queue.jobs().retry(id, at(23)).await.expect("retried");
    assert_eq!(desk.queue.deliveries().settle_job(id, MOVES, at(24)).await.expect("settled"), None);
    let due = desk.due(Lane::Files).await;
    assert_eq!((due.len(), due[0].kind), (1, DeliveryKind::Dispose));
}

#[tokio::test]
async fn what_the_service_keeps_goes_last_and_is_not_analysed_any_more() {
    let desk = Desk::new();
    let endings = Endings {
        recording: Some(PostDelivery::Move),
        remote: Some(RemoteCleanup::Purge),
        delete_after: None,
    };
    let id = desk.analysed("talk.wav", vec![notes()]).await;
    let written = desk.due(Lane::Files).await.remove(0);
    assert_eq!(
        desk.queue
            .deliveries()
            .record_done(&written, None, endings, at(21))
            .await
            .expect("recorded"),
        None
    );
    assert_eq!(desk.due(Lane::Remote).await, []);
    let moving = desk.due(Lane::Files).await.remove(0);
    assert_eq!(
        desk.queue
            .deliveries()
            .record_done(&moving, None, endings, at(22))
            .await
            .expect("recorded"),
        None
    );
    assert_eq!(desk.due(Lane::Files).await, []);
    let purging = desk.due(Lane::Remote).await.remove(0);
    assert_eq!((purging.kind, purging.target.as_str()), (DeliveryKind::Remote, "purge"));
    desk.queue
        .deliveries()
        .retry_later(&purging, at(900), "it is down", at(23))
        .await
        .expect("recorded");
    let done = desk.queue.deliveries().record_done(&purging, None, endings, at(901)).await;
    assert_eq!(done.expect("recorded"), Some(State::Done));
    let refused = desk
        .queue
        .jobs()
        .reanalyse(id, vec![Analysis::KeyPoints], false, at(902))
        .await
        .expect_err("it is gone");
    assert!(refused.to_string().contains("was deleted at the service"), "{refused}");
}

#[tokio::test]
async fn a_cancelled_wish_for_more_analyses_is_taken_up_by_retry() {
    let desk = Desk::new();
    let id = desk.analysed("talk.wav", vec![notes()]).await;
    let written = desk.due(Lane::Files).await.remove(0);
    desk.queue
        .deliveries()
        .record_done(&written, None, Endings::default(), at(21))
        .await
        .expect("recorded");
    desk.queue.jobs().reanalyse(id, vec![Analysis::KeyPoints], false, at(22)).await.expect("asked");
    desk.queue.jobs().retry(id, at(23)).await.expect("retried");
    assert_eq!(desk.job(id).await.state.stage(), Some(Stage::Analyse), "it stays where it is");
    desk.queue.jobs().cancel(id, at(24)).await.expect("cancelled");
    desk.queue.jobs().retry(id, at(25)).await.expect("retried");
    assert_eq!(desk.job(id).await.state.stage(), Some(Stage::Analyse));
}

#[tokio::test]
async fn a_meeting_from_before_the_queue_was_lost_holds_the_mails_whenever_it_is_found() {
    let desk = Desk::new();
    let id = desk.take("talk.wav", "talk.wav").await;
    let key = desk.job(id).await.key;
    desk.queue
        .maintenance()
        .take_markers("paxs", vec![(key, "meeting-1".into())])
        .await
        .expect("taken in");
    assert!(desk.job(id).await.mail_held);
    desk.queue.jobs().retry(id, at(9)).await.expect("released");
    let mut job = desk.claim().await.expect("a job");
    job.state = desk
        .queue
        .stages()
        .record_meeting(&job, &plan(), "meeting-1", EventKind::MeetingCreated, at(12))
        .await
        .expect("recorded");
    assert!(!desk.job(id).await.mail_held, "a person has let them go out");
}

#[tokio::test]
async fn a_job_whose_file_was_overwritten_during_its_upload_does_not_wait_for_it() {
    let desk = Desk::new();
    let first = desk.take("talk.wav", "monday").await;
    let job = desk.claim().await.expect("a job");
    let second = desk.take("talk.wav", "tuesday!").await;
    let state = desk.queue.stages().lose_file(&job, "it changed", at(12)).await.expect("recorded");
    assert_eq!(state, State::Cancelled);
    assert!(matches!(desk.job(second).await.state, State::Ready { stage: Stage::Create, .. }));
    assert_eq!(desk.job(first).await.state, State::Cancelled);
}

#[tokio::test]
async fn which_directory_a_folder_was_is_remembered_and_what_an_older_minuted_knew_of_it() {
    let desk = Desk::new();
    assert_eq!(desk.queue.folders().read_root("sales").await.expect("read"), None);
    for inode in [7, u64::MAX] {
        let place = Place { device: u64::MAX, inode, is_mount: true };
        let root = FolderRoot::new(
            place,
            Path::new(OsStr::from_bytes(b"/srv/\xff")),
            at(i64::from(inode == 7)),
        );
        desk.queue.folders().record_root("sales", root.clone()).await.expect("met");
        assert_eq!(desk.queue.folders().read_root("sales").await.expect("read"), Some(root));
    }
    let file = rusqlite::Connection::open(desk.dir.path().join(super::FILE)).expect("opened");
    file.execute("DELETE FROM meta WHERE name = 'root sales'", []).expect("forgotten");
    let root = desk.queue.folders().read_root("sales").await.expect("read").expect("met");
    assert_eq!((root.device, root.spot), (u64::MAX, None));
}

#[test]
fn a_mount_that_is_missing_is_another_place_and_a_directory_made_anew_is_not() {
    let place = |device, inode, is_mount| Place { device, inode, is_mount };
    let met = |place| FolderRoot::new(place, Path::new("/srv/sales"), at(0));
    let disk = met(place(1, 2, true));
    let plain = met(place(1, 50, false));
    assert!(disk.is_elsewhere(place(9, 50, false)), "unmounted");
    assert!(
        disk.is_elsewhere(place(1, 50, false)),
        "a directory of the same disk was mounted there"
    );
    assert!(
        disk.is_elsewhere(place(9, 2, true)),
        "another disk; the inode of its root is the same"
    );
    assert!(plain.is_elsewhere(place(9, 51, false)), "below a mount that went");
    assert!(!plain.is_elsewhere(place(1, 51, false)), "made anew by a person");
    assert!(
        !plain.is_elsewhere(place(9, 50, false)),
        "its file system has another number since a restart"
    );
    assert!(plain.is_other_path(Path::new("/srv/calls"), place(1, 51, false)));
    assert!(!plain.is_other_path(Path::new("/srv/calls"), place(1, 50, false)), "it was renamed");
    assert!(!plain.is_other_path(Path::new("/srv/sales"), place(1, 51, false)));
}

#[tokio::test]
async fn notes_that_are_written_while_speakers_are_named_are_written_once_more_and_known_by_what_was_intended()
 {
    let desk = Desk::new();
    let job = desk.uploaded("talk.wav").await;
    let mut transcript = report(Analysis::Transcription);
    transcript.findings.segments =
        vec![Segment { speaker: Some("Speaker 1".into()), ..Segment::default() }];
    let analysed = Analysed {
        reports: vec![transcript],
        deliveries: vec![notes(), NewDelivery { target: "txt".into(), ..notes() }],
        endings: Endings::default(),
    };
    desk.queue.stages().record_results(&job, analysed, at(20)).await.expect("recorded");
    let name = async |name: &str, second: i64| {
        desk.queue.jobs().name_speakers(job.id, vec![format!("Speaker 1={name}")], at(second)).await
    };
    let written = |digest: &str| {
        Some(Written { base: "/".into(), path: "talk.notes.md".into(), digest: digest.to_owned() })
    };
    let deliveries = || desk.queue.deliveries();
    let first = desk.due(Lane::Files).await;
    let refused = name("Ann", 21).await;
    assert!(matches!(refused, Err(CommandError::Refused { .. })), "notes come first: {refused:?}");
    for (delivery, digest) in first.iter().zip(["old", "text"]) {
        deliveries()
            .record_done(delivery, written(digest), Endings::default(), at(22))
            .await
            .expect("recorded");
    }
    assert_eq!(desk.job(job.id).await.state, State::Done);

    let given = name("Ann", 30).await.expect("named");
    assert!(given.is_new && given.rewrites);
    let making = desk.due(Lane::Files).await.remove(0);
    deliveries().intend_rewrite(&making, "ann").await.expect("recorded");
    name("Bo", 30).await.expect("named again, at the very same time");
    let late = deliveries().record_done(&making, written("ann"), Endings::default(), at(31)).await;
    assert!(matches!(late, Err(StoreError::Moved { .. })), "{late:?}");
    let late = deliveries().intend_rewrite(&making, "other").await;
    assert!(matches!(late, Err(StoreError::Moved { .. })), "{late:?}");
    let again = desk.due(Lane::Files).await.remove(0);
    assert_eq!((again.id, again.intended.as_slice()), (making.id, ["ann".to_owned()].as_slice()));
    let before = deliveries().find_written(job.id, DeliveryKind::Notes, "md").await.expect("read");
    assert_eq!(before, written("old"), "it is known while it is written again");
    deliveries().intend_rewrite(&again, "bo").await.expect("recorded");
    name("Cy", 40).await.expect("named");
    let files = desk.queue.jobs().list_written_notes(job.id).await.expect("read");
    let known: Vec<_> = files.iter().map(|notes| notes.intended.as_slice()).collect();
    assert_eq!(known, [["ann".to_owned(), "bo".to_owned()].as_slice(), &[]]);
    for delivery in desk.due(Lane::Files).await {
        deliveries()
            .record_done(&delivery, written("cy"), Endings::default(), at(41))
            .await
            .expect("recorded");
    }
    let done = desk.job(job.id).await;
    assert_eq!((done.state, done.speaker_names.name_of("Speaker 1")), (State::Done, Some("Cy")));
    name("Cy", 50).await.expect("as before");
    assert_eq!(desk.due(Lane::Files).await, []);
}
