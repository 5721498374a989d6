//! The answer to `status`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Answer, ControlService, NotifierStatus,
    explain::next_try,
    held::{MAIL, held_by, with_cure},
    service::to_value,
    source::SourceStatus,
};
use crate::{
    clock::{self, elapsed},
    job::{HoldReason, JobState, Stage},
    pipeline::analyse::is_slow,
    progress::Unit,
    services::paxs::{PaxsService, SignIn},
    store::{Hold, Scope},
    text::{ShellCommand, printable_path},
    watch::WatchMode,
};

/// The answer to `status`: services, sources, folders and running jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatusReport {
    /// True where a daemon answered; without one nothing is watched and nothing runs.
    pub daemon: bool,
    /// The version of the program that answered.
    pub version: String,
    /// The id of its process.
    pub pid: u32,
    /// The configuration.
    pub config: String,
    /// The state directory.
    pub state_dir: String,
    /// The services.
    pub services: Vec<ServiceStatus>,
    /// The sources.
    #[serde(default)]
    pub sources: Vec<SourceStatus>,
    /// The folders.
    pub folders: Vec<FolderStatus>,
    /// The jobs that run now.
    pub running: Vec<RunningStatus>,
    /// Number of jobs that wait for their analysis.
    pub waiting_for_analysis: usize,
    /// Number of those that wait longer than the service's documents say.
    pub slow: usize,
    /// True where the disk of the queue is full.
    pub disk_full: bool,
    /// The mail server, where mail waits for it.
    #[serde(default)]
    pub mail: Option<MailStatus>,
    /// The notifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notifiers: Vec<NotifierStatus>,
    /// All that is held.
    pub holds: Vec<Hold>,
}

/// The state of a service or a source, as `status` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConnectionState {
    /// Nothing keeps it back.
    Up,
    /// No daemon asks it.
    Unknown,
    /// It is held; the word is that of the reason.
    #[serde(untagged)]
    Held(HoldReason),
}

/// A service in `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Its address.
    pub base_url: String,
    /// Its state.
    pub state: ConnectionState,
    /// The reason, where it is not up.
    pub detail: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The time of the next try.
    pub next_try: Option<Timestamp>,
    /// Until when the sign-in lasts if nothing refreshes it.
    pub signed_in_until: Option<Timestamp>,
}

/// A mail server that is down, in `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MailStatus {
    /// The server.
    pub host: String,
    /// The reason why mail waits.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
    /// The time of the next try.
    pub next_try: Option<Timestamp>,
}

/// A folder in `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FolderStatus {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// The mode of watching, and its reason; `None` without a daemon.
    pub watch: Option<String>,
    /// Its faults and holds.
    pub trouble: Option<String>,
    /// Files that are settling.
    pub settling: u64,
    /// Files that wait for `minuted backlog`.
    pub backlog: u64,
    /// Jobs by state.
    pub jobs: BTreeMap<JobState, u64>,
    /// The time of the last complete scan.
    pub scanned: Option<Timestamp>,
}

/// A job that runs, in `status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunningStatus {
    /// Its number.
    pub id: crate::store::JobId,
    /// Its recording.
    pub path: String,
    /// Its folder.
    pub folder: String,
    /// The running stage.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// The finished part, in `unit`s.
    pub sent: u64,
    /// The whole, in `unit`s; 0 where nothing is sent.
    pub total: u64,
    /// The unit: bytes sent, milliseconds of the recording that were recognised, or per cent of the
    /// server's work.
    #[serde(default)]
    pub unit: Unit,
    /// The estimated end.
    #[serde(default)]
    pub ends: Option<Timestamp>,
}

impl ControlService {
    pub(super) async fn show_status(&self) -> Answer {
        to_value(&self.status_report().await?)
    }

    pub(super) async fn status_report(&self) -> Result<StatusReport, super::Refusal> {
        let live = self.live_settings();
        let mut holds = self.queue.holds().list().await?;
        holds.extend(self.reached_limits().await?);
        let waiting = self.queue.jobs().awaiting_analysis().await?;
        let now = clock::now();
        // One service's documents are as good as another's for a count of what is slow.
        let poll = live.services.values().next().map(|handle| handle.settings.poll);
        let slow = waiting
            .iter()
            .filter(|job| poll.is_some_and(|poll| is_slow(&poll, job.since, now)))
            .count();
        Ok(StatusReport {
            daemon: self.worker.is_some(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            config: printable_path(&live.settings.file),
            state_dir: printable_path(&live.settings.state_dir),
            services: self.services_shown(&holds),
            sources: self.sources_shown(&holds).await?,
            folders: self.folders_shown(&holds).await?,
            running: self.running_shown().await?,
            waiting_for_analysis: waiting.len(),
            slow,
            disk_full: self.disk_full().is_some(),
            mail: self.mail_shown(&holds).await?,
            notifiers: self.notifiers_shown().await?,
            holds,
        })
    }

    fn services_shown(&self, holds: &[Hold]) -> Vec<ServiceStatus> {
        let live = self.live_settings();
        let shown = live.services.values().map(|handle| {
            let name = handle.service.name().to_owned();
            let of_it =
                holds.iter().filter(|hold| hold.scope == Scope::Service && hold.name == name);
            // Faults that only a person can mend come first, then the reason why nothing can be
            // read; the rest recovers without help.
            let hold = of_it.min_by_key(|hold| hold.reason.urgency());
            let (signed_out, until) = match handle.account.as_ref().map(PaxsService::signed_in) {
                Some(SignIn::Yes { refresh_expires, .. }) => (None, Some(refresh_expires)),
                Some(SignIn::No { reason }) => (
                    Some(format!(
                        "{reason}; {}",
                        ShellCommand::new("minuted login").add_word(&name)
                    )),
                    None,
                ),
                None => (None, None),
            };
            let state = match (hold, &signed_out) {
                (Some(hold), _) => ConnectionState::Held(hold.reason),
                (None, Some(_)) => ConnectionState::Held(HoldReason::SignedOut),
                (None, None) if self.worker.is_none() => ConnectionState::Unknown,
                (None, None) => ConnectionState::Up,
            };
            ServiceStatus {
                base_url: handle.settings.kind.place(),
                state,
                detail: hold.map(|hold| hold.detail.clone()).or(signed_out),
                since: hold.map(|hold| hold.since),
                next_try: handle.health.next_try(),
                signed_in_until: until,
                name,
            }
        });
        shown.collect()
    }

    async fn folders_shown(&self, holds: &[Hold]) -> Result<Vec<FolderStatus>, super::Refusal> {
        let live = self.live_settings();
        let counts = self.queue.jobs().count_by_state().await?;
        let mut shown = Vec::with_capacity(live.settings.folders.len());
        for folder in &live.settings.folders {
            let watch = self.watch_of(&folder.id).map(|handle| handle.view().status());
            let held = holds.iter().filter(|hold| hold.name == folder.id);
            let mut trouble = Vec::new();
            for hold in held {
                trouble.extend(self.describe_trouble(hold).await?);
            }
            let jobs = counts.iter().filter(|(id, _, _)| *id == folder.id);
            let scan = watch.as_ref().and_then(|watch| watch.scan.as_ref());
            trouble.extend(scan.and_then(|scan| scan.beyond.describe()));
            shown.push(FolderStatus {
                name: folder.name.clone(),
                path: printable_path(&folder.path),
                watch: watch.as_ref().and_then(|watch| Some(describe_mode(watch.mode.as_ref()?))),
                trouble: (!trouble.is_empty()).then(|| trouble.join("; ")),
                settling: watch.as_ref().map_or(0, |watch| watch.settling as u64),
                backlog: self.queue.files().count_backlog(&folder.id).await?,
                jobs: jobs.map(|(_, state, count)| (*state, *count)).collect(),
                scanned: scan.map(|scan| scan.at),
            });
        }
        Ok(shown)
    }

    /// Describes the hold of a folder.
    async fn describe_trouble(&self, hold: &Hold) -> Result<Option<String>, super::Refusal> {
        let live = self.live_settings();
        let text = match hold.scope {
            Scope::Service | Scope::Disk | Scope::Source => return Ok(None),
            Scope::Folder if hold.reason == HoldReason::Budget => hold.detail.clone(),
            Scope::Folder if hold.reason != HoldReason::Full => {
                format!("{}: {}", hold.reason, hold.detail)
            }
            Scope::Folder => {
                let next = self.queue.deliveries().next_retry(Some(hold.name.clone())).await?;
                let text = with_cure(&hold.detail, held_by(hold, &live).cure.as_deref());
                return Ok(Some(format!(
                    "{text}; it resumes without help{}",
                    next_try(next, clock::now())
                )));
            }
        };
        Ok(Some(with_cure(&text, held_by(hold, &live).cure.as_deref())))
    }

    async fn mail_shown(&self, holds: &[Hold]) -> Result<Option<MailStatus>, super::Refusal> {
        let live = self.live_settings();
        let hold = holds.iter().find(|hold| hold.scope == Scope::Service && hold.name == MAIL);
        let (Some(hold), Some(email)) = (hold, &live.settings.email) else { return Ok(None) };
        let next_try = self.queue.deliveries().next_retry(None).await?;
        let host = email.smtp.host.clone();
        let detail = hold.detail.clone();
        Ok(Some(MailStatus { host, detail, since: hold.since, next_try }))
    }

    async fn running_shown(&self) -> Result<Vec<RunningStatus>, super::Refusal> {
        let Some(worker) = &self.worker else { return Ok(Vec::new()) };
        let mut shown = Vec::new();
        let now = clock::now();
        for (id, active) in worker.activity.snapshot() {
            let Ok(job) = self.job_shown(id).await else { continue };
            let progress = &active.progress;
            let (sent, total) = progress.read();
            let ends = progress
                .left(elapsed(active.since, now))
                .and_then(|left| now.checked_add(left).ok());
            shown.push(RunningStatus {
                id,
                path: job.path,
                folder: job.folder,
                stage: active.stage,
                since: active.since,
                sent,
                total,
                unit: progress.unit(),
                ends,
            });
        }
        Ok(shown)
    }
}

/// Describes the mode in which a folder is watched.
fn describe_mode(mode: &WatchMode) -> String {
    match mode {
        WatchMode::Native => "events".to_owned(),
        WatchMode::Polled(why) => format!("polled: {why}"),
        WatchMode::Unwatched(why) => format!("polled: no watches left; {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_one_word_in_json_and_back() {
        let held =
            HoldReason::ALL.iter().map(|reason| (ConnectionState::Held(*reason), reason.as_str()));
        for (state, word) in
            held.chain([(ConnectionState::Up, "up"), (ConnectionState::Unknown, "unknown")])
        {
            assert_eq!(serde_json::to_value(state).expect("JSON"), word);
            assert_eq!(
                serde_json::from_value::<ConnectionState>(word.into()).expect("a state"),
                state
            );
        }
    }

    #[test]
    fn the_json_of_services_sources_folders_and_running_jobs_keeps_its_words() {
        let since = Timestamp::UNIX_EPOCH;
        let service = ServiceStatus {
            name: "paxs".into(),
            base_url: "https://paxs.test/".into(),
            state: ConnectionState::Held(HoldReason::SignedOut),
            detail: Some("nobody has signed in".into()),
            since: Some(since),
            next_try: None,
            signed_in_until: None,
        };
        let source = SourceStatus {
            name: "calls".into(),
            base_url: "https://calls.test/".into(),
            into: "sales".into(),
            state: ConnectionState::Up,
            detail: None,
            since: None,
            listed: None,
            next: Some(since),
            found: 1,
            placed: 2,
            failed: 3,
            fetching: None,
        };
        let folder = FolderStatus {
            name: "sales".into(),
            path: "/srv/sales".into(),
            watch: Some("events".into()),
            trouble: None,
            settling: 1,
            backlog: 0,
            jobs: [(JobState::Ready, 1), (JobState::Waiting, 2), (JobState::Done, 3)].into(),
            scanned: None,
        };
        let running = RunningStatus {
            id: crate::store::JobId(1),
            path: "/srv/sales/talk.wav".into(),
            folder: "sales".into(),
            stage: Stage::Upload,
            since,
            sent: 1,
            total: 2,
            unit: Unit::Bytes,
            ends: None,
        };
        let shown = serde_json::json!([service, source, folder, running]);
        assert_eq!(
            serde_json::from_value::<ServiceStatus>(shown[0].clone()).expect("a service"),
            service
        );
        assert_eq!(
            serde_json::from_value::<SourceStatus>(shown[1].clone()).expect("a source"),
            source
        );
        assert_eq!(
            serde_json::from_value::<FolderStatus>(shown[2].clone()).expect("a folder"),
            folder
        );
        assert_eq!(
            serde_json::from_value::<RunningStatus>(shown[3].clone()).expect("a job"),
            running
        );
        let lines =
            shown.as_array().into_iter().flatten().map(ToString::to_string).collect::<Vec<_>>();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"base_url":"https://paxs.test/","detail":"nobody has signed in","name":"paxs","next_try":null,"signed_in_until":null,"since":"1970-01-01T00:00:00Z","state":"signed_out"}
        {"base_url":"https://calls.test/","detail":null,"failed":3,"fetching":null,"found":1,"into":"sales","listed":null,"name":"calls","next":"1970-01-01T00:00:00Z","placed":2,"since":null,"state":"up"}
        {"backlog":0,"jobs":{"done":3,"ready":1,"waiting":2},"name":"sales","path":"/srv/sales","scanned":null,"settling":1,"trouble":null,"watch":"events"}
        {"ends":null,"folder":"sales","id":1,"path":"/srv/sales/talk.wav","sent":1,"since":"1970-01-01T00:00:00Z","stage":"upload","total":2,"unit":"bytes"}
        "#);
    }
}
