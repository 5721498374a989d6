//! The loop that makes deliveries. Files, mails and what is asked of services have slots of their own, so that a slow server
//! stops no notes. None touches the meeting again before everything else is where it belongs.

use std::{
    path::PathBuf,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;

pub use super::mails::{SMTP, mail_works};
use super::{DISK_RETRY, Worker, chain, contain, mails, remote, under_way::UnderWay};
use crate::{
    clock,
    config::{Folder, Format, OnSuccess, OnSuccessRemote},
    deliver::{FileError, failed},
    job::{EndedBy, HoldReason, State, retry::backoff},
    pipeline::{
        convert::accepted,
        deliver::{Parcel, RecordingPlace},
    },
    queue::{Delivery, DeliveryKind, Endings, Lane, QueueError, Scope, Written},
    text::one_line,
};

/// Files written at once: they share one disk.
const FILES_MAX: usize = 2;

/// Mails under way at once: what a mail server takes from one client without minding.
const MAILS_MAX: usize = 2;

/// What services are asked at once.
const REMOTE_MAX: usize = 2;

/// Notes are written in moments; a file system that takes longer gets no more of them, and holds up no other folder. A
/// recording that is copied to another file system takes its time.
const WRITE_MAX: Duration = Duration::from_secs(60);
const DISPOSE_MAX: Duration = Duration::from_secs(1800);

/// What is told of such a file system.
const SILENT: &str = "their file system does not answer";

/// A file that could not be written is tried again after this, so that a folder that came back is noticed soon.
const FILE_RETRY: Duration = Duration::from_secs(30);

/// A recording that is not where it was is looked for again after this: a rename that the kernel tells of is in the queue
/// by then.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Tries of a file whose trouble is its own (a name too long): then the delivery has failed.
const FILE_TRIES: u32 = 3;

/// Characters of an error that are kept.
pub(super) const ERROR_MAX: usize = 500;

/// Makes deliveries until the worker stops.
pub async fn run(worker: Arc<Worker>) {
    let under_way = Arc::<UnderWay>::default();
    while !worker.stop.is_cancelled() {
        let wake = match fill(&worker, &under_way).await {
            Ok(wake) => wake,
            Err(error) => {
                worker.queue_failed("read what is to be delivered", &error);
                Some(clock::now() + Duration::from_secs(5))
            }
        };
        tokio::select! {
            () = worker.stop.cancelled() => {}
            () = worker.deliveries.notified() => {}
            () = super::claims::sleep_until(wake) => {}
        }
    }
}

async fn fill(worker: &Arc<Worker>, under_way: &Arc<UnderWay>) -> Result<Option<Timestamp>, QueueError> {
    worker.follow_clock().await?;
    // What comes due in the meantime wakes the loop again.
    let begun = clock::now();
    if worker.disk_full.load(Ordering::Relaxed) {
        // What cannot be recorded would be made again and again.
        return Ok(Some(begun + DISK_RETRY));
    }
    under_way.forget_ended();
    for (lane, slots) in [(Lane::Files, FILES_MAX), (Lane::Mails, MAILS_MAX), (Lane::Remote, REMOTE_MAX)] {
        let busy = under_way.count(lane);
        // Those under way are still due in the queue: ask for as many more.
        let due = worker.queue.due_deliveries(lane, begun, slots + busy).await?;
        for delivery in due {
            if under_way.slots(lane) < slots && under_way.begin((lane, delivery.id)) {
                start(worker, under_way, lane, delivery);
            }
        }
    }
    worker.queue.next_delivery_due(begun).await
}

fn start(worker: &Arc<Worker>, under_way: &Arc<UnderWay>, lane: Lane, delivery: Delivery) {
    let (shared, under_way) = (Arc::clone(worker), Arc::clone(under_way));
    worker.tasks.spawn(async move {
        let made = match lane {
            Lane::Files => file(&shared, &under_way, &delivery).await,
            Lane::Mails => mails::mail(&shared, &delivery).await,
            Lane::Remote => tokio::select! {
                made = remote::make(&shared, &delivery) => made,
                // It is made again, and finds what it did.
                () = shared.stop.cancelled() => Ok(()),
            },
        };
        if let Err(error) = made {
            shared.queue_failed("record a delivery", &error);
        }
        under_way.end((lane, delivery.id));
        shared.deliveries.notify_one();
    });
}

/// Gathers what a delivery is made of; `None` when its job or its folder is gone.
pub(super) async fn parcel(worker: &Worker, delivery: &Delivery) -> Result<Option<Parcel>, QueueError> {
    let Some(job) = worker.queue.job(delivery.job).await? else { return Ok(None) };
    let reports = match delivery.kind {
        DeliveryKind::Notes | DeliveryKind::Mail => {
            let mut reports = worker.queue.findings(job.id).await?;
            let remarks = job.plan.iter().flat_map(|plan| plan.told.remarks.iter().cloned());
            if let Some(report) = reports.first_mut() {
                report.findings.remarks.extend(remarks);
            }
            reports.into()
        }
        DeliveryKind::Failure | DeliveryKind::Clear | DeliveryKind::Dispose | DeliveryKind::Remote => Arc::default(),
    };
    let live = worker.live();
    let Some(folder) = live.folders.get(&job.key.folder) else { return Ok(None) };
    let handle = live.services.get(&folder.service);
    let extensions = handle.map_or_else(Vec::new, |handle| accepted(folder, handle.service.as_ref()));
    let root = worker.queue.folder_root(&folder.id).await?;
    let is_seen = worker.queue.sighting(&folder.id, job.path.clone()).await?.is_some();
    let (folder, open_files) = (Arc::clone(folder), Arc::clone(&worker.open_files));
    Ok(Some(Parcel { job, reports, folder, root, is_seen, extensions, open_files }))
}

async fn file(worker: &Arc<Worker>, under_way: &UnderWay, delivery: &Delivery) -> Result<(), QueueError> {
    let Some(parcel) = parcel(worker, delivery).await? else {
        return later(worker, delivery, FILE_RETRY, "its folder is not in the configuration any more").await;
    };
    let folder = Arc::clone(&parcel.folder);
    let holds = worker.queue.holds().await?;
    let unreachable = holds.iter().find(|hold| hold.is_unreachable() && hold.name == folder.id);
    if let Some(hold) = unreachable {
        return later(worker, delivery, FILE_RETRY, &hold.detail).await;
    }
    if under_way.is_late(&folder.id) {
        return later(worker, delivery, FILE_RETRY, SILENT).await;
    }
    let recording = parcel.recording();
    let mut writing = pin!(write(worker, delivery, parcel));
    let limit = if delivery.kind == DeliveryKind::Dispose { DISPOSE_MAX } else { WRITE_MAX };
    let in_time = tokio::time::timeout(limit, &mut writing).await;
    let written = if let Ok(written) = in_time {
        written?
    } else {
        under_way.late((Lane::Files, delivery.id), &folder.id);
        worker.deliveries.notify_one();
        silent(worker, &folder).await;
        writing.await?
    };
    match written {
        Ok(written) => {
            worker.release(Scope::Folder, &folder.id, &HoldReason::ended_by(EndedBy::Delivery)).await;
            delivered(worker, delivery, &folder, written).await
        }
        Err(error) => file_failed(worker, delivery, &folder, &recording, error).await,
    }
}

/// The place of a folder's notes does not answer: said once.
async fn silent(worker: &Worker, folder: &Folder) {
    let text = format!(
        "the notes of folder `{}` cannot be written: {SILENT}\nthe notes are kept and written when it answers",
        folder.name
    );
    worker.hold(Scope::Folder, &folder.id, HoldReason::Notes, SILENT.to_owned(), text).await;
}

/// Makes a file delivery; the inner error is the file system's.
async fn write(
    worker: &Worker,
    delivery: &Delivery,
    parcel: Parcel,
) -> Result<Result<Option<Written>, FileError>, QueueError> {
    let before = match delivery.kind {
        DeliveryKind::Clear => worker.queue.written(delivery.job, DeliveryKind::Failure, "").await?,
        DeliveryKind::Notes | DeliveryKind::Failure => {
            worker.queue.written(delivery.job, delivery.kind, &delivery.target).await?
        }
        DeliveryKind::Mail | DeliveryKind::Dispose | DeliveryKind::Remote => None,
    };
    let story = match delivery.kind {
        DeliveryKind::Failure => failure_text(worker, &parcel).await?,
        DeliveryKind::Notes
        | DeliveryKind::Mail
        | DeliveryKind::Clear
        | DeliveryKind::Dispose
        | DeliveryKind::Remote => String::new(),
    };
    let (kind, target) = (delivery.kind, delivery.target.clone());
    let folder = parcel.folder.path.clone();
    let mut parcel = match find_recording(worker, delivery, parcel).await? {
        Ok(parcel) => parcel,
        Err(error) => return Ok(Err(error)),
    };
    let work = move || match kind {
        DeliveryKind::Notes => {
            let format = Format::ALL.into_iter().find(|format| format.as_str() == target).unwrap_or(Format::Md);
            parcel.write_notes(format, before.as_ref()).map(Some)
        }
        DeliveryKind::Failure => parcel.write_failure(&story, before.as_ref()).map(Some),
        DeliveryKind::Clear => parcel.clear_failure(before.as_ref()).map(|()| None),
        DeliveryKind::Dispose => parcel.dispose().map(|()| None),
        DeliveryKind::Mail | DeliveryKind::Remote => Ok(None),
    };
    match tokio::task::spawn_blocking(work).await {
        // What a person has deleted is not made again: the delivery is done.
        Ok(Err(FileError::Deleted { .. })) => Ok(Ok(None)),
        // Nobody looks for the word of a failure where neither the recording nor its directory is.
        Ok(Err(FileError::PlaceGone { .. })) if kind == DeliveryKind::Failure => Ok(Ok(None)),
        Ok(done) => Ok(done),
        Err(error) => Ok(Err(panicked(folder, error))),
    }
}

/// Lets a parcel follow its recording, which may have been renamed or moved within the folder since it was taken.
///
/// One that is not where it was and not seen elsewhere yet is looked for once more before it counts as gone.
async fn find_recording(
    worker: &Worker,
    delivery: &Delivery,
    parcel: Parcel,
) -> Result<Result<Parcel, FileError>, QueueError> {
    let folder = parcel.folder.path.clone();
    let look = move || (parcel.recording_place(), parcel);
    let (place, mut parcel) = match tokio::task::spawn_blocking(look).await {
        Ok(looked) => looked,
        Err(error) => return Ok(Err(panicked(folder, error))),
    };
    if place == RecordingPlace::InPlace {
        return Ok(Ok(parcel));
    }
    let paths = worker.queue.paths_of_stamp(&parcel.folder.id, parcel.job.stamp).await?;
    let (is_found, parcel) = match tokio::task::spawn_blocking(move || (parcel.follow(paths), parcel)).await {
        Ok(looked) => looked,
        Err(error) => return Ok(Err(panicked(folder, error))),
    };
    if place == RecordingPlace::Gone && !is_found && parcel.is_seen && delivery.attempts == 0 {
        let name = parcel.job.path.file_name().unwrap_or_default().to_owned();
        return Ok(Err(FileError::Moved { name }));
    }
    Ok(Ok(parcel))
}

/// A delivery that panicked has not happened: it is tried again, and has failed in the end.
fn panicked(folder: PathBuf, error: tokio::task::JoinError) -> FileError {
    let said = match error.try_into_panic() {
        Ok(panic) => format!("a bug: minuted panicked: {}", contain::said(panic.as_ref())),
        Err(error) => error.to_string(),
    };
    FileError::Other { dir: folder, name: ".".into(), source: std::io::Error::other(said) }
}

async fn failure_text(worker: &Worker, parcel: &Parcel) -> Result<String, QueueError> {
    let job = &parcel.job;
    let history = worker.queue.job_view(job.id).await?.and_then(|view| view.history).unwrap_or_default();
    let tried: Vec<failed::Attempt> = history
        .into_iter()
        .filter(|event| event.kind.is_failure())
        .filter_map(|event| {
            let stage = event.stage?;
            Some(failed::Attempt { at: event.at, stage, error: event.error? })
        })
        .collect();
    Ok(failed::text(&failed::Failure {
        key: &job.key,
        job: job.id.0,
        recording: &parcel.recording(),
        folder: &parcel.folder.name,
        error: job.error.as_deref().unwrap_or_default(),
        tried: &tried,
        partial: job.partial,
    }))
}

async fn file_failed(
    worker: &Arc<Worker>,
    delivery: &Delivery,
    folder: &Folder,
    recording: &str,
    error: FileError,
) -> Result<(), QueueError> {
    let told = one_line(&chain(&error), ERROR_MAX);
    let wait = backoff(FILE_RETRY, worker.live().settings.retry.delay_max, delivery.attempts + 1, clock::jitter());
    match error {
        FileError::NoSpace { .. } => {
            let text = format!(
                "no room for the notes of folder `{}`: {told}\nfree some space; nothing new is begun in that folder until \
                 then, and it goes on by itself within half a minute",
                folder.name
            );
            worker.hold(Scope::Folder, &folder.id, HoldReason::Full, told.clone(), text).await;
            later(worker, delivery, wait.min(FILE_RETRY), &told).await
        }
        FileError::Moved { .. } => later(worker, delivery, LOOK_AGAIN, &told).await,
        // It is this recording's place alone: nothing holds the folder.
        FileError::PlaceGone { .. } => later(worker, delivery, wait.min(FILE_RETRY * 10), &told).await,
        FileError::DirectoryGone { .. }
        | FileError::ReadOnly { .. }
        | FileError::Denied { .. }
        | FileError::Failing { .. } => {
            let text = format!(
                "the notes of folder `{}` cannot be written: {told}\nthe notes are kept and written when they can be",
                folder.name
            );
            worker.hold(Scope::Folder, &folder.id, HoldReason::Notes, told.clone(), text).await;
            later(worker, delivery, wait.min(FILE_RETRY * 10), &told).await
        }
        FileError::InUse { .. } => {
            tracing::debug!(job.id = delivery.job.0, "job {} waits: {told}", delivery.job);
            let now = clock::now();
            let due = now.saturating_add(FILE_RETRY).unwrap_or(Timestamp::MAX);
            worker.persist(|| worker.queue.delivery_waits(delivery, due, &told, now)).await
        }
        FileError::Changed { .. } if delivery.kind == DeliveryKind::Dispose => {
            tracing::warn!(
                job.id = delivery.job.0,
                "`{recording}` changed since its notes were made and stays where it is"
            );
            delivered(worker, delivery, folder, None).await
        }
        FileError::Changed { .. }
        | FileError::Deleted { .. }
        | FileError::NameTooLong { .. }
        | FileError::Other { .. } => {
            if delivery.attempts + 1 < FILE_TRIES {
                return later(worker, delivery, wait, &told).await;
            }
            give_up(worker, delivery, folder, recording, &told).await
        }
    }
}

pub(super) async fn delivered(
    worker: &Arc<Worker>,
    delivery: &Delivery,
    folder: &Folder,
    written: Option<Written>,
) -> Result<(), QueueError> {
    let endings = endings(folder);
    let state = worker.persist(|| worker.queue.delivered(delivery, written.clone(), endings, clock::now())).await?;
    tracing::debug!(job.id = delivery.job.0, "job {}: delivered {}", delivery.job, delivery.kind.as_str());
    if state == Some(State::Done) {
        tracing::info!(job.id = delivery.job.0, "job {} is done", delivery.job);
    }
    Ok(())
}

pub(super) async fn give_up(
    worker: &Arc<Worker>,
    delivery: &Delivery,
    folder: &Folder,
    recording: &str,
    error: &str,
) -> Result<(), QueueError> {
    let what = match delivery.kind {
        DeliveryKind::Mail => format!("the notes of {recording} could not be delivered to {}", delivery.target),
        DeliveryKind::Remote => format!("what the service keeps of {recording} could not be deleted there"),
        DeliveryKind::Notes | DeliveryKind::Failure | DeliveryKind::Clear | DeliveryKind::Dispose => {
            format!("the notes of {recording} could not be delivered beside it")
        }
    };
    let notice = format!(
        "{what} (folder `{}`): {error}\nminuted job {}; minuted retry {}",
        folder.name, delivery.job, delivery.job
    );
    let endings = endings(folder);
    worker.persist(|| worker.queue.delivery_failed(delivery, error, notice.clone(), endings, clock::now())).await?;
    tracing::error!(job.id = delivery.job.0, "a delivery of job {} has failed: {error}", delivery.job);
    Ok(())
}

pub(super) async fn later(worker: &Worker, delivery: &Delivery, wait: Duration, error: &str) -> Result<(), QueueError> {
    let now = clock::now();
    let due = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
    worker.persist(|| worker.queue.deliver_later(delivery, due, error, now)).await
}

/// What comes after the last delivery of a recording.
pub fn endings(folder: &Folder) -> Endings {
    let recording = match folder.on_success {
        OnSuccess::Keep => None,
        OnSuccess::Move(_) => Some("move"),
        OnSuccess::Delete => Some("delete"),
    };
    let remote = match folder.on_success_remote {
        OnSuccessRemote::Keep => None,
        OnSuccessRemote::Delete | OnSuccessRemote::Purge => Some(folder.on_success_remote.as_str()),
    };
    Endings { recording, remote }
}
