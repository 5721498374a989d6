//! The running sources: those of the settings in force, changed without a restart.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Parts, folders::folder_extensions};
use crate::{
    config::{self, Folder},
    control::Folders,
    sources::{self, FolderReady, SourceEngine},
    store::Scope,
};

/// The sources that run, by name.
pub(super) type Running = BTreeMap<String, Brought>;

/// The interval between looks for the first scan of a folder.
const SCANNED_EVERY: Duration = Duration::from_millis(100);

/// A source that runs.
#[derive(Debug)]
pub(super) struct Brought {
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// The settings it runs with, as text: what a reload compares.
    settings: String,
}

/// Makes what runs what the settings say.
pub(super) async fn reconcile_sources(parts: &Parts) {
    let live = parts.runtime.live();
    let mut running = parts.fetching.lock().await;
    let wanted: BTreeMap<&str, (&config::Source, &Folder)> = live
        .settings
        .sources
        .iter()
        .filter_map(|source| {
            Some((source.name.as_str(), (source, live.settings.folder(&source.into)?)))
        })
        .collect();
    let ended: Vec<String> = running
        .iter()
        .filter(|(name, it)| {
            wanted.get(name.as_str()).is_none_or(|(source, folder)| {
                describe_folder(parts, source, folder) != it.settings
            })
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in ended {
        if let Some(source) = running.remove(&name) {
            source.stop.cancel();
            if source.task.await.is_err() {
                tracing::error!("the source `{name}` panicked");
            }
        }
    }
    release_removed_sources(parts, &wanted.keys().copied().collect::<Vec<_>>()).await;
    for (name, (source, folder)) in wanted {
        if !running.contains_key(name)
            && let Some(started) = start_source(parts, source, folder)
        {
            running.insert(name.to_owned(), started);
        }
    }
}

/// What holds a source that left the configuration holds nothing.
async fn release_removed_sources(parts: &Parts, names: &[&str]) {
    for hold in parts.runtime.queue.holds().list().await.unwrap_or_default() {
        if hold.scope == Scope::Source
            && !names.contains(&hold.name.as_str())
            && let Err(error) =
                parts.runtime.queue.holds().release(Scope::Source, &hold.name, &[hold.reason]).await
        {
            parts.runtime.queue_failed("forget what held a source", &error);
        }
    }
}

fn start_source(parts: &Parts, source: &config::Source, folder: &Folder) -> Option<Brought> {
    let settings = describe_folder(parts, source, folder);
    let live = parts.runtime.live();
    let engine = sources::connect_source(source, live.settings.workers).and_then(|vendor| {
        let engine = sources::SourceContext {
            source: vendor,
            settings: source.clone(),
            retry: live.settings.retry,
            folder: Arc::new(folder.clone()),
            accepts: folder_extensions(parts, folder),
            state_dir: live.settings.state_dir.clone(),
            history: live.settings.history,
            queue: parts.runtime.queue.clone(),
            ready: folder_readiness(parts.folders.clone(), folder),
        };
        SourceEngine::new(engine, &parts.sources)
    });
    let engine = match engine {
        Ok(engine) => engine,
        Err(error) => {
            tracing::error!("source `{}` cannot begin: {error}", source.name);
            return None;
        }
    };
    let stop = parts.stop.child_token();
    let fatal = parts.fatal.clone();
    let ended = stop.clone();
    let name = source.name.clone();
    let folders = parts.folders.clone();
    let id = folder.id.clone();
    let task = parts.loops.spawn(async move {
        tokio::select! {
            () = ended.cancelled() => return,
            () = await_first_scans(&folders, &id) => {}
        }
        if let Err(error) = engine.run(ended.clone()).await {
            tracing::error!("the source `{name}` ended: {error}");
        }
        if !ended.is_cancelled() {
            fatal.cancel();
        }
    });
    Some(Brought { stop, task, settings })
}

/// Waits until a folder was scanned for the first time, or cannot be: what is brought later is no backlog.
async fn await_first_scans(folders: &Folders, id: &str) {
    let is_known = || {
        let folders = folders.read().expect("no thread panics while it holds the folders");
        let status = folders.get(id).map(|handle| handle.view().status());
        status.is_none_or(|status| status.scan.is_some() || status.trouble.is_some())
    };
    while !is_known() {
        tokio::time::sleep(SCANNED_EVERY).await;
    }
}

/// Returns what tells whether a recording may be placed in a folder now.
fn folder_readiness(folders: Folders, folder: &Folder) -> FolderReady {
    let id = folder.id.clone();
    let name = folder.name.clone();
    Arc::new(move || {
        let folders = folders.read().expect("no thread panics while it holds the folders");
        let Some(status) = folders.get(&id).map(|handle| handle.view().status()) else {
            return Some(format!("folder `{name}` is not watched"));
        };
        match status.trouble.filter(|trouble| trouble.kind.blocks_stages()) {
            Some(trouble) => {
                Some(format!("folder `{name}`: {}", crate::text::one_line(&trouble.detail, 300)))
            }
            None if status.scan.is_none() => Some(format!("folder `{name}` was not scanned yet")),
            None => None,
        }
    })
}

fn describe_folder(parts: &Parts, source: &config::Source, folder: &Folder) -> String {
    let retry = parts.runtime.live().settings.retry;
    format!("{source:?} {retry:?} {folder:?} {:?}", folder_extensions(parts, folder))
}
