//! Questions about sources: their recordings, and fetching one of them now.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, ControlService, Refusal, service::to_value, status::ConnectionState};
use crate::{
    clock,
    config::{self, Settings},
    progress::Progress,
    sources::{self, FolderReady, SourceEngine, SourcesHandle},
    store::{DeletionState, FetchedState, FetchedView, Hold, Scope},
    text::{ShellCommand, format_duration, one_line, printable, printable_path},
};

/// Interval at which the arrival of a recording is checked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Time in which a held source may begin to fetch a requested recording all the same.
const BEGINS: Duration = Duration::from_secs(1);

/// A source in `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SourceStatus {
    /// Its name.
    pub name: String,
    /// Its address.
    pub base_url: String,
    /// The folder that its recordings go to, by name.
    pub into: String,
    /// Its state.
    pub state: ConnectionState,
    /// The reason, where it is not up.
    pub detail: Option<String>,
    /// The beginning of that.
    pub since: Option<Timestamp>,
    /// The time at which its list was last read to the end.
    pub listed: Option<Timestamp>,
    /// The time of the next call; `None` while it works.
    pub next: Option<Timestamp>,
    /// Recordings that are waited for.
    pub found: u64,
    /// Recordings that were put into the folder.
    pub placed: u64,
    /// Recordings that cannot be fetched.
    pub failed: u64,
    /// The recording that is being fetched.
    pub fetching: Option<FetchingStatus>,
}

/// A recording that is being fetched, in `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FetchingStatus {
    /// The vendor's id.
    pub id: String,
    /// The beginning of that.
    pub since: Timestamp,
    /// Bytes that have come.
    pub bytes: u64,
    /// Bytes in all; 0 where the vendor does not give them.
    pub total: u64,
}

impl FetchingStatus {
    fn of((id, since, progress): (String, Timestamp, Arc<Progress>)) -> Self {
        let (bytes, total) = progress.read();
        Self { id, since, bytes, total }
    }
}

impl ControlService {
    /// Returns this service with the sources that run here.
    #[must_use]
    pub(crate) fn with_sources(mut self, sources: SourcesHandle) -> Self {
        self.sources = sources;
        self
    }

    pub(super) async fn source_list(&self, name: Option<&str>) -> Answer {
        let rows = self.queue.sources().list(name.map(str::to_owned)).await?;
        if let Some(name) = name.filter(|_| rows.is_empty()) {
            find_source(&self.live_settings().settings, Some(name))?;
        }
        let shown: Vec<FetchedView> =
            rows.into_iter().map(|row| self.locate_recording(row)).collect();
        to_value(&shown)
    }

    /// Shows a recording with its path on this machine.
    fn locate_recording(&self, mut row: FetchedView) -> FetchedView {
        let live = self.live_settings();
        let folder = row.folder.as_ref().and_then(|id| live.folders.get(id));
        if let (Some(folder), Some(relative)) = (folder, &row.relative) {
            row.path = Some(printable_path(&folder.path.join(relative)));
            row.folder = Some(folder.name.clone());
        }
        row
    }

    /// Fetches a recording now, also one that failed, or that ended before the source was
    /// configured; returns once it is there.
    pub(super) async fn source_fetch(&self, name: Option<&str>, id: &str) -> Answer {
        let live = self.live_settings();
        let source = find_source(&live.settings, name)?.clone();
        if !sources::is_id(id) {
            return Err(Refusal::new(format!("`{}` is not an id", one_line(id, 60)))
                .hint("minuted source list"));
        }
        let now = clock::now();
        if let Some(spot) = self.queue.sources().request(&source.name, id, now).await? {
            let live = self.live_settings();
            let root = live
                .folders
                .get(&spot.folder)
                .map(|folder| folder.path.clone())
                .unwrap_or_default();
            let place = root.join(&spot.path);
            let shown = printable_path(&place);
            let message = format!(
                "recording `{id}` of source `{}` was fetched already, to {shown}",
                source.name
            );
            return Err(
                Refusal::new(message).hint(ShellCommand::new("minuted why").add_path(&place))
            );
        }
        match &self.worker {
            Some(_) => self.sources.nudge(&source.name, id),
            None => self.fetch_here(&source, id).await?,
        }
        self.wait_for_recording(&source, id).await
    }

    /// Waits until a recording is there, or the reason why it is not.
    async fn wait_for_recording(&self, source: &config::Source, id: &str) -> Answer {
        let begun = tokio::time::Instant::now();
        loop {
            let rows = self.queue.sources().list(Some(source.name.clone())).await?;
            let row =
                rows.into_iter().find(|row| row.id == id).map(|row| self.locate_recording(row));
            let Some(row) = row else {
                return Err(Refusal::new("a bug: the recording is not known"));
            };
            match (row.state, row.error.as_deref()) {
                (FetchedState::Placed, _) => return Ok(fetched_answer(&row)),
                (FetchedState::Failed, error) => {
                    return Err(Refusal::new(printable(error.unwrap_or_default()).into_owned()));
                }
                (FetchedState::Found | FetchedState::Placing, Some(error)) => {
                    let error = printable(error);
                    let refusal =
                        Refusal::new(format!("recording `{id}` has not arrived: {error}"));
                    if self.worker.is_none() {
                        return Err(refusal);
                    }
                    let again =
                        row.due.map(|due| format_duration(clock::elapsed(clock::now(), due)));
                    let again = again.unwrap_or_default();
                    return Err(refusal.hint(format!("minuted keeps trying, next in {again}")));
                }
                (FetchedState::Found | FetchedState::Placing, None) => {}
            }
            let view = self.sources.view(&source.name);
            let is_idle = view.is_none_or(|view| view.next.is_some());
            if is_idle && (self.worker.is_none() || begun.elapsed() > BEGINS) {
                let holds = self.queue.holds().list().await?;
                if let Some(hold) = most_urgent(&holds, &source.name) {
                    return Err(Refusal::new(format!(
                        "source `{}` waits: {}",
                        source.name, hold.detail
                    ))
                    .hint("the recording is fetched when the source works again; minuted status"));
                }
            }
            if self.worker.as_ref().is_none_or(|worker| worker.runtime.stop.is_cancelled()) {
                return Err(Refusal::new("it did not arrive before minuted ended")
                    .hint("minuted source list"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Fetches a recording in this process: no daemon runs.
    async fn fetch_here(&self, source: &config::Source, id: &str) -> Result<(), Refusal> {
        let live = self.live_settings();
        let folder = live.folders.get(&source.into).cloned();
        let folder = folder.ok_or_else(|| {
            Refusal::new(format!("there is no folder with the id `{}`", source.into))
        })?;
        if self.queue.folders().read_root(&folder.id).await?.is_none() {
            return Err(Refusal::new(format!("minuted has not scanned folder `{}` yet", folder.name))
                .hint("start `minuted run` once: files that are in a folder before that count as older than minuted"));
        }
        let ready: FolderReady = Arc::new(|| None);
        let parts = sources::SourceContext {
            source: sources::connect_source(source, live.settings.workers)
                .map_err(|error| failed_fetch(&error))?,
            settings: source.clone(),
            retry: live.settings.retry,
            accepts: self.accepted_extensions(&folder),
            folder,
            state_dir: live.settings.state_dir.clone(),
            history: live.settings.history,
            queue: self.queue.clone(),
            ready,
        };
        let mut engine =
            SourceEngine::new(parts, &self.sources).map_err(|error| failed_fetch(&error))?;
        Ok(engine.fetch_recording(id).await?)
    }

    pub(super) async fn sources_shown(&self, holds: &[Hold]) -> Result<Vec<SourceStatus>, Refusal> {
        let live = self.live_settings();
        let counts = self.queue.sources().count_by_state().await?;
        let shown = live.settings.sources.iter().map(|source| {
            let hold = most_urgent(holds, &source.name);
            let view = self.sources.view(&source.name);
            let state = match (hold, &view) {
                (Some(hold), _) => ConnectionState::Held(hold.reason),
                (None, Some(_)) => ConnectionState::Up,
                (None, None) => ConnectionState::Unknown,
            };
            let view = view.unwrap_or_default();
            SourceStatus {
                name: source.name.clone(),
                base_url: source.base_url.to_string(),
                into: live
                    .folders
                    .get(&source.into)
                    .map_or(source.into.clone(), |folder| folder.name.clone()),
                state,
                detail: hold.map(|hold| hold.detail.clone()),
                since: hold.map(|hold| hold.since),
                listed: view.listed,
                next: view.next,
                found: count_recordings(
                    &counts,
                    &source.name,
                    &[FetchedState::Found, FetchedState::Placing],
                ),
                placed: count_recordings(&counts, &source.name, &[FetchedState::Placed]),
                failed: count_recordings(&counts, &source.name, &[FetchedState::Failed]),
                fetching: view.fetching.map(FetchingStatus::of),
            }
        });
        Ok(shown.collect())
    }

    /// Describes the source of a file, where it was fetched from one.
    pub(super) async fn describe_origin(
        &self,
        folder: &str,
        relative: std::path::PathBuf,
        job: Option<crate::store::JobId>,
    ) -> Result<Option<String>, Refusal> {
        let row = self.queue.sources().find_at_path(folder, relative, job).await?;
        Ok(row.map(|row| {
            let reuse = if row.reuse { ", with its transcript" } else { "" };
            let deleted = if row.deletion == Some(DeletionState::Done) {
                "; its copy there is deleted"
            } else {
                ""
            };
            format!("source `{}` brought it (recording `{}`{reuse}{deleted})", row.source, row.id)
        }))
    }
}

/// Finds a source by its name; the only one where none is named.
pub(super) fn find_source<'a>(
    settings: &'a Settings,
    name: Option<&str>,
) -> Result<&'a config::Source, Refusal> {
    let all = &settings.sources;
    let known = all.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = match name {
        Some(name) => settings.source(name),
        None => all.first().filter(|_| all.len() == 1),
    };
    found.ok_or_else(|| match (name, all.is_empty()) {
        (_, true) => Refusal::unknown("no source is configured")
            .hint("add a [[source]] to the configuration; config.example.toml shows it"),
        (Some(name), false) => {
            let message = format!("there is no source `{}`", one_line(name, 80));
            Refusal::unknown(message).hint(format!("the sources are: {known}"))
        }
        (None, false) => {
            Refusal::new("there are several sources").hint(format!("name one by --source: {known}"))
        }
    })
}

/// Returns the hold of a source that a person has to look at first.
fn most_urgent<'a>(holds: &'a [Hold], source: &str) -> Option<&'a Hold> {
    let of_it = holds.iter().filter(|hold| hold.scope == Scope::Source && hold.name == source);
    of_it.min_by_key(|hold| hold.reason.urgency())
}

/// Counts the recordings of a source in these states.
fn count_recordings(
    counts: &[(String, FetchedState, u64)],
    source: &str,
    states: &[FetchedState],
) -> u64 {
    let matching =
        counts.iter().filter(|(name, state, _)| name == source && states.contains(state));
    matching.map(|(.., count)| count).sum()
}

fn failed_fetch(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(one_line(&crate::text::error_chain(error), 500))
}

fn fetched_answer(row: &FetchedView) -> serde_json::Value {
    let place = row.path.clone().unwrap_or_default();
    json!({
        "source": row.source, "id": row.id, "path": place, "folder": row.folder, "job": row.job,
        "message": format!("recording {} lies at {place}", row.id),
    })
}
