//! The answer to "where is my recording", for every file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Answer, Desk, Refusal, desk::to_value};
use crate::{
    queue::JobView,
    text::printable_path,
    watch::{explain, why::Why as Seen},
};

/// Where a file is and what it waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The file.
    pub path: String,
    /// The folder it lies in, by name.
    pub folder: Option<String>,
    /// The answer, in a sentence or two.
    pub answer: String,
    /// What a person can do.
    pub hint: Option<String>,
    /// Its job, when it has one.
    pub job: Option<JobView>,
}

impl Desk {
    pub(super) async fn why(&self, path: &Path) -> Answer {
        let shown = printable_path(path);
        let Some((folder, relative)) = self.place(path) else {
            let names: Vec<String> =
                self.live().settings.folders.iter().map(|folder| printable_path(&folder.path)).collect();
            let answer = "it lies in no watched folder".to_owned();
            let hint = Some(format!("the folders are: {}", names.join(", ")));
            return to_value(&Why { path: shown, folder: None, answer, hint, job: None });
        };
        let view = self.handle(&folder.id).map(|handle| handle.view().clone());
        let sighting = self.queue.sighting(&folder.id, relative.clone()).await?;
        let accepts = self.accepts(&folder);
        let (place, below) = (folder.clone(), relative.clone());
        let seen =
            tokio::task::spawn_blocking(move || explain(&place, &accepts, &below, view.as_deref(), sighting.as_ref()));
        let seen = seen.await.map_err(|error| Refusal::new(error.to_string()))?;
        let job = match &seen {
            Seen::Settling(_) | Seen::Name(_) | Seen::Directory | Seen::NotAFile | Seen::BehindLink => None,
            Seen::Trouble(_)
            | Seen::Absent
            | Seen::Unreadable(_)
            | Seen::Empty
            | Seen::Backlog(_)
            | Seen::Ignored
            | Seen::Taken(_)
            | Seen::Unseen => self.queue.job_at(&folder.id, relative).await?,
        };
        let job = match job {
            Some(id) => Some(self.job_shown(id).await?),
            None => None,
        };
        let (answer, hint) = match &job {
            Some(job) => story(job, matches!(seen, Seen::Absent)),
            None => (seen.to_string(), None),
        };
        let is_over = match &job {
            Some(job) => matches!(job.state.as_str(), "done" | "skipped" | "cancelled"),
            None => matches!(seen, Seen::Name(_) | Seen::Directory | Seen::NotAFile | Seen::Absent | Seen::Ignored),
        };
        let hint = hint.or_else(|| self.without_daemon().filter(|_| !is_over));
        to_value(&Why { path: shown, folder: Some(folder.name.clone()), answer, hint, job })
    }

    fn without_daemon(&self) -> Option<String> {
        self.worker
            .is_none()
            .then(|| "no daemon runs: nothing goes on until `minuted run` (or systemctl start minuted)".to_owned())
    }
}

/// Tells where a job is, in words, and what a person can do.
#[must_use]
pub fn story(job: &JobView, is_gone: bool) -> (String, Option<String>) {
    let id = job.id;
    let gone = if is_gone { "; the file is not there any more" } else { "" };
    let error = job.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    let stage = job.stage.as_deref().unwrap_or_default();
    match job.state.as_str() {
        "done" if job.notes.is_empty() => (format!("job {id} is done{gone}"), Some(format!("minuted job {id}"))),
        "done" => (format!("job {id} is done: its notes are {}{gone}", job.notes.join(", ")), None),
        "failed" => (
            format!("job {id} failed after {} attempts{error}{gone}", job.attempts),
            Some(format!("minuted retry {id} goes on from what exists; minuted job {id} shows its history")),
        ),
        "skipped" => (format!("it was skipped{error}"), skipped_hint(job)),
        "cancelled" => (format!("job {id} was cancelled{gone}"), Some(format!("minuted retry {id} takes it up again"))),
        "running" => (format!("job {id} is being worked on: {stage}"), Some("minuted status shows progress".into())),
        "waiting" => (format!("job {id} waits {}{error}{gone}", waits(job)), waits_hint(job)),
        _ => (format!("job {id} is ready for: {stage}{gone}"), None),
    }
}

fn skipped_hint(job: &JobView) -> Option<String> {
    let of_another = job.hash.is_some();
    of_another.then(|| format!("minuted redo {} makes a new meeting and new notes of it all the same", job.id))
}

fn waits(job: &JobView) -> String {
    let due = job.due.map(|due| format!(", until {due}")).unwrap_or_default();
    match job.waits_for.as_deref() {
        Some("analysis") => "for the service, which works on it".into(),
        Some("retry") => format!("for its next attempt ({} failed so far){due}", job.attempts),
        Some("service") => "for the service, which does not work or was asked to be left alone".into(),
        Some("sign_in") => "for a person to sign in".into(),
        Some("file") => "for its file".into(),
        Some("folder") => "for its folder".into(),
        Some("disk") => "for room on the disk".into(),
        Some("backlog") => "for `minuted backlog`".into(),
        Some(_) | None => "its turn".into(),
    }
}

fn waits_hint(job: &JobView) -> Option<String> {
    match job.waits_for.as_deref() {
        Some("sign_in") => {
            Some(format!("minuted login {}", job.service.as_deref().unwrap_or_default()).trim_end().to_owned())
        }
        Some("retry") => Some(format!("minuted retry {} does it at once", job.id)),
        Some("service" | "folder" | "disk") => Some("minuted status tells what holds it".into()),
        Some(_) | None => None,
    }
}
