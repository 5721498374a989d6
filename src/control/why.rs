//! The answer to "where is my recording", for every file.

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Answer, ControlService, ExplainContext, Refusal, explain_job, service::to_value};
use crate::{
    clock,
    job::JobState,
    open_files::InUse,
    pipeline::sidecar,
    store::{Forgotten, JobView},
    text::{ShellCommand, one_line, printable_path},
    watch::{
        explain,
        why::{FileExplanation as Seen, SidecarScope},
    },
};

/// Characters of the mistakes in a sidecar that are shown; further ones are shown once the first
/// are corrected.
const MISTAKES_MAX: usize = 1000;

/// The answer to `why`: where a file is and what it waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WhyAnswer {
    /// The file.
    pub path: String,
    /// The folder it lies in, by name.
    pub folder: Option<String>,
    /// The answer, in a sentence or two.
    pub answer: String,
    /// The next step for a person.
    pub hint: Option<String>,
    /// Its job, when it has one.
    pub job: Option<JobView>,
}

impl ControlService {
    pub(super) async fn explain_path(&self, path: &Path) -> Answer {
        let shown = printable_path(path);
        let Some((folder, relative)) = self.locate_path(path) else {
            return self.why_outside(path, shown).await;
        };
        let view = self.watch_of(&folder.id).map(|handle| handle.view().clone());
        let id = folder.id.clone();
        let below = relative.clone();
        let sighting = self.queue.files().find(&folder.id, relative.clone()).await?;
        let accepts = self.accepted_extensions(&folder);
        let place = folder.clone();
        let inner = relative.clone();
        let service = self.live_settings().services.get(&folder.service).map(Arc::clone);
        let open_files = self
            .worker
            .as_ref()
            .map(|worker| Arc::clone(&worker.runtime.open_files))
            .unwrap_or_default();
        let look = tokio::task::spawn_blocking(move || {
            let seen = explain(&place, &accepts, &inner, view.as_deref(), sighting.as_ref());
            let seen = seen.with_use(&open_files, &place, &inner);
            let counts =
                matches!(seen, Seen::Sidecar(SidecarScope::Recording(_) | SidecarScope::Directory));
            let mistakes = service
                .filter(|_| counts)
                .map(|service| sidecar::mistakes(&place, &service.settings, &inner));
            (seen, mistakes.unwrap_or_default())
        });
        let (seen, mistakes) = look.await.map_err(|error| Refusal::new(error.to_string()))?;
        if let (Seen::Sidecar(_), false) = (&seen, mistakes.is_empty()) {
            let mistakes = one_line(&mistakes.join("; "), MISTAKES_MAX);
            let answer = format!("{seen}; until it is mended its recordings wait: {mistakes}");
            return to_value(&WhyAnswer {
                path: shown,
                folder: Some(folder.name.clone()),
                answer,
                hint: None,
                job: None,
            });
        }
        let job = match &seen {
            Seen::Settling(_)
            | Seen::Name(_)
            | Seen::Sidecar(_)
            | Seen::Directory
            | Seen::NotAFile
            | Seen::BehindLink => None,
            Seen::Trouble(_)
            | Seen::Absent
            | Seen::Unreadable(_)
            | Seen::Empty
            | Seen::Backlog(_)
            | Seen::Ignored
            | Seen::Taken(_)
            | Seen::Interrupted { .. }
            | Seen::TooDeep
            | Seen::Unseen => self.queue.jobs().find_at_path(&folder.id, relative.clone()).await?,
        };
        if let (None, Seen::Taken(_)) = (job, &seen)
            && let Some(forgotten) = self.queue.jobs().find_forgotten(&folder.id, relative).await?
        {
            return to_value(&of_forgotten(path, folder.name.clone(), &forgotten));
        }
        let folder = Some(folder.name.clone());
        let whence = self.describe_origin(&id, below, job).await?;
        let mut why = match job {
            Some(id) => {
                let job = self.job_shown(id).await?;
                self.of_job(shown, folder, job, matches!(seen, Seen::Absent))
            }
            None => self.of_file(path, folder, &seen),
        };
        if let Some(whence) = whence {
            why.answer = format!("{}; {whence}", why.answer);
        }
        to_value(&why)
    }

    /// Returns the answer about a file that has a job.
    fn of_job(
        &self,
        path: String,
        folder: Option<String>,
        job: JobView,
        is_gone: bool,
    ) -> WhyAnswer {
        let (answer, hint) = explain_job(
            &job,
            ExplainContext { daemon: self.worker.is_some(), is_gone, now: clock::now() },
        );
        let more = (job.state == JobState::Failed)
            .then(|| format!("minuted job {} shows its history", job.id));
        let is_over = job.state.is_over();
        let hint = join_hints(self.without_daemon().filter(|_| !is_over), join_hints(hint, more));
        WhyAnswer { path, folder, answer, hint, job: Some(job) }
    }

    /// Returns the answer about a file that has no job.
    fn of_file(&self, path: &Path, folder: Option<String>, seen: &Seen) -> WhyAnswer {
        let now = clock::now();
        let is_over = match seen {
            Seen::Name(_)
            | Seen::Sidecar(_)
            | Seen::Directory
            | Seen::NotAFile
            | Seen::Absent
            | Seen::Ignored
            | Seen::TooDeep
            | Seen::BehindLink => true,
            Seen::Trouble(_)
            | Seen::Unreadable(_)
            | Seen::Empty
            | Seen::Settling(_)
            | Seen::Backlog(_)
            | Seen::Taken(_)
            | Seen::Interrupted { .. }
            | Seen::Unseen => false,
        };
        let full = self.disk_full().filter(|_| !is_over);
        let answer = match (seen, full.is_some()) {
            (Seen::Settling(file), false)
                if file.unreadable.is_none() && file.in_use.is_none() && file.until <= now =>
            {
                format!("it has been quiet since {:.0} and is being queued", file.since)
            }
            (Seen::Unseen, _) if self.worker.is_none() => {
                "not seen yet as it is now; the first scan after the next start will".to_owned()
            }
            (_, _) => seen.to_string(),
        };
        let answer = match &full {
            Some(hold) => format!(
                "{answer}; but {}: nothing new is queued until that is over; it resumes without help",
                hold.detail
            ),
            None => answer,
        };
        let hint = match seen {
            Seen::Ignored => {
                let add = ShellCommand::new("minuted add").add_path(path).add_words("--folder");
                let add = add.add_word(folder.as_deref().unwrap_or_default());
                Some(format!("{add} queues it anyway"))
            }
            Seen::Unseen if self.worker.is_some() => Some("minuted scan looks at once".to_owned()),
            Seen::Settling(file) if matches!(file.in_use, Some(InUse::Written(_))) => {
                Some(format!(
                    "where nobody writes to it any more: {}",
                    ShellCommand::new("touch").add_path(path)
                ))
            }
            Seen::Unseen
            | Seen::Trouble(_)
            | Seen::Absent
            | Seen::Directory
            | Seen::NotAFile
            | Seen::BehindLink
            | Seen::Unreadable(_)
            | Seen::Name(_)
            | Seen::Sidecar(_)
            | Seen::TooDeep
            | Seen::Empty
            | Seen::Settling(_)
            | Seen::Backlog(_)
            | Seen::Taken(_)
            | Seen::Interrupted { .. } => full.map(|_| "free some space".to_owned()),
        };
        let hint = join_hints(self.without_daemon().filter(|_| !is_over), hint);
        WhyAnswer { path: printable_path(path), folder, answer, hint, job: None }
    }

    /// Returns the answer about a file outside all folders, which may belong to a former folder.
    async fn why_outside(&self, path: &Path, shown: String) -> Answer {
        let folders =
            self.live_settings().settings.folders.iter().map(|folder| folder.id.clone()).collect();
        if let Some(id) = self.queue.jobs().find_outside(path.to_owned(), folders).await? {
            let job = self.job_shown(id).await?;
            let folder = Some(job.folder.clone());
            let mut why = self.of_job(shown, folder, job, false);
            why.answer =
                format!("it lies in no watched folder; a file of this name was: {}", why.answer);
            return to_value(&why);
        }
        let names: Vec<String> = self
            .live_settings()
            .settings
            .folders
            .iter()
            .map(|folder| printable_path(&folder.path))
            .collect();
        let answer = "it lies in no watched folder".to_owned();
        let hint = Some(format!("the folders are: {}", names.join(", ")));
        to_value(&WhyAnswer { path: shown, folder: None, answer, hint, job: None })
    }

    fn without_daemon(&self) -> Option<String> {
        self.worker.is_none().then(|| {
            "no daemon runs: nothing goes on until `minuted run` (or systemctl start minuted)"
                .to_owned()
        })
    }
}

/// Returns the answer about a file whose job was removed at the end of the history.
fn of_forgotten(path: &Path, folder: String, forgotten: &Forgotten) -> WhyAnswer {
    let (answer, hint) = match forgotten {
        Forgotten { done: Some(at), notes } => {
            let notes = notes
                .as_deref()
                .map(|notes| format!("; its notes were written to `{}`", printable_path(notes)));
            let day = at.strftime("%F");
            let answer = format!(
                "its content was done on {day}, and its job was removed from the history{}",
                notes.unwrap_or_default()
            );
            (
                answer,
                format!(
                    "{} makes a new meeting and new notes",
                    ShellCommand::new("minuted redo").add_path(path)
                ),
            )
        }
        Forgotten { done: None, .. } => (
            "it had a job, which made no notes and was removed from the history".to_owned(),
            format!("{} queues it again", ShellCommand::new("touch").add_path(path)),
        ),
    };
    WhyAnswer {
        path: printable_path(path),
        folder: Some(folder),
        answer,
        hint: Some(hint),
        job: None,
    }
}

/// Joins two hints.
fn join_hints(first: Option<String>, then: Option<String>) -> Option<String> {
    first.into_iter().chain(then).reduce(|first, then| format!("{first}; {then}"))
}
