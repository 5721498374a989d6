//! The watched folders: those of the settings in force, changed without a restart.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::{
    config::Folder,
    control,
    services::accepted_extensions,
    watch::{self, FolderQueue, WorkerLink},
    worker::Worker,
};

/// The folders that are watched, by id.
pub(super) type Running = BTreeMap<String, Watched>;

/// A folder that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// The settings it runs with: a reload compares them.
    settings: Folder,
}

/// Makes what is watched what the settings say.
pub(super) async fn reconcile_folders(parts: &Parts) {
    let live = parts.runtime.live();
    let mut running = parts.running.lock().await;
    let wanted: BTreeMap<&str, &Folder> =
        live.settings.folders.iter().map(|folder| (folder.id.as_str(), folder)).collect();
    let ended: Vec<String> = running
        .iter()
        .filter(|(id, watched)| {
            wanted.get(id.as_str()).is_none_or(|folder| **folder != watched.settings)
        })
        .map(|(id, _)| id.clone())
        .collect();
    for id in ended {
        if let Some(watched) = running.remove(&id) {
            watched.stop.cancel();
            if watched.task.await.is_err() {
                tracing::error!("the watch on folder `{id}` panicked");
            }
            folder_views(parts).remove(&id);
        }
    }
    for (id, folder) in wanted {
        if !running.contains_key(id) {
            reconsider_jobs(parts, folder).await;
            running.insert(id.to_owned(), start_folder(parts, folder));
        }
    }
}

/// Hands the watches the files that they are to look at again.
pub(super) fn reconsider_files(parts: &Parts) {
    let folders = parts.folders.read().expect("no thread panics while it holds the folders");
    for (id, files) in parts.worker.reconsidered.take_all() {
        // A folder that is not watched forgets nothing: whoever watches it next reads what the queue knows.
        if let Some(Err(files)) = folders.get(&id).map(|folder| folder.reconsider(files)) {
            parts.worker.reconsidered.put_back(id, files);
        }
    }
}

/// Files that no service took, or that exceeded a bound, may be taken by the settings of now.
async fn reconsider_jobs(parts: &Parts, folder: &Folder) {
    let accepts = folder_extensions(parts, folder);
    let queue = &parts.runtime.queue;
    let unsupported = queue.files().reconsider_unsupported(&folder.id, accepts).await;
    let beyond = queue.files().reconsider_limits(&folder.id, format!("{:?}", folder.limits)).await;
    match unsupported.and_then(|unsupported| Ok(unsupported + beyond?)) {
        Ok(0) => {}
        Ok(count) => {
            tracing::info!("{count} skipped files of folder `{}` are looked at again", folder.name);
        }
        Err(error) => parts.runtime.queue_failed("look at skipped files again", &error),
    }
}

fn start_folder(parts: &Parts, folder: &Folder) -> Watched {
    let stop = parts.stop.child_token();
    let (handle, end) = watch::open_folder_channel();
    folder_views(parts).insert(folder.id.clone(), handle);
    let accepts = folder_extensions(parts, folder);
    let link = link_worker(&parts.worker, &folder.id);
    let queue =
        FolderQueue::new(parts.runtime.queue.clone(), folder, Arc::clone(&parts.last_words), link);
    let open_files = Arc::clone(&parts.runtime.open_files);
    let running = watch::run(folder.clone(), accepts, queue, end, stop.clone(), open_files);
    let ended = stop.clone();
    let fatal = parts.fatal.clone();
    let name = folder.name.clone();
    let task = parts.loops.spawn(async move {
        if let Err(error) = running.await {
            tracing::error!("the watch on folder `{name}` ended: {error:#}");
        }
        if !ended.is_cancelled() {
            fatal.cancel();
        }
    });
    Watched { stop, task, settings: folder.clone() }
}

pub(super) fn folder_extensions(parts: &Parts, folder: &Folder) -> Vec<String> {
    let live = parts.runtime.live();
    let handle = live.services.get(&folder.service);
    handle.map_or_else(Vec::new, |handle| accepted_extensions(folder, handle.service.as_ref()))
}

/// Returns the calls by which the watch on a folder reaches the worker.
fn link_worker(worker: &Arc<Worker>, folder: &str) -> WorkerLink {
    let announcing = Arc::clone(worker);
    let nudging = Arc::clone(worker);
    let failing = Arc::clone(worker);
    let explaining = Arc::clone(worker);
    let folder = folder.to_owned();
    WorkerLink {
        announce_jobs: Box::new(move || {
            announcing.runtime.claims.notify_one();
            // A job that failed at once has a word on that to be delivered beside the recording.
            announcing.runtime.deliveries.notify_one();
            // A job that still needed a file may have lost it to new content.
            let tidying = Arc::clone(&announcing);
            announcing.runtime.tasks.spawn(async move { tidying.tidy_converted().await });
        }),
        announce_retries: Box::new(move || nudging.runtime.nudge()),
        handle_queue_error: Box::new(move |operation, error| {
            failing.runtime.queue_failed(operation, error);
        }),
        unsupported_reason: Box::new(move || unsupported_reason(&explaining, &folder)),
    }
}

/// Returns what is recorded of a file that the service of a folder does not take.
fn unsupported_reason(worker: &Worker, folder: &str) -> String {
    let live = worker.runtime.live();
    let Some(folder) = live.folders.get(folder) else { return String::new() };
    let handle = live.services.get(&folder.service);
    handle.map(|handle| control::unsupported(folder, handle.service.as_ref())).unwrap_or_default()
}

fn folder_views(
    parts: &Parts,
) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, watch::FolderHandle>> {
    parts.folders.write().expect("no thread panics while it holds the folders")
}
