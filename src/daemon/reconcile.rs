//! A queue that is new or was restored learns what was done before, so that nothing is done twice.
//!
//! A mark (a random word) lies in the queue and in a file beside it, renewed at every start, every hour and at the stop.
//! Where the file does not know the queue's mark, the queue is new, or a copy from another time. Then the keys in the notes on disk are taken in
//! before any folder is watched, and the markers in each service's list before any meeting is created there.
//!
//! So it is with a queue of that mark that knows of fewer meetings than were asked for ([`crate::store::Maintenance::lacks_creations`]):
//! between two marks it was put back to what it had been.

use std::{
    ffi::OsStr, fs::File, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path,
    time::Duration,
};

use anyhow::Context as _;

use super::Parts;
use crate::{
    beneath::{Dir, Entry},
    clock,
    config::{Folder, OnSuccess, Settings},
    delivery::{Proof, head_proof, head_sound},
    effect::Effect,
    job::{HoldReason, Key, Stage},
    runtime::{LiveConfig, ServiceHandle},
    services::{breaker::Call, health::ServiceFault},
    store::{DeferredJobs, FoundNotes, Hold, Scope, Store},
    text::{error_chain, one_line, printable_path},
    watch::names::is_document,
};

/// The mark's file in the state directory.
const MARK: &str = "mark";

/// The longest pause before a service that cannot be read is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Directories that a walk for notes goes down; deeper trees hold none of ours.
const DEPTH_MAX: usize = 64;

/// Notes of one folder that count as proof: more than anybody has in one, and few enough for the rows and the walk. A folder
/// where somebody planted more harms itself alone.
const PROOFS_MAX: usize = 200_000;

/// Proofs that are taken in together: few enough to hold, many enough for a commit.
const BATCH: usize = 1_000;

/// Finds out whether the queue is new or restored; takes in the keys of the notes on disk if so.
pub(super) async fn find_earlier_work(parts: &Parts) -> anyhow::Result<()> {
    let queue = &parts.runtime.queue;
    let settings = &parts.runtime.live().settings;
    let in_queue = queue.maintenance().recall("mark").await?;
    let on_disk = std::fs::read_to_string(settings.state_dir.join(MARK)).unwrap_or_default();
    let is_marked = in_queue.as_ref().is_some_and(|mark| on_disk.lines().any(|line| line == mark));
    if !is_marked || queue.maintenance().lacks_creations().await? {
        tracing::info!("the queue is new or restored: what was done before is looked for");
        queue.maintenance().mark_restored(clock::now()).await?;
        let found = take_in_notes(queue, std::sync::Arc::clone(settings)).await?;
        if found > 0 {
            tracing::info!(
                "notes on disk show which recordings were done before: {}",
                crate::text::format_count(found as u64, "file")
            );
        }
        queue.maintenance().agree_on_creations().await?;
    }
    renew_mark(parts).await?;
    for handle in parts.runtime.live().services.values() {
        restore_back_off(parts, handle).await?;
    }
    // What this machine lacked may be there now.
    queue.jobs().wake_deferred(clock::now()).await?;
    hold_unread(parts).await
}

/// Returns the hold of a service that does not work.
async fn service_down_hold(parts: &Parts, service: &str) -> anyhow::Result<Option<Hold>> {
    let is_it = |hold: &Hold| {
        hold.scope == Scope::Service && hold.name == service && hold.reason == HoldReason::Down
    };
    Ok(parts.runtime.queue.holds().list().await?.into_iter().find(is_it))
}

/// The folders whose recordings go to a service.
fn folders_of(parts: &Parts, service: &str) -> Vec<String> {
    let live = parts.runtime.live();
    live.folders
        .values()
        .filter(|folder| folder.service == service)
        .map(|folder| folder.id.clone())
        .collect()
}

/// A service that did not work before a restart is left alone for as long as its jobs were put off: it may have asked
/// for that. Where results alone were looked for, the first look tells.
async fn restore_back_off(parts: &Parts, handle: &ServiceHandle) -> anyhow::Result<()> {
    let Some(hold) = service_down_hold(parts, handle.service.name()).await? else { return Ok(()) };
    let folders = folders_of(parts, handle.service.name());
    let mut put_off = parts.runtime.queue.jobs().list_deferred(clock::now()).await?;
    put_off.retain(|put_off| folders.contains(&put_off.folder));
    let only_looks = put_off.iter().all(|put_off| put_off.stage.is_none());
    for DeferredJobs { stage, until, .. } in put_off {
        let call = match stage {
            None if only_looks => Call::Look,
            None | Some(Stage::Deliver) => continue,
            Some(Stage::Create) => Call::Create,
            Some(Stage::Upload) => Call::Upload,
            Some(Stage::Analyse) => Call::Request,
        };
        handle.health.resume_hold(call, hold.since, until);
    }
    Ok(())
}

/// A service of which no call is held any more is not down; what was put off because of it is tried now.
async fn release_if_recovered(parts: &Parts, handle: &ServiceHandle) -> anyhow::Result<()> {
    let name = handle.service.name();
    if handle.health.next_try().is_none() && service_down_hold(parts, name).await?.is_some() {
        parts.runtime.queue.jobs().wake_folders(folders_of(parts, name), clock::now()).await?;
        parts.runtime.end_hold(Scope::Service, name, &[HoldReason::Down]).await;
    }
    Ok(())
}

/// Writes a new mark. A crash may come between the queue and the file, and a queue that only crashed is no other queue:
/// while the queue changes its mark, the file knows both.
pub(super) async fn renew_mark(parts: &Parts) -> anyhow::Result<()> {
    let queue = &parts.runtime.queue;
    let mark =
        format!("{:032x}", u128::from(getrandom::u64()?) << 64 | u128::from(getrandom::u64()?));
    if let Some(before) = queue.maintenance().recall("mark").await? {
        write_mark(parts, format!("{before}\n{mark}")).await?;
    }
    queue.maintenance().remember("mark", mark.clone()).await?;
    write_mark(parts, mark).await
}

async fn write_mark(parts: &Parts, marks: String) -> anyhow::Result<()> {
    let dir = parts.runtime.live().settings.state_dir.clone();
    let write = move || -> std::io::Result<()> {
        let path = dir.join(MARK);
        let next = dir.join("mark.tmp");
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(marks.as_bytes())?;
        file.sync_all()?;
        Effect::Mark.during(|| {
            std::fs::rename(&next, &path)?;
            File::open(&dir)?.sync_all()
        })
    };
    tokio::task::spawn_blocking(write).await?.context("failed to write the mark of the queue")
}

/// Holds every service whose list was not read since the queue is new; nothing is created there until it is. A service
/// that keeps no meetings has no list.
async fn hold_unread(parts: &Parts) -> anyhow::Result<()> {
    let live = parts.runtime.live();
    let read = services_read(&parts.runtime.queue).await?;
    for handle in live.services.values() {
        let name = handle.service.name().to_owned();
        if read.contains(&name) || !handle.service.has_markers() {
            parts
                .runtime
                .queue
                .holds()
                .release(Scope::Service, &name, &[HoldReason::Reading])
                .await?;
            release_if_recovered(parts, handle).await?;
        } else {
            let detail =
                "its list of meetings is read before anything is created, because the queue is new"
                    .to_owned();
            let name = name.clone();
            let since = clock::now();
            let hold =
                Hold { scope: Scope::Service, name, reason: HoldReason::Reading, detail, since };
            parts.runtime.queue.holds().add(hold, None).await?;
        }
        parts.runtime.changed.notify_one();
    }
    Ok(())
}

async fn services_read(queue: &Store) -> anyhow::Result<Vec<String>> {
    let text = queue.maintenance().recall("reconciled").await?.unwrap_or_default();
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// Reads the lists of services that were not read yet, until the daemon stops.
pub(super) async fn read_missing_lists(parts: Parts) {
    let mut live = parts.runtime.live.clone();
    loop {
        let wait = match read_service_lists(&parts).await {
            Ok(true) => None,
            Ok(false) => Some(RETRY.min(parts.runtime.live().settings.retry.delay_max)),
            Err(error) => {
                tracing::warn!("failed to record a service's list of meetings: {error:#}");
                Some(RETRY.min(parts.runtime.live().settings.retry.delay_max))
            }
        };
        let pause = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = parts.stop.cancelled() => return,
            changed = live.changed() => {
                if changed.is_ok() && let Err(error) = hold_unread(&parts).await {
                    tracing::warn!("failed to hold a new service: {error:#}");
                }
            }
            () = parts.runtime.signed_in.notified() => {}
            () = pause => {}
        }
    }
}

/// Reads each list that is missing; returns whether none is missing any more.
async fn read_service_lists(parts: &Parts) -> anyhow::Result<bool> {
    let live = parts.runtime.live();
    let mut all = true;
    for handle in live.services.values().filter(|handle| handle.service.has_markers()) {
        let read = services_read(&parts.runtime.queue).await?;
        if !read.iter().any(|name| name == handle.service.name()) {
            all &= read_service_list(parts, handle, read).await?;
        } else if parts
            .runtime
            .queue
            .holds()
            .release(Scope::Service, handle.service.name(), &[HoldReason::Reading])
            .await?
        {
            // It was read, and that could not be said because the disk was full.
            parts.runtime.nudge();
        }
    }
    Ok(all)
}

async fn read_service_list(
    parts: &Parts,
    handle: &ServiceHandle,
    mut read: Vec<String>,
) -> anyhow::Result<bool> {
    let queue = &parts.runtime.queue;
    let name = handle.service.name();
    match Effect::CallMarkers.during_async(handle.service.list_markers()).await {
        Ok(markers) => {
            tracing::info!("service `{name}` has {} meetings of minuted", markers.len());
            queue
                .maintenance()
                .take_markers(name, believable_markers(&parts.runtime.live(), name, markers))
                .await?;
            read.push(name.to_owned());
            queue.maintenance().remember("reconciled", serde_json::to_string(&read)?).await?;
            release_if_recovered(parts, handle).await?;
            if queue.holds().release(Scope::Service, name, &[HoldReason::Reading]).await? {
                parts.runtime.nudge();
            }
            Ok(true)
        }
        Err(error) => {
            match ServiceFault::of_error(&error) {
                Some(fault @ (ServiceFault::SignedOut | ServiceFault::Forbidden)) => {
                    let signed_out = fault == ServiceFault::SignedOut;
                    parts.runtime.service_refused(handle, signed_out, &error.into()).await;
                }
                Some(ServiceFault::Down { .. }) | None => {
                    let error = one_line(&error_chain(&error), 300);
                    tracing::debug!("the list of service `{name}` cannot be read yet: {error}");
                    parts.runtime.service_down(handle, &error).await;
                }
            }
            Ok(false)
        }
    }
}

/// Returns the markers of a service's list that may be minuted's: whoever shares the account can write one. One of a folder
/// that another service works for is none; that of a folder which is not configured now may be again.
fn believable_markers(
    live: &LiveConfig,
    service: &str,
    markers: Vec<(Key, String)>,
) -> Vec<(Key, String)> {
    let is_foreign =
        |id: &str| live.folders.get(id).is_some_and(|folder| folder.service != service);
    markers.into_iter().filter(|(key, _)| key.is_believable() && !is_foreign(&key.folder)).collect()
}

/// Takes in the keys of all notes in the folders and their notes directories; returns how many.
async fn take_in_notes(queue: &Store, settings: std::sync::Arc<Settings>) -> anyhow::Result<usize> {
    let (batches, mut found) = tokio::sync::mpsc::channel(1);
    let walk = tokio::task::spawn_blocking(move || {
        for folder in &settings.folders {
            let mut proofs = Proofs { folder, batches: &batches, batch: Vec::new(), found: 0 };
            for place in note_directories(folder) {
                if let Ok(root) = Dir::open(place) {
                    proofs.walk_directory(&root, DEPTH_MAX);
                }
            }
            proofs.hand_over();
            if proofs.found >= PROOFS_MAX {
                tracing::warn!(
                    "more than {PROOFS_MAX} notes lie in folder `{}`: the others are not read, and do not count as proof \
                     that a recording was done",
                    folder.name
                );
            }
        }
    });
    let mut count = 0;
    while let Some(batch) = found.recv().await {
        count += batch.len();
        queue.maintenance().take_notes(batch).await?;
    }
    walk.await?;
    if count == 0 {
        queue.maintenance().take_notes(Vec::new()).await?;
    }
    Ok(count)
}

fn note_directories(folder: &Folder) -> Vec<&Path> {
    match (&folder.notes_dir, &folder.on_success) {
        (Some(dir), OnSuccess::Keep | OnSuccess::Move(_) | OnSuccess::Delete) => {
            vec![&folder.path, dir]
        }
        (None, _) => vec![&folder.path],
    }
}

/// The search for proofs in one folder. Notes prove something about recordings of the folder in which they lie, and of no
/// other: who may write here may not write there.
struct Proofs<'a> {
    folder: &'a Folder,
    batches: &'a tokio::sync::mpsc::Sender<Vec<FoundNotes>>,
    batch: Vec<FoundNotes>,
    found: usize,
}

impl Proofs<'_> {
    fn walk_directory(&mut self, dir: &Dir, depth: usize) {
        let Ok(entries) = rustix::fs::Dir::read_from(dir.fd()) else { return };
        for entry in entries.flatten() {
            let name: &OsStr =
                std::os::unix::ffi::OsStrExt::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if self.found >= PROOFS_MAX {
                return;
            }
            let path = Path::new(name);
            match dir.entry(path) {
                Ok(Some(Entry::Directory)) if depth > 0 => {
                    if let Ok(below) = dir.descend(path) {
                        self.walk_directory(&below, depth - 1);
                    }
                }
                Ok(Some(Entry::File(_)))
                    if path.extension() == Some(OsStr::new("md")) && is_document(name) =>
                {
                    if let Some(proof) = head_proof(dir, name) {
                        self.add_proof(dir, name, proof);
                    }
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn add_proof(&mut self, dir: &Dir, name: &OsStr, proof: Proof) {
        let Proof { key, partial } = proof;
        if key.folder != self.folder.id || !key.is_believable() {
            tracing::debug!(
                "`{}` proves nothing here: its key is `{key}`",
                printable_path(&dir.path().join(name))
            );
            return;
        }
        let path = printable_path(&dir.path().join(name));
        self.batch.push(FoundNotes { key, path, partial, sound: head_sound(dir, name) });
        self.found += 1;
        if self.batch.len() >= BATCH {
            self.hand_over();
        }
    }

    /// Hands over what was found. Where nobody takes it any more, the queue has failed, which is told there.
    fn hand_over(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() && self.batches.blocking_send(batch).is_err() {
            self.found = PROOFS_MAX;
        }
    }
}
